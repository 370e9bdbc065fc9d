//! The adapter: looks and orders, and what goes on behind them (temperatures, coming back, events).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use parking_lot::Mutex;
use primrack_adapter_api::{Adapter, AdapterError, Capabilities, Found, Hint, Hints};
use primrack_model::{Action, Address, Command, Observation, Power};
use reqwest::{Method, Response};
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::ConfigError;
use crate::bmc::How;

use super::client::{Bmc, ROOT};
use super::config::{Indicator, RebootBy, RedfishConfig};
use super::events::{self, Parser, Source};
use super::map::{indicator, observation, resets, text, texts};
use super::systems::{self, Systems};
use super::thermal;

/// How old a listing must be before an unknown address causes another.
const RELIST: Duration = Duration::from_secs(5);
/// How often a system that is to come back is looked at.
const COMING: Duration = Duration::from_secs(1);
/// The shortest pause between two readings of temperatures, of whichever system.
const BREATH: Duration = Duration::from_secs(2);
/// How long a BMC may be silent before it is asked whether it is there.
const SILENCE: Duration = Duration::from_secs(15);
/// How many systems are asked after an event that does not say where it comes from.
const UNPLACED: usize = 64;

/// Machines behind one Redfish service.
#[derive(Debug)]
pub struct RedfishAdapter {
    inner: Arc<Inner>,
    _stop: DropGuard,
}

#[derive(Debug)]
struct Inner {
    config: RedfishConfig,
    bmc: Bmc,
    systems: Systems,
    /// An event stream stands that tells of changes of state.
    pushes: AtomicBool,
    /// A temperature is being read.
    feeling: AtomicBool,
    felt: Mutex<Option<Instant>>,
    stop: CancellationToken,
}

impl RedfishAdapter {
    pub(super) fn new(config: RedfishConfig) -> Result<Self, ConfigError> {
        let stop = CancellationToken::new();
        let inner = Inner {
            bmc: Bmc::new(&config)?,
            config,
            systems: Systems::default(),
            pushes: AtomicBool::new(false),
            feeling: AtomicBool::new(false),
            felt: Mutex::default(),
            stop: stop.clone(),
        };
        Ok(Self { inner: Arc::new(inner), _stop: stop.drop_guard() })
    }
}

impl Drop for RedfishAdapter {
    fn drop(&mut self) {
        // A BMC has few sessions and keeps one for half an hour when nobody ends it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let inner = Arc::clone(&self.inner);
            runtime.spawn(async move { inner.bmc.farewell().await });
        }
    }
}

#[async_trait]
impl Adapter for RedfishAdapter {
    fn technology(&self) -> &'static str {
        "redfish"
    }

    fn capabilities(&self, address: &Address) -> Capabilities {
        Capabilities {
            actions: self.inner.systems.actions(address),
            pushes_events: self.inner.pushes.load(Ordering::Relaxed),
            simulated: false,
        }
    }

    async fn list(&self) -> Result<Vec<Found>, AdapterError> {
        let found = self.inner.systems.list(&self.inner.bmc, self.inner.config.reboot).await?;
        self.inner.set_indicators().await;
        Ok(found)
    }

    async fn observe(&self, address: &Address) -> Result<Observation, AdapterError> {
        self.inner.find(address).await?;
        let seen = self.inner.look(address).await?;
        Inner::feel(&self.inner, address);
        Ok(seen)
    }

    async fn execute(&self, command: &Command) -> Result<(), AdapterError> {
        let Command { intent, address, action, deadline_ms } = command;
        self.inner.find(address).await?;
        if self.inner.systems.with(address, |system| system.recent.is_new(*intent)) == Some(false) {
            return Ok(());
        }
        let done = self.inner.order(address, *action, *deadline_ms).await;
        if done.is_err() {
            self.inner.systems.with(address, |system| system.recent.forget(*intent));
        }
        if done.is_ok() && *action == Action::Reboot && self.inner.config.reboot == RebootBy::OffAndOn {
            tokio::spawn(come_back(Arc::clone(&self.inner), address.clone()));
        }
        done
    }

    async fn listen(&self, hints: Hints) -> AdapterError {
        let source = if self.inner.config.events {
            events::source(&self.inner.bmc).await
        } else {
            self.inner.bmc.get(ROOT).await.map(|_| None)
        };
        let source = match source {
            Ok(source) => source,
            Err(why) => return why,
        };
        if let Some(source) = source {
            match self.inner.bmc.stream(&source.path).await {
                Ok(stream) => {
                    return tokio::select! {
                        why = self.inner.hear(&source, stream, &hints) => why,
                        why = self.inner.watch() => why,
                    };
                }
                Err(why) => {
                    tracing::info!(%why, "the BMC's event stream is not to be had; it is asked instead");
                }
            }
        }
        self.inner.watch().await
    }
}

impl Inner {
    /// Makes sure that the address is known, by a listing if need be.
    async fn find(&self, address: &Address) -> Result<(), AdapterError> {
        if self.systems.with(address, |_| ()).is_some() {
            return Ok(());
        }
        if !self.systems.is_fresh(RELIST) {
            self.systems.list(&self.bmc, self.config.reboot).await?;
        }
        self.systems.with(address, |_| ()).ok_or_else(|| AdapterError::NotFound(address.0.to_string()))
    }

    fn path(&self, address: &Address) -> Result<String, AdapterError> {
        let path = self.systems.with(address, |system| system.path.clone());
        path.ok_or_else(|| AdapterError::NotFound(address.0.to_string()))
    }

    async fn look(&self, address: &Address) -> Result<Observation, AdapterError> {
        let said = match self.bmc.get(&self.path(address)?).await {
            Err(AdapterError::NotFound(_)) => {
                self.systems.forget(address);
                return Err(AdapterError::NotFound(address.0.to_string()));
            }
            other => other?,
        };
        let knows = self.systems.with(address, |system| !system.types.is_empty());
        let types = if knows == Some(false) { systems::types(&self.bmc, &said).await? } else { None };
        let seen = self.systems.with(address, |system| {
            system.learn(&said, types, self.config.reboot);
            let mut seen = system.asked.explain(observation(&said), now());
            if let Some(temperature) = system.temperature {
                seen.about.get_or_insert_default().temperature = Some(temperature);
            }
            seen
        });
        seen.ok_or_else(|| AdapterError::NotFound(address.0.to_string()))
    }

    /// Hands the BMC an order, and remembers what to expect.
    async fn order(&self, address: &Address, action: Action, deadline_ms: u64) -> Result<(), AdapterError> {
        if action == Action::Start {
            self.set_boot(address).await?;
        }
        let comes_back = action == Action::Reboot && self.config.reboot == RebootBy::OffAndOn;
        self.reset(address, if comes_back { Action::SoftOff } else { action }).await?;
        let how = match action {
            Action::SoftOff => Some(How::SoftOff),
            Action::HardOff => Some(How::HardOff),
            Action::Reset => Some(How::Reset),
            Action::Reboot if comes_back => Some(How::ComeBack),
            Action::Reboot => Some(How::Restart),
            _ => None,
        };
        self.systems.with(address, |system| match how {
            Some(how) => system.asked.set(how, deadline_ms, now()),
            None => system.asked.clear(),
        });
        Ok(())
    }

    async fn reset(&self, address: &Address, action: Action) -> Result<(), AdapterError> {
        let known = self.systems.with(address, |system| {
            let place = system.reset.clone();
            let place = place.unwrap_or_else(|| format!("{}/Actions/ComputerSystem.Reset", system.path));
            (place, system.types.clone())
        });
        let (place, types) = known.ok_or_else(|| AdapterError::NotFound(address.0.to_string()))?;
        let fits = |name: &str| types.is_empty() || types.iter().any(|there| there == name);
        let Some((name, when)) = resets(action).iter().find(|(name, _)| fits(name)) else {
            return Err(AdapterError::NotSupported(match types.as_slice() {
                [] => format!("Redfish has no action {action}"),
                types => format!("{} has no {action}; its BMC offers {}", address.0, types.join(", ")),
            }));
        };
        // A button does one thing or its opposite: it is pressed only when the machine is seen to be right.
        if let Some(when) = when
            && self.look(address).await?.power != *when
        {
            return Err(AdapterError::Refused(format!(
                "its BMC offers only its power button for that, and the machine is not {}",
                when.word()
            )));
        }
        self.bmc.order(Method::POST, &place, &json!({ "ResetType": name })).await
    }

    /// What it is to boot from once, if that is set.
    async fn set_boot(&self, address: &Address) -> Result<(), AdapterError> {
        let config = self.config.systems.get(address.0.as_str());
        let Some(device) = config.and_then(|config| config.boot) else { return Ok(()) };
        let path = self.path(address)?;
        let said = self.bmc.get(&path).await?;
        let offered = texts(&said, "/Boot/BootSourceOverrideTarget@Redfish.AllowableValues");
        if !offered.is_empty() && !offered.contains(&device.word()) {
            return Err(AdapterError::NotSupported(format!(
                "{} cannot boot from {}; its BMC offers {}: change `boot`",
                address.0,
                device.word(),
                offered.join(", ")
            )));
        }
        // One that runs is not started, and keeps what it has.
        if text(&said, "/PowerState") == Some("On") {
            return Ok(());
        }
        let boot =
            json!({"Boot": {"BootSourceOverrideTarget": device.word(), "BootSourceOverrideEnabled": "Once"}});
        self.bmc.order(Method::PATCH, &path, &boot).await
    }

    /// Sets the lights of the systems for which that is configured. One that cannot be set harms nothing else.
    async fn set_indicators(&self) {
        for (id, config) in &self.config.systems {
            let Some(wanted) = config.indicator else { continue };
            let address = Address(id.into());
            if let Err(why) = self.set_indicator(&address, wanted).await {
                tracing::warn!(system = %id, %why, "its indicator could not be set");
            }
        }
    }

    async fn set_indicator(&self, address: &Address, wanted: Indicator) -> Result<(), AdapterError> {
        let path = self.path(address)?;
        let said = self.bmc.get(&path).await?;
        let now = indicator(&said);
        let newer = said.get("LocationIndicatorActive").is_some_and(|there| there.is_boolean());
        let (word, body) = match wanted {
            Indicator::Off if newer => ("off", json!({"LocationIndicatorActive": false})),
            Indicator::Lit | Indicator::Blinking if newer => ("on", json!({"LocationIndicatorActive": true})),
            Indicator::Off => ("off", json!({"IndicatorLED": "Off"})),
            Indicator::Lit => ("on", json!({"IndicatorLED": "Lit"})),
            Indicator::Blinking => ("blinking", json!({"IndicatorLED": "Blinking"})),
        };
        if now == Some(word) {
            return Ok(());
        }
        self.bmc.order(Method::PATCH, &path, &body).await
    }

    /// Reads a system's temperature behind the look that asked, if it is old: it never delays a state.
    fn feel(this: &Arc<Self>, address: &Address) {
        let every = Duration::from_secs(this.config.thermal_every_s);
        let old = |felt: Option<Instant>| felt.is_none_or(|at| at.elapsed() >= every);
        let due = this.systems.with(address, |system| old(system.felt).then(|| system.chassis.clone()));
        let Some(Some(chassis)) = due.filter(|_| !every.is_zero()) else { return };
        let rested = this.felt.lock().is_none_or(|at| at.elapsed() >= BREATH);
        if !rested || this.feeling.swap(true, Ordering::AcqRel) {
            return;
        }
        let (inner, address) = (Arc::clone(this), address.clone());
        tokio::spawn(async move {
            let hottest = tokio::select! {
                hottest = thermal::hottest(&inner.bmc, chassis.as_deref()) => hottest,
                () = inner.stop.cancelled() => return,
            };
            let now = Instant::now();
            inner.systems.with(&address, |system| {
                // What could not be read is not shown on as if it were new.
                system.temperature = hottest.unwrap_or(None);
                system.felt = Some(now);
            });
            *inner.felt.lock() = Some(now);
            inner.feeling.store(false, Ordering::Release);
        });
    }

    /// Turns events into hints until the stream is lost.
    async fn hear(&self, source: &Source, stream: Response, hints: &Hints) -> AdapterError {
        let _claim = Claim::of(&self.pushes, source.tells_states);
        // Whatever happened before the stream stood.
        for address in self.systems.concerned("", UNPLACED) {
            if hints.send(Hint::Changed(address)).await.is_err() {
                return over();
            }
        }
        let mut parser = Parser::default();
        let mut stream = stream.bytes_stream();
        while let Some(part) = stream.next().await {
            let events = match part {
                Ok(part) => parser.take(&part),
                Err(why) => Err(crate::web::unreachable(why)),
            };
            let events = match events {
                Ok(events) => events,
                Err(why) => return why,
            };
            for origin in events.iter().flat_map(|event| events::origins(event)) {
                for address in self.systems.concerned(&origin, UNPLACED) {
                    if hints.send(Hint::Changed(address)).await.is_err() {
                        return over();
                    }
                }
            }
        }
        AdapterError::Unreachable("the BMC ended its event stream".to_owned())
    }

    /// Returns when the BMC has gone. One question then stands for all its systems, of which there may be
    /// thousands, each with a time-out of its own.
    async fn watch(&self) -> AdapterError {
        let mut missed = 0;
        loop {
            tokio::time::sleep(SILENCE).await;
            if self.bmc.silence().is_some_and(|silence| silence < SILENCE) {
                missed = 0;
                continue;
            }
            match self.bmc.get(ROOT).await {
                Ok(_) | Err(AdapterError::NotFound(_) | AdapterError::Refused(_)) => missed = 0,
                Err(why @ AdapterError::Credentials(_)) => return why,
                Err(why) => {
                    missed += 1;
                    if missed == 2 {
                        return why;
                    }
                }
            }
        }
    }
}

fn now() -> std::time::Instant {
    std::time::Instant::now()
}

fn over() -> AdapterError {
    AdapterError::Unreachable("nobody listens any more".to_owned())
}

/// The claim that events tell everything, for as long as the stream stands.
struct Claim<'a>(&'a AtomicBool);

impl<'a> Claim<'a> {
    fn of(flag: &'a AtomicBool, claims: bool) -> Self {
        flag.store(claims, Ordering::Relaxed);
        Self(flag)
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Switches a system on again when it has ended, unless its deadline passes or it is asked for something
/// else before.
async fn come_back(inner: Arc<Inner>, address: Address) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(COMING) => {}
            () = inner.stop.cancelled() => return,
        }
        if inner.systems.with(&address, |system| system.asked.comes_back(now())) != Some(true) {
            return;
        }
        // What cannot be seen or done now is tried again until the deadline.
        if let Ok(seen) = inner.look(&address).await
            && seen.power == Power::Off
            && inner.reset(&address, Action::Start).await.is_ok()
        {
            inner.systems.with(&address, |system| system.asked.clear());
            return;
        }
    }
}
