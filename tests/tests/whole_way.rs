//! The whole way of the data once, on a real virtual machine: a rack registers, an avatar touches, the
//! bridge decides and journals, QEMU boots a guest, and the rack is told by signed pushes.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::time::{Duration, Instant};

use primrack_app::rack::{Avatar, Rack};
use primrack_engine::journal::Entry;
use primrack_model::Outcome;
use primrack_tests::{Diary, Room, TestBridge, WORLD, guest, in_time, menu, owner, soon};
use primrack_wire::world::AnswerVerdict;
use rustix::process::{Signal, kill_process};

/// Three machines on units 3, 4 and 5. Nothing polls within the test: what is seen was told by an event.
fn room() -> Room {
    let guest = guest();
    let mut config = format!(
        "{WORLD}
[engine]
soft_off_deadline_ms = 10000
[backends.vm.driver]
safety_poll_ms = 3600000
relist_ms = 3600000
[backends.vm.qemu]
state_dir = 'vm'
accel = 'tcg'
[targets]
web-1 = {{ backend = 'vm', address = 'plain' }}
web-2 = {{ backend = 'vm', address = 'hung' }}
web-3 = {{ backend = 'vm', address = 'leaves' }}
[objects.rack-1]
units = {{ 3 = 'web-1', 4 = 'web-2', 5 = 'web-3' }}
"
    );
    for (name, words) in [("plain", ""), ("hung", "primrack.hang"), ("leaves", "primrack.poweroff=1")] {
        config += &format!(
            "[backends.vm.qemu.machines.{name}]\nmemory_mib = 96\nkernel = '{0}/vmlinuz'\ninitrd = '{0}/initrd'\n\
             append = 'console=ttyS0 quiet panic=-1 {words}'\nready = {{ line = 'GUEST-READY' }}\n",
            guest.display()
        );
    }
    Room::new(&config, ["rack-1"])
}

/// One rack and the avatar before it.
struct Scene {
    rack: Rack,
    diary: Diary,
    ada: Avatar,
    slowest: Duration,
}

impl Scene {
    /// Touches a unit and chooses; further picks answer further menus. Returns where the diary was before
    /// the last of it.
    async fn choose(&mut self, unit: u8, picks: &[&str]) -> usize {
        self.diary.say("Ada", format!("touches unit {unit}"));
        let begun = Instant::now();
        let mut entry = self.rack.touch(unit, &self.ada).await.unwrap();
        let mut took = begun.elapsed();
        let mut mark = self.diary.mark();
        for pick in picks {
            let AnswerVerdict::Menu { say, .. } = &entry.verdict else { panic!("{entry:?}") };
            let (id, offered) = menu(&entry);
            self.diary.say("bridge", format!("menu in {:.1} ms: {say} {offered:?}", ms(took)));
            assert!(offered.iter().any(|word| word == pick), "{pick} is not among {offered:?}");
            self.diary.say("Ada", format!("chooses {pick}"));
            // A push may overtake the receipt.
            mark = self.diary.mark();
            let begun = Instant::now();
            entry = self.rack.choose(&id, &self.ada, pick).await.unwrap();
            took = begun.elapsed();
        }
        let AnswerVerdict::Accepted { say } = &entry.verdict else { panic!("{entry:?}") };
        self.diary.say("bridge", format!("receipt in {:.1} ms, accepted: {say}", ms(took)));
        self.slowest = self.slowest.max(took);
        in_time("touch to receipt", took, Duration::from_millis(150));
        mark
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_touch_starts_a_real_machine_and_every_end_of_it_is_told() {
    let bridge = TestBridge::start(room()).await;
    let rack = Rack::start(bridge.rack("rack-1")).await.unwrap();
    let diary = Diary::of(&rack);
    diary
        .say("rack", "registers (played in Rust, its region is simulated; bridge, QEMU and guests are real)");
    soon("the rack registers", rack.register()).await.unwrap();
    for unit in [3, 4, 5] {
        diary.unit_after(0, unit, "off").await;
    }
    let mut scene = Scene { rack, diary, ada: owner(), slowest: Duration::ZERO };

    let at = scene.choose(3, &["Start"]).await;
    let sent = scene.rack.counts().sent;
    let (starting, at) = scene.diary.unit_after(at, 3, "starting").await;
    assert_eq!(starting.n, "Start, for Ada Lovelace");
    let (_, at) = scene.diary.unit_after(at, 3, "on").await;
    let console = std::fs::read_to_string(bridge.room.at("vm/logs/plain.log")).unwrap();
    let ready = console.lines().find(|line| line.starts_with("GUEST-READY")).expect("On means userspace");
    scene.diary.say("guest", format!("its console says {}", ready.trim()));
    assert_eq!(scene.rack.counts().sent, sent, "the rack was told without asking");
    assert_eq!(bridge.room.processes("vm", "plain").len(), 1);

    scene.choose(3, &["Pause"]).await;
    let (_, at) = scene.diary.unit_after(at, 3, "paused").await;
    scene.choose(3, &["Resume"]).await;
    let (_, at) = scene.diary.unit_after(at, 3, "on").await;

    scene.choose(3, &["Shut down"]).await;
    // Newest state only: a guest that is gone within the pace of pushes is never told as Stopping.
    let (off, _) = scene.diary.unit_after(at, 3, "off").await;
    let console = std::fs::read_to_string(bridge.room.at("vm/logs/plain.log")).unwrap();
    assert!(console.contains("GUEST-POWERBUTTON"), "the guest was asked and obeyed: {off:?}");
    assert!(bridge.room.processes("vm", "plain").is_empty());

    let at = scene.choose(4, &["Start"]).await;
    let (_, at) = scene.diary.unit_after(at, 4, "on").await;
    scene.choose(4, &["Shut down"]).await;
    scene.diary.unit_after(at, 4, "stopping").await;
    let at = scene.diary.words_after(at, "it does not follow the request").await;
    scene.diary.say("guest", "web-2 hangs: it ignores the power button (primrack.hang)");
    scene.choose(4, &["Power off", "Power off"]).await;
    let (off, _) = scene.diary.unit_after(at, 4, "off").await;
    assert_eq!(off.n, "by an operator");
    assert!(bridge.room.processes("vm", "hung").is_empty());

    let at = scene.choose(5, &["Start"]).await;
    let sent = scene.rack.counts().sent;
    let (_, at) = scene.diary.unit_after(at, 5, "on").await;
    scene.diary.say("guest", "web-3 powers itself off (primrack.poweroff=1)");
    let (off, _) = scene.diary.unit_after(at, 5, "off").await;
    assert_eq!(off.n, "shut down by itself");

    scene.choose(3, &["Start"]).await;
    let at = scene.diary.unit_after(at, 3, "on").await.1;
    let pids = bridge.room.processes("vm", "plain");
    assert_eq!(pids.len(), 1);
    scene.diary.say("outside", format!("kill -9 {}", pids[0].as_raw_nonzero()));
    kill_process(pids[0], Signal::KILL).unwrap();
    let (crashed, _) = scene.diary.unit_after(at, 3, "crashed").await;
    assert_eq!(crashed.n, "QEMU was killed by signal 9");
    // Two messages for the second start of web-1, none to ask for anything.
    assert_eq!(scene.rack.counts().sent, sent + 2, "the rack was told without asking");
    let counts = scene.rack.counts();
    assert_eq!((counts.pushes_refused, counts.unanswered), (0, 0), "{counts:?}");

    scene.diary.say("test", format!("slowest receipt {:.1} ms", ms(scene.slowest)));
    let path = scene.diary.keep("whole_way.txt").await;
    println!("{}\n(kept in {})", scene.diary.text(), path.display());

    let room = bridge.stop().await;
    let report = room.verify();
    assert_eq!((report.fault, report.unfinished), (None, 0));
    let ended: Vec<_> = room
        .entries()
        .into_iter()
        .filter_map(|entry| match entry {
            Entry::Ended { outcome, .. } => Some(matches!(outcome, Outcome::Done)),
            _ => None,
        })
        .collect();
    // Start, pause, resume, soft off; start, soft off (not obeyed), hard off; start; start.
    assert_eq!(ended, [true, true, true, true, true, false, true, true, true]);
}
