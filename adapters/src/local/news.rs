//! Tells a listener what changed, whenever it comes and however slow it is.

use std::collections::HashMap;

use primrack_adapter_api::{AdapterError, Hint, Hints};
use primrack_model::{Address, Observation};
use tokio::sync::watch;

/// Rung at each change. Nothing is queued: a listener reads what is, and counts by version what it has
/// told already.
#[derive(Debug)]
pub(crate) struct Bell(watch::Sender<u64>);

impl Default for Bell {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Bell {
    pub(crate) fn ring(&self) {
        self.0.send_modify(|count| *count += 1);
    }

    pub(crate) fn ear(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }

    /// Tells every state at first and each change after, until the listener is gone. `versions` gives
    /// each machine with the version of its state, `observe` the state of one (`None` while there is
    /// nothing true to say; its next change tells).
    pub(crate) async fn relay(
        &self,
        hints: Hints,
        versions: impl Fn() -> Vec<(Address, u64)> + Send,
        observe: impl Fn(&Address) -> Option<Observation> + Send,
    ) -> AdapterError {
        let mut ear = self.ear();
        let mut told: HashMap<Address, u64> = HashMap::new();
        loop {
            ear.mark_unchanged();
            for (address, version) in versions() {
                if told.get(&address) == Some(&version) {
                    continue;
                }
                let Some(seen) = observe(&address) else { continue };
                if hints.send(Hint::State(address.clone(), seen)).await.is_err() {
                    return AdapterError::Unreachable("nobody listens any more".to_owned());
                }
                told.insert(address, version);
            }
            if ear.changed().await.is_err() {
                return AdapterError::Unreachable("the adapter is ending".to_owned());
            }
        }
    }
}
