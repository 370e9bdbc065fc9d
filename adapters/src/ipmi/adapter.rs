//! The adapter: looks, orders, and machines that are to come back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ipmi::ChassisControl;
use parking_lot::Mutex;
use primrack_adapter_api::{Adapter, AdapterError, Capabilities, Found, Hints};
use primrack_model::{Action, Address, Command, Observation, Power};
use smol_str::SmolStr;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::bmc::{Asked, How};
use crate::local::Recent;

use super::client::Bmc;
use super::config::IpmiConfig;
use super::local::Local;
use super::map::{control, observation};

/// How often a machine that is to come back is looked at.
const COMING: Duration = Duration::from_secs(1);
/// What can be done to a machine.
const ACTIONS: [Action; 5] = [Action::Start, Action::SoftOff, Action::HardOff, Action::Reboot, Action::Reset];

/// Machines behind a BMC each.
#[derive(Debug)]
pub struct IpmiAdapter {
    machines: BTreeMap<SmolStr, Arc<Machine>>,
    stop: CancellationToken,
    _stop: DropGuard,
}

#[derive(Debug)]
struct Machine {
    label: String,
    bmc: Arc<Bmc>,
    local: Arc<Local>,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    asked: Asked,
    recent: Recent,
}

impl IpmiAdapter {
    /// From a configuration that was checked.
    pub(super) fn new(config: &IpmiConfig) -> Self {
        let local = Arc::new(Local::default());
        let machines = config.machines.iter().map(|(name, machine)| {
            let (host, port) = machine.place();
            let user = machine.user.as_ref().unwrap_or(&config.user);
            let file = machine.password_file.as_ref().unwrap_or(&config.password_file);
            let label = if machine.label.is_empty() { name } else { &machine.label };
            let patience = Duration::from_secs(config.answer_s);
            let bmc = Bmc::new(host, port.parse().unwrap_or(623), user, file.clone(), patience);
            let machine = Machine {
                label: label.clone(),
                bmc: Arc::new(bmc),
                local: Arc::clone(&local),
                memory: Mutex::default(),
            };
            (SmolStr::new(name), Arc::new(machine))
        });
        let stop = CancellationToken::new();
        Self { machines: machines.collect(), _stop: stop.clone().drop_guard(), stop }
    }

    fn find(&self, address: &Address) -> Result<&Arc<Machine>, AdapterError> {
        self.machines.get(&address.0).ok_or_else(|| AdapterError::NotFound(address.0.to_string()))
    }
}

impl Drop for IpmiAdapter {
    fn drop(&mut self) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            for machine in self.machines.values() {
                let machine = Arc::clone(machine);
                runtime.spawn(async move {
                    let bmc = Arc::clone(&machine.bmc);
                    machine
                        .local
                        .run(move || async move {
                            bmc.farewell().await;
                            Ok(())
                        })
                        .await
                });
            }
        }
    }
}

#[async_trait]
impl Adapter for IpmiAdapter {
    fn technology(&self) -> &'static str {
        "ipmi"
    }

    fn capabilities(&self, _: &Address) -> Capabilities {
        Capabilities { actions: &ACTIONS, pushes_events: false, simulated: false }
    }

    async fn list(&self) -> Result<Vec<Found>, AdapterError> {
        let found = self.machines.iter().map(|(name, machine)| Found {
            label: machine.label.clone(),
            ..Found::of(Address(name.clone()))
        });
        Ok(found.collect())
    }

    async fn observe(&self, address: &Address) -> Result<Observation, AdapterError> {
        self.find(address)?.look().await
    }

    async fn execute(&self, command: &Command) -> Result<(), AdapterError> {
        let machine = self.find(&command.address)?;
        let order = control(command.action).ok_or_else(|| AdapterError::unsupported(command.action))?;
        if !machine.memory.lock().recent.is_new(command.intent) {
            return Ok(());
        }
        if let Err(why) = machine.order(order).await {
            machine.memory.lock().recent.forget(command.intent);
            return Err(why);
        }
        let how = match command.action {
            Action::SoftOff => How::SoftOff,
            Action::HardOff => How::HardOff,
            Action::Reset => How::Reset,
            Action::Reboot => How::ComeBack,
            _ => {
                machine.memory.lock().asked.clear();
                return Ok(());
            }
        };
        machine.memory.lock().asked.set(how, command.deadline_ms, Instant::now());
        if how == How::ComeBack {
            tokio::spawn(come_back(Arc::clone(machine), self.stop.clone()));
        }
        Ok(())
    }

    async fn listen(&self, _: Hints) -> AdapterError {
        // A BMC's alerts (PET) go to one place on the network, unsigned. It is asked instead.
        std::future::pending().await
    }
}

impl Machine {
    async fn look(&self) -> Result<Observation, AdapterError> {
        let bmc = Arc::clone(&self.bmc);
        let status = self.local.run(move || async move { bmc.status().await }).await?;
        Ok(self.memory.lock().asked.explain(observation(&status), Instant::now()))
    }

    async fn order(&self, order: ChassisControl) -> Result<(), AdapterError> {
        let bmc = Arc::clone(&self.bmc);
        let work = move || async move {
            match bmc.order(order).await {
                // Some have no reset, and all have off and on.
                Err(AdapterError::NotSupported(_)) if order == ChassisControl::HardReset => {
                    bmc.order(ChassisControl::PowerCycle).await
                }
                other => other,
            }
        };
        self.local.run(work).await
    }
}

/// Switches a machine on again when it has ended, unless its deadline passes or it is asked for something
/// else before.
async fn come_back(machine: Arc<Machine>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(COMING) => {}
            () = stop.cancelled() => return,
        }
        if !machine.memory.lock().asked.comes_back(Instant::now()) {
            return;
        }
        // What cannot be seen or done now is tried again until the deadline.
        if let Ok(seen) = machine.look().await
            && seen.power == Power::Off
            && machine.order(ChassisControl::PowerUp).await.is_ok()
        {
            machine.memory.lock().asked.clear();
            return;
        }
    }
}
