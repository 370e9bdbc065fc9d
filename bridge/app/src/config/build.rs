//! From configured names to the inventory, with every contradiction named.

use std::collections::{BTreeMap, BTreeSet};

use primrack_model::{
    Actor, ActorKind, Address, BackendId, GROUPS, GroupId, Inventory, ObjectId, Person, TargetEntry,
    TargetId, TargetKind, UnixMs,
};

use super::{Loaded, Mistake, ObjectConfig, TargetConfig};
use crate::discovery::{self, Discovered, Memory, Rule, UNITS_OF};

/// What there is, as configured; all mistakes at once.
///
/// # Errors
/// Every mistake found.
pub fn inventory(loaded: &Loaded) -> Result<Inventory, Vec<Mistake>> {
    inventory_after(loaded, &Inventory::default(), UnixMs(0), &Memory::default())
}

/// The same after what there was before, with what discovery knows: what is in both keeps its place.
///
/// # Errors
/// Every mistake found.
pub fn inventory_after(
    loaded: &Loaded,
    before: &Inventory,
    now: UnixMs,
    memory: &Memory,
) -> Result<Inventory, Vec<Mistake>> {
    let config = &loaded.config;
    let mut mistakes = Vec::new();
    let mut targets = Vec::with_capacity(config.targets.len());
    for (id, target) in &config.targets {
        match target_entry(loaded, id, target) {
            Ok(entry) => targets.push(entry),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    let rules = discovery::rules(loaded, &mut mistakes);
    let found = discovery::discovered(memory, &rules, &targets);
    let known: BTreeSet<&str> = (targets.iter())
        .chain(found.targets.iter().map(|(_, target)| target))
        .map(|target| target.id.as_str())
        .collect();
    let mut objects = Vec::with_capacity(config.objects.len());
    for (id, object) in &config.objects {
        match object_entry(loaded, id, object, &known, &rules, &found) {
            Ok(entry) => objects.push(entry),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    drop(known);
    targets.extend(found.targets.into_iter().map(|(_, target)| target));
    let people = people(loaded, &mut mistakes);
    let groups = super::group::plans(loaded, &mut mistakes);
    if loaded.config.backends.contains_key(GROUPS) {
        let what = format!("no backend can be called {GROUPS:?}: that is where groups of targets are");
        mistakes.push(loaded.at(&["backends", GROUPS], what).with_hint("give it another name"));
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let inventory = before
        .succeed(targets, objects, people, now)
        .map_err(|error| vec![Mistake::plain(error.to_string())])?;
    let groups_of_rules: BTreeSet<GroupId> = rules.iter().flat_map(|rule| rule.groups.clone()).collect();
    let prefixes = rules.iter().map(|rule| rule.prefix.clone()).collect();
    let backends = rules.iter().map(|rule| rule.backend.clone()).collect();
    let inventory = inventory.with_standing(groups_of_rules.into_iter().collect(), prefixes, backends);
    inventory.with_groups(&groups).map_err(|wrong| {
        wrong
            .into_iter()
            .map(|error| loaded.at(&["targets", error.group.as_str(), "members"], error.to_string()))
            .collect()
    })
}

fn target_entry(loaded: &Loaded, id: &str, target: &TargetConfig) -> Result<TargetEntry, Mistake> {
    let TargetConfig { label, kind: _, backend, address, protected, groups, .. } = target;
    let kind = target.own_kind();
    let backend = if kind == Some(TargetKind::Group) { GROUPS } else { backend.as_str() };
    let place = ["targets", id];
    let wrong = |error: primrack_model::BadId| loaded.at(&place, error.to_string());
    if backend.is_empty() {
        let what = format!("target {id} names no backend");
        let hint = "write backend = \"…\", or members = […] where it is a group";
        return Err(loaded.at(&place, what).with_hint(hint));
    }
    if backend != GROUPS && !loaded.config.backends.contains_key(backend) {
        let known: Vec<&str> = loaded.config.backends.keys().map(|name| &**name).collect();
        let what = format!("target {id} is at backend {backend:?}, which is not configured");
        let hint = if known.is_empty() {
            "add a [backends.…] table".to_owned()
        } else {
            format!("there are: {}", known.join(", "))
        };
        return Err(loaded.at(&["targets", id, "backend"], what).with_hint(hint));
    }
    board_has(loaded, id, target)?;
    Ok(TargetEntry {
        id: TargetId::new(id).map_err(wrong)?,
        label: label.clone().unwrap_or_else(|| id.into()),
        kind: kind.unwrap_or_else(|| of_board(loaded, backend, address.as_deref().unwrap_or(id))),
        backend: BackendId::new(backend).map_err(wrong)?,
        address: Address(address.clone().unwrap_or_else(|| id.into())),
        protected: *protected,
        groups: groups.iter().map(GroupId::new).collect::<Result<_, _>>().map_err(wrong)?,
    })
}

/// What a board's thing is by itself.
fn of_board(loaded: &Loaded, backend: &str, address: &str) -> TargetKind {
    let board = loaded.config.backends.get(backend).and_then(|backend| backend.board());
    board.and_then(|board| board.kind_of(address)).unwrap_or_default()
}

/// A target of a board is one of the things that are configured of it.
fn board_has(loaded: &Loaded, id: &str, target: &TargetConfig) -> Result<(), Mistake> {
    let Some(board) = loaded.config.backends.get(&target.backend).and_then(|backend| backend.board()) else {
        return Ok(());
    };
    let address = target.address.as_deref().unwrap_or(id);
    if board.kind_of(address).is_some() {
        return Ok(());
    }
    let what =
        format!("target {id} is {address:?} of the board {}, which has nothing of that name", target.backend);
    let known = board.addresses();
    let hint = if known.is_empty() {
        format!(
            "add [backends.{}.board.outputs.{address}], .doors.{address} or .alarms.{address}",
            target.backend
        )
    } else {
        format!("it has: {}", known.join(", "))
    };
    Err(loaded.at(&["targets", id], what).with_hint(hint))
}

type ObjectParts = (ObjectId, smol_str::SmolStr, primrack_model::TouchMode, Vec<(u8, TargetId)>);

fn object_entry(
    loaded: &Loaded,
    id: &str,
    object: &ObjectConfig,
    known: &BTreeSet<&str>,
    rules: &[Rule],
    found: &Discovered,
) -> Result<ObjectParts, Mistake> {
    let ObjectConfig { label, touch, units } = object;
    let place = ["objects", id, "units"];
    let mut shown: BTreeMap<u8, TargetId> = BTreeMap::new();
    let mut taken: BTreeMap<u8, &str> = BTreeMap::new();
    for (unit, target) in units {
        let (first, last) = numbers(unit).ok_or_else(|| {
            let what = format!(
                "{unit:?} is no unit of {id}: units are numbers from 0 to 255, or a range such as \"10-42\""
            );
            loaded.at(&place, what)
        })?;
        for number in first..=last {
            if let Some(other) = taken.insert(number, unit) {
                return Err(
                    loaded.at(&place, format!("unit {number} of {id} is in {other:?} and in {unit:?}"))
                );
            }
        }
        if let Some(rule) = target.strip_prefix(UNITS_OF) {
            if !rules.iter().any(|known| known.name == rule) {
                let what =
                    format!("units {unit} of {id} show what discover.{rule} finds, which is not there");
                let names: Vec<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
                let hint = if names.is_empty() {
                    format!("add [discover.{rule}]")
                } else {
                    format!("there are: {}", names.join(", "))
                };
                return Err(loaded.at(&place, what).with_hint(hint));
            }
            shown.extend((first..=last).zip(found.of(rule).iter().cloned()));
            continue;
        }
        if first != last {
            let what = format!("units {unit} of {id} cannot all show {target:?}");
            return Err(loaded
                .at(&place, what)
                .with_hint(format!("write \"{UNITS_OF}RULE\" for what discovery finds")));
        }
        if !known.contains(target.as_str()) {
            // What a rule may yet find shows when it is there.
            if TargetId::new(target).is_ok()
                && rules.iter().any(|rule| target.starts_with(rule.prefix.as_str()))
            {
                continue;
            }
            let near = known.iter().min_by_key(|known| strsim::damerau_levenshtein(known, target));
            let mistake =
                loaded.at(&place, format!("unit {unit} of {id} shows {target:?}, which is no target"));
            return Err(match near {
                Some(near) => mistake.with_hint(format!("did you mean {near:?}?")),
                None => mistake,
            });
        }
        shown.insert(first, TargetId::new(target).map_err(|error| loaded.at(&place, error.to_string()))?);
    }
    let id = ObjectId::new(id).map_err(|error| loaded.at(&["objects", id], error.to_string()))?;
    let label = label.clone().unwrap_or_else(|| id.as_str().into());
    Ok((id, label, *touch, shown.into_iter().collect()))
}

/// `7`, or `10-42`.
fn numbers(text: &str) -> Option<(u8, u8)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last).then_some((first, last))
}

/// Everybody whom a group names, with all their groups.
fn people(loaded: &Loaded, mistakes: &mut Vec<Mistake>) -> Vec<Person> {
    let mut people: BTreeMap<String, Vec<GroupId>> = BTreeMap::new();
    for (group, members) in &loaded.config.groups {
        let group_id = match GroupId::new(group) {
            Ok(id) => id,
            Err(error) => {
                mistakes.push(loaded.at(&["groups", group], error.to_string()));
                continue;
            }
        };
        for member in members {
            match member.parse::<Actor>() {
                Ok(mut actor) => {
                    if actor.kind == ActorKind::Avatar {
                        // UUIDs arrive in lower case.
                        actor.id = actor.id.to_lowercase().into();
                    }
                    people.entry(actor.to_string()).or_default().push(group_id.clone());
                }
                Err(error) => mistakes.push(loaded.at(&["groups", group], error.to_string())),
            }
        }
    }
    people.into_iter().map(|(actor, groups)| Person { actor: actor.into(), groups }).collect()
}
