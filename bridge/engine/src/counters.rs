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
    action: &'static str,
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
    /// What rules and state say to an intent.
    pub(crate) decision_seconds: Histogram,
    /// Until its entry is on the disk.
    pub(crate) journal_seconds: Histogram,
    /// Until the backend has taken a command.
    pub(crate) adapter_seconds: Histogram,
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
            decision_seconds: Histogram::new([
                0.000_01, 0.000_025, 0.000_1, 0.000_25, 0.001, 0.0025, 0.01, 0.05,
            ]),
            journal_seconds: Histogram::new([
                0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0,
            ]),
            adapter_seconds: Histogram::new([
                0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
            ]),
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
        let Self {
            accepted,
            refused,
            ended,
            decision_seconds,
            journal_seconds,
            adapter_seconds,
            effect_seconds,
            joined,
            repeated,
            interrupted,
        } = self;
        registry.register("intents_accepted", "Intents accepted and recorded", accepted.clone());
        registry.register("intents_refused", "Intents refused, by action and reason", refused.clone());
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
            "decision_seconds",
            "From an intent to what rules and state say to it",
            decision_seconds.clone(),
        );
        registry.register(
            "journal_seconds",
            "From a decision to its entry on the disk",
            journal_seconds.clone(),
        );
        registry.register(
            "adapter_seconds",
            "From the handing over of a command to the backend's answer",
            adapter_seconds.clone(),
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
        let action = receipt.action.token();
        let reason = match &receipt.verdict {
            Verdict::Refused(refusal) => RefusalCode::token(refusal.code),
            Verdict::Accepted | Verdict::Joined { .. } => return,
        };
        self.refused.get_or_create(&RefusalLabel { action, reason }).inc();
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
