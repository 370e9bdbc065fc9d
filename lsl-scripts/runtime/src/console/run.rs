//! Running one script at a prompt: chat goes to a writer, time is virtual, there is no world.

use crate::check;
use crate::diagnostic::Diagnostics;
use crate::error::RuntimeError;
use crate::host::{ForcedSleep, Host, HostReturn, Then};
use crate::library::LinksetData;
use crate::profile::Profile;
use crate::tables::Function;
use crate::value::{NULL_KEY, Value};
use crate::vm::{Event, Outcome, Script, ScriptId};
use std::io::{self, Write};

/// How a script is run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunOptions {
    /// The grid it runs as.
    pub profile: Profile,
    /// Virtual seconds after which the run ends, for scripts with a timer that never stops.
    pub seconds: f64,
    /// Instructions after which the run ends.
    pub instructions: u64,
    /// What `llGetUnixTime` begins with, seconds since 1970.
    pub start_time: f64,
    /// Seed of `llFrand` and its relatives: the same seed gives the same run.
    pub seed: u64,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            profile: Profile::SecondLife,
            seconds: 60.0,
            instructions: 2_000_000_000,
            start_time: 0.0,
            seed: 1,
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum RunEnd {
    /// No timer, no event, nothing left to do.
    Idle,
    /// The virtual time or the instructions of [`RunOptions`] are used up.
    TimeUp,
    /// A run-time error, already written to the output.
    Stopped(RuntimeError),
    /// The script deleted itself.
    Died,
}

/// Why a script could not be run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It does not compile.
    #[error("the script does not compile")]
    Check(Diagnostics),
    /// The output cannot be written.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
}

/// Compiles a script, runs it from `state_entry` on, writes what it says to `out`, and comes back when it is idle.
///
/// The world is simulated and nearly empty: an owner and an object with the null key's neighbours for UUIDs, chat that
/// nobody answers, a timer and sleeps on a virtual clock. A function that needs more stops the script and says so.
///
/// # Errors
///
/// [`RunError`]; a run-time error of the script is a normal [`RunEnd`].
pub fn run_source(source: &str, options: RunOptions, out: &mut dyn Write) -> Result<RunEnd, RunError> {
    let program = crate::check(source, options.profile).map_err(RunError::Check)?;
    let mut script = Script::new(program, ScriptId(0));
    let mut host = ConsoleHost::new(options, out);
    let end = host.drive(&mut script, options);
    if let Some(e) = host.failed.take() {
        return Err(e.into());
    }
    Ok(end)
}

/// Checks without running: the same diagnostics that [`run_source`] would give.
#[must_use]
pub fn check_source(source: &str, profile: Profile) -> Diagnostics {
    check::diagnose(source, profile)
}

struct ConsoleHost<'a> {
    out: &'a mut dyn Write,
    failed: Option<io::Error>,
    /// Virtual seconds since the start.
    clock: f64,
    start: f64,
    /// What `llGetTime` counts from.
    reset_at: f64,
    timer: Option<(f64, f64)>,
    random: u64,
    data: LinksetData,
    name: String,
    description: String,
    died: bool,
    handles: i32,
}

const OWNER: &str = "00000000-0000-0000-0000-00000000a001";
const OBJECT: &str = "00000000-0000-0000-0000-00000000b001";

impl<'a> ConsoleHost<'a> {
    fn new(options: RunOptions, out: &'a mut dyn Write) -> Self {
        Self {
            out,
            failed: None,
            clock: 0.0,
            start: options.start_time,
            reset_at: 0.0,
            timer: None,
            random: options.seed | 1,
            data: LinksetData::default(),
            name: "Object".to_owned(),
            description: String::new(),
            died: false,
            handles: 0,
        }
    }

    fn drive(&mut self, script: &mut Script, options: RunOptions) -> RunEnd {
        const SLICE: u64 = 1_000_000;
        let mut left = options.instructions;
        loop {
            let outcome = script.run_slice(self, SLICE);
            if self.died {
                return RunEnd::Died;
            }
            match outcome {
                Outcome::Preempted => {
                    left = left.saturating_sub(SLICE);
                    if left == 0 {
                        return RunEnd::TimeUp;
                    }
                }
                Outcome::Sleeping(s) => self.advance(self.clock + s, script),
                Outcome::Stopped(e) => {
                    let line = format!("[script error] line {}: {e}", e.line);
                    self.write(&line);
                    return RunEnd::Stopped(e);
                }
                Outcome::Idle => match self.timer {
                    None => return RunEnd::Idle,
                    Some((due, _)) => self.advance(due, script),
                },
            }
            if self.clock > options.seconds {
                return RunEnd::TimeUp;
            }
        }
    }

    /// Moves the clock and rings the timer as often as it is due; the queue keeps one.
    fn advance(&mut self, to: f64, script: &mut Script) {
        self.clock = self.clock.max(to);
        if let Some((due, every)) = &mut self.timer
            && *due <= self.clock
        {
            *due = self.clock + *every;
            if let Some(e) = Event::new("timer", Vec::new()) {
                script.post(e);
            }
        }
    }

    fn write(&mut self, line: &str) {
        if self.failed.is_none()
            && let Err(e) = writeln!(self.out, "{line}")
        {
            self.failed = Some(e);
        }
    }

    fn say(&mut self, how: &str, channel: i32, text: &str) {
        let line = match (how, channel) {
            ("", 0) => format!("{}: {text}", self.name),
            ("", c) => format!("{} (channel {c}): {text}", self.name),
            (how, 0) => format!("{} {how}: {text}", self.name),
            (how, c) => format!("{} {how} (channel {c}): {text}", self.name),
        };
        self.write(&line);
    }
}

fn text(args: &[Value], i: usize) -> &str {
    match args.get(i) {
        Some(Value::Str(s) | Value::Key(s)) => s,
        _ => "",
    }
}

fn int(args: &[Value], i: usize) -> i32 {
    match args.get(i) {
        Some(Value::Integer(n)) => *n,
        _ => 0,
    }
}

fn float(args: &[Value], i: usize) -> f64 {
    match args.get(i) {
        Some(Value::Float(x)) => *x,
        _ => 0.0,
    }
}

impl Host for ConsoleHost<'_> {
    fn call(&mut self, function: &'static Function, args: &[Value]) -> Result<HostReturn, RuntimeError> {
        let mut sleep = ForcedSleep::Table;
        let mut then = Then::Continue;
        let mut value = Value::Integer(0);
        match function.name {
            "llOwnerSay" => {
                let line = text(args, 0).to_owned();
                self.write(&line);
            }
            "llSay" => self.say("", int(args, 0), text(args, 1)),
            "llWhisper" => self.say("whispers", int(args, 0), text(args, 1)),
            "llShout" => self.say("shouts", int(args, 0), text(args, 1)),
            "llRegionSay" => self.say("says in the region", int(args, 0), text(args, 1)),
            "llRegionSayTo" => self.say(&format!("says to {}", text(args, 0)), int(args, 1), text(args, 2)),
            "llInstantMessage" => self.say(&format!("writes to {}", text(args, 0)), 0, text(args, 1)),
            "llSetText" => {
                let line = format!("[text above the object] {}", text(args, 0));
                self.write(&line);
            }
            "llSetTimerEvent" => {
                let every = float(args, 0);
                self.timer = (every > 0.0).then(|| (self.clock + every.max(0.02), every.max(0.02)));
            }
            "llGetTime" => value = Value::Float(self.clock - self.reset_at),
            "llResetTime" => self.reset_at = self.clock,
            "llGetAndResetTime" => {
                value = Value::Float(self.clock - self.reset_at);
                self.reset_at = self.clock;
            }
            "llGetTimeOfDay" | "llGetRegionTimeDilation" => value = Value::Float(1.0),
            "llGetOwner" | "llGetCreator" | "llGetOwnerKey" => value = Value::key(OWNER),
            "llGetKey" | "llGetLinkKey" => value = Value::key(OBJECT),
            "llGetObjectName" => value = Value::str(self.name.as_str()),
            "llSetObjectName" => text(args, 0).clone_into(&mut self.name),
            "llGetObjectDesc" => value = Value::str(self.description.as_str()),
            "llSetObjectDesc" => text(args, 0).clone_into(&mut self.description),
            "llGetScriptName" => value = Value::str("script"),
            "llGetRegionName" => value = Value::str("console (simulated)"),
            "llGetStartParameter" | "llGetLinkNumber" | "llGetPermissions" => {}
            "llGetNumberOfPrims" | "llGetObjectPrimCount" => value = Value::Integer(1),
            "llGetPermissionsKey" => value = Value::key(NULL_KEY),
            "llListen" => {
                self.handles += 1;
                value = Value::Integer(self.handles);
            }
            "llListenRemove" | "llListenControl" | "llMinEventDelay" | "llSetTouchText" | "llSetSitText" => {}
            "llDie" => {
                self.died = true;
                then = Then::EndHandler;
                sleep = ForcedSleep::Seconds(0.0);
            }
            name => return Err(RuntimeError::unsupported(name)),
        }
        Ok(HostReturn { value, sleep, then })
    }

    fn unix_time(&mut self) -> f64 {
        self.start + self.clock
    }

    fn random(&mut self) -> f64 {
        // xorshift64*: small, good enough, the same on every machine.
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        let bits = self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11;
        bits as f64 / (1u64 << 53) as f64
    }

    fn linkset_data(&mut self) -> &mut LinksetData {
        &mut self.data
    }

    fn linkset_data_changed(&mut self, _action: i32, _name: &str, _value: &str) {}

    fn script_reset(&mut self) {
        self.timer = None;
        self.reset_at = self.clock;
    }

    fn print(&mut self, text: &str) {
        self.write(text);
    }
}
