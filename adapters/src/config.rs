//! What all configurations share.

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
