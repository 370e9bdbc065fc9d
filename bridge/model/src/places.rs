//! A table that grows while it is in use: entries never move, so a borrowed one stays where it is.

use std::ops::Index;
use std::sync::OnceLock;

/// Entries in the first part that is added.
const STEP: usize = 64;
/// Parts that can be added, each twice as large as the one before: more than there are numbers for.
const PARTS: usize = 26;

/// Entries by place. Those that it was made with lie in one piece and cost nothing besides; those that come
/// later cost at most as much again. Looking one up takes no lock.
///
/// ```
/// use primrack_model::Places;
/// let places = Places::new(2, || 7);
/// places.grow(100, || 8);
/// assert_eq!((places[1], places[2], places[99]), (7, 8, 8));
/// ```
#[derive(Debug)]
pub struct Places<T> {
    first: Box<[T]>,
    more: [OnceLock<Box<[T]>>; PARTS],
}

impl<T> Places<T> {
    /// With so many entries.
    #[must_use]
    pub fn new(count: usize, make: impl Fn() -> T) -> Self {
        Self { first: (0..count).map(|_| make()).collect(), more: Default::default() }
    }
    /// Adds entries until there are at least so many. What is there stays as it is.
    pub fn grow(&self, count: usize, make: impl Fn() -> T) {
        let mut have = self.first.len();
        for (at, part) in self.more.iter().enumerate() {
            if have >= count {
                return;
            }
            let size = STEP << at;
            part.get_or_init(|| (0..size).map(|_| make()).collect());
            have += size;
        }
    }
    /// The entry at a place.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<&T> {
        let Some(rest) = at.checked_sub(self.first.len()) else { return Some(&self.first[at]) };
        let part = (rest / STEP + 1).ilog2() as usize;
        self.more.get(part)?.get()?.get(rest - STEP * ((1 << part) - 1))
    }
}

impl<T> Index<usize> for Places<T> {
    type Output = T;

    /// # Panics
    /// Where nothing was grown yet.
    fn index(&self, at: usize) -> &T {
        self.get(at).unwrap_or_else(|| panic!("place {at} was never made"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn every_place_is_another_entry_and_stays_the_same_one() {
        let next = AtomicUsize::new(0);
        let make = || next.fetch_add(1, Ordering::Relaxed);
        let places = Places::new(3, make);
        let early = &places[2];
        for count in [4, 67, 68, 300, 1000] {
            places.grow(count, make);
            assert!(places.get(count - 1).is_some(), "{count}");
        }
        let all: Vec<usize> = (0..1000).map(|at| places[at]).collect();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
        assert_eq!(*early, 2);
        assert!(places.get(1_000_000).is_none());
        assert!(Places::new(0, || 0).get(0).is_none());
    }
}
