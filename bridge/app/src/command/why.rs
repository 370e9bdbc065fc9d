//! `primrack why`

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::str::FromStr;

use clap::Args;
use primrack_model::{Action, Actor, ActorKind, Edge, Inventory, ObjectId, TargetIx, Via};

use super::ConfigFile;
use super::touch::REFUSED;
use crate::out::line;

/// Says why somebody may or may not do something, by the policy files as they are now. Of a group, for each of
/// its members too.
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

/// Of a group: its members and theirs, each once, with what the action is to them. A group's intent needs all.
fn members(inventory: &Inventory, target: &str, action: Action) -> Vec<(String, Action)> {
    let mut found: Vec<(TargetIx, Action)> =
        inventory.find_target(target).map(|ix| (ix, action)).into_iter().collect();
    let mut at = 0;
    while let Some((ix, action)) = found.get(at).copied() {
        for member in inventory.group(ix).map(|group| group.members.as_slice()).unwrap_or_default() {
            let step = (member.target, inventory.target(member.target).kind.within_group(action));
            if !found.contains(&step) {
                found.push(step);
            }
        }
        at += 1;
    }
    found.into_iter().skip(1).map(|(ix, action)| (inventory.target(ix).id.to_string(), action)).collect()
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
        let mut refused = Vec::new();
        for (member, action) in members(&checked.inventory, &target, action) {
            let explanation = checked.policy.explain(&actor, action, &member, &via);
            if !explanation.allowed {
                refused.push((member, explanation));
            }
        }
        if json {
            let mut value = serde_json::to_value(&explanation)?;
            if !refused.is_empty() {
                value["refused_members"] =
                    serde_json::to_value(refused.iter().cloned().collect::<BTreeMap<_, _>>())?;
            }
            line(&value.to_string())?;
        } else {
            line(&explanation.to_string())?;
            for (member, explanation) in &refused {
                line(&format!("\nIts member {member}:\n{explanation}"))?;
            }
        }
        let allowed = explanation.allowed && refused.is_empty();
        Ok(if allowed { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::check;
    use crate::config::read;

    #[test]
    fn of_a_group_each_member_is_asked_about_once_and_as_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("primrack.toml");
        let text = "
backends.local.process = { state_dir = 'p' }
targets.db.backend = 'local'
targets.lamp = { backend = 'local', kind = 'output' }
targets.inner.members = ['db', 'lamp']
targets.shop.members = ['db', 'inner']
";
        std::fs::write(&path, text).unwrap();
        let checked = check(read(&path, std::iter::empty()).unwrap()).unwrap();
        let asked = |target| members(&checked.inventory, target, Action::HardOff);
        let shop = [("db", Action::HardOff), ("inner", Action::HardOff), ("lamp", Action::SoftOff)];
        assert_eq!(asked("shop"), shop.map(|(id, action)| (id.to_owned(), action)));
        assert_eq!(asked("db"), []);
    }
}
