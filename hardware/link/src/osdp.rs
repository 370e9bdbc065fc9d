//! OSDP readers on RS-485, with an enforced secure channel: a reader that does not have the key never comes up.
//!
//! The state machine is libosdp's (IEC 60839-11-5). It wants to be driven every few milliseconds, so it has a thread of its own. No
//! install mode, no default key: a reader gets its key at a table, not on the wall.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use libosdp::{
    Channel, ChannelError, ControlPanel, ControlPanelBuilder, OsdpCardFormats, OsdpEvent, OsdpFlag,
    PdInfoBuilder,
};
use tokio::sync::mpsc;

use crate::message::{Uid, Wiegand};
use crate::plain::PlainBadge;
use crate::port::PortError;
use crate::reader::{EVENTS, ReaderEvent, tell};

/// How often the state machine is driven; the standard wants 50 ms at most.
const TURN: Duration = Duration::from_millis(10);
/// How long a reader may take to come up before that is said.
const COMING_UP: Duration = Duration::from_secs(5);
/// How long a line that broke is left alone.
const REOPEN: Duration = Duration::from_secs(1);

/// A line that does not block: what has nothing to read says `WouldBlock` or `TimedOut`.
pub trait OsdpLine: Read + Write + Send {}
impl<T: Read + Write + Send> OsdpLine for T {}

/// Which reader, and its key.
#[derive(Clone)]
pub struct OsdpConfig {
    /// Its address on the bus, 0..=126.
    pub address: u8,
    /// Bits a second; 9600 unless the reader was told otherwise.
    pub baud: u32,
    /// Its own key (SCBK).
    pub key: [u8; 16],
}

impl std::fmt::Debug for OsdpConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { address, baud, key: _ } = self;
        f.debug_struct("OsdpConfig").field("address", address).field("baud", baud).finish_non_exhaustive()
    }
}

/// Why there can be no such reader.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OsdpError {
    /// The configuration is not one of OSDP.
    #[error(
        "an OSDP reader has an address of 0 to 126 and 9600, 19200, 38400, 57600, 115200 or 230400 baud: {0}"
    )]
    Config(String),
    /// There can be no thread for it.
    #[error("no thread could be had for an OSDP reader: {0}")]
    Thread(String),
}

/// A reader at work; dropping it ends its thread.
#[derive(Debug)]
pub struct OsdpReader {
    /// What it tells.
    pub events: mpsc::Receiver<ReaderEvent>,
    _stop: Sender<()>,
}

impl OsdpReader {
    /// A reader on a serial device.
    ///
    /// # Errors
    /// [`OsdpError`]. That the device is missing is no error but told as an event, and tried again.
    pub fn on_serial(path: &Path, config: &OsdpConfig) -> Result<Self, OsdpError> {
        let (path, baud) = (path.to_path_buf(), config.baud);
        let open = move || {
            let port = path.display().to_string();
            serialport::new(port.clone(), baud)
                .timeout(Duration::from_millis(1))
                .open_native()
                .map(|line| Box::new(line) as Box<dyn OsdpLine>)
                .map_err(|error| PortError::Unusable { port, why: error.to_string() })
        };
        Self::start(Box::new(open), config)
    }

    /// A reader on a line that `open` opens, and opens again after it broke.
    ///
    /// # Errors
    /// [`OsdpError`].
    pub fn start(open: OpenLine, config: &OsdpConfig) -> Result<Self, OsdpError> {
        let fail = |error: libosdp::OsdpError| OsdpError::Config(error.to_string());
        let line = Line::default();
        let reader = PdInfoBuilder::new()
            .name("reader")
            .and_then(|info| info.address(i32::from(config.address)))
            .and_then(|info| info.baud_rate(i32::try_from(config.baud).unwrap_or(0)))
            .map_err(fail)?
            .flag(OsdpFlag::EnforceSecure)
            .secure_channel_key(config.key);
        let panel = ControlPanelBuilder::new().add_channel(Box::new(line.clone()), vec![reader]).build();
        let panel = panel.map_err(fail)?;
        let (stop, stopped) = channel();
        let (tx, events) = mpsc::channel(EVENTS);
        let driver = Driver { open, line, panel, events: tx, address: config.address };
        std::thread::Builder::new()
            .name(format!("osdp-{}", config.address))
            .spawn(move || driver.run(&stopped))
            .map_err(|error| OsdpError::Thread(error.to_string()))?;
        Ok(Self { events, _stop: stop })
    }
}

/// Opens a line.
pub type OpenLine = Box<dyn FnMut() -> Result<Box<dyn OsdpLine>, PortError> + Send>;

/// The line as libosdp sees it. It stays the same when the device behind it is opened anew.
#[derive(Clone, Default)]
struct Line(Arc<Mutex<Option<Box<dyn OsdpLine>>>>);

impl Line {
    fn get(&self) -> MutexGuard<'_, Option<Box<dyn OsdpLine>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs I/O on the line, and puts it away when it is broken.
    fn with(&self, io: impl FnOnce(&mut dyn OsdpLine) -> io::Result<usize>) -> Result<usize, ChannelError> {
        use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
        let mut line = self.get();
        match line.as_mut().map(|line| io(line.as_mut())) {
            None => Err(ChannelError::WouldBlock),
            Some(Err(error)) if matches!(error.kind(), WouldBlock | TimedOut | Interrupted) => {
                Err(ChannelError::WouldBlock)
            }
            Some(Ok(0) | Err(_)) => {
                *line = None;
                Err(ChannelError::WouldBlock)
            }
            Some(Ok(count)) => Ok(count),
        }
    }
}

impl Channel for Line {
    fn get_id(&self) -> i32 {
        0
    }

    fn read(&mut self, buf: &mut [u8]) -> Result<usize, ChannelError> {
        self.with(|line| line.read(buf))
    }

    fn write(&mut self, buf: &[u8]) -> Result<usize, ChannelError> {
        self.with(|line| line.write(buf))
    }

    fn flush(&mut self) -> Result<(), ChannelError> {
        Ok(())
    }

    fn close(&mut self) -> Result<(), ChannelError> {
        *self.get() = None;
        Ok(())
    }
}

struct Driver {
    open: OpenLine,
    line: Line,
    panel: ControlPanel,
    events: mpsc::Sender<ReaderEvent>,
    address: u8,
}

impl Driver {
    fn run(mut self, stopped: &Receiver<()>) {
        let cards: Arc<Mutex<VecDeque<PlainBadge>>> = Arc::default();
        let into = Arc::clone(&cards);
        self.panel.set_event_callback(move |_, event| {
            let mut cards = into.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(badge) = badge(&event)
                && cards.len() < EVENTS
            {
                cards.push_back(badge);
            }
            0
        });
        let mut up = false;
        let mut told_down = None;
        let mut since = Instant::now();
        let mut reopen = since;
        // Whoever dropped the reader ends this; nobody ever sends.
        while stopped.recv_timeout(TURN) == Err(RecvTimeoutError::Timeout) {
            let now = Instant::now();
            let mut down = None;
            if self.line.get().is_none() && now >= reopen {
                reopen = now + REOPEN;
                match (self.open)() {
                    Ok(line) => {
                        *self.line.get() = Some(line);
                        since = now;
                    }
                    Err(error) => down = Some(error.to_string()),
                }
            }
            self.panel.refresh();
            let secure = self.panel.is_online(0) && self.panel.is_sc_active(0);
            let badges = std::mem::take(&mut *cards.lock().unwrap_or_else(PoisonError::into_inner));
            let mut heard = true;
            if secure && !up {
                (up, told_down) = (true, None);
                let words = format!("OSDP reader {} in secure channel", self.address);
                heard &= tell(&self.events, ReaderEvent::Up(words));
            } else if !secure && up {
                (up, since) = (false, now);
                down = Some(format!("OSDP reader {} no longer answers", self.address));
            } else if !secure && down.is_none() && told_down.is_none() && now > since + COMING_UP {
                down = Some(format!(
                    "OSDP reader {} does not come up: not connected, another address or baud rate, or another key; without its own key it is not let in",
                    self.address
                ));
            }
            if let Some(words) = down
                && told_down.as_ref() != Some(&words)
            {
                told_down = Some(words.clone());
                heard &= tell(&self.events, ReaderEvent::Down(words));
            }
            // What came outside the secure channel is no badge.
            for badge in badges.into_iter().filter(|_| secure) {
                heard &= tell(&self.events, ReaderEvent::Badge(badge));
            }
            if !heard {
                return;
            }
        }
    }
}

fn badge(event: &OsdpEvent) -> Option<PlainBadge> {
    let OsdpEvent::CardRead(card) = event else { return None };
    match (card.format, card.nr_bits) {
        (_, bits @ (26 | 34)) => wiegand(bits, &card.data).map(PlainBadge::Wiegand),
        (OsdpCardFormats::Unspecified, bits) => Uid::new(card.data.get(..bits / 8)?).map(PlainBadge::Uid),
        (OsdpCardFormats::Wiegand, _) => None,
    }
}

/// Checks and takes off the parity of 26 or 34 bits, the first bit the highest of the first byte: even over the first half, odd over the second.
fn wiegand(bits: usize, data: &[u8]) -> Option<Wiegand> {
    let bit = |at: usize| data.get(at / 8).map(|byte| byte >> (7 - at % 8) & 1);
    let ones = |range: std::ops::Range<usize>| {
        range.map(bit).try_fold(0_u32, |sum, bit| Some(sum + u32::from(bit?)))
    };
    if ones(0..bits / 2)? % 2 != 0 || ones(bits / 2..bits)? % 2 != 1 {
        return None;
    }
    let payload = (1..bits - 1).map(bit).try_fold(0_u32, |value, bit| Some(value << 1 | u32::from(bit?)))?;
    Some(Wiegand { bits: u8::try_from(bits).ok()?, payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wiegand_bits_are_those_of_the_facts_and_bad_parity_is_refused() {
        // Raw 2F764DD of 26 bits, facility 123, card 45678.
        let raw = 0x2F7_64DD_u32 << 6;
        let data = raw.to_be_bytes();
        assert_eq!(wiegand(26, &data).unwrap().to_hex(), "7BB26E");
        for bit in 0..26 {
            let bad = (raw ^ (1 << (31 - bit))).to_be_bytes();
            assert_eq!(wiegand(26, &bad), None, "bit {bit}");
        }
        assert_eq!(wiegand(34, &data), None, "too short");
    }
}
