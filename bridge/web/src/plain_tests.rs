use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use axum::Router;
use axum::routing::get;
use hyper_util::service::TowerToHyperService;
use primrack_model::Inventory;
use primrack_wire::world::Nonce;
use primrack_world::delivery::{DeliverySettings, Guard, GuardSettings};
use primrack_world::{Keyring, World, WorldParts, WorldSettings};
use tokio::io::DuplexStream;

use super::*;
use crate::Limits;
use crate::gate::Gated;

fn message(head: &str, body: &str) -> Vec<u8> {
    format!("POST /world/1 HTTP/1.1\r\n{head}\r\n\r\n{body}").into_bytes()
}

#[test]
fn a_plain_message_is_known_by_its_beginning_and_end() {
    for (head, last) in [
        ("Host: a\r\nContent-Length: 3", false),
        ("X-A: 1, 2; 3\r\nconnection: Keep-Alive\r\ncontent-length:3", false),
        ("Content-Length: 3\r\nConnection: close", true),
    ] {
        let whole = message(head, "abc");
        let body = whole.len() - 3;
        assert_eq!(look(&whole), Found::Whole { body, last }, "{head:?}");
        for end in 0..whole.len() {
            assert_eq!(look(&whole[..end]), Found::More, "{head:?} up to {end}");
        }
    }
}

#[test]
fn whatever_leaves_a_doubt_is_for_hyper() {
    for head in [
        "Host: a",
        "Content-Length: 2",
        "Content-Length: 3\r\nContent-Length: 3",
        "Content-Length: +3",
        "Content-Length: 3, 3",
        "Content-Length: 0x3",
        "Content-Length:",
        "Content-Length : 3",
        "Content-Length: 8193",
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Content-Length: 3\r\nExpect: 100-continue",
        "Content-Length: 3\r\nConnection: upgrade",
        "Content-Length: 3\r\n folded: 1",
        "Content-Length: 3\r\nX: a\nTransfer-Encoding: chunked",
        "Content-Length: 3\rX: a",
        "Content-Length: 3\r\n: a",
    ] {
        assert_eq!(look(&message(head, "abc")), Found::Other, "{head:?}");
    }
    for text in
        ["GET /world/1 HTTP/1.1", "POST /world/1 HTTP/1.0", "POST /world/1?a HTTP/1.1", "POST /world/12 "]
    {
        assert_eq!(look(format!("{text}\r\nContent-Length: 0\r\n\r\n").as_bytes()), Found::Other, "{text}");
    }
    let endless = format!("POST /world/1 HTTP/1.1\r\nX: {}", "a".repeat(HEAD));
    assert_eq!(look(endless.as_bytes()), Found::Other);
}

/// A bridge's edge where nobody is enrolled, at the other end of a line.
fn edge(shut: &Arc<AtomicBool>, limits: Limits) -> (DuplexStream, CancellationToken) {
    let parts = WorldParts {
        keys: Keyring::default(),
        guard: Guard::new(GuardSettings { allow: Vec::new() }),
        delivery: DeliverySettings::default(),
        settings: WorldSettings::default(),
        nonce: Nonce { boot: 1, random: 1 },
        kept: Vec::new(),
    };
    let (world, _) = World::new(parts, Arc::new(Inventory::default()));
    let shut = Arc::clone(shut);
    let gate = Gate::shut_while(&world, move || shut.load(Relaxed));
    let routes = world.routes().route("/other", get(|| async { "other" }));
    let routes = Gated { routes: TowerToHyperService::new(Router::new().merge(routes)), gate: Some(gate) };
    let (line, theirs) = tokio::io::duplex(4096);
    let stop = CancellationToken::new();
    tokio::spawn(crate::server::converse(theirs, routes, limits, stop.clone()));
    (line, stop)
}

/// Reads one answer: its status, head and body.
async fn answer(line: &mut DuplexStream) -> (String, String, String) {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
            if body.len() == length.parse::<usize>().unwrap() {
                assert!(head.contains("\r\ndate: ") && head.contains(" gmt"), "{head}");
                assert!(head.contains("\r\ncontent-type: text/plain; charset=utf-8"), "{head}");
                return (head[9..12].to_owned(), head.to_owned(), body.to_owned());
            }
        }
        // Byte by byte, so that nothing of the next answer is taken.
        let byte = line.read_u8().await.unwrap_or_else(|error| panic!("{error} after {text:?}"));
        read.push(byte);
    }
}

#[tokio::test]
async fn messages_are_answered_alike_with_hyper_and_without() {
    let shut = Arc::new(AtomicBool::new(false));
    let (mut line, stop) = edge(&shut, Limits::default());
    let plain = message("Host: a\r\nContent-Length: 3", "abc");
    // Of another form, so that hyper reads it.
    let odd = message("Host: a\r\nTE: trailers\r\nContent-Length: 3", "abc");
    for is_shut in [false, true, true, false] {
        shut.store(is_shut, Relaxed);
        line.write_all(&plain).await.unwrap();
        let (status, head, body) = answer(&mut line).await;
        let (expected, words) = if is_shut { ("429", "busy") } else { ("400", "malformed") };
        assert_eq!(status, expected);
        assert!(body.starts_with(&format!("primrack/1 refused {words} ")), "{body}");
        assert_eq!(head.contains("\r\nretry-after: 1"), is_shut, "{head}");
    }
    // In two parts it is still plain.
    line.write_all(&plain[..30]).await.unwrap();
    tokio::task::yield_now().await;
    line.write_all(&plain[30..]).await.unwrap();
    assert_eq!(answer(&mut line).await.0, "400");
    // From here on it is hyper that reads, and the gate behind it that turns away.
    for is_shut in [false, true, false] {
        shut.store(is_shut, Relaxed);
        for request in [&odd, &plain] {
            line.write_all(request).await.unwrap();
            let (status, head, body) = answer(&mut line).await;
            let (expected, words) = if is_shut { ("429", "busy") } else { ("400", "malformed") };
            assert_eq!(status, expected);
            assert!(body.starts_with(&format!("primrack/1 refused {words} ")), "{body}");
            assert_eq!(head.contains("\r\nretry-after: 1"), is_shut, "{head}");
        }
    }
    stop.cancel();
    assert_eq!(line.read(&mut [0; 16]).await.unwrap(), 0);
}

#[tokio::test]
async fn other_requests_and_two_at_once_are_not_lost() {
    let (mut line, _stop) = edge(&Arc::default(), Limits::default());
    let plain = message("Content-Length: 3", "abc");
    line.write_all(&plain).await.unwrap();
    assert_eq!(answer(&mut line).await.0, "400");
    let two = [&plain[..], b"GET /other HTTP/1.1\r\nHost: a\r\n\r\n", &plain].concat();
    line.write_all(&two).await.unwrap();
    assert_eq!(answer(&mut line).await.0, "400");
    assert_eq!(answer(&mut line).await.2, "other");
    assert_eq!(answer(&mut line).await.0, "400");
}

#[tokio::test]
async fn whoever_wants_the_line_closed_has_it_closed() {
    let (mut line, _stop) = edge(&Arc::default(), Limits::default());
    line.write_all(&message("Connection: close\r\nContent-Length: 3", "abc")).await.unwrap();
    assert!(answer(&mut line).await.1.contains("\r\nconnection: close"));
    assert_eq!(line.read(&mut [0; 16]).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_silent_line_is_closed_and_so_is_one_that_trickles() {
    let limits = Limits { header: Duration::from_secs(10), ..Limits::default() };
    for first in ["", "POST /world/1 HTTP/1.1\r\nContent-"] {
        let (mut line, _stop) = edge(&Arc::default(), limits);
        // A message in time gives time for the next.
        tokio::time::sleep(Duration::from_secs(8)).await;
        line.write_all(&message("Content-Length: 3", "abc")).await.unwrap();
        assert_eq!(answer(&mut line).await.0, "400");
        let begun = Instant::now();
        line.write_all(first.as_bytes()).await.unwrap();
        assert_eq!(line.read(&mut [0; 16]).await.unwrap(), 0);
        assert!((9..=11).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    }
}
