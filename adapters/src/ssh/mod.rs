//! Machines that are acted on by commands over SSH: zones, Linux-VServer, plain hosts, anything with a
//! command line. See README.md in this folder.

mod adapter;
mod client;
mod config;
mod map;
mod sets;

pub use adapter::SshAdapter;
pub use config::{HostConfig, SshConfig};
pub use sets::CommandSet;
