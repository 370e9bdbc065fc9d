//! Which events were seen, in memory: the newest exactly, all others as a filter that says "certainly
//! not" without reading. A new touch therefore costs no read; one that was sent again costs two.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use parking_lot::Mutex;

/// 2^24 bits, 2 MiB: one false alarm in 400 at a million events in the table, one in 20 at two and a half.
const FILTER_BITS: u64 = 1 << 24;
const PROBES: u32 = 4;

/// What memory knows of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hint {
    /// Never seen.
    New,
    /// Very probably in this entry.
    Recent(u64),
    /// Perhaps in the table.
    Perhaps,
}

struct Filter(Box<[u64]>);

impl Filter {
    fn new() -> Self {
        Self(vec![0; (FILTER_BITS / 64) as usize].into_boxed_slice())
    }
    fn places(id: u64) -> impl Iterator<Item = (usize, u64)> {
        // Double hashing (Kirsch and Mitzenmacher 2006): two halves of one hash make all probes.
        let step = id.rotate_left(32) | 1;
        (0..PROBES).map(move |n| {
            let bit = id.wrapping_add(step.wrapping_mul(u64::from(n))) % FILTER_BITS;
            ((bit / 64) as usize, 1 << (bit % 64))
        })
    }
    fn add(&mut self, id: u64) {
        for (word, bit) in Self::places(id) {
            self.0[word] |= bit;
        }
    }
    fn may_hold(&self, id: u64) -> bool {
        Self::places(id).all(|(word, bit)| self.0[word] & bit != 0)
    }
}

/// Shared by the writer, which adds, and the callers, who ask.
pub(super) struct Origins {
    hasher: RandomState,
    limit: usize,
    inner: Mutex<Inner>,
}

struct Inner {
    recent: HashMap<u64, u64>,
    order: VecDeque<(u64, u64)>,
    /// None until the first pass over the table: then everything that is not recent is "perhaps".
    filter: Option<Filter>,
    building: Option<Filter>,
}

impl Origins {
    pub(super) fn new(limit: usize) -> Self {
        let inner = Inner { recent: HashMap::new(), order: VecDeque::new(), filter: None, building: None };
        Self { hasher: RandomState::new(), limit, inner: Mutex::new(inner) }
    }
    /// The short name of a key of the table, for this run of the program only.
    pub(super) fn id(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }
    pub(super) fn hint(&self, id: u64) -> Hint {
        let inner = self.inner.lock();
        if let Some(&seq) = inner.recent.get(&id) {
            return Hint::Recent(seq);
        }
        match &inner.filter {
            Some(filter) if !filter.may_hold(id) => Hint::New,
            Some(_) | None => Hint::Perhaps,
        }
    }
    /// These are durable now.
    pub(super) fn add(&self, all: impl Iterator<Item = (u64, u64)>) {
        let mut guard = self.inner.lock();
        let Inner { recent, order, filter, building } = &mut *guard;
        for (id, seq) in all {
            if let Some(filter) = filter {
                filter.add(id);
            }
            if let Some(filter) = building {
                filter.add(id);
            }
            recent.insert(id, seq);
            order.push_back((id, seq));
            if order.len() > self.limit
                && let Some((id, seq)) = order.pop_front()
                && recent.get(&id) == Some(&seq)
            {
                recent.remove(&id);
            }
        }
    }
    /// A pass over the table begins: from now on a second filter is filled.
    pub(super) fn begin_pass(&self) {
        let mut fresh = Filter::new();
        let mut inner = self.inner.lock();
        for &(id, _) in &inner.order {
            fresh.add(id);
        }
        inner.building = Some(fresh);
    }
    pub(super) fn pass(&self, ids: impl Iterator<Item = u64>) {
        if let Some(filter) = &mut self.inner.lock().building {
            ids.for_each(|id| filter.add(id));
        }
    }
    /// The pass saw every row: the new filter takes over.
    pub(super) fn end_pass(&self) {
        let mut inner = self.inner.lock();
        if let Some(filter) = inner.building.take() {
            inner.filter = Some(filter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_is_known_as_new_only_after_a_pass() {
        let origins = Origins::new(2);
        let ids: Vec<u64> = (0..4u8).map(|n| origins.id(&[n])).collect();
        assert_eq!(origins.hint(ids[0]), Hint::Perhaps);
        origins.add([(ids[0], 1), (ids[1], 2)].into_iter());
        origins.begin_pass();
        origins.add([(ids[2], 3)].into_iter());
        origins.end_pass();
        assert_eq!(origins.hint(ids[0]), Hint::Perhaps, "forgotten as recent, kept by the filter");
        assert_eq!(origins.hint(ids[1]), Hint::Recent(2));
        assert_eq!(origins.hint(ids[2]), Hint::Recent(3));
        assert_eq!(origins.hint(ids[3]), Hint::New);
    }

    #[test]
    fn the_filter_rarely_cries_wolf() {
        let origins = Origins::new(1);
        origins.begin_pass();
        origins.pass((0..200_000u32).map(|n| origins.id(&n.to_le_bytes())));
        origins.end_pass();
        assert!((0..200_000u32).all(|n| origins.hint(origins.id(&n.to_le_bytes())) == Hint::Perhaps));
        let false_alarms = (200_000..400_000u32)
            .filter(|n| origins.hint(origins.id(&n.to_le_bytes())) == Hint::Perhaps)
            .count();
        assert!(false_alarms < 200, "{false_alarms} of 200,000");
    }
}
