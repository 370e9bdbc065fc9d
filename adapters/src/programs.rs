//! Programs that a technology runs.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// A program, by path or in PATH, if it is there and may be run.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let runs = |path: &Path| {
        std::fs::metadata(path).is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|path| runs(path));
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| runs(path))
}
