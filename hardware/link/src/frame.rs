//! Frames: `~` SEQ SP VERB (SP ARG)* `*` CRC `\n`, as `hardware/PROTOCOL.md` describes them.
//!
//! Reading is strict and allocates nothing: what is read borrows the line. Anything that is not exactly a frame is refused
//! with a reason, because the other side is a wire that invents bytes.

use crc::{CRC_16_MCRF4XX, Crc, Table};

/// The longest frame in bytes, its `~` and its `\n` included.
pub const MAX_FRAME: usize = 63;

/// The most arguments that a frame may have.
pub const MAX_ARGS: usize = 8;

/// CRC-16/MCRF4XX, what avr-libc calls `_crc_ccitt_update` with an initial value of FFFF. The small table suits 56 bytes.
const CRC: Crc<u16, Table<1>> = Crc::<u16, Table<1>>::new(&CRC_16_MCRF4XX);

/// Why a line that began with `~` is no frame. The words are those of the shared vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BadFrame {
    /// More than [`MAX_FRAME`] bytes.
    #[error("length")]
    Length,
    /// A byte outside 0x20..=0x7D, which excludes `~` too.
    #[error("char")]
    Char,
    /// No `*CRC` at the end or two of them, a verb that is none, an empty argument or too many.
    #[error("shape")]
    Shape,
    /// The checksum is not that of the text.
    #[error("crc")]
    Crc,
    /// The sequence number is not a plain decimal of 0..=65535.
    #[error("number")]
    Number,
}

/// One frame, borrowed from its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The sender's number for it; 0 wants no answer.
    pub seq: u16,
    /// What it says.
    pub verb: &'a str,
    /// The arguments as they stood, joined by single spaces; empty when there are none.
    rest: &'a str,
}

impl<'a> Frame<'a> {
    /// Reads what stands between two line ends, from its `~` on; a `\r` at the end is tolerated.
    ///
    /// # Errors
    /// [`BadFrame`] for the first thing that is wrong, in the order of the contract's section 1.
    pub fn parse(line: &'a [u8]) -> Result<Self, BadFrame> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let inner = line.strip_prefix(b"~").ok_or(BadFrame::Shape)?;
        for (at, byte) in inner.iter().enumerate() {
            if at + 2 == MAX_FRAME {
                return Err(BadFrame::Length);
            }
            if !matches!(byte, 0x20..=0x7d) {
                return Err(BadFrame::Char);
            }
        }
        let inner = std::str::from_utf8(inner).map_err(|_| BadFrame::Char)?;
        let (text, sum) = inner.split_once('*').ok_or(BadFrame::Shape)?;
        if text.is_empty() || sum.len() != 4 || sum.contains('*') {
            return Err(BadFrame::Shape);
        }
        if upper_hex_u16(sum) != Some(checksum(text.as_bytes())) {
            return Err(BadFrame::Crc);
        }
        let (seq, words) = text.split_once(' ').ok_or(BadFrame::Shape)?;
        let seq = decimal(seq, u32::from(u16::MAX))
            .and_then(|seq| u16::try_from(seq).ok())
            .ok_or(BadFrame::Number)?;
        let (verb, rest) = words.split_once(' ').unwrap_or((words, ""));
        let args_fit = !words.ends_with(' ')
            && (rest.is_empty()
                || (rest.split(' ').count() <= MAX_ARGS && !rest.split(' ').any(str::is_empty)));
        if !(1..=8).contains(&verb.len()) || !verb.bytes().all(|byte| byte.is_ascii_lowercase()) || !args_fit
        {
            return Err(BadFrame::Shape);
        }
        Ok(Self { seq, verb, rest })
    }

    /// The arguments in order.
    pub fn args(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.rest.split(' ').filter(|word| !word.is_empty())
    }

    /// Exactly `N` arguments, or nothing.
    #[must_use]
    pub fn exactly<const N: usize>(&self) -> Option<[&'a str; N]> {
        let mut found = [""; N];
        let mut args = self.args();
        for slot in &mut found {
            *slot = args.next()?;
        }
        args.next().is_none().then_some(found)
    }
}

/// A line ready to be sent, its `\n` included. Never longer than [`MAX_FRAME`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Line {
    bytes: [u8; MAX_FRAME],
    len: u8,
}

impl Line {
    /// The bytes to put on the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Line({:?})", String::from_utf8_lossy(self.as_bytes()))
    }
}

/// Writes the frame `seq` with `words`: a verb and its arguments, single spaces between.
///
/// # Errors
/// [`BadFrame`] when `words` cannot travel: too long, empty words, or a byte that no frame may hold.
pub fn encode(seq: u16, words: std::fmt::Arguments<'_>) -> Result<Line, BadFrame> {
    use std::io::Write as _;
    let mut bytes = [0_u8; MAX_FRAME];
    let mut room = &mut bytes[..];
    write!(room, "~{seq} {words}").map_err(|_| BadFrame::Length)?;
    let written = MAX_FRAME - room.len();
    let text = &bytes[1..written];
    if text.iter().any(|byte| !matches!(byte, 0x20..=0x7d) || *byte == b'*') {
        return Err(BadFrame::Char);
    }
    let sum = checksum(text);
    let mut room = &mut bytes[written..];
    writeln!(room, "*{sum:04X}").map_err(|_| BadFrame::Length)?;
    let len = MAX_FRAME - room.len();
    // Whatever was to be said: what leaves is a frame.
    Frame::parse(&bytes[..len - 1])?;
    Ok(Line { bytes, len: u8::try_from(len).map_err(|_| BadFrame::Length)? })
}

/// The checksum of the bytes between `~` and `*`.
#[must_use]
pub fn checksum(text: &[u8]) -> u16 {
    CRC.checksum(text)
}

/// A plain decimal up to `max`: digits only, no leading zeros. `str::parse` would take `+7` and `007`.
#[must_use]
pub fn decimal(word: &str, max: u32) -> Option<u32> {
    let digits = word.as_bytes();
    if digits.is_empty() || digits.len() > 10 || (digits.len() > 1 && digits[0] == b'0') {
        return None;
    }
    let mut value = 0_u64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u64::from(digit - b'0');
    }
    u32::try_from(value).ok().filter(|value| *value <= max)
}

/// The value of one upper-case hex digit.
#[must_use]
pub fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn upper_hex_u16(word: &str) -> Option<u16> {
    word.bytes().try_fold(0_u16, |value, byte| Some((value << 4) | u16::from(hex_digit(byte)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_of_the_facts_reads_and_writes() {
        let line = b"~7 tag 0 04A1B2C3D4E5F6*5BCC";
        let frame = Frame::parse(line).unwrap();
        assert_eq!((frame.seq, frame.verb), (7, "tag"));
        assert_eq!(frame.args().collect::<Vec<_>>(), ["0", "04A1B2C3D4E5F6"]);
        assert_eq!(&encode(7, format_args!("tag 0 04A1B2C3D4E5F6")).unwrap().as_bytes()[..line.len()], line);
    }

    #[test]
    fn numbers_are_plain_decimals() {
        for bad in ["", "+7", "007", "-1", "7 ", "65536", "4294967296", "99999999999", "٣"] {
            assert_eq!(decimal(bad, 65_535), None, "{bad:?}");
        }
        assert_eq!(decimal("0", 65_535), Some(0));
        assert_eq!(decimal("65535", 65_535), Some(65_535));
    }

    #[test]
    fn what_cannot_travel_is_not_written() {
        assert_eq!(encode(1, format_args!("txt 0 0 a*b")).unwrap_err(), BadFrame::Char);
        assert_eq!(encode(1, format_args!("txt 0 0 a~b")).unwrap_err(), BadFrame::Char);
        assert_eq!(encode(1, format_args!("txt  0")).unwrap_err(), BadFrame::Shape);
        assert_eq!(encode(1, format_args!("txt {}", "x".repeat(58))).unwrap_err(), BadFrame::Length);
        // The longest: `~1 ` + 53 + `*CRC\n` = 63 with its line end.
        assert_eq!(encode(1, format_args!("x {}", "x".repeat(52))).unwrap().as_bytes().len(), MAX_FRAME);
        assert_eq!(encode(1, format_args!("x {}", "x".repeat(53))).unwrap_err(), BadFrame::Length);
    }
}
