//! What technologies behind HTTP share: whose certificates are believed, secrets from files, and a
//! client that follows nothing, waits for nothing without end and reads no answer without a limit.

mod client;
mod done;
mod secret;
mod trust;

pub(crate) use client::{Web, check_url, json, unreachable, whole};
pub(crate) use done::Done;
pub(crate) use secret::read_secret;
pub use trust::Trust;
