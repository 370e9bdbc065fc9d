//! A board in software, for demonstrations and tests. It says that it is simulated: its firmware is called `soft-…`.
//!
//! [`Firmware`] is the board without a line; [`SoftBoard`] runs one on a pty or in memory, with knobs for every fault a line has.

mod firmware;
mod noise;
mod pty;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::message::{Happening, ReaderHealth, ResetCause, Uid};
use crate::port::{BoxFuture, Dial, PortError, Wire};

pub use firmware::{Firmware, OutputKind, SoftConfig, SoftOutput};
pub use noise::Noise;
use pty::Pty;

/// Faults of a line and of a board.
#[derive(Debug, Clone, Default)]
pub struct Knobs {
    /// Bytes damaged on their way to the board, of a million.
    pub errors_to_board: u32,
    /// Bytes damaged on their way to the host, of a million.
    pub errors_to_host: u32,
    /// The board takes nothing in and says nothing, but its outputs' leases run.
    pub deaf: bool,
    /// What the board says comes so much later.
    pub delay: Duration,
}

#[derive(Debug)]
struct Shared {
    firmware: Firmware,
    knobs: Knobs,
    noise: Noise,
    /// To be put on the line as it is.
    garbage: usize,
}

/// A software board at work. Clones are handles of the same board; it ends with its token.
#[derive(Debug, Clone)]
pub struct SoftBoard {
    shared: Arc<Mutex<Shared>>,
    outputs: watch::Receiver<Vec<SoftOutput>>,
    plugged: watch::Sender<bool>,
    wake: Arc<tokio::sync::Notify>,
    wires: mpsc::Sender<DuplexStream>,
}

impl SoftBoard {
    /// A board in memory: [`Self::dial`] is its port.
    #[must_use]
    pub fn start(config: SoftConfig, stop: CancellationToken) -> Self {
        Self::run(config, None, stop)
    }

    /// A board on a pty that `link` points at while it is plugged in.
    ///
    /// # Errors
    /// When no pty can be had or the link not be made.
    pub fn start_on_pty(config: SoftConfig, link: PathBuf, stop: CancellationToken) -> io::Result<Self> {
        let pty = Pty::plug(&link)?;
        Ok(Self::run(config, Some((link, pty)), stop))
    }

    fn run(config: SoftConfig, pty: Option<(PathBuf, Pty)>, stop: CancellationToken) -> Self {
        let firmware = Firmware::new(config, Instant::now());
        let (output_tx, outputs) = watch::channel(firmware.outputs());
        let shared = Shared { firmware, knobs: Knobs::default(), noise: Noise::new(1), garbage: 0 };
        let (wires, new_wires) = mpsc::channel(1);
        let (link, wire) = match pty {
            Some((link, pty)) => (Some(link), Some(Box::new(pty) as Box<dyn Wire>)),
            None => (None, None),
        };
        let board = Self {
            shared: Arc::new(Mutex::new(shared)),
            outputs,
            plugged: watch::Sender::new(true),
            wake: Arc::default(),
            wires,
        };
        let task = Task {
            shared: Arc::clone(&board.shared),
            outputs: output_tx,
            plugged: board.plugged.subscribe(),
            wake: Arc::clone(&board.wake),
            new_wires,
            link,
            wire,
            late: Vec::new(),
        };
        tokio::spawn(task.run(stop));
        board
    }

    /// Its port, when it is in memory. While it is unplugged there is no such device. A later
    /// connection takes the place of an earlier one.
    #[must_use]
    pub fn dial(&self) -> Box<dyn Dial> {
        Box::new(SoftDial { plugged: self.plugged.subscribe(), wires: self.wires.clone() })
    }

    /// Its outputs, and word of every change.
    #[must_use]
    pub fn outputs(&self) -> watch::Receiver<Vec<SoftOutput>> {
        self.outputs.clone()
    }

    /// Whether a host has adopted it.
    #[must_use]
    pub fn adopted(&self) -> bool {
        self.lock().firmware.adopted()
    }

    /// Something happens at it.
    pub fn happen(&self, happening: Happening) {
        self.lock().firmware.happen(happening, Instant::now());
        self.wake.notify_one();
    }

    /// A badge is shown to a reader.
    pub fn badge(&self, reader: u8, uid: Uid) {
        self.happen(Happening::Tag { reader, uid });
    }

    /// A button is pressed or let go.
    pub fn button(&self, index: u8, pressed: bool) {
        self.happen(Happening::Button { index, pressed });
    }

    /// An analogue input changes, 0..=1023.
    pub fn value(&self, index: u8, value: u16) {
        self.happen(Happening::Value { index, value: value.min(1023) });
    }

    /// A reader goes deaf, is healed, or is well.
    pub fn reader(&self, reader: u8, health: ReaderHealth) {
        self.happen(Happening::Reader { reader, health });
    }

    /// The board starts afresh.
    pub fn reset(&self, cause: ResetCause) {
        self.lock().firmware.reset(cause, Instant::now());
        self.wake.notify_one();
    }

    /// The cable is pulled; the board keeps its power.
    pub fn unplug(&self) {
        self.plugged.send_replace(false);
    }

    /// The cable is put back.
    pub fn plug(&self) {
        self.plugged.send_replace(true);
    }

    /// Turns knobs.
    pub fn turn(&self, change: impl FnOnce(&mut Knobs)) {
        change(&mut self.lock().knobs);
        self.wake.notify_one();
    }

    /// Puts so many bytes of noise on the line to the host.
    pub fn garbage(&self, bytes: usize) {
        self.lock().garbage += bytes;
        self.wake.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    // The board has no state that a panic in between could break worse than a brown-out does.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Task {
    shared: Arc<Mutex<Shared>>,
    outputs: watch::Sender<Vec<SoftOutput>>,
    plugged: watch::Receiver<bool>,
    wake: Arc<tokio::sync::Notify>,
    new_wires: mpsc::Receiver<DuplexStream>,
    /// Where its pty's link stands, if it is on one.
    link: Option<PathBuf>,
    wire: Option<Box<dyn Wire>>,
    /// What the delay holds back. What a board can have to say at once is bounded, and so is this.
    late: Vec<(Instant, Vec<u8>)>,
}

impl Task {
    async fn run(mut self, stop: CancellationToken) {
        let mut bytes = [0_u8; 512];
        loop {
            self.settle().await;
            let until = self.deadline();
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.wake.notified() => {}
                () = sleep_until(until.into()) => {}
                Some(wire) = self.new_wires.recv() => {
                    self.wire = Some(Box::new(wire));
                }
                changed = self.plugged.changed() => match changed {
                    Ok(()) => self.replug(),
                    // Every handle is gone: nobody can turn a knob any more, but the board stays.
                    Err(_) => stop.cancelled().await,
                },
                read = read(&mut self.wire, &mut bytes) => match read {
                    Ok(count) if count > 0 => self.receive(&mut bytes[..count]),
                    // The host closed its end. A pty of ours has none that ends.
                    _ => self.wire = None,
                }
            }
        }
    }

    fn deadline(&self) -> Instant {
        let idle = Instant::now() + Duration::from_secs(3600);
        let late = self.late.iter().map(|(at, _)| *at).min();
        let shared = lock(&self.shared);
        let mut firmware =
            shared.firmware.deadline().filter(|_| self.wire.is_some() || shared.firmware.adopted());
        if shared.knobs.deaf {
            // What it would say stays due: only the leases are looked at.
            firmware = Some(Instant::now() + Duration::from_millis(5));
        }
        firmware.into_iter().chain(late).min().unwrap_or(idle)
    }

    fn replug(&mut self) {
        let plugged = *self.plugged.borrow_and_update();
        self.wire = None;
        self.late.clear();
        if plugged && let Some(link) = &self.link {
            match Pty::plug(link) {
                Ok(pty) => self.wire = Some(Box::new(pty)),
                Err(error) => tracing::warn!(%error, "a simulated port could not be plugged in again"),
            }
        }
    }

    fn receive(&self, bytes: &mut [u8]) {
        let shared = &mut *lock(&self.shared);
        if !shared.knobs.deaf {
            shared.noise.damage(bytes, shared.knobs.errors_to_board);
            shared.firmware.receive(bytes, Instant::now());
        }
    }

    async fn settle(&mut self) {
        let now = Instant::now();
        {
            let shared = &mut *lock(&self.shared);
            shared.firmware.tick(now);
            let mut said = Vec::new();
            for _ in 0..std::mem::take(&mut shared.garbage) {
                let [byte, ..] = shared.noise.draw().to_le_bytes();
                said.push(byte);
            }
            while !shared.knobs.deaf
                && let Some(line) = shared.firmware.transmit(now)
            {
                said.extend_from_slice(line.as_bytes());
            }
            shared.noise.damage(&mut said, shared.knobs.errors_to_host);
            if !said.is_empty() {
                self.late.push((now + shared.knobs.delay, said));
            }
            let outputs = shared.firmware.outputs();
            self.outputs.send_if_modified(|shown| {
                let changed = *shown != outputs;
                if changed {
                    *shown = outputs;
                }
                changed
            });
        }
        let Some(wire) = &mut self.wire else {
            // A UART without a listener says it to nobody.
            self.late.clear();
            return;
        };
        while let Some((_, bytes)) = self.late.first().filter(|(at, _)| *at <= now) {
            // A line has no handshake: what nobody takes is lost.
            let written = timeout(Duration::from_millis(100), wire.write_all(bytes)).await;
            self.late.remove(0);
            if let Ok(Err(_)) = written {
                self.wire = None;
                return;
            }
        }
    }
}

async fn read(wire: &mut Option<Box<dyn Wire>>, bytes: &mut [u8]) -> io::Result<usize> {
    match wire {
        Some(wire) => wire.read(bytes).await,
        None => std::future::pending().await,
    }
}

struct SoftDial {
    plugged: watch::Receiver<bool>,
    wires: mpsc::Sender<DuplexStream>,
}

impl Dial for SoftDial {
    fn dial(&mut self) -> BoxFuture<Result<Box<dyn Wire>, PortError>> {
        let port = self.describe();
        let plugged = *self.plugged.borrow_and_update();
        let wires = self.wires.clone();
        Box::pin(async move {
            if !plugged {
                return Err(PortError::Missing { port });
            }
            let (host, board) = tokio::io::duplex(4096);
            match wires.send(board).await {
                Ok(()) => Ok(Box::new(host) as Box<dyn Wire>),
                Err(_) => Err(PortError::Missing { port }),
            }
        })
    }

    fn hint(&mut self) -> BoxFuture<()> {
        let mut plugged = self.plugged.clone();
        // Only a change since the last attempt is a hint: a board that ended stays plugged in.
        Box::pin(async move {
            while plugged.changed().await.is_ok() {
                if *plugged.borrow_and_update() {
                    return;
                }
            }
            std::future::pending::<()>().await;
        })
    }

    fn describe(&self) -> String {
        "software board (simulated)".to_owned()
    }
}
