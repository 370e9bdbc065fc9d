//! The region with the rack in it, and all that its units show, in the order it came.
#![allow(dead_code, reason = "each test program uses its part")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use primrack_lsl::Profile;
use primrack_lsl::source::expand;
use primrack_region::{AvatarPlan, DialogId, RackPlan, Region, RegionEvent, RegionSettings};
use primrack_tests::{OWNER, SECRET, soon};
use tokio::sync::watch;
use uuid::Uuid;

/// What a unit showed, or what somebody did.
#[derive(Debug, Clone)]
struct Line {
    at: Instant,
    unit: String,
    word: String,
    note: String,
}

/// The region, watched.
pub(crate) struct World {
    pub(crate) region: Region,
    begun: Instant,
    lines: Arc<Mutex<Vec<Line>>>,
    tell: watch::Sender<usize>,
}

pub(crate) fn ada() -> Uuid {
    Uuid::parse_str(OWNER).unwrap()
}

/// One rack of `units` units with the shipped script, and Ada before it.
async fn region(bridge: SocketAddr, units: u8) -> Region {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("lsl-scripts");
    let read = |path: &str| std::fs::read_to_string(folder.join(path)).ok();
    // Of the grids this one lets an object ask most: in Second Life 25 requests in 20 s are all, two for each touch.
    let settings = RegionSettings { profile: Profile::OpenSim093, ..RegionSettings::default() };
    let mut room = primrack_region::Room::default();
    room.scripts.insert("rack".to_owned(), expand(&read, "objects/rack/rack.lsl", settings.profile).unwrap());
    room.avatar.push(AvatarPlan {
        name: "Ada Lovelace".to_owned(),
        key: Some(ada()),
        position: [128.0, 128.0, 21.0],
    });
    let notecard =
        format!("id = rack-1\nkey = a.{SECRET}\nbridge = http://{bridge}/world/1\nunnamed = ignore\n");
    room.rack.push(RackPlan {
        id: "rack-1".to_owned(),
        position: [128.0, 130.0, 20.0],
        turned: 0.0,
        units,
        script: "rack".to_owned(),
        notecards: [("rack.conf".to_owned(), notecard)].into(),
        owner: Some(ada()),
        key: None,
    });
    Region::start(settings, &room).await.unwrap()
}

impl World {
    /// Starts it before a bridge. `units` are the numbers and the names of what they show.
    pub(crate) async fn start(bridge: SocketAddr, units: &BTreeMap<u8, String>) -> Self {
        let region = region(bridge, *units.keys().max().unwrap()).await;
        let (tell, _) = watch::channel(0);
        let world = Self { region, begun: Instant::now(), lines: Arc::default(), tell };
        let names: BTreeMap<String, String> =
            units.iter().map(|(number, name)| (format!("unit {number}"), name.clone())).collect();
        let (snapshot, mut events) = world.region.snapshot().await.unwrap();
        let (lines, tell) = (Arc::clone(&world.lines), world.tell.clone());
        tokio::spawn(async move {
            let mut shown: BTreeMap<String, String> = BTreeMap::new();
            let mut prims = snapshot.prims;
            loop {
                let at = Instant::now();
                for prim in prims.drain(..) {
                    let Some(unit) = names.get(&prim.name) else { continue };
                    if shown.insert(unit.clone(), prim.text.clone()).as_ref() == Some(&prim.text) {
                        continue;
                    }
                    // Whether it is old news, name, state, and what there is to say of it.
                    let old = prim.text.starts_with("last known:");
                    let mut text = prim.text.lines().map(str::trim).skip(1 + usize::from(old));
                    let word = text.next().unwrap_or_default().trim_end_matches(" (simulated)").to_owned();
                    let note = text.collect::<Vec<_>>().join(" ");
                    let word = if old { format!("last known: {word}") } else { word };
                    if !word.is_empty() {
                        let mut lines = lines.lock();
                        lines.push(Line { at, unit: unit.clone(), word, note });
                        tell.send_replace(lines.len());
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
        world
    }

    /// Notes what somebody did to a unit.
    pub(crate) fn note(&self, unit: &str, what: impl Into<String>) {
        let line = Line { at: Instant::now(), unit: unit.to_owned(), word: String::new(), note: what.into() };
        self.lines.lock().push(line);
    }
    /// Where the story is now.
    pub(crate) fn mark(&self) -> usize {
        self.lines.lock().len()
    }
    /// The words that a unit showed since `mark`.
    pub(crate) fn words(&self, mark: usize, unit: &str) -> Vec<String> {
        let lines = self.lines.lock();
        let words = lines[mark..].iter().filter(|line| line.unit == unit && !line.word.is_empty());
        words.map(|line| line.word.clone()).collect()
    }

    /// Waits until a unit shows one of these words after `mark`; says when it did.
    pub(crate) async fn shows(&self, mark: usize, unit: &str, words: &[&str]) -> Instant {
        let mut grown = self.tell.subscribe();
        let looking = async {
            loop {
                let seen = self.lines.lock()[mark..]
                    .iter()
                    .find(|line| line.unit == unit && words.contains(&line.word.as_str()))
                    .map(|line| line.at);
                if let Some(at) = seen {
                    return at;
                }
                grown.changed().await.unwrap();
            }
        };
        match tokio::time::timeout(Duration::from_secs(90), looking).await {
            Ok(at) => at,
            Err(_) => panic!("{unit} never showed {words:?}:\n{}", self.text()),
        }
    }

    /// Ada touches a unit and chooses from the menu; waits for the receipt in her chat, and says how long
    /// that took from her choice.
    pub(crate) async fn touch(&self, number: u8, unit: &str, pick: &str, receipt: &str) -> Duration {
        let menu = self.menu(number, unit, pick).await;
        self.choose(unit, menu, pick, receipt).await
    }

    /// Ada touches a unit, and the menu that she gets has this choice.
    pub(crate) async fn menu(&self, number: u8, unit: &str, pick: &str) -> DialogId {
        let (snapshot, mut events) = self.region.snapshot().await.unwrap();
        let prim = snapshot.prims.iter().find(|prim| prim.name == format!("unit {number}")).unwrap().id;
        self.region.touch(ada(), prim).await.unwrap().unwrap();
        let dialog = async {
            loop {
                if let RegionEvent::Dialog(dialog) = events.recv().await.unwrap() {
                    return dialog;
                }
            }
        };
        let dialog = soon("a menu", dialog).await;
        assert!(dialog.text.contains(unit), "{unit}: {}", dialog.text);
        assert!(dialog.buttons.iter().any(|button| button == pick), "{unit}: {:?}", dialog.buttons);
        self.note(unit, format!("Ada touches it; menu {:?}", dialog.buttons));
        dialog.id
    }

    /// Ada chooses from a menu; waits for the receipt in her chat, and says how long that took.
    pub(crate) async fn choose(&self, unit: &str, menu: DialogId, pick: &str, receipt: &str) -> Duration {
        let (_, mut events) = self.region.snapshot().await.unwrap();
        self.note(unit, format!("Ada chooses {pick}"));
        let began = Instant::now();
        self.region.answer_dialog(ada(), menu, pick).await.unwrap().unwrap();
        let told = async {
            loop {
                if let RegionEvent::Chat(chat) = events.recv().await.unwrap()
                    && chat.to == Some(ada())
                    && chat.text.contains(receipt)
                {
                    return chat.text;
                }
            }
        };
        let told = soon(&format!("the receipt says {receipt}"), told).await;
        let took = began.elapsed();
        self.note(unit, format!("receipt: {told}"));
        took
    }

    /// The story so far.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for Line { at, unit, word, note } in &*self.lines.lock() {
            let ms = at.saturating_duration_since(self.begun).as_secs_f64() * 1000.0;
            let what = if word.is_empty() { String::new() } else { format!("shows {word}  ") };
            writeln!(text, "{ms:>9.1} ms  {unit:<9}  {what}{note}").unwrap();
        }
        text
    }

    /// Writes it down for people to read.
    pub(crate) fn keep(&self, name: &str, said: &str) -> PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target/transcripts");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        std::fs::write(&path, format!("{said}\n{}", self.text())).unwrap();
        path
    }
}
