//! The emergency stop: the bridge goes read-only, and boards show it.

use std::sync::Arc;

use primrack_engine::{Engine, ReadOnly};
use primrack_model::Actor;
use tokio::sync::watch;

/// Whether nothing is acted on, and word of every change.
pub(crate) type Changes = watch::Receiver<Option<ReadOnly>>;

/// The next change; never, where there is no engine.
pub(crate) async fn next(changes: &mut Option<Changes>) -> bool {
    if let Some(changes) = changes
        && changes.changed().await.is_ok()
    {
        return changes.borrow_and_update().is_some();
    }
    std::future::pending().await
}

/// Stops everything, in somebody's name. It holds even where the journal cannot take note.
pub(crate) async fn engage(engine: &Arc<Engine>, by: &Actor) -> &'static str {
    if let Err(error) = engine.stop_acting(&by.to_string(), "emergency stop").await {
        tracing::error!(%error, %by, "stopped, but the journal took no note");
    }
    "All is stopped"
}
