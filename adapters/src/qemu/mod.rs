//! Virtual machines in QEMU on the bridge's own machine, over QMP. See README.md in this folder.

mod adapter;
mod client;
mod clones;
mod config;
mod kvm;
mod launch;
mod machine;
mod map;
mod screen;
mod snapshot;

pub use adapter::QemuAdapter;
pub use config::{Accelerator, DiskConfig, MachineConfig, QemuConfig};
