//! The adapter: one record per machine, one task per running one.
//!
//! ```text
//! Ended ──start──▶ Live: Starting ──ready──▶ On ⇄ Paused
//!   ▲                │  ▲                     │ save
//!   │ QEMU's end     │  └──────restore───── Saved
//!   └────────────────┘
//! ```
//!
//! QEMU's events are hints here too: after each, the run state is asked for. Only the reasons of an end
//! are taken from the events themselves, since afterwards nobody is there to be asked.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use primrack_adapter_api::{Adapter, AdapterError, Capabilities, Console, Found, Hints};
use primrack_model::{Action, Address, Cause, Command, IntentId, Observation, Power};
use qapi::qmp::{self, Event, MigrationStatus, RunState};
use rustix::process::Signal;
use smol_str::SmolStr;
use tokio::sync::{Notify, OnceCell, OwnedMutexGuard, mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;

use crate::Ready;
use crate::local::{Bell, Files, Folder, Handle, Left, Logs, Record, Run, Started, tail};

use super::client::Qmp;
use super::launch::{self, Paths};
use super::machine::{Asked, Closing, How, Link, Live, Machine, Phase, State};
use super::map::{self, LastWords};
use super::{Accelerator, QemuConfig, clones, kvm, screen};

/// How long QEMU may take to obey a quit before it is killed.
const QUITTING: Duration = Duration::from_millis(1500);
/// What can be done to a clone with disks that keep snapshots; other machines lack some of the last three.
const ACTIONS: [Action; 13] = [
    Action::Start,
    Action::SoftOff,
    Action::HardOff,
    Action::Reboot,
    Action::Reset,
    Action::Pause,
    Action::Resume,
    Action::Save,
    Action::Restore,
    Action::Clone,
    Action::Snapshot,
    Action::Revert,
    Action::Delete,
];
/// Of a clone without such disks.
const WITHOUT_SNAPSHOTS: [Action; 11] = [
    Action::Start,
    Action::SoftOff,
    Action::HardOff,
    Action::Reboot,
    Action::Reset,
    Action::Pause,
    Action::Resume,
    Action::Save,
    Action::Restore,
    Action::Clone,
    Action::Delete,
];

/// How long an end may take to be accounted for.
const ACCOUNTING: Duration = Duration::from_secs(2);
/// How long the last events may take after the process ended.
const LAST_EVENTS: Duration = Duration::from_millis(500);
/// How long QEMU may take to be gone after it told that it ends: it may have much to write to slow disks, and killed
/// meanwhile it would leave an image behind that has to be repaired. A hard off does not wait for it.
const LAST_BREATH: Duration = Duration::from_secs(30);
/// How long writing a machine's memory may take.
const SAVING: Duration = Duration::from_secs(600);

/// Virtual machines in QEMU.
#[derive(Debug)]
pub struct QemuAdapter {
    inner: Arc<Inner>,
    _stop: DropGuard,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) config: QemuConfig,
    /// Those of the configuration, and from the first use on their clones.
    pub(super) machines: Mutex<BTreeMap<SmolStr, Arc<Machine>>>,
    home: OnceCell<Home>,
    /// `kvm` or `tcg`, once it was tried.
    accelerator: OnceCell<&'static str>,
    bell: Bell,
    stop: CancellationToken,
}

/// What is opened at the first use.
#[derive(Debug)]
pub(super) struct Home {
    places: Mutex<BTreeMap<SmolStr, Place>>,
    logs: Arc<Logs>,
    pub(super) folder: Folder,
}

/// The files of one machine.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) files: Files,
    pub(super) paths: Paths,
    pub(super) logs: Arc<Logs>,
}

impl Home {
    /// The files of a machine that was found.
    pub(super) fn place(&self, machine: &Machine) -> Result<Place, AdapterError> {
        let place = self.places.lock().get(&machine.name).cloned();
        place.ok_or_else(|| AdapterError::NotFound(machine.name.to_string()))
    }
    pub(super) fn forget(&self, machine: &Machine) {
        self.places.lock().remove(&machine.name);
    }
}

impl QemuAdapter {
    pub(super) fn new(config: QemuConfig) -> Self {
        let machines = config.machines.iter();
        let machines = machines.map(|(name, machine)| {
            (SmolStr::new(name), Arc::new(Machine::new(name, machine.clone(), false)))
        });
        let stop = CancellationToken::new();
        let inner = Inner {
            machines: Mutex::new(machines.collect()),
            config,
            home: OnceCell::new(),
            accelerator: OnceCell::new(),
            bell: Bell::default(),
            stop: stop.clone(),
        };
        Self { inner: Arc::new(inner), _stop: stop.drop_guard() }
    }
}

#[async_trait]
impl Adapter for QemuAdapter {
    fn technology(&self) -> &'static str {
        "qemu"
    }

    fn capabilities(&self, address: &Address) -> Capabilities {
        let (keeps, is_clone) = match self.inner.find(address) {
            Ok(machine) => (machine.config.keeps_snapshots(), machine.is_clone),
            Err(_) => (true, false),
        };
        let all: &'static [Action] = if keeps { &ACTIONS } else { &WITHOUT_SNAPSHOTS };
        // Last in both lists: what is configured is not deleted.
        let actions = if is_clone { all } else { &all[..all.len() - 1] };
        Capabilities { actions, pushes_events: true, simulated: false }
    }

    async fn list(&self) -> Result<Vec<Found>, AdapterError> {
        self.inner.home().await?;
        let machines = self.inner.machines.lock();
        let found = machines.values().map(|machine| {
            let label = if machine.config.label.is_empty() {
                machine.name.to_string()
            } else {
                machine.config.label.clone()
            };
            Found { label, ..Found::of(Address(machine.name.clone())) }
        });
        Ok(found.collect())
    }

    async fn observe(&self, address: &Address) -> Result<Observation, AdapterError> {
        self.inner.home().await?;
        let machine = self.inner.find(address)?;
        // Between its end and our taking notice there is a moment in which nothing true can be said.
        let mut ear = self.inner.bell.ear();
        while machine.is_ending() {
            if tokio::time::timeout(ACCOUNTING, ear.changed()).await.is_err() {
                return Ok(Observation::unknown("it ended, and its end is not accounted for yet"));
            }
        }
        if let Ok(qmp) = machine.qmp()
            && !machine.is_closing()
        {
            // A QEMU that hangs makes the driver's time-out speak.
            self.inner.refresh(&machine, &qmp).await?;
        }
        Ok(machine.observe())
    }

    async fn execute(&self, command: &Command) -> Result<(), AdapterError> {
        self.inner.home().await?;
        let machine = self.inner.find(&command.address)?;
        // Whoever gives up while waiting here leaves nothing behind ...
        let busy = Arc::clone(&machine.busy).lock_owned().await;
        let inner = Arc::clone(&self.inner);
        let command = command.clone();
        // ... and from here on it is done to its end.
        let done = tokio::spawn(async move { inner.execute(&machine, &command, busy).await });
        done.await
            .unwrap_or_else(|why| Err(AdapterError::Unreachable(format!("the adapter failed inside: {why}"))))
    }

    async fn listen(&self, hints: Hints) -> AdapterError {
        if let Err(why) = self.inner.home().await {
            return why;
        }
        let versions = || {
            let all = self.inner.machines.lock();
            all.values()
                .map(|machine| (Address(machine.name.clone()), machine.state.lock().version))
                .collect()
        };
        let observe = |address: &Address| {
            let machine = self.inner.find(address).ok()?;
            (!machine.is_ending()).then(|| machine.observe())
        };
        self.inner.bell.relay(hints, versions, observe).await
    }

    async fn console(&self, address: &Address) -> Result<Console, AdapterError> {
        let home = self.inner.home().await?;
        let machine = self.inner.find(address)?;
        let place = home.place(&machine)?;
        if let Ok(qmp) = machine.qmp()
            && let Some(png) = screen::shot(&qmp, &place.paths.screen).await?
        {
            return Ok(Console::Png(png));
        }
        tail(place.logs.path(&machine.name)).await.map(Console::Text)
    }
}

impl Inner {
    fn find(&self, address: &Address) -> Result<Arc<Machine>, AdapterError> {
        let machine = self.machines.lock().get(&address.0).cloned();
        machine.ok_or_else(|| AdapterError::NotFound(address.0.to_string()))
    }

    /// Opens the state folder and takes over what runs, once.
    pub(super) async fn home(self: &Arc<Self>) -> Result<&Home, AdapterError> {
        self.home.get_or_try_init(|| self.open()).await
    }

    async fn open(self: &Arc<Self>) -> Result<Home, AdapterError> {
        let folder = Folder::open(&self.config.state_dir).await.map_err(AdapterError::Unreachable)?;
        let logs = Logs::open(folder.logs(), self.config.log_limit, self.stop.clone())
            .map_err(|why| AdapterError::Unreachable(format!("the log folder cannot be watched: {why}")))?;
        for (name, config) in clones::read(&folder).await? {
            let machine = Arc::new(Machine::new(&name, config, true));
            // What is configured under that name goes first.
            self.machines.lock().entry(machine.name.clone()).or_insert(machine);
        }
        let mut places = BTreeMap::new();
        let mut left = Vec::new();
        let machines: Vec<_> = self.machines.lock().values().cloned().collect();
        for machine in machines {
            let place = Self::new_place(&folder, &logs, &machine.name)?;
            let (record, found) = place.files.left().await.map_err(AdapterError::Unreachable)?;
            let saved = tokio::fs::try_exists(&place.paths.saved).await.unwrap_or(false);
            places.insert(machine.name.clone(), place.clone());
            left.push((machine, place, record, found, saved));
        }
        for (machine, place, record, found, saved) in left {
            self.take_over(&machine, &place, record, found, saved);
        }
        Ok(Home { places: Mutex::new(places), logs, folder })
    }

    fn new_place(folder: &Folder, logs: &Arc<Logs>, name: &str) -> Result<Place, AdapterError> {
        let paths = Paths::new(folder, name).map_err(AdapterError::Unreachable)?;
        Ok(Place { files: Files::new(folder, name), paths, logs: Arc::clone(logs) })
    }

    /// A machine that was just made.
    pub(super) fn add(&self, home: &Home, machine: Arc<Machine>) -> Result<(), AdapterError> {
        let place = Self::new_place(&home.folder, &home.logs, &machine.name)?;
        home.places.lock().insert(machine.name.clone(), place);
        self.machines.lock().insert(machine.name.clone(), machine);
        self.bell.ring();
        Ok(())
    }

    fn take_over(
        self: &Arc<Self>,
        machine: &Arc<Machine>,
        place: &Place,
        record: Record,
        found: Left,
        saved: bool,
    ) {
        let phase = match found {
            Left::Running(handle) => {
                tracing::info!(machine = %machine.name, pid = handle.pid(), "found again");
                let run = match record.run {
                    Some(run) if run.pid == handle.pid() && run.started == handle.started() => run,
                    Some(_) | None => Run::of(&handle, SystemTime::UNIX_EPOCH, None),
                };
                self.watch(machine, place, Arc::new(handle), run, saved);
                return;
            }
            Left::Something => Phase::Ended(Observation::unknown(
                "something of its last run still runs, but not its QEMU; a start ends it",
            )),
            Left::Nothing if saved => Phase::Saved,
            Left::Nothing => Phase::Ended(match (record.run, record.ended) {
                (Some(_), _) => map::ended_unwatched(),
                (None, Some(ended)) => ended,
                (None, None) => Observation::of(Power::Off),
            }),
        };
        self.change(machine, |state| state.phase = phase);
    }

    /// Changes a machine's state and tells whoever listens.
    fn change(&self, machine: &Machine, change: impl FnOnce(&mut State)) {
        {
            let mut state = machine.state.lock();
            change(&mut state);
            state.version += 1;
        }
        self.bell.ring();
    }

    pub(super) fn change_live(&self, machine: &Machine, change: impl FnOnce(&mut Live)) {
        self.change(machine, |state| {
            if let Phase::Live(live) = &mut state.phase {
                change(live);
            }
        });
    }

    /// Asks for the run state and shows it, if it is another.
    pub(super) async fn refresh(&self, machine: &Machine, qmp: &Qmp) -> Result<RunState, AdapterError> {
        if machine.is_closing() {
            return Err(AdapterError::Refused(format!("{} is just ending", machine.name)));
        }
        let status = qmp.run(qmp::query_status {}).await?.status;
        let news = match &machine.state.lock().phase {
            Phase::Live(live) => live.status != Some(status),
            Phase::Ended(_) | Phase::Saved | Phase::Returning => false,
        };
        if news {
            self.change_live(machine, |live| live.status = Some(status));
        }
        Ok(status)
    }

    async fn execute(
        self: &Arc<Self>,
        machine: &Arc<Machine>,
        command: &Command,
        busy: OwnedMutexGuard<()>,
    ) -> Result<(), AdapterError> {
        if !machine.state.lock().recent.is_new(command.intent) {
            return Ok(());
        }
        let done = self.act(machine, command, busy).await;
        if done.is_err() {
            machine.state.lock().recent.forget(command.intent);
        }
        done
    }

    async fn act(
        self: &Arc<Self>,
        machine: &Arc<Machine>,
        command: &Command,
        busy: OwnedMutexGuard<()>,
    ) -> Result<(), AdapterError> {
        let until = Instant::now() + Duration::from_millis(command.deadline_ms);
        let is_saved = matches!(machine.state.lock().phase, Phase::Saved);
        match command.action {
            Action::Start | Action::Restore => {
                if let Some(handle) = machine.handle() {
                    let words = format!("{} runs already, as process {}", machine.name, handle.pid());
                    return Err(AdapterError::Refused(words));
                }
                let restore = command.action == Action::Restore;
                if restore != is_saved {
                    let words = if restore {
                        "is not saved"
                    } else {
                        "is saved: restore it, or give its memory up with a hard off"
                    };
                    return Err(AdapterError::Refused(format!("{} {words}", machine.name)));
                }
                self.start(machine, Some(command.intent), restore).await
            }
            Action::SoftOff => self.press_power_button(machine, Asked { how: How::Button, until }).await,
            Action::Reboot => self.press_power_button(machine, Asked { how: How::ComeBack, until }).await,
            Action::HardOff if is_saved => self.give_up_saved(machine).await,
            Action::HardOff => self.quit(machine, Asked { how: How::Quit, until }).await,
            Action::Reset => {
                machine.qmp()?.run(qmp::system_reset {}).await?;
                Ok(())
            }
            Action::Pause => {
                let qmp = machine.qmp()?;
                qmp.run(qmp::stop {}).await?;
                self.refresh(machine, &qmp).await.map(drop)
            }
            Action::Resume => {
                let qmp = machine.qmp()?;
                qmp.run(qmp::cont {}).await?;
                self.refresh(machine, &qmp).await.map(drop)
            }
            Action::Save => self.save(machine, busy).await,
            Action::Snapshot => self.snapshot(machine, until).await,
            Action::Revert => self.revert(machine, until).await,
            Action::Clone => self.clone_of(machine, is_saved).await,
            Action::Delete => self.delete(machine, is_saved).await,
            Action::Migrate => Err(AdapterError::unsupported(Action::Migrate)),
        }
    }

    async fn accelerator(&self, home: &Home) -> &'static str {
        let tried = self.accelerator.get_or_init(|| async {
            match self.config.accel {
                Accelerator::Kvm => "kvm",
                Accelerator::Tcg => "tcg",
                Accelerator::Auto => {
                    let works = kvm::guests_run(&self.config.program, "kvm", home.folder.path()).await;
                    tracing::info!(works, "tried whether guests run in KVM");
                    if works { "kvm" } else { "tcg" }
                }
            }
        });
        tried.await
    }

    /// Boxed: a start leads to a task that may start again.
    fn start<'a>(
        self: &'a Arc<Self>,
        machine: &'a Arc<Machine>,
        intent: Option<IntentId>,
        restore: bool,
    ) -> BoxFuture<'a, Result<(), AdapterError>> {
        Box::pin(self.start_unboxed(machine, intent, restore))
    }

    async fn start_unboxed(
        self: &Arc<Self>,
        machine: &Arc<Machine>,
        intent: Option<IntentId>,
        restore: bool,
    ) -> Result<(), AdapterError> {
        let home = self.home().await?;
        let accelerator = self.accelerator(home).await;
        let place = home.place(machine)?;
        let (config, program) = (machine.config.clone(), self.config.program.clone());
        let started = tokio::task::spawn_blocking(move || {
            let since = SystemTime::now();
            let Place { files, paths, logs } = &place;
            let started = launch::start(files, &program, accelerator, &config, paths, logs, restore)?;
            let (handle, fresh) = match started {
                Started::New(handle) => (handle, true),
                Started::Found(handle) => (handle, false),
            };
            let mut run = Run::of(&handle, since, intent);
            // What was saved was on, and is so as soon as it goes on.
            run.ready = restore && fresh;
            if let Err(why) = files.write(&Record { run: Some(run.clone()), ended: None }) {
                tracing::warn!(machine = files.name, %why, "the record cannot be written");
            }
            Ok::<_, std::io::Error>((place, handle, run, fresh))
        });
        let (place, handle, run, fresh) = match started.await {
            Ok(Ok(started)) => started,
            Ok(Err(why)) => return Err(AdapterError::Refused(why.to_string())),
            Err(why) => return Err(AdapterError::Unreachable(format!("the start failed inside: {why}"))),
        };
        let pid = handle.pid();
        self.watch(machine, &place, Arc::new(handle), run, restore);
        if fresh {
            return Ok(());
        }
        Err(AdapterError::Refused(format!(
            "{} ran already, as process {pid}; it was found again",
            machine.name
        )))
    }

    /// Shows a running machine, and a task sees it through to its end.
    fn watch(
        self: &Arc<Self>,
        machine: &Arc<Machine>,
        place: &Place,
        handle: Arc<Handle>,
        mut run: Run,
        restoring: bool,
    ) {
        run.ready |= machine.config.ready == Ready::Immediately;
        let ready = run.ready;
        let line =
            place.logs.follow(&machine.name, machine.config.ready.line().filter(|_| !ready), run.log_from);
        // Kept short, though nobody waits for a line of it.
        drop(place.logs.follow(&launch::messages(&machine.name), None, 0));
        self.change(machine, |state| {
            state.sample = None;
            state.phase = Phase::Live(Live {
                handle: Arc::clone(&handle),
                qmp: Link::Coming,
                status: None,
                ready,
                closing: None,
                asked: None,
                restoring,
                reverting: false,
                migration: watch::Sender::new(None),
                trouble: None,
            });
        });
        let watcher = Watcher {
            inner: Arc::clone(self),
            machine: Arc::clone(machine),
            place: place.clone(),
            handle,
            run,
            words: LastWords::default(),
            wake: Arc::new(Notify::new()),
        };
        let stop = self.stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = watcher.see_through(line) => {}
            }
        });
    }

    /// A machine ended: takes notice, and starts it again where that was asked.
    async fn ended(self: &Arc<Self>, watcher: &Watcher) {
        let Watcher { machine, place, handle, words, .. } = watcher;
        let ending = handle.reap();
        let (asked, restoring) = match &machine.state.lock().phase {
            Phase::Live(live) => (live.asked, live.restoring),
            Phase::Ended(_) | Phase::Saved | Phase::Returning => (None, false),
        };
        // A button pressed long ago, or an end without a word, is not what was asked for.
        let as_asked = asked.is_some_and(|asked| match asked.how {
            How::Quit | How::Save => true,
            How::Button | How::ComeBack => Instant::now() < asked.until && words.shutdown.is_some(),
        });
        let mut seen = map::ended(ending, *words, as_asked);
        tracing::info!(machine = %machine.name, pid = handle.pid(), ?ending, ?words, ?asked, "ended");
        let saved = tokio::fs::try_exists(&place.paths.saved).await.unwrap_or(false);
        if restoring && saved {
            seen = seen.with_detail(format!(
                "restoring failed, see {}",
                place.logs.path(&launch::messages(&machine.name)).display()
            ));
        }
        place.files.note(Record { run: None, ended: Some(seen.clone()) }).await;
        if saved {
            self.change(machine, |state| state.phase = Phase::Saved);
            return;
        }
        if !asked.is_some_and(|asked| asked.how == How::ComeBack && Instant::now() < asked.until) {
            self.change(machine, |state| state.phase = Phase::Ended(seen));
            return;
        }
        let busy = Arc::clone(&machine.busy).lock_owned().await;
        self.change(machine, |state| state.phase = Phase::Returning);
        if let Err(why) = self.start(machine, None, false).await {
            self.change(machine, |state| state.phase = Phase::Ended(map::crashed(&why.to_string())));
        }
        drop(busy);
    }

    /// Asks the guest to end. Accepted is not stopped: it may ignore the button, and shows so after
    /// the deadline.
    async fn press_power_button(
        self: &Arc<Self>,
        machine: &Arc<Machine>,
        asked: Asked,
    ) -> Result<(), AdapterError> {
        let (handle, _) = machine.running()?;
        let qmp = machine.qmp()?;
        // A paused guest cannot notice a button.
        if self.refresh(machine, &qmp).await? == RunState::paused {
            qmp.run(qmp::cont {}).await?;
        }
        self.change_live(machine, |live| live.asked = Some(asked));
        if let Err(why) = qmp.run(qmp::system_powerdown {}).await {
            self.change_live(machine, |live| live.asked = None);
            return Err(why);
        }
        let (inner, machine) = (Arc::clone(self), Arc::clone(machine));
        tokio::spawn(async move {
            tokio::select! {
                () = inner.stop.cancelled() => {}
                () = handle.over() => {}
                () = tokio::time::sleep_until(asked.until.into()) => inner.change_live(&machine, |_| {}),
            }
        });
        Ok(())
    }

    /// Ends QEMU: by its monitor, and if that does not answer, by a signal.
    async fn quit(self: &Arc<Self>, machine: &Arc<Machine>, asked: Asked) -> Result<(), AdapterError> {
        let (handle, link) = machine.running()?;
        self.change_live(machine, |live| live.asked = Some(asked));
        if let Link::Up(qmp) = link {
            let quit = async {
                if let Err(why) = qmp.run(qmp::quit {}).await {
                    tracing::debug!(machine = %machine.name, %why, "quit was not answered");
                }
                handle.over().await;
            };
            if tokio::time::timeout(QUITTING, quit).await.is_ok() {
                return Ok(());
            }
        }
        tracing::warn!(machine = %machine.name, "its monitor does not obey: killing QEMU");
        handle
            .signal(Signal::KILL)
            .map_err(|why| AdapterError::Refused(format!("QEMU cannot be killed: {why}")))
    }

    async fn give_up_saved(&self, machine: &Machine) -> Result<(), AdapterError> {
        let Some(home) = self.home.get() else { return Ok(()) };
        let place = home.place(machine)?;
        tokio::fs::remove_file(&place.paths.saved)
            .await
            .map_err(|why| AdapterError::Refused(format!("the saved memory cannot be removed: {why}")))?;
        let seen =
            Observation::caused(Power::Off, Cause::Operator).with_detail("its saved memory was given up");
        place.files.note(Record { run: None, ended: Some(seen.clone()) }).await;
        self.change(machine, |state| state.phase = Phase::Ended(seen));
        Ok(())
    }

    /// Writes the memory to a file and ends QEMU. Returns when the writing has begun; `busy` is held
    /// until it is over.
    async fn save(
        self: &Arc<Self>,
        machine: &Arc<Machine>,
        busy: OwnedMutexGuard<()>,
    ) -> Result<(), AdapterError> {
        let qmp = machine.qmp()?;
        let place = self.home().await?.place(machine)?;
        let was_running = self.refresh(machine, &qmp).await? == RunState::running;
        let saving = place.paths.saving.clone();
        let file = tokio::task::spawn_blocking(move || {
            use std::os::unix::fs::OpenOptionsExt;
            std::fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(saving)
        });
        let file = match file.await {
            Ok(Ok(file)) => file,
            Ok(Err(why)) => {
                return Err(AdapterError::Refused(format!("its memory cannot be written: {why}")));
            }
            Err(why) => return Err(AdapterError::Unreachable(format!("saving failed inside: {why}"))),
        };
        let asked = Asked { how: How::Save, until: Instant::now() + SAVING };
        let mut migration = None;
        self.change_live(machine, |live| {
            live.asked = Some(asked);
            live.trouble = None;
            live.migration.send_replace(None);
            migration = Some(live.migration.subscribe());
        });
        let Some(migration) = migration else {
            return Err(AdapterError::Refused(format!("{} has just ended", machine.name)));
        };
        let begun = async {
            qmp.run(qmp::stop {}).await?;
            qmp.hand_over(&file, "save").await?;
            let uri = Some("fd:save".to_owned());
            qmp.run(qmp::migrate { uri, channels: None, detach: None, resume: None }).await
        };
        if let Err(why) = begun.await {
            self.saving_failed(machine, &qmp, was_running, &why.to_string()).await;
            return Err(why);
        }
        let (inner, machine) = (Arc::clone(self), Arc::clone(machine));
        tokio::spawn(async move {
            let written =
                tokio::time::timeout(SAVING, inner.finish_save(&place, file, migration, &qmp)).await;
            let failure = match written {
                Ok(Ok(())) => None,
                Ok(Err(why)) => Some(why),
                Err(_) => Some("it took too long".to_owned()),
            };
            if let Some(why) = failure {
                inner.saving_failed(&machine, &qmp, was_running, &why).await;
            }
            drop(busy);
        });
        Ok(())
    }

    /// Waits until the memory is written, makes it last, and only then ends QEMU.
    async fn finish_save(
        &self,
        place: &Place,
        file: std::fs::File,
        mut migration: watch::Receiver<Option<MigrationStatus>>,
        qmp: &Qmp,
    ) -> Result<(), String> {
        loop {
            match *migration.borrow_and_update() {
                Some(MigrationStatus::completed) => break,
                Some(MigrationStatus::failed | MigrationStatus::cancelled) => {
                    return Err("QEMU could not write it: is the disk full?".to_owned());
                }
                Some(_) | None => {}
            }
            migration.changed().await.map_err(|_| "QEMU ended meanwhile".to_owned())?;
        }
        let paths = place.paths.clone();
        let kept = tokio::task::spawn_blocking(move || {
            file.sync_all()?;
            std::fs::rename(&paths.saving, &paths.saved)
        });
        kept.await.map_err(|why| why.to_string())?.map_err(|why| format!("it cannot be kept: {why}"))?;
        qmp.run(qmp::quit {}).await.map(drop).map_err(|why| why.to_string())
    }

    /// The machine goes on where it was.
    async fn saving_failed(&self, machine: &Machine, qmp: &Qmp, was_running: bool, why: &str) {
        tracing::warn!(machine = %machine.name, why, "saving failed");
        if was_running && let Err(why) = qmp.run(qmp::cont {}).await {
            tracing::warn!(machine = %machine.name, %why, "it does not go on after saving failed");
        }
        self.change_live(machine, |live| {
            live.asked = None;
            live.trouble = Some(format!("saving failed: {why}"));
        });
    }
}

/// Sees one run of a machine through to its end.
struct Watcher {
    inner: Arc<Inner>,
    machine: Arc<Machine>,
    place: Place,
    handle: Arc<Handle>,
    run: Run,
    words: LastWords,
    /// The run state is to be asked for.
    wake: Arc<Notify>,
}

impl Watcher {
    async fn see_through(mut self, line: oneshot::Receiver<()>) {
        let mut line = Some(line);
        let mut pause = Duration::from_millis(20);
        loop {
            let over = Arc::clone(&self.handle);
            let connected = tokio::select! {
                connected = Qmp::connect(&self.place.paths.qmp) => connected,
                () = over.over() => break,
            };
            match connected {
                Ok((qmp, events)) => {
                    pause = Duration::from_millis(20);
                    if self.connected(Arc::new(qmp), events, &mut line).await {
                        break;
                    }
                    self.inner.change_live(&self.machine, |live| {
                        live.qmp = Link::Lost;
                        live.status = None;
                    });
                    tracing::warn!(machine = %self.machine.name, "the connection to its monitor was lost");
                }
                Err(why) => {
                    tracing::debug!(machine = %self.machine.name, %why, "no connection to its monitor");
                }
            }
            // From 20 ms, since its socket comes a moment after its start, to 2 s.
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = over.over() => break,
            }
            pause = (pause * 3 / 2).min(Duration::from_secs(2));
        }
        let inner = Arc::clone(&self.inner);
        inner.ended(&self).await;
    }

    /// Takes events while the connection stands. Whether the process ended.
    async fn connected(
        &mut self,
        qmp: Arc<Qmp>,
        mut events: mpsc::Receiver<Event>,
        line: &mut Option<oneshot::Receiver<()>>,
    ) -> bool {
        self.inner.change_live(&self.machine, |live| {
            live.qmp = Link::Up(Arc::clone(&qmp));
            live.closing = None;
        });
        let mut closed = None;
        let asking = self.keep_asking(Arc::clone(&qmp));
        self.wake.notify_one();
        let mut ready = self.readiness(line.take());
        let over = Arc::clone(&self.handle);
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => {
                        if ends(&event).is_some() {
                            closed = Some(tokio::time::Instant::now() + LAST_BREATH);
                        }
                        if self.heard(&event) && self.machine.config.ready != Ready::Immediately {
                            let log = self.place.logs.path(&self.machine.name);
                            self.run.log_from = tokio::fs::metadata(log).await.map_or(0, |about| about.len());
                            self.run.since_ms = Run::of(&self.handle, SystemTime::now(), None).since_ms;
                            ready = self.readiness(None);
                            self.note().await;
                        }
                    }
                    None => {
                        drop(asking);
                        // The end of the stream comes with the end of the process, or without it.
                        return tokio::time::timeout(LAST_EVENTS, over.over()).await.is_ok();
                    }
                },
                () = tokio::time::sleep_until(closed.unwrap_or_else(tokio::time::Instant::now)), if closed.is_some() => {
                    closed = None;
                    tokio::select! {
                        () = self.see_whether_it_ends(&qmp) => {}
                        () = over.over() => {}
                    }
                }
                () = &mut ready, if !self.run.ready => {
                    self.run.ready = true;
                    self.inner.change_live(&self.machine, |live| live.ready = true);
                    self.note().await;
                }
                () = over.over() => {
                    drop(asking);
                    let last = async {
                        while let Some(event) = events.recv().await {
                            self.heard(&event);
                        }
                    };
                    if tokio::time::timeout(LAST_EVENTS, last).await.is_err() {
                        tracing::debug!(machine = %self.machine.name, "its socket stays open after its end");
                    }
                    return true;
                }
            }
        }
    }

    /// Told to stay after its guest's end (`-no-shutdown`, `-action`), it answers. Else it hangs, and nothing of the guest is in it any more.
    async fn see_whether_it_ends(&self, qmp: &Qmp) {
        match qmp.run(qmp::query_status {}).await {
            Ok(answer) => self.inner.change_live(&self.machine, |live| {
                live.closing = None;
                live.status = Some(answer.status);
            }),
            Err(why) => {
                tracing::warn!(machine = %self.machine.name, %why, "QEMU does not come to its end: killing it");
                if let Err(why) = self.handle.signal(Signal::KILL) {
                    tracing::warn!(machine = %self.machine.name, %why, "QEMU cannot be killed");
                }
            }
        }
    }

    fn readiness(&self, line: Option<oneshot::Receiver<()>>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        // Of a new boot, or after a lost connection that took the receiver with it: the log is searched anew.
        let line = line.unwrap_or_else(|| {
            let text = self.machine.config.ready.line().filter(|_| !self.run.ready);
            self.place.logs.follow(&self.machine.name, text, self.run.log_from)
        });
        let (rule, since) = (self.machine.config.ready.clone(), self.run.since());
        Box::pin(async move { rule.reached(line, since).await })
    }

    async fn note(&self) {
        self.place.files.note(Record { run: Some(self.run.clone()), ended: None }).await;
    }

    /// Takes an event in. Whether the machine boots anew.
    fn heard(&mut self, event: &Event) -> bool {
        tracing::debug!(machine = %self.machine.name, ?event, "event");
        if let Some(how) = ends(event) {
            self.inner.change_live(&self.machine, |live| {
                // The word of the panic comes first, the one of the shutdown that follows says less.
                live.closing = Some(live.closing.unwrap_or(how));
            });
        }
        self.wake.notify_one();
        match event {
            Event::SHUTDOWN { data, .. } => self.words.shutdown = Some(data.reason),
            Event::GUEST_PANICKED { .. } => self.words.panicked = true,
            Event::MIGRATION { data, .. } => self.inner.change_live(&self.machine, |live| {
                live.migration.send_replace(Some(data.status));
            }),
            // Loading a saved machine resets its devices first; that is no boot.
            Event::RESET { .. } if !self.reads_memory() => {
                self.run.ready = self.machine.config.ready == Ready::Immediately;
                let ready = self.run.ready;
                self.inner.change_live(&self.machine, |live| live.ready = ready);
                return true;
            }
            _ => {}
        }
        false
    }

    fn reads_memory(&self) -> bool {
        matches!(&self.machine.state.lock().phase, Phase::Live(live) if live.restoring || live.reverting)
    }

    /// Asks for the run state after each event, one question at a time.
    fn keep_asking(&self, qmp: Arc<Qmp>) -> AbortOnDropHandle<()> {
        let (inner, machine) = (Arc::clone(&self.inner), Arc::clone(&self.machine));
        let (wake, paths) = (Arc::clone(&self.wake), self.place.paths.clone());
        AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                wake.notified().await;
                if machine.is_closing() {
                    continue;
                }
                match inner.refresh(&machine, &qmp).await {
                    Ok(status) => inner.settle(&machine, &qmp, &paths, status).await,
                    Err(why) => {
                        tracing::debug!(machine = %machine.name, %why, "its state cannot be asked for");
                    }
                }
            }
        }))
    }
}

/// Whether an event is the beginning of QEMU's end.
fn ends(event: &Event) -> Option<Closing> {
    match event {
        Event::GUEST_PANICKED { .. } => Some(Closing::Panicked),
        Event::SHUTDOWN { .. } => Some(Closing::Stopping),
        _ => None,
    }
}

impl Inner {
    /// Brings to an end what a restore, or a bridge that died while saving, left half done.
    async fn settle(&self, machine: &Machine, qmp: &Qmp, paths: &Paths, status: RunState) {
        let (restoring, asked) = match &machine.state.lock().phase {
            Phase::Live(live) => (live.restoring, live.asked),
            Phase::Ended(_) | Phase::Saved | Phase::Returning => return,
        };
        let done = match status {
            // Saved while it was paused: to restore means to go on.
            RunState::paused if restoring => qmp.run(qmp::cont {}).await.map(drop),
            // What it was restored from is of the past now.
            RunState::running if restoring => {
                if let Err(why) = tokio::fs::remove_file(&paths.saved).await {
                    tracing::warn!(machine = %machine.name, %why, "its saved memory stays");
                }
                self.change_live(machine, |live| live.restoring = false);
                Ok(())
            }
            RunState::postmigrate if asked.is_none() => {
                // Written completely: ended. Else: it goes on.
                if tokio::fs::try_exists(&paths.saved).await.unwrap_or(false) {
                    qmp.run(qmp::quit {}).await.map(drop)
                } else {
                    qmp.run(qmp::cont {}).await.map(drop)
                }
            }
            _ => Ok(()),
        };
        if let Err(why) = done {
            tracing::warn!(machine = %machine.name, %why, "what was half done cannot be finished");
        }
    }
}
