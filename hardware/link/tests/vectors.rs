//! The frozen vectors that C++ and Rust share. If a test here fails, do not change the vectors.

use primrack_link::decoder::{Decoder, Item};
use primrack_link::frame::{Frame, encode};

const FRAMES: &str = include_str!("vectors/board-1.txt");
const STREAMS: &str = include_str!("vectors/board-1-stream.txt");

fn cases(text: &str) -> impl Iterator<Item = (usize, Vec<&str>)> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.starts_with('#') && !line.is_empty())
        .map(|(at, line)| (at + 1, line.split('\t').collect()))
}

fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn told(item: &Item<'_>) -> String {
    match item {
        Item::Frame(frame) => {
            let args: Vec<_> = frame.args().collect();
            let args = if args.is_empty() { String::new() } else { format!(":{}", args.join("|")) };
            format!("ok:{}:{}{args}", frame.seq, frame.verb)
        }
        Item::Bad(reason) => format!("bad:{reason}"),
        Item::Text(text) => format!("text:{}", to_hex(text)),
    }
}

#[test]
fn good_frames_read_and_write_as_frozen() {
    let mut count = 0;
    for (at, case) in cases(FRAMES).filter(|(_, case)| case[0] == "ok") {
        let frame = Frame::parse(case[1].as_bytes()).unwrap_or_else(|reason| panic!("line {at}: {reason}"));
        let args: Vec<_> = frame.args().collect();
        assert_eq!((frame.seq.to_string().as_str(), frame.verb), (case[2], case[3]), "line {at}");
        assert_eq!(args.join("|"), case.get(4).copied().unwrap_or(""), "line {at}");
        let words = [&[frame.verb][..], &args].concat().join(" ");
        let line = encode(frame.seq, format_args!("{words}")).unwrap();
        assert_eq!(line.as_bytes(), [case[1].as_bytes(), b"\n"].concat(), "line {at}");
        count += 1;
    }
    assert!(count > 50, "only {count} cases were read");
}

#[test]
fn bad_frames_are_refused_for_the_frozen_reason() {
    let mut count = 0;
    for (at, case) in cases(FRAMES).filter(|(_, case)| case[0] == "bad") {
        let bytes = from_hex(case[1]);
        let reason = Frame::parse(&bytes).expect_err("a bad frame");
        assert_eq!(reason.to_string(), case[2], "line {at}");
        // The decoder comes to the same, byte by byte.
        let mut items = Vec::new();
        Decoder::default().feed(&[&bytes[..], b"\n"].concat(), |item| items.push(told(&item)));
        assert_eq!(items.first().map(String::as_str), Some(format!("bad:{}", case[2]).as_str()), "line {at}");
        count += 1;
    }
    assert!(count > 40, "only {count} cases were read");
}

#[test]
fn streams_are_taken_apart_as_frozen_however_they_are_cut() {
    let mut count = 0;
    for (at, case) in cases(STREAMS) {
        let bytes = from_hex(case[0]);
        let expected: Vec<&str> = case[1].split(' ').collect();
        for piece in [1, 2, 3, 7, bytes.len()] {
            let (mut decoder, mut items) = (Decoder::default(), Vec::new());
            for part in bytes.chunks(piece) {
                decoder.feed(part, |item| items.push(told(&item)));
            }
            assert_eq!(items, expected, "line {at} in pieces of {piece}");
        }
        count += 1;
    }
    assert!(count > 20, "only {count} cases were read");
}
