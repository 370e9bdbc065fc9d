//! Prims, notecards, copies, owners.

use crate::support::{Stage, ada, prim, room, settings};
use primrack_lsl::Profile;
use primrack_region::view::{RegionEvent, ShapeKind};
use primrack_region::{ObjectPlan, Room, RoomError, StartError};
use uuid::Uuid;

#[tokio::test]
async fn one_call_sets_several_prims_and_they_read_back() {
    let source = r#"default { touch_start(integer n) {
        llSetLinkPrimitiveParamsFast(2, [PRIM_COLOR, ALL_SIDES, <1.0, 0.0, 0.0>, 0.5, PRIM_TEXT, "two", <1.0, 1.0, 1.0>, 1.0,
            PRIM_LINK_TARGET, 3, PRIM_GLOW, 1, 0.3, PRIM_TYPE, PRIM_TYPE_BOX, PRIM_HOLE_DEFAULT, <0.25, 1.0, 0.0>, 0.7,
            ZERO_VECTOR, <0.5, 0.5, 0.0>, ZERO_VECTOR]);
        llOwnerSay(llDumpList2String(llGetLinkPrimitiveParams(3, [PRIM_TYPE, PRIM_NAME, PRIM_LINK_TARGET, 2, PRIM_TEXT]), "|"));
        llOwnerSay((string)llDetectedLinkNumber(0) + " of " + (string)llGetNumberOfPrims());
    } }"#;
    for profile in Profile::ALL {
        let mut r = room(&[("script", source)]);
        r.object[0].prim.extend([prim("two", &[]), prim("three", &[])]);
        for p in &mut r.object[0].prim[1..] {
            p.position = [0.0, 0.0, 1.0];
        }
        let mut s = Stage::new(settings(profile), &r).await;
        let three = s.prim("three").await;
        s.region.touch(ada(), three).await.unwrap().unwrap();
        s.advance(0.0).await;
        let news = s.news();
        let said: Vec<&str> = news
            .iter()
            .filter_map(|e| if let RegionEvent::Chat(c) = e { Some(c.text.as_str()) } else { None })
            .collect();
        assert!(said[0].starts_with("0|0|<0.25") && said[0].contains("|three|two|"), "{profile}: {said:?}");
        assert_eq!(said[1], "3 of 3");
        assert!(
            news.iter()
                .any(|e| matches!(e, RegionEvent::Prims { prims } if prims.iter().any(|p| p.id == three)))
        );
        let view = s.view("two").await;
        assert_eq!((view.face.colour, view.face.alpha, view.text.as_str()), ([1.0, 0.0, 0.0], 0.5, "two"));
        assert_eq!(view.position, [128.0, 130.0, 22.0], "resolved against the root");
        let view = s.view("three").await;
        assert_eq!((view.shape.kind, view.link), (ShapeKind::Box, 3));
        assert!((view.shape.hollow - 0.7).abs() < 1e-6, "a float of 32 bits on Second Life");
        assert_eq!(view.faces.len(), 9, "hollow and cut, and one of them glows");
        assert!(view.faces[1].glow > 0.2 && view.faces[0].glow == 0.0);
        s.region.stop().await;
    }
}

#[tokio::test]
async fn notecards_are_read_line_by_line_to_their_end() {
    let source = r#"integer gLine; key gAsk;
    default {
        touch_start(integer n) { gLine = 0; gAsk = llGetNumberOfNotecardLines("card"); }
        dataserver(key ask, string data) {
            if (ask != gAsk) return;
            llOwnerSay(llEscapeURL(data));
            if (data != EOF) gAsk = llGetNotecardLine("card", gLine++);
        }
        changed(integer what) { if (what & CHANGED_INVENTORY) llOwnerSay("inventory"); }
    }"#;
    for profile in Profile::ALL {
        let mut r = room(&[("script", source)]);
        r.object[0].prim[0].notecards.insert("card".to_owned(), "first\n\nthird\n".to_owned());
        let mut s = Stage::new(settings(profile), &r).await;
        s.touch("script").await;
        s.advance(5.0).await;
        assert_eq!(s.said(), ["3", "first", "", "third", "%0A%0A%0A"], "{profile}");
        let id = s.prim("script").await;
        s.region.write_notecard(id, "card", "new").await.unwrap().unwrap();
        s.advance(0.1).await;
        assert_eq!(s.said(), ["inventory"]);
        s.region.stop().await;
    }
}

#[tokio::test]
async fn a_copy_is_told_that_it_was_rezzed_and_an_object_that_it_was_given_away() {
    let source = r#"default {
        on_rez(integer param) { llOwnerSay("rezzed as " + (string)llGetKey()); }
        changed(integer what) { if (what & CHANGED_OWNER) llSay(0, "owner " + (string)llGetOwner()); }
    }"#;
    let mut s = Stage::script(Profile::OpenSim092, source).await;
    let first = s.view("script").await;
    let copy = s.region.copy_object(first.object, [120.0, 120.0, 21.0], None).await.unwrap().unwrap();
    s.advance(0.1).await;
    let said = s.said();
    assert_eq!(said.len(), 1, "the first was not rezzed");
    assert!(!said[0].contains(&first.key.to_string()), "a copy has a UUID of its own: {said:?}");
    let bob = Uuid::from_u128(0xb0b);
    s.region.change_owner(copy, bob).await.unwrap().unwrap();
    s.advance(0.1).await;
    assert_eq!(s.said(), [format!("owner {bob}")]);
    let taken = s.region.take_object(copy).await.unwrap().unwrap();
    assert_eq!(taken.name(), "script");
    let (snapshot, _) = s.region.snapshot().await.unwrap();
    assert_eq!(snapshot.prims.len(), 1);
    s.region.rez_object(&taken, [121.0, 120.0, 21.0], Some(ada())).await.unwrap().unwrap();
    s.advance(0.1).await;
    assert!(s.said()[0].starts_with("rezzed as "));
    s.region.stop().await;
}

#[tokio::test]
async fn a_script_rezzes_what_lies_beside_it_with_a_parameter() {
    let parent = r#"default {
        touch_start(integer n) { llRezAtRoot("child", llGetPos() + <0.0, 0.0, 1.0>, ZERO_VECTOR, ZERO_ROTATION, 42); }
        object_rez(key id) { llOwnerSay("rezzed " + llKey2Name(id)); }
    }"#;
    let child = r#"default { on_rez(integer param) { llOwnerSay("born with " + (string)param); llDie(); } }"#;
    let mut r: Room = room(&[("parent", parent)]);
    r.scripts.insert("child".to_owned(), child.to_owned());
    r.object[0].prim[0].contains =
        vec![ObjectPlan { prim: vec![prim("child", &["child"])], owner: None, key: None }];
    let mut s = Stage::new(settings(Profile::SecondLife), &r).await;
    let said = s.tap("parent", 1.0).await;
    assert!(said.contains(&"born with 42".to_owned()), "{said:?}");
    let (snapshot, _) = s.region.snapshot().await.unwrap();
    assert_eq!(snapshot.prims.len(), 1, "the children died");
    s.region.stop().await;
}

#[tokio::test]
async fn a_room_that_does_not_fit_together_says_where() {
    let mut r = room(&[]);
    r.object.push(ObjectPlan { prim: vec![prim("lamp", &["glow"])], owner: None, key: None });
    let e = primrack_region::Region::start(settings(Profile::SecondLife), &r).await.unwrap_err();
    assert!(matches!(e, StartError::Room(RoomError::NoScript { .. })), "{e}");
    assert!(e.to_string().contains("lamp") && e.to_string().contains("glow"));
}
