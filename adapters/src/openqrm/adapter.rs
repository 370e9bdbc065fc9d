//! The trait.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use parking_lot::Mutex;
use primrack_adapter_api::{Adapter, AdapterError, Capabilities, Found, Hints};
use primrack_model::{Action, Address, Command, Observation};
use reqwest::Url;
use smol_str::SmolStr;

use super::client::{Client, Value};
use super::config::OpenqrmConfig;
use super::map::Appliance;
use crate::web::{Done, Web};

const ACTIONS: [Action; 3] = [Action::Start, Action::SoftOff, Action::Reboot];

/// How many appliances are listed: each is a question of its own.
const MOST: usize = 2_000;
/// How many are asked for together.
const TOGETHER: usize = 4;

/// The appliances of one openQRM cloud.
#[derive(Debug)]
pub struct OpenqrmAdapter {
    client: Client,
    done: Done,
    /// The uptime that each told last: a lower one is a new beginning.
    uptimes: Mutex<HashMap<SmolStr, u64>>,
}

impl OpenqrmAdapter {
    pub(super) fn new(config: OpenqrmConfig, url: Url) -> Self {
        let web = Web::new(config.tls, Duration::from_millis(config.answer_within_ms));
        let login = (config.user, config.password_file);
        Self {
            client: Client::new(web, url, config.mode, login),
            done: Done::default(),
            uptimes: Mutex::default(),
        }
    }

    async fn appliance(&self, id: &str) -> Result<Option<Appliance>, AdapterError> {
        match self.client.call("CloudApplianceGetDetails", &[id]).await? {
            Value::Map(details) => Ok(Appliance::read(details)),
            Value::Nil => Err(denied()),
            _ => Err(strange()),
        }
    }

    /// The appliance of an address, which is its number.
    async fn at(&self, address: &Address) -> Result<Appliance, AdapterError> {
        let missing = || AdapterError::NotFound(address.0.to_string());
        if address.0.is_empty() || address.0.len() > 18 || !address.0.bytes().all(|b| b.is_ascii_digit()) {
            return Err(missing());
        }
        self.appliance(&address.0).await?.ok_or_else(missing)
    }
}

/// openQRM says no by saying nothing.
fn denied() -> AdapterError {
    AdapterError::Credentials(
        "openQRM gives no answer to this user: name, password or rights are wrong (user, password_file, mode); \
         its event log says which"
            .to_owned(),
    )
}

fn strange() -> AdapterError {
    AdapterError::Unreachable("its answer is not what was expected: another kind of value".to_owned())
}

#[async_trait]
impl Adapter for OpenqrmAdapter {
    fn technology(&self) -> &'static str {
        "openqrm"
    }

    fn capabilities(&self, _: &Address) -> Capabilities {
        Capabilities { actions: &ACTIONS, pushes_events: false, simulated: false }
    }

    async fn list(&self) -> Result<Vec<Found>, AdapterError> {
        let mut ids = match self.client.call("CloudApplianceGetList", &[self.client.whose()]).await? {
            Value::List(ids) => ids,
            Value::Nil => return Err(denied()),
            _ => return Err(strange()),
        };
        if ids.len() > MOST {
            tracing::warn!(
                appliances = ids.len(),
                kept = MOST,
                "openQRM has more appliances than are listed"
            );
            ids.truncate(MOST);
        }
        let asked = ids.into_iter().map(|id| async move { self.appliance(&id).await });
        // One that is removed meanwhile is left out.
        let found: Vec<Option<Appliance>> =
            stream::iter(asked).buffer_unordered(TOGETHER).try_collect().await?;
        let found: Vec<Found> = found.into_iter().flatten().map(|appliance| appliance.found()).collect();
        self.uptimes.lock().retain(|address, _| found.iter().any(|found| found.address.0 == *address));
        Ok(found)
    }

    async fn observe(&self, address: &Address) -> Result<Observation, AdapterError> {
        let appliance = self.at(address).await?;
        let mut uptimes = self.uptimes.lock();
        let before = match appliance.uptime {
            Some(now) if uptimes.len() < MOST || uptimes.contains_key(&address.0) => {
                uptimes.insert(address.0.clone(), now)
            }
            _ => uptimes.remove(&address.0),
        };
        Ok(appliance.observation(before))
    }

    async fn execute(&self, command: &Command) -> Result<(), AdapterError> {
        let Command { intent, address, action, .. } = command;
        let word = match action {
            Action::Start => "start",
            Action::SoftOff => "stop",
            Action::Reboot => "restart",
            other => return Err(AdapterError::unsupported(*other)),
        };
        if !self.done.is_new(*intent) {
            return Ok(());
        }
        let taken = async {
            self.at(address).await?;
            match self.client.call("CloudApplianceCommand", &[&address.0, word]).await? {
                Value::Text(text) if text.trim() == "0" => Ok(()),
                Value::Text(_) => Err(AdapterError::Refused(format!(
                    "openQRM does not {word} it now: it is in another state, or the user may not; its event log says which"
                ))),
                Value::Nil => Err(denied()),
                _ => Err(strange()),
            }
        };
        let taken = taken.await;
        if taken.is_err() {
            self.done.forget(*intent);
        }
        taken
    }

    /// There are no events.
    async fn listen(&self, hints: Hints) -> AdapterError {
        hints.closed().await;
        AdapterError::Unreachable("nobody listens any more".to_owned())
    }
}
