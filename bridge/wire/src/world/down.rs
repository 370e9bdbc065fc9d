//! What the bridge says: answers and pushes, each within what a script can receive.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{EventId, HEADER_LIMIT};

/// Bytes of an answer, push or ack, header included: Second Life cuts both HTTP bodies there.
pub const WIRE_LIMIT: usize = 2048;
/// What is left of that for a body, at the longest header.
pub const BODY_ROOM: usize = WIRE_LIMIT - HEADER_LIMIT - 1;

/// A signed no to a whole message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The reason's token.
    pub refused: SmolStr,
    /// For the script's keeper.
    pub say: String,
    /// The highest number taken in this boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<u32>,
    /// With `wait`: ask again in so many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<u32>,
}

/// The body of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Answer {
    /// No to the whole message.
    Refused(Refused),
    /// Registered.
    Registered {
        /// `registered`.
        ok: SmolStr,
        /// Renew in so many seconds at the latest.
        renew: u32,
    },
    /// One entry per event, in order, as many as fit.
    Entries {
        /// The entries.
        list: Vec<AnswerEntry>,
    },
}

/// The answer to one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerEntry {
    /// The event's id.
    pub id: EventId,
    /// Whom to tell.
    #[serde(default, skip_serializing_if = "SmolStr::is_empty")]
    pub who: SmolStr,
    /// What was decided.
    #[serde(flatten)]
    pub verdict: AnswerVerdict,
}

/// What was decided about an event. Every `say` is at most 255 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum AnswerVerdict {
    /// It is recorded and will be done, or is being done.
    Accepted {
        /// In words.
        say: String,
    },
    /// It will not be done.
    Refused {
        /// For machines.
        code: SmolStr,
        /// In words.
        say: String,
    },
    /// Offer a menu.
    Menu {
        /// Its name, for the answer.
        menu: SmolStr,
        /// The question.
        say: String,
        /// The buttons, 1 to 11 of at most 24 bytes.
        pick: Vec<SmolStr>,
        /// Seconds until it is over.
        #[serde(rename = "for")]
        for_s: u32,
    },
    /// Ask for a line of text.
    Ask {
        /// Its name, for the answer.
        menu: SmolStr,
        /// The question.
        say: String,
        /// Seconds until it is over.
        #[serde(rename = "for")]
        for_s: u32,
    },
    /// Taken, nothing to say.
    Noted,
}

/// The body of a push.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PushBody {
    /// Newest state, complete per unit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub list: Vec<UnitState>,
    /// Words for one person each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tell: Vec<Tell>,
}

/// What one unit shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitState {
    /// The unit.
    pub u: u8,
    /// What to draw.
    pub s: SmolStr,
    /// Its public label, at most 48 bytes.
    pub l: SmolStr,
    /// The state in a word or two.
    pub w: SmolStr,
    /// A note.
    #[serde(default, skip_serializing_if = "SmolStr::is_empty")]
    pub n: SmolStr,
    /// The last word, and old.
    #[serde(default, skip_serializing_if = "is_no", with = "flag")]
    pub o: bool,
    /// Simulated.
    #[serde(default, skip_serializing_if = "is_no", with = "flag")]
    pub m: bool,
}

/// Words for one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tell {
    /// Their UUID.
    pub who: SmolStr,
    /// At most 255 bytes.
    pub say: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_no(flag: &bool) -> bool {
    !flag
}

/// A flag as 1, the way every script language reads it.
mod flag {
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
    pub(super) fn serialize<S: Serializer>(flag: &bool, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u8(u8::from(*flag))
    }
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
        u8::deserialize(from).map(|n| n != 0)
    }
}

/// How many of `items`, in order, fit as a JSON list into `room` bytes beside `around` bytes of the rest.
/// Costs one pass; each item is written once into `scratch` by `write`.
pub fn fit<T: Serialize>(items: &[T], around: usize, room: usize) -> usize {
    let mut used = around + 2;
    let mut scratch = Vec::with_capacity(256);
    for (at, item) in items.iter().enumerate() {
        scratch.clear();
        if serde_json::to_writer(&mut scratch, item).is_err() {
            return at;
        }
        used += scratch.len() + usize::from(at > 0);
        if used > room {
            return at;
        }
    }
    items.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_numbers_and_absent_when_unset() {
        let mut state = UnitState {
            u: 3,
            s: "on".into(),
            l: "web-1".into(),
            w: "On".into(),
            n: SmolStr::default(),
            o: false,
            m: true,
        };
        assert_eq!(serde_json::to_string(&state).unwrap(), r#"{"u":3,"s":"on","l":"web-1","w":"On","m":1}"#);
        state.m = false;
        let back: UnitState = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
        assert_eq!(back, state);
    }

    #[test]
    fn fit_counts_exactly() {
        let items = ["aaaa", "bbbb", "cccc"];
        let whole = serde_json::to_string(&items).unwrap().len();
        assert_eq!(fit(&items, 0, whole), 3);
        assert_eq!(fit(&items, 0, whole - 1), 2);
        assert_eq!(fit(&items, 1, whole), 2);
        assert_eq!(fit(&items, 0, 3), 0);
    }
}
