//! What delivery has done and is doing.

use std::time::Duration;

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Calls of `wake`.
    pub wakes: u64,
    /// Wakes that joined a push already due or in flight.
    pub coalesced: u64,
    /// Wakes of objects whose URL is dead.
    pub ignored: u64,
    /// Registrations announced.
    pub resumed: u64,
    /// Posts sent, repeats included.
    pub posts: u64,
    /// Posts the registry accepted the answer of.
    pub delivered: u64,
    /// Posts to be tried again later.
    pub retries: u64,
    /// Objects whose URL was declared dead.
    pub dead: u64,
    /// Pushes that had to wait for their pace group.
    pub paced: u64,
    /// Connections made.
    pub connections: u64,
    /// Posts that found their kept connection closed.
    pub stale_connections: u64,
    /// Posts that ran out of time.
    pub timeouts: u64,
    /// Destinations refused while resolving or connecting.
    pub guard_refusals: u64,
    /// Answers larger than allowed.
    pub oversized: u64,
    /// Times a host was left alone.
    pub breakers_opened: u64,
    /// Hosts taken up again.
    pub breakers_closed: u64,
    /// Times the process had no descriptor left.
    pub descriptor_pauses: u64,
    /// Hosts refused because the table was full.
    pub too_many_hosts: u64,
    /// Wakes beyond `max_objects`.
    pub out_of_range: u64,
}

/// What is going on now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Objects known.
    pub objects: usize,
    /// Objects whose URL is dead.
    pub dead: usize,
    /// Objects waiting for a time: company, interval, back-off or pace.
    pub waiting: usize,
    /// Objects waiting for room at their host.
    pub queued: usize,
    /// Posts in flight.
    pub in_flight: usize,
    /// Hosts known.
    pub hosts: usize,
    /// Hosts left alone, with the time until the next probe.
    pub open_breakers: Vec<(String, Duration)>,
    /// Connections kept for reuse.
    pub idle_connections: usize,
}

/// Counters and gauges of one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryStatus {
    /// Counts since the start.
    pub counters: Counters,
    /// What is going on now.
    pub gauges: Gauges,
}
