//! The adapter: hosts, each with its connection and its latest listing.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::future::join_all;
use parking_lot::Mutex;
use primrack_adapter_api::{Adapter, AdapterError, Capabilities, Console, Found, Hints};
use primrack_model::{Action, Address, Command, Observation, Power};
use smol_str::{SmolStr, format_smolstr};

use crate::ConfigError;
use crate::local::Recent;

use super::client::{Client, Output};
use super::{CommandSet, SshConfig, map};

/// How long a listing answers for all machines of a host: they are looked at together.
const FRESH: Duration = Duration::from_millis(300);
/// The most of a console that is shown.
const CONSOLE: usize = 64 * 1024;

/// What a command set can have, in the order of [`Action::ALL`].
const ALL: [Action; 7] = [
    Action::Start,
    Action::Resume,
    Action::Pause,
    Action::SoftOff,
    Action::Reboot,
    Action::Reset,
    Action::HardOff,
];

/// Hosts that are told by commands.
#[derive(Debug)]
pub struct SshAdapter {
    hosts: BTreeMap<SmolStr, Arc<Host>>,
}

#[derive(Debug)]
struct Host {
    name: SmolStr,
    label: String,
    set: CommandSet,
    /// The actions that the set has a command for.
    actions: &'static [Action],
    client: Client,
    timeout: Duration,
    action_timeout: Duration,
    limit: usize,
    /// Held while the host is listed: whoever comes meanwhile takes that listing.
    latest: tokio::sync::Mutex<Option<(Instant, Arc<Listing>)>>,
    /// The names of the latest listing that succeeded.
    known: Mutex<Vec<SmolStr>>,
    recent: Mutex<HashMap<SmolStr, Recent>>,
}

type Listing = BTreeMap<SmolStr, Observation>;

impl SshAdapter {
    pub(super) fn new(config: &SshConfig) -> Result<Self, ConfigError> {
        let mut hosts = BTreeMap::new();
        for (name, host) in &config.hosts {
            let place = |field: &str| format!("hosts.{name}.{field}");
            let pinned = host.pinned().map_err(|words| ConfigError::new(place("host_key"), words))?;
            let set =
                config.set_of(host).ok_or_else(|| ConfigError::new(place("set"), "there is no such set"))?;
            let timeout = Duration::from_millis(config.timeout_ms);
            let host = Host {
                name: name.into(),
                label: host.label.clone(),
                actions: actions(&set),
                set,
                client: Client::new(name, host.clone(), pinned, timeout),
                timeout,
                action_timeout: Duration::from_millis(config.action_timeout_ms),
                limit: config.list_limit,
                latest: tokio::sync::Mutex::default(),
                known: Mutex::default(),
                recent: Mutex::default(),
            };
            hosts.insert(SmolStr::new(name), Arc::new(host));
        }
        Ok(Self { hosts })
    }

    /// The host of an address, and the machine on it; the host itself has no name there.
    fn find<'a>(&self, address: &'a Address) -> Result<(&Arc<Host>, &'a str), AdapterError> {
        let unknown = || AdapterError::NotFound(address.0.to_string());
        let (host, machine) = address.0.split_once('/').unwrap_or((&address.0, ""));
        let host = self.hosts.get(host).ok_or_else(unknown)?;
        if host.set.is_the_host() == machine.is_empty() && (machine.is_empty() || map::is_name(machine)) {
            Ok((host, machine))
        } else {
            Err(unknown())
        }
    }
}

#[async_trait]
impl Adapter for SshAdapter {
    fn technology(&self) -> &'static str {
        "ssh"
    }

    fn capabilities(&self, address: &Address) -> Capabilities {
        let actions = self.find(address).map_or(&[][..], |(host, _)| host.actions);
        Capabilities { actions, pushes_events: false, simulated: false }
    }

    async fn list(&self) -> Result<Vec<Found>, AdapterError> {
        let listings =
            join_all(self.hosts.values().map(|host| async move { (host, host.list().await) })).await;
        let mut found = Vec::new();
        let mut first = None;
        let mut answered = false;
        for (host, listing) in listings {
            match listing {
                Ok(listing) => {
                    answered = true;
                    found.extend(listing.iter().map(|(name, seen)| host.found(name, Some(seen.clone()))));
                }
                Err(why) => {
                    tracing::warn!(host = %host.name, %why, "a host does not answer; its machines are those of before");
                    found.extend(host.known.lock().iter().map(|name| host.found(name, None)));
                    first.get_or_insert(why);
                }
            }
        }
        match first {
            // One host that does not answer does not hide the others.
            Some(why) if !answered => Err(why),
            _ => Ok(found),
        }
    }

    async fn observe(&self, address: &Address) -> Result<Observation, AdapterError> {
        let (host, machine) = self.find(address)?;
        host.observe(machine).await
    }

    async fn execute(&self, command: &Command) -> Result<(), AdapterError> {
        let (host, machine) = self.find(&command.address)?;
        if host.set.command(command.action).is_empty() {
            return Err(AdapterError::NotSupported(format!(
                "the command set of {} has no command for {}",
                host.name, command.action
            )));
        }
        let (host, machine, command) = (Arc::clone(host), SmolStr::new(machine), command.clone());
        // Done to its end, also when whoever asked gives up.
        let done = tokio::spawn(async move { host.execute(&machine, &command).await });
        done.await
            .unwrap_or_else(|why| Err(AdapterError::Unreachable(format!("the adapter failed inside: {why}"))))
    }

    /// There are no events over SSH: the driver polls.
    async fn listen(&self, _: Hints) -> AdapterError {
        std::future::pending().await
    }

    async fn console(&self, address: &Address) -> Result<Console, AdapterError> {
        let (host, machine) = self.find(address)?;
        if host.set.console.is_empty() {
            return Err(AdapterError::NotSupported(format!(
                "the command set of {} has no console",
                host.name
            )));
        }
        let text = host.asked(&map::filled(&host.set.console, machine)).await?;
        let mut from = text.len().saturating_sub(CONSOLE);
        while !text.is_char_boundary(from) {
            from += 1;
        }
        Ok(Console::Text(text[from..].to_owned()))
    }
}

impl Host {
    fn found(&self, machine: &str, seen: Option<Observation>) -> Found {
        if machine.is_empty() {
            let label = if self.label.is_empty() { self.name.to_string() } else { self.label.clone() };
            return Found { label, seen, ..Found::of(Address(self.name.clone())) };
        }
        let address = Address(format_smolstr!("{}/{machine}", self.name));
        Found { label: machine.to_owned(), host: self.name.clone(), seen, ..Found::of(address) }
    }

    /// What a command that only looks printed.
    async fn asked(&self, command: &str) -> Result<String, AdapterError> {
        let output = self.client.run(command, self.timeout).await?;
        match output.status {
            Some(0) => Ok(output.text),
            Some(_) => Err(AdapterError::Refused(self.complaint(command, &output))),
            None => Err(AdapterError::Unreachable(format!("{}: the line was lost", self.name))),
        }
    }

    fn complaint(&self, command: &str, output: &Output) -> String {
        let words = output.complaints.lines().chain(output.text.lines()).find(|line| !line.trim().is_empty());
        let words: String = words.unwrap_or("it said nothing").trim().chars().take(200).collect();
        let status = output.status.unwrap_or_default();
        format!("{}: `{command}` ended with status {status}: {words}", self.name)
    }

    async fn list(&self) -> Result<Arc<Listing>, AdapterError> {
        let mut latest = self.latest.lock().await;
        if let Some((at, listing)) = latest.as_ref()
            && at.elapsed() < FRESH
        {
            return Ok(Arc::clone(listing));
        }
        let mut listing = Listing::new();
        if self.set.is_the_host() {
            self.asked(&self.set.observe).await?;
            listing.insert(SmolStr::default(), Observation::of(Power::On));
        } else {
            // Names first: what starts in between is then in the list of those that run.
            let names = match self.set.names.as_str() {
                "" => None,
                names => Some(self.asked(names).await?),
            };
            let listed = self.asked(&self.set.list).await?;
            listing = map::machines(&self.set, &listed, names.as_deref(), self.limit);
        }
        let listing = Arc::new(listing);
        *latest = Some((Instant::now(), Arc::clone(&listing)));
        *self.known.lock() = listing.keys().cloned().collect();
        self.recent.lock().retain(|machine, _| listing.contains_key(machine));
        Ok(listing)
    }

    async fn observe(&self, machine: &str) -> Result<Observation, AdapterError> {
        if !self.set.is_the_host() && !self.set.observe.is_empty() {
            if !self.known.lock().iter().any(|name| name == machine)
                && !self.list().await?.contains_key(machine)
            {
                return Err(AdapterError::NotFound(format!("{}/{machine}", self.name)));
            }
            let said = self.asked(&map::filled(&self.set.observe, machine)).await?;
            return Ok(map::state(&self.set, said.trim()));
        }
        let listing = self.list().await?;
        listing
            .get(machine)
            .cloned()
            .ok_or_else(|| AdapterError::NotFound(format!("{}/{machine}", self.name)))
    }

    async fn execute(&self, machine: &SmolStr, command: &Command) -> Result<(), AdapterError> {
        // That it is there, and its name is one that the host itself has told.
        if !self.list().await?.contains_key(machine) {
            return Err(AdapterError::NotFound(command.address.0.to_string()));
        }
        if !self.recent.lock().entry(machine.clone()).or_default().is_new(command.intent) {
            return Ok(());
        }
        let text = map::filled(self.set.command(command.action), machine);
        let done = self.client.run(&text, self.action_timeout).await;
        // What was listed before says nothing about now.
        *self.latest.lock().await = None;
        let done = match done {
            // A host that goes down often says nothing more.
            Ok(Output { status: Some(0) | None, .. }) => Ok(()),
            Ok(output) => Err(AdapterError::Refused(self.complaint(&text, &output))),
            Err(why) => Err(why),
        };
        if matches!(done, Err(AdapterError::Refused(_) | AdapterError::Credentials(_))) {
            self.recent.lock().entry(machine.clone()).or_default().forget(command.intent);
        }
        done
    }
}

/// The actions of a set. There are few different ones, and they last as long as the program.
fn actions(set: &CommandSet) -> &'static [Action] {
    static KNOWN: Mutex<Vec<&'static [Action]>> = Mutex::new(Vec::new());
    let wanted: Vec<Action> = ALL.into_iter().filter(|action| !set.command(*action).is_empty()).collect();
    let mut known = KNOWN.lock();
    // At most 128 different ones can be: each is kept once.
    if let Some(same) = known.iter().find(|same| same[..] == wanted[..]) {
        return same;
    }
    let kept: &'static [Action] = Box::leak(wanted.into_boxed_slice());
    known.push(kept);
    kept
}
