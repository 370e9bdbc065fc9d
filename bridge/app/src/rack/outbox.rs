//! What a rack wants to send: events in order, together where they had to wait, one message in flight.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use primrack_wire::world::{Answer, AnswerEntry, Event, Events, MAX_EVENTS, Register, UpBody};
use smol_str::SmolStr;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::core::{Core, News, count};
use super::link::RackError;

/// The first pause before something is sent again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Events that wait here; further ones wait in the channel.
const PENDING: usize = 64;

/// What is asked of the outbox.
#[derive(Debug)]
pub(super) enum Wish {
    /// Register now.
    Register(oneshot::Sender<Result<u32, RackError>>),
    /// Tell the bridge what happened.
    Event(Event, oneshot::Sender<Result<AnswerEntry, RackError>>),
}

#[derive(Debug)]
struct Waiting {
    event: Event,
    until: Instant,
    asker: oneshot::Sender<Result<AnswerEntry, RackError>>,
}

/// The task that sends.
#[derive(Debug)]
pub(super) struct Outbox {
    core: Arc<Core>,
    wishes: mpsc::Receiver<Wish>,
    pending: VecDeque<Waiting>,
    renew_at: Option<Instant>,
    resend_at: Option<Instant>,
    pause: Duration,
}

impl Outbox {
    pub(super) fn new(core: Arc<Core>, wishes: mpsc::Receiver<Wish>) -> Self {
        Self { core, wishes, pending: VecDeque::new(), renew_at: None, resend_at: None, pause: FIRST_PAUSE }
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.work() => {}
        }
        for waiting in self.pending {
            answer(waiting.asker, Err(RackError::Stopped));
        }
    }

    async fn work(&mut self) {
        let core = Arc::clone(&self.core);
        loop {
            let renew = due(self.renew_at);
            let resend = due(self.resend_at.filter(|_| !self.pending.is_empty()));
            tokio::select! {
                wish = self.wishes.recv(), if self.pending.len() < PENDING => match wish {
                    Some(wish) => self.take(wish).await,
                    None => return,
                },
                () = core.register_soon.notified() => self.renew().await,
                () = renew => self.renew().await,
                () = resend => self.resend_at = None,
            }
            // What gathered meanwhile travels together.
            while self.pending.len() < PENDING {
                match self.wishes.try_recv() {
                    Ok(wish) => self.take(wish).await,
                    Err(_) => break,
                }
            }
            while !self.pending.is_empty() && self.resend_at.is_none() {
                self.send().await;
            }
        }
    }

    async fn take(&mut self, wish: Wish) {
        match wish {
            Wish::Event(event, asker) => {
                let until = Instant::now() + self.core.settings.patience;
                self.pending.push_back(Waiting { event, until, asker });
            }
            Wish::Register(asker) => {
                let until = Instant::now() + self.core.settings.patience;
                let registered = loop {
                    match self.register().await {
                        Err(RackError::Refused { again: Some(again), .. })
                            if Instant::now() + Duration::from_secs(again.into()) < until =>
                        {
                            tokio::time::sleep(Duration::from_secs(again.into())).await;
                        }
                        other => break other,
                    }
                };
                answer(asker, registered);
            }
        }
    }

    async fn register(&mut self) -> Result<u32, RackError> {
        let settings = &self.core.settings;
        let body = UpBody::Register(Register {
            url: self.core.url.clone(),
            holder: settings.holder.clone(),
            owner: settings.owner.clone(),
            region: settings.region.clone(),
            grid: settings.grid.clone(),
            script: SmolStr::new_static(concat!("primrack object ", env!("CARGO_PKG_VERSION"))),
            units: settings.units.clone(),
        });
        match self.core.up(&body).await {
            Ok(Answer::Registered { ok: _, renew }) => {
                let early = Duration::from_secs(u64::from(renew)).mul_f32(0.9).max(Duration::from_secs(1));
                self.renew_at = Some(Instant::now() + early);
                count(&self.core.counts.registered);
                self.core.tell(News::Registered { renew });
                Ok(renew)
            }
            Ok(Answer::Refused(refused)) => {
                Err(RackError::Refused { reason: refused.refused, say: refused.say, again: refused.again })
            }
            Ok(Answer::Entries { .. }) => Err(RackError::Unproved {
                status: 200,
                words: "an answer to events came to a registration".to_owned(),
            }),
            Err(error) => Err(error),
        }
    }

    /// Registers by itself: in time, or because a push showed that it is needed. Tried again until it works.
    async fn renew(&mut self) {
        if let Err(error) = self.register().await {
            self.trouble(&error);
            let again = match &error {
                RackError::Refused { again: Some(again), .. } => Duration::from_secs((*again).into()),
                _ => self.lengthen(),
            };
            self.renew_at = Some(Instant::now() + again);
        }
    }

    /// Sends the oldest events, as many as fit into a message, and hands out what came back.
    async fn send(&mut self) {
        self.give_up();
        let batch: Vec<Event> =
            self.pending.iter().take(MAX_EVENTS).map(|waiting| waiting.event.clone()).collect();
        if batch.is_empty() {
            return;
        }
        let body = UpBody::Events(Events { holder: self.core.settings.holder.clone(), list: batch });
        match self.core.up(&body).await {
            Ok(Answer::Entries { list }) => self.deliver(list),
            // Up passes only `not-registered` on.
            Ok(_) => match self.register().await {
                Ok(_) => {}
                Err(error @ RackError::Refused { again: None, .. }) => self.fail(&error),
                Err(error) => self.later(&error),
            },
            Err(RackError::Refused { reason, say, .. }) if reason == "garbage" => {
                let error = RackError::Refused { reason, say, again: None };
                self.fail(&error);
            }
            Err(error) => self.later(&error),
        }
    }

    fn deliver(&mut self, list: Vec<AnswerEntry>) {
        let mut any = false;
        for entry in list {
            if let Some(at) = self.pending.iter().position(|waiting| waiting.event.id == entry.id)
                && let Some(waiting) = self.pending.remove(at)
            {
                any = true;
                answer(waiting.asker, Ok(entry));
            }
        }
        if any {
            self.pause = FIRST_PAUSE;
        } else {
            self.later(&RackError::Unproved { status: 200, words: "the answer had no entry for it".into() });
        }
    }

    /// The events of this message are answered by the error.
    fn fail(&mut self, error: &RackError) {
        let count = self.pending.len().min(MAX_EVENTS);
        for waiting in self.pending.drain(..count) {
            answer(waiting.asker, Err(error.clone()));
        }
    }

    fn later(&mut self, error: &RackError) {
        self.trouble(error);
        let now = Instant::now();
        let pause = self.lengthen();
        // An asker whose patience ends before the next try learns it now, with the reason.
        while self.pending.front().is_some_and(|waiting| waiting.until <= now + pause) {
            if let Some(waiting) = self.pending.pop_front() {
                answer(waiting.asker, Err(error.clone()));
            }
        }
        self.resend_at = Some(now + pause);
    }

    fn give_up(&mut self) {
        let now = Instant::now();
        let bridge = &self.core.settings.bridge_url;
        while self.pending.front().is_some_and(|waiting| waiting.until <= now) {
            if let Some(waiting) = self.pending.pop_front() {
                let why = "it took longer than the rack waits".to_owned();
                answer(waiting.asker, Err(RackError::Unreachable { bridge: bridge.clone(), why }));
            }
        }
    }

    /// The next pause, with jitter, so that racks that lost a bridge together do not come back together.
    fn lengthen(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        let jitter = getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX));
        pause.mul_f64(0.75 + jitter / 2.0)
    }

    fn trouble(&self, error: &RackError) {
        self.core.tell(News::Trouble { words: error.to_string() });
    }
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn answer<T>(asker: oneshot::Sender<T>, with: T) {
    if asker.send(with).is_err() {
        tracing::debug!("whoever asked has gone");
    }
}
