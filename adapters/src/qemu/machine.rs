//! What is known of one machine.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use primrack_adapter_api::AdapterError;
use primrack_model::{Cause, Load, Observation, Power};
use qapi::qmp::{MigrationStatus, RunState};
use smol_str::SmolStr;
use tokio::sync::watch;

use crate::local::{Handle, Recent, Stat};

use super::client::Qmp;
use super::{MachineConfig, map};

#[derive(Debug)]
pub(super) struct Machine {
    pub(super) name: SmolStr,
    pub(super) config: MachineConfig,
    /// It was made here and is not in the configuration.
    pub(super) is_clone: bool,
    /// Held while something is done to it.
    pub(super) busy: Arc<tokio::sync::Mutex<()>>,
    pub(super) state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) version: u64,
    pub(super) phase: Phase,
    pub(super) recent: Recent,
    /// CPU ticks at a moment, for the share since then.
    pub(super) sample: Option<(u64, Instant)>,
}

#[derive(Debug)]
pub(super) enum Phase {
    Ended(Observation),
    /// Nothing runs, its memory is in a file.
    Saved,
    /// It ended to come back, and is being started.
    Returning,
    Live(Live),
}

#[derive(Debug)]
pub(super) struct Live {
    pub(super) handle: Arc<Handle>,
    pub(super) qmp: Link,
    /// What QEMU said of it last, on this connection.
    pub(super) status: Option<RunState>,
    pub(super) ready: bool,
    /// It told that it ends, or that its guest panicked, which mostly comes to the same. Until it is gone nothing is asked of it:
    /// QEMU 7.2 was seen to wait for ever when a command came while it was ending.
    pub(super) closing: Option<Closing>,
    pub(super) asked: Option<Asked>,
    /// It reads its memory from the saved file.
    pub(super) restoring: bool,
    /// It reads its memory from a snapshot.
    pub(super) reverting: bool,
    /// How a save goes.
    pub(super) migration: watch::Sender<Option<MigrationStatus>>,
    /// What went wrong with it, for people.
    pub(super) trouble: Option<String>,
}

/// The connection to a running QEMU.
#[derive(Debug, Clone)]
pub(super) enum Link {
    /// QEMU was just started, its socket is not there yet.
    Coming,
    Up(Arc<Qmp>),
    /// It runs and does not answer.
    Lost,
}

/// What an end that has begun shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    Stopping,
    Panicked,
}

/// It was told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) how: How,
    /// Shown as stopping until then; afterwards it shows that it goes on.
    pub(super) until: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// By its power button.
    Button,
    /// By ending QEMU.
    Quit,
    /// By its power button, and started again if it ends in time.
    ComeBack,
    Save,
}

impl Machine {
    pub(super) fn new(name: &str, config: MachineConfig, is_clone: bool) -> Self {
        let phase = Phase::Ended(Observation::of(Power::Off));
        let state = State { version: 1, phase, recent: Recent::default(), sample: None };
        Self { name: SmolStr::new(name), config, is_clone, busy: Arc::default(), state: Mutex::new(state) }
    }

    /// The process, if one runs.
    pub(super) fn handle(&self) -> Option<Arc<Handle>> {
        match &self.state.lock().phase {
            Phase::Live(live) => Some(Arc::clone(&live.handle)),
            Phase::Ended(_) | Phase::Saved | Phase::Returning => None,
        }
    }

    /// The process and its connection, to do something to a running machine.
    pub(super) fn running(&self) -> Result<(Arc<Handle>, Link), AdapterError> {
        match &self.state.lock().phase {
            Phase::Live(live) => Ok((Arc::clone(&live.handle), live.qmp.clone())),
            Phase::Ended(_) | Phase::Saved | Phase::Returning => {
                Err(AdapterError::Refused(format!("{} does not run", self.name)))
            }
        }
    }

    /// The connection of a running machine.
    pub(super) fn qmp(&self) -> Result<Arc<Qmp>, AdapterError> {
        match self.running()?.1 {
            Link::Up(qmp) => Ok(qmp),
            Link::Coming => Err(AdapterError::Refused(format!("{} is only just starting", self.name))),
            Link::Lost => Err(AdapterError::Unreachable(format!(
                "the QEMU of {} runs, but its monitor does not answer; a hard off still works",
                self.name
            ))),
        }
    }

    /// It has ended, and its task has not taken notice yet.
    pub(super) fn is_ending(&self) -> bool {
        self.handle().is_some_and(|handle| handle.is_over())
    }

    /// See [`Live::closing`].
    pub(super) fn is_closing(&self) -> bool {
        matches!(&self.state.lock().phase, Phase::Live(live) if live.closing.is_some())
    }

    pub(super) fn observe(&self) -> Observation {
        let mut state = self.state.lock();
        let State { phase, sample, .. } = &mut *state;
        match phase {
            Phase::Ended(seen) => seen.clone(),
            Phase::Saved => Observation::of(Power::Saved),
            Phase::Returning => Observation::caused(Power::Starting, Cause::Operator),
            Phase::Live(live) => Observation { load: live.load(sample), ..live.observe() },
        }
    }
}

impl Live {
    fn observe(&self) -> Observation {
        let now = Instant::now();
        match self.closing {
            Some(Closing::Panicked) => return map::panicked(),
            Some(Closing::Stopping) => return Observation::of(Power::Stopping),
            None => {}
        }
        if self.asked.is_some_and(|asked| now < asked.until) {
            return Observation::of(Power::Stopping);
        }
        let seen = match (&self.qmp, self.status) {
            (Link::Lost, _) => return Observation::unknown("QEMU runs, but its monitor does not answer"),
            (Link::Coming, _) | (Link::Up(_), None) => Observation::of(Power::Starting),
            (Link::Up(_), Some(_)) if self.restoring => Observation::of(Power::Starting),
            (Link::Up(_), Some(status)) => map::running(status, self.ready),
        };
        match (&self.trouble, self.asked) {
            (Some(trouble), _) => seen.with_detail(trouble),
            (None, Some(_)) => seen.with_detail("asked to end, goes on"),
            (None, None) => seen,
        }
    }

    /// Of QEMU's whole process: what the guest costs its host.
    fn load(&self, sample: &mut Option<(u64, Instant)>) -> Option<Load> {
        let stat = Stat::read(self.handle.pid()).ok()?;
        let now = Instant::now();
        let cpu = match sample.replace((stat.ticks, now)) {
            Some((ticks, at)) if now > at => {
                let used =
                    stat.ticks.saturating_sub(ticks) as f64 / rustix::param::clock_ticks_per_second() as f64;
                (used / (now - at).as_secs_f64()) as f32
            }
            Some(_) | None => 0.0,
        };
        Some(Load { cpu, memory: stat.resident })
    }
}
