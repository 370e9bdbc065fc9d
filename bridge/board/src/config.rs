//! What can be set of a board, and what it means once it has been checked.
//!
//! ```toml
//! [backends.gate.board]
//! port = "/dev/serial/by-id/usb-Arduino_Uno-if00"
//! badges_file = "badges"
//! [backends.gate.board.readers.0]
//! target = "front-door"
//! [backends.gate.board.doors.front-door]
//! open_s = 5
//! lock = 0
//! ```
//! Readers, buttons and outputs are numbered as the board counts them, each from 0.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use primrack_model::{Action, TargetId, TargetKind};
use serde::{Deserialize, Deserializer};
use smol_str::SmolStr;

use primrack_link::plain::PlainFormat;
use primrack_link::port::PortAddress;

use crate::SOFT;
use crate::look::{Look, OutputKind};

/// What an output may follow besides a target: the bridge's read-only mode.
pub const EMERGENCY_STOP: &str = "emergency-stop";

/// `[backends.NAME.board]`: one board or reader on one line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoardConfig {
    /// Where it is: a device such as `/dev/serial/by-id/…`, a pty, `tcp://host:port` (ser2net) or
    /// `rfc2217://host:port`; `soft` is a board played in software, shown as simulated.
    pub port: String,
    /// A plain reader is connected instead of a board, which only ever says numbers: `rdm6300`, `id-12la`,
    /// `hex` or `wiegand`. It is reader 0.
    #[serde(default)]
    pub plain: Option<SmolStr>,
    /// Bits per second of a serial device. Default 115 200, what the firmware speaks.
    #[serde(default = "baud")]
    pub baud: u32,
    /// Milliseconds of silence of the bridge after which the board's outputs go to their safe state.
    #[serde(default = "lease")]
    pub lease_ms: u32,
    /// Whose badge is whose: lines of `UID NAME`, mode 600. Without it every badge is an unknown one.
    #[serde(default)]
    pub badges_file: Option<PathBuf>,
    /// The output with a buzzer that tells accepted (short, high) from refused (long, low).
    #[serde(default)]
    pub buzzer: Option<u8>,
    /// The output with a tower of lamps that shows green or red for a moment after a badge.
    #[serde(default)]
    pub lamp: Option<u8>,
    /// The output with an LCD that says what was decided.
    #[serde(default)]
    pub lcd: Option<u8>,
    /// What a badge at reader N asks for.
    #[serde(default)]
    pub readers: BTreeMap<SmolStr, ReaderConfig>,
    /// What a press of button N asks for.
    #[serde(default)]
    pub buttons: BTreeMap<SmolStr, ButtonConfig>,
    /// Relays, lamps and flags by name; the name is the address of the target.
    #[serde(default)]
    pub outputs: BTreeMap<SmolStr, OutputConfig>,
    /// Doors by name; the name is the address of the target.
    #[serde(default)]
    pub doors: BTreeMap<SmolStr, DoorConfig>,
    /// Alarms by name; the name is the address of the target.
    #[serde(default)]
    pub alarms: BTreeMap<SmolStr, AlarmConfig>,
}

/// `[backends.NAME.board.readers.N]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReaderConfig {
    /// What the badge asks for: an action, `toggle` or `emergency-stop`. Default `start`.
    #[serde(default)]
    pub action: Deed,
    /// Of which target; an emergency stop has none.
    #[serde(default)]
    pub target: Option<SmolStr>,
    /// The same badge again within so many milliseconds is the same showing. Default 1000.
    #[serde(default = "debounce")]
    pub debounce_ms: u32,
    /// After so many denials in a row this badge is locked out of this reader. Default 5.
    #[serde(default = "denials")]
    pub denials: u32,
    /// For so many seconds. Default 60.
    #[serde(default = "lockout")]
    pub lockout_s: u32,
}

/// `[backends.NAME.board.buttons.N]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ButtonConfig {
    /// What it asks for. Default `start`.
    #[serde(default)]
    pub action: Deed,
    /// Of which target; an emergency stop has none.
    #[serde(default)]
    pub target: Option<SmolStr>,
    /// Acts when it is let go instead of when it is pressed: a contact that opens, such as a flap's.
    #[serde(default)]
    pub on_release: bool,
}

/// `[backends.NAME.board.outputs.NAME]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputConfig {
    /// Which output of the board; absent: a flag that only the bridge keeps.
    #[serde(default)]
    pub index: Option<u8>,
    /// What is connected there. Default `relay`.
    #[serde(default)]
    pub kind: OutputKind,
    /// Shows the state of this target instead of being one, or `emergency-stop`.
    #[serde(default)]
    pub follows: Option<SmolStr>,
    /// The value for a state (`on`, `off`, `starting`, `crashed`, …) where the usual one does not suit.
    #[serde(default)]
    pub values: BTreeMap<SmolStr, u32>,
}

/// `[backends.NAME.board.doors.NAME]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoorConfig {
    /// It closes by itself after so many seconds; 0 leaves it open until somebody closes it. Default 5.
    #[serde(default = "open")]
    pub open_s: u32,
    /// The output with its lock, which opens with it; absent: a door that is only in the world.
    #[serde(default)]
    pub lock: Option<u8>,
    /// What the lock is. Default `relay`.
    #[serde(default)]
    pub kind: OutputKind,
}

/// `[backends.NAME.board.alarms.NAME]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlarmConfig {
    /// The analogue input that raises it, with `above` or `below`.
    #[serde(default)]
    pub sensor: Option<u8>,
    /// Raised by a value greater than this.
    #[serde(default)]
    pub above: Option<u16>,
    /// Raised by a value less than this.
    #[serde(default)]
    pub below: Option<u16>,
    /// The cause is gone when the value is back at this; the limit itself if absent.
    #[serde(default)]
    pub clear: Option<u16>,
    /// The target that raises it by crashing.
    #[serde(default)]
    pub crash_of: Option<SmolStr>,
    /// The cause counts as gone after it was absent for so many seconds. Default 5.
    #[serde(default)]
    pub settle_s: Option<u32>,
}

/// What a badge or button asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// One action.
    Act(Action),
    /// What a touch without a menu would do: on when off, off when on.
    Toggle,
    /// The bridge goes read-only.
    EmergencyStop,
}

impl Default for Deed {
    fn default() -> Self {
        Self::Act(Action::Start)
    }
}

impl<'de> Deserialize<'de> for Deed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = SmolStr::deserialize(from)?;
        match text.as_str() {
            "toggle" => Ok(Self::Toggle),
            EMERGENCY_STOP => Ok(Self::EmergencyStop),
            other => other.parse().map(Self::Act).map_err(|error: primrack_model::UnknownAction| {
                serde::de::Error::custom(format!("{error}, and toggle and emergency-stop"))
            }),
        }
    }
}

fn baud() -> u32 {
    115_200
}
fn lease() -> u32 {
    3000
}
fn debounce() -> u32 {
    1000
}
fn denials() -> u32 {
    5
}
fn lockout() -> u32 {
    60
}
fn open() -> u32 {
    5
}

/// A setting that cannot be used: where below `board`, what is wrong, what to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {what}", path.join("."))]
pub struct ConfigError {
    /// The keys below `[backends.NAME.board]`.
    pub path: Vec<String>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub hint: String,
}

fn wrong(path: &[&str], what: impl Into<String>, hint: impl Into<String>) -> ConfigError {
    let path = path.iter().map(|key| (*key).to_owned()).collect();
    ConfigError { path, what: what.into(), hint: hint.into() }
}

/// What a reader or button asks for, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wired {
    pub(crate) deed: Deed,
    pub(crate) target: Option<TargetId>,
}

/// An output that shows something else's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Follows {
    Target(TargetId),
    EmergencyStop,
}

/// What an address is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Thing {
    /// An output of the board.
    Output { index: u8, look: Look },
    /// A flag that only the bridge keeps.
    Flag,
    /// A door, perhaps with a lock.
    Door { open_ms: u64, lock: Option<u8> },
    /// An alarm.
    Alarm { source: AlarmSource, settle_ms: u64 },
}

/// What raises an alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AlarmSource {
    /// A value beyond a limit; it is over at `clear`.
    Sensor { index: u8, limit: u16, clear: u16, above: bool },
    /// A target that crashed.
    CrashOf(TargetId),
    /// Only somebody who raises it.
    Hand,
}

/// A checked configuration: every number read, every name resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) readers: BTreeMap<u8, (Wired, ReaderConfig)>,
    pub(crate) buttons: BTreeMap<u8, (Wired, bool)>,
    pub(crate) things: BTreeMap<SmolStr, Thing>,
    /// Outputs that show something, by number of the output.
    pub(crate) followers: BTreeMap<u8, (Follows, Look)>,
    pub(crate) buzzer: Option<u8>,
    pub(crate) lamp: Option<u8>,
    pub(crate) lcd: Option<u8>,
    pub(crate) plain: Option<PlainFormat>,
}

impl BoardConfig {
    /// Checks it without touching anything.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.plan().map(drop)
    }

    /// The targets that this configuration speaks of, each with where: for a check against those that
    /// there are.
    #[must_use]
    pub fn targets_named(&self) -> Vec<(Vec<String>, SmolStr)> {
        let path = |keys: [&str; 3]| keys.map(str::to_owned).to_vec();
        let readers = self
            .readers
            .iter()
            .filter_map(|(n, r)| Some((path(["readers", n, "target"]), r.target.clone()?)));
        let buttons = self
            .buttons
            .iter()
            .filter_map(|(n, b)| Some((path(["buttons", n, "target"]), b.target.clone()?)));
        let outputs = self
            .outputs
            .iter()
            .filter_map(|(n, o)| Some((path(["outputs", n, "follows"]), o.follows.clone()?)));
        let alarms = self
            .alarms
            .iter()
            .filter_map(|(n, a)| Some((path(["alarms", n, "crash_of"]), a.crash_of.clone()?)));
        readers
            .chain(buttons)
            .chain(outputs.filter(|(_, name)| name != EMERGENCY_STOP))
            .chain(alarms)
            .collect()
    }

    /// What kind of target an address is; none where there is no such address.
    #[must_use]
    pub fn kind_of(&self, address: &str) -> Option<TargetKind> {
        if self.outputs.get(address).is_some_and(|output| output.follows.is_none()) {
            Some(TargetKind::Output)
        } else if self.doors.contains_key(address) {
            Some(TargetKind::Door)
        } else if self.alarms.contains_key(address) {
            Some(TargetKind::Alarm)
        } else {
            None
        }
    }

    /// The addresses that targets of this backend may have.
    #[must_use]
    pub fn addresses(&self) -> Vec<SmolStr> {
        let outputs =
            self.outputs.iter().filter(|(_, output)| output.follows.is_none()).map(|(name, _)| name);
        outputs.chain(self.doors.keys()).chain(self.alarms.keys()).cloned().collect()
    }

    pub(crate) fn plan(&self) -> Result<Plan, ConfigError> {
        if self.port.trim().is_empty() {
            let hint = "name the device, such as /dev/serial/by-id/usb-…, or tcp://host:port; `primrack board list` shows what there is";
            return Err(wrong(&["port"], "no port is named", hint));
        }
        if !(500..=60_000).contains(&self.lease_ms) {
            let what = format!("{} ms cannot be promised to a board", self.lease_ms);
            return Err(wrong(&["lease_ms"], what, "write 500 to 60000; 3000 is usual"));
        }
        if !(300..=4_000_000).contains(&self.baud) {
            return Err(wrong(
                &["baud"],
                format!("{} baud is no speed of a line", self.baud),
                "the firmware speaks 115200",
            ));
        }
        if self.port != SOFT
            && let Err(error) = self.port.parse::<PortAddress>()
        {
            let hint = "`primrack board list` shows what is connected; `soft` plays a board in software";
            return Err(wrong(&["port"], error.to_string(), hint));
        }
        let plain = self.plain.as_ref().map(|format| format.parse::<PlainFormat>()).transpose();
        let plain = plain
            .map_err(|error| wrong(&["plain"], error.to_string(), "leave it out for a board of ours"))?;
        let mut readers = BTreeMap::new();
        for (name, reader) in &self.readers {
            let wired = wired("readers", name, reader.action, reader.target.as_ref())?;
            if reader.denials == 0 {
                let hint = "write 1 or more; 5 is usual";
                return Err(wrong(
                    &["readers", name, "denials"],
                    "nobody could ever get in after 0 denials",
                    hint,
                ));
            }
            readers.insert(number("readers", name)?, (wired, reader.clone()));
        }
        let mut buttons = BTreeMap::new();
        for (name, button) in &self.buttons {
            let wired = wired("buttons", name, button.action, button.target.as_ref())?;
            buttons.insert(number("buttons", name)?, (wired, button.on_release));
        }
        let mut plan = Plan {
            readers,
            buttons,
            things: BTreeMap::new(),
            followers: BTreeMap::new(),
            buzzer: self.buzzer,
            lamp: self.lamp,
            lcd: self.lcd,
            plain,
        };
        self.outputs_into(&mut plan)?;
        self.doors_into(&mut plan)?;
        self.alarms_into(&mut plan)?;
        self.no_output_twice()?;
        Ok(plan)
    }

    fn outputs_into(&self, plan: &mut Plan) -> Result<(), ConfigError> {
        for (name, output) in &self.outputs {
            let OutputConfig { index, kind, follows, values } = output;
            let look = Look::new(*kind, values).map_err(|(key, what)| {
                let hint = "write a state (on, off, starting, stopping, paused, saved, crashed, unknown) and a number";
                wrong(&["outputs", name, "values", &key], what, hint)
            })?;
            match (follows, index) {
                (None, Some(index)) => {
                    plan.things.insert(name.clone(), Thing::Output { index: *index, look });
                }
                (None, None) => {
                    plan.things.insert(name.clone(), Thing::Flag);
                }
                (Some(_), None) => {
                    let hint = "add index = N, the number of the output on the board";
                    return Err(wrong(
                        &["outputs", name],
                        "it follows something, but no output is named",
                        hint,
                    ));
                }
                (Some(follows), Some(index)) => {
                    let follows = if follows == EMERGENCY_STOP {
                        Follows::EmergencyStop
                    } else {
                        Follows::Target(target(&["outputs", name, "follows"], follows)?)
                    };
                    plan.followers.insert(*index, (follows, look));
                }
            }
        }
        Ok(())
    }

    fn doors_into(&self, plan: &mut Plan) -> Result<(), ConfigError> {
        for (name, door) in &self.doors {
            let DoorConfig { open_s, lock, kind } = door;
            if lock.is_some() && !matches!(kind, OutputKind::Relay | OutputKind::Lock) {
                let hint = "a lock is a relay or a lock (a servo)";
                return Err(wrong(&["doors", name, "kind"], "that does not hold a door", hint));
            }
            if *open_s > 3600 {
                let hint = "write at most 3600, or 0 to leave it open until somebody closes it";
                return Err(wrong(
                    &["doors", name, "open_s"],
                    format!("{open_s} s is no time for a door"),
                    hint,
                ));
            }
            let thing = Thing::Door { open_ms: u64::from(*open_s) * 1000, lock: *lock };
            if plan.things.insert(name.clone(), thing).is_some() {
                return Err(twice("doors", name));
            }
        }
        Ok(())
    }

    fn alarms_into(&self, plan: &mut Plan) -> Result<(), ConfigError> {
        for (name, alarm) in &self.alarms {
            let AlarmConfig { sensor, above, below, clear, crash_of, settle_s } = alarm;
            let at = |key: &str, what: &str, hint: &str| wrong(&["alarms", name, key], what, hint);
            let source = match (sensor, crash_of) {
                (Some(_), Some(_)) => {
                    let hint = "give each cause an alarm of its own";
                    return Err(at("crash_of", "an alarm has one cause", hint));
                }
                (None, Some(named)) => AlarmSource::CrashOf(target(&["alarms", name, "crash_of"], named)?),
                (None, None) if above.or(*below).or(*clear).is_some() => {
                    return Err(at(
                        "sensor",
                        "a limit needs a sensor",
                        "add sensor = N, the number of the input",
                    ));
                }
                (None, None) => AlarmSource::Hand,
                (Some(index), None) => {
                    let (limit, above) = match (above, below) {
                        (Some(limit), None) => (*limit, true),
                        (None, Some(limit)) => (*limit, false),
                        _ => {
                            return Err(at(
                                "sensor",
                                "a sensor needs one limit",
                                "add above = N or below = N",
                            ));
                        }
                    };
                    let clear = clear.unwrap_or(limit);
                    if limit > 1023 || clear > 1023 {
                        return Err(at("above", "inputs give 0 to 1023", "write a limit within that"));
                    }
                    if (above && clear > limit) || (!above && clear < limit) {
                        let hint = "with above, clear is at or under it; with below, at or over it";
                        return Err(at(
                            "clear",
                            "it would be cleared by the very values that raise it",
                            hint,
                        ));
                    }
                    AlarmSource::Sensor { index: *index, limit, clear, above }
                }
            };
            let settle_ms = u64::from(settle_s.unwrap_or(5)) * 1000;
            if plan.things.insert(name.clone(), Thing::Alarm { source, settle_ms }).is_some() {
                return Err(twice("alarms", name));
            }
        }
        Ok(())
    }

    /// No output has two masters; those of the receipts may follow something besides.
    fn no_output_twice(&self) -> Result<(), ConfigError> {
        let mut taken: HashMap<u8, String> = HashMap::new();
        let outputs =
            self.outputs.iter().filter_map(|(name, o)| Some((["outputs", name, "index"], o.index?)));
        let doors = self.doors.iter().filter_map(|(name, d)| Some((["doors", name, "lock"], d.lock?)));
        for (path, index) in outputs.chain(doors) {
            if let Some(first) = taken.insert(index, path.join(".")) {
                let what = format!("output {index} belongs to {first} already");
                return Err(wrong(&path, what, "give each an output of its own"));
            }
        }
        Ok(())
    }
}

fn twice(area: &str, name: &str) -> ConfigError {
    wrong(&[area, name], format!("something else of this board is called {name} too"), "give it another name")
}

fn number(area: &str, name: &str) -> Result<u8, ConfigError> {
    let fine = |n: &u8| *n < 16 && n.to_string() == name;
    name.parse().ok().filter(fine).ok_or_else(|| {
        wrong(
            &[area, name],
            format!("{name:?} is no number of one of the {area}"),
            "the board counts them from 0, as its hello says",
        )
    })
}

fn target(path: &[&str], name: &str) -> Result<TargetId, ConfigError> {
    TargetId::new(name).map_err(|error| wrong(path, error.to_string(), "name a target of [targets]"))
}

fn wired(area: &str, name: &str, deed: Deed, to: Option<&SmolStr>) -> Result<Wired, ConfigError> {
    let to = to.map(|to| target(&[area, name, "target"], to)).transpose()?;
    match (deed, &to) {
        (Deed::EmergencyStop, Some(_)) => {
            Err(wrong(&[area, name, "target"], "an emergency stop is for the whole bridge", "remove target"))
        }
        (Deed::Act(_) | Deed::Toggle, None) => {
            Err(wrong(&[area, name], "nothing says what it acts on", "add target = \"…\", one of [targets]"))
        }
        _ => Ok(Wired { deed, target: to }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Plan, String> {
        let config: BoardConfig = toml::from_str(text).map_err(|error| error.to_string())?;
        config.plan().map_err(|error| format!("{error} ({})", error.hint))
    }

    #[test]
    fn a_door_with_its_reader_is_understood() {
        let plan = read(
            "port = '/dev/ttyUSB0'\nlcd = 3\n[readers.0]\ntarget = 'front-door'\n[doors.front-door]\nlock = 0\nopen_s = 7\n",
        )
        .unwrap();
        let (wired, reader) = &plan.readers[&0];
        assert_eq!((wired.deed, reader.debounce_ms, reader.denials), (Deed::Act(Action::Start), 1000, 5));
        assert_eq!(plan.things["front-door"], Thing::Door { open_ms: 7000, lock: Some(0) });
    }

    #[test]
    fn mistakes_are_told_with_their_place_and_what_to_write() {
        let told = |text: &str| read(&format!("port = '/dev/x'\n{text}")).unwrap_err();
        let is = |text: &str, place: &str, words: &str| {
            let told = told(text);
            assert!(told.starts_with(place) && told.contains(words), "{told}");
        };
        is("[readers.0]\n", "readers.0: ", "add target");
        is("[readers.x]\ntarget = 'a'", "readers.x: ", "counts them from 0");
        is("[buttons.0]\naction = 'emergency-stop'\ntarget = 'a'", "buttons.0.target: ", "remove target");
        is("[outputs.a]\nindex = 1\n[doors.b]\nlock = 1", "doors.b.lock: ", "belongs to outputs.a.index");
        is("[outputs.a]\n[alarms.a]", "alarms.a: ", "another name");
        is("[outputs.a]\nfollows = 'web-1'", "outputs.a: ", "add index");
        is("[outputs.a]\nindex = 0\nvalues = { onn = 1 }", "outputs.a.values.onn: ", "write a state");
        is("[alarms.a]\nsensor = 0", "alarms.a.sensor: ", "above = N");
        is("[alarms.a]\nsensor = 0\nabove = 500\nclear = 600", "alarms.a.clear: ", "at or under");
        is("lease_ms = 10", "lease_ms: ", "3000");
        assert!(told("[readers.0]\naction = 'open'\ntarget = 'a'").contains("no action is called \"open\""));
        assert!(told("bauds = 9600").contains("unknown field"));
    }

    #[test]
    fn what_follows_is_no_address_and_targets_are_named_with_their_place() {
        let text = "port = 'soft'\n[outputs.fan]\nindex = 0\n[outputs.lamp]\nindex = 1\nfollows = 'web-1'\n[outputs.red]\nindex = 2\nfollows = 'emergency-stop'\n";
        let config: BoardConfig = toml::from_str(text).unwrap();
        assert_eq!(config.addresses(), ["fan"]);
        assert_eq!(config.targets_named().len(), 1);
        assert_eq!(config.targets_named()[0].0, ["outputs", "lamp", "follows"]);
    }
}
