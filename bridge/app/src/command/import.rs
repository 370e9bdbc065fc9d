//! `primrack import`

use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use crate::import::{configuration, read_csv};
use crate::out::{complain, line};

/// Prints configuration made from what is written down elsewhere, to review and to add to your own. Nothing
/// is put in force by it.
#[derive(Debug, Args)]
pub struct ImportCommand {
    #[command(subcommand)]
    from: Source,
}

#[derive(Debug, Subcommand)]
enum Source {
    /// From a table: columns name, rack, position, backend, address, label, groups, protected
    Csv {
        /// The file
        file: PathBuf,
        /// The backend of those lines that name none
        #[arg(long)]
        backend: Option<String>,
        /// What stands between columns
        #[arg(long, default_value_t = ',')]
        separator: char,
    },
}

impl ImportCommand {
    /// Runs it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let Source::Csv { file, backend, separator } = self.from;
        let separator = u8::try_from(separator).context("the separator is one ASCII character")?;
        let from = File::open(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        let made =
            read_csv(from, backend.as_deref(), separator).and_then(|machines| configuration(&machines));
        match made {
            Ok(text) => {
                line(text.trim_end())?;
                Ok(ExitCode::SUCCESS)
            }
            Err(mistakes) => {
                for mistake in &mistakes {
                    complain(&format!("{}: {mistake}", file.display()));
                }
                Ok(ExitCode::from(2))
            }
        }
    }
}
