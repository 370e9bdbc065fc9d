//! The adapter: nothing is kept of a unit but what its signals told and what was done to it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use parking_lot::Mutex;
use primrack_adapter_api::{Adapter, AdapterError, Capabilities, Console, Found, Hints};
use primrack_model::{Action, Address, Command, Load, Observation};
use smol_str::{SmolStr, format_smolstr};
use zbus::{OwnedVariant, Variant};

use super::client::{Bus, Properties, UNIT_INTERFACE, text};
use super::map::{self, Facts};
use super::track::Track;
use super::{SystemdConfig, journal, names, watch};

use Action as A;

/// SIGKILL: the number that the bus carries.
const KILL: i32 = 9;
/// What systemd says where it does not count (UINT64_MAX).
const NOT_COUNTED: u64 = u64::MAX;

/// The units of one systemd.
#[derive(Debug)]
pub struct SystemdAdapter {
    config: SystemdConfig,
    bus: tokio::sync::Mutex<Option<Bus>>,
    units: Units,
    /// Whether FreezeUnit may work: its machine has the control groups for it, as far as we know.
    freezes: AtomicBool,
}

/// What is remembered of units, at most twice as many as a listing may bring.
#[derive(Debug)]
pub(super) struct Units {
    wanted: Vec<String>,
    limit: usize,
    tracks: Mutex<HashMap<SmolStr, Track>>,
}

impl Units {
    /// Whether the configuration names it, by name or pattern.
    pub(super) fn is_ours(&self, unit: &str) -> bool {
        names::suffix(unit).is_some() && self.wanted.iter().any(|wanted| names::fits(wanted, unit))
    }

    pub(super) fn with<R>(&self, unit: &str, change: impl FnOnce(&mut Track) -> R) -> R {
        let mut tracks = self.tracks.lock();
        if tracks.len() >= self.limit && !tracks.contains_key(unit) {
            // Patterns that fit ever new units: nothing is remembered of those beyond the limit.
            return change(&mut Track::default());
        }
        change(tracks.entry(unit.into()).or_default())
    }

    pub(super) fn forget_signals(&self) {
        self.tracks.lock().values_mut().for_each(Track::forget_signals);
    }
}

impl SystemdAdapter {
    pub(super) fn new(config: SystemdConfig) -> Self {
        let units =
            Units { wanted: config.units.clone(), limit: config.list_limit * 2, tracks: Mutex::default() };
        Self { config, bus: tokio::sync::Mutex::default(), units, freezes: AtomicBool::new(true) }
    }

    /// The connection for calls; opened anew when it was lost.
    async fn bus(&self) -> Result<Bus, AdapterError> {
        let mut kept = self.bus.lock().await;
        if let Some(bus) = kept.as_ref().filter(|bus| !bus.is_closed()) {
            return Ok(bus.clone());
        }
        let bus = Bus::connect(&self.config).await?;
        if let Some(pid) = bus.peer().await {
            // The freezer is in the second version of control groups only, and then it is the only one
            // that a process is in (cgroups(7), "/proc/[pid]/cgroup").
            if let Ok(groups) =
                tokio::fs::read_to_string(Path::new("/proc").join(format!("{pid}/cgroup"))).await
            {
                self.freezes.store(groups.lines().any(|line| line.starts_with("0::/")), Ordering::Relaxed);
            }
        }
        *kept = Some(bus.clone());
        Ok(bus)
    }

    fn ours(&self, address: &Address) -> Result<(), AdapterError> {
        if self.units.is_ours(&address.0) && !names::is_pattern(&address.0) {
            return Ok(());
        }
        Err(AdapterError::NotFound(address.0.to_string()))
    }

    async fn look(&self, bus: &Bus, unit: &str) -> Result<Observation, AdapterError> {
        let loaded = match bus.loaded(unit).await? {
            Some(path) => match bus.properties(&path, UNIT_INTERFACE).await {
                Ok(properties) => Some((path, properties)),
                // It was unloaded between the two questions.
                Err(AdapterError::NotFound(_)) => None,
                Err(why) => return Err(why),
            },
            None => None,
        };
        let Some((path, properties)) = loaded else {
            let enabled = bus.file_state(unit).await?;
            let load = if enabled.starts_with("masked") { "masked" } else { "" };
            let facts = Facts { load: load.to_owned(), active: "inactive".to_owned(), ..Facts::default() };
            return Ok(map::observation(&facts, &self.units.with(unit, |track| track.end(b""))));
        };
        let mut facts = Facts {
            load: text(&properties, "LoadState"),
            active: text(&properties, "ActiveState"),
            sub: text(&properties, "SubState"),
            freezer: text(&properties, "FreezerState"),
            condition_failed: number(&properties, "ConditionTimestamp") > 0
                && !matches!(
                    properties.get("ConditionResult").map(|value| &**value),
                    Some(Variant::Bool(true))
                ),
            ..Facts::default()
        };
        if facts.load == "not-found" && facts.active == "inactive" {
            return Err(AdapterError::NotFound(unit.to_owned()));
        }
        let interface = own_interface(unit);
        let running = matches!(facts.active.as_str(), "active" | "reloading" | "activating" | "deactivating");
        let mut load = None;
        if let Some(interface) = interface {
            let get = |name: &'static str| bus.property(&path, interface, name);
            if running && counts(unit) {
                let (memory, cpu) = tokio::join!(get("MemoryCurrent"), get("CPUUsageNSec"));
                load = self.load(unit, plain(memory.ok()), plain(cpu.ok()));
            }
            if !running || facts.sub.starts_with("auto-restart") {
                facts.result = get("Result")
                    .await
                    .ok()
                    .and_then(|value| String::try_from(value).ok())
                    .unwrap_or_default();
            }
            if !facts.result.is_empty() && unit.ends_with(".service") {
                let (code, status) = tokio::join!(get("ExecMainCode"), get("ExecMainStatus"));
                facts.code = code.ok().and_then(|value| i32::try_from(value).ok()).unwrap_or_default();
                facts.status = status.ok().and_then(|value| i32::try_from(value).ok()).unwrap_or_default();
            }
        }
        let invocation = invocation(&properties);
        let end = self.units.with(unit, |track| track.end(&invocation));
        Ok(Observation { load, ..map::observation(&facts, &end) })
    }

    /// CPU since the last look, and memory; `None` where neither is counted.
    fn load(&self, unit: &str, memory: u64, cpu: u64) -> Option<Load> {
        if memory == NOT_COUNTED && cpu == NOT_COUNTED {
            return None;
        }
        let mut share = 0.0;
        if cpu != NOT_COUNTED {
            let now = Instant::now();
            if let Some((before, at)) = self.units.with(unit, |track| track.sample.replace((cpu, now))) {
                let passed = now.saturating_duration_since(at).as_secs_f64();
                if passed > 0.0 {
                    share = (cpu.saturating_sub(before) as f64 / 1e9 / passed) as f32;
                }
            }
        }
        Some(Load { cpu: share, memory: if memory == NOT_COUNTED { 0 } else { memory } })
    }

    async fn act(&self, bus: &Bus, unit: &str, action: Action) -> Result<(), AdapterError> {
        match action {
            A::Start => bus.queue("StartUnit", unit).await,
            A::SoftOff => bus.queue("StopUnit", unit).await,
            A::Reboot => bus.queue("RestartUnit", unit).await,
            A::HardOff => {
                self.note_kill(bus, unit).await?;
                // The job first: with it under way systemd does not start the unit again by its own `Restart=`.
                bus.queue("StopUnit", unit).await?;
                kill(bus, unit).await
            }
            A::Reset => {
                self.note_kill(bus, unit).await?;
                // The job last: it could have brought the next run up already, which is not to be killed.
                kill(bus, unit).await?;
                bus.queue("RestartUnit", unit).await
            }
            A::Pause => self.freeze(bus.freezer("FreezeUnit", unit).await),
            A::Resume => self.freeze(bus.freezer("ThawUnit", unit).await),
            other => Err(AdapterError::unsupported(other)),
        }
    }

    /// Remembers which run is ended by us. Before it is done: its end may come at once.
    async fn note_kill(&self, bus: &Bus, unit: &str) -> Result<(), AdapterError> {
        let Some(path) = bus.loaded(unit).await? else {
            return Err(AdapterError::Refused(format!("{unit} does not run")));
        };
        let properties = bus.properties(&path, UNIT_INTERFACE).await?;
        if matches!(text(&properties, "ActiveState").as_str(), "inactive" | "failed") {
            return Err(AdapterError::Refused(format!("{unit} does not run")));
        }
        self.units.with(unit, |track| {
            track.killed = Some(invocation(&properties));
            track.killing = true;
        });
        Ok(())
    }

    fn freeze(&self, done: Result<(), AdapterError>) -> Result<(), AdapterError> {
        if matches!(done, Err(AdapterError::NotSupported(_))) {
            self.freezes.store(false, Ordering::Relaxed);
            return Err(AdapterError::NotSupported(
                "units cannot be frozen there: that takes systemd 246 and the second version of control groups"
                    .to_owned(),
            ));
        }
        done
    }
}

#[async_trait]
impl Adapter for SystemdAdapter {
    fn technology(&self) -> &'static str {
        "systemd"
    }

    fn capabilities(&self, address: &Address) -> Capabilities {
        let actions = actions(&address.0, self.freezes.load(Ordering::Relaxed));
        Capabilities { actions, pushes_events: true, simulated: false }
    }

    async fn list(&self) -> Result<Vec<Found>, AdapterError> {
        let bus = self.bus().await?;
        let (loaded, files) =
            tokio::try_join!(bus.list_loaded(&self.config.units), bus.list_files(&self.config.units))?;
        let mut found = BTreeMap::new();
        for (path, enabled) in files {
            let name = Path::new(&path).file_name().and_then(|name| name.to_str()).unwrap_or_default();
            // A template is no unit, and an alias is one of another name.
            if !name.contains("@.") && enabled != "alias" && self.units.is_ours(name) {
                let tags = vec![tag("enabled", &enabled)];
                found.insert(SmolStr::new(name), Found { tags, ..Found::of(Address(name.into())) });
            }
        }
        for unit in loaded {
            if !self.units.is_ours(&unit.name) || (unit.load == "not-found" && unit.active == "inactive") {
                continue;
            }
            let entry =
                found.entry(SmolStr::new(&unit.name)).or_insert_with(|| Found::of(Address(unit.name.into())));
            entry.label = unit.description.chars().take(100).collect();
        }
        if found.len() > self.config.list_limit {
            tracing::warn!(
                found = found.len(),
                limit = self.config.list_limit,
                "more units fit than `list_limit` allows: the first ones by name are kept"
            );
        }
        for (name, unit) in &mut found {
            unit.tags.push(tag("type", names::suffix(name).unwrap_or_default()));
        }
        self.units.tracks.lock().retain(|unit, _| found.contains_key(unit));
        Ok(found.into_values().take(self.config.list_limit).collect())
    }

    async fn observe(&self, address: &Address) -> Result<Observation, AdapterError> {
        self.ours(address)?;
        let bus = self.bus().await?;
        self.look(&bus, &address.0).await
    }

    async fn execute(&self, command: &Command) -> Result<(), AdapterError> {
        self.ours(&command.address)?;
        let unit = &command.address.0;
        if !self.capabilities(&command.address).can(command.action) {
            return Err(AdapterError::unsupported(command.action));
        }
        let bus = self.bus().await?;
        if !self.units.with(unit, |track| track.recent.is_new(command.intent)) {
            return Ok(());
        }
        let done = self.act(&bus, unit, command.action).await;
        if done.is_err() {
            self.units.with(unit, |track| track.recent.forget(command.intent));
        }
        done
    }

    async fn listen(&self, hints: Hints) -> AdapterError {
        watch::follow(&self.config, &self.units, &hints).await
    }

    async fn console(&self, address: &Address) -> Result<Console, AdapterError> {
        self.ours(address)?;
        journal::lines(&self.config, &address.0).await
    }
}

/// SIGKILL to all processes of a unit.
async fn kill(bus: &Bus, unit: &str) -> Result<(), AdapterError> {
    match bus.kill(unit, KILL).await {
        // It was quicker to end than we to kill it.
        Err(AdapterError::Refused(why) | AdapterError::NotFound(why)) => {
            tracing::debug!(unit, %why, "nothing was left to be killed");
            Ok(())
        }
        other => other,
    }
}

/// What can be done to a unit of its kind.
fn actions(unit: &str, freezes: bool) -> &'static [Action] {
    match (names::suffix(unit).unwrap_or_default(), freezes) {
        ("service", true) => &[A::Start, A::SoftOff, A::HardOff, A::Reboot, A::Reset, A::Pause, A::Resume],
        ("service", false) => &[A::Start, A::SoftOff, A::HardOff, A::Reboot, A::Reset],
        // A scope holds processes that somebody else started: it cannot be started again.
        ("scope", true) => &[A::SoftOff, A::HardOff, A::Pause, A::Resume],
        ("scope", false) => &[A::SoftOff, A::HardOff],
        ("slice", true) => &[A::Start, A::SoftOff, A::Pause, A::Resume],
        ("slice", false) => &[A::Start, A::SoftOff],
        ("", _) => &[],
        _ => &[A::Start, A::SoftOff, A::Reboot],
    }
}

/// Whether units of its kind have processes whose use of the machine is counted.
fn counts(unit: &str) -> bool {
    matches!(names::suffix(unit), Some("service" | "scope" | "slice" | "socket" | "mount" | "swap"))
}

/// The interface with what only units of its kind have.
fn own_interface(unit: &str) -> Option<&'static str> {
    Some(match names::suffix(unit)? {
        "service" => "org.freedesktop.systemd1.Service",
        "scope" => "org.freedesktop.systemd1.Scope",
        "slice" => "org.freedesktop.systemd1.Slice",
        "socket" => "org.freedesktop.systemd1.Socket",
        "timer" => "org.freedesktop.systemd1.Timer",
        "path" => "org.freedesktop.systemd1.Path",
        "mount" => "org.freedesktop.systemd1.Mount",
        "automount" => "org.freedesktop.systemd1.Automount",
        "swap" => "org.freedesktop.systemd1.Swap",
        _ => return None,
    })
}

fn tag(key: &str, value: &str) -> SmolStr {
    format_smolstr!("{key}={value}")
}

fn plain(value: Option<OwnedVariant>) -> u64 {
    value.and_then(|value| u64::try_from(value).ok()).unwrap_or(NOT_COUNTED)
}

fn number(properties: &Properties, name: &str) -> u64 {
    match properties.get(name).map(|value| &**value) {
        Some(Variant::U64(number)) => *number,
        _ => 0,
    }
}

/// The id of its last run; empty if it had none.
fn invocation(properties: &Properties) -> Vec<u8> {
    match properties.get("InvocationID").map(|value| &**value) {
        Some(Variant::Array(bytes)) => bytes
            .iter()
            .filter_map(|byte| match byte {
                Variant::U8(byte) => Some(*byte),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}
