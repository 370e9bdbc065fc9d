//! The firmware of the boards and the emulator that runs it in tests, both by their own makefiles.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// Builds what the tests over the whole bridge run.
pub(crate) fn build() -> Result<()> {
    make("hardware/firmware", &["all"])?;
    make("hardware/emulator", &["all"])
}

/// Runs what is tested in C and C++: the firmware's library on this machine, and the emulator against itself.
pub(crate) fn check() -> Result<()> {
    make("hardware/firmware", &["test"])?;
    make("hardware/emulator", &["check"])
}

fn make(folder: &str, goals: &[&str]) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("the workspace's folder")?;
    let status = Command::new("make")
        .arg("--no-print-directory")
        .arg("-C")
        .arg(root.join(folder))
        .args(goals)
        .status()
        .context("make cannot be run: `cargo xtask test` installs it")?;
    if !status.success() {
        bail!("`make -C {folder} {}` failed: see above", goals.join(" "));
    }
    Ok(())
}
