//! User-mode Linux: Linux kernels as processes of this machine. See README.md in this folder.

mod adapter;
mod client;
mod config;
mod map;
mod mconsole;

pub use adapter::UmlAdapter;
pub use config::{MachineConfig, UmlConfig};
