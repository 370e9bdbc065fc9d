//! The adapter: it sends a packet, and looks whether somebody came up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use primrack_adapter_api::{Adapter, AdapterError, Capabilities, Found, Hints};
use primrack_model::{Action, Address, Command, Observation};
use smol_str::SmolStr;

use crate::local::Recent;

use super::{MachineConfig, WakeConfig, client, map};

/// How many packets are sent: nobody confirms one, and a card may miss one.
const PACKETS: usize = 3;
/// The pause between two.
const PAUSE: Duration = Duration::from_millis(100);

/// Machines that a packet starts.
#[derive(Debug)]
pub struct WakeAdapter {
    machines: BTreeMap<SmolStr, Machine>,
    timeout: Duration,
}

#[derive(Debug)]
struct Machine {
    config: MachineConfig,
    recent: Mutex<Recent>,
    /// A packet has been sent by this bridge.
    sent: AtomicBool,
}

impl WakeAdapter {
    pub(super) fn new(config: WakeConfig) -> Self {
        let machines = config.machines.into_iter();
        let machines = machines
            .map(|(name, config)| {
                (name.into(), Machine { config, recent: Mutex::default(), sent: AtomicBool::new(false) })
            })
            .collect();
        Self { machines, timeout: Duration::from_millis(config.timeout_ms) }
    }

    fn find(&self, address: &Address) -> Result<&Machine, AdapterError> {
        self.machines.get(&address.0).ok_or_else(|| AdapterError::NotFound(address.0.to_string()))
    }
}

#[async_trait]
impl Adapter for WakeAdapter {
    fn technology(&self) -> &'static str {
        "wake"
    }

    fn capabilities(&self, _: &Address) -> Capabilities {
        Capabilities { actions: &[Action::Start], pushes_events: false, simulated: false }
    }

    /// Without a check nobody will ever know: a packet may be sent all the same, and sent is all that it is.
    fn unseen(&self, address: &Address) -> &'static [Action] {
        match self.find(address) {
            Ok(machine) if machine.config.check.is_none() => &[Action::Start],
            _ => &[],
        }
    }

    async fn list(&self) -> Result<Vec<Found>, AdapterError> {
        let found = self.machines.iter().map(|(name, machine)| {
            let label =
                if machine.config.label.is_empty() { name.to_string() } else { machine.config.label.clone() };
            Found { label, ..Found::of(Address(name.clone())) }
        });
        Ok(found.collect())
    }

    async fn observe(&self, address: &Address) -> Result<Observation, AdapterError> {
        let machine = self.find(address)?;
        match machine.config.check {
            Some(check) => Ok(map::tried(client::reach(check, self.timeout).await)),
            None => Ok(map::unchecked(machine.sent.load(Ordering::Relaxed))),
        }
    }

    async fn execute(&self, command: &Command) -> Result<(), AdapterError> {
        let machine = self.find(&command.address)?;
        if command.action != Action::Start {
            return Err(AdapterError::NotSupported("a packet can start a machine, and no more".to_owned()));
        }
        if !machine.recent.lock().is_new(command.intent) {
            return Ok(());
        }
        let sent = machine.wake().await;
        match sent {
            Ok(()) => machine.sent.store(true, Ordering::Relaxed),
            Err(_) => machine.recent.lock().forget(command.intent),
        }
        sent
    }

    /// No machine tells of itself: the driver polls.
    async fn listen(&self, _: Hints) -> AdapterError {
        std::future::pending().await
    }
}

impl Machine {
    async fn wake(&self) -> Result<(), AdapterError> {
        let Some(mac) = client::mac(&self.config.mac) else {
            return Err(AdapterError::Refused(format!("{:?} is no card's address", self.config.mac)));
        };
        let password = match self.config.password_file.clone() {
            Some(file) => {
                let read = tokio::task::spawn_blocking(move || client::password(&file)).await;
                let read = read.map_err(|_| AdapterError::Unreachable("the bridge is ending".to_owned()))?;
                Some(read.map_err(AdapterError::Credentials)?)
            }
            None => None,
        };
        let packet = client::packet(mac, password.as_deref());
        for number in 0..PACKETS {
            if number > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            client::send(self.config.to, &packet).await.map_err(|why| {
                AdapterError::Unreachable(format!("the packet cannot be sent to {}: {why}", self.config.to))
            })?;
        }
        Ok(())
    }
}
