//! What a driver says of itself, for `doctor` and metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use primrack_model::UnixMs;
use serde::Serialize;

/// The state of one backend's connection, and what happened on it since the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DriverStatus {
    /// Whether the last listing worked and the event stream stands.
    pub connected: bool,
    /// Since when `connected` is what it is.
    pub since: UnixMs,
    /// Why it is lost, in words; empty while connected.
    pub why: String,
    /// When everything was last listed; absent before the first time.
    pub last_listing: Option<UnixMs>,
    /// How many machines that listing showed.
    pub listed: usize,
    /// How many machines are watched.
    pub watched: usize,
    /// How many of them did not answer the last look.
    pub silent: usize,
    /// The events.
    pub counts: DriverCounts,
}

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// How often what happened since the start of the driver.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
        pub struct DriverCounts { $($(#[$doc])* pub $name: u64),* }

        #[derive(Debug, Default)]
        pub(super) struct Counters { $(pub(super) $name: AtomicU64),* }

        impl Counters {
            pub(super) fn read(&self) -> DriverCounts {
                DriverCounts { $($name: self.$name.load(Ordering::Relaxed)),* }
            }
        }
    };
}

counts! {
    /// Looks at machines that were answered.
    observations,
    /// Looks that failed or were not answered in time.
    observation_failures,
    /// Hints from the backend.
    hints,
    /// Hints about machines that are not watched, dropped.
    foreign_hints,
    /// Commands handed to the backend.
    commands,
    /// Commands that it did not take.
    command_failures,
    /// Listings that worked.
    listings,
    /// How often the backend or its event stream was lost.
    losses,
    /// Panics of the adapter that were contained.
    panics,
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
