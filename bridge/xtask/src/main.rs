//! What a developer runs.

mod guest;
mod scripts;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Make the guest that tests boot, from Debian packages, in target/guest.
    Guest,
    /// Write the scripts of every object for every grid, into target/scripts and a zip.
    Scripts(scripts::Args),
}

#[expect(clippy::print_stdout, reason = "what a developer runs talks to a terminal")]
fn main() -> anyhow::Result<()> {
    match Cli::parse().what {
        What::Guest => {
            let files = guest::ensure()?;
            println!("guest: {} {}", files.kernel.display(), files.initrd.display());
            println!("to boot it: {}", guest::qemu_version()?);
        }
        What::Scripts(args) => scripts::run(&args)?,
    }
    Ok(())
}
