//! The bytes at each border of the bridge: pure functions, no I/O, versioned, held to frozen vectors.
//!
//! One module a border: [`mqtt`] is topics and messages at a broker; [`world`] is the protocol between objects in a region and the bridge, as
//! `lsl-scripts/PROTOCOL.md` describes it.

pub mod mqtt;
pub mod world;
