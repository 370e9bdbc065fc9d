//! Which script runs when: turns in a circle, sleeps, timers, things that are due.

use super::World;
use crate::clock::{Micros, micros};
use crate::host::Caller;
use crate::ids::PrimId;
use crate::object::Compiled;
use crate::view::{Chat, RegionEvent, Voice};
use primrack_lsl::vm::{Posted, ScriptId};
use primrack_lsl::{Event, Outcome, Script, Value};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// A script in a prim.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) prim: PrimId,
    pub(crate) name: String,
    pub(crate) what: Compiled,
    /// `None` while it runs, and for a script that does not compile.
    pub(crate) script: Option<Box<Script>>,
    /// As set by its owner or another script.
    pub(crate) running: bool,
    queued: bool,
    asleep: Option<(Micros, u64)>,
    timer: Option<Timer>,
    /// What `llGetTime` counts from.
    pub(crate) born: Micros,
    pub(crate) last_handle: i32,
    pub(crate) listens: usize,
    pub(crate) permissions: i32,
    pub(crate) granter: Uuid,
    /// Events posted to it by itself while it runs.
    inbox: Vec<Event>,
    /// Events under way to it from the data servers.
    delayed: usize,
    /// When it got answers of 500 and above.
    pub(crate) bad_answers: VecDeque<Micros>,
    /// No calls until then.
    pub(crate) cut_off: Micros,
}

#[derive(Debug, Clone, Copy)]
struct Timer {
    every: Micros,
    due: (Micros, u64),
}

/// What is due at some time.
#[derive(Debug)]
pub(crate) enum Wake {
    /// A sleep is over.
    Sleeper(ScriptId),
    /// A timer.
    Timer(ScriptId),
    /// An event arrives.
    Event(ScriptId, Event),
    /// A call has taken too long.
    CallOver(Uuid),
    /// The answer of a slow call arrives.
    Answer(Uuid, crate::net::client::Reply),
    /// A request reaches its script.
    Deliver(Uuid),
    /// A request has waited too long.
    RequestOver(Uuid),
    /// The region comes up.
    Up,
}

/// Other tasks of the program get their turn at the latest after so long and one slice.
const THREAD: Duration = Duration::from_millis(4);
/// Events that may be under way to one script.
const DELAYED: usize = 64;
/// Events that a script may post to itself in one turn.
const INBOX: usize = 128;

impl Slot {
    pub(crate) fn new(prim: PrimId, name: &str, what: Compiled, id: ScriptId, now: Micros) -> Self {
        Self {
            prim,
            name: name.to_owned(),
            script: what.start(id),
            what,
            running: true,
            queued: false,
            asleep: None,
            timer: None,
            born: now,
            last_handle: 0,
            listens: 0,
            permissions: 0,
            granter: Uuid::nil(),
            inbox: Vec::new(),
            delayed: 0,
            bad_answers: VecDeque::new(),
            cut_off: 0,
        }
    }
}

impl World {
    /// Puts an event into a script's queue.
    pub(crate) fn post(&mut self, id: ScriptId, event: Event) -> Posted {
        let executing = self.executing == Some(id);
        let Some(slot) = self.scripts.get_mut(&id) else { return Posted::Stopped };
        if executing {
            // It is out of its slot: the event waits until it is back.
            if slot.inbox.len() >= INBOX {
                return Posted::Dropped;
            }
            slot.inbox.push(event);
            return Posted::Queued;
        }
        let Some(script) = &mut slot.script else { return Posted::Stopped };
        if !slot.running {
            return Posted::Dropped;
        }
        let posted = script.post(event);
        if matches!(posted, Posted::Queued | Posted::Merged) {
            self.make_ready(id);
        }
        posted
    }

    /// The same by name.
    pub(crate) fn send(&mut self, id: ScriptId, name: &str, args: Vec<Value>) -> Posted {
        Event::new(name, args).map_or(Posted::Ignored, |e| self.post(id, e))
    }

    /// Sends an event that takes its time, unless too many are under way.
    pub(crate) fn send_later(&mut self, id: ScriptId, seconds: f64, name: &str, args: Vec<Value>) {
        let Some(event) = Event::new(name, args) else { return };
        let Some(slot) = self.scripts.get_mut(&id) else { return };
        if slot.delayed >= DELAYED {
            return;
        }
        slot.delayed += 1;
        self.wake_in(seconds, Wake::Event(id, event));
    }

    pub(crate) fn wake_in(&mut self, seconds: f64, what: Wake) -> (Micros, u64) {
        self.wake_at(self.clock.now() + micros(seconds), what)
    }

    fn wake_at(&mut self, at: Micros, what: Wake) -> (Micros, u64) {
        self.wake_count += 1;
        let key = (at, self.wake_count);
        self.wakes.insert(key, what);
        key
    }

    pub(crate) fn unwake(&mut self, key: (Micros, u64)) {
        self.wakes.remove(&key);
    }

    pub(crate) fn make_ready(&mut self, id: ScriptId) {
        let up = self.up;
        if let Some(slot) = self.scripts.get_mut(&id)
            && !slot.queued
            && slot.asleep.is_none()
            && slot.running
            && up
        {
            slot.queued = true;
            self.ready.push_back(id);
        }
    }

    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// When something is due next.
    pub(crate) fn next_wake(&self) -> Option<Micros> {
        self.wakes.first_key_value().map(|((at, _), _)| *at)
    }

    pub(crate) fn set_timer(&mut self, id: ScriptId, seconds: f64) {
        self.stop_timer(id);
        if seconds.is_nan() || seconds <= 0.0 {
            return;
        }
        // No grid rings faster than its frames.
        let every = micros(seconds.max(if self.settings.profile.is_opensim() { 0.1 } else { 0.045 }));
        let due = self.wake_at(self.clock.now() + every, Wake::Timer(id));
        if let Some(slot) = self.scripts.get_mut(&id) {
            slot.timer = Some(Timer { every, due });
        }
    }

    pub(crate) fn stop_timer(&mut self, id: ScriptId) {
        if let Some(t) = self.scripts.get_mut(&id).and_then(|s| s.timer.take()) {
            self.unwake(t.due);
        }
    }

    /// Forgets that a script sleeps, when it is reset or removed.
    pub(crate) fn stop_sleep(&mut self, id: ScriptId) {
        if let Some(key) = self.scripts.get_mut(&id).and_then(|s| s.asleep.take()) {
            self.unwake(key);
        }
    }

    /// Does what is due. Says whether anything was.
    pub(crate) fn fire_due(&mut self) -> bool {
        let mut any = false;
        // While the region is down, only its coming up counts; what was due then is due when it is up.
        while let Some((&key, what)) = self.wakes.first_key_value() {
            if key.0 > self.clock.now() {
                break;
            }
            if !self.up && !matches!(what, Wake::Up) {
                let Some(what) = self.wakes.remove(&key) else { break };
                self.postpone(key, what);
                continue;
            }
            let Some(what) = self.wakes.remove(&key) else { break };
            any = true;
            self.fire(key, what);
        }
        any
    }

    /// Moves what fell due while the region is down to just after it is up.
    fn postpone(&mut self, key: (Micros, u64), what: Wake) {
        let up = self.wakes.iter().find(|(_, w)| matches!(w, Wake::Up)).map_or(key.0, |((at, _), _)| *at);
        let later = (up + 1, key.1);
        match &what {
            Wake::Sleeper(id) => {
                if let Some(s) = self.scripts.get_mut(id) {
                    s.asleep = Some(later);
                }
            }
            Wake::Timer(id) => {
                if let Some(t) = self.scripts.get_mut(id).and_then(|s| s.timer.as_mut()) {
                    t.due = later;
                }
            }
            _ => {}
        }
        self.wakes.insert(later, what);
    }

    fn fire(&mut self, key: (Micros, u64), what: Wake) {
        match what {
            Wake::Sleeper(id) => {
                if let Some(slot) = self.scripts.get_mut(&id)
                    && slot.asleep == Some(key)
                {
                    slot.asleep = None;
                    self.make_ready(id);
                }
            }
            Wake::Timer(id) => {
                let now = self.clock.now();
                let Some(every) =
                    self.scripts.get(&id).and_then(|s| s.timer).filter(|t| t.due == key).map(|t| t.every)
                else {
                    return;
                };
                let due = self.wake_at((key.0 + every).max(now + 1), Wake::Timer(id));
                if let Some(slot) = self.scripts.get_mut(&id) {
                    slot.timer = Some(Timer { every, due });
                }
                self.send(id, "timer", Vec::new());
            }
            Wake::Event(id, event) => {
                if let Some(slot) = self.scripts.get_mut(&id) {
                    slot.delayed = slot.delayed.saturating_sub(1);
                }
                self.post(id, event);
            }
            Wake::CallOver(id) => self.call_over(id),
            Wake::Answer(id, reply) => self.answered(id, reply),
            Wake::Deliver(id) => self.deliver(id),
            Wake::RequestOver(id) => self.request_over(id),
            Wake::Up => self.come_up(),
        }
    }

    /// Gives up to `turns` scripts a turn each, for about as long as the region may keep its thread to itself.
    pub(crate) fn run_scripts(&mut self, turns: usize) {
        let began = Instant::now();
        for _ in 0..turns {
            if !self.up || began.elapsed() > THREAD {
                return;
            }
            let Some(id) = self.ready.pop_front() else { return };
            self.run_one(id);
        }
    }

    fn run_one(&mut self, id: ScriptId) {
        let Some(slot) = self.scripts.get_mut(&id) else { return };
        slot.queued = false;
        if !slot.running || slot.asleep.is_some() {
            return;
        }
        let prim = slot.prim;
        let Some(mut script) = slot.script.take() else { return };
        self.executing = Some(id);
        let slice = self.settings.slice;
        let outcome = script.run_slice(&mut Caller::new(self, id, prim), slice);
        self.executing = None;
        let Some(slot) = self.scripts.get_mut(&id) else { return };
        if slot.script.is_none() {
            slot.script = Some(script);
        }
        let inbox = std::mem::take(&mut slot.inbox);
        match outcome {
            Outcome::Idle => {}
            Outcome::Preempted => self.make_ready(id),
            Outcome::Sleeping(seconds) => {
                let key = self.wake_in(seconds, Wake::Sleeper(id));
                if let Some(slot) = self.scripts.get_mut(&id) {
                    slot.asleep = Some(key);
                }
            }
            Outcome::Stopped(error) => self.script_stopped(id, &error),
        }
        for event in inbox {
            self.post(id, event);
        }
    }

    fn script_stopped(&mut self, id: ScriptId, error: &primrack_lsl::RuntimeError) {
        self.stop_timer(id);
        let Some(slot) = self.scripts.get(&id) else { return };
        let (prim, script) = (slot.prim, slot.name.clone());
        let Some(p) = self.prim(prim) else { return };
        tracing::debug!(object = %p.name, script, line = error.line, %error, "a script stopped");
        let (object, from, name) = (p.object, p.key, p.name.to_string());
        let message = error.message.clone();
        let text = format!("{name} [script:{script}] Script run-time error (line {}): {message}", error.line);
        self.tell(RegionEvent::Chat(Chat {
            voice: Voice::Debug,
            from,
            name,
            to: None,
            text,
            position: self.place_of(prim).0,
        }));
        self.tell(RegionEvent::ScriptError { object, prim, script, message, line: error.line });
    }

    /// Everything a script asked for ends: listens, timer, URLs, permissions.
    pub(crate) fn forget_wishes(&mut self, id: ScriptId) {
        self.stop_timer(id);
        self.end_listens(id);
        self.release_urls_of(id);
        let now = self.clock.now();
        if let Some(slot) = self.scripts.get_mut(&id) {
            slot.permissions = 0;
            slot.granter = Uuid::nil();
            slot.born = now;
            slot.inbox.clear();
        }
    }
}
