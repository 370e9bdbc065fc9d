//! Messages in hand: how many there are, and how many of them have been for too long.
//!
//! What comes on top of what can be answered in time is told so at once, since a person has given up long
//! before a line that only grows comes to an end. Two things say that it is too much: a number that even a
//! quick machine needs a moment for, and on a slower one the age of those that wait.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Messages that may be in hand at once.
const MOST: u32 = 512;
/// How long a message may be in hand before it counts as late.
const LATE: Duration = Duration::from_millis(200);
/// So many late ones are no accident: neither a message that has to read the journal's file, nor the few that a
/// disk which stood still for a moment has kept waiting.
const LATE_ONES: u32 = 128;
/// The time in which messages count as equally old.
const STEP: Duration = Duration::from_millis(25);
/// Steps that are told apart; what is older than all of them counts as some age below.
const STEPS: u128 = 32;

/// The messages that are being answered.
#[derive(Debug)]
pub(crate) struct Hands {
    begun: Instant,
    count: AtomicU32,
    /// By the step in which they came.
    came: [AtomicU32; STEPS as usize],
}

/// One message in hand, until it is dropped.
#[derive(Debug)]
pub(crate) struct InHand<'a> {
    hands: &'a Hands,
    step: usize,
}

impl Default for Hands {
    fn default() -> Self {
        Self { begun: Instant::now(), count: AtomicU32::default(), came: Default::default() }
    }
}

impl Hands {
    fn step(&self, now: Instant) -> u128 {
        now.saturating_duration_since(self.begun).as_nanos() / STEP.as_nanos()
    }
    /// Takes one more, full or not.
    pub(crate) fn take(&self, now: Instant) -> InHand<'_> {
        let step = (self.step(now) % STEPS) as usize;
        self.count.fetch_add(1, Relaxed);
        self.came[step].fetch_add(1, Relaxed);
        InHand { hands: self, step }
    }
    /// Whether there are too many.
    pub(crate) fn are_full(&self) -> bool {
        match self.count.load(Relaxed) {
            MOST.. => true,
            LATE_ONES.. => self.late(Instant::now()) >= LATE_ONES,
            _ => false,
        }
    }
    fn late(&self, now: Instant) -> u32 {
        let now = self.step(now);
        // The step that is being filled comes after the oldest one that is told apart.
        let ages = LATE.as_nanos() / STEP.as_nanos()..STEPS;
        ages.map(|age| self.came[((now + STEPS - age) % STEPS) as usize].load(Relaxed)).sum()
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.hands.came[self.step].fetch_sub(1, Relaxed);
        self.hands.count.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_are_too_many_until_one_is_done() {
        let hands = Hands::default();
        let now = Instant::now();
        let mut held: Vec<_> = (0..MOST).map(|_| hands.take(now)).collect();
        assert!(hands.are_full());
        held.pop();
        assert!(!hands.are_full());
    }

    #[test]
    fn few_are_too_many_when_they_are_late() {
        let hands = Hands::default();
        let now = Instant::now();
        let mut held: Vec<_> = (0..LATE_ONES).map(|_| hands.take(now)).collect();
        assert_eq!(hands.late(now + LATE - STEP), 0);
        assert_eq!(hands.late(now + LATE + STEP), LATE_ONES);
        held.pop();
        assert_eq!(hands.late(now + LATE + STEP), LATE_ONES - 1);
        let _later = hands.take(now + LATE);
        assert_eq!(hands.late(now + LATE + STEP), LATE_ONES - 1, "a new one is not late");
    }
}
