//! Touches, menus, text boxes, chat.

use crate::support::{Stage, ada, room, settings};
use primrack_lsl::Profile;
use primrack_region::view::{Dialog, RegionEvent, Voice};
use primrack_region::{Refusal, Room};
use uuid::Uuid;

const MENU: &str = r#"
integer gHandle;
default {
    touch_start(integer n) {
        gHandle = llListen(-77, "", llDetectedKey(0), "");
        llDialog(llDetectedKey(0), "What now?", ["Start", "Stop"], -77);
        llTextBox(llDetectedKey(0), "A line?", -77);
    }
    listen(integer channel, string name, key who, string words) {
        llRegionSayTo(who, 0, name + " on " + (string)channel + ": " + words);
    }
}"#;

fn dialogs(stage: &mut Stage) -> Vec<Dialog> {
    stage
        .news()
        .into_iter()
        .filter_map(|e| if let RegionEvent::Dialog(d) = e { Some(d) } else { None })
        .collect()
}

#[tokio::test]
async fn a_menu_is_answered_by_its_avatar_with_what_was_offered() {
    for profile in Profile::ALL {
        let mut s = Stage::script(profile, MENU).await;
        let prim = s.prim("script").await;
        let bob = Uuid::from_u128(0xb0b);
        assert_eq!(s.region.touch(bob, prim).await.unwrap(), Err(Refusal::NoAvatar(bob)));
        s.region.enter(bob, "Bob", [1.0, 1.0, 21.0]).await.unwrap();
        s.region.touch(ada(), prim).await.unwrap().unwrap();
        // llDialog sleeps a second before the text box comes.
        s.advance(0.5).await;
        assert_eq!(dialogs(&mut s).len(), 1, "{profile}");
        s.advance(1.0).await;
        let text_box = dialogs(&mut s).remove(0);
        assert!(text_box.text_box && text_box.avatar == ada());
        let (snapshot, _) = s.region.snapshot().await.unwrap();
        let menu = snapshot.dialogs.iter().find(|d| !d.text_box).unwrap();
        assert_eq!((menu.text.as_str(), menu.from.as_str()), ("What now?", "script"));
        assert_eq!(menu.buttons, ["Start", "Stop"]);

        assert_eq!(s.region.answer_dialog(bob, menu.id, "Start").await.unwrap(), Err(Refusal::NoDialog));
        assert_eq!(
            s.region.answer_dialog(ada(), menu.id, "Explode").await.unwrap(),
            Err(Refusal::NotOffered)
        );
        s.region.answer_dialog(ada(), menu.id, "Start").await.unwrap().unwrap();
        assert_eq!(s.region.answer_dialog(ada(), menu.id, "Start").await.unwrap(), Err(Refusal::NoDialog));
        s.region.write(ada(), text_box.id, "a line of mine").await.unwrap().unwrap();
        s.region.say(bob, -77, "Start").await.unwrap().unwrap();
        s.advance(2.0).await;
        let chats = s.chats();
        let words: Vec<&str> = chats.iter().map(|c| c.text.as_str()).collect();
        assert_eq!(words, ["Ada Lovelace on -77: Start", "Ada Lovelace on -77: a line of mine"]);
        assert!(
            chats.iter().all(|c| c.to == Some(ada()) && c.voice == Voice::Private),
            "nobody else hears it"
        );
        s.region.stop().await;
    }
}

#[tokio::test]
async fn a_menu_with_bad_buttons_does_not_come_and_the_debug_channel_says_why() {
    let source = r#"default { touch_start(integer n) {
        llDialog(llDetectedKey(0), "x", ["1","2","3","4","5","6","7","8","9","10","11","12","13"], -1);
        llDialog(llDetectedKey(0), "x", ["a button of more than 24 bytes"], -1); } }"#;
    let mut s = Stage::script(Profile::SecondLife, source).await;
    let prim = s.prim("script").await;
    s.region.touch(ada(), prim).await.unwrap().unwrap();
    s.advance(5.0).await;
    let news = s.news();
    assert!(!news.iter().any(|e| matches!(e, RegionEvent::Dialog(_))));
    let debug = news.iter().filter(|e| matches!(e, RegionEvent::Chat(c) if c.voice == Voice::Debug)).count();
    assert_eq!(debug, 2);
    s.region.stop().await;
}

#[tokio::test]
async fn chat_reaches_as_far_as_its_voice() {
    let hears = r#"default { state_entry() { llListen(5, "", NULL_KEY, ""); }
        listen(integer c, string n, key id, string m) { llOwnerSay(llGetObjectName() + " heard " + m); } }"#;
    let speaks = r#"default { touch_start(integer n) {
        llWhisper(5, "whisper"); llSay(5, "say"); llShout(5, "shout"); llRegionSay(5, "region"); } }"#;
    let mut r: Room = room(&[("near", hears), ("mid", hears), ("far", hears), ("speaker", speaks)]);
    for (i, away) in [5.0, 15.0, 90.0].into_iter().enumerate() {
        r.object[i].prim[0].position[0] += away;
    }
    let mut s = Stage::new(settings(Profile::OpenSim093), &r).await;
    let mut said = s.touch("speaker").await;
    said.sort();
    assert_eq!(
        said,
        [
            "far heard region",
            "far heard shout",
            "mid heard region",
            "mid heard say",
            "mid heard shout",
            "near heard region",
            "near heard say",
            "near heard shout",
            "near heard whisper"
        ]
    );
    s.region.stop().await;
}

#[tokio::test]
async fn listens_end_with_their_state_and_timers_do_not() {
    let source = r#"
        default {
            state_entry() { llListen(5, "", NULL_KEY, ""); llSetTimerEvent(1.0); }
            touch_start(integer n) { state other; }
            listen(integer c, string n, key id, string m) { llOwnerSay("heard " + m); }
        }
        state other {
            listen(integer c, string n, key id, string m) { llOwnerSay("still heard " + m); }
            timer() { llSetTimerEvent(0.0); llOwnerSay("timer"); }
        }"#;
    for profile in Profile::ALL {
        let mut s = Stage::script(profile, source).await;
        s.region.say(ada(), 5, "one").await.unwrap().unwrap();
        s.advance(0.0).await;
        assert_eq!(s.said(), ["heard one"], "{profile}");
        s.touch("script").await;
        s.region.say(ada(), 5, "two").await.unwrap().unwrap();
        s.advance(3.0).await;
        assert_eq!(s.said(), ["timer"], "{profile}");
        s.region.stop().await;
    }
}
