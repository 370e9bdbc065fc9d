//! The folder in which an adapter remembers its machines, used by one bridge at a time.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How long a bridge that is just ending may hold the folder.
const HANDOVER: Duration = Duration::from_secs(5);

/// An open state folder. Others are kept out until it is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes the folder, readable by its owner only, and locks it. Waits a little for a bridge that is
    /// just ending.
    pub(crate) async fn open(path: &Path) -> Result<Self, String> {
        let wanted = path.to_owned();
        let made = tokio::task::spawn_blocking(move || {
            let path = std::path::absolute(&wanted)?;
            DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
            DirBuilder::new().recursive(true).mode(0o700).create(path.join("logs"))?;
            let lock = private_file(&path.join("lock"))?;
            Ok::<_, io::Error>((path.canonicalize()?, lock))
        });
        let (path, lock) = made
            .await
            .map_err(|_| "the bridge is ending".to_owned())?
            .map_err(|why| format!("the state folder {} cannot be used: {why}", path.display()))?;
        let patience = tokio::time::Instant::now() + HANDOVER;
        loop {
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { path, _lock: lock }),
                // A lock has no event to await without blocking a thread.
                Err(rustix::io::Errno::WOULDBLOCK) if tokio::time::Instant::now() < patience => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(why) => {
                    return Err(format!(
                        "the state folder {} is in use by another bridge ({why}): give each its own `state_dir`",
                        path.display()
                    ));
                }
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
    pub(crate) fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }
    pub(crate) fn file(&self, name: &str, suffix: &str) -> PathBuf {
        self.path.join(format!("{name}.{suffix}"))
    }
}

/// Opens or makes a file that only its owner may read.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)
}

/// Writes a small record so that a reader finds the old or the new one, never half.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let next = path.with_extension("next");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
    file.write_all(&serde_json::to_vec(value)?)?;
    drop(file);
    fs::rename(next, path)
}

/// Reads a record. One that is absent or cannot be read is none: the machine is then looked for by
/// other means.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let bytes = fs::read(path).ok()?;
    match serde_json::from_slice(&bytes) {
        Ok(value) => Some(value),
        Err(why) => {
            tracing::warn!(path = %path.display(), %why, "a damaged record is ignored");
            None
        }
    }
}
