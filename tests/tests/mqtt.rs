//! MQTT against a real Mosquitto: commands, receipts and states, who may speak as whom, and both sides killed.
//!
//! The broker, its access list, its TLS, the bridge, its journal and the processes are real. The programs that
//! command are rumqttc clients of the test's.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use primrack_app::doctor::{Finding, Level, examine};
use primrack_engine::journal::Entry;
use primrack_model::{ActorKind, Outcome, Verdict};
use primrack_mqtt::remedy;
use primrack_tests::http::metric;
use primrack_tests::{BridgeProcess, Broker, Heard, Room, TestBridge, soon, until};
use serde_json::{Value, json};

const DO: &str = "primrack/do/node-red/web-1";

/// A bridge's folder: `machines` processes that count their starts, and `more` below `[mqtt]`.
fn room(broker: &str, machines: usize, more: &str) -> Room {
    let room = Room::new("", []);
    let at = room.at("");
    let mut text =
        "bridge.state_dir = 'state'\nbridge.listen = '127.0.0.1:0'\ngroups.owners = ['mqtt:node-red']\n\
         [backends.local.process]\nstate_dir = 'processes'\n"
            .to_owned();
    for n in 1..=machines {
        text += &format!(
            "[backends.local.process.servers.web-{n}]\n\
             command = ['sh', '-c', 'echo x >> {0}/starts-{n}; exec sleep 600']\n\
             [targets.web-{n}]\nbackend = 'local'\n",
            at.display()
        );
    }
    text += &format!(
        "[mqtt]\nbroker = '{broker}'\nusername = 'primrack'\npassword_file = 'password'\n\
         accounts = ['node-red', 'guest']\n{more}\n"
    );
    fs::write(room.config(), text).unwrap();
    secret(&room, "password", "of-primrack\n");
    room
}

fn secret(room: &Room, name: &str, text: &str) {
    fs::write(room.at(name), text).unwrap();
    fs::set_permissions(room.at(name), fs::Permissions::from_mode(0o600)).unwrap();
}

fn plain(broker: &Broker) -> String {
    format!("mqtt://127.0.0.1:{}", broker.port)
}

/// How often a machine was started.
fn starts(room: &Room, machine: usize) -> usize {
    fs::read_to_string(room.at(&format!("starts-{machine}"))).map_or(0, |text| text.lines().count())
}

fn is(topic: &str) -> impl Fn(&Heard) -> bool {
    move |heard| heard.topic == topic
}

fn shows(topic: &str, power: &str) -> impl Fn(&Heard) -> bool {
    move |heard| heard.topic == topic && !heard.payload.is_empty() && heard.json()["power"] == power
}

/// The audit entries of this side.
fn refusals(room: &Room) -> Vec<String> {
    let told = |entry| match entry {
        Entry::Audit { class, subject, words, .. } if class == "mqtt-refused" => {
            Some(format!("{subject} {words}"))
        }
        _ => None,
    };
    room.entries().into_iter().filter_map(told).collect()
}

/// Each command of an MQTT account in the journal: its id, its intent and whether it was done for itself.
fn commands(room: &Room) -> Vec<(String, String, bool)> {
    let of = |entry| match entry {
        Entry::Decision(decision) if decision.intent.actor.kind == ActorKind::Mqtt => Some((
            decision.intent.origin.map_or_else(String::new, |origin| origin.event.to_string()),
            decision.intent.id.to_string(),
            decision.receipt.verdict == Verdict::Accepted,
        )),
        _ => None,
    };
    room.entries().into_iter().filter_map(of).collect()
}

async fn connected(bridge: &TestBridge) {
    let mqtt = bridge.bridge.mqtt.as_ref().unwrap();
    until("the bridge is at the broker", async || mqtt.status().connected.then_some(())).await;
}

async fn the_whole_way(version: &str) {
    let broker = Broker::start().await;
    let mut red = broker.client("node-red");
    for filter in
        ["primrack/status", "primrack/state/+", "primrack/receipt/node-red/#", "primrack/ended/node-red"]
    {
        red.subscribe(filter).await;
    }
    let bridge = TestBridge::start(room(&plain(&broker), 1, &format!("version = '{version}'"))).await;
    let online = red.until("the bridge says that it is there", is("primrack/status")).await;
    assert_eq!(online.payload, "online");
    red.until("the machine is off", shows("primrack/state/web-1", "off")).await;

    red.publish(DO, r#"{"action":"start","id":"a-1"}"#).await;
    let receipt = red.until("a receipt", is("primrack/receipt/node-red")).await.json();
    assert_eq!(
        (&receipt["accepted"], &receipt["id"], &receipt["words"]),
        (&json!(true), &json!("a-1"), &json!("Starting web-1.")),
        "{receipt}"
    );
    let on = red.until("the machine is on", shows("primrack/state/web-1", "on")).await.json();
    assert_eq!((&on["switch"], &on["stale"]), (&json!("ON"), &json!(false)), "{on}");
    assert!(on.get("simulated").is_none(), "a real process: {on}");
    let ended = red.until("how it ended", is("primrack/ended/node-red")).await.json();
    assert_eq!((&ended["intent"], &ended["outcome"]), (&receipt["intent"], &json!("done")), "{ended}");

    // The same once more: the same receipt, and nothing is done.
    red.publish(DO, r#"{"action":"start","id":"a-1"}"#).await;
    let again = red.until("the receipt again", is("primrack/receipt/node-red")).await.json();
    assert_eq!(again, receipt);

    // Words that switches send, and what is not understood.
    red.publish(DO, "OFF").await;
    red.until("the machine is off again", shows("primrack/state/web-1", "off")).await;
    red.publish(DO, "explode").await;
    let no = red
        .until("a refusal", |heard| {
            is("primrack/receipt/node-red")(heard) && heard.json()["accepted"] == false
        })
        .await
        .json();
    assert_eq!(no["refused"], "malformed", "{no}");
    red.publish(DO, "reset").await;
    let no = red.until("a refusal", is("primrack/receipt/node-red")).await.json();
    assert_eq!(no["refused"], "needs-id", "{no}");

    // States are retained: who comes later knows.
    let mut late = broker.client_as("node-red", "late");
    late.subscribe("primrack/state/web-1").await;
    let state = late.until("the state", is("primrack/state/web-1")).await;
    assert!(state.retain && state.json()["power"] == "off", "{state:?}");

    let accepted = metric(bridge.address(), "primrack_mqtt_commands_total{verdict=\"accepted\"}").await;
    assert_eq!(accepted, 3.0);
    assert_eq!(metric(bridge.address(), "primrack_mqtt_connected").await, 1.0);
    let room = bridge.stop().await;
    let offline = red.until("the bridge says goodbye", is("primrack/status")).await;
    assert_eq!(offline.payload, "offline");
    assert_eq!(starts(&room, 1), 1, "started once");
    let ids: Vec<String> = commands(&room).into_iter().map(|(id, _, _)| id).collect();
    assert_eq!(ids, ["a-1", ""], "one decision for each");
    assert_eq!(room.verify().fault, None);
}

#[tokio::test]
async fn a_command_its_receipt_and_the_state_by_version_5() {
    the_whole_way("5").await;
}

#[tokio::test]
async fn a_command_its_receipt_and_the_state_by_version_3() {
    the_whole_way("3.1.1").await;
}

#[tokio::test]
async fn an_answer_goes_where_it_is_wanted_but_nowhere_else() {
    let broker = Broker::start().await;
    let mut red = broker.client("node-red");
    red.subscribe("primrack/receipt/node-red/#").await;
    let bridge = TestBridge::start(room(&plain(&broker), 1, "")).await;
    connected(&bridge).await;
    let own = "primrack/receipt/node-red/flow-7";
    red.request(DO, r#"{"action":"start","id":"r-1"}"#, own, "mark-1").await;
    let answer = red.until("an answer", |heard| heard.topic.starts_with("primrack/receipt/")).await;
    assert_eq!((answer.topic.as_str(), answer.correlation.as_deref()), (own, Some(b"mark-1".as_slice())));
    // A bridge that answered there would command itself as somebody else.
    red.request(DO, r#"{"action":"start","id":"r-2"}"#, "primrack/do/guest/web-1", "mark-2").await;
    let answer = red.until("an answer", |heard| heard.topic.starts_with("primrack/receipt/")).await;
    assert_eq!(answer.topic, "primrack/receipt/node-red");
    let count = metric(bridge.address(), "primrack_mqtt_faults_total{reason=\"response-topic\"}").await;
    assert_eq!(count, 1.0);
    bridge.stop().await;
}

async fn a_retained_command(version: &str) {
    let broker = Broker::start().await;
    let mut red = broker.client("node-red");
    red.subscribe("primrack/receipt/node-red/#").await;
    red.subscribe("primrack/state/+").await;
    // Left there before the bridge came, as by somebody who ticked the wrong box.
    red.retain(DO, r#"{"action":"start","id":"left-1"}"#).await;
    let bridge = TestBridge::start(room(&plain(&broker), 1, &format!("version = '{version}'"))).await;
    let no = red.until("it is refused", is("primrack/receipt/node-red")).await.json();
    assert_eq!((&no["accepted"], &no["refused"]), (&json!(false), &json!("retained")), "{no}");
    assert!(no["words"].as_str().unwrap().contains("empty retained message"), "{no}");
    let count = metric(bridge.address(), "primrack_mqtt_faults_total{reason=\"retained\"}").await;
    assert!(count >= 1.0, "{count}");
    if version == "5" {
        // Known as retained also when it comes at once.
        red.retain(DO, r#"{"action":"start","id":"left-2"}"#).await;
        let no = red.until("it is refused", is("primrack/receipt/node-red")).await.json();
        assert_eq!(no["refused"], "retained", "{no}");
    }
    // What it says to do: cleared, and commanded as one should.
    red.retain(DO, "").await;
    red.publish(DO, r#"{"action":"start","id":"good-1"}"#).await;
    let yes = red.until("it is accepted", is("primrack/receipt/node-red")).await.json();
    assert_eq!((&yes["accepted"], &yes["id"]), (&json!(true), &json!("good-1")), "{yes}");
    red.until("the machine is on", shows("primrack/state/web-1", "on")).await;
    let room = bridge.stop().await;
    assert_eq!(starts(&room, 1), 1);
    let told = refusals(&room);
    assert!(told.len() == 1 && told[0].starts_with("mqtt:node-red retained: "), "{told:?}");
    let ids: Vec<String> = commands(&room).into_iter().map(|(id, _, _)| id).collect();
    assert_eq!(ids, ["good-1"]);
}

#[tokio::test]
async fn a_retained_command_is_refused_and_reported_by_version_5() {
    a_retained_command("5").await;
}

#[tokio::test]
async fn a_retained_command_is_refused_and_reported_by_version_3() {
    a_retained_command("3.1.1").await;
}

#[tokio::test]
async fn nobody_speaks_for_another() {
    let broker = Broker::start().await;
    let (mut red, mut guest) = (broker.client("node-red"), broker.client("guest"));
    let home = broker.client("home-assistant");
    red.subscribe("primrack/receipt/node-red/#").await;
    guest.subscribe("primrack/receipt/guest/#").await;
    let bridge = TestBridge::start(room(&plain(&broker), 1, "")).await;
    connected(&bridge).await;
    // The broker lets the guest write below its own name only.
    guest.publish(DO, r#"{"action":"start","id":"g-1"}"#).await;
    guest.publish("primrack/do/guest/web-1", r#"{"action":"start","id":"g-2"}"#).await;
    let no = guest.until("the guest's receipt", is("primrack/receipt/guest")).await.json();
    assert_eq!((&no["id"], &no["refused"]), (&json!("g-2"), &json!("not-permitted")), "{no}");
    // The broker knows this account, the bridge does not: no answer, but it is reported.
    home.publish("primrack/do/home-assistant/web-1", r#"{"action":"start","id":"h-1"}"#).await;
    until("the unknown account is counted", async || {
        let count = metric(bridge.address(), "primrack_mqtt_faults_total{reason=\"unknown-account\"}").await;
        (count == 1.0).then_some(())
    })
    .await;
    red.publish(DO, r#"{"action":"start","id":"n-1"}"#).await;
    let yes = red.until("a receipt", is("primrack/receipt/node-red")).await.json();
    assert_eq!((&yes["id"], &yes["accepted"]), (&json!("n-1"), &json!(true)), "{yes}");
    let room = bridge.stop().await;
    let ids: Vec<String> = commands(&room).into_iter().map(|(id, _, _)| id).collect();
    assert_eq!(ids, ["g-2", "n-1"], "what the guest wrote elsewhere never came");
    let told = refusals(&room);
    assert!(told.len() == 1 && told[0].starts_with("mqtt:unknown unknown-account: "), "{told:?}");
}

#[tokio::test]
async fn a_killed_bridge_is_called_offline_by_its_last_will() {
    let broker = Broker::start().await;
    let mut red = broker.client("node-red");
    red.subscribe("primrack/status").await;
    let bridge = BridgeProcess::start(room(&plain(&broker), 1, "")).await;
    red.until("it is there", |heard| is("primrack/status")(heard) && heard.payload == "online").await;
    let (room, at) = bridge.kill().await;
    red.until("it is gone", |heard| is("primrack/status")(heard) && heard.payload == "offline").await;
    let bridge = BridgeProcess::start_at(room, at).await;
    red.until("it is back", |heard| is("primrack/status")(heard) && heard.payload == "online").await;
    drop(bridge);
}

/// What doctor and the running bridge say of a broker that they cannot come to terms with.
async fn told(broker: &Broker, address: &str, more: &str, password: &str) -> (String, Finding) {
    let room = room(address, 1, more);
    secret(&room, "password", password);
    for file in ["ca.pem", "stranger.pem", "client.pem", "client.key"] {
        fs::copy(broker.at(file), room.at(file)).unwrap();
    }
    let alone = examine(&room.config(), None).await;
    let alone = alone.into_iter().find(|finding| finding.area == "mqtt").expect("doctor looks at the broker");
    let bridge = TestBridge::start(room).await;
    let mqtt = bridge.bridge.mqtt.clone().unwrap();
    let why = until("the line tells why", async || {
        let status = mqtt.status();
        (status.connected || status.why != "it has not connected yet").then_some(status.why)
    })
    .await;
    let findings = examine(&bridge.room.config(), None).await;
    let running = findings.into_iter().find(|finding| finding.area == "mqtt").unwrap();
    assert_eq!(running.level, alone.level, "{running:?} {alone:?}");
    assert_eq!(running.fix, alone.fix, "{running:?} {alone:?}");
    bridge.stop().await;
    (why, running)
}

#[tokio::test]
async fn wrong_credentials_and_certificates_are_told_with_the_line_to_change() {
    let broker = Broker::start().await;
    let tls = format!("mqtts://localhost:{}", broker.tls_port);
    let own = "ca_file = 'ca.pem'\ncertificate = 'client.pem'\nkey = 'client.key'";
    for version in ["5", "3.1.1"] {
        let with = |more: &str| format!("version = '{version}'\n{more}");
        let (why, fine) = told(&broker, &tls, &with(own), "of-primrack\n").await;
        assert_eq!((why.as_str(), fine.level), ("", Level::Ok), "{fine:?}");
        let cases = [
            (plain(&broker), String::new(), "wrong\n", "password_file"),
            (tls.clone(), own.replace("'ca.pem'", "'stranger.pem'"), "of-primrack\n", "ca_file"),
            (tls.replace("localhost", "127.0.0.1"), own.to_owned(), "of-primrack\n", "by a name"),
            (tls.clone(), "ca_file = 'ca.pem'".to_owned(), "of-primrack\n", "certificate and key"),
            (
                tls.replace(&broker.tls_port.to_string(), &broker.port.to_string()),
                own.to_owned(),
                "of-primrack\n",
                "",
            ),
        ];
        for (address, more, password, fix) in cases {
            let (why, finding) = told(&broker, &address, &with(&more), password).await;
            let said = finding.fix.clone().unwrap_or_default();
            assert!(
                finding.level == Level::Fail && said.contains(fix),
                "{version} {more}: {why}: {finding:?}"
            );
            assert!(!finding.what.contains("of-primrack") && !why.contains("of-primrack"), "{finding:?}");
            assert_eq!(remedy(&why), said);
        }
    }
}

/// Commands over two kill -9 of the broker and one of the bridge. `PRIMRACK_MQTT_COMMANDS=10000` is the whole of
/// it; without, as in CI, there are fewer. The sender has at most [`WINDOW`] commands without a receipt: one that
/// had them all at the broker at once would measure how long a broker that saves on every change writes a long queue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_over_kills_of_broker_and_bridge() {
    const MACHINES: usize = 10;
    /// Commands without a receipt.
    const WINDOW: usize = 256;
    let count: usize = std::env::var("PRIMRACK_MQTT_COMMANDS").map_or(400, |text| text.parse().unwrap());
    let began = Instant::now();
    let mut broker = Broker::start().await;
    let mut red = broker.client("node-red");
    red.subscribe("primrack/receipt/node-red/#").await;
    let bridge = BridgeProcess::start(room(&plain(&broker), MACHINES, "")).await;
    let sender = broker.client_as("node-red", "sender");
    // Machines are started and reset in turn: each effect leaves a line of its own.
    let command = |n: usize| {
        let action = if (n / MACHINES).is_multiple_of(2) { "start" } else { "reset" };
        let target = format!("primrack/do/node-red/web-{}", n % MACHINES + 1);
        (target, format!(r#"{{"action":"{action}","id":"c-{n}"}}"#))
    };
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel::<usize>();
    let sending = tokio::spawn(async move {
        while let Some(n) = told.recv().await {
            let (topic, payload) = command(n);
            sender.publish(&topic, &payload).await;
        }
    });
    let mut sent = WINDOW.min(count);
    (0..sent).for_each(|n| tell.send(n).unwrap());
    let mut receipts: HashMap<String, String> = HashMap::new();
    let (mut copies, mut rounds, mut resent, mut kills) = (0, 0, 0, 0);
    let mut bridge = Some(bridge);
    while receipts.len() < count {
        let Some(heard) = red.next_within(Duration::from_secs(5)).await else {
            // A broker that is killed can lose what it had taken and not yet written: who has no receipt asks
            // again, under the same id.
            let missing: Vec<usize> =
                (0..sent).filter(|n| !receipts.contains_key(&format!("c-{n}"))).collect();
            rounds += 1;
            resent += missing.len();
            assert!(rounds <= 20, "{} of {count} receipts, and no more come", receipts.len());
            missing.into_iter().for_each(|n| tell.send(n).unwrap());
            continue;
        };
        let receipt = heard.json();
        let (id, intent) = (receipt["id"].as_str().unwrap(), receipt["intent"].as_str().unwrap());
        match receipts.insert(id.to_owned(), intent.to_owned()) {
            Some(before) => {
                copies += 1;
                assert_eq!(before, intent, "{id} has one intent");
            }
            None => {
                if sent < count {
                    tell.send(sent).unwrap();
                    sent += 1;
                }
                if receipts.len() == count / 4 || receipts.len() == 3 * count / 4 {
                    broker.kill().await;
                    broker.again().await;
                    kills += 1;
                }
                if receipts.len() == count / 2 {
                    let (room, at) = bridge.take().unwrap().kill().await;
                    bridge = Some(BridgeProcess::start_at(room, at).await);
                    kills += 1;
                }
            }
        }
    }
    let took = began.elapsed().as_secs_f64();
    drop(tell);
    soon("the sender ends", sending).await.unwrap();
    let bridge = bridge.unwrap();
    // What is under way comes to its end.
    until("all that was accepted has ended", async || (bridge.room.verify().unfinished == 0).then_some(()))
        .await;
    let (room, _) = bridge.kill().await;
    let commands = commands(&room);
    let ids: HashSet<&String> = commands.iter().map(|(id, _, _)| id).collect();
    assert_eq!((commands.len(), ids.len()), (count, count), "one decision for each command");
    for (id, intent, _) in &commands {
        assert_eq!(receipts.get(id), Some(intent), "{id}: the receipt is the journal's");
    }
    let accepted = commands.iter().filter(|(_, _, accepted)| *accepted).count();
    let ended = |fits: fn(&Entry) -> bool| room.entries().iter().filter(|entry| fits(entry)).count();
    let done = ended(|entry| matches!(entry, Entry::Ended { outcome: Outcome::Done, .. }));
    let effects: usize = (1..=MACHINES).map(|n| starts(&room, n)).sum();
    assert!((done..=accepted).contains(&effects), "{done} done, {effects} effects, {accepted} accepted");
    assert_eq!((kills, room.verify().fault), (3, None));
    let line = format!(
        "mqtt: {count} commands over two kill -9 of Mosquitto and one of the bridge: {} receipts, {copies} delivered \
         twice, {resent} commands sent again; {accepted} accepted, {done} done, {effects} starts of real processes; \
         {took:.1} s\n",
        receipts.len()
    );
    eprint!("{line}");
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/transcripts");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("mqtt.txt"), line).unwrap();
}

#[tokio::test]
async fn home_assistant_is_told_what_there_is_and_forgets_what_is_not() {
    let broker = Broker::start().await;
    let mut home = broker.client("home-assistant");
    home.subscribe("homeassistant/#").await;
    let (stale, other) =
        ("homeassistant/switch/primrack/old-switch/config", "homeassistant/switch/zigbee/x/config");
    home.retain(stale, r#"{"name":"from an earlier run"}"#).await;
    home.retain(other, r#"{"name":"somebody else's"}"#).await;
    let more = "[mqtt.home_assistant]\naccount = 'home-assistant'\n\
                [targets.front-door]\nbackend = 'gate'\n[backends.gate.board]\nport = 'soft'\n\
                [backends.gate.board.readers.0]\ntarget = 'front-door'\n[backends.gate.board.doors.front-door]\n";
    let room = room(&plain(&broker), 1, more);
    let text = fs::read_to_string(room.config()).unwrap();
    let text = text
        .replace("'node-red', 'guest'", "'node-red', 'home-assistant'")
        .replace("['mqtt:node-red']", "['mqtt:home-assistant']");
    fs::write(room.config(), text).unwrap();
    home.subscribe("primrack/#").await;
    let bridge = TestBridge::start(room).await;

    let switch = "homeassistant/switch/primrack/web-1-switch/config";
    let mut seen: HashMap<String, Value> = HashMap::new();
    let mut cleared = false;
    let wanted = [
        switch,
        "homeassistant/lock/primrack/front-door-lock/config",
        "homeassistant/tag/primrack--gate-0/config",
        "homeassistant/binary_sensor/primrack/board-gate/config",
        "homeassistant/sensor/primrack/web-1-state/config",
    ];
    while !cleared || !wanted.iter().all(|topic| seen.contains_key(*topic)) {
        let heard = home.until("everything is announced", |heard| heard.topic.ends_with("/config")).await;
        assert!(heard.topic != other || !heard.payload.is_empty(), "what is not ours is left alone");
        if heard.topic == stale && heard.payload.is_empty() {
            cleared = true;
        } else if heard.topic != stale && heard.topic != other {
            assert!(heard.retain, "{heard:?}");
            seen.insert(heard.topic.clone(), heard.json());
        }
    }
    // Commands and states are where the announcement says.
    let announced = &seen[switch];
    let (command, state) =
        (announced["command_topic"].as_str().unwrap(), announced["state_topic"].as_str().unwrap());
    home.publish(command, announced["payload_on"].as_str().unwrap()).await;
    let on = home.until("the machine is on", shows(state, "on")).await.json();
    assert_eq!(on["switch"], announced["state_on"]);

    // A badge, by its hash since nobody knows it, where the tag scanner listens.
    let scanner = seen["homeassistant/tag/primrack--gate-0/config"]["topic"].as_str().unwrap().to_owned();
    until("the board is adopted", async || bridge.bridge.boards.status()[0].up.then_some(())).await;
    // Retained: who asks now is told how the board stands.
    let mut late = broker.client_as("home-assistant", "late");
    late.subscribe("primrack/board/gate").await;
    late.until("the board is told as there", |heard| heard.payload == "online").await;
    let board = bridge.bridge.boards.soft("gate").unwrap();
    board.badge(0, primrack_link::message::Uid::new(&[4, 0xA1, 0xB2, 0xC3]).unwrap());
    let tag = home.until("the badge is told", is(&scanner)).await;
    assert!(!tag.retain && tag.json()["tag"].as_str().unwrap().starts_with("unknown-"), "{tag:?}");

    // It was started again, and asks by its birth message.
    home.publish("homeassistant/status", "online").await;
    home.until("everything is announced again", |heard| heard.topic == switch && !heard.payload.is_empty())
        .await;
    bridge.stop().await;
}

#[tokio::test]
async fn a_target_that_a_reload_takes_away_is_cleared_and_a_new_one_is_told() {
    let broker = Broker::start().await;
    let mut red = broker.client("node-red");
    red.subscribe("primrack/state/+").await;
    let bridge = TestBridge::start(room(&plain(&broker), 2, "")).await;
    red.until("the second machine is off", shows("primrack/state/web-2", "off")).await;
    let text = fs::read_to_string(bridge.room.config()).unwrap();
    let text = text.replace("[targets.web-2]", "[targets.other]\naddress = 'web-2'");
    fs::write(bridge.room.config(), text).unwrap();
    bridge.bridge.catalogue.reload(false).await.unwrap();
    let (mut cleared, mut told) = (false, false);
    while !cleared || !told {
        let heard =
            red.until("what the reload changed", |heard| heard.topic.starts_with("primrack/state/")).await;
        cleared |= heard.topic == "primrack/state/web-2" && heard.payload.is_empty();
        told |= shows("primrack/state/other", "off")(&heard);
    }
    bridge.stop().await;
}
