//! Who may do what, told as stories.

mod support;

use std::sync::Arc;

use primrack_model::{Action, Actor, ActorKind, Edge, RefusalCode, UnixMs};
use primrack_policy::{Fit, Policy, Source};
use support::*;

/// As frozen beside this file.
macro_rules! frozen {
    ($name:literal, $shown:expr) => {
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!($name, $shown) })
    };
}

fn names(permit: &primrack_policy::Permit) -> Vec<&str> {
    permit.reasons().iter().map(primrack_policy::PolicyName::as_str).collect()
}

#[test]
fn ada_the_operator_touches_unit_one() {
    let policy = policy_with("");
    let touched = intent(ada(), Action::Start, "web-1");
    let permit = policy.decide(touched.clone()).unwrap();
    assert_eq!(permit.intent(), &touched);
    assert_eq!(names(&permit), ["operators-operate"]);
    assert_eq!(permit.policy_version(), policy.version());
    assert_eq!(permit.into_intent(), touched);

    let refusal = decide(&policy, ada(), Action::HardOff, "web-1").unwrap_err();
    assert_eq!(refusal.code, RefusalCode::NotPermitted);
    assert_eq!(
        refusal.words,
        "Ada Lovelace may not power off web-1: no rule allows it. Ask a region owner to add you to a group."
    );
}

#[test]
fn a_passer_by_is_refused_and_gets_the_intent_back_for_the_journal() {
    let policy = policy_with("");
    let touched = intent(stranger(), Action::Start, "web-1");
    let (back, refusal) = policy.decide(touched.clone()).unwrap_err();
    assert_eq!(back, touched);
    assert_eq!(refusal.code, RefusalCode::NotPermitted);
}

#[test]
fn without_any_rule_nobody_may_do_anything() {
    let policy = Policy::load(&[], house()).unwrap();
    for actor in [ada(), grace(), Actor::new(ActorKind::Operator, "root", "")] {
        for action in Action::ALL {
            assert!(decide(&policy, actor.clone(), action, "web-1").is_err());
        }
    }
}

#[test]
fn a_name_that_claims_to_be_grace_is_not_grace() {
    let policy = policy_with("");
    let actor = avatar("ffffffff-0000-4000-8000-000000000009", "Grace Hopper");
    assert!(decide(&policy, actor, Action::Start, "web-1").is_err());
    let badge = Actor::new(ActorKind::Badge, GRACE, "Grace Hopper");
    assert!(decide(&policy, badge, Action::Start, "web-1").is_err(), "the same id of another kind");
}

#[test]
fn an_id_in_upper_case_is_the_same_avatar() {
    let policy = policy_with(&format!(
        "@id(\"not-ada\") forbid(principal == Primrack::Avatar::\"{ADA}\", action, resource);"
    ));
    let refusal = decide(&policy, avatar(&ADA.to_uppercase(), "Ada"), Action::Start, "web-1").unwrap_err();
    assert_eq!(refusal.words, "Ada may not start web-1: the rule not-ada forbids it.");
    assert!(decide(&policy_with(""), avatar(&ADA.to_uppercase(), "Ada"), Action::Start, "web-1").is_ok());
}

#[test]
fn a_badge_starts_but_never_stops() {
    let policy = policy_with("");
    let badge = Actor::new(ActorKind::Badge, "9f86d081", "");
    assert!(decide(&policy, badge.clone(), Action::Start, "web-1").is_ok());
    let refusal = decide(&policy, badge, Action::SoftOff, "web-1").unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Forbidden);
    assert_eq!(
        refusal.words,
        "A badge can start and resume, but not stop: use your avatar, the page or the command line."
    );
}

#[test]
fn nobody_reboots_the_protected_database_unless_a_rule_names_it() {
    let policy = policy_with("");
    let refusal = decide(&policy, grace(), Action::Reboot, "db-1").unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Forbidden);
    assert_eq!(
        refusal.words,
        "db-1 is protected: Grace Hopper may reboot it only by a rule that names it. Ask a region owner."
    );
    assert!(decide(&policy, grace(), Action::Start, "db-1").is_ok(), "starting disturbs nobody");
    let stranger = decide(&policy, stranger(), Action::Reboot, "db-1").unwrap_err();
    assert_eq!(stranger.code, RefusalCode::NotPermitted, "a rule that names it would not be all they lack");

    let named = format!(
        "@id(\"grace-db\") permit(principal == Primrack::Avatar::\"{GRACE}\", \
         action in Primrack::Action::\"interrupt\", resource == Primrack::Target::\"db-1\");"
    );
    let policy = policy_with(&named);
    let permit = decide(&policy, grace(), Action::Reboot, "db-1").unwrap();
    assert_eq!(names(&permit), ["grace-db"], "owners-all did not decide");
    assert!(decide(&policy, grace(), Action::HardOff, "db-1").is_err());
    assert!(decide(&policy, ada(), Action::Reboot, "db-1").is_err());
}

#[test]
fn naming_a_protected_target_any_other_way_is_not_enough() {
    for scope in [
        "resource) when { resource == Primrack::Target::\"db-1\" };",
        "resource in Primrack::Target::\"db-1\");",
        "resource in Primrack::Object::\"rack-1\");",
        "resource is Primrack::Target in Primrack::Object::\"rack-1\");",
        "resource) when { resource.protected };",
    ] {
        let policy =
            policy_with(&format!("permit(principal in Primrack::Group::\"owners\", action, {scope}"));
        let refusal = decide(&policy, grace(), Action::SoftOff, "db-1").unwrap_err();
        assert_eq!(refusal.code, RefusalCode::Forbidden, "{scope}");
    }
}

#[test]
fn a_guest_starts_what_is_public_and_nothing_else() {
    let policy = Policy::load(&[Policy::starter(), Source::guests()], house()).unwrap();
    let permit = decide(&policy, stranger(), Action::Start, "play-1").unwrap();
    assert_eq!(names(&permit), ["guests-start-public"]);
    assert!(decide(&policy, stranger(), Action::SoftOff, "play-1").is_err());
    assert!(decide(&policy, stranger(), Action::Start, "web-1").is_err());
    let client = Actor::new(ActorKind::Mqtt, "hall-panel", "");
    assert!(decide(&policy, client, Action::Start, "play-1").is_err(), "only avatars are guests");
}

#[test]
fn the_panel_in_the_hall_may_only_touch_its_rack_at_night() {
    let policy = policy_with(
        "@id(\"night-crew\") permit(principal in Primrack::Group::\"night-crew\", action, \
         resource in Primrack::Object::\"rack-1\") when { context.hour < 6 && context.strong };\n\
         @id(\"sunday\") @reason(\"The machines rest on Sunday.\") \
         forbid(principal, action, resource) when { context.weekday == 7 };",
    );
    let panel = Actor::new(ActorKind::Mqtt, "hall-panel", "Hall panel");
    let via = edge(Edge::Mqtt);
    let at = |day: i64, hour: i64| UnixMs((day * 24 + hour) * 3_600_000);
    // 1970-01-01 was a Thursday.
    let may = |target: &str, at| policy.may_at(&panel, Action::Start, ix(&policy, target), &via, at);
    for _ in 0..2 {
        assert!(may("web-1", at(0, 3)).is_ok());
        assert!(may("web-1", at(0, 12)).is_err(), "by day, also from kept answers");
        assert!(may("play-1", at(0, 3)).is_err(), "another rack");
        let sunday = may("web-1", at(3, 3)).unwrap_err();
        assert_eq!(sunday.words, "The machines rest on Sunday.");
    }
}

#[test]
fn the_object_that_was_touched_can_matter() {
    let policy = policy_with(
        "permit(principal is Primrack::Avatar, action == Primrack::Action::\"start\", resource) \
         when { context has object && resource in context.object && context has unit && context.unit == 2 };",
    );
    let start = |via| policy.may(&stranger(), Action::Start, ix(&policy, "web-2"), &via);
    assert!(start(rack_1(2)).is_ok());
    assert!(start(rack_1(1)).is_err());
    assert!(start(edge(Edge::World)).is_err());
    let mut elsewhere = rack_1(2);
    elsewhere.object = Some(primrack_model::ObjectId::new("rack-2").unwrap());
    assert!(start(elsewhere).is_err());
}

#[test]
fn a_menu_offers_exactly_what_an_intent_would_get() {
    let policy = policy_with("");
    for actor in [ada(), grace(), stranger(), Actor::new(ActorKind::Badge, "9f86d081", "")] {
        for action in Action::ALL {
            for target in ["web-1", "db-1", "play-1"] {
                let asked = intent(actor.clone(), action, target);
                let via = asked.via.clone();
                let menu = policy.may(&actor, action, ix(&policy, target), &via).err();
                assert_eq!(menu, policy.decide(asked).err().map(|(_, refusal)| refusal));
            }
        }
    }
}

#[test]
fn what_is_not_there_is_said_so() {
    let policy = policy_with("");
    let refusal = decide(&policy, ada(), Action::Start, "web-9").unwrap_err();
    assert_eq!(
        (refusal.code, refusal.words.as_str()),
        (RefusalCode::NoTarget, "There is no target called web-9.")
    );
    let beyond = primrack_model::TargetIx(99);
    assert_eq!(
        policy.may(&ada(), Action::Start, beyond, &rack_1(1)).unwrap_err().code,
        RefusalCode::NoTarget
    );
}

#[test]
fn a_forbid_that_cannot_be_evaluated_forbids() {
    let policy = policy_with(
        "@id(\"sum\") forbid(principal, action, resource) when { context.unit_sum == 1 };"
            .replace("context.unit_sum == 1", "9223372036854775807 + context.hour > 0")
            .as_str(),
    );
    let refusal = decide(&policy, grace(), Action::Start, "web-1").unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Forbidden);
    assert!(refusal.words.contains("rule sum could not be evaluated"), "{}", refusal.words);
}

#[test]
fn a_refusal_fits_into_a_chat_line_whatever_things_are_called() {
    let long = "Ärger".repeat(20);
    let policy = policy_with("forbid(principal is Primrack::Web, action, resource);");
    for kind in [ActorKind::Avatar, ActorKind::Web, ActorKind::Badge, ActorKind::Mqtt] {
        for name in [long.as_str(), ""] {
            for action in Action::ALL {
                for target in ["web-1", "db-1", "x".repeat(64).as_str()] {
                    let actor = Actor::new(kind, "f".repeat(128), name);
                    let refusal = decide(&policy, actor, action, target).unwrap_err();
                    assert!(refusal.words.len() < 160, "{} bytes: {}", refusal.words.len(), refusal.words);
                    assert!(refusal.words.ends_with('.'), "{}", refusal.words);
                }
            }
        }
    }
}

#[test]
fn the_version_tells_every_change_of_a_text() {
    let versions = ["", " ", "permit(principal is Primrack::Web, action, resource);"]
        .map(|text| policy_with(text).version().to_owned());
    assert!(versions.iter().all(|version| version.len() == 12));
    assert!(versions[0] != versions[1] && versions[1] != versions[2]);
    assert_eq!(versions[0], policy_with("").version());
    let split = |a: &str, b: &str| {
        let sources = [Source::new("a", a), Source::new("b", b)];
        Policy::load(&sources, house()).unwrap().version().to_owned()
    };
    assert_ne!(split("// x\n", ""), split("", "// x\n"));
}

#[test]
fn a_policy_is_shared_between_threads() {
    let policy = Arc::new(policy_with(""));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let policy = Arc::clone(&policy);
            std::thread::spawn(move || decide(&policy, ada(), Action::Start, "web-1").is_ok())
        })
        .collect();
    assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
}

#[test]
fn why_not_says_what_would_help() {
    let policy = policy_with(&format!(
        "@id(\"ada-db\") permit(principal == Primrack::Avatar::\"{ADA}\", \
         action == Primrack::Action::\"reboot\", resource == Primrack::Target::\"db-1\") when {{ context.hour == 3 }};"
    ));
    let noon = UnixMs(1_195_819_200_000);
    let why = policy.explain_at(&ada(), Action::Reboot, "db-1", &rack_1(3), noon);
    assert!(!why.allowed);
    assert_eq!(
        why.considered.iter().find(|one| one.rule.as_str() == "ada-db").unwrap().fit,
        Fit::ConditionsFail
    );
    frozen!("why_not_protected", why.to_string().replace(policy.version(), "[version]"));

    let why = policy.explain_at(&stranger(), Action::Start, "web-1", &rack_1(1), noon);
    frozen!("why_not_stranger", why.to_string().replace(policy.version(), "[version]"));

    let why = policy.explain_at(&ada(), Action::Start, "web-1", &rack_1(1), noon);
    assert!(why.allowed && why.code.is_none() && why.would_help.is_empty());
    frozen!("why_yes", why.to_string().replace(policy.version(), "[version]"));
}
