//! What there is: targets, the objects that show them, the people who may be named. Plain data,
//! built once from configuration and shared by every room; a reload builds another.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::group::{MAX_DEPTH, resolve, ring};
use crate::{
    Address, BackendId, Group, GroupError, GroupId, GroupMistake, GroupPlan, NameIndex, ObjectId, TargetId,
};

/// What kind of thing a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum TargetKind {
    /// A server, a virtual machine, a container, a process.
    #[default]
    Machine,
    /// A relay, a lamp: something a board drives.
    Output,
    /// Something that opens.
    Door,
    /// Something that latches until it is acknowledged: Off is quiet, On is sounding, Paused is acknowledged.
    Alarm,
    /// Several targets acted on together.
    Group,
}

/// One target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetEntry {
    /// Its name in configuration, policy and journal.
    pub id: TargetId,
    /// What the world shows; host names stay at home.
    pub label: SmolStr,
    /// What kind of thing it is.
    pub kind: TargetKind,
    /// Which connection reaches it.
    pub backend: BackendId,
    /// What the backend calls it.
    pub address: Address,
    /// Whether disruptive actions need a policy that names it outright.
    pub protected: bool,
    /// The target groups it belongs to.
    pub groups: Vec<GroupId>,
}

/// A target's place in [`Inventory::targets`]: small, cheap to copy, valid within one inventory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetIx(pub u32);

/// What touching a unit does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum TouchMode {
    /// Offers a menu of what this person may do now.
    #[default]
    Menu,
    /// Starts what is off and asks what is on to shut down, without a menu.
    Toggle,
    /// Only ever starts.
    Start,
}

/// One object in a region: which unit shows which target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectEntry {
    /// Its name, as in its notecard.
    pub id: ObjectId,
    /// What people call it.
    pub label: SmolStr,
    /// What touching a unit does.
    pub touch: TouchMode,
    /// Unit number and target, sorted by unit.
    pub units: Vec<(u8, TargetIx)>,
}

impl ObjectEntry {
    /// The target that `unit` shows.
    #[must_use]
    pub fn target(&self, unit: u8) -> Option<TargetIx> {
        self.units.binary_search_by_key(&unit, |(n, _)| *n).ok().map(|at| self.units[at].1)
    }
}

/// Somebody whom configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// `kind:id` of an actor, such as `avatar:…`.
    pub actor: SmolStr,
    /// The groups of people they belong to.
    pub groups: Vec<GroupId>,
}

/// A contradiction in what was configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InventoryError {
    /// Two targets of one name.
    #[error("target {0} is defined twice: give one of them another id")]
    TargetTwice(TargetId),
    /// Two objects of one name.
    #[error("object {0} is defined twice: give one of them another id")]
    ObjectTwice(ObjectId),
    /// A unit that shows nothing.
    #[error("unit {unit} of object {object} shows target {target}, which is not defined")]
    NoTarget {
        /// The object.
        object: ObjectId,
        /// Its unit.
        unit: u8,
        /// The name that nothing has.
        target: TargetId,
    },
}

/// An object as configured: id, label, what a touch does, and which unit shows which target.
pub type ObjectPlan = (ObjectId, SmolStr, TouchMode, Vec<(u8, TargetId)>);

/// What there is.
#[derive(Debug, Default)]
pub struct Inventory {
    targets: Vec<TargetEntry>,
    objects: Vec<ObjectEntry>,
    people: Vec<Person>,
    target_by_id: NameIndex,
    object_by_id: NameIndex,
    shown_by: Vec<Vec<(u32, u8)>>,
    groups: BTreeMap<TargetIx, Group>,
    /// The groups that a target is a member of.
    within: BTreeMap<TargetIx, Vec<TargetIx>>,
}

fn id_of(objects: &[ObjectEntry], at: u32) -> &str {
    objects[at as usize].id.as_str()
}

impl Inventory {
    /// Puts it together. `objects` name their targets by id; see [`InventoryError`] for what is refused.
    ///
    /// # Errors
    /// When an id is used twice or a unit shows a target that is not there.
    pub fn new(
        targets: Vec<TargetEntry>,
        objects: Vec<ObjectPlan>,
        people: Vec<Person>,
    ) -> Result<Self, InventoryError> {
        let mut target_by_id = NameIndex::with_capacity(targets.len());
        for (at, target) in targets.iter().enumerate() {
            let at = u32::try_from(at).unwrap_or(u32::MAX);
            if !target_by_id.insert(target.id.as_str(), at, |at| targets[at as usize].id.as_str()) {
                return Err(InventoryError::TargetTwice(target.id.clone()));
            }
        }
        let mut shown_by = vec![Vec::new(); targets.len()];
        let mut object_by_id = NameIndex::with_capacity(objects.len());
        let mut entries: Vec<ObjectEntry> = Vec::with_capacity(objects.len());
        for (at, (id, label, touch, named)) in objects.into_iter().enumerate() {
            let at = u32::try_from(at).unwrap_or(u32::MAX);
            let mut units = Vec::with_capacity(named.len());
            for (unit, target) in named {
                let id_at = |at: u32| targets[at as usize].id.as_str();
                let Some(ix) = target_by_id.find(target.as_str(), id_at).map(TargetIx) else {
                    return Err(InventoryError::NoTarget { object: id, unit, target });
                };
                shown_by[ix.0 as usize].push((at, unit));
                units.push((unit, ix));
            }
            units.sort_unstable_by_key(|(unit, _)| *unit);
            let fresh = object_by_id.insert(id.as_str(), at, |at| id_of(&entries, at));
            if !fresh {
                return Err(InventoryError::ObjectTwice(id));
            }
            entries.push(ObjectEntry { id, label, touch, units });
        }
        for shown in &mut shown_by {
            shown.shrink_to_fit();
        }
        let (groups, within) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { targets, objects: entries, people, target_by_id, object_by_id, shown_by, groups, within })
    }
    /// Adds the groups of targets; each stands for a target of kind [`TargetKind::Group`].
    ///
    /// # Errors
    /// All contradictions at once.
    pub fn with_groups(mut self, plans: &[GroupPlan]) -> Result<Self, Vec<GroupError>> {
        let mut wrong = Vec::new();
        let find =
            |id: &TargetId| self.find_target(id.as_str()).map(|ix| (ix, self.targets[ix.0 as usize].kind));
        let mut groups = BTreeMap::new();
        for plan in plans {
            match resolve(plan, find) {
                Ok((own, group)) => drop(groups.insert(own, group)),
                Err(more) => wrong.extend(more),
            }
        }
        wrong.extend(nested(&groups, &self.targets));
        let without = self.targets.iter().filter(|target| target.kind == TargetKind::Group);
        for target in without.filter(|target| plans.iter().all(|plan| plan.target != target.id)) {
            wrong.push(GroupError { group: target.id.clone(), member: None, what: GroupMistake::Empty });
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        for (own, group) in &groups {
            for member in &group.members {
                self.within.entry(member.target).or_default().push(*own);
            }
        }
        self.groups = groups;
        Ok(self)
    }
    /// The group that a target stands for.
    #[must_use]
    pub fn group(&self, ix: TargetIx) -> Option<&Group> {
        self.groups.get(&ix)
    }
    /// All groups, with the targets that stand for them.
    pub fn groups(&self) -> impl Iterator<Item = (TargetIx, &Group)> {
        self.groups.iter().map(|(ix, group)| (*ix, group))
    }
    /// The groups that a target is a member of.
    #[must_use]
    pub fn within(&self, ix: TargetIx) -> &[TargetIx] {
        self.within.get(&ix).map_or(&[], Vec::as_slice)
    }
    /// All targets; a [`TargetIx`] is a place in here.
    #[must_use]
    pub fn targets(&self) -> &[TargetEntry] {
        &self.targets
    }
    /// All objects; the first number of [`Self::shown_by`] is a place in here.
    #[must_use]
    pub fn objects(&self) -> &[ObjectEntry] {
        &self.objects
    }
    /// Everybody who is named.
    #[must_use]
    pub fn people(&self) -> &[Person] {
        &self.people
    }
    /// The target at a place.
    #[must_use]
    pub fn target(&self, ix: TargetIx) -> &TargetEntry {
        &self.targets[ix.0 as usize]
    }
    /// The place of a target.
    #[must_use]
    pub fn find_target(&self, id: &str) -> Option<TargetIx> {
        self.target_by_id.find(id, |at| self.targets[at as usize].id.as_str()).map(TargetIx)
    }
    /// The place of an object.
    #[must_use]
    pub fn find_object(&self, id: &str) -> Option<u32> {
        self.object_by_id.find(id, |at| id_of(&self.objects, at))
    }
    /// The object of that name.
    #[must_use]
    pub fn object(&self, id: &str) -> Option<&ObjectEntry> {
        self.find_object(id).map(|at| &self.objects[at as usize])
    }
    /// Which objects (by place) and units show a target.
    #[must_use]
    pub fn shown_by(&self, ix: TargetIx) -> &[(u32, u8)] {
        &self.shown_by[ix.0 as usize]
    }
}

/// Groups that contain each other, or too many within each other.
fn nested(groups: &BTreeMap<TargetIx, Group>, targets: &[TargetEntry]) -> Vec<GroupError> {
    let order: Vec<TargetIx> = groups.keys().copied().collect();
    let inner = |at: usize| -> Vec<usize> {
        let members = groups.get(&order[at]).map(|group| group.members.as_slice()).unwrap_or_default();
        members.iter().filter_map(|member| order.binary_search(&member.target).ok()).collect()
    };
    let id = |at: usize| targets[order[at].0 as usize].id.clone();
    if let Some(ring) = ring(order.len(), inner) {
        let names: Vec<TargetId> = ring.iter().map(|at| id(*at)).collect();
        let member = names.get(1).or(names.first()).cloned();
        return vec![GroupError { group: id(ring[0]), member, what: GroupMistake::Within(names) }];
    }
    // Level by level from the outermost; without rings this ends.
    let mut level: Vec<usize> = (0..order.len()).collect();
    for _ in 0..MAX_DEPTH {
        level = level.into_iter().flat_map(inner).collect();
        level.sort_unstable();
        level.dedup();
    }
    level
        .first()
        .map(|at| GroupError { group: id(*at), member: None, what: GroupMistake::Deep })
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::{MemberPlan, OnFailure, Ready};

    use super::*;

    fn target(id: &str, kind: TargetKind) -> TargetEntry {
        TargetEntry {
            id: TargetId::new(id).unwrap(),
            label: id.into(),
            kind,
            backend: BackendId::new("local").unwrap(),
            address: Address(id.into()),
            protected: false,
            groups: Vec::new(),
        }
    }
    fn plan(group: &str, members: &[(&str, &[&str])]) -> GroupPlan {
        let id = |id: &&str| TargetId::new(id).unwrap();
        let member = |(target, after): &(&str, &[&str])| MemberPlan {
            target: id(target),
            after: after.iter().map(id).collect(),
            ready: Ready::On,
            ready_within_ms: 1000,
        };
        GroupPlan {
            target: id(&group),
            members: members.iter().map(member).collect(),
            parallel: 4,
            on_failure: OnFailure::Stop,
        }
    }
    fn mistakes(plans: &[GroupPlan]) -> Vec<String> {
        let machines = ["a", "b", "c"].map(|id| target(id, TargetKind::Machine));
        let groups = ["g", "h"].map(|id| target(id, TargetKind::Group));
        let alarm = target("heat", TargetKind::Alarm);
        let targets = machines.into_iter().chain(groups).chain([alarm]).collect();
        let inventory = Inventory::new(targets, Vec::new(), Vec::new()).unwrap();
        match inventory.with_groups(plans) {
            Ok(inventory) => {
                let g = inventory.find_target("g").unwrap();
                for member in &inventory.group(g).unwrap().members {
                    assert!(inventory.within(member.target).contains(&g));
                }
                Vec::new()
            }
            Err(wrong) => wrong.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn groups_of_groups_are_fine_and_every_mistake_is_named_at_once() {
        let h = plan("h", &[("c", &[])]);
        assert_eq!(mistakes(&[plan("g", &[("a", &[]), ("b", &["a"]), ("h", &["b"])]), h.clone()]), [""; 0]);
        assert_eq!(
            mistakes(&[plan("g", &[("a", &["b"]), ("b", &["a"])]), h.clone()]),
            ["group g: its members wait for each other: a after b after a"]
        );
        assert_eq!(
            mistakes(&[plan("g", &[("h", &[])]), plan("h", &[("g", &[])])]),
            ["group g: it contains itself: g contains h contains g"]
        );
        assert_eq!(
            mistakes(&[plan("g", &[("x", &[]), ("a", &["c"]), ("a", &[]), ("heat", &[])])]),
            [
                "group g: member x is no target",
                "group g: a comes after c, which is no member of the group",
                "group g: member a is named twice",
                "group g: member heat is an alarm: an alarm is acknowledged by itself, not started and stopped with others",
                "group h: it has no members: name at least one",
            ]
        );
        assert_eq!(
            mistakes(&[plan("a", &[("b", &[])]), plan("g", &[("a", &[])]), h]),
            ["group a: there is no target of kind group that is called so"]
        );
    }
}
