//! Redfish: sushy-emulator, an emulated BMC that drives a real machine; and a small server of this test
//! for what it has not got (sessions, events, thousands of systems) or does not do on demand (faults).
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod bmc;
mod common;
mod http;
#[path = "bmc/sushy.rs"]
mod sushy;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bmc::{Lab, Patient, UUID};
use common::{Bridge, Peer, Transcript, address, quality};
use http::{Reply, Request, Server};
use parking_lot::Mutex;
use primrack_adapter_api::conformance::{Subject, check, compare};
use primrack_adapter_api::{Adapter, AdapterError};
use primrack_adapters::redfish::{RedfishAdapter, RedfishConfig};
use primrack_model::{Action, Address, Cause, Command, IntentId, Power};
use serde_json::{Value, json};
use sushy::{Sushy, secret};
use tokio::sync::mpsc;

#[async_trait]
impl Subject for Sushy {
    fn make(&self) -> Arc<dyn Adapter> {
        let inner = self.config("").build().unwrap();
        Arc::new(Patient { inner, lab: Arc::clone(&self.lab) })
    }
    fn address(&self) -> Address {
        address(UUID)
    }
    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }
    async fn kill_from_outside(&self) {
        self.lab.pull_the_plug().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_conformance_suite_as_its_quality_file_says() {
    let transcript = Transcript::begin("redfish", "redfish", Peer::Simulator);
    let sushy = Sushy::start().await;
    let checked = check(&sushy).await.unwrap();
    compare(&quality(include_str!("../src/redfish/quality.toml")), &checked).unwrap();
    the_light_is_set_and_the_temperature_read(&sushy).await;
    transcript
        .end("sushy-emulator 2.2.0 (an emulated BMC) driving a real QEMU machine through libvirt", &checked);
}

/// With the suite's laboratory, after it.
async fn the_light_is_set_and_the_temperature_read(sushy: &Sushy) {
    let more = format!("[systems.{UUID}]\nindicator = 'blinking'\nboot = 'cd'");
    let adapter = sushy.config(&more).build().unwrap();
    let found = adapter.list().await.unwrap();
    assert_eq!(found[0].label, "lab1");
    assert!(found[0].tags.iter().any(|tag| tag == "manufacturer=Sushy Emulator"), "{:?}", found[0].tags);
    let seen = adapter.observe(&address(UUID)).await.unwrap();
    assert!(seen.detail.contains("indicator blinking"), "{:?}", seen.detail);
    adapter.execute(&command(UUID, Action::Start)).await.unwrap();
    let seen = adapter.observe(&address(UUID)).await.unwrap();
    assert_eq!(seen.power, Power::On);
    assert!(seen.detail.contains("boots from Cd"), "{:?}", seen.detail);
    let first = "virsh dumpxml --inactive lab1 | sed -n '/cdrom/,/disk>/p' | grep -q \"<boot order='1'\"";
    sushy.lab.must(first);
    adapter.execute(&command(UUID, Action::HardOff)).await.unwrap();
    let off = adapter.observe(&address(UUID)).await.unwrap();
    assert_eq!((off.power, off.cause), (Power::Off, Some(Cause::Operator)));
    // The emulator's chassis has a sensor; it is read behind the looks.
    let temperature = async {
        loop {
            let seen = adapter.observe(&address(UUID)).await.unwrap();
            if let Some(degrees) = seen.about.and_then(|about| about.temperature) {
                return degrees;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let degrees = tokio::time::timeout(Duration::from_secs(20), temperature).await.unwrap();
    assert!((1.0..100.0).contains(&degrees), "{degrees}");
}

fn command(id: &str, action: Action) -> Command {
    Command { intent: IntentId::now(), address: address(id), action, deadline_ms: 30_000 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bmc_that_hangs_or_is_restarted_and_wrong_secrets_give_no_false_state() {
    let sushy = Sushy::start().await;
    let lab = &sushy.lab;

    let mut config = sushy.config("");
    config.tls.sha256 = Some("00".repeat(32));
    let why = config.build().unwrap().list().await.unwrap_err();
    assert!(matches!(&why, AdapterError::Unreachable(words) if words.contains("fingerprint")), "{why:?}");
    let mut config = sushy.config("");
    config.tls.sha256 = None;
    config.tls.ca_file = Some(lab.path("bmc.pem"));
    let why = config.build().unwrap().list().await.unwrap_err();
    assert!(matches!(&why, AdapterError::Unreachable(words) if words.contains("certificate")), "{why:?}");

    secret(&lab.path("wrong"), "guessed");
    let mut config = sushy.config("");
    config.password_file = lab.path("wrong");
    let adapter = config.build().unwrap();
    let why = adapter.list().await.unwrap_err();
    let words = why.to_string();
    assert!(matches!(&why, AdapterError::Credentials(_)) && !words.contains("guessed"), "{words}");
    let before = requests(lab);
    assert!(matches!(adapter.list().await, Err(AdapterError::Credentials(_))));
    assert_eq!(requests(lab), before, "a refused password is not shown again at once");

    let mut bridge = Bridge::of(sushy.config("").build().unwrap(), &[UUID]);
    bridge.power(UUID, Power::Off).await;
    lab.must("kill -STOP $SUSHY");
    // The driver looks after a command; the look has to end by itself, and nothing may be guessed.
    let why = bridge.act_within(UUID, Action::Start, Duration::from_millis(500)).await.unwrap_err();
    assert!(matches!(why, AdapterError::TimedOut(_)), "{why:?}");
    bridge.power(UUID, Power::Unknown).await;
    lab.must("kill -CONT $SUSHY");
    bridge.until(UUID, |seen| seen.power != Power::Unknown).await;
    lab.must("kill -KILL $SUSHY; ! wait $SUSHY");
    bridge.act_within(UUID, Action::HardOff, Duration::from_secs(2)).await.unwrap_err();
    bridge.power(UUID, Power::Unknown).await;
    let again = Sushy { lab: Arc::clone(lab), port: sushy.port, fingerprint: sushy.fingerprint.clone() };
    again.run().await;
    bridge.until(UUID, |seen| seen.power != Power::Unknown).await;
    bridge.finish().await;
}

/// How many requests the emulator has logged.
fn requests(lab: &Lab) -> usize {
    fs::read_to_string(lab.path("sushy.log")).unwrap().matches("\"GET /").count()
}

/// A service of this test's own making.
struct Fake {
    server: Server,
    _folder: tempfile::TempDir,
    password: PathBuf,
}

impl Fake {
    async fn of(answer: impl Fn(Request) -> Reply + Send + Sync + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let password = folder.path().join("password");
        secret(&password, "an open secret");
        Self { server: Server::start(answer).await, _folder: folder, password }
    }
    fn adapter(&self, more: &str) -> RedfishAdapter {
        let text = format!(
            "url = '{}'\nuser = 'admin'\npassword_file = '{}'\n{more}",
            self.server.url(),
            self.password.display()
        );
        toml::from_str::<RedfishConfig>(&text).unwrap().build().unwrap()
    }
}

fn root(more: &Value) -> Value {
    let mut root = json!({"Systems": {"@odata.id": "/redfish/v1/Systems"}});
    root.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    root
}

#[tokio::test]
async fn a_session_is_made_once_renewed_when_it_ends_and_given_back() {
    let logins = Arc::new(AtomicUsize::new(0));
    let ended = Arc::new(Mutex::new(Vec::new()));
    let (counted, farewells) = (Arc::clone(&logins), Arc::clone(&ended));
    let fake = Fake::of(move |request| {
        assert!(!request.path.contains("secret") && !request.headers.contains_key("authorization"));
        let sessions = json!({"Links": {"Sessions": {"@odata.id": "/redfish/v1/SessionService/Sessions"}}});
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/redfish/v1/") => Reply::Json(200, root(&sessions)),
            ("POST", "/redfish/v1/SessionService/Sessions") => {
                assert_eq!(request.body, json!({"UserName": "admin", "Password": "an open secret"}));
                let number = counted.fetch_add(1, Ordering::Relaxed) + 1;
                let place = format!("/redfish/v1/SessionService/Sessions/{number}");
                let headers = vec![("X-Auth-Token", format!("t{number}")), ("Location", place)];
                Reply::With(201, headers, json!({}))
            }
            ("DELETE", path) => {
                farewells.lock().push((path.to_owned(), request.headers["x-auth-token"].clone()));
                Reply::Empty(204)
            }
            (_, "/redfish/v1/Systems/1") => {
                // The first session ends on its own.
                if request.headers["x-auth-token"] == "t1" {
                    Reply::Empty(401)
                } else {
                    Reply::Json(200, json!({"PowerState": "On"}))
                }
            }
            _ => Reply::Json(200, json!({"Members": [{"@odata.id": "/redfish/v1/Systems/1"}]})),
        }
    })
    .await;
    let adapter = fake.adapter("");
    for _ in 0..3 {
        assert_eq!(adapter.observe(&address("1")).await.unwrap().power, Power::On);
    }
    assert_eq!(logins.load(Ordering::Relaxed), 2);
    drop(adapter);
    let given_back = async {
        while ended.lock().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), given_back).await.unwrap();
    assert_eq!(*ended.lock(), [("/redfish/v1/SessionService/Sessions/2".to_owned(), "t2".to_owned())]);
}

#[tokio::test]
async fn five_thousand_systems_are_listed_page_by_page_and_a_list_without_an_end_is_cut() {
    let endless = Arc::new(AtomicBool::new(false));
    let without_end = Arc::clone(&endless);
    let fake = Fake::of(move |request| {
        let Some(rest) = request.path.strip_prefix("/redfish/v1/Systems") else {
            return Reply::Json(200, root(&json!({})));
        };
        if let Some(id) = rest.strip_prefix('/') {
            return Reply::Json(200, json!({"Id": id, "PowerState": "Off"}));
        }
        let from: usize = rest.strip_prefix("?$skip=").map_or(0, |from| from.parse().unwrap());
        let members: Vec<_> = (from..from + 250)
            .map(|number| json!({"@odata.id": format!("/redfish/v1/Systems/blade-{number}")}))
            .collect();
        let mut page = json!({"Members": members});
        if from + 250 < 5_000 || without_end.load(Ordering::Relaxed) {
            page["Members@odata.nextLink"] = json!(format!("/redfish/v1/Systems?$skip={}", from + 250));
        }
        Reply::Json(200, page)
    })
    .await;
    let adapter = fake.adapter("auth = 'basic'");
    assert_eq!(adapter.list().await.unwrap().len(), 5_000);
    assert_eq!(adapter.observe(&address("blade-4999")).await.unwrap().power, Power::Off);
    let why = adapter.observe(&address("blade-5000")).await.unwrap_err();
    assert!(matches!(why, AdapterError::NotFound(_)), "{why:?}");
    endless.store(true, Ordering::Relaxed);
    assert_eq!(adapter.list().await.unwrap().len(), 10_000, "in bounded memory");
}

#[tokio::test]
async fn half_answers_strange_ones_and_links_to_elsewhere_are_told_and_break_nothing() {
    let turn = Arc::new(AtomicUsize::new(0));
    let at = Arc::clone(&turn);
    let fake = Fake::of(move |request| match request.path.as_str() {
        "/redfish/v1/" => Reply::Json(200, root(&json!({}))),
        "/redfish/v1/Systems" => Reply::Json(
            200,
            json!({"Members": [
                {"@odata.id": "/redfish/v1/Systems/1"}, {}, 7, null, {"@odata.id": ""},
                {"@odata.id": "https://elsewhere.example/redfish/v1/Systems/2", "PowerState": "On"},
            ]}),
        ),
        _ => match at.fetch_add(1, Ordering::Relaxed) {
            0 => Reply::Json(200, json!({"PowerState": "On", "Links": {"Chassis": {}}, "Actions": []})),
            1 => {
                Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{\"PowerState\": \"On\"".to_vec())
            }
            2 => Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>".to_vec()),
            3 => Reply::Bytes(Vec::new()),
            4 => Reply::Json(503, json!({"error": {"message": "busy"}})),
            _ => Reply::Json(200, json!({"PowerState": null})),
        },
    })
    .await;
    let adapter = fake.adapter("auth = 'basic'");
    let found = adapter.list().await.unwrap();
    assert_eq!(found.len(), 2);
    for words in ["half an answer", "no JSON", "", "busy"] {
        let why = adapter.observe(&address("1")).await.unwrap_err();
        assert!(matches!(&why, AdapterError::Unreachable(said) if said.contains(words)), "{words}: {why:?}");
    }
    let seen = adapter.observe(&address("1")).await.unwrap();
    assert_eq!((seen.power, seen.detail.as_str()), (Power::Unknown, "its BMC does not tell"));
    // The password goes with each request: never to where a link leads.
    let why = adapter.observe(&address("2")).await.unwrap_err();
    assert!(matches!(&why, AdapterError::Unreachable(said) if said.contains("somewhere else")), "{why:?}");
}

#[tokio::test]
async fn a_system_does_what_it_says_it_can_and_a_button_is_pressed_only_when_that_is_right() {
    let orders = Arc::new(Mutex::new(Vec::new()));
    let taken = Arc::clone(&orders);
    let power = Arc::new(Mutex::new("On"));
    let shown = Arc::clone(&power);
    let fake = Fake::of(move |request| match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/somewhere/reset") => {
            let order = request.body["ResetType"].as_str().unwrap().to_owned();
            if order == "ForceOff" {
                let why = json!({"error": {"@Message.ExtendedInfo": [{"Message": "not during an update"}]}});
                return Reply::Json(409, why);
            }
            taken.lock().push(order);
            Reply::With(202, vec![("Location", "/redfish/v1/TaskService/Tasks/1".to_owned())], json!({}))
        }
        (_, "/redfish/v1/") => Reply::Json(200, root(&json!({}))),
        (_, "/redfish/v1/Systems") => Reply::Json(200, json!({"Members": [{"@odata.id": "/redfish/v1/Systems/1"}]})),
        (_, "/redfish/v1/Systems/1/ResetActionInfo") => Reply::Json(
            200,
            json!({"Parameters": [{"Name": "ResetType", "AllowableValues": ["PushPowerButton", "ForceOff", "PowerCycle", "Pause", "Resume"]}]}),
        ),
        _ => Reply::Json(
            200,
            json!({"PowerState": *shown.lock(), "Actions": {"#ComputerSystem.Reset": {
                "target": "/somewhere/reset",
                "@Redfish.ActionInfo": "/redfish/v1/Systems/1/ResetActionInfo",
            }}}),
        ),
    })
    .await;
    let adapter = fake.adapter("auth = 'basic'\nreboot = 'graceful-restart'");
    let one = address("1");
    adapter.list().await.unwrap();
    let actions = adapter.capabilities(&one).actions;
    assert!(actions.contains(&Action::Pause) && !actions.contains(&Action::Reboot), "{actions:?}");

    adapter.execute(&command("1", Action::Pause)).await.unwrap();
    let reset = command("1", Action::Reset);
    adapter.execute(&reset).await.unwrap();
    adapter.execute(&reset).await.unwrap();
    assert_eq!(*orders.lock(), ["Pause", "PowerCycle"], "each intent once, the type that there is");
    assert_eq!(adapter.observe(&one).await.unwrap().power, Power::Starting);

    let why = adapter.execute(&command("1", Action::HardOff)).await.unwrap_err();
    assert!(
        matches!(&why, AdapterError::Refused(words) if words.contains("not during an update")),
        "{why:?}"
    );
    let why = adapter.execute(&command("1", Action::Reboot)).await.unwrap_err();
    assert!(matches!(&why, AdapterError::NotSupported(words) if words.contains("PowerCycle")), "{why:?}");

    *power.lock() = "Off";
    let why = adapter.execute(&command("1", Action::SoftOff)).await.unwrap_err();
    assert!(matches!(&why, AdapterError::Refused(words) if words.contains("not On")), "{why:?}");
    adapter.execute(&command("1", Action::Start)).await.unwrap();
    assert_eq!(orders.lock().last().unwrap(), "PushPowerButton");
}

/// A fake with three systems and an event stream.
struct Streaming {
    fake: Fake,
    power: Arc<Mutex<[&'static str; 3]>>,
    looks: Arc<AtomicUsize>,
    streams: mpsc::UnboundedReceiver<mpsc::UnboundedSender<String>>,
}

async fn streaming() -> Streaming {
    let power = Arc::new(Mutex::new(["Off"; 3]));
    let looks = Arc::new(AtomicUsize::new(0));
    let (opened, streams) = mpsc::unbounded_channel();
    let (shown, looked) = (Arc::clone(&power), Arc::clone(&looks));
    let fake = Fake::of(move |request| match request.path.as_str() {
        "/redfish/v1/" => {
            Reply::Json(200, root(&json!({"EventService": {"@odata.id": "/redfish/v1/EventService"}})))
        }
        "/redfish/v1/EventService" => Reply::Json(
            200,
            json!({"ServerSentEventUri": "/redfish/v1/EventService/SSE", "RegistryPrefixes": ["ResourceEvent"]}),
        ),
        "/redfish/v1/EventService/SSE" => {
            let (sender, events) = mpsc::unbounded_channel();
            opened.send(sender).ok();
            Reply::Stream(events)
        }
        "/redfish/v1/Systems" => {
            let members: Vec<_> =
                (0..3).map(|number| json!({"@odata.id": format!("/redfish/v1/Systems/{number}")})).collect();
            Reply::Json(200, json!({"Members": members}))
        }
        path => match path.strip_prefix("/redfish/v1/Systems/").map(str::parse::<usize>) {
            Some(Ok(number)) => {
                looked.fetch_add(1, Ordering::Relaxed);
                Reply::Json(200, json!({"PowerState": shown.lock()[number]}))
            }
            _ => Reply::Empty(404),
        },
    })
    .await;
    Streaming { fake, power, looks, streams }
}

fn event(number: usize) -> String {
    let origin = json!({"@odata.id": format!("/redfish/v1/Systems/{number}")});
    format!(
        "id: 7\ndata: {}\n\n",
        json!({"Events": [{"MessageId": "ResourceEvent.1.0.ResourceChanged", "OriginOfCondition": origin}]})
    )
}

#[tokio::test]
async fn events_are_followed_at_once_and_a_lost_stream_makes_everything_stale_and_comes_back() {
    let Streaming { fake, power, mut streams, .. } = streaming().await;
    let mut bridge = Bridge::of(fake.adapter("auth = 'basic'"), &["0", "1", "2"]);
    let stream = streams.recv().await.unwrap();
    bridge.power("1", Power::Off).await;
    let until = Instant::now() + Duration::from_secs(10);
    while !bridge.driver.capabilities(&address("1")).pushes_events {
        assert!(Instant::now() < until, "the stream stands, and is relied on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    power.lock()[1] = "On";
    let changed = Instant::now();
    stream.send(event(1)).unwrap();
    bridge.power("1", Power::On).await;
    common::figure::in_time("event to state", changed.elapsed(), Duration::from_millis(500));

    drop(stream);
    power.lock()[1] = "Off";
    let stream = tokio::time::timeout(Duration::from_secs(20), streams.recv()).await.unwrap().unwrap();
    bridge.power("1", Power::Off).await;
    assert_eq!(bridge.driver.status().counts.losses, 1);
    drop(stream);
    bridge.finish().await;
}

#[tokio::test]
async fn ten_thousand_events_cost_few_looks() {
    let Streaming { fake, power, looks, mut streams } = streaming().await;
    let mut bridge = Bridge::of(fake.adapter("auth = 'basic'"), &["0", "1", "2"]);
    let stream = streams.recv().await.unwrap();
    bridge.power("2", Power::Off).await;
    let before = looks.load(Ordering::Relaxed);
    for number in 0..10_000 {
        stream.send(event(number % 3)).unwrap();
    }
    power.lock()[2] = "On";
    stream.send(event(2)).unwrap();
    bridge.power("2", Power::On).await;
    let cost = looks.load(Ordering::Relaxed) - before;
    assert!(cost < 300, "{cost} looks");
    bridge.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[expect(clippy::disallowed_methods, reason = "the fake is slow, on a thread of its own")]
async fn a_slow_bmc_is_asked_one_thing_at_a_time() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (inside, highest) = (Arc::clone(&now), Arc::clone(&most));
    let fake = Fake::of(move |request| {
        let count = inside.fetch_add(1, Ordering::SeqCst) + 1;
        highest.fetch_max(count, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(5));
        inside.fetch_sub(1, Ordering::SeqCst);
        match request.path.as_str() {
            "/redfish/v1/" => Reply::Json(200, root(&json!({}))),
            "/redfish/v1/Systems" => {
                Reply::Json(200, json!({"Members": [{"@odata.id": "/redfish/v1/Systems/1"}]}))
            }
            _ => Reply::Json(200, json!({"PowerState": "On"})),
        }
    })
    .await;
    let adapter = fake.adapter("auth = 'basic'\nthermal_every_s = 0");
    let one = address("1");
    let looks = futures::future::join_all((0..8).map(|_| adapter.observe(&one))).await;
    assert!(looks.iter().all(Result::is_ok));
    assert_eq!(most.load(Ordering::SeqCst), 1);
}
