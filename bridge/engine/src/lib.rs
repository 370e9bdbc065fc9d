//! What happens: one queue into each target, one writer of state, a journal before every action.
//!
//! Edges call [`Engine::submit`] and get a receipt; they learn of effects as [`Watcher`]s or from
//! [`Engine::subscribe`]. Adapters are driven from here and report into the book of states; no edge
//! reaches one.

pub mod journal;

mod book;
mod counters;
mod engine;
mod group;
mod read_only;
mod settings;

pub use book::{Listing, Watcher};
pub use counters::EngineCounters;
pub use engine::{Backend, Engine, NextBackend, Parts, Replacement};
pub use primrack_adapter_api::{AdapterError, Console};
pub use read_only::{READ_ONLY_SPACE, ReadOnly};
pub use settings::EngineSettings;
