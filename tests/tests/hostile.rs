//! What must not work: each message, copy, callback and answer that should be refused is refused with its
//! own reason, counted, and in the audit; never with a status of 500 or above.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::time::Duration;

use primrack_app::rack::{Avatar, CallbackFault, Faults, Rack, RackSettings};
use primrack_engine::journal::Entry;
use primrack_model::Verdict;
use primrack_tests::http::{metric, refused};
use primrack_tests::{Reply, Room, Script, TestBridge, WORLD, menu, owner, soon, until};
use primrack_wire::world::{Answer, AnswerVerdict, EventKind, Nonce, NonceField, Secret, Unverified};

fn room(world: &str) -> Room {
    let config = format!(
        "{world}
[backends.local.process]
state_dir = 'processes'
[backends.local.process.servers.one]
command = ['sleep', '600']
[targets]
web-1 = {{ backend = 'local', address = 'one' }}
[objects.rack-1]
units = {{ 1 = 'web-1' }}
[objects.rack-2]
units = {{ 1 = 'web-1' }}
[objects.rack-3]
units = {{ 1 = 'web-1' }}
"
    );
    // rack-3 is configured and was never enrolled.
    Room::new(&config, ["rack-1", "rack-2"])
}

/// Class, subject and count of each audit entry.
fn audit(room: &Room) -> Vec<(String, String, u64)> {
    let audited = |entry| match entry {
        Entry::Audit { class, subject, count, .. } => Some((class.to_string(), subject.to_string(), count)),
        _ => None,
    };
    room.entries().into_iter().filter_map(audited).collect()
}

fn nothing_was_accepted(room: &Room) {
    let accepted = |entry: &Entry| matches!(entry, Entry::Decision(decision) if matches!(decision.receipt.verdict, Verdict::Accepted));
    assert!(!room.entries().iter().any(accepted));
    assert!(room.processes("processes", "one").is_empty());
}

/// The reason of a refusal: plain with its status, or signed by the bridge with 200.
fn reason(script: &mut Script, seq: u32, reply: &Reply) -> (u16, String) {
    assert!(reply.status < 500, "{}: {}", reply.status, reply.text());
    if let Some(rest) = reply.text().strip_prefix("primrack/1 refused ") {
        return (reply.status, rest.split(' ').next().unwrap().to_owned());
    }
    let known = script.nonce;
    assert_eq!(Unverified::parse(&reply.body).unwrap().header.seq.0, seq, "{}", reply.text());
    let answer = script.believe(reply, seq);
    script.nonce = known;
    match answer {
        Answer::Refused(refused) => (reply.status, refused.refused.to_string()),
        other => panic!("it was taken: {other:?}"),
    }
}

fn flipped(mut message: Vec<u8>, at: usize) -> Vec<u8> {
    message[at] ^= 1;
    message
}

#[tokio::test]
async fn each_bad_message_has_its_own_reason_and_is_counted_and_audited() {
    let bridge = TestBridge::start(room(WORLD)).await;
    let address = bridge.address();
    let mut good = bridge.script("rack-1");
    assert!(matches!(good.register().await, Answer::Registered { .. }));
    let touch = |script: &Script, id: &str| {
        let Avatar { id: who, name } = owner();
        let body = script.events([(id.to_owned(), EventKind::Touch { unit: 1, who, name })]);
        serde_json::to_string(&body).unwrap()
    };
    // From here on every number is taken on purpose. 10 was taken, 9 was not.
    good.seq = 10;
    let taken = good.sealed(&touch(&good, "x.0"));
    let first = good.post(taken.clone()).await;
    assert!(matches!(good.believe(&first, 10), Answer::Entries { .. }));
    let reflected = first.body.to_vec();

    let at = |seq: u32| Script { seq, ..good.clone() };
    let says = |script: &Script| script.sealed(&touch(script, "x.1"));
    let cut = |mut message: Vec<u8>, by: usize| {
        message.truncate(message.len() - by);
        message
    };
    let foreign = Secret::new(&"f".repeat(64)).unwrap();
    let other_boot = match good.nonce {
        NonceField::Boot(Nonce { boot, random }) => NonceField::Boot(Nonce { boot, random: random ^ 1 }),
        NonceField::None => panic!("the script met the bridge"),
    };
    let nine = |script: &Script| {
        let one = EventKind::Error { text: "x".to_owned() };
        let body = script.events((0..9).map(|n| (format!("n.{n}"), one.clone())));
        serde_json::to_string(&body).unwrap()
    };
    let changed_line = String::from_utf8(says(&at(11))).unwrap().replacen(" 11 ", " 12 ", 1).into_bytes();
    let other_version = [b"primrack/2".as_slice(), &says(&at(11))[10..]].concat();
    let stranger = Script { holder: "99999999-0000-4000-8000-000000000000".into(), ..at(19) };
    let unregistered = Script { object: "rack-2".to_owned(), nonce: good.nonce, seq: 1, ..good.clone() };

    let attacks: Vec<(&str, u32, Vec<u8>, u16, &str)> = vec![
        ("signed with a foreign key", 11, says(&Script { secret: foreign, ..at(11) }), 403, "forged"),
        ("a header line changed on the way", 11, changed_line, 403, "forged"),
        ("sent once more as it was", 10, taken, 200, "replayed"),
        ("a number below, never taken", 9, says(&at(9)), 200, "reordered"),
        ("too large", 0, vec![b'x'; 8193], 413, "too-long"),
        ("a good one, made too large", 11, at(11).sealed(&" ".repeat(8192)), 413, "too-long"),
        ("its end cut off", 11, cut(says(&at(11)), 5), 200, "truncated"),
        (
            "a body changed on the way",
            11,
            {
                let m = says(&at(11));
                let l = m.len() - 4;
                flipped(m, l)
            },
            200,
            "truncated",
        ),
        ("only half a header", 0, says(&at(11))[..50].to_vec(), 400, "malformed"),
        ("nothing at all", 0, Vec::new(), 400, "malformed"),
        ("no text", 0, (0..=255).collect(), 400, "malformed"),
        ("a header without end", 0, [b"primrack/1 up ".as_slice(), &[b'a'; 4000]].concat(), 400, "malformed"),
        ("the bridge's own answer, sent back", 0, reflected, 400, "malformed"),
        ("of another version", 0, other_version, 400, "version"),
        ("two minutes late", 11, says(&Script { clock: -125, ..at(11) }), 200, "skew"),
        ("from the future", 11, says(&Script { clock: 900, ..at(11) }), 200, "skew"),
        ("for another boot of the bridge", 11, says(&Script { nonce: other_boot, ..at(11) }), 200, "nonce"),
        (
            "an object that is not configured",
            0,
            says(&Script { object: "rack-9".to_owned(), ..at(11) }),
            403,
            "unknown-object",
        ),
        (
            "an object that was never enrolled",
            0,
            says(&Script { object: "rack-3".to_owned(), ..at(11) }),
            403,
            "unknown-object",
        ),
        (
            "a key id that it does not have",
            0,
            says(&Script { key_id: "b".to_owned(), ..at(11) }),
            403,
            "unknown-key",
        ),
        ("no JSON", 12, at(12).sealed("hello"), 200, "garbage"),
        ("JSON that is nothing", 13, at(13).sealed("{\"do\":\"dance\"}"), 200, "garbage"),
        ("nine events", 14, at(14).sealed(&nine(&good)), 200, "garbage"),
        ("no event", 15, at(15).sealed("{\"do\":\"events\",\"holder\":\"h\",\"list\":[]}"), 200, "garbage"),
        ("deeply nested", 16, at(16).sealed(&"[".repeat(7000)), 200, "garbage"),
        ("events of another prim", 19, says(&stranger), 200, "not-registered"),
        ("events before registering", 1, says(&unregistered), 200, "not-registered"),
    ];
    let mut reasons = BTreeSet::new();
    for (what, seq, message, status, wanted) in attacks {
        let before = refused(address, wanted).await;
        let reply = good.post(message).await;
        let mut speaker =
            if what == "events before registering" { unregistered.clone() } else { good.clone() };
        assert_eq!(reason(&mut speaker, seq, &reply), (status, wanted.to_owned()), "{what}");
        assert_eq!(refused(address, wanted).await - before, 1.0, "{what} is counted");
        reasons.insert(wanted);
    }

    // The object itself goes on as if nothing had been.
    let entry = good.touch("x.2", 1, &owner()).await;
    assert!(!matches!(entry.verdict, AnswerVerdict::Noted), "{entry:?}");
    let room = bridge.stop().await;
    nothing_was_accepted(&room);
    let audited = audit(&room);
    for reason in reasons {
        // Every script begins with an old nonce, so that one is counted and no more.
        let found = audited.iter().any(|(class, _, _)| class == reason);
        assert_eq!(found, reason != "nonce", "{reason} in {audited:?}");
    }
    assert_eq!(room.verify().fault, None);
}

#[tokio::test]
async fn more_than_its_share_of_requests_is_refused_and_only_its_own() {
    let slow = WORLD.replace("10000.0", "5.0").replace("requests_per_s = 5.0", "requests_per_s = 0.001");
    let bridge = TestBridge::start(room(&slow)).await;
    let (mut one, mut two) = (bridge.script("rack-1"), bridge.script("rack-2"));
    // One for the nonce, one to register.
    assert!(matches!(one.register().await, Answer::Registered { .. }));
    for n in 0..3 {
        one.touch(&format!("t.{n}"), 1, &owner()).await;
    }
    let body = one.registration();
    let message = one.next(&body);
    let reply = one.post(message).await;
    let seq = one.seq;
    assert_eq!(reason(&mut one, seq, &reply), (200, "too-many".to_owned()));
    assert!(matches!(two.register().await, Answer::Registered { .. }));
    assert_eq!(refused(bridge.address(), "too-many").await, 1.0);
    let room = bridge.stop().await;
    assert!(audit(&room).contains(&("too-many".to_owned(), "rack-1".to_owned(), 1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_forged_messages_is_counted_to_the_last_and_does_not_fill_the_journal() {
    const SENDERS: u32 = 8;
    const EACH: u32 = 250;
    let bridge = TestBridge::start(room(WORLD)).await;
    let mut good = bridge.script("rack-1");
    assert!(matches!(good.register().await, Answer::Registered { .. }));
    let forged = Script { secret: Secret::new(&"f".repeat(64)).unwrap(), ..good.clone() };
    let flood: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let forged = forged.clone();
            tokio::spawn(async move {
                for n in 0..EACH {
                    // Half of them claim a new object each time.
                    let claimed = if n % 2 == 0 { "rack-1".to_owned() } else { format!("rack-{sender}-{n}") };
                    let message = Script { object: claimed, seq: n + 100, ..forged.clone() }.sealed("{}");
                    let reply = forged.post(message).await;
                    assert_eq!(reply.status, 403, "{}", reply.text());
                }
            })
        })
        .collect();
    // The owner of the key is heard meanwhile.
    let mut answered = 0;
    while !flood.iter().all(tokio::task::JoinHandle::is_finished) {
        let entry = soon("an answer in the flood", good.touch(&format!("g.{answered}"), 1, &owner())).await;
        assert!(matches!(&entry.verdict, AnswerVerdict::Menu { .. } | AnswerVerdict::Refused { .. }));
        answered += 1;
    }
    for sender in flood {
        sender.await.unwrap();
    }
    let all = u64::from(SENDERS * EACH);
    let counted =
        refused(bridge.address(), "forged").await + refused(bridge.address(), "unknown-object").await;
    assert_eq!(counted, 2000.0);
    let room = bridge.stop().await;
    let audited: Vec<_> = audit(&room)
        .into_iter()
        .filter(|(class, _, _)| class == "forged" || class == "unknown-object")
        .collect();
    assert_eq!(audited.iter().map(|(_, _, count)| count).sum::<u64>(), all, "nothing is left out");
    // 256 subjects told apart, the rest as others; one line at once and one at the end each.
    assert!(audited.len() <= 2 * 257, "{} audit entries", audited.len());
    assert!(audited.iter().any(|(class, subject, _)| class == "unknown-object" && subject == "others"));
    assert!(audited.iter().any(|(class, subject, _)| class == "forged" && subject == "rack-1"));
    assert_eq!(room.verify().fault, None);
    nothing_was_accepted(&room);
    println!("{answered} touches were answered during a flood of {all}; {} audit entries", audited.len());
}

#[tokio::test]
async fn a_callback_that_is_not_allowed_is_refused_and_the_line_to_add_is_named() {
    let bridge = TestBridge::start(room(WORLD)).await;
    let mut script = bridge.script("rack-1");
    let urls = [
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1:8080/cap",
        "http://localhost:9000/cap",
        "http://[::1]:9000/cap",
        "http://127.0.0.1@10.0.0.1/cap",
        "http://0x7f000001:9000/cap",
        "ftp://127.0.0.1/cap",
        "file:///etc/passwd",
        "nonsense",
        "",
    ];
    for (n, url) in urls.iter().enumerate() {
        script.url = (*url).into();
        let Answer::Refused(refused) = script.register().await else { panic!("{url} was taken") };
        assert_eq!(refused.refused, "url", "{url}: {}", refused.say);
        assert!(!refused.say.is_empty());
        assert_eq!(primrack_tests::http::refused(bridge.address(), "url").await, (n + 1) as f64);
    }
    assert!(bridge.bridge.world.objects()[0].heard.is_none(), "nothing of it was kept");
    let room = bridge.stop().await;
    assert!(audit(&room).iter().any(|(class, subject, _)| class == "url" && subject == "rack-1"));
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_never_followed() {
    let bridge = TestBridge::start(room(WORLD)).await;
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let to = format!("http://{}/", elsewhere.local_addr().unwrap());
    let rack = Rack::start(bridge.rack("rack-1")).await.unwrap();
    rack.play(Faults { callback: CallbackFault::Redirect(to), ..Faults::default() });
    soon("the rack registers", rack.register()).await.unwrap();
    // Twice, so that a follower would have had its time.
    until("pushes fail", async || {
        (metric(bridge.address(), "primrack_world_push_failures_total").await >= 2.0).then_some(())
    })
    .await;
    assert!(bridge.bridge.world.objects()[0].silent.is_some());
    let nobody = elsewhere.accept().unwrap_err();
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock, "somebody followed the redirect");
    bridge.stop().await;
}

/// A second prim under the same id.
fn copy(bridge: &TestBridge) -> Script {
    Script { holder: "22222222-0000-4000-8000-000000000000".into(), ..bridge.script("rack-1") }
}

fn refusal(answer: &Answer) -> &str {
    match answer {
        Answer::Refused(refused) => &refused.refused,
        other => panic!("it was taken: {other:?}"),
    }
}

#[tokio::test]
async fn a_copy_of_a_rack_that_is_alive_waits_and_is_refused() {
    let bridge = TestBridge::start(room(WORLD)).await;
    let rack = Rack::start(bridge.rack("rack-1")).await.unwrap();
    soon("the rack registers", rack.register()).await.unwrap();
    soon("it shows its unit", rack.shows(1, "off")).await.unwrap();
    let pushes = rack.counts().pushes;
    let mut copy = copy(&bridge);
    let first = copy.register().await;
    assert_eq!(refusal(&first), "wait");
    assert!(matches!(&first, Answer::Refused(refused) if refused.again.is_some()));
    // The bridge asks the first, which answers.
    until("the first is asked", async || (rack.counts().pushes > pushes).then_some(())).await;
    let second = until("the answer is known", async || {
        let answer = copy.register().await;
        (refusal(&answer) != "wait").then_some(answer)
    })
    .await;
    assert_eq!(refusal(&second), "copy");
    assert_eq!(bridge.bridge.world.objects()[0].rival.as_deref(), Some(copy.holder.as_str()), "it is shown");
    // What the copy says is not heard, and the first goes on.
    let body = copy.events([("c.1".to_owned(), EventKind::Error { text: "x".to_owned() })]);
    assert_eq!(refusal(&copy.up(&body).await), "not-registered");
    let entry = soon("the first is heard", rack.touch(1, &owner())).await.unwrap();
    assert_eq!(menu(&entry).1, ["Start"]);
    assert_eq!(refused(bridge.address(), "copy").await, 1.0);
    let room = bridge.stop().await;
    assert!(audit(&room).iter().any(|(class, subject, _)| class == "copy" && subject == "rack-1"));
}

#[tokio::test]
async fn a_copy_of_a_rack_that_is_gone_takes_over_and_the_old_url_gets_nothing_more() {
    let bridge = TestBridge::start(room(WORLD)).await;
    let first = Rack::start(bridge.rack("rack-1")).await.unwrap();
    soon("the rack registers", first.register()).await.unwrap();
    soon("it shows its unit", first.shows(1, "off")).await.unwrap();
    drop(first);
    let settings = RackSettings { holder: copy(&bridge).holder, ..bridge.rack("rack-1") };
    let second = Rack::start(settings).await.unwrap();
    // It is told to wait, asks again by itself, and is taken.
    soon("the second takes over", second.register()).await.unwrap();
    soon("the second shows everything", second.shows(1, "off")).await.unwrap();
    let room = bridge.stop().await;
    let took_over = |entry: &Entry| matches!(entry, Entry::World { what, .. } if what == "took-over");
    assert_eq!(room.entries().iter().filter(|entry| took_over(entry)).count(), 1);
}

#[tokio::test]
async fn another_owner_and_another_region_are_refused_alive_or_gone() {
    let bridge = TestBridge::start(room(WORLD)).await;
    let rack = Rack::start(bridge.rack("rack-1")).await.unwrap();
    soon("the rack registers", rack.register()).await.unwrap();
    soon("it shows its unit", rack.shows(1, "off")).await.unwrap();
    let mut thief = Script { owner: "33333333-0000-4000-8000-000000000000".into(), ..copy(&bridge) };
    let mut sold = Script { holder: bridge.script("rack-1").holder, ..thief.clone() };
    let mut elsewhere = Script { region: "Elsewhere".into(), ..copy(&bridge) };
    for _ in 0..2 {
        assert_eq!(refusal(&thief.register().await), "owner");
        assert_eq!(refusal(&sold.register().await), "owner");
        assert_eq!(refusal(&elsewhere.register().await), "copy");
    }
    drop(rack);
    assert_eq!(refusal(&thief.register().await), "owner");
    assert_eq!(refusal(&elsewhere.register().await), "copy");
    assert_eq!(refused(bridge.address(), "owner").await, 5.0);
    let room = bridge.stop().await;
    assert!(audit(&room).iter().any(|(class, subject, _)| class == "owner" && subject == "rack-1"));
}

#[tokio::test]
async fn a_menu_is_answered_once_in_time_by_whom_it_was_offered_to_with_what_was_offered() {
    let short = WORLD.replace("[world]", "[world]\nmenu_s = 1");
    for (what, world, words) in [
        ("by somebody else", WORLD, "somebody else"),
        ("with what was not offered", WORLD, "not offered"),
        ("twice", WORLD, "answered already"),
        ("too late", short.as_str(), "is over"),
        ("of another name", WORLD, "is over"),
    ] {
        let bridge = TestBridge::start(room(world)).await;
        let rack = Rack::start(bridge.rack("rack-1")).await.unwrap();
        soon("the rack registers", rack.register()).await.unwrap();
        soon("it shows its unit", rack.shows(1, "off")).await.unwrap();
        let ada = owner();
        let touched = soon("a menu", rack.touch(1, &ada)).await.unwrap();
        let (id, picks) = menu(&touched);
        assert_eq!(picks, ["Start"]);
        let mallory = Avatar::named("Mallory");
        let entry = match what {
            "by somebody else" => rack.choose(&id, &mallory, "Start").await,
            "with what was not offered" => rack.choose(&id, &ada, "Power off").await,
            "twice" => {
                rack.choose(&id, &ada, "Cancel").await.unwrap();
                rack.choose(&id, &ada, "Start").await
            }
            "of another name" => rack.choose("0123456789abcdef", &ada, "Start").await,
            _ => {
                // The time of the menu passes: the bridge goes by its own clock.
                tokio::time::sleep(Duration::from_millis(1100)).await;
                rack.choose(&id, &ada, "Start").await
            }
        };
        let entry = entry.unwrap();
        let AnswerVerdict::Refused { code, say } = &entry.verdict else { panic!("{what}: {entry:?}") };
        assert!(code == "not-offered" && say.contains(words), "{what}: {say}");
        assert_eq!(refused(bridge.address(), "not-offered").await, 1.0, "{what} is counted");
        let room = bridge.stop().await;
        assert!(
            audit(&room).iter().any(|(class, subject, _)| class == "not-offered" && subject == "rack-1"),
            "{what} is in the audit"
        );
        nothing_was_accepted(&room);
    }
}

#[tokio::test]
async fn a_body_in_the_header_s_clothes_is_never_believed_by_the_script_either() {
    let bridge = TestBridge::start(room(WORLD)).await;
    let mut script = bridge.script("rack-1");
    let body = script.registration();
    let message = script.next(&body);
    let reply = script.post(message).await;
    // The refusal of the unknown nonce is signed for this very number and key.
    let unverified = Unverified::parse(&reply.body).unwrap();
    assert!(unverified.verify(&Secret::new(&"f".repeat(64)).unwrap()).is_err());
    let seq = script.seq;
    assert_eq!(reason(&mut script, seq, &reply), (200, "nonce".to_owned()));
    bridge.stop().await;
}
