//! The shipped rack script, in the simulated region under each grid's limits, against the real bridge.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use primrack_lsl::Profile;
use primrack_lsl::source::expand;
use primrack_region::view::Dialog;
use primrack_region::{AvatarPlan, Knobs, PrimView, RackPlan, Region, RegionEvent, RegionSettings};
use primrack_tests::{OWNER, Room, SECRET, TestBridge, WORLD, guest, in_time, soon, until};
use tokio::sync::broadcast::Receiver;
use uuid::Uuid;

const STRANGER: Uuid = Uuid::from_u128(0xbbbb_bbbb_0000_4000_8000_0000_0000_b0b0);

fn ada() -> Uuid {
    Uuid::parse_str(OWNER).unwrap()
}

/// The rack script as `profile` gets it.
fn script(profile: Profile) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("lsl-scripts");
    let read = |path: &str| std::fs::read_to_string(folder.join(path)).ok();
    expand(&read, "objects/rack/rack.lsl", profile).unwrap()
}

/// A region with racks of two units, `rack-1` and so on, owned by Ada.
async fn region(profile: Profile, bridge: std::net::SocketAddr, racks: u32) -> Region {
    let mut room = primrack_region::Room::default();
    room.scripts.insert("rack".to_owned(), script(profile));
    for (name, key) in [("Ada Lovelace", ada()), ("Eve", STRANGER)] {
        room.avatar.push(AvatarPlan {
            name: name.to_owned(),
            key: Some(key),
            position: [128.0, 128.0, 21.0],
        });
    }
    for rack in 1..=racks {
        let id = format!("rack-{rack}");
        let notecard =
            format!("id = {id}\nkey = a.{SECRET}\nbridge = http://{bridge}/world/1\nunnamed = ignore\n");
        let (row, place) = (f64::from(rack / 10), f64::from(rack % 10));
        room.rack.push(RackPlan {
            id,
            position: [100.0 + 2.0 * place, 100.0 + 3.0 * row, 20.0],
            turned: 0.0,
            units: 2,
            script: "rack".to_owned(),
            notecards: [("rack.conf".to_owned(), notecard)].into(),
            owner: Some(ada()),
            key: None,
        });
    }
    let settings = RegionSettings { profile, ..RegionSettings::default() };
    Region::start(settings, &room).await.unwrap()
}

fn process_targets(racks: u32) -> String {
    let mut config = WORLD.to_owned();
    config.push_str("[backends.local.process]\nstate_dir = 'processes'\n");
    for rack in 1..=racks {
        writeln!(config, "[backends.local.process.servers.p{rack}]\ncommand = ['/bin/sleep', '600']")
            .unwrap();
        writeln!(config, "[targets.p{rack}]\nbackend = 'local'").unwrap();
        writeln!(config, "[objects.rack-{rack}]\nunits = {{ 1 = 'p{rack}' }}").unwrap();
    }
    config
}

fn bridge_room(config: &str, racks: u32) -> Room {
    let ids: Vec<String> = (1..=racks).map(|rack| format!("rack-{rack}")).collect();
    Room::new(config, ids.iter().map(String::as_str))
}

/// The prim of a unit as it looks now.
async fn unit(region: &Region, rack: &str, name: &str) -> PrimView {
    let (snapshot, _) = region.snapshot().await.unwrap();
    let object = snapshot.prims.iter().find(|prim| prim.name == rack && prim.link <= 1).unwrap().object;
    (**snapshot.prims.iter().find(|prim| prim.object == object && prim.name == name).unwrap()).clone()
}

/// Waits until a unit's words hold `wanted`.
async fn says(region: &Region, rack: &str, name: &str, wanted: &str) -> PrimView {
    until(&format!("{rack}, {name} says {wanted:?}"), async || {
        let prim = unit(region, rack, name).await;
        prim.text.contains(wanted).then_some(prim)
    })
    .await
}

async fn next<T>(
    events: &mut Receiver<RegionEvent>,
    what: &str,
    pick: impl Fn(RegionEvent) -> Option<T>,
) -> T {
    let hearing = async {
        loop {
            if let Some(found) = pick(events.recv().await.unwrap()) {
                return found;
            }
        }
    };
    soon(what, hearing).await
}

async fn menu(events: &mut Receiver<RegionEvent>) -> Dialog {
    next(events, "a menu", |event| match event {
        RegionEvent::Dialog(dialog) => Some(dialog),
        _ => None,
    })
    .await
}

/// What is said to one avatar.
async fn told(events: &mut Receiver<RegionEvent>, who: Uuid, word: &str) -> String {
    next(events, &format!("somebody is told {word:?}"), |event| match event {
        RegionEvent::Chat(chat) if chat.to == Some(who) && chat.text.contains(word) => Some(chat.text),
        RegionEvent::Chat(chat) => {
            assert!(chat.to.is_some() || !chat.text.contains(word), "everybody heard: {}", chat.text);
            None
        }
        _ => None,
    })
    .await
}

async fn touch_menu_machine(profile: Profile) {
    let guest = guest();
    let config = format!(
        "{WORLD}
[backends.vm.qemu]
state_dir = 'machines'
accel = 'tcg'
[backends.vm.qemu.machines.guest]
kernel = '{0}/vmlinuz'
initrd = '{0}/initrd'
append = 'console=ttyS0 quiet panic=-1'
memory_mib = 128
ready = {{ line = 'GUEST-READY' }}
[targets.guest]
backend = 'vm'
label = 'Virtual machine'
[objects.rack-1]
units = {{ 1 = 'guest' }}
",
        guest.display()
    );
    let bridge = TestBridge::start(bridge_room(&config, 1)).await;
    let region = region(profile, bridge.address(), 1).await;
    let off = says(&region, "rack-1", "unit 1", "Off").await;
    let (_, mut events) = region.snapshot().await.unwrap();

    region.touch(STRANGER, off.id).await.unwrap().unwrap();
    let refused = told(&mut events, STRANGER, "may not").await;
    assert!(refused.contains("Virtual machine"), "{refused}");

    region.touch(ada(), off.id).await.unwrap().unwrap();
    let dialog = menu(&mut events).await;
    assert_eq!(dialog.avatar, ada());
    assert!(dialog.buttons.iter().any(|button| button == "Start"), "{:?}", dialog.buttons);
    region.answer_dialog(ada(), dialog.id, "Start").await.unwrap().unwrap();
    told(&mut events, ada(), "Starting Virtual machine").await;
    let starting = says(&region, "rack-1", "unit 1", "Starting").await;
    let on = says(&region, "rack-1", "unit 1", "\nOn").await;
    // Never colour alone: the words differ, and shape or glow does.
    assert_ne!(starting.face.colour, off.face.colour);
    assert!(on.face.glow != off.face.glow || on.shape != off.shape);
    assert_eq!(bridge.room.processes("machines", "guest").len(), 1);

    region.touch(ada(), on.id).await.unwrap().unwrap();
    let dialog = menu(&mut events).await;
    region.answer_dialog(ada(), dialog.id, "Power off").await.unwrap().unwrap();
    // What is lost is asked twice.
    let dialog = menu(&mut events).await;
    assert!(dialog.text.contains("Unsaved work"), "{}", dialog.text);
    region.answer_dialog(ada(), dialog.id, "Power off").await.unwrap().unwrap();
    says(&region, "rack-1", "unit 1", "Off").await;
    region.stop().await;
    bridge.stop().await;
}

#[tokio::test]
async fn secondlife_touch_menu_choice_machine() {
    touch_menu_machine(Profile::SecondLife).await;
}

#[tokio::test]
async fn opensim_0_9_2_touch_menu_choice_machine() {
    touch_menu_machine(Profile::OpenSim092).await;
}

#[tokio::test]
async fn opensim_0_9_3_touch_menu_choice_machine() {
    touch_menu_machine(Profile::OpenSim093).await;
}

#[tokio::test]
async fn opensim_master_touch_menu_choice_machine() {
    touch_menu_machine(Profile::OpenSimMaster).await;
}

async fn all_racks_come_back(profile: Profile, racks: u32) {
    let bridge = TestBridge::start(bridge_room(&process_targets(racks), racks)).await;
    let region = region(profile, bridge.address(), racks).await;
    let world = &bridge.bridge.world;
    let all_heard = async |since: i64| {
        until(&format!("all racks are heard after {since}"), async || {
            let objects = world.objects();
            let heard = |o: &primrack_world::ObjectStatus| {
                o.heard.is_some_and(|at| at.0 > since) && o.silent.is_none()
            };
            objects.iter().all(heard).then_some(())
        })
        .await;
    };
    all_heard(0).await;
    for rack in 1..=racks {
        says(&region, &format!("rack-{rack}"), "unit 1", "Off").await;
    }
    let before = primrack_model::UnixMs::now().0;
    let began = Instant::now();
    region.restart(1.0).await.unwrap();
    all_heard(before).await;
    // The spread is 11 s and the throttles let 25 a second through.
    in_time(&format!("{racks} racks heard again"), began.elapsed(), Duration::from_secs(12));
    // What happened meanwhile and afterwards arrives at the new URLs.
    bridge.stop().await;
    region.stop().await;
}

#[tokio::test]
async fn a_restarted_region_registers_a_hundred_racks_again_without_hands() {
    all_racks_come_back(Profile::SecondLife, 100).await;
}

#[tokio::test]
async fn a_restarted_simulator_0_9_2_registers_a_hundred_racks_again_without_hands() {
    all_racks_come_back(Profile::OpenSim092, 100).await;
}

#[tokio::test]
async fn a_restarted_simulator_0_9_3_registers_a_hundred_racks_again_without_hands() {
    all_racks_come_back(Profile::OpenSim093, 100).await;
}

#[tokio::test]
async fn a_restarted_simulator_of_master_registers_a_hundred_racks_again_without_hands() {
    all_racks_come_back(Profile::OpenSimMaster, 100).await;
}

#[tokio::test]
async fn a_lost_answer_doubles_nothing() {
    let bridge = TestBridge::start(bridge_room(&process_targets(1), 1)).await;
    let region = region(Profile::OpenSim093, bridge.address(), 1).await;
    let off = says(&region, "rack-1", "unit 1", "Off").await;
    let (_, mut events) = region.snapshot().await.unwrap();
    region.touch(ada(), off.id).await.unwrap().unwrap();
    let dialog = menu(&mut events).await;
    region.set_knobs(Knobs { lose_next_answers: 1, ..Knobs::default() }).await.unwrap();
    region.answer_dialog(ada(), dialog.id, "Start").await.unwrap().unwrap();
    says(&region, "rack-1", "unit 1", "\nOn").await;
    // The script asks again when its time is out, and hears the receipt of the one start.
    told(&mut events, ada(), "Starting p1").await;
    let room = bridge.stop().await;
    let accepted = room
        .entries()
        .iter()
        .filter(
            |entry| matches!(entry, primrack_engine::journal::Entry::Decision(d) if d.receipt.is_accepted()),
        )
        .count();
    assert_eq!(accepted, 1);
    assert_eq!(room.processes("processes", "p1").len(), 1);
    region.stop().await;
}

#[tokio::test]
async fn a_copied_rack_is_refused_and_reported() {
    let bridge = TestBridge::start(bridge_room(&process_targets(1), 1)).await;
    let region = region(Profile::SecondLife, bridge.address(), 1).await;
    let off = says(&region, "rack-1", "unit 1", "Off").await;
    let (_, mut events) = region.snapshot().await.unwrap();
    region.copy_object(off.object, [120.0, 120.0, 20.0], None).await.unwrap().unwrap();
    let words = next(&mut events, "the owner is told of the copy", |event| match event {
        RegionEvent::Chat(chat) if chat.text.contains("copy") || chat.text.contains("Another") => {
            Some(chat.text)
        }
        _ => None,
    })
    .await;
    assert!(!words.contains(SECRET), "the key was said aloud");
    let rival = bridge.bridge.world.objects()[0].rival.clone();
    assert!(rival.is_some(), "the copy is not shown");
    // The first one goes on.
    region.touch(ada(), off.id).await.unwrap().unwrap();
    let dialog = menu(&mut events).await;
    region.answer_dialog(ada(), dialog.id, "Start").await.unwrap().unwrap();
    says(&region, "rack-1", "unit 1", "\nOn").await;
    let room = bridge.stop().await;
    let audited = room.entries().iter().any(
        |entry| matches!(entry, primrack_engine::journal::Entry::Audit { class, .. } if class == "copy"),
    );
    assert!(audited, "the copy is not in the journal");
    region.stop().await;
}
