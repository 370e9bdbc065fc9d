//! What a script says.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::Fault;

/// Bytes of a message up, header included.
pub const MESSAGE_LIMIT: usize = 8192;
/// Events in one message.
pub const MAX_EVENTS: usize = 8;

/// The body of an `up`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum UpBody {
    /// Where I am and how to reach me.
    Register(Register),
    /// What happened.
    Events(Events),
}

impl UpBody {
    /// Reads an admitted body.
    ///
    /// # Errors
    /// [`Fault::Garbage`] when it is not JSON of a known shape, or a text in it is over its limit.
    pub fn parse(body: &[u8]) -> Result<Self, Fault> {
        let read: Self = serde_json::from_slice(body).map_err(|_| Fault::Garbage)?;
        let fits = match &read {
            Self::Register(it) => {
                it.url.len() <= 512
                    && [&it.holder, &it.owner].iter().all(|text| text.len() <= 64)
                    && it.region.len() <= 128
                    && [&it.grid, &it.script].iter().all(|text| text.len() <= 64)
            }
            Self::Events(it) => {
                it.holder.len() <= 64
                    && (1..=MAX_EVENTS).contains(&it.list.len())
                    && it.list.iter().all(Event::fits)
            }
        };
        if fits { Ok(read) } else { Err(Fault::Garbage) }
    }
}

/// Where an object is and how to reach it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// Where pushes go.
    pub url: SmolStr,
    /// Which copy is speaking: the UUID of the prim.
    pub holder: SmolStr,
    /// The UUID of the owner.
    pub owner: SmolStr,
    /// Where it stands, for people.
    #[serde(default)]
    pub region: SmolStr,
    /// What it runs on, for people.
    #[serde(default)]
    pub grid: SmolStr,
    /// Which script, for people.
    #[serde(default)]
    pub script: SmolStr,
    /// The units it has.
    #[serde(default)]
    pub units: UnitRanges,
}

/// A set of unit numbers, written `1-8,11`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "String")]
pub struct UnitRanges(Vec<(u8, u8)>);

impl UnitRanges {
    /// Whether it has `unit`.
    #[must_use]
    pub fn has(&self, unit: u8) -> bool {
        self.0.iter().any(|(from, to)| (*from..=*to).contains(&unit))
    }
    /// Whether none was named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<SmolStr> for UnitRanges {
    type Error = String;
    fn try_from(text: SmolStr) -> Result<Self, String> {
        let wrong =
            || format!("{:?} is no list of units such as 1-8,11", text.chars().take(40).collect::<String>());
        let mut ranges = Vec::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let (Ok(from), Ok(to)) = (from.parse::<u8>(), to.parse::<u8>()) else { return Err(wrong()) };
            if from > to || ranges.len() == 256 {
                return Err(wrong());
            }
            ranges.push((from, to));
        }
        Ok(Self(ranges))
    }
}

impl From<UnitRanges> for String {
    fn from(ranges: UnitRanges) -> Self {
        let part = |(from, to): &(u8, u8)| if from == to { from.to_string() } else { format!("{from}-{to}") };
        ranges.0.iter().map(part).collect::<Vec<_>>().join(",")
    }
}

/// What happened at an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Events {
    /// Which copy is speaking.
    pub holder: SmolStr,
    /// In the order it happened; 1 to 8.
    pub list: Vec<Event>,
}

/// An object's own name for an event: 1 to 32 of `A-Z a-z 0-9 . _ -`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct EventId(SmolStr);

impl EventId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<SmolStr> for EventId {
    type Error = &'static str;
    fn try_from(text: SmolStr) -> Result<Self, &'static str> {
        let fine = (1..=32).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if fine { Ok(Self(text)) } else { Err("an event id is 1 to 32 of A-Z a-z 0-9 . _ -") }
    }
}

impl From<EventId> for SmolStr {
    fn from(id: EventId) -> Self {
        id.0
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The object's own name for it.
    pub id: EventId,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

impl Event {
    fn fits(&self) -> bool {
        let person = |who: &str, name: &str| who.len() <= 64 && name.len() <= 128;
        match &self.kind {
            EventKind::Touch { who, name, .. } => person(who, name),
            EventKind::Choose { menu, who, name, pick } => {
                person(who, name) && menu.len() <= 32 && pick.len() <= 64
            }
            EventKind::Line { menu, who, name, text } => {
                person(who, name) && menu.len() <= 32 && text.len() <= 256
            }
            EventKind::Error { text } => text.len() <= 256,
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "on", rename_all = "kebab-case")]
pub enum EventKind {
    /// Somebody touched a unit.
    Touch {
        /// Which.
        unit: u8,
        /// Their UUID.
        who: SmolStr,
        /// Their name, a claim.
        #[serde(default)]
        name: SmolStr,
    },
    /// Somebody chose from a menu.
    Choose {
        /// Which menu.
        menu: SmolStr,
        /// Their UUID.
        who: SmolStr,
        /// Their name, a claim.
        #[serde(default)]
        name: SmolStr,
        /// The words as offered.
        pick: SmolStr,
    },
    /// Somebody wrote a line where one was asked for.
    Line {
        /// Which question.
        menu: SmolStr,
        /// Their UUID.
        who: SmolStr,
        /// Their name, a claim.
        #[serde(default)]
        name: SmolStr,
        /// What they wrote.
        text: String,
    },
    /// The script has trouble.
    Error {
        /// In words.
        text: String,
    },
}

/// The body of an ack.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ack {
    /// Why the push was not taken: `old` or `skew`; none when it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<SmolStr>,
    /// With `old`: the boot of the last push taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<u32>,
    /// With `old`: the number of the last push taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<u32>,
}
