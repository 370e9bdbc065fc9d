//! The adapter: one connection that listens, one that asks, and one for each command, so that a
//! command at which the daemon sits for minutes keeps nobody waiting.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::Mutex;
use primrack_adapter_api::{Adapter, AdapterError, Capabilities, Console, Found, Hint, Hints};
use primrack_model::{About, Address, Cause, Command, IntentId, Load, Observation, Power};
use smol_str::SmolStr;
use tokio::sync::broadcast;

use super::client::{Connection, Which};
use super::protocol::{Domain, Event};
use super::{LibvirtConfig, actions, map, screen};
use crate::local::Recent;

/// How long an address is believed before it is asked for again.
const ADDRESSES: Duration = Duration::from_secs(30);
/// Of how many machines something is remembered; those not seen for longest are forgotten first.
const REMEMBERED: usize = 20_000;
/// Commands under way at once, each with a connection.
const COMMANDS: usize = 32;
/// The most machines that a listing tells of.
const LISTED: usize = 10_000;

/// Machines of a libvirt daemon.
#[derive(Debug)]
pub struct LibvirtAdapter {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: LibvirtConfig,
    asking: tokio::sync::Mutex<Option<Arc<Connection>>>,
    commands: tokio::sync::Semaphore,
    memory: Mutex<HashMap<SmolStr, Remembered>>,
    /// What the adapter itself knows to have changed.
    news: broadcast::Sender<Hint>,
}

/// What is remembered of a machine between two looks.
#[derive(Debug)]
struct Remembered {
    touched: Instant,
    recent: Recent,
    /// Until when its end is what the bridge asked for.
    asked_until: Option<Instant>,
    /// The detail of the last event of a shutdown.
    shutdown: Option<i32>,
    /// The number that the daemon gave it for as long as it runs.
    running: Option<i32>,
    /// The end of what ran before is still to be told: Xen's driver tells of the new beginning first.
    late_end: bool,
    /// Processor time at a moment.
    sample: Option<(u64, Instant)>,
    addresses: Option<(Vec<IpAddr>, Instant)>,
}

impl Remembered {
    fn new() -> Self {
        Self {
            touched: Instant::now(),
            recent: Recent::default(),
            asked_until: None,
            shutdown: None,
            running: None,
            late_end: false,
            sample: None,
            addresses: None,
        }
    }
}

impl Remembered {
    /// Whether this event is a machine's that ran all the time as far as anybody was told, and begins anew: what
    /// Xen's driver tells of a reboot is that it has started, under another number, and after that the end.
    fn begins_anew(&mut self, what: i32, id: i32) -> bool {
        match what {
            map::EVENT_STARTED => {
                let anew = self.running.is_some_and(|before| before != id);
                (self.running, self.late_end) = (Some(id), anew);
                anew
            }
            map::EVENT_STOPPED if self.late_end => {
                self.late_end = false;
                false
            }
            map::EVENT_STOPPED => {
                self.running = None;
                false
            }
            _ => false,
        }
    }
}

impl LibvirtAdapter {
    pub(super) fn new(config: LibvirtConfig) -> Self {
        let inner = Inner {
            config,
            asking: tokio::sync::Mutex::default(),
            commands: tokio::sync::Semaphore::new(COMMANDS),
            memory: Mutex::default(),
            news: broadcast::Sender::new(64),
        };
        Self { inner: Arc::new(inner) }
    }
}

#[async_trait]
impl Adapter for LibvirtAdapter {
    fn technology(&self) -> &'static str {
        "libvirt"
    }

    fn capabilities(&self, _: &Address) -> Capabilities {
        self.inner.config.driver().capabilities()
    }

    async fn list(&self) -> Result<Vec<Found>, AdapterError> {
        let connection = self.inner.asking().await?;
        let domains = connection.list(Which::All).await?;
        // A few filtered listings tell the states of all; what changed between two of them is told by events.
        let mut states: HashMap<[u8; 16], Power> = HashMap::with_capacity(domains.len());
        for (which, power) in [
            (Which::Running, Power::On),
            (Which::Paused, Power::Paused),
            (Which::Off, Power::Off),
            (Which::Saved, Power::Saved),
        ] {
            match connection.list(which).await {
                Ok(some) => states.extend(some.iter().map(|domain| (domain.uuid, power))),
                Err(AdapterError::NotSupported(_)) => {}
                Err(why) => return Err(why),
            }
        }
        let host = SmolStr::new(&connection.host);
        let found = domains.into_iter().take(LISTED).map(|domain| {
            let seen = states.get(&domain.uuid).map(|power| Observation::of(*power));
            Found { host: host.clone(), seen, ..Found::of(address(&domain)) }
        });
        Ok(found.collect())
    }

    async fn observe(&self, address: &Address) -> Result<Observation, AdapterError> {
        let connection = self.inner.asking().await?;
        let domain = connection.find(&address.0).await?;
        self.inner.observe(&connection, &domain).await
    }

    async fn execute(&self, command: &Command) -> Result<(), AdapterError> {
        let inner = &self.inner;
        let name = &command.address.0;
        let _permit = inner
            .commands
            .acquire()
            .await
            .map_err(|why| AdapterError::Unreachable(format!("the adapter is closed: {why}")))?;
        // A connection of its own: the daemon may be at it for long, and if this is given up it is closed.
        let (connection, _) = Connection::open(&inner.config).await?;
        let domain = connection.find(name).await?;
        if !inner.remember(name, |known| known.recent.is_new(command.intent)) {
            return Ok(());
        }
        let mut attempt = Attempt { inner, name, intent: command.intent, taken: false };
        if command.action.is_disruptive() {
            let until = Instant::now() + Duration::from_millis(command.deadline_ms);
            inner.remember(name, |known| known.asked_until = Some(until));
        }
        let done = actions::act(&connection, &inner.config, &domain, command.action).await;
        attempt.taken = done.is_ok();
        for hint in done? {
            // Nobody may be listening.
            inner.news.send(hint).ok();
        }
        Ok(())
    }

    async fn console(&self, address: &Address) -> Result<Console, AdapterError> {
        let (connection, _) = Connection::open(&self.inner.config).await?;
        let domain = connection.find(&address.0).await?;
        let picture = connection.screenshot(&domain).await?;
        // Packing a large picture takes a while.
        let png = tokio::task::spawn_blocking(move || screen::png(picture)).await;
        png.unwrap_or_else(|why| Err(AdapterError::Unreachable(why.to_string()))).map(Console::Png)
    }

    async fn listen(&self, hints: Hints) -> AdapterError {
        if !self.inner.config.driver().tells() {
            return std::future::pending().await;
        }
        match self.inner.listen(&hints).await {
            Ok(why) | Err(why) => why,
        }
    }
}

impl Inner {
    /// The connection for questions: the one there is, or another when that is lost or busy with
    /// something that was given up.
    async fn asking(&self) -> Result<Arc<Connection>, AdapterError> {
        let mut asking = self.asking.lock().await;
        if let Some(connection) = asking.as_ref().filter(|connection| !connection.is_spent()) {
            return Ok(Arc::clone(connection));
        }
        *asking = None;
        let (connection, _) = Connection::open(&self.config).await?;
        Ok(Arc::clone(asking.insert(Arc::new(connection))))
    }

    /// Remembers something of a machine.
    fn remember<T>(&self, name: &str, change: impl FnOnce(&mut Remembered) -> T) -> T {
        let mut memory = self.memory.lock();
        if memory.len() >= REMEMBERED && !memory.contains_key(name) {
            // Rarely, and for many places at once.
            let mut ages: Vec<Instant> = memory.values().map(|known| known.touched).collect();
            let middle = ages.len() / 2;
            let (_, limit, _) = ages.select_nth_unstable(middle);
            let limit = *limit;
            memory.retain(|_, known| known.touched > limit);
        }
        let known = memory.entry(SmolStr::new(name)).or_insert_with(Remembered::new);
        known.touched = Instant::now();
        change(known)
    }

    async fn observe(&self, connection: &Connection, domain: &Domain) -> Result<Observation, AdapterError> {
        let (state, reason) = connection.state(domain).await?;
        let told = self.remember(&domain.name, |known| map::Told {
            asked: known.asked_until.is_some_and(|until| Instant::now() < until),
            shutdown: known.shutdown,
        });
        let mut seen = map::observation(state, reason, told);
        if !map::is_active(state) {
            self.remember(&domain.name, |known| (known.sample, known.addresses) = (None, None));
            if state == map::SHUTOFF && connection.is_saved(domain).await? {
                seen = Observation::of(Power::Saved);
            }
        } else {
            seen.load = self.load(connection, domain).await?;
        }
        let addresses = match seen.power {
            Power::On => self.addresses(connection, domain).await?,
            _ => Vec::new(),
        };
        seen.about =
            Some(Box::new(About { host: SmolStr::new(&connection.host), addresses, ..About::default() }));
        Ok(seen)
    }

    async fn load(&self, connection: &Connection, domain: &Domain) -> Result<Option<Load>, AdapterError> {
        let usage = match connection.usage(domain).await {
            Ok(usage) => usage,
            Err(AdapterError::Unreachable(why)) => return Err(AdapterError::Unreachable(why)),
            // It ended meanwhile, or its driver keeps no account: no reason to say nothing at all.
            Err(_) => return Ok(None),
        };
        let now = Instant::now();
        let cpu = self.remember(&domain.name, |known| match known.sample.replace((usage.cpu_time, now)) {
            Some((before, at)) if now > at => {
                let used = Duration::from_nanos(usage.cpu_time.saturating_sub(before));
                (used.as_secs_f64() / (now - at).as_secs_f64()) as f32
            }
            Some(_) | None => 0.0,
        });
        Ok(Some(Load { cpu, memory: usage.memory.saturating_mul(1024) }))
    }

    async fn addresses(&self, connection: &Connection, domain: &Domain) -> Result<Vec<IpAddr>, AdapterError> {
        let known = self.remember(&domain.name, |known| known.addresses.clone());
        if let Some((addresses, at)) = known
            && at.elapsed() < ADDRESSES
        {
            return Ok(addresses);
        }
        let addresses = match connection.addresses(domain).await {
            Ok(addresses) => addresses,
            Err(AdapterError::Unreachable(why)) => return Err(AdapterError::Unreachable(why)),
            // Most drivers know none.
            Err(_) => Vec::new(),
        };
        let now = Instant::now();
        self.remember(&domain.name, |known| known.addresses = Some((addresses.clone(), now)));
        Ok(addresses)
    }

    async fn listen(&self, hints: &Hints) -> Result<AdapterError, AdapterError> {
        let mut news = self.news.subscribe();
        let (connection, mut events) = Connection::open(&self.config).await?;
        connection.subscribe().await?;
        // What happened before this moment was told to nobody.
        for domain in connection.list(Which::All).await?.into_iter().take(LISTED) {
            self.remember(&domain.name, |known| {
                (known.running, known.late_end) = ((domain.id >= 0).then_some(domain.id), false);
            });
            if hints.send(Hint::Changed(address(&domain))).await.is_err() {
                return Ok(deaf());
            }
        }
        loop {
            let heard = tokio::select! {
                biased;
                event = events.recv() => match event {
                    Some(event) => self.told(&event),
                    None => return Ok(AdapterError::Unreachable(connection.lost().await)),
                },
                own = news.recv() => match own {
                    Ok(hint) => vec![hint],
                    // Who changed so much looks at it anyway, after each command.
                    Err(_) => Vec::new(),
                },
            };
            for hint in heard {
                if hints.send(hint).await.is_err() {
                    return Ok(deaf());
                }
            }
        }
    }

    /// What an event is to those who listen.
    fn told(&self, event: &Event) -> Vec<Hint> {
        let address = address(event.domain());
        match event {
            Event::Lifecycle { domain, what, detail } => {
                // Afterwards nobody is there to be asked who began it.
                let shutdown = (*what == map::EVENT_SHUTDOWN).then_some(*detail);
                if shutdown.is_some() {
                    self.remember(&domain.name, |known| known.shutdown = shutdown);
                }
                if self.remember(&domain.name, |known| known.begins_anew(*what, domain.id)) {
                    return reset(address);
                }
                vec![Hint::Changed(address)]
            }
            Event::Rebooted { .. } => reset(address),
        }
    }
}

/// It was reset just now: it begins anew, and the next look tells that it runs.
pub(super) fn reset(address: Address) -> Vec<Hint> {
    let seen = Observation::caused(Power::Starting, Cause::Operator).with_detail("reset");
    let seen = Observation { cause: None, ..seen };
    vec![Hint::State(address.clone(), seen), Hint::Changed(address)]
}

fn deaf() -> AdapterError {
    AdapterError::Unreachable("nobody listens any more".to_owned())
}

pub(super) fn address(domain: &Domain) -> Address {
    Address(SmolStr::new(&domain.name))
}

/// A command under way. If it comes to nothing, it may be tried again.
struct Attempt<'a> {
    inner: &'a Inner,
    name: &'a str,
    intent: IntentId,
    taken: bool,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.taken {
            self.inner.remember(self.name, |known| known.recent.forget(self.intent));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reboot_is_told_apart_from_a_start_in_whatever_order_it_is_told() {
        let mut known = Remembered::new();
        assert!(!known.begins_anew(map::EVENT_STARTED, 1));
        // Xen.
        assert!(known.begins_anew(map::EVENT_STARTED, 2));
        assert!(!known.begins_anew(map::EVENT_STOPPED, 1));
        assert!(known.begins_anew(map::EVENT_STARTED, 3));
        assert!(!known.begins_anew(map::EVENT_STOPPED, 2));
        // An end and a start.
        assert!(!known.begins_anew(map::EVENT_STOPPED, 3));
        assert!(!known.begins_anew(map::EVENT_STARTED, 4));
        // Told twice.
        assert!(!known.begins_anew(map::EVENT_STARTED, 4));
    }
}
