//! `primrack check`

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::ConfigFile;

/// Checks configuration and policy without touching anything.
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    config: ConfigFile,
    /// For machines
    #[arg(long)]
    json: bool,
}

impl Check {
    /// Runs it.
    ///
    /// # Errors
    /// When nothing can be written out.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let checked = match self.config.checked() {
            Ok(checked) => checked,
            Err(code) => return Ok(code),
        };
        let inventory = &checked.inventory;
        let (targets, objects) = (inventory.targets().len(), inventory.objects().len());
        let backends = checked.loaded.config.backends.len();
        let policy = checked.policy.version();
        let found = inventory.live_targets().map(|(_, target)| target.id.as_str());
        let found = found.filter(|id| !checked.loaded.config.targets.contains_key(*id)).count();
        let rules = checked.loaded.config.discover.len();
        let unenrolled: Vec<&str> = inventory
            .objects()
            .iter()
            .map(|object| object.id.as_str())
            .filter(|object| !checked.keys.knows(object))
            .collect();
        let dry: Vec<&str> = (checked.loaded.config.backends.iter())
            .filter(|(_, backend)| backend.dry_run)
            .map(|(name, _)| name.as_str())
            .collect();
        if self.json {
            crate::out::line(
                &json!({ "targets": targets, "objects": objects, "backends": backends,
                "found": found, "rules": rules, "policy": policy, "unenrolled": unenrolled, "dry_run": dry })
                .to_string(),
            )?;
        } else {
            crate::out::line(&format!(
                "{} is fine: {targets} targets, {objects} objects, {backends} backends, policy {policy}.",
                self.config.config.display()
            ))?;
            if rules > 0 {
                crate::out::line(&format!(
                    "{rules} rules of discovery; {found} of the targets were found by them so far."
                ))?;
            }
            for backend in dry {
                crate::out::line(&format!(
                    "Backend {backend} is a dry run: its machines are shown, and nothing is done to them."
                ))?;
            }
            for object in unenrolled {
                crate::out::line(&format!(
                    "{object} has no key yet: `primrack object enrol {object}` makes one."
                ))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
