//! `primrack touch`

use std::process::ExitCode;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;
use primrack_model::{Action, IntentId, Receipt, TargetId, Verdict};
use primrack_web::{Choices, Touch, Where};
use serde_json::json;

use super::ControlSocket;
use crate::control::{Control, Watch};
use crate::out::line;
use crate::show;

/// The exit code of a refusal.
pub const REFUSED: u8 = 3;

/// Asks a running bridge to do something to a target, as the local operator.
///
/// Exit codes: 0 accepted (with --wait: done), 1 an error (with --wait: it failed), 3 refused.
#[derive(Debug, Args)]
pub struct TouchCommand {
    /// A unit as an avatar would touch it (rack-1/3), or the id of a target
    #[arg(value_name = "WHERE", value_parser = parse_where)]
    at: Where,
    /// What to do (start, soft-off, hard-off, reboot, reset, pause, resume, save, restore);
    /// without it, what may be done is printed
    #[arg(value_parser = Action::from_str)]
    action: Option<Action>,
    /// Follows until the machine shows the effect
    #[arg(long, requires = "action")]
    wait: bool,
    /// With --wait: gives up after so many seconds
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    within: u64,
    /// Your name for the journal; the login name if absent
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
    /// For machines: the receipt as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    control: ControlSocket,
}

/// `rack-1/3` or `web-1`.
fn parse_where(text: &str) -> Result<Where, String> {
    match text.split_once('/') {
        None => TargetId::new(text).map(Where::Target).map_err(|error| error.to_string()),
        Some((object, unit)) => {
            let object = object.parse().map_err(|error: primrack_model::BadId| error.to_string())?;
            let unit = unit
                .parse()
                .map_err(|_| format!("{unit:?} is no unit: units are 0 to 255, as in rack-1/3"))?;
            Ok(Where::Unit { object, unit })
        }
    }
}

impl TouchCommand {
    /// Runs it.
    ///
    /// # Errors
    /// When no bridge answers, or there is no such target.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        super::runtime()?.block_on(self.touch())
    }

    async fn touch(self) -> anyhow::Result<ExitCode> {
        let Self { at, action, wait, within, name, json, control } = self;
        let control = control.control()?;
        let operator = name.or_else(|| std::env::var("USER").ok()).unwrap_or_default();
        let touch = Touch { at, action, operator };
        let Some(action) = action else {
            let choices: Choices = control.post("/touch", &touch).await?;
            print_choices(&choices, json)?;
            return Ok(ExitCode::SUCCESS);
        };
        // The stream is opened first, so that nothing between receipt and effect is missed.
        let watch = if wait { Some(control.watch().await?) } else { None };
        let started = Instant::now();
        let receipt: Receipt = control.post("/touch", &touch).await?;
        let took = started.elapsed();
        print_receipt(&receipt, took, json)?;
        let intent = match &receipt.verdict {
            Verdict::Refused(_) => return Ok(ExitCode::from(REFUSED)),
            Verdict::Accepted => receipt.intent,
            Verdict::Joined { with } => *with,
        };
        let Some(watch) = watch else { return Ok(ExitCode::SUCCESS) };
        let limit = Duration::from_secs(within);
        let followed = follow(watch, &control, &receipt.target, action, intent, json);
        match tokio::time::timeout(limit, followed).await {
            Ok(done) => Ok(if done? { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
            Err(_) => {
                bail!("{} did not show the effect within {within} s; it may still come", receipt.target)
            }
        }
    }
}

fn print_choices(choices: &Choices, json: bool) -> anyhow::Result<()> {
    if json {
        line(&serde_json::to_string(choices)?)?;
        return Ok(());
    }
    let Choices { target, state, actions, why } = choices;
    let detail = if state.detail.is_empty() { String::new() } else { format!(" ({})", state.detail) };
    line(&show::plain(&format!("{target} is {}{detail}.", state.power.word())))?;
    match (actions.is_empty(), why) {
        (true, Some(why)) => line(&show::plain(why))?,
        (true, None) => line("Nothing can be done to it now.")?,
        (false, _) => {
            let actions: Vec<_> = actions.iter().map(|action| action.token()).collect();
            line(&format!("You may: {}", actions.join(", ")))?;
        }
    }
    Ok(())
}

fn print_receipt(receipt: &Receipt, took: Duration, json: bool) -> anyhow::Result<()> {
    let ms = took.as_secs_f64() * 1000.0;
    if json {
        let mut value = serde_json::to_value(receipt)?;
        value["took_ms"] = json!((ms * 10.0).round() / 10.0);
        line(&value.to_string())?;
        return Ok(());
    }
    let word = match &receipt.verdict {
        Verdict::Accepted => "accepted".to_owned(),
        Verdict::Joined { .. } => "under way already".to_owned(),
        Verdict::Refused(refusal) => format!("refused ({})", refusal.code.token()),
    };
    line(&show::plain(&format!("{word} after {ms:.1} ms: {}", receipt.words)))?;
    line(&format!("intent {}", receipt.intent))?;
    Ok(())
}

/// True when the machine reports what was asked for, false when the command ended otherwise.
async fn follow(
    mut watch: Watch,
    control: &Control,
    target: &TargetId,
    action: Action,
    intent: IntentId,
    json: bool,
) -> anyhow::Result<bool> {
    let (mut seen_ours, mut last) = (false, None);
    loop {
        let Some(change) = watch.next().await? else {
            // The bridge ends. If it is back, ask it; else say so.
            control.is_there().await?;
            bail!("the bridge stopped meanwhile; ask `primrack audit show --intent {intent}` how it ended");
        };
        if change.target != *target {
            continue;
        }
        let state = &change.state;
        let ours = state.transition.as_ref().is_some_and(|transition| transition.intent == intent);
        seen_ours |= ours;
        let shown = (state.power, state.detail.clone());
        // Of a group, how far it is.
        if seen_ours && last.as_ref() != Some(&shown) {
            last = Some(shown);
            if json {
                line(&serde_json::to_string(&change)?)?;
            } else {
                let (token, word) = (state.power.token(), state.word(change.kind));
                let shown = show::tinted(token, &format!("{} {word}", show::symbol(token)), show::colours());
                line(&format!("{shown} {}", show::plain(&state.detail)))?;
            }
        }
        if seen_ours && !ours {
            let done = action.is_reached_by(state.power);
            if !done && !json {
                line(&show::plain(&format!("It did not work: {}", state.detail)))?;
            }
            return Ok(done);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_unit_or_a_target() {
        assert_eq!(parse_where("web-1"), Ok(Where::Target(TargetId::new("web-1").unwrap())));
        assert!(matches!(parse_where("rack-1/3"), Ok(Where::Unit { unit: 3, .. })));
        for bad in ["rack-1/300", "rack-1/", "/3", "", "a b"] {
            assert!(parse_where(bad).is_err(), "{bad}");
        }
    }
}
