//! systemd's manager on the bus (org.freedesktop.systemd1(5)), one call per function.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use primrack_adapter_api::AdapterError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zbus::wire::Type;
use zbus::{Connection, DBusError as _, Message, connection};
use zbus::{OwnedObjectPath, OwnedVariant, Variant};

use super::SystemdConfig;

/// systemd's name on the bus.
pub(super) const SYSTEMD: &str = "org.freedesktop.systemd1";
/// The manager's path.
pub(super) const MANAGER: &str = "/org/freedesktop/systemd1";
/// The manager's interface.
pub(super) const MANAGER_INTERFACE: &str = "org.freedesktop.systemd1.Manager";
/// What all units have.
pub(super) const UNIT_INTERFACE: &str = "org.freedesktop.systemd1.Unit";
/// How a unit tells of changes (D-Bus specification, "Standard Interfaces").
pub(super) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// How long the bus may take to let us in, and any call to be answered. The driver's own limits are
/// longer: this one names what did not answer.
const ANSWER: Duration = Duration::from_secs(8);
/// The same for lists: systemd 252 compares each unit file with each link, which takes it 10 s for 5000 files.
const LIST: Duration = Duration::from_secs(28);
/// How many messages may wait in one connection. More make the bus wait.
const QUEUE: usize = 1024;

/// A connection to the bus.
#[derive(Debug, Clone)]
pub(super) struct Bus(Connection);

/// A line of `ListUnitsByPatterns`.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) load: String,
    pub(super) active: String,
}

/// The properties of one interface.
pub(super) type Properties = HashMap<String, OwnedVariant>;

impl Bus {
    /// Connects and authenticates.
    pub(super) async fn connect(config: &SystemdConfig) -> Result<Self, AdapterError> {
        let builder = match &config.address {
            Some(address) => connection::Builder::address(address.as_str()),
            None => connection::Builder::system(),
        };
        let queue = NonZeroUsize::new(QUEUE).unwrap_or(NonZeroUsize::MIN);
        let connecting = builder.max_queued(queue).method_timeout(LIST).build();
        match tokio::time::timeout(ANSWER, connecting).await {
            Ok(Ok(connection)) => Ok(Self(connection)),
            Ok(Err(zbus::Error::Handshake(why))) => Err(AdapterError::Credentials(format!(
                "the bus does not let this user in ({why}): see its policy in /etc/dbus-1"
            ))),
            // After it took the connection: that may be its policy for this user, or its end.
            Ok(Err(zbus::Error::InputOutput(why))) => Err(AdapterError::Unreachable(format!(
                "the bus closed the connection at once ({why}): does its policy let this user in?"
            ))),
            Ok(Err(why)) => Err(AdapterError::Unreachable(format!(
                "the bus {} cannot be reached: {why}",
                config.address.as_deref().unwrap_or("of the system")
            ))),
            Err(_) => Err(AdapterError::TimedOut(millis(ANSWER))),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
    pub(super) fn connection(&self) -> &Connection {
        &self.0
    }

    /// The process at the other end, where it is on this machine.
    pub(super) async fn peer(&self) -> Option<u32> {
        self.0.peer_creds().await.ok()?.process_id()
    }

    async fn call<B, R>(&self, path: &str, interface: &str, member: &str, body: &B) -> Result<R, AdapterError>
    where
        B: Serialize + zbus::DynamicType + Sync,
        R: DeserializeOwned + Type,
    {
        let answer = self.0.call_method(Some(SYSTEMD), path, Some(interface), member, body);
        let patience = if member.starts_with("List") { LIST } else { ANSWER };
        let reply: Message = match tokio::time::timeout(patience, answer).await {
            Ok(reply) => reply.map_err(|why| told(&why))?,
            Err(_) => return Err(AdapterError::TimedOut(millis(patience))),
        };
        reply.body().deserialize().map_err(|why| {
            AdapterError::Unreachable(format!("systemd's answer to {member} has another form: {why}"))
        })
    }

    async fn manager<B, R>(&self, member: &str, body: &B) -> Result<R, AdapterError>
    where
        B: Serialize + zbus::DynamicType + Sync,
        R: DeserializeOwned + Type,
    {
        self.call(MANAGER, MANAGER_INTERFACE, member, body).await
    }

    /// That systemd answers. Costs it nothing.
    pub(super) async fn ping(&self) -> Result<(), AdapterError> {
        self.call(MANAGER, "org.freedesktop.DBus.Peer", "Ping", &()).await
    }

    /// Asks systemd for signals; it sends none to those who did not.
    pub(super) async fn subscribe(&self) -> Result<(), AdapterError> {
        self.manager("Subscribe", &()).await
    }

    /// Asks the bus to pass on the signals that a rule names.
    pub(super) async fn add_match(&self, rule: &str) -> Result<(), AdapterError> {
        let bus = "org.freedesktop.DBus";
        let path = "/org/freedesktop/DBus";
        self.0
            .call_method(Some(bus), path, Some(bus), "AddMatch", &rule)
            .await
            .map(drop)
            .map_err(|why| told(&why))
    }

    /// The path of a unit that is loaded. Loads none.
    pub(super) async fn loaded(&self, unit: &str) -> Result<Option<String>, AdapterError> {
        match self.manager::<_, OwnedObjectPath>("GetUnit", &unit).await {
            Ok(path) => Ok(Some(path.to_string())),
            Err(AdapterError::NotFound(_)) => Ok(None),
            Err(why) => Err(why),
        }
    }

    /// Whether a unit that is not loaded has a file, and how it is enabled.
    pub(super) async fn file_state(&self, unit: &str) -> Result<String, AdapterError> {
        self.manager("GetUnitFileState", &unit).await.map_err(|why| match why {
            AdapterError::NotFound(_) => AdapterError::NotFound(unit.to_owned()),
            other => other,
        })
    }

    /// The loaded units that fit.
    pub(super) async fn list_loaded(&self, patterns: &[String]) -> Result<Vec<Listed>, AdapterError> {
        type Line =
            (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);
        let states: [&str; 0] = [];
        let lines: Vec<Line> = self.manager("ListUnitsByPatterns", &(&states[..], patterns)).await?;
        let listed = lines.into_iter().map(|(name, description, load, active, ..)| Listed {
            name,
            description,
            load,
            active,
        });
        Ok(listed.collect())
    }

    /// The unit files that fit: paths and how they are enabled.
    pub(super) async fn list_files(
        &self,
        patterns: &[String],
    ) -> Result<Vec<(String, String)>, AdapterError> {
        let states: [&str; 0] = [];
        self.manager("ListUnitFilesByPatterns", &(&states[..], patterns)).await
    }

    /// All properties of one interface of a loaded unit, of one moment.
    pub(super) async fn properties(&self, path: &str, interface: &str) -> Result<Properties, AdapterError> {
        self.call(path, PROPERTIES, "GetAll", &interface).await
    }

    /// One property.
    pub(super) async fn property(
        &self,
        path: &str,
        interface: &str,
        name: &str,
    ) -> Result<OwnedVariant, AdapterError> {
        self.call(path, PROPERTIES, "Get", &(interface, name)).await
    }

    /// Queues a job: `StartUnit`, `StopUnit`, `RestartUnit`. A job that is in the way is replaced.
    pub(super) async fn queue(&self, job: &str, unit: &str) -> Result<(), AdapterError> {
        self.manager::<_, OwnedObjectPath>(job, &(unit, "replace")).await.map(drop)
    }

    /// Sends a signal to all processes of a unit.
    pub(super) async fn kill(&self, unit: &str, signal: i32) -> Result<(), AdapterError> {
        self.manager("KillUnit", &(unit, "all", signal)).await
    }

    /// `FreezeUnit` or `ThawUnit`; both answer when it is done.
    pub(super) async fn freezer(&self, member: &str, unit: &str) -> Result<(), AdapterError> {
        self.manager(member, &unit).await
    }
}

/// A text among properties; empty if it is not there.
pub(super) fn text(properties: &Properties, name: &str) -> String {
    match properties.get(name).map(|value| &**value) {
        Some(Variant::Str(text)) => text.to_string(),
        _ => String::new(),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The bus's and systemd's errors by what is to be done about them.
fn told(why: &zbus::Error) -> AdapterError {
    let (name, words) = match why {
        zbus::Error::MethodError(name, words, _) => (name.to_string(), words.clone().unwrap_or_default()),
        zbus::Error::FDO(error) => {
            (error.name().to_string(), error.description().unwrap_or_default().to_owned())
        }
        zbus::Error::InputOutput(error) if error.kind() == std::io::ErrorKind::TimedOut => {
            return AdapterError::TimedOut(millis(ANSWER));
        }
        _ => return AdapterError::Unreachable(format!("the bus failed: {why}")),
    };
    let short = name.rsplit('.').next().unwrap_or_default();
    match short {
        "NoSuchUnit" | "FileNotFound" | "UnknownObject" => AdapterError::NotFound(words),
        "NotSupported" | "UnknownMethod" => AdapterError::NotSupported(words),
        "AccessDenied" | "InteractiveAuthorizationRequired" | "AuthFailed" => {
            AdapterError::Credentials(format!(
                "systemd does not let this user do that ({words}): give it a rule for \
             org.freedesktop.systemd1.manage-units, see the adapter's README"
            ))
        }
        "NoReply" | "Timeout" | "TimedOut" => AdapterError::TimedOut(millis(ANSWER)),
        "ServiceUnknown" | "NameHasNoOwner" | "Disconnected" | "NoServer" => {
            AdapterError::Unreachable(format!("systemd is not on the bus: {words}"))
        }
        _ => AdapterError::Refused(if words.is_empty() { name } else { words }),
    }
}
