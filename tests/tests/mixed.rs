//! One rack that mixes many technologies: each unit is touched in the region by an avatar and comes up, then each is
//! changed from outside by the technology's own tool, and the world shows it. The program is the real one, the script
//! is the shipped one; the region and its avatar are simulated, and what stands behind each unit is said in the
//! transcript.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../../adapters/tests/bmc/mod.rs"]
mod bmc;
#[path = "../../adapters/tests/systemd/container.rs"]
mod container;
#[path = "../../adapters/tests/containers/mod.rs"]
mod containers;
#[path = "../../adapters/tests/libvirt/daemon.rs"]
mod daemon;
#[path = "../../adapters/tests/containers/engine.rs"]
mod engine;
#[path = "../../adapters/tests/proxmox/fake.rs"]
mod fake;
#[path = "../../adapters/tests/uml/image.rs"]
mod image;
#[path = "mixed/kept.rs"]
mod kept;
#[path = "../../adapters/tests/lxd/server.rs"]
mod lxd;
#[path = "../../adapters/tests/libvirt/machines.rs"]
mod machines;
#[path = "mixed/peers.rs"]
mod peers;
#[path = "../../adapters/tests/ssh/server.rs"]
mod server;
#[path = "../../adapters/tests/bmc/sushy.rs"]
mod sushy;
#[path = "../../adapters/tests/vsphere/vcsim.rs"]
mod vcsim;
#[path = "mixed/world.rs"]
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use peers::Machine;
use primrack_engine::journal::Entry;
use primrack_model::Outcome;
use primrack_tests::{BridgeProcess, Room, WORLD, in_time};
use world::World;

fn config(machines: &[Machine]) -> String {
    let mut config = WORLD.to_owned() + "[engine]\nstart_deadline_ms = 100000\n";
    let mut units = String::new();
    for (unit, Machine { name, address, table, technology, pushes, .. }) in (1..).zip(machines) {
        // What pushes its events is not asked within the test: what is seen of it was told by an event.
        let driver = if *pushes {
            "safety_poll_ms = 3600000\nrelist_ms = 3600000"
        } else {
            "poll_ms = 500\nfollow_ms = 250"
        };
        write!(
            config,
            "[backends.{name}.driver]\n{driver}\n[backends.{name}.{technology}]\n{table}\
             [targets.{name}]\nbackend = '{name}'\naddress = '{address}'\n"
        )
        .unwrap();
        write!(units, "{unit} = '{name}', ").unwrap();
    }
    config + &format!("[objects.rack-1]\nunits = {{ {} }}\n", units.trim_end_matches(", "))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rack_of_many_technologies_is_touched_and_changed_from_outside() {
    let begun = Instant::now();
    let room = Room::new("", ["rack-1"]);
    let (peers, machines) = peers::start(&room).await;
    let technologies: BTreeSet<&str> = machines.iter().map(|machine| machine.technology).collect();
    assert!(technologies.len() >= 10, "{technologies:?}");
    std::fs::write(room.config(), config(&machines)).unwrap();
    println!("all {} peers are up after {:?}", machines.len(), begun.elapsed());

    let bridge = BridgeProcess::start(room).await;
    let units: BTreeMap<u8, String> =
        (1..).zip(&machines).map(|(unit, machine)| (unit, machine.name.to_owned())).collect();
    let world = World::start(bridge.address, &units).await;
    for machine in &machines {
        world.shows(0, machine.name, &["Off"]).await;
    }
    println!("the rack shows all of them off after {:?}", begun.elapsed());

    // Each is touched; nobody waits for the one before.
    let mark = world.mark();
    for (unit, name) in &units {
        let took = world.touch(*unit, name, "Start", &format!("Starting {name}")).await;
        // A menu holds its script for a second, and who chooses meanwhile waits for that.
        in_time(&format!("{name}: choice to receipt in chat"), took, Duration::from_millis(1150));
    }
    for name in units.values() {
        world.shows(mark, name, &["On"]).await;
        // Only the newest state is pushed, so who is up within the pace of pushes is never told as Starting.
        let words = world.words(mark, name);
        assert!(words == ["On"] || words == ["Starting", "On"], "{name}: {words:?}");
    }
    for slow in ["qemu", "uml"] {
        assert_eq!(world.words(mark, slow), ["Starting", "On"], "{slow} boots");
    }
    println!("all are on after {:?}", begun.elapsed());

    let mut said = format!(
        "A rack of {} units and {} technologies.\nReal: the program, the rack script, and behind the units:\n",
        machines.len(),
        technologies.len()
    );
    let mut delays = String::new();
    for Machine { name, is, pushes, outside: (tool, word), act, .. } in machines {
        writeln!(said, "  {name}: {is}").unwrap();
        let mark = world.mark();
        world.note(name, format!("outside: {tool}"));
        tokio::task::block_in_place(|| act(&bridge.room));
        let returned = Instant::now();
        let seen = world.shows(mark, name, &[word]).await;
        let took = seen.saturating_duration_since(returned);
        let how = if pushes { "told by an event" } else { "asked twice a second" };
        writeln!(delays, "  {name}: {tool}: {word} after {:.0} ms ({how})", took.as_secs_f64() * 1e3)
            .unwrap();
        if pushes {
            in_time(&format!("{name}: {tool} to {word} in the world"), took, Duration::from_millis(500));
        }
    }
    write!(
        said,
        "Simulated: the region and its avatar, and what says so above.\nFrom the return of the tool to the unit:\n\
         {delays}The whole took {:.1} s.\n",
        begun.elapsed().as_secs_f64()
    )
    .unwrap();
    let path = world.keep("mixed.txt", &said);
    println!("{said}(kept in {})", path.display());

    world.region.stop().await;
    let (room, _) = bridge.kill().await;
    let report = room.verify();
    assert_eq!((report.fault, report.unfinished), (None, 0));
    let done = |entry: &&Entry| matches!(entry, Entry::Ended { outcome: Outcome::Done, .. });
    assert_eq!(room.entries().iter().filter(done).count(), units.len());
    drop(peers);
}
