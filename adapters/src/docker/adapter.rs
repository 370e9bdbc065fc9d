//! Containers as machines.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bollard::models::EventMessage;
use bollard::query_parameters::{
    KillContainerOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions,
    StopContainerOptionsBuilder,
};
use futures::StreamExt;
use primrack_adapter_api::{Adapter, AdapterError, Capabilities, Console, Found, Hints};
use primrack_model::{Action, Address, Command, Load, Observation, Power, UnixMs};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::containers::{CONSOLE, Early, Ours, Shares, relay, tail, tell};
use crate::wire::Door;

use super::client::{Client, Engine, error};
use super::events::Memory;
use super::map::{self, Inspected};

/// What can be done to a container.
const ACTIONS: [Action; 11] = [
    Action::Start,
    Action::SoftOff,
    Action::HardOff,
    Action::Reboot,
    Action::Reset,
    Action::Pause,
    Action::Resume,
    Action::Snapshot,
    Action::Revert,
    Action::Clone,
    Action::Delete,
];
/// How often the daemon is asked for a sign of life while its events are silent.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long that may take.
const SIGN: Duration = Duration::from_secs(10);
/// After this time the stream of events counts as standing. Podman does not say.
const SETTLING: Duration = Duration::from_secs(1);
/// How soon after another look one asks whether it has ended.
const AGAIN: Duration = Duration::from_millis(100);
/// How long the processes may take to vanish after they were killed.
const DYING: Duration = Duration::from_secs(30);
/// How many lines of its log are shown.
const LINES: &str = "200";
/// How long reading them may take.
const READING: Duration = Duration::from_secs(5);

/// Containers of one Docker daemon or Podman service.
#[derive(Debug)]
pub struct DockerAdapter {
    inner: Arc<Inner>,
    _stop: DropGuard,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) client: Client,
    memory: Memory,
    ours: Ours,
    shares: Shares,
    early: Early,
    stop: CancellationToken,
}

impl DockerAdapter {
    pub(super) fn new(door: Door) -> Self {
        let stop = CancellationToken::new();
        let inner = Inner {
            client: Client::new(door),
            memory: Memory::default(),
            ours: Ours::default(),
            shares: Shares::default(),
            early: Early::default(),
            stop: stop.clone(),
        };
        Self { inner: Arc::new(inner), _stop: stop.drop_guard() }
    }
}

#[async_trait]
impl Adapter for DockerAdapter {
    fn technology(&self) -> &'static str {
        "docker"
    }

    fn capabilities(&self, _: &Address) -> Capabilities {
        Capabilities { actions: &ACTIONS, pushes_events: true, simulated: false }
    }

    async fn list(&self) -> Result<Vec<Found>, AdapterError> {
        let listed = self.inner.client.list().await?;
        Ok(listed.into_iter().filter_map(map::Listed::found).collect())
    }

    async fn observe(&self, address: &Address) -> Result<Observation, AdapterError> {
        self.inner.observe(address).await
    }

    async fn execute(&self, command: &Command) -> Result<(), AdapterError> {
        let seen = self.inner.client.inspect(&command.address).await?;
        let engine = self.inner.client.engine().await?;
        if !self.inner.ours.is_new(command.intent) {
            return Ok(());
        }
        self.inner.ours.begins(&command.address);
        // From here on it is done to its end, whoever gives up waiting.
        let (inner, command) = (Arc::clone(&self.inner), command.clone());
        let done = tokio::spawn(async move {
            let done = inner.act(&engine, &seen, &command).await;
            if done.is_err() {
                inner.ours.forget(command.intent);
            }
            inner.ours.changed(&command.address);
            done
        });
        done.await
            .unwrap_or_else(|why| Err(AdapterError::Unreachable(format!("the adapter failed inside: {why}"))))
    }

    async fn listen(&self, hints: Hints) -> AdapterError {
        // Taken first: what is done from here on is heard.
        let ear = self.inner.ours.ear();
        let why = tokio::select! {
            why = self.inner.listen(&hints) => why,
            why = relay(ear, &hints) => why,
            why = self.inner.watch_over() => why,
        };
        // What happens until the next time is not heard.
        self.inner.memory.forget();
        self.inner.early.deaf();
        why
    }

    async fn console(&self, address: &Address) -> Result<Console, AdapterError> {
        let seen = self.inner.client.inspect(address).await?;
        let engine = self.inner.client.engine().await?;
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(LINES).build();
        let mut log = engine.logs(&seen.id, Some(options));
        let mut text: Vec<u8> = Vec::new();
        let reading = async {
            while let Some(line) = log.next().await {
                text.extend_from_slice(&line?.into_bytes());
                if text.len() > 2 * CONSOLE {
                    text.drain(..text.len() - CONSOLE);
                }
            }
            Ok(())
        };
        match tokio::time::timeout(READING, reading).await {
            Ok(Err(why)) if text.is_empty() => Err(match error(&why) {
                AdapterError::Refused(words) if words.contains("does not support reading") => {
                    AdapterError::NotSupported(words)
                }
                other => other,
            }),
            // What has come is worth showing.
            Ok(_) | Err(_) => Ok(Console::Text(tail(&text, CONSOLE))),
        }
    }
}

impl Inner {
    async fn observe(&self, address: &Address) -> Result<Observation, AdapterError> {
        self.early.looks(address);
        let seen = self.client.inspect(address).await?;
        let heard = self.memory.heard(&seen.id);
        let mut said = self.ours.amend(address, map::observation(&seen, heard));
        if said.power == Power::On
            && let Some(figures) = self.client.figures(&seen.id).await
        {
            let share = self.shares.of(&seen.id, figures.cpu(), seen.age(UnixMs::now()));
            said.load = share.map(|cpu| Load { cpu, memory: figures.memory() });
        }
        Ok(said)
    }

    async fn listen(&self, hints: &Hints) -> AdapterError {
        let (mut events, stream) = match self.client.events().await {
            Ok(opened) => opened,
            Err(why) => return why,
        };
        let mut settled = std::pin::pin!(tokio::time::sleep(SETTLING));
        let mut stands = false;
        loop {
            // What was looked at before the stream stood is asked again, before its events come.
            let event = tokio::select! {
                biased;
                () = stream.stands.notified(), if !stands => None,
                () = &mut settled, if !stands => None,
                event = events.next() => Some(event),
            };
            let Some(event) = event else {
                stands = true;
                if let Err(why) = self.early.hears(hints).await {
                    return why;
                }
                continue;
            };
            stream.allowance.fill_up();
            match event {
                None => return AdapterError::Unreachable("the daemon ended its stream of events".to_owned()),
                Some(Err(why)) => return why,
                Some(Ok(event)) => {
                    for name in self.changed_by(event) {
                        if let Err(why) = tell(hints, Address(name.into())).await {
                            return why;
                        }
                    }
                }
            }
        }
    }

    /// The names of the containers that an event may have changed.
    fn changed_by(&self, event: EventMessage) -> Vec<String> {
        let actor = event.actor.unwrap_or_default();
        let mut about = actor.attributes.unwrap_or_default();
        let (id, action) = (actor.id.unwrap_or_default(), event.action.unwrap_or_default());
        let signal = about.get("signal").map(String::as_str);
        if !self.memory.hear(&id, &action, signal) {
            return Vec::new();
        }
        let names = [about.remove("name"), about.remove("oldName")];
        names.into_iter().flatten().map(|name| name.trim_start_matches('/').to_owned()).collect()
    }

    /// Returns when the daemon gives no sign of life: a stream of events can be silent for days, and one
    /// that hangs is silent too.
    async fn watch_over(&self) -> AdapterError {
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            match tokio::time::timeout(SIGN, self.client.ping()).await {
                Ok(Ok(())) => {}
                Ok(Err(why)) => return why,
                Err(_) => {
                    return AdapterError::Unreachable(format!("the daemon gives no answer for {SIGN:?}"));
                }
            }
        }
    }

    async fn act(
        self: &Arc<Self>,
        engine: &Engine,
        seen: &Inspected,
        command: &Command,
    ) -> Result<(), AdapterError> {
        let name = seen.plain_name();
        let not_running = || AdapterError::Refused(format!("{name} does not run"));
        match command.action {
            Action::Start if seen.is("paused") => {
                Err(AdapterError::Refused(format!("{name} is paused: resume it")))
            }
            Action::Start => self.start(engine, &seen.id).await,
            Action::SoftOff | Action::HardOff | Action::Reboot | Action::Reset if !seen.runs() => {
                Err(not_running())
            }
            Action::Reboot | Action::Reset
                if seen.host_config.as_ref().is_some_and(|host| host.auto_remove) =>
            {
                Err(AdapterError::Refused(format!(
                    "{name} is removed when it ends (--rm), so it cannot come back"
                )))
            }
            Action::SoftOff => self.ask_to_end(engine, seen).await,
            Action::HardOff => self.kill(engine, seen).await,
            Action::Reboot => {
                self.ours.will_return(&command.address);
                if let Err(why) = self.ask_to_end(engine, seen).await {
                    self.ours.stays(&command.address);
                    return Err(why);
                }
                let until = Instant::now() + Duration::from_millis(command.deadline_ms);
                let (inner, engine) = (Arc::clone(self), engine.clone());
                let (address, id) = (command.address.clone(), seen.id.clone());
                tokio::spawn(async move {
                    let stop = inner.stop.clone();
                    let back = stop.run_until_cancelled(inner.come_back(&engine, &address, &id, until));
                    if let Some(Err(why)) = back.await {
                        tracing::warn!(container = %address.0, %why, "it was to come back and did not");
                    }
                });
                Ok(())
            }
            Action::Reset => {
                self.ours.will_return(&command.address);
                if let Err(why) = self.kill(engine, seen).await {
                    self.ours.stays(&command.address);
                    return Err(why);
                }
                self.come_back(engine, &command.address, &seen.id, Instant::now() + DYING).await
            }
            Action::Pause => done(engine.pause_container(&seen.id).await),
            Action::Resume => done(engine.unpause_container(&seen.id).await),
            Action::Snapshot => self.snapshot(engine, seen).await.map(drop),
            Action::Revert => self.revert(engine, seen).await,
            Action::Clone => self.clone_of(engine, seen).await,
            Action::Delete if seen.runs() => {
                Err(AdapterError::Refused(format!("{name} runs: end it before it is removed")))
            }
            Action::Delete => {
                // With the volumes that have no name of their own: they are its disks.
                let options = RemoveContainerOptionsBuilder::new().v(true).build();
                done(engine.remove_container(&seen.id, Some(options)).await)
            }
            other => Err(AdapterError::unsupported(other)),
        }
    }

    pub(super) async fn start(&self, engine: &Engine, id: &str) -> Result<(), AdapterError> {
        done(engine.start_container(id, None::<StartContainerOptions>).await)
    }

    /// Sends the signal that the container wants to be asked with. Docker's own `stop` would kill it after
    /// a grace period, unasked.
    async fn ask_to_end(&self, engine: &Engine, seen: &Inspected) -> Result<(), AdapterError> {
        if seen.is("restarting") {
            // Between two runs there is nobody to signal; this ends the restarting, and waits for ever
            // for one that has begun to run.
            return self.stop_restarting(engine, seen, -1).await;
        }
        if seen.is("paused") {
            done(engine.unpause_container(&seen.id).await)?;
        }
        self.signal(engine, &seen.id, &seen.stop_signal()).await
    }

    pub(super) async fn kill(&self, engine: &Engine, seen: &Inspected) -> Result<(), AdapterError> {
        if seen.is("restarting") {
            return self.stop_restarting(engine, seen, 0).await;
        }
        let killed = self.signal(engine, &seen.id, "SIGKILL").await;
        if killed.is_ok() || !seen.is("paused") {
            return killed;
        }
        // Podman kills nothing that is paused.
        done(engine.unpause_container(&seen.id).await)?;
        self.signal(engine, &seen.id, "SIGKILL").await
    }

    async fn signal(&self, engine: &Engine, id: &str, signal: &str) -> Result<(), AdapterError> {
        self.memory.signalled(id);
        let options = KillContainerOptionsBuilder::new().signal(signal).build();
        let sent = done(engine.kill_container(id, Some(options)).await);
        if sent.is_err() {
            self.memory.not_signalled(id);
        }
        sent
    }

    async fn stop_restarting(
        &self,
        engine: &Engine,
        seen: &Inspected,
        grace: i32,
    ) -> Result<(), AdapterError> {
        self.memory.signalled(&seen.id);
        let options = StopContainerOptionsBuilder::new().t(grace).build();
        done(engine.stop_container(&seen.id, Some(options)).await)
    }

    /// Starts it once it has ended; one that does not end in time stays as it is.
    async fn come_back(
        &self,
        engine: &Engine,
        address: &Address,
        id: &str,
        until: Instant,
    ) -> Result<(), AdapterError> {
        if let Err(why) = self.ended(address, until).await {
            self.ours.stays(address);
            return Err(why);
        }
        self.ours.returns(address);
        let started = self.start(engine, id).await;
        let failed = started.as_ref().err().map(|why| format!("it did not start again: {why}"));
        self.ours.returned(address, failed);
        started
    }

    /// Waits until nothing of it runs.
    pub(super) async fn ended(&self, address: &Address, until: Instant) -> Result<(), AdapterError> {
        while self.client.inspect(address).await?.runs() {
            if Instant::now() >= until {
                return Err(AdapterError::Refused(format!(
                    "{} goes on: it was not ended in time",
                    address.0
                )));
            }
            tokio::time::sleep(AGAIN).await;
        }
        Ok(())
    }
}

pub(super) fn done<T>(result: Result<T, bollard::errors::Error>) -> Result<(), AdapterError> {
    result.map(drop).map_err(|why| error(&why))
}
