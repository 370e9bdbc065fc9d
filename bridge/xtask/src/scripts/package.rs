//! The ready files as a folder and as a zip.

use super::Ready;
use anyhow::Context;
use primrack_lsl::Profile;
use std::io::{Cursor, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// Writes the files below `folder`. What an earlier run left of a profile goes first.
pub(super) fn write_folder(folder: &Path, files: &[Ready]) -> anyhow::Result<()> {
    for profile in Profile::ALL {
        let old = folder.join(profile.name());
        if old.exists() {
            std::fs::remove_dir_all(&old).with_context(|| format!("removing {}", old.display()))?;
        }
    }
    for file in files {
        let path = folder.join(&file.path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        }
        std::fs::write(&path, &file.text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// The files as a zip in which everything stands below `folder`. The same files give the same bytes: order, dates
/// and permissions do not depend on where and when it is made.
pub(super) fn zip(folder: &str, files: &[Ready]) -> anyhow::Result<Vec<u8>> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for file in files {
        zip.start_file(format!("{folder}/{}", file.path), options)?;
        zip.write_all(file.text.as_bytes())?;
    }
    Ok(zip.finish()?.into_inner())
}
