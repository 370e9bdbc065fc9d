//! OSDP against a peer that is libosdp in the reader's role, over a socket pair that does not block.
#![cfg(feature = "osdp")]

use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use libosdp::{
    Channel, ChannelError, OsdpEvent, OsdpEventCardRead, OsdpFlag, PdCapEntity, PdCapability, PdInfoBuilder,
    PeripheralDevice,
};
use primrack_link::osdp::{OsdpConfig, OsdpLine, OsdpReader};
use primrack_link::plain::PlainBadge;
use primrack_link::port::PortError;
use primrack_link::reader::ReaderEvent;
use tokio::time::timeout;

const KEY: [u8; 16] = *b"a key of a table";
const OTHER: [u8; 16] = *b"a key of another";

struct Socket(UnixStream);

impl Channel for Socket {
    fn get_id(&self) -> i32 {
        1
    }

    fn read(&mut self, buf: &mut [u8]) -> Result<usize, ChannelError> {
        std::io::Read::read(&mut self.0, buf).map_err(|_| ChannelError::WouldBlock)
    }

    fn write(&mut self, buf: &[u8]) -> Result<usize, ChannelError> {
        std::io::Write::write(&mut self.0, buf).map_err(|_| ChannelError::WouldBlock)
    }

    fn flush(&mut self) -> Result<(), ChannelError> {
        Ok(())
    }

    fn close(&mut self) -> Result<(), ChannelError> {
        Ok(())
    }
}

/// A reader that shows what it is sent. It ends when the sender is dropped.
fn peer(socket: UnixStream, key: [u8; 16]) -> Sender<OsdpEventCardRead> {
    let (cards, shown) = channel::<OsdpEventCardRead>();
    std::thread::spawn(move || {
        let info = PdInfoBuilder::new()
            .name("peer")
            .and_then(|info| info.address(101))
            .and_then(|info| info.baud_rate(115_200))
            .expect("an address")
            .flag(OsdpFlag::EnforceSecure)
            .capability(PdCapability::CommunicationSecurity(PdCapEntity::new(1, 1)))
            .secure_channel_key(key);
        let mut reader = PeripheralDevice::new(info, Box::new(Socket(socket))).expect("a reader");
        reader.set_command_callback(|_| 0);
        loop {
            match shown.recv_timeout(Duration::from_millis(5)) {
                Ok(card) => reader.notify_event(OsdpEvent::CardRead(card)).expect("room for an event"),
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return,
            }
            reader.refresh();
        }
    });
    cards
}

fn pair() -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    ours.set_nonblocking(true).expect("non-blocking");
    theirs.set_nonblocking(true).expect("non-blocking");
    (ours, theirs)
}

fn reader(ours: UnixStream) -> OsdpReader {
    let mut once = Some(ours);
    let open = move || match once.take() {
        Some(line) => Ok(Box::new(line) as Box<dyn OsdpLine>),
        None => Err(PortError::Missing { port: "pair".to_owned() }),
    };
    let config = OsdpConfig { address: 101, baud: 115_200, key: KEY };
    OsdpReader::start(Box::new(open), &config).expect("a reader")
}

async fn next(reader: &mut OsdpReader) -> ReaderEvent {
    timeout(Duration::from_secs(20), reader.events.recv()).await.expect("in time").expect("a driver")
}

#[tokio::test]
async fn a_reader_with_the_key_comes_up_and_its_cards_are_read() {
    let (ours, theirs) = pair();
    let cards = peer(theirs, KEY);
    let mut reader = reader(ours);
    let ReaderEvent::Up(words) = next(&mut reader).await else { panic!("up first") };
    assert!(words.contains("secure channel"), "{words}");
    let before = Instant::now();
    cards.send(OsdpEventCardRead::new_raw(vec![0x04, 0xA1, 0xB2, 0xC3])).unwrap();
    let ReaderEvent::Badge(PlainBadge::Uid(uid)) = next(&mut reader).await else { panic!("a UID") };
    assert_eq!(uid.to_hex(), "04A1B2C3");
    assert!(before.elapsed() < Duration::from_secs(1), "{:?}", before.elapsed());
    let raw = (0x2F7_64DD_u32 << 6).to_be_bytes().to_vec();
    cards.send(OsdpEventCardRead::new_wiegand(26, raw).unwrap()).unwrap();
    let ReaderEvent::Badge(PlainBadge::Wiegand(code)) = next(&mut reader).await else { panic!("Wiegand") };
    assert_eq!(code.facility_and_card(), Some((123, 45_678)));
}

#[tokio::test]
async fn a_reader_with_another_key_never_comes_up_and_its_cards_are_nothing() {
    let (ours, theirs) = pair();
    let cards = peer(theirs, OTHER);
    let mut reader = reader(ours);
    cards.send(OsdpEventCardRead::new_raw(vec![0x04, 0xA1, 0xB2, 0xC3])).unwrap();
    let ReaderEvent::Down(words) = next(&mut reader).await else { panic!("not up") };
    assert!(words.contains("another key"), "{words}");
    assert!(timeout(Duration::from_secs(3), reader.events.recv()).await.is_err(), "nothing else comes");
}

#[tokio::test]
async fn a_reader_that_goes_is_said_to_be_gone() {
    let (ours, theirs) = pair();
    let cards = peer(theirs, KEY);
    let mut reader = reader(ours);
    assert!(matches!(next(&mut reader).await, ReaderEvent::Up(_)));
    drop(cards);
    let ReaderEvent::Down(words) = next(&mut reader).await else { panic!("down") };
    assert!(words.contains("no longer answers") || words.contains("no such device"), "{words}");
}
