//! A host that misbehaves on request: raw TCP, one behaviour per path, changeable while it runs.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Ok,
    /// Answers when the sink is told to ([`Sink::release`]).
    Held,
    BlackHole,
    /// A head, then one byte of a long body at a time.
    Drip,
    /// A body without end, as fast as it is taken.
    Endless,
    /// Claims a body larger than allowed.
    Announced,
    HugeHeaders,
    Redirect,
    Reset,
    Garbage,
    Empty,
    Status(u16),
    Busy,
    /// Answers well and closes the connection without saying so.
    Closing,
    /// Answers well, chunked.
    Chunked,
}

#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) path: String,
    pub(super) body: String,
    pub(super) head: String,
}

#[derive(Default)]
pub(super) struct Record {
    pub(super) seen: Mutex<Vec<Seen>>,
    modes: Mutex<HashMap<String, Mode>>,
    busy: Mutex<HashMap<String, usize>>,
    pub(super) overlapping: AtomicUsize,
    pub(super) connections: AtomicUsize,
    pub(super) open: AtomicUsize,
    pub(super) most_open: AtomicUsize,
    pub(super) endless_bytes: AtomicUsize,
    pub(super) changed: Notify,
    held: Notify,
}

pub(super) struct Sink {
    pub(super) address: SocketAddr,
    pub(super) record: Arc<Record>,
    task: JoinHandle<()>,
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sink {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let record = Arc::new(Record::default());
        let shared = Arc::clone(&record);
        let task = tokio::spawn(async move {
            // Connections end with the sink: the set is dropped with this task.
            let mut connections = tokio::task::JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let Ok((stream, _)) = accepted else { continue };
                        shared.connections.fetch_add(1, Ordering::SeqCst);
                        let open = shared.open.fetch_add(1, Ordering::SeqCst) + 1;
                        shared.most_open.fetch_max(open, Ordering::SeqCst);
                        let shared = Arc::clone(&shared);
                        connections.spawn(async move {
                            // A peer that goes away is what these tests are about.
                            serve(stream, &shared).await.ok();
                            shared.open.fetch_sub(1, Ordering::SeqCst);
                            shared.changed.notify_waiters();
                        });
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Self { address, record, task }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn set(&self, path: &str, mode: Mode) {
        self.record.modes.lock().insert(path.to_owned(), mode);
    }

    pub(super) fn release(&self) {
        self.record.held.notify_waiters();
    }

    pub(super) fn bodies(&self, path: &str) -> Vec<String> {
        self.record
            .seen
            .lock()
            .iter()
            .filter(|seen| seen.path == path)
            .map(|seen| seen.body.clone())
            .collect()
    }
}

async fn serve(mut stream: TcpStream, record: &Arc<Record>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = Vec::new();
    loop {
        let Some(seen) = request(&mut stream, &mut input).await? else { return Ok(()) };
        let path = seen.path.clone();
        let mode = record.modes.lock().get(&path).copied().unwrap_or(Mode::Ok);
        record.seen.lock().push(seen);
        {
            let mut busy = record.busy.lock();
            let count = busy.entry(path.clone()).or_default();
            *count += 1;
            if *count > 1 {
                record.overlapping.fetch_add(1, Ordering::SeqCst);
            }
        }
        record.changed.notify_waiters();
        let again = answer(&mut stream, mode, record).await;
        if let Some(count) = record.busy.lock().get_mut(&path) {
            *count -= 1;
        }
        if !again? {
            return Ok(());
        }
    }
}

async fn request(stream: &mut TcpStream, input: &mut Vec<u8>) -> std::io::Result<Option<Seen>> {
    let end = loop {
        if let Some(at) = input.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(input).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&input[..end]).into_owned();
    let field = |name: &str| {
        head.lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_owned())
    };
    // As OpenSim: chunks are refused.
    let length = match (field("content-length"), field("transfer-encoding")) {
        (Some(length), None) => length.parse::<usize>().unwrap_or(0),
        _ => {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await?;
            return Ok(None);
        }
    };
    while input.len() < end + length {
        if stream.read_buf(input).await? == 0 {
            return Ok(None);
        }
    }
    let body = String::from_utf8_lossy(&input[end..end + length]).into_owned();
    input.drain(..end + length);
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    Ok(Some(Seen { path, body, head }))
}

/// Answers; true when the connection stays.
async fn answer(stream: &mut TcpStream, mode: Mode, record: &Record) -> std::io::Result<bool> {
    const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nack";
    match mode {
        Mode::Ok => stream.write_all(GOOD).await?,
        Mode::Held => {
            record.held.notified().await;
            stream.write_all(GOOD).await?;
        }
        Mode::BlackHole => {
            // Until the other side has had enough.
            stream.read_u8().await?;
        }
        Mode::Drip => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4000\r\n\r\n").await?;
            let mut tick = tokio::time::interval(Duration::from_millis(20));
            loop {
                tick.tick().await;
                stream.write_all(b"x").await?;
            }
        }
        Mode::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
            let chunk = [b"1000\r\n".as_slice(), &[b'x'; 4096], b"\r\n"].concat();
            loop {
                stream.write_all(&chunk).await?;
                record.endless_bytes.fetch_add(chunk.len(), Ordering::SeqCst);
            }
        }
        Mode::Announced => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4097\r\n\r\n").await?;
            stream.read_u8().await?;
        }
        Mode::HugeHeaders => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            loop {
                stream.write_all(b"x-filler: 0123456789012345678901234567890123456789\r\n").await?;
            }
        }
        Mode::Redirect => {
            stream.write_all(b"HTTP/1.1 302 Found\r\nlocation: /trap\r\ncontent-length: 0\r\n\r\n").await?;
        }
        Mode::Reset => {
            // Closing with unread data pending makes the kernel send a reset; a plain close will do too.
            return Ok(false);
        }
        Mode::Garbage => stream.write_all(b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n\r\n").await?,
        Mode::Empty => stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?,
        Mode::Status(status) => {
            let text = format!("HTTP/1.1 {status} No\r\ncontent-length: 2\r\n\r\nno");
            stream.write_all(text.as_bytes()).await?;
        }
        Mode::Busy => {
            let text = b"HTTP/1.1 503 Busy\r\nretry-after: 120\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(text).await?;
        }
        Mode::Closing => {
            stream.write_all(GOOD).await?;
            return Ok(false);
        }
        Mode::Chunked => {
            stream
                .write_all(
                    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n2\r\nck\r\n0\r\n\r\n",
                )
                .await?;
        }
    }
    Ok(true)
}
