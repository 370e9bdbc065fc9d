//! Waiting for what will happen, with an end.

use std::time::Duration;

/// Nothing here takes this long, on a loaded machine without KVM either.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits for an event.
///
/// # Panics
/// When it does not come; `what` is said then.
pub async fn soon<T>(what: &str, event: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, event).await {
        Ok(seen) => seen,
        Err(_) => panic!("did not happen within {} s: {what}", PATIENCE.as_secs()),
    }
}

/// Looks until there is something to see, for what tells nobody of its changes: files, `/proc`, `/metrics`.
///
/// # Panics
/// When it does not come; `what` is said then.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon(what, looking).await
}
