//! The bridge as `primrack_app::compose` puts it together, with the mock adapter as its only backend and
//! without the command line around it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::Context as _;
use futures::StreamExt as _;
use primrack_adapter_api::DriverSettings;
use primrack_engine::journal::{Journal, JournalSettings};
use primrack_engine::{Backend, Engine, EngineSettings, Parts};
use primrack_model::{
    BackendId, GroupId, Inventory, ObjectId, Person, Power, TargetEntry, TargetId, TargetKind, TouchMode,
    UnixMs,
};
use primrack_policy::{Policy, Source};
use primrack_web::{Gate, Limits, TlsFiles, acceptor, serve_tcp};
use primrack_wire::world::{KeyId, Nonce};
use primrack_world::delivery::{DeliverySettings, Guard, GuardSettings};
use primrack_world::{Key, Keyring, World, WorldParts, WorldSettings};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::mock::{Mock, address};
use super::{Orders, ready};
use crate::report::say;
use crate::words::{
    BridgeSpec, HOLDER, KEY_ID, OWNER, PEOPLE, Registered, avatar, callback, object_id, secret,
};

/// The space in which the region side keeps registrations.
const SPACE: &str = "world-registration";

fn inventory(spec: &BridgeSpec) -> anyhow::Result<Inventory> {
    let backend = BackendId::new("mock")?;
    let target = |number: usize| -> anyhow::Result<TargetEntry> {
        Ok(TargetEntry {
            id: TargetId::new(format!("t{number}"))?,
            label: smol_str::format_smolstr!("Server {number}"),
            kind: TargetKind::Machine,
            backend: backend.clone(),
            address: address(number),
            protected: false,
            groups: Vec::new(),
        })
    };
    let object = |at: usize| -> anyhow::Result<_> {
        let units: Result<Vec<_>, primrack_model::BadId> = (0..spec.units)
            .map(|unit| {
                Ok((
                    u8::try_from(unit).unwrap_or(u8::MAX),
                    TargetId::new(format!("t{}", at * spec.units + unit))?,
                ))
            })
            .collect();
        let id = object_id(at);
        Ok((ObjectId::new(&id)?, smol_str::SmolStr::new(&id), TouchMode::Toggle, units?))
    };
    let operators = vec![GroupId::new("operators")?];
    let person = |n| Person { actor: format!("avatar:{}", avatar(n)).into(), groups: operators.clone() };
    let targets = (0..spec.objects * spec.units).map(target).collect::<anyhow::Result<_>>()?;
    let objects = (0..spec.objects).map(object).collect::<anyhow::Result<_>>()?;
    Ok(Inventory::new(targets, objects, (0..PEOPLE).map(person).collect())?)
}

/// The registrations as the region side keeps them.
fn kept(spec: &BridgeSpec) -> Vec<(String, Vec<u8>)> {
    let one = |object: usize| {
        let manner =
            spec.manners.iter().find(|(n, _)| *n == object / 100 % 100).map_or("o", |(_, manner)| manner);
        let facts = json!({
            "url": callback(object, spec.sink, manner), "holder": HOLDER, "owner": OWNER, "region": "Bench",
            "grid": "bench", "script": "bench 1", "form": "hex", "key_id": KEY_ID, "at": UnixMs::now().0,
        });
        (object_id(object), facts.to_string().into_bytes())
    };
    (0..spec.objects).map(one).collect()
}

pub(super) async fn run(spec: BridgeSpec, mut orders: Orders) -> anyhow::Result<()> {
    if let Some(filter) = &spec.log {
        let file = std::fs::File::create(spec.folder.join("log"))?;
        let filter = tracing_subscriber::EnvFilter::new(filter);
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(file).with_ansi(false);
        log.with_target(false).try_init().map_err(|error| anyhow::anyhow!("{error}"))?;
    }
    let inventory = Arc::new(inventory(&spec)?);
    let policy = Arc::new(Policy::load(&[Source::starter()], Arc::clone(&inventory))?);
    let mut keys = Keyring::default();
    let id = KeyId::new(KEY_ID).context("a key id")?;
    for object in 0..spec.objects {
        keys.insert(
            ObjectId::new(object_id(object))?,
            Key { id: id.clone(), secret: secret(object), until: None },
        );
    }
    let path = spec.folder.join("journal.sqlite");
    let opened =
        tokio::task::spawn_blocking(move || Journal::open(&path, &JournalSettings::default())).await?;
    let (journal, mut recovered) = opened?;
    let kept = match spec.registered {
        Registered::None => Vec::new(),
        Registered::Given | Registered::Kept => kept(&spec),
        Registered::Journal => recovered.kept.remove(SPACE).unwrap_or_default(),
    };
    let to_keep = if spec.registered == Registered::Kept { kept.clone() } else { Vec::new() };
    let boot = u32::try_from(recovered.boot)?;
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let parts = WorldParts {
        keys,
        guard: Guard::new(GuardSettings { allow: vec!["127.0.0.0/8:*".parse()?] }),
        // One machine plays a hundred hosts, so no simulator has to be spared.
        delivery: DeliverySettings { pace_per_second: 0, ..DeliverySettings::default() },
        settings: WorldSettings { requests_per_s: 1e6, request_burst: 1e6, ..WorldSettings::default() },
        nonce: Nonce { boot, random: u64::from(std::process::id()) },
        kept,
    };
    let (world, delivery) = World::new(parts, Arc::clone(&inventory));
    let executed = match &spec.executed {
        Some(path) => Some(std::fs::OpenOptions::new().append(true).create(true).open(path)?),
        None => None,
    };
    let targets = spec.objects * spec.units;
    let mock = Arc::new(Mock::new(targets, executed));
    let settings = DriverSettings { list_limit: targets.max(1), ..DriverSettings::default() };
    let parts = Parts {
        inventory: Arc::clone(&inventory),
        policy,
        journal,
        unfinished: recovered.unfinished,
        backends: vec![Backend { id: BackendId::new("mock")?, adapter: Arc::clone(&mock) as _, settings }],
        settings: EngineSettings::default(),
    };
    let engine = Engine::start(parts, &tasks, stop.child_token(), |_| vec![Arc::clone(&world) as _]);
    world.start(&engine, delivery, &tasks, stop.child_token());
    let tls = match spec.tls.clone() {
        Some((certificate, key)) => Some(acceptor(&TlsFiles { certificate, key })?),
        None => None,
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let gate = Gate::new(&world);
    serve_tcp(listener, tls, world.routes(), Some(gate), Limits::default(), &tasks, stop.child_token());
    ready(port);
    while let Some(order) = orders.recv().await {
        let words: Vec<&str> = order.split_whitespace().collect();
        match words.as_slice() {
            ["quit"] => break,
            ["entries"] => say(&engine.journal().stats().entries.to_string()),
            ["largest-batch"] => say(&engine.journal().stats().largest_batch.to_string()),
            ["executions"] => say(&mock.executions.load(Relaxed).to_string()),
            ["posts"] => say(&world.delivery().map_or(0, |it| it.status().counters.posts).to_string()),
            ["keep"] => {
                let mut puts = futures::stream::iter(to_keep.clone())
                    .map(|(object, facts)| engine.journal().put(SPACE, object, Some(facts)))
                    .buffer_unordered(512);
                while let Some(put) = puts.next().await {
                    put?;
                }
                say("kept");
            }
            ["flip", to] => {
                say("flipping");
                let power = if *to == "on" { Power::On } else { Power::Off };
                for number in 0..targets {
                    mock.set(number, power).await;
                }
            }
            ["flap", per_s, seconds] => {
                let flips = flap(&mock, targets, per_s.parse()?, seconds.parse()?).await;
                say(&flips.to_string());
            }
            other => anyhow::bail!("nobody knows the order {other:?}"),
        }
    }
    stop.cancel();
    tasks.close();
    drop(tokio::time::timeout(Duration::from_secs(10), tasks.wait()).await);
    engine.journal().close().await;
    Ok(())
}

/// Every machine flips in turn, so many a second in all; the last flip of each turns it on. Returns how
/// many flips there were.
async fn flap(mock: &Mock, targets: usize, per_s: u64, seconds: u64) -> u64 {
    let begun = tokio::time::Instant::now();
    let end = begun + Duration::from_secs(seconds);
    let mut flips = 0u64;
    while tokio::time::Instant::now() < end {
        let due = (begun.elapsed().as_secs_f64() * per_s as f64) as u64;
        while flips < due {
            let number = (flips % targets as u64) as usize;
            let power = if (flips / targets as u64).is_multiple_of(2) { Power::Crashed } else { Power::Off };
            mock.set(number, power).await;
            flips += 1;
            if flips.is_multiple_of(64) && tokio::time::Instant::now() >= end {
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for number in 0..targets {
        mock.set(number, Power::On).await;
    }
    flips + targets as u64
}
