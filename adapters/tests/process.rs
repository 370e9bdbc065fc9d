//! Local processes, really started.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "common/mod.rs"]
mod common;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command as Program, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::{Bridge, Nest, Peer, Transcript, address, quality};
use primrack_adapter_api::conformance::{Subject, check, compare};
use primrack_adapter_api::{Adapter, AdapterError};
use primrack_adapters::process::{ProcessAdapter, ProcessConfig};
use primrack_model::{Action, Address, Cause, Power};
use rustix::process::{Pid, Signal, kill_process};

/// Servers for every occasion.
fn config(folder: &Path) -> ProcessConfig {
    let text = format!(
        r#"
        state_dir = "{folder}/state"
        log_limit = 65536
        [servers.plain]
        command = ["sh", "-c", "echo up and running; exec sleep 1000"]
        ready = {{ line = "up and running" }}
        [servers.immediate]
        command = ["sleep", "1000"]
        [servers.fails]
        command = ["sh", "-c", "exit 3"]
        [servers.finishes]
        command = ["true"]
        [servers.stubborn]
        command = ["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 1; done"]
        ready = {{ line = "deaf" }}
        [servers.flood]
        command = ["yes", "a flood of output"]
        [servers.family]
        command = ["sh", "-c", "sleep 1000 & echo $! > {folder}/next; mv {folder}/next {folder}/child; wait"]
        ready = {{ file = "{folder}/child" }}
        [servers.absent]
        command = ["/no/such/program"]
        "#,
        folder = folder.display()
    );
    toml::from_str(&text).unwrap()
}

fn adapter(folder: &Path) -> ProcessAdapter {
    config(folder).build().unwrap()
}

/// The pid in a server's record.
fn pid(folder: &Path, name: &str) -> i32 {
    let text = fs::read_to_string(folder.join(format!("state/{name}.json"))).unwrap();
    let record: serde_json::Value = serde_json::from_str(&text).unwrap();
    i32::try_from(record["run"]["pid"].as_i64().unwrap()).unwrap()
}

fn kill(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// The state letter of a process; `None` when there is none.
fn letter(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next())
}

async fn becomes(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting)
        .await
        .unwrap_or_else(|_| panic!("not in time: {what}"));
}

struct Plain(Nest);

#[async_trait]
impl Subject for Plain {
    fn make(&self) -> Arc<dyn Adapter> {
        Arc::new(adapter(self.0.path()))
    }
    fn address(&self) -> Address {
        address("plain")
    }
    fn patience(&self) -> Duration {
        Duration::from_secs(20)
    }
    async fn kill_from_outside(&self) {
        kill(pid(self.0.path(), "plain"), Signal::KILL);
    }
}

#[tokio::test]
async fn keeps_the_conformance_suite_as_its_quality_file_says() {
    let transcript = Transcript::begin("process", "process", Peer::Real);
    let checked = check(&Plain(Nest::new())).await.unwrap();
    compare(&quality(include_str!("../src/process/quality.toml")), &checked).unwrap();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    transcript.end(&format!("processes of Linux {}", kernel.trim()), &checked);
}

#[tokio::test]
async fn an_end_tells_its_reason() {
    let folder = Nest::new();
    let mut bridge = Bridge::of(adapter(folder.path()), &["fails", "finishes", "plain", "absent"]);
    bridge.act("fails", Action::Start).await.unwrap();
    let seen = bridge.power("fails", Power::Crashed).await;
    assert_eq!((seen.detail.as_str(), seen.cause), ("exit status 3", Some(Cause::Crash)));

    bridge.act("finishes", Action::Start).await.unwrap();
    let seen = bridge.until("finishes", |seen| seen.power == Power::Off && seen.cause.is_some()).await;
    assert_eq!(seen.cause, Some(Cause::Guest));

    bridge.act("plain", Action::Start).await.unwrap();
    bridge.power("plain", Power::On).await;
    let pid = pid(folder.path(), "plain");
    kill(pid, Signal::KILL);
    assert_eq!(bridge.power("plain", Power::Crashed).await.detail, "killed by signal 9");
    becomes("no zombie stays", || letter(pid).is_none()).await;

    let why = bridge.act("absent", Action::Start).await.unwrap_err();
    assert!(matches!(&why, AdapterError::Refused(words) if words.contains("/no/such/program")), "{why:?}");
    bridge.finish().await;
}

#[tokio::test]
async fn one_that_ignores_a_soft_off_shows_that_it_goes_on_and_falls_to_a_hard_one() {
    let folder = Nest::new();
    let mut bridge = Bridge::of(adapter(folder.path()), &["stubborn"]);
    bridge.act("stubborn", Action::Start).await.unwrap();
    bridge.power("stubborn", Power::On).await;
    bridge.act_within("stubborn", Action::SoftOff, Duration::from_millis(300)).await.unwrap();
    bridge.power("stubborn", Power::Stopping).await;
    assert_eq!(bridge.power("stubborn", Power::On).await.detail, "asked to end, goes on");
    bridge.act("stubborn", Action::HardOff).await.unwrap();
    assert_eq!(bridge.power("stubborn", Power::Off).await.cause, Some(Cause::Operator));
    bridge.finish().await;
}

#[tokio::test]
async fn what_a_server_leaves_behind_ends_with_it() {
    let folder = Nest::new();
    let mut bridge = Bridge::of(adapter(folder.path()), &["family"]);
    bridge.act("family", Action::Start).await.unwrap();
    bridge.power("family", Power::On).await;
    let child: i32 = fs::read_to_string(folder.path().join("child")).unwrap().trim().parse().unwrap();
    assert!(letter(child).is_some());
    kill(pid(folder.path(), "family"), Signal::KILL);
    bridge.power("family", Power::Crashed).await;
    becomes("the child is gone", || letter(child).is_none_or(|letter| letter == 'Z')).await;
    bridge.finish().await;
}

#[tokio::test]
async fn a_flood_of_output_stays_within_bounds() {
    let folder = Nest::new();
    let mut bridge = Bridge::of(adapter(folder.path()), &["flood"]);
    bridge.act("flood", Action::Start).await.unwrap();
    bridge.power("flood", Power::On).await;
    let log = folder.path().join("state/logs/flood.log");
    becomes("it is cut", || log.with_extension("cut").exists()).await;
    let mut largest = 0;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        largest = largest.max(fs::metadata(&log).unwrap().len());
    }
    bridge.act("flood", Action::HardOff).await.unwrap();
    bridge.power("flood", Power::Off).await;
    // Gigabytes a second on some machines, cut every 20 ms and more where the machine is busy.
    assert!(largest < 2 << 30, "{largest} bytes");
    becomes("the rest is cut too", || fs::metadata(&log).unwrap().len() <= 65_536).await;
    assert!(fs::metadata(log.with_extension("cut")).unwrap().len() <= 65_536 / 4);
    bridge.finish().await;
}

#[tokio::test]
async fn a_crash_between_start_and_record_never_makes_two() {
    let folder = Nest::new();
    let mut bridge = Bridge::of(adapter(folder.path()), &["immediate"]);
    bridge.act("immediate", Action::Start).await.unwrap();
    bridge.power("immediate", Power::On).await;
    let first = pid(folder.path(), "immediate");
    bridge.finish().await;
    fs::remove_file(folder.path().join("state/immediate.json")).unwrap();

    let mut bridge = Bridge::of(adapter(folder.path()), &["immediate"]);
    bridge.power("immediate", Power::On).await;
    let why = bridge.act("immediate", Action::Start).await.unwrap_err();
    assert!(matches!(&why, AdapterError::Refused(words) if words.contains(&first.to_string())), "{why:?}");
    bridge.act("immediate", Action::HardOff).await.unwrap();
    bridge.power("immediate", Power::Off).await;
    becomes("the first is gone", || letter(first).is_none()).await;
    bridge.finish().await;
}

#[tokio::test]
async fn a_reused_pid_is_not_taken_for_the_server() {
    let folder = Nest::new();
    fs::create_dir(folder.path().join("state")).unwrap();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let record = format!(
        r#"{{"run":{{"pid":{},"started":1,"boot":"{}","since_ms":0,"ready":true,"intent":null}}}}"#,
        std::process::id(),
        boot.trim()
    );
    fs::write(folder.path().join("state/plain.json"), record).unwrap();
    let mut bridge = Bridge::of(adapter(folder.path()), &["plain"]);
    assert_eq!(bridge.power("plain", Power::Off).await.detail, "ended while no bridge was running");
    bridge.finish().await;
}

#[tokio::test]
async fn one_folder_serves_one_bridge() {
    let folder = Nest::new();
    let first = adapter(folder.path());
    first.list().await.unwrap();
    let why = adapter(folder.path()).list().await.unwrap_err();
    assert!(matches!(&why, AdapterError::Unreachable(words) if words.contains("another bridge")), "{why:?}");
}

/// The other side of the next test: a bridge in a process of its own, which is then killed.
#[tokio::test]
#[ignore = "started by a_bridge_that_is_killed_takes_nothing_with_it, as another process"]
async fn as_a_bridge() {
    let folder = PathBuf::from(std::env::var_os("PRIMRACK_TEST_FOLDER").unwrap());
    // A listener that no server may inherit.
    let _listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut bridge = Bridge::of(adapter(&folder), &["plain", "immediate"]);
    for name in ["plain", "immediate"] {
        bridge.act(name, Action::Start).await.unwrap();
        bridge.power(name, Power::On).await;
    }
    bridge.act("immediate", Action::Pause).await.unwrap();
    bridge.power("immediate", Power::Paused).await;
    fs::write(folder.join("stands"), "").unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_bridge_that_is_killed_takes_nothing_with_it() {
    let folder = Nest::new();
    let mut other = Program::new(std::env::current_exe().unwrap())
        .args(["--exact", "as_a_bridge", "--ignored"])
        .env("PRIMRACK_TEST_FOLDER", folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    becomes("the other bridge stands", || folder.path().join("stands").exists()).await;
    other.kill().unwrap();
    other.wait().unwrap();
    for (name, letters) in [("plain", "SR"), ("immediate", "T")] {
        let pid = pid(folder.path(), name);
        assert!(letter(pid).is_some_and(|letter| letters.contains(letter)), "{name} is {:?}", letter(pid));
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).unwrap() {
            let to = fs::read_link(entry.unwrap().path()).unwrap();
            assert!(!to.to_string_lossy().starts_with("socket:"), "{name} inherited {}", to.display());
        }
    }
    let mut bridge = Bridge::of(adapter(folder.path()), &["plain", "immediate"]);
    bridge.power("immediate", Power::Paused).await;
    bridge.act("immediate", Action::Resume).await.unwrap();
    bridge.power("immediate", Power::On).await;
    bridge.act("immediate", Action::HardOff).await.unwrap();
    bridge.power("immediate", Power::Off).await;
    // Not our child any more: how it ended is not ours to know, that it ended is.
    kill(pid(folder.path(), "plain"), Signal::KILL);
    assert!(bridge.until("plain", |seen| seen.power == Power::Off).await.detail.contains("unknown"));
    bridge.finish().await;
}
