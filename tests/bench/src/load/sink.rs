//! The other end of pushes: a hundred hosts on one listener. Answers as scripts do, signed, and remembers
//! what each object was last told. Some paths misbehave on purpose.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use primrack_wire::world::{Dir, PushBody, Unverified};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::http::{head, odd};
use crate::words::{now_s, secret, signed};

/// How a path of the sink behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As a script does.
    Object,
    /// A plain answer, for the reference's callbacks.
    Plain,
    /// Takes the push and never answers.
    BlackHole,
    /// Answers one byte now and then.
    Drip,
    /// Answers without end.
    Huge,
}

impl Manner {
    fn of(path: &str) -> Option<(Self, usize)> {
        let (manner, object) = path.strip_prefix('/')?.split_once('/')?;
        let manner = match manner {
            "o" => Self::Object,
            "r" => Self::Plain,
            "b" => Self::BlackHole,
            "d" => Self::Drip,
            "h" => Self::Huge,
            _ => return None,
        };
        Some((manner, object.parse().ok()?))
    }
}

/// What an object was told.
#[derive(Debug, Clone, Default)]
struct Told {
    pushes: u32,
    state: u8,
}

#[derive(Debug, Default)]
struct Book {
    told: Vec<Told>,
    pushes: u64,
    posts: u64,
    checked: u64,
    wrong: u64,
    wanted: u8,
    showing: usize,
    last: Option<Instant>,
}

/// The sink.
#[derive(Debug, Clone)]
pub(crate) struct Sink {
    book: Arc<Mutex<Book>>,
    news: Arc<Notify>,
    /// Where it listens, on every address of 127.0.0.0/8.
    pub(crate) port: u16,
}

/// One byte for a state's token, so that 100,000 objects need none of their own.
fn code(token: &str) -> u8 {
    match token {
        "off" => 1,
        "on" => 2,
        "starting" => 3,
        "stopping" => 4,
        "crashed" => 5,
        "unknown" => 6,
        _ => 7,
    }
}

/// The state of the last unit in a push's body, and how many units it has. By eye and not by parser: one
/// push in [`EVERY`] is read properly and compared.
fn glance(body: &str) -> (u8, u32) {
    let (mut state, mut units) = (0, 0);
    for part in body.split(r#""s":""#).skip(1) {
        state = code(part.split('"').next().unwrap_or_default());
        units += 1;
    }
    (state, units)
}

/// One push in so many is verified like a script would.
const EVERY: u64 = 64;

impl Sink {
    /// Starts it on this runtime for so many objects.
    pub(crate) async fn start(objects: usize) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("0.0.0.0:0").await?;
        let port = listener.local_addr()?.port();
        let book = Book { told: vec![Told::default(); objects], ..Book::default() };
        let sink = Self { book: Arc::new(Mutex::new(book)), news: Arc::new(Notify::new()), port };
        let this = sink.clone();
        tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let this = this.clone();
                        // How a connection ends is the other side's business.
                        tokio::spawn(async move { drop(this.converse(stream).await) });
                    }
                    Err(error) => {
                        crate::report::complain(&format!("the sink cannot accept: {error}"));
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        });
        Ok(sink)
    }

    async fn converse(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut buffer = Vec::with_capacity(4096);
        loop {
            let (start, length) = loop {
                if let Some(found) = head(&buffer)?
                    && buffer.len() >= found.0 + found.1
                {
                    break found;
                }
                if stream.read_buf(&mut buffer).await? == 0 {
                    return Ok(());
                }
            };
            let line = std::str::from_utf8(&buffer[..start]).map_err(|_| odd("a head that is no text"))?;
            let path = line.split(' ').nth(1).unwrap_or_default();
            let (manner, object) = Manner::of(path).ok_or_else(|| odd("a path that nobody has"))?;
            self.book.lock().posts += 1;
            match manner {
                Manner::Object => {
                    let ack = self.take(object, &buffer[start..start + length])?;
                    let mut answer = format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n",
                        ack.len()
                    )
                    .into_bytes();
                    answer.extend_from_slice(&ack);
                    stream.write_all(&answer).await?;
                }
                Manner::Plain => {
                    let state =
                        glance(std::str::from_utf8(&buffer[start..start + length]).unwrap_or_default());
                    self.note(object, state.0);
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n{\"ok\":1}").await?;
                }
                Manner::BlackHole => {
                    // Until the other side gives up.
                    while stream.read_buf(&mut buffer).await? > 0 {
                        buffer.clear();
                    }
                    return Ok(());
                }
                Manner::Drip => {
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await?;
                    loop {
                        stream.write_all(b"x").await?;
                        tokio::time::sleep(Duration::from_millis(300)).await;
                    }
                }
                Manner::Huge => {
                    stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
                    let mut chunk = b"4000\r\n".to_vec();
                    chunk.resize(6 + 0x4000, b'x');
                    chunk.extend_from_slice(b"\r\n");
                    loop {
                        stream.write_all(&chunk).await?;
                    }
                }
            }
            buffer.drain(..start + length);
        }
    }

    /// Takes a push and makes its ack.
    fn take(&self, object: usize, message: &[u8]) -> io::Result<Vec<u8>> {
        let push = Unverified::parse(message).map_err(|_| odd("a push without a header"))?;
        let header = push.header;
        let end = message.iter().position(|b| *b == b'\n').unwrap_or(message.len());
        let body = std::str::from_utf8(&message[end..]).map_err(|_| odd("a push that is no text"))?;
        let found = glance(body);
        let number = {
            let mut book = self.book.lock();
            book.pushes += 1;
            book.pushes
        };
        if number % EVERY == 1 {
            let body = push.verify(&secret(object)).and_then(|it| it.push(now_s(), None));
            let read = body.ok().and_then(|body| serde_json::from_slice::<PushBody>(body).ok());
            let same = read.is_some_and(|read| {
                let last = read.list.last().map_or(0, |unit| code(&unit.s));
                (last, read.list.len()) == (found.0, found.1 as usize)
            });
            let mut book = self.book.lock();
            book.checked += 1;
            book.wrong += u64::from(!same);
        }
        self.note(object, found.0);
        Ok(signed(Dir::Ack, object, header.nonce, header.seq.0, "{}"))
    }

    fn note(&self, object: usize, state: u8) {
        let mut guard = self.book.lock();
        let book = &mut *guard;
        let Some(told) = book.told.get_mut(object) else { return };
        told.pushes += 1;
        book.showing -= usize::from(book.wanted != 0 && told.state == book.wanted);
        told.state = state;
        book.showing += usize::from(book.wanted != 0 && told.state == book.wanted);
        book.last = Some(Instant::now());
        drop(guard);
        self.news.notify_one();
    }

    /// From now on counts the objects that show this state.
    pub(crate) fn want(&self, token: &str) {
        let mut book = self.book.lock();
        book.wanted = code(token);
        book.showing = book.told.iter().filter(|told| told.state == code(token)).count();
    }
    /// How many objects show what is wanted.
    pub(crate) fn showing(&self) -> usize {
        self.book.lock().showing
    }
    /// How many objects of those that `which` picks do.
    pub(crate) fn showing_of(&self, which: impl Fn(usize) -> bool) -> usize {
        let book = self.book.lock();
        book.told.iter().enumerate().filter(|(at, told)| which(*at) && told.state == book.wanted).count()
    }
    /// Waits until so many objects show what is wanted; false when it takes too long.
    pub(crate) async fn until_showing(&self, count: usize, patience: Duration) -> bool {
        self.until(patience, |book| book.showing >= count).await
    }
    async fn until(&self, patience: Duration, mut reached: impl FnMut(&Book) -> bool) -> bool {
        let wait = async {
            loop {
                let news = self.news.notified();
                if reached(&self.book.lock()) {
                    return;
                }
                news.await;
            }
        };
        tokio::time::timeout(patience, wait).await.is_ok()
    }
    /// Waits until nothing has come for `quiet`. Returns when the last came, if any did.
    pub(crate) async fn settle(&self, quiet: Duration) -> Option<Instant> {
        while tokio::time::timeout(quiet, self.news.notified()).await.is_ok() {}
        self.book.lock().last
    }
    /// Pushes taken, plain ones not counted.
    pub(crate) fn pushes(&self) -> u64 {
        self.book.lock().pushes
    }
    /// Requests of every kind.
    pub(crate) fn posts(&self) -> u64 {
        self.book.lock().posts
    }
    /// How many pushes were verified like a script would, and how many of them did not hold.
    pub(crate) fn checked(&self) -> (u64, u64) {
        let book = self.book.lock();
        (book.checked, book.wrong)
    }
    /// Pushes to each object so far.
    pub(crate) fn per_object(&self) -> Vec<u32> {
        self.book.lock().told.iter().map(|told| told.pushes).collect()
    }
}
