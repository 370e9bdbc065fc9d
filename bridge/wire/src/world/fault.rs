//! Why a message was not taken: one reason each, the same in answers, counters and audit.

use std::fmt;

/// A reason of `lsl-scripts/PROTOCOL.md`, "How `up` is checked".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum Fault {
    /// The bridge has more to do than it can.
    Busy,
    /// Over the size limit.
    TooLong,
    /// The header line has another form.
    Malformed,
    /// Another protocol or version.
    Version,
    /// No such object is enrolled.
    UnknownObject,
    /// The object has no valid key of that id.
    UnknownKey,
    /// The MAC does not hold.
    Forged,
    /// The body is not what the digest says.
    Truncated,
    /// The clocks differ too much, or the message is late.
    Skew,
    /// Made for another boot of the bridge, or before the first contact.
    Nonce,
    /// That number was taken already.
    Replayed,
    /// That number is below the highest taken.
    Reordered,
    /// Too many requests.
    TooMany,
    /// The body is no known JSON.
    Garbage,
    /// Events before registering.
    NotRegistered,
}

impl Fault {
    /// All reasons.
    pub const ALL: [Self; 15] = [
        Self::Busy,
        Self::TooLong,
        Self::Malformed,
        Self::Version,
        Self::UnknownObject,
        Self::UnknownKey,
        Self::Forged,
        Self::Truncated,
        Self::Skew,
        Self::Nonce,
        Self::Replayed,
        Self::Reordered,
        Self::TooMany,
        Self::Garbage,
        Self::NotRegistered,
    ];

    /// The token on the wire and in metrics.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::TooLong => "too-long",
            Self::Malformed => "malformed",
            Self::Version => "version",
            Self::UnknownObject => "unknown-object",
            Self::UnknownKey => "unknown-key",
            Self::Forged => "forged",
            Self::Truncated => "truncated",
            Self::Skew => "skew",
            Self::Nonce => "nonce",
            Self::Replayed => "replayed",
            Self::Reordered => "reordered",
            Self::TooMany => "too-many",
            Self::Garbage => "garbage",
            Self::NotRegistered => "not-registered",
        }
    }
    /// What to tell the script's keeper.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Busy => "The bridge has more to do than it can: send it again in a moment.",
            Self::TooLong => "The message is over 8192 bytes.",
            Self::Malformed => "This is no Primrack message: its first line must be a header of ten fields.",
            Self::Version => "This bridge speaks primrack/1 only: use the script that came with it.",
            Self::UnknownObject => {
                "No object of this id is enrolled: check `id` in the notecard, or enrol it."
            }
            Self::UnknownKey => {
                "The object has no key of this id, or it has expired: check `key` in the notecard."
            }
            Self::Forged => "The signature does not fit: check `key` in the notecard.",
            Self::Truncated => "The body was cut or changed on its way.",
            Self::Skew => "The clocks differ by more than 120 seconds, or the message was late.",
            Self::Nonce => {
                "The bridge has restarted or has not met you yet: sign with the nonce of this answer."
            }
            Self::Replayed => "This number was used already.",
            Self::Reordered => "This number is below one that was used already.",
            Self::TooMany => "Too many requests from this object: wait a moment.",
            Self::Garbage => "The body is not JSON that this version knows.",
            Self::NotRegistered => "Register first.",
        }
    }
    /// The HTTP status it is answered with. Never 500 or above: Second Life cuts off a script that
    /// collects five of those in a minute (wiki, `LlHTTPRequest`).
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Busy => 429,
            Self::TooLong => 413,
            Self::Malformed | Self::Version => 400,
            Self::UnknownObject | Self::UnknownKey | Self::Forged => 403,
            Self::Truncated
            | Self::Skew
            | Self::Nonce
            | Self::Replayed
            | Self::Reordered
            | Self::TooMany
            | Self::Garbage
            | Self::NotRegistered => 200,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}
