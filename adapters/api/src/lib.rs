//! How a technology joins Primrack: the [`Adapter`] trait, the driver that runs one, and the
//! conformance suite that each must pass.
//!
//! An adapter is a set of small functions that do one thing once: list, observe, execute, listen.
//! Time-outs, back-off, polling, re-listing after a lost stream and the coalescing of event hints are
//! the driver's. An adapter never learns who asked, and nothing it says is believed beyond its own targets.

mod adapter;
pub mod conformance;
mod driver;
mod error;

pub use adapter::{Adapter, Capabilities, Console, Found, Hint, Hints};
pub use driver::{Driver, DriverCounts, DriverSettings, DriverStatus, Sink};
pub use error::AdapterError;
