//! What frames say: typed messages of both sides, version [`PROTOCOL`] of `hardware/PROTOCOL.md`.
//!
//! Both directions can be read and written, because the bridge and the software board share this module.

use std::fmt::{self, Write as _};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use smol_str::SmolStr;

use crate::frame::{BadFrame, Frame, Line, decimal, encode, hex_digit};

/// The version of the protocol that this crate speaks.
pub const PROTOCOL: u16 = 1;

/// The largest number in an argument: 24 bits. So much fits a colour, and a lease of four and a half hours.
pub const MAX_NUMBER: u32 = 0xFF_FFFF;

/// Why a well-formed frame is no message we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BadMessage {
    /// Nobody says this in this direction.
    #[error("unknown verb")]
    Verb,
    /// The verb is known, its arguments are not what it takes.
    #[error("arguments that do not fit the verb")]
    Args,
}

/// What made the board start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResetCause {
    /// Power came.
    PowerOn,
    /// The reset line, which opening the port of an Uno pulls.
    External,
    /// The supply dipped.
    BrownOut,
    /// The firmware hung and its watchdog bit.
    Watchdog,
    /// The firmware asked for it.
    Software,
    /// A bootloader has cleared the register that knew.
    Unknown,
}

impl ResetCause {
    const WORDS: [(&'static str, Self); 6] = [
        ("por", Self::PowerOn),
        ("ext", Self::External),
        ("bod", Self::BrownOut),
        ("wdt", Self::Watchdog),
        ("sw", Self::Software),
        ("unk", Self::Unknown),
    ];

    fn parse(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(name, _)| *name == word).map(|(_, cause)| *cause)
    }
}

impl fmt::Display for ResetCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::WORDS.iter().find(|(_, cause)| cause == self).map_or("", |(name, _)| name))
    }
}

/// How many of each a board has, 0..=9, as in `r2b1a1o4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Capabilities {
    /// Badge readers, numbered from 0.
    pub readers: u8,
    /// Buttons and switches.
    pub buttons: u8,
    /// Analogue inputs.
    pub analogue: u8,
    /// Outputs.
    pub outputs: u8,
}

impl Capabilities {
    /// All four letters in this order, one digit each.
    fn parse(word: &str) -> Option<Self> {
        let &[b'r', readers, b'b', buttons, b'a', analogue, b'o', outputs] = word.as_bytes() else {
            return None;
        };
        let count = |digit: u8| digit.is_ascii_digit().then(|| digit - b'0');
        Some(Self {
            readers: count(readers)?,
            buttons: count(buttons)?,
            analogue: count(analogue)?,
            outputs: count(outputs)?,
        })
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { readers, buttons, analogue, outputs } = self;
        write!(f, "r{readers}b{buttons}a{analogue}o{outputs}")
    }
}

/// A board introducing itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The protocol it speaks.
    pub protocol: u16,
    /// Firmware and version, `gw-1.0.0`, at most 8 characters; a simulated board's begins with `soft-`.
    pub firmware: SmolStr,
    /// The name in the board's EEPROM, at most 12 characters.
    pub id: SmolStr,
    /// How often it has started, wrapping.
    pub boot: u16,
    /// What made it start.
    pub cause: ResetCause,
    /// Its receive buffer in bytes: no more than this may be under way to it.
    pub buffer: u16,
    /// What is connected to it.
    pub caps: Capabilities,
}

impl Hello {
    /// Whether the board says that it is simulated.
    #[must_use]
    pub fn simulated(&self) -> bool {
        self.firmware.starts_with("soft-")
    }
}

/// The number of a badge: 4, 5, 7 or 10 bytes. It is a name and proves nothing, for it can be copied.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uid {
    len: u8,
    bytes: [u8; 10],
}

impl Uid {
    /// A UID of these bytes, when there are 4, 5, 7 or 10.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        if !matches!(bytes.len(), 4 | 5 | 7 | 10) {
            return None;
        }
        let mut uid = Self { len: u8::try_from(bytes.len()).ok()?, bytes: [0; 10] };
        uid.bytes[..bytes.len()].copy_from_slice(bytes);
        Some(uid)
    }

    /// Reads upper-case hex.
    #[must_use]
    pub fn from_hex(word: &str) -> Option<Self> {
        let mut bytes = [0_u8; 10];
        Self::new(hex_bytes(word, &mut bytes)?)
    }

    /// Its bytes in the order in which the reader gave them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Upper-case hex. A UID in full belongs in no log: hash it first.
    #[must_use]
    pub fn to_hex(&self) -> String {
        let mut text = String::with_capacity(20);
        write_hex(&mut text, self.as_bytes());
        text
    }
}

/// Shows the length only, so that no log holds a UID by accident.
impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uid({} bytes)", self.len)
    }
}

/// What a Wiegand reader sent, parity checked by the firmware and taken off.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Wiegand {
    /// Bits on the line, parity included: 26 or 34.
    pub bits: u8,
    /// The payload without its two parity bits: 24 or 32 bits.
    pub payload: u32,
}

impl Wiegand {
    /// The payload as bytes in hex: 6 or 8 digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        format!("{:0width$X}", self.payload, width = usize::from(self.bits.saturating_sub(2)).div_ceil(4))
    }

    /// Facility and card of a 26-bit badge: 8 and 16 bits.
    #[must_use]
    pub fn facility_and_card(&self) -> Option<(u8, u16)> {
        (self.bits == 26).then(|| {
            let [_, facility, high, low] = self.payload.to_be_bytes();
            (facility, u16::from_be_bytes([high, low]))
        })
    }
}

impl fmt::Debug for Wiegand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wiegand({} bits)", self.bits)
    }
}

/// What an NTAG 424 tag mirrors into its NDEF text: encrypted PICCData and a MAC, see [`crate::sun`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SunMessage {
    /// The encrypted PICCData.
    pub picc: [u8; 16],
    /// The truncated CMAC.
    pub mac: [u8; 8],
}

impl fmt::Debug for SunMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SunMessage")
    }
}

impl SunMessage {
    /// Reads 24 bytes of base64url without padding.
    #[must_use]
    pub fn from_base64(word: &str) -> Option<Self> {
        let mut bytes = [0_u8; 24];
        if word.len() != 32 || URL_SAFE_NO_PAD.decode_slice(word, &mut bytes) != Ok(24) {
            return None;
        }
        let (picc, mac) = bytes.split_at(16);
        Some(Self { picc: picc.try_into().ok()?, mac: mac.try_into().ok()? })
    }

    /// As it travels.
    #[must_use]
    pub fn to_base64(&self) -> String {
        let mut bytes = [0_u8; 24];
        bytes[..16].copy_from_slice(&self.picc);
        bytes[16..].copy_from_slice(&self.mac);
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

/// Why an output changed without being told so by this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputCause {
    /// The lease of its last set ran out.
    Lease,
    /// The host was silent for longer than the lease of the adoption, or left.
    Host,
    /// The board started afresh.
    Reset,
    /// It did not change: it is stated because a host adopted the board.
    Adopted,
}

impl OutputCause {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "lease" => Some(Self::Lease),
            "host" => Some(Self::Host),
            "reset" => Some(Self::Reset),
            "hi" => Some(Self::Adopted),
            _ => None,
        }
    }
}

impl fmt::Display for OutputCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lease => "lease",
            Self::Host => "host",
            Self::Reset => "reset",
            Self::Adopted => "hi",
        })
    }
}

/// How a reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReaderHealth {
    /// It answers.
    Ok,
    /// It does not answer, and a reset did not help so far.
    Deaf,
    /// It had stopped answering, a reset brought it back.
    Healed,
}

impl ReaderHealth {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "ok" => Some(Self::Ok),
            "deaf" => Some(Self::Deaf),
            "healed" => Some(Self::Healed),
            _ => None,
        }
    }
}

impl fmt::Display for ReaderHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Deaf => "deaf",
            Self::Healed => "healed",
        })
    }
}

/// What happened at a board. Ages are how long ago, by the board's clock, when it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// A badge at a reader.
    Tag {
        /// Which reader.
        reader: u8,
        /// Which badge.
        uid: Uid,
    },
    /// A badge at a Wiegand reader.
    Wiegand {
        /// Which reader.
        reader: u8,
        /// What it read.
        code: Wiegand,
    },
    /// A badge that proves itself.
    Sun {
        /// Which reader.
        reader: u8,
        /// What the tag said.
        message: SunMessage,
    },
    /// A button, after debounce.
    Button {
        /// Which button.
        index: u8,
        /// Pressed or released.
        pressed: bool,
    },
    /// An analogue input, after hysteresis.
    Value {
        /// Which input.
        index: u8,
        /// 0..=1023.
        value: u16,
    },
    /// An output changed without being told so by this host.
    Output {
        /// Which output.
        output: u8,
        /// What it is now.
        value: u32,
        /// Why.
        cause: OutputCause,
    },
    /// A reader's health changed.
    Reader {
        /// Which reader.
        reader: u8,
        /// How it is.
        health: ReaderHealth,
    },
    /// Events that a full queue had to drop.
    Lost {
        /// How many since the board started.
        count: u32,
    },
}

/// Why a board refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// The firmware does not know the request.
    #[error("the firmware does not know this request")]
    Verb,
    /// The request's arguments do not fit.
    #[error("the firmware does not take these arguments")]
    Arg,
    /// There is no such output or part.
    #[error("the board has no such part")]
    Out,
    /// Not now.
    #[error("the board is busy")]
    Busy,
    /// Not before it is adopted.
    #[error("the board is not adopted")]
    Hi,
}

impl Refusal {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "verb" => Some(Self::Verb),
            "arg" => Some(Self::Arg),
            "out" => Some(Self::Out),
            "busy" => Some(Self::Busy),
            "hi" => Some(Self::Hi),
            _ => None,
        }
    }

    /// The word on the wire.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Verb => "verb",
            Self::Arg => "arg",
            Self::Out => "out",
            Self::Busy => "busy",
            Self::Hi => "hi",
        }
    }
}

/// What a part of a board is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its index, as asked.
    pub index: u8,
    /// Its kind, `relay` or `rc522`.
    pub kind: SmolStr,
    /// Its name in the firmware.
    pub name: SmolStr,
}

/// Counters of a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Brown-outs, ever.
    pub brown_outs: u16,
    /// Bites of the watchdog, ever.
    pub watchdogs: u16,
    /// Frames refused since it started.
    pub bad_frames: u16,
    /// Events dropped since it started.
    pub lost: u16,
    /// Least free memory seen, in bytes.
    pub free_ram: u16,
}

/// What a board says. The number belongs to the frame, see [`Frame::seq`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromBoard {
    /// Here I am.
    Hello(Hello),
    /// Something happened; wants `got`.
    Event {
        /// Milliseconds since it happened; 65535 means that or longer. Zero for what carries none.
        age_ms: u16,
        /// What.
        happening: Happening,
    },
    /// Done; the output is now this.
    Ok(u32),
    /// Not done.
    No(Refusal),
    /// What a part is.
    Is(Part),
    /// The counters.
    Stats(Stats),
}

impl FromBoard {
    /// Reads what a board says.
    ///
    /// # Errors
    /// [`BadMessage`] when this protocol has no such verb, or other arguments for it.
    pub fn parse(frame: &Frame<'_>) -> Result<Self, BadMessage> {
        match frame.verb {
            "hello" => hello(frame).map(Self::Hello),
            "ok" => frame.exactly().and_then(|[value]| num(value)).map(Self::Ok),
            "no" => frame.exactly().and_then(|[reason]| Refusal::parse(reason)).map(Self::No),
            "is" => part(frame).map(Self::Is),
            "stats" => stats(frame).map(Self::Stats),
            "tag" | "wg" | "sun" | "btn" | "val" | "out" | "part" | "lost" => {
                event(frame).map(|(age_ms, happening)| Self::Event { age_ms, happening })
            }
            _ => return Err(BadMessage::Verb),
        }
        .ok_or(BadMessage::Args)
    }

    /// Writes it, as a board does.
    ///
    /// # Errors
    /// [`BadFrame`] when names in it cannot travel.
    pub fn encode(&self, seq: u16) -> Result<Line, BadFrame> {
        match self {
            Self::Hello(Hello { protocol, firmware, id, boot, cause, buffer, caps }) => {
                encode(seq, format_args!("hello {protocol} {firmware} {id} {boot} {cause} {buffer} {caps}"))
            }
            Self::Ok(value) => encode(seq, format_args!("ok {value}")),
            Self::No(reason) => encode(seq, format_args!("no {}", reason.word())),
            Self::Is(Part { index, kind, name }) => encode(seq, format_args!("is {index} {kind} {name}")),
            Self::Stats(Stats { brown_outs, watchdogs, bad_frames, lost, free_ram }) => {
                encode(seq, format_args!("stats {brown_outs} {watchdogs} {bad_frames} {lost} {free_ram}"))
            }
            Self::Event { age_ms: age, happening } => match happening {
                Happening::Tag { reader, uid } => {
                    encode(seq, format_args!("tag {reader} {age} {}", uid.to_hex()))
                }
                Happening::Wiegand { reader, code } => {
                    encode(seq, format_args!("wg {reader} {age} {} {}", code.bits, code.to_hex()))
                }
                Happening::Sun { reader, message } => {
                    encode(seq, format_args!("sun {reader} {age} {}", message.to_base64()))
                }
                Happening::Button { index, pressed } => {
                    encode(seq, format_args!("btn {index} {age} {}", u8::from(*pressed)))
                }
                Happening::Value { index, value } => encode(seq, format_args!("val {index} {age} {value}")),
                Happening::Output { output, value, cause } => {
                    encode(seq, format_args!("out {output} {value} {cause}"))
                }
                Happening::Reader { reader, health } => encode(seq, format_args!("part {reader} {health}")),
                Happening::Lost { count } => encode(seq, format_args!("lost {count}")),
            },
        }
    }
}

fn hello(frame: &Frame<'_>) -> Option<Hello> {
    // A later protocol may say more and other things: that must not hide which protocol it is.
    let mut args = frame.args();
    let mut next = || args.next();
    let protocol = u16_word(next()?)?;
    let hello = Hello {
        protocol,
        firmware: next()?.into(),
        id: next()?.into(),
        boot: u16_word(next()?)?,
        cause: ResetCause::parse(next()?)?,
        buffer: u16_word(next()?)?,
        caps: Capabilities::parse(next()?)?,
    };
    let ours = next().is_none()
        && is_name(&hello.id)
        && hello.firmware.len() <= 8
        && (64..=9999).contains(&hello.buffer);
    (protocol != PROTOCOL || ours).then_some(hello)
}

/// 1..=12 of `A-Za-z0-9._-`: names of boards and of their parts.
fn is_name(word: &str) -> bool {
    (1..=12).contains(&word.len())
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

fn stats(frame: &Frame<'_>) -> Option<Stats> {
    let [brown_outs, watchdogs, bad_frames, lost, free_ram] = frame.exactly()?;
    Some(Stats {
        brown_outs: u16_word(brown_outs)?,
        watchdogs: u16_word(watchdogs)?,
        bad_frames: u16_word(bad_frames)?,
        lost: u16_word(lost)?,
        free_ram: u16_word(free_ram)?,
    })
}

fn part(frame: &Frame<'_>) -> Option<Part> {
    let [index, kind, name] = frame.exactly()?;
    Some(Part { index: u8_word(index)?, kind: kind.into(), name: name.into() })
}

fn event(frame: &Frame<'_>) -> Option<(u16, Happening)> {
    Some(match frame.verb {
        "tag" => {
            let [reader, age, uid] = frame.exactly()?;
            (u16_word(age)?, Happening::Tag { reader: u8_word(reader)?, uid: Uid::from_hex(uid)? })
        }
        "wg" => {
            let [reader, age, bits, payload] = frame.exactly()?;
            let bits = u8_word(bits)?;
            let mut bytes = [0_u8; 4];
            let read = hex_bytes(payload, &mut bytes)?.len();
            if !matches!((bits, read), (26, 3) | (34, 4)) {
                return None;
            }
            let payload = u32::from_be_bytes(bytes) >> (8 * (4 - u32::try_from(read).ok()?));
            (u16_word(age)?, Happening::Wiegand { reader: u8_word(reader)?, code: Wiegand { bits, payload } })
        }
        "sun" => {
            let [reader, age, message] = frame.exactly()?;
            let message = SunMessage::from_base64(message)?;
            (u16_word(age)?, Happening::Sun { reader: u8_word(reader)?, message })
        }
        "btn" => {
            let [index, age, pressed] = frame.exactly()?;
            let pressed = match pressed {
                "0" => false,
                "1" => true,
                _ => return None,
            };
            (u16_word(age)?, Happening::Button { index: u8_word(index)?, pressed })
        }
        "val" => {
            let [index, age, value] = frame.exactly()?;
            let value = u16::try_from(decimal(value, 1023)?).ok()?;
            (u16_word(age)?, Happening::Value { index: u8_word(index)?, value })
        }
        "out" => {
            let [output, value, cause] = frame.exactly()?;
            let (output, value) = (u8_word(output)?, num(value)?);
            (0, Happening::Output { output, value, cause: OutputCause::parse(cause)? })
        }
        "part" => {
            let [reader, health] = frame.exactly()?;
            (0, Happening::Reader { reader: u8_word(reader)?, health: ReaderHealth::parse(health)? })
        }
        "lost" => {
            let [count] = frame.exactly()?;
            (0, Happening::Lost { count: num(count)? })
        }
        _ => return None,
    })
}

/// What the host says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToBoard {
    /// Who are you? Not a sign of life.
    Who,
    /// You are mine now.
    Hi {
        /// Random for each run of a host, 1..=65535.
        session: u16,
        /// Silence of the host after which outputs go to their safe state, in milliseconds.
        lease_ms: u16,
    },
    /// I live.
    Ping,
    /// I leave: outputs to their safe state, now.
    Bye,
    /// Your event arrived.
    Got,
    /// An output is to be this.
    Set {
        /// Which output.
        output: u8,
        /// What.
        value: u32,
        /// After how many milliseconds it falls back; 0 for as long as the host lives.
        lease_ms: u32,
    },
    /// A line of a display.
    Text {
        /// Which output.
        output: u8,
        /// Which row.
        row: u8,
        /// What it is to show, as it reads; it is percent-encoded for the wire.
        text: SmolStr,
    },
    /// What is this part? Counted through the capabilities: readers, buttons, analogue inputs, outputs.
    Part {
        /// Which.
        index: u8,
    },
    /// How are your counters?
    Stat,
    /// Be called this, for ever.
    Id {
        /// 1..=12 of `A-Za-z0-9._-`.
        name: SmolStr,
    },
}

impl ToBoard {
    /// Reads what a host says.
    ///
    /// # Errors
    /// [`BadMessage`] when this protocol has no such verb, or other arguments for it.
    pub fn parse(frame: &Frame<'_>) -> Result<Self, BadMessage> {
        match frame.verb {
            "hi" => frame.exactly().and_then(|[protocol, session, lease]| {
                let (session, lease_ms) = (u16_word(session)?, u16_word(lease)?);
                (u16_word(protocol)? == PROTOCOL && session != 0).then_some(Self::Hi { session, lease_ms })
            }),
            "who" => frame.exactly().map(|[]| Self::Who),
            "ping" => frame.exactly().map(|[]| Self::Ping),
            "bye" => frame.exactly().map(|[]| Self::Bye),
            "got" => frame.exactly().map(|[]| Self::Got),
            "set" => frame.exactly().and_then(|[output, value, lease]| {
                let (value, lease_ms) = (num(value)?, num(lease)?);
                Some(Self::Set { output: u8_word(output)?, value, lease_ms })
            }),
            "txt" => frame.exactly().and_then(|[output, row, text]| {
                let (output, row) = (u8_word(output)?, u8_word(row)?);
                Some(Self::Text { output, row, text: from_wire(text)? })
            }),
            "part" => frame.exactly().and_then(|[index]| Some(Self::Part { index: u8_word(index)? })),
            "stat" => frame.exactly().map(|[]| Self::Stat),
            "id" => frame.exactly().and_then(|[name]| is_name(name).then(|| Self::Id { name: name.into() })),
            _ => return Err(BadMessage::Verb),
        }
        .ok_or(BadMessage::Args)
    }

    /// Writes it, as a host does.
    ///
    /// # Errors
    /// [`BadFrame`] when a text is too long for a frame.
    pub fn encode(&self, seq: u16) -> Result<Line, BadFrame> {
        match self {
            Self::Hi { session, lease_ms } => encode(seq, format_args!("hi {PROTOCOL} {session} {lease_ms}")),
            Self::Who => encode(seq, format_args!("who")),
            Self::Ping => encode(seq, format_args!("ping")),
            Self::Bye => encode(seq, format_args!("bye")),
            Self::Got => encode(seq, format_args!("got")),
            Self::Set { output, value, lease_ms } => {
                encode(seq, format_args!("set {output} {value} {lease_ms}"))
            }
            Self::Text { output, row, text } => {
                encode(seq, format_args!("txt {output} {row} {}", OnWire(text)))
            }
            Self::Part { index } => encode(seq, format_args!("part {index}")),
            Self::Stat => encode(seq, format_args!("stat")),
            Self::Id { name } if is_name(name) => encode(seq, format_args!("id {name}")),
            Self::Id { .. } => Err(BadFrame::Char),
        }
    }
}

/// A text as it travels: a space is `_`; `%`, `*`, `~`, `_` are percent-encoded; what is no printable ASCII becomes `?`,
/// for the displays know no more. An empty text is `_`, because a frame holds no empty word.
struct OnWire<'a>(&'a str);

impl fmt::Display for OnWire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_char('_');
        }
        for letter in self.0.chars() {
            match letter {
                ' ' => f.write_char('_')?,
                '*' | '~' | '%' | '_' => write!(f, "%{:02X}", u32::from(letter))?,
                '!'..='}' => f.write_char(letter)?,
                _ => f.write_char('?')?,
            }
        }
        Ok(())
    }
}

fn from_wire(word: &str) -> Option<SmolStr> {
    let mut text = String::with_capacity(word.len());
    let mut bytes = word.bytes();
    while let Some(byte) = bytes.next() {
        text.push(match byte {
            b'_' => ' ',
            b'%' => char::from(hex_digit(bytes.next()?)? << 4 | hex_digit(bytes.next()?)?),
            _ => char::from(byte),
        });
    }
    Some(text.into())
}

/// How long ago an age says that something happened.
#[must_use]
pub fn age(age_ms: u16) -> Duration {
    Duration::from_millis(u64::from(age_ms))
}

fn u8_word(word: &str) -> Option<u8> {
    decimal(word, 255).and_then(|value| u8::try_from(value).ok())
}

fn num(word: &str) -> Option<u32> {
    decimal(word, MAX_NUMBER)
}

fn u16_word(word: &str) -> Option<u16> {
    decimal(word, 65_535).and_then(|value| u16::try_from(value).ok())
}

/// Strict upper-case hex into `room`; nothing when it is odd or does not fit.
fn hex_bytes<'a>(word: &str, room: &'a mut [u8]) -> Option<&'a [u8]> {
    let digits = word.as_bytes();
    if !digits.len().is_multiple_of(2) || digits.len() / 2 > room.len() {
        return None;
    }
    for (slot, pair) in room.iter_mut().zip(digits.chunks_exact(2)) {
        *slot = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
    }
    Some(&room[..digits.len() / 2])
}

fn write_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from(b"0123456789ABCDEF"[usize::from(nibble)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_board(line: &str) -> Result<FromBoard, BadMessage> {
        FromBoard::parse(&Frame::parse(line.as_bytes()).unwrap())
    }

    #[test]
    fn a_hello_of_a_later_protocol_still_says_which() {
        let FromBoard::Hello(hello) =
            from_board("~0 hello 2 gw-9.0.0 future 12 unk 64 r1b0a0o1*D3D7").unwrap()
        else {
            panic!("a hello")
        };
        assert_eq!((hello.protocol, hello.firmware.as_str()), (2, "gw-9.0.0"));
    }

    #[test]
    fn a_uid_shows_in_no_debug_output() {
        let FromBoard::Event { happening, .. } = from_board("~1 tag 0 12 04A1B2C3D4E5F6*971F").unwrap()
        else {
            panic!("an event")
        };
        assert!(!format!("{happening:?}").contains("A1B2"), "{happening:?}");
    }

    #[test]
    fn texts_travel_whatever_they_hold() {
        for text in ["Hello, world!", "", "100% _~*", "(a){b}"] {
            let line = ToBoard::Text { output: 5, row: 1, text: text.into() }.encode(9).unwrap();
            let frame = Frame::parse(line.as_bytes().strip_suffix(b"\n").unwrap()).unwrap();
            let ToBoard::Text { text: read, .. } = ToBoard::parse(&frame).unwrap() else { panic!("a text") };
            assert_eq!(read.trim_end(), text);
        }
        let line = ToBoard::Text { output: 5, row: 1, text: "Tür".into() }.encode(9).unwrap();
        assert!(String::from_utf8_lossy(line.as_bytes()).contains(" T?r*"));
    }

    #[test]
    fn arguments_that_do_not_fit_are_no_message() {
        for words in [
            "tag 0 0 04A1",
            "tag 0 0 04a1b2c3",
            "tag 300 0 04A1B2C3",
            "wg 0 0 26 7BB26E01",
            "btn 0 0 2",
            "val 0 0 1024",
            "ok",
            "ok 1 2",
        ] {
            let line = encode(1, format_args!("{words}")).unwrap();
            let text = String::from_utf8(line.as_bytes().to_vec()).unwrap();
            assert_eq!(from_board(text.trim_end()), Err(BadMessage::Args), "{words}");
        }
    }
}
