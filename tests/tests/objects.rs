//! The shipped scripts of door, switch, lamp, alarm and letter-box, in the simulated region under each grid's limits,
//! against the real bridge: a touch, what it does, what it looks like, and who hears of it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use primrack_link::message::Uid;
use primrack_lsl::Profile;
use primrack_lsl::source::expand;
use primrack_model::{Action, Actor, ActorKind, Edge, Intent, IntentId, TargetId, UnixMs, Via};
use primrack_region::{
    AvatarPlan, ObjectPlan, PrimPlan, PrimView, Region, RegionEvent, RegionSettings, ScriptPlan,
};
use primrack_tests::{OWNER, Room, SECRET, TestBridge, WORLD, soon, until};
use tokio::sync::broadcast::Receiver;
use uuid::Uuid;

const STRANGER: Uuid = Uuid::from_u128(0xbbbb_bbbb_0000_4000_8000_0000_0000_b0b0);

fn ada() -> Uuid {
    Uuid::parse_str(OWNER).unwrap()
}

/// An object's script as `profile` gets it.
fn script(object: &str, profile: Profile) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("lsl-scripts");
    let read = |path: &str| std::fs::read_to_string(folder.join(path)).ok();
    expand(&read, &format!("objects/{object}/{object}.lsl"), profile).unwrap()
}

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

/// A thing of a root, the part that shows its state, and a small light; turned about the vertical, as things are.
fn thing(object: &str, part: &str, size: [f64; 3], more: &str, x: f64, bridge: SocketAddr) -> ObjectPlan {
    let id = format!("{object}-1");
    // A test touches faster than people do.
    let notecard =
        format!("id = {id}\nkey = a.{SECRET}\nbridge = http://{bridge}/world/1\ncool-down = 0\n{more}");
    let mut root = prim(&id, [x, 128.0, 21.0], [0.1, 0.1, 2.0]);
    root.turned = 30.0;
    root.scripts = vec![ScriptPlan { script: object.to_owned(), name: None }];
    root.notecards = BTreeMap::from([(format!("{object}.conf"), notecard)]);
    let main = prim(part, [0.5, 0.0, 0.1], size);
    let light = prim("light", [0.0, 0.1, 0.9], [0.05; 3]);
    ObjectPlan { prim: vec![root, main, light], owner: Some(ada()), key: None }
}

/// A region with these things, owned by Ada.
async fn region(profile: Profile, things: Vec<(&str, ObjectPlan)>) -> Region {
    let mut room = primrack_region::Room::default();
    for (name, key) in [("Ada Lovelace", ada()), ("Eve", STRANGER)] {
        room.avatar.push(AvatarPlan {
            name: name.to_owned(),
            key: Some(key),
            position: [128.0, 127.0, 21.0],
        });
    }
    for (object, plan) in things {
        room.scripts.insert(object.to_owned(), script(object, profile));
        room.object.push(plan);
    }
    Region::start(RegionSettings { profile, ..RegionSettings::default() }, &room).await.unwrap()
}

/// The part of an object as it looks now.
async fn look(region: &Region, object: &str, part: &str) -> PrimView {
    let (snapshot, _) = region.snapshot().await.unwrap();
    let id = snapshot.prims.iter().find(|prim| prim.name == object && prim.link <= 1).unwrap().object;
    (**snapshot.prims.iter().find(|prim| prim.object == id && prim.name == part).unwrap()).clone()
}

/// Waits until the words above a part have this line.
async fn says(region: &Region, object: &str, part: &str, line: &str) -> PrimView {
    until(&format!("{object} says {line:?}"), async || {
        let prim = look(region, object, part).await;
        prim.text.lines().any(|one| one == line).then_some(prim)
    })
    .await
}

/// What is said to one avatar, and to nobody else.
async fn told(events: &mut Receiver<RegionEvent>, who: Uuid, word: &str) -> String {
    let hearing = async {
        loop {
            if let RegionEvent::Chat(chat) = events.recv().await.unwrap()
                && chat.text.contains(word)
            {
                assert_eq!(chat.to, Some(who), "somebody else heard: {}", chat.text);
                return chat.text;
            }
        }
    };
    soon(&format!("somebody is told {word:?}"), hearing).await
}

/// Ada touches a prim and chooses from the menu that comes up.
async fn choose(region: &Region, events: &mut Receiver<RegionEvent>, prim: &PrimView, button: &str) {
    region.touch(ada(), prim.id).await.unwrap().unwrap();
    let menu = async {
        loop {
            if let RegionEvent::Dialog(dialog) = events.recv().await.unwrap() {
                return dialog;
            }
        }
    };
    let dialog = soon("a menu", menu).await;
    assert_eq!(dialog.avatar, ada());
    assert!(dialog.buttons.iter().any(|known| known == button), "{:?}", dialog.buttons);
    region.answer_dialog(ada(), dialog.id, button).await.unwrap().unwrap();
}

/// How far two prims are apart, and by how many degrees they are turned against each other.
fn apart(a: &PrimView, b: &PrimView) -> (f64, f64) {
    let far = (0..3).map(|i| (a.position[i] - b.position[i]).powi(2)).sum::<f64>().sqrt();
    let same: f64 = (0..4).map(|i| a.rotation[i] * b.rotation[i]).sum();
    (far, 2.0 * same.abs().min(1.0).acos().to_degrees())
}

/// Every script runs, and is far from what its grid grants.
async fn all_is_well(region: &Region, profile: Profile) {
    for script in region.scripts().await.unwrap() {
        assert!(script.running, "{profile}: {script:?}");
        // Second Life grants 65,536 bytes, and how it counts is only roughly known.
        assert!(script.memory < 40 * 1024, "{profile}: {} has {} bytes", script.name, script.memory);
    }
}

fn bridge_room(config: &str, objects: &[&str]) -> Room {
    Room::new(&format!("{WORLD}{config}"), objects.iter().copied())
}

async fn a_door_opens_for_whom_it_may(profile: Profile) {
    let config = "
[backends.local.process]
state_dir = 'processes'
[backends.local.process.servers.front]
command = ['/bin/sleep', '600']
[targets.front]
backend = 'local'
kind = 'door'
label = 'Front door'
[objects.door-1]
units = { 1 = 'front' }
";
    let bridge = TestBridge::start(bridge_room(config, &["door-1"])).await;
    let plan = thing("door", "leaf", [0.9, 0.05, 1.9], "amount = 80\n", 128.0, bridge.address());
    let region = region(profile, vec![("door", plan)]).await;
    let closed = says(&region, "door-1", "leaf", "Closed").await;
    let (_, mut events) = region.snapshot().await.unwrap();

    region.touch(STRANGER, closed.id).await.unwrap().unwrap();
    let refused = told(&mut events, STRANGER, "may not").await;
    assert!(refused.contains("Front door"), "{refused}");
    let still = look(&region, "door-1", "leaf").await;
    assert_eq!(
        (still.position, still.rotation, &still.text),
        (closed.position, closed.rotation, &closed.text)
    );

    choose(&region, &mut events, &closed, "Open").await;
    told(&mut events, ada(), "Opening Front door").await;
    let open = says(&region, "door-1", "leaf", "Open").await;
    let (far, turned) = apart(&closed, &open);
    assert!((79.0..81.0).contains(&turned), "turned by {turned} degrees");
    // About its edge: the middle goes along a circle of half the width.
    let chord = 2.0 * 0.45 * (40.0_f64).to_radians().sin();
    assert!((far - chord).abs() < 0.01, "the middle moved {far} m, not {chord} m");
    assert_ne!(open.face.colour, closed.face.colour);
    let light = look(&region, "door-1", "light").await;
    assert_eq!(light.face.colour, open.face.colour, "the small light shows it, too");

    // The frame is touched like the leaf, and a script that begins anew with an open door finds the way back.
    let root = look(&region, "door-1", "door-1").await;
    region.reset_script(root.id, "door").await.unwrap().unwrap();
    until("the door registered anew and is drawn", async || {
        let leaf = look(&region, "door-1", "leaf").await;
        (leaf.text.lines().any(|line| line == "Open") && !leaf.text.contains("last known")).then_some(())
    })
    .await;
    choose(&region, &mut events, &root, "Close").await;
    let again = says(&region, "door-1", "leaf", "Closed").await;
    let (far, turned) = apart(&closed, &again);
    assert!(far < 1e-3 && turned < 0.1, "it stands {far} m and {turned} degrees from where it was built");
    all_is_well(&region, profile).await;
    region.stop().await;
    bridge.stop().await;
}

async fn a_switch_lights_a_lamp(profile: Profile) {
    let config = "
[backends.local.process]
state_dir = 'processes'
[backends.local.process.servers.hall]
command = ['/bin/sleep', '600']
[targets.hall]
backend = 'local'
kind = 'output'
label = 'Lamp in the hall'
[objects.switch-1]
touch = 'toggle'
units = { 1 = 'hall' }
[objects.lamp-1]
touch = 'toggle'
units = { 1 = 'hall' }
";
    let bridge = TestBridge::start(bridge_room(config, &["switch-1", "lamp-1"])).await;
    let address = bridge.address();
    let switch = thing("switch", "unit 1 rocker", [0.1, 0.04, 0.1], "", 127.0, address);
    let lamp = thing("lamp", "unit 1 bulb", [0.3; 3], "colour = blue\nreach = 7\n", 129.0, address);
    let region = region(profile, vec![("switch", switch), ("lamp", lamp)]).await;
    let down = says(&region, "switch-1", "unit 1 rocker", "Off").await;
    let dark = says(&region, "lamp-1", "unit 1 bulb", "Off").await;
    assert!(dark.light.is_none() && !dark.face.bright && dark.face.glow == 0.0, "{dark:?}");
    let (_, mut events) = region.snapshot().await.unwrap();

    region.touch(STRANGER, down.id).await.unwrap().unwrap();
    told(&mut events, STRANGER, "may not").await;

    region.touch(ada(), down.id).await.unwrap().unwrap();
    let up = says(&region, "switch-1", "unit 1 rocker", "On").await;
    let (far, turned) = apart(&down, &up);
    assert!(far < 1e-6 && (23.0..25.0).contains(&turned), "the rocker went {far} m, {turned} degrees");
    let lit = says(&region, "lamp-1", "unit 1 bulb", "On").await;
    let light = lit.light.unwrap();
    assert!((light.radius - 7.0).abs() < 1e-6 && light.colour[2] > light.colour[0], "{light:?}");
    assert!(lit.face.bright && lit.face.glow > 0.3, "{:?}", lit.face);

    // The lamp is touched as well as its switch.
    region.touch(ada(), lit.id).await.unwrap().unwrap();
    let dark = says(&region, "lamp-1", "unit 1 bulb", "Off").await;
    assert!(dark.light.is_none() && !dark.face.bright);
    let down_again = says(&region, "switch-1", "unit 1 rocker", "Off").await;
    assert!(apart(&down, &down_again).1 < 0.1);
    all_is_well(&region, profile).await;
    region.stop().await;
    bridge.stop().await;
}

async fn an_alarm_sounds_until_it_is_acknowledged(profile: Profile) {
    let config = "
[backends.local.process]
state_dir = 'processes'
[backends.local.process.servers.smoke]
command = ['/bin/sleep', '600']
[targets.smoke]
backend = 'local'
kind = 'alarm'
label = 'Smoke'
[objects.alarm-1]
units = { 1 = 'smoke' }
";
    let bridge = TestBridge::start(bridge_room(config, &["alarm-1"])).await;
    let siren = Uuid::from_u128(0x51e4).to_string();
    let plan = thing("alarm", "beacon", [0.2; 3], &format!("sound = {siren}\n"), 128.0, bridge.address());
    let region = region(profile, vec![("alarm", plan)]).await;
    let quiet = says(&region, "alarm-1", "beacon", "Quiet").await;
    assert_eq!((quiet.spin, quiet.light, quiet.face.glow), ([0.0; 3], None, 0.0));
    let (_, mut events) = region.snapshot().await.unwrap();

    choose(&region, &mut events, &quiet, "Raise").await;
    let sounding = says(&region, "alarm-1", "beacon", "Sounding").await;
    assert!(sounding.spin[2] > 1.0 && sounding.light.is_some(), "{sounding:?}");
    until("the siren is heard", async || {
        let sound = look(&region, "alarm-1", "alarm-1").await.sound;
        (sound.as_ref() == Some(&siren)).then_some(())
    })
    .await;
    // While it sounds the grid is told nothing: what turns is turned by each viewer.
    while events.try_recv().is_ok() {}
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    let mut drawn = 0;
    while let Ok(event) = events.try_recv() {
        drawn += usize::from(matches!(event, RegionEvent::Prims { .. }));
    }
    assert!(drawn <= 1, "{drawn} changes in one and a half seconds");

    region.touch(STRANGER, sounding.id).await.unwrap().unwrap();
    told(&mut events, STRANGER, "may not").await;
    choose(&region, &mut events, &sounding, "Acknowledge").await;
    let acknowledged = says(&region, "alarm-1", "beacon", "Acknowledged").await;
    assert!(acknowledged.spin == [0.0; 3] && acknowledged.light.is_some(), "{acknowledged:?}");
    assert_eq!(look(&region, "alarm-1", "alarm-1").await.sound, None, "it is silent");
    assert_ne!(acknowledged.face.colour, sounding.face.colour);
    all_is_well(&region, profile).await;
    region.stop().await;
    bridge.stop().await;
}

async fn a_letter_box_raises_its_flag(profile: Profile) {
    let config = "
[backends.local.process]
state_dir = 'processes'
[backends.local.process.servers.post]
command = ['/bin/sleep', '600']
[targets.post]
backend = 'local'
kind = 'output'
label = 'Post'
[objects.letter-box-1]
touch = 'toggle'
units = { 1 = 'post' }
";
    let bridge = TestBridge::start(bridge_room(config, &["letter-box-1"])).await;
    let plan = thing("letter-box", "flag", [0.04, 0.4, 0.1], "", 128.0, bridge.address());
    let region = region(profile, vec![("letter-box", plan)]).await;
    let down = says(&region, "letter-box-1", "flag", "Off").await;
    let (_, mut events) = region.snapshot().await.unwrap();
    region.touch(STRANGER, down.id).await.unwrap().unwrap();
    told(&mut events, STRANGER, "may not").await;

    region.touch(ada(), down.id).await.unwrap().unwrap();
    let up = says(&region, "letter-box-1", "flag", "On").await;
    let (_, turned) = apart(&down, &up);
    assert!((89.0..91.0).contains(&turned), "{turned} degrees");
    // About its end, so its middle is half its length above it.
    assert!((up.position[2] - down.position[2] - 0.2).abs() < 1e-3, "{:?} {:?}", down.position, up.position);
    assert!(up.face.glow > down.face.glow);
    region.touch(ada(), up.id).await.unwrap().unwrap();
    let lowered = says(&region, "letter-box-1", "flag", "Off").await;
    assert!(apart(&down, &lowered).0 < 1e-3, "it is lowered again");
    all_is_well(&region, profile).await;
    region.stop().await;
    bridge.stop().await;
}

/// Everything at once with a board behind it, played in software: a badge opens the door, which closes by itself; its
/// button raises the flag, which a touch lowers; a server that dies sounds the alarm, which a touch silences.
async fn a_board_moves_what_stands_in_the_world(profile: Profile) {
    let config = "
[backends.gate.board]
port = 'soft'
badges_file = 'badges'
[backends.gate.board.readers.0]
target = 'front'
[backends.gate.board.buttons.0]
target = 'post'
[backends.gate.board.doors.front]
open_s = 2
lock = 2
kind = 'lock'
[backends.gate.board.outputs.post]
[backends.gate.board.alarms.died]
crash_of = 'frail'
[backends.local.process]
state_dir = 'processes'
[backends.local.process.servers.frail]
command = ['/bin/sh', '-c', 'sleep 1; exit 7']
[targets.front]
backend = 'gate'
[targets.post]
backend = 'gate'
[targets.died]
backend = 'gate'
[targets.frail]
backend = 'local'
[objects.door-1]
touch = 'toggle'
units = { 1 = 'front' }
[objects.letter-box-1]
touch = 'toggle'
units = { 1 = 'post' }
[objects.alarm-1]
touch = 'toggle'
units = { 1 = 'died' }
";
    let config = format!("{WORLD}{config}")
        .replace("owners = [", "operators = ['badge:ada', 'button:gate-0']\nowners = [");
    let room = Room::new(&config, ["door-1", "letter-box-1", "alarm-1"]);
    std::fs::write(room.at("badges"), "04ADA1B2C3D4E5 ada\n").unwrap();
    std::fs::set_permissions(room.at("badges"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let bridge = TestBridge::start(room).await;
    let board = bridge.bridge.boards.soft("gate").unwrap();
    let address = bridge.address();
    let things = vec![
        ("door", thing("door", "leaf", [0.9, 0.05, 1.9], "moves = slide\n", 126.0, address)),
        ("letter-box", thing("letter-box", "flag", [0.4, 0.04, 0.1], "", 128.0, address)),
        ("alarm", thing("alarm", "beacon", [0.2; 3], "", 130.0, address)),
    ];
    let region = region(profile, things).await;
    let closed = says(&region, "door-1", "leaf", "Closed (simulated)").await;
    let down = says(&region, "letter-box-1", "flag", "Off (simulated)").await;
    says(&region, "alarm-1", "beacon", "Quiet (simulated)").await;
    let (_, mut events) = region.snapshot().await.unwrap();
    let mut outputs = board.outputs();
    let bolt = |outputs: &[primrack_link::soft::SoftOutput]| outputs[2].value;
    assert_eq!(bolt(&outputs.borrow()), 0);

    region.touch(STRANGER, closed.id).await.unwrap().unwrap();
    told(&mut events, STRANGER, "may not").await;
    board.badge(0, Uid::from_hex("04E7E1B2C3D4E5").unwrap());
    board.badge(0, Uid::from_hex("04ADA1B2C3D4E5").unwrap());
    soon("the bolt is drawn", outputs.wait_for(|outputs| bolt(outputs) == 1)).await.unwrap();
    let open = says(&region, "door-1", "leaf", "Open (simulated)").await;
    let (far, turned) = apart(&closed, &open);
    assert!((far - 0.9 * 0.95).abs() < 0.01 && turned < 0.1, "it slid {far} m");
    let again = says(&region, "door-1", "leaf", "Closed (simulated)").await;
    assert!(apart(&closed, &again).0 < 1e-3);
    soon("the bolt is back", outputs.wait_for(|outputs| bolt(outputs) == 0)).await.unwrap();

    board.button(0, true);
    board.button(0, false);
    let up = says(&region, "letter-box-1", "flag", "On (simulated)").await;
    assert!((89.0..91.0).contains(&apart(&down, &up).1));
    region.touch(ada(), up.id).await.unwrap().unwrap();
    says(&region, "letter-box-1", "flag", "Off (simulated)").await;

    let ada_starts = Intent {
        id: IntentId::now(),
        actor: Actor::new(ActorKind::Avatar, OWNER, "Ada Lovelace"),
        action: Action::Start,
        target: TargetId::new("frail").unwrap(),
        via: Via { edge: Edge::Cli, object: None, unit: None },
        origin: None,
        at: UnixMs::now(),
    };
    assert!(bridge.bridge.engine.submit(ada_starts).await.is_accepted());
    let sounding = says(&region, "alarm-1", "beacon", "Sounding (simulated)").await;
    assert!(sounding.spin[2] > 1.0 && sounding.face.bright);
    region.touch(STRANGER, sounding.id).await.unwrap().unwrap();
    told(&mut events, STRANGER, "may not").await;
    region.touch(ada(), sounding.id).await.unwrap().unwrap();
    let still = says(&region, "alarm-1", "beacon", "Acknowledged (simulated)").await;
    assert!(still.spin == [0.0; 3] && still.light.is_some());
    all_is_well(&region, profile).await;
    region.stop().await;
    bridge.stop().await;
}

macro_rules! on_every_grid {
    ($($deed:ident: $sl:ident, $os92:ident, $os93:ident, $master:ident;)*) => {$(
        #[tokio::test]
        async fn $sl() {
            $deed(Profile::SecondLife).await;
        }
        #[tokio::test]
        async fn $os92() {
            $deed(Profile::OpenSim092).await;
        }
        #[tokio::test]
        async fn $os93() {
            $deed(Profile::OpenSim093).await;
        }
        #[tokio::test]
        async fn $master() {
            $deed(Profile::OpenSimMaster).await;
        }
    )*};
}

on_every_grid! {
    a_door_opens_for_whom_it_may:
        secondlife_door_opens_and_closes, opensim_0_9_2_door_opens_and_closes,
        opensim_0_9_3_door_opens_and_closes, opensim_master_door_opens_and_closes;
    a_switch_lights_a_lamp:
        secondlife_switch_and_lamp, opensim_0_9_2_switch_and_lamp,
        opensim_0_9_3_switch_and_lamp, opensim_master_switch_and_lamp;
    an_alarm_sounds_until_it_is_acknowledged:
        secondlife_alarm, opensim_0_9_2_alarm, opensim_0_9_3_alarm, opensim_master_alarm;
    a_letter_box_raises_its_flag:
        secondlife_letter_box, opensim_0_9_2_letter_box, opensim_0_9_3_letter_box, opensim_master_letter_box;
    a_board_moves_what_stands_in_the_world:
        secondlife_board, opensim_0_9_2_board, opensim_0_9_3_board, opensim_master_board;
}
