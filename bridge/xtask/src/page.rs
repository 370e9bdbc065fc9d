//! The page as a visitor meets it: its own tests, then a real browser that touches a unit of the demonstration.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// Runs the page's tests, then the demonstration with a browser before it.
///
/// # Errors
/// When something is missing or a test fails.
pub(crate) fn test(root: &Path) -> Result<()> {
    let ui = root.join("bridge/web/ui");
    run(Command::new("npm").args(["ci", "--no-audit", "--no-fund", "--silent"]).current_dir(&ui))?;
    run(Command::new("npm").args(["test", "--silent"]).current_dir(&ui))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    let folder = target.join("page-test");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let mut demo = Demo::start(&target.join("debug/primrack"), &folder)?;
    let address = demo.address()?;
    for (visit, unit) in [("e2e/touch.mjs", "rack-1/1"), ("e2e/door.mjs", "door-1/1")] {
        run(Command::new("node")
            .args([visit, &address, "--unit", unit, "--as", "Ada", "--wait", "90"])
            .arg("--shots")
            .arg(target.join("page-shots"))
            .current_dir(&ui))?;
    }
    Ok(())
}

/// The demonstration, stopped in order when the test is over.
struct Demo(Child);

impl Demo {
    fn start(program: &Path, folder: &Path) -> Result<Self> {
        let child = Command::new(program)
            .args(["demo", "--json", "--listen", "127.0.0.1:0", "--dir"])
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} cannot be run", program.display()))?;
        Ok(Self(child))
    }

    /// Where it listens, as its first line says.
    fn address(&mut self) -> Result<String> {
        let mut out = BufReader::new(self.0.stdout.take().context("the demonstration's output")?);
        let mut line = String::new();
        out.read_line(&mut line)?;
        // What it says later has to go somewhere.
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        let at = line.split("\"bridge\":\"").nth(1).and_then(|rest| rest.split('"').next());
        at.map(str::to_owned).with_context(|| format!("the demonstration did not come up: {line}"))
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // SIGINT lets it stop its servers; kill(1) since nothing else here needs signals.
        let asked = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status();
        let ended = if asked.is_ok_and(|status| status.success()) {
            self.0.wait()
        } else {
            self.0.kill().and_then(|()| self.0.wait())
        };
        drop(ended);
    }
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{:?} cannot be run", command.get_program()))?;
    if !status.success() {
        bail!("{:?} failed: see above", command.get_program());
    }
    Ok(())
}
