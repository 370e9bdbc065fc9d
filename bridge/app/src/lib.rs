//! The binary `primrack` as a library: configuration, composition, commands. `main.rs` is a list.

pub mod board;
pub mod catalogue;
pub mod command;
pub mod compose;
pub mod config;
pub mod control;
pub mod demo;
pub mod discovery;
pub mod doctor;
pub mod import;
pub mod logs;
pub mod out;
pub mod rack;
pub mod show;

mod api;
mod metrics;
mod mqtt;
#[cfg(test)]
mod testing;
