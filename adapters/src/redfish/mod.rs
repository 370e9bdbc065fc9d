//! Machines behind a baseboard controller (BMC) or a chassis manager that speaks Redfish. See README.md
//! in this folder.

mod adapter;
mod client;
mod config;
mod events;
mod map;
mod systems;
mod thermal;

pub use adapter::RedfishAdapter;
pub use config::{Auth, BootDevice, Indicator, RebootBy, RedfishConfig, SystemConfig};
