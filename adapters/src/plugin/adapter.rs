//! The adapter: keeps one run of the program at a time, and starts the next when it is due.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use primrack_adapter_api::{Adapter, AdapterError, Capabilities, Console, Found, Hint, Hints};
use primrack_model::{Address, Command, Observation};
use tokio::time::{Duration, Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::PluginConfig;
use super::client::Session;
use super::launch::launch;
use super::map::{self, Hello, VERSION, What, understood};
use super::news::Told;

/// The first pause after an end; it doubles.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// Who ran so long is started again without a long pause.
const STEADY: Duration = Duration::from_secs(60);

/// Nothing is known yet.
const NOTHING: Capabilities = Capabilities { actions: &[], pushes_events: false, simulated: false };

/// Machines that a program makes known.
#[derive(Debug)]
pub struct PluginAdapter {
    inner: Arc<Inner>,
    technology: &'static str,
    _stop: DropGuard,
}

#[derive(Debug)]
struct Inner {
    config: PluginConfig,
    name: String,
    /// Held while one is started, so that there are never two.
    slot: Arc<tokio::sync::Mutex<Slot>>,
    /// The one that runs, for whoever only wants to ask it.
    current: Mutex<Option<Arc<Session>>>,
    known: Mutex<Known>,
    stop: CancellationToken,
}

/// What it said last, for questions that are answered from memory.
#[derive(Debug)]
struct Known {
    hello: Capabilities,
    differ: BTreeMap<Address, Capabilities>,
    addresses: Vec<Address>,
}

#[derive(Debug, Default)]
struct Slot {
    session: Option<Arc<Session>>,
    began: Option<Instant>,
    failures: u32,
    /// Not before, and why.
    again: Option<(Instant, AdapterError)>,
}

impl Slot {
    /// Counts an end and says when the next start is due.
    fn ended(&mut self, why: AdapterError) {
        self.session = None;
        let lasted = self.began.take().map(|began| began.elapsed()).unwrap_or_default();
        self.failures = if lasted >= STEADY { 0 } else { self.failures.saturating_add(1) };
        let doubled = PAUSE_MIN.saturating_mul(1 << self.failures.saturating_sub(1).min(16));
        self.again = Some((Instant::now() + doubled.min(PAUSE_MAX), why));
    }
}

impl PluginAdapter {
    /// An adapter of this configuration, which is not checked. `technology` is what it calls itself.
    #[must_use]
    pub fn new(config: PluginConfig, technology: &'static str) -> Self {
        let stop = CancellationToken::new();
        let name = config.command.rsplit('/').next().unwrap_or_default().to_owned();
        let name = if technology == "plugin" { name } else { technology.to_owned() };
        let inner = Inner {
            config,
            name,
            slot: Arc::default(),
            current: Mutex::new(None),
            known: Mutex::new(Known { hello: NOTHING, differ: BTreeMap::new(), addresses: Vec::new() }),
            stop: stop.clone(),
        };
        Self { inner: Arc::new(inner), technology, _stop: stop.drop_guard() }
    }

    /// Believes these capabilities until the program says its own: for who knows it from before.
    #[must_use]
    pub fn knowing(self, capabilities: Capabilities) -> Self {
        self.inner.known.lock().hello = capabilities;
        self
    }

    /// Starts the program, if it does not run, and says what it said it can do.
    ///
    /// # Errors
    /// Why it does not start or answer.
    pub async fn greet(&self) -> Result<Capabilities, AdapterError> {
        self.inner.session().await?;
        Ok(self.inner.known.lock().hello)
    }

    /// Sends a request that nobody knows: for the check.
    pub(super) async fn confuse(&self) -> Result<(), AdapterError> {
        self.inner.ask(What::NoSuchRequest, self.inner.answer()).await.map(drop)
    }
}

impl Inner {
    fn answer(&self) -> Duration {
        Duration::from_millis(self.config.answer_ms)
    }

    /// The program that runs, started if it is due.
    async fn session(self: &Arc<Self>) -> Result<Arc<Session>, AdapterError> {
        if let Some(session) = &*self.current.lock()
            && session.ended().is_none()
        {
            return Ok(Arc::clone(session));
        }
        let slot = Arc::clone(&self.slot).lock_owned().await;
        let inner = Arc::clone(self);
        // Whoever gives up leaves nothing half started.
        let started = tokio::spawn(async move { inner.start(slot).await });
        started
            .await
            .unwrap_or_else(|why| Err(AdapterError::Unreachable(format!("the adapter failed inside: {why}"))))
    }

    async fn start(
        self: &Arc<Self>,
        mut slot: tokio::sync::OwnedMutexGuard<Slot>,
    ) -> Result<Arc<Session>, AdapterError> {
        if let Some(session) = &slot.session {
            match session.ended() {
                None => return Ok(Arc::clone(session)),
                Some(why) => slot.ended(why),
            }
        }
        if let Some((due, why)) = &slot.again
            && let Some(left) = due.checked_duration_since(Instant::now())
        {
            let again = format!("; it is started again in {} ms", left.as_millis());
            return Err(match why {
                AdapterError::Credentials(words) => AdapterError::Credentials(format!("{words}{again}")),
                other => AdapterError::Unreachable(format!("{other}{again}")),
            });
        }
        slot.began = Some(Instant::now());
        match self.greeted().await {
            Ok(session) => {
                slot.again = None;
                slot.session = Some(Arc::clone(&session));
                *self.current.lock() = Some(Arc::clone(&session));
                Ok(session)
            }
            Err(why) => {
                slot.ended(why.clone());
                Err(why)
            }
        }
    }

    async fn greeted(&self) -> Result<Arc<Session>, AdapterError> {
        let config = self.config.clone();
        let launched = tokio::task::spawn_blocking(move || launch(&config))
            .await
            .map_err(|_| AdapterError::Unreachable("the bridge is ending".to_owned()))??;
        // Ended by itself if the greeting fails or this is dropped.
        let stop = self.stop.child_token();
        let guard = stop.clone().drop_guard();
        let session = Session::start(launched, self.name.clone(), self.answer(), stop);
        let what = What::Hello {
            versions: vec![VERSION],
            bridge: env!("CARGO_PKG_VERSION").to_owned(),
            settings: self.config.settings.clone(),
        };
        let greeting = async {
            let answer = session.ask(what, self.answer()).await?;
            let hello: Hello = understood(map::single(map::parts(answer, None)?)?)?;
            if hello.version != VERSION {
                return Err(AdapterError::Unreachable(format!(
                    "the plug-in {} speaks version {} of the protocol, this bridge speaks {VERSION}",
                    self.name, hello.version
                )));
            }
            Ok(hello)
        };
        let hello = match greeting.await {
            Ok(hello) => hello,
            Err(why) => {
                drop(guard);
                // Never two at once: the next one is not started before this one is gone.
                session.over().await;
                return Err(why);
            }
        };
        guard.disarm();
        session.allow(hello.at_once);
        self.known.lock().hello = hello.capabilities();
        tracing::info!(plugin = self.name, says = %map::clean(&hello.name, 80), "started");
        Ok(session)
    }

    async fn ask(
        self: &Arc<Self>,
        what: What,
        limit: Duration,
    ) -> Result<Vec<serde_json::Map<String, serde_json::Value>>, AdapterError> {
        let address = match &what {
            What::Observe { address } | What::Execute { address, .. } | What::Console { address } => {
                Some(address.clone())
            }
            What::Hello { .. } | What::List | What::Ping | What::Shutdown | What::NoSuchRequest => None,
        };
        let answer = self.session().await?.ask(what, limit).await?;
        map::parts(answer, address.as_ref())
    }
}

#[async_trait]
impl Adapter for PluginAdapter {
    fn technology(&self) -> &'static str {
        self.technology
    }

    fn capabilities(&self, address: &Address) -> Capabilities {
        let known = self.inner.known.lock();
        known.differ.get(address).copied().unwrap_or(known.hello)
    }

    async fn list(&self) -> Result<Vec<Found>, AdapterError> {
        let parts = self.inner.ask(What::List, self.inner.answer() * 3).await?;
        let hello = self.inner.known.lock().hello;
        let (found, differ) = map::listing(parts, hello)?;
        let mut known = self.inner.known.lock();
        known.differ = differ;
        known.addresses = found.iter().map(|found| found.address.clone()).collect();
        Ok(found)
    }

    async fn observe(&self, address: &Address) -> Result<Observation, AdapterError> {
        let what = What::Observe { address: address.clone() };
        map::state(map::single(self.inner.ask(what, self.inner.answer()).await?)?)
    }

    async fn execute(&self, command: &Command) -> Result<(), AdapterError> {
        let Command { intent, address, action, deadline_ms } = command.clone();
        let mut limit = self.inner.answer() * 3;
        if action.ends_with_its_call() {
            limit = limit.max(Duration::from_millis(deadline_ms).saturating_add(self.inner.answer()));
        }
        let what = What::Execute { address, action, intent, deadline_ms };
        map::taken(&map::single(self.inner.ask(what, limit).await?)?)
    }

    async fn listen(&self, hints: Hints) -> AdapterError {
        let session = match self.inner.session().await {
            Ok(session) => session,
            Err(why) => return why,
        };
        // What was lost before is made good by the listing that comes with each listening.
        session.news.forget_loss();
        let gone = || AdapterError::Unreachable("nobody listens any more".to_owned());
        loop {
            let told = tokio::select! {
                told = session.news.next() => told,
                why = session.over() => return why,
            };
            match told {
                Told::Hints(all) => {
                    for hint in all {
                        if hints.send(hint).await.is_err() {
                            return gone();
                        }
                    }
                }
                Told::Everything => {
                    let all = self.inner.known.lock().addresses.clone();
                    for address in all {
                        if hints.send(Hint::Changed(address)).await.is_err() {
                            return gone();
                        }
                    }
                }
                Told::Lost(why) => return why,
            }
        }
    }

    async fn console(&self, address: &Address) -> Result<Console, AdapterError> {
        let what = What::Console { address: address.clone() };
        map::console(self.inner.ask(what, self.inner.answer() * 3).await?)
    }
}
