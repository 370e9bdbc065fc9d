//! What each grid grants, and its throttles. Figures: measured on OpenSimulator 0.9.2.2, read in its source and in Linden
//! Lab's documentation.

use crate::clock::{Micros, micros};
use primrack_lsl::Profile;
use std::collections::{HashMap, VecDeque};
use uuid::Uuid;

/// A grid's numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Seconds until a script's call is given up.
    pub(crate) out_timeout: f64,
    /// Calls at once; on Second Life no figure is known, this one keeps the region within its descriptors.
    pub(crate) out_parallel: usize,
    /// Seconds until a request to a script is given up.
    pub(crate) in_timeout: f64,
    /// Bytes of a request body that a script gets.
    pub(crate) in_body: usize,
    /// URLs in the region.
    pub(crate) urls: usize,
    /// Listens of one script.
    pub(crate) listens: usize,
    /// Bytes of a notecard line.
    pub(crate) notecard_line: usize,
    /// Bytes of hover text.
    pub(crate) text: usize,
}

impl Limits {
    pub(crate) const fn of(profile: Profile) -> Self {
        if profile.is_opensim() {
            Self {
                out_timeout: 30.0,
                out_parallel: 8,
                in_timeout: 25.0,
                // No limit was seen; this bounds the region's memory.
                in_body: 1 << 20,
                urls: 100,
                listens: 64,
                notecard_line: if matches!(profile, Profile::OpenSim092) { 255 } else { 1024 },
                text: 254,
            }
        } else {
            Self {
                out_timeout: 60.0,
                out_parallel: 256,
                in_timeout: 25.0,
                in_body: 2048,
                urls: 15_000,
                listens: 65,
                notecard_line: 1024,
                text: 254,
            }
        }
    }
}

/// Who may call out now.
#[derive(Debug)]
pub(crate) struct Throttles {
    linden: bool,
    objects: HashMap<Uuid, Gate>,
    owners: HashMap<Uuid, Gate>,
}

#[derive(Debug)]
enum Gate {
    /// So many within a window; once closed, opens only after silence.
    Window { times: VecDeque<Micros>, closed_at: Option<Micros> },
    /// Tokens that come back, as OpenSimulator counts them (`HttpRequestModule.CheckThrottle`): whatever is left of one is
    /// enough for a call, and a bucket that overflows has one less than it holds.
    Bucket { tokens: f64, at: Micros },
}

const WINDOW: f64 = 20.0;
/// A throttled object has to be silent for so long.
const SILENCE: f64 = 40.0;

struct Rate {
    window: usize,
    /// Tokens before the first call. OpenSimulator gives an owner the burst of an object at first.
    first: f64,
    burst: f64,
    per_second: f64,
}

const OBJECT: Rate = Rate { window: 25, first: 3.0, burst: 3.0, per_second: 1.0 };
const OWNER: Rate = Rate { window: 1000, first: 3.0, burst: 5.0, per_second: 25.0 };

impl Throttles {
    pub(crate) fn new(profile: Profile) -> Self {
        Self { linden: !profile.is_opensim(), objects: HashMap::new(), owners: HashMap::new() }
    }

    /// Whether that object of that owner may call now; a yes is counted.
    pub(crate) fn take(&mut self, object: Uuid, owner: Uuid, now: Micros) -> bool {
        let linden = self.linden;
        let Self { objects, owners, .. } = self;
        if objects.len() > 4096 {
            // Objects that are gone.
            objects.retain(|_, g| g.is_used(now));
        }
        objects.entry(object).or_insert_with(|| Gate::new(linden, &OBJECT, now)).take(&OBJECT, now)
            && owners.entry(owner).or_insert_with(|| Gate::new(linden, &OWNER, now)).take(&OWNER, now)
    }
}

impl Gate {
    fn new(linden: bool, rate: &Rate, now: Micros) -> Self {
        if linden {
            Self::Window { times: VecDeque::new(), closed_at: None }
        } else {
            Self::Bucket { tokens: rate.first, at: now }
        }
    }

    fn is_used(&self, now: Micros) -> bool {
        match self {
            Self::Window { times, closed_at } => {
                times.back().copied().max(*closed_at).is_some_and(|t| now - t < micros(SILENCE))
            }
            Self::Bucket { at, .. } => now - at < micros(SILENCE),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a difference of microseconds")]
    fn take(&mut self, rate: &Rate, now: Micros) -> bool {
        match self {
            Self::Window { times, closed_at } => {
                if let Some(last) = closed_at {
                    if now - *last < micros(SILENCE) {
                        // Asking again begins the silence anew.
                        *last = now;
                        return false;
                    }
                    *closed_at = None;
                    times.clear();
                }
                while times.front().is_some_and(|t| now - t >= micros(WINDOW)) {
                    times.pop_front();
                }
                if times.len() >= rate.window {
                    *closed_at = Some(now);
                    return false;
                }
                times.push_back(now);
                true
            }
            Self::Bucket { tokens, at } => {
                *tokens = (*tokens + (now - *at) as f64 / 1e6 * rate.per_second).min(rate.burst);
                *at = now;
                if *tokens <= 0.0 {
                    return false;
                }
                *tokens -= 1.0;
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Micros = 1_000_000;

    #[test]
    fn second_life_grants_25_in_20_s_and_wants_40_s_of_silence_after_the_26th() {
        let mut t = Throttles::new(Profile::SecondLife);
        let (object, owner) = (Uuid::from_u128(1), Uuid::from_u128(2));
        for i in 0..25 {
            assert!(t.take(object, owner, i * S / 10), "call {i}");
        }
        assert!(!t.take(object, owner, 3 * S));
        assert!(!t.take(object, owner, 30 * S), "the window is over, the silence is not");
        assert!(!t.take(object, owner, 65 * S), "asking at 30 s began it anew");
        assert!(t.take(object, owner, 106 * S));
        assert!(t.take(Uuid::from_u128(9), owner, 106 * S), "another object is not meant");
    }

    #[test]
    fn second_life_grants_an_owner_1000_in_20_s() {
        let mut t = Throttles::new(Profile::SecondLife);
        let granted = (0..60_u128)
            .flat_map(|o| std::iter::repeat_n(o, 20))
            .filter(|o| t.take(Uuid::from_u128(*o), Uuid::from_u128(7000), S))
            .count();
        assert_eq!(granted, 1000);
    }

    #[test]
    fn opensim_grants_a_burst_of_three_then_one_a_second() {
        let mut t = Throttles::new(Profile::OpenSim092);
        let (object, owner) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let granted = (0..10).filter(|_| t.take(object, owner, 0)).count();
        assert_eq!(granted, 3);
        let granted = (0..100).filter(|i| t.take(object, owner, S + i * S / 10)).count();
        assert!((10..=11).contains(&granted), "{granted} in ten seconds");
    }

    #[test]
    fn opensim_grants_an_owner_a_burst_of_five_then_25_a_second() {
        let mut t = Throttles::new(Profile::OpenSimMaster);
        let owner = Uuid::from_u128(7000);
        let mut at_once =
            |from: u128, now| (from..from + 100).filter(|o| t.take(Uuid::from_u128(*o), owner, now)).count();
        assert_eq!(at_once(0, 0), 3, "the first time it is an object's burst");
        assert_eq!(at_once(100, S), 5);
        let granted = (0..1000)
            .filter(|o| t.take(Uuid::from_u128(1000 + u128::from(*o)), owner, 2 * S + o * S / 1000))
            .count();
        assert!((25..=31).contains(&granted), "{granted} in a second");
    }
}
