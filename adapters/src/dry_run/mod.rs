//! `dry_run = true`: everything is shown as it is, and nothing is done. See README.md in this folder.

use std::sync::Arc;

use async_trait::async_trait;
use primrack_adapter_api::{Adapter, AdapterError, Capabilities, Console, Found, Hints};
use primrack_model::{Action, Address, Command, Observation, Power};

/// Any adapter, whose machines are looked at and never touched.
#[derive(Debug)]
pub struct DryRun {
    inner: Arc<dyn Adapter>,
}

impl DryRun {
    /// Wraps an adapter.
    #[must_use]
    pub fn new(inner: Arc<dyn Adapter>) -> Self {
        Self { inner }
    }
}

#[async_trait]
impl Adapter for DryRun {
    fn technology(&self) -> &'static str {
        self.inner.technology()
    }
    fn capabilities(&self, address: &Address) -> Capabilities {
        self.inner.capabilities(address)
    }
    fn unseen(&self, address: &Address) -> &'static [Action] {
        self.inner.unseen(address)
    }
    async fn list(&self) -> Result<Vec<Found>, AdapterError> {
        self.inner.list().await
    }
    async fn observe(&self, address: &Address) -> Result<Observation, AdapterError> {
        self.inner.observe(address).await
    }
    /// Looks at the machine, so that a wrong address or a lost backend shows as it would, and ends the
    /// command with what would have been done. It ends as failed: nobody may take it for done.
    async fn execute(&self, command: &Command) -> Result<(), AdapterError> {
        let Command { address, action, .. } = command;
        if !self.inner.capabilities(address).can(*action) {
            return Err(AdapterError::unsupported(*action));
        }
        let power = self.inner.observe(address).await?.power;
        let (name, state) = (&address.0, power.word());
        let unseen = power == Power::Unknown && self.inner.unseen(address).contains(action);
        let words = if action.fits(power) || unseen {
            format!("dry run, nothing was done: it would get {action} ({name} is {state})")
        } else {
            format!("dry run, nothing was done: {action} does not fit ({name} is {state})")
        };
        Err(AdapterError::Refused(words))
    }
    async fn listen(&self, hints: Hints) -> AdapterError {
        self.inner.listen(hints).await
    }
    async fn console(&self, address: &Address) -> Result<Console, AdapterError> {
        self.inner.console(address).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use primrack_adapter_api::Hint;
    use primrack_model::IntentId;
    use tokio::sync::mpsc;

    use super::*;

    /// One machine, Off, that counts what is done to it.
    #[derive(Debug, Default)]
    struct Counting(AtomicUsize);

    #[async_trait]
    impl Adapter for Counting {
        fn technology(&self) -> &'static str {
            "counting"
        }
        fn capabilities(&self, _: &Address) -> Capabilities {
            let actions = &[Action::Start, Action::HardOff];
            Capabilities { actions, pushes_events: true, simulated: false }
        }
        async fn list(&self) -> Result<Vec<Found>, AdapterError> {
            Ok(vec![Found::of(Address("one".into()))])
        }
        async fn observe(&self, address: &Address) -> Result<Observation, AdapterError> {
            match address.0.as_str() {
                "one" => Ok(Observation::of(Power::Off)),
                other => Err(AdapterError::NotFound(other.to_owned())),
            }
        }
        async fn execute(&self, _: &Command) -> Result<(), AdapterError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
        async fn listen(&self, hints: Hints) -> AdapterError {
            hints.send(Hint::Changed(Address("one".into()))).await.unwrap();
            AdapterError::Unreachable("the stream ended".to_owned())
        }
    }

    #[tokio::test]
    async fn everything_is_shown_and_nothing_done() {
        let inner = Arc::new(Counting::default());
        let dry = DryRun::new(Arc::clone(&inner) as Arc<dyn Adapter>);
        let run = async |name: &str, action: Action| {
            let command =
                Command { intent: IntentId::now(), address: Address(name.into()), action, deadline_ms: 1000 };
            dry.execute(&command).await.unwrap_err()
        };
        let AdapterError::Refused(words) = run("one", Action::Start).await else { panic!("not refused") };
        assert_eq!(words, "dry run, nothing was done: it would get start (one is Off)");
        let AdapterError::Refused(words) = run("one", Action::HardOff).await else { panic!("not refused") };
        assert_eq!(words, "dry run, nothing was done: hard-off does not fit (one is Off)");
        assert!(matches!(run("two", Action::Start).await, AdapterError::NotFound(_)));
        assert!(matches!(run("one", Action::Pause).await, AdapterError::NotSupported(_)));
        assert_eq!(inner.0.load(Ordering::Relaxed), 0, "the machine was touched");

        assert_eq!(dry.technology(), "counting");
        assert_eq!(dry.list().await.unwrap().len(), 1);
        assert_eq!(dry.observe(&Address("one".into())).await.unwrap().power, Power::Off);
        let (sender, mut hints) = mpsc::channel(1);
        assert!(matches!(dry.listen(sender).await, AdapterError::Unreachable(_)));
        assert_eq!(hints.recv().await, Some(Hint::Changed(Address("one".into()))));
    }
}
