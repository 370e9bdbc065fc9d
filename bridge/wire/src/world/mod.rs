//! World protocol, version 1: see `lsl-scripts/PROTOCOL.md`.
//!
//! ```text
//! bytes ─▶ Unverified::parse ─▶ Unverified::verify(secret) ─▶ Signed ─▶ admit(now, nonce, window) ─▶ UpBody
//! ```
//! A [`Signed`] can only be had from a MAC that holds over a body that matches; [`Signed::admit`] is the
//! only way to its content. What goes out is made by [`seal`].

mod down;
mod fault;
mod header;
mod mac;
mod seal;
mod text;
mod up;
mod window;

pub use down::{
    Answer, AnswerEntry, AnswerVerdict, BODY_ROOM, PushBody, Refused, Tell, UnitState, WIRE_LIMIT, fit,
};
pub use fault::Fault;
pub use header::{Dir, HEADER_LIMIT, Header, KeyId, Nonce, NonceField, PROTOCOL, Seq, VERSION};
pub use mac::{BadSecret, Form, Secret, mac};
pub use seal::{Sealing, Signed, Unverified, seal};
pub use text::{clip, clip_into};
pub use up::{
    Ack, Event, EventId, EventKind, Events, MAX_EVENTS, MESSAGE_LIMIT, Register, UnitRanges, UpBody,
};
pub use window::SeqWindow;

/// How far the clocks may differ, in seconds.
pub const MAX_SKEW_S: i64 = 120;
