//! `primrack plugin check`: what the protocol and the conformance suite ask for, rule by rule.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use primrack_adapter_api::conformance::{RULES, Subject, check_telling, words};
use primrack_adapter_api::{Adapter, AdapterError, Capabilities};
use primrack_model::{Action, Address};
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe::Sender;

use super::client::{Child, log};
use super::launch::{Launched, launch};
use super::line::{ANSWERS, Lines};
use super::map::{Request, VERSION, What};
use super::{PluginAdapter, PluginConfig};

/// How many machines are asked for at the same time.
const MANY: usize = 16;
/// How long it may take to end: five times what the protocol allows, for machines that are busy.
const ENDING: Duration = Duration::from_secs(10);

/// What is to be checked.
#[derive(Debug, Clone)]
pub struct PluginCheck {
    /// The program.
    pub config: PluginConfig,
    /// One of its machines, off now, that may be started, stopped and killed.
    pub address: Address,
    /// A shell command that kills the machine behind the program's back; it finds its address in
    /// `MACHINE`. Without it that rule is not checked.
    pub kill: Option<String>,
    /// How long any one change may take.
    pub patience: Duration,
}

/// A rule and how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub name: &'static str,
    /// What it asks for.
    pub asks: &'static str,
    /// How it stands.
    pub verdict: Verdict,
}

/// How a rule stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It was seen to be kept.
    Kept,
    /// It was not, and what was seen instead.
    Broken(String),
    /// It was not checked, and why.
    Skipped(String),
}

impl Rule {
    fn new(name: &'static str, verdict: Verdict) -> Self {
        let asks = match name {
            "hello" => "it starts and says version 1",
            "unknown-request" => "an unknown request is answered with not-supported, and it goes on",
            "many-at-once" => "sixteen questions at once are all answered",
            "ends-when-told" => "it ends within 2 s after shutdown",
            "ends-with-its-input" => "it ends within 2 s after the end of its input",
            suite => words(suite),
        };
        Self { name, asks, verdict }
    }
}

/// Checks a plug-in. Each rule is told as soon as it is decided; what builds on a broken one is skipped.
/// Whether all that could be checked were kept.
pub async fn check(what: &PluginCheck, tell: &mut (dyn FnMut(Rule) + Send)) -> bool {
    let mut broken = false;
    let mut told = |name, result: Result<(), String>| {
        broken |= result.is_err();
        let fine = result.is_ok();
        tell(Rule::new(name, result.map_or_else(Verdict::Broken, |()| Verdict::Kept)));
        fine
    };
    let adapter = Arc::new(PluginAdapter::new(what.config.clone(), "plugin"));
    let greeted = adapter.greet().await;
    let known = match &greeted {
        Ok(known) => *known,
        Err(why) => {
            told("hello", Err(why.to_string()));
            let rest = ["unknown-request", "many-at-once", "ends-when-told", "ends-with-its-input"];
            for name in rest.into_iter().chain(RULES) {
                tell(Rule::new(name, Verdict::Skipped("it does not start".to_owned())));
            }
            return false;
        }
    };
    told("hello", Ok(()));
    told("unknown-request", confused(&adapter).await);
    told("many-at-once", many(&adapter, &what.address).await);
    drop(adapter);
    told("ends-when-told", ends(&what.config, true).await);
    told("ends-with-its-input", ends(&what.config, false).await);
    let tried = Tried { what: what.clone(), known };
    let mut reached = Vec::new();
    let result = check_telling(&tried, &mut |rule| reached.push(told(rule, Ok(())).then_some(rule))).await;
    let kept: Vec<&str> = reached.into_iter().flatten().collect();
    let breach = result.err();
    if let Some(breach) = &breach {
        told(breach.rule, Err(breach.words.clone()));
    }
    for rule in RULES {
        if kept.contains(&rule) || breach.as_ref().is_some_and(|breach| breach.rule == rule) {
            continue;
        }
        let why = match (rule, &breach) {
            ("pause-resume", _) if !known.can(Action::Pause) || !known.can(Action::Resume) => {
                "it says that it cannot"
            }
            ("save-restore", _) if !known.can(Action::Save) || !known.can(Action::Restore) => {
                "it says that it cannot"
            }
            ("reset", _) if !known.can(Action::Reset) => "it says that it cannot",
            ("reboot", _) if !known.can(Action::Reboot) => "it says that it cannot",
            ("killed-outside", _) if what.kill.is_none() => "name --kill-command to have it checked",
            _ => "a rule before it is broken",
        };
        tell(Rule::new(rule, Verdict::Skipped(why.to_owned())));
    }
    !broken
}

async fn confused(adapter: &PluginAdapter) -> Result<(), String> {
    match adapter.confuse().await {
        Err(AdapterError::NotSupported(_)) => {}
        other => return Err(format!("it gave {other:?}")),
    }
    adapter.list().await.map(drop).map_err(|why| format!("afterwards: {why}"))
}

async fn many(adapter: &Arc<PluginAdapter>, address: &Address) -> Result<(), String> {
    let asked = (0..MANY).map(|_| adapter.observe(address));
    let answers = futures::future::join_all(asked).await;
    answers.into_iter().find_map(Result::err).map_or(Ok(()), |why| Err(why.to_string()))
}

/// Starts one by hand and ends it, by word or by the end of its input.
async fn ends(config: &PluginConfig, by_word: bool) -> Result<(), String> {
    let config = config.clone();
    let limit = Duration::from_millis(config.answer_ms);
    let settings = config.settings.clone();
    let Launched { handle, mut input, output, errors } = tokio::task::spawn_blocking(move || launch(&config))
        .await
        .map_err(|why| why.to_string())?
        .map_err(|why| why.to_string())?;
    let child = Child::of(handle);
    // Read, so that it never waits for that; what it says was seen before.
    tokio::spawn(log(String::new(), errors));
    let mut lines = Lines::new(output, ANSWERS);
    let hello =
        What::Hello { versions: vec![VERSION], bridge: env!("CARGO_PKG_VERSION").to_owned(), settings };
    let greeting = async {
        write(&mut input, 1, hello).await?;
        lines.next().await
    };
    match tokio::time::timeout(limit, greeting).await {
        Ok(Ok(Some(_))) => {}
        other => return Err(format!("it did not say hello again: {other:?}")),
    }
    let kept = if by_word {
        write(&mut input, 2, What::Shutdown).await.map_err(|why| format!("its input is closed: {why}"))?;
        Some(input)
    } else {
        drop(input);
        None
    };
    let ending = async {
        // Whatever it still says must not keep it.
        let reading = async {
            while let Ok(Some(_)) = lines.next().await {}
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = child.over() => {}
            () = reading => {}
        }
    };
    let ended = tokio::time::timeout(ENDING, ending).await.is_ok();
    drop(kept);
    child.end().await;
    if ended { Ok(()) } else { Err("it was still there after 10 s".to_owned()) }
}

async fn write(input: &mut Sender, id: u64, what: What) -> io::Result<()> {
    let mut line = serde_json::to_vec(&Request { id, what })?;
    line.push(b'\n');
    input.write_all(&line).await
}

/// The plug-in as the suite wants it.
struct Tried {
    what: PluginCheck,
    known: Capabilities,
}

#[async_trait]
impl Subject for Tried {
    fn make(&self) -> Arc<dyn Adapter> {
        Arc::new(PluginAdapter::new(self.what.config.clone(), "plugin").knowing(self.known))
    }
    fn address(&self) -> Address {
        self.what.address.clone()
    }
    fn patience(&self) -> Duration {
        self.what.patience
    }
    async fn kill_from_outside(&self) {
        let Some(kill) = &self.what.kill else { return };
        let mut command = tokio::process::Command::new("sh");
        command.args(["-c", kill]).env("MACHINE", &*self.what.address.0).kill_on_drop(true);
        match command.status().await {
            Ok(status) if status.success() => {}
            other => tracing::warn!("the kill command: {other:?}"),
        }
    }
    fn can_kill(&self) -> bool {
        self.what.kill.is_some()
    }
}
