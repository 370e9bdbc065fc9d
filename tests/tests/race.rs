//! A badge on a board, an MQTT command, a call of the API and a touch in the region race for the same machine: one
//! action, four truthful receipts, one story in journal, stream, metrics, world and on the board.
//!
//! Real: the program, the machine (a process), the board's firmware (in an emulator), Mosquitto, the rack script.
//! Simulated: the region and its avatar.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "mixed/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use primrack_engine::journal::{Decision, Entry};
use primrack_model::{Outcome, Verdict};
use primrack_tests::http::metric;
use primrack_tests::{BridgeProcess, Broker, Control, Emulator, Part, Player, Room, WORLD, until};
use serde_json::{Value, json};
use world::World;

const TOKEN: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
const BADGE: &str = "04A1B2C3D4E5F6";

/// The machine is up when the test lets it: the race is not over before all four have run it.
fn config(room: &Room, broker: &Broker) -> String {
    let at = room.at("");
    let world = WORLD.replace("owners = [", "owners = ['badge:ada', 'mqtt:node-red', 'web:deploy', ");
    format!(
        "{world}\
         [backends.local.process]\nstate_dir = 'processes'\n\
         [backends.local.process.servers.web-1]\n\
         command = ['sh', '-c', 'echo x >> {0}/starts; until [ -e {0}/go ]; do sleep 0.05; done; echo up; exec sleep 600']\n\
         ready = {{ line = 'up' }}\n\
         [targets.web-1]\nbackend = 'local'\n\
         [objects.rack-1]\nunits = {{ 1 = 'web-1' }}\n\
         [backends.desk.board]\nport = '{0}/port'\nbadges_file = 'badges'\n\
         readers.0 = {{ target = 'web-1' }}\n\
         outputs.tower = {{ index = 1, kind = 'lamp', follows = 'web-1' }}\n\
         [mqtt]\nbroker = 'mqtt://127.0.0.1:{1}'\nusername = 'primrack'\npassword_file = 'password'\n\
         accounts = ['node-red']\n\
         [api.tokens.deploy]\nfile = 'deploy.token'\nscopes = ['read', 'act']\n",
        at.display(),
        broker.port
    )
}

fn secret(room: &Room, name: &str, text: &str) {
    fs::write(room.at(name), text).unwrap();
    fs::set_permissions(room.at(name), fs::Permissions::from_mode(0o600)).unwrap();
}

/// One call of the API: its status and its body.
async fn call(bridge: SocketAddr, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let stream = tokio::net::TcpStream::connect(bridge).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(body).unwrap() };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", bridge.to_string())
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("idempotency-key", "race-1")
        .header("content-type", "application/json")
        .body(Full::new(bytes::Bytes::from(body)))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    connection.abort();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

fn decisions(room: &Room) -> Vec<Decision> {
    let of = |entry| match entry {
        Entry::Decision(decision) => Some(*decision),
        _ => None,
    };
    room.entries().into_iter().filter_map(of).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn badge_mqtt_api_and_touch_race_for_one_machine_and_one_of_them_starts_it() {
    let broker = Broker::start().await;
    let room = Room::new("", ["rack-1"]);
    fs::write(room.config(), config(&room, &broker)).unwrap();
    secret(&room, "password", "of-primrack\n");
    secret(&room, "deploy.token", TOKEN);
    secret(&room, "badges", &format!("{BADGE} ada\n"));
    let mut board = Player::Real(Box::new(Emulator::start(&room.at("port"), &room.at("eeprom")).await));
    let mut red = broker.client("node-red");
    for filter in ["primrack/state/+", "primrack/receipt/node-red", "primrack/ended/node-red"] {
        red.subscribe(filter).await;
    }
    let bridge = BridgeProcess::start(room).await;
    let at = bridge.address;
    let control = Control::of(&bridge.room);
    let mut watch = control.watch().await;
    while watch.next().await["state"]["power"] != "off" {}
    let world = World::start(at, &BTreeMap::from([(1, "web-1".to_owned())])).await;
    world.shows(0, "web-1", &["Off"]).await;
    red.until("the machine is off", |heard| {
        heard.topic == "primrack/state/web-1" && heard.json()["power"] == "off"
    })
    .await;
    until("the board is adopted", async || {
        (metric(at, "primrack_backend_connected{backend=\"desk\"}").await == 1.0).then_some(())
    })
    .await;

    // All four at once, as far as two cores can.
    let menu = world.menu(1, "web-1", "Start").await;
    let mark = world.mark();
    let began = Instant::now();
    let start = json!({ "action": "start" });
    let mqtt = async {
        red.publish("primrack/do/node-red/web-1", r#"{"action":"start","id":"race-1"}"#).await;
        red.until("a receipt", |heard| heard.topic == "primrack/receipt/node-red").await.json()
    };
    let (_, (status, by_api), by_mqtt, touched) = tokio::join!(
        board.badge(BADGE),
        call(at, "POST", "/api/v1/targets/web-1/commands", &start),
        mqtt,
        world.choose("web-1", menu, "Start", "Starting web-1"),
    );
    let all = until("four decisions are in the journal", async || {
        let decisions = decisions(&bridge.room);
        (decisions.len() >= 4).then_some(decisions)
    })
    .await;
    let raced = began.elapsed();
    fs::write(bridge.room.at("go"), "").unwrap();

    // One action; the others say whose it is.
    assert_eq!(all.len(), 4);
    let first: Vec<&Decision> = all.iter().filter(|one| one.receipt.verdict == Verdict::Accepted).collect();
    let [first] = first[..] else { panic!("one is first: {all:?}") };
    for other in all.iter().filter(|one| one.intent.id != first.intent.id) {
        assert_eq!(other.receipt.verdict, Verdict::Joined { with: first.intent.id }, "{other:?}");
        assert!(other.receipt.words.contains("already"), "{}", other.receipt.words);
    }
    let mut actors: Vec<String> = all.iter().map(|one| one.intent.actor.kind.token().to_owned()).collect();
    actors.sort();
    assert_eq!(actors, ["avatar", "badge", "mqtt", "web"]);
    let of = |kind: &str| all.iter().find(|one| one.intent.actor.kind.token() == kind).unwrap();
    assert_eq!(status, 202, "{by_api}");
    assert_eq!(
        (&by_api["words"], &by_mqtt["words"]),
        (&json!(of("web").receipt.words), &json!(of("mqtt").receipt.words))
    );

    // One story: world, board, stream, MQTT, API, metrics, journal.
    world.shows(mark, "web-1", &["On"]).await;
    board.shows(Part::Green, true).await;
    let mut streamed: Vec<String> = Vec::new();
    while streamed.last().is_none_or(|power| power != "on") {
        let change = watch.next().await;
        let power = change["state"]["power"].as_str().unwrap().to_owned();
        if change["target"] == "web-1" && streamed.last() != Some(&power) {
            streamed.push(power);
        }
    }
    assert_eq!(streamed, ["starting", "on"]);
    red.until("the machine is on", |heard| {
        heard.topic == "primrack/state/web-1" && heard.json()["power"] == "on"
    })
    .await;
    let outcome = until("the command is done", async || {
        let path = format!("/api/v1/commands/{}", first.intent.id);
        let (status, command) = call(at, "GET", &path, &Value::Null).await;
        assert_eq!(status, 200, "{command}");
        (command["status"] == "done").then_some(command)
    })
    .await;
    assert_eq!(metric(at, "primrack_intents_accepted_total{action=\"start\"}").await, 1.0);
    assert_eq!(metric(at, "primrack_intents_joined_total").await, 3.0);
    assert_eq!(metric(at, "primrack_commands_ended_total{action=\"start\",outcome=\"done\"}").await, 1.0);

    let mut said =
        format!("Four race for one machine; all were answered {} ms after the start.\n", raced.as_millis());
    for one in &all {
        writeln!(said, "  {:<40} {}", one.intent.actor.to_string(), one.receipt.words).unwrap();
    }
    writeln!(said, "touch to receipt in chat: {} ms\nthe API's last word: {outcome}", touched.as_millis())
        .unwrap();
    println!("{said}(kept in {})", world.keep("race.txt", &said).display());

    world.region.stop().await;
    let (room, _) = bridge.kill().await;
    assert_eq!(fs::read_to_string(room.at("starts")).unwrap(), "x\n", "started once");
    let report = room.verify();
    assert_eq!((report.fault, report.unfinished), (None, 0));
    let ended = room
        .entries()
        .into_iter()
        .filter(|entry| matches!(entry, Entry::Ended { outcome: Outcome::Done, .. }));
    assert_eq!(ended.count(), 1);
}
