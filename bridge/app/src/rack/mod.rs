//! A rack played in Rust, as the script in a region plays it: for the terminal, tests and benchmarks.
//!
//! It speaks `lsl-scripts/PROTOCOL.md` and nothing else, so what works with it works with a script:
//!
//! ```text
//! touch, choose, write ─▶ outbox (one `up` in flight) ─▶ link (nonce, clock, number) ─▶ bridge
//! shown units ◀─ callback (verified, acknowledged) ◀─ push ◀─────────────────────────── bridge
//! ```
//! It is a simulated object: the machines behind the bridge are whatever the bridge has. Faults can be
//! played on purpose, see [`Faults`].

mod callback;
mod core;
mod faults;
mod link;
mod outbox;
mod settings;
mod site;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use primrack_wire::world::{AnswerEntry, Event, EventKind, KeyId, Secret};
use smol_str::SmolStr;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::core::{CountsNow, News, States};
pub use self::faults::{CallbackFault, Faults};
pub use self::link::RackError;
pub use self::settings::{Avatar, RackKey, RackSettings, uuid_of};
pub use self::site::Site;

use self::core::Core;
use self::outbox::{Outbox, Wish};

/// Wishes that may wait at one rack.
const WISHES: usize = 64;

/// One rack. Dropping it takes it away: its URL then answers 404.
#[derive(Debug)]
pub struct Rack {
    core: Arc<Core>,
    wishes: mpsc::Sender<Wish>,
    site: Site,
    _stop: DropGuard,
}

impl Rack {
    /// Sets a rack up with a callback server of its own, at `settings.bind`. Nothing is sent before
    /// [`Self::register`] or the first event.
    ///
    /// # Errors
    /// When the callback cannot listen, or the bridge's URL is none.
    pub async fn start(settings: RackSettings) -> Result<Self, RackError> {
        let site = Site::open(settings.bind, settings.public_url.clone()).await?;
        Self::start_at(&site, settings)
    }

    /// Sets a rack up at a site that several share: one listener, one pool of connections.
    ///
    /// # Errors
    /// When the bridge's URL is none.
    pub fn start_at(site: &Site, settings: RackSettings) -> Result<Self, RackError> {
        let core = Arc::new(Core::new(settings, site)?);
        site.add(&core);
        let (wishes, heard) = mpsc::channel(WISHES);
        let stop = CancellationToken::new();
        tokio::spawn(Outbox::new(Arc::clone(&core), heard).run(stop.clone()));
        Ok(Self { core, wishes, site: site.clone(), _stop: stop.drop_guard() })
    }

    /// Registers now. A second holder that is told to wait does so, up to the rack's patience.
    ///
    /// # Errors
    /// Why the bridge did not take it.
    pub async fn register(&self) -> Result<u32, RackError> {
        let (tell, told) = oneshot::channel();
        self.wish(Wish::Register(tell)).await?;
        told.await.unwrap_or(Err(RackError::Stopped))
    }

    /// Somebody touches a unit. Sent again with the same event id until it is answered or the rack's
    /// patience is over.
    ///
    /// # Errors
    /// When no believable answer came, or the bridge refused the whole message.
    pub async fn touch(&self, unit: u8, who: &Avatar) -> Result<AnswerEntry, RackError> {
        let Avatar { id, name } = who.clone();
        self.event(EventKind::Touch { unit, who: id, name }).await
    }

    /// Somebody chooses from a menu.
    ///
    /// # Errors
    /// As [`Self::touch`].
    pub async fn choose(&self, menu: &str, who: &Avatar, pick: &str) -> Result<AnswerEntry, RackError> {
        let Avatar { id, name } = who.clone();
        self.event(EventKind::Choose { menu: menu.into(), who: id, name, pick: pick.into() }).await
    }

    /// Somebody writes the line they were asked for.
    ///
    /// # Errors
    /// As [`Self::touch`].
    pub async fn write(&self, menu: &str, who: &Avatar, text: &str) -> Result<AnswerEntry, RackError> {
        let Avatar { id, name } = who.clone();
        self.event(EventKind::Line { menu: menu.into(), who: id, name, text: text.to_owned() }).await
    }

    /// The script reports trouble.
    ///
    /// # Errors
    /// As [`Self::touch`].
    pub async fn report(&self, text: &str) -> Result<AnswerEntry, RackError> {
        self.event(EventKind::Error { text: text.to_owned() }).await
    }

    async fn event(&self, kind: EventKind) -> Result<AnswerEntry, RackError> {
        let event = Event { id: self.core.next_event(), kind };
        let (tell, told) = oneshot::channel();
        self.wish(Wish::Event(event, tell)).await?;
        told.await.unwrap_or(Err(RackError::Stopped))
    }

    async fn wish(&self, wish: Wish) -> Result<(), RackError> {
        self.wishes.send(wish).await.map_err(|_| RackError::Stopped)
    }

    /// What the units show, kept up to date.
    #[must_use]
    pub fn states(&self) -> watch::Receiver<States> {
        self.core.shown.subscribe()
    }

    /// Everything that happens, from now on. Who falls behind is told how much was missed.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<News> {
        self.core.news.subscribe()
    }

    /// Waits until `unit` shows `token`, such as `on`.
    ///
    /// # Errors
    /// [`RackError::Stopped`] when the rack ended first.
    pub async fn shows(&self, unit: u8, token: &str) -> Result<(), RackError> {
        let mut states = self.states();
        let found = states.wait_for(|states| states.get(&unit).is_some_and(|shown| shown.s == token)).await;
        found.map(drop).map_err(|_| RackError::Stopped)
    }

    /// What happened so often since the start.
    #[must_use]
    pub fn counts(&self) -> CountsNow {
        self.core.counts.now()
    }

    /// Plays faults from now on.
    pub fn play(&self, faults: Faults) {
        *self.core.faults.lock() = faults;
    }

    /// Takes another key, as a script does whose notecard was changed, and registers with it.
    pub fn change_key(&self, id: KeyId, secret: Secret) {
        *self.core.key.lock() = Arc::new(RackKey { id, secret });
        self.core.register_soon.notify_one();
    }

    /// Moves the rack's clock by so many seconds, to play one that is wrong.
    pub fn set_clock_error(&self, seconds: i64) {
        self.core.session.lock().clock_error_s = seconds;
    }

    /// Where pushes are taken.
    #[must_use]
    pub fn url(&self) -> &SmolStr {
        &self.core.url
    }
}

impl Drop for Rack {
    fn drop(&mut self) {
        self.site.remove(&self.core);
    }
}
