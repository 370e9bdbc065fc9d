//! The trait.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use parking_lot::Mutex;
use primrack_adapter_api::{Adapter, AdapterError, Capabilities, Found, Hints};
use primrack_model::{Action, Address, Command, Observation, UnixMs};
use reqwest::Url;
use smol_str::SmolStr;

use super::client::{Client, Session, returned};
use super::config::VsphereConfig;
use super::inventory::{Names, Reading, all_in, one, paths};
use super::soap::{Problem, Ref, child_text, task_fault, text};
use super::{events, map};
use crate::web::{Done, Web};

/// What can be done to a machine; migration last, since it needs a host to go to.
const ACTIONS: [Action; 12] = [
    Action::Start,
    Action::SoftOff,
    Action::HardOff,
    Action::Reboot,
    Action::Reset,
    Action::Save,
    Action::Restore,
    Action::Snapshot,
    Action::Revert,
    Action::Clone,
    Action::Delete,
    Action::Migrate,
];

/// How long the task of an action whose end shows as a state is followed, so that a no that comes
/// quickly is told as one.
const FOLLOWED: Duration = Duration::from_secs(5);
/// The pauses between looks at a task.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// The machines of one vCenter or ESXi host.
#[derive(Debug)]
pub struct VsphereAdapter {
    client: Client,
    migrate_to: Option<String>,
    snapshot_memory: bool,
    names: Mutex<Names>,
    /// Held while names are read, so that many who miss one read them once.
    reading: tokio::sync::Mutex<()>,
    done: Done,
}

impl VsphereAdapter {
    pub(super) fn new(config: VsphereConfig, url: Url) -> Self {
        let answer_within = Duration::from_millis(config.answer_within_ms);
        let web = Web::new(config.tls, answer_within);
        let login = (config.user, config.password_file);
        Self {
            client: Client::new(web, url, login, config.inside, answer_within),
            migrate_to: config.migrate_to,
            snapshot_memory: config.snapshot_memory,
            names: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
            done: Done::default(),
        }
    }

    pub(super) fn names(&self) -> &Mutex<Names> {
        &self.names
    }
    pub(super) fn answer_within(&self) -> Duration {
        self.client.answer_within
    }

    /// Reads what everything is called.
    pub(super) async fn read_names(&self, session: &Session) -> Result<(), Problem> {
        let asked = std::time::Instant::now();
        let _turn = self.reading.lock().await;
        if self.names.lock().read().is_some_and(|read| read > asked) {
            return Ok(());
        }
        let mut reading = Reading::default();
        let spec = paths("VirtualMachine", &["name", "config.template"])
            + &paths("HostSystem", &["name"])
            + &paths("Folder", &["name"])
            + &all_in(&session.view);
        session
            .retrieve(&spec, &mut |object, of| {
                reading.take(&object, of);
            })
            .await?;
        self.names.lock().replace(reading);
        Ok(())
    }

    /// The id of a machine; names are read again when nothing is called so.
    async fn id(&self, session: &Session, address: &str) -> Result<String, Problem> {
        let (known, old) = {
            let names = self.names.lock();
            (names.id(address), names.are_old())
        };
        if known.is_none() && old {
            self.read_names(session).await?;
        }
        let known = known.or_else(|| self.names.lock().id(address));
        known.ok_or_else(|| Problem::Other(AdapterError::NotFound(address.to_owned())))
    }

    async fn listing(&self, session: &Session) -> Result<Vec<Found>, Problem> {
        let spec = paths("VirtualMachine", &map::PATHS)
            + &paths("HostSystem", &["name"])
            + &paths("Folder", &["name"])
            + &all_in(&session.view);
        let mut reading = Reading::default();
        // Names are known only when all pages are there, so what depends on them is put in afterwards.
        let mut found: Vec<(Ref, Found, Option<String>, Option<String>)> = Vec::new();
        let nameless = Names::default();
        let whole = session
            .retrieve(&spec, &mut |object, of| {
                if reading.take(&object, of) {
                    let host = of.text("runtime.host").map(str::to_owned);
                    let folder = of.text("parent").map(str::to_owned);
                    let machine = map::found(&object, of, &nameless);
                    found.push((object, machine, host, folder));
                }
            })
            .await?;
        if !whole {
            tracing::warn!(
                kept = found.len(),
                "the inventory is larger than what is kept of it: set `inside`"
            );
        }
        let mut names = self.names.lock();
        names.replace(reading);
        let found = found.into_iter().map(|(object, mut found, host, folder)| {
            if let Some(address) = names.address(&object.id) {
                found.address = Address(address);
            }
            if let Some(host) = host {
                found.host = names.host(&host);
                if let Some(about) = found.seen.as_mut().and_then(|seen| seen.about.as_mut()) {
                    about.host = found.host.clone();
                }
            }
            found.tags = folder.and_then(|id| map::folder_tag(names.folder(&id)?)).into_iter().collect();
            found
        });
        Ok(found.collect())
    }

    async fn look(&self, session: &Session, address: &str) -> Result<Observation, Problem> {
        for _ in 0..2 {
            let id = self.id(session, address).await?;
            let mut seen = None;
            let spec = paths("VirtualMachine", &map::PATHS) + &one(&Ref::vm(id.as_str()));
            let asked = session
                .retrieve(&spec, &mut |_, of| {
                    let names = self.names.lock();
                    let renamed = of.text("name").is_some_and(|name| {
                        let name = super::inventory::plain(name);
                        name != address && address != id && names.address(&id).as_deref() == Some(address)
                    });
                    seen = (!renamed).then(|| map::observation(of, &names));
                })
                .await;
            match (asked, seen) {
                (Ok(_), Some(seen)) => return Ok(seen),
                // It has another name now, or is gone: the address may be another machine's by now.
                (Ok(_), None) => {}
                (Err(Problem::Fault { kind, .. }), _) if kind == "ManagedObjectNotFound" => {}
                (Err(why), _) => return Err(why),
            }
            self.names.lock().remove(&id);
            self.read_names(session).await?;
        }
        Err(Problem::Other(AdapterError::NotFound(address.to_owned())))
    }

    async fn act(&self, session: &Session, address: &str, action: Action) -> Result<(), Problem> {
        let id = self.id(session, address).await?;
        let machine = Ref::vm(id.as_str());
        let (method, arguments) = match action {
            Action::Start | Action::Restore => ("PowerOnVM_Task", String::new()),
            Action::HardOff => ("PowerOffVM_Task", String::new()),
            Action::Reset => ("ResetVM_Task", String::new()),
            Action::Save => ("SuspendVM_Task", String::new()),
            Action::Delete => ("Destroy_Task", String::new()),
            // Asked of the guest: there is no task, and no promise.
            Action::SoftOff => return session.call("ShutdownGuest", &machine, "", |_| Ok(())).await,
            Action::Reboot => return session.call("RebootGuest", &machine, "", |_| Ok(())).await,
            Action::Snapshot => {
                let memory = if self.snapshot_memory { "true" } else { "false" };
                let name = text("name", &format!("primrack-{}", UnixMs::now()));
                ("CreateSnapshot_Task", name + &text("memory", memory) + &text("quiesce", "false"))
            }
            Action::Revert => {
                let newest = newest_snapshot(session, &machine).await?;
                let task = session.call("RevertToSnapshot_Task", &newest, "", returned).await?;
                return follow(session, &task, None).await;
            }
            Action::Clone => ("CloneVM_Task", self.copy(session, address, &machine).await?),
            Action::Migrate => ("RelocateVM_Task", self.host(session).await?),
            Action::Pause | Action::Resume => {
                return Err(Problem::Other(AdapterError::unsupported(action)));
            }
        };
        let task = session.call(method, &machine, &arguments, returned).await?;
        let limit = (!action.ends_with_its_call()).then_some(FOLLOWED);
        follow(session, &task, limit).await?;
        if action == Action::Delete {
            self.names.lock().remove(&id);
        }
        Ok(())
    }

    /// What a copy of a machine is to be: beside it, off, under the next free name.
    async fn copy(&self, session: &Session, address: &str, machine: &Ref) -> Result<String, Problem> {
        let mut about = None;
        let spec = paths("VirtualMachine", &["name", "parent"]) + &one(machine);
        session
            .retrieve(&spec, &mut |_, of| {
                about = of.get("parent").and_then(Ref::read).map(|folder| {
                    (of.text("name").map_or_else(|| SmolStr::new(address), super::inventory::plain), folder)
                });
            })
            .await?;
        let (name, folder) = about.ok_or_else(|| {
            refused("it is in no folder that this user may see, and so cannot be copied beside itself")
        })?;
        self.read_names(session).await?;
        let names = self.names.lock();
        let called = (1..1000).map(|n| format!("{name}-clone-{n}")).find(|called| !names.is_taken(called));
        let called = called.ok_or_else(|| refused("it has a thousand clones: remove some"))?;
        let options = "<spec><location/><template>false</template><powerOn>false</powerOn></spec>";
        Ok(folder.element("folder") + &text("name", &called) + options)
    }

    /// Where machines migrate to.
    async fn host(&self, session: &Session) -> Result<String, Problem> {
        let Some(name) = &self.migrate_to else {
            return Err(Problem::Other(AdapterError::unsupported(Action::Migrate)));
        };
        let known = self.names.lock().host_called(name);
        if known.is_none() {
            self.read_names(session).await?;
        }
        let known = known.or_else(|| self.names.lock().host_called(name));
        let id =
            known.ok_or_else(|| refused(format!("there is no host called {name:?}: check migrate_to")))?;
        Ok(format!("<spec>{}</spec>", Ref::new("HostSystem", id).element("host")))
    }
}

fn refused(words: impl Into<String>) -> Problem {
    Problem::Other(AdapterError::Refused(words.into()))
}

/// The newest snapshot of a machine: their numbers rise.
async fn newest_snapshot(session: &Session, machine: &Ref) -> Result<Ref, Problem> {
    let mut newest: Option<(i64, Ref)> = None;
    let spec = paths("VirtualMachine", &["snapshot"]) + &one(machine);
    session
        .retrieve(&spec, &mut |_, of| {
            let trees = of.get("snapshot").into_iter().flat_map(|snapshot| snapshot.descendants());
            for tree in trees
                .filter(|node| matches!(node.tag_name().name(), "rootSnapshotList" | "childSnapshotList"))
            {
                let number = child_text(tree, "id").and_then(|number| number.parse().ok()).unwrap_or(0);
                let snapshot = super::soap::child(tree, "snapshot").and_then(Ref::read);
                if let Some(snapshot) = snapshot
                    && newest.as_ref().is_none_or(|(known, _)| *known < number)
                {
                    newest = Some((number, snapshot));
                }
            }
        })
        .await?;
    newest.map(|(_, snapshot)| snapshot).ok_or_else(|| refused("it has no snapshot to return to"))
}

/// Follows a task to its end, or for as long as `limit` says.
async fn follow(session: &Session, task: &Ref, limit: Option<Duration>) -> Result<(), Problem> {
    let began = tokio::time::Instant::now();
    let spec = paths("Task", &["info.state", "info.error"]) + &one(task);
    let mut pause = PAUSES.0;
    loop {
        let mut state = None;
        let asked = session
            .retrieve(&spec, &mut |_, of| {
                state = Some(match (of.text("info.state"), of.get("info.error")) {
                    (Some("success"), _) => Ok(true),
                    (Some("error"), Some(error)) => Err(task_fault(error)),
                    (Some("error"), None) => Err(refused("its task failed and does not say why")),
                    _ => Ok(false),
                });
            })
            .await;
        match (asked, state) {
            (Ok(_), Some(Ok(true))) => return Ok(()),
            (Ok(_), Some(Err(why))) => return Err(why),
            (Ok(_), Some(Ok(false))) => {}
            // Taken, and nobody knows how it ended.
            (Ok(_), None) | (Err(Problem::Fault { .. } | Problem::Expired), _) => {
                let words = "its task cannot be followed any more: look at the machine";
                return Err(Problem::Other(AdapterError::Unreachable(words.to_owned())));
            }
            (Err(why), _) => return Err(why),
        }
        if limit.is_some_and(|limit| began.elapsed() >= limit) {
            return Ok(());
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

#[async_trait]
impl Adapter for VsphereAdapter {
    fn technology(&self) -> &'static str {
        "vsphere"
    }

    fn capabilities(&self, _: &Address) -> Capabilities {
        let actions = if self.migrate_to.is_some() { &ACTIONS[..] } else { &ACTIONS[..ACTIONS.len() - 1] };
        Capabilities { actions, pushes_events: true, simulated: false }
    }

    async fn list(&self) -> Result<Vec<Found>, AdapterError> {
        let listed = self.client.within(|session| async move { self.listing(&session).await }.boxed()).await;
        listed.map_err(|why| why.into_error("the inventory"))
    }

    async fn observe(&self, address: &Address) -> Result<Observation, AdapterError> {
        let name = address.0.clone();
        let work = |session: Arc<Session>| {
            let name = name.clone();
            async move { self.look(&session, &name).await }.boxed()
        };
        self.client.within(work).await.map_err(|why| why.into_error(&address.0))
    }

    async fn execute(&self, command: &Command) -> Result<(), AdapterError> {
        let Command { intent, address, action, .. } = command;
        if !self.done.is_new(*intent) {
            return Ok(());
        }
        let (name, action) = (address.0.clone(), *action);
        let work = |session: Arc<Session>| {
            let name = name.clone();
            async move { self.act(&session, &name, action).await }.boxed()
        };
        let done = self.client.within(work).await.map_err(|why| why.into_error(&address.0));
        if done.is_err() {
            self.done.forget(*intent);
        }
        done
    }

    async fn listen(&self, hints: Hints) -> AdapterError {
        let listening = async {
            let session = self.client.session().await?;
            let ended = events::listen(self, &session, &hints).await;
            if matches!(ended, Err(Problem::Expired)) {
                self.client.forget(&session).await;
                return Err(Problem::Other(AdapterError::Unreachable("the session ended".to_owned())));
            }
            ended
        };
        match listening.await {
            Ok(()) => AdapterError::Unreachable("the stream of updates ended".to_owned()),
            Err(why) => why.into_error("the stream of updates"),
        }
    }
}
