//! What a board means to the bridge: pure, by a clock that the caller brings.
//!
//! ```text
//! line up / down, happenings, answers ─┐            ┌─▶ set, text           (to the board)
//! orders of the engine ────────────────┼─▶ [`Core`] ─┼─▶ shown, reply        (to the engine)
//! states of followed targets ──────────┘            └─▶ ask, audit, keep     (to edge and journal)
//! ```

mod badge;
mod doors;
mod outputs;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use primrack_adapter_api::AdapterError;
use primrack_link::message::{Happening, OutputCause};
use primrack_model::{Action, Actor, Observation, Power, RefusalCode, TargetId};
use smol_str::SmolStr;

use crate::alarm::{Alarm, Phase};
use crate::badges::Badges;
use crate::config::{AlarmSource, Plan, Thing};
use crate::guard::Guard;
pub(crate) use badge::{Asking, Verdict};
pub(crate) use doors::Door;
use outputs::Slot;

/// Milliseconds of a clock that only goes forward.
pub(crate) type Ms = u64;

/// A happening older than this is refused.
pub(crate) const STALE: Duration = Duration::from_secs(2);
/// A set that the board has not answered for so long has failed.
const ANSWER_MS: Ms = 2000;

/// Names an order until it is answered.
pub(crate) type Token = u64;

/// What comes in.
#[derive(Debug)]
pub(crate) enum Input {
    /// The board was adopted.
    Up,
    /// The line is lost, and why.
    Down(String),
    /// Something happened at the board: its own name for it, and how long ago.
    Happened { boot: u16, seq: u16, age: Duration, what: Happening },
    /// The answer to a set.
    Answered { set: u64, result: Result<u32, String> },
    /// What outputs are by the session's book, which also knows the answers to what it asserted by itself.
    Stated(Vec<(u8, u32)>),
    /// The engine's command.
    Order { address: SmolStr, action: Action, token: Token },
    /// What a target of the bridge shows.
    Target(TargetId, Power),
    /// Whether the bridge is read-only.
    Emergency(bool),
    /// What was decided about a badge or button.
    Decided(Verdict),
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(crate) enum Effect {
    /// Tell the board, and say what it answers.
    Set { set: u64, index: u8, value: u32, lease_ms: u32 },
    /// Keep an output at a value, now and after every adoption.
    Hold { index: u8, value: u32 },
    /// Show a line on the LCD.
    Text { index: u8, row: u8, text: String },
    /// Tell the engine what an address is.
    Shown(SmolStr, Observation),
    /// Answer an order.
    Reply(Token, Result<(), AdapterError>),
    /// Somebody wants something.
    Ask(Box<Asking>),
    /// To the journal.
    Audit { class: &'static str, subject: String, words: String },
    /// Remember over restarts.
    Keep { key: String, value: String },
}

/// What survives a restart of the bridge, by key.
pub(crate) type Kept = HashMap<String, String>;

/// One board.
#[derive(Debug)]
pub(crate) struct Core {
    name: SmolStr,
    plan: Arc<Plan>,
    badges: Badges,
    guard: Guard,
    /// Why the line is down; none while it is up.
    down: Option<String>,
    slots: BTreeMap<u8, Slot>,
    doors: BTreeMap<SmolStr, Door>,
    alarms: BTreeMap<SmolStr, Alarm>,
    flags: BTreeMap<SmolStr, bool>,
    powers: HashMap<TargetId, Power>,
    emergency: bool,
    counters: HashMap<SmolStr, u32>,
    lcd_until: Option<Ms>,
    next_set: u64,
    effects: Vec<Effect>,
}

impl Core {
    pub(crate) fn new(name: SmolStr, plan: Arc<Plan>, badges: Badges, kept: &Kept) -> Self {
        let mut slots = BTreeMap::new();
        let mut doors = BTreeMap::new();
        let mut alarms = BTreeMap::new();
        let mut flags = BTreeMap::new();
        for (address, thing) in &plan.things {
            match thing {
                Thing::Output { index, .. } => {
                    slots.insert(*index, Slot { takes_over: true, ..Slot::default() });
                }
                Thing::Flag => {
                    let on = kept.get(&format!("flag/{address}")).is_some_and(|kept| kept == "on");
                    flags.insert(address.clone(), on);
                }
                Thing::Door { lock, .. } => {
                    if let Some(lock) = lock {
                        slots.insert(*lock, Slot::default());
                    }
                    doors.insert(address.clone(), Door::default());
                }
                Thing::Alarm { source, settle_ms } => {
                    let phase = match kept.get(&format!("alarm/{address}")).map(String::as_str) {
                        Some("sounding") => Phase::Sounding,
                        Some("acknowledged") => Phase::Acknowledged,
                        _ => Phase::Quiet,
                    };
                    alarms.insert(address.clone(), Alarm::new(source.clone(), *settle_ms, phase));
                }
            }
        }
        for index in plan.followers.keys() {
            slots.entry(*index).or_default();
        }
        for index in [plan.buzzer, plan.lamp, plan.lcd].into_iter().flatten() {
            slots.entry(index).or_default();
        }
        let counters = kept
            .iter()
            .filter_map(|(key, value)| Some((SmolStr::new(key.strip_prefix("sun/")?), value.parse().ok()?)))
            .collect();
        // What the followers are to show goes out with the first input.
        let mut core = Self {
            name,
            plan,
            badges,
            guard: Guard::default(),
            down: Some("the board has not been found yet".to_owned()),
            slots,
            doors,
            alarms,
            flags,
            powers: HashMap::new(),
            emergency: false,
            counters,
            lcd_until: None,
            next_set: 1,
            effects: Vec::new(),
        };
        core.follow();
        core
    }

    /// Takes one input at a time that never goes back, and says what is to be done.
    pub(crate) fn handle(&mut self, now: Ms, input: Input) -> Vec<Effect> {
        match input {
            Input::Up => self.up(now),
            Input::Down(why) => self.line_lost(&why),
            Input::Happened { boot, seq, age, what } => self.happened(now, (boot, seq), age, what),
            Input::Answered { set, result } => self.answered(now, set, result),
            Input::Stated(outputs) => self.stated(&outputs),
            Input::Order { address, action, token } => self.order(now, &address, action, token),
            Input::Target(target, power) => self.target(now, target, power),
            Input::Emergency(on) => {
                self.emergency = on;
                self.follow();
            }
            Input::Decided(verdict) => self.decided(now, verdict),
            Input::Tick => {}
        }
        self.tick(now);
        std::mem::take(&mut self.effects)
    }

    /// When [`Input::Tick`] is due at the latest.
    pub(crate) fn due(&self) -> Option<Ms> {
        let slots = self.slots.values().filter_map(Slot::due);
        let doors = self.doors.values().filter_map(Door::due);
        let alarms = self.alarms.values().filter_map(Alarm::due);
        slots.chain(doors).chain(alarms).chain(self.lcd_until).min()
    }

    /// What an address is now; none where there is no such address.
    pub(crate) fn observe(&self, address: &str) -> Option<Observation> {
        match self.plan.things.get(address)? {
            Thing::Flag => Some(Observation::of(on_or_off(*self.flags.get(address)?))),
            Thing::Output { index, look } => Some(match (&self.down, self.slots[index].reported) {
                (Some(why), _) => unreachable_words(why),
                (None, None) => Observation::unknown("the board has not said what it is"),
                (None, Some(value)) => {
                    Observation::of(look.power(value)).with_detail(&self.slots[index].words)
                }
            }),
            Thing::Door { lock, .. } => Some(match (&self.down, lock) {
                (Some(why), Some(_)) => unreachable_words(why),
                _ => self.doors[address].observe(),
            }),
            Thing::Alarm { source, .. } => {
                let alarm = &self.alarms[address];
                Some(match (&self.down, source) {
                    (Some(why), AlarmSource::Sensor { .. }) if alarm.phase == Phase::Quiet => {
                        unreachable_words(why)
                    }
                    _ => Observation::of(alarm.phase.power()).with_detail(alarm.detail()),
                })
            }
        }
    }

    /// What outputs are, as far as the board has said, by number.
    pub(crate) fn outputs(&self) -> BTreeMap<u8, u32> {
        self.slots.iter().filter_map(|(index, slot)| Some((*index, slot.reported?))).collect()
    }

    /// The badges, to name who is there.
    pub(crate) fn badges(&self) -> &Badges {
        &self.badges
    }
    /// From now on these are known and no others.
    pub(crate) fn change_badges(&mut self, badges: Badges) {
        self.badges.become_those(badges);
    }

    fn show(&mut self, address: &SmolStr) {
        if let Some(seen) = self.observe(address) {
            self.effects.push(Effect::Shown(address.clone(), seen));
        }
    }

    fn show_all(&mut self) {
        let addresses: Vec<SmolStr> = self.plan.things.keys().cloned().collect();
        for address in &addresses {
            self.show(address);
        }
    }

    fn happened(&mut self, now: Ms, origin: (u16, u16), age: Duration, what: Happening) {
        match what {
            Happening::Tag { reader, uid } => self.tag(now, reader, uid.as_bytes(), origin, age),
            Happening::Wiegand { reader, code } => {
                let bytes = code.payload.to_be_bytes();
                let from = if code.bits == 26 { 1 } else { 0 };
                self.tag(now, reader, &bytes[from..], origin, age);
            }
            Happening::Sun { reader, message } => self.sun(now, reader, &message, origin, age),
            Happening::Button { index, pressed } => self.button(index, pressed, origin, age),
            Happening::Value { index, value } => {
                let changed: Vec<SmolStr> = self
                    .alarms
                    .iter_mut()
                    .filter(|(_, alarm)| matches!(alarm.source, AlarmSource::Sensor { index: of, .. } if of == index))
                    .filter_map(|(address, alarm)| alarm.sensed(now, value).then(|| address.clone()))
                    .collect();
                changed.iter().for_each(|address| self.alarm_changed(address));
            }
            Happening::Output { output, value, cause } => self.output_said(now, output, value, cause),
            Happening::Reader { reader, health } => {
                let name = &self.name;
                if health != primrack_link::message::ReaderHealth::Ok {
                    let subject = format!("{name}/reader-{reader}");
                    let words = format!("the board says that its reader {reader} is {health}");
                    self.effects.push(Effect::Audit { class: "reader", subject, words });
                }
            }
            Happening::Lost { count } => {
                let words = format!("the board dropped {count} events since it started: its queue was full");
                self.effects.push(Effect::Audit { class: "lost", subject: self.name.to_string(), words });
            }
        }
    }

    fn order(&mut self, now: Ms, address: &SmolStr, action: Action, token: Token) {
        let Some(thing) = self.plan.things.get(address) else {
            let reply = Err(AdapterError::NotFound(address.to_string()));
            return self.effects.push(Effect::Reply(token, reply));
        };
        let plan = Arc::clone(&self.plan);
        let on = match action {
            Action::Start => true,
            // A plug pulled is a lamp off, too: no more is asked of either.
            Action::SoftOff | Action::HardOff => false,
            Action::Pause if matches!(thing, Thing::Alarm { .. }) => false,
            other => {
                let words = format!("a board cannot {other} anything");
                return self.effects.push(Effect::Reply(token, Err(AdapterError::NotSupported(words))));
            }
        };
        match &plan.things[address] {
            Thing::Flag => {
                self.flags.insert(address.clone(), on);
                let value = if on { "on" } else { "off" }.to_owned();
                self.effects.push(Effect::Keep { key: format!("flag/{address}"), value });
                self.show(address);
                self.effects.push(Effect::Reply(token, Ok(())));
            }
            Thing::Output { index, look } => {
                let value = look.of(on_or_off(on));
                self.order_set(now, *index, value, None, token);
            }
            Thing::Door { open_ms, lock } => self.order_door(now, address, (*open_ms, *lock), on, token),
            Thing::Alarm { .. } => self.order_alarm(now, address, action, token),
        }
    }

    fn order_alarm(&mut self, now: Ms, address: &SmolStr, action: Action, token: Token) {
        let Some(alarm) = self.alarms.get_mut(address) else { return };
        let done = match action {
            Action::Start => alarm.raise(now),
            _ => alarm.acknowledge(),
        };
        let reply = if done {
            Ok(())
        } else {
            let phase = alarm.phase.power();
            let word = primrack_model::TargetKind::Alarm.word(phase).to_lowercase();
            Err(AdapterError::Refused(format!("it is {word}")))
        };
        if done {
            self.alarm_changed(address);
        }
        self.effects.push(Effect::Reply(token, reply));
    }

    /// Its new phase is kept first: a latch that a restart forgets is none.
    fn alarm_changed(&mut self, address: &SmolStr) {
        let value = match self.alarms[address].phase {
            Phase::Quiet => "quiet",
            Phase::Sounding => "sounding",
            Phase::Acknowledged => "acknowledged",
        };
        self.effects.push(Effect::Keep { key: format!("alarm/{address}"), value: value.to_owned() });
        self.show(address);
    }

    fn target(&mut self, now: Ms, target: TargetId, power: Power) {
        if power != Power::Unknown {
            let changed: Vec<SmolStr> = self
                .alarms
                .iter_mut()
                .filter(|(_, alarm)| alarm.source == AlarmSource::CrashOf(target.clone()))
                .filter_map(|(address, alarm)| {
                    alarm.caused(now, power == Power::Crashed).then(|| address.clone())
                })
                .collect();
            changed.iter().for_each(|address| self.alarm_changed(address));
        }
        self.powers.insert(target, power);
        self.follow();
    }

    fn tick(&mut self, now: Ms) {
        self.overdue_sets(now);
        self.close_doors(now);
        let settled: Vec<SmolStr> = self
            .alarms
            .iter_mut()
            .filter_map(|(address, alarm)| alarm.settled(now).then(|| address.clone()))
            .collect();
        settled.iter().for_each(|address| self.alarm_changed(address));
        if self.lcd_until.is_some_and(|until| now >= until) {
            self.lcd_until = None;
            if let Some(lcd) = self.plan.lcd {
                self.put(now, lcd, 0, 0, outputs::Then::Nothing);
            }
        }
    }
}

fn on_or_off(on: bool) -> Power {
    if on { Power::On } else { Power::Off }
}

fn unreachable_words(why: &str) -> Observation {
    Observation::unknown(format!("the line to the board is down: {why}"))
}

/// A refusal in as many characters as an LCD has.
pub(crate) fn short_words(code: RefusalCode, is: &str) -> String {
    match code {
        RefusalCode::NotPermitted | RefusalCode::Forbidden => "Not allowed".to_owned(),
        RefusalCode::NoTarget => "No such target".to_owned(),
        RefusalCode::NotSupported => "Not possible".to_owned(),
        RefusalCode::WrongState => format!("Is {}", is.to_lowercase()),
        RefusalCode::Busy => "Busy, wait".to_owned(),
        RefusalCode::Stale => "No answer".to_owned(),
        RefusalCode::TooMany => "Locked out".to_owned(),
        RefusalCode::Journal => "Out of order".to_owned(),
        RefusalCode::NotOffered => "Too late".to_owned(),
        RefusalCode::ShuttingDown => "Restarting".to_owned(),
        RefusalCode::ReadOnly => "All is stopped".to_owned(),
    }
}
