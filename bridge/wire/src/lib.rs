//! The bytes at each border of the bridge: pure functions, no I/O, versioned, held to frozen vectors.
//!
//! One module a border. [`world`] is the protocol between objects in a region and the bridge, as
//! `lsl-scripts/PROTOCOL.md` describes it.

pub mod world;
