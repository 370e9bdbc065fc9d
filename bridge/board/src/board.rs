//! One board while the bridge runs: what the adapter, the edge and its task share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use primrack_adapter_api::AdapterError;
use primrack_model::{Action, Observation, UnixMs};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::badges::Badges;
use crate::config::{BoardConfig, Plan};
use crate::core::{Core, Effect, Input, Ms};

/// Orders that may wait; the engine has one under way per target.
const ORDERS: usize = 64;
/// News kept for a slow listener before it asks for everything.
const NEWS: usize = 256;
/// Events kept for somebody who watches.
const SEEN: usize = 256;

/// An order and who waits for its end.
#[derive(Debug)]
pub(crate) enum Order {
    /// The engine's command.
    Command { address: SmolStr, action: Action, reply: oneshot::Sender<Result<(), AdapterError>> },
    /// An output set by hand, from the command line, past targets and policy: for wiring a board up.
    Set { index: u8, value: u32, lease_ms: u32, reply: oneshot::Sender<Result<u32, String>> },
}

/// How a board stands, for people and `doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardStatus {
    /// Its backend in the configuration.
    pub board: SmolStr,
    /// Its port.
    pub port: String,
    /// Whether it is adopted and does what it is told.
    pub up: bool,
    /// Since when.
    pub since: UnixMs,
    /// The same in words: which board it is, or why there is none.
    pub words: String,
    /// Whether it is played in software.
    pub simulated: bool,
    /// Its name in its own memory.
    pub id: Option<SmolStr>,
    /// Its firmware and version.
    pub firmware: Option<SmolStr>,
    /// How often it has started.
    pub boot: Option<u16>,
    /// What it has, as in `r1b1a1o4`.
    pub parts: Option<String>,
    /// How each reader is, where the board has said.
    pub readers: BTreeMap<u8, String>,
    /// What each output is that this bridge uses.
    pub outputs: BTreeMap<u8, u32>,
    /// The last value of each analogue input.
    pub inputs: BTreeMap<u8, u16>,
    /// How often it was adopted.
    pub adoptions: u64,
    /// Frames that noise had damaged.
    pub bad_frames: u64,
    /// Requests that had to be sent again.
    pub resent: u64,
    /// Events that the board had to drop.
    pub lost: u32,
}

/// Something that happened at a board, for whoever watches. Numbers of badges are hashed or names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Which board.
    pub board: SmolStr,
    /// When.
    pub at: UnixMs,
    /// What, as `tag 0 badge:ada` or `up board gate`.
    pub what: String,
}

impl Seen {
    /// A badge at a reader: the reader's number, and the badge's name or hash.
    #[must_use]
    pub fn badge(&self) -> Option<(u8, &str)> {
        let rest = self.what.strip_prefix("tag ").or_else(|| self.what.strip_prefix("wiegand "))?;
        let (reader, badge) = rest.split_once(" badge:")?;
        Some((reader.parse().ok()?, badge))
    }
    /// Whether the board came or went.
    #[must_use]
    pub fn came(&self) -> Option<bool> {
        match self.what.split(' ').next() {
            Some("up") => Some(true),
            Some("down") => Some(false),
            _ => None,
        }
    }
}

/// One board.
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) name: SmolStr,
    pub(crate) config: BoardConfig,
    plan: Arc<Plan>,
    began: Instant,
    core: Mutex<Core>,
    orders: mpsc::Sender<Order>,
    waiting: Mutex<Option<mpsc::Receiver<Order>>>,
    news: broadcast::Sender<(SmolStr, Observation)>,
    seen: broadcast::Sender<Seen>,
    pub(crate) status: Mutex<BoardStatus>,
    /// It is not in the configuration any more: from then on it asks for nothing.
    removed: AtomicBool,
}

impl Board {
    pub(crate) fn new(name: SmolStr, config: BoardConfig, plan: Arc<Plan>, core: Core) -> Self {
        let (orders, waiting) = mpsc::channel(ORDERS);
        let status = BoardStatus {
            board: name.clone(),
            port: config.port.clone(),
            up: false,
            since: UnixMs::now(),
            words: "not opened yet".to_owned(),
            simulated: config.port == crate::SOFT,
            id: None,
            firmware: None,
            boot: None,
            parts: None,
            readers: BTreeMap::new(),
            outputs: BTreeMap::new(),
            inputs: BTreeMap::new(),
            adoptions: 0,
            bad_frames: 0,
            resent: 0,
            lost: 0,
        };
        Self {
            name,
            config,
            plan,
            began: Instant::now(),
            core: Mutex::new(core),
            orders,
            waiting: Mutex::new(Some(waiting)),
            news: broadcast::channel(NEWS).0,
            seen: broadcast::channel(SEEN).0,
            status: Mutex::new(status),
            removed: AtomicBool::new(false),
        }
    }

    pub(crate) fn remove(&self) {
        self.removed.store(true, Ordering::Release);
    }
    pub(crate) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Acquire)
    }
    pub(crate) fn has_badges(&self, badges: &Badges) -> bool {
        self.core.lock().badges().same_names_as(badges)
    }
    pub(crate) fn change_badges(&self, badges: Badges) {
        self.core.lock().change_badges(badges);
    }
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }
    pub(crate) fn simulated(&self) -> bool {
        self.status.lock().simulated
    }
    pub(crate) fn status(&self) -> BoardStatus {
        BoardStatus { outputs: self.core.lock().outputs(), ..self.status.lock().clone() }
    }
    pub(crate) fn observe(&self, address: &str) -> Option<Observation> {
        self.core.lock().observe(address)
    }
    pub(crate) fn news(&self) -> broadcast::Receiver<(SmolStr, Observation)> {
        self.news.subscribe()
    }
    pub(crate) fn watch(&self) -> broadcast::Receiver<Seen> {
        self.seen.subscribe()
    }
    /// The orders, for its one task.
    pub(crate) fn take_orders(&self) -> Option<mpsc::Receiver<Order>> {
        self.waiting.lock().take()
    }

    /// The time of the core.
    pub(crate) fn now(&self) -> Ms {
        Ms::try_from(self.began.elapsed().as_millis()).unwrap_or(Ms::MAX)
    }
    /// When that time comes.
    pub(crate) fn instant(&self, at: Ms) -> Instant {
        self.began + std::time::Duration::from_millis(at)
    }

    /// Gives the core an input; what it shows is told at once, the rest is the caller's to do.
    pub(crate) fn handle(&self, input: Input) -> Vec<Effect> {
        let mut core = self.core.lock();
        let effects = core.handle(self.now(), input);
        for effect in &effects {
            if let Effect::Shown(address, seen) = effect {
                // Nobody listening is no fault: who comes asks first.
                drop(self.news.send((address.clone(), seen.clone())));
            }
        }
        effects
    }
    pub(crate) fn due(&self) -> Option<Ms> {
        self.core.lock().due()
    }
    pub(crate) fn name_of(&self, uid: &[u8]) -> SmolStr {
        use crate::badges::Holder;
        match self.core.lock().badges().holder(uid) {
            Holder::Known(name) | Holder::Stranger(name) | Holder::Unproved(name) => name,
        }
    }

    /// Tells whoever watches.
    pub(crate) fn tell(&self, what: String) {
        if self.seen.receiver_count() > 0 {
            drop(self.seen.send(Seen { board: self.name.clone(), at: UnixMs::now(), what }));
        }
    }

    /// Carries out an order and waits for the board's word.
    pub(crate) async fn order(&self, address: SmolStr, action: Action) -> Result<(), AdapterError> {
        let (reply, answer) = oneshot::channel();
        let gone = || AdapterError::Unreachable("the board is not driven any more".to_owned());
        self.orders.send(Order::Command { address, action, reply }).await.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Sets an output by hand.
    pub(crate) async fn set(&self, index: u8, value: u32, lease_ms: u32) -> Result<u32, String> {
        let (reply, answer) = oneshot::channel();
        let gone = || "the board is not driven any more".to_owned();
        self.orders.send(Order::Set { index, value, lease_ms, reply }).await.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_tells_of_badges_and_of_the_board_itself() {
        let seen = |what: &str| Seen { board: "gate".into(), at: UnixMs(0), what: what.to_owned() };
        assert_eq!(seen("tag 0 badge:ada").badge(), Some((0, "ada")));
        assert_eq!(seen("wiegand 3 badge:unknown-1f").badge(), Some((3, "unknown-1f")));
        assert_eq!(seen("button 0 pressed").badge(), None);
        assert_eq!(seen("up board gate").came(), Some(true));
        assert_eq!(seen("down no answer").came(), Some(false));
        assert_eq!(seen("tag 0 badge:ada").came(), None);
    }
}
