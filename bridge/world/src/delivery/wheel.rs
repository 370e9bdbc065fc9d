//! A timing wheel over the object records: insert, remove and expire in constant time.
//!
//! 4,096 buckets of 4 ms cover 16 s; what is due later stays in its bucket for another round.

use super::slots::{List, NEVER, Slot};

const TICK_MS: u64 = 4;
const BUCKETS: usize = 4096;

#[derive(Debug)]
pub(super) struct Wheel {
    buckets: Box<[List]>,
    /// One bit per bucket that holds something.
    filled: [u64; BUCKETS / 64],
    /// The first tick not yet expired.
    cursor: u64,
    len: usize,
}

fn bucket_of(due: u64) -> usize {
    usize::try_from(due / TICK_MS % BUCKETS as u64).unwrap_or(0)
}

impl Wheel {
    pub(super) fn new() -> Self {
        let buckets = vec![List::EMPTY; BUCKETS].into_boxed_slice();
        Self { buckets, filled: [0; BUCKETS / 64], cursor: 0, len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds `ix`, due at `due` ms (rounded up to a tick, never before the current one).
    pub(super) fn insert(&mut self, slots: &mut [Slot], ix: u32, due: u64) -> u64 {
        let due = due.div_ceil(TICK_MS).max(self.cursor) * TICK_MS;
        slots[ix as usize].due = due;
        let bucket = bucket_of(due);
        self.buckets[bucket].push_back(slots, ix);
        self.filled[bucket / 64] |= 1 << (bucket % 64);
        self.len += 1;
        due
    }

    /// Takes out `ix`, which must be in the wheel.
    pub(super) fn remove(&mut self, slots: &mut [Slot], ix: u32) {
        let bucket = bucket_of(slots[ix as usize].due);
        self.take(slots, bucket, ix);
    }

    fn take(&mut self, slots: &mut [Slot], bucket: usize, ix: u32) {
        self.buckets[bucket].remove(slots, ix);
        self.len -= 1;
        if self.buckets[bucket].is_empty() {
            self.filled[bucket / 64] &= !(1 << (bucket % 64));
        }
    }

    /// Takes everything due at `now`, in order of time within one round, and appends it to `out`.
    pub(super) fn expire(&mut self, slots: &mut [Slot], now: u64, out: &mut Vec<u32>) {
        let end = now / TICK_MS;
        if end < self.cursor {
            return;
        }
        let ticks = (end - self.cursor + 1).min(BUCKETS as u64);
        for tick in end + 1 - ticks..=end {
            let bucket = bucket_of(tick * TICK_MS);
            if self.filled[bucket / 64] & (1 << (bucket % 64)) == 0 {
                continue;
            }
            let later = self.buckets[bucket].len();
            for _ in 0..later {
                let Some(ix) = self.buckets[bucket].pop_front(slots) else { break };
                if slots[ix as usize].due <= now {
                    self.len -= 1;
                    out.push(ix);
                } else {
                    self.buckets[bucket].push_back(slots, ix);
                }
            }
            if self.buckets[bucket].is_empty() {
                self.filled[bucket / 64] &= !(1 << (bucket % 64));
            }
        }
        self.cursor = end + 1;
    }

    /// When to look next, in ms; [`NEVER`] when the wheel is empty. May be early for what is due
    /// more than one round away.
    pub(super) fn next_due(&self) -> u64 {
        if self.len == 0 {
            return NEVER;
        }
        let start = bucket_of(self.cursor * TICK_MS);
        let words = self.filled.len();
        // The starting word is looked at twice: its upper bits first, its lower bits last.
        for step in 0..=words {
            let word = (start / 64 + step) % words;
            let mut bits = self.filled[word];
            if step == 0 {
                bits &= u64::MAX << (start % 64);
            } else if step == words {
                bits &= !(u64::MAX << (start % 64));
            }
            if bits != 0 {
                let bucket = word * 64 + bits.trailing_zeros() as usize;
                let ahead = (bucket + BUCKETS - start) % BUCKETS;
                return (self.cursor + ahead as u64) * TICK_MS;
            }
        }
        NEVER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expired(wheel: &mut Wheel, slots: &mut [Slot], now: u64) -> Vec<u32> {
        let mut out = Vec::new();
        wheel.expire(slots, now, &mut out);
        out
    }

    #[test]
    fn nothing_expires_early_and_everything_expires_once() {
        let mut slots = vec![Slot::VACANT; 300];
        let mut wheel = Wheel::new();
        // Spread over three rounds, in an order unlike the order of time.
        let dues: Vec<u64> = (0..300u64).map(|n| (n * 7919) % 50_000).collect();
        for (ix, due) in dues.iter().enumerate() {
            wheel.insert(&mut slots, u32::try_from(ix).unwrap(), *due);
        }
        let mut seen = vec![false; 300];
        while wheel.len() > 0 {
            let now = wheel.next_due();
            for ix in expired(&mut wheel, &mut slots, now) {
                let due = dues[ix as usize];
                assert!(now >= due && now < due + TICK_MS, "due {due}, came at {now}");
                assert!(!std::mem::replace(&mut seen[ix as usize], true));
            }
        }
        assert!(seen.iter().all(|seen| *seen));
        assert_eq!(wheel.next_due(), NEVER);
    }

    #[test]
    fn a_removed_object_does_not_expire_and_a_long_sleep_loses_nothing() {
        let mut slots = vec![Slot::VACANT; 3];
        let mut wheel = Wheel::new();
        wheel.insert(&mut slots, 0, 10);
        wheel.insert(&mut slots, 1, 10);
        wheel.insert(&mut slots, 2, 100_000);
        wheel.remove(&mut slots, 0);
        assert_eq!(expired(&mut wheel, &mut slots, 90_000), [1]);
        assert_eq!(expired(&mut wheel, &mut slots, 99_999), [] as [u32; 0]);
        assert_eq!(expired(&mut wheel, &mut slots, 250_000), [2]);
        // What is already past is due at the next tick, not a round later.
        let due = wheel.insert(&mut slots, 0, 5);
        assert!(due <= 250_000 + TICK_MS);
    }
}
