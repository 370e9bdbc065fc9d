//! A session with one board, without I/O: bytes and the time go in, lines, inputs, answers and the next deadline come out.
//!
//! ```text
//!           opened                hello                    ok SESSION
//! Closed ─────────▶ Listening ─────────────▶ Adopting ─────────────────▶ Adopted
//!    ▲  closed          │ ▲                    ▲  ▲ hello, `out … host`     │
//!    └── from all       │ │ nothing valid      │  └─────────────────────────┤
//!                       ▼ │ for a while        │ hello                      │
//!                      Silent ◀────────────────┴────────────────────────────┘
//!                      Refused: a hello of another protocol; left by a hello that fits
//! ```
//!
//! While adopted, the board is asked for a sign of life every second with `hi`, which it answers; so either side knows within
//! seconds when the other is gone. What the host wants on is kept here ([`Session::show`], [`Session::set`] without lease) and asserted
//! after every adoption. Everything that is kept is bounded by the number of outputs, or refused when full.

mod flight;
mod request;
mod seen;
mod status;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use smol_str::SmolStr;

use crate::decoder::{Decoder, Item};
use crate::frame::{BadFrame, Frame, Line};
use crate::message::{
    FromBoard, Happening, Hello, MAX_NUMBER, OutputCause, PROTOCOL, Part, Refusal, Stats, ToBoard, age,
};
use flight::Flight;
use request::Sending;
use seen::Seen;

pub use request::Ticket;
pub use status::{Counters, Phase, Status};

/// Outputs a board can have: one digit in its capabilities.
pub const OUTPUTS: usize = 9;
/// Rows of a display.
const ROWS: u8 = 2;
/// Inputs that wait to be fetched; what comes beyond is not answered, so the board says it again.
const INPUTS: usize = 32;
/// Questions that wait; one is under way at a time.
const QUESTIONS: usize = 8;
/// Answers to events that wait to be written; a board has at most 4 events out.
const GOTS: usize = 16;
/// How often a sign of life is asked for, at most.
const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// How a session behaves.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// Silence of the host after which the board makes its outputs safe: 500 ms to 60 s.
    pub lease: Duration,
    /// How long a request may go unanswered before its sender is told so and it is withdrawn.
    pub patience: Duration,
    /// How long nothing valid may come before the board counts as silent.
    pub silent_after: Duration,
    /// What is on the line is a plain reader: nothing is said to it, and a board there is refused.
    pub plain: bool,
}

impl Default for SessionConfig {
    fn default() -> Self {
        let three = Duration::from_secs(3);
        Self { lease: three, patience: three, silent_after: three, plain: false }
    }
}

/// Something that happened at a board, taken once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// What.
    pub happening: Happening,
    /// When it arrived.
    pub received: Instant,
    /// How long before that it happened, by the board's clock.
    pub age: Duration,
    /// The board's start in which it happened.
    pub boot: u16,
    /// Its number; with `boot` it names the event for ever.
    pub seq: u16,
}

/// An input that is too old to act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it happened {:.1} s ago, while nobody was listening or the line was down; nothing older than {:.1} s is acted on", .age.as_secs_f32(), .limit.as_secs_f32())]
pub struct Stale {
    /// How old it is.
    pub age: Duration,
    /// How old it may be.
    pub limit: Duration,
}

/// How old a badge or a press may be to be acted on (contract, section 8).
pub const STALE_AFTER: Duration = Duration::from_secs(2);

impl Input {
    /// Refuses what is older than `limit`. States (outputs, values, readers) are never stale: only their newest is told.
    ///
    /// # Errors
    /// [`Stale`], in words.
    pub fn fresh(&self, now: Instant, limit: Duration) -> Result<(), Stale> {
        let age = self.age + now.saturating_duration_since(self.received);
        let acts = matches!(
            self.happening,
            Happening::Tag { .. }
                | Happening::Wiegand { .. }
                | Happening::Sun { .. }
                | Happening::Button { .. }
        );
        if acts && age > limit { Err(Stale { age, limit }) } else { Ok(()) }
    }
}

/// What a request came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// What the output is now.
    Value(u32),
    /// What the part is.
    Part(Part),
    /// The counters.
    Stats(Stats),
}

/// Why a request came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// There is no adopted board; nothing was sent, or its answer will never come.
    #[error("the board cannot be reached: {0}")]
    Down(String),
    /// A newer request for the same output took its place.
    #[error("a newer command for the same output took its place")]
    Superseded,
    /// The board said no.
    #[error("{0}")]
    Refused(Refusal),
    /// The board did not answer in time. Whether it acted is not known.
    #[error("the board did not answer within {:.1} s; whether it acted is not known", .0.as_secs_f32())]
    NoAnswer(Duration),
    /// Its lease was over before a new adoption.
    #[error("its time was over before the board was back")]
    LeaseOver,
    /// The board has no such output.
    #[error("the board has {outputs} outputs, numbered from 0; there is no output {output}")]
    NoSuchOutput {
        /// Which was asked for.
        output: u8,
        /// How many there are.
        outputs: u8,
    },
    /// It cannot be said in a frame.
    #[error("this cannot be said to a board: {0}")]
    DoesNotFit(&'static str),
    /// Too many questions wait already.
    #[error("too many questions to this board wait for an answer")]
    TooMany,
}

/// What an output is to be.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    value: u32,
    /// When its lease ends; `None` without one.
    until: Option<Instant>,
}

#[derive(Debug)]
struct SetRequest {
    sending: Sending,
    ticket: Option<Ticket>,
    value: u32,
    lease_ms: u32,
    /// What was wanted before, should this come to nothing.
    before: Option<Wanted>,
}

/// One row of a display. It stays, to be shown again after a reset; `sending` is gone once it was acknowledged.
#[derive(Debug)]
struct Row {
    output: u8,
    row: u8,
    text: SmolStr,
    sending: Option<Sending>,
    ticket: Option<Ticket>,
}

#[derive(Debug)]
struct Question {
    sending: Sending,
    ticket: Ticket,
    ask: ToBoard,
}

/// See the module's description.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    /// The number of this session, another after every loss.
    number: u16,
    next_seq: u16,
    next_ticket: u64,
    status: Status,
    status_changed: bool,
    decoder: Decoder,
    /// The next hello begins a new session: the line is new, or the board was silent.
    fresh: bool,
    who: Option<Sending>,
    hi: Option<Sending>,
    gots: VecDeque<u16>,
    sets: [Option<SetRequest>; OUTPUTS],
    wanted: [Option<Wanted>; OUTPUTS],
    rows: Vec<Row>,
    questions: VecDeque<Question>,
    /// Where the fair search for a due set begins.
    turn: usize,
    flight: Flight,
    seen: Seen,
    heard: Instant,
    sent: Instant,
    /// When [`Self::transmit`] last had nothing to give. What was due before waits for room, not for time.
    looked: Option<Instant>,
    inputs: VecDeque<Input>,
    done: VecDeque<(Ticket, Result<Answer, RequestError>)>,
}

impl Session {
    /// A session that has no line yet. `number` is random, from 1; two runs of a host are told apart by it.
    #[must_use]
    pub fn new(mut config: SessionConfig, number: u16, now: Instant) -> Self {
        // What the contract allows.
        config.lease = config.lease.clamp(Duration::from_millis(500), Duration::from_secs(60));
        Self {
            config,
            number: number.max(1),
            next_seq: 1,
            next_ticket: 1,
            status: Status::closed(now, "the line was not opened yet".to_owned()),
            status_changed: true,
            decoder: Decoder::default(),
            fresh: true,
            who: None,
            hi: None,
            gots: VecDeque::new(),
            sets: Default::default(),
            wanted: Default::default(),
            rows: Vec::new(),
            questions: VecDeque::new(),
            turn: 0,
            flight: Flight::default(),
            seen: Seen::default(),
            heard: now,
            sent: now,
            looked: None,
            inputs: VecDeque::new(),
            done: VecDeque::new(),
        }
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// Whether [`Self::status`] changed since this was asked last.
    pub fn take_status_changed(&mut self) -> bool {
        std::mem::take(&mut self.status_changed)
    }

    /// The next thing that happened at the board.
    pub fn next_input(&mut self) -> Option<Input> {
        self.inputs.pop_front()
    }

    /// The next request that came to an end. To be fetched after every call that may end one.
    pub fn next_done(&mut self) -> Option<(Ticket, Result<Answer, RequestError>)> {
        self.done.pop_front()
    }

    /// The line is open.
    pub fn opened(&mut self, now: Instant) {
        self.decoder.reset();
        self.flight.clear();
        self.fresh = true;
        self.heard = now;
        if self.config.plain {
            return self.enter(Phase::Plain, now, "the line is open, for a plain reader".to_owned());
        }
        self.who = Some(Sending::new(now, None));
        self.enter(Phase::Listening, now, "the line is open; no board has said hello yet".to_owned());
    }

    /// The line is closed, `why` in words.
    pub fn closed(&mut self, now: Instant, why: &str) {
        self.decoder.reset();
        self.flight.clear();
        self.gots.clear();
        (self.who, self.hi) = (None, None);
        self.status.forget_outputs();
        self.enter(Phase::Closed, now, why.to_owned());
        self.fail_all(&RequestError::Down(why.to_owned()), now);
    }

    /// Bytes came.
    pub fn receive(&mut self, bytes: &[u8], now: Instant) {
        let mut decoder = std::mem::take(&mut self.decoder);
        decoder.feed(bytes, |item| match item {
            Item::Frame(frame) => self.frame(&frame, now),
            Item::Bad(_) => self.status.counters.bad_frames += 1,
            Item::Text(text) => {
                self.status.counters.texts += 1;
                tracing::debug!(text = %String::from_utf8_lossy(text).escape_debug(), "a board said plain text");
            }
        });
        self.decoder = decoder;
    }

    /// Wants `output` to be `value` for `lease`, or with `None` for as long as the host lives. It takes the place of an earlier command for the same output.
    /// Refused at once when no board is there: what was refused never happens later.
    pub fn set(&mut self, output: u8, value: u32, lease: Option<Duration>, now: Instant) -> Ticket {
        let ticket = self.ticket();
        let lease_ms = match lease.map(|lease| u32::try_from(lease.as_millis())) {
            None => 0,
            Some(Ok(ms @ 1..=MAX_NUMBER)) => ms,
            Some(_) => return self.fail(ticket, RequestError::DoesNotFit("a lease is 1 ms to 4.6 hours")),
        };
        if value > MAX_NUMBER {
            return self.fail(ticket, RequestError::DoesNotFit("a value has at most 24 bits"));
        }
        if !self.reachable() {
            return self.fail(ticket, RequestError::Down(self.status.words.clone()));
        }
        let outputs = self.status.hello.as_ref().map_or(0, |hello| hello.caps.outputs);
        if output >= outputs {
            return self.fail(ticket, RequestError::NoSuchOutput { output, outputs });
        }
        self.want(output, value, lease_ms, Some(ticket), now);
        ticket
    }

    /// Keeps `output` at `value` from now on and after every adoption, whether a board is there or not: for lamps that show a state.
    /// An output that the board does not have is passed over.
    pub fn show(&mut self, output: u8, value: u32, now: Instant) {
        if usize::from(output) < OUTPUTS && value <= MAX_NUMBER {
            self.want(output, value, 0, None, now);
        }
    }

    /// Shows `text` in a row of a display, now and after every adoption.
    pub fn text(&mut self, output: u8, row: u8, text: &str, now: Instant) -> Ticket {
        let ticket = self.ticket();
        let message = ToBoard::Text { output, row, text: text.into() };
        if row >= ROWS || usize::from(output) >= OUTPUTS || message.encode(u16::MAX).is_err() {
            return self
                .fail(ticket, RequestError::DoesNotFit("a display has rows 0 and 1 of 16 characters"));
        }
        if !self.reachable() {
            return self.fail(ticket, RequestError::Down(self.status.words.clone()));
        }
        if let Some(at) = self.rows.iter().position(|old| (old.output, old.row) == (output, row)) {
            let old = self.rows.swap_remove(at);
            self.supersede(old.sending.as_ref(), old.ticket, now);
        }
        let sending = Sending::new(now, Some(now + self.config.patience));
        self.rows.push(Row { output, row, text: text.into(), sending: Some(sending), ticket: Some(ticket) });
        ticket
    }

    /// Asks what part `index` is.
    pub fn part(&mut self, index: u8, now: Instant) -> Ticket {
        self.ask(ToBoard::Part { index }, now)
    }

    /// Asks for the board's counters.
    pub fn stats(&mut self, now: Instant) -> Ticket {
        self.ask(ToBoard::Stat, now)
    }

    /// Gives the board a name: 1..=12 of `A-Za-z0-9._-`.
    pub fn name(&mut self, name: &str, now: Instant) -> Ticket {
        self.ask(ToBoard::Id { name: name.into() }, now)
    }

    /// The line with which a host leaves: the board makes its outputs safe at once.
    #[must_use]
    pub fn farewell(&self) -> Option<Line> {
        if self.status.phase == Phase::Adopted { ToBoard::Bye.encode(0).ok() } else { None }
    }

    /// The next line to write, if one may go now. It counts as written.
    pub fn transmit(&mut self, now: Instant) -> Option<Line> {
        let line = self.pick(now);
        self.looked = line.is_none().then_some(now);
        line
    }

    fn pick(&mut self, now: Instant) -> Option<Line> {
        self.flight.pass(now);
        if let Some(seq) = self.gots.front().copied() {
            let line = self.fit(ToBoard::Got, seq, None)?;
            self.gots.pop_front();
            return Some(self.note(line, now));
        }
        if let Some(mut sending) = self.hi.take_if(|sending| sending.due <= now) {
            let lease_ms = u16::try_from(self.config.lease.as_millis()).unwrap_or(u16::MAX);
            let hi = ToBoard::Hi { session: self.number, lease_ms };
            let line = self.request(&mut sending, &hi, now);
            self.hi = Some(sending);
            if line.is_some() {
                return line;
            }
        }
        if let Some(mut sending) = self.who.take_if(|sending| sending.due <= now) {
            let line = self.fit(ToBoard::Who, 0, None);
            if line.is_some() {
                sending.written(now);
            }
            self.who = Some(sending);
            if let Some(line) = line {
                return Some(self.note(line, now));
            }
        }
        if self.status.phase != Phase::Adopted {
            return None;
        }
        self.transmit_set(now).or_else(|| self.transmit_row(now)).or_else(|| self.transmit_question(now))
    }

    fn transmit_set(&mut self, now: Instant) -> Option<Line> {
        for step in 0..OUTPUTS {
            let output = (self.turn + step) % OUTPUTS;
            let Some(mut set) = self.sets[output].take_if(|set| set.sending.due <= now) else { continue };
            let message =
                ToBoard::Set { output: u8::try_from(output).ok()?, value: set.value, lease_ms: set.lease_ms };
            let first = set.sending.seq == 0;
            let line = self.request(&mut set.sending, &message, now);
            if line.is_some() {
                if first
                    && set.lease_ms > 0
                    && let Some(wanted) = &mut self.wanted[output]
                {
                    // A lease counts from the first sending: a set repeated after a reset gets what is left of it.
                    let until = now + Duration::from_millis(u64::from(set.lease_ms));
                    wanted.until = Some(wanted.until.map_or(until, |earlier| earlier.min(until)));
                }
                self.turn = output + 1;
            }
            self.sets[output] = Some(set);
            if line.is_some() {
                return line;
            }
        }
        None
    }

    fn transmit_row(&mut self, now: Instant) -> Option<Line> {
        for at in 0..self.rows.len() {
            let row = &mut self.rows[at];
            let Some(mut sending) = row.sending.take_if(|sending| sending.due <= now) else { continue };
            let message = ToBoard::Text { output: row.output, row: row.row, text: row.text.clone() };
            let line = self.request(&mut sending, &message, now);
            self.rows[at].sending = Some(sending);
            if line.is_some() {
                return line;
            }
        }
        None
    }

    fn transmit_question(&mut self, now: Instant) -> Option<Line> {
        let mut question = self.questions.pop_front()?;
        let line = if question.sending.due <= now {
            self.request(&mut question.sending, &question.ask, now)
        } else {
            None
        };
        self.questions.push_front(question);
        line
    }

    /// When [`Self::tick`] and [`Self::transmit`] want to be called next, though nothing else happens.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let phase = self.status.phase;
        if phase == Phase::Closed {
            return None;
        }
        let waits = |sending: &Sending| {
            Some(sending.due).filter(|due| self.looked.is_none_or(|looked| *due > looked))
        };
        let mut next: Vec<Option<Instant>> = vec![
            self.expiries().min(),
            self.who.as_ref().and_then(waits),
            self.hi.as_ref().and_then(waits),
            self.flight.next_landing(),
        ];
        if matches!(phase, Phase::Listening | Phase::Adopting | Phase::Adopted) {
            next.push(Some(self.heard + self.config.silent_after));
        }
        if phase == Phase::Adopted {
            next.push(self.hi.is_none().then(|| self.keep_alive_due()));
            next.push(self.sets.iter().flatten().filter_map(|set| waits(&set.sending)).min());
            next.push(self.rows.iter().filter_map(|row| row.sending.as_ref()).filter_map(waits).min());
            next.push(self.questions.front().and_then(|question| waits(&question.sending)));
        }
        next.into_iter().flatten().min()
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant) {
        self.flight.pass(now);
        self.expire(now);
        let phase = self.status.phase;
        if matches!(phase, Phase::Listening | Phase::Adopting | Phase::Adopted)
            && now >= self.heard + self.config.silent_after
        {
            self.fall_silent(now);
        } else if phase == Phase::Adopted && self.hi.is_none() && now >= self.keep_alive_due() {
            self.hi = Some(Sending::new(now, None));
        }
    }

    fn keep_alive_due(&self) -> Instant {
        let every = KEEP_ALIVE.min(self.config.lease / 3);
        // The host must be heard, and the board must be: whichever was longer ago.
        self.sent.min(self.heard) + every
    }

    fn fall_silent(&mut self, now: Instant) {
        let words = if self.status.phase != Phase::Listening {
            format!("the board has said nothing for {:.1} s", self.config.silent_after.as_secs_f32())
        } else if self.status.counters.bad_frames + self.status.counters.texts > 0 {
            "something speaks on the line, but no board has said hello: wrong baud rate, other firmware, or a plain reader"
                .to_owned()
        } else {
            "nothing speaks on the line: no board, no firmware on it, or the wrong port".to_owned()
        };
        self.fresh = true;
        self.hi = None;
        self.flight.clear();
        self.status.forget_outputs();
        self.who = Some(Sending::new(now, None));
        self.enter(Phase::Silent, now, words);
    }

    fn frame(&mut self, frame: &Frame<'_>, now: Instant) {
        self.status.counters.frames += 1;
        let Ok(message) = FromBoard::parse(frame) else {
            self.status.counters.unknown += 1;
            return;
        };
        if let FromBoard::Hello(hello) = message {
            self.heard = now;
            return self.hello(hello, now);
        }
        if !matches!(self.status.phase, Phase::Adopting | Phase::Adopted) {
            // A board that was adopted before: it says hello when asked.
            if let Some(who) = &mut self.who {
                who.due = who.due.min(now);
            }
            return;
        }
        self.heard = now;
        match message {
            FromBoard::Hello(_) => {}
            FromBoard::Event { age_ms, happening } => {
                if self.status.phase == Phase::Adopted {
                    self.event(frame.seq, age(age_ms), happening, now);
                }
            }
            FromBoard::Ok(value) => self.answered(frame.seq, Ok(Answer::Value(value)), now),
            FromBoard::Is(part) => self.answered(frame.seq, Ok(Answer::Part(part)), now),
            FromBoard::Stats(stats) => self.answered(frame.seq, Ok(Answer::Stats(stats)), now),
            FromBoard::No(refusal) => self.answered(frame.seq, Err(refusal), now),
        }
    }

    fn hello(&mut self, hello: Hello, now: Instant) {
        self.status.ever_hello = true;
        if self.config.plain || hello.protocol != PROTOCOL {
            let words = if self.config.plain {
                format!(
                    "a board {} with firmware {} is on this port, which is configured for a plain reader: its text counts as no badge; configure it as a board",
                    hello.id, hello.firmware
                )
            } else {
                refusal(&hello)
            };
            (self.who, self.hi) = (None, None);
            self.fresh = true;
            self.status.forget_outputs();
            self.status.hello = Some(hello.into());
            self.fail_all(&RequestError::Down(words.clone()), now);
            if self.status.phase != Phase::Refused {
                self.enter(Phase::Refused, now, words);
            }
            return;
        }
        let old = self.status.hello.as_deref();
        if old.is_some_and(|old| old.id != hello.id) {
            self.seen.clear();
        }
        let afresh = self.fresh || old.is_none_or(|old| (old.boot, &old.id) != (hello.boot, &hello.id));
        self.status.hello = Some(hello.into());
        if afresh {
            // Another number makes the board state all it knows; the same number would only count as a sign of life.
            self.number = self.number.checked_add(1).unwrap_or(1);
            self.flight.clear();
            self.gots.clear();
            self.status.forget_outputs();
        }
        self.readopt(afresh, now);
    }

    /// Says `hi`, and prepares to assert all that is wanted.
    fn readopt(&mut self, afresh: bool, now: Instant) {
        self.fresh = false;
        self.heard = now;
        self.who = None;
        // One that is under way is on its way: saying it again at once would overrun the board's buffer.
        if afresh || self.hi.is_none() {
            self.hi = Some(Sending::new(now, None));
        }
        for output in 0..OUTPUTS {
            let left = self.wanted[output].and_then(|wanted| wanted.until).map(|until| {
                let left = until.saturating_duration_since(now).as_millis();
                u32::try_from(left).unwrap_or(MAX_NUMBER)
            });
            if left == Some(0) {
                self.wanted[output] = None;
                if let Some(set) = self.sets[output].take() {
                    self.end(set.ticket, Err(RequestError::LeaseOver));
                }
                continue;
            }
            match (&mut self.sets[output], self.wanted[output]) {
                // Under way in the same session: its number stays, so it is not done twice.
                (Some(_), _) if !afresh => {}
                (Some(set), _) => {
                    set.lease_ms = left.unwrap_or(set.lease_ms);
                    set.sending.renew(now);
                }
                (slot, Some(Wanted { value, .. })) => {
                    let lease_ms = left.unwrap_or(0);
                    let before = self.wanted[output];
                    *slot = Some(SetRequest {
                        sending: Sending::new(now, None),
                        ticket: None,
                        value,
                        lease_ms,
                        before,
                    });
                }
                (None, None) => {}
            }
        }
        for row in &mut self.rows {
            match &mut row.sending {
                Some(_) if !afresh => {}
                Some(sending) => sending.renew(now),
                None => row.sending = Some(Sending::new(now, None)),
            }
        }
        for question in &mut self.questions {
            question.sending.renew(now);
        }
        self.enter(Phase::Adopting, now, "a board said hello and is being adopted".to_owned());
    }

    fn adopted(&mut self, now: Instant) {
        self.status.adoptions += 1;
        let words = self.status.hello.as_deref().map_or_else(String::new, |hello| {
            let simulated = if hello.simulated() { ", simulated" } else { "" };
            format!(
                "board {} with firmware {}{simulated}, start {} ({})",
                hello.id, hello.firmware, hello.boot, hello.cause
            )
        });
        self.enter(Phase::Adopted, now, words);
    }

    fn event(&mut self, seq: u16, age: Duration, happening: Happening, now: Instant) {
        let Some(boot) = self.status.hello.as_deref().map(|hello| hello.boot) else { return };
        if seq == 0 || self.gots.len() == GOTS {
            return;
        }
        if self.seen.contains(boot, seq) {
            self.status.counters.duplicates += 1;
        } else {
            if self.inputs.len() == INPUTS {
                return;
            }
            self.seen.insert(boot, seq);
            self.take_state(&happening, now);
            self.inputs.push_back(Input { happening, received: now, age, boot, seq });
        }
        self.gots.push_back(seq);
    }

    fn take_state(&mut self, happening: &Happening, now: Instant) {
        match *happening {
            Happening::Output { output, value, cause } => {
                let at = usize::from(output);
                if at >= OUTPUTS {
                    return;
                }
                self.status.outputs[at] = Some(value);
                self.status_changed = true;
                if cause == OutputCause::Lease && self.wanted[at].is_some_and(|wanted| wanted.until.is_some())
                {
                    self.wanted[at] = None;
                }
                match self.wanted[at] {
                    // The board thought that we were gone, through noise: it is alone now, and would wait for its next beacon.
                    _ if cause == OutputCause::Host => self.readopt(false, now),
                    // Told before a newer command, or in its stead: the answer to the same command again says what holds.
                    Some(wanted)
                        if wanted.value != value && self.sets[at].is_none() && wanted.until.is_none() =>
                    {
                        self.assert(at, wanted, now);
                    }
                    _ => {}
                }
            }
            Happening::Reader { reader, health } => {
                if let Some(slot) = self.status.readers.get_mut(usize::from(reader)) {
                    *slot = Some(health);
                    self.status_changed = true;
                }
            }
            Happening::Lost { count } => {
                self.status.counters.lost = count;
                self.status_changed = true;
            }
            Happening::Tag { .. }
            | Happening::Wiegand { .. }
            | Happening::Sun { .. }
            | Happening::Button { .. }
            | Happening::Value { .. } => {}
        }
    }

    fn assert(&mut self, output: usize, wanted: Wanted, now: Instant) {
        self.sets[output] = Some(SetRequest {
            sending: Sending::new(now, None),
            ticket: None,
            value: wanted.value,
            lease_ms: 0,
            before: Some(wanted),
        });
    }

    fn answered(&mut self, seq: u16, answer: Result<Answer, Refusal>, now: Instant) {
        if seq == 0 {
            return;
        }
        self.flight.landed(seq);
        if self.hi.take_if(|hi| hi.seq == seq).is_some() {
            if self.status.phase == Phase::Adopting {
                match answer {
                    Ok(Answer::Value(number)) if number == u32::from(self.number) => self.adopted(now),
                    Ok(_) => self.hi = Some(Sending::new(now + request::RESEND_MOST, None)),
                    Err(refusal) => {
                        self.hi = Some(Sending::new(now + request::RESEND_MOST, None));
                        let words = format!("the board said hello and will not be adopted: {refusal}");
                        self.enter(Phase::Adopting, now, words);
                    }
                }
            }
            return;
        }
        if answer == Err(Refusal::Hi) {
            // It forgot us: its lease ran out through noise. What is under way stays so.
            for set in self.sets.iter_mut().flatten().filter(|set| set.sending.seq == seq) {
                set.sending.renew(now);
            }
            return self.readopt(false, now);
        }
        let busy = answer == Err(Refusal::Busy);
        let later = now + request::RESEND_MOST / 5;
        for output in 0..OUTPUTS {
            let Some(mut set) = self.sets[output].take_if(|set| set.sending.seq == seq) else { continue };
            if busy && !set.sending.expired(now) {
                set.sending.renew(later);
                self.sets[output] = Some(set);
                return;
            }
            if let Ok(Answer::Value(value)) = answer {
                self.status.outputs[output] = Some(value);
                self.status_changed = true;
            } else {
                // Without a ticket nobody learns of it: not wanted any more, or it would be refused for ever.
                self.wanted[output] = set.ticket.and(set.before);
            }
            return self.end(set.ticket, answer.map_err(RequestError::Refused));
        }
        if let Some(row) =
            self.rows.iter_mut().find(|row| row.sending.as_ref().is_some_and(|sending| sending.seq == seq))
        {
            if busy {
                row.sending.iter_mut().for_each(|sending| sending.renew(later));
                return;
            }
            row.sending = None;
            let ticket = row.ticket.take();
            if answer.is_err() {
                self.rows.retain(|row| row.sending.is_some() || row.ticket.is_some());
            }
            return self.end(ticket, answer.map_err(RequestError::Refused));
        }
        if let Some(question) = self.questions.pop_front_if(|question| question.sending.seq == seq) {
            self.end(Some(question.ticket), answer.map_err(RequestError::Refused));
        }
    }

    /// Ends requests whose senders have waited long enough.
    fn expire(&mut self, now: Instant) {
        let waited = self.config.patience;
        for output in 0..OUTPUTS {
            let Some(set) = self.sets[output].take_if(|set| set.sending.expired(now)) else { continue };
            self.flight.abandoned(set.sending.seq, now);
            self.wanted[output] = set.before;
            // It may or may not have been done, so what was wanted before is said again.
            if let Some(before) = set.before.filter(|before| before.until.is_none()) {
                self.assert(output, before, now);
            }
            self.status.outputs[output] = None;
            self.status_changed = true;
            self.end(set.ticket, Err(RequestError::NoAnswer(waited)));
        }
        for at in 0..self.rows.len() {
            let row = &mut self.rows[at];
            let Some(sending) = row.sending.take_if(|sending| sending.expired(now)) else { continue };
            let ticket = row.ticket.take();
            self.flight.abandoned(sending.seq, now);
            self.end(ticket, Err(RequestError::NoAnswer(waited)));
        }
        while let Some(question) = self.questions.pop_front_if(|question| question.sending.expired(now)) {
            self.flight.abandoned(question.sending.seq, now);
            self.end(Some(question.ticket), Err(RequestError::NoAnswer(waited)));
        }
    }

    fn expiries(&self) -> impl Iterator<Item = Instant> {
        let sets = self.sets.iter().flatten().filter_map(|set| set.sending.expires);
        let rows = self.rows.iter().filter_map(|row| row.sending.as_ref()?.expires);
        let questions = self.questions.iter().filter_map(|question| question.sending.expires);
        sets.chain(rows).chain(questions)
    }

    /// Ends all that somebody waits for.
    fn fail_all(&mut self, error: &RequestError, now: Instant) {
        for output in 0..OUTPUTS {
            if let Some(set) = self.sets[output].take() {
                if set.ticket.is_some() {
                    self.wanted[output] = set.before;
                }
                self.supersede(Some(&set.sending), None, now);
                self.end(set.ticket, Err(error.clone()));
            }
        }
        for at in 0..self.rows.len() {
            self.rows[at].sending = None;
            let ticket = self.rows[at].ticket.take();
            self.end(ticket, Err(error.clone()));
        }
        while let Some(question) = self.questions.pop_front() {
            self.end(Some(question.ticket), Err(error.clone()));
        }
    }

    fn want(&mut self, output: u8, value: u32, lease_ms: u32, ticket: Option<Ticket>, now: Instant) {
        let at = usize::from(output);
        let mut before = self.wanted[at];
        if let Some(old) = self.sets[at].take() {
            if old.ticket.is_some() {
                // It never came to anything: what was wanted before it is what to go back to.
                before = old.before;
            }
            self.supersede(Some(&old.sending), old.ticket, now);
        }
        self.wanted[at] = Some(Wanted { value, until: None });
        let has = self.status.hello.as_ref().is_some_and(|hello| output < hello.caps.outputs);
        if self.reachable() && has {
            let sending = Sending::new(now, ticket.map(|_| now + self.config.patience));
            self.sets[at] = Some(SetRequest { sending, ticket, value, lease_ms, before });
        }
    }

    fn supersede(&mut self, sending: Option<&Sending>, ticket: Option<Ticket>, now: Instant) {
        if let Some(sending) = sending.filter(|sending| sending.seq != 0) {
            self.flight.abandoned(sending.seq, now);
        }
        self.end(ticket, Err(RequestError::Superseded));
    }

    fn ask(&mut self, ask: ToBoard, now: Instant) -> Ticket {
        let ticket = self.ticket();
        if ask.encode(u16::MAX).is_err() {
            return self.fail(ticket, RequestError::DoesNotFit("a name is 1 to 12 of A-Z a-z 0-9 . _ -"));
        }
        if !self.reachable() {
            return self.fail(ticket, RequestError::Down(self.status.words.clone()));
        }
        if self.questions.len() == QUESTIONS {
            return self.fail(ticket, RequestError::TooMany);
        }
        let sending = Sending::new(now, Some(now + self.config.patience));
        self.questions.push_back(Question { sending, ticket, ask });
        ticket
    }

    fn reachable(&self) -> bool {
        matches!(self.status.phase, Phase::Adopting | Phase::Adopted)
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    fn fail(&mut self, ticket: Ticket, error: RequestError) -> Ticket {
        self.end(Some(ticket), Err(error));
        ticket
    }

    fn end(&mut self, ticket: Option<Ticket>, result: Result<Answer, RequestError>) {
        if let Some(ticket) = ticket {
            self.done.push_back((ticket, result));
        }
    }

    fn enter(&mut self, phase: Phase, now: Instant, words: String) {
        (self.status.phase, self.status.since, self.status.words) = (phase, now, words);
        self.status_changed = true;
    }

    /// The line for a request if there is room; it takes its number with its first sending.
    fn request(&mut self, sending: &mut Sending, message: &ToBoard, now: Instant) -> Option<Line> {
        let first = sending.seq == 0;
        let seq = if first { self.next_seq } else { sending.seq };
        let line = self.fit(message.clone(), seq, Some(seq))?;
        if first {
            sending.seq = seq;
            self.next_seq = self.next_seq.checked_add(1).unwrap_or(1);
        } else {
            self.status.counters.resent += 1;
        }
        sending.written(now);
        self.flight.request(seq, line.as_bytes().len());
        self.sent = now;
        Some(line)
    }

    fn note(&mut self, line: Line, now: Instant) -> Line {
        self.flight.note(line.as_bytes().len(), now);
        self.sent = now;
        line
    }

    #[expect(clippy::needless_pass_by_value, reason = "most messages are made for this call")]
    fn fit(&self, message: ToBoard, seq: u16, flying: Option<u16>) -> Option<Line> {
        let line: Result<Line, BadFrame> = message.encode(seq);
        let line = line.ok()?;
        let buffer = self.status.hello.as_ref().map_or(64, |hello| usize::from(hello.buffer).max(64));
        self.flight.has_room(flying, line.as_bytes().len(), buffer).then_some(line)
    }
}

fn refusal(hello: &Hello) -> String {
    format!(
        "the board {} has firmware {}, which speaks protocol {}; this bridge speaks {PROTOCOL}: flash the firmware gw-1 of this release (`primrack board flash-help`)",
        hello.id, hello.firmware, hello.protocol
    )
}
