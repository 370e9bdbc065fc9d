//! The guest that virtual machines boot.

use std::path::{Path, PathBuf};

/// Its folder: `PRIMRACK_GUEST_DIR`, or where `cargo xtask guest` puts it.
///
/// # Panics
/// When there is no guest, with what to do. A test without its guest has failed; it is not left out.
#[must_use]
pub fn guest() -> PathBuf {
    let workspace = || Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target/guest");
    let folder = std::env::var_os("PRIMRACK_GUEST_DIR").map_or_else(workspace, PathBuf::from);
    assert!(
        folder.join("vmlinuz").is_file() && folder.join("initrd").is_file(),
        "no guest in {}: run `cargo xtask guest` first, or name its folder in PRIMRACK_GUEST_DIR",
        folder.display()
    );
    folder
}
