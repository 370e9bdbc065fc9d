//! What things are called in Cedar.

use std::sync::LazyLock;

use cedar_policy::{EntityId, EntityTypeName, EntityUid, Schema};
use primrack_model::{Action, ActorKind, Edge, TargetKind};

/// The schema's text, shipped as `primrack.cedarschema`.
pub(crate) const SCHEMA: &str = include_str!("../primrack.cedarschema");

/// Before every type.
pub(crate) const NAMESPACE: &str = "Primrack";

/// Groups of people that may be named although nobody is in them: the starter policy does.
pub(crate) const STANDING_GROUPS: [&str; 2] = ["operators", "owners"];
/// Target groups that may be named although nothing is in them: the guests' rule does.
pub(crate) const STANDING_TARGET_GROUPS: [&str; 1] = ["public"];

/// The action groups, each with its members.
pub(crate) const ACTION_GROUPS: [(&str, &[Action]); 4] = [
    ("operate", &[Action::Start, Action::Resume, Action::Restore]),
    ("copy", &[Action::Snapshot, Action::Clone]),
    ("interrupt", &[Action::SoftOff, Action::Reboot, Action::Pause, Action::Save, Action::Migrate]),
    ("destroy", &[Action::HardOff, Action::Reset, Action::Revert, Action::Delete]),
];

/// All kinds of actor; the place of each is [`kind_index`].
pub(crate) const KINDS: [ActorKind; 7] = [
    ActorKind::Avatar,
    ActorKind::Badge,
    ActorKind::Web,
    ActorKind::Mqtt,
    ActorKind::Schedule,
    ActorKind::Operator,
    ActorKind::Button,
];

/// The place of a kind in [`KINDS`].
pub(crate) fn kind_index(kind: ActorKind) -> usize {
    match kind {
        ActorKind::Avatar => 0,
        ActorKind::Badge => 1,
        ActorKind::Web => 2,
        ActorKind::Mqtt => 3,
        ActorKind::Schedule => 4,
        ActorKind::Operator => 5,
        ActorKind::Button => 6,
    }
}

/// The place of an action in [`Action::ALL`].
pub(crate) fn action_index(action: Action) -> usize {
    match action {
        Action::Start => 0,
        Action::Resume => 1,
        Action::Restore => 2,
        Action::Snapshot => 3,
        Action::Clone => 4,
        Action::Pause => 5,
        Action::Save => 6,
        Action::SoftOff => 7,
        Action::Reboot => 8,
        Action::Migrate => 9,
        Action::Revert => 10,
        Action::Reset => 11,
        Action::HardOff => 12,
        Action::Delete => 13,
    }
}

/// The group that an action belongs to.
pub(crate) fn group_of(action: Action) -> &'static str {
    match action {
        Action::Start | Action::Resume | Action::Restore => "operate",
        Action::Snapshot | Action::Clone => "copy",
        Action::SoftOff | Action::Reboot | Action::Pause | Action::Save | Action::Migrate => "interrupt",
        Action::HardOff | Action::Reset | Action::Revert | Action::Delete => "destroy",
    }
}

/// The basename of a kind's type: `Avatar`.
pub(crate) fn kind_type(kind: ActorKind) -> &'static str {
    match kind {
        ActorKind::Avatar => "Avatar",
        ActorKind::Badge => "Badge",
        ActorKind::Web => "Web",
        ActorKind::Mqtt => "Mqtt",
        ActorKind::Schedule => "Schedule",
        ActorKind::Operator => "Operator",
        ActorKind::Button => "Button",
    }
}

/// The kind of a type, if it is one of an actor.
pub(crate) fn kind_of_type(basename: &str) -> Option<ActorKind> {
    KINDS.into_iter().find(|kind| kind_type(*kind) == basename)
}

/// Whether the bridge checked a secret of the actor's own. An avatar's id proves only that an object
/// reported it, a badge's id can be copied, and a button knows nobody.
pub(crate) fn is_strong(kind: ActorKind) -> bool {
    match kind {
        ActorKind::Web | ActorKind::Mqtt | ActorKind::Schedule | ActorKind::Operator => true,
        ActorKind::Avatar | ActorKind::Badge | ActorKind::Button => false,
    }
}

/// The id of an edge's entity.
pub(crate) fn edge_token(edge: Edge) -> &'static str {
    match edge {
        Edge::World => "world",
        Edge::Board => "board",
        Edge::Mqtt => "mqtt",
        Edge::Web => "web",
        Edge::Cli => "cli",
        Edge::Schedule => "schedule",
    }
}

/// The id of a target kind's entity.
pub(crate) fn target_kind_token(kind: TargetKind) -> &'static str {
    kind.token()
}

/// The type names, read once.
pub(crate) struct Types {
    kinds: [EntityTypeName; KINDS.len()],
    pub(crate) group: EntityTypeName,
    pub(crate) target: EntityTypeName,
    pub(crate) target_group: EntityTypeName,
    pub(crate) object: EntityTypeName,
    pub(crate) backend: EntityTypeName,
    pub(crate) target_kind: EntityTypeName,
    pub(crate) edge: EntityTypeName,
    pub(crate) action: EntityTypeName,
    /// One per action, in the order of [`Action::ALL`].
    pub(crate) actions: [EntityUid; Action::ALL.len()],
}

fn type_name(basename: &str) -> EntityTypeName {
    format!("{NAMESPACE}::{basename}").parse().expect("a constant type name")
}

/// An entity of a type.
pub(crate) fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

static TYPES: LazyLock<Types> = LazyLock::new(|| {
    let action = type_name("Action");
    Types {
        kinds: KINDS.map(|kind| type_name(kind_type(kind))),
        group: type_name("Group"),
        target: type_name("Target"),
        target_group: type_name("TargetGroup"),
        object: type_name("Object"),
        backend: type_name("Backend"),
        target_kind: type_name("Kind"),
        edge: type_name("Edge"),
        actions: Action::ALL.map(|one| uid(&action, one.token())),
        action,
    }
});

/// The type names.
pub(crate) fn types() -> &'static Types {
    &TYPES
}

impl Types {
    /// The type of an actor's kind.
    pub(crate) fn kind(&self, kind: ActorKind) -> &EntityTypeName {
        &self.kinds[kind_index(kind)]
    }
}

static PARSED: LazyLock<Schema> =
    LazyLock::new(|| Schema::from_cedarschema_str(SCHEMA).expect("the shipped schema is tested").0);

/// The schema.
pub(crate) fn schema() -> &'static Schema {
    &PARSED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_and_the_model_speak_of_the_same_actions() {
        let (_, warnings) = Schema::from_cedarschema_str(SCHEMA).unwrap();
        assert_eq!(warnings.count(), 0);
        let mut known: Vec<String> =
            schema().actions().map(|action| action.id().unescaped().to_owned()).collect();
        known.sort();
        let groups = ACTION_GROUPS.map(|(group, _)| group);
        let mut expected: Vec<String> =
            Action::ALL.map(Action::token).into_iter().chain(groups).map(str::to_owned).collect();
        expected.sort();
        assert_eq!(known, expected);
    }

    #[test]
    fn every_action_is_in_the_one_group_that_fits_what_it_disturbs() {
        for (at, action) in Action::ALL.into_iter().enumerate() {
            assert_eq!(action_index(action), at);
            let of: Vec<&str> = ACTION_GROUPS
                .iter()
                .filter(|(_, members)| members.contains(&action))
                .map(|(group, _)| *group)
                .collect();
            assert_eq!(of, [group_of(action)]);
            assert_eq!(action.is_disruptive(), !matches!(group_of(action), "operate" | "copy"));
            let ancestors = schema().action_entities().unwrap();
            let parents: Vec<String> = ancestors
                .ancestors(&types().actions[at])
                .unwrap()
                .map(|uid| uid.id().unescaped().to_owned())
                .collect();
            assert_eq!(parents, [group_of(action)]);
        }
    }
}
