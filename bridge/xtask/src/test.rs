//! Everything that must hold: formatting, lints, the scripts of every grid, all tests, the examples in
//! the documentation.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::{firmware, guest, packages, page, python, transcripts, vcsim};

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
        cargo(&["clippy", "--quiet", "--workspace", "--all-targets", "--", "--deny", "warnings"])
    })?;
    step("scripts", &mut || cargo(&["xtask", "scripts", "--check"]))?;
    step("documentation examples", &mut || cargo(&["test", "--quiet", "--workspace", "--doc"]))?;
    step("build", &mut || cargo(&["build", "--quiet", "--workspace", "--bins"]))?;
    step("page", &mut || page::test(root()?))?;
    transcripts::forget()?;
    // The table is worth most when a test has failed.
    let tested = step("tests", &mut tests);
    let table = step("what backends ran", &mut transcripts::print);
    tested?;
    table?;
    step("readers behind features", &mut readers)?;
    println!("── all in {:.0} s", started.elapsed().as_secs_f32());
    Ok(())
}

/// With nextest where it is installed, since it runs every test in a process of its own.
fn tests() -> Result<()> {
    let nextest =
        Command::new("cargo").args(["nextest", "--version"]).output().is_ok_and(|out| out.status.success());
    if nextest {
        cargo(&["nextest", "run", "--workspace", "--no-fail-fast"])
    } else {
        cargo(&["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"])
    }
}

/// What PC/SC and OSDP readers add to the line's crate, linted and tested. In a target folder of its own: with these features, and without the
/// rest of the workspace, every dependency would be built anew at each turn.
fn readers() -> Result<()> {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().map(|root| root.join("target")), |dir| Ok(dir.into()))?;
    let target = target.join("readers");
    let target = target.to_str().context("the target folder has a strange name")?;
    let crate_with = ["-p", "primrack-link", "--features", "osdp,pcsc", "--target-dir", target];
    cargo(
        &[&["clippy", "--quiet"], &crate_with[..], &["--all-targets", "--", "--deny", "warnings"]].concat(),
    )?;
    let tests = ["--lib", "--test", "osdp", "--test", "pcsc"];
    cargo(&[&["test", "--quiet"], &crate_with[..], &tests].concat())
}

fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("the workspace's folder")
}

fn cargo(args: &[&str]) -> Result<()> {
    let status =
        Command::new("cargo").args(args).current_dir(root()?).status().context("cargo cannot be run")?;
    if !status.success() {
        bail!("`cargo {}` failed: see above", args.join(" "));
    }
    Ok(())
}
