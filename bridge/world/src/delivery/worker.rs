//! The tasks: one pulse that watches the clock, and workers that post until nothing is left.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, Version};
use http_body_util::Full;
use parking_lot::{Mutex, MutexGuard};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::callback::Origin;
use super::connect::{ConnectError, Connector, Resolve};
use super::guard::Guard;
use super::line::{Answer, Line, LineError};
use super::plan::{Finish, Job, Plan, Verdict};
use super::settings::DeliverySettings;
use super::slots::NEVER;
use super::status::DeliveryStatus;
use super::{ObjectIx, Pace, Parcel, Parcels, PostError, Settled};

type State = Plan<Box<Line>>;

pub(super) struct Shared {
    plan: Mutex<State>,
    /// Slow posts that can be given up: only those, so that a quick one pays nothing for it.
    given_up: Mutex<HashMap<u32, GiveUp>>,
    connector: Connector,
    parcels: Arc<dyn Parcels>,
    settings: DeliverySettings,
    pulse: Notify,
    start: Instant,
    runtime: Handle,
    tasks: TaskTracker,
    stop: CancellationToken,
}

#[derive(Debug)]
enum GiveUp {
    Waiting(Waker),
    Now,
}

/// How a post ended, before the registry has seen it.
struct Outcome {
    answer: Result<Bytes, PostError>,
    verdict: Verdict,
}

impl Shared {
    pub(super) fn start(
        parcels: Arc<dyn Parcels>,
        settings: DeliverySettings,
        guard: Guard,
        resolver: Box<dyn Resolve>,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let connector = Connector::new(&settings, guard, resolver);
        let seed = getrandom::u64().unwrap_or(0);
        let shared = Arc::new(Self {
            plan: Mutex::new(Plan::new(settings.clone(), seed)),
            given_up: Mutex::new(HashMap::new()),
            connector,
            parcels,
            settings,
            pulse: Notify::new(),
            start: Instant::now(),
            runtime: Handle::current(),
            tasks: tasks.clone(),
            stop,
        });
        let pulse = Arc::clone(&shared);
        tasks.spawn(async move { pulse.pulse().await });
        shared
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(NEVER - 1)
    }

    pub(super) fn wake(self: &Arc<Self>, object: u32, at_once: bool) {
        let now = self.now();
        let mut plan = self.plan.lock();
        plan.wake(now, object, at_once);
        self.act(now, plan);
    }

    pub(super) fn resume(self: &Arc<Self>, object: u32, origin: &Arc<Origin>, pace: Pace) {
        let now = self.now();
        let mut plan = self.plan.lock();
        plan.resume(now, object, origin, pace.map(|group| group.0));
        let in_flight = plan.is_in_flight(object);
        self.act(now, plan);
        if in_flight {
            self.give_up(object);
        }
    }

    pub(super) fn forget(self: &Arc<Self>, object: u32) {
        let now = self.now();
        let mut plan = self.plan.lock();
        plan.forget(object);
        let in_flight = plan.is_in_flight(object);
        self.act(now, plan);
        if in_flight {
            self.give_up(object);
        }
    }

    pub(super) fn status(&self) -> DeliveryStatus {
        let now = self.now();
        let plan = self.plan.lock();
        DeliveryStatus { counters: plan.counters, gauges: plan.gauges(now) }
    }

    fn give_up(&self, object: u32) {
        if let Some(entry) = self.given_up.lock().get_mut(&object)
            && let GiveUp::Waiting(waker) = std::mem::replace(entry, GiveUp::Now)
        {
            waker.wake();
        }
    }

    /// Does, without the lock, what a change of the plan asks for.
    fn act(self: &Arc<Self>, now: u64, mut plan: MutexGuard<'_, State>) {
        let bell = std::mem::take(&mut plan.ring_bell);
        let worker = plan.wants_worker(now);
        let closed = std::mem::take(&mut plan.graveyard);
        drop(plan);
        drop(closed);
        if bell {
            self.pulse.notify_one();
        }
        if worker {
            let shared = Arc::clone(self);
            self.tasks.spawn_on(async move { shared.work().await }, &self.runtime);
        }
    }

    /// Watches the clock: moves what is due, closes what is idle, ends when told to stop.
    async fn pulse(self: Arc<Self>) {
        let sweep_every = (self.settings.idle_timeout / 4).max(Duration::from_millis(100));
        let mut sweep_at = Instant::now() + sweep_every;
        loop {
            let now = self.now();
            let next = {
                let mut plan = self.plan.lock();
                let next = plan.advance(now);
                if Instant::now() >= sweep_at {
                    plan.sweep(now, |line| !line.is_ready());
                    sweep_at = Instant::now() + sweep_every;
                }
                let idle = plan.has_idle_lines();
                self.act(now, plan);
                (next, idle)
            };
            let due = (next.0 != NEVER).then(|| self.start + Duration::from_millis(next.0));
            let wake_at = match (due, next.1) {
                (Some(due), true) => Some(due.min(sweep_at)),
                (due, false) => due,
                (None, true) => Some(sweep_at),
            };
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = self.pulse.notified() => {}
                () = async {
                    match wake_at {
                        Some(at) => sleep_until(at).await,
                        None => std::future::pending().await,
                    }
                } => {}
            }
        }
        let mut plan = self.plan.lock();
        plan.stop();
        let closed = std::mem::take(&mut plan.graveyard);
        drop(plan);
        drop(closed);
    }

    /// Posts until there is nothing to post.
    async fn work(self: Arc<Self>) {
        let mut timer = pin!(sleep_until(Instant::now()));
        let mut next = self.hunt(None);
        while let Some(mut job) = next {
            let (finish, verdict) = self.serve(&mut job, timer.as_mut()).await;
            next = self.hunt(Some((job, finish, verdict)));
        }
    }

    /// Hands back the last job and takes the next, under one lock.
    fn hunt(self: &Arc<Self>, done: Option<(Job<Box<Line>>, Finish, Verdict)>) -> Option<Job<Box<Line>>> {
        let now = self.now();
        let mut plan = self.plan.lock();
        if let Some((job, finish, verdict)) = done {
            plan.finish(now, job, finish, verdict);
        }
        let job = plan.pick(now);
        // While there is more than this worker can do, it brings in the next one.
        self.act(now, plan);
        job
    }

    /// One job: compose, post, settle.
    async fn serve(self: &Arc<Self>, job: &mut Job<Box<Line>>, timer: Pin<&mut Sleep>) -> (Finish, Verdict) {
        let object = ObjectIx(job.object);
        let Some(parcel) = self.parcels.compose(object) else { return (Finish::Nothing, Verdict::Neutral) };
        let Parcel { id, url, body } = parcel;
        let routed = {
            let now = self.now();
            let mut plan = self.plan.lock();
            let routed = plan.route(now, job, &url.origin);
            plan.counters.posts += u64::from(routed);
            self.act(now, plan);
            routed
        };
        let outcome = if routed {
            let request = request(&url.origin, &url.target, body);
            self.post(job, &url.origin, request, timer).await
        } else {
            Outcome { answer: Err(PostError::NotSent), verdict: Verdict::Neutral }
        };
        let Outcome { answer, verdict } = outcome;
        let again =
            matches!(answer, Err(PostError::NotSent | PostError::StaleConnection | PostError::Superseded));
        let asked = match &answer {
            Err(PostError::Status { retry_after, .. }) => *retry_after,
            _ => None,
        };
        let settled = self.parcels.settle(object, id, answer);
        let finish = match settled {
            _ if again => Finish::Again,
            Settled::Delivered { more } => Finish::Delivered { more },
            Settled::Retry { after } => Finish::Retry { after: after.max(asked) },
            Settled::Dead => Finish::Dead,
        };
        (finish, verdict)
    }

    /// Connects if need be, posts, and keeps the connection in the job when it is still good.
    async fn post(
        self: &Arc<Self>,
        job: &mut Job<Box<Line>>,
        origin: &Arc<Origin>,
        request: Request<Full<Bytes>>,
        mut timer: Pin<&mut Sleep>,
    ) -> Outcome {
        let started = Instant::now();
        let settings = &self.settings;
        let kept = job.line.take().filter_map_ready();
        let result = {
            let mut exchange = pin!(self.exchange(origin, kept, request));
            let mut step = Step::Brisk;
            timer.as_mut().reset(started + settings.brisk);
            poll_fn(|cx| {
                if let Poll::Ready(result) = exchange.as_mut().poll(cx) {
                    return Poll::Ready(result);
                }
                while timer.as_mut().poll(cx).is_ready() {
                    let next = match step {
                        Step::Brisk => {
                            let now = self.now();
                            let mut plan = self.plan.lock();
                            plan.no_longer_quick(job);
                            self.act(now, plan);
                            step = Step::Slow;
                            settings.slow
                        }
                        Step::Slow => {
                            let now = self.now();
                            let mut plan = self.plan.lock();
                            plan.turned_slow(now, job);
                            self.act(now, plan);
                            step = Step::Last;
                            settings.total_timeout
                        }
                        Step::Last => return Poll::Ready(Err(Failure::TimedOut)),
                    };
                    timer.as_mut().reset(started + next);
                }
                if step != Step::Brisk && self.is_given_up(job.object, cx.waker()) {
                    return Poll::Ready(Err(Failure::Superseded));
                }
                Poll::Pending
            })
            .await
        };
        if started.elapsed() >= settings.brisk {
            self.given_up.lock().remove(&job.object);
        }
        self.conclude(job, result)
    }

    /// Whether a slow post was superseded; if not, leaves word where to be woken.
    fn is_given_up(&self, object: u32, waker: &Waker) -> bool {
        match self.given_up.lock().entry(object) {
            Entry::Occupied(mut entry) => match entry.get_mut() {
                GiveUp::Now => return true,
                GiveUp::Waiting(known) => known.clone_from(waker),
            },
            Entry::Vacant(entry) => {
                entry.insert(GiveUp::Waiting(waker.clone()));
            }
        }
        // Only now, so that nobody can supersede it between the look and the waker.
        self.plan.lock().is_superseded(object)
    }

    async fn exchange(
        &self,
        origin: &Origin,
        kept: Option<Box<Line>>,
        request: Request<Full<Bytes>>,
    ) -> Result<(Answer, Box<Line>), Failure> {
        let mut line = match kept {
            Some(line) => line,
            None => {
                // Rare beside the posts on kept connections: not in every worker's frame.
                let stream = Box::pin(self.connector.connect(origin)).await.map_err(Failure::Connect)?;
                self.plan.lock().counters.connections += 1;
                Box::new(Line::open(stream).await.map_err(|error| Failure::Line(error, false))?)
            }
        };
        let used = std::mem::replace(&mut line.used, true);
        match line.exchange(request, self.settings.max_answer).await {
            Ok(answer) => Ok((answer, line)),
            Err(error) => Err(Failure::Line(error, used)),
        }
    }

    fn conclude(&self, job: &mut Job<Box<Line>>, result: Result<(Answer, Box<Line>), Failure>) -> Outcome {
        let failure = match result {
            Ok((answer, line)) => {
                job.line = Some(line).filter_map_ready();
                let Answer { status, retry_after, body } = answer;
                let answer = if status == StatusCode::OK {
                    Ok(body)
                } else {
                    let retry_after = retry_after.map(Duration::from_secs);
                    Err(PostError::Status { status: status.as_u16(), retry_after })
                };
                return Outcome { answer, verdict: Verdict::Alive };
            }
            Err(failure) => failure,
        };
        let mut plan = self.plan.lock();
        let counters = &mut plan.counters;
        let (error, verdict) = match failure {
            Failure::TimedOut => {
                counters.timeouts += 1;
                (PostError::AnswerTimeout, Verdict::Silent)
            }
            Failure::Superseded => (PostError::Superseded, Verdict::Neutral),
            Failure::Connect(ConnectError::TimedOut) => {
                counters.timeouts += 1;
                (PostError::ConnectTimeout, Verdict::Down)
            }
            Failure::Connect(ConnectError::Descriptors) => {
                let now = self.now();
                plan.out_of_descriptors(now);
                (PostError::NotSent, Verdict::Neutral)
            }
            Failure::Connect(ConnectError::Refused(refusal)) => {
                counters.guard_refusals += 1;
                (PostError::Refused(refusal), Verdict::Down)
            }
            Failure::Connect(
                ConnectError::Resolve(error) | ConnectError::Tcp(error) | ConnectError::Tls(error),
            ) => (PostError::Connect(Arc::new(error)), Verdict::Down),
            Failure::Line(LineError::Closed, true) => {
                counters.stale_connections += 1;
                (PostError::StaleConnection, Verdict::Neutral)
            }
            Failure::Line(LineError::Closed, false) => (PostError::Broken, Verdict::Silent),
            Failure::Line(LineError::TooLarge, _) => {
                counters.oversized += 1;
                (PostError::TooLarge, Verdict::Silent)
            }
            Failure::Line(LineError::Broken(error), _) => {
                let error = if error.is_parse() { PostError::Garbled } else { PostError::Broken };
                (error, Verdict::Silent)
            }
        };
        Outcome { answer: Err(error), verdict }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Brisk,
    Slow,
    Last,
}

enum Failure {
    TimedOut,
    Superseded,
    Connect(ConnectError),
    /// With whether the connection had been used before.
    Line(LineError, bool),
}

trait Ready {
    /// The connection, when an exchange may start on it.
    fn filter_map_ready(self) -> Self;
}

impl Ready for Option<Box<Line>> {
    fn filter_map_ready(self) -> Self {
        self.and_then(|mut line| line.is_ready().then_some(line))
    }
}

fn request(origin: &Origin, target: &http::Uri, body: Bytes) -> Request<Full<Bytes>> {
    // A body of known length: hyper sends Content-Length, never chunks (OpenSim refuses those).
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_11;
    *request.uri_mut() = target.clone();
    *request.headers_mut() = origin.headers.clone();
    request
}
