//! Which rules can apply at all: found by their scopes when they are loaded, so that a decision
//! evaluates a handful of rules and not all of them. With [`Scope::allows_kind`] a slice is exact, so
//! a rule without conditions needs no further judge; one with conditions is put to Cedar whole. A
//! property test holds this against plain Cedar with all rules.

use std::collections::HashMap;

use cedar_policy::{
    ActionConstraint, EntityUid, Policy as CedarPolicy, PrincipalConstraint, ResourceConstraint,
};
use primrack_model::{Action, Actor, ActorKind, GroupId, Inventory, TargetIx};

use crate::people::{People, PersonIx};
use crate::reads::Reads;
use crate::vocabulary::{ACTION_GROUPS, KINDS, action_index, kind_index, kind_of_type, types};

/// Whom a rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Who {
    Anybody,
    Kind(ActorKind),
    Person(PersonIx),
    /// Members of a group, of one kind if it says so.
    Group(GroupId, Option<ActorKind>),
    /// Of a type that nobody has.
    Nobody,
}

/// What a rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Anything,
    /// One target; `outright` if the scope is `resource == Target::"…"`.
    Target {
        ix: TargetIx,
        outright: bool,
    },
    TargetGroup(GroupId),
    Object(u32),
    /// Something that is not in the inventory.
    Nothing,
}

/// A rule's scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) actions: [bool; Action::ALL.len()],
    pub(crate) who: Who,
    pub(crate) what: What,
}

impl Scope {
    /// Reads the scope of a policy. Persons named there are told apart from now on.
    pub(crate) fn of(policy: &CedarPolicy, people: &mut People, inventory: &Inventory) -> Self {
        let who = match policy.principal_constraint() {
            PrincipalConstraint::Any => Who::Anybody,
            PrincipalConstraint::Is(kind) => kind_of_type(kind.basename()).map_or(Who::Nobody, Who::Kind),
            PrincipalConstraint::Eq(uid) | PrincipalConstraint::In(uid) => who(&uid, None, people),
            PrincipalConstraint::IsIn(kind, uid) => {
                kind_of_type(kind.basename()).map_or(Who::Nobody, |kind| who(&uid, Some(kind), people))
            }
        };
        let what = match policy.resource_constraint() {
            ResourceConstraint::Any | ResourceConstraint::Is(_) => What::Anything,
            ResourceConstraint::Eq(uid) => what(&uid, true, inventory),
            ResourceConstraint::In(uid) | ResourceConstraint::IsIn(_, uid) => what(&uid, false, inventory),
        };
        let mut actions = [false; Action::ALL.len()];
        match policy.action_constraint() {
            ActionConstraint::Any => actions = [true; Action::ALL.len()],
            ActionConstraint::Eq(uid) => mark(&uid, &mut actions),
            ActionConstraint::In(uids) => uids.iter().for_each(|uid| mark(uid, &mut actions)),
        }
        Self { actions, who, what }
    }

    /// Whether the rule is about this target.
    pub(crate) fn is_about(&self, target: TargetIx, inventory: &Inventory) -> bool {
        match &self.what {
            What::Anything => true,
            What::Target { ix, .. } => *ix == target,
            What::TargetGroup(group) => inventory.target(target).groups.contains(group),
            What::Object(object) => inventory.shown_by(target).iter().any(|(shown, _)| shown == object),
            What::Nothing => false,
        }
    }
    /// Whether a rule about members of a group takes members of this kind.
    pub(crate) fn allows_kind(&self, actor: &Actor) -> bool {
        match &self.who {
            Who::Group(_, Some(kind)) => *kind == actor.kind,
            Who::Anybody | Who::Kind(_) | Who::Person(_) | Who::Group(_, None) | Who::Nobody => true,
        }
    }
    /// Whether the rule names its one target outright, which protected targets ask for.
    pub(crate) fn names_outright(&self) -> bool {
        matches!(self.what, What::Target { outright: true, .. })
    }
}

fn who(uid: &EntityUid, kind: Option<ActorKind>, people: &mut People) -> Who {
    let id = uid.id().unescaped();
    if *uid.type_name() == types().group {
        return GroupId::new(id).map_or(Who::Nobody, |group| Who::Group(group, kind));
    }
    match kind_of_type(uid.type_name().basename()) {
        Some(named) if kind.is_none_or(|kind| kind == named) => Who::Person(people.add(named, id)),
        _ => Who::Nobody,
    }
}

fn what(uid: &EntityUid, outright: bool, inventory: &Inventory) -> What {
    let id = uid.id().unescaped();
    let kind = uid.type_name();
    if *kind == types().target {
        inventory.find_target(id).map_or(What::Nothing, |ix| What::Target { ix, outright })
    } else if *kind == types().target_group {
        GroupId::new(id).map_or(What::Nothing, What::TargetGroup)
    } else if *kind == types().object {
        inventory.find_object(id).map_or(What::Nothing, What::Object)
    } else {
        What::Nothing
    }
}

/// Marks an action, or all of a group.
fn mark(uid: &EntityUid, actions: &mut [bool; Action::ALL.len()]) {
    let id = uid.id().unescaped();
    if let Ok(action) = id.parse::<Action>() {
        actions[action_index(action)] = true;
    }
    if let Some((_, members)) = ACTION_GROUPS.iter().find(|(group, _)| *group == id) {
        members.iter().for_each(|action| actions[action_index(*action)] = true);
    }
}

/// Rules by what they are about. A rule is in exactly one list per action that it covers.
#[derive(Debug, Default)]
pub(crate) struct Index {
    by_action: [ByWho; Action::ALL.len()],
}

#[derive(Debug, Default)]
struct ByWho {
    reads: Reads,
    kinds: [Vec<u32>; KINDS.len()],
    people: HashMap<PersonIx, Vec<u32>>,
    groups: HashMap<GroupId, Vec<u32>>,
}

impl Index {
    /// Files a rule under its number. Numbers have to rise.
    pub(crate) fn add(&mut self, rule: u32, scope: &Scope, reads: Reads) {
        for (at, by) in self.by_action.iter_mut().enumerate() {
            if !scope.actions[at] {
                continue;
            }
            by.reads = by.reads.and(reads);
            match &scope.who {
                Who::Anybody => by.kinds.iter_mut().for_each(|list| list.push(rule)),
                Who::Kind(kind) => by.kinds[kind_index(*kind)].push(rule),
                Who::Person(person) => by.people.entry(*person).or_default().push(rule),
                Who::Group(group, _) => by.groups.entry(group.clone()).or_default().push(rule),
                Who::Nobody => {}
            }
        }
    }
    /// What the rules about this action look at, all together.
    pub(crate) fn reads(&self, action: Action) -> Reads {
        self.by_action[action_index(action)].reads
    }
    /// The rules about this action and person, in the order of the files. Targets are not looked at.
    pub(crate) fn about(
        &self,
        action: Action,
        kind: ActorKind,
        person: PersonIx,
        people: &People,
    ) -> Vec<u32> {
        let by = &self.by_action[action_index(action)];
        let mut rules = by.kinds[kind_index(kind)].clone();
        rules.extend(by.people.get(&person).into_iter().flatten());
        for group in people.groups(person) {
            rules.extend(by.groups.get(group).into_iter().flatten());
        }
        rules.sort_unstable();
        rules
    }
}
