//! Figures that are read rather than counted: brought up to date when somebody asks.

use std::sync::Arc;

use primrack_engine::Engine;
use primrack_model::{Power, UnixMs};
use primrack_world::World;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PowerLabel {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BackendLabel {
    backend: String,
}

/// The gauges.
#[derive(Debug)]
pub(crate) struct Gauges {
    engine: Arc<Engine>,
    targets: Family<PowerLabel, Gauge>,
    stale: Gauge,
    silent_age: Gauge,
    registered: Gauge,
    journal_queue: Gauge,
    journal_entries: Gauge,
    push_in_flight: Gauge,
    read_only: Gauge,
    connected: Family<BackendLabel, Gauge>,
    watched: Family<BackendLabel, Gauge>,
    silent: Family<BackendLabel, Gauge>,
}

impl Gauges {
    /// Puts the gauges into a registry.
    pub(crate) fn new(registry: &mut Registry, engine: Arc<Engine>) -> Self {
        let gauges = Self {
            engine,
            targets: Family::default(),
            stale: Gauge::default(),
            silent_age: Gauge::default(),
            registered: Gauge::default(),
            journal_queue: Gauge::default(),
            journal_entries: Gauge::default(),
            push_in_flight: Gauge::default(),
            read_only: Gauge::default(),
            connected: Family::default(),
            watched: Family::default(),
            silent: Family::default(),
        };
        let Self {
            engine: _,
            targets,
            stale,
            silent_age,
            registered,
            journal_queue,
            journal_entries,
            push_in_flight,
            read_only,
            connected,
            watched,
            silent,
        } = &gauges;
        registry.register("targets", "Targets by the state they show", targets.clone());
        registry.register("targets_stale", "Targets whose state is old", stale.clone());
        registry.register("world_objects", "Objects that are registered", registered.clone());
        registry.register("world_silent_seconds", "Age of the oldest silent object", silent_age.clone());
        registry.register("journal_queue", "Entries waiting for the journal", journal_queue.clone());
        registry.register("journal_entries", "Entries written since the start", journal_entries.clone());
        registry.register("world_posts_in_flight", "Pushes on their way", push_in_flight.clone());
        registry.register("read_only", "1 while the emergency stop holds", read_only.clone());
        registry.register(
            "backend_connected",
            "1 while a backend lists and its events come",
            connected.clone(),
        );
        registry.register("backend_watched", "Machines of a backend that are watched", watched.clone());
        registry.register(
            "backend_silent",
            "Watched machines of a backend that did not answer the last look",
            silent.clone(),
        );
        gauges
    }

    /// Reads everything anew.
    pub(crate) fn refresh(&self, world: &World) {
        let now = UnixMs::now();
        let mut counts = [0_i64; Power::ALL.len()];
        let mut stale = 0;
        for (ix, _) in self.engine.inventory().live_targets() {
            let state = self.engine.state(ix);
            if let Some(at) = Power::ALL.iter().position(|power| *power == state.power) {
                counts[at] += 1;
            }
            stale += i64::from(state.stale);
        }
        for (power, count) in Power::ALL.iter().zip(counts) {
            self.targets.get_or_create(&PowerLabel { state: power.token() }).set(count);
        }
        self.stale.set(stale);
        self.read_only.set(i64::from(self.engine.read_only().is_some()));
        // As many labels as there are backends in the configuration that holds now.
        self.connected.clear();
        self.watched.clear();
        self.silent.clear();
        for (id, _, status) in self.engine.backends() {
            let label = BackendLabel { backend: id.to_string() };
            let size = |count| i64::try_from(count).unwrap_or(i64::MAX);
            self.connected.get_or_create(&label).set(i64::from(status.connected));
            self.watched.get_or_create(&label).set(size(status.watched));
            self.silent.get_or_create(&label).set(size(status.silent));
        }
        let objects = world.objects();
        self.registered
            .set(i64::try_from(objects.iter().filter(|o| o.heard.is_some()).count()).unwrap_or(i64::MAX));
        let oldest =
            objects.iter().filter_map(|object| object.silent).map(|since| since.age_at(now).as_secs()).max();
        self.silent_age.set(i64::try_from(oldest.unwrap_or(0)).unwrap_or(i64::MAX));
        let journal = self.engine.journal().stats();
        self.journal_queue.set(i64::try_from(journal.queued).unwrap_or(i64::MAX));
        self.journal_entries.set(i64::try_from(journal.entries).unwrap_or(i64::MAX));
        if let Some(delivery) = world.delivery() {
            self.push_in_flight.set(i64::try_from(delivery.status().gauges.in_flight).unwrap_or(i64::MAX));
        }
    }
}
