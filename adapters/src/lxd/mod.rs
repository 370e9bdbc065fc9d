//! Instances of LXD and Incus. See README.md in this folder.

mod adapter;
mod client;
mod config;
mod events;
mod map;

pub use adapter::LxdAdapter;
pub use config::LxdConfig;
