//! The technologies, one folder and one cargo feature each. All have the same files: `config` (what
//! can be set), `client` (how the backend is reached), `map` (its words and ours), `adapter` (the trait).

#[cfg(any(feature = "ipmi", feature = "redfish"))]
mod bmc;
mod config;
#[cfg(any(feature = "docker", feature = "lxc", feature = "lxd"))]
mod containers;
#[cfg(feature = "docker")]
pub mod docker;
mod dry_run;
#[cfg(feature = "ipmi")]
pub mod ipmi;
#[cfg(feature = "libvirt")]
pub mod libvirt;
#[cfg(any(
    feature = "libvirt",
    feature = "ipmi",
    feature = "plugin",
    feature = "process",
    feature = "qemu",
    feature = "redfish",
    feature = "ssh",
    feature = "systemd",
    feature = "uml",
    feature = "wake"
))]
mod local;
#[cfg(feature = "lxc")]
pub mod lxc;
#[cfg(feature = "lxd")]
pub mod lxd;
#[cfg(feature = "openqrm")]
pub mod openqrm;
#[cfg(feature = "plugin")]
pub mod plugin;
#[cfg(feature = "process")]
pub mod process;
mod programs;
#[cfg(feature = "proxmox")]
pub mod proxmox;
#[cfg(feature = "qemu")]
pub mod qemu;
#[cfg(feature = "redfish")]
pub mod redfish;
#[cfg(feature = "ssh")]
pub mod ssh;
#[cfg(feature = "systemd")]
pub mod systemd;
mod technology;
#[cfg(feature = "uml")]
pub mod uml;
#[cfg(feature = "vsphere")]
pub mod vsphere;
#[cfg(feature = "wake")]
pub mod wake;
#[cfg(feature = "web")]
mod web;
#[cfg(any(feature = "docker", feature = "lxd"))]
mod wire;

pub use config::ConfigError;
pub use dry_run::DryRun;
#[cfg(any(feature = "process", feature = "qemu", feature = "uml"))]
pub use local::Ready;
pub use technology::{Configured, Named, Need, Standing, Technology};
#[cfg(feature = "web")]
pub use web::Trust;
