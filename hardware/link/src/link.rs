//! A port and a session joined, driven by one task: what the bridge uses.
//!
//! ```text
//!  Link (handle, cloned freely) ── commands ──▶ ┌────────┐ ◀── bytes ── Port ── device, TCP, software board
//!  LinkStatus (watch)  ◀──────────────────────── │ driver │ ── lines ──▶
//!  inputs (channel of 64) ◀───────────────────── └────────┘ owns the Session
//! ```
//!
//! When the inputs are not fetched, events are not answered, and the board keeps them: nothing piles up here.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::message::{Happening, Part, Stats};
use crate::plain::{PlainBadge, PlainFormat, PlainReader};
use crate::port::{Dial, Port, PortEvent};
use crate::session::{Answer, Input, Phase, RequestError, Session, SessionConfig, Status, Ticket};

/// Inputs that wait to be fetched.
const INPUTS: usize = 64;
/// Commands that wait for the driver; senders wait then.
const COMMANDS: usize = 32;
/// How often the session looks at the time while the line takes nothing.
const STUCK: Duration = Duration::from_millis(20);
/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_millis(200);

/// How a link behaves.
#[derive(Debug, Clone, Default)]
pub struct LinkConfig {
    /// Leases and patience.
    pub session: SessionConfig,
    /// What is on the line is no board but a plain reader of this format. Its badges come as inputs of reader 0.
    pub plain: Option<PlainFormat>,
}

/// A link at work: dropping all of it ends the driver.
#[derive(Debug)]
pub struct RunningLink {
    /// The handle.
    pub link: Link,
    /// What happens at the board, in its order, each once. Stale ones are among them: ask [`Input::fresh`].
    pub inputs: mpsc::Receiver<Input>,
    /// The driver; it ends when it is cancelled or when every handle is gone.
    pub task: JoinHandle<()>,
}

/// Says what a board is to do. Clones share the one driver.
#[derive(Debug, Clone)]
pub struct Link {
    commands: mpsc::Sender<Command>,
    status: watch::Receiver<Arc<Status>>,
    traffic: broadcast::Sender<Arc<Traffic>>,
}

/// Bytes that passed, for a monitor. They hold UIDs: show them to an operator, never log them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traffic {
    /// From the board, or to it.
    pub from_board: bool,
    /// When.
    pub at: Instant,
    /// What, as it came: a piece may end within a line.
    pub bytes: Vec<u8>,
}

#[derive(Debug)]
enum Command {
    Set { output: u8, value: u32, lease: Option<Duration>, answer: Reply },
    Show { output: u8, value: u32 },
    Text { output: u8, row: u8, text: String, answer: Reply },
    Part { index: u8, answer: Reply },
    Stats { answer: Reply },
    Name { name: String, answer: Reply },
}

type Reply = oneshot::Sender<Result<Answer, RequestError>>;

impl Link {
    /// Starts a driver that keeps `dial`'s line open and a session on it, until `stop` is cancelled: then it says farewell, so
    /// that the board makes its outputs safe at once.
    #[must_use]
    pub fn start(dial: Box<dyn Dial>, config: &LinkConfig, stop: CancellationToken) -> RunningLink {
        let (command_tx, commands) = mpsc::channel(COMMANDS);
        let (input_tx, inputs) = mpsc::channel(INPUTS);
        let traffic = broadcast::Sender::new(256);
        let now = Instant::now();
        let session = SessionConfig { plain: config.plain.is_some(), ..config.session.clone() };
        let session = Session::new(session, random_session(), now);
        let (status_tx, status) = watch::channel(Arc::new(session.status().clone()));
        let driver = Driver {
            port: Port::new(dial),
            session,
            plain: config.plain.map(PlainReader::new),
            plain_seq: 0,
            plain_badges: Vec::new(),
            commands,
            inputs: input_tx,
            held: None,
            heard_here: false,
            status: status_tx,
            traffic: traffic.clone(),
            waiting: HashMap::new(),
        };
        let task = tokio::spawn(driver.run(stop));
        RunningLink { link: Self { commands: command_tx, status, traffic }, inputs, task }
    }

    /// How it stands, and word of every change.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Arc<Status>> {
        self.status.clone()
    }

    /// What passes on the line from now on. A slow reader loses the oldest.
    #[must_use]
    pub fn monitor(&self) -> broadcast::Receiver<Arc<Traffic>> {
        self.traffic.subscribe()
    }

    /// Sets `output` to `value`, for `lease` or (with `None`) for as long as this host lives, and waits for the board's word of what the output is now.
    /// Without lease it is asserted again after every reset or replug.
    ///
    /// # Errors
    /// [`RequestError`]. What was refused because the board is away is not done later.
    pub async fn set(&self, output: u8, value: u32, lease: Option<Duration>) -> Result<u32, RequestError> {
        match self.ask(|answer| Command::Set { output, value, lease, answer }).await? {
            Answer::Value(value) => Ok(value),
            other => Err(unexpected(&other)),
        }
    }

    /// Keeps `output` at `value` from now on, whether the board is there or not: for lamps that show a state.
    ///
    /// # Errors
    /// [`RequestError::Down`] when the driver has ended.
    pub async fn show(&self, output: u8, value: u32) -> Result<(), RequestError> {
        self.commands.send(Command::Show { output, value }).await.map_err(|_| ended())
    }

    /// Shows `text` in a row (0 or 1) of a display and keeps it there.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn text(&self, output: u8, row: u8, text: impl Into<String>) -> Result<(), RequestError> {
        let text = text.into();
        self.ask(|answer| Command::Text { output, row, text, answer }).await.map(drop)
    }

    /// Asks what part `index` is, counted through readers, buttons, analogue inputs, outputs.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn part(&self, index: u8) -> Result<Part, RequestError> {
        match self.ask(|answer| Command::Part { index, answer }).await? {
            Answer::Part(part) => Ok(part),
            other => Err(unexpected(&other)),
        }
    }

    /// Asks for the board's counters.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn stats(&self) -> Result<Stats, RequestError> {
        match self.ask(|answer| Command::Stats { answer }).await? {
            Answer::Stats(stats) => Ok(stats),
            other => Err(unexpected(&other)),
        }
    }

    /// Gives the board a name, which it keeps: 1..=12 of `A-Za-z0-9._-`.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn name(&self, name: impl Into<String>) -> Result<(), RequestError> {
        let name = name.into();
        self.ask(|answer| Command::Name { name, answer }).await.map(drop)
    }

    /// Waits until a board is adopted.
    ///
    /// # Errors
    /// The status in words, when that takes longer than `patience` or the driver has ended.
    pub async fn adopted(&self, patience: Duration) -> Result<Arc<Status>, String> {
        let mut status = self.status.clone();
        match timeout(patience, status.wait_for(|status| status.adopted())).await {
            Ok(Ok(status)) => Ok(Arc::clone(&status)),
            Ok(Err(_)) | Err(_) => Err(self.status.borrow().words.clone()),
        }
    }

    async fn ask(&self, command: impl FnOnce(Reply) -> Command) -> Result<Answer, RequestError> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(command(answer)).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

fn ended() -> RequestError {
    RequestError::Down("the bridge has closed the line".to_owned())
}

fn unexpected(answer: &Answer) -> RequestError {
    tracing::warn!(?answer, "a board answered something else than what it was asked");
    RequestError::DoesNotFit("the board answered something else")
}

/// A number that another run of a host does not have.
fn random_session() -> u16 {
    let mut bytes = [0; 2];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u16::from_ne_bytes(bytes).max(1),
        // Without randomness the process's number has to do: it too differs from run to run.
        Err(_) => u16::try_from(std::process::id() & 0xFFFF).unwrap_or(1).max(1),
    }
}

struct Driver {
    port: Port,
    session: Session,
    plain: Option<PlainReader>,
    plain_seq: u16,
    plain_badges: Vec<PlainBadge>,
    commands: mpsc::Receiver<Command>,
    inputs: mpsc::Sender<Input>,
    /// The input that waits for room in the channel.
    held: Option<Input>,
    /// A board was adopted on this connection.
    heard_here: bool,
    status: watch::Sender<Arc<Status>>,
    traffic: broadcast::Sender<Arc<Traffic>>,
    /// Who waits for which request; the session bounds how many there are.
    waiting: HashMap<Ticket, Reply>,
}

impl Driver {
    async fn run(mut self, stop: CancellationToken) {
        loop {
            self.settle();
            let deadline = self.session.deadline();
            let now = Instant::now();
            let mut until = deadline.unwrap_or_else(|| now + Duration::from_secs(3600));
            if !self.port.is_idle() {
                // What is due cannot go before the line takes what it was given: that wakes us, not the time.
                until = until.max(now + STUCK);
            }
            tokio::select! {
                event = self.port.next() => {
                    let now = Instant::now();
                    match event {
                        PortEvent::Connected => {
                            self.heard_here = false;
                            self.session.opened(now);
                        }
                        PortEvent::Bytes(bytes) => {
                            if self.traffic.receiver_count() > 0 {
                                tell(&self.traffic, true, now, bytes);
                            }
                            self.session.receive(bytes, now);
                            if let Some(plain) = &mut self.plain {
                                plain.feed(bytes, |badge| self.plain_badges.push(badge));
                            }
                        }
                        PortEvent::Written => {}
                        PortEvent::Failed(error) => {
                            tracing::info!(%error, "a port could not be opened");
                            self.session.closed(now, &error.to_string());
                        }
                        PortEvent::Lost(error) => {
                            tracing::info!(%error, "a line broke");
                            self.session.closed(now, &error.to_string());
                        }
                    }
                    self.take_plain(now);
                }
                command = self.commands.recv() => match command {
                    Some(command) => self.command(command),
                    None => break,
                },
                permit = self.inputs.clone().reserve_owned(), if self.held.is_some() => {
                    // Without a listener it goes nowhere: whoever only sets outputs need not fetch inputs.
                    if let (Ok(permit), Some(input)) = (permit, self.held.take()) {
                        permit.send(input);
                    }
                }
                () = sleep_until(until.into()) => {}
                () = stop.cancelled() => break,
            }
        }
        self.farewell().await;
    }

    /// All that follows from what happened: time, answers, status, lines to write.
    fn settle(&mut self) {
        let now = Instant::now();
        self.session.tick(now);
        if self.port.is_idle() {
            while let Some(line) = self.session.transmit(now) {
                if self.traffic.receiver_count() > 0 {
                    tell(&self.traffic, false, now, line.as_bytes());
                }
                self.port.write(line.as_bytes());
            }
        }
        self.heard_here |= self.session.status().adopted();
        // A board was here and is silent: the connection may be dead without a word. A new one cannot be.
        if self.session.status().phase == Phase::Silent && self.heard_here && self.port.redial_when_silent() {
            self.heard_here = false;
            let words = self.session.status().words.clone();
            self.port.hang_up();
            self.session.closed(now, &words);
        }
        while let Some((ticket, result)) = self.session.next_done() {
            if let Some(reply) = self.waiting.remove(&ticket) {
                // Whoever stopped waiting does not want to know.
                drop(reply.send(result));
            }
        }
        while self.held.is_none() {
            let Some(input) = self.session.next_input() else { break };
            match self.inputs.try_send(input) {
                Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
                Err(mpsc::error::TrySendError::Full(input)) => self.held = Some(input),
            }
        }
        if self.session.take_status_changed() {
            self.status.send_replace(Arc::new(self.session.status().clone()));
        }
    }

    fn command(&mut self, command: Command) {
        let now = Instant::now();
        let (ticket, answer) = match command {
            Command::Set { output, value, lease, answer } => {
                (self.session.set(output, value, lease, now), answer)
            }
            Command::Show { output, value } => return self.session.show(output, value, now),
            Command::Text { output, row, text, answer } => {
                (self.session.text(output, row, &text, now), answer)
            }
            Command::Part { index, answer } => (self.session.part(index, now), answer),
            Command::Stats { answer } => (self.session.stats(now), answer),
            Command::Name { name, answer } => (self.session.name(&name, now), answer),
        };
        self.waiting.insert(ticket, answer);
    }

    /// Badges of a plain reader become inputs, unless a board's hello was ever heard here.
    fn take_plain(&mut self, now: Instant) {
        let forbidden = self.session.status().ever_hello;
        for badge in self.plain_badges.drain(..).filter(|_| !forbidden) {
            let happening = match badge {
                PlainBadge::Uid(uid) => Happening::Tag { reader: 0, uid },
                PlainBadge::Wiegand(code) => Happening::Wiegand { reader: 0, code },
            };
            self.plain_seq = self.plain_seq.checked_add(1).unwrap_or(1);
            let input = Input { happening, received: now, age: Duration::ZERO, boot: 0, seq: self.plain_seq };
            // It cannot say it again: a full channel loses it, as a reader without a listener does.
            if self.inputs.try_send(input).is_err() {
                tracing::warn!("a plain reader's badge was dropped, because earlier ones are not worked off");
            }
        }
    }

    async fn farewell(mut self) {
        let Some(line) = self.session.farewell() else { return };
        self.port.write(line.as_bytes());
        // As long as it takes to write, and no longer: the board's lease does the same a little later.
        let written = async {
            while !self.port.is_idle() {
                if let PortEvent::Lost(_) | PortEvent::Failed(_) = self.port.next().await {
                    break;
                }
            }
        };
        if timeout(FAREWELL, written).await.is_err() {
            tracing::debug!("the farewell to a board could not be written in time");
        }
    }
}

fn tell(traffic: &broadcast::Sender<Arc<Traffic>>, from_board: bool, at: Instant, bytes: &[u8]) {
    // Without a listener it goes nowhere, which is as well.
    drop(traffic.send(Arc::new(Traffic { from_board, at, bytes: bytes.to_vec() })));
}
