//! Stable names: short, printable, the same in configuration, journal, wire and policy.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use uuid::Uuid;

use crate::UnixMs;

/// A name that cannot be an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} {found:?} cannot be used: an id is 1 to 64 of the characters A-Z a-z 0-9 . _ - and starts with a letter or digit"
)]
pub struct BadId {
    /// Which kind of id was read.
    pub what: &'static str,
    /// The text as found, cut to 80 characters.
    pub found: String,
}

fn check(what: &'static str, text: &str) -> Result<SmolStr, BadId> {
    let fine = !text.is_empty()
        && text.len() <= 64
        && text.as_bytes()[0].is_ascii_alphanumeric()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if fine { Ok(SmolStr::new(text)) } else { Err(BadId { what, found: text.chars().take(80).collect() }) }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "SmolStr", into = "SmolStr")]
        pub struct $name(SmolStr);

        impl $name {
            /// Takes a name that keeps the rules of an id.
            ///
            /// # Errors
            /// [`BadId`] when it is empty, longer than 64 bytes or has another character.
            pub fn new(text: impl AsRef<str>) -> Result<Self, BadId> {
                check($what, text.as_ref()).map(Self)
            }
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl TryFrom<SmolStr> for $name {
            type Error = BadId;
            fn try_from(text: SmolStr) -> Result<Self, BadId> {
                Self::new(text)
            }
        }
        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                Self::new(text)
            }
        }
        impl From<$name> for SmolStr {
            fn from(id: $name) -> Self {
                id.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

id!(
    /// What can be acted on: a server, an output, a door, a group.
    TargetId,
    "target id"
);
id!(
    /// A linkset in a region with one script and one callback URL.
    ObjectId,
    "object id"
);
id!(
    /// One configured connection to a technology, such as `local` or `hypervisor-2`.
    BackendId,
    "backend id"
);
id!(
    /// A group of people, or of targets.
    GroupId,
    "group id"
);

/// Names one intent from touch to machine: in receipts, logs, journal and events. Sortable by time
/// (UUID version 7, RFC 9562).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IntentId(Uuid);

impl IntentId {
    /// A new id of this moment.
    #[must_use]
    pub fn now() -> Self {
        Self(Uuid::now_v7())
    }
    /// The moment of [`Self::now`], to the millisecond; none for an id of another make.
    #[must_use]
    pub fn made(&self) -> Option<UnixMs> {
        let (seconds, nanos) = self.0.get_timestamp()?.to_unix();
        let seconds = i64::try_from(seconds).ok()?;
        Some(UnixMs(seconds.checked_mul(1000)?.checked_add(i64::from(nanos / 1_000_000))?))
    }
    /// The 16 bytes, as stored in the journal.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
    /// From the 16 bytes of [`Self::as_bytes`].
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for IntentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl fmt::Debug for IntentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl FromStr for IntentId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::from_str(text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_to_printable_ascii() {
        assert!(TargetId::new("web-1.rack_2").is_ok());
        for bad in ["", "-x", "a b", "é", "a/b", &"x".repeat(65)] {
            assert!(TargetId::new(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn an_intent_tells_when_it_was_made() {
        let before = UnixMs::now();
        let made = IntentId::now().made().unwrap();
        assert!(before <= made && made <= UnixMs::now(), "{made}");
        assert_eq!(IntentId(Uuid::nil()).made(), None);
    }

    #[test]
    fn a_bad_id_in_json_is_an_error_with_the_rule() {
        let error = serde_json::from_str::<ObjectId>("\"rack 1\"").unwrap_err().to_string();
        assert!(error.contains("object id \"rack 1\""), "{error}");
    }
}
