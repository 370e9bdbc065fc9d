//! `primrack why`

use std::process::ExitCode;
use std::str::FromStr;

use clap::Args;
use primrack_model::{Action, Actor, ActorKind, Edge, ObjectId, Via};

use super::ConfigFile;
use super::touch::REFUSED;
use crate::out::line;

/// Says why somebody may or may not do something, by the policy files as they are now.
///
/// Exit codes: 0 allowed, 3 refused.
#[derive(Debug, Args)]
pub struct Why {
    /// Who: avatar:UUID, operator:local, web:ACCOUNT, …
    #[arg(value_parser = Actor::from_str)]
    actor: Actor,
    /// What: start, soft-off, hard-off, …
    #[arg(value_parser = Action::from_str)]
    action: Action,
    /// To which target
    target: String,
    /// Through which unit of which object
    #[arg(long, value_name = "OBJECT/UNIT", value_parser = parse_via)]
    via: Option<(ObjectId, u8)>,
    /// For machines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFile,
}

fn parse_via(text: &str) -> Result<(ObjectId, u8), String> {
    let (object, unit) = text.split_once('/').ok_or("write it as rack-1/3")?;
    let object = object.parse().map_err(|error: primrack_model::BadId| error.to_string())?;
    let unit = unit.parse().map_err(|_| format!("{unit:?} is no unit: units are 0 to 255"))?;
    Ok((object, unit))
}

/// The border that such actors come through.
fn edge(kind: ActorKind) -> Edge {
    match kind {
        ActorKind::Avatar => Edge::World,
        ActorKind::Badge | ActorKind::Button => Edge::Board,
        ActorKind::Web => Edge::Web,
        ActorKind::Mqtt => Edge::Mqtt,
        ActorKind::Schedule => Edge::Schedule,
        ActorKind::Operator => Edge::Cli,
    }
}

impl Why {
    /// Runs it.
    ///
    /// # Errors
    /// When nothing can be written out.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let Self { mut actor, action, target, via, json, config } = self;
        let checked = match config.checked() {
            Ok(checked) => checked,
            Err(code) => return Ok(code),
        };
        if actor.kind == ActorKind::Avatar {
            actor.id = actor.id.to_lowercase().into();
        }
        let (object, unit) = via.map_or((None, None), |(object, unit)| (Some(object), Some(unit)));
        let via = Via { edge: edge(actor.kind), object, unit };
        let explanation = checked.policy.explain(&actor, action, &target, &via);
        if json {
            line(&serde_json::to_string(&explanation)?)?;
        } else {
            line(&explanation.to_string())?;
        }
        Ok(if explanation.allowed { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
    }
}
