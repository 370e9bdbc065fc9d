//! The emergency stop: the bridge goes read-only, and boards show it.

use std::sync::Arc;

use primrack_engine::Engine;
use primrack_model::Actor;
use tokio::sync::watch;

/// Whether the bridge is read-only, now and from now on.
pub(crate) fn changes(_engine: &Arc<Engine>) -> watch::Receiver<bool> {
    watch::channel(false).1
}

/// The next change; never, where there is no engine.
pub(crate) async fn next(changes: &mut Option<watch::Receiver<bool>>) -> bool {
    if let Some(changes) = changes
        && changes.changed().await.is_ok()
    {
        return *changes.borrow_and_update();
    }
    std::future::pending().await
}

/// Stops everything, in somebody's name; what to show of it.
pub(crate) async fn engage(_engine: &Arc<Engine>, _by: &Actor) -> Result<String, String> {
    Err("Not possible".to_owned())
}
