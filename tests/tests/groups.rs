//! A group of 20 mixed targets started, stopped, and made to fail in the middle: the command line, the page and the
//! region tell the same story. Bridge, processes, QEMU and guest, programs and streams are real; the board is played in
//! software, and the region around the shipped rack script is simulated.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use primrack_engine::journal::Entry;
use primrack_lsl::Profile;
use primrack_lsl::source::expand;
use primrack_model::{Outcome, Power, TargetKind, TargetState};
use primrack_region::{AvatarPlan, RackPlan, Region, RegionEvent, RegionSettings};
use primrack_tests::{OWNER, Room, SECRET, TestBridge, WORLD, guest, in_time, program, soon, until};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use uuid::Uuid;

/// The unit that shows the group; the members are on the units after it, in their order.
const GROUP: u8 = 1;
const PARALLEL: usize = 4;

/// The members, and what each comes after.
fn members() -> Vec<(String, Vec<String>)> {
    let names = |stem: &str, count: u32| (1..=count).map(|n| format!("{stem}-{n}")).collect::<Vec<_>>();
    let mut all = vec![("vm-1".to_owned(), Vec::new())];
    all.extend(names("store", 3).into_iter().map(|name| (name, Vec::new())));
    all.extend(names("web", 10).into_iter().map(|name| (name, vec!["vm-1".into(), "store-1".into()])));
    all.extend(names("lb", 3).into_iter().map(|name| (name, names("web", 10))));
    for (name, after) in [("fan", "lb-1"), ("tower", "lb-2"), ("front-door", "fan")] {
        all.push((name.to_owned(), vec![after.to_owned()]));
    }
    all
}

/// Sixteen processes, one of which serves HTTP only a moment after it runs; one virtual machine; a relay, a lamp and
/// a door with a lock.
fn room(store_port: u16) -> Room {
    let room = Room::new("", ["rack-1"]);
    let (guest, cwd) = (guest(), room.at(".").display().to_string());
    let mut config = format!(
        "{WORLD}operators = ['operator:local']
[engine]
start_deadline_ms = 100000
[backends.vm.qemu]
state_dir = 'machines'
accel = 'tcg'
[backends.vm.qemu.machines.vm-1]
memory_mib = 96
kernel = '{0}/vmlinuz'
initrd = '{0}/initrd'
append = 'console=ttyS0 quiet panic=-1'
ready = {{ line = 'GUEST-READY' }}
[backends.gate.board]
port = 'soft'
outputs.fan = {{ index = 0 }}
outputs.tower = {{ index = 1, kind = 'lamp' }}
doors.front-door = {{ open_s = 0, lock = 2 }}
[backends.local.process]
state_dir = 'processes'
[backends.local.process.servers.store-1]
command = ['/bin/sh', '-c', 'sleep 0.5; exec python3 -m http.server --bind 127.0.0.1 {store_port}']
",
        guest.display()
    );
    let mut listed = String::new();
    for (name, after) in members() {
        let backend = match name.split('-').next().unwrap() {
            "vm" => "vm",
            "fan" | "tower" | "front" => "gate",
            _ => "local",
        };
        if backend == "local" && name != "store-1" {
            writeln!(
                config,
                "[backends.local.process.servers.{name}]\ncwd = '{cwd}'\nready = {{ line = 'up' }}\n\
                 command = ['/bin/sh', '-c', 'test -e fail-{name} && exit 3; echo up; exec sleep 600']"
            )
            .unwrap();
        }
        writeln!(config, "[targets.{name}]\nbackend = '{backend}'").unwrap();
        let ready = match name.as_str() {
            "store-1" => format!(", ready = {{ http = 'http://127.0.0.1:{store_port}/' }}"),
            _ => String::new(),
        };
        writeln!(listed, "    {{ target = '{name}', after = {after:?}{ready} }},").unwrap();
    }
    let units: Vec<String> =
        (GROUP + 1..).zip(members()).map(|(unit, (name, _))| format!("{unit} = '{name}'")).collect();
    write!(
        config,
        "[targets.shop]\nlabel = 'The shop'\nparallel = {PARALLEL}\nmembers = [\n{listed}]\n\
         [objects.rack-1]\nunits = {{ {GROUP} = 'shop', {} }}\n",
        units.join(", ")
    )
    .unwrap();
    std::fs::write(room.config(), config).unwrap();
    room
}

async fn region(bridge: std::net::SocketAddr) -> Region {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("lsl-scripts");
    let read = |path: &str| std::fs::read_to_string(folder.join(path)).ok();
    let settings = RegionSettings::default();
    let profile: Profile = settings.profile;
    let mut room = primrack_region::Room::default();
    room.scripts.insert("rack".to_owned(), expand(&read, "objects/rack/rack.lsl", profile).unwrap());
    let ada = Uuid::parse_str(OWNER).unwrap();
    room.avatar.push(AvatarPlan {
        name: "Ada Lovelace".to_owned(),
        key: Some(ada),
        position: [128.0, 128.0, 21.0],
    });
    let notecard =
        format!("id = rack-1\nkey = a.{SECRET}\nbridge = http://{bridge}/world/1\nunnamed = ignore\n");
    room.rack.push(RackPlan {
        id: "rack-1".to_owned(),
        position: [128.0, 130.0, 20.0],
        turned: 0.0,
        units: 21,
        script: "rack".to_owned(),
        notecards: [("rack.conf".to_owned(), notecard)].into(),
        owner: Some(ada),
        key: None,
    });
    Region::start(settings, &room).await.unwrap()
}

/// One change, as one of the three tells it.
#[derive(Debug, Clone, PartialEq)]
struct Line {
    at: Duration,
    who: &'static str,
    target: String,
    word: String,
    note: String,
    /// A command is under way there; only the command line says so for every change.
    acting: bool,
}

/// What all three tell, in the order it came.
#[derive(Debug, Clone)]
struct Story {
    begun: Instant,
    lines: Arc<Mutex<Vec<Line>>>,
}

impl Story {
    fn tell(&self, who: &'static str, target: &str, word: &str, note: &str, acting: bool) {
        let (target, word, note) = (target.to_owned(), word.to_owned(), note.to_owned());
        let line = Line { at: self.begun.elapsed(), who, target, word, note, acting };
        self.lines.lock().push(line);
    }
    fn mark(&self) -> usize {
        self.lines.lock().len()
    }
    fn of(&self, who: &str, from: usize) -> Vec<Line> {
        self.lines.lock()[from..].iter().filter(|line| line.who == who).cloned().collect()
    }
    /// The last words of one of them about a target.
    fn last(&self, who: &str, target: &str) -> Option<(String, String)> {
        let lines = self.lines.lock();
        let last = lines.iter().rev().find(|line| line.who == who && line.target == target)?;
        Some((last.word.clone(), last.note.clone()))
    }

    /// `primrack watch shop`, the program itself.
    fn follow_cli(&self, room: &Room) -> Child {
        let mut child = Command::new(program())
            .args(["watch", "shop", "--json", "--control"])
            .arg(room.at("state/control.sock"))
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let story = self.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let change: Value = serde_json::from_str(&line).unwrap();
                let state: TargetState = serde_json::from_value(change["state"].clone()).unwrap();
                let kind: TargetKind = serde_json::from_value(change["kind"].clone()).unwrap();
                let target = change["target"].as_str().unwrap();
                story.tell("cli", target, state.word(kind), &state.detail, state.transition.is_some());
            }
        });
        child
    }

    /// The page's live stream, as a browser reads it.
    async fn follow_page(&self, bridge: std::net::SocketAddr) {
        let stream = TcpStream::connect(bridge).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request =
            Request::get("/page/stream").header("host", bridge.to_string()).body(Empty::<Bytes>::new());
        let response = sender.send_request(request.unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        let (mut body, story) = (response.into_body(), self.clone());
        tokio::spawn(async move {
            let (_sender, mut read) = (sender, Vec::new());
            while let Some(Ok(frame)) = body.frame().await {
                read.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new()));
                while let Some(end) = read.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = read.drain(..=end).collect();
                    let Some(data) = line.strip_prefix(b"data:") else { continue };
                    let event: Value = serde_json::from_slice(data).unwrap();
                    for unit in event["units"].as_array().into_iter().flatten() {
                        let text = |key: &str| unit[key].as_str().unwrap_or_default().to_owned();
                        story.tell("page", &text("target"), &text("word"), &text("note"), false);
                    }
                }
            }
        });
    }

    /// What hovers above the rack's units.
    async fn follow_world(&self, region: &Region) {
        let names: BTreeMap<String, String> = (GROUP..)
            .zip(std::iter::once("shop".to_owned()).chain(members().into_iter().map(|(name, _)| name)))
            .map(|(unit, name)| (format!("unit {unit}"), name))
            .collect();
        let (snapshot, mut events) = region.snapshot().await.unwrap();
        let story = self.clone();
        tokio::spawn(async move {
            let mut shown: BTreeMap<String, String> = BTreeMap::new();
            let mut prims = snapshot.prims;
            loop {
                for prim in prims.drain(..) {
                    let Some(target) = names.get(&prim.name) else { continue };
                    if shown.insert(target.clone(), prim.text.clone()).as_ref() == Some(&prim.text) {
                        continue;
                    }
                    let mut lines = prim.text.lines().map(str::trim).skip(1);
                    let word = lines.next().unwrap_or_default().trim_end_matches(" (simulated)");
                    let note = lines.collect::<Vec<_>>().join(" ");
                    if !word.is_empty() {
                        story.tell("world", target, word, note.trim(), false);
                    }
                }
                prims = loop {
                    match events.recv().await {
                        Ok(RegionEvent::Prims { prims }) => break prims,
                        Ok(_) => {}
                        Err(_) => return,
                    }
                };
            }
        });
    }

    /// Writes it down for people to read.
    fn keep(&self, said: &str) -> std::path::PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target/transcripts");
        std::fs::create_dir_all(&folder).unwrap();
        let mut text = format!("{said}\n");
        for Line { at, who, target, word, note, .. } in &*self.lines.lock() {
            let ms = at.as_secs_f64() * 1000.0;
            writeln!(text, "{ms:>9.1} ms  {who:<5}  {target:<10}  {word:<13}  {note}").unwrap();
        }
        let path = folder.join("groups.txt");
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// The words in a row, each once.
fn words(lines: &[Line], target: &str) -> Vec<String> {
    let mut words: Vec<String> =
        lines.iter().filter(|line| line.target == target).map(|line| line.word.clone()).collect();
    words.dedup();
    words
}

/// Whether all of `some` come in `all`, in this order: who shows only the newest may leave some out.
fn comes_in(some: &[String], all: &[String]) -> bool {
    let mut all = all.iter();
    some.iter().all(|word| all.any(|other| other == word))
}

/// `primrack touch shop …`: whether it ended well, what it printed, and how long the receipt took.
async fn touch(room: &Room, action: &str) -> (bool, Vec<Value>) {
    let child = Command::new(program())
        .args(["touch", "shop", action, "--wait", "--json", "--as", "ada", "--control"])
        .arg(room.at("state/control.sock"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = soon("the command ends", child).await.unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (output.status.success(), lines)
}

struct Bench {
    bridge: TestBridge,
    region: Region,
    story: Story,
    _watch: Child,
}

impl Bench {
    /// Waits until all three show what the engine knows, of the group and of each member.
    async fn settled(&self) {
        let engine = &self.bridge.bridge.engine;
        let targets: Vec<String> =
            std::iter::once("shop".to_owned()).chain(members().into_iter().map(|(name, _)| name)).collect();
        until("command line, page and world show the same", async || {
            let inventory = engine.inventory();
            let same = targets.iter().all(|target| {
                let ix = inventory.find_target(target).unwrap();
                let state = engine.state(ix);
                let word = state.word(inventory.target(ix).kind);
                state.transition.is_none()
                    && ["cli", "page", "world"]
                        .iter()
                        .all(|who| self.story.last(who, target).is_some_and(|(last, _)| last == word))
            });
            same.then_some(())
        })
        .await;
    }

    /// What the three told since `from` is one story.
    fn compare(&self, from: usize) {
        let [cli, page, world] = ["cli", "page", "world"].map(|who| self.story.of(who, from));
        for target in members().iter().map(|(name, _)| name.as_str()).chain(["shop"]) {
            let all = words(&cli, target);
            for (who, told) in [("page", &page), ("world", &world)] {
                let some = words(told, target);
                assert!(comes_in(&some, &all), "{target}: {who} tells {some:?}, the command line {all:?}");
                assert_eq!(some.last(), all.last(), "{target}, {who}");
            }
        }
        // How far the group was: nobody tells what the others do not know.
        let details: BTreeSet<&str> =
            cli.iter().filter(|line| line.target == "shop").map(|line| line.note.as_str()).collect();
        for line in page.iter().filter(|line| line.target == "shop" && !line.note.is_empty()) {
            assert!(details.contains(line.note.as_str()), "{line:?} {details:?}");
        }
        for line in world.iter().filter(|line| line.target == "shop" && !line.note.is_empty()) {
            let said = line.note.trim_end_matches('…').trim();
            let known = details.iter().any(|detail| detail.starts_with(said));
            assert!(known || said.contains(", for "), "{line:?} {details:?}");
        }
        // Never more at once than allowed.
        let mut acting = BTreeSet::new();
        for line in cli.iter().filter(|line| line.target != "shop") {
            if line.acting {
                acting.insert(&line.target)
            } else {
                acting.remove(&line.target)
            };
            assert!(acting.len() <= PARALLEL, "at once: {acting:?}");
        }
    }

    /// When the command line first told this of a target.
    fn first(&self, from: usize, target: &str, wanted: impl Fn(&Line) -> bool) -> usize {
        let cli = self.story.of("cli", from);
        cli.iter()
            .position(|line| line.target == target && wanted(line))
            .unwrap_or_else(|| panic!("{target} is missing"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_mixed_targets_start_stop_and_fail_and_three_tell_the_same() {
    let begun = Instant::now();
    let store_port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let bridge = TestBridge::start(room(store_port)).await;
    let story = Story { begun, lines: Arc::default() };
    let shop = bridge.bridge.engine.inventory().find_target("shop").unwrap();
    until("everything has been looked at", async || (!bridge.bridge.engine.state(shop).stale).then_some(()))
        .await;
    let region = region(bridge.address()).await;
    let watch = story.follow_cli(&bridge.room);
    story.follow_page(bridge.address()).await;
    story.follow_world(&region).await;
    let bench = Bench { bridge, region, story, _watch: watch };
    bench.settled().await;
    assert_eq!(bench.story.last("world", "shop").unwrap().0, "Off");

    // Up, from the command line.
    let mark = bench.story.mark();
    let (well, printed) = touch(&bench.bridge.room, "start").await;
    assert!(well, "{:?}", printed.last());
    let took = Duration::from_secs_f64(printed[0]["took_ms"].as_f64().unwrap() / 1e3);
    in_time("command to receipt", took, Duration::from_millis(150));
    assert!(
        printed.iter().any(|line| line["state"]["detail"].as_str().is_some_and(|d| d.contains(" of 20: ")))
    );
    bench.settled().await;
    bench.compare(mark);
    let serves = |line: &Line| matches!(line.word.as_str(), "On" | "Open");
    for (name, after) in members() {
        for before in after {
            let (begins, ready) =
                (bench.first(mark, &name, |l| l.acting), bench.first(mark, &before, serves));
            assert!(ready < begins, "{name} began before {before} was there");
        }
    }
    assert_eq!(bench.story.last("page", "shop").unwrap(), ("On".to_owned(), String::new()));
    assert_eq!(bench.bridge.room.processes("machines", "vm-1").len(), 1);

    // Down, in the reverse order.
    let mark = bench.story.mark();
    let (well, printed) = touch(&bench.bridge.room, "soft-off").await;
    assert!(well, "{:?}", printed.last());
    bench.settled().await;
    bench.compare(mark);
    for (name, after) in members() {
        for before in after {
            let gone = bench.first(mark, &name, |line| matches!(line.word.as_str(), "Off" | "Closed"));
            let begins = bench.first(mark, &before, |line| line.acting);
            assert!(gone < begins, "{before} was stopped before {name}");
        }
    }
    assert!(bench.bridge.room.processes("machines", "vm-1").is_empty(), "the guest followed the soft off");

    // Up again by a touch in the region, and one in the middle fails.
    std::fs::write(bench.bridge.room.at("fail-web-5"), "").unwrap();
    let mark = bench.story.mark();
    let ada = Uuid::parse_str(OWNER).unwrap();
    let (snapshot, mut events) = bench.region.snapshot().await.unwrap();
    let unit = snapshot.prims.iter().find(|prim| prim.name == format!("unit {GROUP}")).unwrap().id;
    bench.region.touch(ada, unit).await.unwrap().unwrap();
    let dialog = async {
        loop {
            if let RegionEvent::Dialog(dialog) = events.recv().await.unwrap() {
                return dialog;
            }
        }
    };
    let dialog = soon("a menu", dialog).await;
    assert!(dialog.text.contains("The shop is off. What now?"), "{}", dialog.text);
    bench.region.answer_dialog(ada, dialog.id, "Start").await.unwrap().unwrap();
    until("it fails", async || {
        let state = bench.bridge.bridge.engine.state(shop);
        (state.transition.is_none() && state.detail.contains("failed")).then_some(())
    })
    .await;
    bench.settled().await;
    bench.compare(mark);
    let state = bench.bridge.bridge.engine.state(shop);
    assert!(state.detail.starts_with("Start failed: web-5: "), "{}", state.detail);
    assert!(state.detail.contains("not begun: "), "{}", state.detail);
    assert_eq!((state.power, state.word(TargetKind::Group)), (Power::Unknown, "Mixed"));
    for who in ["cli", "page"] {
        assert_eq!(bench.story.last(who, "shop").unwrap(), ("Mixed".to_owned(), state.detail.to_string()));
    }
    let (word, note) = bench.story.last("world", "shop").unwrap();
    assert_eq!(word, "Mixed");
    assert!(note.starts_with("Start failed: web-5: "), "{note}");
    for name in ["lb-1", "lb-3", "fan", "tower", "front-door"] {
        let told = words(&bench.story.of("cli", mark), name);
        assert!(told.is_empty(), "{name} was to be left as it is: {told:?}");
    }

    // And everything that runs is switched off at once.
    let mark = bench.story.mark();
    // web-5 stays Crashed: all lie still, and the word says how.
    let (well, printed) = touch(&bench.bridge.room, "hard-off").await;
    assert!(well, "{:?}", printed.last());
    bench.settled().await;
    bench.compare(mark);

    let said = format!(
        "A group of 20: 16 processes, one QEMU machine (TCG), a relay, a lamp and a door.\n\
         Real: bridge, processes, QEMU and its guest, `primrack watch` and `touch`, the page's stream, the rack script.\n\
         Simulated: the board (in software) and the region around the script.\n\
         Receipt of the first start after {took:?}; the whole took {:.1} s.\n",
        begun.elapsed().as_secs_f64()
    );
    let path = bench.story.keep(&said);
    println!("{said}(kept in {})", path.display());

    bench.region.stop().await;
    let room = bench.bridge.stop().await;
    let report = room.verify();
    assert_eq!((report.fault, report.unfinished), (None, 0));
    // Three wishes of 20 steps each and one that failed; every step names the intent it belongs to.
    let entries = room.entries();
    let plans = entries.iter().filter_map(|entry| match entry {
        Entry::Decision(decision) if !decision.plan.is_empty() => Some((decision.intent.id, &decision.plan)),
        _ => None,
    });
    let plans: Vec<_> = plans.collect();
    assert_eq!(plans.len(), 4);
    for (intent, plan) in &plans[..2] {
        assert_eq!(plan.concat().len(), 20);
        let ended = |entry: &&Entry| matches!(entry, Entry::Ended { part_of: Some(group), outcome: Outcome::Done, .. } if group == intent);
        assert_eq!(entries.iter().filter(ended).count(), 20);
    }
}
