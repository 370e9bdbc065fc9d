//! The trait.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use primrack_adapter_api::{Adapter, AdapterError, Capabilities, Found, Hint, Hints};
use primrack_model::{Action, Address, Command, Observation, Power, UnixMs};
use reqwest::Url;
use serde::Deserialize;
use smol_str::SmolStr;
use tokio::sync::mpsc::WeakSender;
use tokio::time::Instant;

use super::client::{Client, patience};
use super::cluster::{Cluster, Guest};
use super::config::ProxmoxConfig;
use super::map::{self, Current};
use super::tasks;
use crate::web::{Done, Web};

/// What can be done to a virtual machine; migration last, since it needs a node to go to.
const MACHINE: [Action; 14] = [
    Action::Start,
    Action::SoftOff,
    Action::HardOff,
    Action::Reboot,
    Action::Reset,
    Action::Pause,
    Action::Resume,
    Action::Save,
    Action::Restore,
    Action::Snapshot,
    Action::Revert,
    Action::Clone,
    Action::Delete,
    Action::Migrate,
];
/// What can be done to a container; migration last.
const CONTAINER: [Action; 9] = [
    Action::Start,
    Action::SoftOff,
    Action::HardOff,
    Action::Reboot,
    Action::Snapshot,
    Action::Revert,
    Action::Clone,
    Action::Delete,
    Action::Migrate,
];

/// How long the task of an action whose end shows as a state is followed before the call returns, so
/// that a no that comes quickly is told as one.
const FOLLOWED: Duration = Duration::from_secs(5);

/// The guests of one cluster.
#[derive(Debug)]
pub struct ProxmoxAdapter {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    client: Client,
    cluster: Cluster,
    migrate_to: Option<String>,
    snapshot_memory: bool,
    done: Done,
    /// Where a restart that the backend reports is told; the listener holds the other half.
    hints: Mutex<Option<WeakSender<Hint>>>,
}

#[derive(Deserialize)]
struct Snapshot {
    name: String,
    #[serde(default)]
    snaptime: i64,
}

impl ProxmoxAdapter {
    pub(super) fn new(config: ProxmoxConfig, url: Url) -> Self {
        let web = Web::new(config.tls, patience(config.answer_within_ms));
        let inner = Inner {
            client: Client::new(web, url, config.token_file),
            cluster: Cluster::default(),
            migrate_to: config.migrate_to,
            snapshot_memory: config.snapshot_memory,
            done: Done::default(),
            hints: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }
}

impl Inner {
    /// The guest of an address, where it is now.
    async fn guest(&self, address: &Address) -> Result<Guest, AdapterError> {
        let overview = self.cluster.overview(&self.client).await?;
        if let Some(guest) = overview.get(&address.0) {
            return Ok(guest.clone());
        }
        if let Some((_, number)) = address.0.split_once('/')
            && !self.cluster.may_see(&self.client, Some(number)).await?
        {
            return Err(AdapterError::Refused(format!(
                "its token may not see {0}: give it VM.Audit on /vms/{number}",
                address.0
            )));
        }
        Err(AdapterError::NotFound(address.0.to_string()))
    }

    async fn look(&self, address: &Address) -> Result<Observation, AdapterError> {
        let guest = self.guest(address).await?;
        let current: Option<Current> = if map::needs_a_look(&guest) {
            Some(self.client.get(&guest.path(&["status", "current"]), "").await?)
        } else {
            None
        };
        Ok(map::observation(&guest, current.as_ref()))
    }

    /// Sets an action going; the number of its task.
    async fn begin(&self, guest: &Guest, command: &Command) -> Result<String, AdapterError> {
        let no: &[(&str, String)] = &[];
        let client = &self.client;
        let seconds = (command.deadline_ms / 1000).clamp(1, 3600).to_string();
        let (path, form): (&[&str], Vec<(&str, String)>) = match command.action {
            Action::Start | Action::Restore => (&["status", "start"], Vec::new()),
            // Without a limit of ours it gives up after its own, and then says that it failed.
            Action::SoftOff => (&["status", "shutdown"], vec![("timeout", seconds)]),
            Action::HardOff => (&["status", "stop"], Vec::new()),
            Action::Reboot => (&["status", "reboot"], vec![("timeout", seconds)]),
            Action::Reset => (&["status", "reset"], Vec::new()),
            Action::Pause => (&["status", "suspend"], Vec::new()),
            Action::Resume => (&["status", "resume"], Vec::new()),
            Action::Save => (&["status", "suspend"], vec![("todisk", "1".to_owned())]),
            Action::Snapshot => (&["snapshot"], self.snapshot(guest)),
            Action::Revert => {
                let name = self.newest_snapshot(guest).await?;
                return client.post(&guest.path(&["snapshot", &name, "rollback"]), no).await;
            }
            Action::Clone => (&["clone"], self.copy(guest).await?),
            Action::Migrate => (&["migrate"], self.migration(guest)?),
            Action::Delete => return client.delete(&guest.path(&[]), "purge=1").await,
        };
        client.post(&guest.path(path), &form).await
    }

    fn snapshot(&self, guest: &Guest) -> Vec<(&'static str, String)> {
        let digits: String = UnixMs::now().to_string().chars().filter(char::is_ascii_digit).collect();
        let mut form = vec![("snapname", format!("primrack-{digits}"))];
        if self.snapshot_memory && guest.kind == "qemu" && guest.status == "running" {
            form.push(("vmstate", "1".to_owned()));
        }
        form
    }

    async fn newest_snapshot(&self, guest: &Guest) -> Result<String, AdapterError> {
        let all: Vec<Snapshot> = self.client.get(&guest.path(&["snapshot"]), "").await?;
        // `current` is no snapshot but where it stands now. Of one second's, the later name is the newer.
        let newest = all
            .into_iter()
            .filter(|snapshot| snapshot.name != "current")
            .max_by(|a, b| (a.snaptime, &a.name).cmp(&(b.snaptime, &b.name)));
        let none = || AdapterError::Refused("it has no snapshot to return to".to_owned());
        newest.map(|snapshot| snapshot.name).ok_or_else(none)
    }

    /// A copy in full, under the next free number and name.
    async fn copy(&self, guest: &Guest) -> Result<Vec<(&'static str, String)>, AdapterError> {
        let next: serde_json::Value = self.client.get(&["cluster", "nextid"], "").await?;
        let next = next.as_str().map_or_else(|| next.to_string(), str::to_owned);
        let overview = self.cluster.ask(&self.client).await?;
        let taken = |name: &str| overview.values().any(|guest| guest.name == name);
        let called = (1..1000).map(|n| format!("{}-clone-{n}", guest.name)).find(|name| !taken(name));
        let called = called
            .ok_or_else(|| AdapterError::Refused("it has a thousand clones: remove some".to_owned()))?;
        let name = if guest.kind == "lxc" { "hostname" } else { "name" };
        Ok(vec![("newid", next), (name, called), ("full", "1".to_owned())])
    }

    fn migration(&self, guest: &Guest) -> Result<Vec<(&'static str, String)>, AdapterError> {
        let Some(to) = &self.migrate_to else {
            return Err(AdapterError::unsupported(Action::Migrate));
        };
        if guest.node == *to {
            return Err(AdapterError::Refused(format!("it is on {to} already")));
        }
        let mut form = vec![("target", to.clone())];
        if guest.status == "running" {
            // A container cannot move while it runs: it is stopped, moved and started.
            form.push((if guest.kind == "lxc" { "restart" } else { "online" }, "1".to_owned()));
        }
        Ok(form)
    }

    async fn act(self: &Arc<Self>, command: &Command) -> Result<(), AdapterError> {
        self.cluster.forget();
        let guest = self.guest(&command.address).await?;
        if !capable(&guest.id, self.migrate_to.is_some()).contains(&command.action) {
            return Err(AdapterError::unsupported(command.action));
        }
        let begun = self.begin(&guest, command).await;
        self.cluster.forget();
        let upid = begun?;
        let ends_with_its_call = command.action.ends_with_its_call();
        let until = (!ends_with_its_call).then(|| Instant::now() + FOLLOWED);
        let over = tasks::follow(&self.client, &upid, until).await;
        self.cluster.forget();
        let over = over?;
        if matches!(command.action, Action::Reset | Action::Reboot) {
            if over {
                self.began_anew(&command.address).await;
            } else {
                // It takes its time; the call is over, the news is not.
                let (inner, address) = (Arc::clone(self), command.address.clone());
                let until = Some(Instant::now() + Duration::from_millis(command.deadline_ms));
                tokio::spawn(async move {
                    if tasks::follow(&inner.client, &upid, until).await == Ok(true) {
                        inner.began_anew(&address).await;
                    }
                });
            }
        }
        Ok(())
    }

    /// The backend's own word that a guest went through a restart, which no state shows: a reset leaves it
    /// running all the while.
    async fn began_anew(&self, address: &Address) {
        let hints = self.hints.lock().as_ref().and_then(WeakSender::upgrade);
        let Some(hints) = hints else { return };
        let seen = Observation::of(Power::Starting).with_detail("began anew");
        // Without a listener there is nobody to tell.
        hints.send(Hint::State(address.clone(), seen)).await.ok();
    }
}

/// What can be done to the guest of an address, by its kind.
fn capable(address: &SmolStr, migrates: bool) -> &'static [Action] {
    let all: &[Action] = if address.starts_with("lxc/") { &CONTAINER } else { &MACHINE };
    if migrates { all } else { &all[..all.len() - 1] }
}

#[async_trait]
impl Adapter for ProxmoxAdapter {
    fn technology(&self) -> &'static str {
        "proxmox"
    }

    fn capabilities(&self, address: &Address) -> Capabilities {
        let actions = capable(&address.0, self.inner.migrate_to.is_some());
        Capabilities { actions, pushes_events: false, simulated: false }
    }

    async fn list(&self) -> Result<Vec<Found>, AdapterError> {
        let overview = self.inner.cluster.ask(&self.inner.client).await?;
        Ok(overview.values().map(map::found).collect())
    }

    async fn observe(&self, address: &Address) -> Result<Observation, AdapterError> {
        self.inner.look(address).await
    }

    async fn execute(&self, command: &Command) -> Result<(), AdapterError> {
        if !self.inner.done.is_new(command.intent) {
            return Ok(());
        }
        let done = self.inner.act(command).await;
        if done.is_err() {
            self.inner.done.forget(command.intent);
        }
        done
    }

    /// There are no events: it holds the way for the news of restarts, and waits.
    async fn listen(&self, hints: Hints) -> AdapterError {
        *self.inner.hints.lock() = Some(hints.downgrade());
        hints.closed().await;
        AdapterError::Unreachable("nobody listens any more".to_owned())
    }
}
