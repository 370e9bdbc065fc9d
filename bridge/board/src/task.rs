//! What drives one board: the line, the engine's orders and states, and time, one at a time into the core.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use primrack_adapter_api::AdapterError;
use primrack_engine::Engine;
use primrack_link::message::Happening;
use primrack_link::port::{Dial, PortAddress};
use primrack_link::session::{Input as LineInput, Phase, SessionConfig, Status};
use primrack_link::{Link, LinkConfig, RunningLink};
use primrack_model::{Power, UnixMs};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ask::ask;
use crate::audit::Audit;
use crate::board::{Board, Order};
use crate::boards::{Dirty, KEPT};
use crate::core::{Asking, Effect, Input, Token, Verdict};

/// Badges and buttons that may be decided at once; further ones are told to come again.
const ASKING: usize = 32;
/// Things to keep that may wait for the journal.
const KEEPING: usize = 256;
/// How often repeated refusals are written, as a count.
const AUDIT_PERIOD: Duration = Duration::from_secs(60);

/// A request that the line has answered.
enum Done {
    Set(u64, Result<u32, String>),
    Text,
}

/// Starts what drives a board.
pub(crate) fn start(
    board: &Arc<Board>,
    dial: Option<Box<dyn Dial>>,
    engine: Option<&Arc<Engine>>,
    dirty: &Arc<Dirty>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) {
    let Some(orders) = board.take_orders() else { return };
    let dial = match dial {
        Some(dial) => dial,
        None => match board.config.port.parse::<PortAddress>() {
            Ok(address) => address.dial(board.config.baud),
            // Checked when the configuration was.
            Err(error) => return tracing::error!(board = %board.name, %error, "the board has no port"),
        },
    };
    let config = LinkConfig {
        session: SessionConfig {
            lease: Duration::from_millis(board.config.lease_ms.into()),
            ..SessionConfig::default()
        },
        plain: board.plan().plain,
    };
    let RunningLink { link, inputs, task } = Link::start(dial, &config, stop.child_token());
    tasks.spawn(async move {
        if let Err(error) = task.await {
            tracing::error!(%error, "the line to a board ended badly");
        }
    });
    let (verdicts, decided) = mpsc::channel(ASKING);
    let (keeping, keep) = mpsc::channel(KEEPING);
    if let Some(engine) = engine {
        tasks.spawn(keeper(Arc::clone(engine), board.name.to_string(), keep));
    }
    let task = Task {
        board: Arc::clone(board),
        engine: engine.cloned(),
        dirty: Arc::clone(dirty),
        status: link.status(),
        link,
        up: false,
        adoptions: 0,
        sets: FuturesUnordered::new(),
        replies: HashMap::new(),
        next_token: 1,
        verdicts,
        asking: 0,
        keeping,
        audit: Audit::default(),
        tasks: tasks.clone(),
    };
    tasks.spawn(task.run(inputs, orders, decided, stop.clone()));
}

struct Task {
    board: Arc<Board>,
    engine: Option<Arc<Engine>>,
    dirty: Arc<Dirty>,
    link: Link,
    status: watch::Receiver<Arc<Status>>,
    up: bool,
    adoptions: u64,
    sets: FuturesUnordered<BoxFuture<'static, Done>>,
    replies: HashMap<Token, oneshot::Sender<Result<(), AdapterError>>>,
    next_token: Token,
    verdicts: mpsc::Sender<Verdict>,
    asking: usize,
    keeping: mpsc::Sender<(String, String)>,
    audit: Audit,
    tasks: TaskTracker,
}

impl Task {
    async fn run(
        mut self,
        mut inputs: mpsc::Receiver<LineInput>,
        mut orders: mpsc::Receiver<Order>,
        mut decided: mpsc::Receiver<Verdict>,
        stop: CancellationToken,
    ) {
        let mut read_only = self.engine.as_ref().map(|engine| engine.watch_read_only());
        if let Some(changes) = &mut read_only {
            let on = changes.borrow_and_update().is_some();
            self.take(Input::Emergency(on)).await;
        }
        self.line_changed().await;
        let mut minute = tokio::time::interval(AUDIT_PERIOD);
        loop {
            let due = self.board.due().map(|at| self.board.instant(at));
            let until = due.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
            let dirty = Arc::clone(&self.dirty);
            tokio::select! {
                // Who is there is known before what it says.
                biased;
                () = stop.cancelled() => break,
                changed = self.status.changed() => match changed {
                    Ok(()) => self.line_changed().await,
                    Err(_) => break,
                },
                Some(done) = self.sets.next(), if !self.sets.is_empty() => {
                    if let Done::Set(set, result) = done {
                        self.take(Input::Answered { set, result }).await;
                    }
                }
                input = inputs.recv() => match input {
                    Some(input) => self.heard(input).await,
                    None => break,
                },
                order = orders.recv() => match order {
                    Some(order) => self.order(order).await,
                    None => break,
                },
                Some(verdict) = decided.recv() => {
                    self.asking = self.asking.saturating_sub(1);
                    self.take(Input::Decided(verdict)).await;
                }
                () = dirty.wake.notified() => self.look().await,
                on = crate::stop::next(&mut read_only) => self.take(Input::Emergency(on)).await,
                () = tokio::time::sleep_until(until.into()) => self.take(Input::Tick).await,
                _ = minute.tick() => {
                    if let Some(engine) = &self.engine {
                        self.audit.flush(engine.journal());
                    }
                }
            }
        }
        // Who waits learns that nobody is left to answer, by the end of the channel.
        if let Some(engine) = &self.engine {
            self.audit.flush(engine.journal());
        }
    }

    /// The line came up or went down.
    async fn line_changed(&mut self) {
        let status = Arc::clone(&self.status.borrow_and_update());
        self.note(&status);
        let adopted = usable(&status);
        let again = adopted && status.adoptions != self.adoptions;
        if again {
            self.adoptions = status.adoptions;
        }
        if (adopted && !self.up) || again {
            self.up = true;
            tracing::info!(board = %self.board.name, words = %status.words, "a board is there");
            self.board.tell(format!("up {}", status.words));
            self.take(Input::Up).await;
        } else if !adopted && self.up {
            self.up = false;
            tracing::warn!(board = %self.board.name, why = %status.words, "a board is away");
            self.board.tell(format!("down {}", status.words));
            self.take(Input::Down(status.words.clone())).await;
        } else if !adopted {
            self.take(Input::Down(status.words.clone())).await;
        }
        self.stated(&status).await;
    }

    async fn stated(&mut self, status: &Status) {
        if usable(status) {
            let outputs = (0u8..).zip(&status.outputs).filter_map(|(index, value)| Some((index, (*value)?)));
            let outputs = outputs.collect();
            self.take(Input::Stated(outputs)).await;
        }
    }

    fn note(&self, status: &Status) {
        let mut shown = self.board.status.lock();
        if shown.up != usable(status) || shown.words != status.words {
            shown.since = UnixMs::now();
        }
        shown.up = usable(status);
        shown.words.clone_from(&status.words);
        if let Some(hello) = &status.hello {
            shown.simulated |= hello.simulated();
            shown.id = Some(hello.id.clone());
            shown.firmware = Some(hello.firmware.clone());
            shown.boot = Some(hello.boot);
            shown.parts = Some(hello.caps.to_string());
        }
        shown.readers = (0u8..)
            .zip(&status.readers)
            .filter_map(|(reader, health)| Some((reader, (*health)?.to_string())))
            .collect();
        shown.adoptions = status.adoptions;
        shown.bad_frames = status.counters.bad_frames;
        shown.resent = status.counters.resent;
        shown.lost = status.counters.lost;
    }

    async fn heard(&mut self, input: LineInput) {
        let LineInput { happening: what, received, age, boot, seq } = input;
        if let Happening::Value { index, value } = what {
            self.board.status.lock().inputs.insert(index, value);
        }
        self.board.tell(self.words(&what));
        let age = age + received.elapsed();
        let output = matches!(what, Happening::Output { .. });
        self.take(Input::Happened { boot, seq, age, what }).await;
        if output {
            // The session may have answered it meanwhile, by asserting what is wished.
            let status = Arc::clone(&self.status.borrow());
            self.stated(&status).await;
        }
    }

    /// What happened, without a badge's number.
    fn words(&self, what: &Happening) -> String {
        match what {
            Happening::Tag { reader, uid } => {
                format!("tag {reader} badge:{}", self.board.name_of(uid.as_bytes()))
            }
            Happening::Wiegand { reader, code } => {
                let bytes = code.payload.to_be_bytes();
                let from = usize::from(code.bits == 26);
                format!("wiegand {reader} badge:{}", self.board.name_of(&bytes[from..]))
            }
            Happening::Sun { reader, .. } => format!("sun {reader}"),
            Happening::Button { index, pressed } => {
                format!("button {index} {}", if *pressed { "pressed" } else { "let go" })
            }
            Happening::Value { index, value } => format!("value {index} {value}"),
            Happening::Output { output, value, cause } => format!("output {output} {value} {cause}"),
            Happening::Reader { reader, health } => format!("reader {reader} {health}"),
            Happening::Lost { count } => format!("lost {count}"),
        }
    }

    async fn order(&mut self, order: Order) {
        match order {
            Order::Command { address, action, reply } => {
                let token = self.next_token;
                self.next_token += 1;
                self.replies.retain(|_, reply| !reply.is_closed());
                self.replies.insert(token, reply);
                self.take(Input::Order { address, action, token }).await;
            }
            Order::Set { index, value, lease_ms, reply } => {
                let link = self.link.clone();
                let lease = (lease_ms > 0).then(|| Duration::from_millis(lease_ms.into()));
                // Apart from the core: it hears of it as of any other change.
                self.tasks.spawn(async move {
                    let set = link.set(index, value, lease).await;
                    drop(reply.send(set.map_err(|error| error.to_string())));
                });
            }
        }
    }

    /// Looks at the targets that have changed.
    async fn look(&mut self) {
        let Some(engine) = self.engine.clone() else { return };
        for ix in self.dirty.take() {
            let state = engine.state(ix);
            let power = if state.stale { Power::Unknown } else { state.power };
            let target = engine.inventory().target(ix).id.clone();
            self.take(Input::Target(target, power)).await;
        }
    }

    async fn take(&mut self, input: Input) {
        for effect in self.board.handle(input) {
            self.perform(effect).await;
        }
    }

    async fn perform(&mut self, effect: Effect) {
        match effect {
            // Told when it was handled.
            Effect::Shown(..) => {}
            Effect::Set { set, index, value, lease_ms } => {
                let link = self.link.clone();
                let lease = (lease_ms > 0).then(|| Duration::from_millis(lease_ms.into()));
                let sending = async move {
                    let result = link.set(index, value, lease).await;
                    Done::Set(set, result.map_err(|error| error.to_string()))
                };
                self.send(Box::pin(sending)).await;
            }
            Effect::Text { index, row, text } => {
                let link = self.link.clone();
                let sending = async move {
                    if let Err(error) = link.text(index, row, text).await {
                        tracing::debug!(%error, "a text was not shown");
                    }
                    Done::Text
                };
                self.send(Box::pin(sending)).await;
            }
            Effect::Hold { index, value } => {
                if let Err(error) = self.link.show(index, value).await {
                    tracing::debug!(%error, "a value was not kept");
                }
            }
            Effect::Reply(token, result) => {
                if let Some(reply) = self.replies.remove(&token) {
                    // Whoever gave up waiting does not want to know.
                    drop(reply.send(result));
                }
            }
            Effect::Ask(asking) => self.ask(*asking),
            Effect::Audit { class, subject, words } => {
                tracing::info!(class, subject, words, "a board");
                self.board.tell(format!("{class} {subject}: {words}"));
                if let Some(engine) = &self.engine {
                    self.audit.note(engine.journal(), class, &subject, words);
                }
            }
            Effect::Keep { key, value } => {
                if self.engine.is_some() && self.keeping.try_send((key, value)).is_err() {
                    tracing::error!(board = %self.board.name, "the journal is too slow: a latch may be forgotten at the next start");
                }
            }
        }
    }

    /// Hands a request to the line now, in order, and waits for its answer later.
    async fn send(&mut self, mut request: BoxFuture<'static, Done>) {
        let first = poll_fn(|context| Poll::Ready(request.as_mut().poll(context))).await;
        match first {
            Poll::Ready(done) => self.sets.push(Box::pin(std::future::ready(done))),
            Poll::Pending => self.sets.push(request),
        }
    }

    fn ask(&mut self, asking: Asking) {
        let Some(engine) = self.engine.clone() else { return };
        let (board, verdicts) = (Arc::clone(&self.board), self.verdicts.clone());
        if self.asking >= ASKING {
            tracing::warn!(board = %board.name, "too many badges at once: one was dropped");
            return;
        }
        self.asking += 1;
        self.tasks.spawn(async move {
            let verdict = ask(&engine, &board, asking).await;
            board.tell(format!(
                "{} {}: {}",
                if verdict.accepted { "accepted" } else { "refused" },
                verdict.actor,
                verdict.words
            ));
            // The board's task is gone when the bridge stops, or the board is not in the configuration any more.
            drop(verdicts.send(verdict).await);
        });
    }
}

/// Whether it does what it is told; of a plain reader nothing is asked.
fn usable(status: &Status) -> bool {
    status.adopted() || status.phase == Phase::Plain
}

/// Writes what is to be kept, one after the other.
async fn keeper(engine: Arc<Engine>, board: String, mut keep: mpsc::Receiver<(String, String)>) {
    while let Some((key, value)) = keep.recv().await {
        if let Err(error) =
            engine.journal().put(KEPT, format!("{board}/{key}"), Some(value.into_bytes())).await
        {
            tracing::error!(%error, board, key, "not kept: the next start will not know");
        }
    }
}
