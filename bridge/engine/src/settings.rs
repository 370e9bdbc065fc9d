//! How long things may take.

use primrack_model::Action;
use serde::Deserialize;

/// Times of the engine, in milliseconds.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct EngineSettings {
    /// A start, restore, reboot or reset should show On within this.
    pub start_deadline_ms: u64,
    /// A soft off should show Off within this. It is never turned into a hard off unasked.
    pub soft_off_deadline_ms: u64,
    /// Anything else should show its effect within this.
    pub other_deadline_ms: u64,
    /// A snapshot, revert, clone, migration or deletion should be over within this.
    pub copy_deadline_ms: u64,
    /// How long a stop of the bridge waits for commands that are being handed over.
    pub drain_ms: u64,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            start_deadline_ms: 120_000,
            soft_off_deadline_ms: 60_000,
            other_deadline_ms: 30_000,
            copy_deadline_ms: 600_000,
            drain_ms: 5_000,
        }
    }
}

impl EngineSettings {
    /// The deadline of one action.
    #[must_use]
    pub fn deadline_ms(&self, action: Action) -> u64 {
        match action {
            Action::Start | Action::Restore | Action::Reset => self.start_deadline_ms,
            Action::Reboot => self.start_deadline_ms + self.soft_off_deadline_ms,
            Action::SoftOff => self.soft_off_deadline_ms,
            Action::HardOff | Action::Pause | Action::Resume | Action::Save => self.other_deadline_ms,
            Action::Snapshot | Action::Revert | Action::Clone | Action::Migrate | Action::Delete => {
                self.copy_deadline_ms
            }
        }
    }
}
