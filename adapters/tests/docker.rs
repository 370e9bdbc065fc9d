//! Containers, really run: dockerd and Podman's service, each in namespaces of its own.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![expect(clippy::print_stdout, reason = "figures for people")]

#[path = "common/mod.rs"]
mod common;
#[path = "containers/mod.rs"]
mod containers;
#[path = "containers/engine.rs"]
mod engine;
#[path = "containers/pretender.rs"]
mod pretender;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use common::{Bridge, Peer, Transcript, address, quality};
use containers::said;
use engine::Engine;
use pretender::{Pretender, answer};
use primrack_adapter_api::conformance::{Subject, check, compare};
use primrack_adapter_api::{Adapter, AdapterError, Console};
use primrack_adapters::docker::DockerConfig;
use primrack_model::{Action, Address, Cause, Power};
use rustix::process::Signal;

struct Plain(Arc<Engine>);

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
        said(self.0.cli().args(["kill", "plain"]));
    }
}

/// All that is tried with one engine, its parts at once, each on containers of its own.
async fn keeps_everything(podman: bool, name: &str) {
    let transcript = Transcript::begin(name, "docker", Peer::Real);
    let began = Instant::now();
    // Made by the test's own thread: a den ends with the thread that made it.
    let (engine, mut other) = (Arc::new(Engine::new(podman)), Engine::new(podman));
    let version = engine.version();
    println!("{version}: two are up after {:?}", began.elapsed());
    let part = |name: &'static str, done: tokio::task::JoinHandle<()>| async move {
        done.await.unwrap();
        println!("{name}: over after {:?}", began.elapsed());
    };
    let outside = tokio::spawn(tells_what_happens_outside(Arc::clone(&engine)));
    let copied = tokio::spawn(copies(Arc::clone(&engine)));
    let survived = tokio::spawn(async move { survives_its_daemon(&mut other).await });
    let behind_tls = tokio::spawn(believes_no_stranger(Arc::clone(&engine), podman));
    engine.make("plain", &[]);
    let checked = check(&Plain(engine)).await.unwrap();
    println!("conformance: over after {:?}", began.elapsed());
    tokio::join!(
        part("from outside", outside),
        part("copies", copied),
        part("the daemon's ends", survived),
        part("TLS", behind_tls)
    );
    compare(&quality(include_str!("../src/docker/quality.toml")), &checked).unwrap();
    transcript.end(&version, &checked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn docker_keeps_the_suite_as_its_quality_file_says_and_comes_back() {
    keeps_everything(false, "docker").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn podman_keeps_the_suite_as_its_quality_file_says_and_comes_back() {
    keeps_everything(true, "docker-podman").await;
}

/// How long after the engine's own command has returned its effect is seen.
async fn seen_after(
    engine: &Engine,
    bridge: &mut Bridge,
    words: &[&str],
    name: &str,
    power: Power,
) -> Duration {
    said(engine.cli().args(words).arg(name));
    let returned = Instant::now();
    bridge.power(name, power).await;
    returned.elapsed()
}

/// What happens behind the bridge's back, who did it, and what the container says.
async fn tells_what_happens_outside(engine: Arc<Engine>) {
    engine.make("outside", &[]);
    engine.make("fails", &["/bin/sh", "-c", "exit 3"]);
    engine.make("finishes", &["/bin/true"]);
    let mut bridge = Bridge::of(engine.adapter(), &["outside", "fails", "finishes"]);
    bridge.power("outside", Power::Off).await;
    let found = engine.adapter().list().await.unwrap();
    let plain = found.iter().find(|found| found.address.0 == "outside").unwrap();
    assert!(plain.tags.iter().any(|tag| tag == "tier=front"), "{:?}", plain.tags);

    let mut delays = Vec::new();
    for (words, power) in [
        (&["start"][..], Power::On),
        (&["pause"], Power::Paused),
        (&["unpause"], Power::On),
        (&["kill"], Power::Off),
    ] {
        delays.push(seen_after(&engine, &mut bridge, words, "outside", power).await);
    }
    println!("{}: seen after {delays:?}", engine.version());

    bridge.act("fails", Action::Start).await.unwrap();
    let seen = bridge.power("fails", Power::Crashed).await;
    assert_eq!((seen.detail.as_str(), seen.cause), ("exit status 3", Some(Cause::Crash)));
    bridge.act("finishes", Action::Start).await.unwrap();
    assert_eq!(bridge.until("finishes", |seen| seen.cause.is_some()).await.cause, Some(Cause::Guest));
    // An operator's doing is told apart from a fault.
    bridge.act("outside", Action::Start).await.unwrap();
    bridge.power("outside", Power::On).await;
    bridge.act("outside", Action::SoftOff).await.unwrap();
    let seen = bridge.power("outside", Power::Off).await;
    assert_eq!(seen.cause, Some(Cause::Operator), "{seen:?}");
    bridge.finish().await;

    let Ok(Console::Text(text)) = engine.adapter().console(&address("outside")).await else {
        panic!("no log")
    };
    assert!(text.contains("CT-READY\n") && text.contains("CT-DOWN"), "{text}");
}

/// A snapshot, the way back to it, a clone, and the end of that.
async fn copies(engine: Arc<Engine>) {
    engine.make("copied", &[]);
    let mut bridge = Bridge::of(engine.adapter(), &["copied", "copied-clone-1"]);
    bridge.power("copied", Power::Off).await;
    let why = bridge.act("copied", Action::Revert).await.unwrap_err();
    assert!(matches!(&why, AdapterError::Refused(words) if words.contains("no snapshot")), "{why:?}");
    bridge.act("copied", Action::Start).await.unwrap();
    bridge.power("copied", Power::On).await;
    said(engine.cli().args(["exec", "copied", "/bin/touch", "/before"]));
    bridge.act("copied", Action::Snapshot).await.unwrap();
    said(engine.cli().args(["exec", "copied", "/bin/touch", "/after"]));
    bridge.act("copied", Action::Clone).await.unwrap();
    bridge.act("copied", Action::Revert).await.unwrap();
    bridge.until("copied", |seen| seen.power == Power::On).await;
    let names = said(engine.cli().args(["exec", "copied", "/bin/ls", "/"]));
    assert!(names.contains("before") && !names.contains("after"), "{names}");

    // The clone stays off, has what was there when it was made, and can be removed.
    let seen = bridge.until("copied-clone-1", |seen| seen.power == Power::Off).await;
    assert_eq!(seen.power, Power::Off);
    bridge.act("copied-clone-1", Action::Start).await.unwrap();
    bridge.power("copied-clone-1", Power::On).await;
    let names = said(engine.cli().args(["exec", "copied-clone-1", "/bin/ls", "/"]));
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
async fn survives_its_daemon(engine: &mut Engine) {
    engine.make("plain", &[]);
    said(engine.cli().args(["start", "plain"]));
    let mut bridge = Bridge::of(engine.adapter(), &["plain"]);
    bridge.power("plain", Power::On).await;
    engine.daemon.signal(Signal::STOP);
    bridge.connected(false).await;
    engine.daemon.signal(Signal::CONT);
    bridge.power("plain", Power::On).await;

    engine.daemon.kill();
    bridge.connected(false).await;
    engine.replace_daemon();
    // Docker ends what ran; Podman's containers need no daemon.
    bridge.until("plain", |seen| seen.power != Power::Unknown).await;
    said(engine.cli().args(["restart", "-t", "0", "plain"]));
    bridge.power("plain", Power::On).await;
    bridge.finish().await;
}

/// The real daemon behind TLS lets in who shows the right certificate; and who is not the right daemon, or
/// asks for a key that others may read, gets nothing.
async fn believes_no_stranger(engine: Arc<Engine>, podman: bool) {
    if podman {
        // It listens on sockets only.
        return;
    }
    let lane = engine.lane().await;
    let asks = |host: &str, authority: &str, client: Option<&str>| {
        let adapter = engine.over_tls(&lane, host, authority, client).build().unwrap();
        async move { adapter.list().await.map(drop) }
    };
    asks("localhost", "ca", Some("client")).await.unwrap();
    for (host, authority, client, words) in [
        ("localhost", "strange-ca", Some("client"), "invalid peer certificate"),
        ("127.0.0.1", "ca", Some("client"), "not valid for name"),
        ("localhost", "ca", Some("strange-client"), "certificate"),
        ("localhost", "ca", None, "certificate"),
    ] {
        let why = asks(host, authority, client).await.unwrap_err();
        assert!(
            matches!(&why, AdapterError::Credentials(said) if said.contains(words)),
            "{host} {authority} {client:?}: {why:?}"
        );
        println!("{host} {authority} {client:?}: {why}");
    }
    let open = engine.over_tls(&lane, "localhost", "ca", Some("client"));
    let key = open.key.clone().unwrap();
    std::fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    let why = open.build().unwrap().list().await.unwrap_err();
    assert!(matches!(&why, AdapterError::Credentials(said) if said.contains("chmod 600")), "{why:?}");
}

/// What every liar says to be believed.
const VERSION: &str = r#"{"Version":"20.10.0","ApiVersion":"1.41","MinAPIVersion":"1.12"}"#;

#[tokio::test]
async fn five_thousand_are_listed_and_a_storm_of_events_is_weathered() {
    let one = |n: usize, state: &str| {
        format!(
            r#"{{"Id":"{n:064x}","Names":["/c{n}"],"Image":"i","State":"{state}","Labels":{{"n":"{n}"}}}}"#
        )
    };
    let all: Vec<String> = (0..5000).map(|n| one(n, "running")).collect();
    let listing = format!("[{}]", all.join(","));
    let storm: String = (0..10_000)
        .map(|n| {
            let line = format!(
                r#"{{"Type":"container","Action":"pause","Actor":{{"ID":"{n:064x}","Attributes":{{"name":"c7"}}}}}}"#
            );
            format!("{:x}\r\n{line}\n\r\n", line.len() + 1)
        })
        .collect();
    let liar = Pretender::new(move |path| match path {
        path if path.ends_with("/version") => answer(VERSION),
        path if path.contains("/events") => pretender::Answer {
            bytes: format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{storm}").into_bytes(),
            hangs: true,
        },
        path if path.contains("/containers/json") => answer(&listing),
        path if path.contains("/c7/json") => {
            answer(&format!(r#"{{"Id":"{:064x}","Name":"/c7","State":{{"Status":"paused"}}}}"#, 7))
        }
        _ => answer(r#"{"message":"what?"}"#),
    });
    let config = DockerConfig { socket: Some(liar.socket.clone()), ..DockerConfig::default() };
    let mut bridge = Bridge::of(config.build().unwrap(), &["c7"]);
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
    let liar = Pretender::new(|path| match path {
        path if path.ends_with("/version") => answer(VERSION),
        path if path.contains("/half/") => {
            let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"Id\":\"0\",\"Name\":\"/half\"";
            pretender::Answer { bytes: bytes.to_vec(), hangs: false }
        }
        path if path.contains("/endless/") || path.contains("/events") => {
            let mut bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n{\"Id\":\"".to_vec();
            bytes.resize(8 << 20, b'0');
            pretender::Answer { bytes, hangs: true }
        }
        // It has another of that name: the beginning of an id.
        _ => answer(r#"{"Id":"beef","Name":"/other","State":{"Status":"running"}}"#),
    });
    let config = DockerConfig { socket: Some(liar.socket.clone()), ..DockerConfig::default() };
    let adapter = config.build().unwrap();
    let why = adapter.observe(&address("half")).await.unwrap_err();
    assert!(matches!(&why, AdapterError::Unreachable(words) if words.contains("broke off")), "{why:?}");
    let why = adapter.observe(&address("endless")).await.unwrap_err();
    assert!(matches!(&why, AdapterError::Unreachable(words) if words.contains("longer than")), "{why:?}");
    let why = adapter.observe(&address("bee")).await.unwrap_err();
    assert!(matches!(why, AdapterError::NotFound(_)), "{why:?}");
    let (hints, _ear) = tokio::sync::mpsc::channel(16);
    let why = tokio::time::timeout(common::PATIENCE, adapter.listen(hints)).await.unwrap();
    assert!(matches!(&why, AdapterError::Unreachable(_)), "{why:?}");
}
