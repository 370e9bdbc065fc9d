//! What is known of a target, how fresh it is, and how it got that way.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::{Action, Cause, IntentId, Power, TargetId, TargetKind, UnixMs};

/// What a backend calls one of its machines: a process name, a domain, a path. Adapter-specific.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Address(pub SmolStr);

/// Counts every change of a target's shown state, from 1; 0 means never observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Generation(pub u64);

/// How busy it is, where the technology tells.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Share of one core, 0.0 and up.
    pub cpu: f32,
    /// Resident memory in bytes.
    pub memory: u64,
}

/// Where a machine is, and how it feels, where the technology tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct About {
    /// The host that it runs on.
    #[serde(default, skip_serializing_if = "SmolStr::is_empty")]
    pub host: SmolStr,
    /// Its addresses in the network, at most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
    /// Its hottest sensor, in degrees Celsius.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// Its own word on its health where that is not fine, such as `Warning: fan 2`. At most 120 bytes.
    #[serde(default, skip_serializing_if = "SmolStr::is_empty")]
    pub health: SmolStr,
}

/// What an adapter saw: one word of one machine about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The state reported.
    pub power: Power,
    /// Who brought it about, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// A short phrase for people, such as `exit status 3`. At most 120 bytes are shown.
    #[serde(default, skip_serializing_if = "SmolStr::is_empty")]
    pub detail: SmolStr,
    /// How busy it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
    /// Where it is and how it feels. Boxed: most machines tell nothing of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<Box<About>>,
}

impl Observation {
    /// A bare state.
    #[must_use]
    pub fn of(power: Power) -> Self {
        Self { power, cause: None, detail: SmolStr::default(), load: None, about: None }
    }
    /// A state with who brought it about.
    #[must_use]
    pub fn caused(power: Power, cause: Cause) -> Self {
        Self { cause: Some(cause), ..Self::of(power) }
    }
    /// The same with a phrase for people.
    #[must_use]
    pub fn with_detail(self, detail: impl AsRef<str>) -> Self {
        Self { detail: SmolStr::new(detail), ..self }
    }
    /// Nobody can say, and why.
    #[must_use]
    pub fn unknown(why: impl AsRef<str>) -> Self {
        Self::of(Power::Unknown).with_detail(why)
    }
}

/// A command under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// Which intent.
    pub intent: IntentId,
    /// What is being done.
    pub action: Action,
    /// Who asked, for people to read.
    pub by: SmolStr,
    /// Since when.
    pub since: UnixMs,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome", content = "why")]
pub enum Outcome {
    /// The machine reported the state that was asked for.
    Done,
    /// It was tried and did not work; the words say why.
    Failed(String),
    /// Nobody can say: time-out, crash of the bridge, lost stream. The machine is observed again.
    Unknown(String),
}

/// What is shown of a target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct TargetState {
    /// The state to show: a transitional one while a command is under way, else the reported one.
    pub power: Power,
    /// Who brought it about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// A phrase for people: the machine's, or why the last command failed.
    #[serde(default, skip_serializing_if = "SmolStr::is_empty")]
    pub detail: SmolStr,
    /// How busy it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
    /// Where it is and how it feels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<Box<About>>,
    /// The command under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transition: Option<Box<Transition>>,
    /// Counts the changes.
    pub generation: Generation,
    /// Since when `power` is what it is.
    pub since: UnixMs,
    /// When the machine last confirmed it.
    pub seen: UnixMs,
    /// The backend does not answer: what is shown is the last word, and old.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
}

impl TargetState {
    /// The word for `power` of a target of this kind. A group whose members differ is neither On nor Off:
    /// its `power` is [`Power::Unknown`] while nothing about it is old, and the word is "Mixed".
    #[must_use]
    pub fn word(&self, kind: TargetKind) -> &'static str {
        if self.is_mixed(kind) { "Mixed" } else { kind.word(self.power) }
    }
    /// Whether it is a group whose members are known and differ.
    #[must_use]
    pub fn is_mixed(&self, kind: TargetKind) -> bool {
        kind == TargetKind::Group && self.power == Power::Unknown && !self.stale && self.seen != UnixMs(0)
    }
}

/// A target's shown state changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StateEvent {
    /// Whose.
    pub target: TargetId,
    /// What it is now.
    pub state: TargetState,
}
