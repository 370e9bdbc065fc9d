//! Which machine is to be looked at when. No I/O and no clock of its own.
//!
//! Every watched address has one slot, so the table is as large as the most that were watched together. A
//! slot is due at most once; while a look is under way, the wish for another is remembered and honoured
//! when it returns. A slot whose address is watched no more is given to the next one.

use std::collections::BTreeSet;
use std::time::Duration;

use backon::ExponentialBackoff;
use primrack_model::{Address, NameIndex};
use tokio::time::Instant;

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) address: Address,
    due: Option<Instant>,
    running: bool,
    /// Nobody watches its address any more.
    gone: bool,
    /// Wanted while a look was under way.
    again: Option<Instant>,
    /// Counts what was learned by other means; a look that began before is worthless.
    version: u64,
    /// It did not answer the last look, and that was said.
    pub(super) silent: bool,
    /// The pauses between looks that fail.
    pub(super) backoff: Option<Box<ExponentialBackoff>>,
    /// A command is under way until then.
    pub(super) follow_until: Option<Instant>,
}

/// One look under way.
#[derive(Debug, Clone)]
pub(super) struct Ticket {
    pub(super) slot: usize,
    pub(super) address: Address,
    version: u64,
}

#[derive(Debug)]
pub(super) struct Schedule {
    slots: Vec<Slot>,
    by_address: NameIndex,
    due: BTreeSet<(Instant, usize)>,
    /// Slots that are gone and no look is under way for.
    free: Vec<usize>,
    running: usize,
    concurrency: usize,
}

impl Schedule {
    pub(super) fn new(watched: Vec<Address>, concurrency: usize) -> Self {
        let mut schedule = Self {
            slots: Vec::with_capacity(watched.len()),
            by_address: NameIndex::with_capacity(watched.len()),
            due: BTreeSet::new(),
            free: Vec::new(),
            running: 0,
            concurrency: concurrency.max(1),
        };
        for address in watched {
            schedule.add(address);
        }
        schedule
    }

    /// Watches one more address; the slot it got, if it had none.
    pub(super) fn add(&mut self, address: Address) -> Option<usize> {
        if self.find(&address).is_some() {
            return None;
        }
        // What is known of the slot's former address says nothing about this one.
        let (at, version) = match self.free.pop() {
            Some(at) => (at, self.slots[at].version + 1),
            None => (self.slots.len(), 0),
        };
        let slot = Slot {
            address,
            due: None,
            running: false,
            gone: false,
            again: None,
            version,
            silent: false,
            backoff: None,
            follow_until: None,
        };
        match self.slots.get_mut(at) {
            Some(old) => *old = slot,
            None => self.slots.push(slot),
        }
        let slots = &self.slots;
        let number = u32::try_from(at).unwrap_or(u32::MAX);
        self.by_address.insert(&slots[at].address.0, number, |at| &slots[at as usize].address.0);
        Some(at)
    }

    /// Watches an address no more. A look under way goes on, and its answer counts for nothing.
    pub(super) fn remove(&mut self, address: &Address) {
        let Some(at) = self.find(address) else { return };
        let slots = &self.slots;
        self.by_address.remove(&address.0, |at| &slots[at as usize].address.0);
        let slot = &mut self.slots[at];
        slot.gone = true;
        slot.silent = false;
        slot.again = None;
        slot.version += 1;
        if let Some(due) = slot.due.take() {
            self.due.remove(&(due, at));
        }
        if !slot.running {
            self.free.push(at);
        }
    }

    /// All addresses that are watched.
    pub(super) fn watched(&self) -> impl Iterator<Item = &Address> {
        self.slots.iter().filter(|slot| !slot.gone).map(|slot| &slot.address)
    }
    /// Whether a slot's address is watched no more.
    pub(super) fn is_gone(&self, at: usize) -> bool {
        self.slots[at].gone
    }

    pub(super) fn find(&self, address: &Address) -> Option<usize> {
        self.by_address.find(&address.0, |at| &self.slots[at as usize].address.0).map(|at| at as usize)
    }
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }
    pub(super) fn slot(&mut self, at: usize) -> &mut Slot {
        &mut self.slots[at]
    }
    pub(super) fn silent(&self) -> usize {
        self.slots.iter().filter(|slot| slot.silent && !slot.gone).count()
    }

    /// Wants a look at `when`, unless an earlier one is wanted already.
    pub(super) fn want(&mut self, at: usize, when: Instant) {
        let slot = &mut self.slots[at];
        if slot.gone {
            return;
        }
        if slot.running {
            slot.again = Some(slot.again.map_or(when, |again| again.min(when)));
            return;
        }
        if let Some(due) = slot.due {
            if due <= when {
                return;
            }
            self.due.remove(&(due, at));
        }
        slot.due = Some(when);
        self.due.insert((when, at));
    }

    /// The next look is at `when` and not before, whatever was wanted; one under way goes on.
    pub(super) fn postpone(&mut self, at: usize, when: Instant) {
        let slot = &mut self.slots[at];
        slot.again = None;
        if let Some(due) = slot.due.take() {
            self.due.remove(&(due, at));
        }
        self.want(at, when);
    }

    /// Wants a look at everything at `when`.
    pub(super) fn want_all(&mut self, when: Instant) {
        for at in 0..self.slots.len() {
            self.want(at, when);
        }
    }

    /// Forgets every wish: the backend is lost, asking it is for the reconnection.
    pub(super) fn forget_all(&mut self) {
        self.due.clear();
        for slot in &mut self.slots {
            slot.due = None;
            slot.again = None;
        }
    }

    /// Something newer than any look under way is known.
    pub(super) fn overtake(&mut self, at: usize) {
        self.slots[at].version += 1;
    }
    pub(super) fn version(&self, at: usize) -> u64 {
        self.slots[at].version
    }

    /// The next look to make now, if one is due and there is room.
    pub(super) fn take(&mut self, now: Instant) -> Option<Ticket> {
        if self.running >= self.concurrency {
            return None;
        }
        let &(due, at) = self.due.first()?;
        if due > now {
            return None;
        }
        self.due.remove(&(due, at));
        let slot = &mut self.slots[at];
        slot.due = None;
        slot.running = true;
        self.running += 1;
        Some(Ticket { slot: at, address: slot.address.clone(), version: slot.version })
    }

    /// When [`Self::take`] is worth calling again; `None` while there is no room or nothing to do.
    pub(super) fn next(&self) -> Option<Instant> {
        if self.running >= self.concurrency { None } else { self.due.first().map(|(due, _)| *due) }
    }

    /// A look returned. Whether its answer still counts: not if something newer was learned meanwhile.
    pub(super) fn release(&mut self, ticket: &Ticket) -> bool {
        self.running -= 1;
        let slot = &mut self.slots[ticket.slot];
        slot.running = false;
        if slot.gone {
            self.free.push(ticket.slot);
            return false;
        }
        let counts = slot.version == ticket.version;
        if let Some(again) = slot.again.take() {
            self.want(ticket.slot, again);
        }
        counts
    }

    /// A different moment for each slot within a tenth of `interval`, so that polls do not come in bursts.
    pub(super) fn spread(at: usize, interval: Duration) -> Duration {
        // Fibonacci hashing: neighbours land far apart.
        let share = (at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48;
        interval.mul_f64(1.0 - 0.1 * (share as f64 / 65_536.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(name: &str) -> Address {
        Address(name.into())
    }

    #[test]
    fn a_burst_of_wishes_is_one_look_at_the_earliest() {
        let mut schedule = Schedule::new(vec![address("a")], 4);
        let now = Instant::now();
        for ms in [200, 150, 300] {
            schedule.want(0, now + Duration::from_millis(ms));
        }
        assert_eq!(schedule.next(), Some(now + Duration::from_millis(150)));
        assert!(schedule.take(now).is_none());
        assert!(schedule.take(now + Duration::from_millis(150)).is_some());
        assert!(schedule.take(now + Duration::from_secs(9)).is_none());
    }

    #[test]
    fn a_wish_during_a_look_leads_to_another_look() {
        let mut schedule = Schedule::new(vec![address("a")], 4);
        let now = Instant::now();
        schedule.want(0, now);
        let ticket = schedule.take(now).unwrap();
        schedule.want(0, now);
        assert!(schedule.take(now).is_none(), "never two looks at one machine together");
        assert!(schedule.release(&ticket));
        assert!(schedule.take(now).is_some());
    }

    #[test]
    fn an_answer_older_than_an_event_does_not_count() {
        let mut schedule = Schedule::new(vec![address("a")], 4);
        let now = Instant::now();
        schedule.want(0, now);
        let ticket = schedule.take(now).unwrap();
        schedule.overtake(0);
        assert!(!schedule.release(&ticket));
    }

    #[test]
    fn looks_keep_to_the_concurrency() {
        let mut schedule = Schedule::new(["a", "b", "c"].map(address).to_vec(), 2);
        let now = Instant::now();
        schedule.want_all(now);
        let first = schedule.take(now).unwrap();
        assert!(schedule.take(now).is_some());
        assert!(schedule.take(now).is_none());
        assert_eq!(schedule.next(), None);
        schedule.release(&first);
        assert!(schedule.take(now).is_some());
    }

    #[test]
    fn a_slot_is_used_again_and_what_was_asked_for_its_former_address_does_not_count() {
        let mut schedule = Schedule::new(vec![address("a"), address("b")], 4);
        let now = Instant::now();
        schedule.want_all(now);
        let first = schedule.take(now).unwrap();
        let (asked, other) = (first.address.clone(), if first.slot == 0 { "b" } else { "a" });
        schedule.remove(&asked);
        assert_eq!(schedule.find(&asked), None);
        assert_eq!(schedule.watched().cloned().collect::<Vec<_>>(), [address(other)]);
        // Its look is still under way, so its slot is not free yet.
        assert_eq!(schedule.add(address("c")), Some(2));
        assert!(!schedule.release(&first), "an answer about what nobody watches");
        assert_eq!(schedule.add(address("d")), Some(first.slot));
        assert_eq!(schedule.add(address("d")), None, "it is watched already");
        assert_ne!(schedule.version(first.slot), first.version);
        schedule.remove(&address(other));
        let taken: Vec<Ticket> = std::iter::from_fn(|| schedule.take(now)).collect();
        assert!(taken.is_empty(), "nobody looks at what is gone: {taken:?}");
    }

    #[test]
    fn the_same_address_twice_is_one_slot() {
        assert_eq!(Schedule::new(vec![address("a"), address("a")], 1).len(), 1);
    }
}
