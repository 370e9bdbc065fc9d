//! What the bridge says.

use primrack_model::{
    About, Cause, Intent, Load, Outcome, Power, Receipt, RefusalCode, TargetEntry, TargetKind, TargetState,
    Verdict,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::CommandFault;

/// What a target shows. Retained; the newest counts. Times are milliseconds since 1970, UTC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StateMessage {
    /// The target's id.
    pub target: String,
    /// What people call it.
    pub label: String,
    /// `machine`, `output`, `door`, `alarm` or `group`.
    #[schemars(with = "String")]
    pub kind: TargetKind,
    /// `off`, `starting`, `on`, `stopping`, `paused`, `saved`, `crashed` or `unknown`.
    #[schemars(with = "String")]
    pub power: Power,
    /// The state in a word for people: `On`, or `Open` for a door.
    pub word: String,
    /// `ON` while it serves, starts or is held; `OFF` otherwise. What a switch shows.
    pub switch: String,
    /// Who brought it about: `guest`, `operator`, `host` or `crash`, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub cause: Option<Cause>,
    /// A phrase for people, such as why the last command failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The machine does not answer: what is said here is its last word, as old as `seen`.
    pub stale: bool,
    /// What it shows is simulated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub simulated: bool,
    /// Since when it is in this state.
    pub since: i64,
    /// When the machine last confirmed it.
    pub seen: i64,
    /// Counts the changes of what is shown.
    pub generation: u64,
    /// The command under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transition: Option<TransitionMessage>,
    /// Processor share in percent of one core, where the technology tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f32>,
    /// Resident memory in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Hottest sensor, in degrees Celsius.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// The host that it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Its addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
}

/// A command under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TransitionMessage {
    /// Its intent.
    pub intent: String,
    /// What is being done.
    pub action: String,
    /// Who asked.
    pub by: String,
}

impl StateMessage {
    /// What `entry` shows.
    #[must_use]
    pub fn of(entry: &TargetEntry, state: &TargetState, simulated: bool) -> Self {
        let TargetState { power, cause, detail, load, about, transition, generation, since, seen, stale } =
            state;
        let About { host, addresses, temperature, health: _ } = about.as_deref().cloned().unwrap_or_default();
        let switch = match power {
            Power::On | Power::Starting | Power::Paused => "ON",
            Power::Off | Power::Stopping | Power::Saved | Power::Crashed | Power::Unknown => "OFF",
        };
        Self {
            target: entry.id.to_string(),
            label: entry.label.to_string(),
            kind: entry.kind,
            power: *power,
            word: entry.kind.word(*power).to_owned(),
            switch: switch.to_owned(),
            cause: *cause,
            detail: detail.to_string(),
            stale: *stale,
            simulated,
            since: since.0,
            seen: seen.0,
            generation: generation.0,
            transition: transition.as_deref().map(|it| TransitionMessage {
                intent: it.intent.to_string(),
                action: it.action.to_string(),
                by: it.by.to_string(),
            }),
            cpu: load.map(|Load { cpu, memory: _ }| (cpu * 1000.0).round() / 10.0),
            memory: load.map(|Load { cpu: _, memory }| memory),
            temperature,
            host: (!host.is_empty()).then(|| host.to_string()),
            addresses: addresses.iter().map(ToString::to_string).collect(),
        }
    }
}

/// The answer to a command, at once: accepted, or refused and why. Delivered at least once; the same `id` and
/// `intent` mean the same receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptMessage {
    /// The sender's name for the command, where it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub id: Option<SmolStr>,
    /// The bridge's name for it, from here to the machine and into the journal. Absent where it was refused
    /// before the policy saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<String>,
    /// The target.
    pub target: String,
    /// The action asked for, where it was understood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Whether it is or will be done.
    pub accepted: bool,
    /// The intent of somebody else which does the same already: nothing is done twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined: Option<String>,
    /// Why not, as a token: `not-permitted`, `wrong-state`, `retained`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// One sentence for a person.
    pub words: String,
    /// When it was decided.
    pub at: i64,
}

impl ReceiptMessage {
    /// The engine's receipt.
    #[must_use]
    pub fn of(receipt: &Receipt, id: Option<SmolStr>) -> Self {
        let (joined, refused) = match &receipt.verdict {
            Verdict::Accepted => (None, None),
            Verdict::Joined { with } => (Some(with.to_string()), None),
            Verdict::Refused(refusal) => (None, Some(RefusalCode::token(refusal.code).to_owned())),
        };
        Self {
            id,
            intent: Some(receipt.intent.to_string()),
            target: receipt.target.to_string(),
            action: Some(receipt.action.to_string()),
            accepted: receipt.is_accepted(),
            joined,
            refused,
            words: receipt.words.clone(),
            at: receipt.at.0,
        }
    }
    /// The refusal of what is not put to the policy.
    #[must_use]
    pub fn fault(target: &str, fault: &CommandFault, at: i64) -> Self {
        Self {
            id: None,
            intent: None,
            target: target.to_owned(),
            action: None,
            accepted: false,
            joined: None,
            refused: Some(fault.token().to_owned()),
            words: fault.to_string(),
            at,
        }
    }
}

/// How an accepted command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndedMessage {
    /// The intent of its receipt.
    pub intent: String,
    /// The target.
    pub target: String,
    /// The action.
    pub action: String,
    /// `done`, `failed` or `unknown`.
    pub outcome: String,
    /// Why it did not work, or why nobody can say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl EndedMessage {
    /// How `intent` ended.
    #[must_use]
    pub fn of(intent: &Intent, outcome: &Outcome) -> Self {
        let (word, why) = match outcome {
            Outcome::Done => ("done", None),
            Outcome::Failed(why) => ("failed", Some(why.clone())),
            Outcome::Unknown(why) => ("unknown", Some(why.clone())),
        };
        Self {
            intent: intent.id.to_string(),
            target: intent.target.to_string(),
            action: intent.action.to_string(),
            outcome: word.to_owned(),
            why,
        }
    }
}

/// A badge at a reader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TagMessage {
    /// The badge's name in the badges file, or `unknown-` and a keyed hash of its number: the number itself,
    /// which could be copied, is never published.
    pub tag: String,
    /// The board.
    pub board: String,
    /// The reader's number on it.
    pub reader: u8,
}
