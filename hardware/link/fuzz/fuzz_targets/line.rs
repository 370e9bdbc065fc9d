//! Bytes from a line through the decoder, both sides' messages and the plain readers.
//! `cargo +nightly fuzz run line` in `hardware/link`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use primrack_link::decoder::{Decoder, Item};
use primrack_link::frame::{Frame, encode};
use primrack_link::message::{FromBoard, ToBoard};
use primrack_link::plain::{PlainFormat, PlainReader};

fuzz_target!(|bytes: &[u8]| {
    take(bytes);
    // The words are the fuzzer's, the checksum is right: what lies behind it is reached too.
    if let Ok(line) = encode(7, format_args!("{}", String::from_utf8_lossy(bytes))) {
        take(line.as_bytes());
    }
});

fn take(bytes: &[u8]) {
    Decoder::default().feed(bytes, |item| match item {
        Item::Frame(frame) => {
            // What is read can be written and reads the same.
            let words: Vec<&str> = std::iter::once(frame.verb).chain(frame.args()).collect();
            let line = encode(frame.seq, format_args!("{}", words.join(" "))).unwrap();
            assert_eq!(Frame::parse(line.as_bytes().strip_suffix(b"\n").unwrap()).unwrap(), frame);
            if let Ok(message) = FromBoard::parse(&frame) {
                let again = message.encode(frame.seq).unwrap();
                let again = Frame::parse(again.as_bytes().strip_suffix(b"\n").unwrap()).unwrap();
                assert_eq!(FromBoard::parse(&again), Ok(message));
            }
            if let Ok(message) = ToBoard::parse(&frame) {
                // A text with bytes that no display shows is written otherwise, or not at all.
                if let Ok(again) = message.encode(frame.seq) {
                    let again = Frame::parse(again.as_bytes().strip_suffix(b"\n").unwrap()).unwrap();
                    assert!(ToBoard::parse(&again).is_ok());
                }
            }
        }
        Item::Text(text) => assert!(!text.is_empty() && text.len() <= 64),
        Item::Bad(_) => {}
    });
    for format in [PlainFormat::Em4100, PlainFormat::Hex, PlainFormat::Wiegand] {
        PlainReader::new(format).feed(bytes, |_| {});
    }
}
