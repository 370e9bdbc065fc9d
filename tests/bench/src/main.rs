//! Benchmarks against reference servers in the same run.
//!
//! ```text
//! core 0: a server process, the bridge or a reference     core 1: this process, load and callback sink
//! ```
//! The program starts itself again as the servers, so that CPU time and memory of each can be read from
//! `/proc`. Windows of the bridge and of its reference alternate; figures are medians. Absolute figures
//! move with the machine, so what counts is the ratio within one run.

mod child;
mod cores;
mod load;
mod measure;
mod report;
mod server;
mod words;

use std::process::ExitCode;

use clap::Parser;

use crate::measure::Scale;

/// Benchmarks of the bridge against reference servers in the same run
#[derive(Debug, Parser)]
#[command(after_help = measure::help())]
struct Cli {
    /// Which benchmarks; all without a name
    names: Vec<String>,
    /// Shorter windows and fewer of them: for trying, not for figures
    #[arg(long)]
    quick: bool,
    /// The full times, such as 30 s of overload
    #[arg(long)]
    long: bool,
    /// Be a server of this kind, told by JSON; used by the program itself
    #[arg(long, hide = true)]
    serve: Option<String>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = match &cli.serve {
        Some(spec) => server::run(spec).map(|()| true),
        None => measure::run(&cli.names, Scale { quick: cli.quick, long: cli.long }),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            report::complain(&format!("primrack-bench: {error:#}"));
            ExitCode::from(2)
        }
    }
}
