//! What is recorded, and its bytes.

use primrack_model::{
    Edge, Intent, IntentId, ObjectId, OriginKey, Outcome, Receipt, TargetId, UnixMs, Verdict,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use smol_str::SmolStr;

use super::JournalError;

/// The largest body of one entry, in bytes.
pub const MAX_BODY: usize = 64 * 1024;

/// One thing that happened. The body in the file is its JSON as serde writes it, fields in the order
/// given here; what is hashed is what is stored, so nothing depends on writing it the same way again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Entry {
    /// The bridge came up. Written by [`super::Journal::open`] itself.
    Boot(Boot),
    /// An intent was decided, one way or the other. An accepted one counts as unfinished until
    /// [`Entry::Ended`] or [`Entry::Interrupted`] names it.
    Decision(Box<Decision>),
    /// A command ended.
    Ended {
        /// Which.
        intent: IntentId,
        /// Of which target.
        target: TargetId,
        /// How.
        outcome: Outcome,
        /// The intent of the group that it was a step of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        part_of: Option<IntentId>,
        /// When.
        at: UnixMs,
    },
    /// A command was cut off by the end of the bridge; its target is observed again, nothing repeated.
    Interrupted {
        /// Which.
        intent: IntentId,
        /// Of which target.
        target: TargetId,
        /// When it was found.
        at: UnixMs,
    },
    /// Something refused or noteworthy, counted rather than listed: a forged message, a flood.
    Audit {
        /// The class, such as `forged` or `replayed`.
        class: SmolStr,
        /// The object, board or actor it is about.
        subject: SmolStr,
        /// How many since the last entry of this class and subject.
        count: u64,
        /// One sentence.
        words: String,
        /// When it was written.
        at: UnixMs,
    },
    /// Something about an object in the world: registered, took over, silent.
    World {
        /// Which object.
        object: ObjectId,
        /// What, as a short token: `registered`, `took-over`, `second-prim-refused`.
        what: SmolStr,
        /// One sentence.
        words: String,
        /// When.
        at: UnixMs,
    },
    /// The bridge went down in order.
    Closed {
        /// When.
        at: UnixMs,
    },
}

/// A start of the bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// Counts the boots of this journal from 1.
    pub boot: u64,
    /// The program's version.
    pub version: SmolStr,
    /// A digest of the configuration and policy it came up with.
    pub config: SmolStr,
    /// When.
    pub at: UnixMs,
}

/// A decided intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What was wanted.
    pub intent: Intent,
    /// What was answered. Its `at` is the time of the entry.
    pub receipt: Receipt,
    /// By which policy.
    pub policy: PolicyNote,
    /// The intent of the group that it is a step of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_of: Option<IntentId>,
    /// Of an accepted intent for a group: its members by stage. Each stage begins when what its members wait
    /// for is done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plan: Vec<Vec<TargetId>>,
}

/// Which policy decided.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PolicyNote {
    /// The version or digest of the set of policies.
    pub version: SmolStr,
    /// The ids of the policies that determined the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub determining: Vec<SmolStr>,
}

/// The kind of an entry, as the number in the file. Numbers are never used again for another kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// [`Entry::Boot`]
    Boot = 1,
    /// [`Entry::Decision`]
    Decision = 2,
    /// [`Entry::Ended`]
    Ended = 3,
    /// [`Entry::Interrupted`]
    Interrupted = 4,
    /// [`Entry::Audit`]
    Audit = 5,
    /// [`Entry::World`]
    World = 6,
    /// [`Entry::Closed`]
    Closed = 7,
}

impl Kind {
    /// All kinds, by number.
    pub const ALL: [Self; 7] =
        [Self::Boot, Self::Decision, Self::Ended, Self::Interrupted, Self::Audit, Self::World, Self::Closed];
    /// The number in the file.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }
    /// The word in the body and on the command line.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::Boot => "boot",
            Self::Decision => "decision",
            Self::Ended => "ended",
            Self::Interrupted => "interrupted",
            Self::Audit => "audit",
            Self::World => "world",
            Self::Closed => "closed",
        }
    }
    /// The kind of a word, if there is one.
    #[must_use]
    pub fn from_token(token: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.token() == token)
    }
}

impl Entry {
    /// Which kind it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Boot(_) => Kind::Boot,
            Self::Decision(_) => Kind::Decision,
            Self::Ended { .. } => Kind::Ended,
            Self::Interrupted { .. } => Kind::Interrupted,
            Self::Audit { .. } => Kind::Audit,
            Self::World { .. } => Kind::World,
            Self::Closed { .. } => Kind::Closed,
        }
    }
    /// When it happened.
    #[must_use]
    pub fn at(&self) -> UnixMs {
        match self {
            Self::Boot(boot) => boot.at,
            Self::Decision(decision) => decision.receipt.at,
            Self::Ended { at, .. }
            | Self::Interrupted { at, .. }
            | Self::Audit { at, .. }
            | Self::World { at, .. }
            | Self::Closed { at } => *at,
        }
    }
    /// The intent it is about.
    #[must_use]
    pub fn intent(&self) -> Option<IntentId> {
        match self {
            Self::Decision(decision) => Some(decision.intent.id),
            Self::Ended { intent, .. } | Self::Interrupted { intent, .. } => Some(*intent),
            Self::Boot(_) | Self::Audit { .. } | Self::World { .. } | Self::Closed { .. } => None,
        }
    }
    /// The intent of the group that it is a step of.
    #[must_use]
    pub fn part_of(&self) -> Option<IntentId> {
        match self {
            Self::Decision(decision) => decision.part_of,
            Self::Ended { part_of, .. } => *part_of,
            Self::Boot(_)
            | Self::Interrupted { .. }
            | Self::Audit { .. }
            | Self::World { .. }
            | Self::Closed { .. } => None,
        }
    }
    /// The target it is about.
    #[must_use]
    pub fn target(&self) -> Option<&TargetId> {
        match self {
            Self::Decision(decision) => Some(&decision.intent.target),
            Self::Ended { target, .. } | Self::Interrupted { target, .. } => Some(target),
            Self::Boot(_) | Self::Audit { .. } | Self::World { .. } | Self::Closed { .. } => None,
        }
    }
}

/// An entry as the writer takes it: encoded on the caller's thread.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) kind: Kind,
    pub(super) at: i64,
    pub(super) body: String,
    pub(super) effect: Effect,
}

/// What an entry changes in the tables derived from the chain.
#[derive(Debug)]
pub(super) enum Effect {
    Nothing,
    /// A decision: accepted ones open an intent, ones with an origin are found again by it.
    Decided {
        opens: Option<IntentId>,
        origin: Option<OriginBytes>,
    },
    Closes(IntentId),
}

/// The key of the origin table: 16 bytes of the digest of edge and source, the length of the event's
/// name, the name. The numbers of one source lie side by side and grow at one end, so that a batch
/// touches about one page per source.
pub(super) type OriginBytes = Box<[u8]>;

pub(super) fn origin_bytes(edge: Edge, origin: &OriginKey) -> OriginBytes {
    let edge = match edge {
        Edge::World => 1u8,
        Edge::Board => 2,
        Edge::Mqtt => 3,
        Edge::Web => 4,
        Edge::Cli => 5,
        Edge::Schedule => 6,
    };
    let source = Sha256::new().chain_update([edge]).chain_update(origin.source.as_bytes()).finalize();
    let event = origin.event.as_bytes();
    let mut key = Vec::with_capacity(17 + event.len());
    key.extend_from_slice(&source[..16]);
    key.push(u8::try_from(event.len()).unwrap_or(u8::MAX));
    key.extend_from_slice(event);
    key.into_boxed_slice()
}

impl Effect {
    pub(super) fn of(entry: &Entry) -> Self {
        match entry {
            Entry::Decision(decision) => {
                let Decision { intent, receipt, policy: _, part_of: _, plan: _ } = &**decision;
                Self::Decided {
                    opens: matches!(receipt.verdict, Verdict::Accepted).then_some(intent.id),
                    origin: intent.origin.as_ref().map(|origin| origin_bytes(intent.via.edge, origin)),
                }
            }
            Entry::Ended { intent, .. } | Entry::Interrupted { intent, .. } => Self::Closes(*intent),
            Entry::Boot(_) | Entry::Audit { .. } | Entry::World { .. } | Entry::Closed { .. } => {
                Self::Nothing
            }
        }
    }
}

impl Encoded {
    pub(super) fn new(entry: &Entry) -> Result<Self, JournalError> {
        let mut body = Vec::with_capacity(768);
        // Writing to memory cannot fail, and every field is a plain JSON value.
        serde_json::to_writer(&mut body, entry)
            .map_err(|error| JournalError::NotWritten(error.to_string().into()))?;
        if body.len() > MAX_BODY {
            return Err(JournalError::TooLarge {
                what: "bytes of an entry",
                found: body.len(),
                limit: MAX_BODY,
            });
        }
        let body =
            String::from_utf8(body).map_err(|error| JournalError::NotWritten(error.to_string().into()))?;
        Ok(Self { kind: entry.kind(), at: entry.at().0, body, effect: Effect::of(entry) })
    }
}
