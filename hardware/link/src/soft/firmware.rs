//! What the software board does, without I/O: the board's half of `hardware/PROTOCOL.md`, after the contract and not after the C++.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use smol_str::SmolStr;

use crate::decoder::{Decoder, Item};
use crate::frame::{Frame, Line};
use crate::message::{
    BadMessage, Capabilities, FromBoard, Happening, Hello, OutputCause, PROTOCOL, Part, ReaderHealth,
    Refusal, ResetCause, Stats, ToBoard,
};

const BEACON: Duration = Duration::from_secs(2);
const RESEND: Duration = Duration::from_millis(250);
const MOST_OUT: usize = 4;
const HAPPENINGS: usize = 8;
/// Answers that wait to be written. A host keeps to the announced buffer, so there are never more.
const ANSWERS: usize = 16;

/// What an output is, and what it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputKind {
    /// 0 off, 1 on.
    Relay,
    /// A tower of lamps, six bits.
    Lamp,
    /// NeoPixels, a colour of 24 bits.
    Pixels,
    /// A servo lock: 0 locked, 1 open.
    Lock,
    /// A tone in Hz, 31 to 5000, or 0.
    Buzzer,
    /// A display of two rows.
    Lcd,
}

impl OutputKind {
    /// The word on the wire.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Lamp => "lamp",
            Self::Pixels => "pixels",
            Self::Lock => "lock",
            Self::Buzzer => "buzzer",
            Self::Lcd => "lcd",
        }
    }

    fn takes(self, value: u32) -> bool {
        match self {
            Self::Relay | Self::Lock => value <= 1,
            Self::Lamp => value <= 63,
            Self::Pixels => value <= 0xFF_FFFF,
            Self::Buzzer => value == 0 || (31..=5000).contains(&value),
            Self::Lcd => value == 0,
        }
    }
}

/// What a software board pretends to have.
#[derive(Debug, Clone)]
pub struct SoftConfig {
    /// Its name, 1..=12 of `A-Za-z0-9._-`.
    pub id: SmolStr,
    /// Its firmware, at most 8 characters. The default begins with `soft-`, which says that it is simulated.
    pub firmware: SmolStr,
    /// The protocol it announces; another than [`PROTOCOL`] is for tests of refusals.
    pub protocol: u16,
    /// The number of its first start.
    pub boot: u16,
    /// Its receive buffer in bytes.
    pub buffer: u16,
    /// Kind and name of each reader, `("rc522", "door")`.
    pub readers: Vec<(SmolStr, SmolStr)>,
    /// Names of its buttons.
    pub buttons: Vec<SmolStr>,
    /// Names of its analogue inputs.
    pub analogue: Vec<SmolStr>,
    /// Kind and name of each output.
    pub outputs: Vec<(OutputKind, SmolStr)>,
}

impl Default for SoftConfig {
    /// A door: reader, button, sensor; relay, lamp tower, lock, display.
    fn default() -> Self {
        Self {
            id: "soft-door".into(),
            firmware: "soft-1.0".into(),
            protocol: PROTOCOL,
            boot: 1,
            buffer: 127,
            readers: vec![("rc522".into(), "door".into())],
            buttons: vec!["bell".into()],
            analogue: vec!["light".into()],
            outputs: vec![
                (OutputKind::Relay, "latch".into()),
                (OutputKind::Lamp, "tower".into()),
                (OutputKind::Lock, "bolt".into()),
                (OutputKind::Lcd, "display".into()),
            ],
        }
    }
}

/// An output as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoftOutput {
    /// What it is.
    pub kind: OutputKind,
    /// Its name.
    pub name: SmolStr,
    /// Its value.
    pub value: u32,
    /// How often its value changed since the program began, resets included: edges of its pin.
    pub edges: u64,
    /// How many sets it executed.
    pub executed: u64,
    /// Rows of a display.
    pub rows: [SmolStr; 2],
}

#[derive(Debug)]
struct Output {
    shown: SoftOutput,
    until: Option<Instant>,
    last: Option<u16>,
}

#[derive(Debug, Clone)]
struct Pending {
    happening: Happening,
    at: Instant,
    /// Its number, once it was sent.
    seq: Option<u16>,
    due: Instant,
}

/// Which state a slot holds: only its newest is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    Output(u8),
    Reader(u8),
    Value(u8),
    Lost,
}

/// The board, without its line.
#[derive(Debug)]
pub struct Firmware {
    config: SoftConfig,
    boot: u16,
    cause: ResetCause,
    session: Option<u16>,
    lease: Duration,
    heard: Instant,
    decoder: Decoder,
    next_seq: u16,
    hello_due: Option<Instant>,
    outputs: Vec<Output>,
    values: Vec<u16>,
    readers: Vec<ReaderHealth>,
    happenings: VecDeque<Pending>,
    states: BTreeMap<Slot, Pending>,
    answers: VecDeque<Line>,
    stats: Stats,
}

impl Firmware {
    /// A board that starts `now`, its power just come.
    #[must_use]
    pub fn new(config: SoftConfig, now: Instant) -> Self {
        let outputs = config
            .outputs
            .iter()
            .map(|(kind, name)| Output {
                shown: SoftOutput {
                    kind: *kind,
                    name: name.clone(),
                    value: 0,
                    edges: 0,
                    executed: 0,
                    rows: Default::default(),
                },
                until: None,
                last: None,
            })
            .collect();
        let mut board = Self {
            boot: config.boot.wrapping_sub(1),
            cause: ResetCause::PowerOn,
            session: None,
            lease: Duration::ZERO,
            heard: now,
            decoder: Decoder::default(),
            next_seq: 1,
            hello_due: None,
            outputs,
            values: vec![0; config.analogue.len()],
            readers: vec![ReaderHealth::Ok; config.readers.len()],
            happenings: VecDeque::new(),
            states: BTreeMap::new(),
            answers: VecDeque::new(),
            stats: Stats { free_ram: 900, ..Stats::default() },
            config,
        };
        board.reset(ResetCause::PowerOn, now);
        board
    }

    /// Starts afresh: outputs safe, memory gone, a new boot number, hello at once.
    pub fn reset(&mut self, cause: ResetCause, now: Instant) {
        self.boot = self.boot.wrapping_add(1);
        self.cause = cause;
        match cause {
            ResetCause::BrownOut => self.stats.brown_outs = self.stats.brown_outs.saturating_add(1),
            ResetCause::Watchdog => self.stats.watchdogs = self.stats.watchdogs.saturating_add(1),
            ResetCause::PowerOn | ResetCause::External | ResetCause::Software | ResetCause::Unknown => {}
        }
        (self.stats.bad_frames, self.stats.lost) = (0, 0);
        self.session = None;
        self.decoder.reset();
        self.next_seq = 1;
        self.happenings.clear();
        self.states.clear();
        self.answers.clear();
        for index in 0..self.outputs.len() {
            self.outputs[index].last = None;
            self.outputs[index].shown.rows = Default::default();
            self.make(index, 0);
            self.state_output(index, OutputCause::Reset, now);
        }
        self.hello_due = Some(now);
    }

    /// The outputs as they are.
    #[must_use]
    pub fn outputs(&self) -> Vec<SoftOutput> {
        self.outputs.iter().map(|output| output.shown.clone()).collect()
    }

    /// Whether a host has adopted it.
    #[must_use]
    pub fn adopted(&self) -> bool {
        self.session.is_some()
    }

    /// The number of this start.
    #[must_use]
    pub fn boot(&self) -> u16 {
        self.boot
    }

    /// Something happens at the board: a badge, a button, a value, a reader's health.
    pub fn happen(&mut self, happening: Happening, now: Instant) {
        let pending = Pending { happening, at: now, seq: None, due: now };
        match happening {
            Happening::Value { index, value } => {
                if let Some(slot) = self.values.get_mut(usize::from(index)) {
                    *slot = value;
                    self.states.insert(Slot::Value(index), pending);
                }
            }
            Happening::Reader { reader, health } => {
                if let Some(slot) = self.readers.get_mut(usize::from(reader)) {
                    *slot = health;
                    self.states.insert(Slot::Reader(reader), pending);
                }
            }
            Happening::Output { .. } | Happening::Lost { .. } => {}
            Happening::Tag { .. }
            | Happening::Wiegand { .. }
            | Happening::Sun { .. }
            | Happening::Button { .. } => {
                if self.happenings.len() == HAPPENINGS {
                    self.happenings.pop_front();
                    self.stats.lost = self.stats.lost.saturating_add(1);
                    let happening = Happening::Lost { count: u32::from(self.stats.lost) };
                    self.states.insert(Slot::Lost, Pending { happening, at: now, seq: None, due: now });
                }
                self.happenings.push_back(pending);
            }
        }
    }

    /// Bytes came from the host.
    pub fn receive(&mut self, bytes: &[u8], now: Instant) {
        let mut decoder = std::mem::take(&mut self.decoder);
        decoder.feed(bytes, |item| match item {
            Item::Frame(frame) => self.frame(&frame, now),
            Item::Bad(_) => self.stats.bad_frames = self.stats.bad_frames.saturating_add(1),
            Item::Text(_) => {}
        });
        self.decoder = decoder;
    }

    /// When something is to be done next, though nothing comes.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let leases = self.outputs.iter().filter_map(|output| output.until);
        let silence = self.session.map(|_| self.heard + self.lease);
        let events = self.sendable().map(|pending| pending.due);
        leases.chain(silence).chain(self.hello_due).chain(events).min()
    }

    /// Events that may go when their time comes.
    fn sendable(&self) -> impl Iterator<Item = &Pending> {
        let may = self.may_send();
        self.happenings.iter().chain(self.states.values()).filter(move |pending| may(pending))
    }

    fn may_send(&self) -> impl Fn(&Pending) -> bool + use<> {
        let adopted = self.session.is_some();
        let out = self.happenings.iter().chain(self.states.values()).filter(|one| one.seq.is_some()).count();
        move |one| {
            if adopted {
                one.seq.is_some() || out < MOST_OUT
            } else {
                one.seq.is_none() && Self::is_happening(&one.happening)
            }
        }
    }

    /// Time has passed: leases end, a silent host is given up.
    pub fn tick(&mut self, now: Instant) {
        for index in 0..self.outputs.len() {
            if self.outputs[index].until.is_some_and(|until| until <= now) {
                self.make(index, 0);
                self.state_output(index, OutputCause::Lease, now);
            }
        }
        if self.session.is_some() && self.heard + self.lease <= now {
            self.leave(now);
        }
    }

    /// The next line to write.
    pub fn transmit(&mut self, now: Instant) -> Option<Line> {
        if let Some(line) = self.answers.pop_front() {
            return Some(line);
        }
        if self.hello_due.is_some_and(|due| due <= now) {
            self.hello_due = self.session.is_none().then_some(now + BEACON);
            return FromBoard::Hello(self.hello()).encode(0).ok();
        }
        let may = self.may_send();
        let next_seq = &mut self.next_seq;
        let mut pending = self.happenings.iter_mut().chain(self.states.values_mut());
        let pending = pending.find(|one| one.due <= now && may(one))?;
        let seq = *pending.seq.get_or_insert_with(|| {
            let seq = *next_seq;
            *next_seq = seq.checked_add(1).unwrap_or(1);
            seq
        });
        pending.due = now + RESEND;
        let age_ms = u16::try_from((now - pending.at).as_millis()).unwrap_or(u16::MAX);
        FromBoard::Event { age_ms, happening: pending.happening }.encode(seq).ok()
    }

    fn is_happening(happening: &Happening) -> bool {
        matches!(
            happening,
            Happening::Tag { .. }
                | Happening::Wiegand { .. }
                | Happening::Sun { .. }
                | Happening::Button { .. }
        )
    }

    fn hello(&self) -> Hello {
        let count = |len: usize| u8::try_from(len).unwrap_or(9).min(9);
        Hello {
            protocol: self.config.protocol,
            firmware: self.config.firmware.clone(),
            id: self.config.id.clone(),
            boot: self.boot,
            cause: self.cause,
            buffer: self.config.buffer,
            caps: Capabilities {
                readers: count(self.config.readers.len()),
                buttons: count(self.config.buttons.len()),
                analogue: count(self.config.analogue.len()),
                outputs: count(self.outputs.len()),
            },
        }
    }

    fn frame(&mut self, frame: &Frame<'_>, now: Instant) {
        let message = ToBoard::parse(frame);
        if message != Ok(ToBoard::Who) {
            self.heard = now;
        }
        let answer = match message {
            Ok(ToBoard::Who) => {
                self.hello_due = Some(now);
                return;
            }
            Ok(ToBoard::Ping) => return,
            Ok(ToBoard::Bye) => return self.leave(now),
            Ok(ToBoard::Got) => return self.got(frame.seq),
            Ok(ToBoard::Hi { session, lease_ms }) if (500..=60_000).contains(&lease_ms) => {
                self.adopt(session, Duration::from_millis(u64::from(lease_ms)), now);
                FromBoard::Ok(u32::from(session))
            }
            Ok(ToBoard::Set { .. } | ToBoard::Text { .. }) if self.session.is_none() => {
                FromBoard::No(Refusal::Hi)
            }
            Ok(ToBoard::Set { output, value, lease_ms }) => self.set(frame.seq, output, value, lease_ms, now),
            Ok(ToBoard::Text { output, row, text }) => self.text(output, row, &text),
            Ok(ToBoard::Part { index }) => self.part(index),
            Ok(ToBoard::Stat) => FromBoard::Stats(self.stats),
            Ok(ToBoard::Id { name }) => {
                self.config.id = name;
                self.hello_due = Some(now);
                FromBoard::Ok(1)
            }
            Ok(ToBoard::Hi { .. }) | Err(BadMessage::Args) => FromBoard::No(Refusal::Arg),
            // An answer to what was not asked is ignored; anything else unknown is refused.
            Err(BadMessage::Verb) if matches!(frame.verb, "ok" | "no" | "is" | "stats") => return,
            Err(BadMessage::Verb) => FromBoard::No(Refusal::Verb),
        };
        if frame.seq != 0
            && self.answers.len() < ANSWERS
            && let Ok(line) = answer.encode(frame.seq)
        {
            self.answers.push_back(line);
        }
    }

    fn adopt(&mut self, session: u16, lease: Duration, now: Instant) {
        self.lease = lease;
        if self.session == Some(session) {
            return;
        }
        self.session = Some(session);
        self.hello_due = None;
        for index in 0..self.outputs.len() {
            self.outputs[index].last = None;
            let key = u8::try_from(index).unwrap_or(u8::MAX);
            // A cause that the host has not heard yet says more than the adoption.
            if !self.states.contains_key(&Slot::Output(key)) {
                self.state_output(index, OutputCause::Adopted, now);
            }
        }
        for (index, value) in (0_u8..).zip(self.values.clone()) {
            self.happen(Happening::Value { index, value }, now);
        }
        for (reader, health) in (0_u8..).zip(self.readers.clone()) {
            self.happen(Happening::Reader { reader, health }, now);
        }
        for pending in &mut self.happenings {
            pending.due = now;
        }
    }

    fn leave(&mut self, now: Instant) {
        if self.session.take().is_none() {
            return;
        }
        for index in 0..self.outputs.len() {
            let was = self.outputs[index].shown.value;
            self.make(index, 0);
            if was != 0 {
                self.state_output(index, OutputCause::Host, now);
            }
        }
        self.hello_due = Some(now);
    }

    fn got(&mut self, seq: u16) {
        self.happenings.retain(|pending| pending.seq != Some(seq));
        self.states.retain(|_, pending| pending.seq != Some(seq));
    }

    fn set(&mut self, seq: u16, output: u8, value: u32, lease_ms: u32, now: Instant) -> FromBoard {
        let index = usize::from(output);
        let Some(slot) = self.outputs.get_mut(index) else { return FromBoard::No(Refusal::Out) };
        if !slot.shown.kind.takes(value) {
            return FromBoard::No(Refusal::Arg);
        }
        if seq == 0 || slot.last != Some(seq) {
            slot.last = Some(seq);
            slot.shown.executed += 1;
            self.make(index, value);
            self.outputs[index].until =
                (lease_ms > 0).then(|| now + Duration::from_millis(u64::from(lease_ms)));
            self.states.remove(&Slot::Output(output));
        }
        FromBoard::Ok(self.outputs[index].shown.value)
    }

    fn text(&mut self, output: u8, row: u8, text: &str) -> FromBoard {
        let Some(slot) = self.outputs.get_mut(usize::from(output)) else {
            return FromBoard::No(Refusal::Out);
        };
        if slot.shown.kind != OutputKind::Lcd || row > 1 || text.len() > 16 {
            return FromBoard::No(Refusal::Arg);
        }
        slot.shown.rows[usize::from(row)] = text.trim_end().into();
        slot.shown.value = 1;
        FromBoard::Ok(1)
    }

    fn part(&self, index: u8) -> FromBoard {
        let SoftConfig { readers, buttons, analogue, outputs, .. } = &self.config;
        let readers = readers.iter().cloned();
        let buttons = buttons.iter().map(|name| (SmolStr::new_static("button"), name.clone()));
        let analogue = analogue.iter().map(|name| (SmolStr::new_static("analog"), name.clone()));
        let outputs = outputs.iter().map(|(kind, name)| (SmolStr::new_static(kind.word()), name.clone()));
        match readers.chain(buttons).chain(analogue).chain(outputs).nth(usize::from(index)) {
            Some((kind, name)) => FromBoard::Is(Part { index, kind, name }),
            None => FromBoard::No(Refusal::Out),
        }
    }

    /// Gives an output a value without lease.
    fn make(&mut self, index: usize, value: u32) {
        let output = &mut self.outputs[index];
        output.until = None;
        if output.shown.value != value {
            output.shown.edges += 1;
            output.shown.value = value;
        }
        if output.shown.kind == OutputKind::Lcd && value == 0 {
            output.shown.rows = Default::default();
        }
    }

    fn state_output(&mut self, index: usize, cause: OutputCause, now: Instant) {
        let Ok(output) = u8::try_from(index) else { return };
        let happening = Happening::Output { output, value: self.outputs[index].shown.value, cause };
        self.states.insert(Slot::Output(output), Pending { happening, at: now, seq: None, due: now });
    }
}
