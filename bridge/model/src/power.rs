//! What a machine says of itself.

use serde::{Deserialize, Serialize};

/// The state of a target as its machine reports it, never as it was asked for.
///
/// ```text
/// Off ──start──▶ Starting ──ready──▶ On ──soft off──▶ Stopping ──▶ Off
///                                    │ ▲                          (cause: guest, operator, host)
///                              pause │ │ resume
///                                    ▼ │
///                                  Paused          On ──save──▶ Saved ──restore──▶ On
/// any ──it died by itself──▶ Crashed      any ──stream lost, time-out──▶ Unknown
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Power {
    /// Nothing runs.
    Off,
    /// It runs, but has not said that it is ready to serve.
    Starting,
    /// It runs and is ready, as far as the technology can tell.
    On,
    /// It was asked to end and has not ended.
    Stopping,
    /// It is held: no instruction runs, memory is kept.
    Paused,
    /// Its memory is on disk and nothing runs.
    Saved,
    /// It ended by itself and not well, or was killed.
    Crashed,
    /// Nobody can say now. Shown with the age of the last word.
    #[default]
    Unknown,
}

impl Power {
    /// All states, in the order a legend shows them.
    pub const ALL: [Self; 8] = [
        Self::Off,
        Self::Starting,
        Self::On,
        Self::Stopping,
        Self::Paused,
        Self::Saved,
        Self::Crashed,
        Self::Unknown,
    ];

    /// The word for a person, one or two syllables, the same everywhere.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Off => "Off",
            Self::Starting => "Starting",
            Self::On => "On",
            Self::Stopping => "Stopping",
            Self::Paused => "Paused",
            Self::Saved => "Saved",
            Self::Crashed => "Crashed",
            Self::Unknown => "Unknown",
        }
    }
    /// The token on the wire and in JSON.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Starting => "starting",
            Self::On => "on",
            Self::Stopping => "stopping",
            Self::Paused => "paused",
            Self::Saved => "saved",
            Self::Crashed => "crashed",
            Self::Unknown => "unknown",
        }
    }
    /// Whether the machine executes or could at once: used to refuse what would lose work.
    #[must_use]
    pub fn is_running(self) -> bool {
        match self {
            Self::Starting | Self::On | Self::Stopping | Self::Paused => true,
            Self::Off | Self::Saved | Self::Crashed | Self::Unknown => false,
        }
    }
}

/// Who or what brought a state about, where the technology tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The machine itself, such as a shutdown typed inside it.
    Guest,
    /// A command given through Primrack or directly at the backend.
    Operator,
    /// The host: it went down, ran out of memory, or killed the machine.
    Host,
    /// A fault: a non-zero end, a signal, a guest panic.
    Crash,
}

impl Cause {
    /// The phrase that follows the state's word, as in "Off, shut down by itself".
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Guest => "shut down by itself",
            Self::Operator => "by an operator",
            Self::Host => "ended by its host",
            Self::Crash => "it failed",
        }
    }
}
