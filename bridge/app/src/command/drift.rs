//! `primrack drift`

use std::process::ExitCode;

use clap::Args;

use super::ControlSocket;
use crate::catalogue::Drift;
use crate::out::line;

/// Tells what differs between the inventory, what backends have, and what the world shows. Ends with 1 where
/// something does.
#[derive(Debug, Args)]
pub struct DriftCommand {
    /// For machines: JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    control: ControlSocket,
}

impl DriftCommand {
    /// Runs it.
    ///
    /// # Errors
    /// When no bridge answers.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let Self { json, control } = self;
        let drift: Drift =
            super::runtime()?.block_on(async move { control.control()?.get("/drift").await })?;
        if json {
            line(&serde_json::to_string(&drift)?)?;
        } else {
            for words in lines(&drift) {
                line(&words)?;
            }
        }
        Ok(if drift.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn lines(drift: &Drift) -> Vec<String> {
    let Drift { unknown, unknown_count, missing, unheard, unshown, silent } = drift;
    let mut lines = Vec::new();
    for backend in unheard {
        lines.push(format!("backend {backend} has listed nothing yet: `primrack doctor` says why"));
    }
    for (target, backend) in missing {
        lines.push(format!("target {target} is not among what {backend} has"));
    }
    for (backend, address) in unknown {
        lines.push(format!("backend {backend} has {address}, which is no target"));
    }
    if *unknown_count > unknown.len() {
        lines.push(format!("and {} more that are no target", unknown_count - unknown.len()));
    }
    for target in unshown {
        lines.push(format!("target {target} is shown by no object and is in no group"));
    }
    for object in silent {
        lines.push(format!("object {object} does not stand in the world, or its pushes do not arrive"));
    }
    if lines.is_empty() {
        lines.push("no drift: inventory, backends and world agree".to_owned());
    }
    lines
}
