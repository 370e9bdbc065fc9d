//! LXD, really run, in namespaces of its own.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![expect(clippy::print_stdout, reason = "figures for people")]

#[path = "common/mod.rs"]
mod common;
#[path = "containers/mod.rs"]
mod containers;
#[path = "containers/herald.rs"]
mod herald;
#[path = "lxd/server.rs"]
mod server;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use common::{Bridge, Peer, Transcript, address, quality};
use containers::papers::Lane;
use containers::said;
use herald::Herald;
use primrack_adapter_api::conformance::{Subject, check, compare};
use primrack_adapter_api::{Adapter, AdapterError, Console};
use primrack_adapters::lxd::{LxdAdapter, LxdConfig};
use primrack_model::{Action, Address, Cause, Power};
use rustix::process::Signal;
use server::{PORT, Server};

struct Plain(Arc<Server>);

#[async_trait]
impl Subject for Plain {
    fn make(&self) -> Arc<dyn Adapter> {
        Arc::new(self.0.adapter())
    }
    fn address(&self) -> Address {
        address("plain")
    }
    fn patience(&self) -> Duration {
        common::PATIENCE
    }
    async fn kill_from_outside(&self) {
        self.0.lxc(&["stop", "--force", "plain"]);
    }
}

/// All that is tried with one server, its parts at once, each on instances of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn lxd_keeps_the_suite_as_its_quality_file_says_and_comes_back() {
    let transcript = Transcript::begin("lxd", "lxd", Peer::Real);
    let began = Instant::now();
    // Made by the test's own thread: a den ends with the thread that made it.
    let (server, mut other) = (Arc::new(Server::new()), Server::new());
    let version = format!("LXD {}", said(Command::new("lxd").arg("--version")));
    println!("{version}: two are up after {:?}", began.elapsed());
    let part = |name: &'static str, done: tokio::task::JoinHandle<()>| async move {
        done.await.unwrap();
        println!("{name}: over after {:?}", began.elapsed());
    };
    let outside = tokio::spawn(tells_what_happens_outside(Arc::clone(&server)));
    let copied = tokio::spawn(copies(Arc::clone(&server)));
    let survived = tokio::spawn(async move { survives_its_daemon(&mut other).await });
    let behind_tls = tokio::spawn(believes_no_stranger(Arc::clone(&server)));
    server.make("plain");
    let checked = check(&Plain(server)).await.unwrap();
    println!("conformance: over after {:?}", began.elapsed());
    tokio::join!(
        part("from outside", outside),
        part("copies", copied),
        part("the daemon's ends", survived),
        part("TLS", behind_tls)
    );
    compare(&quality(include_str!("../src/lxd/quality.toml")), &checked).unwrap();
    transcript.end(&version, &checked);
}

/// What happens behind the bridge's back, who did it, and what the instance says.
async fn tells_what_happens_outside(server: Arc<Server>) {
    server.make("outside");
    let mut bridge = Bridge::of(server.adapter(), &["outside"]);
    bridge.power("outside", Power::Off).await;
    let found = server.adapter().list().await.unwrap();
    let outside = found.iter().find(|found| found.address.0 == "outside").unwrap();
    assert!(outside.tags.iter().any(|tag| tag == "tier=front"), "{:?}", outside.tags);

    let mut delays = Vec::new();
    for (words, power) in [
        (&["start", "outside"][..], Power::On),
        (&["pause", "outside"], Power::Paused),
        (&["start", "outside"], Power::On),
        (&["stop", "--force", "outside"], Power::Off),
    ] {
        server.lxc(words);
        let returned = Instant::now();
        let seen = bridge.power("outside", power).await;
        delays.push(returned.elapsed());
        if power == Power::Off {
            assert_eq!(seen.cause, Some(Cause::Operator), "{seen:?}");
        }
    }
    println!("seen after {delays:?}");

    // An end that nobody asked for is not taken for one.
    bridge.act("outside", Action::Start).await.unwrap();
    bridge.power("outside", Power::On).await;
    let ready = async {
        while !matches!(server.adapter().console(&address("outside")).await, Ok(Console::Text(text)) if text.contains("CT-TICK"))
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(common::PATIENCE, ready).await.expect("its console shows what it says");
    // With the instance ends what killed it.
    server.cli().args(["exec", "outside", "--", "/bin/kill", "-TERM", "1"]).status().unwrap();
    let seen = bridge.until("outside", |seen| seen.power == Power::Off && !seen.detail.is_empty()).await;
    assert!(seen.cause.is_none() && seen.detail.contains("does not tell"), "{seen:?}");
    bridge.finish().await;
}

/// A snapshot, the way back to it, a clone, and the end of that.
async fn copies(server: Arc<Server>) {
    server.make("copied");
    let mut bridge = Bridge::of(server.adapter(), &["copied", "copied-clone-1"]);
    bridge.power("copied", Power::Off).await;
    let why = bridge.act("copied", Action::Revert).await.unwrap_err();
    assert!(matches!(&why, AdapterError::Refused(words) if words.contains("no snapshot")), "{why:?}");
    let files = |name: &str| server.lxc(&["exec", name, "--", "/bin/ls", "/"]);
    let touch = |file: &str| server.lxc(&["exec", "copied", "--", "/bin/touch", file]);
    bridge.act("copied", Action::Start).await.unwrap();
    bridge.power("copied", Power::On).await;
    touch("/before");
    bridge.act("copied", Action::Snapshot).await.unwrap();
    touch("/after");
    bridge.act("copied", Action::Clone).await.unwrap();
    bridge.act("copied", Action::Revert).await.unwrap();
    bridge.power("copied", Power::On).await;
    let names = files("copied");
    assert!(names.contains("before") && !names.contains("after"), "{names}");

    // The clone stays off, has what was there when it was made, and can be removed.
    bridge.power("copied-clone-1", Power::Off).await;
    bridge.act("copied-clone-1", Action::Start).await.unwrap();
    bridge.power("copied-clone-1", Power::On).await;
    let names = files("copied-clone-1");
    assert!(names.contains("before") && names.contains("after"), "{names}");
    let why = bridge.act("copied-clone-1", Action::Delete).await.unwrap_err();
    assert!(matches!(&why, AdapterError::Refused(words) if words.contains("runs")), "{why:?}");
    bridge.act("copied-clone-1", Action::HardOff).await.unwrap();
    bridge.power("copied-clone-1", Power::Off).await;
    bridge.act("copied-clone-1", Action::Delete).await.unwrap();
    let why = bridge.act("copied-clone-1", Action::Start).await.unwrap_err();
    assert!(matches!(why, AdapterError::NotFound(_)), "{why:?}");
    bridge.finish().await;
}

/// One that does not answer makes nothing look other than it is, and is found again.
async fn survives_its_daemon(server: &mut Server) {
    server.make("plain");
    server.lxc(&["start", "plain"]);
    let mut bridge = Bridge::of(server.adapter(), &["plain"]);
    bridge.power("plain", Power::On).await;
    server.daemon.signal(Signal::STOP);
    bridge.connected(false).await;
    let seen = bridge.power("plain", Power::Unknown).await;
    // Whichever notices first: the heartbeat, or a look that is not answered.
    assert!(!seen.detail.is_empty(), "{seen:?}");
    server.daemon.signal(Signal::CONT);
    bridge.power("plain", Power::On).await;

    // Its instances need no daemon to run.
    server.daemon.kill();
    bridge.power("plain", Power::Unknown).await;
    server.daemon = Server::start(&server.den);
    server.up();
    bridge.power("plain", Power::On).await;
    server.lxc(&["stop", "--force", "plain"]);
    bridge.power("plain", Power::Off).await;
    bridge.finish().await;
}

/// The real daemon behind TLS lets in who shows a certificate that it knows; and who is not the right daemon, or
/// asks for a key that others may read, gets nothing.
async fn believes_no_stranger(server: Arc<Server>) {
    let lane = Lane::new(&server.den, PORT).await;
    let asks = |host: &str, authority: &str, client: Option<&str>| {
        let adapter = server.over_tls(&lane, host, authority, client).build().unwrap();
        async move { adapter.list().await.map(drop) }
    };
    asks("localhost", "ca", Some("client")).await.unwrap();
    for (host, authority, client, words) in [
        ("localhost", "strange-ca", Some("client"), "invalid peer certificate"),
        ("127.0.0.1", "ca", Some("client"), "not valid for name"),
        ("localhost", "ca", Some("strange-client"), "lets us not in"),
        ("localhost", "ca", None, "lets us not in"),
    ] {
        let why = asks(host, authority, client).await.unwrap_err();
        assert!(
            matches!(&why, AdapterError::Credentials(said) if said.contains(words)),
            "{host} {authority} {client:?}: {why:?}"
        );
    }
    // Events come the same way, and a stranger hears none.
    let (hints, _ear) = tokio::sync::mpsc::channel(16);
    let strange = server.over_tls(&lane, "localhost", "ca", Some("strange-client")).build().unwrap();
    let why = tokio::time::timeout(common::PATIENCE, strange.listen(hints)).await.unwrap();
    assert!(matches!(why, AdapterError::Credentials(_)), "{why:?}");
    server.make("far");
    let adapter = server.over_tls(&lane, "localhost", "ca", Some("client")).build().unwrap();
    let mut bridge = Bridge::of(adapter, &["far"]);
    bridge.power("far", Power::Off).await;
    server.lxc(&["start", "far"]);
    bridge.power("far", Power::On).await;
    bridge.act("far", Action::HardOff).await.unwrap();
    bridge.power("far", Power::Off).await;
    bridge.finish().await;

    let open = server.over_tls(&lane, "localhost", "ca", Some("client"));
    fs::set_permissions(open.key.clone().unwrap(), Permissions::from_mode(0o644)).unwrap();
    let why = open.build().unwrap().list().await.unwrap_err();
    assert!(matches!(&why, AdapterError::Credentials(said) if said.contains("chmod 600")), "{why:?}");
}

fn config(herald: &Herald) -> LxdAdapter {
    LxdConfig { socket: Some(herald.socket.clone()), ..LxdConfig::default() }.build().unwrap()
}

const FROZEN: &str = r#"{"type":"sync","metadata":{"status":"Frozen","status_code":110}}"#;

#[tokio::test]
async fn five_thousand_are_listed_and_a_storm_of_events_is_weathered() {
    let all: Vec<String> = (0..5000).map(|n| format!(r#"{{"name":"c{n}","status":"Running"}}"#)).collect();
    let listing = format!(r#"{{"type":"sync","metadata":[{}]}}"#, all.join(","));
    let event = |n: usize| {
        let name = if n.is_multiple_of(2) { "c7" } else { "c8" };
        format!(
            r#"{{"type":"lifecycle","metadata":{{"action":"instance-paused","source":"/1.0/instances/{name}"}}}}"#
        )
    };
    let liar = Herald::new((0..10_000).map(event).collect(), move |path| {
        let body = if path.starts_with("/1.0/instances?") { &listing } else { FROZEN };
        herald::answer(200, body)
    });
    let mut bridge = Bridge::of(config(&liar), &["c7"]);
    bridge.power("c7", Power::Paused).await;
    let stormed = async {
        while bridge.driver.status().counts.hints < 10_000 || bridge.driver.status().listed < 5000 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(common::PATIENCE, stormed).await.expect("all of it is taken in");
    let status = bridge.driver.status();
    assert!(status.connected && status.counts.losses == 0, "{status:?}");
    // Coalesced: ten thousand events are a few looks.
    assert!(status.counts.observations < 100, "{status:?}");
    bridge.finish().await;
}

#[tokio::test]
async fn half_an_answer_and_one_without_end_say_nothing() {
    let liar = Herald::new(vec!["{\"type\":".to_owned()], |path| match path {
        path if path.contains("/half/") => {
            b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"metadata\":{\"status_code\":103".to_vec()
        }
        path if path.contains("/endless/") => {
            let mut bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n{\"metadata\":\"".to_vec();
            bytes.resize(8 << 20, b'0');
            bytes
        }
        path if path.contains("/odd/") => {
            herald::answer(200, r#"{"metadata":{"status":"Levitating","status_code":77}}"#)
        }
        _ => herald::answer(500, r#"{"type":"error","error":"no","error_code":500}"#),
    });
    let adapter = config(&liar);
    let why = adapter.observe(&address("half")).await.unwrap_err();
    assert!(matches!(&why, AdapterError::Unreachable(words) if words.contains("broke off")), "{why:?}");
    let why = adapter.observe(&address("endless")).await.unwrap_err();
    assert!(matches!(&why, AdapterError::Unreachable(words) if words.contains("longer than")), "{why:?}");
    let seen = adapter.observe(&address("odd")).await.unwrap();
    assert!(seen.power == Power::Unknown && seen.detail.contains("Levitating"), "{seen:?}");
    let why = adapter.observe(&address("../images")).await.unwrap_err();
    assert!(matches!(why, AdapterError::NotFound(_)), "{why:?}");
    let why = adapter.list().await.unwrap_err();
    assert!(matches!(&why, AdapterError::Refused(words) if words == "no"), "{why:?}");
    let (hints, _ear) = tokio::sync::mpsc::channel(16);
    let why = tokio::time::timeout(common::PATIENCE, adapter.listen(hints)).await.unwrap();
    assert!(matches!(&why, AdapterError::Unreachable(words) if words.contains("not understood")), "{why:?}");
}
