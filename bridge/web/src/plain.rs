//! Messages of regions, served with as little around them as there can be.
//!
//! Nearly every connection brings plain messages, one after the other: a POST to one path, with its length,
//! whole and small. These are read and answered here, which costs half of what a server for everything costs,
//! and while the gate is shut a message is turned away for a read and a write. Whatever else a connection
//! brings, or brings in another manner, goes to hyper from its first byte on, and so does all that follows.

use std::io::{self, Write as _};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use primrack_wire::world::MESSAGE_LIMIT;
use primrack_world::{Told, WORLD_PATH};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::gate::{AGAIN_S, Gate};

/// Bytes of a plain message's head.
const HEAD: usize = 4096;
/// Room for a message at first: most fit.
const ROOM: usize = 2048;

/// How long the end of a connection is waited for.
const CLOSING: Duration = Duration::from_secs(1);

/// What the beginning of a connection, or what follows an answer, is.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// A message may become of it.
    More,
    /// One message, whole: where its body begins, and whether the connection is over after it.
    Whole { body: usize, last: bool },
    /// Something else.
    Other,
}

/// Looks at what has come. Strict: where a message begins and ends must be beyond doubt.
fn look(bytes: &[u8]) -> Found {
    const FIRST: [&[u8]; 3] = [b"POST ", WORLD_PATH.as_bytes(), b" HTTP/1.1\r\n"];
    let mut at = 0;
    for part in FIRST {
        let have = &bytes[at..];
        if !have.starts_with(part) {
            return if part.starts_with(have) { Found::More } else { Found::Other };
        }
        at += part.len();
    }
    let (mut length, mut last) = (None, false);
    loop {
        let rest = &bytes[at..];
        let Some(end) = rest.iter().position(|byte| *byte == b'\r') else {
            return if bytes.len() < HEAD { Found::More } else { Found::Other };
        };
        match rest.get(end + 1) {
            Some(b'\n') => {}
            None => return Found::More,
            Some(_) => return Found::Other,
        }
        at += end + 2;
        if end == 0 {
            break;
        }
        let line = &rest[..end];
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return Found::Other };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        // No blank, nothing that only some readers take for a name, no control character.
        if name.is_empty()
            || !name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
            || value.iter().any(|byte| *byte < b' ')
        {
            return Found::Other;
        }
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match name.len() {
            14 if is("content-length") => {
                if length.is_some()
                    || !(1..=5).contains(&value.len())
                    || !value.iter().all(u8::is_ascii_digit)
                {
                    return Found::Other;
                }
                length = Some(value.iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0')));
            }
            10 if is("connection") => match value {
                _ if value.eq_ignore_ascii_case(b"keep-alive") => {}
                _ if value.eq_ignore_ascii_case(b"close") => last = true,
                _ => return Found::Other,
            },
            17 if is("transfer-encoding") => return Found::Other,
            6 if is("expect") => return Found::Other,
            7 if is("upgrade") || is("trailer") => return Found::Other,
            2 if is("te") => return Found::Other,
            _ => {}
        }
    }
    let Some(length) = length.filter(|length| *length <= MESSAGE_LIMIT) else { return Found::Other };
    match bytes.len() - at {
        have if have < length => Found::More,
        have if have == length => Found::Whole { body: at, last },
        _ => Found::Other,
    }
}

/// What is left for hyper: the stream, and what was read of it.
#[derive(Debug)]
pub(crate) struct Rest<S> {
    read: io::Cursor<Vec<u8>>,
    stream: S,
}

/// Reads and answers plain messages until something else comes, which is given back, or the connection is
/// over: closed, silent for `patience` where a message should come, or told to `stop`.
///
/// # Errors
/// When the connection breaks.
pub(crate) async fn converse<S>(
    mut stream: S,
    gate: &Gate,
    patience: Duration,
    stop: &CancellationToken,
) -> io::Result<Option<Rest<S>>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stopped = pin!(stop.cancelled());
    // Goes off once in a while and is set again, since setting it for each message costs more than looking.
    let mut alarm = pin!(sleep(patience));
    let mut since = Instant::now();
    let mut read = Vec::with_capacity(ROOM);
    let mut answer = Vec::new();
    loop {
        tokio::select! {
            biased;
            got = stream.read_buf(&mut read) => if got? == 0 {
                return Ok(None);
            },
            () = &mut stopped => return close(stream).await,
            () = &mut alarm => {
                if since.elapsed() >= patience {
                    return close(stream).await;
                }
                alarm.as_mut().reset(since + patience);
                continue;
            }
        }
        let (body, last) = match look(&read) {
            Found::More => continue,
            Found::Other => return Ok(Some(Rest { read: io::Cursor::new(read), stream })),
            Found::Whole { body, last } => (body, last),
        };
        let (told, again) = match gate.turn_away() {
            Some(told) => (told, true),
            None => (gate.world.message(&read[body..]).await, false),
        };
        write(&mut answer, &told, again, last);
        tokio::select! {
            biased;
            written = send(&mut stream, &answer) => written?,
            // Somebody who asks and does not listen.
            () = sleep(patience) => return Ok(None),
        }
        if last {
            return close(stream).await;
        }
        read.clear();
        if read.capacity() > 4 * ROOM {
            read.shrink_to(ROOM);
        }
        since = Instant::now();
    }
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, answer: &[u8]) -> io::Result<()> {
    stream.write_all(answer).await?;
    stream.flush().await
}

/// Ends the connection so that the other side knows it for an end.
async fn close<S: AsyncWrite + Unpin>(mut stream: S) -> io::Result<Option<Rest<S>>> {
    // Whoever takes nothing any more is not waited for.
    drop(tokio::time::timeout(CLOSING, stream.shutdown()).await);
    Ok(None)
}

/// Puts an answer together.
fn write(into: &mut Vec<u8>, told: &Told, again: bool, last: bool) {
    let Told { status, body } = told;
    into.clear();
    let again = if again { ["retry-after: ", AGAIN_S, "\r\n"] } else { [""; 3] }.concat();
    let close = if last { "connection: close\r\n" } else { "" };
    let head = write!(
        into,
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\n{again}{close}content-length: {}\r\ndate: ",
        body.len()
    );
    // Memory takes everything.
    drop(head);
    date(into);
    into.extend_from_slice(b"\r\n\r\n");
    into.extend_from_slice(body);
}

/// The time of day as HTTP has it. Made once a second.
fn date(into: &mut Vec<u8>) {
    static DATE: Mutex<(u64, String)> = Mutex::new((0, String::new()));
    let now = SystemTime::now();
    let second = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut date = DATE.lock();
    if date.0 != second {
        *date = (second, httpdate::fmt_http_date(now));
    }
    into.extend_from_slice(date.1.as_bytes());
}

impl<S> Rest<S> {
    /// A stream of which nothing was read.
    pub(crate) fn all_of(stream: S) -> Self {
        Self { read: io::Cursor::new(Vec::new()), stream }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Rest<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.read.get_ref().is_empty() {
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.read).poll_read(cx, buf))?;
            if buf.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            this.read = io::Cursor::new(Vec::new());
        }
        Pin::new(&mut this.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rest<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[path = "plain_tests.rs"]
mod tests;
