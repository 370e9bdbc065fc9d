//! What a machine was asked for last, next to what its controller says of it.
//!
//! A controller's "taken" is not "done", and between the two it says only On or Off. So a soft off shows
//! as Stopping until the machine is off or the command's deadline has passed, and a reset shows as
//! Starting for a moment, since nothing tells when the machine is up again.

use std::time::{Duration, Instant};

use primrack_model::{Cause, Observation, Power};

/// How long a reset machine shows as Starting where its controller goes on to say On.
const SETTLING: Duration = Duration::from_secs(3);

/// What it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// To end in its own way.
    SoftOff,
    /// To end at once.
    HardOff,
    /// To end in its own way, and to be switched on again by the adapter.
    ComeBack,
    /// To restart in its own way, by its controller, which does not tell when.
    Restart,
    /// The reset button.
    Reset,
}

/// The last thing asked for, until the machine's state explains itself.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    last: Option<(How, Instant)>,
    /// It has been seen off since.
    ended: bool,
}

impl Asked {
    /// The controller took an order. `deadline_ms` is the command's.
    pub(crate) fn set(&mut self, how: How, deadline_ms: u64, now: Instant) {
        let patience = match how {
            How::Reset => SETTLING,
            How::SoftOff | How::HardOff | How::ComeBack | How::Restart => Duration::from_millis(deadline_ms),
        };
        // Far enough away for any deadline, and never beyond what a clock can hold.
        let patience = patience.min(Duration::from_secs(24 * 3600));
        *self = Self { last: Some((how, now + patience)), ended: false };
    }

    /// Something else was asked for: what was before no longer explains anything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// It waits to be switched on again.
    pub(crate) fn comes_back(&self, now: Instant) -> bool {
        matches!(self.last, Some((How::ComeBack, until)) if now < until)
    }

    /// The controller tells that the machine really restarted.
    pub(crate) fn restarted(&mut self, now: Instant) {
        if matches!(self.last, Some((How::Restart, _))) {
            *self = Self { last: Some((How::Reset, now + SETTLING)), ended: false };
        }
    }

    /// What the controller says, with what is known of why.
    pub(crate) fn explain(&mut self, seen: Observation, now: Instant) -> Observation {
        let Some((how, until)) = self.last else { return seen };
        let waits = now < until;
        match (seen.power, how) {
            (Power::Off, How::ComeBack) => {
                self.ended = true;
                let words = if waits { "to be switched on again" } else { "not switched on again" };
                told(Observation { cause: Some(Cause::Operator), ..seen }, words)
            }
            (Power::Off, How::SoftOff | How::HardOff) => {
                self.ended = true;
                Observation { cause: Some(Cause::Operator), ..seen }
            }
            // Whoever switched it on: what was asked for before is over.
            (Power::On | Power::Starting, _) if self.ended => {
                self.clear();
                seen
            }
            (Power::On, How::SoftOff | How::ComeBack) if waits => {
                Observation { power: Power::Stopping, ..seen }
            }
            (Power::On, How::SoftOff | How::ComeBack) => told(seen, "asked to end, goes on"),
            (Power::On, How::Restart) if waits => told(seen, "asked to restart"),
            (Power::On, How::Restart) => told(seen, "asked to restart, nothing tells whether it did"),
            (Power::On, How::Reset) if waits => {
                told(Observation { power: Power::Starting, ..seen }, "was reset")
            }
            (Power::On, How::HardOff) if waits => seen,
            (Power::On, How::Reset | How::HardOff) => {
                self.clear();
                seen
            }
            _ => seen,
        }
    }
}

/// The same with words before those that are there.
pub(crate) fn told(seen: Observation, words: &str) -> Observation {
    if seen.detail.is_empty() {
        return seen.with_detail(words);
    }
    let both = format!("{words}; {}", seen.detail);
    seen.with_detail(both)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(asked: &mut Asked, power: Power, now: Instant) -> (Power, String) {
        let seen = asked.explain(Observation::of(power), now);
        (seen.power, seen.detail.to_string())
    }

    #[test]
    fn a_soft_off_that_is_ignored_shows_so_after_its_deadline() {
        let now = Instant::now();
        let mut asked = Asked::default();
        asked.set(How::SoftOff, 5_000, now);
        assert_eq!(shown(&mut asked, Power::On, now).0, Power::Stopping);
        let later = now + Duration::from_secs(6);
        assert_eq!(shown(&mut asked, Power::On, later), (Power::On, "asked to end, goes on".to_owned()));
        let off = asked.explain(Observation::of(Power::Off), later);
        assert_eq!((off.power, off.cause), (Power::Off, Some(Cause::Operator)), "late is not never");
        assert_eq!(shown(&mut asked, Power::On, later), (Power::On, String::new()), "by somebody else");
        assert_eq!(asked.explain(Observation::of(Power::Off), later).cause, None, "and off by somebody else");
    }

    #[test]
    fn what_the_controller_does_not_know_is_not_made_up() {
        let now = Instant::now();
        let mut asked = Asked::default();
        asked.set(How::SoftOff, u64::MAX, now);
        assert_eq!(shown(&mut asked, Power::Unknown, now).0, Power::Unknown);
        asked.set(How::Restart, 5_000, now);
        assert_eq!(shown(&mut asked, Power::On, now), (Power::On, "asked to restart".to_owned()));
        asked.restarted(now);
        assert_eq!(shown(&mut asked, Power::On, now), (Power::Starting, "was reset".to_owned()));
        let later = now + Duration::from_secs(4);
        assert_eq!(shown(&mut asked, Power::On, later), (Power::On, String::new()));
        asked.set(How::HardOff, 5_000, now);
        assert_eq!(shown(&mut asked, Power::On, now).0, Power::On, "taken is not done");
    }
}
