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
    /// Only these targets; of a group, its members too
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
        let all: Vec<Change> = control.get("/states").await?;
        let shown = with_members(targets, &all);
        let wanted =
            |change: &Change| shown.is_empty() || shown.iter().any(|target| target == change.target.as_str());
        if once {
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

/// These targets, and of groups their members, and theirs.
fn with_members(mut targets: Vec<String>, all: &[Change]) -> Vec<String> {
    let mut at = 0;
    while let Some(target) = targets.get(at) {
        let of = all.iter().find(|change| change.target.as_str() == target);
        for member in of.map(|change| change.members.as_slice()).unwrap_or_default() {
            if !targets.iter().any(|known| known == member.as_str()) {
                targets.push(member.to_string());
            }
        }
        at += 1;
    }
    targets
}

fn print(change: &Change, json: bool) -> anyhow::Result<()> {
    let text =
        if json { serde_json::to_string(change)? } else { in_words(change, UnixMs::now(), show::colours()) };
    line(&text)?;
    Ok(())
}

fn in_words(change: &Change, now: UnixMs, colour: bool) -> String {
    let Change { target, label, kind, simulated, members: _, state } = change;
    let token = state.power.token();
    let shown = format!("{} {}", show::symbol(token), show::column(state.word(*kind), 9));
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
            members: Vec::new(),
            state,
        };
        let words = in_words(&change, UnixMs(61_000), false);
        assert_eq!(words, "web-1            ● On        “Web”, for 60 s, old: last word 60 s ago, simulated");
    }

    #[test]
    fn who_watches_a_group_sees_its_members_and_a_mixed_one_is_called_so() {
        let change = |id: &str, members: &[&str]| Change {
            target: TargetId::new(id).unwrap(),
            label: id.to_owned(),
            kind: TargetKind::Group,
            simulated: false,
            members: members.iter().map(|id| TargetId::new(id).unwrap()).collect(),
            state: TargetState { seen: UnixMs(1), detail: "1 of 2 on".into(), ..TargetState::default() },
        };
        let all = [change("inner", &["c"]), change("shop", &["a", "inner"]), change("c", &[])];
        assert_eq!(with_members(vec!["shop".to_owned()], &all), ["shop", "a", "inner", "c"]);
        assert_eq!(with_members(Vec::new(), &all), [""; 0]);
        assert_eq!(in_words(&all[1], UnixMs(1), false), "shop             ? Mixed     1 of 2 on");
    }
}
