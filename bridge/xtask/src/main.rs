//! What a developer runs.

mod archive;
mod firmware;
mod guest;
mod nightly;
mod packages;
mod page;
mod python;
mod scripts;
mod test;
mod transcripts;
mod vcsim;
mod xen;

use std::process::Command;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Installs what is missing and runs everything that must hold
    Test,
    /// Runs the benchmarks, all or those named; each with its reference in the same run
    Bench {
        /// What is handed to the benchmark program; `--help` lists it
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Runs the sets of tests that are too heavy for every run, all or those named
    #[command(after_help = nightly::help())]
    Nightly {
        /// Which sets
        names: Vec<String>,
    },
    /// Builds the firmware of the boards, and the emulator that runs it in tests
    Firmware,
    /// Makes the guest that tests boot, from Debian packages, in target/guest
    Guest,
    /// Makes the Python environments of the tests' backends, in target/python
    Python,
    /// Builds the simulator of vSphere that tests run against, in target/peers
    Vcsim,
    /// Makes the Xen hypervisor and its dom0 that a test boots in QEMU, from Debian packages, in target/xen
    Xen,
    /// Prints what the adapters' tests ran against, how real it was, and how long it took
    Transcripts,
    /// Writes the scripts of every object for every grid, into target/scripts and a zip
    Scripts(scripts::Args),
}

#[expect(clippy::print_stdout, reason = "what a developer runs talks to a terminal")]
fn main() -> anyhow::Result<()> {
    match Cli::parse().what {
        What::Test => test::run()?,
        What::Bench { args } => {
            let mut bench = Command::new("cargo");
            bench.args(["run", "--release", "--quiet", "--package", "primrack-bench", "--"]).args(args);
            if !bench.status().context("cargo cannot be run")?.success() {
                bail!("a benchmark failed or is below its floor: see above");
            }
        }
        What::Nightly { names } => nightly::run(&names)?,
        What::Firmware => firmware::build()?,
        What::Guest => {
            let files = guest::ensure()?;
            println!("guest: {} {}", files.kernel.display(), files.initrd.display());
            println!("to boot it: {}", guest::qemu_version()?);
        }
        What::Python => {
            for home in python::ensure_all()? {
                println!("python: {}", home.display());
            }
        }
        What::Vcsim => println!("vcsim: {}", vcsim::ensure()?.display()),
        What::Xen => println!("xen: {}", xen::ensure()?.display()),
        What::Transcripts => transcripts::print()?,
        What::Scripts(args) => scripts::run(&args)?,
    }
    Ok(())
}
