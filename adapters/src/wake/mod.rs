//! Wake-on-LAN: machines that are started by a packet, with a check that they came up. See README.md in
//! this folder.

mod adapter;
mod client;
mod config;
mod map;

pub use adapter::WakeAdapter;
pub use config::{MachineConfig, WakeConfig};
