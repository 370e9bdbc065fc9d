//! Topics and messages at an MQTT broker, version 1. `bridge/mqtt/PROTOCOL.md` tells it to people.
//!
//! ```text
//! PREFIX/status                     retained  online | offline (the last will)
//! PREFIX/state/TARGET               retained  StateMessage
//! PREFIX/do/ACCOUNT/TARGET          never     a command; the broker's access list vouches for ACCOUNT
//! PREFIX/receipt/ACCOUNT[/…]        never     ReceiptMessage, one for each command
//! PREFIX/ended/ACCOUNT              never     EndedMessage, one for each accepted command
//! PREFIX/tag/BOARD/READER           never     TagMessage
//! ```

mod command;
mod discovery;
mod report;
mod topic;

pub use command::{Asked, COMMAND_LIMIT, CommandFault};
pub use discovery::{Announcement, BoardFacts, HomeAssistant, TargetFacts};
pub use report::{EndedMessage, ReceiptMessage, StateMessage, TagMessage, TransitionMessage};
pub use topic::{Account, BadTopic, Topics};
