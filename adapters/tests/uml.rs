//! User-mode Linux, really booted, with a root of busybox that the test makes.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "common/mod.rs"]
mod common;
#[path = "uml/image.rs"]
mod image;

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use common::{Bridge, Nest, PATIENCE, Peer, Transcript, address, quality};
use primrack_adapter_api::conformance::{Subject, check, compare};
use primrack_adapter_api::{Adapter, AdapterError, Console};
use primrack_adapters::uml::{UmlAdapter, UmlConfig};
use primrack_model::{Action, Address, Cause, Power};
use rustix::process::{Pid, Signal, kill_process};

fn nest() -> Nest {
    let nest = Nest::new();
    image::image(nest.path());
    nest
}

fn adapter(nest: &Nest) -> UmlAdapter {
    let folder = nest.path().display();
    let mut text = format!("state_dir = '{folder}/s'\n");
    for (name, word) in [
        ("plain", ""),
        ("panics", "primrack.panic"),
        ("leaves", "primrack.poweroff"),
        ("deaf", "primrack.deaf"),
    ] {
        text += &format!(
            "[machines.{name}]\nmemory_mib = 48\ndisks = ['{folder}/root.ext2']\n\
             arguments = ['root=/dev/ubda', 'rw', 'quiet', 'init=/sbin/init', '{word}']\n\
             ready = {{ line = 'GUEST-READY' }}\n"
        );
    }
    toml::from_str::<UmlConfig>(&text).unwrap().build().unwrap()
}

fn pid(nest: &Nest, name: &str) -> Pid {
    let text = fs::read_to_string(nest.path().join(format!("s/{name}.json"))).unwrap();
    let record: serde_json::Value = serde_json::from_str(&text).unwrap();
    Pid::from_raw(i32::try_from(record["run"]["pid"].as_i64().unwrap()).unwrap()).unwrap()
}

fn ticks(nest: &Nest, name: &str) -> usize {
    let log = fs::read(nest.path().join(format!("s/logs/{name}.log"))).unwrap();
    String::from_utf8_lossy(&log).lines().filter(|line| line.starts_with("GUEST-TICK")).count()
}

async fn ticks_beyond(nest: &Nest, name: &str, count: usize) {
    let waiting = async {
        while ticks(nest, name) <= count {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("the guest goes on counting");
}

struct Plain(Nest);

#[async_trait]
impl Subject for Plain {
    fn make(&self) -> Arc<dyn Adapter> {
        Arc::new(adapter(&self.0))
    }
    fn address(&self) -> Address {
        address("plain")
    }
    fn patience(&self) -> Duration {
        PATIENCE
    }
    async fn kill_from_outside(&self) {
        kill_process(pid(&self.0, "plain"), Signal::KILL).unwrap();
    }
}

#[tokio::test]
async fn keeps_the_conformance_suite_as_its_quality_file_says() {
    let transcript = Transcript::begin("uml", "uml", Peer::Real);
    let checked = check(&Plain(nest())).await.unwrap();
    compare(&quality(include_str!("../src/uml/quality.toml")), &checked).unwrap();
    let version = Command::new("linux.uml").arg("--version").output().unwrap();
    let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
    transcript.end(&format!("linux.uml {version}"), &checked);
}

#[tokio::test]
async fn a_guest_ends_in_its_own_ways() {
    let nest = nest();
    let mut bridge = Bridge::of(adapter(&nest), &["panics", "leaves", "deaf"]);
    for name in ["panics", "leaves", "deaf"] {
        bridge.act(name, Action::Start).await.unwrap();
        let seen = bridge.until(name, |seen| matches!(seen.power, Power::On | Power::Crashed)).await;
        let log = fs::read(nest.path().join(format!("s/logs/{name}.log"))).unwrap();
        assert_eq!(seen.power, Power::On, "{name}: {seen:?}: {}", String::from_utf8_lossy(&log));
    }
    bridge.act_within("deaf", Action::SoftOff, Duration::from_secs(2)).await.unwrap();
    bridge.power("deaf", Power::Stopping).await;
    assert_eq!(bridge.power("deaf", Power::On).await.detail, "asked to end, goes on");
    bridge.act("deaf", Action::HardOff).await.unwrap();
    assert_eq!(bridge.power("deaf", Power::Off).await.cause, Some(Cause::Operator));
    bridge.finish().await;

    // What they did meanwhile is in their records.
    let mut bridge = Bridge::of(adapter(&nest), &["panics", "leaves"]);
    let seen = bridge.until("panics", |seen| seen.power == Power::Crashed).await;
    assert_eq!((seen.cause, seen.detail.as_str()), (Some(Cause::Crash), "its kernel panicked"));
    assert_eq!(bridge.power("leaves", Power::Off).await.cause, Some(Cause::Guest));
    bridge.finish().await;
}

#[tokio::test]
async fn a_held_guest_stands_still_also_for_the_next_bridge() {
    let nest = nest();
    let mut bridge = Bridge::of(adapter(&nest), &["plain"]);
    let why = bridge.act("plain", Action::Pause).await.unwrap_err();
    assert!(matches!(why, AdapterError::Refused(_)), "{why:?}");
    let began = Instant::now();
    bridge.act("plain", Action::Start).await.unwrap();
    bridge.power("plain", Power::On).await;
    println!("User-mode Linux: on {:?} after its start", began.elapsed());
    ticks_beyond(&nest, "plain", 0).await;
    bridge.act("plain", Action::Pause).await.unwrap();
    bridge.power("plain", Power::Paused).await;
    bridge.finish().await;
    let held = ticks(&nest, "plain");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(ticks(&nest, "plain") <= held + 1, "it stands still");

    let again = adapter(&nest);
    let Console::Text(text) = again.console(&address("plain")).await.unwrap() else {
        panic!("it has no screen")
    };
    assert!(text.contains("GUEST-READY"), "{text}");
    let mut bridge = Bridge::of(again, &["plain"]);
    bridge.power("plain", Power::Paused).await;
    // It ends in its own way, although it was held.
    bridge.act("plain", Action::SoftOff).await.unwrap();
    let seen = bridge.until("plain", |seen| seen.power == Power::Off).await;
    assert_eq!(seen.cause, Some(Cause::Operator), "{seen:?}");
    let log = fs::read_to_string(nest.path().join("s/logs/plain.log")).unwrap();
    assert!(log.contains("GUEST-DOWN"), "{log}");
    bridge.finish().await;
}
