//! The technologies, one folder and one cargo feature each. All have the same files: `config` (what
//! can be set), `client` (how the backend is reached), `map` (its words and ours), `adapter` (the trait).

#[cfg(any(feature = "process", feature = "qemu"))]
mod local;
#[cfg(feature = "process")]
pub mod process;
#[cfg(feature = "qemu")]
pub mod qemu;

#[cfg(any(feature = "process", feature = "qemu"))]
pub use local::{ConfigError, Ready};
