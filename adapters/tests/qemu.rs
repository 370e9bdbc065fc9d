//! Virtual machines, really booted: QEMU, and the guest that `cargo xtask guest` makes.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::{Bridge, Nest, Peer, Transcript, address, quality};
use primrack_adapter_api::conformance::{Subject, check, compare};
use primrack_adapter_api::{Adapter, AdapterError, Console};
use primrack_adapters::qemu::{DiskConfig, QemuAdapter, QemuConfig};
use primrack_model::{Action, Address, Cause, Power};
use rustix::process::{Pid, Signal, kill_process};

fn guest() -> PathBuf {
    let folder = std::env::var_os("PRIMRACK_GUEST_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target/guest"),
        PathBuf::from,
    );
    assert!(
        folder.join("vmlinuz").is_file() && folder.join("initrd").is_file(),
        "no guest in {}: run `cargo xtask guest` first, or name its folder in PRIMRACK_GUEST_DIR",
        folder.display()
    );
    folder
}

/// Machines for every occasion, under TCG so that each test means the same everywhere.
fn config(nest: &Nest) -> QemuConfig {
    let guest = guest();
    let mut text = format!("state_dir = '{}/s'\naccel = 'tcg'\n", nest.path().display());
    for (name, words) in [
        ("plain", ""),
        ("hung", "primrack.hang"),
        ("leaves", "primrack.poweroff=1"),
        ("panics", "primrack.panic=1"),
    ] {
        text += &format!(
            "[machines.{name}]\nmemory_mib = 96\nkernel = '{0}/vmlinuz'\ninitrd = '{0}/initrd'\n\
             append = 'console=ttyS0 quiet panic=-1 {words}'\nready = {{ line = 'GUEST-READY' }}\n",
            guest.display()
        );
    }
    toml::from_str(&text).unwrap()
}

fn adapter(nest: &Nest) -> QemuAdapter {
    config(nest).build().unwrap()
}

/// The pid in a machine's record.
fn pid(nest: &Nest, name: &str) -> Pid {
    let text = fs::read_to_string(nest.path().join(format!("s/{name}.json"))).unwrap();
    let record: serde_json::Value = serde_json::from_str(&text).unwrap();
    Pid::from_raw(i32::try_from(record["run"]["pid"].as_i64().unwrap()).unwrap()).unwrap()
}

/// How many processes bear the mark of a machine.
fn processes(nest: &Nest, name: &str) -> usize {
    let mark = format!("PRIMRACK_MACHINE={}/s/{name}", nest.path().canonicalize().unwrap().display());
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| fs::read(entry.path().join("environ")).ok())
        .filter(|environment| environment.split(|byte| *byte == 0).any(|pair| pair == mark.as_bytes()))
        .count()
}

fn tool(program: &str, args: &[&str]) -> String {
    let out = std::process::Command::new(program).args(args).output().unwrap();
    assert!(out.status.success(), "{program}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// The last number that the guest counted to on its console.
fn ticks(nest: &Nest, name: &str) -> u32 {
    let log = fs::read(nest.path().join(format!("s/logs/{name}.log"))).unwrap();
    let log = String::from_utf8_lossy(&log);
    log.lines().filter_map(|line| line.strip_prefix("GUEST-TICK ")?.trim().parse().ok()).max().unwrap_or(0)
}

async fn ticks_beyond(nest: &Nest, name: &str, count: u32) {
    let waiting = async {
        while ticks(nest, name) <= count {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("the guest goes on counting");
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
        Duration::from_secs(90)
    }
    async fn kill_from_outside(&self) {
        kill_process(pid(&self.0, "plain"), Signal::KILL).unwrap();
    }
}

#[tokio::test]
async fn keeps_the_conformance_suite_as_its_quality_file_says() {
    let transcript = Transcript::begin("qemu", "qemu", Peer::Real);
    let checked = check(&Plain(Nest::new())).await.unwrap();
    compare(&quality(include_str!("../src/qemu/quality.toml")), &checked).unwrap();
    let version = std::process::Command::new("qemu-system-x86_64").arg("--version").output().unwrap();
    let version = String::from_utf8_lossy(&version.stdout);
    let version = version.lines().next().unwrap_or_default();
    transcript.end(&format!("{version}, TCG, Linux guest"), &checked);
}

#[tokio::test]
async fn a_guest_that_powers_itself_off_is_off_by_itself() {
    let nest = Nest::new();
    let mut bridge = Bridge::of(adapter(&nest), &["leaves"]);
    bridge.act("leaves", Action::Start).await.unwrap();
    bridge.power("leaves", Power::Starting).await;
    bridge.power("leaves", Power::On).await;
    assert_eq!(bridge.power("leaves", Power::Off).await.cause, Some(Cause::Guest));
    assert_eq!(processes(&nest, "leaves"), 0);
    bridge.finish().await;
}

#[tokio::test]
async fn a_guest_whose_kernel_panics_is_crashed() {
    let nest = Nest::new();
    let mut bridge = Bridge::of(adapter(&nest), &["panics"]);
    bridge.act("panics", Action::Start).await.unwrap();
    let seen = bridge.power("panics", Power::Crashed).await;
    assert_eq!((seen.cause, seen.detail.as_str()), (Some(Cause::Crash), "the guest's kernel panicked"));
    bridge.finish().await;
}

/// Speaks QMP, says what a QEMU says whose guest panics, and never ends.
const NEVER_ENDS: &str = r#"#!/usr/bin/env python3
import json, re, socket, sys, time
path = next(re.search("path=(.*)", word)[1] for word in sys.argv if word.startswith("socket,id=primrack"))
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()
line = listener.accept()[0].makefile("rw")
def say(**what):
    line.write(json.dumps(what) + "\n")
    line.flush()
version = {"qemu": {"micro": 0, "minor": 2, "major": 7}, "package": ""}
say(QMP={"version": version, "capabilities": []})
for text in line:
    asked = json.loads(text)
    status = asked["execute"] == "query-status"
    say(**{"return": {"status": "running", "running": True, "singlestep": False} if status else {}, "id": asked.get("id")})
    if status:
        break
now = {"seconds": 0, "microseconds": 0}
for action in "pause", "poweroff":
    say(event="GUEST_PANICKED", timestamp=now, data={"action": action})
say(event="SHUTDOWN", timestamp=now, data={"guest": True, "reason": "guest-panic"})
if line.readline():
    sys.exit("asked once more before its time")
"#;

#[tokio::test]
async fn a_qemu_that_hangs_at_its_end_is_ended_and_the_end_told_at_once() {
    let nest = Nest::new();
    let program = nest.path().join("qemu-system-x86_64");
    fs::write(&program, NEVER_ENDS).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let text = format!(
        "state_dir = '{}/s'\naccel = 'tcg'\nprogram = '{}'\n[machines.panics]\nmemory_mib = 96\n",
        nest.path().display(),
        program.display()
    );
    let adapter = toml::from_str::<QemuConfig>(&text).unwrap().build().unwrap();
    let mut bridge = Bridge::of(adapter, &["panics"]);
    bridge.act("panics", Action::Start).await.unwrap();
    assert_eq!(bridge.power("panics", Power::Crashed).await.detail, "the guest's kernel panicked");
    // Gone, or it could not be started again.
    let again = async {
        while bridge.act("panics", Action::Start).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), again).await.unwrap();
    bridge.act("panics", Action::HardOff).await.unwrap();
    bridge.finish().await;
}

#[tokio::test]
async fn a_hung_guest_ignores_the_button_and_falls_to_a_hard_off() {
    let nest = Nest::new();
    let mut bridge = Bridge::of(adapter(&nest), &["hung"]);
    bridge.act("hung", Action::Start).await.unwrap();
    bridge.power("hung", Power::On).await;
    bridge.act_within("hung", Action::SoftOff, Duration::from_secs(2)).await.unwrap();
    bridge.power("hung", Power::Stopping).await;
    assert_eq!(bridge.power("hung", Power::On).await.detail, "asked to end, goes on");
    bridge.act("hung", Action::HardOff).await.unwrap();
    assert_eq!(bridge.power("hung", Power::Off).await.cause, Some(Cause::Operator));
    bridge.finish().await;
}

#[tokio::test]
async fn an_end_from_outside_is_told_apart() {
    let nest = Nest::new();
    let mut bridge = Bridge::of(adapter(&nest), &["plain"]);
    bridge.act("plain", Action::Start).await.unwrap();
    bridge.power("plain", Power::On).await;
    kill_process(pid(&nest, "plain"), Signal::KILL).unwrap();
    assert_eq!(bridge.power("plain", Power::Crashed).await.detail, "QEMU was killed by signal 9");

    bridge.act("plain", Action::Start).await.unwrap();
    bridge.power("plain", Power::On).await;
    kill_process(pid(&nest, "plain"), Signal::TERM).unwrap();
    assert_eq!(bridge.power("plain", Power::Off).await.cause, Some(Cause::Host));

    // Somebody with a tool of their own, on the second socket.
    bridge.act("plain", Action::Start).await.unwrap();
    bridge.power("plain", Power::On).await;
    let mut socket = UnixStream::connect(nest.path().join("s/plain.operator.qmp")).unwrap();
    let mut greeting = String::new();
    BufReader::new(&socket).read_line(&mut greeting).unwrap();
    assert!(greeting.contains("\"QMP\""), "{greeting}");
    socket.write_all(b"{\"execute\":\"qmp_capabilities\"}\n{\"execute\":\"stop\"}\n").unwrap();
    bridge.power("plain", Power::Paused).await;
    socket.write_all(b"{\"execute\":\"quit\"}\n").unwrap();
    assert_eq!(bridge.power("plain", Power::Off).await.detail, "by QEMU's monitor");
    bridge.finish().await;
}

#[tokio::test]
async fn a_restarted_bridge_finds_a_booting_machine_without_its_record_and_never_makes_two() {
    let nest = Nest::new();
    let mut bridge = Bridge::of(adapter(&nest), &["plain"]);
    bridge.act("plain", Action::Start).await.unwrap();
    bridge.power("plain", Power::Starting).await;
    let first = pid(&nest, "plain");
    bridge.finish().await;
    // As if the bridge had died between the start and the record.
    fs::remove_file(nest.path().join("s/plain.json")).unwrap();

    let mut bridge = Bridge::of(adapter(&nest), &["plain"]);
    bridge.power("plain", Power::Starting).await;
    let why = bridge.act("plain", Action::Start).await.unwrap_err();
    let words = first.as_raw_nonzero().to_string();
    assert!(matches!(&why, AdapterError::Refused(said) if said.contains(&words)), "{why:?}");
    bridge.power("plain", Power::On).await;
    assert_eq!(processes(&nest, "plain"), 1);
    bridge.act("plain", Action::SoftOff).await.unwrap();
    bridge.power("plain", Power::Off).await;
    bridge.finish().await;
}

#[tokio::test]
async fn a_machine_whose_socket_was_deleted_is_unknown_and_still_falls_to_a_hard_off() {
    let nest = Nest::new();
    let mut bridge = Bridge::of(adapter(&nest), &["plain"]);
    bridge.act("plain", Action::Start).await.unwrap();
    bridge.power("plain", Power::On).await;
    fs::remove_file(nest.path().join("s/plain.qmp")).unwrap();
    bridge.act("plain", Action::Pause).await.expect("the connection that stands goes on");
    bridge.power("plain", Power::Paused).await;
    bridge.finish().await;

    let mut bridge = Bridge::of(adapter(&nest), &["plain"]);
    let why = bridge.act("plain", Action::Resume).await.unwrap_err();
    assert!(matches!(why, AdapterError::Refused(_) | AdapterError::Unreachable(_)), "{why:?}");
    bridge.act("plain", Action::HardOff).await.unwrap();
    bridge.power("plain", Power::Off).await;
    assert_eq!(processes(&nest, "plain"), 0);
    bridge.finish().await;
}

#[tokio::test]
async fn a_qemu_that_hangs_itself_falls_to_a_hard_off() {
    let nest = Nest::new();
    let mut bridge = Bridge::of(adapter(&nest), &["plain"]);
    bridge.act("plain", Action::Start).await.unwrap();
    bridge.power("plain", Power::On).await;
    kill_process(pid(&nest, "plain"), Signal::STOP).unwrap();
    let why = bridge.act("plain", Action::Pause).await.unwrap_err();
    assert!(matches!(why, AdapterError::TimedOut(_)), "{why:?}");
    bridge.act("plain", Action::HardOff).await.unwrap();
    bridge.power("plain", Power::Off).await;
    assert_eq!(processes(&nest, "plain"), 0);
    bridge.finish().await;
}

#[tokio::test]
async fn what_was_saved_goes_on_where_it_was() {
    let nest = Nest::new();
    let mut bridge = Bridge::of(adapter(&nest), &["plain"]);
    bridge.act("plain", Action::Start).await.unwrap();
    bridge.power("plain", Power::On).await;
    ticks_beyond(&nest, "plain", 2).await;
    bridge.act("plain", Action::Save).await.unwrap();
    bridge.power("plain", Power::Saved).await;
    let counted = ticks(&nest, "plain");
    assert!(nest.path().join("s/plain.saved").is_file());
    assert_eq!(processes(&nest, "plain"), 0);
    let why = bridge.act("plain", Action::Start).await.unwrap_err();
    assert!(matches!(&why, AdapterError::Refused(words) if words.contains("restore it")), "{why:?}");
    bridge.finish().await;

    let mut bridge = Bridge::of(adapter(&nest), &["plain"]);
    bridge.power("plain", Power::Saved).await;
    bridge.act("plain", Action::Restore).await.unwrap();
    bridge.power("plain", Power::On).await;
    ticks_beyond(&nest, "plain", counted).await;
    assert!(ticks(&nest, "plain") < counted + 5, "it did not boot anew");
    assert!(!nest.path().join("s/plain.saved").exists());
    bridge.act("plain", Action::HardOff).await.unwrap();
    bridge.power("plain", Power::Off).await;
    bridge.finish().await;
}

#[tokio::test]
async fn snapshots_clones_consoles_and_what_may_be_deleted() {
    let nest = Nest::new();
    let disk = nest.path().join("mine.qcow2");
    let path = disk.to_str().unwrap();
    tool("qemu-img", &["create", "-q", "-f", "qcow2", path, "64M"]);
    let mut config = config(&nest);
    let mut kept = config.machines["plain"].clone();
    kept.disks = toml::from_str::<BTreeMap<String, Vec<DiskConfig>>>(&format!(
        "disks = [{{ file = '{path}', format = 'qcow2' }}]"
    ))
    .unwrap()
    .remove("disks")
    .unwrap();
    kept.args = vec!["-vga".to_owned(), "std".to_owned()];
    config.machines.insert("kept".to_owned(), kept);
    let make = || config.clone().build().unwrap();
    let can = |adapter: &QemuAdapter, name: &str, action| adapter.capabilities(&address(name)).can(action);
    let adapter = make();
    assert!(can(&adapter, "kept", Action::Snapshot) && !can(&adapter, "kept", Action::Delete));
    assert!(!can(&adapter, "plain", Action::Revert) && !can(&adapter, "plain", Action::Migrate));

    let mut bridge = Bridge::of(adapter, &["kept"]);
    let refused = |why: AdapterError, words: &str| assert!(why.to_string().contains(words), "{why}");
    refused(bridge.act("kept", Action::Revert).await.unwrap_err(), "has no snapshot of ours");
    bridge.act("kept", Action::Snapshot).await.unwrap();
    bridge.act("kept", Action::Start).await.unwrap();
    bridge.power("kept", Power::On).await;
    refused(bridge.act("kept", Action::Revert).await.unwrap_err(), "was taken while it was off");

    // With its memory: it goes on where it was, and does not boot.
    ticks_beyond(&nest, "kept", 1).await;
    bridge.act("kept", Action::Snapshot).await.unwrap();
    let counted = ticks(&nest, "kept");
    ticks_beyond(&nest, "kept", counted + 3).await;
    let log = nest.path().join("s/logs/kept.log");
    let written = fs::metadata(&log).unwrap().len();
    bridge.act("kept", Action::Revert).await.unwrap();
    let earlier = async {
        loop {
            let text = fs::read(&log).unwrap();
            let text = String::from_utf8_lossy(&text[usize::try_from(written).unwrap()..]).into_owned();
            if let Some(tick) =
                text.lines().find_map(|line| line.strip_prefix("GUEST-TICK ")?.trim().parse::<u32>().ok())
                && tick <= counted + 2
            {
                break text;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let text = tokio::time::timeout(Duration::from_secs(60), earlier).await.expect("it counts from before");
    assert!(!text.contains("GUEST-READY"), "it did not boot anew: {text}");
    bridge.power("kept", Power::On).await;

    // Its screen, and the serial line of one without a screen.
    bridge.finish().await;
    let adapter = make();
    adapter.list().await.unwrap();
    let screen = async {
        loop {
            match adapter.console(&address("kept")).await.unwrap() {
                Console::Png(png) => break png,
                Console::Text(text) => assert!(text.contains("GUEST-READY")),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let png = tokio::time::timeout(Duration::from_secs(30), screen).await.expect("a picture");
    let picture = png::Decoder::new(std::io::Cursor::new(&png)).read_info().unwrap().info().size();
    assert!(picture.0 >= 640 && picture.1 >= 400, "{picture:?}");
    assert!(!nest.path().join("s/kept.screen").exists());
    assert!(
        matches!(adapter.console(&address("plain")).await.unwrap(), Console::Text(text) if text.is_empty())
    );

    // A clone is a machine like the others, also for the next bridge; the original is untouched.
    let mut bridge = Bridge::of(adapter, &["kept"]);
    refused(bridge.act("kept", Action::Clone).await.unwrap_err(), "shut it down first");
    bridge.act("kept", Action::HardOff).await.unwrap();
    bridge.power("kept", Power::Off).await;
    bridge.act("kept", Action::Clone).await.unwrap();
    refused(bridge.act("kept", Action::Delete).await.unwrap_err(), "is in the configuration");
    bridge.finish().await;
    let adapter = make();
    let found = adapter.list().await.unwrap();
    assert!(found.iter().any(|found| found.address == address("kept-clone-1")), "{found:?}");
    assert!(can(&adapter, "kept-clone-1", Action::Delete));
    let copy = nest.path().join("s/clones/kept-clone-1.0.qcow2");
    let info = tool("qemu-img", &["info", copy.to_str().unwrap()]);
    assert!(!info.contains("backing file"), "{info}");
    let mut bridge = Bridge::of(adapter, &["kept-clone-1"]);
    bridge.act("kept-clone-1", Action::Start).await.unwrap();
    bridge.power("kept-clone-1", Power::On).await;
    refused(bridge.act("kept-clone-1", Action::Delete).await.unwrap_err(), "is not off");
    bridge.act("kept-clone-1", Action::HardOff).await.unwrap();
    bridge.power("kept-clone-1", Power::Off).await;
    bridge.act("kept-clone-1", Action::Delete).await.unwrap();
    let why = bridge.act("kept-clone-1", Action::Start).await.unwrap_err();
    assert!(matches!(why, AdapterError::NotFound(_)), "{why:?}");
    bridge.finish().await;
    assert!(fs::read_dir(nest.path().join("s/clones")).unwrap().next().is_none(), "nothing is left of it");
    assert!(!nest.path().join("s/logs/kept-clone-1.log").exists() && disk.exists());
}
