//! A request under way: its number, when it is sent again, and when its sender stops waiting.

use std::time::{Duration, Instant};

/// The first repetition of an unanswered request; each later one waits twice as long.
pub(super) const RESEND_FIRST: Duration = Duration::from_millis(60);
/// The longest pause between two repetitions.
pub(super) const RESEND_MOST: Duration = Duration::from_millis(500);

/// Names a request to the one who made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub(super) u64);

/// When a request goes out.
#[derive(Debug, Clone)]
pub(super) struct Sending {
    /// Its number; 0 while it was never sent.
    pub(super) seq: u16,
    /// When it is to be sent, for the first time or again.
    pub(super) due: Instant,
    pause: Duration,
    /// When its sender stops waiting; `None` for what is wanted as long as the session lives.
    pub(super) expires: Option<Instant>,
}

impl Sending {
    /// To be sent at once.
    pub(super) fn new(now: Instant, expires: Option<Instant>) -> Self {
        Self { seq: 0, due: now, pause: RESEND_FIRST, expires }
    }

    /// It was written: the next time is later, and the pause after that is longer.
    pub(super) fn written(&mut self, now: Instant) {
        self.due = now + self.pause;
        self.pause = (self.pause * 2).min(RESEND_MOST);
    }

    /// To be sent as if for the first time, under a new number: the board starts afresh or was busy.
    pub(super) fn renew(&mut self, due: Instant) {
        (self.seq, self.due, self.pause) = (0, due, RESEND_FIRST);
    }

    /// Whether its sender has stopped waiting.
    pub(super) fn expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}
