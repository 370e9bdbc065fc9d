//! Instances as machines.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{SinkExt, StreamExt};
use primrack_adapter_api::{Adapter, AdapterError, Capabilities, Console, Found, Hints};
use primrack_model::{Action, Address, Command, Load, Observation, Power};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::containers::{Early, Ours, Shares, relay, stamp, tell};

use super::client::{Client, Events, Operation, broken};
use super::events::{Event, Memory};
use super::map::{self, Instance, State};

/// What can be done to an instance.
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
/// How often the daemon is asked for a sign of life.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long that may take.
const SIGN: Duration = Duration::from_secs(10);
/// How long a request to end is watched for a refusal that comes at once.
const AT_ONCE: Duration = Duration::from_millis(500);
/// How long another operation of the daemon's with the same instance is waited for.
const BUSY: Duration = Duration::from_secs(20);
/// How soon it is tried again meanwhile.
const AGAIN: Duration = Duration::from_millis(200);
/// How long the processes may take to vanish after they were killed.
const DYING: Duration = Duration::from_secs(60);

/// What has become of a request to end.
enum Asked {
    Ended,
    Going(Operation),
}

/// Instances of one LXD or Incus server.
#[derive(Debug)]
pub struct LxdAdapter {
    inner: Arc<Inner>,
    _stop: DropGuard,
}

#[derive(Debug)]
struct Inner {
    client: Client,
    memory: Memory,
    ours: Ours,
    shares: Shares,
    early: Early,
    stop: CancellationToken,
}

impl LxdAdapter {
    pub(super) fn new(client: Client) -> Self {
        let stop = CancellationToken::new();
        let inner = Inner {
            client,
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
impl Adapter for LxdAdapter {
    fn technology(&self) -> &'static str {
        "lxd"
    }

    fn capabilities(&self, _: &Address) -> Capabilities {
        Capabilities { actions: &ACTIONS, pushes_events: true, simulated: false }
    }

    async fn list(&self) -> Result<Vec<Found>, AdapterError> {
        Ok(self.inner.client.list().await?.into_iter().map(Instance::found).collect())
    }

    async fn observe(&self, address: &Address) -> Result<Observation, AdapterError> {
        self.inner.observe(address).await
    }

    async fn execute(&self, command: &Command) -> Result<(), AdapterError> {
        let state = self.inner.client.state(&command.address).await?;
        if !self.inner.ours.is_new(command.intent) {
            return Ok(());
        }
        self.inner.ours.begins(&command.address);
        // From here on it is done to its end, whoever gives up waiting.
        let (inner, command) = (Arc::clone(&self.inner), command.clone());
        let done = tokio::spawn(async move {
            let done = inner.act(&state, &command).await;
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
        };
        // What happens until the next time is not heard.
        self.inner.memory.forget();
        self.inner.early.deaf();
        why
    }

    async fn console(&self, address: &Address) -> Result<Console, AdapterError> {
        self.inner.client.console(address).await.map(Console::Text)
    }
}

impl Inner {
    async fn observe(&self, address: &Address) -> Result<Observation, AdapterError> {
        self.early.looks(address);
        let state = self.client.state(address).await?;
        let seen = map::observation(&state, self.memory.end(&address.0));
        let mut said = self.ours.amend(address, seen);
        if said.power == Power::On
            && let Some(used) = state.cpu()
        {
            let share = self.shares.of(&address.0, used, None);
            said.load = share.map(|cpu| Load { cpu, memory: state.memory() });
        }
        Ok(said)
    }

    async fn listen(&self, hints: &Hints) -> AdapterError {
        match self.client.events().await {
            Ok(events) => self.hear(events, hints).await.err().unwrap_or_else(silent),
            Err(why) => why,
        }
    }

    /// Returns when the stream ends, or gives no sign of life: it can be silent for days, and one that
    /// hangs is silent too.
    async fn hear(&self, events: Events, hints: &Hints) -> Result<(), AdapterError> {
        let Events { mut socket, allowance } = events;
        // The daemon answers this once it has taken us for a listener, not before.
        let mut next_sign = Instant::now();
        let mut asked_at: Option<Instant> = None;
        loop {
            let alarm = asked_at.map_or(next_sign, |at| at + SIGN);
            let message = tokio::select! {
                message = socket.next() => message,
                () = tokio::time::sleep_until(alarm) => {
                    if asked_at.is_some() {
                        return Ok(());
                    }
                    let sent = tokio::time::timeout(SIGN, socket.send(Message::Ping(Vec::new().into())));
                    match sent.await {
                        Ok(sent) => sent.map_err(|why| broken(&why))?,
                        Err(_) => return Ok(()),
                    }
                    asked_at = Some(Instant::now());
                    continue;
                }
            };
            allowance.fill_up();
            match message {
                None | Some(Ok(Message::Close(_))) => {
                    return Err(AdapterError::Unreachable(
                        "the daemon ended its stream of events".to_owned(),
                    ));
                }
                Some(Err(why)) => return Err(broken(&why)),
                Some(Ok(Message::Pong(_))) => {
                    asked_at = None;
                    next_sign = Instant::now() + HEARTBEAT;
                    self.early.hears(hints).await?;
                }
                Some(Ok(Message::Text(text))) => {
                    let event: Event = serde_json::from_str(&text).map_err(|why| {
                        AdapterError::Unreachable(format!("an event of the daemon is not understood: {why}"))
                    })?;
                    for name in self.memory.hear(event) {
                        tell(hints, Address(name.into())).await?;
                    }
                }
                Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Frame(_))) => {}
            }
        }
    }

    async fn act(self: &Arc<Self>, state: &State, command: &Command) -> Result<(), AdapterError> {
        let Command { address, action, .. } = command;
        let until = Instant::now() + Duration::from_millis(command.deadline_ms);
        let patience = until.max(Instant::now() + DYING);
        match action {
            Action::Start if state.frozen() => {
                Err(AdapterError::Refused(format!("{} is paused: resume it", address.0)))
            }
            Action::SoftOff
            | Action::HardOff
            | Action::Reboot
            | Action::Reset
            | Action::Pause
            | Action::Resume
                if state.stopped() =>
            {
                Err(AdapterError::Refused(format!("{} does not run", address.0)))
            }
            Action::Start => self.start(address).await,
            Action::Pause => self.change(address, &json!({"action": "freeze"}), patience).await,
            Action::Resume => self.change(address, &json!({"action": "unfreeze"}), patience).await,
            // One that is refused at once is told; an end that takes its time is seen.
            Action::SoftOff => self.ask_to_end(address, state, command.deadline_ms).await.map(drop),
            Action::HardOff => self.kill(address).await,
            Action::Reboot => {
                self.ours.will_return(address);
                let asked = match self.ask_to_end(address, state, command.deadline_ms).await {
                    Ok(asked) => asked,
                    Err(why) => {
                        self.ours.stays(address);
                        return Err(why);
                    }
                };
                let (inner, address) = (Arc::clone(self), address.clone());
                tokio::spawn(async move {
                    let stop = inner.stop.clone();
                    let coming = async {
                        let ended = match asked {
                            Asked::Ended => Ok(()),
                            Asked::Going(asked) => inner.client.done(&asked, until + DYING).await,
                        };
                        inner.come_back(&address, ended).await
                    };
                    if let Some(Err(why)) = stop.run_until_cancelled(coming).await {
                        tracing::warn!(instance = %address.0, %why, "it was to come back and did not");
                    }
                });
                Ok(())
            }
            Action::Reset => {
                self.ours.will_return(address);
                let ended = self.kill(address).await;
                self.come_back(address, ended).await
            }
            Action::Snapshot => {
                let send = json!({"name": stamp(), "stateful": false});
                self.carry_out("POST", address, "/snapshots", Some(&send), patience).await
            }
            Action::Revert => {
                let Some(name) = self.client.newest_snapshot(address).await? else {
                    return Err(AdapterError::Refused(format!("{} has no snapshot of ours", address.0)));
                };
                self.carry_out("PUT", address, "", Some(&json!({"restore": name})), patience).await
            }
            Action::Clone => {
                let name = self.free_name(address).await?;
                let copying = self.client.copy(address, &name).await?;
                self.client.done(&copying, patience).await
            }
            Action::Delete if !state.stopped() => {
                Err(AdapterError::Refused(format!("{} runs: end it before it is removed", address.0)))
            }
            Action::Delete => self.carry_out("DELETE", address, "", None, patience).await,
            Action::Save | Action::Restore | Action::Migrate => Err(AdapterError::unsupported(*action)),
        }
    }

    async fn change(&self, address: &Address, send: &Value, until: Instant) -> Result<(), AdapterError> {
        self.carry_out("PUT", address, "/state", Some(send), until).await
    }

    /// Has the daemon do something, and waits until it is done. An instance can look stopped while the daemon
    /// still tidies up after it, and it refuses everything else meanwhile.
    async fn carry_out(
        &self,
        method: &str,
        address: &Address,
        below: &str,
        send: Option<&Value>,
        until: Instant,
    ) -> Result<(), AdapterError> {
        let patience = Instant::now() + BUSY;
        loop {
            let carried_out = match self.client.begin(method, address, below, send).await {
                Ok(begun) => self.client.done(&begun, until).await,
                Err(why) => Err(why),
            };
            match carried_out {
                Err(why) if is_busy(&why) && Instant::now() < patience => tokio::time::sleep(AGAIN).await,
                other => return other,
            }
        }
    }

    async fn start(&self, address: &Address) -> Result<(), AdapterError> {
        self.change(address, &json!({"action": "start", "timeout": 30}), Instant::now() + DYING).await
    }

    async fn kill(&self, address: &Address) -> Result<(), AdapterError> {
        self.change(address, &json!({"action": "stop", "force": true}), Instant::now() + DYING).await
    }

    /// Has the daemon ask it, and wait until the deadline; what goes on after it goes on.
    async fn ask_to_end(
        &self,
        address: &Address,
        state: &State,
        deadline_ms: u64,
    ) -> Result<Asked, AdapterError> {
        if state.frozen() {
            self.change(address, &json!({"action": "unfreeze"}), Instant::now() + DYING).await?;
        }
        let send = json!({"action": "stop", "force": false, "timeout": deadline_ms.div_ceil(1000).max(1)});
        let patience = Instant::now() + BUSY;
        loop {
            let asked = self.client.begin("PUT", address, "/state", Some(&send)).await?;
            let soon = Instant::now() + DYING;
            match tokio::time::timeout(AT_ONCE, self.client.done(&asked, soon)).await {
                Ok(Err(why)) if is_busy(&why) && Instant::now() < patience => tokio::time::sleep(AGAIN).await,
                Ok(ended) => return ended.map(|()| Asked::Ended),
                Err(_) => return Ok(Asked::Going(asked)),
            }
        }
    }

    /// Starts it again once it has ended; one that did not end stays as it is.
    async fn come_back(
        &self,
        address: &Address,
        ended: Result<(), AdapterError>,
    ) -> Result<(), AdapterError> {
        if let Err(why) = ended {
            self.ours.stays(address);
            return Err(why);
        }
        self.ours.returns(address);
        let started = self.start(address).await;
        let failed = started.as_ref().err().map(|why| format!("it did not start again: {why}"));
        self.ours.returned(address, failed);
        started
    }

    /// What the next clone is called.
    async fn free_name(&self, address: &Address) -> Result<String, AdapterError> {
        let taken: Vec<String> =
            self.client.list().await?.into_iter().map(|instance| instance.name).collect();
        let names = (1..=1000).map(|n| format!("{}-clone-{n}", address.0));
        let mut free = names.filter(|name| !taken.contains(name));
        let name = free.next().filter(|name| map::is_name(name));
        name.ok_or_else(|| {
            AdapterError::Refused(format!("{} has no room for the name of a clone", address.0))
        })
    }
}

/// The daemon does one thing at a time with an instance.
fn is_busy(why: &AdapterError) -> bool {
    matches!(why, AdapterError::Refused(words) if words.contains("is busy running"))
}

fn silent() -> AdapterError {
    AdapterError::Unreachable(format!("the daemon gives no sign of life for {SIGN:?}"))
}
