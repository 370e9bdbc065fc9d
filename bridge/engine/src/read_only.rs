//! Read-only: the emergency stop. Nothing is acted on until an operator ends it; what machines do is shown
//! as before. It survives a restart of the bridge.

use primrack_model::{Refusal, RefusalCode, UnixMs};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use tokio::sync::watch;

use crate::journal::{Entry, Journal, JournalError};

/// The space in the journal's store, and the key in it.
const SPACE: &str = "engine";
const KEY: &str = "read-only";

/// Who made the bridge read-only, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadOnly {
    /// The actor, as people call it.
    pub by: SmolStr,
    /// Why, in a few words; may be empty.
    #[serde(default)]
    pub why: SmolStr,
    /// Since when.
    pub since: UnixMs,
}

impl ReadOnly {
    /// The answer to every wish meanwhile.
    pub(crate) fn refusal(&self) -> Refusal {
        let Self { by, why, since } = self;
        let age = since.age_at(UnixMs::now()).as_secs();
        let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
        let words = format!(
            "Stopped by {by}{why} {age} s ago: nothing is acted on until an operator ends it with `primrack read-only off`."
        );
        Refusal::new(RefusalCode::ReadOnly, words)
    }
}

/// Whether it holds, for everyone who wants to know at once.
#[derive(Debug)]
pub(crate) struct Stop {
    now: watch::Sender<Option<ReadOnly>>,
}

impl Stop {
    pub(crate) fn new() -> Self {
        Self { now: watch::Sender::new(None) }
    }
    pub(crate) fn now(&self) -> Option<ReadOnly> {
        self.now.borrow().clone()
    }
    pub(crate) fn watch(&self) -> watch::Receiver<Option<ReadOnly>> {
        self.now.subscribe()
    }

    /// Takes up what the last run kept.
    pub(crate) fn recall(&self, kept: &[(String, Vec<u8>)]) {
        let Some((_, bytes)) = kept.iter().find(|(key, _)| key == KEY) else { return };
        let stopped = serde_json::from_slice(bytes).unwrap_or_else(|error| {
            tracing::error!(%error, "the kept emergency stop cannot be read: the bridge stays read-only");
            ReadOnly {
                by: "somebody before the restart".into(),
                why: SmolStr::default(),
                since: UnixMs::now(),
            }
        });
        tracing::warn!(by = %stopped.by, why = %stopped.why, "read-only, as before the restart");
        self.now.send_replace(Some(stopped));
    }

    /// Stops at once, then writes it down. True when it was not stopped before.
    pub(crate) async fn begin(&self, journal: &Journal, stop: ReadOnly) -> Result<bool, JournalError> {
        let fresh = self.now.send_if_modified(|now| {
            let fresh = now.is_none();
            if fresh {
                *now = Some(stop.clone());
            }
            fresh
        });
        if fresh {
            tracing::warn!(by = %stop.by, why = %stop.why, "read-only: nothing is acted on from now");
            let words = format!("Read-only from now, by {}. {}", stop.by, stop.why);
            journal.append(&note(&stop.by, words)).await?;
            journal.put(SPACE, KEY.to_owned(), serde_json::to_vec(&stop).ok()).await?;
        }
        Ok(fresh)
    }

    /// Writes down that it is over, then lets things be acted on again. False when it was over already.
    pub(crate) async fn end(&self, journal: &Journal, by: &str) -> Result<bool, JournalError> {
        if self.now.borrow().is_none() {
            return Ok(false);
        }
        journal.append(&note(by, format!("No longer read-only, by {by}."))).await?;
        journal.put(SPACE, KEY.to_owned(), None).await?;
        tracing::warn!(by, "no longer read-only");
        Ok(self.now.send_replace(None).is_some())
    }
}

/// The space that [`Stop::recall`] wants.
pub const READ_ONLY_SPACE: &str = SPACE;

fn note(by: &str, words: String) -> Entry {
    Entry::Audit { class: "read-only".into(), subject: by.into(), count: 1, words, at: UnixMs::now() }
}
