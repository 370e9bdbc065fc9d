//! What must hold of every frame and every stream.

use primrack_link::decoder::{Decoder, Item};
use primrack_link::frame::{Frame, MAX_FRAME, encode};
use primrack_link::message::{FromBoard, ToBoard};
use proptest::prelude::*;

/// A verb and arguments that fit a frame.
fn words() -> impl Strategy<Value = String> {
    ("[a-z]{1,8}", prop::collection::vec("[!-)+-}]{1,6}", 0..7)).prop_map(|(verb, args)| {
        let mut words = verb;
        for arg in args {
            if words.len() + arg.len() < 48 {
                words = format!("{words} {arg}");
            }
        }
        words
    })
}

fn items(stream: &[u8]) -> Vec<String> {
    let mut items = Vec::new();
    Decoder::default().feed(stream, |item| items.push(format!("{item:?}")));
    items
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn what_is_written_reads_the_same(seq: u16, words in words()) {
        let line = encode(seq, format_args!("{words}")).unwrap();
        prop_assert!(line.as_bytes().len() <= MAX_FRAME);
        let frame = Frame::parse(line.as_bytes().strip_suffix(b"\n").unwrap()).unwrap();
        let read: Vec<_> = std::iter::once(frame.verb).chain(frame.args()).collect();
        prop_assert_eq!((frame.seq, read.join(" ")), (seq, words));
    }

    #[test]
    fn every_flip_of_one_or_two_bits_is_refused(seq: u16, words in words(), one: prop::sample::Index, two: prop::sample::Index) {
        let line = encode(seq, format_args!("{words}")).unwrap();
        let good = line.as_bytes().strip_suffix(b"\n").unwrap();
        let bits = good.len() * 8;
        let (one, two) = (one.index(bits), two.index(bits));
        let mut bad = good.to_vec();
        bad[one / 8] ^= 1 << (one % 8);
        if one != two {
            bad[two / 8] ^= 1 << (two % 8);
        }
        // Behind a `\r` made of the last byte stands a shorter line, which is no frame either.
        prop_assert!(Frame::parse(&bad).is_err());
    }

    #[test]
    fn the_next_frame_is_read_after_any_noise(noise: Vec<u8>, seq: u16, words in words()) {
        let line = encode(seq, format_args!("{words}")).unwrap();
        let stream = [&noise[..], line.as_bytes()].concat();
        let (alone, found) = (items(line.as_bytes()), items(&stream));
        prop_assert_eq!(found.last(), alone.last());
    }

    #[test]
    fn cutting_a_stream_changes_nothing(stream: Vec<u8>, cut: prop::sample::Index) {
        let cut = cut.index(stream.len() + 1);
        let (mut decoder, mut found) = (Decoder::default(), Vec::new());
        for part in [&stream[..cut], &stream[cut..]] {
            decoder.feed(part, |item| found.push(format!("{item:?}")));
        }
        prop_assert_eq!(found, items(&stream));
    }

    #[test]
    fn every_message_that_is_read_writes_the_same(words in "(hello|tag|wg|sun|btn|val|out|part|lost|ok|no|is|stats|hi|ping|set|got|who|bye|stat|id)( [0-9a-zA-Z]{1,8}){0,7}") {
        if let Ok(line) = encode(5, format_args!("{words}")) {
            let frame = Frame::parse(line.as_bytes().strip_suffix(b"\n").unwrap()).unwrap();
            if let Ok(message) = FromBoard::parse(&frame) && !words.starts_with("hello") {
                prop_assert_eq!(message.encode(5).unwrap(), line);
            }
            if let Ok(message) = ToBoard::parse(&frame) {
                prop_assert_eq!(message.encode(5).unwrap(), line);
            }
        }
    }
}

#[test]
fn a_flood_of_anything_takes_one_line_of_memory() {
    let mut decoder = Decoder::default();
    let mut texts = 0;
    for byte in 0..=255_u8 {
        decoder.feed(&vec![byte; 10_000], |item| {
            if let Item::Text(text) = item {
                assert!(text.len() <= 64);
                texts += 1;
            }
        });
    }
    assert!(texts > 0);
    // Not more than the state and one line: a growing buffer would need a pointer, and this has none.
    assert!(size_of::<Decoder>() < 100);
}
