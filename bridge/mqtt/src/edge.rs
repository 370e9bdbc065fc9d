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

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use parking_lot::Mutex;
use primrack_engine::{Engine, Watcher};
use primrack_model::{ActorKind, Intent, Inventory, Outcome, TargetIx};
use primrack_wire::mqtt::{EndedMessage, TagMessage};
use prometheus_client::registry::Registry;
use smol_str::SmolStr;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::commands::{self, Inbox};
use crate::config::Plan;
use crate::counters::Counters;
use crate::line::{self, News, Outgoing, Receiver, Sender, Stay};
use crate::refused::Refused;
use crate::states;

/// Events that wait for the broker; the oldest give way, and states are not among them.
const EVENTS: usize = 1024;
/// Targets whose commands are told apart while they wait for each other; two that share a place only wait.
const LANES: usize = 256;
/// A connection that lasted so long was one: the next pause is short again.
const LASTED: Duration = Duration::from_secs(10);

/// A board that is announced and whose tags are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoardPlan {
    /// Its backend in the configuration.
    pub name: SmolStr,
    /// The numbers of its readers.
    pub readers: Vec<u8>,
}

/// How the line stands.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MqttStatus {
    /// Host and port of the broker.
    pub broker: String,
    /// The version of the protocol.
    pub version: String,
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
    pub(crate) dirty: Mutex<HashSet<TargetIx>>,
    /// Whether boards answer, by name, and whether the broker has been told.
    pub(crate) board_up: Mutex<BTreeMap<SmolStr, (bool, bool)>>,
    /// The topics of what was announced to Home Assistant.
    pub(crate) announced: Mutex<HashSet<String>>,
    /// Commands to one target are put to the engine one after the other, in the order in which they came.
    pub(crate) lanes: Vec<tokio::sync::Mutex<()>>,
    pub(crate) refused: Refused,
    /// What there is has changed since it was announced.
    pub(crate) replaced: AtomicBool,
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
    fn replaced(&self, _: &Arc<Inventory>) {
        self.replaced.store(true, Ordering::Release);
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
            announced: Mutex::default(),
            lanes: std::iter::repeat_with(tokio::sync::Mutex::default).take(LANES).collect(),
            refused: Refused::default(),
            replaced: AtomicBool::new(false),
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
            broker: self.plan.broker(),
            version: self.plan.version.to_string(),
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
        self.board_up.lock().insert(SmolStr::new(board), (up, false));
        self.wake.notify_one();
    }

    /// What the broker does not let us hear, so that nothing would ever be done.
    pub(crate) fn denied(&self, filters: &[String]) {
        if let Some(first) = filters.first() {
            let why = format!("this account may not hear {first} at the broker");
            tracing::error!(broker = %self.plan.host, %why, "the MQTT broker denies a subscription");
            *self.why.lock() = why;
        }
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
        let (sender, receiver) = line::open(&self.plan, Stay::Lasting);
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
        let mut since = Instant::now();
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
                    since = Instant::now();
                    self.why.lock().clear();
                    self.counters.connections.inc();
                    self.counters.connected.set(1);
                    tracing::info!(broker = %self.plan.host, kept, "connected to the MQTT broker");
                    self.connected.send_replace(connections);
                    self.wake.notify_one();
                }
                Ok(News::Message(mut message)) => {
                    message.line = connections;
                    inbox.take(&self, message);
                }
                Ok(News::Other) => {}
                Err(_) if stop.is_cancelled() => return,
                Err(why) => {
                    let fresh = self.connected.send_replace(0) > 0;
                    self.counters.connected.set(0);
                    if fresh && since.elapsed() > LASTED {
                        pause = pauses.build();
                    }
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
        // A line that has no room any more is closed without; the last will says the same.
        let said = tokio::time::timeout(Duration::from_secs(1), sender.publish(offline)).await;
        if said.is_ok() {
            sender.close().await;
        }
    }
}
