//! Waits for a machine to say something, by the adapter's own events where it claims to push them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use primrack_model::{Address, Command, Observation};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::{Adapter, AdapterError, Capabilities, Found, Hint, Hints};

/// How often a machine without events is asked.
const POLL: Duration = Duration::from_millis(200);

pub(super) struct Watcher {
    adapter: Arc<dyn Adapter>,
    address: Address,
    hints: mpsc::Receiver<Hint>,
    listener: JoinHandle<AdapterError>,
    pushes: bool,
    /// Nothing was asked yet: the first question needs no event.
    fresh: bool,
}

impl Watcher {
    pub(super) fn start(adapter: &Arc<dyn Adapter>, address: &Address) -> Self {
        let (sender, hints) = mpsc::channel(64);
        let listening = Arc::clone(adapter);
        Self {
            pushes: adapter.capabilities(address).pushes_events,
            adapter: Arc::clone(adapter),
            address: address.clone(),
            hints,
            listener: tokio::spawn(async move { listening.listen(sender).await }),
            fresh: true,
        }
    }

    /// Ends the listener and lets go of the adapter.
    pub(super) async fn stop(&mut self) {
        self.listener.abort();
        // Awaited so that its hold on the adapter is gone; that it was aborted is no news.
        drop((&mut self.listener).await);
        self.adapter = Arc::new(Nothing);
    }

    /// Waits until the machine says something that `wanted` likes.
    pub(super) async fn until(
        &mut self,
        patience: Duration,
        wanted: impl Fn(&Observation) -> bool + Send,
    ) -> Result<Observation, String> {
        let mut last = None;
        let waiting = async {
            loop {
                let seen = self.next().await;
                match &seen {
                    Ok(seen) if wanted(seen) => return Ok::<_, String>(seen.clone()),
                    other => last = Some(format!("{other:?}")),
                }
            }
        };
        match tokio::time::timeout(patience, waiting).await {
            Ok(seen) => seen,
            Err(_) => {
                Err(format!("after {patience:?} the last word was {}", last.unwrap_or_else(|| "none".into())))
            }
        }
    }

    async fn next(&mut self) -> Result<Observation, AdapterError> {
        if std::mem::take(&mut self.fresh) {
            return self.adapter.observe(&self.address).await;
        }
        loop {
            let hint = if self.pushes {
                match self.hints.recv().await {
                    Some(hint) => Some(hint),
                    None => return Err(AdapterError::Unreachable("the stream ended".to_owned())),
                }
            } else {
                // Without events a time-out is the rule, and then the machine is asked.
                tokio::time::timeout(POLL, self.hints.recv()).await.ok().flatten()
            };
            match hint {
                Some(Hint::State(address, seen)) if address == self.address => return Ok(seen),
                Some(Hint::Changed(address)) if address == self.address => {}
                Some(Hint::State(..) | Hint::Changed(_)) => continue,
                None => {}
            }
            return self.adapter.observe(&self.address).await;
        }
    }
}

/// Stands in for an adapter that was let go.
#[derive(Debug)]
pub(super) struct Nothing;

#[async_trait]
impl Adapter for Nothing {
    fn technology(&self) -> &'static str {
        "nothing"
    }
    fn capabilities(&self, _: &Address) -> Capabilities {
        Capabilities { actions: &[], pushes_events: false, simulated: true }
    }
    async fn list(&self) -> Result<Vec<Found>, AdapterError> {
        Ok(Vec::new())
    }
    async fn observe(&self, address: &Address) -> Result<Observation, AdapterError> {
        Err(AdapterError::NotFound(address.0.to_string()))
    }
    async fn execute(&self, command: &Command) -> Result<(), AdapterError> {
        Err(AdapterError::NotFound(command.address.0.to_string()))
    }
    async fn listen(&self, _: Hints) -> AdapterError {
        std::future::pending().await
    }
}
