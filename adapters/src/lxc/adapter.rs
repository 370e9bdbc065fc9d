//! Containers as machines.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use primrack_adapter_api::{Adapter, AdapterError, Capabilities, Console, Found, Hints};
use primrack_model::{Action, Address, Command, Load, Observation, Power};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncSeekExt as _, BufReader};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::containers::{CONSOLE, Early, Ours, Shares, head, relay, tail, tell};

use super::LxcConfig;
use super::client::{Client, Said};
use super::map::{self, Info};
use super::memory::Memory;

/// What can be done to a container.
const ACTIONS: [Action; 7] = [
    Action::Start,
    Action::SoftOff,
    Action::HardOff,
    Action::Reboot,
    Action::Reset,
    Action::Pause,
    Action::Resume,
];
/// How long an order may take.
const ORDER: Duration = Duration::from_secs(60);
/// When the listener is taken to hear: it does not say so.
const LISTENS: Duration = Duration::from_secs(2);
/// The longest line of the listener.
const LINE: usize = 1024;
/// How often it is looked whether what was told to end has ended.
const LOOK: Duration = Duration::from_millis(200);

/// The containers of one folder.
#[derive(Debug)]
pub struct LxcAdapter {
    inner: Arc<Inner>,
    _stop: DropGuard,
}

#[derive(Debug)]
struct Inner {
    client: Client,
    memory: Memory,
    ours: Ours,
    shares: Shares,
    early: Early,
    stop: CancellationToken,
}

impl LxcAdapter {
    pub(super) fn new(config: LxcConfig) -> Self {
        let stop = CancellationToken::new();
        let inner = Inner {
            client: Client::new(config),
            memory: Memory::default(),
            ours: Ours::default(),
            shares: Shares::default(),
            early: Early::default(),
            stop: stop.clone(),
        };
        Self { inner: Arc::new(inner), _stop: stop.drop_guard() }
    }
}

#[async_trait]
impl Adapter for LxcAdapter {
    fn technology(&self) -> &'static str {
        "lxc"
    }

    fn capabilities(&self, _: &Address) -> Capabilities {
        Capabilities { actions: &ACTIONS, pushes_events: true, simulated: false }
    }

    async fn list(&self) -> Result<Vec<Found>, AdapterError> {
        let client = &self.inner.client;
        let said = client.run("lxc-ls", &["-f", "-F", "NAME,STATE,GROUPS"], client.patience() * 3).await?;
        if !said.status.success() {
            return Err(AdapterError::Unreachable(format!("lxc-ls: {}", said.words)));
        }
        map::listing(&said.out)
            .map_err(|why| AdapterError::Unreachable(format!("lxc-ls is not understood: {why}")))
    }

    async fn observe(&self, address: &Address) -> Result<Observation, AdapterError> {
        self.inner.observe(address).await
    }

    async fn execute(&self, command: &Command) -> Result<(), AdapterError> {
        let info = self.inner.info(&command.address).await?;
        if !self.inner.ours.is_new(command.intent) {
            return Ok(());
        }
        self.inner.ours.begins(&command.address);
        // From here on it is done to its end, whoever gives up waiting.
        let (inner, command) = (Arc::clone(&self.inner), command.clone());
        let done = tokio::spawn(async move {
            let done = inner.act(&info, &command).await;
            if done.is_err() {
                inner.ours.forget(command.intent);
            }
            inner.ours.changed(&command.address);
            done
        });
        done.await
            .unwrap_or_else(|why| Err(AdapterError::Unreachable(format!("the adapter failed inside: {why}"))))
    }

    async fn listen(&self, hints: Hints) -> AdapterError {
        // Taken first: what is done from here on is heard.
        let ear = self.inner.ours.ear();
        let why = tokio::select! {
            why = self.inner.hear(&hints) => why.err().unwrap_or_else(|| {
                AdapterError::Unreachable("lxc-monitor has ended".to_owned())
            }),
            why = relay(ear, &hints) => why,
        };
        // What happens until the next time is not heard.
        self.inner.memory.forget();
        self.inner.early.deaf();
        why
    }

    async fn console(&self, address: &Address) -> Result<Console, AdapterError> {
        self.inner.console(address).await.map(Console::Text)
    }
}

impl Inner {
    /// What LXC says of a container.
    async fn info(&self, address: &Address) -> Result<Info, AdapterError> {
        if !map::is_name(&address.0) {
            return Err(AdapterError::NotFound(address.0.to_string()));
        }
        let patience = self.client.patience();
        let said = self.client.run("lxc-info", &["-H", "-n", &address.0], patience).await?;
        let Said { status, out, words } = said;
        if status.success() {
            return Info::read(&out).ok_or_else(|| {
                AdapterError::Unreachable(format!("lxc-info is not understood: {:?}", head(&out, 120)))
            });
        }
        // It says so on its standard output.
        if format!("{out}{words}").contains("doesn't exist") {
            return Err(AdapterError::NotFound(address.0.to_string()));
        }
        Err(AdapterError::Unreachable(format!("lxc-info: {words}")))
    }

    async fn observe(&self, address: &Address) -> Result<Observation, AdapterError> {
        self.early.looks(address);
        let info = self.info(address).await?;
        let seen = info.observation(self.memory.end(&address.0));
        let mut said = self.ours.amend(address, seen);
        if said.power == Power::On
            && let Some(used) = info.cpu
        {
            let share = self.shares.of(&address.0, used, None);
            said.load = share.map(|cpu| Load { cpu, memory: info.memory });
        }
        Ok(said)
    }

    /// Returns when the listener ends.
    async fn hear(&self, hints: &Hints) -> Result<(), AdapterError> {
        let mut monitor = self.client.monitor()?;
        let Some(out) = monitor.stdout.take() else { return Ok(()) };
        let mut out = BufReader::new(out);
        let begun = tokio::time::sleep(LISTENS);
        tokio::pin!(begun);
        let (mut is_up, mut line) = (false, Vec::new());
        loop {
            let room = (LINE - line.len()) as u64;
            let mut bounded = (&mut out).take(room);
            tokio::select! {
                () = &mut begun, if !is_up => {
                    is_up = true;
                    self.early.hears(hints).await?;
                }
                read = bounded.read_until(b'\n', &mut line) => {
                    let broken = |why| AdapterError::Unreachable(format!("lxc-monitor: {why}"));
                    if read.map_err(broken)? == 0 {
                        return Ok(());
                    }
                    if !line.ends_with(b"\n") {
                        if line.len() < LINE {
                            // Half a line and the end.
                            return Ok(());
                        }
                        return Err(AdapterError::Unreachable(
                            "a line of lxc-monitor is longer than anything it says".to_owned(),
                        ));
                    }
                    let text = String::from_utf8_lossy(&line);
                    if let Some((name, event)) = map::event(text.trim_end()) {
                        self.memory.hear(name, &event);
                        tell(hints, Address(name.into())).await?;
                    }
                    line.clear();
                }
            }
        }
    }

    async fn act(self: &Arc<Self>, info: &Info, command: &Command) -> Result<(), AdapterError> {
        let Command { address, action, .. } = command;
        let name = &*address.0;
        let until = Instant::now() + Duration::from_millis(command.deadline_ms);
        match action {
            Action::Start if info.stopped() => self.order("lxc-start", &["-d", "-n", name]).await,
            Action::Start => Err(AdapterError::Refused(format!("{name} is not stopped"))),
            Action::SoftOff
            | Action::HardOff
            | Action::Reboot
            | Action::Reset
            | Action::Pause
            | Action::Resume
                if info.stopped() =>
            {
                Err(AdapterError::Refused(format!("{name} does not run")))
            }
            Action::Pause => self.order("lxc-freeze", &["-n", name]).await,
            Action::Resume => self.order("lxc-unfreeze", &["-n", name]).await,
            Action::SoftOff => self.ask_to_end(info, name, until).await,
            Action::HardOff => self.kill(name).await,
            Action::Reboot => {
                self.ours.will_return(address);
                if let Err(why) = self.ask_to_end(info, name, until).await {
                    self.ours.stays(address);
                    return Err(why);
                }
                let (inner, address) = (Arc::clone(self), address.clone());
                tokio::spawn(async move {
                    let stop = inner.stop.clone();
                    let coming = async {
                        let ended = inner.ended(&address, until).await;
                        inner.come_back(&address, ended).await
                    };
                    if let Some(Err(why)) = stop.run_until_cancelled(coming).await {
                        tracing::warn!(container = %address.0, %why, "it was to come back and did not");
                    }
                });
                Ok(())
            }
            Action::Reset => {
                self.ours.will_return(address);
                let ended = self.kill(name).await;
                self.come_back(address, ended).await
            }
            other => Err(AdapterError::unsupported(*other)),
        }
    }

    /// Has LXC do something, and waits until it is done.
    async fn order(&self, tool: &str, arguments: &[&str]) -> Result<(), AdapterError> {
        let said = self.client.run(tool, arguments, ORDER).await?;
        if said.status.success() {
            return Ok(());
        }
        let words = if said.words.is_empty() { said.status.to_string() } else { said.words };
        Err(AdapterError::Refused(format!("{tool}: {words}")))
    }

    /// Sends its halt signal, and does not wait for what it does.
    async fn ask_to_end(&self, info: &Info, name: &str, until: Instant) -> Result<(), AdapterError> {
        if info.frozen() {
            // Held, it hears nothing.
            self.order("lxc-unfreeze", &["-n", name]).await?;
        }
        self.memory.asks(name, until);
        let asked = self.order("lxc-stop", &["-W", "--nokill", "-n", name]).await;
        if asked.is_err() {
            self.memory.takes_back(name);
        }
        asked
    }

    async fn kill(&self, name: &str) -> Result<(), AdapterError> {
        self.memory.asks(name, Instant::now() + ORDER);
        let killed = self.order("lxc-stop", &["-k", "-n", name]).await;
        if killed.is_err() {
            self.memory.takes_back(name);
        }
        killed
    }

    /// Waits until it has stopped. No event is waited for: one may be lost.
    async fn ended(&self, address: &Address, until: Instant) -> Result<(), AdapterError> {
        while Instant::now() < until {
            match self.info(address).await {
                Ok(info) if info.stopped() => return Ok(()),
                Err(why @ AdapterError::NotFound(_)) => return Err(why),
                Ok(_) | Err(_) => tokio::time::sleep(LOOK).await,
            }
        }
        Err(AdapterError::Refused(format!("{} was asked to end, and goes on", address.0)))
    }

    /// Starts it again once it has ended; one that did not end stays as it is.
    async fn come_back(
        &self,
        address: &Address,
        ended: Result<(), AdapterError>,
    ) -> Result<(), AdapterError> {
        if let Err(why) = ended {
            self.ours.stays(address);
            return Err(why);
        }
        self.ours.returns(address);
        let started = self.order("lxc-start", &["-d", "-n", &address.0]).await;
        let failed = started.as_ref().err().map(|why| format!("it did not start again: {why}"));
        self.ours.returned(address, failed);
        started
    }

    /// The end of the file that its configuration names for what it says.
    async fn console(&self, address: &Address) -> Result<String, AdapterError> {
        self.info(address).await?;
        let asked = ["-c", "lxc.console.logfile", "-n", &address.0];
        let said = self.client.run("lxc-info", &asked, self.client.patience()).await?;
        let path = said.out.split_once('=').map(|(_, path)| path.trim()).filter(|path| path.starts_with('/'));
        let Some(path) = path else {
            return Err(AdapterError::NotSupported(format!(
                "{} keeps nothing of what it says: set lxc.console.logfile in its configuration",
                address.0
            )));
        };
        let end = async {
            let mut file = tokio::fs::File::open(path).await?;
            let length = file.metadata().await?.len();
            file.seek(std::io::SeekFrom::Start(length.saturating_sub(CONSOLE as u64))).await?;
            let mut bytes = Vec::new();
            file.take(CONSOLE as u64).read_to_end(&mut bytes).await?;
            Ok::<_, std::io::Error>(tail(&bytes, CONSOLE))
        };
        end.await.map_err(|why| AdapterError::Refused(format!("{path} cannot be read: {why}")))
    }
}
