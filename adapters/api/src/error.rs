//! Errors sorted by what the driver does about them.

use primrack_model::Action;
use serde::{Deserialize, Serialize};

/// Why an adapter could not do what it was told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "error", content = "words")]
pub enum AdapterError {
    /// The backend does not answer: the state is unknown, try again with back-off.
    #[error("{0}")]
    Unreachable(String),
    /// The backend answered no: the command failed, its words are shown.
    #[error("{0}")]
    Refused(String),
    /// The backend has nothing of that address.
    #[error("the backend has nothing called {0:?}: check `address` of the target")]
    NotFound(String),
    /// This technology cannot do that.
    #[error("{0}")]
    NotSupported(String),
    /// The credentials are wrong: retried slowly, shown by `doctor`.
    #[error("{0}")]
    Credentials(String),
    /// It was not over in time: the outcome is unknown, the target is observed again.
    #[error("no answer within {0} ms")]
    TimedOut(u64),
}

impl AdapterError {
    /// This technology has no such action.
    #[must_use]
    pub fn unsupported(action: Action) -> Self {
        Self::NotSupported(format!("this technology has no action {action}"))
    }
}
