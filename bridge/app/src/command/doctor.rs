//! `primrack doctor`

use std::process::ExitCode;

use clap::Args;

use super::ControlSocket;
use crate::doctor::{Level, examine};
use crate::out::line;
use crate::show;

/// Looks for what keeps things from working, and says which line to change.
///
/// Exit codes: 0 nothing fails, 1 something fails.
#[derive(Debug, Args)]
pub struct Doctor {
    /// For machines: one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    control: ControlSocket,
}

impl Doctor {
    /// Runs it.
    ///
    /// # Errors
    /// When nothing can be written out.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let Self { json, control } = self;
        let findings =
            super::runtime()?.block_on(examine(&control.config.config, control.control.as_deref()));
        let colour = show::colours();
        for finding in &findings {
            if json {
                line(&serde_json::to_string(finding)?)?;
                continue;
            }
            let (word, token) = match finding.level {
                Level::Ok => ("ok  ", "on"),
                Level::Warn => ("warn", "starting"),
                Level::Fail => ("FAIL", "crashed"),
            };
            let word = show::tinted(token, word, colour);
            line(&format!("{word}  {}: {}", finding.area, show::plain(&finding.what)))?;
            if let Some(fix) = &finding.fix {
                fix.lines().try_for_each(|fix| line(&format!("      → {fix}")))?;
            }
        }
        let failed = findings.iter().filter(|finding| finding.level == Level::Fail).count();
        Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
