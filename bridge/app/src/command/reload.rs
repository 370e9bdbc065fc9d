//! `primrack reload`

use std::process::ExitCode;

use clap::Args;

use super::ControlSocket;
use crate::catalogue::{Refused, ReloadAsked, Reloaded};
use crate::control::Answered;
use crate::out::{complain, line};

/// Has a running bridge read its configuration, keys and policies again: all of it, or nothing where
/// something is wrong. SIGHUP does the same and tells the log.
#[derive(Debug, Args)]
pub struct Reload {
    /// Only say what is wrong, or what would change
    #[arg(long)]
    check: bool,
    /// For machines: JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    control: ControlSocket,
}

impl Reload {
    /// Runs it.
    ///
    /// # Errors
    /// When no bridge answers.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        super::runtime()?.block_on(self.ask())
    }

    async fn ask(self) -> anyhow::Result<ExitCode> {
        let Self { check, json, control } = self;
        let answered: Answered<Reloaded, Refused> =
            control.control()?.post_or("/reload", &ReloadAsked { check }).await?;
        match answered {
            Answered::Yes(reloaded) => {
                if json {
                    line(&serde_json::to_string(&reloaded)?)?;
                } else {
                    let Reloaded { applied, changes } = reloaded;
                    line(if applied { "Reloaded." } else { "It is fine. A reload would change:" })?;
                    for words in changes.lines() {
                        line(&format!("  {words}"))?;
                    }
                }
                Ok(ExitCode::SUCCESS)
            }
            Answered::No(refused) => {
                if json {
                    line(&serde_json::to_string(&refused)?)?;
                } else {
                    for mistake in &refused.mistakes {
                        complain(mistake);
                    }
                    complain(&refused.error);
                }
                Ok(ExitCode::from(2))
            }
        }
    }
}
