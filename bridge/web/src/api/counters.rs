//! What came to the API, counted. Labels are from fixed lists only.

use std::time::Duration;

use axum::http::StatusCode;
use primrack_model::Receipt;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Status {
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Verdict {
    verdict: &'static str,
}

/// The API's counters.
#[derive(Debug)]
pub(crate) struct Counters {
    requests: Family<Status, Counter>,
    seconds: Histogram,
    turned_away: Family<Reason, Counter>,
    commands: Family<Verdict, Counter>,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            seconds: Histogram::new([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0]),
            turned_away: Family::default(),
            commands: Family::default(),
        }
    }
}

impl Counters {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let Self { requests, seconds, turned_away, commands } = self;
        registry.register("api_requests", "Requests to the API, by status", requests.clone());
        registry.register("api_seconds", "From a request to the head of its answer", seconds.clone());
        registry.register(
            "api_turned_away",
            "Requests turned away at the door, by reason",
            turned_away.clone(),
        );
        registry.register("api_commands", "Commands answered, by verdict", commands.clone());
    }
    pub(crate) fn request(&self, status: StatusCode, took: Duration) {
        self.requests.get_or_create(&Status { status: status.as_u16() }).inc();
        self.seconds.observe(took.as_secs_f64());
    }
    pub(crate) fn turned_away(&self, reason: &'static str) {
        self.turned_away.get_or_create(&Reason { reason }).inc();
    }
    pub(crate) fn answered(&self, receipt: &Receipt) {
        let verdict = if receipt.is_accepted() { "accepted" } else { "refused" };
        self.commands.get_or_create(&Verdict { verdict }).inc();
    }
}
