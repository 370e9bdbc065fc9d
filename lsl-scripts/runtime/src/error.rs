//! What stops a running script.

use serde::Serialize;

/// The class of a run-time error, by what a script author does about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// Division or modulo by zero and other arithmetic the grids refuse.
    Math,
    /// The script used more memory than its grid grants.
    StackHeapCollision,
    /// Functions called each other too deep.
    CallDepth,
    /// The event handler ran too long without giving up its turn.
    Runaway,
    /// A cast that the engine refuses instead of giving a default.
    Cast,
    /// An argument out of the range that the function takes.
    Argument,
    /// The host has no such function: a region without physics or land cannot give it.
    Unsupported,
    /// The world refused for another reason.
    Host,
}

/// A run-time error: the script stops until it is reset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[error("{message}")]
pub struct RuntimeError {
    /// The class.
    pub kind: ErrorKind,
    /// A sentence for the script's author; begins with the grid's own words where it has some ("Math Error").
    pub message: String,
    /// Source line (1-based) that was running, 0 while unknown. The interpreter fills it in.
    pub line: u32,
}

impl RuntimeError {
    /// An error of the given class; the interpreter adds the line.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), line: 0 }
    }

    /// The grids' "Math Error".
    #[must_use]
    pub fn math(what: &str) -> Self {
        Self::new(ErrorKind::Math, format!("Math Error: {what}"))
    }

    /// A function that this host cannot give.
    #[must_use]
    pub fn unsupported(function: &str) -> Self {
        Self::new(ErrorKind::Unsupported, format!("{function} is not available in this region"))
    }
}
