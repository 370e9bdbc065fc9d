//! The shipped recipes: each as it stands in `recipes/`, run with a board played in software and with the shipped firmware
//! in the emulator. What is measured goes into `target/transcripts/boards.txt`.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use primrack_app::config::read;
use primrack_engine::journal::Entry;
use primrack_model::{
    Action, Actor, ActorKind, Edge, Intent, IntentId, Power, TargetId, UnixMs, Verdict, Via,
};
use primrack_tests::{Emulator, OWNER, Part, Player, Room, Soft, TestBridge, in_time, soon, until};

const ADA: &str = "04A1B2C3D4E5F6";
const EVE: &str = "04FFEEDDCCBB80";

#[derive(Debug, Clone, Copy)]
enum Kind {
    Soft,
    Real,
}

/// A recipe's text for this machine: its board at a pty, its files in a folder of the test's own.
fn recipe(name: &str, folder: &Path) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("recipes/{name}.toml"));
    let text = std::fs::read_to_string(&file).unwrap();
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).count();
    assert!(lines <= 15, "{name} has {lines} lines of configuration");
    let port = folder.join("port");
    let text = text
        .replace("/dev/serial/by-id/usb-Arduino-if00", port.to_str().unwrap())
        .replace("simulator.example:9000", "127.0.0.1:*")
        .replace("/var/lib/primrack/processes", "processes");
    format!("bridge.state_dir = 'state'\nbridge.listen = '127.0.0.1:0'\n{text}")
}

/// A bridge with a recipe and its board.
async fn start(kind: Kind, name: &str, change: impl FnOnce(String) -> String) -> (Player, TestBridge) {
    let room = Room::new("", ["door-1", "switch-1", "letter-box-1"]);
    let folder = room.at("");
    std::fs::write(room.config(), change(recipe(name, &folder))).unwrap();
    let badges: String = (0..40).map(|n| format!("04A1B2C3D4E5{n:02X} ada\n")).collect();
    std::fs::write(room.at("badges"), format!("{badges}{ADA} ada\n")).unwrap();
    std::fs::set_permissions(room.at("badges"), std::fs::Permissions::from_mode(0o600)).unwrap();
    read(&room.config(), std::iter::empty()).unwrap();
    let port = room.at("port");
    let player = match kind {
        Kind::Soft => Player::Soft(Soft::start(&port)),
        Kind::Real => Player::Real(Box::new(Emulator::start(&port, &room.at("eeprom")).await)),
    };
    let bridge = TestBridge::start(room).await;
    until("the board is adopted", async || bridge.bridge.boards.status()[0].up.then_some(())).await;
    (player, bridge)
}

/// Waits until a target shows a state.
async fn shows(bridge: &TestBridge, target: &str, power: Power) {
    let engine = &bridge.bridge.engine;
    let ix = engine.inventory().find_target(target).unwrap();
    let mut changes = engine.subscribe();
    let waiting = async {
        loop {
            let state = engine.state(ix);
            if state.power == power && !state.stale && state.transition.is_none() {
                return;
            }
            changes.recv().await.unwrap();
        }
    };
    soon(&format!("{target} is {power:?}"), waiting).await;
}

/// Ada the avatar touches, as an object of the region reports it.
async fn touch(bridge: &TestBridge, target: &str, action: Action) -> Verdict {
    let intent = Intent {
        id: IntentId::now(),
        actor: Actor::new(ActorKind::Avatar, OWNER, "Ada Lovelace"),
        action,
        target: TargetId::new(target).unwrap(),
        via: Via { edge: Edge::World, object: None, unit: None },
        origin: None,
        at: UnixMs::now(),
    };
    bridge.bridge.engine.submit(intent).await.verdict
}

/// What was decided for an actor, in the journal.
fn decided(room: &Room, actor: &str) -> Vec<bool> {
    let of = |entry| match entry {
        Entry::Decision(decision) if decision.intent.actor.to_string().starts_with(actor) => {
            Some(decision.receipt.is_accepted())
        }
        _ => None,
    };
    room.entries().into_iter().filter_map(of).collect()
}

/// One line of what was measured; figures in milliseconds.
fn note(what: &str, mut figures: Vec<f64>) -> (f64, f64) {
    figures.sort_by(f64::total_cmp);
    let at = |share: f64| figures[((figures.len() - 1) as f64 * share).round() as usize];
    let (p95, p99) = (at(0.95), at(0.99));
    let line = format!(
        "{what}: n {} p50 {:.1} ms, p95 {p95:.1} ms, p99 {p99:.1} ms, max {:.1} ms\n",
        figures.len(),
        at(0.5),
        at(1.0)
    );
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/transcripts");
    std::fs::create_dir_all(&folder).unwrap();
    let mut file =
        std::fs::File::options().append(true).create(true).open(folder.join("boards.txt")).unwrap();
    file.write_all(line.as_bytes()).unwrap();
    (p95, p99)
}

fn ms(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64() * 1e3
}

async fn a_badge_opens_the_door(kind: Kind) {
    let (mut board, bridge) =
        start(kind, "door-by-badge", |text| text.replace("open_s = 5", "open_s = 1")).await;
    shows(&bridge, "front-door", Power::Off).await;
    board.badge(ADA).await;
    board.shows(Part::Latch, true).await;
    shows(&bridge, "front-door", Power::On).await;
    board.shows(Part::Latch, false).await;
    shows(&bridge, "front-door", Power::Off).await;

    board.badge(EVE).await;
    until("the refusal is in the journal", async || {
        (!decided(&bridge.room, "badge:unknown-").is_empty()).then_some(())
    })
    .await;
    shows(&bridge, "front-door", Power::Off).await;
    let room = bridge.stop().await;
    assert_eq!(decided(&room, "badge:ada"), [true]);
    assert_eq!(decided(&room, "badge:unknown-"), [false]);
    let journal = std::fs::read(room.journal()).unwrap();
    assert!(!journal.windows(EVE.len()).any(|bytes| bytes == EVE.as_bytes()), "a number is in the journal");
}

async fn a_touch_turns_the_fan(kind: Kind) {
    let (mut board, bridge) = start(kind, "fan-by-touch", |text| text).await;
    shows(&bridge, "fan", Power::Off).await;
    assert_eq!(touch(&bridge, "fan", Action::Start).await, Verdict::Accepted);
    board.shows(Part::Latch, true).await;
    shows(&bridge, "fan", Power::On).await;
    assert_eq!(touch(&bridge, "fan", Action::SoftOff).await, Verdict::Accepted);
    board.shows(Part::Latch, false).await;
    shows(&bridge, "fan", Power::Off).await;
    bridge.stop().await;
}

async fn post_raises_the_flag_until_somebody_takes_it_down(kind: Kind) {
    let (mut board, bridge) = start(kind, "letter-box", |text| text).await;
    shows(&bridge, "mail", Power::Off).await;
    board.press().await;
    shows(&bridge, "mail", Power::On).await;
    drop(board);
    let bridge = TestBridge::start(bridge.stop().await).await;
    shows(&bridge, "mail", Power::On).await;
    assert_eq!(touch(&bridge, "mail", Action::SoftOff).await, Verdict::Accepted);
    shows(&bridge, "mail", Power::Off).await;
    let room = bridge.stop().await;
    assert_eq!(decided(&room, "button:home-0"), [true]);
}

async fn a_server_shows_on_the_tower(kind: Kind) {
    let quick = |text: String| {
        let (before, rest) = text.split_once("command = [").unwrap();
        let (_, after) = rest.split_once(']').unwrap();
        let text = format!("{before}command = ['sleep', '600']{after}");
        format!("groups.operators = ['avatar:{OWNER}']\n{text}")
    };
    let (mut board, bridge) = start(kind, "server-lamp", quick).await;
    shows(&bridge, "web-1", Power::Off).await;
    board.shows(Part::Red, false).await;
    assert_eq!(touch(&bridge, "web-1", Action::Start).await, Verdict::Accepted);
    board.shows(Part::Green, true).await;
    for pid in bridge.room.processes("processes", "web-1") {
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
    board.shows(Part::Red, true).await;
    board.shows(Part::Green, false).await;
    bridge.stop().await;
}

#[tokio::test]
async fn door_by_badge_with_a_software_board() {
    a_badge_opens_the_door(Kind::Soft).await;
}
#[tokio::test]
async fn door_by_badge_with_the_firmware() {
    a_badge_opens_the_door(Kind::Real).await;
}
#[tokio::test]
async fn fan_by_touch_with_a_software_board() {
    a_touch_turns_the_fan(Kind::Soft).await;
}
#[tokio::test]
async fn fan_by_touch_with_the_firmware() {
    a_touch_turns_the_fan(Kind::Real).await;
}
#[tokio::test]
async fn letter_box_with_a_software_board() {
    post_raises_the_flag_until_somebody_takes_it_down(Kind::Soft).await;
}
#[tokio::test]
async fn letter_box_with_the_firmware() {
    post_raises_the_flag_until_somebody_takes_it_down(Kind::Real).await;
}
#[tokio::test]
async fn server_lamp_with_a_software_board() {
    a_server_shows_on_the_tower(Kind::Soft).await;
}
#[tokio::test]
async fn server_lamp_with_the_firmware() {
    a_server_shows_on_the_tower(Kind::Real).await;
}

#[tokio::test]
async fn from_badge_to_relay_and_from_touch_to_pin_in_time() {
    let (mut board, bridge) =
        start(Kind::Real, "door-by-badge", |text| text.replace("open_s = 5", "open_s = 1")).await;
    shows(&bridge, "front-door", Power::Off).await;
    let mut figures = Vec::new();
    for n in 0..20 {
        let laid = board.badge(&format!("04A1B2C3D4E5{n:02X}")).await;
        figures.push(ms(laid, board.shows(Part::Latch, true).await));
        board.shows(Part::Latch, false).await;
        shows(&bridge, "front-door", Power::Off).await;
    }
    let (p95, _) = note("badge to relay pin, firmware in the emulator, policy and journal included", figures);
    in_time("badge to relay pin, p95", Duration::from_secs_f64(p95 / 1e3), Duration::from_millis(100));
    let room = bridge.stop().await;
    assert_eq!(decided(&room, "badge:ada"), [true; 20]);
}

#[tokio::test]
async fn from_set_to_pin_and_to_answer_in_time() {
    let (mut board, bridge) = start(Kind::Real, "fan-by-touch", |text| text).await;
    let (mut to_pin, mut to_answer) = (Vec::new(), Vec::new());
    for n in 0..100 {
        let on = n % 2 == 0;
        let asked = Instant::now();
        let value = bridge.bridge.boards.set("desk", 0, u32::from(on), 0).await.unwrap();
        to_answer.push(ms(asked, Instant::now()));
        assert_eq!(value, u32::from(on));
        let Player::Real(real) = &mut board else { unreachable!("it was started") };
        let wanted = format!("pin D5 {}", u8::from(on));
        to_pin.push(ms(asked, real.until(&wanted, |line| line == wanted).await.at));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (_, p99) = note("set to pin, firmware in the emulator", to_pin);
    let (_, answered) = note("set to answer, firmware in the emulator", to_answer);
    in_time("set to pin, p99", Duration::from_secs_f64(p99 / 1e3), Duration::from_millis(10));
    in_time("set to answer, p99", Duration::from_secs_f64(answered / 1e3), Duration::from_millis(15));
    bridge.stop().await;
}

async fn the_red_button_stops_everything(kind: Kind) {
    let more = "targets.lamp = { backend = 'desk' }\n";
    let fan = |text: String| {
        format!("groups.operators = ['avatar:{OWNER}']\n{more}{text}outputs.lamp = {{ index = 0 }}\n")
    };
    let (mut board, bridge) = start(kind, "big-red-button", fan).await;
    shows(&bridge, "lamp", Power::Off).await;
    assert_eq!(touch(&bridge, "lamp", Action::Start).await, Verdict::Accepted);
    board.shows(Part::Latch, true).await;
    board.press().await;
    board.shows(Part::Red, true).await;
    let Verdict::Refused(no) = touch(&bridge, "lamp", Action::SoftOff).await else {
        panic!("it was accepted")
    };
    assert_eq!(no.code, primrack_model::RefusalCode::ReadOnly);
    assert!(no.words.contains("button:desk-0"), "{}", no.words);
    shows(&bridge, "lamp", Power::On).await;

    // Over a restart, and until an operator ends it.
    let bridge = TestBridge::start(bridge.stop().await).await;
    board.shows(Part::Red, true).await;
    assert!(bridge.bridge.engine.act_again("operator:local").await.unwrap());
    board.shows(Part::Red, false).await;
    shows(&bridge, "lamp", Power::Off).await;
    assert_eq!(touch(&bridge, "lamp", Action::Start).await, Verdict::Accepted);
    let room = bridge.stop().await;
    let classes: Vec<String> = room
        .entries()
        .into_iter()
        .filter_map(|entry| match entry {
            Entry::Audit { class, subject, .. } => Some(format!("{class} {subject}")),
            _ => None,
        })
        .collect();
    assert_eq!(classes, ["read-only button:desk-0", "read-only operator:local"]);
}

#[tokio::test]
async fn big_red_button_with_a_software_board() {
    the_red_button_stops_everything(Kind::Soft).await;
}
#[tokio::test]
async fn big_red_button_with_the_firmware() {
    the_red_button_stops_everything(Kind::Real).await;
}

/// What began it in 2008: a serial reader on the network, which knows nothing but numbers, and a door in the region.
#[tokio::test]
async fn a_plain_reader_on_the_network_opens_the_virtual_door() {
    let reader = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = reader.local_addr().unwrap().port();
    let room = Room::new("", ["door-1"]);
    let config = format!(
        "bridge.state_dir = 'state'\nbridge.listen = '127.0.0.1:0'\nworld.callbacks = ['127.0.0.1:*']\n\
         groups.operators = ['badge:ada']\ntargets.front-door = {{ label = 'Front door', backend = 'gate' }}\n\
         objects.door-1.units = {{ 1 = 'front-door' }}\n[backends.gate.board]\nport = 'tcp://127.0.0.1:{port}'\n\
         plain = 'rdm6300'\nbadges_file = 'badges'\nreaders.0 = {{ target = 'front-door' }}\n\
         doors.front-door = {{ open_s = 1 }}\n"
    );
    std::fs::write(room.config(), config).unwrap();
    std::fs::write(room.at("badges"), "0012345678 ada\n").unwrap();
    std::fs::set_permissions(room.at("badges"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let bridge = TestBridge::start(room).await;
    shows(&bridge, "front-door", Power::Off).await;
    let (mut line, _) = soon("the bridge calls the reader", reader.accept()).await.unwrap();
    // A number whose check digits are wrong, one that nobody has, and Ada's.
    for frame in ["\x02001234567809\x03", "\x020012345679\x30\x39\x03", "\x02001234567808\x03"] {
        tokio::io::AsyncWriteExt::write_all(&mut line, frame.as_bytes()).await.unwrap();
    }
    shows(&bridge, "front-door", Power::On).await;
    shows(&bridge, "front-door", Power::Off).await;
    let room = bridge.stop().await;
    assert_eq!(decided(&room, "badge:ada"), [true]);
    assert_eq!(decided(&room, "badge:unknown-"), [false]);
}
