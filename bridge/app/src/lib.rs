//! The binary `primrack` as a library: configuration, composition, commands. `main.rs` is a list.

pub mod command;
pub mod compose;
pub mod config;
pub mod logs;
pub mod out;

mod metrics;
