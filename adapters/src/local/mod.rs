//! What technologies on the bridge's own machine share: processes that outlive the bridge, the folder
//! that remembers them, their bounded logs, and news for the driver.

mod folder;
mod handle;
mod intents;
mod logs;
mod news;
mod procfs;
mod ready;
mod remember;

pub(crate) use folder::Folder;
pub(crate) use handle::{Ending, Handle};
pub(crate) use intents::Recent;
pub(crate) use logs::Logs;
pub(crate) use news::Bell;
pub(crate) use procfs::Stat;
pub use ready::Ready;
pub(crate) use remember::{Files, Left, Record, Run, Started, clean_command};

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {words}")]
pub struct ConfigError {
    /// Where it stands, below the adapter's own table: `servers.web-1.command`.
    pub place: String,
    /// What is wrong and what to write instead.
    pub words: String,
}

impl ConfigError {
    pub(crate) fn new(place: impl Into<String>, words: impl Into<String>) -> Self {
        Self { place: place.into(), words: words.into() }
    }
}

/// A machine's name becomes a file name: an id's characters, nothing that leads elsewhere.
pub(crate) fn check_name(table: &str, name: &str) -> Result<(), ConfigError> {
    let fine = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.len() <= 64
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if fine {
        return Ok(());
    }
    Err(ConfigError::new(
        format!("{table}.{name}"),
        "a name is 1 to 64 of the characters A-Z a-z 0-9 . _ - and starts with a letter or digit",
    ))
}
