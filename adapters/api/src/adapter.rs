//! What a technology has to provide.

use std::fmt::Debug;

use async_trait::async_trait;
use primrack_model::{Action, Address, Command, Observation};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use tokio::sync::mpsc;

use crate::AdapterError;

/// What can be done to the targets of an adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// The actions it can execute.
    pub actions: &'static [Action],
    /// Whether [`Adapter::listen`] reports every change: then polling is only a slow safety net.
    pub pushes_events: bool,
    /// Whether what it shows is simulated; shown wherever its targets are.
    pub simulated: bool,
}

impl Capabilities {
    /// Whether `action` is one of them.
    #[must_use]
    pub fn can(self, action: Action) -> bool {
        self.actions.contains(&action)
    }
}

/// One thing that a backend has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// What the backend calls it.
    pub address: Address,
    /// A name for people, where the backend has another than the address.
    pub label: String,
    /// Labels, tags, groups or projects that the backend gives it, for the rules of discovery; at most
    /// 32 of at most 64 bytes. `key=value` where the backend has pairs.
    #[serde(default)]
    pub tags: Vec<SmolStr>,
    /// The host that it runs on, where the backend has several; empty otherwise.
    #[serde(default)]
    pub host: SmolStr,
    /// Its state, where listing tells.
    #[serde(default)]
    pub seen: Option<Observation>,
}

impl Found {
    /// A thing of which only the address is known.
    #[must_use]
    pub fn of(address: Address) -> Self {
        let label = address.0.to_string();
        Self { address, label, tags: Vec::new(), host: SmolStr::default(), seen: None }
    }
}

/// What a machine shows on its own screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "console", content = "content")]
pub enum Console {
    /// The last lines of its serial line or log, at most 64 KiB, as they came: escape sequences and
    /// control characters are in it, and whoever shows it has to take them out.
    Text(String),
    /// A picture of its screen, PNG, at most 8 MiB.
    Png(Vec<u8>),
}

/// "Look there": events are hints, their order is not trusted, the state is asked for afterwards.
#[derive(Debug, Clone, PartialEq)]
pub enum Hint {
    /// Something changed at this address; ask.
    Changed(Address),
    /// The adapter knows the new state for certain, because it is its own watcher (a child's exit status).
    State(Address, Observation),
}

/// Where an adapter's listener drops its hints. Bounded; a full channel makes the listener wait.
pub type Hints = mpsc::Sender<Hint>;

/// One connection to one backend of one technology.
///
/// Every function does its thing once, may be called again at any time, and may be dropped at any
/// await (the driver's time-outs do that). None blocks a runtime thread.
#[async_trait]
pub trait Adapter: Debug + Send + Sync + 'static {
    /// The name of the technology, as in configuration: `process`, `qemu`.
    fn technology(&self) -> &'static str;

    /// What can be done to `address`. Answers from memory.
    fn capabilities(&self, address: &Address) -> Capabilities;

    /// What may be done to `address` although nothing can ever tell its state: over when it was taken, and
    /// allowed from a state that was never known. Answers from memory.
    fn unseen(&self, address: &Address) -> &'static [Action] {
        let _ = address;
        &[]
    }

    /// Everything the backend has, in bounded memory.
    ///
    /// # Errors
    /// [`AdapterError`] by what is to be done about it.
    async fn list(&self) -> Result<Vec<Found>, AdapterError>;

    /// What the machine says of itself now.
    ///
    /// # Errors
    /// [`AdapterError::NotFound`] for an unknown address; others by what is to be done about them.
    async fn observe(&self, address: &Address) -> Result<Observation, AdapterError>;

    /// Sets the command going. `Ok` means the backend took it; the effect is observed later.
    ///
    /// # Errors
    /// [`AdapterError`] by what is to be done about it.
    async fn execute(&self, command: &Command) -> Result<(), AdapterError>;

    /// Sends hints until the stream is lost, then returns why. The driver marks everything stale,
    /// backs off, lists again and calls it again. An adapter without events waits for ever.
    async fn listen(&self, hints: Hints) -> AdapterError;

    /// What the machine shows on its console now.
    ///
    /// # Errors
    /// [`AdapterError::NotSupported`] where the technology has none; others by what is to be done about them.
    async fn console(&self, address: &Address) -> Result<Console, AdapterError> {
        let _ = address;
        Err(AdapterError::NotSupported("this technology shows no console".to_owned()))
    }
}
