//! Ports: where bytes come from and go to. One interface over serial devices, ptys, TCP and RFC 2217.
//!
//! ```text
//! Resting ──▶ Dialing ──▶ Open ──▶ Resting        rests are short at first and double; a hint (the device appeared) ends one
//!    ▲           │ Failed            Lost: end of file, an error, or hung up
//!    └───────────┘
//! ```

mod address;
mod error;
mod hotplug;
mod rfc2217;
mod serial;
mod tcp;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

pub use address::{AddressError, PortAddress};
pub use error::PortError;

/// A future that can be kept.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Bytes both ways.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Makes wires: a serial device is opened, a server connected, a software board plugged in.
pub trait Dial: Send {
    /// Tries once.
    fn dial(&mut self) -> BoxFuture<Result<Box<dyn Wire>, PortError>>;

    /// Ends when it is worth trying again before the rest is over. By default never.
    fn hint(&mut self) -> BoxFuture<()> {
        Box::pin(std::future::pending())
    }

    /// Whether a silent line may be a dead connection, which only a new one mends.
    fn redial_when_silent(&self) -> bool {
        false
    }

    /// What is dialled, for people.
    fn describe(&self) -> String;
}

/// The first rest after a failure; each later one is twice as long.
const REST_FIRST: Duration = Duration::from_millis(20);
/// The longest rest.
const REST_MOST: Duration = Duration::from_secs(2);

/// What a port tells.
#[derive(Debug)]
pub enum PortEvent<'a> {
    /// The line is open.
    Connected,
    /// Bytes came.
    Bytes(&'a [u8]),
    /// All that was given to [`Port::write`] is written.
    Written,
    /// It could not be opened. It is tried again; the same failure is told once.
    Failed(PortError),
    /// It was open and is no more. It is opened again.
    Lost(PortError),
}

enum State {
    Resting { rest: Pin<Box<Sleep>>, hint: BoxFuture<()> },
    Dialing(BoxFuture<Result<Box<dyn Wire>, PortError>>),
    Open(Box<dyn Wire>),
}

/// Keeps one line open. Dropping it closes the line.
pub struct Port {
    dial: Box<dyn Dial>,
    state: State,
    rest: Duration,
    failed: Option<PortError>,
    /// Written and not taken yet. Bounded by its user, who waits for [`PortEvent::Written`].
    out: Vec<u8>,
    buffer: Box<[u8; 1024]>,
}

impl std::fmt::Debug for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Port").field("dial", &self.dial.describe()).finish_non_exhaustive()
    }
}

impl Port {
    /// Opens at the first [`Self::next`].
    #[must_use]
    pub fn new(mut dial: Box<dyn Dial>) -> Self {
        let state = State::Dialing(dial.dial());
        let buffer = Box::new([0; 1024]);
        Self { dial, state, rest: REST_FIRST, failed: None, out: Vec::new(), buffer }
    }

    /// What it is, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        self.dial.describe()
    }

    /// Whether a silent line is worth a new connection.
    #[must_use]
    pub fn redial_when_silent(&self) -> bool {
        self.dial.redial_when_silent()
    }

    /// Whether everything given was written, so that more may be given.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.out.is_empty()
    }

    /// Gives bytes to write; [`Self::next`] writes them. Nothing happens while the line is closed.
    pub fn write(&mut self, bytes: &[u8]) {
        if matches!(self.state, State::Open(_)) {
            self.out.extend_from_slice(bytes);
        }
    }

    /// Closes the line; it is opened again at once.
    pub fn hang_up(&mut self) {
        self.out.clear();
        self.state = State::Dialing(self.dial.dial());
    }

    /// What happens next. Can be dropped and called again without losing anything.
    pub async fn next(&mut self) -> PortEvent<'_> {
        loop {
            let event = match &mut self.state {
                State::Resting { rest, hint } => {
                    let hinted = tokio::select! {
                        () = rest => false,
                        () = hint => true,
                    };
                    if hinted {
                        self.rest = REST_FIRST;
                    }
                    // The hint is armed before the attempt, so nothing between the two is missed.
                    self.state = State::Dialing(self.dial.dial());
                    continue;
                }
                State::Dialing(attempt) => match attempt.await {
                    Ok(wire) => {
                        self.state = State::Open(wire);
                        (self.rest, self.failed) = (REST_FIRST, None);
                        return PortEvent::Connected;
                    }
                    Err(error) => {
                        self.rest();
                        if self.failed.as_ref() == Some(&error) {
                            continue;
                        }
                        self.failed = Some(error.clone());
                        return PortEvent::Failed(error);
                    }
                },
                State::Open(wire) => {
                    let (out, buffer) = (&mut self.out, &mut self.buffer[..]);
                    poll_fn(|cx| poll_wire(wire, out, buffer, cx)).await
                }
            };
            match event {
                Ok(Moved::Written) => return PortEvent::Written,
                Ok(Moved::Read(count)) => return PortEvent::Bytes(&self.buffer[..count]),
                Err(why) => {
                    self.out.clear();
                    // What was lost is tried at once: a replug may be over already.
                    self.rest = REST_FIRST;
                    self.rest();
                    return PortEvent::Lost(PortError::Lost { port: self.dial.describe(), why });
                }
            }
        }
    }

    fn rest(&mut self) {
        self.state = State::Resting { rest: Box::pin(sleep(self.rest)), hint: self.dial.hint() };
        self.rest = (self.rest * 2).min(REST_MOST);
    }
}

enum Moved {
    Written,
    Read(usize),
}

fn poll_wire(
    wire: &mut Box<dyn Wire>,
    out: &mut Vec<u8>,
    buffer: &mut [u8],
    cx: &mut Context<'_>,
) -> Poll<Result<Moved, String>> {
    while !out.is_empty() {
        match Pin::new(&mut *wire).poll_write(cx, out) {
            Poll::Ready(Ok(0)) => return Poll::Ready(Err("it takes no more bytes".to_owned())),
            Poll::Ready(Ok(count)) => {
                out.drain(..count);
                if out.is_empty() {
                    return Poll::Ready(Ok(Moved::Written));
                }
            }
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error.to_string())),
            Poll::Pending => break,
        }
    }
    let mut read = ReadBuf::new(buffer);
    match ready!(Pin::new(wire).poll_read(cx, &mut read)) {
        // A device that is gone reads as an end of file, for ever.
        Ok(()) if read.filled().is_empty() => Poll::Ready(Err("it was unplugged or closed".to_owned())),
        Ok(()) => Poll::Ready(Ok(Moved::Read(read.filled().len()))),
        Err(error) => Poll::Ready(Err(error.to_string())),
    }
}
