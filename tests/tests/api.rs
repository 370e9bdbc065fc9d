//! The API with the real program: tokens and scopes, commands that are done once, problems that say what to do, and a
//! fuzzer over the document.
//!
//! Bridge, journal, policy and processes are real; the requests are the test's, and schemathesis'.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test, whose figures are to be read")]

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Method, Request};
use hyper_util::rt::TokioIo;
use primrack_engine::journal::Entry;
use primrack_model::ActorKind;
use primrack_tests::http::metric;
use primrack_tests::{BridgeProcess, Room, TestBridge, soon, until};
use serde_json::{Value, json};
use tokio::net::TcpStream;

const DOCUMENT: &str = "/api/v1/openapi.json";
const COMMANDS: &str = "/api/v1/targets/web-1/commands";
/// The published document.
const PUBLISHED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../bridge/web/openapi.json");

/// What is sent as the token of somebody.
fn token(name: &str) -> String {
    format!("{name}-{}", "0123456789abcdef".repeat(3))
}

fn secret(room: &Room, name: &str, text: &str) {
    fs::write(room.at(name), text).unwrap();
    fs::set_permissions(room.at(name), fs::Permissions::from_mode(0o600)).unwrap();
}

/// Two processes that count their starts and a group of both; an owner, a guest, a reader, and whatever `more` says below `[api]`.
fn room(more: &str) -> Room {
    let room = Room::new("", []);
    let folder = room.at("");
    let mut text = "bridge.state_dir = 'state'\nbridge.listen = '127.0.0.1:0'\ngroups.owners = ['web:owner', 'web:all']\n\
         [backends.local.process]\nstate_dir = 'processes'\n"
        .to_owned();
    for n in 1..=2 {
        text += &format!(
            "[backends.local.process.servers.web-{n}]\n\
             command = ['sh', '-c', 'echo x >> {0}/starts-{n}; exec sleep 600']\n\
             [targets.web-{n}]\nbackend = 'local'\n",
            folder.display()
        );
    }
    text += "[targets.both]\nkind = 'group'\nmembers = ['web-1', 'web-2']\n\
             [objects.rack-1]\nunits = { 1 = 'web-1', 2 = 'web-2' }\n";
    text += &format!("[api]\n{more}\n");
    for (name, scopes) in [
        ("owner", "'read', 'act'"),
        ("guest", "'read', 'act'"),
        ("reader", "'read'"),
        ("actor", "'act'"),
        ("all", "'read', 'act', 'admin'"),
    ] {
        text += &format!("[api.tokens.{name}]\nfile = '{name}.token'\nscopes = [{scopes}]\n");
        secret(&room, &format!("{name}.token"), &token(name));
    }
    fs::write(room.config(), text).unwrap();
    secret(&room, "world.keys", "");
    room
}

/// How often a machine was started.
fn starts(room: &Room, machine: usize) -> usize {
    fs::read_to_string(room.at(&format!("starts-{machine}"))).map_or(0, |text| text.lines().count())
}

/// An answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
    /// That it is a whole problem of this code.
    fn is_problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!((&problem["status"], &problem["code"]), (&json!(status), &json!(code)), "{problem}");
        for member in ["type", "title", "detail", "remedy"] {
            assert!(problem[member].as_str().is_some_and(|words| !words.is_empty()), "{member}: {problem}");
        }
        problem
    }
}

/// Somebody with a token, or without.
#[derive(Debug, Clone)]
struct Program {
    bridge: SocketAddr,
    token: Option<String>,
}

impl Program {
    fn new(bridge: SocketAddr, name: &str) -> Self {
        Self { bridge, token: (!name.is_empty()).then(|| token(name)) }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let asking = async {
            let stream = TcpStream::connect(self.bridge).await.unwrap();
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
            let connection = tokio::spawn(connection);
            let mut request = Request::builder().method(method).uri(path).header("host", "bridge");
            if let Some(token) = &self.token {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let response = sender.send_request(request.body(Full::new(body.into())).unwrap()).await.unwrap();
            let (head, body) = response.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            connection.abort();
            Answer { status: head.status.as_u16(), headers: head.headers, body }
        };
        soon("the bridge answers", asking).await
    }
    async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[], "").await
    }
    async fn send(&self, method: Method, path: &str, body: &Value) -> Answer {
        self.ask(method, path, &[("content-type", "application/json")], body.to_string()).await
    }
    async fn command(&self, path: &str, key: &str, action: &str) -> Answer {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        self.ask(Method::POST, path, &headers, json!({ "action": action }).to_string()).await
    }
    /// Waits until a target shows this.
    async fn shows(&self, target: &str, power: &str) -> Value {
        until(&format!("{target} is {power}"), async || {
            let view = self.get(&format!("/api/v1/targets/{target}")).await.json();
            (view["power"] == power && view["stale"] == false && view.get("transition").is_none())
                .then_some(view)
        })
        .await
    }
}

/// All operations of the document: method, path with names filled in, and the scope it says.
fn operations(document: &Value) -> Vec<(Method, String, String)> {
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let path = path
                .replace("{intent}", "01890000-0000-7000-8000-000000000000")
                .replace("{target}", "web-1")
                .replace("{object}", "rack-1")
                .replace("{board}", "none");
            let scope = operation["security"][0]["token"][0].as_str().unwrap().to_owned();
            all.push((method.to_uppercase().parse().unwrap(), path, scope));
        }
    }
    all
}

#[tokio::test]
async fn the_published_document_is_that_of_the_code() {
    let bridge = TestBridge::start(room("")).await;
    let nobody = Program::new(bridge.address(), "");
    let answer = nobody.get(DOCUMENT).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let text = format!("{}\n", serde_json::to_string_pretty(&answer.json()).unwrap());
    if std::env::var_os("PRIMRACK_WRITE_OPENAPI").is_some() {
        fs::write(PUBLISHED, &text).unwrap();
    }
    let published = fs::read_to_string(PUBLISHED).unwrap_or_default();
    let anew = "PRIMRACK_WRITE_OPENAPI=1 cargo nextest run --workspace --test api published_document";
    assert!(
        published == text,
        "bridge/web/openapi.json is not that of the code: write it anew with `{anew}`"
    );
    // The page that shows it, and what it needs, come from the bridge itself.
    for file in ["docs", "docs/reference.js", "docs/reference.css"] {
        let answer = nobody.get(&format!("/api/v1/{file}")).await;
        assert!(answer.status == 200 && !answer.body.is_empty(), "{answer:?}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("https://"), "{file} fetches from elsewhere");
    }
    bridge.stop().await;
}

#[tokio::test]
async fn nobody_comes_in_without_the_scope_that_the_document_names() {
    let bridge = TestBridge::start(room("")).await;
    let at = bridge.address();
    let document = Program::new(at, "").get(DOCUMENT).await.json();
    let all = operations(&document);
    assert!(all.len() >= 15, "{all:?}");
    let lacks: BTreeMap<&str, &str> = [("read", "actor"), ("act", "reader"), ("admin", "owner")].into();
    for (method, path, scope) in all {
        let body = json!({ "action": "start", "on": true }).to_string();
        let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
        let ask = async |program: Program| program.ask(method.clone(), &path, &headers, body.clone()).await;
        let none = ask(Program::new(at, "")).await;
        none.is_problem(401, "no-token");
        assert_eq!(none.header("www-authenticate"), "Bearer realm=\"primrack\"");
        let unknown = ask(Program { bridge: at, token: Some("x".repeat(64)) }).await;
        unknown.is_problem(401, "unknown-token");
        assert!(unknown.header("www-authenticate").contains("invalid_token"));
        ask(Program::new(at, lacks[scope.as_str()])).await.is_problem(403, "scope");
    }
    let room = bridge.stop().await;
    let entries = room.entries();
    assert!(
        !entries.iter().any(|entry| matches!(entry, Entry::Decision(_))),
        "something was put to the policy"
    );
    let noted = |entry: &&Entry| matches!(entry, Entry::Audit { class, .. } if class == "api-refused");
    assert_eq!(entries.iter().filter(noted).count(), 2, "one of each reason, the rest counted: {entries:?}");
}

#[tokio::test]
async fn a_command_is_done_once_and_told_to_its_end_also_over_a_kill() {
    let bridge = BridgeProcess::start(room("")).await;
    let owner = Program::new(bridge.address, "owner");
    let off = owner.shows("web-1", "off").await;
    assert!(off["capabilities"]["actions"].as_array().unwrap().contains(&json!("start")), "{off}");
    assert_eq!(off["shown_by"], json!([{ "object": "rack-1", "unit": 1 }]));

    // Nothing says that a guest may.
    let guest = Program::new(bridge.address, "guest");
    let refused = guest.command(COMMANDS, "g-1", "start").await;
    let problem = refused.is_problem(403, "not-permitted");
    assert_eq!(
        (&problem["receipt"]["verdict"], &problem["receipt"]["reason"]),
        (&json!("refused"), &json!("not-permitted"))
    );
    let told = guest.get(refused.header("location")).await.json();
    assert_eq!((&told["status"], &told["by"]), (&json!("refused"), &json!("web:guest")), "{told}");

    let accepted = owner.command(COMMANDS, "morning-1", "start").await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
    let receipt = accepted.json();
    assert_eq!((&receipt["verdict"], &receipt["words"]), (&json!("accepted"), &json!("Starting web-1.")));
    let place = accepted.header("location").to_owned();
    let done = until("the command is done", async || {
        let told = owner.get(&place).await.json();
        (told["status"] == "done").then_some(told)
    })
    .await;
    assert_eq!((&done["receipt"], &done["by"]), (&receipt, &json!("web:owner")));
    let on = owner.shows("web-1", "on").await;
    assert!(on["age_ms"].is_u64() && on["simulated"] == false, "{on}");

    // The same again, after an end that nobody could prepare for.
    let (room, at) = bridge.kill().await;
    let bridge = BridgeProcess::start_at(room, at).await;
    let again = owner.command(COMMANDS, "morning-1", "start").await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (202, "true"), "{again:?}");
    assert_eq!(again.json(), receipt);
    let other = owner.command(COMMANDS, "morning-1", "soft-off").await;
    other.is_problem(422, "key-reused");
    let elsewhere = owner.command("/api/v1/targets/web-2/commands", "morning-1", "start").await;
    elsewhere.is_problem(422, "key-reused");
    // Another token's key is another key.
    guest.command(COMMANDS, "morning-1", "start").await.is_problem(403, "not-permitted");
    owner.shows("web-1", "on").await;
    assert_eq!((starts(&bridge.room, 1), starts(&bridge.room, 2)), (1, 0));
    let senseless = owner.command(COMMANDS, "morning-2", "start").await;
    senseless.is_problem(409, "wrong-state");

    // Ten at once with one key: one command.
    let many = std::iter::repeat_with(|| {
        let owner = owner.clone();
        tokio::spawn(async move { owner.command("/api/v1/targets/both/commands", "all-1", "start").await })
    });
    let many: Vec<_> = many.take(10).collect();
    let mut answers = Vec::new();
    for one in many {
        answers.push(one.await.unwrap());
    }
    let first = answers[0].json();
    assert!(answers.iter().all(|answer| answer.status == 202 && answer.json() == first), "{answers:?}");
    owner.shows("web-2", "on").await;
    assert_eq!((starts(&bridge.room, 1), starts(&bridge.room, 2)), (1, 1));

    let admin = Program::new(bridge.address, "all");
    let story = admin.get("/api/v1/journal?kind=decision&target=web-1&limit=2").await.json();
    let entries = story["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 2, "{story}");
    assert_eq!(entries[0]["entry"]["intent"]["actor"], json!({ "kind": "web", "id": "guest" }));
    assert!(story["next"].is_u64(), "{story}");
    assert!(metric(bridge.address, "primrack_api_commands_total{verdict=\"accepted\"}").await >= 11.0);
}

#[tokio::test]
async fn lists_have_pages_filters_and_tags() {
    let bridge = TestBridge::start(room("")).await;
    let reader = Program::new(bridge.address(), "reader");
    reader.shows("web-1", "off").await;
    reader.shows("web-2", "off").await;
    let mut seen = Vec::new();
    let mut path = "/api/v1/targets?limit=1".to_owned();
    loop {
        let page = reader.get(&path).await.json();
        seen.extend(page["targets"].as_array().unwrap().iter().map(|view| view["target"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/targets?limit=1&after={next}");
    }
    seen.sort_by_key(Value::to_string);
    assert_eq!(seen, [json!("both"), json!("web-1"), json!("web-2")]);
    let count = async |query: &str| {
        let page = reader.get(&format!("/api/v1/targets?{query}")).await.json();
        page["targets"].as_array().unwrap().len()
    };
    assert_eq!((count("kind=group").await, count("backend=local&power=off").await), (1, 2));
    assert_eq!((count("power=crashed").await, count("group=nobody").await), (0, 0));
    let group = reader.get("/api/v1/groups/both").await.json();
    assert_eq!(group["members"].as_array().unwrap().len(), 2, "{group}");
    reader.get("/api/v1/groups/web-1").await.is_problem(404, "not-found");
    let rack = reader.get("/api/v1/objects/rack-1").await.json();
    assert_eq!(rack["units"], json!([{ "unit": 1, "target": "web-1" }, { "unit": 2, "target": "web-2" }]));
    assert_eq!(reader.get("/api/v1/boards").await.json(), json!({ "boards": [] }));
    let health = reader.get("/api/v1/health").await.json();
    assert_eq!(
        (&health["well"], &health["backends"][0]["backend"]),
        (&json!(true), &json!("local")),
        "{health}"
    );

    // Not sent again until something happens.
    let first = reader.get("/api/v1/targets/web-1").await;
    let tag = first.header("etag").to_owned();
    let headers = [("if-none-match", tag.as_str())];
    let again = reader.ask(Method::GET, "/api/v1/targets/web-1", &headers, "").await;
    assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, tag.as_str()));
    let owner = Program::new(bridge.address(), "owner");
    assert_eq!(owner.command(COMMANDS, "on-1", "start").await.status, 202);
    owner.shows("web-1", "on").await;
    assert_eq!(reader.ask(Method::GET, "/api/v1/targets/web-1", &headers, "").await.status, 200);
    bridge.stop().await;
}

#[tokio::test]
async fn every_mistake_is_a_problem_with_what_to_do() {
    let bridge = TestBridge::start(room("requests_per_s = 1.0\nrequest_burst = 40.0")).await;
    let at = bridge.address();
    let all = Program::new(at, "all");
    all.get("/api/v1/nothing").await.is_problem(404, "no-such-path");
    all.get("/api/v2/targets").await.is_problem(404, "no-such-path");
    all.get("/api/v1/targets/nobody").await.is_problem(404, "not-found");
    all.get("/api/v1/targets/%FF").await.is_problem(404, "not-found");
    all.get("/api/v1/commands/not-an-id").await.is_problem(404, "not-found");
    let method = all.send(Method::DELETE, "/api/v1/targets", &json!({})).await;
    method.is_problem(405, "method");
    assert!(method.header("allow").contains("GET"), "{method:?}");
    for query in ["limit=0", "limit=501", "limit=x", "after=7", "power=blue", "colour=red", "stale=perhaps"] {
        all.get(&format!("/api/v1/targets?{query}")).await.is_problem(422, "invalid");
    }
    for query in ["kind=story", "intent=x", "after=-1", "after=18446744073709551615", "limit=0"] {
        all.get(&format!("/api/v1/journal?{query}")).await.is_problem(422, "invalid");
    }
    let key = ("idempotency-key", "m-1");
    let json = ("content-type", "application/json");
    let post = async |headers: &[(&str, &str)], body: &str| {
        all.ask(Method::POST, COMMANDS, headers, body.to_owned()).await
    };
    post(&[key], "{}").await.is_problem(415, "content-type");
    post(&[key, json], "{").await.is_problem(400, "malformed");
    post(&[key, json], r#"{"action":"explode"}"#).await.is_problem(422, "invalid");
    post(&[key, json], &" ".repeat(20_000)).await.is_problem(413, "too-large");
    post(&[json], r#"{"action":"start"}"#).await.is_problem(400, "key-missing");
    post(&[json, ("idempotency-key", &"k".repeat(256))], r#"{"action":"start"}"#)
        .await
        .is_problem(422, "invalid");
    let gone = all.command("/api/v1/targets/gone/commands", "m-2", "start").await;
    gone.is_problem(404, "no-target");
    assert!(gone.json()["receipt"]["intent"].is_string(), "it is in the journal: {gone:?}");

    // The emergency stop, and what it does to commands.
    let stop = "/api/v1/emergency-stop";
    let held = all.send(Method::PUT, stop, &json!({ "on": true, "why": "drill" })).await.json();
    assert_eq!((&held["on"], &held["by"], &held["why"]), (&json!(true), &json!("web:all"), &json!("drill")));
    all.command(COMMANDS, "m-3", "start").await.is_problem(409, "read-only");
    assert_eq!(all.send(Method::PUT, stop, &json!({ "on": false })).await.json(), json!({ "on": false }));

    // Forty at once, then one a second.
    let mut answers = Vec::new();
    for _ in 0..60 {
        answers.push(all.get("/api/v1/health").await);
    }
    let tired = answers.iter().find(|answer| answer.status != 200).expect("it was told to wait");
    tired.is_problem(429, "too-many-requests");
    assert!((1..=2).contains(&tired.header("retry-after").parse::<u64>().unwrap()), "{tired:?}");
    assert!(metric(at, "primrack_api_turned_away_total{reason=\"too-many-requests\"}").await >= 1.0);
    // Others are not held up by it.
    assert_eq!(Program::new(at, "reader").get("/api/v1/health").await.status, 200);
    bridge.stop().await;
}

#[tokio::test]
async fn a_reload_takes_and_gives_tokens_at_once() {
    let bridge = TestBridge::start(room("")).await;
    let at = bridge.address();
    let (all, reader) = (Program::new(at, "all"), Program::new(at, "reader"));
    assert_eq!(reader.get("/api/v1/health").await.status, 200);
    secret(&bridge.room, "reader.token", &token("successor"));
    let asked = all.send(Method::POST, "/api/v1/reload", &json!({ "check": true })).await.json();
    assert_eq!(asked["applied"], false, "{asked}");
    assert_eq!(asked["changes"]["settings"], json!(["token reader of the API"]), "{asked}");
    assert_eq!(reader.get("/api/v1/health").await.status, 200);
    let done = all.send(Method::POST, "/api/v1/reload", &json!({})).await.json();
    assert_eq!(done["applied"], true, "{done}");
    reader.get("/api/v1/health").await.is_problem(401, "unknown-token");
    assert_eq!(Program::new(at, "successor").get("/api/v1/health").await.status, 200);
    // What cannot be used changes nothing, and every mistake is named.
    secret(&bridge.room, "reader.token", "short");
    let no = all.send(Method::POST, "/api/v1/reload", &json!({})).await;
    let problem = no.is_problem(409, "configuration");
    assert!(problem["mistakes"][0].as_str().unwrap().contains("token reader"), "{problem}");
    assert_eq!(Program::new(at, "successor").get("/api/v1/health").await.status, 200);
    bridge.stop().await;
}

/// A program of the environment that `cargo xtask python` makes.
fn python(program: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(1).unwrap();
    let all =
        std::env::var_os("PRIMRACK_PYTHON_DIR").map_or_else(|| root.join("target/python"), PathBuf::from);
    let path = all.join("fuzz/bin").join(program);
    assert!(path.is_file(), "{} is not there: run `cargo xtask python`", path.display());
    path
}

/// A key is used again by chance, which the document cannot say: that is answered with 422, and is right.
const SETTINGS: &str = "
[[operations]]
include-operation-id = 'sendCommand'
[operations.checks.positive_data_acceptance]
expected-statuses = ['2xx', '401', '403', '404', '409', '422', '429']
";
/// Names of what there is, so that what is sent reaches the policy and the machines.
const NAMES: &str = "
[parameters]
target = 'web-1'
object = 'rack-1'
";

/// Runs schemathesis as somebody; what it printed, and whether it found nothing.
async fn fuzz(at: SocketAddr, name: &str, settings: &str, more: &[&str]) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("schemathesis.toml"), settings).unwrap();
    let running = tokio::process::Command::new(python("schemathesis"))
        .args(["--no-color", "run", &format!("http://{at}{DOCUMENT}"), "--seed", "5", "--workers", "2"])
        .args(["--header", &format!("Authorization: Bearer {}", token(name))])
        .args(["--generation-database", "none", "--suppress-health-check", "all", "--request-timeout", "60"])
        .args(more)
        .current_dir(folder.path())
        .output();
    let output = soon("schemathesis comes to its end", running).await.unwrap();
    let words =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), words)
}

#[tokio::test]
async fn a_fuzzer_finds_nothing_that_the_document_does_not_say() {
    let bridge = BridgeProcess::start(room("requests_per_s = 100000.0\nrequest_burst = 100000.0")).await;
    let began = Instant::now();
    // Any names, as somebody who may do everything; then those that there are, as somebody who may do nothing.
    let command: &[&str] = &["--include-operation-id", "sendCommand", "--max-examples", "40"];
    for (name, phases, settings, more) in [
        ("all", "coverage,fuzzing", SETTINGS.to_owned(), &["--max-examples", "8"][..]),
        ("guest", "fuzzing", format!("{NAMES}{SETTINGS}"), command),
        ("owner", "fuzzing", format!("{NAMES}{SETTINGS}"), command),
    ] {
        let more = [&["--phases", phases, "--checks", "all"], more].concat();
        let (fine, words) = fuzz(bridge.address, name, &settings, &more).await;
        println!("{words}\nschemathesis as {name}: {:.1} s in all", began.elapsed().as_secs_f32());
        assert!(fine, "schemathesis found something: see above");
    }
    let requests = until("figures", async || {
        let page = primrack_tests::http::get(bridge.address, "/metrics").await.1;
        let of = |line: &str| {
            let rest = line.strip_prefix("primrack_api_requests_total{status=\"")?;
            let (status, count) = rest.split_once("\"} ")?;
            Some((status.parse::<u16>().ok()?, count.parse::<f64>().ok()?))
        };
        Some(page.lines().filter_map(of).collect::<BTreeMap<u16, f64>>())
    })
    .await;
    println!("answers by status: {requests:?}");
    assert!(requests.keys().all(|status| *status < 500), "{requests:?}");
    assert!(requests.values().sum::<f64>() >= 500.0, "it hardly tried: {requests:?}");
    // Whoever came in was known, and whoever was not allowed got nothing done.
    let decisions = bridge.room.entries().into_iter().filter_map(|entry| match entry {
        Entry::Decision(decision) => Some(decision),
        _ => None,
    });
    let mut accepted = BTreeMap::<String, usize>::new();
    for decision in decisions {
        if decision.intent.actor.kind == ActorKind::Web {
            let count = accepted.entry(decision.intent.actor.to_string()).or_default();
            *count += usize::from(decision.receipt.is_accepted());
        }
    }
    println!("commands accepted by actor: {accepted:?}");
    assert_eq!(accepted.get("web:guest"), Some(&0), "it asked, and nothing was done for it");
    assert!(accepted.keys().all(|actor| ["web:all", "web:guest", "web:owner"].contains(&actor.as_str())));
}
