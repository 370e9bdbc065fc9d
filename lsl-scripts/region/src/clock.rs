//! The region's time: real for the demonstration, moved by hand in tests.

use crate::settings::ClockKind;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// Microseconds since the region started.
pub(crate) type Micros = u64;

/// Seconds as microseconds, rounded up so that nothing is early.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded below and above")]
pub(crate) fn micros(seconds: f64) -> Micros {
    if seconds.is_nan() { 0 } else { (seconds.clamp(0.0, 1e9) * 1e6).ceil() as Micros }
}

#[derive(Debug)]
pub(crate) struct Clock {
    kind: Kind,
    unix_at_start: f64,
}

#[derive(Debug)]
enum Kind {
    Real(Instant),
    Manual(Micros),
}

impl Clock {
    pub(crate) fn new(kind: ClockKind) -> Self {
        match kind {
            ClockKind::Real => {
                let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                Self { kind: Kind::Real(Instant::now()), unix_at_start: unix.as_secs_f64() }
            }
            ClockKind::Manual { unix } => Self { kind: Kind::Manual(0), unix_at_start: unix },
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "584,000 years of microseconds")]
    pub(crate) fn now(&self) -> Micros {
        match &self.kind {
            Kind::Real(start) => start.elapsed().as_micros() as Micros,
            Kind::Manual(now) => *now,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "microseconds of centuries fit 53 bits")]
    pub(crate) fn seconds(&self) -> f64 {
        self.now() as f64 / 1e6
    }

    pub(crate) fn unix(&self) -> f64 {
        self.unix_at_start + self.seconds()
    }

    /// When that moment is on tokio's clock; `None` when only a hand moves this clock.
    pub(crate) fn instant(&self, at: Micros) -> Option<Instant> {
        match &self.kind {
            Kind::Real(start) => Some(*start + Duration::from_micros(at)),
            Kind::Manual(_) => None,
        }
    }

    /// Moves a clock that is moved by hand; a real one does not care.
    pub(crate) fn set(&mut self, at: Micros) {
        if let Kind::Manual(now) = &mut self.kind {
            *now = (*now).max(at);
        }
    }
}
