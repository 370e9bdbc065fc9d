//! Everybody who is told apart: who is named in the configuration or outright in a rule.
//! All others of a kind are alike to policy, so ten thousand passing avatars cost nothing.

use std::borrow::Cow;
use std::collections::HashMap;

use primrack_model::{Actor, ActorKind, GroupId, Inventory};
use smol_str::SmolStr;

use crate::mistake::Mistake;
use crate::vocabulary::{KINDS, kind_index};

/// The place of a person in [`People`]; the last places stand for strangers of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PersonIx(pub(crate) u32);

/// Who is known, with their groups.
#[derive(Debug, Default)]
pub(crate) struct People {
    by_id: [HashMap<SmolStr, PersonIx>; KINDS.len()],
    groups: Vec<Vec<GroupId>>,
}

impl People {
    /// From the configuration; what names nobody is a mistake.
    pub(crate) fn new(inventory: &Inventory, mistakes: &mut Vec<Mistake>) -> Self {
        let mut people = Self::default();
        for person in inventory.people() {
            match person.actor.parse::<Actor>() {
                Ok(actor) => {
                    let ix = people.add(actor.kind, &actor.id);
                    let groups = &mut people.groups[ix.0 as usize];
                    groups.extend(person.groups.iter().cloned());
                    groups.sort_unstable();
                    groups.dedup();
                }
                Err(error) => mistakes.push(Mistake::elsewhere(format!("in the list of people: {error}"))),
            }
        }
        people
    }
    /// Tells somebody apart from now on.
    pub(crate) fn add(&mut self, kind: ActorKind, id: &str) -> PersonIx {
        let id = SmolStr::new(canonical(kind, id));
        let next = PersonIx(u32::try_from(self.groups.len()).unwrap_or(u32::MAX));
        let ix = *self.by_id[kind_index(kind)].entry(id).or_insert(next);
        if ix == next {
            self.groups.push(Vec::new());
        }
        ix
    }
    /// The place of an actor: their own if they are known, else that of strangers of their kind.
    pub(crate) fn find(&self, actor: &Actor) -> PersonIx {
        let at = kind_index(actor.kind);
        self.by_id[at].get(canonical(actor.kind, &actor.id).as_ref()).copied().unwrap_or_else(|| {
            let stranger = u32::try_from(at).unwrap_or(0);
            PersonIx(u32::MAX - stranger)
        })
    }
    /// `kind:id` of somebody known.
    pub(crate) fn name(&self, person: PersonIx) -> String {
        let known = KINDS.iter().zip(&self.by_id).find_map(|(kind, ids)| {
            ids.iter().find(|(_, ix)| **ix == person).map(|(id, _)| format!("{}:{id}", kind.token()))
        });
        known.unwrap_or_else(|| "a stranger".to_owned())
    }
    /// The groups that somebody is in; strangers are in none.
    pub(crate) fn groups(&self, person: PersonIx) -> &[GroupId] {
        self.groups.get(person.0 as usize).map_or(&[], Vec::as_slice)
    }
}

/// The id that counts: avatars' UUIDs mean the same in upper and lower case, and rules hold the lower.
/// A forbid must not be passed by writing an id another way.
pub(crate) fn canonical(kind: ActorKind, id: &str) -> Cow<'_, str> {
    if kind == ActorKind::Avatar && id.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(id.to_ascii_lowercase())
    } else {
        Cow::Borrowed(id)
    }
}
