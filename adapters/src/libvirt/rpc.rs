//! One connection to a libvirt daemon: calls and their answers, events, and whether the daemon lives.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::task::AbortOnDropHandle;

use super::protocol::{
    CALL, CONTINUE, ERROR, Event, Head, KEEPALIVE, LARGEST, MESSAGE, OK, PING, PONG, Procedure, REMOTE,
    REPLY, STREAM, Trouble, message,
};
use super::xdr::{Malformed, Reader, Writer};

/// Calls under way at once: a daemon stops reading from who has five (`max_client_requests`), and then
/// answers to no keepalive either.
const CALLS: usize = 4;
/// How often a daemon that knows keepalive is asked for a word.
const PING_EVERY: Duration = Duration::from_secs(3);
/// How long such a daemon may say nothing at all.
const SILENCE: Duration = Duration::from_secs(10);
/// How long it may take not a single byte.
const DEAF: Duration = Duration::from_secs(10);
/// Events that may wait for whoever listens; then the daemon has to.
const EVENTS: usize = 256;
/// Messages that may wait to be sent.
const OUTBOX: usize = 16;
/// The largest thing taken from a stream.
const STREAMED: usize = 32 << 20;

/// Something that bytes go over, whatever it is.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Why a call did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CallError {
    /// The connection is lost.
    Lost(String),
    /// The daemon answered no.
    No(Trouble),
}

impl From<Malformed> for CallError {
    fn from(why: Malformed) -> Self {
        Self::Lost(why.to_string())
    }
}

type Answer = Result<Vec<u8>, CallError>;

/// Who waits for an answer.
enum Waiting {
    Reply(oneshot::Sender<Answer>),
    /// The reply, and then what is streamed after it.
    Stream(mpsc::Sender<Answer>),
}

struct Shared {
    waiting: Mutex<HashMap<u32, Waiting>>,
    /// Why it is lost.
    lost: watch::Sender<Option<String>>,
    /// A call was given up before its answer: the daemon may be at it for long.
    spent: AtomicBool,
    /// The daemon answers to keepalive.
    keepalive: AtomicBool,
}

/// A connection. Lost when dropped.
pub(super) struct Rpc {
    shared: Arc<Shared>,
    outbox: mpsc::Sender<Vec<u8>>,
    serial: AtomicU32,
    calls: Semaphore,
    _tasks: [AbortOnDropHandle<()>; 3],
}

impl Rpc {
    /// Takes a connection over. Events come out at the other end.
    pub(super) fn start(wire: Box<dyn Wire>) -> (Self, mpsc::Receiver<Event>) {
        let (reading, writing) = tokio::io::split(wire);
        let (outbox, letters) = mpsc::channel(OUTBOX);
        let (events, heard) = mpsc::channel(EVENTS);
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            lost: watch::Sender::new(None),
            spent: AtomicBool::new(false),
            keepalive: AtomicBool::new(false),
        });
        let tasks = [
            spawn(&shared, read(Arc::clone(&shared), reading, outbox.clone(), events)),
            spawn(&shared, write(writing, letters)),
            spawn(&shared, ping(Arc::clone(&shared), outbox.clone())),
        ];
        let calls = Semaphore::new(CALLS);
        (Self { shared, outbox, serial: AtomicU32::new(1), calls, _tasks: tasks }, heard)
    }

    /// Calls a procedure and waits for its answer. Waits for ever if the daemon does.
    pub(super) async fn call(&self, procedure: Procedure, arguments: Writer) -> Answer {
        let _permit = self.calls.acquire().await.map_err(|why| CallError::Lost(why.to_string()))?;
        let (sender, answer) = oneshot::channel();
        let mut given = self.send(procedure, arguments, Waiting::Reply(sender)).await?;
        let answer = answer.await.unwrap_or_else(|_| Err(CallError::Lost(self.why())));
        given.answered = true;
        answer
    }

    /// Calls a procedure that streams something after its answer. Returns both.
    pub(super) async fn fetch(
        &self,
        procedure: Procedure,
        arguments: Writer,
    ) -> Result<(Vec<u8>, Vec<u8>), CallError> {
        let (sender, mut parts) = mpsc::channel(16);
        let mut given = self.send(procedure, arguments, Waiting::Stream(sender)).await?;
        let lost = || CallError::Lost(self.why());
        let answer = parts.recv().await.ok_or_else(lost)??;
        let mut all = Vec::new();
        loop {
            let part = parts.recv().await.ok_or_else(lost)??;
            if part.is_empty() {
                given.answered = true;
                return Ok((answer, all));
            }
            if all.len() + part.len() > STREAMED {
                return Err(CallError::Lost(format!("it streams more than {} MiB", STREAMED >> 20)));
            }
            all.extend_from_slice(&part);
        }
    }

    async fn send(
        &self,
        procedure: Procedure,
        arguments: Writer,
        waiting: Waiting,
    ) -> Result<Given<'_>, CallError> {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let head = Head { program: REMOTE, procedure: procedure as u32, kind: CALL, serial, status: OK };
        // Who gives up while it is sent leaves a place behind that the guard clears.
        let given = Given { rpc: self, serial, answered: false };
        self.shared.waiting.lock().insert(serial, waiting);
        let message = message(head, &arguments.into_bytes());
        if self.is_lost() || self.outbox.send(message).await.is_err() {
            return Err(CallError::Lost(self.why()));
        }
        Ok(given)
    }

    /// From now on the daemon is asked for a word regularly, and lost when it says nothing.
    pub(super) fn keep_alive(&self) {
        self.shared.keepalive.store(true, Ordering::Relaxed);
    }

    /// Whether the next question should take another connection.
    pub(super) fn is_spent(&self) -> bool {
        self.is_lost() || self.shared.spent.load(Ordering::Relaxed)
    }

    /// Waits until it is lost, and says why.
    pub(super) async fn lost(&self) -> String {
        let mut lost = self.shared.lost.subscribe();
        match lost.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            Err(_) => "the connection was closed".to_owned(),
        }
    }

    fn is_lost(&self) -> bool {
        self.shared.lost.borrow().is_some()
    }
    fn why(&self) -> String {
        self.shared.lost.borrow().clone().unwrap_or_else(|| "the connection was closed".to_owned())
    }
}

impl fmt::Debug for Rpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rpc").field("lost", &*self.shared.lost.borrow()).finish_non_exhaustive()
    }
}

/// A call under way.
struct Given<'a> {
    rpc: &'a Rpc,
    serial: u32,
    answered: bool,
}

impl Drop for Given<'_> {
    fn drop(&mut self) {
        self.rpc.shared.waiting.lock().remove(&self.serial);
        if !self.answered {
            self.rpc.shared.spent.store(true, Ordering::Relaxed);
        }
    }
}

/// Runs one of the three tasks; when it ends, the connection is lost and everybody who waits is told.
fn spawn(shared: &Arc<Shared>, task: impl Future<Output = String> + Send + 'static) -> AbortOnDropHandle<()> {
    let shared = Arc::clone(shared);
    AbortOnDropHandle::new(tokio::spawn(async move {
        let why = task.await;
        shared.lost.send_if_modified(|lost| {
            let first = lost.is_none();
            lost.get_or_insert(why);
            first
        });
        // Whoever waits sees its channel closed.
        shared.waiting.lock().clear();
    }))
}

async fn write(mut wire: WriteHalf<Box<dyn Wire>>, mut letters: mpsc::Receiver<Vec<u8>>) -> String {
    while let Some(letter) = letters.recv().await {
        let mut rest = letter.as_slice();
        while !rest.is_empty() {
            match tokio::time::timeout(DEAF, wire.write(rest)).await {
                Ok(Ok(0)) => return "the daemon closed the connection".to_owned(),
                Ok(Ok(sent)) => rest = &rest[sent..],
                Ok(Err(why)) => return why.to_string(),
                Err(_) => return format!("the daemon took nothing for {} s", DEAF.as_secs()),
            }
        }
        if let Ok(Err(why)) = tokio::time::timeout(DEAF, wire.flush()).await {
            return why.to_string();
        }
    }
    "the connection was closed".to_owned()
}

async fn ping(shared: Arc<Shared>, outbox: mpsc::Sender<Vec<u8>>) -> String {
    loop {
        tokio::time::sleep(PING_EVERY).await;
        let keepalive = shared.keepalive.load(Ordering::Relaxed);
        if keepalive && outbox.send(keepalive_message(PING)).await.is_err() {
            return "the connection was closed".to_owned();
        }
    }
}

fn keepalive_message(procedure: u32) -> Vec<u8> {
    message(Head { program: KEEPALIVE, procedure, kind: MESSAGE, serial: 0, status: OK }, &[])
}

async fn read(
    shared: Arc<Shared>,
    mut wire: ReadHalf<Box<dyn Wire>>,
    outbox: mpsc::Sender<Vec<u8>>,
    events: mpsc::Sender<Event>,
) -> String {
    let mut buffer = Vec::new();
    loop {
        let (head, body) = match next(&shared, &mut wire, &mut buffer).await {
            Ok(whole) => whole,
            Err(why) => return why,
        };
        match (head.program, head.kind) {
            (KEEPALIVE, MESSAGE) if head.procedure == PING => {
                // A full queue means that messages go out anyway; a closed one shows at the next read.
                outbox.try_send(keepalive_message(PONG)).ok();
            }
            (REMOTE, MESSAGE) => match Event::take(head.procedure, &mut Reader::new(body)) {
                // Nobody listens on a connection that only asks.
                Ok(Some(event)) => drop(events.send(event).await),
                Ok(None) => {}
                Err(why) => return why.to_string(),
            },
            (REMOTE, REPLY | STREAM) => {
                let answer = answer(&head, body);
                // Whoever waits for an answer gives way to nothing; a stream waits for its reader.
                let stream = {
                    let mut waiting = shared.waiting.lock();
                    match waiting.get(&head.serial) {
                        Some(Waiting::Stream(sender)) => Some(sender.clone()),
                        Some(Waiting::Reply(_)) if head.kind == REPLY => {
                            if let Some(Waiting::Reply(sender)) = waiting.remove(&head.serial) {
                                // It may have been given up just now.
                                sender.send(answer.clone()).ok();
                            }
                            None
                        }
                        Some(Waiting::Reply(_)) | None => None,
                    }
                };
                if let Some(sender) = stream {
                    sender.send(answer).await.ok();
                }
            }
            _ => {}
        }
    }
}

fn answer(head: &Head, body: &[u8]) -> Answer {
    match head.status {
        OK | CONTINUE => Ok(body.to_vec()),
        ERROR => Err(CallError::No(Reader::new(body).take::<Trouble>()?)),
        _ => Err(Malformed.into()),
    }
}

/// The next whole message. What it needs of memory grows with what has arrived, not with what it says of itself.
async fn next<'a>(
    shared: &Shared,
    wire: &mut ReadHalf<Box<dyn Wire>>,
    buffer: &'a mut Vec<u8>,
) -> Result<(Head, &'a [u8]), String> {
    let mut length = [0; 4];
    fill(shared, wire, &mut length).await?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if !(28..=LARGEST).contains(&length) {
        return Err(format!(
            "what answers is no libvirt daemon, or one gone mad: it sends a message of {length} bytes"
        ));
    }
    let wanted = length - 4;
    buffer.clear();
    buffer.shrink_to(1 << 20);
    while buffer.len() < wanted {
        let had = buffer.len();
        buffer.resize((had + (64 << 10)).min(wanted), 0);
        fill(shared, wire, &mut buffer[had..]).await?;
    }
    let mut reader = Reader::new(buffer);
    let head = reader.take::<Head>().map_err(|why| why.to_string())?;
    Ok((head, reader.rest()))
}

async fn fill(
    shared: &Shared,
    wire: &mut ReadHalf<Box<dyn Wire>>,
    mut buffer: &mut [u8],
) -> Result<(), String> {
    let mut since = tokio::time::Instant::now();
    while !buffer.is_empty() {
        match tokio::time::timeout(PING_EVERY, wire.read(buffer)).await {
            Ok(Ok(0)) => return Err("the daemon closed the connection".to_owned()),
            Ok(Ok(count)) => {
                buffer = &mut buffer[count..];
                since = tokio::time::Instant::now();
            }
            Ok(Err(why)) => return Err(why.to_string()),
            Err(_) if shared.keepalive.load(Ordering::Relaxed) && since.elapsed() >= SILENCE => {
                return Err(format!("the daemon has said nothing for {} s", SILENCE.as_secs()));
            }
            Err(_) => {}
        }
    }
    Ok(())
}
