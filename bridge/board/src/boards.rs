//! All boards of a bridge: made before the engine, started with it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock};
use primrack_engine::{Engine, Watcher};
use primrack_link::port::Dial;
use primrack_link::soft::{SoftBoard, SoftConfig};
use primrack_model::{Intent, Inventory, Outcome, TargetId, TargetIx};
use smol_str::SmolStr;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::adapter::BoardAdapter;
use crate::badges::Badges;
use crate::board::{Board, BoardStatus, Seen};
use crate::config::{AlarmSource, BoardConfig, ConfigError, Follows, Thing};
use crate::core::{Core, Kept};
use crate::{SOFT, task};

/// The space in the journal's store where counters, flags and latches are kept.
pub const KEPT: &str = "board";

/// What a board is made of.
pub struct BoardParts {
    /// Its backend in the configuration.
    pub name: SmolStr,
    /// What was configured.
    pub config: BoardConfig,
    /// Whose badge is whose.
    pub badges: Badges,
    /// The line, where it is not the configured port: a board played in software.
    pub dial: Option<Box<dyn Dial>>,
}

impl std::fmt::Debug for BoardParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BoardParts")
            .field("name", &self.name)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// One board and what is to be told to it.
struct Wired {
    board: Arc<Board>,
    dial: Mutex<Option<Box<dyn Dial>>>,
    followed: HashSet<TargetId>,
    /// Targets whose state has changed since the board looked.
    dirty: Arc<Dirty>,
    /// Ends its task and its line.
    stop: OnceLock<CancellationToken>,
}

/// Targets that a board has to look at again.
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    targets: Mutex<HashSet<TargetIx>>,
    pub(crate) wake: Notify,
}

impl Dirty {
    fn mark(&self, target: TargetIx) {
        self.targets.lock().insert(target);
        self.wake.notify_one();
    }
    pub(crate) fn take(&self) -> HashSet<TargetIx> {
        std::mem::take(&mut *self.targets.lock())
    }
}

/// All boards. Give it to the engine as a watcher, then [`Self::start`] it.
#[derive(Default)]
pub struct Boards {
    all: Vec<Wired>,
    /// The boards played in software.
    soft: Mutex<HashMap<SmolStr, SoftBoard>>,
    /// Which boards show a target; known once the engine is.
    shown: RwLock<HashMap<TargetIx, Vec<usize>>>,
}

impl std::fmt::Debug for Boards {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Boards").field("count", &self.all.len()).finish_non_exhaustive()
    }
}

impl Boards {
    /// Makes a board, with what was kept of it under [`KEPT`], and the adapter that its targets are
    /// reached through. Nothing is opened before [`Self::start`].
    ///
    /// # Errors
    /// As [`BoardConfig::check`].
    pub fn add(
        &mut self,
        parts: BoardParts,
        kept: &[(String, Vec<u8>)],
    ) -> Result<Arc<BoardAdapter>, ConfigError> {
        let BoardParts { name, config, badges, dial } = parts;
        let plan = Arc::new(config.plan()?);
        let prefix = format!("{name}/");
        let kept: Kept = kept
            .iter()
            .filter_map(|(key, value)| {
                let key = key.strip_prefix(&prefix)?;
                Some((key.to_owned(), String::from_utf8(value.clone()).ok()?))
            })
            .collect();
        let follows = plan.followers.values().filter_map(|(follows, _)| match follows {
            Follows::Target(target) => Some(target.clone()),
            Follows::EmergencyStop => None,
        });
        let crashes = plan.things.values().filter_map(|thing| match thing {
            Thing::Alarm { source: AlarmSource::CrashOf(target), .. } => Some(target.clone()),
            _ => None,
        });
        let followed = follows.chain(crashes).collect();
        let core = Core::new(name.clone(), Arc::clone(&plan), badges, &kept);
        let board = Arc::new(Board::new(name, config, plan, core));
        let adapter = Arc::new(BoardAdapter::new(Arc::clone(&board)));
        self.all.push(Wired {
            board,
            dial: Mutex::new(dial),
            followed,
            dirty: Arc::default(),
            stop: OnceLock::new(),
        });
        Ok(adapter)
    }

    /// Opens the lines and lets boards act. To be called once, within a tokio runtime.
    pub fn start(&self, engine: &Arc<Engine>, tasks: &TaskTracker, stop: &CancellationToken) {
        self.follow(&engine.inventory());
        for wired in &self.all {
            let stop = wired.stop.get_or_init(|| stop.child_token());
            let dial = self.dial(wired, stop);
            task::start(&wired.board, dial, Some(engine), &wired.dirty, tasks, stop);
        }
    }

    /// The boards that take badges.
    #[must_use]
    pub fn names(&self) -> Vec<SmolStr> {
        self.used().map(|wired| wired.board.name.clone()).collect()
    }

    /// A board is not in the configuration any more: it is left alone, and what it has read already is
    /// refused. Its outputs fall back when their leases end.
    pub fn remove(&self, board: &str) {
        for wired in self.used().filter(|wired| wired.board.name == board) {
            wired.board.remove();
            wired.board.tell("removed".to_owned());
            if let Some(stop) = wired.stop.get() {
                stop.cancel();
            }
            self.soft.lock().remove(board);
            tracing::info!(board, "the board is not in the configuration any more");
        }
    }

    /// Whether a board knows these badges and no others; so does one that is not there.
    #[must_use]
    pub fn knows(&self, board: &str, badges: &Badges) -> bool {
        self.find(board).is_none_or(|board| board.has_badges(badges))
    }

    /// From now on a board knows these badges and no others.
    pub fn change_badges(&self, board: &str, badges: Badges) {
        if let Some(board) = self.find(board) {
            board.change_badges(badges);
        }
    }

    fn used(&self) -> impl Iterator<Item = &Wired> {
        self.all.iter().filter(|wired| !wired.board.is_removed())
    }

    /// Finds what boards follow, and has them look at it.
    fn follow(&self, inventory: &Inventory) {
        let mut shown: HashMap<TargetIx, Vec<usize>> = HashMap::new();
        for (at, wired) in self.all.iter().enumerate().filter(|(_, wired)| !wired.board.is_removed()) {
            for target in &wired.followed {
                if let Some(ix) = inventory.find_target(target.as_str()) {
                    shown.entry(ix).or_default().push(at);
                    wired.dirty.mark(ix);
                }
            }
        }
        *self.shown.write() = shown;
    }

    /// Opens the lines without an engine: for tests of the adapter alone. Badges then ask nobody.
    pub fn start_alone(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        for wired in &self.all {
            let dial = self.dial(wired, stop);
            task::start(&wired.board, dial, None, &wired.dirty, tasks, stop);
        }
    }

    /// The line that was given, or a board played in software; else the configured port.
    fn dial(&self, wired: &Wired, stop: &CancellationToken) -> Option<Box<dyn Dial>> {
        let given = wired.dial.lock().take();
        if given.is_some() || wired.board.config.port != SOFT {
            return given;
        }
        let soft = SoftBoard::start(SoftConfig::default(), stop.child_token());
        let dial = soft.dial();
        self.soft.lock().insert(wired.board.name.clone(), soft);
        Some(dial)
    }

    /// A board played in software, to show badges to; it says that it is simulated wherever it shows.
    #[must_use]
    pub fn soft(&self, board: &str) -> Option<SoftBoard> {
        self.soft.lock().get(board).cloned()
    }

    /// How each stands.
    #[must_use]
    pub fn status(&self) -> Vec<BoardStatus> {
        self.used().map(|wired| wired.board.status()).collect()
    }

    /// What happens at a board from now on; none where there is no such board.
    #[must_use]
    pub fn watch(&self, board: &str) -> Option<broadcast::Receiver<Seen>> {
        self.find(board).map(|board| board.watch())
    }

    /// Sets an output by hand, past targets and policy: for whoever wires a board up, on the bridge's own
    /// machine. `lease_ms` 0 leaves it until something else is asked of it.
    ///
    /// # Errors
    /// What was wrong, in words.
    pub async fn set(&self, board: &str, index: u8, value: u32, lease_ms: u32) -> Result<u32, String> {
        let Some(found) = self.find(board) else {
            let known: Vec<&str> = self.used().map(|wired| wired.board.name.as_str()).collect();
            return Err(format!("there is no board called {board:?}; there are: {}", known.join(", ")));
        };
        found.set(index, value, lease_ms).await
    }

    fn find(&self, board: &str) -> Option<&Arc<Board>> {
        self.used().map(|wired| &wired.board).find(|known| known.name == board)
    }
}

impl Watcher for Boards {
    fn changed(&self, target: TargetIx) {
        for at in self.shown.read().get(&target).into_iter().flatten() {
            self.all[*at].dirty.mark(target);
        }
    }
    fn replaced(&self, inventory: &Arc<Inventory>) {
        self.follow(inventory);
    }
    fn ended(&self, _: TargetIx, _: &Intent, _: &Outcome) {}
}
