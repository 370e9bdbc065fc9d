//! One connection to one host, kept and opened again, with commands run over it.

use std::borrow::Cow;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use primrack_adapter_api::AdapterError;
use russh::client::{self, Handle};
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate, decode_secret_key};
use russh::{ChannelMsg, Disconnect, Preferred};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpStream;

use super::HostConfig;
use super::config::Pinned;

/// The most of a command's output that is taken; more is a mistake of the command.
const MOST: usize = 1 << 20;
/// The most of its complaints that is kept.
const COMPLAINTS: usize = 4096;
/// How often a quiet host is asked whether it is there; after three times without an answer it is lost.
const PULSE: Duration = Duration::from_secs(5);

/// What a command left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Output {
    /// Absent when the host closed the line without a word, as one does that goes down.
    pub(super) status: Option<u32>,
    pub(super) text: String,
    pub(super) complaints: String,
}

/// A host.
#[derive(Debug)]
pub(super) struct Client {
    name: String,
    config: HostConfig,
    pinned: Pinned,
    timeout: Duration,
    connection: tokio::sync::Mutex<Option<Arc<Connection>>>,
}

struct Connection(Handle<Guard>);

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("closed", &self.0.is_closed()).finish()
    }
}

/// Lets only the pinned key in.
struct Guard {
    pinned: Pinned,
    /// What was offered instead.
    offered: Arc<parking_lot::Mutex<Option<String>>>,
}

impl client::Handler for Guard {
    type Error = russh::Error;

    async fn check_server_key(&mut self, offered: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = offered else { return Ok(false) };
        let fits = match &self.pinned {
            Pinned::Key(pinned) => pinned.key_data() == key.key_data(),
            Pinned::Fingerprint(print) => key.fingerprint(print.algorithm()) == *print,
        };
        if !fits {
            *self.offered.lock() = Some(format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256)));
        }
        Ok(fits)
    }
}

/// Reads a private key that only its owner may read. Touches the disk: not for a runtime thread.
pub(super) fn read_key(path: &Path) -> Result<PrivateKey, String> {
    let told = |why: io::Error| format!("the key {} cannot be read: {why}", path.display());
    let about = std::fs::metadata(path).map_err(told)?;
    if about.permissions().mode() & 0o077 != 0 {
        return Err(format!("others may read the key {}: chmod 600 it", path.display()));
    }
    let text = SecretString::from(std::fs::read_to_string(path).map_err(told)?);
    // The library's words are about the form, and hold nothing of the key.
    decode_secret_key(text.expose_secret(), None)
        .map_err(|why| format!("{} is no private key without a pass phrase: {why}", path.display()))
}

impl Client {
    pub(super) fn new(name: &str, config: HostConfig, pinned: Pinned, timeout: Duration) -> Self {
        Self { name: name.to_owned(), config, pinned, timeout, connection: tokio::sync::Mutex::default() }
    }

    /// Runs a command to its end.
    pub(super) async fn run(&self, command: &str, limit: Duration) -> Result<Output, AdapterError> {
        let connection = self.connected().await?;
        let command = if self.config.with.is_empty() {
            command.to_owned()
        } else {
            format!("{} {command}", self.config.with)
        };
        let done = tokio::time::timeout(limit, self.run_on(&connection, &command)).await;
        let lost = !matches!(done, Ok(Ok(_) | Err(AdapterError::Refused(_))));
        if lost {
            // A line on which nothing came is not asked again.
            let mut kept = self.connection.lock().await;
            if kept.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, &connection)) {
                *kept = None;
            }
        }
        done.unwrap_or(Err(AdapterError::TimedOut(millis(limit))))
    }

    async fn run_on(&self, connection: &Connection, command: &str) -> Result<Output, AdapterError> {
        let lost =
            |why: russh::Error| AdapterError::Unreachable(format!("{}: the line was lost: {why}", self.name));
        let mut channel = connection.0.channel_open_session().await.map_err(lost)?;
        channel.exec(true, command).await.map_err(lost)?;
        let (mut text, mut complaints, mut status, mut taken) = (Vec::new(), Vec::new(), None, false);
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Success => taken = true,
                ChannelMsg::Failure => {
                    return Err(AdapterError::Refused(format!(
                        "{} runs no commands for this user",
                        self.name
                    )));
                }
                ChannelMsg::Data { data } => {
                    if text.len() + data.len() > MOST {
                        return Err(AdapterError::Refused(format!(
                            "{}: a command printed more than {MOST} bytes: {}",
                            self.name,
                            command.chars().take(80).collect::<String>()
                        )));
                    }
                    text.extend_from_slice(&data);
                }
                ChannelMsg::ExtendedData { data, .. } => {
                    let room = COMPLAINTS - complaints.len().min(COMPLAINTS);
                    complaints.extend_from_slice(&data[..data.len().min(room)]);
                }
                ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
                ChannelMsg::ExitSignal { signal_name, .. } => {
                    complaints = format!("killed by {signal_name:?}").into_bytes();
                    status = Some(255);
                }
                _ => {}
            }
        }
        if !taken {
            return Err(AdapterError::Unreachable(format!("{}: the line was lost", self.name)));
        }
        Ok(Output {
            status,
            text: String::from_utf8_lossy(&text).into_owned(),
            complaints: String::from_utf8_lossy(&complaints).into_owned(),
        })
    }

    async fn connected(&self) -> Result<Arc<Connection>, AdapterError> {
        let mut kept = self.connection.lock().await;
        if let Some(connection) = kept.as_ref().filter(|connection| !connection.0.is_closed()) {
            return Ok(Arc::clone(connection));
        }
        let connecting = tokio::time::timeout(self.timeout, self.connect()).await;
        let connection = Arc::new(connecting.unwrap_or(Err(AdapterError::TimedOut(millis(self.timeout))))?);
        *kept = Some(Arc::clone(&connection));
        Ok(connection)
    }

    async fn connect(&self) -> Result<Connection, AdapterError> {
        let HostConfig { address, user, key_file, .. } = &self.config;
        let path = key_file.clone();
        let key = tokio::task::spawn_blocking(move || read_key(&path)).await;
        let key = key
            .map_err(|_| AdapterError::Unreachable("the bridge is ending".to_owned()))?
            .map_err(|words| AdapterError::Credentials(format!("{}: {words}", self.name)))?;
        let unreachable = |why: &dyn std::fmt::Display| {
            AdapterError::Unreachable(format!("{} ({address}): {why}", self.name))
        };
        let stream = TcpStream::connect(address.as_str()).await.map_err(|why| unreachable(&why))?;
        stream.set_nodelay(true).ok();
        let mut preferred = Preferred::default();
        if let Pinned::Key(pinned) = &self.pinned {
            // A host has several keys: it is asked for the one that we know.
            let wanted: Vec<_> = preferred
                .key
                .iter()
                .filter(|algorithm| {
                    **algorithm == pinned.algorithm()
                        || ((*algorithm).clone().is_rsa() && pinned.algorithm().is_rsa())
                })
                .cloned()
                .collect();
            if !wanted.is_empty() {
                preferred.key = Cow::Owned(wanted);
            }
        }
        let config = client::Config {
            preferred,
            keepalive_interval: Some(PULSE),
            inactivity_timeout: None,
            ..client::Config::default()
        };
        let offered = Arc::new(parking_lot::Mutex::new(None));
        let guard = Guard { pinned: self.pinned.clone(), offered: Arc::clone(&offered) };
        let mut handle = match client::connect_stream(Arc::new(config), stream, guard).await {
            Ok(handle) => handle,
            Err(why) => {
                return Err(match (offered.lock().take(), why) {
                    (Some(offered), _) => AdapterError::Credentials(format!(
                        "{} ({address}) has another key than `host_key`: {offered}. If it was made anew, pin it; if \
                         not, somebody is in between",
                        self.name
                    )),
                    // Its keys are of other kinds than the pinned one.
                    (None, why @ russh::Error::NoCommonAlgo { .. }) => AdapterError::Credentials(format!(
                        "{} ({address}) has no key like `host_key`: {why}",
                        self.name
                    )),
                    (None, why) => unreachable(&why),
                });
            }
        };
        let hash = if key.algorithm().is_rsa() {
            handle.best_supported_rsa_hash().await.map_err(|why| unreachable(&why))?.flatten()
        } else {
            None
        };
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
        let let_in =
            handle.authenticate_publickey(user.as_str(), key).await.map_err(|why| unreachable(&why))?;
        if !let_in.success() {
            handle.disconnect(Disconnect::ByApplication, "", "").await.ok();
            return Err(AdapterError::Credentials(format!(
                "{} ({address}) does not let {user} in with the key {}: is its public half in authorized_keys there?",
                self.name,
                key_file.display()
            )));
        }
        Ok(Connection(handle))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
