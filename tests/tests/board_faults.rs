//! Boards when things go wrong, and a board together with the region: over the whole bridge, most of it with the shipped
//! firmware in the emulator.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use primrack_engine::journal::Entry;
use primrack_link::message::Uid;
use primrack_lsl::Profile;
use primrack_lsl::source::expand;
use primrack_model::Power;
use primrack_region::{AvatarPlan, ObjectPlan, PrimPlan, PrimView, Region, RegionSettings, ScriptPlan};
use primrack_tests::{
    BridgeProcess, Control, Emulator, OWNER, Part, Player, Room, SECRET, Soft, TestBridge, in_time, soon,
    until,
};
use serde_json::json;
use uuid::Uuid;

const ADA: &str = "04A1B2C3D4E5F6";

/// A door with a relay, a fan, and a lamp tower, all on one board.
fn room() -> Room {
    let room = Room::new("", ["door-1", "switch-1"]);
    let port = room.at("port");
    let config = format!(
        "
bridge.state_dir = 'state'
bridge.listen = '127.0.0.1:0'
world = {{ callbacks = ['127.0.0.1:*'], requests_per_s = 10000.0, request_burst = 10000.0 }}
groups.operators = ['badge:ada', 'avatar:{OWNER}']
[objects]
door-1.units = {{ 1 = 'front-door' }}
switch-1 = {{ touch = 'toggle', units = {{ 1 = 'fan' }} }}
[targets]
front-door = {{ label = 'Front door', backend = 'gate' }}
fan = {{ label = 'Fan', backend = 'gate' }}
[backends.gate.board]
port = '{}'
badges_file = 'badges'
readers.0 = {{ target = 'front-door' }}
doors.front-door = {{ open_s = 2 }}
outputs.fan = {{ index = 0 }}
outputs.tower = {{ index = 1, kind = 'lamp', follows = 'front-door' }}
",
        port.display()
    );
    std::fs::write(room.config(), config).unwrap();
    std::fs::write(room.at("badges"), format!("{ADA} ada\n")).unwrap();
    std::fs::set_permissions(room.at("badges"), std::fs::Permissions::from_mode(0o600)).unwrap();
    room
}

async fn adopted(bridge: &TestBridge) {
    until("the board is adopted", async || bridge.bridge.boards.status()[0].up.then_some(())).await;
}

/// Refusals in the journal that no policy made: class and subject.
fn audited(room: &Room) -> Vec<(String, String)> {
    let of = |entry| match entry {
        Entry::Audit { class, subject, .. } => Some((class.to_string(), subject.to_string())),
        _ => None,
    };
    room.entries().into_iter().filter_map(of).collect()
}

#[tokio::test]
async fn a_badge_shown_while_the_line_was_down_opens_nothing_and_the_journal_says_why() {
    let room = room();
    let soft = Soft::start(&room.at("port"));
    let bridge = TestBridge::start(room).await;
    adopted(&bridge).await;
    soft.board.unplug();
    until("the unplugging is seen", async || (!bridge.bridge.boards.status()[0].up).then_some(())).await;
    let fan = bridge.bridge.engine.inventory().find_target("fan").unwrap();
    until("the fan's state is old", async || bridge.bridge.engine.state(fan).stale.then_some(())).await;
    let words = bridge.bridge.engine.state(fan).detail;
    assert!(words.contains("the line to the board is down"), "{words}");
    soft.board.badge(0, Uid::from_hex(ADA).unwrap());
    // What makes it stale is time.
    tokio::time::sleep(Duration::from_millis(2200)).await;
    soft.board.plug();
    until("the refusal is in the journal", async || {
        audited(&bridge.room).iter().any(|(class, _)| class == "stale-badge").then_some(())
    })
    .await;
    let room = bridge.stop().await;
    assert_eq!(audited(&room), [("stale-badge".to_owned(), "gate/reader-0 badge:ada".to_owned())]);
    assert!(!room.entries().iter().any(|entry| matches!(entry, Entry::Decision(_))), "policy was asked");
}

#[tokio::test]
async fn a_second_bridge_on_the_same_port_is_refused_in_words() {
    let first = room();
    let _soft = Soft::start(&first.at("port"));
    let port = first.at("port");
    let bridge = TestBridge::start(first).await;
    adopted(&bridge).await;
    let second = room();
    let text = std::fs::read_to_string(second.config()).unwrap();
    let own = second.at("port").display().to_string();
    std::fs::write(second.config(), text.replace(&own, port.to_str().unwrap())).unwrap();
    let other = TestBridge::start(second).await;
    let words = until("it is refused", async || {
        let status = other.bridge.boards.status().remove(0);
        status.words.contains("another program").then_some(status.words)
    })
    .await;
    assert!(words.contains("fuser"), "{words}");
    assert!(bridge.bridge.boards.status()[0].up, "and the first goes on");
    other.stop().await;
    bridge.stop().await;
}

#[tokio::test]
async fn a_killed_bridge_leaves_no_relay_on() {
    let room = room();
    let mut board = Player::Real(Box::new(Emulator::start(&room.at("port"), &room.at("eeprom")).await));
    let bridge = BridgeProcess::start(room).await;
    let control = Control::of(&bridge.room);
    until("the fan is known", async || {
        let states = control.get("/states").await;
        let fan = states.as_array().unwrap().iter().find(|state| state["target"] == "fan").unwrap().clone();
        (fan["state"]["power"] == "off" && fan["state"]["stale"] != true).then_some(())
    })
    .await;
    let (status, answer) =
        control.touch(json!({ "at": { "target": "fan" }, "action": "start", "operator": "test" })).await;
    assert_eq!(status, 200, "{answer}");
    board.shows(Part::Latch, true).await;
    let killed = Instant::now();
    let (_room, _) = bridge.kill().await;
    let off = board.shows(Part::Latch, false).await;
    let took = off.saturating_duration_since(killed);
    in_time("the bridge's death to the latch safe", took, Duration::from_millis(3100));
}

#[tokio::test]
async fn a_board_that_browns_out_is_as_it_should_be_again() {
    let room = room();
    let mut emulator = Emulator::start(&room.at("port"), &room.at("eeprom")).await;
    let bridge = TestBridge::start(room).await;
    adopted(&bridge).await;
    let control = Control::of(&bridge.room);
    let (_, answer) =
        control.touch(json!({ "at": { "target": "fan" }, "action": "start", "operator": "test" })).await;
    assert_eq!(answer["verdict"]["verdict"], "accepted", "{answer}");
    emulator.until("the relay is on", |line| line == "pin D5 1").await;
    let mut changes = bridge.bridge.engine.subscribe();
    emulator.tell("brownout 20").await;
    emulator.until("the relay fell", |line| line == "pin D5 0").await;
    emulator.until("the relay is on again", |line| line == "pin D5 1").await;
    let shown = async {
        let mut fell = false;
        loop {
            let event = changes.recv().await.unwrap();
            if event.target.as_str() == "fan" {
                let on = event.state.power == Power::On && !event.state.stale;
                if fell && on {
                    return;
                }
                fell |= !on;
            }
        }
    };
    soon("the fan is told to have fallen and to be on again", shown).await;
    bridge.stop().await;
}

// A board and the region together.

fn prim(name: &str, position: [f64; 3], size: [f64; 3]) -> PrimPlan {
    PrimPlan {
        name: name.to_owned(),
        description: String::new(),
        position,
        turned: 0.0,
        size,
        shape: 0,
        colour: [1.0; 3],
        text: String::new(),
        scripts: Vec::new(),
        notecards: BTreeMap::new(),
        contains: Vec::new(),
    }
}

/// A thing whose part shows its state, with the shipped script in its root.
fn thing(object: &str, part: &str, x: f64, bridge: std::net::SocketAddr) -> ObjectPlan {
    let id = format!("{object}-1");
    let notecard = format!("id = {id}\nkey = a.{SECRET}\nbridge = http://{bridge}/world/1\ncool-down = 0\n");
    let mut root = prim(&id, [x, 128.0, 21.0], [0.1, 0.1, 2.0]);
    root.scripts = vec![ScriptPlan { script: object.to_owned(), name: None }];
    root.notecards = BTreeMap::from([(format!("{object}.conf"), notecard)]);
    ObjectPlan {
        prim: vec![root, prim(part, [0.5, 0.0, 0.1], [0.9, 0.05, 1.9])],
        owner: Some(Uuid::parse_str(OWNER).unwrap()),
        key: None,
    }
}

async fn says(region: &Region, object: &str, part: &str, line: &str) -> PrimView {
    until(&format!("{object} says {line:?}"), async || {
        let (snapshot, _) = region.snapshot().await.unwrap();
        let id = snapshot.prims.iter().find(|prim| prim.name == object && prim.link <= 1)?.object;
        let prim = snapshot.prims.iter().find(|prim| prim.object == id && prim.name == part)?;
        prim.text.lines().any(|one| one == line).then(|| (**prim).clone())
    })
    .await
}

#[tokio::test]
async fn a_badge_opens_the_door_in_the_region_and_a_touch_there_moves_a_pin() {
    let room = room();
    let mut board = Player::Real(Box::new(Emulator::start(&room.at("port"), &room.at("eeprom")).await));
    let bridge = TestBridge::start(room).await;
    adopted(&bridge).await;
    let ada = Uuid::parse_str(OWNER).unwrap();
    let profile = Profile::OpenSim093;
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("lsl-scripts");
    let read = |path: &str| std::fs::read_to_string(scripts.join(path)).ok();
    let mut plan = primrack_region::Room::default();
    plan.avatar.push(AvatarPlan {
        name: "Ada Lovelace".to_owned(),
        key: Some(ada),
        position: [128.0, 127.0, 21.0],
    });
    for (object, part, x) in [("door", "leaf", 127.0), ("switch", "rocker", 129.0)] {
        let text = expand(&read, &format!("objects/{object}/{object}.lsl"), profile).unwrap();
        plan.scripts.insert(object.to_owned(), text);
        plan.object.push(thing(object, part, x, bridge.address()));
    }
    let region = Region::start(RegionSettings { profile, ..RegionSettings::default() }, &plan).await.unwrap();
    let closed = says(&region, "door-1", "leaf", "Closed").await;
    board.badge(ADA).await;
    let open = says(&region, "door-1", "leaf", "Open").await;
    assert_ne!(open.rotation, closed.rotation, "the leaf turned");
    board.shows(Part::Green, true).await;
    says(&region, "door-1", "leaf", "Closed").await;
    board.shows(Part::Green, false).await;

    let rocker = says(&region, "switch-1", "rocker", "Off").await;
    soon("a touch", region.touch(ada, rocker.id)).await.unwrap().unwrap();
    board.shows(Part::Latch, true).await;
    let rocker = says(&region, "switch-1", "rocker", "On").await;
    soon("a touch", region.touch(ada, rocker.id)).await.unwrap().unwrap();
    board.shows(Part::Latch, false).await;
    says(&region, "switch-1", "rocker", "Off").await;
    let fan = bridge.bridge.engine.inventory().find_target("fan").unwrap();
    assert_eq!(bridge.bridge.engine.state(fan).power, Power::Off);
    region.stop().await;
    bridge.stop().await;
}
