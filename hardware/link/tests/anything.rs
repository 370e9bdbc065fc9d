//! A session that hears anything, at any time, with and without right checksums: it neither spins nor says more than a board can take, and
//! every request comes to exactly one end. The fuzz target `session` looks longer.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use primrack_link::frame::encode;
use primrack_link::session::{Phase, Session, SessionConfig};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Bytes(Vec<u8>),
    Frame(u16, String),
    Hello { id: u8, boot: u8, protocol: u8 },
    Set(u8, u32, Option<u16>),
    Show(u8, u32),
    Text(u8, u8, String),
    Ask(u8),
    Pull,
    Wait(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let verb = "(ok|no|is|stats|tag|wg|btn|val|out|part|lost|hello)( (hi|busy|out|lease|host|reset|deaf|[0-9]{1,4})){0,4}";
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Step::Bytes),
        (0..40_u16, verb).prop_map(|(seq, words)| Step::Frame(seq, words)),
        (0..2_u8, 0..3_u8, 0..8_u8).prop_map(|(id, boot, protocol)| Step::Hello { id, boot, protocol }),
        (0..11_u8, 0..3_u32, prop::option::of(0..900_u16))
            .prop_map(|(output, value, lease)| Step::Set(output, value, lease)),
        (0..11_u8, 0..3_u32).prop_map(|(output, value)| Step::Show(output, value)),
        (0..11_u8, 0..3_u8, ".{0,20}").prop_map(|(output, row, text)| Step::Text(output, row, text)),
        any::<u8>().prop_map(Step::Ask),
        Just(Step::Pull),
        (0..4000_u16).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn a_session_holds_out_against_anything(steps in prop::collection::vec(step(), 1..120)) {
        let mut now = Instant::now();
        let mut session = Session::new(SessionConfig::default(), 1, now);
        let (mut asked, mut ended) = (HashSet::new(), HashSet::new());
        session.opened(now);
        for step in steps {
            match step {
                Step::Bytes(bytes) => session.receive(&bytes, now),
                Step::Frame(seq, words) => {
                    if let Ok(line) = encode(seq, format_args!("{words}")) {
                        session.receive(line.as_bytes(), now);
                    }
                }
                Step::Hello { id, boot, protocol } => {
                    let protocol = protocol.max(6) - 5;
                    let words = format!("hello {protocol} gw-1.0.0 board{id} {boot} por 64 r1b1a1o9");
                    session.receive(encode(0, format_args!("{words}")).unwrap().as_bytes(), now);
                    // And the answer to the adoption that follows, whatever its number is.
                    let hi = std::iter::from_fn(|| session.transmit(now)).find_map(|line| {
                        let line = String::from_utf8(line.as_bytes().to_vec()).unwrap();
                        let mut words = line.strip_prefix('~')?.split(' ');
                        let seq: u16 = words.next()?.parse().ok()?;
                        (words.next() == Some("hi")).then(|| words.nth(1)?.parse::<u16>().ok().map(|number| (seq, number)))?
                    });
                    if let Some((seq, number)) = hi {
                        session.receive(encode(seq, format_args!("ok {number}")).unwrap().as_bytes(), now);
                        prop_assert_eq!(session.status().phase, Phase::Adopted);
                    }
                }
                Step::Set(output, value, lease) => {
                    let lease = lease.map(|ms| Duration::from_millis(u64::from(ms)));
                    asked.insert(session.set(output, value, lease, now));
                }
                Step::Show(output, value) => session.show(output, value, now),
                Step::Text(output, row, text) => drop(asked.insert(session.text(output, row, &text, now))),
                Step::Ask(index) => drop(asked.insert(session.part(index, now))),
                Step::Pull => {
                    session.closed(now, "pulled");
                    session.opened(now);
                }
                Step::Wait(ms) => now += Duration::from_millis(u64::from(ms)),
            }
            session.tick(now);
            let bytes: usize = std::iter::from_fn(|| session.transmit(now)).map(|line| line.as_bytes().len()).sum();
            prop_assert!(bytes <= 64, "{} bytes at once into a buffer of 64", bytes);
            prop_assert!(session.deadline().is_none_or(|at| at > now), "it would spin");
            while session.next_input().is_some() {}
            while let Some((ticket, _)) = session.next_done() {
                prop_assert!(ended.insert(ticket), "two ends");
            }
        }
        session.closed(now, "over");
        while let Some((ticket, _)) = session.next_done() {
            prop_assert!(ended.insert(ticket), "two ends");
        }
        prop_assert_eq!(asked, ended, "every request comes to an end");
    }
}
