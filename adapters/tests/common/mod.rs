//! What the tests of all technologies share: a bridge's driver with an ear.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test program uses its part")]

#[path = "../../../tests/src/figure.rs"]
pub mod figure;
mod transcript;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use primrack_adapter_api::{Adapter, AdapterError, Driver, DriverSettings, Found, Sink};
use primrack_model::{Action, Address, BackendId, Command, IntentId, Observation, Power};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use transcript::{Peer, Transcript};

pub const PATIENCE: Duration = Duration::from_secs(60);

struct Ear {
    news: mpsc::UnboundedSender<(Address, Observation)>,
    watched: Vec<Address>,
}

impl Sink for Ear {
    fn observed(&self, _: &BackendId, address: &Address, seen: Observation) {
        // The test may be over.
        self.news.send((address.clone(), seen)).ok();
    }
    fn silent(&self, _: &BackendId, address: Option<&Address>, why: &str) {
        // Without an address, the backend is lost and all that it has.
        for address in address.map_or(&self.watched[..], std::slice::from_ref) {
            self.news.send((address.clone(), Observation::unknown(why))).ok();
        }
    }
    fn found(&self, _: &BackendId, _: &[Found]) {}
}

/// One machine behind an adapter and its driver.
pub struct Bridge {
    pub driver: Arc<Driver>,
    news: mpsc::UnboundedReceiver<(Address, Observation)>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// A temporary folder for an adapter's state; whatever was started from it ends with it, however the
/// test ends.
pub struct Nest(pub tempfile::TempDir);

impl Nest {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Nest {
    fn drop(&mut self) {
        let mark = format!("PRIMRACK_MACHINE={}", self.path().display());
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let Ok(environment) = fs::read(entry.path().join("environ")) else { continue };
            if environment.split(|byte| *byte == 0).any(|pair| pair.starts_with(mark.as_bytes())) {
                kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).ok();
            }
        }
    }
}

pub fn address(name: &str) -> Address {
    Address(name.into())
}

impl Bridge {
    pub fn of(adapter: impl Adapter, names: &[&str]) -> Self {
        // No polling within any test: what is seen was told by an event.
        Self::with(adapter, names, DriverSettings { safety_poll_ms: 3_600_000, ..DriverSettings::default() })
    }
    /// For what pushes no events: each machine is asked this often.
    pub fn polling(adapter: impl Adapter, names: &[&str], every: Duration) -> Self {
        let every = u64::try_from(every.as_millis()).unwrap();
        Self::with(
            adapter,
            names,
            DriverSettings { poll_ms: every, follow_ms: every, ..DriverSettings::default() },
        )
    }
    pub fn with(adapter: impl Adapter, names: &[&str], settings: DriverSettings) -> Self {
        let (sender, news) = mpsc::unbounded_channel();
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let watched: Vec<_> = names.iter().map(|name| address(name)).collect();
        let driver = Driver::start(
            BackendId::new("local").unwrap(),
            Arc::new(adapter),
            settings,
            watched.clone(),
            Arc::new(Ear { news: sender, watched }),
            &tasks,
            stop.clone(),
        );
        Self { driver, news, tasks, stop }
    }

    pub async fn act(&self, name: &str, action: Action) -> Result<(), AdapterError> {
        self.act_within(name, action, PATIENCE).await
    }
    pub async fn act_within(
        &self,
        name: &str,
        action: Action,
        deadline: Duration,
    ) -> Result<(), AdapterError> {
        let deadline_ms = u64::try_from(deadline.as_millis()).unwrap();
        let command = Command { intent: IntentId::now(), address: address(name), action, deadline_ms };
        self.driver.execute(&command).await
    }

    /// Waits to be told of a state.
    pub async fn until(&mut self, name: &str, wanted: impl Fn(&Observation) -> bool) -> Observation {
        let mut heard = Vec::new();
        let waiting = async {
            loop {
                let (address, seen) = self.news.recv().await.unwrap();
                if address.0 == name {
                    if wanted(&seen) {
                        return seen;
                    }
                    heard.push(seen);
                }
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(seen) => seen,
            Err(_) => panic!("{name} never got there; it was {heard:?}"),
        }
    }
    pub async fn power(&mut self, name: &str, power: Power) -> Observation {
        self.until(name, |seen| seen.power == power).await
    }

    /// Ends the bridge, not its machines.
    pub async fn finish(self) {
        self.stop.cancel();
        self.tasks.close();
        tokio::time::timeout(Duration::from_secs(5), self.tasks.wait())
            .await
            .expect("the driver ends when told");
    }
}

/// What the table `[qualities]` of a quality file speaks of, each `"done"` or `"exempt: why"`.
const QUALITIES: [&str; 10] = [
    "events",
    "soft-off",
    "hard-off",
    "deadlines",
    "reconnect",
    "credentials",
    "tls",
    "bounds",
    "metrics",
    "doctor",
];

/// The rules of an adapter's quality file, whose other table is whole.
pub fn quality(text: &str) -> BTreeMap<String, String> {
    let mut tables: BTreeMap<String, BTreeMap<String, String>> = toml::from_str(text).unwrap();
    let qualities = tables.remove("qualities").expect("the quality file has a table [qualities]");
    for name in QUALITIES {
        let said = qualities.get(name).unwrap_or_else(|| panic!("[qualities] says nothing of {name}"));
        let why = said.strip_prefix("exempt: ").is_some_and(|why| !why.trim().is_empty());
        assert!(said == "done" || why, "{name}: write \"done\" or \"exempt: \" and why, not {said:?}");
    }
    if let Some(name) = qualities.keys().find(|name| !QUALITIES.contains(&name.as_str())) {
        panic!("[qualities]: there is no {name}");
    }
    tables.remove("rules").unwrap()
}

impl Bridge {
    /// Waits until the driver says that its backend is there, or not.
    pub async fn connected(&self, wanted: bool) {
        let waiting = async {
            while self.driver.status().connected != wanted {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let why = || self.driver.status().why;
        assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "not connected: {wanted}: {}", why());
    }

    /// Waits until nothing more is told of a machine, and that the last word was this.
    pub async fn until_quiet(&mut self, name: &str, power: Power) {
        let mut last = None;
        while let Ok(news) = tokio::time::timeout(Duration::from_secs(2), self.news.recv()).await {
            let (address, seen) = news.unwrap();
            if address.0 == name {
                last = Some(seen.power);
            }
        }
        assert_eq!(last, Some(power), "the last word on {name}");
    }
}
