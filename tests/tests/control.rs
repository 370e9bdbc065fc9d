//! The control socket, two people at once, and events that are sent again.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;

use primrack_app::rack::{Avatar, Faults, Rack};
use primrack_engine::journal::Entry;
use primrack_model::{Outcome, Verdict};
use primrack_tests::{Control, Room, TestBridge, WORLD, menu, owner, soon};
use primrack_wire::world::{AnswerEntry, AnswerVerdict};
use serde_json::json;

/// Two processes on a rack. `slow` is ready only when its file is there, so that a start stays under way.
fn room() -> Room {
    let config = format!(
        "{WORLD}
[backends.local.process]
state_dir = 'processes'
[backends.local.process.servers.quick]
command = ['sleep', '600']
[backends.local.process.servers.slow]
command = ['sleep', '600']
ready = {{ line = 'never said' }}
[targets]
web-1 = {{ backend = 'local', address = 'quick' }}
web-2 = {{ backend = 'local', address = 'slow' }}
[objects.rack-1]
units = {{ 1 = 'web-1', 2 = 'web-2' }}
"
    );
    Room::new(&config, ["rack-1"])
}

/// The accepted intents in the journal: target and action.
fn accepted(room: &Room) -> Vec<String> {
    let accepted = |entry| match entry {
        Entry::Decision(decision) if matches!(decision.receipt.verdict, Verdict::Accepted) => {
            Some(format!("{} {}", decision.intent.action, decision.intent.target))
        }
        _ => None,
    };
    room.entries().into_iter().filter_map(accepted).collect()
}

async fn rack(bridge: &TestBridge) -> Rack {
    let rack = Rack::start(bridge.rack("rack-1")).await.unwrap();
    soon("the rack registers", rack.register()).await.unwrap();
    for unit in [1, 2] {
        soon("a unit shows off", rack.shows(unit, "off")).await.unwrap();
    }
    rack
}

#[tokio::test]
async fn an_operator_touches_watches_and_sees_the_objects() {
    let bridge = TestBridge::start(room()).await;
    let control = Control::of(&bridge.room);
    let before = control.get("/objects").await;
    assert_eq!((&before[0]["object"], &before[0]["heard"]), (&json!("rack-1"), &json!(null)));
    let rack = rack(&bridge).await;
    let mut watch = control.watch().await;
    let first: Vec<_> = [watch.next().await, watch.next().await].into();
    assert_eq!((&first[0]["target"], &first[1]["target"]), (&json!("web-1"), &json!("web-2")));
    assert_eq!(first[0]["state"]["power"], "off");

    let (status, choices) =
        control.touch(json!({ "at": { "target": "web-1" }, "action": null, "operator": "bob" })).await;
    assert_eq!((status, &choices["actions"]), (200, &json!(["start"])), "{choices}");
    let (status, receipt) = control
        .touch(json!({ "at": { "unit": { "object": "rack-1", "unit": 1 } }, "action": "start", "operator": "bob" }))
        .await;
    assert_eq!((status, &receipt["words"]), (200, &json!("Starting web-1.")), "{receipt}");
    let mut seen = Vec::new();
    while seen.last().is_none_or(|power| power != "on") {
        let change = watch.next().await;
        assert_eq!(change["target"], "web-1");
        seen.push(change["state"]["power"].as_str().unwrap().to_owned());
    }
    assert_eq!(seen[0], "starting");
    // What came in at one edge shows at the other.
    soon("the rack shows it", rack.shows(1, "on")).await.unwrap();

    let after = control.get("/objects").await;
    assert!(after[0]["heard"].is_number() && after[0]["silent"].is_null(), "{after}");
    for (at, why) in [
        (json!({ "target": "web-9" }), "there is no target called web-9"),
        (json!({ "unit": { "object": "rack-9", "unit": 1 } }), "there is no object called rack-9"),
        (json!({ "unit": { "object": "rack-1", "unit": 9 } }), "unit 9 of rack-1 shows nothing"),
    ] {
        let (status, answer) = control.touch(json!({ "at": at, "action": "start", "operator": "bob" })).await;
        assert!(status == 404 && answer["error"].as_str().unwrap().starts_with(why), "{status} {answer}");
    }
    // A watch that is open does not hold a stop up.
    let begun = std::time::Instant::now();
    bridge.stop().await;
    assert!(begun.elapsed().as_secs() < 5, "the stop took {:?}", begun.elapsed());
}

#[tokio::test]
async fn two_people_at_once_give_one_command_and_two_truthful_receipts() {
    let bridge = TestBridge::start(room()).await;
    let rack = rack(&bridge).await;
    let control = Control::of(&bridge.room);
    let ada = owner();
    let (id, _) = menu(&soon("a menu", rack.touch(2, &ada)).await.unwrap());
    let touch = json!({ "at": { "target": "web-2" }, "action": "start", "operator": "bob" });
    let (world, (status, operator)) = tokio::join!(rack.choose(&id, &ada, "Start"), control.touch(touch));
    let AnswerVerdict::Accepted { say } = world.unwrap().verdict else { panic!("refused") };
    assert_eq!(status, 200);
    let words = operator["words"].as_str().unwrap().to_owned();
    // Whoever was second is told for whom it is being done already.
    let (first, second, by) =
        if say == "Starting web-2." { (&say, &words, "for Ada Lovelace") } else { (&words, &say, "for bob") };
    assert_eq!(first, "Starting web-2.");
    assert!(second.starts_with("Starting web-2 already") && second.contains(by), "{say} | {words}");
    soon("the rack shows it", rack.shows(2, "starting")).await.unwrap();
    assert_eq!(accepted(&bridge.room), ["start web-2"]);
    assert_eq!(bridge.room.processes("processes", "slow").len(), 1);

    // Something else meanwhile is refused; pulling the plug is not.
    let pause = json!({ "at": { "target": "web-2" }, "action": "pause", "operator": "bob" });
    let (_, receipt) = control.touch(pause).await;
    assert!(receipt.to_string().contains("busy"), "{receipt}");
    let off = json!({ "at": { "target": "web-2" }, "action": "hard-off", "operator": "bob" });
    let (_, receipt) = control.touch(off).await;
    assert_eq!(receipt["words"], "Powering off web-2.");
    soon("the rack shows it", rack.shows(2, "off")).await.unwrap();
    assert!(bridge.room.processes("processes", "slow").is_empty());
    bridge.stop().await;
}

fn said(entry: &AnswerEntry) -> &str {
    match &entry.verdict {
        AnswerVerdict::Accepted { say } => say,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_event_sent_again_gets_the_same_receipt_and_one_action_over_a_restart_too() {
    let bridge = TestBridge::start(room()).await;
    let rack = rack(&bridge).await;
    let ada = owner();
    let (id, _) = menu(&soon("a menu", rack.touch(1, &ada)).await.unwrap());

    // The way back loses two answers.
    rack.play(Faults { lose_answers: 2, ..Faults::default() });
    let sent = rack.counts().sent;
    let lost = soon("a receipt", rack.choose(&id, &ada, "Start")).await.unwrap();
    assert_eq!(said(&lost), "Starting web-1.");
    assert_eq!(rack.counts().sent - sent, 3);
    soon("the rack shows it", rack.shows(1, "on")).await.unwrap();

    // The same by hand, to send the very same event whenever we like.
    let mut script = bridge.script("rack-1");
    let (id, picks) = menu(&script.touch("e.1", 1, &ada).await);
    assert!(picks.contains(&"Pause".to_owned()), "{picks:?}");
    let first = script.choose("e.2", &id, &ada, "Pause").await;
    assert_eq!(said(&first), "Pausing web-1.");
    soon("the rack shows it", rack.shows(1, "paused")).await.unwrap();
    // Eight others push it out of what the bridge keeps in memory for this object.
    for other in 0..8 {
        script.touch(&format!("o.{other}"), 1, &ada).await;
    }
    assert_eq!(script.choose("e.2", &id, &ada, "Pause").await, first);

    let address = bridge.address();
    drop(rack);
    let room = bridge.stop().await;
    let bridge = TestBridge::start_at(room, address).await;
    // Sent again after the restart: as it was, and under another menu's name.
    assert_eq!(script.choose("e.2", &id, &ada, "Pause").await, first);
    assert_eq!(script.choose("e.2", "another", &ada, "Pause").await, first);
    // Another event of that menu is not taken: the menu was answered.
    let AnswerVerdict::Refused { code, .. } = script.choose("e.3", &id, &ada, "Pause").await.verdict else {
        panic!("the menu was answered")
    };
    assert_eq!(code, "not-offered");
    assert_eq!(accepted(&bridge.room), ["start web-1", "pause web-1"]);
    assert_eq!(bridge.room.processes("processes", "quick").len(), 1);
    let room = bridge.stop().await;
    assert_eq!(room.verify().fault, None);
}

#[tokio::test]
async fn a_person_without_a_name_is_somebody_else() {
    let bridge = TestBridge::start(room()).await;
    let rack = rack(&bridge).await;
    // The name is a claim: the owner's name with another's UUID opens nothing.
    let liar = Avatar { name: owner().name, ..Avatar::named("Mallory") };
    let entry = soon("an answer", rack.touch(1, &liar)).await.unwrap();
    let AnswerVerdict::Refused { code, .. } = entry.verdict else { panic!("{entry:?}") };
    assert_eq!(code, "not-permitted");
    assert!(accepted(&bridge.room).is_empty());
    bridge.stop().await;
}

#[tokio::test]
async fn a_dry_run_says_what_would_happen_and_does_nothing() {
    let config = fs::read_to_string(room().config()).unwrap();
    let config = config
        .replace("[backends.local.process]", "[backends.local]\ndry_run = true\n[backends.local.process]");
    let bridge = TestBridge::start(Room::new(&config, ["rack-1"])).await;
    let rack = rack(&bridge).await;
    let control = Control::of(&bridge.room);
    let mut watch = control.watch().await;
    let (status, receipt) =
        control.touch(json!({ "at": { "target": "web-1" }, "action": "start", "operator": "bob" })).await;
    assert_eq!(status, 200, "{receipt}");
    let words = loop {
        let change = watch.next().await;
        let state = &change["state"];
        if change["target"] == "web-1" && state["transition"].is_null() && state["detail"] != json!(null) {
            assert_eq!(state["power"], "off");
            break state["detail"].as_str().unwrap().to_owned();
        }
    };
    assert!(words.contains("dry run, nothing was done: it would get start (quick is Off)"), "{words}");
    soon("the rack shows it off", rack.shows(1, "off")).await.unwrap();
    let room = bridge.stop().await;
    assert!(room.processes("processes", "quick").is_empty(), "it was started");
    let failed = room.entries().into_iter().any(
        |entry| matches!(entry, Entry::Ended { outcome: Outcome::Failed(why), .. } if why.contains("dry run")),
    );
    assert!(failed, "the journal says how it ended");
}
