//! The answer that everybody gets, at once, with a reason.

use serde::{Deserialize, Serialize};

use crate::{Action, IntentId, TargetId, UnixMs};

/// Why not, for machines. The words beside it are for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalCode {
    /// No policy permits it.
    NotPermitted,
    /// A policy forbids it: a protected target, a closed hour.
    Forbidden,
    /// There is no such target or unit.
    NoTarget,
    /// The backend cannot do this to this target.
    NotSupported,
    /// It makes no sense in the present state, such as starting what is on.
    WrongState,
    /// Another command is under way.
    Busy,
    /// The state is unknown or old, and the action would disturb.
    Stale,
    /// Too many requests from this source.
    TooMany,
    /// The journal cannot be written, so nothing may be done.
    Journal,
    /// A menu answer that was not offered, came too late or from somebody else.
    NotOffered,
    /// The emergency stop holds: nothing is acted on.
    ReadOnly,
    /// The bridge is stopping.
    ShuttingDown,
}

impl RefusalCode {
    /// The token on the wire and in metrics.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::NotPermitted => "not-permitted",
            Self::Forbidden => "forbidden",
            Self::NoTarget => "no-target",
            Self::NotSupported => "not-supported",
            Self::WrongState => "wrong-state",
            Self::Busy => "busy",
            Self::Stale => "stale",
            Self::TooMany => "too-many",
            Self::Journal => "journal",
            Self::NotOffered => "not-offered",
            Self::ReadOnly => "read-only",
            Self::ShuttingDown => "shutting-down",
        }
    }
}

/// A no with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{words}")]
pub struct Refusal {
    /// For machines.
    pub code: RefusalCode,
    /// For people: one sentence, what and why, and whom to ask where that helps.
    pub words: String,
}

impl Refusal {
    /// A refusal in words.
    #[must_use]
    pub fn new(code: RefusalCode, words: impl Into<String>) -> Self {
        Self { code, words: words.into() }
    }
}

/// Yes or no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Verdict {
    /// It is in the journal and will be done.
    Accepted,
    /// The same is under way for somebody else's intent; nothing is done twice.
    Joined {
        /// The intent that is under way.
        with: IntentId,
    },
    /// It will not be done.
    Refused(Refusal),
}

/// What the asker learns at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The intent it answers.
    pub intent: IntentId,
    /// The target asked for.
    pub target: TargetId,
    /// The action asked for.
    pub action: Action,
    /// Yes or no.
    pub verdict: Verdict,
    /// One sentence for a person.
    pub words: String,
    /// When it was decided.
    pub at: UnixMs,
}

impl Receipt {
    /// Whether the thing asked for is or will be done.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        match self.verdict {
            Verdict::Accepted | Verdict::Joined { .. } => true,
            Verdict::Refused(_) => false,
        }
    }
    /// Whether a command of its own was set going, which will end.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self.verdict, Verdict::Accepted)
    }
}
