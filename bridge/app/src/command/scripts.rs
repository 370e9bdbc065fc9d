//! `primrack scripts`: LSL checked and run as each grid would.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use primrack_lsl::Profile;
use primrack_lsl::console::{Format, RunEnd, RunError, RunOptions, check_files, run_source};

/// For script authors: LSL checked and run as each grid would, without a grid.
#[derive(Debug, Args)]
pub struct ScriptsCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Says what each grid's compiler would refuse, and why
    Check(Check),
    /// Runs one script on a virtual clock and prints what it says (simulated: there is no region)
    Run(Run),
}

#[derive(Debug, Args)]
struct Check {
    /// The scripts
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Only for these grids: secondlife, opensim-0.9.2, opensim-0.9.3, opensim-master; all if none is named
    #[arg(long = "profile", value_name = "GRID")]
    profiles: Vec<Profile>,
    /// For machines
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Run {
    /// The script
    file: PathBuf,
    /// As which grid
    #[arg(long, value_name = "GRID", default_value_t)]
    profile: Profile,
    /// Virtual seconds after which it ends
    #[arg(long, default_value_t = RunOptions::default().seconds)]
    seconds: f64,
}

impl ScriptsCommand {
    /// Runs it.
    ///
    /// # Errors
    /// When a file cannot be read or the output not written.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let mut out = std::io::stdout().lock();
        let fine = match self.what {
            What::Check(Check { files, profiles, json }) => {
                let profiles = if profiles.is_empty() { Profile::ALL.to_vec() } else { profiles };
                let format = if json { Format::Json } else { Format::Human };
                check_files(&files, &profiles, format, &mut out)?
            }
            What::Run(Run { file, profile, seconds }) => {
                let source = std::fs::read_to_string(&file)
                    .with_context(|| format!("{} cannot be read", file.display()))?;
                match run_source(&source, RunOptions { profile, seconds, ..RunOptions::default() }, &mut out)
                {
                    Ok(RunEnd::Stopped(_)) => false,
                    Ok(RunEnd::Idle | RunEnd::TimeUp | RunEnd::Died) => true,
                    Err(RunError::Check(found)) => {
                        crate::out::complain(&found.render(&file.display().to_string(), &source));
                        false
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        };
        Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
