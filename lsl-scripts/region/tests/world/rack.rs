//! The shipped rack script in the region, against a peer that speaks the bridge's side of the protocol with the
//! bridge's own wire code.

use crate::support::{NOW, PATIENCE, Peer, Reply, Stage, ada, post, room, settings};
use primrack_lsl::{Profile, source};
use primrack_region::view::{Dialog, RegionEvent, Voice};
use primrack_region::{ClockKind, Knobs, RackPlan, Region, RegionSettings};
use primrack_wire::world::{
    Ack, Answer, AnswerEntry, AnswerVerdict, Dir, Event, EventKind, Form, Nonce, NonceField, PushBody,
    Refused, Register, Sealing, Secret, Seq, SeqWindow, UnitState, Unverified, UpBody, seal,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

const SECRET: &str = "3f1c9a7be2d04658a1c7f09e5b2d6c8e3f1c9a7be2d04658a1c7f09e5b2d6c8e";
const NONCE: Nonce = Nonce { boot: 3, random: 0x00c0_ffee_00c0_ffee };

fn script(profile: Profile) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).ok();
    source::expand(&read, "objects/rack/rack.lsl", profile).unwrap()
}

/// What the peer knows of one rack.
#[derive(Default)]
struct Book {
    window: SeqWindow,
    registered: Vec<Register>,
    refused: Vec<&'static str>,
    events: Vec<Event>,
    form: Option<Form>,
}

type Books = Arc<Mutex<BTreeMap<String, Book>>>;

fn secret() -> Secret {
    Secret::new(SECRET).unwrap()
}

fn sealed(dir: Dir, object: &str, form: Form, seq: u32, time: i64, body: &str) -> Vec<u8> {
    let secret = secret();
    let what = Sealing {
        dir,
        object,
        key_id: "a",
        secret: &secret,
        form,
        nonce: NonceField::Boot(NONCE),
        seq: Seq(seq),
        time,
    };
    seal(&what, body)
}

fn decide(event: &Event) -> AnswerEntry {
    let (who, verdict) = match &event.kind {
        EventKind::Touch { who, .. } => (
            who.clone(),
            AnswerVerdict::Menu {
                menu: "m1".into(),
                say: "web-1 is off.".to_owned(),
                pick: vec!["Start".into()],
                for_s: 60,
            },
        ),
        EventKind::Choose { who, pick, .. } => {
            (who.clone(), AnswerVerdict::Accepted { say: format!("{pick}: it will be done.") })
        }
        EventKind::Line { who, .. } => (who.clone(), AnswerVerdict::Noted),
        EventKind::Error { .. } => ("".into(), AnswerVerdict::Noted),
    };
    AnswerEntry { id: event.id.clone(), who, verdict }
}

async fn bridge() -> (Peer, Books) {
    let books = Books::default();
    let kept = Arc::clone(&books);
    let peer = Peer::new(move |seen| {
        let up = Unverified::parse(&seen.body).unwrap().verify(&secret()).unwrap();
        let header = up.header();
        let (object, form, seq, time) = (header.object.to_owned(), header.form, header.seq.0, header.time);
        let mut books = kept.lock().unwrap();
        let book = books.entry(object.clone()).or_default();
        book.form = Some(form);
        // The clocks agree: what is tried here is not the skew.
        let answer = match up.admit(time, NONCE, &mut book.window) {
            Err(fault) => {
                book.refused.push(fault.token());
                Answer::Refused(Refused {
                    refused: fault.token().into(),
                    say: fault.words().to_owned(),
                    last: Some(book.window.last()),
                    again: None,
                })
            }
            Ok(body) => match UpBody::parse(body).unwrap() {
                UpBody::Register(r) => {
                    book.registered.push(r);
                    Answer::Registered { ok: "registered".into(), renew: 600 }
                }
                UpBody::Events(e) => {
                    book.events.extend(e.list.iter().cloned());
                    Answer::Entries { list: e.list.iter().map(decide).collect() }
                }
            },
        };
        let body = serde_json::to_string(&answer).unwrap();
        let message = sealed(Dir::Answer, &object, form, seq, time, &body);
        Reply::Say(200, String::from_utf8(message).unwrap())
    })
    .await;
    (peer, books)
}

fn plan(id: &str, bridge: &str, x: f64) -> RackPlan {
    let card = format!("id = {id}\nkey = a.{SECRET}\nbridge = {bridge}world/1\nunnamed = ignore\n");
    RackPlan {
        id: id.to_owned(),
        position: [x, 128.0, 20.0],
        turned: 0.0,
        units: 4,
        script: "rack".to_owned(),
        notecards: BTreeMap::from([("rack.conf".to_owned(), card)]),
        owner: None,
        key: None,
    }
}

async fn racks(profile: Profile, bridge: &str, count: u8) -> Stage {
    let mut r = room(&[]);
    r.scripts.insert("rack".to_owned(), script(profile));
    r.rack = (1..=count).map(|n| plan(&format!("rack-{n}"), bridge, f64::from(n) * 2.0)).collect();
    let mut settings = settings(profile);
    settings.max_urls = Some(200);
    Stage::new(settings, &r).await
}

fn registrations(books: &Books, id: &str) -> usize {
    books.lock().unwrap().get(id).map_or(0, |b| b.registered.len())
}

async fn until(stage: &mut Stage, seconds: u32, what: impl Fn() -> bool) -> bool {
    for _ in 0..seconds {
        if what() {
            return true;
        }
        stage.advance(1.0).await;
    }
    what()
}

fn dialog(news: &[RegionEvent]) -> Option<Dialog> {
    news.iter().find_map(|e| if let RegionEvent::Dialog(d) = e { Some(d.clone()) } else { None })
}

fn private(news: &[RegionEvent]) -> Vec<String> {
    news.iter()
        .filter_map(|e| match e {
            RegionEvent::Chat(c) if c.voice == Voice::Private && c.to == Some(ada()) => Some(c.text.clone()),
            _ => None,
        })
        .collect()
}

async fn errors(stage: &Stage) -> Vec<String> {
    stage.region.scripts().await.unwrap().into_iter().filter_map(|s| s.error).collect()
}

#[tokio::test]
async fn on_every_grid_a_rack_registers_offers_a_menu_and_draws_what_is_pushed() {
    for profile in Profile::ALL {
        let (peer, books) = bridge().await;
        let mut s = racks(profile, &peer.url, 1).await;
        let there = until(&mut s, 60, || registrations(&books, "rack-1") == 1).await;
        assert!(there, "{profile}: {:?} {:?}", s.said(), errors(&s).await);
        let (register, form) = {
            let books = books.lock().unwrap();
            let book = &books["rack-1"];
            assert_eq!(book.refused, ["nonce"], "{profile}: the first message cannot know the boot");
            (book.registered[0].clone(), book.form.unwrap())
        };
        assert_eq!(register.grid, profile.name());
        assert_eq!(String::from(register.units), "1-4");
        assert_eq!(register.holder, s.view("rack-1").await.key.to_string());
        s.advance(2.0).await;
        s.news();

        let unit = s.prim("unit 2").await;
        s.region.touch(ada(), unit).await.unwrap().unwrap();
        s.advance(1.5).await;
        let news = s.news();
        let menu = dialog(&news).unwrap_or_else(|| panic!("{profile}: no menu, {news:?}"));
        assert_eq!((menu.avatar, menu.text.as_str()), (ada(), "web-1 is off."));
        s.advance(1.0).await;
        s.region.answer_dialog(ada(), menu.id, "Start").await.unwrap().unwrap();
        s.advance(2.0).await;
        assert!(private(&s.news()).contains(&"Start: it will be done.".to_owned()), "{profile}");
        {
            let books = books.lock().unwrap();
            let events = &books["rack-1"].events;
            assert!(
                matches!(&events[0].kind, EventKind::Touch { unit: 2, name, .. } if name == "Ada Lovelace")
            );
            assert!(
                matches!(&events[1].kind, EventKind::Choose { menu, pick, .. } if menu == "m1" && pick == "Start")
            );
        }

        let before = s.view("unit 2").await;
        let state = UnitState {
            u: 2,
            s: "on".into(),
            l: "web-1".into(),
            w: "On".into(),
            n: "".into(),
            o: false,
            m: true,
        };
        let body = serde_json::to_string(&PushBody { list: vec![state], tell: Vec::new() }).unwrap();
        #[expect(clippy::cast_possible_truncation, reason = "a second of this century")]
        let message = sealed(Dir::Push, "rack-1", form, 1, NOW as i64 + 10, &body);
        let (status, answer) = post(&register.url, "", &message).await.unwrap();
        assert_eq!(status, 200, "{profile}: {answer}");
        let ack = Unverified::parse(answer.as_bytes()).unwrap().verify(&secret()).unwrap();
        let ack: Ack = serde_json::from_slice(ack.answers(Dir::Ack, Seq(1)).unwrap()).unwrap();
        assert_eq!(ack.refused, None);
        let after = s.view("unit 2").await;
        assert_eq!(after.text, "web-1\nOn (simulated)", "{profile}");
        assert_ne!(after.face.colour, before.face.colour);
        assert!(after.face.glow > 0.0 && after.face.bright);
        assert_eq!(s.view("unit 3").await.text, "", "only that unit");
        assert_eq!(errors(&s).await, Vec::<String>::new());
        s.region.stop().await;
    }
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_the_same_event() {
    for profile in [Profile::SecondLife, Profile::OpenSim092] {
        let (peer, books) = bridge().await;
        let mut s = racks(profile, &peer.url, 1).await;
        assert!(until(&mut s, 60, || registrations(&books, "rack-1") == 1).await, "{profile}");
        s.advance(2.0).await;
        s.knobs(Knobs { lose_next_answers: 1, ..Knobs::default() }).await;
        s.news();
        let unit = s.prim("unit 1").await;
        s.region.touch(ada(), unit).await.unwrap().unwrap();
        s.advance(110.0).await;
        let news = s.news();
        let menus = news.iter().filter(|e| matches!(e, RegionEvent::Dialog(_))).count();
        assert_eq!(menus, 1, "{profile}: {:?}", private(&news));
        {
            let books = books.lock().unwrap();
            let ids: Vec<&str> = books["rack-1"].events.iter().map(|e| e.id.as_str()).collect();
            assert_eq!(ids.len(), 2, "{profile}");
            assert_eq!(ids[0], ids[1], "the bridge can tell that it is the same touch");
        }
        s.region.stop().await;
    }
}

#[tokio::test]
async fn after_a_region_restart_every_rack_registers_again_by_itself() {
    for profile in [Profile::SecondLife, Profile::OpenSim092] {
        let (peer, books) = bridge().await;
        let mut s = racks(profile, &peer.url, 20).await;
        let all = |n: usize| (1..=20).all(|r| registrations(&books, &format!("rack-{r}")) >= n);
        assert!(until(&mut s, 120, || all(1)).await, "{profile}: {:?}", errors(&s).await);
        let urls = |n: usize| -> Vec<String> {
            let books = books.lock().unwrap();
            books.values().map(|b| b.registered[n].url.to_string()).collect()
        };
        let old = urls(0);
        s.region.restart(20.0).await.unwrap();
        assert!(until(&mut s, 300, || all(2)).await, "{profile}: {:?}", s.said());
        for (new, old) in urls(1).iter().zip(&old) {
            assert_ne!(new, old, "{profile}");
        }
        assert_eq!(errors(&s).await, Vec::<String>::new());
        s.region.stop().await;
    }
}

#[tokio::test]
async fn by_the_wall_clock_a_rack_is_there_within_seconds() {
    let (peer, books) = bridge().await;
    let mut r = room(&[]);
    r.scripts.insert("rack".to_owned(), script(Profile::OpenSim092));
    r.rack = vec![plan("rack-1", &peer.url, 2.0)];
    let real = RegionSettings { clock: ClockKind::Real, ..settings(Profile::OpenSim092) };
    let region = Region::start(real, &r).await.unwrap();
    let mut events = region.subscribe();
    let began = std::time::Instant::now();
    let registered = async {
        // Each call that is over is a chance to be registered.
        while registrations(&books, "rack-1") == 0 {
            events.recv().await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, registered).await.unwrap();
    println!("registered after {:.1} s", began.elapsed().as_secs_f64());
    region.stop().await;
}
