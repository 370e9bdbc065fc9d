//! `primrack watch`

use std::process::ExitCode;

use clap::Args;
use primrack_model::UnixMs;
use primrack_web::Change;

use super::ControlSocket;
use crate::out::line;
use crate::show;

/// Shows the state of every target, then every change, until interrupted.
#[derive(Debug, Args)]
pub struct WatchCommand {
    /// Only these targets
    targets: Vec<String>,
    /// Prints all states once and ends
    #[arg(long)]
    once: bool,
    /// For machines: one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    control: ControlSocket,
}

impl WatchCommand {
    /// Runs it.
    ///
    /// # Errors
    /// When no bridge answers.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        super::runtime()?.block_on(self.watch())
    }

    async fn watch(self) -> anyhow::Result<ExitCode> {
        let Self { targets, once, json, control } = self;
        let control = control.control()?;
        let wanted = |change: &Change| {
            targets.is_empty() || targets.iter().any(|target| target == change.target.as_str())
        };
        if once {
            let all: Vec<Change> = control.get("/states").await?;
            for change in all.iter().filter(|change| wanted(change)) {
                print(change, json)?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        let mut watch = control.watch().await?;
        while let Some(change) = watch.next().await? {
            if wanted(&change) {
                print(&change, json)?;
            }
        }
        crate::out::complain("the bridge stopped");
        Ok(ExitCode::FAILURE)
    }
}

fn print(change: &Change, json: bool) -> anyhow::Result<()> {
    let text =
        if json { serde_json::to_string(change)? } else { in_words(change, UnixMs::now(), show::colours()) };
    line(&text)?;
    Ok(())
}

fn in_words(change: &Change, now: UnixMs, colour: bool) -> String {
    let Change { target, label, kind, simulated, state } = change;
    let token = state.power.token();
    let shown = format!("{} {}", show::symbol(token), show::column(kind.word(state.power), 9));
    let mut notes = Vec::new();
    if label != target.as_str() {
        notes.push(format!("“{label}”"));
    }
    if let Some(transition) = &state.transition {
        notes.push(format!("{} for {}", kind.label(transition.action), transition.by));
    }
    if !state.detail.is_empty() {
        notes.push(state.detail.to_string());
    } else if let Some(cause) = state.cause {
        notes.push(cause.words().to_owned());
    }
    if state.since != UnixMs(0) {
        notes.push(format!("for {}", show::age(state.since, now)));
    }
    if state.stale {
        let seen = if state.seen == UnixMs(0) {
            "never seen".to_owned()
        } else {
            format!("last word {} ago", show::age(state.seen, now))
        };
        notes.push(format!("old: {seen}"));
    }
    if *simulated {
        notes.push("simulated".to_owned());
    }
    let notes = show::plain(&notes.join(", "));
    format!("{} {} {notes}", show::column(target.as_str(), 16), show::tinted(token, &shown, colour))
}

#[cfg(test)]
mod tests {
    use super::*;
    use primrack_model::{Power, TargetId, TargetKind, TargetState};

    #[test]
    fn what_is_old_or_simulated_says_so() {
        let state = TargetState {
            power: Power::On,
            since: UnixMs(1_000),
            seen: UnixMs(1_000),
            stale: true,
            ..TargetState::default()
        };
        let change = Change {
            target: TargetId::new("web-1").unwrap(),
            label: "Web".to_owned(),
            kind: TargetKind::Machine,
            simulated: true,
            state,
        };
        let words = in_words(&change, UnixMs(61_000), false);
        assert_eq!(words, "web-1            ● On        “Web”, for 60 s, old: last word 60 s ago, simulated");
    }
}
