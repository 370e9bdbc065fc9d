//! From the processor time that a container has used to its share of a processor.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How many containers are remembered; beyond it all are forgotten and measured anew.
const KEPT: usize = 20_000;
/// Looks closer to each other than this would measure the clock.
const SHORTEST: Duration = Duration::from_millis(200);

/// The figures of the last look at each container.
#[derive(Debug, Default)]
pub(crate) struct Shares(Mutex<HashMap<String, Last>>);

#[derive(Debug, Clone, Copy)]
struct Last {
    at: Instant,
    used: u64,
    share: Option<f32>,
}

impl Shares {
    /// The share since the last look, in processors; at the first look the mean since it began, where
    /// `age` is known. `used` is in nanoseconds and begins anew with each start.
    pub(crate) fn of(&self, id: &str, used: u64, age: Option<Duration>) -> Option<f32> {
        let now = Instant::now();
        let mut known = self.0.lock();
        let share = match known.get(id) {
            Some(last) if used >= last.used && now - last.at < SHORTEST => return last.share,
            Some(last) if used >= last.used => Some(share(used - last.used, now - last.at)),
            Some(_) | None => age.filter(|age| *age >= SHORTEST).map(|age| share(used, age)),
        };
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(id.to_owned(), Last { at: now, used, share });
        share
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a share for people")]
fn share(used: u64, during: Duration) -> f32 {
    (used as f64 / 1e9 / during.as_secs_f64()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_look_gives_the_mean_and_no_look_a_guess() {
        let shares = Shares::default();
        assert_eq!(shares.of("b", 1_000_000_000, None), None);
        assert_eq!(shares.of("a", 1_000_000_000, Some(Duration::from_secs(4))), Some(0.25));
        // At once again: the last figure.
        assert_eq!(shares.of("a", 1_000_000_001, None), Some(0.25));
        // Started anew: what it used is less than before.
        assert_eq!(shares.of("a", 500_000_000, Some(Duration::from_secs(1))), Some(0.5));
    }
}
