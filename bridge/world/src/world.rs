//! The region side as one thing: its parts, its life, what others may ask of it.

use std::sync::atomic::AtomicI64;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use parking_lot::{Mutex, MutexGuard, RwLock};
use primrack_engine::{Engine, Watcher};
use primrack_model::{
    ActorKind, Intent, Inventory, ObjectEntry, ObjectId, Outcome, Places, TargetIx, UnixMs,
};
use primrack_wire::world::{KeyId, Nonce, Tell};
use prometheus_client::registry::Registry;
use serde::Serialize;
use smol_str::SmolStr;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::audit::Audit;
use crate::counters::WorldCounters;
use crate::delivery::{AllowRule, Callback, Delivery, DeliverySettings, Guard, ObjectIx, PaceGroup};
use crate::hands::Hands;
use crate::station::{Line, Registration, RivalState, Station, UnitSet};
use crate::{Keyring, WorldSettings, words};

/// The space in the journal's store where registrations are kept.
pub(crate) const SPACE: &str = "world-registration";

/// What the region side is made of.
#[derive(Debug)]
pub struct WorldParts {
    /// Keys of the enrolled objects.
    pub keys: Keyring,
    /// Which callbacks are allowed.
    pub guard: Guard,
    /// How pushes are delivered.
    pub delivery: DeliverySettings,
    /// Registration, menus, limits.
    pub settings: WorldSettings,
    /// This boot of the bridge.
    pub nonce: Nonce,
    /// Registrations kept by the last run: object id and bytes, from opening the journal.
    pub kept: Vec<(String, Vec<u8>)>,
}

/// How an object stands.
#[derive(Debug, Clone, Serialize)]
pub struct ObjectStatus {
    /// Its id.
    pub object: ObjectId,
    /// What people call it.
    pub label: SmolStr,
    /// Whether the key file has it.
    pub enrolled: bool,
    /// Where it stands, if it registered.
    pub region: Option<SmolStr>,
    /// What it runs on.
    pub grid: Option<SmolStr>,
    /// Which script.
    pub script: Option<SmolStr>,
    /// When it was last heard, either way.
    pub heard: Option<UnixMs>,
    /// Since when pushes do not arrive.
    pub silent: Option<UnixMs>,
    /// A second prim wants its id: which.
    pub rival: Option<SmolStr>,
    /// How many of its units wait to be shown.
    pub waiting: usize,
}

/// The region side.
pub struct World {
    pub(crate) engine: OnceLock<Arc<Engine>>,
    inventory: ArcSwap<Inventory>,
    keys: RwLock<Arc<Keyring>>,
    pub(crate) guard: Guard,
    pub(crate) settings: ArcSwap<WorldSettings>,
    pub(crate) nonce: Nonce,
    pub(crate) counters: WorldCounters,
    pub(crate) audit: OnceLock<Audit>,
    stations: Places<Mutex<Station>>,
    delivery: OnceLock<Arc<Delivery>>,
    /// Messages that are being answered.
    pub(crate) hands: Hands,
    /// The second in which the audit last heard that messages are turned away.
    pub(crate) busy_noted: AtomicI64,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("objects", &self.inventory().objects().len()).finish_non_exhaustive()
    }
}

impl World {
    /// Puts it together and takes the kept registrations up; nothing is sent before [`Self::start`].
    #[must_use]
    pub fn new(parts: WorldParts, inventory: Arc<Inventory>) -> (Arc<Self>, DeliverySettings) {
        let WorldParts { keys, guard, delivery, settings, nonce, kept } = parts;
        let stations = Places::new(inventory.objects().len(), Mutex::default);
        let world = Arc::new(Self {
            engine: OnceLock::new(),
            inventory: ArcSwap::new(inventory),
            keys: RwLock::new(Arc::new(keys)),
            guard,
            settings: ArcSwap::from_pointee(settings),
            nonce,
            counters: WorldCounters::default(),
            audit: OnceLock::new(),
            stations,
            delivery: OnceLock::new(),
            hands: Hands::default(),
            busy_noted: AtomicI64::default(),
        });
        for (object, bytes) in kept {
            if let Err(why) = world.restore(&object, &bytes) {
                tracing::warn!(
                    object,
                    why,
                    "a kept registration is dropped: the object registers again by itself"
                );
            }
        }
        (world, delivery)
    }

    /// Starts delivery; afterwards everything that changes is pushed. Objects known from the last run get
    /// everything again.
    pub fn start(
        self: &Arc<Self>,
        engine: &Arc<Engine>,
        delivery: DeliverySettings,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) {
        let set = self.engine.set(Arc::clone(engine)).is_ok();
        let audit = self.audit.set(Audit::new(engine.journal().clone())).is_ok();
        let delivery =
            Delivery::start(Arc::clone(self) as _, delivery, self.guard.clone(), tasks, stop.child_token());
        if !set || !audit || self.delivery.set(delivery).is_err() {
            tracing::error!("the region side was started twice");
            return;
        }
        let world = Arc::clone(self);
        tasks.spawn(async move {
            if let Some(audit) = world.audit.get() {
                audit.run(stop).await;
            }
        });
        for (at, entry) in self.inventory().objects().iter().enumerate() {
            let known = {
                let mut station = self.station(at);
                station.dirty = UnitSet::all_of(entry);
                station.line.as_ref().map(|line| Arc::clone(&line.callback))
            };
            if let Some(url) = known {
                self.resume(at, &url);
            }
        }
    }

    fn restore(&self, object: &str, bytes: &[u8]) -> Result<(), String> {
        let at = self.inventory().find_object(object).ok_or("it is configured no more")? as usize;
        let facts: Registration = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let key = KeyId::new(&facts.key_id).ok_or("its key id is none")?;
        self.keys().find(object, key.as_str(), UnixMs::now()).ok_or("its key is valid no more")?;
        let callback = self.guard.check_url(&facts.url).map_err(|refusal| refusal.to_string())?;
        let line =
            Line { heard: facts.at, facts, callback: Arc::new(callback), key, silent: None, dead: false };
        self.station(at).line = Some(Box::new(line));
        Ok(())
    }

    /// What there is now.
    pub(crate) fn inventory(&self) -> Arc<Inventory> {
        self.inventory.load_full()
    }
    /// Takes other settings from now on.
    pub fn change_settings(&self, settings: WorldSettings) {
        self.settings.store(Arc::new(settings));
    }
    /// Allows other callbacks from now on; a registration whose callback is allowed no more stays silent.
    pub fn change_callbacks(&self, allow: Vec<AllowRule>) {
        self.guard.allow_only(allow);
        let now = UnixMs::now();
        for (at, _) in self.inventory().live_objects() {
            if let Some(line) = &mut self.station(at as usize).line
                && self.guard.check_url(&line.facts.url).is_err()
            {
                line.dead = true;
                line.silent = line.silent.or(Some(now));
            }
        }
    }

    /// The keys that hold now.
    #[must_use]
    pub fn keys(&self) -> Arc<Keyring> {
        Arc::clone(&self.keys.read())
    }
    /// Takes another set of keys from now on: how a key is changed, or an object enrolled, without a restart.
    pub fn change_keys(&self, keys: Keyring) {
        *self.keys.write() = Arc::new(keys);
    }

    pub(crate) fn station(&self, at: usize) -> MutexGuard<'_, Station> {
        self.stations[at].lock()
    }
    pub(crate) fn wake(&self, at: usize) {
        if let Some(delivery) = self.delivery.get() {
            delivery.wake(ObjectIx(u32::try_from(at).unwrap_or(u32::MAX)));
        }
    }
    /// A URL that is new, or worth trying again.
    pub(crate) fn resume(&self, at: usize, url: &Callback) {
        if let Some(delivery) = self.delivery.get() {
            // Paced with its host: what stands on one simulator shares one.
            let pace = [PaceGroup::NONE, PaceGroup::NONE];
            delivery.resume(ObjectIx(u32::try_from(at).unwrap_or(u32::MAX)), url, pace);
        }
    }
    /// The delivery, once started: for its counters.
    #[must_use]
    pub fn delivery(&self) -> Option<&Arc<Delivery>> {
        self.delivery.get()
    }
    /// Puts the counters into a registry.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.counters.register(registry);
    }

    /// How every object stands.
    #[must_use]
    pub fn objects(&self) -> Vec<ObjectStatus> {
        let keys = self.keys();
        let status = |(at, entry): (u32, &ObjectEntry)| {
            let station = self.station(at as usize);
            let line = station.line.as_deref();
            ObjectStatus {
                object: entry.id.clone(),
                label: entry.label.clone(),
                enrolled: keys.knows(entry.id.as_str()),
                region: line.map(|line| line.facts.region.clone()),
                grid: line.map(|line| line.facts.grid.clone()),
                script: line.map(|line| line.facts.script.clone()),
                heard: line.map(|line| line.heard),
                silent: line.and_then(|line| line.silent),
                rival: station
                    .rival
                    .as_ref()
                    .filter(|rival| rival.state != RivalState::FirstGone)
                    .map(|rival| rival.holder.clone()),
                waiting: station.dirty.iter().count(),
            }
        };
        self.inventory().live_objects().map(status).collect()
    }
}

impl Watcher for World {
    fn changed(&self, target: TargetIx) {
        let inventory = self.inventory();
        for (at, unit) in inventory.shown_by(target) {
            let at = *at as usize;
            let entry = &inventory.objects()[at];
            if let Ok(place) = entry.units.binary_search_by_key(unit, |(n, _)| *n) {
                let reachable = {
                    let mut station = self.station(at);
                    station.dirty.insert(place);
                    station.line.as_ref().is_some_and(|line| !line.dead)
                };
                if reachable {
                    self.wake(at);
                }
            }
        }
    }

    fn ended(&self, target: TargetIx, intent: &Intent, outcome: &Outcome) {
        let inventory = self.inventory();
        let object = intent.via.object.as_ref();
        let Some(at) = object.and_then(|object| inventory.find_object(object.as_str())) else { return };
        if intent.actor.kind != ActorKind::Avatar {
            return;
        }
        if let Some(say) = words::ended(inventory.target(target), intent.action, outcome) {
            self.station(at as usize).tell(Tell { who: intent.actor.id.clone(), say });
            self.wake(at as usize);
        }
    }

    fn replaced(&self, inventory: &Arc<Inventory>) {
        self.stations.grow(inventory.objects().len(), Mutex::default);
        let old = self.inventory.swap(Arc::clone(inventory));
        for (at, entry) in inventory.objects().iter().enumerate() {
            let place = u32::try_from(at).unwrap_or(u32::MAX);
            let was = old.objects().get(at).filter(|_| !old.is_object_retired(place));
            if inventory.is_object_retired(place) {
                if was.is_some() {
                    self.remove(at, &entry.id);
                }
                continue;
            }
            let reachable = {
                let mut station = self.station(at);
                let same = was.is_some_and(|was| was.units == entry.units && was.blank == entry.blank);
                if same {
                    // Labels and kinds may be others: places mean the same.
                    for (at, (_, ix)) in entry.units.iter().enumerate() {
                        if old.targets().get(ix.0 as usize) != Some(inventory.target(*ix)) {
                            station.dirty.insert(at);
                        }
                    }
                } else {
                    // What is on its way counts by places that mean something else now.
                    station.dirty = UnitSet::all_of(entry);
                    if let Some(in_flight) = &mut station.in_flight {
                        in_flight.units = UnitSet::default();
                    }
                }
                !station.dirty.is_empty() && station.line.as_ref().is_some_and(|line| !line.dead)
            };
            if reachable {
                self.wake(at);
            }
        }
    }
}

impl World {
    /// An object is configured no more: nothing is sent to it, and it has to register anew if it comes back.
    fn remove(&self, at: usize, object: &ObjectId) {
        self.station(at).leave();
        if let Some(delivery) = self.delivery.get() {
            delivery.forget(ObjectIx(u32::try_from(at).unwrap_or(u32::MAX)));
        }
        let Some(engine) = self.engine.get().cloned() else { return };
        let object = object.to_string();
        tokio::spawn(async move {
            if let Err(error) = engine.journal().put(SPACE, object, None).await {
                tracing::warn!(%error, "a registration is kept although its object is gone: the next start drops it");
            }
        });
    }
}
