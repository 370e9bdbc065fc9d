//! kill -9 of the bridge at each stage of a start, and a journal that cannot be written: nothing is lost,
//! nothing is done twice, nothing is done that is not recorded.
//!
//! No stage is guessed by waiting. The journal is made to wait by a lock that the test holds; QEMU is
//! started through a program of the test's that counts its starts and can be held up before it becomes QEMU.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use primrack_app::rack::{Avatar, Rack};
use primrack_engine::journal::{Decision, Entry, Journal, JournalSettings, PolicyNote};
use primrack_model::{
    Action, Actor, ActorKind, Edge, Intent, IntentId, ObjectId, OriginKey, Outcome, Receipt, TargetId,
    UnixMs, Verdict, Via,
};
use primrack_tests::http::{get, metric};
use primrack_tests::{
    BridgeProcess, Control, OWNER, Room, TestBridge, WORLD, guest, menu, owner, soon, until,
};
use primrack_wire::world::{AnswerEntry, AnswerVerdict};
use serde_json::json;

/// One machine on unit 3 that starts when touched. Its guest is ready only two seconds after userspace.
fn room() -> Room {
    let guest = guest();
    let config = format!(
        "{WORLD}
[backends.vm.qemu]
state_dir = 'vm'
accel = 'tcg'
program = 'PROGRAM'
[backends.vm.qemu.machines.vm]
memory_mib = 96
kernel = '{0}/vmlinuz'
initrd = '{0}/initrd'
append = 'console=ttyS0 quiet panic=-1 primrack.delay=2'
ready = {{ line = 'GUEST-READY' }}
[targets]
web-1 = {{ backend = 'vm', address = 'vm' }}
[objects.rack-1]
touch = 'start'
units = {{ 3 = 'web-1' }}
",
        guest.display()
    );
    let room = Room::new(&config, ["rack-1"]);
    // Every start leaves a line; while the gate is there, it waits to be let through.
    let program = room.at("qemu-system-x86_64");
    let text = format!(
        "#!/bin/sh\necho $$ >> '{0}/starts'\n[ -p '{0}/gate' ] && read word < '{0}/gate'\nexec qemu-system-x86_64 \"$@\"\n",
        room.at("").display()
    );
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(room.config(), config.replace("PROGRAM", &program.display().to_string())).unwrap();
    room
}

/// How often QEMU was started.
fn starts(room: &Room) -> usize {
    fs::read_to_string(room.at("starts")).map_or(0, |text| text.lines().count())
}

fn console(room: &Room) -> String {
    fs::read(room.at("vm/logs/vm.log"))
        .map_or_else(|_| String::new(), |log| String::from_utf8_lossy(&log).into_owned())
}

/// The intents of the journal: how many were accepted, refused, done, interrupted.
fn tally(room: &Room) -> [usize; 4] {
    let mut tally = [0; 4];
    for entry in room.entries() {
        match entry {
            Entry::Decision(decision) => match decision.receipt.verdict {
                Verdict::Refused(_) => tally[1] += 1,
                Verdict::Accepted | Verdict::Joined { .. } => tally[0] += 1,
            },
            Entry::Ended { outcome: Outcome::Done, .. } => tally[2] += 1,
            Entry::Interrupted { .. } => tally[3] += 1,
            _ => {}
        }
    }
    tally
}

async fn rack(bridge: &BridgeProcess) -> Rack {
    let rack = Rack::start(bridge.rack("rack-1")).await.unwrap();
    soon("the rack registers", rack.register()).await.unwrap();
    soon("the machine is off", rack.shows(3, "off")).await.unwrap();
    rack
}

/// After the restart: the machine is adopted and comes up, once; the event sent again gets its receipt.
async fn adopted(bridge: BridgeProcess, rack: &Rack, first: &AnswerEntry) {
    let mut script = bridge.script("rack-1");
    assert_eq!(&script.touch("e.1", 3, &owner()).await, first, "the same receipt");
    soon("the machine is adopted and comes up", rack.shows(3, "on")).await.unwrap();
    assert_eq!(&script.touch("e.1", 3, &owner()).await, first, "the same receipt");
    assert_eq!((starts(&bridge.room), bridge.room.processes("vm", "vm").len()), (1, 1), "one machine");
    // It is the bridge's again: it obeys.
    let off = json!({ "at": { "target": "web-1" }, "action": "soft-off", "operator": "ada" });
    let (status, receipt) = Control::of(&bridge.room).touch(off).await;
    assert_eq!((status, &receipt["words"]), (200, &json!("Shutting down web-1.")), "{receipt}");
    soon("it goes off", rack.shows(3, "off")).await.unwrap();
    until("the end is in the journal", async || (tally(&bridge.room)[2] == 1).then_some(())).await;
    let (room, _) = bridge.kill().await;
    let report = room.verify();
    assert_eq!((report.fault, report.unfinished), (None, 0));
    // The start, accepted once and interrupted; the soft off, accepted and done.
    assert_eq!(tally(&room), [2, 0, 1, 1]);
    assert_eq!((starts(&room), room.processes("vm", "vm").len()), (1, 0));
}

fn accepted(entry: &AnswerEntry) {
    assert!(
        matches!(&entry.verdict, AnswerVerdict::Accepted { say } if say == "Starting web-1."),
        "{entry:?}"
    );
}

#[tokio::test]
async fn killed_before_the_journal_has_it_nothing_was_done_and_the_event_counts_when_it_comes_again() {
    let bridge = BridgeProcess::start(room()).await;
    let rack = rack(&bridge).await;
    // The journal cannot be written while somebody else writes.
    let other = rusqlite::Connection::open(bridge.room.journal()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut early = bridge.script("rack-1");
    // Meets the bridge; unit 9 shows nothing.
    let nothing = early.touch("e.0", 9, &owner()).await;
    assert!(
        matches!(&nothing.verdict, AnswerVerdict::Refused { code, .. } if code == "no-target"),
        "{nothing:?}"
    );
    let touch = tokio::spawn(async move { early.touch_once("e.1", 3, &owner()).await });
    until("the intent waits for the journal", async || {
        (metric(bridge.address, "primrack_journal_queue").await >= 1.0).then_some(())
    })
    .await;
    let (room, address) = bridge.kill().await;
    assert_eq!(touch.await.unwrap(), None, "nobody was told anything");
    other.execute_batch("ROLLBACK").unwrap();
    drop(other);
    assert_eq!((tally(&room), starts(&room)), ([0; 4], 0));

    let bridge = BridgeProcess::start_at(room, address).await;
    until("the machine was looked at", async || {
        let states = Control::of(&bridge.room).get("/states").await;
        (states[0]["state"]["power"] == "off" && states[0]["state"]["stale"].is_null()).then_some(())
    })
    .await;
    let mut script = bridge.script("rack-1");
    let first = script.touch("e.1", 3, &owner()).await;
    accepted(&first);
    assert_eq!(script.touch("e.1", 3, &owner()).await, first);
    soon("the machine comes up", rack.shows(3, "on")).await.unwrap();
    assert_eq!((starts(&bridge.room), bridge.room.processes("vm", "vm").len()), (1, 1));
    until("the end is in the journal", async || (tally(&bridge.room)[2] == 1).then_some(())).await;
    let (room, _) = bridge.kill().await;
    assert_eq!(tally(&room), [1, 0, 1, 0]);
    assert_eq!(room.verify().fault, None);
}

#[tokio::test]
async fn killed_after_the_journal_and_before_qemu_runs_no_second_one_is_started() {
    let room = room();
    rustix::fs::mkfifoat(rustix::fs::CWD, room.at("gate"), rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    let bridge = BridgeProcess::start(room).await;
    let rack = rack(&bridge).await;
    let first = bridge.script("rack-1").touch("e.1", 3, &owner()).await;
    accepted(&first);
    until("it stands before the gate", async || (starts(&bridge.room) == 1).then_some(())).await;
    let (room, address) = bridge.kill().await;
    assert_eq!(tally(&room), [1, 0, 0, 0]);
    let bridge = BridgeProcess::start_at(room, address).await;
    assert_eq!(bridge.script("rack-1").touch("e.1", 3, &owner()).await, first, "the same receipt");
    until("the interruption is noted", async || (tally(&bridge.room)[3] == 1).then_some(())).await;
    // Let through: opening the other end waits for the one who reads.
    let gate = bridge.room.at("gate");
    soon("the gate opens", tokio::fs::write(gate, "go\n")).await.unwrap();
    adopted(bridge, &rack, &first).await;
}

#[tokio::test]
async fn killed_after_qemu_was_started_it_is_adopted() {
    let bridge = BridgeProcess::start(room()).await;
    let rack = rack(&bridge).await;
    let first = bridge.script("rack-1").touch("e.1", 3, &owner()).await;
    accepted(&first);
    let socket = bridge.room.at("vm/vm.qmp");
    until("QEMU has its socket", async || socket.exists().then_some(())).await;
    let (room, address) = bridge.kill().await;
    assert!(!console(&room).contains("GUEST-USERSPACE"), "this early");
    let bridge = BridgeProcess::start_at(room, address).await;
    adopted(bridge, &rack, &first).await;
}

#[tokio::test]
async fn killed_while_the_guest_boots_it_is_adopted() {
    let bridge = BridgeProcess::start(room()).await;
    let rack = rack(&bridge).await;
    let first = bridge.script("rack-1").touch("e.1", 3, &owner()).await;
    accepted(&first);
    soon("it starts", rack.shows(3, "starting")).await.unwrap();
    until("userspace", async || console(&bridge.room).contains("GUEST-USERSPACE").then_some(())).await;
    let (room, address) = bridge.kill().await;
    assert!(!console(&room).contains("GUEST-READY"), "not ready yet");
    let bridge = BridgeProcess::start_at(room, address).await;
    adopted(bridge, &rack, &first).await;
}

/// A process that leaves a line with each start.
fn quick_room() -> Room {
    let config = format!(
        "{WORLD}
[backends.local.process]
state_dir = 'processes'
[backends.local.process.servers.one]
command = ['sh', '-c', 'echo started >> \"$0\"; exec sleep 600', 'STARTS']
[targets]
web-1 = {{ backend = 'local', address = 'one' }}
[objects.rack-1]
touch = 'start'
units = {{ 3 = 'web-1' }}
"
    );
    let room = Room::new(&config, ["rack-1"]);
    let starts = room.at("starts").display().to_string();
    fs::write(room.config(), config.replace("STARTS", &starts)).unwrap();
    room
}

/// What the target shows once it was looked at after a start of the bridge.
async fn settled(room: &Room) -> String {
    until("the machine was looked at", async || {
        let states = Control::of(room).get("/states").await;
        let state = &states[0]["state"];
        let power = state["power"].as_str()?;
        (["on", "off"].contains(&power) && state["stale"].is_null() && state["transition"].is_null())
            .then(|| power.to_owned())
    })
    .await
}

/// How often an event was accepted, by the journal.
fn times_accepted(room: &Room, event: &str) -> usize {
    let of_event = |entry: &Entry| {
        matches!(entry, Entry::Decision(decision) if !matches!(decision.receipt.verdict, Verdict::Refused(_))
            && decision.intent.origin.as_ref().is_some_and(|origin| origin.event == event))
    };
    room.entries().iter().filter(|entry| of_event(entry)).count()
}

/// As killed right after the journal took it, whatever the bridge would have done next.
#[tokio::test]
async fn what_is_recorded_and_was_not_done_yet_is_marked_interrupted_and_never_done_unasked() {
    let room = quick_room();
    fs::create_dir(room.at("state")).unwrap();
    let intent = Intent {
        id: IntentId::now(),
        actor: Actor::new(ActorKind::Avatar, OWNER, "Ada Lovelace"),
        action: Action::Start,
        target: TargetId::new("web-1").unwrap(),
        via: Via { edge: Edge::World, object: Some(ObjectId::new("rack-1").unwrap()), unit: Some(3) },
        origin: Some(OriginKey { source: "rack-1".into(), event: "e.1".into() }),
        at: UnixMs::now(),
    };
    let receipt = Receipt {
        intent: intent.id,
        target: intent.target.clone(),
        action: intent.action,
        verdict: Verdict::Accepted,
        words: "Starting web-1.".to_owned(),
        at: UnixMs::now(),
    };
    let decision =
        Decision { intent, receipt, policy: PolicyNote::default(), part_of: None, plan: Vec::new() };
    let (journal, _) = Journal::open(&room.journal(), &JournalSettings::default()).unwrap();
    journal.append(&Entry::Decision(Box::new(decision))).await.unwrap();
    journal.close().await;

    let bridge = BridgeProcess::start(room).await;
    assert_eq!(settled(&bridge.room).await, "off");
    let mut script = bridge.script("rack-1");
    script.register().await;
    accepted(&script.touch("e.1", 3, &owner()).await);
    until("the interruption is noted", async || (tally(&bridge.room)[3] == 1).then_some(())).await;
    assert_eq!((settled(&bridge.room).await.as_str(), starts(&bridge.room)), ("off", 0));
    assert_eq!(metric(bridge.address, "primrack_commands_interrupted_total").await, 1.0);
    // Asked anew it is done.
    accepted(&script.touch("e.2", 3, &owner()).await);
    until("it is done", async || (starts(&bridge.room) == 1).then_some(())).await;
    let (room, _) = bridge.kill().await;
    assert_eq!(room.verify().fault, None);
}

/// The stages above are held; here the kill comes whenever it comes. What must hold holds at any moment.
#[tokio::test]
async fn killed_at_any_moment_of_a_start_it_is_done_at_most_once_and_only_if_recorded() {
    let mut bridge = BridgeProcess::start(quick_room()).await;
    let mut found = [0; 3];
    for round in 0..12_u64 {
        assert_eq!(settled(&bridge.room).await, "off");
        let before = starts(&bridge.room);
        let event = format!("e.{round}");
        // Meets this boot first, so that the touch is one message. Nobody takes its pushes.
        let mut script = bridge.script("rack-1");
        script.register().await;
        let mut early = script.clone();
        let touch = {
            let event = event.clone();
            tokio::spawn(async move { early.touch_once(&event, 3, &owner()).await })
        };
        tokio::time::sleep(Duration::from_millis(round)).await;
        let (room, address) = bridge.kill().await;
        let answered = touch.await.unwrap();
        let recorded = times_accepted(&room, &event);
        assert_eq!(room.verify().fault, None);
        assert!(
            recorded <= 1 && (answered.is_none() || recorded == 1),
            "an answer means that it is recorded"
        );

        bridge = BridgeProcess::start_at(room, address).await;
        let power = settled(&bridge.room).await;
        let running = bridge.room.processes("processes", "one").len();
        assert_eq!(running, usize::from(power == "on"));
        if running == 1 {
            until("its line", async || (starts(&bridge.room) > before).then_some(())).await;
        }
        let started = starts(&bridge.room) - before;
        assert!(started <= recorded, "round {round}: done and not recorded");
        found[recorded + started] += 1;

        let again = bridge.script("rack-1").touch(&event, 3, &owner()).await;
        accepted(&again);
        assert!(answered.is_none_or(|first| first == again), "round {round}: another receipt");
        assert_eq!(times_accepted(&bridge.room, &event), 1);
        if recorded == 0 {
            until("it is done now", async || (starts(&bridge.room) > before).then_some(())).await;
        }
        let power = settled(&bridge.room).await;
        assert_eq!(power == "on", recorded == 0 || started == 1, "round {round}: {power}");
        assert_eq!(starts(&bridge.room) - before, if recorded == 0 { 1 } else { started }, "round {round}");
        if power == "on" {
            let off = json!({ "at": { "target": "web-1" }, "action": "hard-off", "operator": "ada" });
            let (_, receipt) = Control::of(&bridge.room).touch(off).await;
            assert_eq!(receipt["words"], "Powering off web-1.", "{receipt}");
        }
        until("it is off", async || (settled(&bridge.room).await == "off").then_some(())).await;
    }
    let [unrecorded, interrupted, done] = found;
    println!("killed before the journal {unrecorded}, before the start {interrupted}, after it {done}");
    let (room, _) = bridge.kill().await;
    assert_eq!(room.verify().fault, None);
}

/// A small file system of its own, for the journal. Gone when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Self {
        fs::create_dir(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs"])
            .arg(at)
            .output()
            .unwrap();
        assert!(
            mounted.status.success(),
            "a small disk cannot be mounted, so a full one cannot be tested: run as root or with CAP_SYS_ADMIN ({})",
            String::from_utf8_lossy(&mounted.stderr).trim()
        );
        Self(at.to_owned())
    }
    /// Takes all room that is left.
    fn fill(&self) {
        use std::io::Write as _;
        let mut file = fs::File::create(self.0.join("ballast")).unwrap();
        while file.write_all(&[0; 512]).is_ok() {}
    }
    fn free(&self) {
        fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

#[tokio::test]
async fn with_a_full_disk_nothing_is_done_and_it_recovers_by_itself() {
    let config = format!(
        "{WORLD}
[backends.local.process]
state_dir = 'processes'
[backends.local.process.servers.one]
command = ['sleep', '600']
[targets]
web-1 = {{ backend = 'local', address = 'one' }}
[objects.rack-1]
units = {{ 1 = 'web-1' }}
"
    );
    let room = Room::new(&config, ["rack-1"]);
    let disk = SmallDisk::mount(&room.at("state"));
    let bridge = TestBridge::start(room).await;
    let rack = Rack::start(bridge.rack("rack-1")).await.unwrap();
    soon("the rack registers", rack.register()).await.unwrap();
    soon("it shows its unit", rack.shows(1, "off")).await.unwrap();
    let ada = owner();
    let (id, _) = menu(&soon("a menu", rack.touch(1, &ada)).await.unwrap());

    disk.fill();
    // What the log has room for is still written: refusals, until one cannot be.
    let stranger = Avatar::named("Mallory");
    let mut written = 0;
    loop {
        let entry = soon("an answer", rack.touch(1, &stranger)).await.unwrap();
        let AnswerVerdict::Refused { code, say } = &entry.verdict else { panic!("{entry:?}") };
        if code == "journal" {
            assert!(say.contains("nothing is done"), "{say}");
            break;
        }
        assert_eq!(code, "not-permitted");
        written += 1;
        assert!(written < 2000, "the disk is never full");
    }
    let before = bridge.room.entries().len();
    let (status, health) = get(bridge.address(), "/healthz").await;
    assert!(status == 503 && health.contains("no space is left"), "{status} {health}");

    let entry = soon("an answer", rack.choose(&id, &ada, "Start")).await.unwrap();
    let AnswerVerdict::Refused { code, .. } = &entry.verdict else { panic!("{entry:?}") };
    assert_eq!(code, "journal");
    let start = json!({ "at": { "target": "web-1" }, "action": "start", "operator": "bob" });
    let (status, receipt) = Control::of(&bridge.room).touch(start).await;
    assert!(status == 200 && receipt["verdict"].to_string().contains("journal"), "{receipt}");
    assert_eq!(rack.states().borrow()[&1].s, "off");
    assert!(bridge.room.processes("processes", "one").is_empty(), "nothing was executed");
    assert_eq!(bridge.room.entries().len(), before);

    disk.free();
    let (id, _) = menu(&soon("a menu", rack.touch(1, &ada)).await.unwrap());
    let entry = soon("a receipt", rack.choose(&id, &ada, "Start")).await.unwrap();
    assert!(matches!(entry.verdict, AnswerVerdict::Accepted { .. }), "{entry:?}");
    soon("it runs", rack.shows(1, "on")).await.unwrap();
    assert_eq!(get(bridge.address(), "/healthz").await.0, 200);
    assert_eq!(bridge.room.processes("processes", "one").len(), 1);
    let room = bridge.stop().await;
    let report = room.verify();
    assert_eq!((report.fault, report.unfinished), (None, 0));
    drop(disk);
}
