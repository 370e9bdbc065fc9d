//! The C++ decoder of the firmware and the Rust decoder, compared on mutated frames and streams.
//!
//! A normal run compares 1,000,000 frames and about 100,000 frames' worth of streams; `PRIMRACK_MUTATED_FRAMES=10000000` compares the full
//! number, as the nightly run does (best with `--release`). It needs g++, as the firmware's own tests do.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};

use primrack_link::decoder::{Decoder, Item, MAX_TEXT};
use primrack_link::frame::{Frame, encode};
use primrack_link::soft::Noise;

fn frames() -> u64 {
    std::env::var("PRIMRACK_MUTATED_FRAMES")
        .map_or(1_000_000, |count| count.parse().expect("a number of frames"))
}

/// The firmware's decoder as a program, built into a folder of this test.
fn peer() -> (tempfile::TempDir, PathBuf) {
    let firmware = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware");
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("decoder-peer");
    let built = Command::new("g++")
        .current_dir(&firmware)
        .args(["-std=c++11", "-O2", "-Isrc", "-Itests", "-o"])
        .arg(&program)
        .args(["tools/decoder-peer.cpp", "src/frame.cpp", "tests/fake_hal.cpp"])
        .output()
        .expect("g++ of Debian");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    (folder, program)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn unhex(text: &str, bytes: &mut Vec<u8>) {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("hex");
    bytes.clear();
    bytes.extend(text.as_bytes().chunks_exact(2).map(|pair| (digit(pair[0]) << 4 | digit(pair[1])) as u8));
}

fn frame_words(frame: &Frame<'_>) -> String {
    let mut words = format!("ok:{}:{}", frame.seq, frame.verb);
    for (at, arg) in frame.args().enumerate() {
        words.push(if at == 0 { ':' } else { '|' });
        words.push_str(arg);
    }
    words
}

fn verdict(line: &[u8]) -> String {
    match Frame::parse(line) {
        Ok(frame) => frame_words(&frame),
        Err(reason) => format!("bad:{reason}"),
    }
}

#[test]
fn both_decoders_agree_on_every_mutated_frame() {
    let (_folder, program) = peer();
    let count = frames();
    let mut peer = Command::new(program)
        .args(["pairs", &count.to_string(), "20261122"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the peer");
    let output = BufReader::with_capacity(1 << 16, peer.stdout.take().expect("piped"));
    let (mut bytes, mut compared, mut taken) = (Vec::new(), 0, 0);
    for line in output.split(b'\n') {
        let line = String::from_utf8(line.expect("the peer speaks")).expect("text");
        let (frame, theirs) = line.split_once('\t').expect("two fields");
        unhex(frame, &mut bytes);
        let ours = verdict(&bytes);
        assert_eq!(ours, theirs, "{}", bytes.escape_ascii());
        compared += 1;
        taken += u64::from(ours.starts_with("ok:"));
    }
    assert!(peer.wait().expect("an end").success());
    assert_eq!(compared, count);
    // Neither all nor none: the mutations reach what is behind each check.
    assert!(taken > count / 20 && taken < count * 9 / 10, "{taken} of {count} were taken");
}

/// A stream as a bad line delivers it: frames, damage, cuts, texts and noise.
fn stream(noise: &mut Noise, bytes: &mut Vec<u8>) {
    bytes.clear();
    for _ in 0..64 {
        let [kind, a, b, c, ..] = noise.draw().to_le_bytes();
        let line =
            encode(u16::from_le_bytes([a, b]), format_args!("set {} {} 0", c % 9, a)).expect("a frame");
        let start = bytes.len();
        match kind % 8 {
            // Texts are cut at 64 bytes by one and elsewhere by others: the contract leaves that open, so none is that long.
            0 => bytes.extend_from_slice(&b"reader says hello\r\n"[..usize::from(a % 20)]),
            1 => bytes.extend((0..a % 30).map(|_| noise.draw().to_le_bytes()[0])),
            2 => bytes.extend_from_slice(&line.as_bytes()[..usize::from(a) % line.as_bytes().len()]),
            3 => bytes.extend_from_slice(&[&line.as_bytes()[..line.as_bytes().len() - 1], b"\r\n"].concat()),
            _ => bytes.extend_from_slice(line.as_bytes()),
        }
        if kind % 3 == 0 {
            noise.damage(&mut bytes[start..], 30_000);
        }
    }
    bytes.push(b'\n');
}

/// Items of ours in the words of the peer; `None` when a text is so long that both may cut it differently.
fn items(decoder: &mut Decoder, bytes: &[u8]) -> Option<Vec<String>> {
    let (mut items, mut long) = (Vec::new(), false);
    decoder.feed(bytes, |item| {
        items.push(match item {
            Item::Frame(frame) => frame_words(&frame),
            Item::Bad(reason) => format!("bad:{reason}"),
            Item::Text(text) => {
                long |= text.len() + 1 >= MAX_TEXT;
                format!("text:{}", hex(text))
            }
        });
    });
    (!long).then_some(items)
}

#[test]
fn both_decoders_take_broken_streams_apart_alike() {
    let (_folder, program) = peer();
    let streams = frames() / 640;
    let mut peer = Command::new(program)
        .arg("stream")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the peer");
    let mut stdin: ChildStdin = peer.stdin.take().expect("piped");
    let output = BufReader::new(peer.stdout.take().expect("piped"));
    let writer = std::thread::spawn(move || {
        let (mut noise, mut bytes) = (Noise::new(7), Vec::new());
        let mut expected = Vec::new();
        let mut decoder = Decoder::default();
        for _ in 0..streams {
            stream(&mut noise, &mut bytes);
            let mut trial = decoder.clone();
            let Some(items) = items(&mut trial, &bytes) else { continue };
            decoder = trial;
            stdin.write_all(&bytes).expect("the peer reads");
            expected.extend(items);
        }
        expected
    });
    let theirs: Vec<String> = output.lines().map(|line| line.expect("the peer speaks")).collect();
    let ours = writer.join().expect("a writer");
    assert!(peer.wait().expect("an end").success());
    assert!(ours.len() as u64 > streams * 40, "only {} items", ours.len());
    if let Some(at) = (0..ours.len().max(theirs.len())).find(|at| ours.get(*at) != theirs.get(*at)) {
        panic!("item {at}: ours {:?}, theirs {:?}", ours.get(at), theirs.get(at));
    }
}
