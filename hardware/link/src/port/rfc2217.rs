//! A serial port behind a telnet server with the COM-PORT option of RFC 2217: the baud rate is set from here.
//!
//! No crate for this is kept well (one release each), and what a client needs is little: escape 0xFF, answer negotiations, set five
//! values and see that the server took them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::tcp::connect;
use super::{BoxFuture, Dial, PortError, Wire};

const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
const SE: u8 = 240;

const BINARY: u8 = 0;
const SUPPRESS_GO_AHEAD: u8 = 3;
const COM_PORT: u8 = 44;

const SET_BAUD: u8 = 1;
/// A server's answers carry the client's code and 100.
const SERVER: u8 = 100;

/// How long the server may take to agree.
const NEGOTIATION: Duration = Duration::from_secs(5);
/// The longest sub-negotiation that is read; a signature of the server may be long, and is of no use.
const MAX_SUB: usize = 64;

pub(super) struct Rfc2217Dial {
    host: String,
    port: u16,
    baud: u32,
}

impl Rfc2217Dial {
    pub(super) fn new(host: String, port: u16, baud: u32) -> Self {
        Self { host, port, baud }
    }
}

impl Dial for Rfc2217Dial {
    fn dial(&mut self) -> BoxFuture<Result<Box<dyn Wire>, PortError>> {
        let (name, host, port, baud) = (self.describe(), self.host.clone(), self.port, self.baud);
        Box::pin(async move {
            let stream = connect(name.clone(), host, port).await?;
            let why = match timeout(NEGOTIATION, Telnet::negotiate(stream, baud)).await {
                Ok(Ok(telnet)) => return Ok(Box::new(telnet) as Box<dyn Wire>),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "the server did not speak telnet within 5 s; if it gives bare bytes, use tcp://"
                    .to_owned(),
            };
            Err(PortError::Server { port: name, why })
        })
    }

    fn redial_when_silent(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        format!("rfc2217://{}:{}", self.host, self.port)
    }
}

/// What the server said apart from data.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Option(u8, u8),
    Sub(Vec<u8>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Data,
    Iac,
    Option(u8),
    Sub,
    SubIac,
}

/// Takes a telnet stream apart. Memory is one short sub-negotiation, whatever comes.
#[derive(Debug, Default)]
struct Unescape {
    state: State,
    sub: Vec<u8>,
}

impl Unescape {
    /// The data in `byte`, if it is data; what else it completes goes to `tell`.
    fn feed(&mut self, byte: u8, mut tell: impl FnMut(Said)) -> Option<u8> {
        match (self.state, byte) {
            (State::Data, IAC) => self.state = State::Iac,
            (State::Data, _) => return Some(byte),
            (State::Iac, IAC) => {
                self.state = State::Data;
                return Some(IAC);
            }
            (State::Iac, WILL | WONT | DO | DONT) => self.state = State::Option(byte),
            (State::Iac, SB) => {
                self.sub.clear();
                self.state = State::Sub;
            }
            (State::Iac, _) => self.state = State::Data,
            (State::Option(verb), _) => {
                self.state = State::Data;
                tell(Said::Option(verb, byte));
            }
            (State::Sub, IAC) => self.state = State::SubIac,
            (State::SubIac, SE) => {
                self.state = State::Data;
                tell(Said::Sub(std::mem::take(&mut self.sub)));
            }
            (State::Sub | State::SubIac, _) => {
                self.state = State::Sub;
                if self.sub.len() < MAX_SUB {
                    self.sub.push(byte);
                }
            }
        }
        None
    }
}

struct Telnet {
    stream: TcpStream,
    unescape: Unescape,
    /// Data that came while the options were negotiated.
    early: Vec<u8>,
    /// Escaped and not written yet.
    out: Vec<u8>,
}

impl Telnet {
    async fn negotiate(mut stream: TcpStream, baud: u32) -> io::Result<Self> {
        let mut greeting = Vec::new();
        for (verb, option) in [
            (WILL, BINARY),
            (DO, BINARY),
            (WILL, SUPPRESS_GO_AHEAD),
            (DO, SUPPRESS_GO_AHEAD),
            (WILL, COM_PORT),
        ] {
            greeting.extend([IAC, verb, option]);
        }
        stream.write_all(&greeting).await?;
        let mut telnet = Self { stream, unescape: Unescape::default(), early: Vec::new(), out: Vec::new() };
        let mut said = Vec::new();
        loop {
            telnet.read_some(&mut said).await?;
            for one in said.drain(..) {
                match one {
                    Said::Option(DO, COM_PORT) => telnet.set_line(baud).await?,
                    Said::Option(DONT, COM_PORT) => {
                        return Err(io::Error::other(
                            "the server does not offer RFC 2217; use tcp:// and set the baud rate there",
                        ));
                    }
                    Said::Option(verb, option) => telnet.answer(verb, option).await?,
                    Said::Sub(sub) if sub.starts_with(&[COM_PORT, SERVER + SET_BAUD]) => {
                        let got =
                            sub.get(2..6).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
                        if got != Some(baud) {
                            return Err(io::Error::other(format!(
                                "the server did not take {baud} baud, but {}",
                                got.unwrap_or_default()
                            )));
                        }
                        return Ok(telnet);
                    }
                    Said::Sub(_) => {}
                }
            }
        }
    }

    /// 8N1 without handshake, and the baud rate last: its answer says that all was heard.
    async fn set_line(&mut self, baud: u32) -> io::Result<()> {
        const DATA_8: [u8; 2] = [2, 8];
        const PARITY_NONE: [u8; 2] = [3, 1];
        const STOP_1: [u8; 2] = [4, 1];
        const NO_HANDSHAKE: [u8; 2] = [5, 1];
        let mut line = Vec::new();
        for [code, value] in [DATA_8, PARITY_NONE, STOP_1, NO_HANDSHAKE] {
            line.extend([IAC, SB, COM_PORT, code, value, IAC, SE]);
        }
        line.extend([IAC, SB, COM_PORT, SET_BAUD]);
        escape(&baud.to_be_bytes(), &mut line);
        line.extend([IAC, SE]);
        self.stream.write_all(&line).await
    }

    /// Refuses what was not asked for. What was offered above and is accepted needs no answer.
    async fn answer(&mut self, verb: u8, option: u8) -> io::Result<()> {
        let refusal = match (verb, option) {
            (_, BINARY | SUPPRESS_GO_AHEAD | COM_PORT) | (WONT | DONT, _) => return Ok(()),
            (WILL, _) => DONT,
            _ => WONT,
        };
        self.stream.write_all(&[IAC, refusal, option]).await
    }

    async fn read_some(&mut self, said: &mut Vec<Said>) -> io::Result<()> {
        use tokio::io::AsyncReadExt as _;
        let mut bytes = [0_u8; 256];
        let count = self.stream.read(&mut bytes).await?;
        if count == 0 {
            return Err(io::Error::other(
                "the server closed the connection: the port behind it may be in use",
            ));
        }
        for byte in &bytes[..count] {
            self.early.extend(self.unescape.feed(*byte, |one| said.push(one)));
        }
        if self.early.len() > 4096 {
            return Err(io::Error::other("the server sends bare bytes; use tcp://"));
        }
        Ok(())
    }
}

fn escape(bytes: &[u8], into: &mut Vec<u8>) {
    for byte in bytes {
        into.push(*byte);
        if *byte == IAC {
            into.push(IAC);
        }
    }
}

impl AsyncRead for Telnet {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Poll::Ready(Err(error)) = this.poll_drain(cx) {
            return Poll::Ready(Err(error));
        }
        if !this.early.is_empty() {
            let count = this.early.len().min(buf.remaining());
            buf.put_slice(&this.early[..count]);
            this.early.drain(..count);
            return Poll::Ready(Ok(()));
        }
        let mut raw = [0_u8; 512];
        loop {
            let most = raw.len().min(buf.remaining());
            let mut read = ReadBuf::new(&mut raw[..most]);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            let before = buf.filled().len();
            for byte in read.filled() {
                // Negotiations after the beginning (line state, options we do not want) change nothing for us.
                if let Some(data) = this.unescape.feed(*byte, |_| {}) {
                    buf.put_slice(&[data]);
                }
            }
            if buf.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl Telnet {
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.out))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.drain(..count);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Telnet {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        let taken = &bytes[..bytes.len().min(512)];
        escape(taken, &mut this.out);
        // Taken is taken: what the socket does not take now goes with the next read or write.
        if let Poll::Ready(Err(error)) = this.poll_drain(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_drain(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_and_negotiation_are_told_apart_byte_by_byte() {
        let mut unescape = Unescape::default();
        let (mut data, mut said) = (Vec::new(), Vec::new());
        let stream = [
            b'a', IAC, IAC, IAC, DO, COM_PORT, b'b', IAC, SB, COM_PORT, 101, 0, 1, IAC, IAC, 2, IAC, SE, IAC,
            241, b'c',
        ];
        for byte in stream {
            data.extend(unescape.feed(byte, |one| said.push(one)));
        }
        assert_eq!(data, [b'a', 255, b'b', b'c']);
        assert_eq!(said, [Said::Option(DO, COM_PORT), Said::Sub(vec![COM_PORT, 101, 0, 1, 255, 2])]);
    }

    #[test]
    fn a_sub_negotiation_without_end_takes_no_memory() {
        let mut unescape = Unescape::default();
        for byte in [IAC, SB].into_iter().chain(std::iter::repeat_n(7, 100_000)) {
            assert_eq!(unescape.feed(byte, |_| {}), None);
        }
        assert_eq!(unescape.sub.len(), MAX_SUB);
    }
}
