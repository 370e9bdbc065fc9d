//! What was looked at before a stream of events stood: it may have changed unheard, and is asked again.

use std::collections::HashSet;

use parking_lot::Mutex;
use primrack_adapter_api::{AdapterError, Hint, Hints};
use primrack_model::Address;

/// How many are made up for.
const MOST: usize = 20_000;

/// Looks before the stream stands; none are kept while it stands.
#[derive(Debug)]
pub(crate) struct Early(Mutex<Option<HashSet<Address>>>);

impl Default for Early {
    fn default() -> Self {
        Self(Mutex::new(Some(HashSet::new())))
    }
}

impl Early {
    /// This one is being looked at.
    pub(crate) fn looks(&self, address: &Address) {
        if let Some(early) = self.0.lock().as_mut().filter(|early| early.len() < MOST) {
            early.insert(address.clone());
        }
    }

    /// The stream has ended: what happens until the next one stands is not heard.
    pub(crate) fn deaf(&self) {
        *self.0.lock() = Some(HashSet::new());
    }

    /// The stream stands: all that was looked at is asked again.
    ///
    /// # Errors
    /// Nobody listens any more.
    pub(crate) async fn hears(&self, hints: &Hints) -> Result<(), AdapterError> {
        let early = self.0.lock().take().unwrap_or_default();
        for address in early {
            tell(hints, address).await?;
        }
        Ok(())
    }
}

/// Tells the driver to ask.
///
/// # Errors
/// Nobody listens any more.
pub(crate) async fn tell(hints: &Hints, address: Address) -> Result<(), AdapterError> {
    let told = hints.send(Hint::Changed(address)).await;
    told.map_err(|_| AdapterError::Unreachable("nobody listens any more".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_looked_at_while_deaf_is_asked_again_once() {
        let early = Early::default();
        let (hints, mut ear) = tokio::sync::mpsc::channel(8);
        early.looks(&Address("a".into()));
        early.looks(&Address("a".into()));
        early.hears(&hints).await.unwrap();
        early.looks(&Address("b".into()));
        early.hears(&hints).await.unwrap();
        early.deaf();
        early.looks(&Address("c".into()));
        early.hears(&hints).await.unwrap();
        drop(hints);
        assert_eq!(ear.recv().await, Some(Hint::Changed(Address("a".into()))));
        assert_eq!(ear.recv().await, Some(Hint::Changed(Address("c".into()))));
        assert_eq!(ear.recv().await, None);
    }
}
