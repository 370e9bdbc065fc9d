//! Command sets: how machines of one kind are listed and acted on. Three are ready.

use std::collections::BTreeMap;

use primrack_model::{Action, Power};
use serde::{Deserialize, Serialize};

/// What stands for the machine's name in a command.
pub(super) const NAME: &str = "{name}";

/// How machines of one kind are listed and acted on. The commands are for the login shell at the other end;
/// `{name}` is replaced by the machine's name, which is of letters, digits, `.`, `_` and `-` only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct CommandSet {
    /// Prints one line per machine. If absent the host itself is the only machine, and it is On when it
    /// answers `observe`.
    pub list: String,
    /// What is between the columns of a line; any white space if absent.
    pub separator: String,
    /// How many lines come before the first machine.
    pub skip_lines: usize,
    /// The column with the name, from 0.
    pub name: usize,
    /// The column with the state, from 0. If absent a machine that `list` names is On.
    pub state: Option<usize>,
    /// The words of that column, and what they mean. Other words are unknown.
    pub states: BTreeMap<String, Power>,
    /// Names that are no machines, such as `global`.
    pub ignore: Vec<String>,
    /// Prints all names, one a line, where `list` has only those that run: the others are Off.
    pub names: String,
    /// Prints the state of one machine, a word of `states`, where `list` does not tell it; for a host
    /// itself: succeeds when it is On.
    pub observe: String,
    /// Brings it up.
    pub start: String,
    /// Asks it to end.
    pub soft_off: String,
    /// Ends it at once.
    pub hard_off: String,
    /// Soft off and start.
    pub reboot: String,
    /// Hard off and start.
    pub reset: String,
    /// Holds it.
    pub pause: String,
    /// Lets it go on.
    pub resume: String,
    /// Prints the last lines of its console.
    pub console: String,
}

impl CommandSet {
    /// The ready set of that name.
    #[must_use]
    pub fn ready(name: &str) -> Option<Self> {
        let text = |text: &str| text.to_owned();
        match name {
            // zoneadm(8) of illumos, zoneadm(1M) of Solaris 11: `list -p` prints
            // zoneid:zonename:state:zonepath:uuid:brand:ip-type
            "zones" => Some(Self {
                list: text("zoneadm list -cp"),
                separator: text(":"),
                name: 1,
                state: Some(2),
                states: [
                    ("configured", Power::Off),
                    ("installed", Power::Off),
                    ("ready", Power::Starting),
                    ("running", Power::On),
                    ("shutting_down", Power::Stopping),
                    ("down", Power::Stopping),
                ]
                .map(|(word, power)| (word.to_owned(), power))
                .into(),
                ignore: vec![text("global")],
                start: text("zoneadm -z {name} boot"),
                soft_off: text("zoneadm -z {name} shutdown"),
                hard_off: text("zoneadm -z {name} halt"),
                reboot: text("zoneadm -z {name} shutdown -r"),
                reset: text("zoneadm -z {name} reboot"),
                ..Self::default()
            }),
            // vserver-stat(8) of util-vserver: CTX PROC VSZ RSS userTIME sysTIME UPTIME NAME, running ones only.
            "vserver" => Some(Self {
                list: text("vserver-stat"),
                skip_lines: 1,
                name: 7,
                ignore: vec![text("root")],
                names: text("ls -1 /etc/vservers"),
                start: text("vserver {name} start"),
                soft_off: text("vserver {name} stop"),
                reboot: text("vserver {name} restart"),
                ..Self::default()
            }),
            "plain" => Some(Self {
                observe: text("uptime"),
                soft_off: text("systemctl poweroff"),
                hard_off: text("systemctl poweroff --force --force"),
                reboot: text("systemctl reboot"),
                reset: text("systemctl reboot --force --force"),
                ..Self::default()
            }),
            _ => None,
        }
    }

    /// Whether the host itself is the machine.
    pub(super) fn is_the_host(&self) -> bool {
        self.list.is_empty()
    }

    /// The command of an action; empty if it has none.
    pub(super) fn command(&self, action: Action) -> &str {
        match action {
            Action::Start => &self.start,
            Action::SoftOff => &self.soft_off,
            Action::HardOff => &self.hard_off,
            Action::Reboot => &self.reboot,
            Action::Reset => &self.reset,
            Action::Pause => &self.pause,
            Action::Resume => &self.resume,
            Action::Save
            | Action::Restore
            | Action::Snapshot
            | Action::Revert
            | Action::Clone
            | Action::Migrate
            | Action::Delete => "",
        }
    }

    /// Each command with its field's name.
    pub(super) fn commands(&self) -> [(&'static str, &str); 11] {
        [
            ("list", &self.list),
            ("names", &self.names),
            ("observe", &self.observe),
            ("start", &self.start),
            ("soft_off", &self.soft_off),
            ("hard_off", &self.hard_off),
            ("reboot", &self.reboot),
            ("reset", &self.reset),
            ("pause", &self.pause),
            ("resume", &self.resume),
            ("console", &self.console),
        ]
    }
}
