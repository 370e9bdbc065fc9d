//! The book of states: the only place where a target's state is written.
//!
//! What a target shows is what its machine last reported, overlaid by the command under way:
//!
//! ```text
//! observed(Off)                      shown Off
//!   admit(start)                     shown Starting, transition = start by Ada
//!     observed(Starting)             shown Starting
//!     observed(On)  ─ reached ─▶     shown On, the command has ended Done
//!     observed(Crashed) ─ died ─▶    shown Crashed, Failed
//!     deadline ─ close(Failed) ─▶    shown as observed, the reason in words
//! silent()                           shown as before, stale, with its age
//! ```

mod groups;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use primrack_adapter_api::{Capabilities, Found, Sink};
use primrack_model::{
    About, Action, Address, BackendId, Cause, Generation, Intent, IntentId, Inventory, Load, NameIndex,
    Observation, Outcome, Places, Power, Refusal, RefusalCode, StateEvent, TargetEntry, TargetIx,
    TargetState, Transition, UnixMs,
};
use smol_str::SmolStr;
use tokio::sync::{broadcast, oneshot, watch};

pub(crate) use groups::Stand;
use groups::Wholes;

/// Bytes of a detail that are kept.
const DETAIL_LIMIT: usize = 120;
/// State events kept for a slow listener before it has to read everything again.
const STREAM_DEPTH: usize = 4096;

/// Somebody who shows targets. Called from wherever a state changes: must return at once.
pub trait Watcher: Send + Sync + 'static {
    /// What `target` shows has changed: read it from the engine when there is time.
    fn changed(&self, target: TargetIx);
    /// A command has ended.
    fn ended(&self, target: TargetIx, intent: &Intent, outcome: &Outcome);
    /// What there is has changed: [`Inventory`] says what became of places. Told before any state of what
    /// is new.
    fn replaced(&self, inventory: &Arc<Inventory>) {
        let _ = inventory;
    }
}

/// What a backend had when it was last asked for everything.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    /// When.
    pub at: UnixMs,
    /// What; without states.
    pub found: Arc<[Found]>,
}

/// How a command under way came to its end, as the book saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finish {
    /// The machine reported what was asked for.
    Reached,
    /// The machine ended instead.
    Died(String),
    /// A stronger command took its place.
    Superseded(String),
}

/// What the state allows an intent to become.
#[derive(Debug)]
pub(crate) enum Admission {
    /// It is under way now; nothing has been executed.
    Run(oneshot::Receiver<Finish>),
    /// The same is under way for another intent. The receiver tells whether that one became durable.
    Joined { with: IntentId, by: SmolStr, since: UnixMs, durable: oneshot::Receiver<bool> },
    /// The state does not allow it.
    Refused(Refusal),
}

#[derive(Debug)]
struct Active {
    transition: Transition,
    /// The journal holds it; before that it may still be withdrawn.
    durable: bool,
    /// The backend took the command.
    sent: bool,
    /// Since it was admitted the machine has reported another state than the one asked for.
    left: bool,
    /// It is of a group: its end is the end of its plan, whatever the members show meanwhile.
    whole: bool,
    finish: Option<oneshot::Sender<Finish>>,
    joiners: Vec<oneshot::Sender<bool>>,
}

/// One target's state: small, since there may be a hundred thousand.
#[derive(Debug, Default)]
struct Slot {
    observed: Power,
    cause: Option<Cause>,
    stale: bool,
    detail: SmolStr,
    load: Option<Load>,
    about: Option<Box<About>>,
    generation: u64,
    since: i64,
    seen: i64,
    active: Option<Box<Active>>,
}

impl Slot {
    fn shown(&self) -> Power {
        match &self.active {
            // Nobody is shown what the journal does not hold yet.
            Some(active)
                if active.durable
                    && (active.whole
                        || !active.transition.action.is_reached_by(self.observed)
                        || !active.left) =>
            {
                active.transition.action.transitional(self.observed)
            }
            _ => self.observed,
        }
    }
    fn view(&self) -> TargetState {
        TargetState {
            power: self.shown(),
            cause: self.cause,
            detail: self.detail.clone(),
            load: self.load,
            about: self.about.clone(),
            transition: self
                .active
                .as_ref()
                .filter(|active| active.durable)
                .map(|active| Box::new(active.transition.clone())),
            generation: Generation(self.generation),
            since: UnixMs(self.since),
            seen: UnixMs(self.seen),
            stale: self.stale,
        }
    }
    /// Notes a change of what is shown.
    fn touch(&mut self, before: Power, now: UnixMs) {
        self.generation += 1;
        if self.shown() != before {
            self.since = now.0;
        }
    }
}

/// What there is and how it is found by address: replaced as a whole.
struct Plan {
    inventory: Arc<Inventory>,
    /// Per backend, the targets by address.
    by_address: Vec<(BackendId, NameIndex)>,
}

/// All states. One writer: every change goes through a method here that counts the generation.
pub(crate) struct Book {
    plan: ArcSwap<Plan>,
    slots: Places<Mutex<Slot>>,
    watchers: OnceLock<Vec<Arc<dyn Watcher>>>,
    stream: broadcast::Sender<StateEvent>,
    wholes: Wholes,
    listings: Mutex<BTreeMap<BackendId, Listing>>,
    /// Counts listings, for who wants to know of a new one.
    listed: watch::Sender<u64>,
}

fn address_at(inventory: &Inventory, at: u32) -> &str {
    &inventory.target(TargetIx(at)).address.0
}

impl Plan {
    fn new(inventory: Arc<Inventory>) -> Self {
        let mut by_address: Vec<(BackendId, NameIndex)> = Vec::new();
        for (TargetIx(at), target) in inventory.live_targets() {
            let known = by_address.iter().position(|(backend, _)| *backend == target.backend);
            let known = known.unwrap_or_else(|| {
                by_address.push((target.backend.clone(), NameIndex::default()));
                by_address.len() - 1
            });
            if !by_address[known].1.insert(&target.address.0, at, |at| address_at(&inventory, at)) {
                tracing::warn!(target = %target.id, backend = %target.backend, address = %target.address.0,
                    "another target has this address: only that one is shown as it reports");
            }
        }
        Self { inventory, by_address }
    }
    fn find(&self, backend: &BackendId, address: &Address) -> Option<TargetIx> {
        let (_, index) = self.by_address.iter().find(|(name, _)| name == backend)?;
        index.find(&address.0, |at| address_at(&self.inventory, at)).map(TargetIx)
    }
    fn of(&self, backend: &BackendId) -> impl Iterator<Item = TargetIx> {
        self.inventory.live_targets().filter(move |(_, target)| target.backend == *backend).map(|(ix, _)| ix)
    }
}

fn fresh() -> Mutex<Slot> {
    Mutex::new(Slot { stale: true, since: UnixMs::now().0, ..Slot::default() })
}

impl std::fmt::Debug for Book {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Book").field("targets", &self.inventory().targets().len()).finish_non_exhaustive()
    }
}

impl Book {
    pub(crate) fn new(inventory: Arc<Inventory>) -> Self {
        let slots = Places::new(inventory.targets().len(), fresh);
        let (stream, _) = broadcast::channel(STREAM_DEPTH);
        let book = Self {
            plan: ArcSwap::from_pointee(Plan::new(inventory)),
            slots,
            watchers: OnceLock::new(),
            stream,
            wholes: Wholes::default(),
            listings: Mutex::default(),
            listed: watch::channel(0).0,
        };
        book.regroup_all(&book.inventory());
        book
    }

    pub(crate) fn inventory(&self) -> Arc<Inventory> {
        Arc::clone(&self.plan.load().inventory)
    }

    /// Takes another inventory. What has moved to another machine or is gone is known no more, and a command
    /// under way there is given up; the others keep what is known of them.
    /// Gives the places of what is to be looked at now.
    pub(crate) fn replace(&self, inventory: &Arc<Inventory>) -> Vec<TargetIx> {
        let mut unknown = Vec::new();
        let old = self.inventory();
        self.slots.grow(inventory.targets().len(), fresh);
        self.plan.store(Arc::new(Plan::new(Arc::clone(inventory))));
        self.wholes.forget_but(|ix| {
            inventory.group(ix).is_some() && inventory.group(ix) == old.group(ix) && !old.is_retired(ix)
        });
        for watcher in self.watchers.get().into_iter().flatten() {
            watcher.replaced(inventory);
        }
        for (at, target) in (0u32..).zip(inventory.targets()) {
            let ix = TargetIx(at);
            let Some(was) = old.targets().get(at as usize) else {
                // Its address may have been watched under another name: then nothing else asks for it soon.
                if !inventory.is_retired(ix) {
                    unknown.push(ix);
                }
                continue;
            };
            let (retired, was_retired) = (inventory.is_retired(ix), old.is_retired(ix));
            if retired && was_retired {
                continue;
            }
            let same_machine =
                was.id == target.id && was.backend == target.backend && was.address == target.address;
            if retired || was_retired || !same_machine {
                self.forget(ix, if retired { "it is not in the configuration any more" } else { "" });
                if !retired {
                    unknown.push(ix);
                }
                self.announce(ix);
            } else if was != target {
                self.announce(ix);
            }
        }
        self.regroup_all(inventory);
        unknown
    }

    /// What was known of a place is of no use any more.
    fn forget(&self, ix: TargetIx, why: &str) {
        let now = UnixMs::now();
        let mut slot = self.slots[ix.0 as usize].lock();
        let before = slot.shown();
        let active = slot.active.take();
        // The generation goes on: who holds an older state of this place has to see that it is older.
        *slot = Slot {
            stale: true,
            since: now.0,
            generation: slot.generation,
            detail: clip(why),
            ..Slot::default()
        };
        slot.touch(before, now);
        drop(slot);
        if let Some(mut active) = active {
            finish(&mut active, Finish::Superseded("its target was configured anew".to_owned()));
            for joiner in active.joiners.drain(..) {
                let _gone = joiner.send(false);
            }
        }
    }

    /// Names the watchers; once, before anything is observed.
    pub(crate) fn watch(&self, watchers: Vec<Arc<dyn Watcher>>) -> bool {
        self.watchers.set(watchers).is_ok()
    }
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<StateEvent> {
        self.stream.subscribe()
    }
    pub(crate) fn view(&self, ix: TargetIx) -> TargetState {
        let view = self.slots[ix.0 as usize].lock().view();
        self.with_age(ix, view)
    }
    /// The last reported state and whether it may be relied on.
    pub(crate) fn observed(&self, ix: TargetIx) -> (Power, bool) {
        let slot = self.slots[ix.0 as usize].lock();
        (slot.observed, !slot.stale)
    }
    /// The command under way.
    pub(crate) fn under_way(&self, ix: TargetIx) -> Option<Action> {
        self.slots[ix.0 as usize].lock().active.as_ref().map(|active| active.transition.action)
    }
    /// The intent whose command is under way.
    pub(crate) fn intent_under_way(&self, ix: TargetIx) -> Option<IntentId> {
        self.slots[ix.0 as usize].lock().active.as_ref().map(|active| active.transition.intent)
    }
    pub(crate) fn addresses(&self, backend: &BackendId) -> Vec<Address> {
        let plan = self.plan.load();
        plan.of(backend).map(|ix| plan.inventory.target(ix).address.clone()).collect()
    }
    /// What each backend had when it was last asked.
    pub(crate) fn listings(&self) -> BTreeMap<BackendId, Listing> {
        self.listings.lock().clone()
    }
    /// Forgets the listings of backends that are not among these.
    pub(crate) fn keep_listings_of(&self, known: impl Fn(&BackendId) -> bool) {
        self.listings.lock().retain(|backend, _| known(backend));
    }
    pub(crate) fn listed(&self) -> watch::Receiver<u64> {
        self.listed.subscribe()
    }

    /// Whether the state allows `intent`, and if so puts it under way. `unseen` where nothing can ever tell
    /// the state that it leads to: then one that was never known allows it.
    pub(crate) fn admit(&self, ix: TargetIx, intent: &Intent, can: Capabilities, unseen: bool) -> Admission {
        let inventory = self.inventory();
        let target = inventory.target(ix);
        let (label, kind) = (&target.label, target.kind);
        let action = intent.action;
        if !can.can(action) {
            let words =
                format!("{label} cannot do that: its backend does not know {:?}.", kind.label(action));
            return Admission::Refused(Refusal::new(RefusalCode::NotSupported, words));
        }
        let now = UnixMs::now();
        let group = self.inventory().group(ix).is_some();
        // Looked up before the slot is locked: it looks into the members' slots.
        let by_members = if group { self.refuse_whole(ix, action) } else { None };
        let mut slot = self.slots[ix.0 as usize].lock();
        if let Some(active) = &mut slot.active {
            let Transition { intent: with, action: doing, by, since } = &active.transition;
            if *doing == action {
                let (with, by, since) = (*with, by.clone(), *since);
                let (tell, durable) = oneshot::channel();
                if active.durable {
                    // A joiner that has gone away needs no word.
                    let _gone = tell.send(true);
                } else {
                    active.joiners.push(tell);
                }
                return Admission::Joined { with, by, since, durable };
            }
            if !supersedes(action, *doing) {
                let words = format!(
                    "{label}: {} for {by}, wait until that is over.",
                    kind.doing(*doing).to_lowercase()
                );
                return Admission::Refused(Refusal::new(RefusalCode::Busy, words));
            }
        } else if let Some(refusal) = if group {
            by_members
        } else {
            let unseen = unseen && slot.observed == Power::Unknown;
            if unseen {
                None
            } else {
                refuse_by_state(target, action, slot.observed, slot.stale, slot.seen, now)
            }
        } {
            return Admission::Refused(refusal);
        }
        let before = slot.shown();
        if let Some(mut old) = slot.active.take() {
            finish(
                &mut old,
                Finish::Superseded(format!(
                    "{} for {}",
                    kind.doing(action).to_lowercase(),
                    intent.actor.called()
                )),
            );
        }
        let (tell, done) = oneshot::channel();
        slot.active = Some(Box::new(Active {
            transition: Transition {
                intent: intent.id,
                action,
                by: SmolStr::new(intent.actor.called()),
                since: now,
            },
            durable: false,
            sent: false,
            left: !action.is_reached_by(slot.observed),
            whole: group,
            finish: Some(tell),
            joiners: Vec::new(),
        }));
        slot.touch(before, now);
        Admission::Run(done)
    }

    /// The journal holds the intent: it will be executed, and everyone may see it.
    pub(crate) fn made_durable(&self, ix: TargetIx, intent: IntentId) {
        let known = {
            let mut slot = self.slots[ix.0 as usize].lock();
            let before = slot.shown();
            match &mut slot.active {
                Some(active) if active.transition.intent == intent => {
                    active.durable = true;
                    for joiner in active.joiners.drain(..) {
                        let _gone = joiner.send(true);
                    }
                    // A failure's words belong to the command before.
                    slot.detail = SmolStr::default();
                    slot.touch(before, UnixMs::now());
                    true
                }
                _ => false,
            }
        };
        if known {
            self.announce(ix);
        }
    }

    /// The backend took the command.
    pub(crate) fn sent(&self, ix: TargetIx, intent: IntentId) {
        if let Some(active) = &mut self.slots[ix.0 as usize].lock().active
            && active.transition.intent == intent
        {
            active.sent = true;
        }
    }

    /// The command is over: `why` is kept as the target's detail when it did not work.
    pub(crate) fn close(&self, ix: TargetIx, intent: IntentId, why: Option<&str>) {
        let now = UnixMs::now();
        let announce = {
            let mut slot = self.slots[ix.0 as usize].lock();
            let before = slot.shown();
            let ours = slot.active.as_ref().is_some_and(|active| active.transition.intent == intent);
            let ended = if ours { slot.active.take() } else { None };
            let was_durable = ended.as_ref().is_some_and(|active| active.durable);
            if let Some(mut active) = ended {
                for joiner in active.joiners.drain(..) {
                    let _gone = joiner.send(false);
                }
                if let Some(why) = why {
                    slot.detail = clip(why);
                }
                slot.touch(before, now);
            }
            was_durable
        };
        if announce {
            self.announce(ix);
        }
    }

    /// Writes to the target at an address. What is there may be replaced meanwhile: `write` is asked again
    /// with the place of the new one, until it holds for the slot it has locked.
    fn at(
        &self,
        backend: &BackendId,
        address: &Address,
        mut write: impl FnMut(&Guard<Arc<Plan>>, TargetIx) -> Noted,
    ) {
        loop {
            let plan = self.plan.load();
            let Some(ix) = plan.find(backend, address) else { return };
            match write(&plan, ix) {
                Noted::Outdated => {}
                Noted::Changed => return self.announce(ix),
                Noted::Same => return,
            }
        }
    }
    /// Whether a plan still holds. Asked with a slot locked: who replaces it stores it first and locks then.
    fn holds(&self, plan: &Arc<Plan>) -> bool {
        Arc::ptr_eq(plan, &self.plan.load())
    }

    /// Writes what a machine reported.
    fn note(&self, plan: &Arc<Plan>, ix: TargetIx, seen: &Observation) -> Noted {
        let now = UnixMs::now();
        let Observation { power, cause, detail, load, about } = seen;
        let (power, cause, load) = (*power, *cause, *load);
        if power == Power::Unknown {
            return self.mark_stale(plan, ix, detail);
        }
        {
            let mut slot = self.slots[ix.0 as usize].lock();
            if !self.holds(plan) {
                return Noted::Outdated;
            }
            let before = slot.shown();
            let detail = clip(detail);
            // A failure's words stay until the machine itself reports something else.
            let same = slot.observed == power && slot.cause == cause && !slot.stale;
            let keeps_words = same && detail.is_empty();
            let changed = !same || (!keeps_words && slot.detail != detail);
            slot.observed = power;
            slot.cause = cause;
            slot.load = load;
            slot.about.clone_from(about);
            slot.stale = false;
            slot.seen = now.0;
            if changed {
                slot.detail = detail;
            }
            let finished = slot.active.as_mut().and_then(|active| {
                let action = active.transition.action;
                let reached = action.is_reached_by(power);
                if !reached {
                    active.left = true;
                }
                let reached = reached && (active.left || (active.sent && action == Action::Reset));
                let died = action.transitional(power) == Power::Starting
                    && (power == Power::Crashed || (power == Power::Off && action != Action::Reboot))
                    && active.sent;
                match (reached, died) {
                    (true, _) => Some(Finish::Reached),
                    (_, true) => Some(Finish::Died(String::new())),
                    _ => None,
                }
            });
            let ended = finished.is_some();
            if let Some(how) = finished
                && let Some(mut active) = slot.active.take()
            {
                let how = match how {
                    Finish::Died(_) => Finish::Died(slot.detail.to_string()),
                    other => other,
                };
                finish(&mut active, how);
            }
            if changed || ended || slot.shown() != before {
                slot.touch(before, now);
                Noted::Changed
            } else {
                Noted::Same
            }
        }
    }

    fn mark_stale(&self, plan: &Arc<Plan>, ix: TargetIx, why: &str) -> Noted {
        {
            let mut slot = self.slots[ix.0 as usize].lock();
            if !self.holds(plan) {
                return Noted::Outdated;
            }
            let detail = clip(why);
            let changed = !slot.stale || slot.detail != detail;
            if changed {
                let before = slot.shown();
                slot.stale = true;
                slot.detail = detail;
                slot.touch(before, UnixMs::now());
                Noted::Changed
            } else {
                Noted::Same
            }
        }
    }

    fn announce(&self, ix: TargetIx) {
        for watcher in self.watchers.get().into_iter().flatten() {
            watcher.changed(ix);
        }
        if self.stream.receiver_count() > 0 {
            let event = StateEvent { target: self.inventory().target(ix).id.clone(), state: self.view(ix) };
            // Nobody listening any more is no fault.
            drop(self.stream.send(event));
        }
        for group in self.inventory().within(ix) {
            self.regroup(*group);
        }
    }

    pub(crate) fn tell_ended(&self, ix: TargetIx, intent: &Intent, outcome: &Outcome) {
        for watcher in self.watchers.get().into_iter().flatten() {
            watcher.ended(ix, intent, outcome);
        }
    }
}

impl Sink for Book {
    fn observed(&self, backend: &BackendId, address: &Address, seen: Observation) {
        self.at(backend, address, |plan, ix| self.note(plan, ix, &seen));
    }
    fn silent(&self, backend: &BackendId, address: Option<&Address>, why: &str) {
        if let Some(address) = address {
            return self.at(backend, address, |plan, ix| self.mark_stale(plan, ix, why));
        }
        let plan = self.plan.load_full();
        for ix in plan.of(backend) {
            self.at(backend, &plan.inventory.target(ix).address, |plan, ix| self.mark_stale(plan, ix, why));
        }
    }
    fn found(&self, backend: &BackendId, found: &[Found]) {
        for Found { address, seen, .. } in found {
            if let Some(seen) = seen {
                self.at(backend, address, |plan, ix| self.note(plan, ix, seen));
            }
        }
        let found = found.iter().map(|found| Found { seen: None, ..found.clone() }).collect();
        self.listings.lock().insert(backend.clone(), Listing { at: UnixMs::now(), found });
        self.listed.send_modify(|count| *count += 1);
    }
}

/// What became of something written.
enum Noted {
    /// It is shown otherwise now.
    Changed,
    /// It changed nothing.
    Same,
    /// It was not written: what there is has been replaced meanwhile.
    Outdated,
}

fn finish(active: &mut Active, how: Finish) {
    if let Some(tell) = active.finish.take() {
        // The command's task may have given up at its deadline in this moment.
        let _gone = tell.send(how);
    }
}

/// Pulling the plug is allowed while something gentler does not come to an end.
fn supersedes(new: Action, old: Action) -> bool {
    match new {
        Action::HardOff => old != Action::HardOff,
        Action::Reset => matches!(old, Action::SoftOff | Action::Reboot | Action::Start),
        _ => false,
    }
}

fn refuse_by_state(
    target: &TargetEntry,
    action: Action,
    observed: Power,
    stale: bool,
    seen: i64,
    now: UnixMs,
) -> Option<Refusal> {
    let label = &target.label;
    if stale || observed == Power::Unknown {
        let words = if seen == 0 {
            format!("{label}: its state is not known yet, so nothing is done.")
        } else {
            let age = UnixMs(seen).age_at(now).as_secs();
            format!("{label}: its state is {age} s old, so nothing is done until it answers again.")
        };
        return Some(Refusal::new(RefusalCode::Stale, words));
    }
    if action.fits(observed) {
        return None;
    }
    let (is, asked) = (target.kind.word(observed), target.kind.label(action));
    let words = format!("{label} is {is}: {asked} makes no sense now.");
    Some(Refusal::new(RefusalCode::WrongState, words))
}

fn clip(text: &str) -> SmolStr {
    let mut end = text.len().min(DETAIL_LIMIT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    SmolStr::new(text[..end].trim())
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
