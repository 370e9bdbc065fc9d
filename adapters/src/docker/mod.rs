//! Containers of Docker and Podman. See README.md in this folder.

mod adapter;
mod client;
mod config;
mod copy;
mod events;
mod map;

pub use adapter::DockerAdapter;
pub use config::DockerConfig;
