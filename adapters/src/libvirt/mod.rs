//! Everything that libvirt manages, by its own protocol: QEMU, LXC, Xen, VMware ESX and its test driver.
//! See README.md in this folder.

mod actions;
mod adapter;
mod client;
mod config;
mod copies;
mod driver;
mod map;
mod protocol;
mod rpc;
mod screen;
mod secret;
mod tls;
mod transport;
mod xdr;
mod xml;

pub use adapter::LibvirtAdapter;
pub use config::{LibvirtConfig, TlsSettings};
