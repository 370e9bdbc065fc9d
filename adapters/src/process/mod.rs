//! Real processes on the bridge's own machine as servers. See README.md in this folder.

mod adapter;
mod client;
mod config;
mod map;

pub use adapter::ProcessAdapter;
pub use config::{ProcessConfig, ServerConfig};
