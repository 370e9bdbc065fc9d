//! The edge: one task drives the line, one answers commands, one tells states.
//!
//! ```text
//! broker ─▶ line ─▶ commands (in order, 64 at once) ─▶ engine ─▶ receipt ─▶ delivered ─▶ acknowledged
//!                                                       │
//! broker ◀─ line ◀─ states (newest per target) ◀────────┘ changed
//! ```
//! A command is acknowledged once the broker has its receipt, so that a bridge or a broker that is killed
//! anywhere between leads to the same command again, and its id to the same receipt: nothing is lost, and
//! nothing is done twice.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use parking_lot::Mutex;
use primrack_engine::{Engine, Watcher};
use primrack_model::{ActorKind, Intent, Outcome, TargetIx};
use primrack_wire::mqtt::{EndedMessage, TagMessage};
use prometheus_client::registry::Registry;
use smol_str::SmolStr;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::commands::{self, Inbox};
use crate::config::Plan;
use crate::counters::Counters;
use crate::line::{self, News, Outgoing, Receiver, Sender};
use crate::states;

/// Events that wait for the broker; the oldest give way, and states are not among them.
const EVENTS: usize = 1024;

/// A board that is announced and whose tags are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoardPlan {
    /// Its backend in the configuration.
    pub name: SmolStr,
    /// The numbers of its readers.
    pub readers: Vec<u8>,
}

/// How the line stands.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct MqttStatus {
    /// Host and port of the broker.
    pub broker: String,
    /// Whether it answers.
    pub connected: bool,
    /// Why not.
    pub why: String,
    /// States that wait to be told.
    pub waiting: usize,
}

/// The MQTT side.
pub struct Mqtt {
    pub(crate) plan: Plan,
    pub(crate) boards: Vec<BoardPlan>,
    pub(crate) engine: OnceLock<Arc<Engine>>,
    /// Targets whose newest state the broker has not been told.
    pub(crate) dirty: Mutex<std::collections::HashSet<TargetIx>>,
    /// Whether boards answer, by name.
    pub(crate) board_up: Mutex<HashMap<SmolStr, bool>>,
    pub(crate) wake: Notify,
    pub(crate) counters: Counters,
    events: mpsc::Sender<Outgoing>,
    waiting_events: Mutex<Option<mpsc::Receiver<Outgoing>>>,
    /// Counts connections; 0 while there is none.
    pub(crate) connected: watch::Sender<u64>,
    why: Mutex<String>,
}

impl std::fmt::Debug for Mqtt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mqtt").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl Watcher for Mqtt {
    fn changed(&self, target: TargetIx) {
        self.dirty.lock().insert(target);
        self.wake.notify_one();
    }
    fn ended(&self, _: TargetIx, intent: &Intent, outcome: &Outcome) {
        if intent.actor.kind != ActorKind::Mqtt {
            return;
        }
        let Some(account) = self.plan.accounts.iter().find(|known| known.as_str() == intent.actor.id) else {
            return;
        };
        self.event(self.plan.topics.ended(account), &EndedMessage::of(intent, outcome));
    }
}

impl Mqtt {
    /// Puts it together; give it to the engine as a watcher, then [`Self::start`] it.
    #[must_use]
    pub fn new(plan: Plan, boards: Vec<BoardPlan>) -> Arc<Self> {
        let (events, waiting_events) = mpsc::channel(EVENTS);
        Arc::new(Self {
            plan,
            boards,
            engine: OnceLock::new(),
            dirty: Mutex::default(),
            board_up: Mutex::default(),
            wake: Notify::new(),
            counters: Counters::default(),
            events,
            waiting_events: Mutex::new(Some(waiting_events)),
            connected: watch::channel(0).0,
            why: Mutex::new("it has not connected yet".to_owned()),
        })
    }

    /// Adds its counters to the others.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.counters.register(registry);
    }

    /// How the line stands.
    #[must_use]
    pub fn status(&self) -> MqttStatus {
        MqttStatus {
            broker: format!("{}:{}", self.plan.host, self.plan.port),
            connected: *self.connected.borrow() > 0,
            why: self.why.lock().clone(),
            waiting: self.dirty.lock().len(),
        }
    }

    /// Tells of a badge at a reader: its name in the badges file or its keyed hash, never its number.
    pub fn tag(&self, board: &str, reader: u8, tag: &str) {
        let message = TagMessage { tag: tag.to_owned(), board: board.to_owned(), reader };
        self.event(self.plan.topics.tag(board, reader), &message);
    }

    /// Tells whether a board answers.
    pub fn board(&self, board: &str, up: bool) {
        self.board_up.lock().insert(SmolStr::new(board), up);
        self.wake.notify_one();
    }

    fn event(&self, topic: String, message: &impl serde::Serialize) {
        let Ok(payload) = serde_json::to_vec(message) else { return };
        let message = Outgoing { topic, payload, retain: false, correlation: None };
        if self.events.try_send(message).is_err() {
            self.counters.dropped.inc();
        }
    }

    /// Connects, and from then on by itself again whenever the broker is lost. To be called once, within a
    /// tokio runtime.
    pub fn start(self: &Arc<Self>, engine: &Arc<Engine>, tasks: &TaskTracker, stop: &CancellationToken) {
        let Some(events) = self.waiting_events.lock().take() else {
            tracing::error!("the MQTT side was started twice");
            return;
        };
        if self.engine.set(Arc::clone(engine)).is_err() {
            return;
        }
        let (sender, receiver) = line::open(&self.plan);
        let (inbox, commands) = Inbox::new();
        tasks.spawn(Arc::clone(self).drive(receiver, inbox, sender.clone(), stop.clone()));
        tasks.spawn(commands::run(
            Arc::clone(self),
            Arc::clone(engine),
            sender.clone(),
            commands,
            stop.child_token(),
        ));
        tasks.spawn(states::run(Arc::clone(self), Arc::clone(engine), sender, events, stop.child_token()));
    }

    /// Polls the line, and tries again after a loss.
    async fn drive(
        self: Arc<Self>,
        mut receiver: Receiver,
        inbox: Inbox,
        sender: Sender,
        stop: CancellationToken,
    ) {
        let pauses = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(20))
            .with_jitter()
            .without_max_times();
        let mut pause = pauses.build();
        let mut connections = 0;
        let mut closing = false;
        let leave = self.leave(&sender, &stop);
        tokio::pin!(leave);
        loop {
            let news = tokio::select! {
                news = receiver.next() => news,
                // Says goodbye through the same line, which therefore goes on being polled until it is closed.
                () = &mut leave, if !closing => {
                    closing = true;
                    continue;
                }
            };
            match news {
                Ok(News::Connected(kept)) => {
                    connections += 1;
                    pause = pauses.build();
                    self.why.lock().clear();
                    self.counters.connections.inc();
                    tracing::info!(broker = %self.plan.host, kept, "connected to the MQTT broker");
                    self.connected.send_replace(connections);
                    self.wake.notify_one();
                }
                Ok(News::Message(message)) => inbox.take(&self, message),
                Ok(News::Other) => {}
                Err(_) if stop.is_cancelled() => return,
                Err(why) => {
                    let fresh = self.connected.send_replace(0) > 0;
                    let told = std::mem::replace(&mut *self.why.lock(), why.clone());
                    if fresh || told != why {
                        tracing::warn!(broker = %self.plan.host, %why, "the MQTT broker is lost; trying again");
                    }
                    let wait = pause.next().unwrap_or(Duration::from_secs(20));
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = stop.cancelled() => return,
                    }
                }
            }
        }
    }

    /// At the end: offline, and closed in order.
    async fn leave(&self, sender: &Sender, stop: &CancellationToken) {
        stop.cancelled().await;
        if *self.connected.borrow() == 0 {
            return;
        }
        let topic = self.plan.topics.status();
        let offline = Outgoing { topic, payload: b"offline".to_vec(), retain: true, correlation: None };
        let said = tokio::time::timeout(Duration::from_secs(1), sender.publish(offline)).await;
        if said.is_ok() {
            sender.close().await;
        }
    }
}
