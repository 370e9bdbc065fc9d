//! Flow control: never more bytes under way than the board's receive buffer holds.

use std::time::{Duration, Instant};

/// A frame that wants no answer counts for so long after it was written (contract, section 7).
const UNANSWERED: Duration = Duration::from_millis(10);

#[derive(Debug)]
struct Flying {
    /// The number whose answer lands it; `None` when only time does.
    seq: Option<u16>,
    bytes: usize,
    lands: Option<Instant>,
}

/// What was written and may still stand in the board's buffer.
#[derive(Debug, Default)]
pub(super) struct Flight {
    /// Bounded by the buffer: every entry has bytes, and their sum never exceeds it.
    flying: Vec<Flying>,
}

impl Flight {
    /// Whether `bytes` more fit into `buffer`. A repeated request takes the place of its first sending.
    pub(super) fn has_room(&self, seq: Option<u16>, bytes: usize, buffer: usize) -> bool {
        let others: usize =
            self.flying.iter().filter(|one| seq.is_none() || one.seq != seq).map(|one| one.bytes).sum();
        others + bytes <= buffer
    }

    /// A request was written; it counts until it lands.
    pub(super) fn request(&mut self, seq: u16, bytes: usize) {
        self.flying.retain(|one| one.seq != Some(seq));
        self.flying.push(Flying { seq: Some(seq), bytes, lands: None });
    }

    /// A frame that wants no answer was written.
    pub(super) fn note(&mut self, bytes: usize, now: Instant) {
        self.flying.push(Flying { seq: None, bytes, lands: Some(now + UNANSWERED) });
    }

    /// The request was answered.
    pub(super) fn landed(&mut self, seq: u16) {
        self.flying.retain(|one| one.seq != Some(seq));
    }

    /// Nobody waits for this request's answer any more; it counts like a frame that wants none.
    pub(super) fn abandoned(&mut self, seq: u16, now: Instant) {
        for one in self.flying.iter_mut().filter(|one| one.seq == Some(seq)) {
            (one.seq, one.lands) = (None, Some(now + UNANSWERED));
        }
    }

    /// Lets land what time lands.
    pub(super) fn pass(&mut self, now: Instant) {
        self.flying.retain(|one| one.lands.is_none_or(|lands| lands > now));
    }

    /// When time makes room next.
    pub(super) fn next_landing(&self) -> Option<Instant> {
        self.flying.iter().filter_map(|one| one.lands).min()
    }

    /// The line is new: nothing is under way.
    pub(super) fn clear(&mut self) {
        self.flying.clear();
    }
}
