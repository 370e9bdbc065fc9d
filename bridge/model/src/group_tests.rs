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
