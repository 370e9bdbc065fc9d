//! An adapter without machines: every command is done when it returns.

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use async_trait::async_trait;
use parking_lot::Mutex;
use primrack_adapter_api::{Adapter, AdapterError, Capabilities, Found, Hint, Hints};
use primrack_model::{Action, Address, Command, Observation, Power};

/// As many machines as there are targets, all in memory, addressed by number.
#[derive(Debug)]
pub(super) struct Mock {
    states: Mutex<Vec<Power>>,
    hints: tokio::sync::watch::Sender<Option<Hints>>,
    executed: Option<Mutex<std::fs::File>>,
    pub(super) executions: AtomicU64,
}

fn number(address: &Address) -> Option<usize> {
    address.0.strip_prefix('t')?.parse().ok()
}

pub(super) fn address(number: usize) -> Address {
    Address(smol_str::format_smolstr!("t{number}"))
}

impl Mock {
    pub(super) fn new(targets: usize, executed: Option<std::fs::File>) -> Self {
        Self {
            states: Mutex::new(vec![Power::Off; targets]),
            hints: tokio::sync::watch::Sender::new(None),
            executed: executed.map(Mutex::new),
            executions: AtomicU64::new(0),
        }
    }

    /// A machine changes by itself.
    pub(super) async fn set(&self, number: usize, power: Power) -> bool {
        self.states.lock()[number] = power;
        let hints = self.hints.borrow().clone();
        match hints {
            Some(hints) => hints.send(Hint::State(address(number), Observation::of(power))).await.is_ok(),
            None => false,
        }
    }

    fn see(&self, address: &Address) -> Result<Observation, AdapterError> {
        let states = self.states.lock();
        let power = number(address).and_then(|number| states.get(number)).copied();
        power.map(Observation::of).ok_or_else(|| AdapterError::NotFound(address.0.to_string()))
    }
}

#[async_trait]
impl Adapter for Mock {
    fn technology(&self) -> &'static str {
        "mock"
    }

    fn capabilities(&self, _: &Address) -> Capabilities {
        Capabilities { actions: &[Action::Start, Action::SoftOff], pushes_events: true, simulated: true }
    }

    async fn list(&self) -> Result<Vec<Found>, AdapterError> {
        let states = self.states.lock();
        let found = |(number, power): (usize, &Power)| {
            let seen = Some(Observation::of(*power));
            Found { label: String::new(), seen, ..Found::of(address(number)) }
        };
        Ok(states.iter().enumerate().map(found).collect())
    }

    async fn observe(&self, address: &Address) -> Result<Observation, AdapterError> {
        self.see(address)
    }

    async fn execute(&self, command: &Command) -> Result<(), AdapterError> {
        let power = match command.action {
            Action::Start => Power::On,
            Action::SoftOff => Power::Off,
            other => return Err(AdapterError::NotSupported(format!("{other} is not played"))),
        };
        let Some(number) = number(&command.address) else {
            return Err(AdapterError::NotFound(command.address.0.to_string()));
        };
        if let Some(executed) = &self.executed {
            // A command that was executed and not noted would hide a doubled one.
            let noted = writeln!(executed.lock(), "{}", command.intent);
            noted.map_err(|error| AdapterError::Refused(error.to_string()))?;
        }
        self.executions.fetch_add(1, Relaxed);
        self.states.lock()[number] = power;
        let hints = self.hints.borrow().clone();
        if let Some(hints) = hints {
            let seen = Observation::of(power);
            // Without a listener the driver looks by itself.
            drop(hints.send(Hint::State(command.address.clone(), seen)).await);
        }
        Ok(())
    }

    async fn listen(&self, hints: Hints) -> AdapterError {
        self.hints.send_replace(Some(hints.clone()));
        hints.closed().await;
        AdapterError::Unreachable("nobody listens".to_owned())
    }
}
