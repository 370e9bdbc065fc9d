//! The line to boards and readers: frames, sessions without I/O, ports, and a software board.
//!
//! `hardware/PROTOCOL.md` is the contract. From the wire inwards: [`frame`] and [`decoder`] know bytes, [`message`] knows words, [`session`]
//! knows what was said and what is owed, without I/O. [`port`] opens lines; [`link`] joins a port and a session and is what the
//! bridge uses. [`plain`] reads readers that know no protocol; [`soft`] is a board in software,
//! which says that it is simulated.

pub mod decoder;
pub mod frame;
pub mod link;
pub mod message;
#[cfg(feature = "osdp")]
pub mod osdp;
#[cfg(feature = "pcsc")]
pub mod pcsc_reader;
pub mod plain;
pub mod port;
#[cfg(any(feature = "osdp", feature = "pcsc"))]
pub mod reader;
pub mod session;
pub mod soft;
pub mod sun;

pub use link::{Link, LinkConfig, RunningLink};
