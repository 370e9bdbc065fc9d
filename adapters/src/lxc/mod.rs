//! Containers of plain LXC, by its own tools. See README.md in this folder.

mod adapter;
mod client;
mod config;
mod map;
mod memory;

pub use adapter::LxcAdapter;
pub use config::LxcConfig;
