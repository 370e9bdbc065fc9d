//! An alarm that latches: it sounds until somebody acknowledges it, stays silent until its cause is gone
//! for a while, and never starts again by itself for the same cause.
//!
//! ```text
//!            cause                    acknowledged
//!   Quiet ───────────▶ Sounding ─────────────────────▶ Acknowledged ──gone for settle_ms──▶ Quiet
//!     ▲                   │ ▲ the cause may come and go                 │ ▲ comes back: still silent
//!     └───────────────────┘ acknowledged, and the cause is long gone    └─┘
//! ```

use primrack_model::Power;
use serde::{Deserialize, Serialize};

use crate::config::AlarmSource;
use crate::core::Ms;

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    #[default]
    Quiet,
    Sounding,
    Acknowledged,
}

impl Phase {
    pub(crate) fn power(self) -> Power {
        match self {
            Self::Quiet => Power::Off,
            Self::Sounding => Power::On,
            Self::Acknowledged => Power::Paused,
        }
    }
}

/// One alarm.
#[derive(Debug)]
pub(crate) struct Alarm {
    pub(crate) source: AlarmSource,
    settle_ms: u64,
    pub(crate) phase: Phase,
    /// Whether the cause is there now.
    cause: bool,
    /// Since when it is not.
    gone_since: Ms,
    /// The last value of its sensor.
    pub(crate) value: Option<u16>,
}

impl Alarm {
    pub(crate) fn new(source: AlarmSource, settle_ms: u64, phase: Phase) -> Self {
        Self { source, settle_ms, phase, cause: false, gone_since: 0, value: None }
    }

    /// A value of its sensor. True when the phase changed.
    pub(crate) fn sensed(&mut self, now: Ms, value: u16) -> bool {
        let AlarmSource::Sensor { limit, clear, above, .. } = self.source else { return false };
        self.value = Some(value);
        let (raises, clears) =
            if above { (value > limit, value <= clear) } else { (value < limit, value >= clear) };
        // Between the two it stays what it was.
        let cause = raises || (self.cause && !clears);
        self.caused(now, cause)
    }

    /// Whether the cause is there. True when the phase changed.
    pub(crate) fn caused(&mut self, now: Ms, cause: bool) -> bool {
        let appeared = cause && !self.cause;
        if self.cause && !cause {
            self.gone_since = now;
        }
        self.cause = cause;
        let raised = appeared && self.phase == Phase::Quiet;
        if raised {
            self.phase = Phase::Sounding;
        }
        raised | self.settled(now)
    }

    /// Somebody raises it. False when it is not quiet.
    pub(crate) fn raise(&mut self, now: Ms) -> bool {
        let quiet = self.phase == Phase::Quiet;
        if quiet {
            self.phase = Phase::Sounding;
            self.gone_since = now;
        }
        quiet
    }

    /// Somebody acknowledges it. False when it does not sound.
    pub(crate) fn acknowledge(&mut self) -> bool {
        let sounds = self.phase == Phase::Sounding;
        if sounds {
            self.phase = Phase::Acknowledged;
        }
        sounds
    }

    /// Whether it has become quiet by now.
    pub(crate) fn settled(&mut self, now: Ms) -> bool {
        let over = self.phase == Phase::Acknowledged
            && !self.cause
            && now.saturating_sub(self.gone_since) >= self.settle_ms;
        if over {
            self.phase = Phase::Quiet;
        }
        over
    }

    /// When [`Self::settled`] is to be asked.
    pub(crate) fn due(&self) -> Option<Ms> {
        (self.phase == Phase::Acknowledged && !self.cause).then(|| self.gone_since + self.settle_ms)
    }

    /// What it says of itself.
    pub(crate) fn detail(&self) -> String {
        let gone = match (self.phase, self.cause) {
            (Phase::Sounding, false) => "the cause is gone, nobody has acknowledged it",
            _ => "",
        };
        match (&self.source, self.value) {
            (AlarmSource::Sensor { limit, .. }, Some(value)) => {
                let dot = if gone.is_empty() { "" } else { "; " };
                format!("{value}, limit {limit}{dot}{gone}")
            }
            _ => gone.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heat() -> Alarm {
        let source = AlarmSource::Sensor { index: 0, limit: 700, clear: 650, above: true };
        Alarm::new(source, 5000, Phase::Quiet)
    }

    #[test]
    fn a_limit_has_a_hysteresis() {
        let mut alarm = heat();
        assert!(!alarm.sensed(0, 700));
        assert!(alarm.sensed(1, 701));
        assert!(alarm.acknowledge());
        for at in 2..100 {
            assert!(
                !alarm.sensed(at * 1000, if at % 2 == 0 { 651 } else { 702 }),
                "between the two nothing ends"
            );
        }
        assert_eq!(alarm.phase, Phase::Acknowledged);
        assert!(!alarm.sensed(200_000, 650));
        assert_eq!(alarm.due(), Some(205_000));
        assert!(alarm.settled(205_000));
        assert!(alarm.sensed(206_000, 800), "a new excess is a new cause");
    }

    #[test]
    fn it_sounds_until_somebody_acknowledges_even_if_the_cause_is_gone() {
        let mut alarm = heat();
        alarm.sensed(0, 900);
        alarm.sensed(1, 0);
        assert!(!alarm.settled(1_000_000));
        assert_eq!(alarm.phase, Phase::Sounding);
        assert!(alarm.detail().contains("the cause is gone"));
        assert!(alarm.acknowledge() && !alarm.acknowledge());
        assert!(alarm.settled(1_000_000), "acknowledged and long gone: quiet");
    }

    #[test]
    fn it_never_starts_again_by_itself_for_the_same_cause() {
        let mut alarm = heat();
        alarm.sensed(0, 900);
        alarm.acknowledge();
        for at in (0..200_000).step_by(4000) {
            assert!(!alarm.sensed(at, 600), "gone, but not for long enough");
            assert!(!alarm.sensed(at + 3999, 900), "and back");
            assert_eq!(alarm.phase, Phase::Acknowledged);
        }
    }

    #[test]
    fn low_limits_work_the_other_way_round() {
        let source = AlarmSource::Sensor { index: 0, limit: 100, clear: 120, above: false };
        let mut alarm = Alarm::new(source, 0, Phase::Quiet);
        assert!(!alarm.sensed(0, 100));
        assert!(alarm.sensed(1, 99));
        alarm.acknowledge();
        assert!(!alarm.sensed(2, 119));
        assert!(alarm.sensed(3, 120));
    }

    #[test]
    fn what_a_restart_finds_latched_stays_latched() {
        let mut alarm = Alarm::new(AlarmSource::Hand, 5000, Phase::Sounding);
        assert!(!alarm.raise(0));
        assert!(alarm.acknowledge());
        assert!(alarm.settled(10_000));
        assert!(alarm.raise(10_001));
    }
}
