//! The rack against a whole bridge with real processes.

use std::time::Duration;

use primrack_wire::world::{AnswerEntry, AnswerVerdict, KeyId, Secret};
use tokio::net::TcpListener;

use super::{Avatar, CallbackFault, Faults, News, Rack, RackError, RackSettings};
use crate::testing::{OWNER, TestBridge};

const SOON: Duration = Duration::from_secs(20);

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, what).await.expect("it did not happen in time")
}

fn menu(entry: &AnswerEntry) -> (String, Vec<String>) {
    match &entry.verdict {
        AnswerVerdict::Menu { menu, pick, .. } => {
            (menu.to_string(), pick.iter().map(ToString::to_string).collect())
        }
        other => panic!("no menu: {other:?}"),
    }
}

#[tokio::test]
async fn a_touch_starts_a_real_process_and_the_unit_shows_it() {
    let bridge = TestBridge::start().await;
    let rack = Rack::start(bridge.rack()).await.unwrap();
    assert_eq!(soon(rack.register()).await, Ok(600));
    soon(rack.shows(1, "off")).await.unwrap();
    let mut news = rack.changes();
    let guest = Avatar::named("Ada");
    let (menu, picks) = menu(&soon(rack.touch(1, &guest)).await.unwrap());
    assert_eq!(picks, ["Start"], "a guest may only start");
    let receipt = soon(rack.choose(&menu, &guest, "Start")).await.unwrap();
    assert!(
        matches!(&receipt.verdict, AnswerVerdict::Accepted { say } if say == "Starting web-1."),
        "{receipt:?}"
    );
    soon(rack.shows(1, "on")).await.unwrap();
    let mut seen = Vec::new();
    while seen.last().is_none_or(|word| word != "on") {
        if let News::Unit(unit) = soon(news.recv()).await.unwrap()
            && unit.u == 1
        {
            seen.push(unit.s.to_string());
        }
    }
    assert!(seen.contains(&"starting".to_owned()) || seen == ["on"], "{seen:?}");
    bridge.end().await;
}

#[tokio::test]
async fn who_may_not_is_told_why_and_whom_to_ask() {
    let bridge = TestBridge::start().await;
    let rack = Rack::start(bridge.rack()).await.unwrap();
    soon(rack.register()).await.unwrap();
    soon(rack.shows(2, "off")).await.unwrap();
    let entry = soon(rack.touch(2, &Avatar::named("Ada"))).await.unwrap();
    let AnswerVerdict::Refused { code, say } = entry.verdict else { panic!("{entry:?}") };
    assert_eq!(code, "not-permitted");
    assert!(say.contains("Ada may not start web-2") && say.contains("Ask"), "{say}");
    bridge.end().await;
}

#[tokio::test]
async fn a_lost_answer_yields_the_same_receipt_and_no_second_action() {
    let bridge = TestBridge::start().await;
    let rack = Rack::start(bridge.rack()).await.unwrap();
    soon(rack.register()).await.unwrap();
    soon(rack.shows(1, "off")).await.unwrap();
    let owner = Avatar::named(OWNER);
    let (menu, _) = menu(&soon(rack.touch(1, &owner)).await.unwrap());
    rack.play(Faults { lose_answers: 2, ..Faults::default() });
    let sent = rack.counts().sent;
    let entry = soon(rack.choose(&menu, &owner, "Start")).await.unwrap();
    assert!(matches!(entry.verdict, AnswerVerdict::Accepted { .. }), "{entry:?}");
    assert_eq!(rack.counts().sent - sent, 3, "sent again until answered");
    let filter = primrack_engine::journal::EntryFilter {
        target: Some("web-1".to_owned()),
        kinds: vec![primrack_engine::journal::Kind::Decision],
        ..Default::default()
    };
    let page = bridge.bridge.engine.journal().page(filter).await.unwrap();
    assert_eq!(page.records.len(), 1, "{:?}", page.records);
    bridge.end().await;
}

#[tokio::test]
async fn a_wrong_clock_is_corrected_by_the_answer() {
    for seconds in [-86_400, 5000] {
        let bridge = TestBridge::start().await;
        let rack = Rack::start(bridge.rack()).await.unwrap();
        rack.set_clock_error(seconds);
        soon(rack.register()).await.unwrap();
        // Pushes are judged by the corrected clock.
        soon(rack.shows(3, "off")).await.unwrap();
        bridge.end().await;
    }
}

#[tokio::test]
async fn all_three_forms_of_the_mac_are_spoken_both_ways() {
    let bridge = TestBridge::start().await;
    for form in primrack_wire::world::Form::ALL {
        let rack = Rack::start(RackSettings { form, ..bridge.rack() }).await.unwrap();
        soon(rack.register()).await.unwrap();
        soon(rack.shows(1, "off")).await.unwrap();
        assert_eq!(rack.counts().pushes_refused, 0, "{form:?}");
    }
    bridge.end().await;
}

#[tokio::test]
async fn a_restarted_bridge_is_met_again_without_a_touch_lost() {
    let bridge = TestBridge::start().await;
    let rack = Rack::start(bridge.rack()).await.unwrap();
    soon(rack.register()).await.unwrap();
    soon(rack.shows(1, "off")).await.unwrap();
    let address = bridge.bridge.address;
    let folder = bridge.stop().await;
    let touched = {
        let mut news = rack.changes();
        let owner = Avatar::named(OWNER);
        let touch = rack.touch(1, &owner);
        let mut touch = std::pin::pin!(touch);
        // It is on its way before the bridge is back.
        loop {
            tokio::select! {
                early = &mut touch => panic!("answered by nobody: {early:?}"),
                news = soon(news.recv()) => if matches!(news, Ok(News::Trouble { .. })) { break },
            }
        }
        let bridge = TestBridge::start_in(folder, Some(address)).await;
        let entry = soon(touch).await.unwrap();
        bridge.end().await;
        entry
    };
    assert!(
        matches!(&touched.verdict, AnswerVerdict::Menu { .. })
            || matches!(&touched.verdict, AnswerVerdict::Refused { code, .. } if code == "stale"),
        "{touched:?}"
    );
}

#[tokio::test]
async fn a_callback_that_does_not_acknowledge_gets_everything_later() {
    let bridge = TestBridge::start().await;
    for callback in [CallbackFault::Empty, CallbackFault::Redirect("http://127.0.0.1:1/".to_owned())] {
        let rack = Rack::start(bridge.rack()).await.unwrap();
        rack.play(Faults { callback, ..Faults::default() });
        soon(rack.register()).await.unwrap();
        let silent = async {
            while bridge.bridge.world.objects()[0].silent.is_none() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        soon(silent).await;
        assert!(rack.states().borrow().is_empty());
        rack.play(Faults::default());
        soon(rack.shows(3, "off")).await.unwrap();
    }
    bridge.end().await;
}

#[tokio::test]
async fn a_changed_key_is_used_at_once_and_a_wrong_one_is_told() {
    let bridge = TestBridge::start().await;
    let rack =
        Rack::start(RackSettings { patience: Duration::from_millis(100), ..bridge.rack() }).await.unwrap();
    soon(rack.register()).await.unwrap();
    rack.change_key(KeyId::new("a").unwrap(), Secret::new(&"x".repeat(32)).unwrap());
    let error = soon(rack.register()).await.unwrap_err();
    assert!(
        matches!(&error, RackError::Unproved { status: 403, words } if words.starts_with("forged")),
        "{error:?}"
    );
    bridge.end().await;
}

#[tokio::test]
async fn a_push_that_is_forged_or_repeated_changes_nothing() {
    use primrack_wire::world::{Dir, Form, Nonce, NonceField, Sealing, Seq, seal};
    let bridge = TestBridge::start().await;
    let rack = Rack::start(bridge.rack()).await.unwrap();
    soon(rack.register()).await.unwrap();
    soon(rack.shows(3, "off")).await.unwrap();
    let secret = Secret::new(crate::testing::SECRET).unwrap();
    let wrong = Secret::new(&"y".repeat(40)).unwrap();
    let push = |secret: &Secret, boot: u32, seq: u32, skew: i64| {
        let sealing = Sealing {
            dir: Dir::Push,
            object: "rack-1",
            key_id: "a",
            secret,
            form: Form::Hex,
            nonce: NonceField::Boot(Nonce { boot, random: 7 }),
            seq: Seq(seq),
            time: primrack_model::UnixMs::now().seconds() + skew,
        };
        seal(&sealing, r#"{"list":[{"u":3,"s":"crashed","l":"db-1","w":"Crashed"}]}"#)
    };
    let mut short = push(&secret, 9, 1, 0);
    short.truncate(short.len() - 3);
    for (message, status, words) in [
        (push(&wrong, 9, 1, 0), 403, "primrack/1 refused forged"),
        (short, 403, "primrack/1 refused truncated"),
        (b"hello\n".to_vec(), 403, "primrack/1 refused malformed"),
        (vec![b'x'; 5000], 403, "primrack/1 refused too-long"),
        (push(&secret, 1, 1, 0), 200, r#"{"refused":"old","boot":1,"last":"#),
        (push(&secret, 9, 1, 500), 200, r#"{"refused":"skew"}"#),
    ] {
        let (found, answer) = post(rack.url(), &message).await;
        assert!(found == status && answer.contains(words), "{words}: {found} {answer}");
        assert_eq!(rack.states().borrow()[&3].s, "off");
    }
    bridge.end().await;
}

/// A bare HTTP/1.1 post: what a stranger would send.
async fn post(url: &str, message: &[u8]) -> (u16, String) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    let head = format!(
        "POST /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        message.len()
    );
    stream.write_all(&[head.as_bytes(), message].concat()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    (answer[9..12].parse().unwrap(), answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[tokio::test]
async fn nobody_there_is_told_after_the_patience() {
    // A port that nobody listens on: taken and let go.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let key =
        super::RackKey { id: KeyId::new("a").unwrap(), secret: Secret::new(crate::testing::SECRET).unwrap() };
    let settings = RackSettings {
        patience: Duration::from_millis(400),
        ..RackSettings::new(format!("http://{address}"), "rack-1", key)
    };
    let rack = Rack::start(settings).await.unwrap();
    let error = soon(rack.touch(1, &Avatar::named("Ada"))).await.unwrap_err();
    assert!(matches!(&error, RackError::Unreachable { why, .. } if why.contains("refused")), "{error:?}");
}
