//! Credentials are files that nobody but their owner may read.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use primrack_adapter_api::AdapterError;
use secrecy::SecretString;
use tokio::io::AsyncReadExt as _;

/// The largest key.
const LARGEST: u64 = 64 << 10;

/// Reads one.
pub(super) async fn read(path: &Path) -> Result<SecretString, AdapterError> {
    let wrong = |why: &dyn std::fmt::Display| {
        AdapterError::Credentials(format!("{} cannot be used: {why}", path.display()))
    };
    let file = tokio::fs::File::open(path).await.map_err(|why| wrong(&why))?;
    let about = file.metadata().await.map_err(|why| wrong(&why))?;
    if about.mode() & 0o077 != 0 {
        return Err(wrong(&"others may read it: chmod 600"));
    }
    if about.len() > LARGEST {
        return Err(wrong(&"it is too large for a key"));
    }
    let mut text = String::new();
    file.take(LARGEST).read_to_string(&mut text).await.map_err(|why| wrong(&why))?;
    Ok(SecretString::from(text))
}
