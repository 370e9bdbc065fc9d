//! The driver's task: the only one that talks to the sink.

use std::collections::HashSet;
use std::future::pending;
use std::hash::{BuildHasher as _, RandomState};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff};
use futures::FutureExt;
use primrack_model::{Observation, UnixMs};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::schedule::{Schedule, Ticket};
use super::settings::millis;
use super::status::count;
use super::{Shared, Sink};
use crate::{AdapterError, Found, Hint};

/// How soon a machine is asked again when its answer was overtaken by an event.
const AGAIN: Duration = Duration::from_millis(50);

/// Hints taken in one go, before looks and listings get their turn.
const TOGETHER: usize = 64;

type Listing = Result<Vec<Found>, AdapterError>;

/// One stretch of being connected: a listener, and a listing now and then.
struct Session {
    began: Instant,
    hints: mpsc::Receiver<Hint>,
    listener: AbortOnDropHandle<AdapterError>,
    /// A listing under way, and what was known of each watched machine when it began.
    listing: Option<(AbortOnDropHandle<Listing>, Vec<u64>)>,
    next_listing: Instant,
    /// When the last listing began.
    listed_at: Instant,
    /// While one was under way, there was word of a machine that nobody knows.
    unknown: bool,
}

enum Woken {
    Hint(Option<Hint>),
    Lost(AdapterError),
    Listed(Listing),
    Looked(Ticket, Result<Observation, AdapterError>),
    Time,
    Stop,
}

struct Run {
    shared: Arc<Shared>,
    sink: Arc<dyn Sink>,
    session: Option<Session>,
    looks: JoinSet<(Ticket, Result<Observation, AdapterError>)>,
    backoff: ExponentialBackoff,
    /// When to connect again, while there is no session.
    retry_at: Instant,
    /// Whether the sink knows that the backend is lost.
    loss_told: bool,
    /// What the last listing showed besides the watched, by hash: hints about those are no news.
    others: HashSet<u64>,
    hasher: RandomState,
}

pub(super) async fn run(shared: Arc<Shared>, sink: Arc<dyn Sink>, stop: CancellationToken) {
    let backoff = shared.settings.backoff().build();
    let mut run = Run {
        shared,
        sink,
        session: None,
        looks: JoinSet::new(),
        backoff,
        retry_at: Instant::now(),
        loss_told: false,
        others: HashSet::new(),
        hasher: RandomState::new(),
    };
    loop {
        run.connect_if_due();
        run.start_looks();
        match run.wait(&stop).await {
            Woken::Hint(hint) => run.hints(hint),
            Woken::Lost(why) => run.lost(&why),
            Woken::Listed(Ok(found)) => run.listed(found),
            Woken::Listed(Err(why)) => run.lost(&why),
            Woken::Looked(ticket, result) => run.looked(&ticket, result),
            Woken::Time => {}
            Woken::Stop => break,
        }
    }
    run.session = None;
    run.looks.shutdown().await;
}

impl Run {
    fn connect_if_due(&mut self) {
        let now = Instant::now();
        if let Some(session) = &mut self.session {
            if session.listing.is_none() && session.next_listing <= now {
                session.listing = Some(list(&self.shared));
                session.listed_at = now;
            }
        } else if self.retry_at <= now {
            let (sender, hints) = mpsc::channel(self.shared.settings.hint_queue.max(1));
            let shared = Arc::clone(&self.shared);
            let listener = AbortOnDropHandle::new(tokio::spawn(async move {
                contained(&shared, async { Err::<(), _>(shared.adapter.listen(sender).await) })
                    .await
                    .err()
                    .unwrap_or_else(|| AdapterError::Unreachable("the listener ended".to_owned()))
            }));
            self.session = Some(Session {
                began: now,
                hints,
                listener,
                listing: Some(list(&self.shared)),
                next_listing: now,
                listed_at: now,
                unknown: false,
            });
        }
    }

    fn start_looks(&mut self) {
        loop {
            let Some(ticket) = self.shared.schedule.lock().take(Instant::now()) else { return };
            let shared = Arc::clone(&self.shared);
            self.looks.spawn(async move {
                let limit = shared.settings.observe_timeout_ms;
                let look = contained(&shared, shared.adapter.observe(&ticket.address));
                let result = match tokio::time::timeout(millis(limit), look).await {
                    Ok(result) => result,
                    Err(_) => Err(AdapterError::TimedOut(limit)),
                };
                (ticket, result)
            });
        }
    }

    async fn wait(&mut self, stop: &CancellationToken) -> Woken {
        let look_at = self.shared.schedule.lock().next();
        let connect_at = match &self.session {
            None => Some(self.retry_at),
            Some(session) if session.listing.is_none() => Some(session.next_listing),
            Some(_) => None,
        };
        let alarm = [look_at, connect_at].into_iter().flatten().min();
        let (mut hints, mut listener, mut listing) = (None, None, None);
        if let Some(session) = &mut self.session {
            hints = Some(&mut session.hints);
            listener = Some(&mut session.listener);
            listing = session.listing.as_mut().map(|(handle, _)| handle);
        }
        // A listener that ended is noticed by its handle; its closed channel alone says nothing.
        let hints_open = hints.as_ref().is_some_and(|hints| !hints.is_closed() || !hints.is_empty());
        tokio::select! {
            () = stop.cancelled() => Woken::Stop,
            hint = async { match &mut hints { Some(hints) => hints.recv().await, None => pending().await } },
                if hints_open => Woken::Hint(hint),
            ended = async { match &mut listener { Some(handle) => handle.await, None => pending().await } } =>
                Woken::Lost(ended.unwrap_or_else(|_| AdapterError::Unreachable("the listener was ended".to_owned()))),
            listed = async { match &mut listing { Some(handle) => handle.await, None => pending().await } } =>
                Woken::Listed(listed.unwrap_or_else(|_| Err(AdapterError::Unreachable("the listing was ended".to_owned())))),
            Some(done) = self.looks.join_next(), if !self.looks.is_empty() => match done {
                Ok((ticket, result)) => Woken::Looked(ticket, result),
                // Panics are caught inside and nobody aborts a look but the end of this task.
                Err(_) => Woken::Time,
            },
            () = self.shared.wake.notified() => Woken::Time,
            () = async { match alarm { Some(at) => tokio::time::sleep_until(at).await, None => pending().await } } =>
                Woken::Time,
        }
    }

    /// A hint, and those that came with it: setting the alarms anew for each would cost more than the hint.
    fn hints(&mut self, first: Option<Hint>) {
        let mut next = first;
        for _ in 0..TOGETHER {
            let Some(hint) = next else { return };
            self.hint(hint);
            next = self.session.as_mut().and_then(|session| session.hints.try_recv().ok());
        }
        if let Some(hint) = next {
            self.hint(hint);
        }
    }

    fn hint(&mut self, hint: Hint) {
        let Shared { backend, adapter, settings, schedule, counters, .. } = &*self.shared;
        count(&counters.hints);
        let address = match &hint {
            Hint::Changed(address) | Hint::State(address, _) => address,
        };
        let now = Instant::now();
        let mut schedule = schedule.lock();
        let Some(at) = schedule.find(address) else {
            drop(schedule);
            count(&counters.foreign_hints);
            tracing::debug!(%backend, address = %address.0, "a hint about a machine that is not watched");
            let every = settings.unknown_relist_ms;
            let known = self.others.contains(&self.hasher.hash_one(address));
            if let (Some(session), false, 1..) = (&mut self.session, known, every) {
                session.unknown = session.listing.is_some();
                // Those that come in the same moment are found by the same listing.
                let soon = (session.listed_at + millis(every)).max(now + millis(settings.coalesce_ms));
                session.next_listing = session.next_listing.min(soon);
            }
            return;
        };
        match hint {
            Hint::Changed(_) => schedule.want(at, now + millis(settings.coalesce_ms)),
            Hint::State(address, seen) => {
                schedule.overtake(at);
                let slot = schedule.slot(at);
                slot.silent = false;
                slot.backoff = None;
                let next = now + Schedule::spread(at, millis(settings.safety_poll_ms));
                if adapter.capabilities(&address).pushes_events {
                    // A look that was wanted would only hear the same.
                    schedule.postpone(at, next);
                } else {
                    schedule.want(at, next);
                }
                drop(schedule);
                self.sink.observed(backend, &address, seen);
            }
        }
    }

    fn listed(&mut self, mut found: Vec<Found>) {
        let shared = Arc::clone(&self.shared);
        let Shared { backend, settings, counters, .. } = &*shared;
        let now = Instant::now();
        let Some(session) = &mut self.session else { return };
        let began = session.listing.take().map(|(_, versions)| versions).unwrap_or_default();
        session.next_listing = now + millis(settings.relist_ms);
        if std::mem::take(&mut session.unknown) {
            session.next_listing = session.next_listing.min(now + millis(settings.unknown_relist_ms));
        }
        if found.len() > settings.list_limit {
            tracing::warn!(%backend, found = found.len(), limit = settings.list_limit, "the listing was cut");
            found.truncate(settings.list_limit);
        }
        count(&counters.listings);
        let first = {
            let mut health = shared.health.lock();
            let first = !health.connected;
            if first {
                health.connected = true;
                health.since = UnixMs::now();
                health.why.clear();
            }
            health.last_listing = Some(UnixMs::now());
            health.listed = found.len();
            first
        };
        if first {
            tracing::info!(%backend, found = found.len(), "connected");
        }
        self.loss_told = false;
        self.sink.found(backend, &found);
        let mut news = Vec::new();
        {
            let mut schedule = shared.schedule.lock();
            self.others.clear();
            let others = found.iter().filter(|found| schedule.find(&found.address).is_none());
            self.others.extend(others.map(|found| self.hasher.hash_one(&found.address)));
            for Found { address, seen, .. } in found {
                if let Some(at) = schedule.find(&address)
                    && let Some(seen) = seen
                    && began.get(at) == Some(&schedule.version(at))
                {
                    schedule.overtake(at);
                    let slot = schedule.slot(at);
                    slot.silent = false;
                    slot.backoff = None;
                    news.push((address, seen));
                }
            }
            // Asked again even where the listing told: the stream may have begun to stand only now.
            schedule.want_all(now);
        }
        for (address, seen) in news {
            self.sink.observed(backend, &address, seen);
        }
    }

    fn looked(&mut self, ticket: &Ticket, result: Result<Observation, AdapterError>) {
        let Shared { backend, adapter, settings, schedule, counters, .. } = &*self.shared;
        let now = Instant::now();
        match result {
            Ok(seen) => {
                count(&counters.observations);
                let capabilities = adapter.capabilities(&ticket.address);
                let mut schedule = schedule.lock();
                let counts = schedule.release(ticket);
                if !counts {
                    // Nothing, where nobody watches it any more.
                    schedule.want(ticket.slot, now + AGAIN);
                    return;
                }
                let slot = schedule.slot(ticket.slot);
                slot.silent = false;
                slot.backoff = None;
                let follows = slot.follow_until.is_some_and(|until| now < until);
                if !follows {
                    slot.follow_until = None;
                }
                let interval = match (capabilities.pushes_events, follows) {
                    (true, _) => settings.safety_poll_ms,
                    (false, true) => settings.follow_ms,
                    (false, false) => settings.poll_ms,
                };
                schedule.want(ticket.slot, now + Schedule::spread(ticket.slot, millis(interval)));
                drop(schedule);
                self.sink.observed(backend, &ticket.address, seen);
            }
            Err(why) => {
                count(&counters.observation_failures);
                let mut schedule = schedule.lock();
                schedule.release(ticket);
                if schedule.is_gone(ticket.slot) || schedule.find(&ticket.address) != Some(ticket.slot) {
                    return;
                }
                let slot = schedule.slot(ticket.slot);
                let told = std::mem::replace(&mut slot.silent, true);
                let backoff = slot.backoff.get_or_insert_with(|| Box::new(settings.backoff().build()));
                let pause = backoff.next().unwrap_or(millis(settings.backoff_max_ms));
                schedule.want(ticket.slot, now + pause);
                drop(schedule);
                if !told {
                    tracing::warn!(%backend, address = %ticket.address.0, %why, "a machine does not answer");
                    self.sink.silent(backend, Some(&ticket.address), &why.to_string());
                }
            }
        }
    }

    fn lost(&mut self, why: &AdapterError) {
        let shared = Arc::clone(&self.shared);
        let Shared { backend, settings, counters, .. } = &*shared;
        let now = Instant::now();
        let Some(mut session) = self.session.take() else { return };
        // What it said before it ended still counts.
        while let Ok(hint) = session.hints.try_recv() {
            self.hint(hint);
        }
        count(&counters.losses);
        let lasted = now - session.began;
        drop(session);
        let longest = millis(settings.backoff_max_ms);
        if lasted >= longest {
            self.backoff = settings.backoff().build();
        }
        let pause = match why {
            AdapterError::Credentials(_) => longest,
            AdapterError::Unreachable(_)
            | AdapterError::Refused(_)
            | AdapterError::NotFound(_)
            | AdapterError::NotSupported(_)
            | AdapterError::TimedOut(_) => self.backoff.next().unwrap_or(longest),
        };
        self.retry_at = now + pause;
        let words = why.to_string();
        {
            let mut health = shared.health.lock();
            if health.connected {
                health.connected = false;
                health.since = UnixMs::now();
            }
            health.why.clone_from(&words);
        }
        {
            let mut schedule = shared.schedule.lock();
            schedule.forget_all();
            for at in 0..schedule.len() {
                // A look that began before the loss says nothing about now.
                schedule.overtake(at);
                schedule.slot(at).silent = true;
            }
        }
        if std::mem::replace(&mut self.loss_told, true) {
            tracing::debug!(%backend, why = %words, "still lost");
        } else {
            tracing::warn!(%backend, why = %words, "lost; everything of it is stale until it is back");
            self.sink.silent(backend, None, &words);
        }
    }
}

/// Starts a listing.
fn list(shared: &Arc<Shared>) -> (AbortOnDropHandle<Listing>, Vec<u64>) {
    let versions = {
        let schedule = shared.schedule.lock();
        (0..schedule.len()).map(|at| schedule.version(at)).collect()
    };
    let shared = Arc::clone(shared);
    let handle = tokio::spawn(async move {
        let limit = shared.settings.list_timeout_ms;
        match tokio::time::timeout(millis(limit), contained(&shared, shared.adapter.list())).await {
            Ok(result) => result,
            Err(_) => Err(AdapterError::TimedOut(limit)),
        }
    });
    (AbortOnDropHandle::new(handle), versions)
}

/// Keeps a panic of an adapter to the call that caused it.
pub(super) async fn contained<T>(
    shared: &Shared,
    call: impl Future<Output = Result<T, AdapterError>>,
) -> Result<T, AdapterError> {
    match AssertUnwindSafe(call).catch_unwind().await {
        Ok(result) => result,
        Err(_) => {
            count(&shared.counters.panics);
            tracing::error!(backend = %shared.backend, "the adapter panicked; the panic was contained");
            Err(AdapterError::Unreachable("the adapter failed inside (see the log)".to_owned()))
        }
    }
}
