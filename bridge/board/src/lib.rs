//! The serial side: boards, readers and outputs as an edge and as targets.
//!
//! ```text
//! board ─ line ─ link's session ─▶ task ─▶ core (pure) ─▶ shown, replies ─▶ adapter ─▶ engine
//!                                   │                  └▶ ask ─▶ engine.submit ─▶ receipt ─▶ core ─▶ reader
//!                                   └◀── states of what is followed ◀── engine's events
//! ```
//! A badge or button is an actor like any other: it asks, policy decides, the journal knows, and the
//! receipt is shown at the reader. An output, a door or an alarm is a target like any other.

mod adapter;
mod alarm;
mod ask;
mod audit;
mod badges;
mod board;
mod boards;
mod config;
mod core;
mod guard;
mod look;
mod stop;
mod task;

pub use adapter::BoardAdapter;
pub use badges::{Badges, BadgesError};
pub use board::{BoardStatus, Seen};
pub use boards::{BoardParts, Boards, KEPT};
pub use config::{
    AlarmConfig, BoardConfig, ButtonConfig, ConfigError, Deed, DoorConfig, EMERGENCY_STOP, OutputConfig,
    ReaderConfig,
};
pub use look::OutputKind;

/// The port of a board that is played in software.
pub const SOFT: &str = "soft";
