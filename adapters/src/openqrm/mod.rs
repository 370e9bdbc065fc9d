//! openQRM: the appliances of its cloud plug-in, by the SOAP interface of its 2010 tree. See README.md
//! in this folder.

mod adapter;
mod client;
mod config;
mod map;

pub use adapter::OpenqrmAdapter;
pub use config::{Mode, OpenqrmConfig};
