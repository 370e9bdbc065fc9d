//! Sets of tests that are too heavy for every run: what they fetch is hundreds of megabytes, or they take minutes. Run
//! each night, or by hand. Their tests are ignored by `cargo xtask test`, or smaller there.

use std::ffi::OsString;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::{packages, python, test, xen};

/// One set.
struct Set {
    name: &'static str,
    about: &'static str,
    /// What it needs beside the packages, and what its tests are told of it by their environment.
    prepare: fn() -> Result<Vec<(&'static str, OsString)>>,
    /// The program of tests, a file of `tests/tests` or `adapters/tests`.
    binary: &'static str,
    /// Its tests whose names hold this.
    tests: &'static str,
}

const SETS: &[Set] = &[
    Set {
        name: "mqtt-10000",
        about: "10,000 MQTT commands over two kill -9 of Mosquitto and one of the bridge",
        prepare: || Ok(vec![("PRIMRACK_MQTT_COMMANDS", "10000".into())]),
        binary: "mqtt",
        tests: "nothing_is_lost_or_doubled_over_kills_of_broker_and_bridge",
    },
    Set {
        name: "home-assistant",
        about: "a real Home Assistant finds targets and boards, switches, and scans a tag",
        prepare: || Ok(vec![("PRIMRACK_HOME_ASSISTANT", python::home_assistant()?.into())]),
        binary: "home_assistant",
        tests: "",
    },
    Set {
        name: "xen",
        about: "a real Xen in QEMU under TCG, through the libvirt of its dom0",
        prepare: || xen::ensure().map(|_| Vec::new()),
        binary: "xen",
        tests: "xen_keeps_the_suite_shows_what_others_do_and_survives_its_daemon",
    },
];

/// The list for `--help`.
pub(crate) fn help() -> String {
    let lines: Vec<String> = SETS.iter().map(|it| format!("  {:<18}{}", it.name, it.about)).collect();
    format!("Sets:\n{}", lines.join("\n"))
}

/// Runs the sets that are named, or all; the first failure ends it.
///
/// # Errors
/// When there is no such set, something is missing, or a test fails.
#[expect(clippy::print_stdout, reason = "what a developer runs talks to a terminal")]
pub(crate) fn run(names: &[String]) -> Result<()> {
    for name in names {
        if !SETS.iter().any(|set| set.name == name) {
            bail!("no set is called {name:?}\n{}", help());
        }
    }
    packages::ensure()?;
    // Tests that kill the bridge start its program.
    test::cargo(&["build", "--quiet", "--workspace", test::FEATURES, "--bins", "--tests"])?;
    for set in SETS.iter().filter(|set| names.is_empty() || names.iter().any(|name| name == set.name)) {
        println!("── {}: {}", set.name, set.about);
        let began = Instant::now();
        let told = (set.prepare)().with_context(|| format!("{} cannot be prepared", set.name))?;
        let mut cargo = Command::new("cargo");
        cargo.args(["test", "--quiet", "--workspace", test::FEATURES, "--test", set.binary, "--"]);
        cargo.args(["--include-ignored", "--nocapture", set.tests]).envs(told).current_dir(test::root()?);
        if !cargo.status().context("cargo cannot be run")?.success() {
            bail!("{} failed: see above", set.name);
        }
        println!("── {}: {:.0} s", set.name, began.elapsed().as_secs_f32());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn each_set_has_a_program_and_tests_of_that_name() -> Result<()> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for set in SETS {
            let files = ["tests/tests", "adapters/tests"]
                .map(|folder| root.join(folder).join(format!("{}.rs", set.binary)));
            let file = files.iter().find(|file| file.is_file()).context("no such program of tests")?;
            let text = std::fs::read_to_string(file)?;
            assert!(text.contains(&format!("fn {}", set.tests)), "{}: {}", set.name, set.tests);
        }
        Ok(())
    }
}
