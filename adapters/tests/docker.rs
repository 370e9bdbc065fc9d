//! Containers, really run: dockerd and Podman's service, each in namespaces of its own.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "common/mod.rs"]
mod common;
#[path = "containers/mod.rs"]
mod containers;
#[path = "containers/pretender.rs"]
mod pretender;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use common::{Bridge, Peer, Transcript, address, quality};
use containers::{Daemon, Den, root_archive, said};
use pretender::{Pretender, answer};
use primrack_adapter_api::conformance::{Subject, check, compare};
use primrack_adapter_api::{Adapter, AdapterError, Console};
use primrack_adapters::docker::{DockerAdapter, DockerConfig};
use primrack_model::{Action, Address, Cause, Power};
use rustix::process::Signal;

/// A daemon with containers in it.
struct Engine {
    daemon: Daemon,
    den: Den,
    podman: bool,
}

impl Engine {
    fn new(podman: bool) -> Self {
        let den = Den::new();
        let archive = root_archive(den.path());
        let daemon = Self::start(&den, podman);
        let mut engine = Self { daemon, den, podman };
        engine.up();
        let options = ["--change", "CMD [\"/sbin/init\"]"];
        said(engine.cli().arg("import").args(options).arg(archive).arg("primrack-test"));
        engine
    }

    fn start(den: &Den, podman: bool) -> Daemon {
        let folder = den.path().display();
        if podman {
            let settings = format!(
                "[containers]\ndefault_ulimits = ['nofile=1024:1024', 'nproc=1024:1024']\nlog_driver = 'k8s-file'\n\
                 apparmor_profile = 'unconfined'\nnetns = 'none'\n\
                 [engine]\ncgroup_manager = 'cgroupfs'\nevents_logger = 'file'\nruntime = 'crun'\n\
                 tmp_dir = '{folder}/tmp'\n"
            );
            std::fs::write(den.path().join("containers.conf"), settings).unwrap();
            let mut command = den.command("podman");
            command.env("CONTAINERS_CONF", den.path().join("containers.conf"));
            command.args(["--root", &format!("{folder}/data"), "--runroot", &format!("{folder}/run")]);
            command.args(["system", "service", "-t", "0", &format!("unix://{folder}/daemon.sock")]);
            return den.daemon("podman", &mut command);
        }
        let mut command = den.command("dockerd");
        command.args(["--data-root", &format!("{folder}/data"), "--exec-root", &format!("{folder}/exec")]);
        command.args(["-p", &format!("{folder}/pid"), "-H", &format!("unix://{folder}/daemon.sock")]);
        let group = den.path().file_name().unwrap().to_str().unwrap();
        command.args(["--cgroup-parent", &format!("/{group}")]);
        den.daemon("dockerd", &mut command)
    }

    fn socket(&self) -> PathBuf {
        self.den.path().join("daemon.sock")
    }

    fn up(&mut self) {
        let (mut asked, what) = (self.cli(), if self.podman { "Podman" } else { "Docker" });
        asked.arg("version");
        self.daemon.until(what, || asked.output().unwrap().status.success());
    }

    /// The engine's own command line, on its socket.
    fn cli(&self) -> Command {
        let socket = format!("unix://{}", self.socket().display());
        let mut command;
        if self.podman {
            command = self.den.command("podman");
            command.args(["--remote", "--url", &socket]);
        } else {
            command = Command::new("docker");
            command.args(["-H", &socket]);
        }
        command
    }

    fn version(&self) -> String {
        let name = if self.podman { "Podman" } else { "Docker" };
        let version = said(self.cli().args(["version", "--format", "{{.Server.Version}}"]));
        format!("{name} {version}")
    }

    /// Makes a container that is off.
    fn make(&self, name: &str, program: &[&str]) {
        let label = ["--label", "tier=front", "--stop-signal", "SIGTERM"];
        said(self.cli().args(["create", "--name", name]).args(label).arg("primrack-test").args(program));
    }

    fn adapter(&self) -> DockerAdapter {
        DockerConfig { socket: Some(self.socket()), ..DockerConfig::default() }.build().unwrap()
    }
}

struct Plain(Engine);

#[async_trait]
impl Subject for Plain {
    fn make(&self) -> Arc<dyn Adapter> {
        Arc::new(self.0.adapter())
    }
    fn address(&self) -> Address {
        address("plain")
    }
    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }
    async fn kill_from_outside(&self) {
        said(self.0.cli().args(["kill", "plain"]));
    }
}

async fn conforms(podman: bool, name: &str) {
    let transcript = Transcript::begin(name, "docker", Peer::Real);
    let engine = Engine::new(podman);
    engine.make("plain", &[]);
    let version = engine.version();
    let checked = check(&Plain(engine)).await.unwrap();
    compare(&quality(include_str!("../src/docker/quality.toml")), &checked).unwrap();
    transcript.end(&version, &checked);
}

#[tokio::test]
async fn docker_keeps_the_conformance_suite_as_its_quality_file_says() {
    conforms(false, "docker").await;
}

#[tokio::test]
async fn podman_keeps_the_conformance_suite_as_its_quality_file_says() {
    conforms(true, "docker-podman").await;
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
async fn tells_what_happens_outside(engine: &Engine) {
    engine.make("plain", &[]);
    engine.make("fails", &["/bin/sh", "-c", "exit 3"]);
    engine.make("finishes", &["/bin/true"]);
    let mut bridge = Bridge::of(engine.adapter(), &["plain", "fails", "finishes", "plain-clone-1"]);
    for name in ["plain", "fails", "finishes"] {
        bridge.power(name, Power::Off).await;
    }
    let found = engine.adapter().list().await.unwrap();
    let plain = found.iter().find(|found| found.address.0 == "plain").unwrap();
    assert!(plain.tags.iter().any(|tag| tag == "tier=front"), "{:?}", plain.tags);

    let mut delays = Vec::new();
    for (words, power) in [
        (&["start"][..], Power::On),
        (&["pause"], Power::Paused),
        (&["unpause"], Power::On),
        (&["kill"], Power::Off),
    ] {
        delays.push(seen_after(engine, &mut bridge, words, "plain", power).await);
    }
    println!("{}: seen after {delays:?}", engine.version());
    // The median: a single one may wait for a processor.
    delays.sort_unstable();
    assert!(delays[1] < Duration::from_millis(500), "{delays:?}");

    bridge.act("fails", Action::Start).await.unwrap();
    let seen = bridge.power("fails", Power::Crashed).await;
    assert_eq!((seen.detail.as_str(), seen.cause), ("exit status 3", Some(Cause::Crash)));
    bridge.act("finishes", Action::Start).await.unwrap();
    assert_eq!(bridge.until("finishes", |seen| seen.cause.is_some()).await.cause, Some(Cause::Guest));
    // An operator's doing is told apart from a fault.
    bridge.act("plain", Action::Start).await.unwrap();
    bridge.power("plain", Power::On).await;
    bridge.act("plain", Action::SoftOff).await.unwrap();
    let seen = bridge.power("plain", Power::Off).await;
    assert_eq!(seen.cause, Some(Cause::Operator), "{seen:?}");
    bridge.finish().await;

    let Ok(Console::Text(text)) = engine.adapter().console(&address("plain")).await else { panic!("no log") };
    assert!(text.contains("CT-READY\n") && text.contains("CT-DOWN"), "{text}");
}

/// A snapshot, the way back to it, a clone, and the end of that.
async fn copies(engine: &Engine) {
    engine.make("plain", &[]);
    let mut bridge = Bridge::of(engine.adapter(), &["plain", "plain-clone-1"]);
    bridge.power("plain", Power::Off).await;
    let why = bridge.act("plain", Action::Revert).await.unwrap_err();
    assert!(matches!(&why, AdapterError::Refused(words) if words.contains("no snapshot")), "{why:?}");
    bridge.act("plain", Action::Start).await.unwrap();
    bridge.power("plain", Power::On).await;
    said(engine.cli().args(["exec", "plain", "/bin/touch", "/before"]));
    bridge.act("plain", Action::Snapshot).await.unwrap();
    said(engine.cli().args(["exec", "plain", "/bin/touch", "/after"]));
    bridge.act("plain", Action::Clone).await.unwrap();
    bridge.act("plain", Action::Revert).await.unwrap();
    bridge.until("plain", |seen| seen.power == Power::On).await;
    let names = said(engine.cli().args(["exec", "plain", "/bin/ls", "/"]));
    assert!(names.contains("before") && !names.contains("after"), "{names}");

    // The clone stays off, has what was there when it was made, and can be removed.
    let seen = bridge.until("plain-clone-1", |seen| seen.power == Power::Off).await;
    assert_eq!(seen.power, Power::Off);
    bridge.act("plain-clone-1", Action::Start).await.unwrap();
    bridge.power("plain-clone-1", Power::On).await;
    let names = said(engine.cli().args(["exec", "plain-clone-1", "/bin/ls", "/"]));
    assert!(names.contains("before") && names.contains("after"), "{names}");
    let why = bridge.act("plain-clone-1", Action::Delete).await.unwrap_err();
    assert!(matches!(&why, AdapterError::Refused(words) if words.contains("runs")), "{why:?}");
    bridge.act("plain-clone-1", Action::HardOff).await.unwrap();
    bridge.power("plain-clone-1", Power::Off).await;
    bridge.act("plain-clone-1", Action::Delete).await.unwrap();
    let why = bridge.act("plain-clone-1", Action::Start).await.unwrap_err();
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
    let lost = async {
        while bridge.driver.status().connected {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(common::PATIENCE, lost).await.expect("a daemon that hangs is noticed");
    engine.daemon.signal(Signal::CONT);
    bridge.power("plain", Power::On).await;

    engine.daemon.kill();
    let lost = async {
        while bridge.driver.status().connected {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(common::PATIENCE, lost).await.expect("a daemon that was killed is noticed");
    engine.daemon = Engine::start(&engine.den, engine.podman);
    engine.up();
    // Docker ends what ran; Podman's containers need no daemon.
    bridge.until("plain", |seen| seen.power != Power::Unknown).await;
    said(engine.cli().args(["restart", "-t", "0", "plain"]));
    bridge.power("plain", Power::On).await;
    bridge.finish().await;
}

#[tokio::test]
async fn docker_tells_what_happens_outside() {
    tells_what_happens_outside(&Engine::new(false)).await;
}

#[tokio::test]
async fn podman_tells_what_happens_outside() {
    tells_what_happens_outside(&Engine::new(true)).await;
}

#[tokio::test]
async fn docker_copies() {
    copies(&Engine::new(false)).await;
}

#[tokio::test]
async fn podman_copies() {
    copies(&Engine::new(true)).await;
}

#[tokio::test]
async fn docker_comes_back() {
    survives_its_daemon(&mut Engine::new(false)).await;
}

/// What every liar says to be believed.
const VERSION: &str = r#"{"Version":"20.10.0","ApiVersion":"1.41","MinAPIVersion":"1.12"}"#;

#[tokio::test]
async fn five_thousand_are_listed_and_a_storm_of_events_is_weathered() {
    let one = |n: usize, state: &str| {
        format!(r#"{{"Id":"{n:064x}","Names":["/c{n}"],"Image":"i","State":"{state}","Labels":{{"n":"{n}"}}}}"#)
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
