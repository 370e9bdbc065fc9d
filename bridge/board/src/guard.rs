//! What stands between a reader and an intent: one showing is one intent, a badge that is refused again
//! and again is locked out for a while. Pure: time comes from the caller, memory is bounded.

use std::collections::HashMap;

use smol_str::SmolStr;

use crate::core::Ms;

/// Badges remembered per board. The one not seen for longest makes room.
const REMEMBERED: usize = 512;

/// The rules of one reader.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) debounce_ms: u64,
    pub(crate) denials: u32,
    pub(crate) lockout_ms: u64,
}

/// What becomes of a badge that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Showing {
    /// It is asked for.
    Asks,
    /// It is still the same showing.
    Same,
    /// It is locked out for so many more milliseconds.
    LockedOut(u64),
}

#[derive(Debug, Default)]
struct Seen {
    last: Ms,
    denials: u32,
    locked_until: Ms,
}

/// What is remembered of badges at readers, by reader and actor.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    seen: HashMap<(u8, SmolStr), Seen>,
}

impl Guard {
    /// A badge is at a reader. A card that stays there is one showing: each look renews the pause.
    pub(crate) fn shown(&mut self, now: Ms, reader: u8, who: &SmolStr, rules: Rules) -> Showing {
        let key = (reader, who.clone());
        if let Some(seen) = self.seen.get_mut(&key) {
            let pause = now.saturating_sub(seen.last);
            seen.last = now;
            if pause < rules.debounce_ms {
                return Showing::Same;
            }
            if now < seen.locked_until {
                return Showing::LockedOut(seen.locked_until - now);
            }
            return Showing::Asks;
        }
        if self.seen.len() >= REMEMBERED
            && let Some(oldest) =
                self.seen.iter().min_by_key(|(_, seen)| seen.last).map(|(key, _)| key.clone())
        {
            self.seen.remove(&oldest);
        }
        self.seen.insert(key, Seen { last: now, ..Seen::default() });
        Showing::Asks
    }

    /// What policy said to it. True when this denial locks the badge out.
    pub(crate) fn decided(&mut self, now: Ms, reader: u8, who: &SmolStr, denied: bool, rules: Rules) -> bool {
        let Some(seen) = self.seen.get_mut(&(reader, who.clone())) else { return false };
        if !denied {
            seen.denials = 0;
            return false;
        }
        seen.denials += 1;
        if seen.denials < rules.denials {
            return false;
        }
        seen.denials = 0;
        seen.locked_until = now + rules.lockout_ms;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { debounce_ms: 1000, denials: 5, lockout_ms: 60_000 };

    #[test]
    fn a_card_left_on_the_reader_is_one_showing() {
        let (mut guard, ada) = (Guard::default(), SmolStr::new("ada"));
        assert_eq!(guard.shown(0, 0, &ada, RULES), Showing::Asks);
        for at in (100..5000).step_by(100) {
            assert_eq!(guard.shown(at, 0, &ada, RULES), Showing::Same);
        }
        assert_eq!(guard.shown(5000, 1, &ada, RULES), Showing::Asks, "another reader is another place");
        assert_eq!(guard.shown(5899, 0, &ada, RULES), Showing::Same);
        assert_eq!(guard.shown(6899, 0, &ada, RULES), Showing::Asks);
    }

    #[test]
    fn the_fifth_denial_in_a_row_locks_out_for_a_minute_and_only_that_badge() {
        let (mut guard, eve) = (Guard::default(), SmolStr::new("eve"));
        for n in 0..5 {
            assert_eq!(guard.shown(n * 2000, 0, &eve, RULES), Showing::Asks);
            assert_eq!(guard.decided(n * 2000, 0, &eve, true, RULES), n == 4);
        }
        assert_eq!(guard.shown(10_000, 0, &eve, RULES), Showing::LockedOut(58_000));
        assert_eq!(guard.shown(10_000, 0, &"ada".into(), RULES), Showing::Asks);
        assert_eq!(guard.shown(68_001, 0, &eve, RULES), Showing::Asks, "until the minute is over");
    }

    #[test]
    fn a_permit_in_between_forgives() {
        let (mut guard, ada) = (Guard::default(), SmolStr::new("ada"));
        for n in 0..20 {
            assert_eq!(guard.shown(n * 2000, 0, &ada, RULES), Showing::Asks);
            assert!(!guard.decided(n * 2000, 0, &ada, n % 4 != 0, RULES));
        }
    }

    #[test]
    fn a_flood_of_invented_badges_takes_bounded_memory() {
        let mut guard = Guard::default();
        for n in 0..10_000u64 {
            guard.shown(n, 0, &SmolStr::new(format!("unknown-{n:08x}")), RULES);
        }
        assert_eq!(guard.seen.len(), REMEMBERED);
    }
}
