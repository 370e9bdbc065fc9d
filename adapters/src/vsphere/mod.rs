//! VMware vSphere: vCenter or a single ESXi host, by its SOAP interface. See README.md in this folder.

mod adapter;
mod client;
mod config;
mod events;
mod inventory;
mod map;
mod soap;

pub use adapter::VsphereAdapter;
pub use config::VsphereConfig;
