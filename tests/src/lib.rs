//! The whole bridge against region and real backends: what the tests in `tests/` share.
//!
//! ```text
//! Room (folder, configuration, keys) ─▶ TestBridge (in this process) or BridgeProcess (to be killed -9)
//! Rack (plays a script, from the app) and Script (speaks the bare protocol, well or badly) ─▶ the bridge
//! ```
//! Helpers panic in words instead of returning errors: a test that cannot be set up has failed.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod board;
mod bridge;
mod broker;
mod control;
mod diary;
mod figure;
mod guest;
pub mod http;
mod room;
mod script;
mod wait;

pub use board::{Emulator, Line, Part, Player, Soft};
pub use bridge::{BridgeProcess, TestBridge, program};
pub use broker::{Broker, Client, Heard};
pub use control::Control;
pub use diary::Diary;
pub use figure::in_time;
pub use guest::guest;
pub use room::{OWNER, Room, SECRET, WORLD, owner};
pub use script::{Reply, Script, menu};
pub use wait::{soon, until};
