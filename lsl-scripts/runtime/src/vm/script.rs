//! One running copy of a program.

use super::code::{NO_HANDLER, Program};
use super::event::{Event, Posted, Queue};
use super::interpret::{Frame, Pause};
use crate::error::{ErrorKind, RuntimeError};
use crate::host::Host;
use crate::profile::Profile;
use crate::tables::{self, EventId};
use crate::value::Value;
use std::sync::{Arc, LazyLock};

/// The caller's name for a script; the machine only keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScriptId(pub u64);

/// Why [`Script::run_slice`] came back.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Nothing to do until an event is posted.
    Idle,
    /// The budget is used up; there is more to do.
    Preempted,
    /// The script sleeps that many seconds. Call again once they have passed, not before.
    Sleeping(f64),
    /// A run-time error; the script does nothing until it is reset.
    Stopped(RuntimeError),
}

/// What a script may use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Bytes of script memory, counted as the grid counts.
    pub memory: usize,
    /// Functions calling each other.
    pub depth: usize,
    /// Instructions between two events or sleeps, over state changes and resets of the script by itself, each of which
    /// counts as ten thousand. No grid has this limit: they let such a script run and everything around it suffer.
    pub runaway: u64,
}

impl Limits {
    /// What the grid grants by default: 64 KiB on Second Life (Mono), 1 MiB of data in YEngine.
    #[must_use]
    pub const fn of(profile: Profile) -> Self {
        Self {
            memory: if profile.is_opensim() { 1 << 20 } else { 1 << 16 },
            depth: 4_096,
            runaway: 200_000_000,
        }
    }
}

/// A handler that runs or sleeps.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) stack: Vec<Value>,
    pub(crate) frames: Vec<Frame>,
    /// The event being handled, for `llDetected…`.
    pub(crate) event: Option<Event>,
}

/// What comes after the running handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The next event.
    Event,
    /// The default state's `state_entry`: the global variables were just set.
    Begin,
    /// That state's `state_entry`: `state_exit` of the present one is running.
    Enter(u16),
}

/// One copy of a program: its variables, its state, its queue.
#[derive(Debug)]
pub struct Script {
    id: ScriptId,
    pub(crate) program: Arc<Program>,
    pub(crate) globals: Box<[Value]>,
    pub(crate) state: u16,
    queue: Queue,
    /// Only while something runs: an idle script keeps nothing.
    pub(crate) work: Option<Box<Work>>,
    pub(crate) next: Next,
    started: bool,
    error: Option<Box<RuntimeError>>,
    pub(crate) limits: Limits,
    /// Instructions since the last event or sleep, and [`CHANGE`] for each change of state or reset.
    pub(crate) spent: u64,
    /// Memory found at the last count.
    pub(crate) used: usize,
    /// Bytes put into values since then.
    pub(crate) fresh: usize,
    pub(crate) peak: usize,
}

pub(crate) static STATE_ENTRY: LazyLock<EventId> =
    LazyLock::new(|| tables::event("state_entry").unwrap_or(EventId(0)));
pub(crate) static STATE_EXIT: LazyLock<EventId> =
    LazyLock::new(|| tables::event("state_exit").unwrap_or(EventId(0)));

impl Script {
    /// A fresh copy: at the first slice it sets its global variables and runs `state_entry`.
    #[must_use]
    pub fn new(program: Arc<Program>, id: ScriptId) -> Self {
        let limits = Limits::of(program.profile);
        let globals = program.globals.clone().into_boxed_slice();
        let used = program.code_size;
        Self {
            id,
            program,
            globals,
            state: 0,
            queue: Queue::default(),
            work: None,
            next: Next::Event,
            started: false,
            error: None,
            limits,
            spent: 0,
            used,
            fresh: 0,
            peak: used,
        }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The caller's name for it.
    #[must_use]
    pub const fn id(&self) -> ScriptId {
        self.id
    }

    /// What it runs.
    #[must_use]
    pub const fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// Back to the beginning: default state, first values, empty queue, error forgotten.
    pub fn reset(&mut self) {
        self.globals = self.program.globals.clone().into_boxed_slice();
        self.state = 0;
        self.queue.clear();
        self.work = None;
        self.next = Next::Event;
        self.started = false;
        self.error = None;
        self.spent = 0;
        self.used = self.program.code_size;
        self.fresh = 0;
        self.peak = self.used;
    }

    /// Puts an event into the queue.
    pub fn post(&mut self, event: Event) -> Posted {
        if self.error.is_some() {
            return Posted::Stopped;
        }
        let handled = if self.program.profile.is_opensim() {
            // YEngine keeps events that any state could handle, and looks again when it takes them out.
            self.program.handles(event.id)
        } else {
            self.handler(self.state, event.id).is_some()
        };
        if !handled {
            return Posted::Ignored;
        }
        self.queue.post(event, self.program.profile)
    }

    /// Runs for about `budget` instructions.
    pub fn run_slice(&mut self, host: &mut dyn Host, budget: u64) -> Outcome {
        if let Some(e) = &self.error {
            return Outcome::Stopped((**e).clone());
        }
        // Less would not get past a call.
        let mut budget = budget.max(64);
        loop {
            if self.work.is_none() && !self.take_work() {
                return Outcome::Idle;
            }
            let pause = if self.program.profile.single_precision() {
                self.execute::<true>(host, &mut budget)
            } else {
                self.execute::<false>(host, &mut budget)
            };
            // Handlers without loops and calls cost something too.
            budget = budget.saturating_sub(16);
            match pause {
                Pause::Preempted => return Outcome::Preempted,
                Pause::Sleep(seconds) => {
                    self.spent = 0;
                    return Outcome::Sleeping(seconds);
                }
                Pause::Done => self.finished(host),
                Pause::State(to) => self.change_state(to, host),
                Pause::Reset => {
                    let spent = self.spent;
                    self.reset();
                    self.spent = spent;
                    host.script_reset();
                }
                Pause::Failed(e) => {
                    self.work = None;
                    self.queue.clear();
                    self.error = Some(Box::new(e.clone()));
                    return Outcome::Stopped(e);
                }
            }
            if budget == 0 {
                let busy = self.work.is_some() || self.queue.len() > 0 || !self.started;
                return if busy { Outcome::Preempted } else { Outcome::Idle };
            }
        }
    }

    fn handler(&self, state: u16, event: EventId) -> Option<u16> {
        let f = self.program.states[usize::from(state)].handlers[usize::from(event.0)];
        (f != NO_HANDLER).then_some(f)
    }

    /// Begins the next handler; `false` if there is none.
    fn take_work(&mut self) -> bool {
        if !self.started {
            self.started = true;
            self.next = Next::Begin;
            self.begin(self.program.init, None);
            return true;
        }
        while let Some(event) = self.queue.next() {
            self.spent = 0;
            if let Some(f) = self.handler(self.state, event.id) {
                self.begin(f, Some(event));
                return true;
            }
        }
        false
    }

    fn begin(&mut self, body: u16, event: Option<Event>) {
        let b = &self.program.bodies[usize::from(body)];
        let mut stack = vec![Value::Integer(0); usize::from(b.registers)];
        if let Some(e) = &event {
            for (slot, v) in stack.iter_mut().zip(&e.args) {
                *slot = v.clone();
            }
        }
        let frames = vec![Frame { body, pc: 0, base: 0 }];
        self.work = Some(Box::new(Work { stack, frames, event }));
    }

    /// A handler came to its end.
    fn finished(&mut self, host: &mut dyn Host) {
        self.work = None;
        match std::mem::replace(&mut self.next, Next::Event) {
            Next::Event => {}
            Next::Begin => {
                if let Some(f) = self.handler(0, *STATE_ENTRY) {
                    self.begin(f, None);
                }
            }
            Next::Enter(to) => self.enter(to, host),
        }
    }

    /// `state to;` was met.
    fn change_state(&mut self, to: u16, host: &mut dyn Host) {
        self.work = None;
        if let Next::Enter(_) = self.next {
            // In state_exit: the last word counts, state_exit does not run again.
            self.next = Next::Event;
            self.enter(to, host);
            return;
        }
        if to == self.state {
            // Neither engine does anything but end the handler.
            return;
        }
        if let Some(f) = self.handler(self.state, *STATE_EXIT) {
            self.next = Next::Enter(to);
            self.begin(f, None);
        } else {
            self.enter(to, host);
        }
    }

    fn enter(&mut self, to: u16, host: &mut dyn Host) {
        self.state = to;
        self.queue.clear();
        host.state_changed();
        if let Some(f) = self.handler(to, *STATE_ENTRY) {
            self.begin(f, None);
        }
    }

    /// Name of the state it is in.
    #[must_use]
    pub fn state(&self) -> &str {
        &self.program.states[usize::from(self.state)].name
    }

    /// The run-time error that stopped it.
    #[must_use]
    pub fn error(&self) -> Option<&RuntimeError> {
        self.error.as_deref()
    }

    /// Whether a handler is under way: running, preempted or asleep.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        self.work.is_some()
    }

    /// Events that wait.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// The value of a global variable, for tests and tools.
    #[must_use]
    pub fn global(&self, name: &str) -> Option<&Value> {
        let at = self.program.global_names.iter().position(|n| n == name)?;
        self.globals.get(at)
    }

    /// Bytes of script memory in use, counted as the grid counts.
    #[must_use]
    pub fn memory_used(&self) -> usize {
        let profile = self.program.profile;
        let mut used = self.program.code_size + self.queue.size(profile);
        used += self.globals.iter().map(|v| v.memory_size(profile)).sum::<usize>();
        if let Some(w) = &self.work {
            used += w.frames.len() * FRAME;
            used += w.stack.iter().map(|v| v.memory_size(profile)).sum::<usize>();
        }
        used
    }

    /// Bytes of script memory it may use.
    #[must_use]
    pub const fn memory_limit(&self) -> usize {
        self.limits.memory
    }

    /// Bytes that this copy takes of the host machine's memory; the program is shared and not counted.
    #[must_use]
    pub fn footprint(&self) -> usize {
        fn deep(v: &Value) -> usize {
            match v {
                Value::Str(s) | Value::Key(s) if s.len() > 23 => s.len() + 40,
                Value::List(l) => 40 + l.iter().map(|v| size_of::<Value>() + deep(v)).sum::<usize>(),
                _ => 0,
            }
        }
        let mut n = size_of::<Self>() + self.globals.len() * size_of::<Value>() + self.queue.heap();
        n += self.globals.iter().map(deep).sum::<usize>();
        if let Some(w) = &self.work {
            n += size_of::<Work>()
                + w.stack.capacity() * size_of::<Value>()
                + w.frames.capacity() * size_of::<Frame>();
            n += w.stack.iter().map(deep).sum::<usize>();
        }
        n
    }

    /// Counts the memory after `fresh` bytes went into values.
    ///
    /// # Errors
    ///
    /// More is in use than the limit.
    #[cold]
    pub(crate) fn count_memory(&mut self) -> Result<(), RuntimeError> {
        self.used = self.memory_used();
        self.fresh = 0;
        self.peak = self.peak.max(self.used);
        if self.used > self.limits.memory {
            let text =
                if self.program.profile.is_opensim() { "OutOfHeapException" } else { "Stack-Heap Collision" };
            return Err(RuntimeError::new(
                ErrorKind::StackHeapCollision,
                format!("{text}: the script uses {} of {} bytes", self.used, self.limits.memory),
            ));
        }
        Ok(())
    }
}

/// What a change of state or a reset counts as: the region has listens to end, and a script that does nothing else is to
/// be found out within a second.
pub(crate) const CHANGE: u64 = 10_000;
/// What it takes of a slice.
pub(crate) const CHANGE_BUDGET: u64 = 64;

/// Script memory that a function call takes besides its variables.
pub(crate) const FRAME: usize = 32;
