//! Which events were taken already: a window of fixed size over (boot, number).

use std::collections::VecDeque;

/// A board has at most 4 events out unanswered; sixteen times as many are remembered.
const WINDOW: usize = 64;

/// The events taken last.
#[derive(Debug, Default)]
pub(super) struct Seen {
    keys: VecDeque<(u16, u16)>,
}

impl Seen {
    /// Whether this event was taken already.
    pub(super) fn contains(&self, boot: u16, seq: u16) -> bool {
        self.keys.contains(&(boot, seq))
    }

    /// Remembers it, and forgets the oldest when the window is full.
    pub(super) fn insert(&mut self, boot: u16, seq: u16) {
        if self.keys.len() == WINDOW {
            self.keys.pop_front();
        }
        self.keys.push_back((boot, seq));
    }

    /// Forgets all: another board came.
    pub(super) fn clear(&mut self) {
        self.keys.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_bounded_and_forgets_the_oldest() {
        let mut seen = Seen::default();
        for seq in 1..=100 {
            seen.insert(7, seq);
        }
        assert_eq!(seen.keys.len(), WINDOW);
        assert!(!seen.contains(7, 36) && seen.contains(7, 37) && seen.contains(7, 100));
        assert!(!seen.contains(8, 100), "another boot is another event");
    }
}
