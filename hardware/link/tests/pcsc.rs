//! PC/SC through the real `pcscd`, with the virtual reader of vsmartcard and a card played here.
//! Debian: `pcscd vsmartcard-vpcd libpcsclite-dev`. One `pcscd` at a time can run on a machine, so this is one test.
#![cfg(feature = "pcsc")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use primrack_link::pcsc_reader::PcscReaders;
use primrack_link::plain::PlainBadge;
use primrack_link::reader::ReaderEvent;
use tokio::time::timeout;

const DRIVER: &str = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so";
/// How a contactless card introduces itself through a reader (PC/SC part 3, ISO 14443A memory card).
const ATR: [u8; 20] = [
    0x3B, 0x8F, 0x80, 0x01, 0x80, 0x4F, 0x0C, 0xA0, 0x00, 0x00, 0x03, 0x06, 0x03, 0x00, 0x01, 0x00, 0x00,
    0x00, 0x00, 0x6A,
];

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let ended = self.0.kill().and_then(|()| self.0.wait());
        assert!(ended.is_ok() || std::thread::panicking(), "pcscd of the test could not be ended: {ended:?}");
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// Puts a card on the virtual reader and plays it until the connection ends: who drops the handle takes it away.
fn card(port: u16, uid: &'static [u8]) -> TcpStream {
    let end = Instant::now() + Duration::from_secs(10);
    let stream = loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < end, "the virtual reader does not listen: {error}"),
        }
        std::thread::yield_now();
    };
    let mut wire = stream.try_clone().expect("a handle");
    std::thread::spawn(move || {
        loop {
            let mut length = [0; 2];
            if wire.read_exact(&mut length).is_err() {
                return;
            }
            let mut command = vec![0; usize::from(u16::from_be_bytes(length))];
            if wire.read_exact(&mut command).is_err() {
                return;
            }
            let answer = match command[..] {
                // Power off, on, reset want no answer.
                [0..=2] => continue,
                [4] => ATR.to_vec(),
                [0xFF, 0xCA, 0, 0, 0] => [uid, &[0x90, 0x00]].concat(),
                _ => vec![0x6D, 0x00],
            };
            let length = u16::try_from(answer.len()).expect("short").to_be_bytes();
            if wire.write_all(&[&length[..], &answer].concat()).is_err() {
                return;
            }
        }
    });
    stream
}

async fn next(readers: &mut PcscReaders) -> ReaderEvent {
    timeout(Duration::from_secs(20), readers.events.recv()).await.expect("in time").expect("a watcher")
}

async fn badge(readers: &mut PcscReaders) -> String {
    loop {
        if let ReaderEvent::Badge(PlainBadge::Uid(uid)) = next(readers).await {
            return uid.to_hex();
        }
    }
}

/// Waits until the virtual reader is empty.
fn taken_away() {
    let context = pcsc::Context::establish(pcsc::Scope::System).expect("pcscd");
    let name = c"Virtual PCD 00 00";
    let mut states = [pcsc::ReaderState::new(name, pcsc::State::UNAWARE)];
    loop {
        context.get_status_change(Duration::from_secs(10), &mut states).expect("a change in time");
        if states[0].event_state().contains(pcsc::State::EMPTY) {
            return;
        }
        states[0].sync_current_state();
    }
}

#[tokio::test]
async fn cards_on_a_virtual_reader_are_read_each_time_they_are_shown() {
    assert!(
        std::path::Path::new(DRIVER).exists(),
        "install Debian's vsmartcard-vpcd, pcscd and libpcsclite-dev"
    );
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let config = format!(
        "FRIENDLYNAME \"Virtual PCD\"\nDEVICENAME /dev/null:{port:#06X}\nLIBPATH {DRIVER}\nCHANNELID {port:#06X}\n"
    );
    std::fs::write(folder.path().join("vpcd"), config).unwrap();
    let daemon = Command::new("pcscd")
        .arg("--foreground")
        .arg("--config")
        .arg(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("pcscd of Debian");
    let _daemon = Daemon(daemon);
    let end = Instant::now() + Duration::from_secs(10);
    let mut readers = loop {
        match PcscReaders::start("Virtual PCD 00 00") {
            Ok(readers) => break readers,
            Err(words) => assert!(Instant::now() < end, "{words}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let ReaderEvent::Up(words) = next(&mut readers).await else { panic!("a reader first") };
    assert!(words.contains("Virtual PCD"), "{words}");
    for uid in [&[0x04, 0xA1, 0xB2, 0xC3, 0xD4, 0xE5, 0xF6][..], &[0xDE, 0xAD, 0xBE, 0xEF]] {
        let shown = card(port, uid);
        let read = badge(&mut readers).await;
        assert_eq!(read, uid.iter().map(|byte| format!("{byte:02X}")).collect::<String>());
        shown.shutdown(std::net::Shutdown::Both).unwrap();
        // It must be gone before the next one can come.
        tokio::task::spawn_blocking(taken_away).await.unwrap();
    }
    drop(readers);
}
