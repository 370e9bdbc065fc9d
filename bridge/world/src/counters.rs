//! What came and went, counted by reason.

use primrack_wire::world::Fault;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Label of a refused message.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ReasonLabel {
    reason: &'static str,
}

/// The region side's counters.
#[derive(Debug, Clone)]
pub(crate) struct WorldCounters {
    faults: Family<ReasonLabel, Counter>,
    /// The one of `faults` for messages that were turned away, at hand.
    pub(crate) turned_away: Counter,
    pub(crate) registered: Counter,
    pub(crate) events: Counter,
    pub(crate) pushes: Counter,
    pub(crate) push_failures: Counter,
    pub(crate) answer_seconds: Histogram,
    pub(crate) push_seconds: Histogram,
}

impl Default for WorldCounters {
    fn default() -> Self {
        let faults = Family::<ReasonLabel, Counter>::default();
        let turned_away = faults.get_or_create(&ReasonLabel { reason: Fault::Busy.token() }).clone();
        Self {
            faults,
            turned_away,
            registered: Counter::default(),
            events: Counter::default(),
            pushes: Counter::default(),
            push_failures: Counter::default(),
            answer_seconds: Histogram::new([
                0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0,
            ]),
            push_seconds: Histogram::new([
                0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
            ]),
        }
    }
}

impl WorldCounters {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let Self {
            faults,
            turned_away: _,
            registered,
            events,
            pushes,
            push_failures,
            answer_seconds,
            push_seconds,
        } = self;
        registry.register("world_refused", "Messages from regions refused, by reason", faults.clone());
        registry.register("world_registered", "Registrations taken", registered.clone());
        registry.register("world_events", "Events taken from objects", events.clone());
        registry.register("world_pushes", "Pushes acknowledged by objects", pushes.clone());
        registry.register("world_push_failures", "Pushes that were not acknowledged", push_failures.clone());
        registry.register("world_answer_seconds", "From a message to its answer", answer_seconds.clone());
        registry.register(
            "world_push_seconds",
            "From the sealing of a push to its acknowledgement by the object",
            push_seconds.clone(),
        );
    }
    pub(crate) fn fault(&self, fault: Fault) {
        self.reason(fault.token());
    }
    pub(crate) fn reason(&self, reason: &'static str) {
        self.faults.get_or_create(&ReasonLabel { reason }).inc();
    }
}
