//! Readers that know no protocol: they say a badge's number and nothing else, and nobody can tell a badge from an echo.
//!
//! So they are listened to only on ports configured for one, and never where a device once said a board's hello.

mod em4100;
mod line;

use std::str::FromStr;

use crate::message::{Uid, Wiegand};

/// What a plain reader says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PlainFormat {
    /// RDM6300 and ID-12LA: `02`, ten hex digits, two of their XOR, (CR LF,) `03`.
    Em4100,
    /// A UID in hex, a line each; `:`, `-` and spaces between bytes are tolerated: 4, 5, 7 or 10 bytes.
    Hex,
    /// Wiegand converters: facility and card as decimals, `123,45678` or `123:45678`, a line each (26 bits).
    Wiegand,
}

/// A format that we do not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no format of a plain reader: rdm6300, id-12la, hex or wiegand")]
pub struct FormatError(String);

impl FromStr for PlainFormat {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        match text {
            "rdm6300" | "id-12la" => Ok(Self::Em4100),
            "hex" => Ok(Self::Hex),
            "wiegand" => Ok(Self::Wiegand),
            _ => Err(FormatError(text.to_owned())),
        }
    }
}

/// A badge, as a plain reader said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainBadge {
    /// By its UID.
    Uid(Uid),
    /// By facility and card.
    Wiegand(Wiegand),
}

/// Reads one plain reader. Memory is one line, whatever comes.
#[derive(Debug, Clone)]
pub struct PlainReader {
    decoder: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Em4100(em4100::Em4100),
    Line(line::Lines, PlainFormat),
}

impl PlainReader {
    /// One that has heard nothing yet.
    #[must_use]
    pub fn new(format: PlainFormat) -> Self {
        let decoder = match format {
            PlainFormat::Em4100 => Kind::Em4100(em4100::Em4100::default()),
            PlainFormat::Hex | PlainFormat::Wiegand => Kind::Line(line::Lines::default(), format),
        };
        Self { decoder }
    }

    /// Takes bytes and tells each badge. What is no badge is passed over.
    pub fn feed(&mut self, bytes: &[u8], mut tell: impl FnMut(PlainBadge)) {
        for byte in bytes {
            let badge = match &mut self.decoder {
                Kind::Em4100(decoder) => decoder.feed(*byte).map(PlainBadge::Uid),
                Kind::Line(lines, format) => lines.feed(*byte).and_then(|line| match format {
                    PlainFormat::Wiegand => line::wiegand(line).map(PlainBadge::Wiegand),
                    PlainFormat::Hex | PlainFormat::Em4100 => line::hex(line).map(PlainBadge::Uid),
                }),
            };
            if let Some(badge) = badge {
                tell(badge);
            }
        }
    }
}
