//! Machines that come and go at a backend, before the real program: libvirtd with its own test driver, which keeps
//! machines that are none. The region and its avatar are simulated, the rack script is the shipped one.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../../adapters/tests/libvirt/daemon.rs"]
mod daemon;
#[path = "mixed/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use daemon::Daemon;
use primrack_tests::{BridgeProcess, Room, WORLD, in_time, program, soon, until};
use serde_json::Value;
use tokio::process::Command;
use world::World;

const TEST: &str = "test:///default";

/// `primrack ARGUMENTS --json`: how it ended, and its lines.
async fn primrack(room: &Room, command: &str) -> (bool, Vec<Value>) {
    let output = Command::new(program())
        .args([command, "--json", "--control"])
        .arg(room.at("state/control.sock"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = soon("the command ends", output).await.unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    (output.status.success(), lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// The ids of all targets, with whether each is gone.
async fn targets(room: &Room) -> BTreeMap<String, bool> {
    let (well, lines) = primrack(room, "targets").await;
    assert!(well);
    lines.iter().map(|line| (line["id"].as_str().unwrap().to_owned(), !line["gone"].is_null())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines_that_come_and_go_at_libvirt_come_and_go_in_the_rack() {
    let daemon = Daemon::start();
    let config = format!(
        "{WORLD}
[backends.lab.driver]
relist_ms = 1000
[backends.lab.libvirt]
uri = '{TEST}'
socket = '{}'
[discover.lab]
backend = 'lab'
name = 'web-*'
[objects.rack-1]
units = {{ '1-3' = 'found:lab' }}
",
        daemon.socket().display()
    );
    let bridge = BridgeProcess::start(Room::new(&config, ["rack-1"])).await;
    let room = &bridge.room;
    let units = BTreeMap::from([(1, "web-1".to_owned()), (2, "web-2".to_owned()), (3, "web-3".to_owned())]);
    let world = World::start(bridge.address, &units).await;
    // The driver brings one machine of its own, which no rule wants.
    until("the backend has listed what it has", async || {
        let (well, drift) = primrack(room, "drift").await;
        assert!(!well || drift[0]["unknown"] == serde_json::json!([]), "{drift:?}");
        (drift[0]["unknown"] == serde_json::json!([["lab", "test"]])).then_some(())
    })
    .await;
    assert_eq!(targets(room).await, BTreeMap::new());

    // One appears, and is the rack's first unit.
    let machine = |name: &str| {
        format!(
            "<domain type='test'><name>{name}</name><memory unit='MiB'>8</memory><os><type>hvm</type></os></domain>"
        )
    };
    let mark = world.mark();
    daemon.define(TEST, &machine("web-1"));
    let defined = std::time::Instant::now();
    let seen = world.shows(mark, "web-1", &["Off"]).await;
    in_time("virsh define to the rack", seen.saturating_duration_since(defined), Duration::from_millis(2500));
    assert_eq!(targets(room).await, BTreeMap::from([("lab-web-1".to_owned(), false)]));
    let (_, lines) = primrack(room, "targets").await;
    assert_eq!((&lines[0]["rule"], &lines[0]["protected"]), (&"lab".into(), &true.into()), "{lines:?}");
    world.touch(1, "web-1", "Start", "Starting web-1").await;
    world.shows(mark, "web-1", &["On"]).await;
    assert!(daemon.virsh(TEST, &["domstate", "web-1"]).contains("running"));

    // Another one takes the next unit; the first stays where it is.
    daemon.define(TEST, &machine("web-2"));
    world.shows(mark, "web-2", &["Off"]).await;

    // The first goes: it stays there with what was last known of it, and is said to be gone.
    let mark = world.mark();
    daemon.virsh(TEST, &["destroy", "web-1"]);
    daemon.virsh(TEST, &["undefine", "web-1"]);
    until("web-1 is said to be gone", async || {
        let targets = targets(room).await;
        assert!(!targets["lab-web-2"]);
        targets["lab-web-1"].then_some(())
    })
    .await;
    world.shows(mark, "web-1", &["last known: Off", "last known: On", "last known: Unknown"]).await;
    let (well, drift) = primrack(room, "drift").await;
    assert!(!well, "there is drift");
    assert_eq!(drift[0]["missing"], serde_json::json!([["lab-web-1", "lab"]]), "{drift:?}");
    assert_eq!(drift[0]["silent"], serde_json::json!([]), "{drift:?}");

    // It comes back under its old name, to its old place.
    let mark = world.mark();
    daemon.define(TEST, &machine("web-1"));
    world.shows(mark, "web-1", &["Off"]).await;
    until("web-1 is gone no more", async || (!targets(room).await["lab-web-1"]).then_some(())).await;
    println!("kept in {}", world.keep("discovery.txt", "Machines that come and go at libvirt's test driver, which is a simulator; the region is simulated.").display());
    world.region.stop().await;
    let (room, _) = bridge.kill().await;
    assert_eq!(room.verify().fault, None);
}
