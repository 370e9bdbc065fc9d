//! `primrack targets`

use std::process::ExitCode;

use clap::Args;
use primrack_model::UnixMs;

use super::ControlSocket;
use crate::catalogue::TargetNow;
use crate::out::line;

/// Lists all targets that a running bridge knows: those with a table, and those that rules of discovery
/// found, with the rule, tags and host of each, and since when its backend has it no more.
#[derive(Debug, Args)]
pub struct TargetsCommand {
    /// Only those that this rule of discovery found
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,
    /// For machines: one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    control: ControlSocket,
}

impl TargetsCommand {
    /// Runs it.
    ///
    /// # Errors
    /// When no bridge answers.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let Self { rule, json, control } = self;
        let targets: Vec<TargetNow> =
            super::runtime()?.block_on(async move { control.control()?.get("/targets").await })?;
        let wanted = |target: &&TargetNow| rule.is_none() || target.rule.as_deref() == rule.as_deref();
        for target in targets.iter().filter(wanted) {
            line(&if json { serde_json::to_string(target)? } else { in_words(target, UnixMs::now()) })?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn in_words(target: &TargetNow, now: UnixMs) -> String {
    let TargetNow { id, backend, address, rule, tags, host, gone, state, protected, .. } = target;
    let mut words = format!("{id:<28} {state:<9} {backend} {address}");
    if let Some(rule) = rule {
        words += &format!(", found by {rule}");
    }
    if !host.is_empty() {
        words += &format!(", on {host}");
    }
    if !tags.is_empty() {
        words += &format!(", {}", tags.join(" "));
    }
    if *protected {
        words += ", protected";
    }
    if let Some(since) = gone {
        words += &format!(", gone since {} min", since.age_at(now).as_secs() / 60);
    }
    words
}
