//! The sockets: calls out of the world, and the listener for script URLs.

pub(crate) mod client;
pub(crate) mod server;
