//! What every adapter has to keep, as tests that run against its real backend.
//!
//! An adapter's own tests implement [`Subject`] and call [`check`]; the rules that were checked come
//! back by name and are compared with the adapter's `quality.toml` by [`compare`].
//!
//! Where an adapter claims to push events, the suite never polls: it asks only after a hint, so that a
//! transition nobody was told of is a breach.

mod quality;
mod watcher;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use primrack_model::{Action, Address, Command, IntentId, Power};

use crate::{Adapter, AdapterError};
pub use quality::compare;
use watcher::Watcher;

/// One backend to try an adapter on, with one machine in it that may be started, stopped and killed.
#[async_trait]
pub trait Subject: Send + Sync {
    /// A fresh adapter for the same backend, as a restarted bridge would make it.
    fn make(&self) -> Arc<dyn Adapter>;
    /// A machine that is off now, that gets ready when started and obeys a soft off.
    fn address(&self) -> Address;
    /// How long any one change may take.
    fn patience(&self) -> Duration;
    /// Kills the running machine behind the adapter's back, as an operator with a shell would.
    async fn kill_from_outside(&self);
    /// Whether [`Self::kill_from_outside`] can do that here. If not, that rule is not checked.
    fn can_kill(&self) -> bool {
        true
    }
}

/// A rule that was not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: {words}")]
pub struct Breach {
    /// The rule's name, as in [`RULES`].
    pub rule: &'static str,
    /// What was seen instead.
    pub words: String,
}

/// The rules by name, in the order they are checked.
pub const RULES: [&str; 15] = [
    "lists-it",
    "not-found",
    "off-at-first",
    "start",
    "once-per-intent",
    "start-when-on",
    "pause-resume",
    "save-restore",
    "reset",
    "reboot",
    "adopts",
    "soft-off",
    "hard-off",
    "killed-outside",
    "drop-safe",
];

/// What a rule asks for, in a sentence.
#[must_use]
pub fn words(rule: &str) -> &'static str {
    match rule {
        "lists-it" => "the machine is in the list",
        "not-found" => "an unknown address is told to be unknown",
        "off-at-first" => "the machine is off at first",
        "start" => "a start brings it up",
        "once-per-intent" => "the same intent is carried out once",
        "start-when-on" => "a start of what runs changes nothing",
        "pause-resume" => "it can be held and let go on",
        "save-restore" => "it can be saved and restored",
        "reset" => "a reset brings it up anew",
        "reboot" => "a reboot brings it up anew",
        "adopts" => "it outlives its adapter, and the next one finds it",
        "soft-off" => "a soft off ends it",
        "hard-off" => "a hard off ends it",
        "killed-outside" => "an end from outside is noticed",
        "drop-safe" => "what is given up half-way leaves nothing broken",
        _ => "",
    }
}

/// Checks every rule that the adapter's capabilities make possible and returns their names. The
/// machine is off at the end.
///
/// # Errors
/// The first [`Breach`].
pub async fn check(subject: &dyn Subject) -> Result<Vec<&'static str>, Breach> {
    let mut checked = Vec::new();
    check_telling(subject, &mut |rule| checked.push(rule)).await?;
    Ok(checked)
}

/// [`check`], telling each rule as soon as it was kept.
///
/// # Errors
/// The first [`Breach`].
pub async fn check_telling(
    subject: &dyn Subject,
    kept: &mut (dyn FnMut(&'static str) + Send),
) -> Result<(), Breach> {
    let mut suite = Suite::new(subject);
    suite.lists_it().await?;
    kept("lists-it");
    suite.not_found().await?;
    kept("not-found");
    suite.reaches("off-at-first", Power::Off).await?;
    kept("off-at-first");
    suite.start_once_and_not_twice().await?;
    ["start", "once-per-intent", "start-when-on"].into_iter().for_each(&mut *kept);
    if suite.can(Action::Pause) && suite.can(Action::Resume) {
        suite.does("pause-resume", Action::Pause, Power::Paused).await?;
        suite.does("pause-resume", Action::Resume, Power::On).await?;
        kept("pause-resume");
    }
    if suite.can(Action::Save) && suite.can(Action::Restore) {
        suite.does("save-restore", Action::Save, Power::Saved).await?;
        suite.does("save-restore", Action::Restore, Power::On).await?;
        kept("save-restore");
    }
    for (action, rule) in [(Action::Reset, "reset"), (Action::Reboot, "reboot")] {
        if suite.can(action) {
            suite.comes_back(rule, action).await?;
            kept(rule);
        }
    }
    suite.adopts().await?;
    kept("adopts");
    suite.does("soft-off", Action::SoftOff, Power::Off).await?;
    kept("soft-off");
    suite.does("hard-off", Action::Start, Power::On).await?;
    suite.does("hard-off", Action::HardOff, Power::Off).await?;
    kept("hard-off");
    if subject.can_kill() {
        suite.killed_outside().await?;
        kept("killed-outside");
    }
    suite.drop_safe().await?;
    kept("drop-safe");
    Ok(())
}

struct Suite<'a> {
    subject: &'a dyn Subject,
    adapter: Arc<dyn Adapter>,
    watcher: Watcher,
    address: Address,
}

impl<'a> Suite<'a> {
    fn new(subject: &'a dyn Subject) -> Self {
        let adapter = subject.make();
        let address = subject.address();
        Self { watcher: Watcher::start(&adapter, &address), subject, adapter, address }
    }

    fn can(&self, action: Action) -> bool {
        self.adapter.capabilities(&self.address).can(action)
    }

    fn command(&self, action: Action) -> Command {
        let deadline_ms = u64::try_from(self.subject.patience().as_millis()).unwrap_or(u64::MAX);
        Command { intent: IntentId::now(), address: self.address.clone(), action, deadline_ms }
    }

    async fn execute(&self, rule: &'static str, command: &Command) -> Result<(), Breach> {
        let call = self.adapter.execute(command);
        match tokio::time::timeout(self.subject.patience(), call).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(Breach { rule, words: format!("{} was not taken: {why}", command.action) }),
            Err(_) => Err(Breach { rule, words: format!("{} was not answered in time", command.action) }),
        }
    }

    async fn reaches(&mut self, rule: &'static str, power: Power) -> Result<(), Breach> {
        self.watcher
            .until(self.subject.patience(), |seen| seen.power == power)
            .await
            .map(drop)
            .map_err(|words| Breach { rule, words: format!("not {}: {words}", power.word()) })
    }

    async fn does(&mut self, rule: &'static str, action: Action, power: Power) -> Result<(), Breach> {
        self.execute(rule, &self.command(action)).await?;
        self.reaches(rule, power).await
    }

    async fn lists_it(&self) -> Result<(), Breach> {
        let breach = |words: String| Breach { rule: "lists-it", words };
        let found = self.adapter.list().await.map_err(|why| breach(why.to_string()))?;
        if found.iter().any(|found| found.address == self.address) {
            Ok(())
        } else {
            Err(breach(format!("{:?} is not among {found:?}", self.address.0)))
        }
    }

    async fn not_found(&self) -> Result<(), Breach> {
        let address = Address("there-is-no-such-machine".into());
        let seen = self.adapter.observe(&address).await.map(|seen| format!("{seen:?}"));
        let done = self.adapter.execute(&Command { address, ..self.command(Action::Start) }).await;
        for answer in [seen, done.map(|()| "it was started".to_owned())] {
            if !matches!(answer, Err(AdapterError::NotFound(_))) {
                return Err(Breach {
                    rule: "not-found",
                    words: format!("an unknown address gave {answer:?}"),
                });
            }
        }
        Ok(())
    }

    /// One intent executed twice starts one machine; another start of what runs changes nothing.
    async fn start_once_and_not_twice(&mut self) -> Result<(), Breach> {
        let start = self.command(Action::Start);
        self.execute("start", &start).await?;
        self.execute("once-per-intent", &start).await?;
        self.reaches("start", Power::On).await?;
        let again = self.adapter.execute(&self.command(Action::Start)).await;
        if !matches!(again, Ok(()) | Err(AdapterError::Refused(_))) {
            return Err(Breach { rule: "start-when-on", words: format!("it gave {again:?}") });
        }
        let seen = self.adapter.observe(&self.address).await;
        match seen {
            Ok(seen) if seen.power == Power::On => Ok(()),
            other => Err(Breach { rule: "start-when-on", words: format!("afterwards it is {other:?}") }),
        }
    }

    /// It leaves On and returns to it.
    async fn comes_back(&mut self, rule: &'static str, action: Action) -> Result<(), Breach> {
        self.execute(rule, &self.command(action)).await?;
        self.watcher
            .until(self.subject.patience(), |seen| seen.power != Power::On)
            .await
            .map_err(|words| Breach { rule, words: format!("it never left On: {words}") })?;
        self.reaches(rule, Power::On).await
    }

    /// The machine outlives its adapter, and the next one finds it.
    async fn adopts(&mut self) -> Result<(), Breach> {
        self.watcher.stop().await;
        let gone = std::mem::replace(&mut self.adapter, Arc::new(watcher::Nothing));
        drop(gone);
        self.adapter = self.subject.make();
        self.watcher = Watcher::start(&self.adapter, &self.address);
        self.reaches("adopts", Power::On).await
    }

    async fn killed_outside(&mut self) -> Result<(), Breach> {
        self.does("killed-outside", Action::Start, Power::On).await?;
        self.subject.kill_from_outside().await;
        self.watcher
            .until(self.subject.patience(), |seen| matches!(seen.power, Power::Crashed | Power::Off))
            .await
            .map(drop)
            .map_err(|words| Breach { rule: "killed-outside", words: format!("nobody was told: {words}") })
    }

    /// Whatever is dropped half-way, the adapter goes on to tell the truth and to obey.
    async fn drop_safe(&mut self) -> Result<(), Breach> {
        let rule = "drop-safe";
        for micros in [0, 50, 500, 5_000] {
            let pause = Duration::from_micros(micros);
            let start = self.command(Action::Start);
            // Dropped by the time-out at whatever await it has reached; how it ended does not matter.
            drop(tokio::time::timeout(pause, self.adapter.execute(&start)).await);
            drop(tokio::time::timeout(pause, self.adapter.observe(&self.address)).await);
            drop(tokio::time::timeout(pause, self.adapter.list()).await);
        }
        let start = self.command(Action::Start);
        match self.adapter.execute(&start).await {
            Ok(()) | Err(AdapterError::Refused(_)) => self.reaches(rule, Power::On).await?,
            Err(why) => return Err(Breach { rule, words: format!("it does not start any more: {why}") }),
        }
        self.does(rule, Action::HardOff, Power::Off).await?;
        self.watcher.stop().await;
        Ok(())
    }
}
