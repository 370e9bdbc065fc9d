//! Calls into the world.

use crate::support::{Stage, post, raw, room, settings};
use primrack_lsl::Profile;
use primrack_region::Knobs;

const ECHO: &str = r#"
string gUrl; integer gStarts;
default {
    state_entry() { ++gStarts; llRequestURL(); llSetTimerEvent(10.0); }
    timer() { llOwnerSay("timer " + (string)gStarts); }
    changed(integer what) { if (what & CHANGED_REGION_START) llOwnerSay("region start " + (string)gStarts); }
    http_request(key id, string method, string body) {
        if (method == URL_REQUEST_GRANTED) { gUrl = body; llOwnerSay("url " + body); }
        else if (method == URL_REQUEST_DENIED) llOwnerSay("denied");
        else if (body == "hang") llOwnerSay("hanging");
        else llHTTPResponse(id, 202, method + " " + (string)llStringLength(body) + " [" + llGetHTTPHeader(id, "x-mine")
            + "] " + llGetHTTPHeader(id, "x-path-info") + "?" + llGetHTTPHeader(id, "x-query-string"));
    }
}"#;

/// A region with that script, and its URL.
async fn started(profile: Profile) -> (Stage, String) {
    let region = primrack_region::Region::start(settings(profile), &room(&[("script", ECHO)])).await.unwrap();
    let (_, events) = region.snapshot().await.unwrap();
    let mut s = Stage { region, events };
    s.advance(1.0).await;
    let url = s.said()[0].strip_prefix("url ").unwrap().to_owned();
    (s, url)
}

#[tokio::test]
async fn a_url_leads_to_the_script_with_what_the_grid_hands_on() {
    for profile in Profile::ALL {
        let (s, url) = started(profile).await;
        let long = vec![b'x'; 5000];
        let answer = post(&format!("{url}/a/b?c=d"), "X-Mine: secret\r\n", &long).await.unwrap();
        if profile.is_opensim() {
            assert!(url.contains("/lslhttp/") && url.ends_with('/'), "{url}");
            assert_eq!(answer, (202, "POST 5000 [secret] //a/b?c=d".to_owned()), "{profile}");
        } else {
            assert!(url.contains("/cap/") && !url.ends_with('/'), "{url}");
            assert_eq!(answer, (202, "POST 2048 [] /a/b?c=d".to_owned()));
        }
        s.region.stop().await;
    }
}

#[tokio::test]
async fn a_restart_kills_urls_and_keeps_variables_and_timers() {
    for profile in Profile::ALL {
        let (mut s, url) = started(profile).await;
        s.region.restart(30.0).await.unwrap();
        assert_eq!(post(&url, "", b"x").await, None, "while it is down, connections end");
        s.advance(29.0).await;
        assert_eq!(s.said(), Vec::<String>::new());
        s.advance(12.0).await;
        let said = s.said();
        assert!(said.contains(&"region start 1".to_owned()), "state_entry did not run again: {said:?}");
        assert!(said.contains(&"timer 1".to_owned()), "{said:?}");
        let dead = post(&url, "", b"x").await.unwrap();
        if profile.is_opensim() {
            assert_eq!(dead, (200, String::new()));
        } else {
            assert_eq!(dead.0, 404);
        }
        s.region.stop().await;
    }
}

#[tokio::test]
async fn a_reset_script_has_lost_its_url() {
    let (mut s, url) = started(Profile::SecondLife).await;
    let prim = s.prim("script").await;
    s.region.reset_script(prim, "script").await.unwrap().unwrap();
    s.advance(1.0).await;
    let new = s.said()[0].strip_prefix("url ").unwrap().to_owned();
    assert_ne!(new, url);
    assert_eq!(post(&url, "", b"x").await.unwrap().0, 404);
    assert_eq!(post(&new, "", b"x").await.unwrap().0, 202);
    s.region.stop().await;
}

#[tokio::test]
async fn a_script_that_does_not_answer_is_500_after_25_s() {
    let (mut s, url) = started(Profile::OpenSim092).await;
    let waiting = tokio::spawn(async move { post(&url, "", b"hang").await });
    while !s.said().contains(&"hanging".to_owned()) {
        s.advance(0.1).await;
        tokio::task::yield_now().await;
    }
    s.advance(24.0).await;
    assert!(!waiting.is_finished());
    s.advance(1.5).await;
    assert_eq!(waiting.await.unwrap(), Some((500, "Script timeout".to_owned())));
    s.region.stop().await;
}

#[tokio::test]
async fn opensim_refuses_chunked_bodies() {
    for (profile, status) in [(Profile::OpenSim092, 400), (Profile::SecondLife, 202)] {
        let (s, url) = started(profile).await;
        let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let message = format!(
            "POST /{path} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
        );
        assert_eq!(raw(host, message.as_bytes()).await.unwrap().0, status, "{profile}");
        s.region.stop().await;
    }
}

#[tokio::test]
async fn urls_are_denied_beyond_the_quota_and_over_https() {
    let source = r#"default {
        state_entry() { llRequestSecureURL(); llRequestURL(); llRequestURL(); llRequestURL(); }
        touch_start(integer n) { llOwnerSay("free " + (string)llGetFreeURLs()); }
        http_request(key id, string method, string body) { llOwnerSay(method); }
    }"#;
    let mut few = settings(Profile::OpenSim092);
    few.max_urls = Some(2);
    let region = primrack_region::Region::start(few, &room(&[("script", source)])).await.unwrap();
    let (_, events) = region.snapshot().await.unwrap();
    let mut s = Stage { region, events };
    s.advance(1.0).await;
    assert_eq!(
        s.said(),
        ["URL_REQUEST_DENIED", "URL_REQUEST_GRANTED", "URL_REQUEST_GRANTED", "URL_REQUEST_DENIED"]
    );
    assert_eq!(s.touch("script").await, ["free 0"]);
    s.region.stop().await;
    let s = Stage::script(
        Profile::OpenSim092,
        "default { touch_start(integer n) { llOwnerSay((string)llGetFreeURLs()); } }",
    );
    assert_eq!(s.await.touch("script").await, ["100"]);
}

#[tokio::test]
async fn a_lost_response_ends_the_connection_after_the_script_handled_it() {
    let (s, url) = started(Profile::OpenSim093).await;
    s.knobs(Knobs { lose_next_responses: 1, ..Knobs::default() }).await;
    assert_eq!(post(&url, "", b"x").await, None);
    assert_eq!(post(&url, "", b"x").await.unwrap().0, 202);
    s.region.stop().await;
}

#[tokio::test]
async fn a_flood_of_calls_fills_the_queue_and_what_does_not_fit_is_refused() {
    let sleeper = r#"default {
        state_entry() { llRequestURL(); }
        http_request(key id, string method, string body) {
            if (method == URL_REQUEST_GRANTED) { llOwnerSay(body); return; }
            if (body == "sleep") { llOwnerSay("sleeping"); llSleep(4.0); }
            llHTTPResponse(id, 200, "ok");
        }
    }"#;
    for (profile, refused) in [(Profile::SecondLife, 503), (Profile::OpenSim092, 500)] {
        let region =
            primrack_region::Region::start(settings(profile), &room(&[("script", sleeper)])).await.unwrap();
        let (_, events) = region.snapshot().await.unwrap();
        let mut s = Stage { region, events };
        s.advance(1.0).await;
        let url = s.said().remove(0);
        let mut calls = tokio::task::JoinSet::new();
        let first = url.clone();
        calls.spawn(async move { post(&first, "", b"sleep").await });
        while !s.said().contains(&"sleeping".to_owned()) {
            s.advance(0.0).await;
        }
        for _ in 0..149 {
            let url = url.clone();
            calls.spawn(async move { post(&url, "", b"x").await });
        }
        let mut by_status = std::collections::BTreeMap::<u16, usize>::new();
        let mut count = |one: Option<(u16, String)>| *by_status.entry(one.unwrap().0).or_default() += 1;
        // Time stands until all are there.
        let mut over = 0;
        loop {
            let script = s.region.scripts().await.unwrap().remove(0);
            assert!(script.queued <= 64, "{} wait", script.queued);
            if script.requests + over == 150 {
                break;
            }
            while let Some(one) = calls.try_join_next() {
                count(one.unwrap());
                over += 1;
            }
        }
        s.advance(30.0).await;
        while let Some(one) = calls.join_next().await {
            count(one.unwrap());
        }
        let ok = by_status.remove(&200).unwrap_or(0);
        assert!(ok == 65, "{profile}: {ok} were answered");
        assert_eq!(by_status.into_iter().collect::<Vec<_>>(), [(refused, 150 - ok)], "{profile}");
        s.region.stop().await;
    }
}
