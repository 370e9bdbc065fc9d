//! libvirt's daemons as they are: with QEMU (under TCG), LXC and libvirt's own test driver behind them.
#![allow(unreachable_pub, clippy::unwrap_used, reason = "helpers of tests")]

#[path = "common/mod.rs"]
mod common;
#[path = "libvirt/daemon.rs"]
mod daemon;
#[path = "libvirt/machines.rs"]
mod machines;

use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use common::{Bridge, Peer, Transcript, address, quality};
use daemon::Daemon;
use machines::{Booted, LXC, Patient, QEMU, TEST};
use primrack_adapter_api::conformance::{Subject, check, compare};
use primrack_adapter_api::{Adapter, AdapterError};
use primrack_model::{Action, Address, Cause, Power};

/// What the bridge shows of a change made elsewhere may be this old.
const SOON: Duration = Duration::from_millis(500);

struct Qemu(Daemon, Booted);

#[async_trait]
impl Subject for Qemu {
    fn make(&self) -> Arc<dyn Adapter> {
        let adapter = self.0.config(QEMU).build().unwrap();
        Arc::new(Patient::new(adapter, machines::console(&self.0, "plain"), &self.1))
    }
    fn address(&self) -> Address {
        address("plain")
    }
    fn patience(&self) -> Duration {
        Duration::from_secs(90)
    }
    async fn kill_from_outside(&self) {
        self.0.tell("kill -9 $(cat /run/libvirt/qemu/plain.pid)");
    }
}

#[tokio::test]
async fn qemu_keeps_the_conformance_suite_as_its_quality_file_says() {
    let transcript = Transcript::begin("libvirt-qemu", "libvirt", Peer::Real);
    let daemon = Daemon::start();
    machines::define_qemu(&daemon, "plain");
    let version = daemon.version();
    let checked = check(&Qemu(daemon, Booted::default())).await.unwrap();
    compare(&quality(include_str!("../src/libvirt/quality.toml")), &checked).unwrap();
    transcript.end(&format!("libvirtd {version}, QEMU under TCG, Linux guest"), &checked);
}

struct Lxc(Daemon, Booted);

#[async_trait]
impl Subject for Lxc {
    fn make(&self) -> Arc<dyn Adapter> {
        // Who gets a signal before it listens for one hears nothing.
        let adapter = self.0.config(LXC).build().unwrap();
        Arc::new(Patient::new(adapter, self.0.home().join("root/console"), &self.1))
    }
    fn address(&self) -> Address {
        address("plain")
    }
    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }
    async fn kill_from_outside(&self) {
        self.0.tell("kill -9 $(cat /run/libvirt/lxc/plain.pid)");
    }
}

#[tokio::test]
async fn lxc_keeps_the_conformance_suite() {
    let transcript = Transcript::begin("libvirt-lxc", "libvirt", Peer::Real);
    let daemon = Daemon::start();
    machines::define_lxc(&daemon, "plain");
    let version = daemon.version();
    let checked = check(&Lxc(daemon, Booted::default())).await.unwrap();
    assert!(checked.contains(&"pause-resume") && checked.contains(&"reboot"), "{checked:?}");
    transcript.end(&format!("libvirtd {version}, LXC container"), &checked);
}

struct Simulated(Daemon);

#[async_trait]
impl Subject for Simulated {
    fn make(&self) -> Arc<dyn Adapter> {
        Arc::new(self.0.config(TEST).build().unwrap())
    }
    fn address(&self) -> Address {
        address("plain")
    }
    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }
    async fn kill_from_outside(&self) {
        self.0.virsh(TEST, &["destroy", "plain"]);
    }
}

/// The test driver's world lasts as long as somebody is connected to it.
struct Holder(Child);
impl Holder {
    fn of(daemon: &Daemon) -> Self {
        let mut virsh = daemon.virsh_command(TEST);
        Self(virsh.args(["event", "--all", "--loop"]).stdout(Stdio::null()).spawn().unwrap())
    }
}
impl Drop for Holder {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[tokio::test]
async fn the_test_driver_keeps_the_conformance_suite() {
    let transcript = Transcript::begin("libvirt-test", "libvirt", Peer::Simulator);
    let daemon = Daemon::start();
    let _holder = Holder::of(&daemon);
    machines::define_test(&daemon, "plain").await;
    let version = daemon.version();
    let subject = Simulated(daemon);
    assert!(subject.make().capabilities(&subject.address()).simulated);
    let checked = check(&subject).await.unwrap();
    assert!(checked.contains(&"save-restore"), "{checked:?}");
    transcript.end(&format!("libvirtd {version}, its test driver"), &checked);
}

/// Waits for a state that something from outside brought about, and how long it took to be seen.
async fn seen_soon(bridge: &mut Bridge, power: Power) -> primrack_model::Observation {
    let began = Instant::now();
    let seen = bridge.power("plain", power).await;
    let took = began.elapsed();
    common::figure::in_time(&format!("virsh to {power:?}"), took, SOON);
    seen
}

#[tokio::test]
async fn what_an_operator_does_elsewhere_is_seen_at_once() {
    let daemon = Daemon::start();
    machines::define_qemu(&daemon, "plain");
    let mut bridge = Bridge::of(daemon.config(QEMU).build().unwrap(), &["plain"]);
    bridge.power("plain", Power::Off).await;
    for (words, power, cause) in [
        ("start", Power::On, None),
        ("suspend", Power::Paused, Some(Cause::Operator)),
        ("resume", Power::On, None),
        ("managedsave", Power::Saved, None),
        ("start", Power::On, None),
        ("destroy", Power::Off, Some(Cause::Operator)),
    ] {
        daemon.virsh(QEMU, &[words, "plain"]);
        let seen = seen_soon(&mut bridge, power).await;
        assert_eq!(seen.cause, cause, "{words}: {seen:?}");
    }
    bridge.act("plain", Action::Start).await.unwrap();
    let seen = bridge.until("plain", |seen| seen.power == Power::On && seen.load.is_some()).await;
    assert!(seen.load.unwrap().memory >= 64 << 20, "{seen:?}");
    assert!(seen.about.unwrap().host.starts_with("primrack-"), "the daemon's host tells its name");
    daemon.tell("kill -9 $(cat /run/libvirt/qemu/plain.pid)");
    // How soon libvirt itself notices is its own affair.
    while !daemon.virsh(QEMU, &["domstate", "plain"]).contains("shut off") {}
    assert_eq!(seen_soon(&mut bridge, Power::Crashed).await.cause, Some(Cause::Crash));
    bridge.finish().await;
}

#[tokio::test]
async fn a_daemon_that_is_killed_or_hangs_makes_everything_unknown_until_it_is_back() {
    let daemon = Daemon::start();
    machines::define_qemu(&daemon, "plain");
    let mut bridge = Bridge::of(daemon.config(QEMU).build().unwrap(), &["plain"]);
    bridge.act("plain", Action::Start).await.unwrap();
    bridge.power("plain", Power::On).await;

    daemon.tell("stop KILL");
    bridge.connected(false).await;
    let why = bridge.act("plain", Action::Pause).await.unwrap_err();
    assert!(matches!(why, AdapterError::Unreachable(_)), "{why:?}");
    // Meanwhile the machine goes on, and is there when the daemon is back.
    daemon.tell("start");
    bridge.connected(true).await;
    bridge.power("plain", Power::On).await;

    daemon.tell("kill -STOP $daemon");
    bridge.connected(false).await;
    assert!(bridge.driver.status().why.contains("nothing for 10 s"), "{}", bridge.driver.status().why);
    daemon.tell("kill -CONT $daemon");
    bridge.connected(true).await;
    bridge.act("plain", Action::HardOff).await.unwrap();
    bridge.power("plain", Power::Off).await;
    bridge.finish().await;
}

#[tokio::test]
async fn a_storm_of_events_and_five_thousand_machines() {
    let daemon = Daemon::start();
    let _holder = Holder::of(&daemon);
    machines::define_test(&daemon, "m0").await;
    let names = machines::define_many(&daemon, 5_000);
    let watched: Vec<&str> = names.iter().map(String::as_str).collect();
    daemon.virsh(TEST, &["start", "m7"]);
    let adapter = daemon.config(TEST).build().unwrap();
    let found = adapter.list().await.unwrap();
    // The test driver brings one of its own.
    assert_eq!(found.len(), 5_001);
    let on = found.iter().filter(|found| found.seen.as_ref().is_some_and(|seen| seen.power == Power::On));
    assert_eq!(on.count(), 2);

    let mut bridge = Bridge::of(adapter, &watched);
    bridge.power("m4999", Power::Off).await;
    // Each was looked at when it was listed, and once more when the stream stood.
    let mut before = bridge.driver.status().counts;
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = bridge.driver.status().counts;
        let looks = now.observations - before.observations;
        let hints = now.hints - before.hints;
        before = now;
        // What the safety net looks at goes on.
        if looks < 1_000 && hints == 0 {
            break;
        }
    }
    // As fast as the daemon does it, from one who does nothing else.
    let mut virsh = daemon.virsh_command(TEST).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut stdin = virsh.stdin.take().unwrap();
    let storm = "suspend m7\nresume m7\n".repeat(5_000) + "suspend m7\n";
    let writing = std::thread::spawn(move || stdin.write_all(storm.as_bytes()).unwrap());
    tokio::task::spawn_blocking(move || assert!(virsh.wait().unwrap().success())).await.unwrap();
    writing.join().unwrap();
    bridge.until_quiet("m7", Power::Paused).await;
    let after = bridge.driver.status();
    assert!(after.connected, "{}", after.why);
    assert!(after.counts.hints - before.hints >= 10_000, "{:?}", after.counts);
    assert!(
        after.counts.observations - before.observations < 5_200,
        "a storm is not a look each: {:?}",
        after.counts
    );
    bridge.finish().await;
}

#[tokio::test]
async fn who_sends_half_an_answer_or_nonsense_is_unreachable_and_nothing_else() {
    for answer in [
        &b""[..],
        &b"\0\0\0"[..],
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        &[0xff; 64][..],
        // A right head that promises 16 MiB, and then silence.
        &[1, 0, 0, 0, 0x20, 0, 0x80, 0x86, 0, 0, 0, 1, 0, 0, 0, 66, 0, 0, 0, 1, 0, 0, 0, 1][..],
    ] {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let server = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await.ok();
            }
        });
        let text = format!("uri = 'qemu:///system'\nsocket = '{}'", socket.display());
        let adapter =
            toml::from_str::<primrack_adapters::libvirt::LibvirtConfig>(&text).unwrap().build().unwrap();
        let why = adapter.list().await.unwrap_err();
        assert!(matches!(why, AdapterError::Unreachable(_)), "{answer:?}: {why:?}");
        let why = adapter.observe(&address("plain")).await.unwrap_err();
        assert!(matches!(why, AdapterError::Unreachable(_)), "{answer:?}: {why:?}");
        server.abort();
    }
}

#[test]
fn nothing_is_left_when_a_daemon_is_dropped() {
    let daemon = Daemon::start();
    machines::define_qemu(&daemon, "plain");
    daemon.virsh(QEMU, &["start", "plain"]);
    let home = daemon.home().to_owned();
    drop(daemon);
    let output = Command::new("ps").args(["-eo", "args"]).output().unwrap();
    let all = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!all.contains(home.to_str().unwrap()), "{all}");
}
