//! The adapter: one record per machine, one task per running one. A machine is a process of this machine
//! and lives as the `process` technology's do; what is told to its kernel goes over its mconsole.

use std::collections::BTreeMap;
use std::io::SeekFrom;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use primrack_adapter_api::{Adapter, AdapterError, Capabilities, Console, Found, Hints};
use primrack_model::{Action, Address, Cause, Command, IntentId, Load, Observation, Power};
use rustix::process::Signal;
use smol_str::SmolStr;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::sync::{OnceCell, OwnedMutexGuard, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::local::{Bell, Files, Folder, Handle, Left, Logs, Recent, Record, Run, Started, Stat};

use super::{MachineConfig, UmlConfig, client, map, mconsole};

/// How long an end may take to be accounted for.
const STOPPING: Duration = Duration::from_secs(1);
/// The most of a console that is shown.
const CONSOLE: u64 = 64 * 1024;

/// What can be done to a machine.
const ACTIONS: [Action; 7] = [
    Action::Start,
    Action::SoftOff,
    Action::HardOff,
    Action::Reboot,
    Action::Reset,
    Action::Pause,
    Action::Resume,
];

/// User-mode Linux machines.
#[derive(Debug)]
pub struct UmlAdapter {
    inner: Arc<Inner>,
    _stop: DropGuard,
}

#[derive(Debug)]
struct Inner {
    config: UmlConfig,
    machines: BTreeMap<SmolStr, Arc<Machine>>,
    home: OnceCell<Home>,
    bell: Bell,
    stop: CancellationToken,
}

/// What is opened at the first use.
#[derive(Debug)]
struct Home {
    logs: Arc<Logs>,
    files: BTreeMap<SmolStr, Files>,
    folder: Folder,
}

impl Home {
    /// Where its kernel listens.
    fn socket(&self, name: &str) -> PathBuf {
        client::folder(self.folder.path()).join(name).join("mconsole")
    }
}

#[derive(Debug)]
struct Machine {
    name: SmolStr,
    config: MachineConfig,
    /// Held while something is done to it.
    busy: Arc<tokio::sync::Mutex<()>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    version: u64,
    phase: Phase,
    recent: Recent,
    /// CPU ticks at a moment, for the share since then.
    sample: Option<(u64, Instant)>,
}

#[derive(Debug)]
enum Phase {
    Ended(Observation),
    /// It ended to come back, and is being started.
    Returning,
    Live(Live),
}

#[derive(Debug)]
struct Live {
    handle: Arc<Handle>,
    ready: bool,
    held: bool,
    asked: Option<Asked>,
}

/// It was told to end.
#[derive(Debug, Clone, Copy)]
struct Asked {
    /// Shown as stopping until then; afterwards it shows that it goes on.
    until: Instant,
    /// Started again if it ends by then.
    comes_back: bool,
    /// By a signal that cannot be ignored.
    hard: bool,
}

impl UmlAdapter {
    pub(super) fn new(config: UmlConfig) -> Self {
        let machines = config.machines.iter().map(|(name, config)| {
            let name = SmolStr::new(name);
            let state = State {
                version: 1,
                phase: Phase::Ended(Observation::of(Power::Off)),
                recent: Recent::default(),
                sample: None,
            };
            let machine = Machine {
                name: name.clone(),
                config: config.clone(),
                busy: Arc::default(),
                state: Mutex::new(state),
            };
            (name, Arc::new(machine))
        });
        let machines = machines.collect();
        let stop = CancellationToken::new();
        let inner =
            Inner { config, machines, home: OnceCell::new(), bell: Bell::default(), stop: stop.clone() };
        Self { inner: Arc::new(inner), _stop: stop.drop_guard() }
    }
}

#[async_trait]
impl Adapter for UmlAdapter {
    fn technology(&self) -> &'static str {
        "uml"
    }

    fn capabilities(&self, _: &Address) -> Capabilities {
        Capabilities { actions: &ACTIONS, pushes_events: true, simulated: false }
    }

    async fn list(&self) -> Result<Vec<Found>, AdapterError> {
        self.inner.home().await?;
        let found = self.inner.machines.values().map(|machine| {
            let label = if machine.config.label.is_empty() {
                machine.name.to_string()
            } else {
                machine.config.label.clone()
            };
            Found { label, seen: Some(machine.observe()), ..Found::of(Address(machine.name.clone())) }
        });
        Ok(found.collect())
    }

    async fn observe(&self, address: &Address) -> Result<Observation, AdapterError> {
        let machine = self.inner.find(address)?;
        self.inner.home().await?;
        // Between its end and our taking notice there is a moment in which nothing true can be said.
        let mut ear = self.inner.bell.ear();
        while machine.is_ending() {
            if tokio::time::timeout(STOPPING, ear.changed()).await.is_err() {
                return Ok(Observation::unknown("it ended, and its end is not accounted for yet"));
            }
        }
        Ok(machine.observe())
    }

    async fn execute(&self, command: &Command) -> Result<(), AdapterError> {
        let machine = Arc::clone(self.inner.find(&command.address)?);
        self.inner.home().await?;
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
            let all = self.inner.machines.values();
            all.map(|machine| (Address(machine.name.clone()), machine.state.lock().version)).collect()
        };
        let observe = |address: &Address| {
            let machine = self.inner.machines.get(&address.0)?;
            (!machine.is_ending()).then(|| machine.observe())
        };
        self.inner.bell.relay(hints, versions, observe).await
    }

    async fn console(&self, address: &Address) -> Result<Console, AdapterError> {
        let machine = self.inner.find(address)?;
        let path = self.inner.home().await?.logs.path(&machine.name);
        let unreadable =
            |why: std::io::Error| AdapterError::Unreachable(format!("its log cannot be read: {why}"));
        let mut file = match tokio::fs::File::open(&path).await {
            Ok(file) => file,
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Console::Text(String::new()));
            }
            Err(why) => return Err(unreadable(why)),
        };
        let length = file.metadata().await.map_err(unreadable)?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(CONSOLE))).await.map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(CONSOLE).read_to_end(&mut bytes).await.map_err(unreadable)?;
        Ok(Console::Text(String::from_utf8_lossy(&bytes).into_owned()))
    }
}

impl Inner {
    fn find(&self, address: &Address) -> Result<&Arc<Machine>, AdapterError> {
        self.machines.get(&address.0).ok_or_else(|| AdapterError::NotFound(address.0.to_string()))
    }

    /// Opens the state folder and takes over what runs, once.
    async fn home(self: &Arc<Self>) -> Result<&Home, AdapterError> {
        self.home.get_or_try_init(|| self.open()).await
    }

    async fn open(self: &Arc<Self>) -> Result<Home, AdapterError> {
        let folder = Folder::open(&self.config.state_dir).await.map_err(AdapterError::Unreachable)?;
        let logs = Logs::open(folder.logs(), self.config.log_limit, self.stop.clone())
            .map_err(|why| AdapterError::Unreachable(format!("the log folder cannot be watched: {why}")))?;
        let mut files = BTreeMap::new();
        let mut left = Vec::new();
        for machine in self.machines.values() {
            let of_machine = Files::new(&folder, &machine.name);
            left.push((Arc::clone(machine), of_machine.left().await.map_err(AdapterError::Unreachable)?));
            files.insert(machine.name.clone(), of_machine);
        }
        for (machine, (record, found)) in left {
            let of_machine = files[&machine.name].clone();
            self.take_over(&machine, of_machine, &logs, record, found);
        }
        Ok(Home { logs, files, folder })
    }

    fn take_over(
        self: &Arc<Self>,
        machine: &Arc<Machine>,
        files: Files,
        logs: &Arc<Logs>,
        record: Record,
        found: Left,
    ) {
        let handle = match found {
            Left::Running(handle) => Arc::new(handle),
            Left::Something => {
                let words =
                    "something of its last run still runs, but not its first process; a start ends it";
                self.change(machine, |state| state.phase = Phase::Ended(Observation::unknown(words)));
                return;
            }
            Left::Nothing => {
                let last = match (record.run, record.ended) {
                    (Some(_), _) => map::ended_unwatched(),
                    (None, Some(ended)) => ended,
                    (None, None) => Observation::of(Power::Off),
                };
                self.change(machine, |state| state.phase = Phase::Ended(last));
                return;
            }
        };
        tracing::info!(machine = %machine.name, pid = handle.pid(), "found again");
        let run = match record.run {
            Some(run) if run.pid == handle.pid() && run.started == handle.started() => run,
            Some(_) | None => Run::of(&handle, SystemTime::UNIX_EPOCH, None),
        };
        let line = logs.follow(&machine.name, machine.config.ready.line().filter(|_| !run.ready), 0);
        self.watch(machine, files, handle, run, line);
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
        _busy: OwnedMutexGuard<()>,
    ) -> Result<(), AdapterError> {
        let until = Instant::now() + Duration::from_millis(command.deadline_ms);
        match command.action {
            Action::Start => match machine.live() {
                Some(handle) => Err(AdapterError::Refused(format!(
                    "{} runs already, as process {}",
                    machine.name,
                    handle.pid()
                ))),
                None => self.start(machine, Some(command.intent)).await,
            },
            Action::SoftOff => {
                self.ask_to_end(machine, Asked { until, comes_back: false, hard: false }).await
            }
            Action::HardOff => self.kill(machine, Asked { until, comes_back: false, hard: true }),
            Action::Reboot => self.ask_to_end(machine, Asked { until, comes_back: true, hard: false }).await,
            Action::Reset => self.kill(machine, Asked { until, comes_back: true, hard: true }),
            Action::Pause => self.hold(machine, true).await,
            Action::Resume => self.hold(machine, false).await,
            other => Err(AdapterError::unsupported(other)),
        }
    }

    /// Boxed: a start leads to a task that may start again.
    fn start<'a>(
        self: &'a Arc<Self>,
        machine: &'a Arc<Machine>,
        intent: Option<IntentId>,
    ) -> BoxFuture<'a, Result<(), AdapterError>> {
        Box::pin(self.start_unboxed(machine, intent))
    }

    async fn start_unboxed(
        self: &Arc<Self>,
        machine: &Arc<Machine>,
        intent: Option<IntentId>,
    ) -> Result<(), AdapterError> {
        let home = self.home().await?;
        let files = home.files[&machine.name].clone();
        let (config, logs) = (machine.config.clone(), Arc::clone(&home.logs));
        let (folder, program) = (home.folder.path().to_owned(), self.config.program.clone());
        let started = tokio::task::spawn_blocking(move || {
            let since = SystemTime::now();
            let (handle, fresh) = match client::start(&files, &folder, &program, &config, &logs)? {
                Started::New(handle) => (handle, true),
                Started::Found(handle) => (handle, false),
            };
            let run = Run::of(&handle, since, intent);
            if let Err(why) = files.write(&Record { run: Some(run.clone()), ended: None }) {
                // It runs, and its lock and mark lead back to it. Ending it for want of a note would be worse.
                tracing::warn!(machine = files.name, %why, "the record cannot be written");
            }
            Ok::<_, std::io::Error>((files, handle, run, fresh))
        });
        let (files, handle, run, fresh) = match started.await {
            Ok(Ok(started)) => started,
            Ok(Err(why)) => return Err(AdapterError::Refused(why.to_string())),
            Err(why) => return Err(AdapterError::Unreachable(format!("the start failed inside: {why}"))),
        };
        let pid = handle.pid();
        let line = home.logs.follow(&machine.name, machine.config.ready.line(), 0);
        self.watch(machine, files, Arc::new(handle), run, line);
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
        files: Files,
        handle: Arc<Handle>,
        mut run: Run,
        line: oneshot::Receiver<()>,
    ) {
        let ready = run.ready || machine.config.ready == crate::Ready::Immediately;
        run.ready = ready;
        self.change(machine, |state| {
            state.sample = None;
            state.phase =
                Phase::Live(Live { handle: Arc::clone(&handle), ready, held: run.paused, asked: None });
        });
        let (inner, machine) = (Arc::clone(self), Arc::clone(machine));
        tokio::spawn(async move {
            let stop = inner.stop.clone();
            tokio::select! {
                () = stop.cancelled() => return,
                () = handle.over() => {}
                () = machine.config.ready.reached(line, run.since()), if !ready => {
                    run.ready = true;
                    inner.change(&machine, |state| {
                        if let Phase::Live(live) = &mut state.phase {
                            live.ready = true;
                        }
                    });
                    files.note(Record { run: Some(run), ended: None }).await;
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = handle.over() => {}
            }
            inner.ended(&machine, &files, &handle).await;
        });
    }

    /// A machine ended: takes notice, ends what it left behind, and starts it again where that was asked.
    async fn ended(self: &Arc<Self>, machine: &Arc<Machine>, files: &Files, handle: &Handle) {
        // While the first process is a zombie, its group's number cannot mean another group. That
        // nothing is left to be killed is the rule.
        drop(handle.signal_group(Signal::KILL));
        let ending = handle.reap();
        let asked = match &machine.state.lock().phase {
            Phase::Live(live) => live.asked,
            Phase::Ended(_) | Phase::Returning => None,
        };
        // An end long after it was asked for, and not by our signal, is its own.
        let as_asked = asked.is_some_and(|asked| asked.hard || Instant::now() < asked.until);
        let seen = map::ended(ending, as_asked);
        tracing::info!(machine = %machine.name, pid = handle.pid(), ?ending, asked = asked.is_some(), "ended");
        files.note(Record { run: None, ended: Some(seen.clone()) }).await;
        if !asked.is_some_and(|asked| asked.comes_back && Instant::now() < asked.until) {
            self.change(machine, |state| state.phase = Phase::Ended(seen));
            return;
        }
        let busy = Arc::clone(&machine.busy).lock_owned().await;
        self.change(machine, |state| state.phase = Phase::Returning);
        if let Err(why) = self.start(machine, None).await {
            let seen = Observation::caused(Power::Crashed, Cause::Crash).with_detail(why.to_string());
            self.change(machine, |state| state.phase = Phase::Ended(seen));
        }
        drop(busy);
    }

    /// Notes that it was told to end. Before it is done: its end may come at once.
    fn note(&self, machine: &Machine, asked: Option<Asked>) {
        self.change(machine, |state| {
            if let Phase::Live(live) = &mut state.phase {
                live.asked = asked;
            }
        });
    }

    fn kill(&self, machine: &Machine, asked: Asked) -> Result<(), AdapterError> {
        let handle = machine.running()?;
        self.note(machine, Some(asked));
        handle
            .signal_group(Signal::KILL)
            .map_err(|why| AdapterError::Refused(format!("process {} cannot be killed: {why}", handle.pid())))
    }

    /// Ctrl-Alt-Del: what it does is the guest's own decision.
    async fn ask_to_end(self: &Arc<Self>, machine: &Arc<Machine>, asked: Asked) -> Result<(), AdapterError> {
        let handle = machine.running()?;
        let socket = self.home().await?.socket(&machine.name);
        if machine.is_held() {
            // Held, it hears only what lets it go on.
            mconsole::ask(&socket, "go").await?;
            self.held(machine, false).await;
        }
        self.note(machine, Some(asked));
        if let Err(why) = mconsole::ask(&socket, "cad").await {
            self.note(machine, None);
            return Err(why);
        }
        // If it has not ended by then it shows again that it goes on.
        let (inner, machine) = (Arc::clone(self), Arc::clone(machine));
        tokio::spawn(async move {
            tokio::select! {
                () = inner.stop.cancelled() => {}
                () = handle.over() => {}
                () = tokio::time::sleep_until(asked.until.into()) => inner.change(&machine, |_| {}),
            }
        });
        Ok(())
    }

    async fn hold(self: &Arc<Self>, machine: &Arc<Machine>, held: bool) -> Result<(), AdapterError> {
        machine.running()?;
        let socket = self.home().await?.socket(&machine.name);
        mconsole::ask(&socket, if held { "stop" } else { "go" }).await?;
        self.held(machine, held).await;
        Ok(())
    }

    /// Remembers whether it is held: nobody else can tell.
    async fn held(self: &Arc<Self>, machine: &Machine, held: bool) {
        self.change(machine, |state| {
            if let Phase::Live(live) = &mut state.phase {
                live.held = held;
            }
        });
        let (Ok(home), Some(handle)) = (self.home().await, machine.live()) else { return };
        let files = home.files[&machine.name].clone();
        files.note_paused(handle.pid(), held).await;
    }
}

impl Machine {
    fn live(&self) -> Option<Arc<Handle>> {
        match &self.state.lock().phase {
            Phase::Live(live) => Some(Arc::clone(&live.handle)),
            Phase::Ended(_) | Phase::Returning => None,
        }
    }

    fn running(&self) -> Result<Arc<Handle>, AdapterError> {
        self.live().ok_or_else(|| AdapterError::Refused(format!("{} does not run", self.name)))
    }

    fn is_held(&self) -> bool {
        match &self.state.lock().phase {
            Phase::Live(live) => live.held,
            Phase::Ended(_) | Phase::Returning => false,
        }
    }

    /// It has ended, and its task has not taken notice yet.
    fn is_ending(&self) -> bool {
        match &self.state.lock().phase {
            Phase::Live(live) => live.handle.is_over(),
            Phase::Ended(_) | Phase::Returning => false,
        }
    }

    fn observe(&self) -> Observation {
        let mut state = self.state.lock();
        let State { phase, sample, .. } = &mut *state;
        match phase {
            Phase::Ended(seen) => seen.clone(),
            Phase::Returning => Observation::caused(Power::Starting, Cause::Operator),
            Phase::Live(live) => live.observe(sample),
        }
    }
}

impl Live {
    fn observe(&self, sample: &mut Option<(u64, Instant)>) -> Observation {
        let Ok(stat) = Stat::read(self.handle.pid()) else {
            return Observation::unknown("it is just ending");
        };
        let stopping = self.asked.filter(|asked| Instant::now() < asked.until);
        let power = match stopping {
            Some(_) => Power::Stopping,
            None if self.held || stat.is_stopped() => Power::Paused,
            None if self.ready => Power::On,
            None => Power::Starting,
        };
        let ignored = self.asked.is_some() && stopping.is_none();
        let now = Instant::now();
        let cpu = match sample.replace((stat.ticks, now)) {
            Some((ticks, at)) if now > at => {
                let used =
                    stat.ticks.saturating_sub(ticks) as f64 / rustix::param::clock_ticks_per_second() as f64;
                (used / (now - at).as_secs_f64()) as f32
            }
            Some(_) | None => 0.0,
        };
        let seen = Observation { load: Some(Load { cpu, memory: stat.resident }), ..Observation::of(power) };
        if ignored { seen.with_detail("asked to end, goes on") } else { seen }
    }
}
