//! What happened, counted: bounded labels, read by the metrics page.

use std::time::Duration;

use primrack_model::{Action, Intent, Outcome, Receipt, RefusalCode, Verdict};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Labels of an accepted intent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ActionLabel {
    action: &'static str,
}

/// Labels of a refused intent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RefusalLabel {
    reason: &'static str,
}

/// Labels of an ended command.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct EndLabel {
    action: &'static str,
    outcome: &'static str,
}

/// The engine's counters.
#[derive(Debug, Clone)]
pub struct EngineCounters {
    accepted: Family<ActionLabel, Counter>,
    refused: Family<RefusalLabel, Counter>,
    ended: Family<EndLabel, Counter>,
    effect_seconds: Histogram,
    pub(crate) joined: Counter,
    pub(crate) repeated: Counter,
    pub(crate) interrupted: Counter,
}

impl Default for EngineCounters {
    fn default() -> Self {
        Self {
            accepted: Family::default(),
            refused: Family::default(),
            ended: Family::default(),
            effect_seconds: Histogram::new([0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0]),
            joined: Counter::default(),
            repeated: Counter::default(),
            interrupted: Counter::default(),
        }
    }
}

impl EngineCounters {
    /// Puts them into a registry under their names.
    pub fn register(&self, registry: &mut Registry) {
        let Self { accepted, refused, ended, effect_seconds, joined, repeated, interrupted } = self;
        registry.register("intents_accepted", "Intents accepted and recorded", accepted.clone());
        registry.register("intents_refused", "Intents refused, by reason", refused.clone());
        registry.register("intents_joined", "Intents whose action was already under way", joined.clone());
        registry.register(
            "intents_repeated",
            "Events sent again and answered with the same receipt",
            repeated.clone(),
        );
        registry.register("commands_ended", "Commands ended, by outcome", ended.clone());
        registry.register(
            "commands_interrupted",
            "Commands cut off by the end of the bridge",
            interrupted.clone(),
        );
        registry.register(
            "effect_seconds",
            "From the handing over of a command to its end",
            effect_seconds.clone(),
        );
    }
    pub(crate) fn accepted(&self, intent: &Intent) {
        self.accepted.get_or_create(&ActionLabel { action: Action::token(intent.action) }).inc();
    }
    pub(crate) fn refused(&self, receipt: &Receipt) {
        let reason = match &receipt.verdict {
            Verdict::Refused(refusal) => RefusalCode::token(refusal.code),
            Verdict::Accepted | Verdict::Joined { .. } => return,
        };
        self.refused.get_or_create(&RefusalLabel { reason }).inc();
    }
    pub(crate) fn ended(&self, intent: &Intent, outcome: &Outcome, took: Duration) {
        let outcome = match outcome {
            Outcome::Done => "done",
            Outcome::Failed(_) => "failed",
            Outcome::Unknown(_) => "unknown",
        };
        self.ended.get_or_create(&EndLabel { action: intent.action.token(), outcome }).inc();
        self.effect_seconds.observe(took.as_secs_f64());
    }
}
