//! What can be asked of a target: one list, at the door.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Power;

/// One thing to do to a target. Every variant says when it is allowed and what it disturbs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Bring it up. From Off, Crashed or Saved (a saved machine starts afresh only after a hard off).
    Start,
    /// Ask it to end in its own way. From On, Starting or Paused. Accepted is not stopped: a guest may ignore it.
    SoftOff,
    /// End it at once, as if the plug were pulled. From anything that runs; unsaved work is lost.
    HardOff,
    /// Soft off, then start, as one. From On.
    Reboot,
    /// The reset button: at once, without asking. From On, Starting or Stopping.
    Reset,
    /// Hold it in memory. From On or Starting.
    Pause,
    /// Let it go on. From Paused.
    Resume,
    /// Write its memory to disk and end it. From On or Paused.
    Save,
    /// Read its memory from disk and let it go on. From Saved.
    Restore,
    /// Keep what is on its disks (and in its memory, where the technology can) to return to. From Off, On or Paused.
    Snapshot,
    /// Return to its newest snapshot: what happened since is lost. From Off, Crashed, On or Paused.
    Revert,
    /// Make another like it, which stays off. From Off, On or Paused.
    Clone,
    /// Move it to the host that its backend names, running where it runs. From Off, On or Paused.
    Migrate,
    /// Remove it and its disks for good. From Off or Crashed, and only by a rule that names it.
    Delete,
}

impl Action {
    /// All actions, in the order a menu shows them: harmless first.
    pub const ALL: [Self; 14] = [
        Self::Start,
        Self::Resume,
        Self::Restore,
        Self::Snapshot,
        Self::Clone,
        Self::Pause,
        Self::Save,
        Self::SoftOff,
        Self::Reboot,
        Self::Migrate,
        Self::Revert,
        Self::Reset,
        Self::HardOff,
        Self::Delete,
    ];

    /// The token in configuration, policy, wire and journal.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::SoftOff => "soft-off",
            Self::HardOff => "hard-off",
            Self::Reboot => "reboot",
            Self::Reset => "reset",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Save => "save",
            Self::Restore => "restore",
            Self::Snapshot => "snapshot",
            Self::Revert => "revert",
            Self::Clone => "clone",
            Self::Migrate => "migrate",
            Self::Delete => "delete",
        }
    }
    /// The label of a menu button: at most 24 bytes, what a dialog button holds in the grids.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Start => "Start",
            Self::SoftOff => "Shut down",
            Self::HardOff => "Power off",
            Self::Reboot => "Reboot",
            Self::Reset => "Reset",
            Self::Pause => "Pause",
            Self::Resume => "Resume",
            Self::Save => "Save",
            Self::Restore => "Restore",
            Self::Snapshot => "Snapshot",
            Self::Revert => "Revert",
            Self::Clone => "Clone",
            Self::Migrate => "Migrate",
            Self::Delete => "Delete",
        }
    }
    /// The verb in a sentence to a person: "Starting web-1".
    #[must_use]
    pub fn doing(self) -> &'static str {
        match self {
            Self::Start => "Starting",
            Self::SoftOff => "Shutting down",
            Self::HardOff => "Powering off",
            Self::Reboot => "Rebooting",
            Self::Reset => "Resetting",
            Self::Pause => "Pausing",
            Self::Resume => "Resuming",
            Self::Save => "Saving",
            Self::Restore => "Restoring",
            Self::Snapshot => "Keeping a snapshot of",
            Self::Revert => "Reverting",
            Self::Clone => "Cloning",
            Self::Migrate => "Migrating",
            Self::Delete => "Deleting",
        }
    }
    /// Whether it makes sense from `power`. A stale or unknown state allows nothing that disturbs.
    #[must_use]
    pub fn fits(self, power: Power) -> bool {
        use Power as P;
        match self {
            Self::Start => matches!(power, P::Off | P::Crashed),
            Self::SoftOff => matches!(power, P::On | P::Starting | P::Paused),
            Self::HardOff => matches!(power, P::On | P::Starting | P::Stopping | P::Paused | P::Saved),
            Self::Reboot => matches!(power, P::On),
            Self::Reset => matches!(power, P::On | P::Starting | P::Stopping),
            Self::Pause => matches!(power, P::On | P::Starting),
            Self::Resume => matches!(power, P::Paused),
            Self::Save => matches!(power, P::On | P::Paused),
            Self::Restore => matches!(power, P::Saved),
            Self::Snapshot | Self::Clone | Self::Migrate => matches!(power, P::Off | P::On | P::Paused),
            Self::Revert => matches!(power, P::Off | P::Crashed | P::On | P::Paused),
            Self::Delete => matches!(power, P::Off | P::Crashed),
        }
    }
    /// The state shown from acceptance until the machine reports what was asked for; `from` is the last
    /// reported one.
    #[must_use]
    pub fn transitional(self, from: Power) -> Power {
        match self {
            Self::Start | Self::Reboot | Self::Reset | Self::Restore => Power::Starting,
            Self::SoftOff | Self::HardOff | Self::Save => Power::Stopping,
            Self::Pause | Self::Resume => from,
            Self::Snapshot | Self::Revert | Self::Clone | Self::Migrate | Self::Delete => from,
        }
    }
    /// Whether `power`, reported by the machine, is what the action was to bring about.
    #[must_use]
    pub fn is_reached_by(self, power: Power) -> bool {
        match self {
            Self::Start | Self::Reboot | Self::Reset | Self::Resume | Self::Restore => power == Power::On,
            Self::SoftOff | Self::HardOff => matches!(power, Power::Off | Power::Crashed),
            Self::Pause => power == Power::Paused,
            Self::Save => power == Power::Saved,
            Self::Snapshot | Self::Revert | Self::Clone | Self::Migrate | Self::Delete => false,
        }
    }
    /// Whether no state tells its end: an adapter's `execute` then returns when it is over, not when it was taken.
    #[must_use]
    pub fn ends_with_its_call(self) -> bool {
        match self {
            Self::Snapshot | Self::Revert | Self::Clone | Self::Migrate | Self::Delete => true,
            Self::Start
            | Self::SoftOff
            | Self::HardOff
            | Self::Reboot
            | Self::Reset
            | Self::Pause
            | Self::Resume
            | Self::Save
            | Self::Restore => false,
        }
    }
    /// Whether people who use the machine would notice: needs a known, fresh state, and more rights.
    #[must_use]
    pub fn is_disruptive(self) -> bool {
        match self {
            Self::Start | Self::Resume | Self::Restore | Self::Snapshot | Self::Clone => false,
            Self::SoftOff | Self::HardOff | Self::Reboot | Self::Reset | Self::Pause | Self::Save => true,
            Self::Revert | Self::Migrate | Self::Delete => true,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.token())
    }
}

/// A word that names no action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no action is called {0:?}; there are start, soft-off, hard-off, reboot, reset, pause, resume, save, restore, snapshot, revert, clone, migrate, delete"
)]
pub struct UnknownAction(pub String);

impl FromStr for Action {
    type Err = UnknownAction;
    fn from_str(text: &str) -> Result<Self, UnknownAction> {
        Self::ALL
            .into_iter()
            .find(|action| action.token() == text)
            .ok_or_else(|| UnknownAction(text.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_button_fits_into_the_dialogs_of_the_grids() {
        for action in Action::ALL {
            assert!(action.label().len() <= 24);
            assert_eq!(action.token().parse(), Ok(action));
        }
    }

    #[test]
    fn an_unknown_state_allows_nothing() {
        for action in Action::ALL {
            assert!(!action.fits(Power::Unknown), "{action} from an unknown state");
        }
    }
}
