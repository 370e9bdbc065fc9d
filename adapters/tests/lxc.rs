//! Plain LXC, really run, in namespaces of its own.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "common/mod.rs"]
mod common;
#[path = "containers/mod.rs"]
mod containers;
#[path = "lxc/lab.rs"]
mod lab;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use common::{Bridge, Peer, Transcript, address, quality};
use lab::Lab;
use primrack_adapter_api::conformance::{Subject, check, compare};
use primrack_adapter_api::{Adapter, AdapterError, Console};
use primrack_adapters::lxc::{LxcAdapter, LxcConfig};
use primrack_model::{Action, Address, Cause, Power};

struct Plain(Lab);

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
        self.0.tool("lxc-stop", &["-k", "-n", "plain"]);
    }
}

#[tokio::test]
async fn keeps_the_conformance_suite_as_its_quality_file_says() {
    let transcript = Transcript::begin("lxc", "lxc", Peer::Real);
    let lab = Lab::new();
    lab.make("plain", "");
    let checked = check(&Plain(lab)).await.unwrap();
    compare(&quality(include_str!("../src/lxc/quality.toml")), &checked).unwrap();
    transcript.end(&Lab::version(), &checked);
}

#[tokio::test]
async fn what_happens_outside_is_told_with_its_cause() {
    let lab = Lab::new();
    lab.make("plain", "");
    lab.make("fails", "#!/bin/sh\nsleep 0.3\nexit 3\n");
    lab.make("deaf", "#!/bin/sh\ntrap '' TERM\necho CT-READY\nwhile :; do sleep 1; done\n");
    let names = ["plain", "fails", "deaf"];
    let mut bridge = Bridge::of(lab.adapter(), &names);
    for name in names {
        bridge.power(name, Power::Off).await;
    }
    let found = lab.adapter().list().await.unwrap();
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|found| found.tags == ["group=front"]), "{found:?}");

    let mut delays = Vec::new();
    for (tool, arguments, power) in [
        ("lxc-start", &["-d", "-n", "plain"][..], Power::On),
        ("lxc-freeze", &["-n", "plain"], Power::Paused),
        ("lxc-unfreeze", &["-n", "plain"], Power::On),
        ("lxc-stop", &["-k", "-n", "plain"], Power::Off),
    ] {
        lab.tool(tool, arguments);
        let returned = Instant::now();
        let seen = bridge.power("plain", power).await;
        let took = returned.elapsed();
        delays.push(took);
        common::figure::in_time(&format!("{tool} to {power:?}"), took, Duration::from_millis(500));
        // LXC tells nobody who it was.
        assert_eq!(seen.cause, None, "{seen:?}");
    }
    println!("seen after {delays:?}");

    bridge.act("fails", Action::Start).await.unwrap();
    let seen = bridge.power("fails", Power::Crashed).await;
    assert_eq!(
        (seen.cause, seen.detail.as_str()),
        (Some(Cause::Crash), "its first process ended with status 3")
    );

    // An operator's doing is told apart; and who is paused hears that it is to end.
    bridge.act("plain", Action::Start).await.unwrap();
    bridge.power("plain", Power::On).await;
    bridge.act("plain", Action::Pause).await.unwrap();
    bridge.power("plain", Power::Paused).await;
    bridge.act("plain", Action::SoftOff).await.unwrap();
    assert_eq!(bridge.power("plain", Power::Off).await.cause, Some(Cause::Operator));
    let Ok(Console::Text(text)) = lab.adapter().console(&address("plain")).await else {
        panic!("no console")
    };
    assert!(text.contains("CT-READY") && text.contains("CT-DOWN"), "{text}");

    // One that does not follow goes on, and shows so.
    bridge.act("deaf", Action::Start).await.unwrap();
    bridge.power("deaf", Power::On).await;
    bridge.act_within("deaf", Action::SoftOff, Duration::from_secs(1)).await.unwrap();
    bridge.act_within("deaf", Action::Reboot, Duration::from_secs(1)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(lab.adapter().observe(&address("deaf")).await.unwrap().power, Power::On);
    bridge.act("deaf", Action::HardOff).await.unwrap();
    assert_eq!(bridge.power("deaf", Power::Off).await.cause, Some(Cause::Operator));

    // What it says when it refuses is the reason.
    let why = bridge.act("plain", Action::Pause).await.unwrap_err();
    assert!(matches!(&why, AdapterError::Refused(words) if words.contains("does not run")), "{why:?}");
    fs::remove_dir_all(lab.path().join("plain/rootfs")).unwrap();
    let why = bridge.act("plain", Action::Start).await.unwrap_err();
    assert!(matches!(&why, AdapterError::Refused(words) if words.starts_with("lxc-start: ")), "{why:?}");
    bridge.finish().await;
}

#[tokio::test]
async fn a_monitor_that_is_killed_is_missed_at_once_and_found_again() {
    let lab = Lab::new();
    lab.make("plain", "");
    lab.tool("lxc-start", &["-d", "-n", "plain"]);
    let mut bridge = Bridge::of(lab.adapter(), &["plain"]);
    bridge.power("plain", Power::On).await;
    // It is there when its listener is, which takes a moment.
    let killed = async {
        while !lab.den.command("pkill").args(["-KILL", "lxc-monitord"]).status().unwrap().success() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(common::PATIENCE, killed).await.unwrap();
    bridge.until("plain", |seen| seen.power == Power::Unknown).await;
    bridge.power("plain", Power::On).await;
    // And tells again.
    bridge.connected(true).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    lab.tool("lxc-stop", &["-k", "-n", "plain"]);
    bridge.power("plain", Power::Off).await;
    bridge.finish().await;
}

/// LXC's programs played by a script: `$1` is the tool.
fn played(folder: &Path, script: &str) -> LxcAdapter {
    let file = folder.join("tool");
    fs::write(&file, format!("#!/bin/sh\ncd {}\n{script}", folder.display())).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    let with = vec![file.display().to_string()];
    LxcConfig { with, answer_ms: Some(2000), ..LxcConfig::default() }.build().unwrap()
}

#[tokio::test]
async fn programs_that_hang_for_half_a_minute_say_nothing_and_then_the_truth() {
    let folder = tempfile::tempdir().unwrap();
    let adapter = played(
        folder.path(),
        "[ -e hangs ] && [ $1 != lxc-monitor ] && sleep 31\ncase $1 in\nlxc-ls) echo NAME STATE GROUPS; echo c7 RUNNING - ;;\n\
         lxc-info) echo State: RUNNING ;;\nlxc-monitor) echo \"'c7' changed state to [RUNNING]\"; sleep 5; touch hangs; \
         echo \"'c7' changed state to [FROZEN]\"; exec sleep 100 ;;\nesac\n",
    );
    let mut bridge = Bridge::of(adapter, &["c7"]);
    bridge.power("c7", Power::On).await;
    let seen = bridge.power("c7", Power::Unknown).await;
    assert!(seen.detail.contains("no answer within"), "{seen:?}");
    fs::remove_file(folder.path().join("hangs")).unwrap();
    bridge.power("c7", Power::On).await;
    bridge.finish().await;
}

#[tokio::test]
async fn five_thousand_are_listed_and_a_storm_of_events_is_weathered() {
    let folder = tempfile::tempdir().unwrap();
    let adapter = played(
        folder.path(),
        "case $1 in\nlxc-ls) echo NAME STATE GROUPS; seq -f 'c%g RUNNING a,b' 0 4999 ;;\nlxc-info) echo State: FROZEN ;;\n\
         lxc-monitor) seq 10000 | sed \"s/.*/'c7' changed state to [FROZEN]/\"; exec sleep 100 ;;\nesac\n",
    );
    let mut bridge = Bridge::of(adapter, &["c7"]);
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
async fn half_an_answer_nonsense_and_no_right_say_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for (script, words) in [
        ("echo Name: c7; printf Sta", "not understood"),
        ("echo 'sudo: a password is required' >&2; exit 1", "a password is required"),
        ("yes", "longer than"),
        ("kill -9 $$", "lxc-info"),
    ] {
        let adapter = played(folder.path(), script);
        let why = adapter.observe(&address("c7")).await.unwrap_err();
        assert!(matches!(&why, AdapterError::Unreachable(said) if said.contains(words)), "{script}: {why:?}");
        let why = adapter.list().await.map(drop).unwrap_err();
        assert!(matches!(why, AdapterError::Unreachable(_)), "{script}: {why:?}");
        if script == "yes" {
            // Lines without a meaning, for ever: a listener passes over them.
            continue;
        }
        let (hints, _ear) = tokio::sync::mpsc::channel(16);
        let why = tokio::time::timeout(common::PATIENCE, adapter.listen(hints)).await.unwrap();
        assert!(matches!(why, AdapterError::Unreachable(_)), "{script}: {why:?}");
    }
    let adapter = played(folder.path(), "echo \"nope doesn't exist\"; exit 1");
    for name in ["nope", "../etc", "-n", ""] {
        let why = adapter.observe(&address(name)).await.unwrap_err();
        assert!(matches!(why, AdapterError::NotFound(_)), "{name}: {why:?}");
    }
}
