//! systemd units as servers, over D-Bus. See README.md in this folder.

mod adapter;
mod client;
mod config;
mod journal;
mod map;
mod names;
mod track;
mod watch;

pub use adapter::SystemdAdapter;
pub use config::SystemdConfig;
