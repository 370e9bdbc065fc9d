//! A small house for stories: two racks, five machines, some people.
#![allow(dead_code, reason = "each test binary uses its part")]
#![expect(clippy::unwrap_used, reason = "a house that cannot be built fails the test")]

use std::sync::Arc;

use primrack_model::{
    Action, Actor, ActorKind, Address, BackendId, Edge, GroupId, Intent, IntentId, Inventory, ObjectId,
    Person, Refusal, TargetEntry, TargetId, TargetIx, TargetKind, TouchMode, UnixMs, Via,
};
use primrack_policy::{Permit, Policy, PolicyErrors, Source};

/// Ada's avatar, an operator.
pub(crate) const ADA: &str = "a0a0a0a0-0000-4000-8000-000000000001";
/// Grace's avatar, an owner.
pub(crate) const GRACE: &str = "a0a0a0a0-0000-4000-8000-000000000002";

/// A group by its name.
pub(crate) fn group(name: &str) -> GroupId {
    GroupId::new(name).unwrap()
}

fn target(id: &str, protected: bool, groups: &[&str]) -> TargetEntry {
    TargetEntry {
        id: TargetId::new(id).unwrap(),
        label: id.into(),
        kind: if id.starts_with("door") { TargetKind::Door } else { TargetKind::Machine },
        backend: BackendId::new("local").unwrap(),
        address: Address(id.into()),
        protected,
        groups: groups.iter().copied().map(group).collect(),
    }
}

/// Racks `rack-1` (web-1, web-2, db-1) and `rack-2` (play-1), and `door-1` that nothing shows.
pub(crate) fn house() -> Arc<Inventory> {
    let targets = vec![
        target("web-1", false, &["web"]),
        target("web-2", false, &["web"]),
        target("db-1", true, &[]),
        target("play-1", false, &["public"]),
        target("door-1", false, &[]),
    ];
    let rack = |id: &str, shown: &[&str]| {
        let units = shown.iter().zip(1..).map(|(id, unit)| (unit, TargetId::new(id).unwrap())).collect();
        (ObjectId::new(id).unwrap(), id.into(), TouchMode::Menu, units)
    };
    let person = |actor: String, groups: &[&str]| Person {
        actor: actor.into(),
        groups: groups.iter().copied().map(group).collect(),
    };
    let people = vec![
        person(format!("avatar:{ADA}"), &["operators"]),
        person(format!("avatar:{}", GRACE.to_uppercase()), &["owners"]),
        person("badge:9f86d081".to_owned(), &["operators"]),
        person("web:grace".to_owned(), &["owners"]),
        person("mqtt:hall-panel".to_owned(), &["night-crew"]),
    ];
    let racks = vec![rack("rack-1", &["web-1", "web-2", "db-1"]), rack("rack-2", &["play-1"])];
    Arc::new(Inventory::new(targets, racks, people).unwrap())
}

/// The starter policy with further rules.
pub(crate) fn policy_with(rules: &str) -> Policy {
    load(rules).unwrap_or_else(|errors| panic!("{errors}"))
}

/// Loads further rules beside the starter policy.
pub(crate) fn load(rules: &str) -> Result<Policy, PolicyErrors> {
    Policy::load(&[Policy::starter(), Source::new("house.cedar", rules)], house())
}

/// An avatar.
pub(crate) fn avatar(id: &str, name: &str) -> Actor {
    Actor::new(ActorKind::Avatar, id, name)
}

/// Ada Lovelace, an operator.
pub(crate) fn ada() -> Actor {
    avatar(ADA, "Ada Lovelace")
}

/// Grace Hopper, an owner.
pub(crate) fn grace() -> Actor {
    avatar(GRACE, "Grace Hopper")
}

/// Somebody passing by.
pub(crate) fn stranger() -> Actor {
    avatar("ffffffff-0000-4000-8000-000000000009", "Passer By")
}

/// A unit of rack-1.
pub(crate) fn rack_1(unit: u8) -> Via {
    Via { edge: Edge::World, object: Some(ObjectId::new("rack-1").unwrap()), unit: Some(unit) }
}

/// Through a border, with no object.
pub(crate) fn edge(edge: Edge) -> Via {
    Via { edge, object: None, unit: None }
}

/// The place of a target in [`house`].
pub(crate) fn ix(policy: &Policy, target: &str) -> TargetIx {
    policy.inventory().find_target(target).unwrap()
}

/// Somebody touches something, at noon on a Friday in 2007.
pub(crate) fn intent(actor: Actor, action: Action, target: &str) -> Intent {
    Intent {
        id: IntentId::now(),
        actor,
        action,
        target: TargetId::new(target).unwrap(),
        via: rack_1(1),
        origin: None,
        at: UnixMs(1_195_819_200_000),
    }
}

/// Decides; of a refusal, only the refusal.
pub(crate) fn decide(policy: &Policy, actor: Actor, action: Action, target: &str) -> Result<Permit, Refusal> {
    policy.decide(intent(actor, action, target)).map_err(|(_, refusal)| refusal)
}
