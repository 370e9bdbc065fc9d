//! What keeps things from working: looked at one by one, each with the line to change.
//!
//! It asks a running bridge where there is one, else the files; it changes nothing but one probe file in
//! the state folder, which it removes.

mod boards;
mod bridge;
mod mqtt;
mod objects;
#[cfg(test)]
mod tests;

use std::path::Path;

use miette::Diagnostic as _;
use serde::Serialize;

use crate::compose::{CONTROL_SOCKET, Mistakes, check};
use crate::config::{Loaded, read};
use crate::control::Control;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Fine.
    Ok,
    /// Something may not work as wished.
    Warn,
    /// Something does not work.
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was looked at: `configuration`, `journal`, `object rack-1`.
    pub area: String,
    /// What was found.
    pub what: String,
    /// What to change, where something is to be.
    pub fix: Option<String>,
}

impl Finding {
    fn ok(area: impl Into<String>, what: impl Into<String>) -> Self {
        Self { level: Level::Ok, area: area.into(), what: what.into(), fix: None }
    }
    fn warn(area: impl Into<String>, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { level: Level::Warn, area: area.into(), what: what.into(), fix: Some(fix.into()) }
    }
    fn fail(area: impl Into<String>, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { level: Level::Fail, ..Self::warn(area, what, fix) }
    }
}

/// Looks at everything that this configuration names.
pub async fn examine(config: &Path, control: Option<&Path>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let loaded = match read(config, std::env::vars()) {
        Ok(loaded) => loaded,
        Err(mistake) => {
            let fix = mistake.help().map_or_else(|| "correct it".to_owned(), |help| help.to_string());
            findings.push(Finding::fail("configuration", mistake.to_string(), fix));
            return findings;
        }
    };
    configuration(&loaded, &mut findings);
    let state_dir = loaded.resolve(&loaded.config.bridge.state_dir);
    let socket = control.map_or_else(|| state_dir.join(CONTROL_SOCKET), Path::to_owned);
    let control = Control::at(&socket);
    let running = bridge::running(&control, &mut findings).await;
    let control = running.then_some(&control);
    bridge::state_folder(&state_dir, running, &mut findings);
    bridge::journal(&state_dir, control, &mut findings).await;
    bridge::port(&loaded, running, &mut findings).await;
    bridge::keys(&loaded, &mut findings);
    bridge::backends(&loaded, control, &mut findings).await;
    boards::boards(&loaded, control, &mut findings).await;
    mqtt::mqtt(&loaded, control, &mut findings).await;
    objects::callbacks(&loaded, &mut findings);
    objects::objects(&loaded, control, &mut findings).await;
    findings
}

fn configuration(loaded: &Loaded, findings: &mut Vec<Finding>) {
    let name = loaded.path.display();
    match check(loaded.clone()) {
        Ok(checked) => {
            let targets = checked.inventory.targets().len();
            let what = format!("{name} and its policy are fine, {targets} targets");
            findings.push(Finding::ok("configuration", what));
        }
        Err(Mistakes(mistakes)) => {
            for mistake in mistakes {
                let help = mistake.help().map(|help| help.to_string());
                let fix = help.unwrap_or_else(|| format!("`primrack check --config {name}` shows the place"));
                findings.push(Finding::fail("configuration", mistake.to_string(), fix));
            }
        }
    }
}
