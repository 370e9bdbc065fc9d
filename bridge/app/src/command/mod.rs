//! One file a command. Each takes its arguments and returns how the program ends.

pub mod check;
pub mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::compose::{Checked, Mistakes, check};
use crate::config::read;
use crate::logs::LogFormat;

/// A bridge between a virtual world and real infrastructure.
#[derive(Debug, Parser)]
#[command(name = "primrack", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Everything the program does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the bridge until it is interrupted
    Serve(serve::Serve),
    /// Checks configuration and policy without touching anything
    Check(check::Check),
}

/// Where the configuration is.
#[derive(Debug, Clone, Args)]
pub struct ConfigFile {
    /// The configuration file
    #[arg(long, short, env = "PRIMRACK_CONFIG", default_value = "/etc/primrack/primrack.toml")]
    pub config: PathBuf,
}

/// How logs look.
#[derive(Debug, Clone, Args)]
pub struct Logging {
    /// How log lines look
    #[arg(long, value_enum, default_value_t)]
    pub log: LogFormat,
}

impl ConfigFile {
    /// Reads and checks it; mistakes are shown on standard error.
    ///
    /// # Errors
    /// The exit code 2 when something is wrong.
    pub fn checked(&self) -> Result<Checked, ExitCode> {
        let checked = match read(&self.config, std::env::vars()) {
            Ok(loaded) => check(loaded),
            Err(mistake) => Err(Mistakes(vec![mistake.into()])),
        };
        checked.map_err(|Mistakes(reports)| {
            for report in reports {
                crate::out::complain(&format!("{report:?}"));
            }
            ExitCode::from(2)
        })
    }
}

/// Runs what was asked for.
pub fn run(cli: Cli) -> ExitCode {
    let ended = match cli.command {
        Command::Serve(serve) => serve.run(),
        Command::Check(check) => check.run(),
    };
    ended.unwrap_or_else(|error| {
        crate::out::complain(&format!("primrack: {error:#}"));
        ExitCode::FAILURE
    })
}
