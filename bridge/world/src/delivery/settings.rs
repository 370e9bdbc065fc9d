//! The knobs of delivery and their defaults.

use std::time::Duration;

use super::tls::Tls;

/// How pushes are paced, limited and retried. The defaults suit real grids.
#[derive(Debug, Clone)]
pub struct DeliverySettings {
    /// How long the first change after quiet waits for company, in milliseconds.
    pub linger_ms: u64,
    /// Least time between two pushes of one object, in milliseconds. It triples with every push
    /// that follows closely, up to `max_interval_ms`.
    pub min_interval_ms: u64,
    /// Longest time a state that keeps changing waits for its next push, in milliseconds.
    pub max_interval_ms: u64,
    /// A flapping object that has held still this long is pushed early, in milliseconds.
    pub quiet_ms: u64,
    /// Posts in flight at one host (scheme, name and port).
    pub per_host: u32,
    /// Posts at one host beyond `per_host` that may wait for a slow answer.
    pub per_host_slow: u32,
    /// Posts at one host to objects that were silent the last time.
    pub per_host_suspect: u32,
    /// Posts in flight that were started a moment ago: what this machine works on at once.
    pub in_flight: u32,
    /// Posts in flight altogether, those waiting for slow hosts included.
    pub in_flight_total: u32,
    /// A post unanswered this long no longer counts against `in_flight`.
    pub brisk: Duration,
    /// A post unanswered this long no longer counts against `per_host` but against `per_host_slow`.
    pub slow: Duration,
    /// An object whose answer took this long is a suspect until it answers quicker.
    pub suspect: Duration,
    /// Time to resolve, connect and shake hands.
    pub connect_timeout: Duration,
    /// Time for the whole post, connecting included.
    pub total_timeout: Duration,
    /// Largest answer read, in bytes; a larger one is a failure.
    pub max_answer: usize,
    /// First retry delay; doubled per failure, jittered over its whole range.
    pub retry_base: Duration,
    /// Longest retry delay.
    pub retry_max: Duration,
    /// Longest `Retry-After` obeyed.
    pub retry_after_max: Duration,
    /// Failures in a row, of different objects or of connecting, after which a host is left alone.
    pub breaker_after: u32,
    /// First time a host is left alone; doubled per failed probe.
    pub breaker_base: Duration,
    /// Longest time a host is left alone.
    pub breaker_max: Duration,
    /// Pushes per second of one pace group (region, owner; the host when an object has none) once
    /// its burst is spent; 0 = no pacing.
    pub pace_per_second: u32,
    /// Pushes a pace group may send at once after quiet.
    pub pace_burst: u32,
    /// Idle connections kept at one host.
    pub idle_per_host: usize,
    /// Idle connections kept altogether (about 10 KB each).
    pub idle_total: usize,
    /// How long an idle connection is kept.
    pub idle_timeout: Duration,
    /// Highest object index accepted, plus one.
    pub max_objects: u32,
    /// Hosts known at once.
    pub max_hosts: usize,
    /// Whose certificates are believed; `None` is the public roots.
    pub tls: Option<Tls>,
}

impl Default for DeliverySettings {
    fn default() -> Self {
        Self {
            linger_ms: 20,
            min_interval_ms: 150,
            max_interval_ms: 1_200,
            quiet_ms: 250,
            per_host: 6,
            per_host_slow: 2,
            per_host_suspect: 2,
            in_flight: 64,
            in_flight_total: 1_024,
            brisk: Duration::from_millis(20),
            slow: Duration::from_millis(100),
            suspect: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(2),
            total_timeout: Duration::from_secs(5),
            max_answer: 4096,
            retry_base: Duration::from_millis(500),
            retry_max: Duration::from_secs(60),
            retry_after_max: Duration::from_secs(600),
            breaker_after: 5,
            breaker_base: Duration::from_secs(1),
            breaker_max: Duration::from_secs(30),
            pace_per_second: 250,
            pace_burst: 500,
            idle_per_host: 6,
            idle_total: 512,
            idle_timeout: Duration::from_secs(30),
            max_objects: 1 << 20,
            max_hosts: 1 << 14,
            tls: None,
        }
    }
}
