//! Runs an adapter: lists, listens, looks, tries again. What every technology needs and none should
//! have to write.
//!
//! ```text
//!          ┌────────────── pause, doubling, with jitter ◀───────────────┐
//!          ▼                                                            │
//!   list + listen ──works──▶ connected ──stream ends, listing fails──▶ lost: silent(None)
//!                              │  ▲
//!        hint, poll, look() ───┘  └─── observed / silent(address)
//! ```
//!
//! Events are hints. A `Changed` is answered by a look about 200 ms after the first of a burst, a
//! `State` is passed on at once and overtakes any look that began before it. A machine that does not
//! answer delays itself: its looks time out and come at growing intervals.

mod run;
mod schedule;
mod settings;
mod sink;
mod status;

use std::collections::HashSet;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use parking_lot::Mutex;
use primrack_model::{Action, Address, BackendId, Command, UnixMs};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use settings::DriverSettings;
pub use sink::Sink;
pub use status::{DriverCounts, DriverStatus};

use crate::{Adapter, AdapterError, Capabilities, Console};
use schedule::Schedule;
use settings::millis;
use status::{Counters, count};

/// One backend with its adapter, kept connected.
pub struct Driver {
    shared: Arc<Shared>,
}

/// What the driver's task and its callers both reach.
struct Shared {
    backend: BackendId,
    adapter: Arc<dyn Adapter>,
    settings: DriverSettings,
    schedule: Mutex<Schedule>,
    /// A look was asked for from outside the task.
    wake: Notify,
    health: Mutex<Health>,
    counters: Counters,
    /// Its task has ended.
    ended: CancellationToken,
}

struct Health {
    connected: bool,
    since: UnixMs,
    why: String,
    last_listing: Option<UnixMs>,
    listed: usize,
}

impl Driver {
    /// Starts the task that keeps `adapter` connected and its `watched` machines observed. It runs on
    /// `tasks` until `stop`; must be called within a tokio runtime.
    pub fn start(
        backend: BackendId,
        adapter: Arc<dyn Adapter>,
        settings: DriverSettings,
        watched: Vec<Address>,
        sink: Arc<dyn Sink>,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Arc<Self> {
        Self::start_after(None, backend, adapter, settings, watched, sink, tasks, stop)
    }

    /// [`Self::start`], once the task of `before` has ended: the backend's former driver, which was told
    /// to stop. What it reported comes before anything of the new one.
    #[expect(clippy::too_many_arguments, reason = "the parts of a driver, each of another type")]
    pub fn start_after(
        before: Option<Arc<Self>>,
        backend: BackendId,
        adapter: Arc<dyn Adapter>,
        settings: DriverSettings,
        watched: Vec<Address>,
        sink: Arc<dyn Sink>,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let shared = Arc::new(Shared {
            schedule: Mutex::new(Schedule::new(watched, settings.concurrency)),
            backend,
            adapter,
            settings,
            wake: Notify::new(),
            health: Mutex::new(Health {
                connected: false,
                since: UnixMs::now(),
                why: "not connected yet".to_owned(),
                last_listing: None,
                listed: 0,
            }),
            counters: Counters::default(),
            ended: CancellationToken::new(),
        });
        let running = Arc::clone(&shared);
        tasks.spawn(async move {
            // Ends with the task, however that ends.
            let _ended = running.ended.clone().drop_guard();
            if let Some(before) = before {
                before.shared.ended.cancelled().await;
            }
            run::run(running, sink, stop).await;
        });
        Arc::new(Self { shared })
    }

    /// Watches these addresses from now on and no others. What stays is not disturbed; what is new is looked
    /// at soon.
    pub fn watch_only(&self, wanted: &[Address]) {
        let wanted: HashSet<&Address> = wanted.iter().collect();
        let mut schedule = self.shared.schedule.lock();
        let gone: Vec<Address> =
            schedule.watched().filter(|address| !wanted.contains(address)).cloned().collect();
        for address in &gone {
            schedule.remove(address);
        }
        let now = Instant::now();
        for address in wanted {
            if let Some(at) = schedule.add(address.clone()) {
                schedule.want(at, now);
            }
        }
        drop(schedule);
        self.shared.wake.notify_one();
    }

    /// What speaks to the backend.
    #[must_use]
    pub fn adapter(&self) -> &Arc<dyn Adapter> {
        &self.shared.adapter
    }
    /// How it is driven.
    #[must_use]
    pub fn settings(&self) -> &DriverSettings {
        &self.shared.settings
    }

    /// The backend's name in configuration.
    #[must_use]
    pub fn backend(&self) -> &BackendId {
        &self.shared.backend
    }

    /// The name of the technology: `process`, `qemu`.
    #[must_use]
    pub fn technology(&self) -> &'static str {
        self.shared.adapter.technology()
    }

    /// What can be done to `address`. Answers from memory.
    #[must_use]
    pub fn capabilities(&self, address: &Address) -> Capabilities {
        self.shared.adapter.capabilities(address)
    }

    /// Whether `action` may be done although nothing can ever tell the state of `address`; over when it
    /// was taken.
    #[must_use]
    pub fn is_unseen(&self, address: &Address, action: Action) -> bool {
        self.shared.adapter.unseen(address).contains(&action)
    }

    /// Hands a command to the backend, within its deadline and the settings' time-out. `Ok` means that
    /// the backend took it; the effect is reported to the sink. The machine is looked at afterwards,
    /// whatever the answer, unless its adapter pushes events and has reported a state since. Dropping the future gives the command up; its outcome is then unknown.
    ///
    /// # Errors
    /// What the adapter said, or [`AdapterError::TimedOut`]. A panic of the adapter counts as
    /// [`AdapterError::Unreachable`], since nobody knows how far it came.
    pub async fn execute(&self, command: &Command) -> Result<(), AdapterError> {
        let Shared { adapter, settings, counters, .. } = &*self.shared;
        count(&counters.commands);
        let patience =
            if command.action.ends_with_its_call() { u64::MAX } else { settings.execute_timeout_ms };
        let limit = patience.min(command.deadline_ms).max(1);
        let known = self.shared.version(&command.address);
        let call = AssertUnwindSafe(async { adapter.execute(command).await }).catch_unwind();
        let result = match tokio::time::timeout(millis(limit), call).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => {
                count(&counters.panics);
                tracing::error!(backend = %self.shared.backend, intent = %command.intent, "the adapter panicked");
                Err(AdapterError::Unreachable("the adapter failed inside (see the log)".to_owned()))
            }
            Err(_) => Err(AdapterError::TimedOut(limit)),
        };
        if result.is_err() {
            count(&counters.command_failures);
        }
        // Who tells every change for certain and has told one since has answered the question already.
        if result.is_ok()
            && known != self.shared.version(&command.address)
            && adapter.capabilities(&command.address).pushes_events
        {
            return result;
        }
        let until = Instant::now() + Duration::from_millis(command.deadline_ms);
        self.shared.want(&command.address, Instant::now() + millis(settings.coalesce_ms), Some(until));
        result
    }

    /// What a machine shows on its console now, within the time of a listing.
    ///
    /// # Errors
    /// What the adapter said, or [`AdapterError::TimedOut`].
    pub async fn console(&self, address: &Address) -> Result<Console, AdapterError> {
        let limit = self.shared.settings.list_timeout_ms;
        let call = run::contained(&self.shared, self.shared.adapter.console(address));
        tokio::time::timeout(millis(limit), call).await.unwrap_or(Err(AdapterError::TimedOut(limit)))
    }

    /// Asks for an observation soon. Wishes within a moment are answered by one look; those for a
    /// machine that is not watched are dropped. Never blocks.
    pub fn look(&self, address: &Address) {
        self.shared.want(address, Instant::now(), None);
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> DriverStatus {
        let (watched, silent) = {
            let schedule = self.shared.schedule.lock();
            (schedule.watched().count(), schedule.silent())
        };
        let health = self.shared.health.lock();
        DriverStatus {
            connected: health.connected,
            since: health.since,
            why: health.why.clone(),
            last_listing: health.last_listing,
            listed: health.listed,
            watched,
            silent,
            counts: self.shared.counters.read(),
        }
    }
}

impl Shared {
    /// How often something was learned of a machine other than by looking.
    fn version(&self, address: &Address) -> Option<u64> {
        let schedule = self.schedule.lock();
        schedule.find(address).map(|at| schedule.version(at))
    }
    fn want(&self, address: &Address, when: Instant, follow_until: Option<Instant>) {
        let mut schedule = self.schedule.lock();
        let Some(at) = schedule.find(address) else { return };
        if let Some(until) = follow_until {
            let slot = schedule.slot(at);
            slot.follow_until = Some(slot.follow_until.map_or(until, |old| old.max(until)));
        }
        schedule.want(at, when);
        drop(schedule);
        self.wake.notify_one();
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("backend", &self.shared.backend)
            .field("adapter", &self.shared.adapter)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
