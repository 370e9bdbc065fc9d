//! One server: its queue, how much of it may be in flight, and the breaker that leaves it alone.

use std::sync::Arc;

use super::callback::Origin;
use super::settings::DeliverySettings;
use super::slots::List;

/// Objects whose host is not known yet stand here until they have been composed once.
pub(super) const UNROUTED: u32 = 0;

/// Posts in flight at a host that has not answered yet.
const UNPROVEN: u32 = 2;

/// One host in four goes to a suspect while both kinds wait.
const SUSPECT_TURN: u8 = 4;

#[derive(Debug)]
pub(super) struct Host<L> {
    /// `None` for [`UNROUTED`] and for entries that are free.
    pub(super) origin: Option<Arc<Origin>>,
    /// Objects that point here.
    pub(super) refs: u32,
    pub(super) ready: List,
    pub(super) suspects: List,
    pub(super) ordinary: u32,
    pub(super) slow: u32,
    pub(super) suspects_out: u32,
    /// Answered since it was first met or its breaker last opened. A single failure does not undo
    /// this: the lower limit would then be taken up by posts that are already waiting.
    pub(super) proven: bool,
    /// The one post that asks an open breaker's host is out.
    pub(super) probing: bool,
    pub(super) fails: u32,
    /// The breaker: `Some` is open until then, afterwards one probe at a time.
    pub(super) open_until: Option<u64>,
    pub(super) cool: u64,
    pub(super) in_ring: bool,
    turn: u8,
    /// Idle connections, the latest last, with the time each came back.
    pub(super) lines: Vec<(L, u64)>,
}

/// Which list of a host is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pick {
    Ready,
    Suspect,
}

impl<L> Host<L> {
    pub(super) fn new(origin: Option<Arc<Origin>>) -> Self {
        Self {
            origin,
            refs: 0,
            ready: List::EMPTY,
            suspects: List::EMPTY,
            ordinary: 0,
            slow: 0,
            suspects_out: 0,
            proven: false,
            probing: false,
            fails: 0,
            open_until: None,
            cool: 0,
            in_ring: false,
            turn: 0,
            lines: Vec::new(),
        }
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.ordinary + self.slow
    }

    /// Whether one more post may start.
    pub(super) fn has_room(&self, settings: &DeliverySettings, now: u64) -> bool {
        if self.origin.is_none() {
            return true;
        }
        let most = settings.per_host + settings.per_host_slow;
        match self.open_until {
            Some(until) if now < until => return false,
            // Posts still waiting from before it opened must not keep the probe out.
            Some(_) => return !self.probing && self.in_flight() < most,
            None => {}
        }
        let limit = if self.proven { settings.per_host } else { settings.per_host.min(UNPROVEN) };
        self.ordinary < limit && self.in_flight() < limit + settings.per_host_slow
    }

    /// What may start now, healthy objects first, suspects now and then.
    pub(super) fn choose(
        &self,
        settings: &DeliverySettings,
        suspects_allowed: bool,
        now: u64,
    ) -> Option<Pick> {
        if !self.has_room(settings, now) {
            return None;
        }
        let suspect =
            suspects_allowed && !self.suspects.is_empty() && self.suspects_out < settings.per_host_suspect;
        let ready = !self.ready.is_empty();
        match (ready, suspect) {
            (true, true) if self.turn.is_multiple_of(SUSPECT_TURN) && self.open_until.is_none() => {
                Some(Pick::Suspect)
            }
            (true, _) => Some(Pick::Ready),
            (false, true) => Some(Pick::Suspect),
            (false, false) => None,
        }
    }

    pub(super) fn took_turn(&mut self) {
        self.turn = self.turn.wrapping_add(1);
    }
}
