//! The demonstration's servers: stopping them all when it ends.

use std::sync::Arc;
use std::time::Duration;

use primrack_engine::Engine;
use primrack_model::{Action, Actor, ActorKind, Edge, Intent, IntentId, TargetIx, TargetKind, UnixMs, Via};
use tokio::sync::broadcast::error::RecvError;

/// How long a server may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(3);

/// Waits until every target was looked at once, or for as long as a look may take.
pub async fn all_seen(engine: &Arc<Engine>) {
    let mut changes = engine.subscribe();
    let seen = async {
        while every(engine).into_iter().any(|target| engine.state(target).seen == UnixMs(0)) {
            if let Err(RecvError::Closed) = changes.recv().await {
                return;
            }
        }
    };
    if tokio::time::timeout(PATIENCE, seen).await.is_err() {
        tracing::warn!("not everything answered");
    }
}

/// Asks everything that runs to end, and ends what does not: recorded like any other wish, by the local
/// operator. Servers outlive their bridge, which a demonstration should not leave behind.
pub async fn stop_everything(engine: &Arc<Engine>) {
    for action in [Action::SoftOff, Action::HardOff] {
        let mut changes = engine.subscribe();
        let running: Vec<TargetIx> = engine
            .inventory()
            .live_targets()
            .filter(|(ix, target)| target.kind == TargetKind::Machine && engine.state(*ix).power.is_running())
            .map(|(ix, _)| ix)
            .collect();
        for target in &running {
            let receipt = engine.submit(wish(engine, *target, action)).await;
            tracing::debug!(words = receipt.words, "at the end");
        }
        let all_off = async {
            // Every change, missed ones too, is a reason to look again.
            while running.iter().any(|target| engine.state(*target).power.is_running()) {
                if let Err(RecvError::Closed) = changes.recv().await {
                    return;
                }
            }
        };
        if tokio::time::timeout(PATIENCE, all_off).await.is_err() {
            tracing::debug!(%action, "not everything has ended");
        }
    }
}

fn every(engine: &Engine) -> Vec<TargetIx> {
    engine.inventory().live_targets().map(|(ix, _)| ix).collect()
}

fn wish(engine: &Engine, target: TargetIx, action: Action) -> Intent {
    Intent {
        id: IntentId::now(),
        actor: Actor::new(ActorKind::Operator, "local", "end of the demonstration"),
        action,
        target: engine.inventory().target(target).id.clone(),
        via: Via { edge: Edge::Cli, object: None, unit: None },
        origin: None,
        at: UnixMs::now(),
    }
}
