//! From intent to machine, in one direction.
//!
//! ```text
//! submit ─▶ seen before? ─▶ decide ─▶ admit by state ─▶ journal ─▶ receipt
//!                                                          └─▶ a task of its own: execute ─▶ reached | deadline ─▶ journal
//! ```
//! A target with a command under way has a task of its own; an idle one costs only its slot in the book.

use std::collections::{BTreeMap, HashMap, hash_map};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use primrack_adapter_api::{
    Adapter, AdapterError, Capabilities, Console, Driver, DriverSettings, DriverStatus, Sink,
};
use primrack_model::{
    Action, Actor, BackendId, Command, Edge, Intent, IntentId, Inventory, OriginKey, Outcome, Power, Receipt,
    Refusal, RefusalCode, StateEvent, TargetId, TargetIx, TargetKind, TargetState, UnixMs, Verdict, Via,
};
use primrack_policy::{Permit, Policy};
use smol_str::SmolStr;
use tokio::sync::{broadcast, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::book::{Admission, Book, Finish, Listing};
use crate::counters::EngineCounters;
use crate::journal::{Decision, Entry, Journal, JournalError, PolicyNote};
use crate::read_only::{ReadOnly, Stop};
use crate::{EngineSettings, Watcher};

/// One configured backend.
#[derive(Debug)]
pub struct Backend {
    /// Its name in configuration.
    pub id: BackendId,
    /// What speaks to it.
    pub adapter: Arc<dyn Adapter>,
    /// How it is driven.
    pub settings: DriverSettings,
}

/// What an engine is made of.
#[derive(Debug)]
pub struct Parts {
    /// What there is.
    pub inventory: Arc<Inventory>,
    /// Who may do what.
    pub policy: Arc<Policy>,
    /// Where it is written down.
    pub journal: Journal,
    /// What the last run left unfinished, from opening the journal.
    pub unfinished: Vec<(Intent, Receipt)>,
    /// The technologies.
    pub backends: Vec<Backend>,
    /// How long things may take.
    pub settings: EngineSettings,
}

/// What an accepted intent has set going.
#[derive(Debug)]
pub(crate) enum Going {
    /// Nothing: it was refused.
    No,
    /// The same was under way for this intent.
    With(IntentId),
    /// Its own command, to its end.
    Ours(JoinHandle<Outcome>),
}

/// What takes the place of what an engine was started with. Checked before: replacing it cannot fail.
#[derive(Debug)]
pub struct Replacement {
    /// What there is: the successor ([`Inventory::succeed`]) of [`Engine::inventory`].
    pub inventory: Arc<Inventory>,
    /// Who may do what, loaded for that inventory.
    pub policy: Arc<Policy>,
    /// How long things may take.
    pub settings: EngineSettings,
    /// All backends that there are to be. What is not among them is stopped.
    pub backends: Vec<NextBackend>,
}

/// A backend after a replacement.
#[derive(Debug)]
pub enum NextBackend {
    /// It goes on with the adapter that it has; its driver starts anew only where its settings differ.
    Stays(BackendId, DriverSettings),
    /// It is new, or has another adapter. Its former driver ends before the new one begins.
    Starts(Backend),
}

/// A driver and what ends it.
#[derive(Debug, Clone)]
struct Driven {
    driver: Arc<Driver>,
    stop: CancellationToken,
}

/// What is in force, replaced as a whole.
struct Setup {
    inventory: Arc<Inventory>,
    policy: Arc<Policy>,
    drivers: HashMap<BackendId, Driven>,
    settings: EngineSettings,
}

impl Setup {
    fn driver(&self, backend: &BackendId) -> Option<&Arc<Driver>> {
        self.drivers.get(backend).map(|driven| &driven.driver)
    }
}

/// Who waits for the receipt of an event that is being decided.
type Deciding = HashMap<(Edge, OriginKey), Vec<oneshot::Sender<Receipt>>>;

/// What happens. Shared by all edges.
pub struct Engine {
    setup: ArcSwap<Setup>,
    journal: Journal,
    pub(crate) book: Arc<Book>,
    /// Only one replaces at a time.
    replacing: Mutex<()>,
    /// Ends the looking after members that have a check.
    pub(crate) keeping: Mutex<CancellationToken>,
    /// Counts replacements, for who wants to know of one.
    replaced: watch::Sender<u64>,
    /// Events whose first submission is being decided: a second one waits for the same receipt.
    deciding: Mutex<Deciding>,
    counters: EngineCounters,
    read_only: Stop,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("book", &self.book)
            .field("drivers", &self.setup.load().drivers.len())
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Starts the drivers and settles what the last run left: unfinished commands are marked interrupted,
    /// never repeated, and their targets looked at. `watchers` is asked for the watchers once the engine
    /// exists. Must be called within a tokio runtime.
    pub fn start(
        parts: Parts,
        tasks: &TaskTracker,
        stop: CancellationToken,
        watchers: impl FnOnce(&Arc<Self>) -> Vec<Arc<dyn Watcher>>,
    ) -> Arc<Self> {
        let Parts { inventory, policy, journal, unfinished, backends, settings } = parts;
        let book = Arc::new(Book::new(Arc::clone(&inventory)));
        let mut drivers = HashMap::new();
        for Backend { id, adapter, settings } in backends {
            let watched = book.addresses(&id);
            let sink: Arc<dyn Sink> = Arc::clone(&book) as _;
            let stop = stop.child_token();
            let driver = Driver::start(id.clone(), adapter, settings, watched, sink, tasks, stop.clone());
            drivers.insert(id, Driven { driver, stop });
        }
        let engine = Arc::new(Self {
            setup: ArcSwap::from_pointee(Setup { inventory, policy, drivers, settings }),
            journal,
            book,
            replacing: Mutex::default(),
            keeping: Mutex::default(),
            replaced: watch::channel(0).0,
            deciding: Mutex::default(),
            counters: EngineCounters::default(),
            read_only: Stop::new(),
            tasks: tasks.clone(),
            stop,
        });
        engine.keep_ready();
        if !engine.book.watch(watchers(&engine)) {
            tracing::error!("the watchers were named twice");
        }
        for (intent, _) in unfinished {
            tracing::warn!(intent = %intent.id, target = %intent.target, action = %intent.action,
                "was under way when the bridge ended: interrupted, not repeated; the target is observed again");
            let at = UnixMs::now();
            let entry = Entry::Interrupted { intent: intent.id, target: intent.target.clone(), at };
            if !engine.journal.append_soon(&entry) {
                tracing::error!(intent = %intent.id, "the journal took no note of the interruption; the next start will");
            }
            engine.counters.interrupted.inc();
        }
        engine
    }

    /// Takes all of it in place of what is in force: from now on it decides, shows and drives. What stays
    /// is not disturbed, commands under way go on, unless their target is gone or has become another
    /// machine. Must be called within a tokio runtime.
    pub fn replace(self: &Arc<Self>, next: Replacement) {
        let _one = self.replacing.lock();
        let Replacement { inventory, policy, settings, backends } = next;
        let old = self.setup.load_full();
        // First what is shown: a driver only ever reports on what is in the book.
        let unknown = self.book.replace(&inventory);
        let mut drivers = HashMap::new();
        let mut began = Vec::new();
        for backend in backends {
            let (id, adapter, settings) = match backend {
                NextBackend::Starts(Backend { id, adapter, settings }) => (id, adapter, settings),
                NextBackend::Stays(id, settings) => {
                    let Some(driven) = old.drivers.get(&id) else {
                        tracing::error!(backend = %id, "it was to stay and is not there");
                        continue;
                    };
                    if *driven.driver.settings() == settings {
                        driven.driver.watch_only(&self.book.addresses(&id));
                        drivers.insert(id, driven.clone());
                        continue;
                    }
                    (id, Arc::clone(driven.driver.adapter()), settings)
                }
            };
            let before = old.drivers.get(&id).map(|driven| {
                driven.stop.cancel();
                Arc::clone(&driven.driver)
            });
            if before.is_some() {
                self.book.silent(&id, None, "its connection is being set up anew");
            }
            let watched = self.book.addresses(&id);
            let sink: Arc<dyn Sink> = Arc::clone(&self.book) as _;
            let stop = self.stop.child_token();
            let driver = Driver::start_after(
                before,
                id.clone(),
                adapter,
                settings,
                watched,
                sink,
                &self.tasks,
                stop.clone(),
            );
            began.push(id.clone());
            drivers.insert(id, Driven { driver, stop });
        }
        for (id, driven) in &old.drivers {
            if !drivers.contains_key(id) {
                driven.stop.cancel();
            }
        }
        self.book.keep_listings_of(|id| drivers.contains_key(id));
        let setup = Arc::new(Setup { inventory, policy, drivers, settings });
        self.setup.store(Arc::clone(&setup));
        for ix in unknown {
            let target = setup.inventory.target(ix);
            if let Some(driver) = setup.driver(&target.backend).filter(|_| !began.contains(&target.backend)) {
                driver.look(&target.address);
            }
        }
        self.keep_ready();
        self.replaced.send_modify(|count| *count += 1);
    }
    /// Changes with every replacement of what there is: for who keeps something made from it.
    #[must_use]
    pub fn watch_replaced(&self) -> watch::Receiver<u64> {
        self.replaced.subscribe()
    }
    /// What each backend had when it was last asked for everything. Backends that never answered are missing.
    #[must_use]
    pub fn listings(&self) -> BTreeMap<BackendId, Listing> {
        self.book.listings()
    }
    /// Changes with every listing of any backend.
    #[must_use]
    pub fn watch_listed(&self) -> watch::Receiver<u64> {
        self.book.listed()
    }

    /// What there is now. It may be replaced at any time: what is found in one inventory is to be read from
    /// the same one.
    #[must_use]
    pub fn inventory(&self) -> Arc<Inventory> {
        self.book.inventory()
    }
    /// The journal, for edges that keep facts of their own in it.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }
    /// Who may do what, now.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.setup.load().policy)
    }
    /// The counters, to be shown.
    #[must_use]
    pub fn counters(&self) -> &EngineCounters {
        &self.counters
    }
    /// Takes up an emergency stop that the last run kept (the journal's space [`crate::READ_ONLY_SPACE`]).
    pub fn recall_read_only(&self, kept: &[(String, Vec<u8>)]) {
        self.read_only.recall(kept);
    }
    /// Whether nothing is acted on, by whom and since when.
    #[must_use]
    pub fn read_only(&self) -> Option<ReadOnly> {
        self.read_only.now()
    }
    /// The same, with every change: for lamps and banners.
    #[must_use]
    pub fn watch_read_only(&self) -> watch::Receiver<Option<ReadOnly>> {
        self.read_only.watch()
    }
    /// The emergency stop: from now on every intent is refused with [`RefusalCode::ReadOnly`], and over
    /// restarts. Commands under way go on to their end. False when it held already.
    ///
    /// # Errors
    /// When the journal cannot be written: it holds all the same, until the bridge restarts.
    pub async fn stop_acting(&self, by: &str, why: &str) -> Result<bool, JournalError> {
        let stop = ReadOnly { by: by.into(), why: why.into(), since: UnixMs::now() };
        self.read_only.begin(&self.journal, stop).await
    }
    /// Ends the emergency stop. False when there was none.
    ///
    /// # Errors
    /// When the journal cannot be written: it goes on to hold.
    pub async fn act_again(&self, by: &str) -> Result<bool, JournalError> {
        self.read_only.end(&self.journal, by).await
    }
    /// What a target shows.
    #[must_use]
    pub fn state(&self, target: TargetIx) -> TargetState {
        self.book.view(target)
    }
    /// Every change from now on. Who falls behind is told how many were missed and reads states again.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<StateEvent> {
        self.book.subscribe()
    }
    /// Waits until the bridge stops: for streams that would hold it up otherwise.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }
    /// How each backend stands.
    #[must_use]
    pub fn backends(&self) -> Vec<(BackendId, &'static str, DriverStatus)> {
        let mut all: Vec<_> = self
            .setup
            .load()
            .drivers
            .values()
            .map(|Driven { driver, .. }| (driver.backend().clone(), driver.technology(), driver.status()))
            .collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }
    /// What can be done to a target; nothing where its backend is missing.
    #[must_use]
    pub fn capabilities(&self, target: TargetIx) -> Capabilities {
        if let Some(can) = self.group_capabilities(target) {
            return can;
        }
        let inventory = self.book.inventory();
        if inventory.is_retired(target) {
            return Capabilities { actions: &[], pushes_events: false, simulated: false };
        }
        let entry = inventory.target(target);
        match self.setup.load().driver(&entry.backend) {
            Some(driver) => driver.capabilities(&entry.address),
            None => Capabilities { actions: &[], pushes_events: false, simulated: false },
        }
    }
    /// Whether `action` may be done although nothing can ever tell the target's state.
    fn is_unseen(&self, target: TargetIx, action: Action) -> bool {
        let inventory = self.book.inventory();
        let entry = inventory.target(target);
        let setup = self.setup.load();
        setup.driver(&entry.backend).is_some_and(|driver| driver.is_unseen(&entry.address, action))
    }
    fn fits_unseen(&self, target: TargetIx, action: Action, power: Power) -> bool {
        power == Power::Unknown && self.is_unseen(target, action)
    }
    /// What a target shows on its console now. No policy knows of this: only for the local operator.
    ///
    /// # Errors
    /// What the adapter said.
    pub async fn console(&self, target: TargetIx) -> Result<Console, AdapterError> {
        let setup = self.setup.load_full();
        let Some(entry) = setup.inventory.targets().get(target.0 as usize) else {
            return Err(AdapterError::NotFound(format!("number {}", target.0)));
        };
        match setup.driver(&entry.backend).filter(|_| !setup.inventory.is_retired(target)) {
            Some(driver) => driver.console(&entry.address).await,
            None => Err(AdapterError::NotSupported("it has no backend".to_owned())),
        }
    }
    /// What `actor` may do to a target now, for a menu. When nothing, the refusal of the likeliest wish.
    ///
    /// # Errors
    /// The reason why there is nothing to offer.
    pub fn choices(&self, actor: &Actor, target: TargetIx, via: &Via) -> Result<Vec<Action>, Refusal> {
        if let Some(stopped) = self.read_only() {
            return Err(stopped.refusal());
        }
        let can = self.capabilities(target);
        let (power, fresh) = self.book.observed(target);
        let policy = self.policy();
        let mut refused = None;
        let mut choices = Vec::new();
        let under_way = self.book.under_way(target);
        let is_group = self.inventory().group(target).is_some();
        for action in Action::ALL {
            let fits = match under_way {
                Some(doing) => matches!(action, Action::HardOff | Action::Reset) && doing != action,
                None if is_group => self.book.refuse_whole(target, action).is_none(),
                None => (fresh && action.fits(power)) || self.fits_unseen(target, action, power),
            };
            if !fits || !can.can(action) {
                continue;
            }
            let may = policy.may(actor, action, target, via);
            match may.and_then(|()| self.may_members(&policy, (actor, action), target, (via, UnixMs::now())))
            {
                Ok(()) => choices.push(action),
                Err(refusal) => refused = refused.or(Some(refusal)),
            }
        }
        if !choices.is_empty() {
            return Ok(choices);
        }
        Err(refused.unwrap_or_else(|| {
            let inventory = self.inventory();
            let label = &inventory.target(target).label;
            let whole = is_group.then(|| {
                let likely = TargetKind::Group.toggle(power);
                self.book.refuse_whole(target, likely)
            });
            if inventory.is_retired(target) {
                Refusal::new(RefusalCode::NoTarget, format!("{label} is not in the configuration any more."))
            } else if let Some(refusal) = whole.flatten() {
                refusal
            } else if fresh {
                Refusal::new(
                    RefusalCode::WrongState,
                    format!("{label} is {}: nothing can be done to it now.", power.word()),
                )
            } else {
                Refusal::new(
                    RefusalCode::Stale,
                    format!("{label} does not answer at the moment, so nothing is done."),
                )
            }
        }))
    }

    /// The one way in: decides, records, answers, and sets the command going.
    ///
    /// The receipt is durable before this returns, refusals included; the effect comes as state events.
    /// The same `origin` gives the same receipt and no second action, over restarts too. May be dropped
    /// by an impatient caller: the intent then still runs to its receipt in the journal.
    pub async fn submit(self: &Arc<Self>, intent: Intent) -> Receipt {
        let Some(origin) = intent.origin.clone() else { return self.decide(intent).await };
        let edge = intent.via.edge;
        let key = (edge, origin);
        let joined = match self.deciding.lock().entry(key.clone()) {
            hash_map::Entry::Occupied(mut others) => {
                let (tell, told) = oneshot::channel();
                others.get_mut().push(tell);
                Some(told)
            }
            hash_map::Entry::Vacant(first) => {
                first.insert(Vec::new());
                None
            }
        };
        if let Some(told) = joined {
            return told
                .await
                .unwrap_or_else(|_| unreachable!("the deciding task answers everybody before it ends"));
        }
        // A task of its own, so that a caller who hangs up cannot leave an intent half decided.
        let engine = Arc::clone(self);
        let deciding = self.tasks.spawn(async move {
            let receipt = engine.decide_once(&key, intent).await;
            for other in engine.deciding.lock().remove(&key).unwrap_or_default() {
                // Whoever hung up does not want to know.
                drop(other.send(receipt.clone()));
            }
            receipt
        });
        deciding.await.unwrap_or_else(|error| unreachable!("the deciding task does not end early: {error}"))
    }

    async fn decide_once(self: &Arc<Self>, (edge, origin): &(Edge, OriginKey), intent: Intent) -> Receipt {
        match self.journal.find_origin(*edge, origin).await {
            Ok(Some(receipt)) => {
                self.counters.repeated.inc();
                receipt
            }
            Ok(None) => self.decide(intent).await,
            // Whether it was done before cannot be known, so it is not done.
            Err(error) => self.unwritten(&intent, &error),
        }
    }

    async fn decide(self: &Arc<Self>, intent: Intent) -> Receipt {
        self.decide_part(intent, None).await.0
    }

    /// Decides an intent, which may be a step of a group's.
    pub(crate) async fn decide_part(
        self: &Arc<Self>,
        intent: Intent,
        part_of: Option<IntentId>,
    ) -> (Receipt, Going) {
        let no = |receipt| (receipt, Going::No);
        let began = std::time::Instant::now();
        let inventory = self.inventory();
        let Some(ix) = inventory.find_target(intent.target.as_str()) else {
            let words = match inventory.gone_since(intent.target.as_str()) {
                Some(_) => format!("{} is not in the configuration any more.", intent.target),
                None => format!("There is no target called {}.", intent.target),
            };
            let refusal = Refusal::new(RefusalCode::NoTarget, words);
            return no(self.refuse(intent, refusal, Vec::new(), part_of).await);
        };
        if self.stop.is_cancelled() {
            let refusal =
                Refusal::new(RefusalCode::ShuttingDown, "The bridge is stopping: try again in a moment.");
            return no(self.refuse(intent, refusal, Vec::new(), part_of).await);
        }
        let permit = match self.policy().decide(intent) {
            Ok(permit) => permit,
            Err((intent, refusal)) => return no(self.refuse(intent, refusal, Vec::new(), part_of).await),
        };
        // After the policy, so that a stranger learns no more than before.
        if let Some(stopped) = self.read_only() {
            let refused = self.refuse(permit.into_intent(), stopped.refusal(), Vec::new(), part_of);
            return no(refused.await);
        }
        if let Some(refusal) = self.refuse_members(ix, permit.intent()) {
            return no(self.refuse(permit.into_intent(), refusal, Vec::new(), part_of).await);
        }
        let determining: Vec<SmolStr> =
            permit.reasons().iter().map(|name| SmolStr::new(name.as_str())).collect();
        let admission = self.book.admit(
            ix,
            permit.intent(),
            self.capabilities(ix),
            self.is_unseen(ix, permit.intent().action),
        );
        self.counters.decision_seconds.observe(began.elapsed().as_secs_f64());
        match admission {
            Admission::Refused(refusal) => {
                no(self.refuse(permit.into_intent(), refusal, determining, part_of).await)
            }
            Admission::Joined { with, by, since, durable } => {
                let receipt = self.join(ix, permit, (determining, part_of), (with, by, since), durable).await;
                let going = if receipt.is_accepted() { Going::With(with) } else { Going::No };
                (receipt, going)
            }
            Admission::Run(finish) => self.run(ix, permit, (determining, part_of), finish).await,
        }
    }

    async fn run(
        self: &Arc<Self>,
        ix: TargetIx,
        permit: Permit,
        (determining, part_of): (Vec<SmolStr>, Option<IntentId>),
        finish: oneshot::Receiver<Finish>,
    ) -> (Receipt, Going) {
        let inventory = self.inventory();
        let target = inventory.target(ix);
        let intent = permit.intent();
        let words = format!("{} {}.", target.kind.doing(intent.action), target.label);
        let receipt = receipt(intent, Verdict::Accepted, words);
        let plan = self.plan(ix, intent.action);
        let is_group = !plan.is_empty();
        let (id, entry) = (intent.id, self.entry(intent, &receipt, determining, part_of, plan));
        if let Err(error) = self.record(&entry).await {
            self.book.close(ix, id, None);
            return (self.unwritten(permit.intent(), &error), Going::No);
        }
        self.counters.accepted(permit.intent());
        self.book.made_durable(ix, id);
        let engine = Arc::clone(self);
        let task = if is_group {
            self.tasks.spawn(engine.act_on_members(ix, permit, part_of, finish))
        } else {
            self.tasks.spawn(async move { engine.carry_out(ix, permit, part_of, finish).await })
        };
        (receipt, Going::Ours(task))
    }

    async fn join(
        self: &Arc<Self>,
        ix: TargetIx,
        permit: Permit,
        (determining, part_of): (Vec<SmolStr>, Option<IntentId>),
        (with, by, since): (IntentId, SmolStr, UnixMs),
        durable: oneshot::Receiver<bool>,
    ) -> Receipt {
        let intent = permit.into_intent();
        // The receipt says "under way", so it waits until that is true.
        if durable.await != Ok(true) {
            let words = "The journal cannot be written, so nothing is done: see `primrack doctor`.";
            let refusal = Refusal::new(RefusalCode::Journal, words);
            return receipt(&intent, Verdict::Refused(refusal.clone()), refusal.words);
        }
        let inventory = self.inventory();
        let target = inventory.target(ix);
        let (doing, label) = (target.kind.doing(intent.action), &target.label);
        let age = since.age_at(UnixMs::now()).as_secs_f32();
        let words = format!("{doing} {label} already, for {by}, since {age:.1} s.");
        let receipt = receipt(&intent, Verdict::Joined { with }, words);
        let entry = self.entry(&intent, &receipt, determining, part_of, Vec::new());
        match self.record(&entry).await {
            Ok(()) => {
                self.counters.joined.inc();
                receipt
            }
            Err(error) => self.unwritten(&intent, &error),
        }
    }

    async fn refuse(
        &self,
        intent: Intent,
        refusal: Refusal,
        determining: Vec<SmolStr>,
        part_of: Option<IntentId>,
    ) -> Receipt {
        let words = refusal.words.clone();
        let receipt = receipt(&intent, Verdict::Refused(refusal), words);
        let entry = self.entry(&intent, &receipt, determining, part_of, Vec::new());
        match self.record(&entry).await {
            Ok(()) => {
                self.counters.refused(&receipt);
                receipt
            }
            Err(error) => self.unwritten(&intent, &error),
        }
    }

    /// Returns once the entry is on the disk.
    async fn record(&self, entry: &Entry) -> Result<(), JournalError> {
        let began = std::time::Instant::now();
        self.journal.append(entry).await?;
        self.counters.journal_seconds.observe(began.elapsed().as_secs_f64());
        Ok(())
    }

    /// No journal, no action: the answer when it cannot be recorded.
    fn unwritten(&self, intent: &Intent, error: &dyn std::error::Error) -> Receipt {
        tracing::error!(intent = %intent.id, %error, "not recorded, so not done");
        let words = "The journal cannot be written, so nothing is done: see `primrack doctor`.";
        let refusal = Refusal::new(RefusalCode::Journal, words);
        let receipt = receipt(intent, Verdict::Refused(refusal), words.to_owned());
        self.counters.refused(&receipt);
        receipt
    }

    fn entry(
        &self,
        intent: &Intent,
        receipt: &Receipt,
        determining: Vec<SmolStr>,
        part_of: Option<IntentId>,
        plan: Vec<Vec<TargetId>>,
    ) -> Entry {
        let policy = PolicyNote { version: SmolStr::new(self.setup.load().policy.version()), determining };
        let (intent, receipt) = (intent.clone(), receipt.clone());
        Entry::Decision(Box::new(Decision { intent, receipt, policy, part_of, plan }))
    }

    async fn hand_over(&self, driver: &Driver, command: &Command) -> Result<(), AdapterError> {
        let began = std::time::Instant::now();
        let answer = driver.execute(command).await;
        self.counters.adapter_seconds.observe(began.elapsed().as_secs_f64());
        answer
    }

    /// Executes a durable command and sees it to its end.
    async fn carry_out(
        self: Arc<Self>,
        ix: TargetIx,
        permit: Permit,
        part_of: Option<IntentId>,
        mut finish: oneshot::Receiver<Finish>,
    ) -> Outcome {
        let intent = permit.into_intent();
        // As it was decided: a replacement meanwhile gives the command up, it does not send it elsewhere.
        let setup = self.setup.load_full();
        let target = setup.inventory.target(ix);
        let deadline_ms = setup.settings.deadline_ms(intent.action);
        let command = Command {
            intent: intent.id,
            address: target.address.clone(),
            action: intent.action,
            deadline_ms,
        };
        let started = tokio::time::Instant::now();
        let given_up = finish.try_recv().ok().filter(|how| matches!(how, Finish::Superseded(_)));
        let outcome = match setup.driver(&target.backend) {
            _ if given_up.is_some() => self.finished(&intent, given_up),
            None => Outcome::Failed(format!("its backend {} is not configured", target.backend)),
            Some(driver) => match self.hand_over(driver, &command).await {
                Ok(())
                    if intent.action.ends_with_its_call()
                        || driver.is_unseen(&target.address, intent.action) =>
                {
                    driver.look(&target.address);
                    Outcome::Done
                }
                Ok(()) => {
                    self.book.sent(ix, intent.id);
                    // Who pushes events tells of the effect by itself; the driver looks once more a moment later.
                    if !driver.capabilities(&target.address).pushes_events {
                        driver.look(&target.address);
                    }
                    let left = Duration::from_millis(deadline_ms).saturating_sub(started.elapsed());
                    tokio::select! {
                        how = &mut finish => self.finished(&intent, how.ok()),
                        () = tokio::time::sleep(left) => self.overdue(ix, &intent, deadline_ms),
                        () = self.stop.cancelled() => Outcome::Unknown("the bridge stopped meanwhile".to_owned()),
                    }
                }
                Err(error) => match (finish.try_recv(), error) {
                    // The machine's own word is worth more than the call's.
                    (Ok(Finish::Reached), _) => Outcome::Done,
                    (_, error @ (AdapterError::TimedOut(_) | AdapterError::Unreachable(_))) => {
                        Outcome::Unknown(error.to_string())
                    }
                    (_, error) => Outcome::Failed(error.to_string()),
                },
            },
        };
        self.settle(ix, &intent, part_of, &outcome, started);
        outcome
    }

    /// Shows, records and tells how a command ended.
    pub(crate) fn settle(
        &self,
        ix: TargetIx,
        intent: &Intent,
        part_of: Option<IntentId>,
        outcome: &Outcome,
        started: tokio::time::Instant,
    ) {
        let inventory = self.inventory();
        let target = inventory.target(ix);
        let why = match outcome {
            Outcome::Done => None,
            Outcome::Failed(why) | Outcome::Unknown(why) => {
                Some(format!("{} failed: {why}", target.kind.label(intent.action)))
            }
        };
        self.counters.ended(intent, outcome, started.elapsed());
        tracing::info!(intent = %intent.id, target = %target.id, action = %intent.action, ?outcome,
            ms = started.elapsed().as_millis(), "ended");
        if inventory.group(ix).is_some() {
            self.book.close_whole(ix, intent.id, why.as_deref());
        } else {
            self.book.close(ix, intent.id, why.as_deref());
        }
        let entry = Entry::Ended {
            intent: intent.id,
            target: target.id.clone(),
            outcome: outcome.clone(),
            part_of,
            at: UnixMs::now(),
        };
        if !self.journal.append_soon(&entry) {
            tracing::error!(intent = %intent.id, "the journal took no note of the end; the next start will call it interrupted");
        }
        self.book.tell_ended(ix, intent, outcome);
    }

    pub(crate) fn deadline_ms(&self, action: Action) -> u64 {
        self.setup.load().settings.deadline_ms(action)
    }

    pub(crate) fn finished(&self, intent: &Intent, how: Option<Finish>) -> Outcome {
        match how {
            Some(Finish::Reached) => Outcome::Done,
            Some(Finish::Died(why)) if why.is_empty() => Outcome::Failed("it ended instead".to_owned()),
            Some(Finish::Died(why)) => Outcome::Failed(why),
            Some(Finish::Superseded(by)) => Outcome::Failed(format!("given up: {by}")),
            None => Outcome::Unknown(format!("nobody saw how {} ended", intent.action)),
        }
    }

    fn overdue(&self, ix: TargetIx, intent: &Intent, deadline_ms: u64) -> Outcome {
        let (power, fresh) = self.book.observed(ix);
        let seconds = deadline_ms / 1000;
        if !fresh {
            Outcome::Unknown(format!("no word from it within {seconds} s"))
        } else if intent.action == Action::SoftOff {
            Outcome::Failed(format!(
                "still {} after {seconds} s: it does not follow the request",
                power.word()
            ))
        } else {
            Outcome::Failed(format!("still {} after {seconds} s", power.word()))
        }
    }
}

fn receipt(intent: &Intent, verdict: Verdict, words: String) -> Receipt {
    Receipt {
        intent: intent.id,
        target: intent.target.clone(),
        action: intent.action,
        verdict,
        words,
        at: UnixMs::now(),
    }
}
