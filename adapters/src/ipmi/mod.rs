//! Machines by their baseboard controllers over IPMI 2.0. See README.md in this folder.

mod adapter;
mod client;
mod config;
mod local;
mod map;

pub use adapter::IpmiAdapter;
pub use config::{IpmiConfig, MachineConfig};
