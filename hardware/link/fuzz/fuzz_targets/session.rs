//! A session that hears anything, at any time: it neither spins nor grows, and every request comes to one end.
//! `cargo +nightly fuzz run session` in `hardware/link`.
#![no_main]

use std::collections::HashSet;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use primrack_link::frame::encode;
use primrack_link::session::{Session, SessionConfig};

fuzz_target!(|bytes: &[u8]| {
    let mut now = Instant::now();
    let mut session = Session::new(SessionConfig::default(), 1, now);
    let (mut asked, mut ended) = (HashSet::new(), HashSet::new());
    session.opened(now);
    for step in bytes.chunks(24) {
        let (&[verb, a, b], rest) = step.split_first_chunk().unwrap_or((&[0, 0, 0], &[]));
        match verb % 8 {
            0 => session.receive(rest, now),
            1 => drop(asked.insert(session.set(
                a % 10,
                u32::from(b),
                (b > 128).then(|| Duration::from_millis(u64::from(b))),
                now,
            ))),
            2 => session.show(a % 10, u32::from(b), now),
            3 => drop(asked.insert(session.part(a, now))),
            4 if a > 200 => {
                session.closed(now, "pulled");
                session.opened(now);
            }
            // The words are the fuzzer's, the checksum is right.
            _ => {
                let words = String::from_utf8_lossy(rest);
                if let Ok(line) = encode(u16::from(a), format_args!("{words}")) {
                    session.receive(line.as_bytes(), now);
                }
                let hello =
                    encode(0, format_args!("hello 1 gw-1.0.0 board {} por 64 r1b1a1o9", b % 3)).unwrap();
                if verb > 200 {
                    session.receive(hello.as_bytes(), now);
                }
            }
        }
        now += Duration::from_millis(u64::from(b));
        session.tick(now);
        let mut lines = 0;
        while session.transmit(now).is_some() {
            lines += 1;
            assert!(lines < 200, "it says more than any board can take");
        }
        assert!(session.deadline().is_none_or(|at| at > now || lines > 0), "it would spin");
        while session.next_input().is_some() {}
        while let Some((ticket, _)) = session.next_done() {
            assert!(ended.insert(ticket), "two ends");
        }
    }
    session.closed(now, "over");
    while let Some((ticket, _)) = session.next_done() {
        assert!(ended.insert(ticket), "two ends");
    }
    assert_eq!(asked, ended, "every request comes to an end");
});
