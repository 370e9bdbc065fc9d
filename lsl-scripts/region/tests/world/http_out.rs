//! Calls out of the world.

use crate::support::{Peer, Reply, Stage, room, settings};
use primrack_lsl::Profile;
use primrack_region::{Knobs, Outbound};

/// Calls `url` on every touch, as often and with the parameters given, and says how many were let through.
fn caller(url: &str, times: u32, params: &str) -> String {
    format!(
        r#"default {{
            touch_start(integer n) {{
                integer i; integer through;
                for (i = 0; i < {times}; ++i)
                    if ((string)llHTTPRequest("{url}x", [{params}], "the body") != (string)NULL_KEY) ++through;
                llOwnerSay("through " + (string)through);
            }}
            http_response(key id, integer status, list meta, string body) {{
                llOwnerSay((string)status + " " + (string)llStringLength(body) + " " + llGetSubString(body, 0, 20));
            }}
        }}"#
    )
}

const QUIET: &str = "HTTP_VERBOSE_THROTTLE, FALSE";

async fn peer(reply: &'static str) -> Peer {
    Peer::new(move |_| Reply::Say(200, reply.to_owned())).await
}

#[tokio::test]
async fn second_life_lets_25_calls_through_and_wants_40_s_of_silence() {
    let p = peer("hello").await;
    let mut s = Stage::script(Profile::SecondLife, &caller(&p.url, 30, QUIET)).await;
    let said = s.touch("script").await;
    assert!(said.contains(&"through 25".to_owned()), "{said:?}");
    s.advance(1.0).await;
    assert_eq!(p.seen().len(), 25);
    s.advance(20.0).await;
    assert_eq!(s.touch("script").await.last().map(String::as_str), Some("through 0"), "silence was broken");
    s.advance(41.0).await;
    s.said();
    assert!(s.touch("script").await.contains(&"through 25".to_owned()));
    s.region.stop().await;
}

#[tokio::test]
async fn opensim_lets_three_through_then_one_a_second() {
    let p = peer("hello").await;
    for profile in [Profile::OpenSim092, Profile::OpenSim093, Profile::OpenSimMaster] {
        let mut s = Stage::script(profile, &caller(&p.url, 10, "")).await;
        assert!(s.touch("script").await.contains(&"through 3".to_owned()), "{profile}");
        // What is left of a token is enough for a call, so that a little more than a second lets two through.
        s.advance(0.9).await;
        s.said();
        assert!(s.touch("script").await.contains(&"through 1".to_owned()), "{profile}");
        s.advance(1.2).await;
        s.said();
        assert!(s.touch("script").await.contains(&"through 2".to_owned()), "{profile}");
        s.region.stop().await;
    }
}

#[tokio::test]
async fn the_grids_headers_are_there_and_the_scripts_own() {
    let p = peer("hello").await;
    for profile in Profile::ALL {
        let params =
            r#"HTTP_METHOD, "POST", HTTP_MIMETYPE, "application/json", HTTP_CUSTOM_HEADER, "X-Mine", "yes""#;
        let mut s = Stage::script(profile, &caller(&p.url, 1, params)).await;
        s.touch("script").await;
        s.advance(1.0).await;
        let seen = p.seen().pop().unwrap();
        assert_eq!(seen.line, "POST /x HTTP/1.1");
        assert_eq!(seen.body, b"the body");
        let has = |n: &str| seen.headers.get(n).unwrap_or_else(|| panic!("{profile}: no {n}")).as_str();
        assert_eq!(has("x-secondlife-shard"), if profile.is_opensim() { "OpenSim" } else { "Production" });
        assert_eq!(has("x-secondlife-object-name"), "script");
        assert_eq!(has("x-secondlife-owner-name"), "Ada Lovelace");
        assert_eq!(has("x-secondlife-region"), "Primrack (256000, 256000)");
        assert_eq!(has("x-secondlife-local-position"), "(128.000000, 130.000000, 21.000000)");
        for name in ["object-key", "local-rotation", "local-velocity", "owner-key"] {
            has(&format!("x-secondlife-{name}"));
        }
        assert_eq!(has("content-type"), "application/json");
        assert_eq!(has("x-mine"), "yes");
        assert!(has("user-agent").contains("simulated"));
        assert_eq!(seen.headers.contains_key("connection"), profile.is_opensim(), "OpenSimulator closes");
        s.region.stop().await;
    }
}

#[tokio::test]
async fn answers_are_cut_in_bytes() {
    let long: &'static str = Box::leak(format!("a{}", "é".repeat(20_000)).into_boxed_str());
    let p = peer(long).await;
    for profile in Profile::ALL {
        for (params, kept) in
            [("", 1025), ("HTTP_BODY_MAXLENGTH, 16384", 8193), ("HTTP_BODY_MAXLENGTH, 11", 6)]
        {
            let mut s = Stage::script(profile, &caller(&p.url, 1, params)).await;
            let said = s.tap("script", 1.0).await;
            // One byte, then pairs; the last pair is cut in half and shows as one replacement character.
            let answer = format!("200 {kept} ");
            assert!(said.iter().any(|t| t.starts_with(&answer)), "{profile} {params}: {said:?}");
            s.region.stop().await;
        }
    }
}

#[tokio::test]
async fn no_answer_is_499_after_the_grids_time() {
    let p = Peer::new(|_| Reply::Hang).await;
    for (profile, seconds) in [(Profile::SecondLife, 60.0), (Profile::OpenSim093, 30.0)] {
        let mut s = Stage::script(profile, &caller(&p.url, 1, "")).await;
        s.touch("script").await;
        s.advance(seconds - 1.0).await;
        assert_eq!(s.said(), Vec::<String>::new(), "{profile}");
        s.advance(2.0).await;
        assert!(s.said()[0].starts_with("499 "), "{profile}");
        s.region.stop().await;
    }
}

#[tokio::test]
async fn nobody_there_is_499_too() {
    let mut s = Stage::script(Profile::OpenSim092, &caller("http://127.0.0.1:9/", 1, "")).await;
    let said = s.tap("script", 1.0).await;
    assert!(said.iter().any(|t| t.starts_with("499 ")), "{said:?}");
    s.region.stop().await;
}

#[tokio::test]
async fn second_life_cuts_a_script_off_after_five_answers_of_500() {
    let p = Peer::new(|_| Reply::Say(503, "busy".to_owned())).await;
    let mut s = Stage::script(Profile::SecondLife, &caller(&p.url, 1, QUIET)).await;
    for i in 1..=5 {
        assert_eq!(s.touch("script").await[0], "through 1", "call {i}");
        s.advance(2.0).await;
    }
    s.said();
    assert_eq!(s.touch("script").await, ["through 0"]);
    s.advance(61.0).await;
    s.said();
    assert_eq!(s.touch("script").await[0], "through 1");
    s.region.stop().await;
}

#[tokio::test]
async fn opensim_refuses_filtered_targets_and_unknown_flags_with_nothing() {
    let p = peer("hello").await;
    let source = |params: &str| {
        format!(
            r#"default {{
                touch_start(integer n) {{ llOwnerSay("[" + (string)llHTTPRequest("{}", [{params}], "") + "]"); }}
                http_response(key id, integer status, list meta, string body) {{ llOwnerSay("answered"); }}
            }}"#,
            p.url
        )
    };
    let mut filtered = settings(Profile::OpenSim092);
    filtered.outbound = Outbound::opensim_default();
    let mut s = Stage::new(filtered.clone(), &room(&[("script", &source(""))])).await;
    assert_eq!(s.touch("script").await, ["[]"]);
    s.advance(60.0).await;
    assert_eq!(s.said(), Vec::<String>::new(), "and no event comes");
    s.region.stop().await;

    filtered.outbound.except.push(p.url[7..p.url.len() - 1].to_owned());
    let mut s = Stage::new(filtered, &room(&[("script", &source(""))])).await;
    s.touch("script").await;
    s.advance(1.0).await;
    assert_eq!(p.seen().len(), 1, "the exception lets it through");
    s.region.stop().await;

    let mut s = Stage::script(Profile::OpenSim093, &source("8, \"text/plain\"")).await;
    assert!(s.touch("script").await.contains(&"[]".to_owned()));
    s.region.stop().await;
    assert_eq!(p.seen().len(), 1);
}

#[tokio::test]
async fn opensim_has_eight_calls_under_way_at_most() {
    let p = Peer::new(|_| Reply::Hang).await;
    let source = caller(&p.url, 3, "");
    let names: Vec<String> = (0..5).map(|i| format!("o{i}")).collect();
    let scripts: Vec<(&str, &str)> = names.iter().map(|n| (n.as_str(), source.as_str())).collect();
    let mut s = Stage::new(settings(Profile::OpenSim092), &room(&scripts)).await;
    let mut through = 0;
    for n in &names {
        // The owner's bucket fills in between.
        s.advance(1.0).await;
        s.said();
        through += s.touch(n).await.iter().filter(|t| *t == "through 3").count();
    }
    assert_eq!(through, 5, "fifteen calls");
    s.advance(1.0).await;
    assert_eq!(p.seen().len(), 8);
    s.region.stop().await;
}

#[tokio::test]
async fn a_lost_answer_was_handled_and_is_499_for_the_script() {
    let p = peer("hello").await;
    let mut s = Stage::script(Profile::OpenSim092, &caller(&p.url, 1, "")).await;
    s.knobs(Knobs { lose_next_answers: 1, ..Knobs::default() }).await;
    s.touch("script").await;
    s.advance(29.0).await;
    assert_eq!((p.seen().len(), s.said().len()), (1, 0));
    s.advance(2.0).await;
    assert!(s.said()[0].starts_with("499 "));
    assert_eq!(s.tap("script", 1.0).await, ["through 1", "200 5 hello"], "only the one was to be lost");
    s.region.stop().await;
}
