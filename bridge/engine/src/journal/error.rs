//! What can go wrong with the journal, sorted by what the caller does next.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use primrack_model::Receipt;
use rusqlite::ErrorCode;

/// Why the journal did not do as asked. Cheap to clone: every waiter of a failed batch gets one.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// Another bridge has the file. Stop that one, or give this one a journal of its own.
    #[error("the journal {} is in use by another bridge{}: stop that one, or give this one another journal file", path.display(), holder(*process))]
    InUse {
        /// The journal.
        path: PathBuf,
        /// The process that holds it, where it left its number.
        process: Option<u32>,
    },
    /// The file is ours and cannot be trusted. Restore a copy; `words` name the place.
    #[error("the journal {} is damaged: {words}. Nothing was changed. Move it aside and restore a copy", path.display())]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// What and where.
        words: String,
    },
    /// The file is not a journal this version can use.
    #[error("{} cannot be used as the journal: {words}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it seems to be, and what to do.
        words: String,
    },
    /// The file cannot be opened or read.
    #[error("the journal {} cannot be read: {words}", path.display())]
    Unreadable {
        /// The journal.
        path: PathBuf,
        /// What the system said.
        words: String,
    },
    /// Not durable, so nothing may be done. The next append tries again; no restart is needed.
    #[error("not written to the journal: {0}")]
    NotWritten(Arc<str>),
    /// The queue was full for as long as an append may wait.
    #[error("the journal is behind: its queue was full for {waited_ms} ms")]
    TooBusy {
        /// How long this append waited.
        waited_ms: u64,
    },
    /// An entry, a value or a group beyond its limit.
    #[error("too large for the journal: {found} where {limit} is the limit ({what})")]
    TooLarge {
        /// What was measured.
        what: &'static str,
        /// Its size.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// This very event was decided before: here is what was answered. Nothing was written.
    #[error("already decided as {}", .0.intent)]
    Duplicate(Box<Receipt>),
    /// The journal was closed.
    #[error("the journal is closed: the bridge is stopping")]
    Closed,
}

fn holder(process: Option<u32>) -> String {
    process.map(|id| format!(" (process {id})")).unwrap_or_default()
}

/// What a failed write means to a person: what, where, what to do.
pub(super) fn write_words(path: &Path, error: &rusqlite::Error) -> String {
    let file = path.display();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => {
            format!("no space is left for {file}; free some and it goes on by itself ({error})")
        }
        Some(ErrorCode::SystemIoFailure) => {
            format!("the disk under {file} failed; check it, the next request tries again ({error})")
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            format!("another program holds a write lock on {file}; close it ({error})")
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            format!("{file} or its folder may not be written by this user; check owner and mount ({error})")
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            format!("{file} is damaged; run `primrack audit verify` and restore a copy ({error})")
        }
        _ => format!("{file}: {error}"),
    }
}

/// Sorts an error met while opening or reading.
pub(super) fn read_error(path: &Path, error: &rusqlite::Error) -> JournalError {
    let path = path.to_path_buf();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => JournalError::Foreign {
            path,
            words: "it is no SQLite database; choose another file name in the configuration".to_owned(),
        },
        Some(ErrorCode::DatabaseCorrupt) => JournalError::Damaged { path, words: error.to_string() },
        _ => JournalError::Unreadable { path, words: error.to_string() },
    }
}
