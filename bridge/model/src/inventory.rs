//! What there is: targets, the objects that show them, the people who may be named. Plain data that
//! never changes once built and is shared by every room; a reload builds a successor.
//!
//! A place is valid for longer than one inventory, because it is held in menus, tasks and lists:
//!
//! ```text
//! web-1 web-2 db-1          ids        web-1 web-2 db-1 web-3
//!   0     1     2    ─succeed─▶          0     1     2     3
//!                                              retired: found by place, no longer by id
//! ```
//! What stays keeps its place, what is new comes at the end, and what is gone keeps its place for an hour
//! at least. So a catalogue whose machines come and go under ever new names does not grow without end.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::group::{MAX_DEPTH, resolve, ring};
use crate::{
    Address, BackendId, Group, GroupError, GroupId, GroupMistake, GroupPlan, NameIndex, ObjectId, TargetId,
    UnixMs,
};

/// How long the place of something that is gone is given to nothing else, in milliseconds: longer than any
/// menu is open and any command is under way.
const REST_MS: i64 = 3_600_000;

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

/// A target's place in [`Inventory::targets`]: small, cheap to copy. It holds in every later inventory of
/// this run too; there it may be retired.
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
    /// Units that showed something earlier in this run and show nothing now, to be drawn blank.
    pub blank: Vec<u8>,
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
    /// Places of targets that are gone, and since when.
    retired_targets: BTreeMap<u32, UnixMs>,
    retired_objects: BTreeMap<u32, UnixMs>,
    /// Groups that may have no target yet.
    standing_groups: Vec<GroupId>,
    standing_prefixes: Vec<SmolStr>,
    standing_backends: Vec<BackendId>,
}

fn id_of(objects: &[ObjectEntry], at: u32) -> &str {
    objects[at as usize].id.as_str()
}

fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
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
        Self::default().succeed(targets, objects, people, UnixMs(0))
    }

    /// The inventory after this one. What has the same id keeps its place, what is missing is retired at
    /// `now`, and what is new comes at the end or into a place that has been retired for an hour.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn succeed(
        &self,
        targets: Vec<TargetEntry>,
        objects: Vec<ObjectPlan>,
        people: Vec<Person>,
        now: UnixMs,
    ) -> Result<Self, InventoryError> {
        let mut next = Self { people, ..Self::default() };
        next.place_targets(self, targets, now)?;
        next.place_objects(self, objects, now)?;
        Ok(next)
    }

    fn place_targets(
        &mut self,
        old: &Self,
        targets: Vec<TargetEntry>,
        now: UnixMs,
    ) -> Result<(), InventoryError> {
        let mut names = NameIndex::with_capacity(targets.len());
        for (at, target) in targets.iter().enumerate() {
            if !names.insert(target.id.as_str(), place(at), |at| targets[at as usize].id.as_str()) {
                return Err(InventoryError::TargetTwice(target.id.clone()));
            }
        }
        let gone: HashMap<&str, u32> =
            old.retired_targets.keys().map(|at| (old.targets[*at as usize].id.as_str(), *at)).collect();
        let known = |id: &str| old.find_target(id).map(|ix| ix.0).or_else(|| gone.get(id).copied());
        // Places that rest long enough, but for those whose target comes back now.
        let mut free = old
            .retired_targets
            .iter()
            .filter(|(_, since)| now.0 - since.0 > REST_MS)
            .map(|(at, _)| *at)
            .filter(|at| {
                let id = |at: u32| targets[at as usize].id.as_str();
                names.find(old.targets[*at as usize].id.as_str(), id).is_none()
            })
            .collect::<Vec<u32>>()
            .into_iter();
        let mut end = place(old.targets.len());
        let places: Vec<u32> = targets
            .iter()
            .map(|target| {
                known(target.id.as_str()).or_else(|| free.next()).unwrap_or_else(|| {
                    end += 1;
                    end - 1
                })
            })
            .collect();
        let mut all: Vec<Option<TargetEntry>> = vec![None; end as usize];
        for (at, target) in places.iter().zip(targets) {
            all[*at as usize] = Some(target);
        }
        for (at, entry) in all.iter().enumerate() {
            if entry.is_none() {
                let since = old.retired_targets.get(&place(at)).copied().unwrap_or(now);
                self.retired_targets.insert(place(at), since);
            }
        }
        self.targets = all
            .into_iter()
            .enumerate()
            .map(|(at, entry)| entry.unwrap_or_else(|| old.targets[at].clone()))
            .collect();
        self.target_by_id = NameIndex::with_capacity(places.len());
        for at in places {
            let id = |at: u32| self.targets[at as usize].id.as_str();
            self.target_by_id.insert(id(at), at, id);
        }
        Ok(())
    }

    fn place_objects(
        &mut self,
        old: &Self,
        objects: Vec<ObjectPlan>,
        now: UnixMs,
    ) -> Result<(), InventoryError> {
        let gone: HashMap<&str, u32> =
            old.retired_objects.keys().map(|at| (id_of(&old.objects, *at), *at)).collect();
        let mut all: Vec<Option<ObjectEntry>> = vec![None; old.objects.len()];
        all.reserve_exact(objects.len());
        self.shown_by = vec![Vec::new(); self.targets.len()];
        for (id, label, touch, named) in objects {
            let at = old.find_object(id.as_str()).or_else(|| gone.get(id.as_str()).copied());
            let at = at.unwrap_or_else(|| {
                all.push(None);
                place(all.len() - 1)
            });
            let mut units = Vec::with_capacity(named.len());
            for (unit, target) in named {
                let Some(ix) = self.find_target(target.as_str()) else {
                    return Err(InventoryError::NoTarget { object: id, unit, target });
                };
                self.shown_by[ix.0 as usize].push((at, unit));
                units.push((unit, ix));
            }
            units.sort_unstable_by_key(|(unit, _)| *unit);
            let blank = match old.objects.get(at as usize) {
                Some(was) => {
                    let shown = |unit: &u8| units.binary_search_by_key(unit, |(n, _)| *n).is_ok();
                    let before = was.units.iter().map(|(unit, _)| *unit).chain(was.blank.iter().copied());
                    before.filter(|unit| !shown(unit)).collect()
                }
                None => Vec::new(),
            };
            if all[at as usize].is_some() {
                return Err(InventoryError::ObjectTwice(id));
            }
            let entry = ObjectEntry { id, label, touch, units, blank };
            let known = |at: u32| all[at as usize].as_ref().map_or("", |entry| entry.id.as_str());
            if !self.object_by_id.insert(entry.id.as_str(), at, known) {
                return Err(InventoryError::ObjectTwice(entry.id));
            }
            all[at as usize] = Some(entry);
        }
        let finish = |(at, entry): (usize, Option<ObjectEntry>)| {
            entry.unwrap_or_else(|| {
                let was = &old.objects[at];
                let since = old.retired_objects.get(&place(at)).copied().unwrap_or(now);
                self.retired_objects.insert(place(at), since);
                ObjectEntry { units: Vec::new(), blank: Vec::new(), ..was.clone() }
            })
        };
        self.objects = all.into_iter().enumerate().map(finish).collect();
        for shown in &mut self.shown_by {
            shown.shrink_to_fit();
        }
        Ok(())
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
        let without =
            self.live_targets().map(|(_, target)| target).filter(|target| target.kind == TargetKind::Group);
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

    /// Names what rules of discovery may bring: groups in which no target may be yet, what the ids of
    /// their targets begin with, and their backends.
    #[must_use]
    pub fn with_standing(
        mut self,
        groups: Vec<GroupId>,
        prefixes: Vec<SmolStr>,
        backends: Vec<BackendId>,
    ) -> Self {
        (self.standing_groups, self.standing_prefixes) = (groups, prefixes);
        self.standing_backends = backends;
        self
    }
    /// Whether discovery may yet bring a target of this id.
    #[must_use]
    pub fn may_come(&self, id: &str) -> bool {
        self.standing_prefixes.iter().any(|prefix| id.starts_with(prefix.as_str()))
    }

    /// All places of targets, those of retired ones too; a [`TargetIx`] is a place in here.
    #[must_use]
    pub fn targets(&self) -> &[TargetEntry] {
        &self.targets
    }
    /// The targets that there are, with their places.
    pub fn live_targets(&self) -> impl Iterator<Item = (TargetIx, &TargetEntry)> {
        let all = (0u32..).zip(&self.targets);
        all.filter(|(at, _)| !self.retired_targets.contains_key(at)).map(|(at, entry)| (TargetIx(at), entry))
    }
    /// How many targets there are.
    #[must_use]
    pub fn target_count(&self) -> usize {
        self.targets.len() - self.retired_targets.len()
    }
    /// Whether the target at a place is gone. A place beyond the end counts as gone.
    #[must_use]
    pub fn is_retired(&self, ix: TargetIx) -> bool {
        ix.0 as usize >= self.targets.len() || self.retired_targets.contains_key(&ix.0)
    }
    /// Since when a target of that id is gone, if there was one. Forgotten when its place is used again.
    #[must_use]
    pub fn gone_since(&self, id: &str) -> Option<UnixMs> {
        let of =
            |(at, since): (&u32, &UnixMs)| (self.targets[*at as usize].id.as_str() == id).then_some(*since);
        self.retired_targets.iter().find_map(of)
    }
    /// All places of objects, those of retired ones too; the first number of [`Self::shown_by`] is a place in here.
    #[must_use]
    pub fn objects(&self) -> &[ObjectEntry] {
        &self.objects
    }
    /// The objects that there are, with their places.
    pub fn live_objects(&self) -> impl Iterator<Item = (u32, &ObjectEntry)> {
        (0u32..).zip(&self.objects).filter(|(at, _)| !self.retired_objects.contains_key(at))
    }
    /// How many objects there are.
    #[must_use]
    pub fn object_count(&self) -> usize {
        self.objects.len() - self.retired_objects.len()
    }
    /// Whether the object at a place is gone.
    #[must_use]
    pub fn is_object_retired(&self, at: u32) -> bool {
        at as usize >= self.objects.len() || self.retired_objects.contains_key(&at)
    }
    /// Everybody who is named.
    #[must_use]
    pub fn people(&self) -> &[Person] {
        &self.people
    }
    /// The groups of targets that may have no target yet.
    #[must_use]
    pub fn standing_groups(&self) -> &[GroupId] {
        &self.standing_groups
    }
    /// The backends that may have no target yet.
    #[must_use]
    pub fn standing_backends(&self) -> &[BackendId] {
        &self.standing_backends
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
#[path = "group_tests.rs"]
mod group_tests;
#[cfg(test)]
#[path = "inventory_tests.rs"]
mod tests;
