//! A session and a software board with a line of 115200 baud between them, on a virtual clock: hours pass in milliseconds.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use primrack_link::message::Hello;
use primrack_link::session::{Answer, Input, Phase, RequestError, Session, SessionConfig, Ticket};
use primrack_link::soft::{Firmware, Noise, SoftConfig};

/// A byte at 115200 baud, 8N1.
const BYTE: Duration = Duration::from_nanos(86_806);

/// One direction of the line: bytes arrive after the time that they take.
pub(crate) struct Wire {
    queue: VecDeque<(Instant, Vec<u8>)>,
    free: Instant,
    /// Bytes damaged, of a million.
    pub(crate) errors: u32,
    /// Bytes that passed.
    pub(crate) bytes: u64,
    /// The most bytes that were under way at once.
    pub(crate) most: usize,
}

impl Wire {
    fn new(now: Instant) -> Self {
        Self { queue: VecDeque::new(), free: now, errors: 0, bytes: 0, most: 0 }
    }

    fn send(&mut self, bytes: &[u8], now: Instant, noise: &mut Noise) {
        let mut bytes = bytes.to_vec();
        noise.damage(&mut bytes, self.errors);
        self.bytes += bytes.len() as u64;
        self.free = self.free.max(now) + BYTE * bytes.len() as u32;
        self.queue.push_back((self.free, bytes));
        self.most = self.most.max(self.queue.iter().map(|(_, bytes)| bytes.len()).sum());
    }

    fn arrived(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.queue.front()?.0 <= now { self.queue.pop_front().map(|(_, bytes)| bytes) } else { None }
    }
}

pub(crate) struct Bench {
    pub(crate) now: Instant,
    pub(crate) session: Session,
    pub(crate) board: Firmware,
    pub(crate) down: Wire,
    pub(crate) up: Wire,
    pub(crate) noise: Noise,
    pub(crate) plugged: bool,
    /// The board neither hears nor speaks.
    pub(crate) deaf: bool,
    pub(crate) inputs: Vec<Input>,
    pub(crate) results: HashMap<Ticket, Result<Answer, RequestError>>,
    steps: u64,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(SoftConfig::default(), SessionConfig::default())
    }

    pub(crate) fn with(board: SoftConfig, session: SessionConfig) -> Self {
        let now = Instant::now();
        let mut bench = Self {
            now,
            session: Session::new(session, 4711, now),
            board: Firmware::new(board, now),
            down: Wire::new(now),
            up: Wire::new(now),
            noise: Noise::new(20_261_122),
            plugged: true,
            deaf: false,
            inputs: Vec::new(),
            results: HashMap::new(),
            steps: 0,
        };
        bench.session.opened(now);
        bench
    }

    pub(crate) fn adopted() -> Self {
        let mut bench = Self::new();
        bench.until(Duration::from_secs(1), |bench| bench.is_adopted());
        bench
    }

    pub(crate) fn is_adopted(&self) -> bool {
        self.session.status().phase == Phase::Adopted
    }

    pub(crate) fn hello(&self) -> &Hello {
        self.session.status().hello.as_deref().expect("a board said hello")
    }

    pub(crate) fn unplug(&mut self) {
        self.plugged = false;
        (self.down.queue, self.up.queue) = Default::default();
        self.session.closed(self.now, "it was unplugged");
        self.settle();
    }

    pub(crate) fn plug(&mut self) {
        self.plugged = true;
        self.session.opened(self.now);
        self.settle();
    }

    /// Garbage arrives at both ends.
    pub(crate) fn garbage(&mut self, bytes: usize) {
        let junk: Vec<u8> = (0..bytes).map(|_| self.noise.draw() as u8).collect();
        for piece in junk.chunks(64) {
            self.up.send(piece, self.now, &mut self.noise);
            self.down.send(piece, self.now, &mut self.noise);
        }
    }

    pub(crate) fn value(&self, output: usize) -> u32 {
        self.board.outputs()[output].value
    }

    /// What a request came to, waiting for it.
    pub(crate) fn result(&mut self, ticket: Ticket) -> Result<Answer, RequestError> {
        self.until(Duration::from_secs(60), |bench| bench.results.contains_key(&ticket));
        self.results.remove(&ticket).expect("waited for")
    }

    pub(crate) fn set(
        &mut self,
        output: u8,
        value: u32,
        lease: Option<Duration>,
    ) -> Result<Answer, RequestError> {
        let ticket = self.session.set(output, value, lease, self.now);
        self.result(ticket)
    }

    /// Lets `time` pass.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
    }

    /// Lets time pass until something holds. How long that took.
    pub(crate) fn until(&mut self, most: Duration, holds: impl Fn(&Self) -> bool) -> Duration {
        let (from, end) = (self.now, self.now + most);
        self.settle();
        while !holds(self) {
            assert!(self.step(end), "it did not come to that within {most:?}: {:?}", self.session.status());
        }
        self.now - from
    }

    fn step(&mut self, end: Instant) -> bool {
        self.settle();
        let arrivals =
            [&self.up, &self.down].into_iter().filter_map(|wire| wire.queue.front()).map(|(at, _)| *at);
        let session = self.session.deadline();
        let board = self.board.deadline().filter(|_| !self.deaf);
        let next = arrivals.chain(session).chain(board).min().unwrap_or(end).max(self.now);
        if next > end || (next == end && self.now == end) {
            self.now = end;
            return false;
        }
        self.steps = if next == self.now { self.steps + 1 } else { 0 };
        assert!(
            self.steps < 1000,
            "somebody spins: session {session:?}, board {board:?}, now {:?}",
            self.now
        );
        self.now = next;
        self.settle();
        true
    }

    pub(crate) fn settle(&mut self) {
        let now = self.now;
        while let Some(bytes) = self.up.arrived(now) {
            self.session.receive(&bytes, now);
        }
        while let Some(bytes) = self.down.arrived(now) {
            if !self.deaf {
                self.board.receive(&bytes, now);
            }
        }
        self.board.tick(now);
        self.session.tick(now);
        while let Some(line) = self.session.transmit(now) {
            if self.plugged {
                self.down.send(line.as_bytes(), now, &mut self.noise);
            }
        }
        while !self.deaf
            && let Some(line) = self.board.transmit(now)
        {
            if self.plugged {
                self.up.send(line.as_bytes(), now, &mut self.noise);
            }
        }
        while let Some(input) = self.session.next_input() {
            self.inputs.push(input);
        }
        while let Some((ticket, result)) = self.session.next_done() {
            assert!(self.results.insert(ticket, result).is_none(), "{ticket:?} came to two ends");
        }
    }
}
