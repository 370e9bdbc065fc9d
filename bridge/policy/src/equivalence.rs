//! The slice and the kept answers against plain Cedar: every rule evaluated, every attribute and
//! context field given, all entities of the house present.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicySet, Request,
    RestrictedExpression as Expr,
};
use primrack_model::{
    Action, Actor, Address, BackendId, Edge, GroupId, Inventory, ObjectId, Person, TargetEntry, TargetId,
    TargetIx, TargetKind, TouchMode, UnixMs, Via,
};
use proptest::prelude::*;

use crate::inputs::{Question, hour_and_weekday};
use crate::load::Rule;
use crate::policy::{Answer, Policy};
use crate::source::Source;
use crate::vocabulary::{KINDS, action_index, edge_token, is_strong, schema, target_kind_token, types, uid};

const AVATARS: [&str; 3] = [
    "00000000-0000-4000-8000-000000000001",
    "00000000-0000-4000-8000-000000000002",
    "00000000-0000-4000-8000-000000000003",
];

fn group(name: impl std::fmt::Display) -> GroupId {
    GroupId::new(name.to_string()).unwrap()
}

/// Five targets, two racks that share one of them, people of all kinds in two groups.
fn house() -> Arc<Inventory> {
    let targets = (0..5)
        .map(|n| TargetEntry {
            id: TargetId::new(format!("t-{n}")).unwrap(),
            label: format!("T {n}").into(),
            kind: if n % 2 == 0 { TargetKind::Machine } else { TargetKind::Door },
            backend: BackendId::new(if n < 3 { "local" } else { "far" }).unwrap(),
            address: Address("x".into()),
            protected: n == 1 || n == 4,
            groups: (0..2).filter(|g| (n >> g) & 1 == 1).map(|g| group(format!("tg-{g}"))).collect(),
        })
        .collect();
    let rack = |id: &str, shown: &[u8]| {
        let units = shown.iter().map(|n| (*n, TargetId::new(format!("t-{n}")).unwrap())).collect();
        (ObjectId::new(id).unwrap(), id.into(), TouchMode::Menu, units)
    };
    let mut people = vec![
        Person { actor: format!("avatar:{}", AVATARS[0]).into(), groups: vec![group("operators")] },
        Person {
            actor: format!("avatar:{}", AVATARS[1]).into(),
            groups: vec![group("operators"), group("owners")],
        },
    ];
    for kind in ["badge", "web", "mqtt", "schedule", "operator"] {
        people.push(Person { actor: format!("{kind}:one").into(), groups: vec![group("owners")] });
    }
    Arc::new(
        Inventory::new(targets, vec![rack("rack-1", &[0, 1, 2]), rack("rack-2", &[2, 3])], people).unwrap(),
    )
}

/// The whole house for Cedar, with its own copy of the schema's action groups.
fn everything(inventory: &Inventory, asker: &Actor) -> Entities {
    let types = types();
    let mut all: HashMap<EntityUid, Entity> = HashMap::new();
    let mut person = |actor: &Actor, groups: &[GroupId]| {
        let uid_of = uid(types.kind(actor.kind), &actor.id);
        let groups: HashSet<EntityUid> =
            groups.iter().map(|group| uid(&types.group, group.as_str())).collect();
        all.entry(uid_of.clone()).or_insert_with(|| Entity::new_no_attrs(uid_of, groups));
    };
    for known in inventory.people() {
        person(&known.actor.parse().unwrap(), &known.groups);
    }
    person(asker, &[]);
    for (at, target) in inventory.targets().iter().enumerate() {
        let mut parents: HashSet<EntityUid> =
            target.groups.iter().map(|group| uid(&types.target_group, group.as_str())).collect();
        for (object, _) in inventory.shown_by(TargetIx(u32::try_from(at).unwrap())) {
            parents.insert(uid(&types.object, inventory.objects()[*object as usize].id.as_str()));
        }
        let attributes = HashMap::from([
            ("protected".to_owned(), Expr::new_bool(target.protected)),
            (
                "kind".to_owned(),
                Expr::new_entity_uid(uid(&types.target_kind, target_kind_token(target.kind))),
            ),
            ("backend".to_owned(), Expr::new_entity_uid(uid(&types.backend, target.backend.as_str()))),
            ("label".to_owned(), Expr::new_string(target.label.to_string())),
        ]);
        let id = uid(&types.target, target.id.as_str());
        all.insert(id.clone(), Entity::new(id, attributes, parents).unwrap());
    }
    // With the schema, Cedar checks what it is given, and adds actions and their groups.
    Entities::from_entities(all.into_values(), Some(schema())).unwrap()
}

/// What plain Cedar with all rules says, and the protected rule in its own words.
fn reference(policy: &Policy, question: &Question<'_>) -> bool {
    let types = types();
    let all = policy.rules.rules.iter().flat_map(|rule| rule.alone.policies().cloned());
    let all = PolicySet::from_policies(all).unwrap();
    let via = question.via;
    let (hour, weekday) = hour_and_weekday(question.at);
    let mut context = vec![
        ("edge".to_owned(), Expr::new_entity_uid(uid(&types.edge, edge_token(via.edge)))),
        ("strong".to_owned(), Expr::new_bool(is_strong(question.actor.kind))),
        ("hour".to_owned(), Expr::new_long(i64::from(hour))),
        ("weekday".to_owned(), Expr::new_long(i64::from(weekday))),
    ];
    if let Some(object) = &via.object {
        context.push(("object".to_owned(), Expr::new_entity_uid(uid(&types.object, object.as_str()))));
    }
    if let Some(unit) = via.unit {
        context.push(("unit".to_owned(), Expr::new_long(i64::from(unit))));
    }
    let target = policy.inventory.target(question.target);
    let request = Request::new(
        uid(types.kind(question.actor.kind), &question.actor.id),
        types.actions[action_index(question.action)].clone(),
        uid(&types.target, target.id.as_str()),
        Context::from_pairs(context).unwrap(),
        Some(schema()),
    )
    .unwrap();
    let response =
        Authorizer::new().is_authorized(&request, &all, &everything(&policy.inventory, question.actor));
    assert_eq!(response.diagnostics().errors().count(), 0, "no rule here can fail");
    if response.decision() == Decision::Deny {
        return false;
    }
    let needs_its_name =
        (target.protected && question.action.is_disruptive()) || question.action == Action::Delete;
    !needs_its_name
        || response.diagnostics().reason().any(|id| {
            let text = all.policy(id).unwrap().to_string();
            text.contains(&format!("resource == Primrack::Target::\"{}\"", target.id))
        })
}

fn rule() -> impl Strategy<Value = String> {
    let principal = prop_oneof![
        Just("principal".to_owned()),
        Just("principal is Primrack::Badge".to_owned()),
        Just("principal is Primrack::Avatar".to_owned()),
        Just("principal in Primrack::Group::\"operators\"".to_owned()),
        Just("principal is Primrack::Avatar in Primrack::Group::\"owners\"".to_owned()),
        Just("principal is Primrack::Web in Primrack::Group::\"owners\"".to_owned()),
        (0..3_usize).prop_map(|n| format!("principal == Primrack::Avatar::\"{}\"", AVATARS[n])),
        Just("principal in Primrack::Mqtt::\"one\"".to_owned()),
    ];
    let action = prop_oneof![
        Just("action".to_owned()),
        Just("action in Primrack::Action::\"operate\"".to_owned()),
        Just("action in [Primrack::Action::\"interrupt\", Primrack::Action::\"hard-off\"]".to_owned()),
        Just("action in [Primrack::Action::\"destroy\", Primrack::Action::\"start\"]".to_owned()),
        (0..Action::ALL.len()).prop_map(|n| format!("action == Primrack::Action::\"{}\"", Action::ALL[n])),
    ];
    let resource = prop_oneof![
        Just("resource".to_owned()),
        Just("resource is Primrack::Target".to_owned()),
        (0..5).prop_map(|n| format!("resource == Primrack::Target::\"t-{n}\"")),
        (0..5).prop_map(|n| format!("resource in Primrack::Target::\"t-{n}\"")),
        (1..3).prop_map(|n| format!("resource in Primrack::Object::\"rack-{n}\"")),
        Just("resource is Primrack::Target in Primrack::TargetGroup::\"tg-1\"".to_owned()),
        Just("resource in Primrack::TargetGroup::\"tg-0\"".to_owned()),
    ];
    let condition = prop_oneof![
        6 => Just(String::new()),
        1 => Just("when { context.hour < 12 }".to_owned()),
        1 => Just("unless { context.weekday == 7 || context.weekday == 4 }".to_owned()),
        1 => Just("when { context.strong }".to_owned()),
        1 => Just("when { context has unit && context.unit == 2 }".to_owned()),
        1 => Just("when { context has object && resource in context.object }".to_owned()),
        1 => Just("when { context has object && context.object == Primrack::Object::\"rack-2\" }".to_owned()),
        1 => Just("when { context.edge == Primrack::Edge::\"world\" }".to_owned()),
        1 => Just("when { resource.protected || resource.kind == Primrack::Kind::\"door\" }".to_owned()),
        1 => Just("unless { resource.backend == Primrack::Backend::\"far\" }".to_owned()),
        1 => Just("when { resource.label like \"T *\" && principal in Primrack::Group::\"owners\" }".to_owned()),
        1 => Just(format!("when {{ principal == Primrack::Avatar::\"{}\" }}", AVATARS[2])),
        1 => Just("when { action in Primrack::Action::\"interrupt\" }".to_owned()),
    ];
    let effect = prop_oneof![4 => Just("permit"), 1 => Just("forbid")];
    (effect, principal, action, resource, condition).prop_map(|(effect, who, action, what, condition)| {
        format!("{effect}({who}, {action}, {what}) {condition};\n")
    })
}

fn question() -> impl Strategy<Value = (Actor, Action, TargetIx, Via, UnixMs)> {
    let actor = prop_oneof![
        3 => (0..3_usize).prop_map(|n| Actor::new(KINDS[0], AVATARS[n], "")),
        1 => Just(Actor::new(KINDS[0], "ffffffff-0000-4000-8000-000000000000", "")),
        3 => (1..KINDS.len()).prop_map(|kind| Actor::new(KINDS[kind], "one", "")),
        1 => (0..KINDS.len()).prop_map(|kind| Actor::new(KINDS[kind], "stranger", "")),
    ];
    let edges = [Edge::World, Edge::Board, Edge::Mqtt, Edge::Web, Edge::Cli, Edge::Schedule];
    let object = prop_oneof![Just(None), Just(Some("rack-1")), Just(Some("rack-2")), Just(Some("nowhere"))];
    let via = (0..6_usize, object, prop::option::of(0..4_u8)).prop_map(move |(edge, object, unit)| Via {
        edge: edges[edge],
        object: object.map(|object| ObjectId::new(object).unwrap()),
        unit,
    });
    let at = (0..7_i64, 0..24_i64).prop_map(|(day, hour)| UnixMs((day * 24 + hour) * 3_600_000));
    (actor, 0..9_usize, 0..5_u32, via, at)
        .prop_map(|(actor, action, target, via, at)| (actor, Action::ALL[action], TargetIx(target), via, at))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn the_slice_and_the_kept_answers_say_what_all_rules_say(
        rules in prop::collection::vec(rule(), 0..12),
        questions in prop::collection::vec(question(), 30),
    ) {
        let text = rules.concat();
        // Some combinations can never apply, such as a badge that is an avatar; loading refuses those.
        let policy = match Policy::load(&[Source::new("any.cedar", text)], house()) {
            Ok(policy) => policy,
            Err(errors) => {
                for mistake in errors.mistakes() {
                    let never = ["is impossible", "unable to find an applicable action"];
                    prop_assert!(never.iter().any(|words| mistake.message().contains(words)), "{}", mistake);
                }
                return Err(TestCaseError::reject("a rule that can never apply"));
            }
        };
        for round in ["new", "kept"] {
            for (actor, action, target, via, at) in &questions {
                let question = Question { actor, action: *action, target: *target, via, at: *at };
                let said = policy.may_at(actor, *action, *target, via, *at).is_ok();
                prop_assert_eq!(said, reference(&policy, &question), "{}: {:?}", round, question);
                let person = policy.rules.people.find(actor);
                prop_assert_eq!(said, matches!(policy.judge(&question, person), Answer::Permitted(_)));
            }
        }
    }
}

#[test]
fn strangers_share_their_answers_and_the_rest_is_bounded() {
    let policy = Policy::load(&[Source::starter(), Source::guests()], house()).unwrap();
    let via = Via { edge: Edge::World, object: None, unit: None };
    for n in 0..10_000 {
        let actor = Actor::new(KINDS[0], format!("stranger-{n}"), "");
        assert!(policy.may_at(&actor, Action::Start, TargetIx(0), &via, UnixMs(n)).is_err());
    }
    assert_eq!(policy.kept(), 1);
}

#[test]
fn a_hundred_thousand_questions_are_kept_within_bounds() {
    let people = (0..200).map(|n| Person { actor: format!("web:{n}").into(), groups: Vec::new() }).collect();
    let template = house().target(TargetIx(0)).clone();
    let targets = (0..500)
        .map(|n| TargetEntry { id: TargetId::new(format!("t-{n}")).unwrap(), ..template.clone() })
        .collect();
    let inventory = Arc::new(Inventory::new(targets, Vec::new(), people).unwrap());
    let policy = Policy::load(&[], inventory).unwrap();
    let via = Via { edge: Edge::Web, object: None, unit: None };
    for n in 0..100_000_u32 {
        let actor = Actor::new(KINDS[2], (n % 200).to_string(), "");
        assert!(policy.may_at(&actor, Action::Start, TargetIx(n / 200), &via, UnixMs(0)).is_err());
    }
    assert!(policy.kept() > crate::cache::KEPT / 2, "{} kept", policy.kept());
    assert!(policy.kept() <= crate::cache::KEPT, "{} kept", policy.kept());
}

#[test]
fn a_slice_is_a_few_rules_of_many() {
    let mut text = String::new();
    for n in 0..200 {
        text += &format!(
            "permit(principal in Primrack::Group::\"{}\", action, resource in Primrack::Object::\"rack-{}\");\n",
            ["operators", "owners"][n % 2],
            n / 2 % 2 + 1
        );
    }
    let policy = Policy::load(&[Source::new("many.cedar", text)], house()).unwrap();
    let actor = Actor::new(KINDS[0], AVATARS[0], "");
    let person = policy.rules.people.find(&actor);
    let about = policy.rules.index.about(Action::Start, actor.kind, person, &policy.rules.people);
    let slice: Vec<&Rule> = about
        .iter()
        .map(|number| &policy.rules.rules[*number as usize])
        .filter(|rule| rule.scope.is_about(TargetIx(0), &policy.inventory))
        .collect();
    assert_eq!((about.len(), slice.len()), (100, 50));
}
