//! How a session stands, for those who show it.

use std::sync::Arc;
use std::time::Instant;

use super::OUTPUTS;
use crate::message::{Hello, ReaderHealth};

/// Where a session stands; the module above draws how they follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// There is no line.
    Closed,
    /// There is a line; nobody has said hello.
    Listening,
    /// A board said hello and is being adopted.
    Adopting,
    /// A board is there and does what it is told.
    Adopted,
    /// There is a line, and nothing valid comes from it.
    Silent,
    /// The board speaks another protocol, or the port is configured for a plain reader and has a board on it.
    Refused,
    /// There is a line, and what is on it is a plain reader: nothing is ever said to it.
    Plain,
}

/// What was counted since the session's beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Frames taken in.
    pub frames: u64,
    /// Frames refused: noise.
    pub bad_frames: u64,
    /// Lines and scraps of plain text.
    pub texts: u64,
    /// Frames whose verb or arguments this protocol does not know.
    pub unknown: u64,
    /// Events that came again.
    pub duplicates: u64,
    /// Requests that were sent again.
    pub resent: u64,
    /// Events that the board had to drop since it started, as it says.
    pub lost: u32,
}

/// How a session stands.
#[derive(Debug, Clone)]
pub struct Status {
    /// Where it stands.
    pub phase: Phase,
    /// Since when.
    pub since: Instant,
    /// The same in words, for people: why it is closed, silent or refused, or which board it is.
    pub words: String,
    /// What the board last said about itself; it stays when the board goes.
    pub hello: Option<Arc<Hello>>,
    /// Whether a valid hello was ever heard on this port: from then on its plain text is no badge.
    pub ever_hello: bool,
    /// How often a board was adopted. A change of it says that outputs were asserted again.
    pub adoptions: u64,
    /// What each output is by the board's own word; `None` while that is not known.
    pub outputs: [Option<u32>; OUTPUTS],
    /// How each reader is, as far as the board said so.
    pub readers: [Option<ReaderHealth>; 9],
    /// What was counted.
    pub counters: Counters,
}

impl Status {
    pub(super) fn closed(now: Instant, words: String) -> Self {
        Self {
            phase: Phase::Closed,
            since: now,
            words,
            hello: None,
            ever_hello: false,
            adoptions: 0,
            outputs: [None; OUTPUTS],
            readers: [None; 9],
            counters: Counters::default(),
        }
    }

    /// Whether a board is there and does what it is told.
    #[must_use]
    pub fn adopted(&self) -> bool {
        self.phase == Phase::Adopted
    }

    pub(super) fn forget_outputs(&mut self) {
        self.outputs = [None; OUTPUTS];
        self.readers = [None; 9];
    }
}
