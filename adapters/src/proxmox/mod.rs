//! Proxmox VE: virtual machines and containers of a cluster, by its REST interface. See README.md in
//! this folder.

mod adapter;
mod client;
mod cluster;
mod config;
mod map;
mod tasks;

pub use adapter::ProxmoxAdapter;
pub use config::ProxmoxConfig;
