//! Scripts that misbehave harm nobody but themselves.

use crate::support::{PATIENCE, Stage, ada, prim, room, settings};
use primrack_lsl::Profile;
use primrack_region::view::RegionEvent;
use primrack_region::{ClockKind, ObjectPlan, RackPlan, RegionSettings};
use std::collections::BTreeMap;

const GREETER: &str = r#"default { touch_start(integer n) { llOwnerSay("hello " + llDetectedName(0)); } }"#;

#[tokio::test]
async fn beside_a_runaway_others_are_answered_and_the_region_stops_when_told() {
    let runaway = "default { state_entry() { while (TRUE); } }";
    let real = RegionSettings { clock: ClockKind::Real, ..settings(Profile::SecondLife) };
    let region = primrack_region::Region::start(real, &room(&[("runaway", runaway), ("greeter", GREETER)]))
        .await
        .unwrap();
    let (snapshot, mut events) = region.snapshot().await.unwrap();
    let greeter = snapshot.prims.iter().find(|p| p.name == "greeter").unwrap().id;
    for _ in 0..20 {
        region.touch(ada(), greeter).await.unwrap().unwrap();
        let greeted = async {
            loop {
                if let RegionEvent::Chat(c) = events.recv().await.unwrap() {
                    return c.text;
                }
            }
        };
        assert_eq!(tokio::time::timeout(PATIENCE, greeted).await.unwrap(), "hello Ada Lovelace");
    }
    let scripts = region.scripts().await.unwrap();
    assert!(scripts.iter().any(|s| s.name == "runaway" && s.error.is_none()), "it runs all the while");
    tokio::time::timeout(PATIENCE, region.stop()).await.unwrap();
}

#[tokio::test]
async fn a_memory_hog_is_stopped_with_its_grids_words() {
    let hog = r#"default { touch_start(integer n) { string s = "0123456789"; while (TRUE) s += s; } }"#;
    for (profile, words) in
        [(Profile::SecondLife, "Stack-Heap Collision"), (Profile::OpenSim092, "OutOfHeap")]
    {
        let mut s = Stage::new(settings(profile), &room(&[("hog", hog), ("greeter", GREETER)])).await;
        let said = s.touch("hog").await;
        assert!(said.iter().any(|t| t.contains(words)), "{profile}: {said:?}");
        assert_eq!(s.touch("greeter").await, ["hello Ada Lovelace"]);
        let hog = s.region.scripts().await.unwrap().into_iter().find(|s| s.name == "hog").unwrap();
        assert!(hog.error.unwrap().contains("line 1"));
        let prim = s.prim("hog").await;
        s.region.reset_script(prim, "hog").await.unwrap().unwrap();
        let hog = s.region.scripts().await.unwrap().into_iter().find(|s| s.name == "hog").unwrap();
        assert_eq!(hog.error, None, "a reset gives it a new life");
        s.region.stop().await;
    }
}

#[tokio::test]
async fn a_flood_of_ten_thousand_events_fills_one_queue_only() {
    let flooder = r#"default { touch_start(integer n) { integer i;
        for (i = 0; i < 10000; ++i) llMessageLinked(LINK_THIS, i, "", NULL_KEY);
        llOwnerSay("flooded"); } }"#;
    let counter = r#"integer gCount; default {
        link_message(integer from, integer n, string s, key id) { ++gCount; llSleep(0.1); llSetTimerEvent(60.0); }
        timer() { llSetTimerEvent(0.0); llOwnerSay("counted " + (string)gCount); } }"#;
    for profile in [Profile::SecondLife, Profile::OpenSimMaster] {
        let mut r = room(&[("greeter", GREETER)]);
        r.scripts.insert("flooder".to_owned(), flooder.to_owned());
        r.scripts.insert("counter".to_owned(), counter.to_owned());
        r.object.push(ObjectPlan {
            prim: vec![prim("both", &["flooder", "counter"])],
            owner: None,
            key: None,
        });
        let mut s = Stage::new(settings(profile), &r).await;
        assert_eq!(s.touch("both").await, ["flooded"]);
        assert!(s.region.scripts().await.unwrap().iter().all(|s| s.queued <= 64));
        assert_eq!(s.touch("greeter").await, ["hello Ada Lovelace"]);
        s.advance(120.0).await;
        let said = s.said();
        let counted: u32 = said[0].strip_prefix("counted ").unwrap().parse().unwrap();
        assert!((64..=66).contains(&counted), "{profile}: {said:?}");
        s.region.stop().await;
    }
}

#[tokio::test]
async fn what_a_region_without_physics_cannot_give_stops_the_script_and_is_named() {
    let pusher = "default { touch_start(integer n) {\n llPushObject(llDetectedKey(0), <0,0,9>, ZERO_VECTOR, FALSE); } }";
    let mut s = Stage::script(Profile::SecondLife, pusher).await;
    let said = s.touch("script").await;
    assert!(said[0].contains("line 2") && said[0].contains("llPushObject is not available"), "{said:?}");
    s.region.stop().await;
}

#[tokio::test]
async fn a_script_that_does_not_compile_is_told_and_its_neighbours_run() {
    let region = primrack_region::Region::start(
        settings(Profile::OpenSim092),
        &room(&[("bad", "default { state_entry() { llSayy(0, \"\"); } }"), ("greeter", GREETER)]),
    )
    .await
    .unwrap();
    let bad = region.scripts().await.unwrap().into_iter().find(|s| s.name == "bad").unwrap();
    assert!(bad.error.unwrap().contains("llSayy"));
    let mut s = Stage { events: region.subscribe(), region };
    assert_eq!(s.touch("greeter").await, ["hello Ada Lovelace"]);
    s.region.stop().await;
}

#[tokio::test]
async fn a_thousand_racks_of_forty_units_share_one_program() {
    let mut r = room(&[]);
    r.scripts.insert("rack".to_owned(), GREETER.to_owned());
    for i in 0..1000_u16 {
        r.rack.push(RackPlan {
            id: format!("rack-{i}"),
            position: [f64::from(i % 32) * 4.0, f64::from(i / 32) * 4.0, 20.0],
            turned: 0.0,
            units: 40,
            script: "rack".to_owned(),
            notecards: BTreeMap::new(),
            owner: None,
            key: None,
        });
    }
    let mut s = Stage::new(settings(Profile::SecondLife), &r).await;
    let (snapshot, _) = s.region.snapshot().await.unwrap();
    assert_eq!(snapshot.prims.len(), 41_000);
    let scripts = s.region.scripts().await.unwrap();
    let bytes: usize = scripts.iter().map(|s| s.footprint).sum();
    assert!(bytes / scripts.len() < 4096, "{} bytes for an idle script", bytes / scripts.len());
    let unit = snapshot.prims.iter().rfind(|p| p.name == "unit 40").unwrap().id;
    s.region.touch(ada(), unit).await.unwrap().unwrap();
    s.advance(0.0).await;
    assert_eq!(s.said(), ["hello Ada Lovelace"], "a child's touch reaches the root's script");
    s.region.stop().await;
}
