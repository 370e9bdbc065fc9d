//! What came and went at the broker.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Reason {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Verdict {
    verdict: &'static str,
}

/// Counters, with labels from fixed lists only.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    commands: Family<Verdict, Counter>,
    faults: Family<Reason, Counter>,
    pub(crate) states: Counter,
    pub(crate) connections: Counter,
    pub(crate) connected: Gauge,
    pub(crate) dropped: Counter,
}

impl Counters {
    pub(crate) fn answered(&self, accepted: bool) {
        let verdict = if accepted { "accepted" } else { "refused" };
        self.commands.get_or_create(&Verdict { verdict }).inc();
    }
    pub(crate) fn fault(&self, reason: &'static str) {
        self.faults.get_or_create(&Reason { reason }).inc();
    }
    pub(crate) fn register(&self, registry: &mut Registry) {
        let Self { commands, faults, states, connections, connected, dropped } = self;
        registry.register("mqtt_commands", "Commands answered, by verdict", commands.clone());
        registry.register("mqtt_faults", "Messages not put to the policy, by reason", faults.clone());
        registry.register("mqtt_states", "States handed to the broker", states.clone());
        registry.register("mqtt_connections", "Connections to the broker", connections.clone());
        registry.register("mqtt_connected", "Whether the broker answers: 1 or 0", connected.clone());
        registry.register("mqtt_dropped", "Messages and events for which there was no room", dropped.clone());
    }
}
