//! The starter policy as a table: a change of it shows in review.

mod support;

use std::fmt::Write;

use primrack_model::{Action, Actor, ActorKind, RefusalCode};
use primrack_policy::{Policy, Source};
use support::*;

#[test]
fn the_starter_policy_as_a_table() {
    let mut people = house().people().to_vec();
    let kinds = [
        ActorKind::Avatar,
        ActorKind::Badge,
        ActorKind::Button,
        ActorKind::Web,
        ActorKind::Mqtt,
        ActorKind::Schedule,
        ActorKind::Operator,
    ];
    for kind in kinds {
        for name in ["operators", "owners"] {
            let id = format!("{}:00000000-0000-4000-8000-{name:0>12}", kind.token());
            people.push(primrack_model::Person { actor: id.into(), groups: vec![group(name)] });
        }
    }
    let inventory = primrack_model::Inventory::new(house().targets().to_vec(), Vec::new(), people).unwrap();
    let policy = Policy::load(&[Policy::starter()], inventory.into()).unwrap();
    let mut table = format!("{:<22}{:<11}", "who", "target");
    for action in Action::ALL {
        write!(table, "{:<10}", action.token()).unwrap();
    }
    for kind in kinds {
        for name in ["none", "operators", "owners"] {
            for (target, what) in [("web-1", "ordinary"), ("db-1", "protected")] {
                let who = format!("{} in {name}", kind.token());
                write!(table, "\n{who:<22}{what:<11}").unwrap();
                for action in Action::ALL {
                    let actor = Actor::new(kind, format!("00000000-0000-4000-8000-{name:0>12}"), "");
                    let word = match decide(&policy, actor, action, target).map_err(|refusal| refusal.code) {
                        Ok(_) => "yes",
                        Err(RefusalCode::NotPermitted) => "-",
                        Err(RefusalCode::Forbidden) => "FORBIDDEN",
                        Err(other) => other.token(),
                    };
                    write!(table, "{word:<10}").unwrap();
                }
            }
        }
    }
    let table: Vec<&str> = table.lines().map(str::trim_end).collect();
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(table.join("\n")) });
}

#[test]
fn what_is_shipped_loads_into_an_empty_house() {
    let empty = || std::sync::Arc::new(primrack_model::Inventory::default());
    let policy = Policy::load(&[Policy::starter(), Source::guests()], empty()).unwrap();
    let rules: Vec<String> = policy.rule_names().map(|rule| rule.to_string()).collect();
    assert_eq!(
        rules,
        [
            "operators-operate",
            "owners-all",
            "local-operator-all",
            "badges-never-stop",
            "guests-start-public",
            "protected-target"
        ]
    );
    assert!(Policy::load(&[], empty()).is_ok());
}
