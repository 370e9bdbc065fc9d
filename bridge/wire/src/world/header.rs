//! The first line of every message.

use std::fmt;
use std::str::FromStr;

use smol_str::SmolStr;

use super::{Fault, Form};

/// The protocol's name on the wire.
pub const PROTOCOL: &str = "primrack";
/// The only version there is.
pub const VERSION: u8 = 1;
/// The first field of every message.
pub(super) const TAG: &str = "primrack/1";
/// Bytes of a header line, without its line feed.
pub const HEADER_LIMIT: usize = 400;

/// Which way a message goes. Part of what is signed, so that none can be sent back as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dir {
    /// Script to bridge.
    Up,
    /// The bridge's answer to an [`Dir::Up`].
    Answer,
    /// Bridge to script.
    Push,
    /// The script's answer to a [`Dir::Push`].
    Ack,
}

impl Dir {
    /// The token in the header.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Answer => "answer",
            Self::Push => "push",
            Self::Ack => "ack",
        }
    }
}

/// Numbers the messages of one direction: 1 to 2147483647, so that a script's 32-bit integer holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u32);

impl Seq {
    /// The largest.
    pub const MAX: Self = Self(0x7fff_ffff);
}

/// One boot of the bridge: its number, which grows with every start, and 64 random bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Nonce {
    /// Counts the starts, from 1.
    pub boot: u32,
    /// Keeps a bridge whose count was lost from being taken for its former self.
    pub random: u64,
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:016x}", self.boot, self.random)
    }
}

/// The nonce field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NonceField {
    /// `0`: the sender has not met this bridge.
    None,
    /// The boot that the message is meant for or comes from.
    Boot(Nonce),
}

impl FromStr for NonceField {
    type Err = Fault;
    fn from_str(text: &str) -> Result<Self, Fault> {
        if text == "0" {
            return Ok(Self::None);
        }
        let (boot, random) = text.split_once('.').ok_or(Fault::Malformed)?;
        let boot = number(boot).ok_or(Fault::Malformed)?;
        if random.len() != 16 || !is_lower_hex(random) {
            return Err(Fault::Malformed);
        }
        let random = u64::from_str_radix(random, 16).map_err(|_| Fault::Malformed)?;
        Ok(Self::Boot(Nonce { boot, random }))
    }
}

/// Names one of an object's keys: 1 to 8 of `A-Z a-z 0-9`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyId(SmolStr);

impl KeyId {
    /// Takes a key id that keeps the rule.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fine = (1..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
        fine.then(|| Self(SmolStr::new(text)))
    }
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A header line, parsed and not yet believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// Which way.
    pub dir: Dir,
    /// Whose.
    pub object: &'a str,
    /// Signed with which of its keys.
    pub key_id: &'a str,
    /// For which boot.
    pub nonce: NonceField,
    /// Its number.
    pub seq: Seq,
    /// Unix seconds at the sender.
    pub time: i64,
    /// SHA-256 of the body.
    pub digest: [u8; 32],
    /// How the MAC was made.
    pub form: Form,
    /// The MAC as text.
    pub mac: &'a str,
}

impl<'a> Header<'a> {
    /// Reads a header line without its line feed. Also gives the part that the MAC covers.
    ///
    /// # Errors
    /// [`Fault::Version`] for another first field, [`Fault::Malformed`] for anything else that is off.
    pub fn parse(line: &'a str) -> Result<(Self, &'a str), Fault> {
        if line.len() > HEADER_LIMIT || !line.is_ascii() {
            return Err(Fault::Malformed);
        }
        let mut fields = line.split(' ');
        let mut next = || fields.next().ok_or(Fault::Malformed);
        let tag = next()?;
        if tag != TAG {
            let ours = tag.strip_prefix(PROTOCOL).is_some_and(|rest| rest.starts_with('/'));
            return Err(if ours { Fault::Version } else { Fault::Malformed });
        }
        let dir = match next()? {
            "up" => Dir::Up,
            "answer" => Dir::Answer,
            "push" => Dir::Push,
            "ack" => Dir::Ack,
            _ => return Err(Fault::Malformed),
        };
        let (object, key_id) = (next()?, next()?);
        if object.is_empty() || object.len() > 64 || KeyId::new(key_id).is_none() {
            return Err(Fault::Malformed);
        }
        let nonce = next()?.parse()?;
        let seq = number(next()?).filter(|seq| *seq > 0).map(Seq).ok_or(Fault::Malformed)?;
        let time = seconds(next()?).ok_or(Fault::Malformed)?;
        let digest_text = next()?;
        let mut digest = [0; 32];
        if !is_lower_hex(digest_text) || hex::decode_to_slice(digest_text, &mut digest).is_err() {
            return Err(Fault::Malformed);
        }
        let form = Form::from_token(next()?).ok_or(Fault::Malformed)?;
        let mac = next()?;
        if fields.next().is_some() || mac.is_empty() {
            return Err(Fault::Malformed);
        }
        let signed = &line[..line.len() - mac.len() - 1];
        Ok((Self { dir, object, key_id, nonce, seq, time, digest, form, mac }, signed))
    }
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Strict decimal, no sign, no leading zero, within 31 bits.
fn number(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && text.len() <= 10 && text.bytes().all(|b| b.is_ascii_digit());
    let plain = plain && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|n| plain && *n <= Seq::MAX.0)
}

/// Strict decimal Unix seconds, up to 12 digits: past 2038 a script may have more than 31 bits.
fn seconds(text: &str) -> Option<i64> {
    let plain = !text.is_empty() && text.len() <= 12 && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}
