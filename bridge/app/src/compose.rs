//! From configuration to a running bridge: checks first, then makes, then starts.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use primrack_adapter_api::{Adapter, DriverSettings};
use primrack_adapters::plugin::{CallLimits, PluginAdapter, PluginConfig, Setting};
use primrack_adapters::{ConfigError, Configured as _, DryRun, Technology};
use primrack_board::{BoardConfig, BoardParts, Boards, KEPT};
use primrack_engine::journal::{Journal, JournalSettings};
use primrack_engine::{Backend, Engine, Parts, READ_ONLY_SPACE};
use primrack_model::{BackendId, Inventory, UnixMs};
use primrack_mqtt::Mqtt;
use primrack_policy::{Policy, Source};
use primrack_web::api::{Api, ApiParts, api_routes};
use primrack_web::page::{InventoryScene, PageParts, page_routes};
use primrack_web::{
    ControlState, Edges, Gate, Limits, TlsFiles, control_routes, health_routes, serve_tcp, serve_unix,
};
use primrack_wire::world::Nonce;
use primrack_world::delivery::{AllowRule, DeliverySettings, Guard, GuardSettings, Tls};
use primrack_world::{Keyring, World, WorldParts};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api;
use crate::board;
use crate::catalogue::{self, Catalogue, Current};
use crate::config::{BackendConfig, BackendKind, Loaded, Mistake, OwnProcess, inventory_after};
use crate::discovery::{self, Memory};
use crate::metrics::Gauges;
use crate::mqtt;

/// The name of the control socket in the state folder.
pub const CONTROL_SOCKET: &str = "control.sock";
/// The name of the journal in the state folder.
pub const JOURNAL: &str = "journal.sqlite";

/// What was configured, checked as far as it can be without touching anything.
#[derive(Debug)]
pub struct Checked {
    /// The configuration.
    pub loaded: Loaded,
    /// What there is.
    pub inventory: Arc<Inventory>,
    /// Who may do what.
    pub policy: Arc<Policy>,
    /// The keys of enrolled objects.
    pub keys: Keyring,
    /// Which callbacks are allowed.
    pub guard: Guard,
    /// The same as a list, for a guard that is there already.
    pub callbacks: Vec<AllowRule>,
    /// What discovery knows.
    pub memory: Memory,
    /// The texts of the policy: discovery brings targets under the same rules, not under files that are being edited.
    pub sources: Vec<Source>,
}

/// Everything that is wrong, each with its place.
#[derive(Debug)]
pub struct Mistakes(pub Vec<miette::Report>);

/// Checks a configuration. Reads files, opens no port, starts nothing.
///
/// # Errors
/// All mistakes at once.
pub fn check(loaded: Loaded) -> Result<Checked, Mistakes> {
    let mut memory = Memory::default();
    if !loaded.config.discover.is_empty() {
        let state_dir = loaded.resolve(&loaded.config.bridge.state_dir);
        memory = Memory::read(&state_dir).map_err(|error| Mistakes(vec![miette::miette!("{error:#}")]))?;
    }
    check_after(loaded, &Inventory::default(), UnixMs::now(), memory)
}

/// [`check`] of what is to take the place of something: what is in both keeps its place in the inventory.
///
/// # Errors
/// All mistakes at once.
pub fn check_after(
    loaded: Loaded,
    before: &Inventory,
    now: UnixMs,
    mut memory: Memory,
) -> Result<Checked, Mistakes> {
    let mut wrong: Vec<miette::Report> = Vec::new();
    memory.keep_what_fits(&discovery::rules(&loaded, &mut Vec::new()));
    let inventory = match inventory_after(&loaded, before, now, &memory) {
        Ok(inventory) => Arc::new(inventory),
        Err(mistakes) => {
            return Err(Mistakes(mistakes.into_iter().map(miette::Report::new).collect()));
        }
    };
    for (name, backend) in &loaded.config.backends {
        match &backend.kind {
            BackendKind::Board(board) => {
                wrong.extend(board::check(&loaded, name, board).into_iter().map(miette::Report::new));
            }
            BackendKind::Technology(technology) => {
                if let Err(mistake) = adapter(&loaded, name, backend, technology) {
                    wrong.push(mistake.into());
                }
            }
        }
    }
    let rules: Vec<AllowRule> = loaded
        .config
        .world
        .callbacks
        .iter()
        .filter_map(|rule| match rule.parse() {
            Ok(rule) => Some(rule),
            Err(error) => {
                wrong.push(loaded.at(&["world", "callbacks"], format!("{error}")).into());
                None
            }
        })
        .collect();
    let keys = match keys(&loaded) {
        Ok(keys) => keys,
        Err(mistake) => {
            wrong.push(mistake.into());
            Keyring::default()
        }
    };
    if let Err(mistake) = listening(&loaded) {
        wrong.push(mistake.into());
    }
    if let Err(mistake) = mqtt::plan(&loaded) {
        wrong.push(mistake.into());
    }
    if let Err(mistake) = api::plan(&loaded) {
        wrong.push(mistake.into());
    }
    match policy(&loaded, &inventory) {
        Ok((policy, sources)) if wrong.is_empty() => Ok(Checked {
            policy: Arc::new(policy),
            guard: Guard::new(GuardSettings { allow: rules.clone() }),
            callbacks: rules,
            loaded,
            inventory,
            keys,
            memory,
            sources,
        }),
        Ok(_) => Err(Mistakes(wrong)),
        Err(report) => {
            wrong.push(report);
            Err(Mistakes(wrong))
        }
    }
}

fn policy(loaded: &Loaded, inventory: &Arc<Inventory>) -> Result<(Policy, Vec<Source>), miette::Report> {
    let files = &loaded.config.policy.files;
    let mut sources = Vec::new();
    for file in files {
        let path = loaded.resolve(file);
        let text = std::fs::read_to_string(&path).map_err(|error| {
            let what = format!("the policy {} cannot be read: {error}", path.display());
            loaded.at(&["policy", "files"], what)
        })?;
        sources.push(Source::new(path.display().to_string(), text));
    }
    if sources.is_empty() {
        sources.push(Policy::starter());
    }
    match Policy::load(&sources, Arc::clone(inventory)) {
        Ok(policy) => Ok((policy, sources)),
        Err(errors) => Err(errors.into()),
    }
}

/// Where the key file is.
#[must_use]
pub fn keys_path(loaded: &Loaded) -> PathBuf {
    loaded.resolve(loaded.config.world.keys_file.as_deref().unwrap_or_else(|| Path::new("world.keys")))
}

fn keys(loaded: &Loaded) -> Result<Keyring, Mistake> {
    let path = keys_path(loaded);
    // Without objects there is nothing to enrol.
    if loaded.config.objects.is_empty() && loaded.config.world.keys_file.is_none() {
        return Ok(Keyring::default());
    }
    Keyring::read(&path).map_err(|error| loaded.at(&["world", "keys_file"], error.to_string()))
}

fn listening(loaded: &Loaded) -> Result<Option<TlsFiles>, Mistake> {
    let bridge = &loaded.config.bridge;
    let files = match (&bridge.tls_certificate, &bridge.tls_key) {
        (Some(certificate), Some(key)) => {
            Some(TlsFiles { certificate: loaded.resolve(certificate), key: loaded.resolve(key) })
        }
        (None, None) => None,
        _ => {
            let what = "TLS needs both tls_certificate and tls_key";
            return Err(loaded.at(&["bridge"], what));
        }
    };
    if files.is_none() && !bridge.listen.ip().is_loopback() && !bridge.behind_proxy {
        let what = format!(
            "{} can be reached from elsewhere, and without TLS everyone on the way can read along",
            bridge.listen
        );
        return Err(loaded.at(&["bridge", "listen"], what).with_hint(
            "set tls_certificate and tls_key, or behind_proxy = true where a proxy in front does TLS",
        ));
    }
    Ok(files)
}

/// The adapter as the engine gets it: a dry run does nothing to its machines.
pub(crate) fn driven(
    loaded: &Loaded,
    name: &str,
    backend: &BackendConfig,
    technology: &Technology,
) -> Result<Arc<dyn Adapter>, Mistake> {
    let adapter = adapter(loaded, name, backend, technology)?;
    if !backend.dry_run {
        return Ok(adapter);
    }
    tracing::warn!(backend = %name, "dry run: nothing is done to its machines");
    Ok(Arc::new(DryRun::new(adapter)))
}

fn adapter(
    loaded: &Loaded,
    name: &str,
    backend: &BackendConfig,
    technology: &Technology,
) -> Result<Arc<dyn Adapter>, Mistake> {
    let mut technology = technology.clone();
    technology.resolve(loaded.folder());
    let kind = technology.name();
    let built = technology.build().map_err(|ConfigError { place, words }| {
        let path: Vec<&str> = ["backends", name, kind].into_iter().chain(place.split('.')).collect();
        loaded.at(&path, format!("backend {name}: {place}: {words}"))
    })?;
    match &backend.own {
        // What was built here was only to be checked: nothing is opened before it is used.
        Some(own) => in_own_process(loaded, name, kind, own, &backend.driver),
        None => Ok(built),
    }
}

/// The adapter in a process of its own: this program again, which is told the backend's table over its
/// standard input and answers as a plug-in does.
fn in_own_process(
    loaded: &Loaded,
    name: &str,
    technology: &'static str,
    own: &OwnProcess,
    driver: &DriverSettings,
) -> Result<Arc<dyn Adapter>, Mistake> {
    let table = loaded
        .backend_table(name, technology)
        .and_then(|table| serde_json::to_value(table).ok())
        .and_then(|table| table.as_object().cloned());
    let (Some(table), Ok(folder)) = (table, std::path::absolute(loaded.folder())) else {
        return Err(loaded.at(&["backends", name], "its table cannot be handed to another process"));
    };
    let limits = CallLimits {
        observe_ms: driver.observe_timeout_ms,
        list_ms: driver.list_timeout_ms,
        execute_ms: driver.execute_timeout_ms,
    };
    let setting = Setting { technology: technology.to_owned(), table, folder, limits };
    // The very program that runs, also when its file was replaced or lies where that user may not look.
    let mut config = PluginConfig::of("/proc/self/exe", vec!["adapter".to_owned(), name.to_owned()]);
    config.env = vec!["PRIMRACK_LOG".to_owned()];
    config.user.clone_from(&own.user);
    config.answer_ms = limits.answer_ms();
    config.settings = setting.into_map();
    config.check().map_err(|ConfigError { words, .. }| {
        loaded.at(&["backends", name, "run_as"], format!("backend {name}: run_as: {words}"))
    })?;
    Ok(Arc::new(PluginAdapter::new(config, technology)))
}

/// A bridge that runs.
#[derive(Debug)]
pub struct Bridge {
    /// What happens.
    pub engine: Arc<Engine>,
    /// The region side.
    pub world: Arc<World>,
    /// Where it listens.
    pub address: std::net::SocketAddr,
    /// The control socket.
    pub control: PathBuf,
    /// The boards.
    pub boards: Arc<Boards>,
    /// What is configured.
    pub catalogue: Arc<Catalogue>,
    /// The API.
    pub api: Arc<Api>,
    /// The line to the MQTT broker, where one is configured.
    pub mqtt: Option<Arc<Mqtt>>,
    tasks: TaskTracker,
    stop: CancellationToken,
    drain: Duration,
}

struct WorldEdge {
    world: Arc<World>,
    gauges: Gauges,
}

impl Edges for WorldEdge {
    fn objects(&self) -> Vec<serde_json::Value> {
        self.world.objects().iter().filter_map(|status| serde_json::to_value(status).ok()).collect()
    }
    fn refresh(&self) {
        self.gauges.refresh(&self.world);
    }
}

/// Makes and starts everything. `listener` may be given (a socket handed over, a test's free port); else
/// the configured address is bound.
///
/// # Errors
/// When the state folder, the journal, a key or the listener cannot be had.
pub async fn start(checked: Checked, listener: Option<TcpListener>) -> anyhow::Result<Bridge> {
    start_with(checked, listener, |engine, stop| {
        let scene = InventoryScene::start(Arc::clone(engine), "What the bridge knows", stop.child_token());
        PageParts::new(scene, stop.child_token())
    })
    .await
}

/// [`start`], with a page of the caller's making. The page is served on loopback only: it has no login.
///
/// # Errors
/// As [`start`].
pub async fn start_with(
    checked: Checked,
    listener: Option<TcpListener>,
    page: impl FnOnce(&Arc<Engine>, &CancellationToken) -> PageParts,
) -> anyhow::Result<Bridge> {
    let Checked { loaded, inventory, policy, keys, guard, callbacks: _, memory, sources } = checked;
    let config = &loaded.config;
    let state_dir = loaded.resolve(&config.bridge.state_dir);
    make_private(&state_dir)?;
    let tls = match listening(&loaded)? {
        Some(files) => Some(primrack_web::acceptor(&files)?),
        None => None,
    };
    let listener = match listener {
        Some(listener) => listener,
        None => TcpListener::bind(config.bridge.listen).await.with_context(|| {
            format!(
                "cannot listen on {}: is another bridge running? Change bridge.listen",
                config.bridge.listen
            )
        })?,
    };
    let (journal, recovered) = {
        let path = state_dir.join(JOURNAL);
        let settings = JournalSettings {
            version: env!("CARGO_PKG_VERSION").into(),
            config: policy.version().into(),
            ..JournalSettings::default()
        };
        tokio::task::spawn_blocking(move || Journal::open(&path, &settings)).await??
    };
    let boot = u32::try_from(recovered.boot).map_err(|_| anyhow!("the journal has seen too many boots"))?;
    let random = getrandom::u64().map_err(|error| anyhow!("no randomness: {error}"))?;
    let mut kept = recovered.kept;
    let tasks = TaskTracker::new();
    let stop = CancellationToken::new();

    let mut delivery = DeliverySettings::default();
    if let Some(per_host) = config.world.posts_per_host {
        delivery.per_host = per_host;
    }
    if let Some(ca) = &config.world.callback_ca {
        delivery.tls = Some(Tls::new(Some(&loaded.resolve(ca)))?);
    }
    let parts = WorldParts {
        keys,
        guard,
        delivery,
        settings: config.world.settings(),
        nonce: Nonce { boot, random },
        kept: kept.remove("world-registration").unwrap_or_default(),
    };
    let (world, delivery) = World::new(parts, Arc::clone(&inventory));

    let mut backends = Vec::new();
    let mut boards = Boards::default();
    let kept_of_boards = kept.remove(KEPT).unwrap_or_default();
    for (name, backend) in &config.backends {
        let adapter: Arc<dyn Adapter> = match &backend.kind {
            BackendKind::Board(config) => {
                let (name, config) = (name.clone(), BoardConfig::clone(config));
                let badges = board::badges(&loaded, &config, board::hash_key(&state_dir)?)?;
                boards.add(BoardParts { name, config, badges, dial: None }, &kept_of_boards)?
            }
            BackendKind::Technology(technology) => driven(&loaded, name, backend, technology)?,
        };
        backends.push(Backend { id: BackendId::new(name)?, adapter, settings: backend.driver.clone() });
    }
    let stopped = kept.remove(READ_ONLY_SPACE).unwrap_or_default();
    let parts = Parts {
        inventory,
        policy,
        journal,
        unfinished: recovered.unfinished,
        backends,
        settings: config.engine.clone(),
    };
    let boards = Arc::new(boards);
    let mqtt = mqtt::plan(&loaded)?.map(|plan| Mqtt::new(plan, mqtt::boards(config)));
    let engine = Engine::start(parts, &tasks, stop.child_token(), |_| {
        let mut watchers = vec![Arc::clone(&world) as _, Arc::clone(&boards) as _];
        watchers.extend(mqtt.clone().map(|mqtt| mqtt as _));
        watchers
    });
    engine.recall_read_only(&stopped);
    world.start(&engine, delivery, &tasks, stop.child_token());
    boards.start(&engine, &tasks, &stop);
    if let Some(mqtt) = &mqtt {
        mqtt::feed(mqtt, &boards, &tasks, &stop);
        mqtt.start(&engine, &tasks, &stop);
    }

    let mut registry = Registry::with_prefix("primrack");
    engine.counters().register(&mut registry);
    world.register_metrics(&mut registry);
    if let Some(mqtt) = &mqtt {
        mqtt.register_metrics(&mut registry);
    }
    let host = Arc::new(api::Host {
        world: Arc::clone(&world),
        boards: Arc::clone(&boards),
        catalogue: OnceLock::new(),
    });
    let parts =
        ApiParts { engine: Arc::clone(&engine), host: Arc::clone(&host) as _, plan: api::plan(&loaded)? };
    let api = Api::new(parts);
    api.register_metrics(&mut registry);
    let gauges = Gauges::new(&mut registry, Arc::clone(&engine));
    let edges: Arc<dyn Edges> = Arc::new(WorldEdge { world: Arc::clone(&world), gauges });
    let routes = world.routes().merge(health_routes(Arc::clone(&engine), Arc::clone(&edges), registry));
    let routes = routes.merge(api_routes(&api));
    let address = listener.local_addr()?;
    let routes =
        if address.ip().is_loopback() { routes.merge(page_routes(page(&engine, &stop))) } else { routes };
    serve_tcp(listener, tls, routes, Some(Gate::new(&world)), Limits::default(), &tasks, stop.child_token());
    let control = state_dir.join(CONTROL_SOCKET);
    let routes = control_routes(ControlState { engine: Arc::clone(&engine), edges });
    let routes = routes.merge(board::routes(Arc::clone(&boards), Arc::clone(&engine)));
    let routes = routes.merge(mqtt::routes(mqtt.clone()));
    let drain = Duration::from_secs(config.bridge.drain_s);
    let current = Current { loaded, memory, sources };
    let catalogue = Catalogue::new(
        Arc::clone(&engine),
        Arc::clone(&world),
        Arc::clone(&boards),
        Arc::clone(&api),
        current,
    );
    if host.catalogue.set(Arc::clone(&catalogue)).is_err() {
        tracing::error!("the API was told of two catalogues");
    }
    tasks.spawn(Arc::clone(&catalogue).follow(stop.child_token()));
    let routes = routes.merge(catalogue::routes(Arc::clone(&catalogue)));
    serve_unix(&control, routes, Limits::default(), &tasks, stop.child_token())
        .with_context(|| format!("the control socket {} cannot be made", control.display()))?;
    Ok(Bridge { engine, world, address, control, boards, catalogue, api, mqtt, tasks, stop, drain })
}

fn make_private(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(|| {
        format!("the state folder {} cannot be made: set bridge.state_dir to one that can", folder.display())
    })
}

impl Bridge {
    /// Stops in order: no new connections, what is under way gets its time, the journal is closed.
    pub async fn stop(self) {
        let Self {
            engine,
            world: _,
            address: _,
            control,
            boards: _,
            catalogue: _,
            api: _,
            mqtt: _,
            tasks,
            stop,
            drain,
        } = self;
        stop.cancel();
        tasks.close();
        if tokio::time::timeout(drain, tasks.wait()).await.is_err() {
            tracing::warn!("something did not end in time: the journal will call it interrupted");
        }
        engine.journal().close().await;
        // The socket may be another's by now only if somebody removed ours.
        if let Err(error) = std::fs::remove_file(&control) {
            tracing::debug!(%error, "the control socket was gone already");
        }
    }
}
