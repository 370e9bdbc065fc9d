//! A real SSH server that the test starts, with commands that run real processes, and a stand-in for zoneadm.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "common/mod.rs"]
mod common;
#[path = "ssh/server.rs"]
mod server;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use common::{Bridge, PATIENCE, Peer, Transcript, address, quality};
use primrack_adapter_api::conformance::{Subject, check, compare};
use primrack_adapter_api::{Adapter, AdapterError, Console};
use primrack_adapters::ssh::{SshAdapter, SshConfig};
use primrack_model::{Action, Address, Command as Order, IntentId, Power};
use rustix::process::Signal;
use server::Server;

const SETS: &str = r#"
[sets.machines]
list = "machine list"
state = 1
states = { running = "on", stopped = "off", held = "paused" }
start = "machine start {name}"
soft_off = "machine stop {name}"
hard_off = "machine kill {name}"
reboot = "machine again {name}"
reset = "machine again {name}"
pause = "machine pause {name}"
resume = "machine resume {name}"
console = "machine console {name}"
[sets.half]
list = "printf 'plain run'; kill -9 $PPID; sleep 10"
[sets.flood]
list = "yes"
[sets.many]
list = "seq -f 'm%g' 5000"
[sets.slow]
list = "sleep 100"
"#;

/// One host per set, all on the same server.
fn text(server: &Server, sets: &[&str], host_key: &str, key: &str) -> String {
    let mut text = "timeout_ms = 3000\naction_timeout_ms = 5000\nlist_limit = 6000\n".to_owned();
    for set in sets {
        text += &format!(
            "[hosts.{set}]\naddress = '127.0.0.1:{}'\nuser = 'root'\nkey_file = '{}/{key}'\nhost_key = '{host_key}'\n\
             set = '{set}'\n",
            server.port,
            server.path().display()
        );
    }
    text + SETS
}

fn adapter(server: &Server, sets: &[&str]) -> SshAdapter {
    build(&text(server, sets, &server.text("host.pub"), "user"))
}

fn build(text: &str) -> SshAdapter {
    toml::from_str::<SshConfig>(text).unwrap().build().unwrap()
}

struct Plain(Server);

#[async_trait]
impl Subject for Plain {
    fn make(&self) -> Arc<dyn Adapter> {
        Arc::new(adapter(&self.0, &["machines"]))
    }
    fn address(&self) -> Address {
        address("machines/plain")
    }
    fn patience(&self) -> Duration {
        PATIENCE
    }
    async fn kill_from_outside(&self) {
        // From another line, as an operator would.
        let key = self.0.path().join("user");
        let killed = Command::new("ssh")
            .args([
                "-F",
                "none",
                "-o",
                "StrictHostKeyChecking=no",
                "-o",
                "UserKnownHostsFile=/dev/null",
                "-q",
            ])
            .arg("-i")
            .arg(key)
            .args(["-p", &self.0.port.to_string(), "root@127.0.0.1", "machine kill plain"])
            .status()
            .unwrap();
        assert!(killed.success());
    }
}

#[tokio::test]
async fn keeps_the_conformance_suite_as_its_quality_file_says() {
    let transcript = Transcript::begin("ssh", "ssh", Peer::Real);
    let subject = Plain(Server::start());
    let checked = check(&subject).await.unwrap();
    compare(&quality(include_str!("../src/ssh/quality.toml")), &checked).unwrap();
    let version = Command::new("ssh").arg("-V").output().unwrap();
    let version = String::from_utf8_lossy(&version.stderr).trim().to_owned();
    transcript.end(&format!("sshd of {version}, machines are processes"), &checked);
}

#[tokio::test]
async fn zones_are_booted_and_halted_by_a_stand_in_for_zoneadm() {
    let server = Server::start();
    // By the fingerprint this time.
    let print = Command::new("ssh-keygen").arg("-lf").arg(server.path().join("host.pub")).output().unwrap();
    let print = String::from_utf8(print.stdout).unwrap();
    let print = print.split_ascii_whitespace().nth(1).unwrap().to_owned();
    let adapter = build(&text(&server, &["zones", "plain"], &print, "user"));
    let found = adapter.list().await.unwrap();
    let names: Vec<_> = found.iter().map(|found| found.address.0.as_str()).collect();
    assert_eq!(names, ["plain", "zones/db", "zones/web"]);
    let act = async |name: &str, action: Action| {
        let order = Order { intent: IntentId::now(), address: address(name), action, deadline_ms: 5_000 };
        adapter.execute(&order).await
    };
    let power = async |name: &str| adapter.observe(&address(name)).await.unwrap().power;
    for (action, reached) in [
        (Action::Start, Power::On),
        (Action::Reboot, Power::On),
        (Action::Reset, Power::On),
        (Action::SoftOff, Power::Off),
        (Action::Start, Power::On),
        (Action::HardOff, Power::Off),
    ] {
        act("zones/web", action).await.unwrap();
        assert_eq!(power("zones/web").await, reached, "{action}");
        assert_eq!(power("zones/db").await, Power::Off);
    }
    act("zones/web", Action::Start).await.unwrap();
    let why = act("zones/web", Action::Start).await.unwrap_err();
    assert!(matches!(&why, AdapterError::Refused(words) if words.contains("already booted")), "{why:?}");
    let why = act("zones/web", Action::Pause).await.unwrap_err();
    assert!(matches!(why, AdapterError::NotSupported(_)), "{why:?}");

    // A name that would be something else to a shell is no name.
    for bad in ["zones/web;touch x", "zones/-z", "zones/$(id)", "zones", "plain/x", "zones/", "none"] {
        let why = act(bad, Action::Start).await.unwrap_err();
        assert!(matches!(why, AdapterError::NotFound(_)), "{bad}: {why:?}");
    }
    // The host itself answers.
    assert_eq!(power("plain").await, Power::On);
}

#[tokio::test]
async fn a_wrong_key_on_either_side_is_refused() {
    let server = Server::start();
    let mine = server.text("host.pub");
    let other = build(&text(&server, &["machines"], &server.text("other_host.pub"), "user"));
    let why = other.list().await.unwrap_err();
    assert!(matches!(&why, AdapterError::Credentials(words) if words.contains("another key")), "{why:?}");
    let stranger = build(&text(&server, &["machines"], &mine, "stranger"));
    let why = stranger.list().await.unwrap_err();
    assert!(
        matches!(&why, AdapterError::Credentials(words) if words.contains("does not let root in")),
        "{why:?}"
    );
    fs::set_permissions(server.path().join("user"), fs::Permissions::from_mode(0o644)).unwrap();
    let why = adapter(&server, &["machines"]).list().await.unwrap_err();
    assert!(matches!(&why, AdapterError::Credentials(words) if words.contains("chmod 600")), "{why:?}");
    let secret = server.text("user");
    let inside = secret.lines().nth(1).unwrap();
    assert!(!why.to_string().contains(inside));
}

#[tokio::test]
async fn a_server_that_dies_or_hangs_makes_nothing_up() {
    let mut server = Server::start();
    let mut bridge = Bridge::of(adapter(&server, &["machines"]), &["machines/plain"]);
    bridge.power("machines/plain", Power::Off).await;
    bridge.act("machines/plain", Action::Start).await.unwrap();
    bridge.power("machines/plain", Power::On).await;

    // The driver asks every 10 s; whoever looks at the page asks now.
    server.signal(Signal::STOP);
    let began = Instant::now();
    assert!(bridge.act("machines/plain", Action::SoftOff).await.is_err());
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    bridge.power("machines/plain", Power::Unknown).await;
    println!("a server that hangs is noticed after {:?}", began.elapsed());
    server.signal(Signal::CONT);
    bridge.until("machines/plain", |seen| [Power::On, Power::Off].contains(&seen.power)).await;

    // All that ran there ends with it.
    server.down();
    bridge.power("machines/plain", Power::Unknown).await;
    server.up();
    bridge.power("machines/plain", Power::Off).await;
    bridge.finish().await;
}

#[tokio::test]
async fn half_an_answer_a_flood_and_a_silent_host_are_no_states() {
    let server = Server::start();
    let all = adapter(&server, &["half", "flood", "slow", "many", "machines"]);
    let began = Instant::now();
    let found = all.list().await.unwrap();
    println!("{} machines listed with three hosts that fail, in {:?}", found.len(), began.elapsed());
    assert_eq!(found.len(), 5_002);
    assert!(began.elapsed() < Duration::from_secs(10));
    for (name, kind) in [("half/plain", "unreachable"), ("flood/y", "refused"), ("slow/x", "timed-out")] {
        let why = all.observe(&address(name)).await.unwrap_err();
        let fits = match (&why, kind) {
            (AdapterError::Unreachable(_), "unreachable") | (AdapterError::TimedOut(3000), "timed-out") => {
                true
            }
            (AdapterError::Refused(words), "refused") => words.contains("printed more than"),
            _ => false,
        };
        assert!(fits, "{name}: {why:?}");
    }
    // Those that hang or lie hold nobody up.
    assert_eq!(all.observe(&address("many/m4999")).await.unwrap().power, Power::On);
    assert_eq!(all.observe(&address("machines/other")).await.unwrap().power, Power::Off);
    let said = all.console(&address("machines/other")).await.unwrap();
    assert_eq!(said, Console::Text("the words of other\n".into()));
}
