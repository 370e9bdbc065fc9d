//! Whether what a policy names is there. A typing mistake in a name would silently never match.

use std::collections::BTreeSet;

use cedar_policy::{ActionConstraint, Policy as CedarPolicy};
use primrack_model::{Action, Inventory};

use super::File;
use crate::literal::Literal;
use crate::mistake::Mistake;
use crate::people::People;
use crate::vocabulary::{
    ACTION_GROUPS, KINDS, NAMESPACE, STANDING_GROUPS, STANDING_TARGET_GROUPS, kind_of_type, kind_type,
};

/// The names that there are.
pub(super) struct Names<'a> {
    inventory: &'a Inventory,
    groups: BTreeSet<&'a str>,
    target_groups: BTreeSet<&'a str>,
    backends: BTreeSet<&'a str>,
}

/// The types that a literal can have, without the namespace, apart from actors'.
const TYPES: [&str; 8] = ["Action", "Group", "Target", "TargetGroup", "Object", "Backend", "Kind", "Edge"];

impl<'a> Names<'a> {
    pub(super) fn of(inventory: &'a Inventory) -> Self {
        let people = inventory.people().iter().flat_map(|person| &person.groups);
        let targets = || inventory.live_targets().map(|(_, target)| target);
        Self {
            inventory,
            groups: people.map(primrack_model::GroupId::as_str).chain(STANDING_GROUPS).collect(),
            target_groups: targets()
                .flat_map(|target| &target.groups)
                .chain(inventory.standing_groups())
                .map(primrack_model::GroupId::as_str)
                .chain(STANDING_TARGET_GROUPS)
                .collect(),
            backends: targets()
                .map(|target| &target.backend)
                .chain(inventory.standing_backends())
                .map(primrack_model::BackendId::as_str)
                .collect(),
        }
    }

    /// Adds a mistake for every name in the file that nothing has.
    pub(super) fn check(&self, file: &File, mistakes: &mut Vec<Mistake>) {
        for literal in &file.scan.literals {
            let path: Vec<&str> = literal.path.iter().map(String::as_str).collect();
            match path.as_slice() {
                [namespace, basename] if *namespace == NAMESPACE => {
                    self.check_id(file, literal, basename, mistakes);
                }
                [basename] if TYPES.contains(basename) || kind_of_type(basename).is_some() => {
                    let message = format!("the type {basename} is in the namespace {NAMESPACE}");
                    let right = format!("write {NAMESPACE}::{basename}::{:?}", literal.id);
                    let span = literal.span.clone();
                    mistakes.push(
                        Mistake::at(&file.source, span, message, "without a namespace").with_help(right),
                    );
                }
                // Unknown types are the validator's.
                _ => {}
            }
        }
    }

    fn check_id(&self, file: &File, literal: &Literal, basename: &str, mistakes: &mut Vec<Mistake>) {
        let id = literal.id.as_str();
        let mut wrong = |message: String, label: &str, help: Option<String>| {
            let span = literal.id_span.clone();
            mistakes.push(Mistake::at(&file.source, span, message, label).with_help(help));
        };
        match basename {
            "Action" => {
                let all = || {
                    Action::ALL.map(Action::token).into_iter().chain(ACTION_GROUPS.map(|(group, _)| group))
                };
                if !all().any(|known| known == id) {
                    let list = all().collect::<Vec<_>>().join(", ");
                    let help = similar(id, all()).unwrap_or_else(|| format!("there are {list}"));
                    wrong(format!("no action is called {id:?}"), "not an action", Some(help));
                }
            }
            "Group" if !self.groups.contains(id) => {
                let help = similar(id, self.groups.iter().copied()).unwrap_or_else(|| {
                    "put somebody into it in the configuration, or remove the rule".to_owned()
                });
                wrong(format!("nobody is in a group called {id:?}"), "not a group of people", Some(help));
            }
            "TargetGroup" if !self.target_groups.contains(id) => {
                let help = similar(id, self.target_groups.iter().copied()).unwrap_or_else(|| {
                    "put a target into it in the configuration, or remove the rule".to_owned()
                });
                wrong(format!("no target is in a group called {id:?}"), "not a group of targets", Some(help));
            }
            "Target" if self.inventory.find_target(id).is_none() && !self.inventory.may_come(id) => {
                let help = similar(id, self.inventory.live_targets().map(|(_, target)| target.id.as_str()))
                    .unwrap_or_else(|| "the configuration names the targets that there are".to_owned());
                wrong(format!("no target is called {id:?}"), "not a target", Some(help));
            }
            "Object" if self.inventory.find_object(id).is_none() => {
                let help = similar(id, self.inventory.live_objects().map(|(_, object)| object.id.as_str()))
                    .unwrap_or_else(|| "the configuration names the objects that there are".to_owned());
                wrong(format!("no object is called {id:?}"), "not an object", Some(help));
            }
            "Backend" if !self.backends.contains(id) => {
                let help = similar(id, self.backends.iter().copied())
                    .unwrap_or_else(|| "no target is reached through it".to_owned());
                wrong(format!("no backend is called {id:?}"), "not a backend", Some(help));
            }
            "Avatar" if !is_uuid(id) => {
                let lower = id.to_ascii_lowercase();
                let help = if is_uuid(&lower) {
                    format!("did you mean {lower:?}?")
                } else {
                    "an avatar is named by its UUID in lower case, as the viewer's profile shows it"
                        .to_owned()
                };
                wrong(format!("no avatar can be called {id:?}"), "not an avatar's UUID", Some(help));
            }
            _ if kind_of_type(basename).is_some() && id.is_empty() => {
                wrong("nobody has an empty id".to_owned(), "empty", None);
            }
            _ => {}
        }
    }
}

/// An action group is never equal to the action that somebody asks for.
pub(super) fn check_action_scope(
    file: &File,
    policy: &CedarPolicy,
    place: usize,
    mistakes: &mut Vec<Mistake>,
) {
    let ActionConstraint::Eq(uid) = policy.action_constraint() else { return };
    let id = uid.id().unescaped();
    let literal = file.scan.literals.iter().find(|literal| literal.span.start >= place && literal.id == id);
    if let (true, Some(literal)) = (ACTION_GROUPS.iter().any(|(group, _)| *group == id), literal) {
        let message = format!("{id:?} is a group of actions, and no action is equal to a group");
        let help = format!("write action in {uid}");
        let span = literal.span.clone();
        mistakes.push(Mistake::at(&file.source, span, message, "a group of actions").with_help(help));
    }
}

/// Tells everybody apart whom a policy names, wherever it does.
pub(super) fn people_named(policy: &CedarPolicy, people: &mut People) {
    for uid in policy.entity_literals() {
        if let Some(kind) = KINDS.into_iter().find(|kind| kind_type(*kind) == uid.type_name().basename()) {
            people.add(kind, uid.id().unescaped());
        }
    }
}

/// 8-4-4-4-12 hexadecimal digits in lower case.
fn is_uuid(id: &str) -> bool {
    id.len() == 36
        && id.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

/// The known name nearest to a mistyped one, as a question.
fn similar<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    if typed.len() > 64 {
        return None;
    }
    let allowed = (typed.chars().count() / 3).clamp(1, 3);
    let lower = typed.to_lowercase();
    known
        .into_iter()
        .filter(|name| name.len().abs_diff(typed.len()) <= 8)
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| format!("did you mean {name:?}?"))
}
