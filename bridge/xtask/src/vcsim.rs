//! Builds vcsim, the simulator of vSphere that tests run against, from Debian's package of its library.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

/// Where Debian puts Go libraries.
const GOPATH: &str = "/usr/share/gocode";

/// Builds `target/peers/vcsim` from `tests/vcsim`, unless it is there and neither the source nor the
/// compiler and library have changed.
///
/// # Errors
/// When Go or the library is missing, or it does not compile.
pub(crate) fn ensure() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("the workspace's folder")?;
    let (source, home) = (root.join("tests/vcsim"), root.join("target/peers"));
    let (program, stamp) = (home.join("vcsim"), home.join("vcsim.stamp"));
    let wanted = fingerprint(&source)?;
    if program.is_file() && fs::read_to_string(&stamp).is_ok_and(|there| there == wanted) {
        return Ok(program);
    }
    fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&program).arg(".").current_dir(&source);
    build.env("GOPATH", GOPATH).env("GO111MODULE", "off").env("GOFLAGS", "").env("GOCACHE", home.join("go"));
    let output = build.output().context("cannot run go: install golang-go")?;
    if !output.status.success() {
        bail!("vcsim does not build: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    fs::write(&stamp, wanted)?;
    Ok(program)
}

fn fingerprint(source: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(fs::read(source.join("main.go")).context("tests/vcsim/main.go")?);
    let version = Command::new("go").arg("version").output().context("cannot run go: install golang-go")?;
    hash.update(version.stdout);
    let library = Command::new("dpkg-query").args(["-W", "golang-github-vmware-govmomi-dev"]).output();
    // Elsewhere than on Debian the build itself tells what it lacks.
    hash.update(library.map(|out| out.stdout).unwrap_or_default());
    Ok(hex::encode(hash.finalize()))
}
