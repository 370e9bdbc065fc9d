//! How patient the driver is. All times are in milliseconds.

use std::time::Duration;

use backon::ExponentialBuilder;
use serde::{Deserialize, Serialize};

/// The knobs of a driver, the same for every technology. The defaults suit a backend on the same machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DriverSettings {
    /// How long one look at one machine may take. Default 10 000.
    pub observe_timeout_ms: u64,
    /// How long a listing may take. Default 30 000.
    pub list_timeout_ms: u64,
    /// How long the backend may take to accept a command (not to complete it). Default 30 000; the
    /// command's own deadline counts too, whichever is shorter. An action whose end no state tells, such
    /// as a snapshot, has its whole deadline.
    pub execute_timeout_ms: u64,
    /// How often a machine is looked at where the adapter pushes no events. Default 10 000.
    pub poll_ms: u64,
    /// How often it is looked at where the adapter does push events: a safety net, and what keeps CPU
    /// and memory figures fresh. Default 60 000.
    pub safety_poll_ms: u64,
    /// How often it is looked at while a command is under way and no events come. Default 1 000.
    pub follow_ms: u64,
    /// How often everything is listed again. Default 300 000.
    pub relist_ms: u64,
    /// A hint about a machine that neither is watched nor was in the last listing leads to another listing,
    /// at most this often; 0 is never. So that what is made now is found now. Default 5 000.
    pub unknown_relist_ms: u64,
    /// How long after the first "something changed" the machine is asked: later hints of the same
    /// burst are answered by the same look. Default 200.
    pub coalesce_ms: u64,
    /// The first pause after a loss; it doubles, with jitter. Default 500.
    pub backoff_min_ms: u64,
    /// The longest pause after a loss. Default 60 000.
    pub backoff_max_ms: u64,
    /// How many machines are looked at together. Default 8.
    pub concurrency: usize,
    /// How many hints may wait before the adapter's listener has to. Default 256.
    pub hint_queue: usize,
    /// How many machines of a listing are kept. Default 10 000.
    pub list_limit: usize,
}

impl Default for DriverSettings {
    fn default() -> Self {
        Self {
            observe_timeout_ms: 10_000,
            list_timeout_ms: 30_000,
            execute_timeout_ms: 30_000,
            poll_ms: 10_000,
            safety_poll_ms: 60_000,
            follow_ms: 1_000,
            relist_ms: 300_000,
            unknown_relist_ms: 5_000,
            coalesce_ms: 200,
            backoff_min_ms: 500,
            backoff_max_ms: 60_000,
            concurrency: 8,
            hint_queue: 256,
            list_limit: 10_000,
        }
    }
}

impl DriverSettings {
    /// The pauses after a loss: doubling, with jitter, without end.
    pub(super) fn backoff(&self) -> ExponentialBuilder {
        ExponentialBuilder::new()
            .with_min_delay(millis(self.backoff_min_ms))
            .with_max_delay(millis(self.backoff_max_ms.max(self.backoff_min_ms)))
            .with_factor(2.0)
            .with_jitter()
            .without_max_times()
    }
}

/// A time of the settings; zero would make a loop spin, so it counts as one.
pub(super) fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms.max(1))
}
