//! `primrack`: a bridge between a virtual world and real infrastructure.

use std::process::ExitCode;

use clap::Parser as _;
use primrack_app::command::{Cli, run};

fn main() -> ExitCode {
    run(Cli::parse())
}
