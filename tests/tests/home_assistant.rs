//! A real Home Assistant finds what the bridge announces: it switches a real process, opens a door, presses a button
//! and scans a tag, and finds everything again after it was started anew. Mosquitto is real, too; the board is one
//! played in software.
//!
//! Fetched and run by `cargo xtask nightly home-assistant`.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use primrack_tests::{Broker, Room, TestBridge, soon, until};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

/// Whom it believes a login to come from.
const CLIENT: &str = "http://127.0.0.1/";
const PASSWORD: &str = "of-ada-lovelace";

/// Home Assistant as a process of the test's own. Dropping it kills it.
struct Home {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
    child: Option<Child>,
    token: String,
}

impl Home {
    /// Its folder with a user, and the parts of it that are wanted: what its usual configuration brings beside them
    /// (cloud, discovery of this network, a database) is left away.
    async fn new(programs: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let text = format!(
            "homeassistant:\n  name: Test\n  time_zone: UTC\nhttp:\n  server_host: 127.0.0.1\n  server_port: {port}\n\
             api:\nauth:\nconfig:\ntag:\nlogger:\n  default: warning\n"
        );
        fs::write(folder.path().join("configuration.yaml"), text).unwrap();
        let home = Self { folder, programs: programs.to_owned(), port, child: None, token: String::new() };
        let mut add = home.hass();
        add.args(["--script", "auth", "--config"]).arg(home.folder.path()).args(["add", "ada", PASSWORD]);
        let added = soon("a user is added", add.output()).await.unwrap();
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        home
    }

    fn hass(&self) -> Command {
        let mut hass = Command::new(self.programs.join("bin/hass"));
        hass.stdin(Stdio::null()).kill_on_drop(true).env("HOME", self.folder.path());
        hass
    }

    /// Starts it and logs in.
    async fn start(&mut self) -> Duration {
        let began = Instant::now();
        let said = fs::File::create(self.folder.path().join("said")).unwrap();
        let mut hass = self.hass();
        hass.args(["--skip-pip", "--config"]).arg(self.folder.path());
        hass.stdout(said.try_clone().unwrap()).stderr(said);
        self.child = Some(hass.spawn().unwrap());
        until("Home Assistant lets somebody in", async || {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "Home Assistant ended: {}", self.said());
            self.login().await
        })
        .await;
        began.elapsed()
    }

    /// What it said, for whoever looks for the reason.
    fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("said")).unwrap_or_default()
    }

    async fn login(&mut self) -> Option<()> {
        let begin =
            json!({ "client_id": CLIENT, "handler": ["homeassistant", null], "redirect_uri": CLIENT });
        let flow = self.ask(Method::POST, "/auth/login_flow", &begin).await?;
        let flow = flow["flow_id"].as_str()?.to_owned();
        let who = json!({ "client_id": CLIENT, "username": "ada", "password": PASSWORD });
        let code = self.ask(Method::POST, &format!("/auth/login_flow/{flow}"), &who).await?;
        let code = code["result"].as_str()?.to_owned();
        let client = CLIENT.replace(':', "%3A").replace('/', "%2F");
        let form = format!("grant_type=authorization_code&code={code}&client_id={client}");
        let form_type = "application/x-www-form-urlencoded";
        let token = self.send(Method::POST, "/auth/token", form_type, form).await?;
        let token: Value = serde_json::from_slice(&token).ok()?;
        self.token = token["access_token"].as_str()?.to_owned();
        Some(())
    }

    /// Asks its API; nothing where it does not answer with success.
    async fn ask(&self, method: Method, path: &str, body: &Value) -> Option<Value> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        serde_json::from_slice(&self.send(method, path, "application/json", body).await?).ok()
    }

    async fn send(&self, method: Method, path: &str, kind: &str, body: String) -> Option<Bytes> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
        let connection = tokio::spawn(connection);
        let response = sender.send_request(self.request(method, path, kind, body)).await.ok()?;
        let status = response.status();
        let body = response.into_body().collect().await.ok()?.to_bytes();
        connection.abort();
        status.is_success().then_some(body)
    }

    fn request(&self, method: Method, path: &str, kind: &str, body: String) -> Request<Full<Bytes>> {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header("host", format!("127.0.0.1:{}", self.port)).header("content-type", kind);
        if !self.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        request.body(Full::new(Bytes::from(body))).unwrap()
    }

    /// Adds the broker as a person does on its page: the form is asked for, then sent.
    async fn add_broker(&self, port: u16) {
        let flows = "/api/config/config_entries/flow";
        let form = self.ask(Method::POST, flows, &json!({ "handler": "mqtt" })).await.expect("a form");
        let form = format!("{flows}/{}", form["flow_id"].as_str().unwrap());
        let broker = json!({ "broker": "127.0.0.1", "port": port, "username": "home-assistant",
                             "password": "of-home-assistant" });
        let made = self.ask(Method::POST, &form, &broker).await.expect("an answer to the form");
        assert_eq!(made["type"], "create_entry", "{made}");
    }

    /// Calls a service, as a switch on its page does.
    async fn call(&self, service: &str, entity: &str) {
        let path = format!("/api/services/{service}");
        let called = self.ask(Method::POST, &path, &json!({ "entity_id": entity })).await;
        assert!(called.is_some(), "{service} {entity}: {}", self.said());
    }

    async fn state(&self, entity: &str) -> Option<Value> {
        self.ask(Method::GET, &format!("/api/states/{entity}"), &Value::Null).await
    }

    /// Waits until an entity shows a state, and tells all of it.
    async fn shows(&self, entity: &str, state: &str) -> Value {
        let mut last = Value::Null;
        let what = format!("{entity} is {state}");
        let shown = tokio::time::timeout(
            Duration::from_secs(90),
            until(&what, async || {
                last = self.state(entity).await?;
                (last["state"] == state).then(|| last.clone())
            }),
        );
        match shown.await {
            Ok(shown) => shown,
            Err(_) => panic!("{what}: {last}\n{}", self.said()),
        }
    }

    /// What a template comes to; how its registry of devices is looked into.
    async fn template(&self, template: &str) -> String {
        let body = json!({ "template": template }).to_string();
        let said = self.send(Method::POST, "/api/template", "application/json", body).await.unwrap();
        String::from_utf8(said.to_vec()).unwrap()
    }

    /// Its events of this kind from now on.
    async fn events(&self, kind: &str) -> mpsc::Receiver<Value> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let path = format!("/api/stream?restrict={kind}");
        let request = self.request(Method::GET, &path, "application/json", String::new());
        let mut body = sender.send_request(request).await.unwrap().into_body();
        let (tell, told) = mpsc::channel(16);
        let (ready, is_ready) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            let (mut text, mut ready) = (String::new(), Some(ready));
            while let Some(Ok(frame)) = body.frame().await {
                text += &String::from_utf8_lossy(frame.data_ref().map_or(&[][..], |data| data));
                while let Some((event, rest)) = text.split_once("\n\n") {
                    let read = serde_json::from_str(event.trim_start_matches("data: ")).unwrap_or_default();
                    text = rest.to_owned();
                    // It says `ping` as soon as it listens.
                    if ready.take().is_some_and(|ready| ready.send(()).is_err()) {
                        return;
                    }
                    if read != Value::Null && tell.send(read).await.is_err() {
                        return;
                    }
                }
            }
        });
        soon("it tells events", is_ready).await.unwrap();
        told
    }

    /// Ends it in order, as its own page does.
    async fn stop(&mut self) {
        self.ask(Method::POST, "/api/services/homeassistant/stop", &json!({})).await;
        soon("Home Assistant ends", self.child.take().unwrap().wait()).await.unwrap();
    }
}

fn room(broker: &Broker) -> Room {
    let room = Room::new("", []);
    let text = format!(
        "bridge.state_dir = 'state'\nbridge.listen = '127.0.0.1:0'\ngroups.owners = ['mqtt:home-assistant']\n\
         [backends.local.process]\nstate_dir = 'processes'\n\
         [backends.local.process.servers.web-1]\n\
         command = ['sh', '-c', 'echo x >> {}; exec sleep 600']\n\
         [targets.web-1]\nbackend = 'local'\nlabel = 'Web server'\n\
         [targets.front-door]\nbackend = 'gate'\n\
         [backends.gate.board]\nport = 'soft'\n[backends.gate.board.readers.0]\ntarget = 'front-door'\n\
         [backends.gate.board.doors.front-door]\nopen_s = 0\n\
         [mqtt]\nbroker = 'mqtt://127.0.0.1:{}'\nusername = 'primrack'\npassword_file = 'password'\n\
         accounts = ['home-assistant']\n[mqtt.home_assistant]\naccount = 'home-assistant'\n",
        room.at("starts").display(),
        broker.port
    );
    fs::write(room.config(), text).unwrap();
    fs::write(room.at("password"), "of-primrack\n").unwrap();
    fs::set_permissions(room.at("password"), fs::Permissions::from_mode(0o600)).unwrap();
    room
}

fn starts(room: &Room) -> usize {
    fs::read_to_string(room.at("starts")).map_or(0, |text| text.lines().count())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "wants Home Assistant, some hundred megabytes: cargo xtask nightly home-assistant"]
async fn a_real_home_assistant_finds_switches_and_scans() {
    let programs = std::env::var_os("PRIMRACK_HOME_ASSISTANT")
        .map(PathBuf::from)
        .expect("PRIMRACK_HOME_ASSISTANT is its Python environment: cargo xtask nightly home-assistant");
    let mut home = Home::new(&programs).await;
    let broker = Broker::start().await;
    let bridge = TestBridge::start(room(&broker)).await;
    let room = &bridge.room;
    let up = home.start().await;

    // It finds targets and boards, each a device, only by what the broker keeps.
    let began = Instant::now();
    home.add_broker(broker.port).await;
    home.shows("switch.web_1_switch", "off").await;
    home.shows("lock.front_door_lock", "locked").await;
    home.shows("binary_sensor.gate", "on").await;
    let found = began.elapsed();
    let state = home.shows("sensor.web_1_state", "Off").await;
    assert_eq!(state["attributes"]["target"], "web-1", "{state}");
    let device = |entity: &str, what: &str| format!("{{{{ device_attr(device_id('{entity}'), '{what}') }}}}");
    assert_eq!(home.template(&device("switch.web_1_switch", "name")).await, "Web server");
    assert_eq!(home.template(&device("switch.web_1_switch", "manufacturer")).await, "Primrack");
    assert_eq!(home.template(&device("switch.web_1_switch", "model")).await, "process");
    assert_eq!(home.template(&device("binary_sensor.gate", "name")).await, "gate");
    let together = "{{ device_id('switch.web_1_switch') == device_id('sensor.web_1_state') }}";
    assert_eq!(home.template(together).await, "True");

    // It switches a real process on and shows what the process says.
    let began = Instant::now();
    home.call("switch/turn_on", "switch.web_1_switch").await;
    home.shows("switch.web_1_switch", "on").await;
    let switched = began.elapsed();
    home.shows("sensor.web_1_state", "On").await;
    assert_eq!(starts(room), 1);
    // A button: each press is a command of its own.
    for again in 2..=3 {
        home.call("button/press", "button.web_1_reset").await;
        until("the process was started anew", async || (starts(room) == again).then_some(())).await;
        home.shows("sensor.web_1_state", "On").await;
    }
    home.call("switch/turn_off", "switch.web_1_switch").await;
    home.shows("switch.web_1_switch", "off").await;
    // A door is a lock.
    home.call("lock/unlock", "lock.front_door_lock").await;
    home.shows("lock.front_door_lock", "unlocked").await;
    home.call("lock/lock", "lock.front_door_lock").await;
    home.shows("lock.front_door_lock", "locked").await;

    // It scans a tag: by the badge's hash, since nobody knows it.
    let mut tags = home.events("tag_scanned").await;
    let board = bridge.bridge.boards.soft("gate").unwrap();
    let began = Instant::now();
    board.badge(0, primrack_link::message::Uid::new(&[4, 0xA1, 0xB2, 0xC3]).unwrap());
    let tag = soon("a tag is scanned", tags.recv()).await.unwrap();
    let scanned = began.elapsed();
    let id = tag["data"]["tag_id"].as_str().unwrap();
    assert!(id.starts_with("unknown-") && !id.to_lowercase().contains("04a1b2c3"), "{tag}");
    let reader = tag["data"]["device_id"].as_str().unwrap();
    assert_eq!(home.template("{{ device_id('binary_sensor.gate') }}").await, reader, "{tag}");

    // Nothing it was told was misunderstood.
    let said = home.said();
    let complaints: Vec<&str> =
        said.lines().filter(|line| line.contains("components.mqtt") || line.contains(" ERROR ")).collect();
    assert_eq!(complaints, Vec::<&str>::new());

    // Started anew it has everything again.
    home.stop().await;
    home.start().await;
    home.shows("switch.web_1_switch", "off").await;
    home.shows("binary_sensor.gate", "on").await;
    // Without the bridge nothing can be switched, and it shows.
    let room = bridge.stop().await;
    home.shows("switch.web_1_switch", "unavailable").await;
    home.shows("binary_sensor.gate", "unavailable").await;
    home.stop().await;
    assert_eq!((starts(&room), room.verify().fault), (3, None));

    let version = fs::read_to_string(home.folder.path().join(".HA_VERSION")).unwrap();
    let line = format!(
        "home assistant {}: up in {:.1} s, everything found {:.2} s after the broker was added, switched on and shown \
         in {:.3} s, a tag scanned in {:.3} s\n",
        version.trim(),
        up.as_secs_f64(),
        found.as_secs_f64(),
        switched.as_secs_f64(),
        scanned.as_secs_f64()
    );
    eprint!("{line}");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/transcripts");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("home-assistant.txt"), line).unwrap();
}
