//! Groups in the book: their state is computed from their members', and only here.
//!
//! Locks are taken in one order: the group's record, then the members' slots one by one, then the group's
//! slot. Nobody holds a member's slot while taking a group's.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use primrack_model::{
    Action, Group, IntentId, Inventory, Member, OnFailure, Power, Ready, Refusal, RefusalCode, TargetIx,
    TargetKind, TargetState, UnixMs,
};
use smol_str::SmolStr;
use tokio::sync::watch;

use super::{Book, clip, refuse_by_state, supersedes};
use crate::group::whole::{Part, Whole, oldest};

/// What is kept of one group besides its slot.
#[derive(Debug, Default)]
struct Record {
    /// What its members said when they were last asked.
    last: Option<Whole>,
    /// What the checks of those members said that have one.
    checks: BTreeMap<TargetIx, Check>,
}

/// What the check of a member said.
#[derive(Debug, Clone, Default)]
struct Check {
    ready: bool,
    /// Counts how often the member has left On: what was found out before is worth nothing after.
    life: u64,
    /// Why it is not ready.
    why: SmolStr,
}

/// The records of all groups.
#[derive(Debug, Default)]
pub(super) struct Wholes(Mutex<BTreeMap<TargetIx, Arc<Place>>>);

#[derive(Debug)]
struct Place {
    record: Mutex<Record>,
    /// Told whenever a member has changed.
    nudge: watch::Sender<()>,
    /// Held by the task that acts on the group: a command that takes another's place waits until that one
    /// begins nothing more.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Wholes {
    fn place(&self, group: TargetIx) -> Arc<Place> {
        let fresh = || {
            Arc::new(Place { record: Mutex::default(), nudge: watch::Sender::new(()), turn: Arc::default() })
        };
        Arc::clone(self.0.lock().entry(group).or_insert_with(fresh))
    }
    /// What is known of other groups than these counts no more: they have other members, or are gone.
    pub(super) fn forget_but(&self, same: impl Fn(TargetIx) -> bool) {
        let all: Vec<_> = self.0.lock().iter().map(|(ix, place)| (*ix, Arc::clone(place))).collect();
        for (_, place) in all.into_iter().filter(|(ix, _)| !same(*ix)) {
            *place.record.lock() = Record::default();
            place.nudge.send_replace(());
        }
    }
}

/// How a target stands to an action that a group wants of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Stand {
    /// Nothing needs to be done.
    There,
    /// It is on its way by itself or by somebody outside.
    Coming,
    /// It can be asked.
    Open,
    /// Asking now would be refused.
    No(Refusal),
}

impl Book {
    /// Follows every change of a group's members.
    pub(crate) fn nudged(&self, group: TargetIx) -> watch::Receiver<()> {
        self.wholes.place(group).nudge.subscribe()
    }
    /// Held while acting on a group.
    pub(crate) fn turn(&self, group: TargetIx) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(&self.wholes.place(group).turn)
    }

    /// Computes all groups. Whatever changes takes the groups around it along.
    pub(super) fn regroup_all(&self, inventory: &Inventory) {
        for (ix, _) in inventory.groups() {
            self.regroup(ix);
        }
    }

    /// A member has changed: what the group shows follows.
    pub(super) fn regroup(&self, ix: TargetIx) {
        let inventory = self.inventory();
        let Some(group) = inventory.group(ix) else { return };
        let place = self.wholes.place(ix);
        let changed = {
            let mut record = place.record.lock();
            let parts: Vec<Part> =
                group.members.iter().map(|member| self.part(&inventory, member, &mut record)).collect();
            let whole = Whole::of(&parts);
            if record.last.as_ref() == Some(&whole) {
                false
            } else {
                let mut slot = self.slots[ix.0 as usize].lock();
                let before = (slot.shown(), slot.stale, slot.detail.clone());
                slot.observed = whole.power;
                slot.stale = whole.stale;
                slot.seen = if parts.iter().all(|part| part.ever) { UnixMs::now().0 } else { 0 };
                // While it is acted on, how far that is.
                if slot.active.is_none() {
                    slot.detail = clip(&whole.words);
                }
                record.last = Some(whole);
                let changed = before != (slot.shown(), slot.stale, slot.detail.clone());
                if changed {
                    slot.touch(before.0, UnixMs::now());
                }
                changed
            }
        };
        // Without anybody who waits there is nobody to tell.
        place.nudge.send_replace(());
        if changed {
            self.announce(ix);
        }
    }

    fn part(&self, inventory: &Inventory, member: &Member, record: &mut Record) -> Part {
        let slot = self.slots[member.target.0 as usize].lock();
        let ready = member.ready == Ready::On || {
            let check = record.checks.entry(member.target).or_default();
            if slot.observed != Power::On && check.ready {
                *check = Check { ready: false, life: check.life + 1, why: SmolStr::default() };
            }
            check.ready
        };
        Part {
            label: inventory.target(member.target).label.clone(),
            power: slot.shown(),
            stale: slot.stale,
            ever: slot.seen != 0,
            ready,
        }
    }

    /// A group is as fresh as its oldest member.
    pub(super) fn with_age(&self, ix: TargetIx, state: TargetState) -> TargetState {
        let inventory = self.inventory();
        match inventory.group(ix) {
            None => state,
            Some(group) => {
                let seen = oldest(group.members.iter().map(|member| self.view(member.target).seen));
                TargetState { seen, ..state }
            }
        }
    }

    /// Where a member is On: which life of it this is, for [`Self::found_ready`].
    pub(crate) fn life(&self, group: TargetIx, member: TargetIx) -> Option<u64> {
        let (power, fresh) = self.observed(member);
        let place = self.wholes.place(group);
        let life = place.record.lock().checks.get(&member).map_or(0, |check| check.life);
        (fresh && power == Power::On).then_some(life)
    }
    /// What a look at a member found.
    pub(crate) fn found_ready(
        &self,
        group: TargetIx,
        member: TargetIx,
        life: u64,
        found: Result<(), String>,
    ) {
        {
            let place = self.wholes.place(group);
            let mut record = place.record.lock();
            let check = record.checks.entry(member).or_default();
            if check.life != life {
                return;
            }
            check.ready = found.is_ok();
            check.why = found.err().map(|why| clip(&why)).unwrap_or_default();
        }
        self.regroup(group);
    }
    /// Whether a member that has a check is ready.
    ///
    /// # Errors
    /// Why it is not.
    pub(crate) fn is_ready(&self, group: TargetIx, member: TargetIx) -> Result<(), SmolStr> {
        let place = self.wholes.place(group);
        let record = place.record.lock();
        match record.checks.get(&member) {
            Some(check) if check.ready => Ok(()),
            Some(check) => Err(check.why.clone()),
            None => Err(SmolStr::default()),
        }
    }

    /// How far a group command is.
    pub(crate) fn progress(&self, group: TargetIx, intent: IntentId, words: &str) {
        let changed = {
            let mut slot = self.slots[group.0 as usize].lock();
            let ours = slot.active.as_ref().is_some_and(|active| active.transition.intent == intent);
            let words = clip(words);
            let changed = ours && slot.detail != words;
            if changed {
                let before = slot.shown();
                slot.detail = words;
                slot.touch(before, UnixMs::now());
            }
            changed
        };
        if changed {
            self.announce(group);
        }
    }

    /// A group command is over: what its members show is shown again, or why it did not work.
    pub(crate) fn close_whole(&self, group: TargetIx, intent: IntentId, why: Option<&str>) {
        // A command learns of its member's state before the member's groups do.
        self.regroup(group);
        let words = match why {
            Some(why) => SmolStr::new(why),
            None => {
                let place = self.wholes.place(group);
                let record = place.record.lock();
                record.last.as_ref().map(|last| last.words.clone()).unwrap_or_default()
            }
        };
        self.close(group, intent, Some(&words));
    }

    /// How a target stands to what a group wants of it.
    pub(crate) fn stand(&self, ix: TargetIx, action: Action) -> Stand {
        let inventory = self.inventory();
        let target = inventory.target(ix);
        let (observed, stale, seen, active) = {
            let slot = self.slots[ix.0 as usize].lock();
            let active =
                slot.active.as_ref().map(|active| (active.transition.action, active.transition.by.clone()));
            (slot.observed, slot.stale, slot.seen, active)
        };
        match active {
            Some((doing, _)) if doing == action || supersedes(action, doing) => return Stand::Open,
            Some((doing, by)) => {
                let doing = target.kind.doing(doing).to_lowercase();
                let words = format!("{}: {doing} for {by}, wait until that is over.", target.label);
                return Stand::No(Refusal::new(RefusalCode::Busy, words));
            }
            None => {}
        }
        if !stale && is_there(action, observed) {
            return Stand::There;
        }
        if inventory.group(ix).is_some() {
            return self.refuse_whole(ix, action).map_or(Stand::Open, Stand::No);
        }
        if !stale && action.transitional(observed) == observed && action != Action::HardOff {
            return Stand::Coming;
        }
        refuse_by_state(target, action, observed, stale, seen, UnixMs::now()).map_or(Stand::Open, Stand::No)
    }

    /// Whether the states of its members allow an action on a group: with `on_failure = "stop"` every one
    /// must, so that nothing is left half done that can be seen beforehand; else one is enough.
    pub(crate) fn refuse_whole(&self, ix: TargetIx, action: Action) -> Option<Refusal> {
        let inventory = self.inventory();
        let group: &Group = inventory.group(ix)?;
        let whole = inventory.target(ix);
        let (mut refused, mut open) = (None, false);
        for member in &group.members {
            let kind = inventory.target(member.target).kind;
            match self.stand(member.target, kind.within_group(action)) {
                Stand::There => {}
                Stand::Coming | Stand::Open => open = true,
                Stand::No(refusal) => refused = refused.or(Some(refusal)),
            }
        }
        match refused {
            Some(Refusal { code, words }) if !open || group.on_failure == OnFailure::Stop => {
                Some(Refusal::new(code, format!("Nothing is done to {}: {words}", whole.label)))
            }
            Some(_) => None,
            None if open => None,
            None => {
                let (power, _) = self.observed(ix);
                // All On, and one of them not ready: a start waits for it.
                if action == Action::Start && power != Power::On {
                    return None;
                }
                let (is, asked) = (TargetKind::Group.word(power), TargetKind::Group.label(action));
                let words = format!("{} is {is}: {asked} makes no sense now.", whole.label);
                Some(Refusal::new(RefusalCode::WrongState, words))
            }
        }
    }
}

/// Whether nothing needs to be done. What is saved to disk does not run, and its memory is not thrown away.
fn is_there(action: Action, observed: Power) -> bool {
    match action {
        Action::Start => observed == Power::On,
        _ => matches!(observed, Power::Off | Power::Crashed | Power::Saved),
    }
}
