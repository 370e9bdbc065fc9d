//! The adapter: one record per server, one task per running one.
//!
//! ```text
//! Ended ──start──▶ Live(Starting) ──ready──▶ Live(On) ⇄ Live(Paused)
//!   ▲                   │ its end, seen by pid file descriptor
//!   └───────────────────┴── asked to come back (reboot, reset): Live again
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use primrack_adapter_api::{Adapter, AdapterError, Capabilities, Console, Found, Hints};
use primrack_model::{Action, Address, Cause, Command, IntentId, Load, Observation, Power};
use rustix::process::Signal;
use smol_str::SmolStr;
use tokio::sync::{OnceCell, OwnedMutexGuard, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::local::{
    Bell, Ending, Files, Folder, Handle, Left, Logs, Recent, Record, Run, Started, Stat, tail,
};

use super::{ProcessConfig, ServerConfig, client, map};

/// How long a stop signal may take to show in /proc.
const STOPPING: Duration = Duration::from_secs(1);

/// What can be done to a server.
const ACTIONS: [Action; 7] = [
    Action::Start,
    Action::SoftOff,
    Action::HardOff,
    Action::Reboot,
    Action::Reset,
    Action::Pause,
    Action::Resume,
];

/// Local processes as servers.
#[derive(Debug)]
pub struct ProcessAdapter {
    inner: Arc<Inner>,
    _stop: DropGuard,
}

#[derive(Debug)]
struct Inner {
    config: ProcessConfig,
    servers: BTreeMap<SmolStr, Arc<Server>>,
    home: OnceCell<Home>,
    bell: Bell,
    stop: CancellationToken,
}

/// What is opened at the first use.
#[derive(Debug)]
struct Home {
    logs: Arc<Logs>,
    files: BTreeMap<SmolStr, Files>,
    _folder: Folder,
}

#[derive(Debug)]
struct Server {
    name: SmolStr,
    config: ServerConfig,
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

impl ProcessAdapter {
    pub(super) fn new(config: ProcessConfig) -> Self {
        let servers = config.servers.iter().map(|(name, config)| {
            let name = SmolStr::new(name);
            let state = State {
                version: 1,
                phase: Phase::Ended(Observation::of(Power::Off)),
                recent: Recent::default(),
                sample: None,
            };
            let server = Server {
                name: name.clone(),
                config: config.clone(),
                busy: Arc::default(),
                state: Mutex::new(state),
            };
            (name, Arc::new(server))
        });
        let servers = servers.collect();
        let stop = CancellationToken::new();
        let inner =
            Inner { config, servers, home: OnceCell::new(), bell: Bell::default(), stop: stop.clone() };
        Self { inner: Arc::new(inner), _stop: stop.drop_guard() }
    }
}

#[async_trait]
impl Adapter for ProcessAdapter {
    fn technology(&self) -> &'static str {
        "process"
    }

    fn capabilities(&self, _: &Address) -> Capabilities {
        Capabilities { actions: &ACTIONS, pushes_events: true, simulated: false }
    }

    async fn list(&self) -> Result<Vec<Found>, AdapterError> {
        self.inner.home().await?;
        let found = self.inner.servers.values().map(|server| {
            let label = if server.config.label.is_empty() {
                server.name.to_string()
            } else {
                server.config.label.clone()
            };
            Found { label, seen: Some(server.observe()), ..Found::of(Address(server.name.clone())) }
        });
        Ok(found.collect())
    }

    async fn observe(&self, address: &Address) -> Result<Observation, AdapterError> {
        let server = self.inner.find(address)?;
        self.inner.home().await?;
        // Between its end and our taking notice there is a moment in which nothing true can be said.
        let mut ear = self.inner.bell.ear();
        while server.is_ending() {
            if tokio::time::timeout(STOPPING, ear.changed()).await.is_err() {
                return Ok(Observation::unknown("it ended, and its end is not accounted for yet"));
            }
        }
        Ok(server.observe())
    }

    async fn execute(&self, command: &Command) -> Result<(), AdapterError> {
        let server = Arc::clone(self.inner.find(&command.address)?);
        self.inner.home().await?;
        // Whoever gives up while waiting here leaves nothing behind ...
        let busy = Arc::clone(&server.busy).lock_owned().await;
        let inner = Arc::clone(&self.inner);
        let command = command.clone();
        // ... and from here on it is done to its end.
        let done = tokio::spawn(async move { inner.execute(&server, &command, busy).await });
        done.await
            .unwrap_or_else(|why| Err(AdapterError::Unreachable(format!("the adapter failed inside: {why}"))))
    }

    async fn listen(&self, hints: Hints) -> AdapterError {
        if let Err(why) = self.inner.home().await {
            return why;
        }
        let versions = || {
            let all = self.inner.servers.values();
            all.map(|server| (Address(server.name.clone()), server.state.lock().version)).collect()
        };
        let observe = |address: &Address| {
            let server = self.inner.servers.get(&address.0)?;
            (!server.is_ending()).then(|| server.observe())
        };
        self.inner.bell.relay(hints, versions, observe).await
    }

    async fn console(&self, address: &Address) -> Result<Console, AdapterError> {
        let name = &self.inner.find(address)?.name;
        let path = self.inner.home().await?.logs.path(name);
        tail(path).await.map(Console::Text)
    }
}

impl Inner {
    fn find(&self, address: &Address) -> Result<&Arc<Server>, AdapterError> {
        self.servers.get(&address.0).ok_or_else(|| AdapterError::NotFound(address.0.to_string()))
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
        for server in self.servers.values() {
            let of_server = Files::new(&folder, &server.name);
            left.push((Arc::clone(server), of_server.left().await.map_err(AdapterError::Unreachable)?));
            files.insert(server.name.clone(), of_server);
        }
        for (server, (record, found)) in left {
            let of_server = files[&server.name].clone();
            self.take_over(&server, of_server, &logs, record, found);
        }
        Ok(Home { logs, files, _folder: folder })
    }

    fn take_over(
        self: &Arc<Self>,
        server: &Arc<Server>,
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
                self.change(server, |state| state.phase = Phase::Ended(Observation::unknown(words)));
                return;
            }
            Left::Nothing => {
                let last = match (record.run, record.ended) {
                    (Some(_), _) => map::ended_unwatched(),
                    (None, Some(ended)) => ended,
                    (None, None) => Observation::of(Power::Off),
                };
                self.change(server, |state| state.phase = Phase::Ended(last));
                return;
            }
        };
        tracing::info!(server = %server.name, pid = handle.pid(), "found again");
        let run = match record.run {
            Some(run) if run.pid == handle.pid() && run.started == handle.started() => run,
            Some(_) | None => Run::of(&handle, SystemTime::UNIX_EPOCH, None),
        };
        let line = logs.follow(&server.name, server.config.ready.line().filter(|_| !run.ready), 0);
        self.watch(server, files, handle, run, line);
    }

    /// Changes a server's state and tells whoever listens.
    fn change(&self, server: &Server, change: impl FnOnce(&mut State)) {
        {
            let mut state = server.state.lock();
            change(&mut state);
            state.version += 1;
        }
        self.bell.ring();
    }

    async fn execute(
        self: &Arc<Self>,
        server: &Arc<Server>,
        command: &Command,
        busy: OwnedMutexGuard<()>,
    ) -> Result<(), AdapterError> {
        if !server.state.lock().recent.is_new(command.intent) {
            return Ok(());
        }
        let done = self.act(server, command, busy).await;
        if done.is_err() {
            server.state.lock().recent.forget(command.intent);
        }
        done
    }

    async fn act(
        self: &Arc<Self>,
        server: &Arc<Server>,
        command: &Command,
        _busy: OwnedMutexGuard<()>,
    ) -> Result<(), AdapterError> {
        let until = Instant::now() + Duration::from_millis(command.deadline_ms);
        match command.action {
            Action::Start => match server.live() {
                Some(handle) => Err(AdapterError::Refused(format!(
                    "{} runs already, as process {}",
                    server.name,
                    handle.pid()
                ))),
                None => self.start(server, Some(command.intent)).await,
            },
            Action::SoftOff => {
                self.end(server, Signal::TERM, Asked { until, comes_back: false, hard: false })
            }
            Action::HardOff => self.end(server, Signal::KILL, Asked { until, comes_back: false, hard: true }),
            Action::Reboot => self.end(server, Signal::TERM, Asked { until, comes_back: true, hard: false }),
            Action::Reset => self.end(server, Signal::KILL, Asked { until, comes_back: true, hard: true }),
            Action::Pause => self.hold(server, Signal::STOP, true).await,
            Action::Resume => self.hold(server, Signal::CONT, false).await,
            Action::Save | Action::Restore => {
                Err(AdapterError::NotSupported("a process cannot be saved: pause it, or end it".to_owned()))
            }
            other => Err(AdapterError::unsupported(other)),
        }
    }

    /// Boxed: a start leads to a task that may start again.
    fn start<'a>(
        self: &'a Arc<Self>,
        server: &'a Arc<Server>,
        intent: Option<IntentId>,
    ) -> BoxFuture<'a, Result<(), AdapterError>> {
        Box::pin(self.start_unboxed(server, intent))
    }

    async fn start_unboxed(
        self: &Arc<Self>,
        server: &Arc<Server>,
        intent: Option<IntentId>,
    ) -> Result<(), AdapterError> {
        let home = self.home().await?;
        let files = home.files[&server.name].clone();
        let (config, logs) = (server.config.clone(), Arc::clone(&home.logs));
        let started = tokio::task::spawn_blocking(move || {
            let since = SystemTime::now();
            let (handle, fresh) = match client::start(&files, &config, &logs)? {
                Started::New(handle) => (handle, true),
                Started::Found(handle) => (handle, false),
            };
            let run = Run::of(&handle, since, intent);
            if let Err(why) = files.write(&Record { run: Some(run.clone()), ended: None }) {
                // It runs, and its lock and mark lead back to it. Ending it for want of a note would be worse.
                tracing::warn!(server = files.name, %why, "the record cannot be written");
            }
            Ok::<_, std::io::Error>((files, handle, run, fresh))
        });
        let (files, handle, run, fresh) = match started.await {
            Ok(Ok(started)) => started,
            Ok(Err(why)) => return Err(AdapterError::Refused(why.to_string())),
            Err(why) => return Err(AdapterError::Unreachable(format!("the start failed inside: {why}"))),
        };
        let pid = handle.pid();
        let line = home.logs.follow(&server.name, server.config.ready.line(), 0);
        self.watch(server, files, Arc::new(handle), run, line);
        if fresh {
            return Ok(());
        }
        Err(AdapterError::Refused(format!(
            "{} ran already, as process {pid}; it was found again",
            server.name
        )))
    }

    /// Shows a running server, and a task sees it through to its end.
    fn watch(
        self: &Arc<Self>,
        server: &Arc<Server>,
        files: Files,
        handle: Arc<Handle>,
        mut run: Run,
        line: oneshot::Receiver<()>,
    ) {
        let ready = run.ready || server.config.ready == crate::Ready::Immediately;
        run.ready = ready;
        self.change(server, |state| {
            state.sample = None;
            state.phase = Phase::Live(Live { handle: Arc::clone(&handle), ready, asked: None });
        });
        let (inner, server) = (Arc::clone(self), Arc::clone(server));
        tokio::spawn(async move {
            let stop = inner.stop.clone();
            tokio::select! {
                () = stop.cancelled() => return,
                () = handle.over() => {}
                () = server.config.ready.reached(line, run.since()), if !ready => {
                    run.ready = true;
                    inner.change(&server, |state| {
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
            inner.ended(&server, &files, &handle).await;
        });
    }

    /// A server ended: takes notice, ends what it left behind, and starts it again where that was asked.
    async fn ended(self: &Arc<Self>, server: &Arc<Server>, files: &Files, handle: &Handle) {
        // While the first process is a zombie, its group's number cannot mean another group. That
        // nothing is left to be killed is the rule.
        drop(handle.signal_group(Signal::KILL));
        let ending = handle.reap();
        let asked = match &server.state.lock().phase {
            Phase::Live(live) => live.asked,
            Phase::Ended(_) | Phase::Returning => None,
        };
        // An end long after it was asked for, and not by our signal, is its own.
        let as_asked = asked.is_some_and(|asked| {
            asked.hard || Instant::now() < asked.until || ending == Ending::Signal(Signal::TERM.as_raw())
        });
        let seen = map::ended(ending, as_asked);
        tracing::info!(server = %server.name, pid = handle.pid(), ?ending, asked = asked.is_some(), "ended");
        files.note(Record { run: None, ended: Some(seen.clone()) }).await;
        if !asked.is_some_and(|asked| asked.comes_back && Instant::now() < asked.until) {
            self.change(server, |state| state.phase = Phase::Ended(seen));
            return;
        }
        let busy = Arc::clone(&server.busy).lock_owned().await;
        self.change(server, |state| state.phase = Phase::Returning);
        if let Err(why) = self.start(server, None).await {
            let seen = Observation::caused(Power::Crashed, Cause::Crash).with_detail(why.to_string());
            self.change(server, |state| state.phase = Phase::Ended(seen));
        }
        drop(busy);
    }

    fn end(self: &Arc<Self>, server: &Arc<Server>, signal: Signal, asked: Asked) -> Result<(), AdapterError> {
        let handle = server.running()?;
        // Said before it is done: its end may come before the next line.
        self.change(server, |state| {
            if let Phase::Live(live) = &mut state.phase {
                live.asked = Some(asked);
            }
        });
        send(&handle, signal)?;
        if signal == Signal::TERM {
            // A stopped process acts on the signal only when it goes on. Another may have ended by it already,
            // and is no less obedient for that.
            if let Err(error) = send(&handle, Signal::CONT)
                && !handle.is_over()
            {
                return Err(error);
            }
            // If it has not ended by then it shows again that it goes on.
            let (inner, server) = (Arc::clone(self), Arc::clone(server));
            tokio::spawn(async move {
                tokio::select! {
                    () = inner.stop.cancelled() => {}
                    () = handle.over() => {}
                    () = tokio::time::sleep_until(asked.until.into()) => inner.change(&server, |_| {}),
                }
            });
        }
        Ok(())
    }

    async fn hold(
        self: &Arc<Self>,
        server: &Arc<Server>,
        signal: Signal,
        stopped: bool,
    ) -> Result<(), AdapterError> {
        let handle = server.running()?;
        send(&handle, signal)?;
        // The kernel stops each thread when it next runs and tells only a parent: looked at until it
        // shows, for a moment.
        let patience = Instant::now() + STOPPING;
        while Stat::read(handle.pid()).is_ok_and(|stat| stat.is_stopped() != stopped)
            && Instant::now() < patience
        {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.change(server, |_| {});
        Ok(())
    }
}

impl Server {
    fn live(&self) -> Option<Arc<Handle>> {
        match &self.state.lock().phase {
            Phase::Live(live) => Some(Arc::clone(&live.handle)),
            Phase::Ended(_) | Phase::Returning => None,
        }
    }

    fn running(&self) -> Result<Arc<Handle>, AdapterError> {
        self.live().ok_or_else(|| AdapterError::Refused(format!("{} does not run", self.name)))
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
            None if stat.is_stopped() => Power::Paused,
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

fn send(handle: &Handle, signal: Signal) -> Result<(), AdapterError> {
    handle
        .signal_group(signal)
        .map_err(|why| AdapterError::Refused(format!("process {} cannot be signalled: {why}", handle.pid())))
}
