//! Readers that say a line for each badge.

use crate::frame::decimal;
use crate::message::{Uid, Wiegand};

/// No line that means something is longer.
const MAX: usize = 40;

#[derive(Debug, Clone)]
pub(super) struct Lines {
    line: [u8; MAX],
    /// How many bytes came since the last line end; more than [`MAX`] is no badge.
    len: usize,
}

impl Default for Lines {
    fn default() -> Self {
        Self { line: [0; MAX], len: 0 }
    }
}

impl Lines {
    /// The line that `byte` ends, without blanks around it.
    pub(super) fn feed(&mut self, byte: u8) -> Option<&str> {
        if matches!(byte, b'\n' | b'\r') {
            let len = std::mem::take(&mut self.len);
            return std::str::from_utf8(self.line.get(..len)?).ok().map(str::trim);
        }
        if let Some(slot) = self.line.get_mut(self.len) {
            *slot = byte;
        }
        self.len = (self.len + 1).min(MAX + 1);
        None
    }
}

/// A UID in hex of either case, bytes together or parted by one `:`, `-` or space each.
pub(super) fn hex(line: &str) -> Option<Uid> {
    let mut bytes = [0_u8; 10];
    let mut len = 0;
    let mut rest = line.as_bytes();
    let separator = rest.get(2).copied().filter(|byte| matches!(byte, b':' | b'-' | b' '));
    while let [high, low, after @ ..] = rest {
        let (high, low) = (char::from(*high).to_digit(16)?, char::from(*low).to_digit(16)?);
        *bytes.get_mut(len)? = u8::try_from(high << 4 | low).ok()?;
        len += 1;
        rest = match (separator, after) {
            (Some(expected), [found, more @ ..]) => {
                if *found != expected || more.is_empty() {
                    return None;
                }
                more
            }
            (_, after) => after,
        };
    }
    if rest.is_empty() { Uid::new(&bytes[..len]) } else { None }
}

/// `123,45678` or `123:45678`: facility (8 bits) and card (16 bits).
pub(super) fn wiegand(line: &str) -> Option<Wiegand> {
    let (facility, card) = line.split_once([',', ':'])?;
    // Converters fill with zeros on the left.
    let number = |word: &str, max| {
        let short = word.trim_start_matches('0');
        if word.is_empty() { None } else { decimal(if short.is_empty() { "0" } else { short }, max) }
    };
    Some(Wiegand { bits: 26, payload: number(facility, 255)? << 16 | number(card, 65_535)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_lines_of_all_habits_are_read() {
        for line in [
            "04A1B2C3D4E5F6",
            "04a1b2c3d4e5f6",
            "04:A1:B2:C3:D4:E5:F6",
            "04 a1 b2 c3 d4 e5 f6",
            "04-A1-B2-C3-D4-E5-F6",
        ] {
            assert_eq!(hex(line).map(|uid| uid.to_hex()).as_deref(), Some("04A1B2C3D4E5F6"), "{line}");
        }
        for line in [
            "",
            "04",
            "04A1B",
            "04A1B2C3D",
            "04:A1B2C3",
            "04:A1:B2:C3:",
            "04:A1-B2:C3",
            "HELLO WORLD",
            "0102030405060708090A0B",
        ] {
            assert_eq!(hex(line), None, "{line}");
        }
    }

    #[test]
    fn wiegand_text_is_the_payload_of_the_facts() {
        for line in ["123,45678", "123:45678", "0123,045678"] {
            assert_eq!(wiegand(line).map(|code| code.to_hex()).as_deref(), Some("7BB26E"), "{line}");
        }
        for line in ["", "123", "256,1", "1,65536", ",1", "1,", "-1,2", "1,2,3"] {
            assert_eq!(wiegand(line), None, "{line}");
        }
    }

    #[test]
    fn a_line_without_end_takes_no_memory_and_is_no_badge() {
        let mut lines = Lines::default();
        for _ in 0..100_000 {
            assert_eq!(lines.feed(b'A'), None);
        }
        assert_eq!(lines.feed(b'\n'), None);
        for byte in b"04A1B2C3" {
            assert_eq!(lines.feed(*byte), None);
        }
        assert_eq!(lines.feed(b'\r'), Some("04A1B2C3"));
    }
}
