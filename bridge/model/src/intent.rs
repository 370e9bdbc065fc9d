//! What somebody wants done, and what an adapter is told of it.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::{Action, Actor, Address, IntentId, ObjectId, TargetId, UnixMs};

/// Through which border of the bridge something came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edge {
    /// An object in a region.
    World,
    /// A microcontroller or reader.
    Board,
    /// An MQTT topic.
    Mqtt,
    /// The page or the API.
    Web,
    /// The program's own command line.
    Cli,
    /// A schedule or demonstration script.
    Schedule,
}

/// The door an intent came through.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Via {
    /// The border.
    pub edge: Edge,
    /// The object, board, topic or account that reported it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectId>,
    /// The unit of the object, 0 to 255.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<u8>,
}

/// Names the event at its origin, so that one sent again after a lost answer is known as the same.
/// Unique within (`edge`, `source`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OriginKey {
    /// The object or board that made it.
    pub source: SmolStr,
    /// Its own number for it, at most 32 bytes.
    pub event: SmolStr,
}

/// What somebody wants done to one target. Nothing has been decided yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Its name from touch to machine.
    pub id: IntentId,
    /// Who asks.
    pub actor: Actor,
    /// What for.
    pub action: Action,
    /// Of which target.
    pub target: TargetId,
    /// Through which door.
    pub via: Via,
    /// Its name at the origin, where the origin may send it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<OriginKey>,
    /// When the bridge received it.
    pub at: UnixMs,
}

/// What an adapter is told: what and where, never who. Executed at most once per `intent`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The intent it carries out, for logs.
    pub intent: IntentId,
    /// What the backend calls the target.
    pub address: Address,
    /// What to do.
    pub action: Action,
    /// When the effect should have been reported, in milliseconds from the start of execution.
    pub deadline_ms: u64,
}
