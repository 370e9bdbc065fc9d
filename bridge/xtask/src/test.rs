//! Everything that must hold: formatting, lints, the scripts of every grid, all tests, the examples in
//! the documentation.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::{firmware, guest, packages, page, python, transcripts, vcsim};

/// What a feature hides, the readers of the line's crate, is built and tested with everything else: apart, all it depends on would be
/// built anew.
pub(crate) const FEATURES: &str = "--features=primrack-link/osdp,primrack-link/pcsc";

/// Sets up what is missing and runs everything; the first failure ends it.
#[expect(clippy::print_stdout, reason = "what a developer runs talks to a terminal")]
pub(crate) fn run() -> Result<()> {
    let started = Instant::now();
    let step = |name: &str, work: &mut dyn FnMut() -> Result<()>| -> Result<()> {
        println!("── {name}");
        let began = Instant::now();
        work().with_context(|| format!("{name} failed"))?;
        println!("── {name}: {:.0} s", began.elapsed().as_secs_f32());
        Ok(())
    };
    step("packages", &mut packages::ensure)?;
    step("firmware", &mut || {
        firmware::build()?;
        firmware::check()
    })?;
    step("guest", &mut || guest::ensure().map(|_| ()))?;
    step("python", &mut || python::ensure_all().map(drop))?;
    step("vcsim", &mut || vcsim::ensure().map(drop))?;
    step("formatting", &mut || cargo(&["fmt", "--all", "--check"]))?;
    step("lints", &mut || {
        cargo(&["clippy", "--quiet", "--workspace", FEATURES, "--all-targets", "--", "--deny", "warnings"])
    })?;
    step("scripts", &mut || cargo(&["xtask", "scripts", "--check"]))?;
    step("documentation examples", &mut || cargo(&["test", "--quiet", "--workspace", FEATURES, "--doc"]))?;
    // With the tests: by themselves programs are built without what only tests want of their dependencies, and all of those twice.
    step("build", &mut || cargo(&["build", "--quiet", "--workspace", FEATURES, "--bins", "--tests"]))?;
    step("page", &mut || page::test(root()?))?;
    transcripts::forget()?;
    // The table is worth most when a test has failed.
    let tested = step("tests", &mut tests);
    let table = step("what backends ran", &mut transcripts::print);
    tested?;
    table?;
    println!("── all in {:.0} s", started.elapsed().as_secs_f32());
    Ok(())
}

/// With nextest where it is installed, since it runs every test in a process of its own.
fn tests() -> Result<()> {
    let nextest =
        Command::new("cargo").args(["nextest", "--version"]).output().is_ok_and(|out| out.status.success());
    if nextest {
        cargo(&["nextest", "run", "--workspace", FEATURES, "--no-fail-fast"])
    } else {
        cargo(&["test", "--workspace", FEATURES, "--lib", "--bins", "--tests", "--no-fail-fast"])
    }
}

/// The workspace's folder.
///
/// # Errors
/// When there is none.
pub(crate) fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("the workspace's folder")
}

/// Runs cargo in the workspace's folder.
///
/// # Errors
/// When it fails.
pub(crate) fn cargo(args: &[&str]) -> Result<()> {
    let status =
        Command::new("cargo").args(args).current_dir(root()?).status().context("cargo cannot be run")?;
    if !status.success() {
        bail!("`cargo {}` failed: see above", args.join(" "));
    }
    Ok(())
}
