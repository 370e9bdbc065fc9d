//! Pushes to the callback URLs of in-world objects.
//!
//! Delivery knows nothing of what is inside a push. The registry marks an object
//! ([`Delivery::wake`]); when its time and a place at its host have come, a worker asks for the
//! newest state ([`Parcels::compose`]), posts it, and hands back what was answered
//! ([`Parcels::settle`]). Because state is composed at the last moment, changes coalesce by
//! themselves and nothing old is ever sent.
//!
//! ```text
//! wake ─▶ linger / interval / back-off (wheel) ─▶ pace groups ─▶ host queue ─▶ worker ─▶ settle
//!                   ▲                                               │ breaker, limits       │
//!                   └───────────────────────────────────────────────┴───────────────────────┘
//! ```
//!
//! - At most one post of an object is in flight, so its pushes keep their order.
//! - A host that is silent, dead or endless takes few places and for a limited time; its breaker
//!   leaves it alone between probes.
//! - Memory is one small record per object, one per host, and buffers for the posts in flight.
//! - Nothing is reached that the [`Guard`] does not allow; redirects are never followed.

mod address;
mod callback;
mod connect;
mod guard;
mod host;
mod line;
mod plan;
mod settings;
mod slots;
mod status;
mod tls;
mod wheel;
mod worker;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use callback::{Callback, Host, MAX_URL, Scheme};
pub use connect::{Resolve, Resolving, SystemResolver};
pub use guard::{AllowRule, BadRule, Guard, GuardRefusal, GuardSettings};
pub use settings::DeliverySettings;
pub use status::{Counters, DeliveryStatus, Gauges};
pub use tls::{Tls, TlsError};

/// Which object: a small dense number given by the registry (the tables here are indexed by it).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectIx(pub u32);

/// What is paced together (a region, an owner): a number given by the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PaceGroup(pub u32);

impl PaceGroup {
    /// Not paced.
    pub const NONE: Self = Self(u32::MAX);
}

/// The pace groups of an object, usually its region and its owner; with two times
/// [`PaceGroup::NONE`] it is paced with its host. Numbers are shared between the two places: a
/// region and an owner that should be paced apart need different numbers.
pub type Pace = [PaceGroup; 2];

/// One post, composed a moment before it is sent.
#[derive(Debug, Clone)]
pub struct Parcel {
    /// The registry's own number; handed back in [`Parcels::settle`].
    pub id: u64,
    /// Where to.
    pub url: Arc<Callback>,
    /// The bytes, at most what the grid takes (2048 in Second Life).
    pub body: Bytes,
}

/// The registry's side. Called on runtime threads: must not block.
pub trait Parcels: Send + Sync + 'static {
    /// The newest state of the object that is dirty now, `None` when there is nothing to send or
    /// no URL. Never called while a post of this object is in flight; every parcel returned is
    /// settled exactly once, unless the process ends before.
    fn compose(&self, object: ObjectIx) -> Option<Parcel>;

    /// What became of a parcel. `Ok` is the body of a 200, at most 4 KiB and possibly empty: only
    /// the registry can tell an authenticated answer from OpenSim's empty 200 of a dead URL.
    ///
    /// After [`PostError::NotSent`], [`PostError::StaleConnection`] and [`PostError::Superseded`]
    /// the registry marks the parcel's content dirty again; delivery ignores the returned value
    /// and composes again as soon as it can.
    fn settle(&self, object: ObjectIx, parcel_id: u64, answer: Result<Bytes, PostError>) -> Settled;
}

/// What the registry makes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Arrived.
    Delivered {
        /// Something is still dirty. What did not fit follows at once; when the object was woken
        /// meanwhile, what changed follows at its interval.
        more: bool,
    },
    /// Try again, after this long (bounded) or after a growing, jittered delay.
    Retry {
        /// Least time to wait. A longer `Retry-After` of the host wins.
        after: Option<Duration>,
    },
    /// The URL is dead: nothing is sent until [`Delivery::resume`].
    Dead,
}

/// Why a parcel has no 200 to show.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PostError {
    /// It was never sent: no room at its host after all, no descriptor left, or shutting down.
    #[error("not sent yet")]
    NotSent,
    /// The kept connection had been closed by the host; sent again at once on a new one.
    #[error("the kept connection was closed by the host")]
    StaleConnection,
    /// The object registered again or was forgotten while its post was in flight.
    #[error("given up: the object has a newer registration")]
    Superseded,
    /// No connection within the time for connecting.
    #[error("no connection to the host in time")]
    ConnectTimeout,
    /// Name resolution, TCP or TLS failed.
    #[error("no connection to the host: {0}")]
    Connect(Arc<std::io::Error>),
    /// The guard refused the address the name leads to.
    #[error(transparent)]
    Refused(GuardRefusal),
    /// Connected, but no complete answer in time: the script may or may not have seen the push.
    #[error("no complete answer in time")]
    AnswerTimeout,
    /// The connection broke before the answer was complete.
    #[error("the connection broke before the answer was complete")]
    Broken,
    /// The answer is not HTTP.
    #[error("the answer is not HTTP")]
    Garbled,
    /// The answer is larger than allowed.
    #[error("the answer is larger than allowed")]
    TooLarge,
    /// A status other than 200; a redirect is one of these and is never followed.
    #[error("the host answered {status}")]
    Status {
        /// The HTTP status: 404 and 410 mean a dead URL, 499 unknown, 503 come back later.
        status: u16,
        /// `Retry-After` in seconds, when given as a number. Delivery obeys it by itself.
        retry_after: Option<Duration>,
    },
}

/// The sender of pushes. Stops when its token is cancelled; posts in flight then end by
/// themselves within the total time-out.
pub struct Delivery {
    shared: Arc<worker::Shared>,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").finish_non_exhaustive()
    }
}

impl Delivery {
    /// Starts delivery on the current runtime with the system's resolver.
    pub fn start(
        parcels: Arc<dyn Parcels>,
        settings: DeliverySettings,
        guard: Guard,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Arc<Self> {
        Self::start_with(parcels, settings, guard, Box::new(SystemResolver), tasks, stop)
    }

    /// Starts delivery with a resolver of the caller's.
    pub fn start_with(
        parcels: Arc<dyn Parcels>,
        settings: DeliverySettings,
        guard: Guard,
        resolver: Box<dyn Resolve>,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let shared = worker::Shared::start(parcels, settings, guard, resolver, tasks, stop);
        Arc::new(Self { shared })
    }

    /// The object's state changed: push it soon. Never blocks; any number of calls cost one push.
    pub fn wake(&self, object: ObjectIx) {
        self.shared.wake(object.0, false);
    }

    /// Like [`Self::wake`] without the linger: for what a person is waiting to see.
    pub fn wake_now(&self, object: ObjectIx) {
        self.shared.wake(object.0, true);
    }

    /// The object registered: back-off, interval and death of the old URL are forgotten, a post to
    /// the old URL is given up, and the object is pushed after the linger.
    pub fn resume(&self, object: ObjectIx, url: &Callback, pace: Pace) {
        self.shared.resume(object.0, &url.origin, pace);
    }

    /// The object is gone: nothing is sent to it any more.
    pub fn forget(&self, object: ObjectIx) {
        self.shared.forget(object.0);
    }

    /// What delivery has done and is doing. Walks all objects: for status pages, not for loops.
    #[must_use]
    pub fn status(&self) -> DeliveryStatus {
        self.shared.status()
    }
}

#[cfg(test)]
mod tests;
