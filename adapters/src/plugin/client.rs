//! One run of a plug-in: what it was asked and has not answered, and the task that tends it until its end.

use std::collections::BTreeMap;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use primrack_adapter_api::{AdapterError, Hint};
use primrack_model::Address;
use rustix::process::Signal;
use serde_json::{Map, Value};
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

use crate::local::{Ending, Handle};

use super::launch::Launched;
use super::line::{ANSWERS, Bounds, Budget, Lines};
use super::map::{AT_ONCE, Event, Request, What, clean, trimmed};
use super::news::News;

/// What of its standard error is read (more waits in the pipe), and what of it reaches the log.
const ERRORS: Bounds = Bounds { length: 1_000, lines: (f64::MAX, 1.0), bytes: (67_108_864.0, 16_777_216.0) };
const LOGGED: (f64, f64) = (200.0, 20.0);
/// How often what waits for an answer is looked through.
const TICK: Duration = Duration::from_millis(250);
/// How long an idle plug-in may be silent before it is asked whether it is there.
const SILENCE: Duration = Duration::from_secs(5);
/// How long it may take to end when told.
const ENDING: Duration = Duration::from_secs(2);
/// How long what it wrote last may take to be read after its end.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// The largest answer in parts.
const ANSWER: usize = 16 << 20;

type Part = Map<String, Value>;
type Answer = Result<Vec<Part>, AdapterError>;

#[derive(Debug)]
struct Pending {
    answer: oneshot::Sender<Answer>,
    parts: Vec<Part>,
    bytes: usize,
    word: &'static str,
    limit: Duration,
    until: Instant,
    _permit: OwnedSemaphorePermit,
}

/// A running plug-in.
#[derive(Debug)]
pub(super) struct Session {
    name: String,
    next: AtomicU64,
    out: mpsc::Sender<Vec<u8>>,
    /// `None` once it is over: nothing is asked any more.
    pending: Mutex<Option<BTreeMap<u64, Pending>>>,
    at_once: Arc<Semaphore>,
    /// Why it ended.
    over: watch::Sender<Option<AdapterError>>,
    pub(super) news: News,
}

impl Session {
    /// Takes a started program into care. It is ended with `stop`.
    pub(super) fn start(
        launched: Launched,
        name: String,
        answer: Duration,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let Launched { handle, input, output, errors } = launched;
        let (out, lines) = mpsc::channel(AT_ONCE.into());
        let session = Arc::new(Self {
            name: name.clone(),
            next: AtomicU64::new(1),
            out,
            pending: Mutex::new(Some(BTreeMap::new())),
            at_once: Arc::new(Semaphore::new(1)),
            over: watch::Sender::new(None),
            news: News::default(),
        });
        let close = CancellationToken::new();
        tokio::spawn(write(input, lines, close.clone()));
        tokio::spawn(log(name, errors));
        let lines = Lines::new(output, ANSWERS);
        let tended = Tended { session: Arc::clone(&session), child: Child::of(handle), lines, close, answer };
        tokio::spawn(tended.run(stop));
        session
    }

    /// It has said how much it can do at once.
    pub(super) fn allow(&self, at_once: u16) {
        self.at_once.add_permits(usize::from(at_once.clamp(1, AT_ONCE) - 1));
    }

    /// Why it ended; `None` while it runs.
    pub(super) fn ended(&self) -> Option<AdapterError> {
        self.over.borrow().clone()
    }

    /// Waits for its end.
    pub(super) async fn over(&self) -> AdapterError {
        let mut over = self.over.subscribe();
        // The sender lives as long as this session, so that there is no error.
        let why = over.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
        why.unwrap_or_else(|| AdapterError::Unreachable("the plug-in ended".to_owned()))
    }

    /// Asks and waits for the answer. One that is given up goes on to count until it is answered.
    pub(super) async fn ask(&self, what: What, limit: Duration) -> Answer {
        tokio::select! {
            answer = self.asked(what, limit) => answer,
            why = self.over() => Err(why),
        }
    }

    async fn asked(&self, what: What, limit: Duration) -> Answer {
        let gone = || AdapterError::Unreachable("the plug-in is ending".to_owned());
        let permit = Arc::clone(&self.at_once).acquire_owned().await.map_err(|_| gone())?;
        let slot = self.out.reserve().await.map_err(|_| gone())?;
        // From here to the end of sending nothing can be dropped half-way.
        let (answer, waiting) = oneshot::channel();
        {
            let id = self.next.fetch_add(1, Ordering::Relaxed);
            let word = what.word();
            let mut line = serde_json::to_vec(&Request { id, what })
                .map_err(|why| AdapterError::Refused(format!("the request cannot be written: {why}")))?;
            line.push(b'\n');
            let mut pending = self.pending.lock();
            let Some(pending) = pending.as_mut() else { return Err(gone()) };
            let until = Instant::now() + limit;
            let entry = Pending { answer, parts: Vec::new(), bytes: 0, word, limit, until, _permit: permit };
            pending.insert(id, entry);
            slot.send(line);
        }
        waiting.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Takes one line. `Err` is what is wrong with it: then the plug-in is ended.
    fn heard(&self, line: &[u8]) -> Result<(), String> {
        let shown = || clean(&String::from_utf8_lossy(&line[..line.len().min(120)]), 80);
        let mut map: Part = serde_json::from_slice(line).map_err(|_| {
            format!(
                "it wrote {:?}, which is no JSON object (standard output is for the protocol only: write other things to standard error)",
                shown()
            )
        })?;
        if map.contains_key("event") {
            let event = serde_json::from_value(Value::Object(map)).map_err(|why| {
                format!("its event {:?} is not understood: {}", shown(), clean(&why.to_string(), 200))
            })?;
            self.event(event);
            return Ok(());
        }
        let Some(id) = map.remove("id").and_then(|id| id.as_u64()) else {
            return Err(format!(
                "it wrote {:?}, which has neither an event nor the id of a request",
                shown()
            ));
        };
        let more = map.remove("more") == Some(Value::Bool(true));
        let mut pending = self.pending.lock();
        let Some(pending) = pending.as_mut() else { return Ok(()) };
        let Some(asked) = pending.get_mut(&id) else {
            return Err(format!("it answered request {id}, which does not wait for an answer"));
        };
        asked.bytes += line.len();
        if asked.bytes > ANSWER {
            return Err(format!("its answer to {} is larger than {ANSWER} bytes", asked.word));
        }
        asked.parts.push(map);
        if !more && let Some(Pending { answer, parts, .. }) = pending.remove(&id) {
            // Whoever asked may have given up.
            answer.send(Ok(parts)).ok();
        }
        Ok(())
    }

    fn event(&self, event: Event) {
        match event {
            Event::Changed { address } => self.news.push(Hint::Changed(address)),
            Event::State { address, state } => self.news.push(Hint::State(address, trimmed(state))),
            Event::Lost { fault } => self.news.lose(fault.error(Some(&Address(self.name.as_str().into())))),
        }
    }

    /// The request that waits longer than it may, in words.
    fn overdue(&self) -> Option<String> {
        let now = Instant::now();
        let pending = self.pending.lock();
        let late = pending.as_ref()?.values().find(|asked| asked.until <= now)?;
        Some(format!("it did not answer {} within {} ms", late.word, late.limit.as_millis()))
    }

    fn is_idle(&self) -> bool {
        self.pending.lock().as_ref().is_some_and(BTreeMap::is_empty)
    }

    /// Ends everything that waits.
    fn end(&self, why: &AdapterError) {
        let pending = self.pending.lock().take();
        for asked in pending.into_iter().flat_map(BTreeMap::into_values) {
            asked.answer.send(Err(why.clone())).ok();
        }
        self.at_once.close();
        self.over.send_replace(Some(why.clone()));
    }
}

/// The program. Whatever happens to the task that tends it, its process group ends with it.
#[derive(Debug)]
pub(super) struct Child(Option<Handle>);

impl Child {
    pub(super) fn of(handle: Handle) -> Self {
        Self(Some(handle))
    }

    pub(super) async fn over(&self) {
        match &self.0 {
            Some(handle) => handle.over().await,
            None => pending().await,
        }
    }

    /// Ends it with its process group and takes notice of its end.
    pub(super) async fn end(mut self) -> Ending {
        let Some(handle) = self.0.take() else { return Ending::Unknown };
        // The group may be gone; else what is left in it is not the machines' (they have their own).
        handle.signal_group(Signal::KILL).ok();
        handle.over().await;
        handle.reap()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Some(handle) = &self.0 {
            handle.signal_group(Signal::KILL).ok();
            handle.reap();
        }
    }
}

struct Tended {
    session: Arc<Session>,
    child: Child,
    lines: Lines,
    /// Closes its standard input once everything is written.
    close: CancellationToken,
    answer: Duration,
}

enum End {
    Stopped,
    /// It ended, or closed its standard output.
    Itself,
    Broken(String),
}

impl Tended {
    async fn run(mut self, stop: CancellationToken) {
        let end = self.tend(&stop).await;
        let Self { session, child, mut lines, close, .. } = self;
        let (was_over, broken) = match end {
            End::Stopped => {
                // Not behind whatever it has not answered yet.
                session.at_once.add_permits(1);
                let told = session.ask(What::Shutdown, ENDING);
                // What it answers does not matter; that it ends does.
                let ends = async {
                    let hear = async {
                        while let Ok(Some(line)) = lines.next().await {
                            session.heard(&line).ok();
                        }
                        pending::<()>().await;
                    };
                    let told = async {
                        drop(told.await);
                        close.cancel();
                        pending::<()>().await;
                    };
                    tokio::select! {
                        () = child.over() => {}
                        () = hear => {}
                        () = told => {}
                    }
                };
                drop(tokio::time::timeout(ENDING, ends).await);
                (false, Some("the bridge ended it".to_owned()))
            }
            End::Itself => {
                let ended = tokio::time::timeout(LAST_WORDS, child.over()).await.is_ok();
                let rest = async {
                    while let Ok(Some(line)) = lines.next().await {
                        if session.heard(&line).is_err() {
                            break;
                        }
                    }
                };
                drop(tokio::time::timeout(LAST_WORDS, rest).await);
                (ended, (!ended).then(|| "it closed its standard output".to_owned()))
            }
            End::Broken(words) => (false, Some(words)),
        };
        close.cancel();
        let ending = child.end().await;
        let words = match (broken, ending) {
            (Some(words), _) if !was_over => words,
            (_, Ending::Exit(code)) => format!("it ended with status {code}"),
            (_, Ending::Signal(signal)) => format!("it was ended by signal {signal}"),
            (_, Ending::Unknown) => "it ended".to_owned(),
        };
        let words = format!("the plug-in {}: {words}", session.name);
        if !stop.is_cancelled() {
            tracing::warn!("{words}");
        }
        session.end(&AdapterError::Unreachable(words));
    }

    async fn tend(&mut self, stop: &CancellationToken) -> End {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                () = stop.cancelled() => return End::Stopped,
                line = self.lines.next() => match line {
                    Ok(Some(line)) => {
                        heard = Instant::now();
                        if let Err(words) = self.session.heard(&line) {
                            return End::Broken(words);
                        }
                    }
                    Ok(None) => return End::Itself,
                    Err(why) => return End::Broken(format!("it wrote {why}")),
                },
                () = self.child.over() => return End::Itself,
                _ = tick.tick() => {
                    if let Some(words) = self.session.overdue() {
                        return End::Broken(words);
                    }
                    if heard.elapsed() > SILENCE && self.session.is_idle() {
                        heard = Instant::now();
                        let (session, limit) = (Arc::clone(&self.session), self.answer);
                        // Its time-out is what counts, and that is looked for above.
                        tokio::spawn(async move { drop(session.ask(What::Ping, limit).await) });
                    }
                }
            }
        }
    }
}

/// Writes what is asked, until nobody asks any more or it is told to close.
async fn write(mut input: Sender, mut lines: mpsc::Receiver<Vec<u8>>, close: CancellationToken) {
    loop {
        let line = tokio::select! {
            line = lines.recv() => line,
            () = close.cancelled() => return,
        };
        let Some(line) = line else { return };
        tokio::select! {
            written = input.write_all(&line) => if written.is_err() { return },
            () = close.cancelled() => return,
        }
    }
}

/// Passes its standard error on to the log, within bounds.
pub(super) async fn log(name: String, errors: Receiver) {
    let mut lines = Lines::new(errors, ERRORS);
    let (mut budget, mut dropped) = (Budget::new(LOGGED), 0_u64);
    loop {
        let line = match lines.next().await {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(why) if why.kind() == io::ErrorKind::Other => lines.skip(),
            Err(_) => break,
        };
        if !budget.try_take(1.0) {
            dropped += 1;
            continue;
        }
        if dropped > 0 {
            tracing::warn!(plugin = name, dropped, "it writes more to its standard error than is kept");
            dropped = 0;
        }
        let text = clean(&String::from_utf8_lossy(&line), 1_000);
        tracing::info!(plugin = name, "{text}");
    }
}
