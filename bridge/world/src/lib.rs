//! The region side: registration, signed touches and menus, pushes to callback URLs.
//!
//! ```text
//! HTTP ─▶ inlet ─▶ verified ─▶ register │ events ─▶ engine ─▶ entries ─▶ signed answer
//!                                                       │
//!                        delivery ◀─ dirty units ◀─ engine's watcher
//!                           └─▶ callback URL ─▶ ack, verified
//! ```
//! Nothing here reaches an adapter, and nothing a message says is believed before its MAC holds.

pub mod delivery;

mod audit;
mod counters;
mod events;
mod hands;
mod inlet;
mod keys;
mod parcels;
mod register;
mod settings;
mod station;
mod words;
mod world;

pub use inlet::{Told, WORLD_PATH};
pub use keys::{Key, Keyring, KeysError};
pub use settings::WorldSettings;
pub use world::{ObjectStatus, World, WorldParts};
