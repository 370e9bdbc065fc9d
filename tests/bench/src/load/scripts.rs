//! What an object sends, and whether what it gets back counts.

use primrack_wire::world::{Dir, Nonce, NonceField, Unverified};

use super::http::{Line, post};
use crate::words::{HOLDER, OWNER, avatar, callback, now_s, object_id, secret, signed};

/// What an answer was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The touch was accepted as an action of its own, by whom we think.
    Accepted,
    /// It was refused before anything was done, for the reason expected.
    Refused,
    /// Shed: too many.
    Shed,
    /// Anything else.
    Other,
}

/// Speaks for the objects of one connection.
pub(crate) trait Script: Send {
    /// Writes the next request.
    fn next(&mut self, out: &mut Vec<u8>);
    /// Judges the answer to it.
    fn judge(&mut self, status: u16, body: &[u8]) -> Answer;
}

/// Touches of the bridge's objects, one after the other.
#[derive(Debug)]
pub(crate) struct BridgeTouch {
    first: usize,
    count: usize,
    units: usize,
    nonce: Nonce,
    /// Touches so far; says whose turn it is.
    pub(crate) turn: usize,
    /// Numbers used before the first turn.
    base: u32,
    epoch: u64,
    /// Ids of accepted events, where they are wanted.
    pub(crate) accepted: Option<Vec<(usize, String)>>,
    object: usize,
    seq: u32,
}

impl BridgeTouch {
    /// For `count` objects from `first` on, with numbers above `base`. Event ids are made of `epoch`.
    pub(crate) fn new(first: usize, count: usize, units: usize, nonce: Nonce, base: u32, epoch: u64) -> Self {
        Self { first, count, units, nonce, turn: 0, base, epoch, accepted: None, object: 0, seq: 0 }
    }
    fn event(&self) -> String {
        format!("{}.{}", self.epoch, self.seq)
    }
}

/// The body of one touch.
pub(crate) fn touch_body(event: &str, unit: usize, person: usize) -> String {
    format!(
        r#"{{"do":"events","holder":"{HOLDER}","list":[{{"id":"{event}","on":"touch","unit":{unit},"who":"{}","name":"Bench Resident"}}]}}"#,
        avatar(person)
    )
}

impl Script for BridgeTouch {
    fn next(&mut self, out: &mut Vec<u8>) {
        let round = self.turn / self.count;
        self.object = self.first + self.turn % self.count;
        self.seq = self.base + 1 + u32::try_from(round).unwrap_or(u32::MAX);
        self.turn += 1;
        let body = touch_body(&self.event(), round % self.units, self.turn);
        let message = signed(Dir::Up, self.object, NonceField::Boot(self.nonce), self.seq, &body);
        post(out, "/world/1", "", &message);
    }

    fn judge(&mut self, status: u16, body: &[u8]) -> Answer {
        if status == 429 {
            return Answer::Shed;
        }
        let Ok(answer) = Unverified::parse(body).and_then(|it| it.verify(&secret(self.object))) else {
            return Answer::Other;
        };
        let seq = primrack_wire::world::Seq(self.seq);
        let Some(text) =
            answer.answers(Dir::Answer, seq).ok().and_then(|body| std::str::from_utf8(body).ok())
        else {
            return Answer::Other;
        };
        // Joining what is under way is accepted too, but is no action of its own.
        if text.contains(r#""verdict":"accepted""#) && !text.contains(" already, ") {
            let event = self.event();
            if let Some(accepted) = &mut self.accepted {
                accepted.push((self.object, event));
            }
            Answer::Accepted
        } else if text.contains("too-many") {
            Answer::Shed
        } else {
            Answer::Other
        }
    }
}

/// Touches of the reference's objects.
#[derive(Debug)]
pub(crate) struct LimitTouch {
    first: usize,
    count: usize,
    turn: usize,
    nonce: u64,
}

impl LimitTouch {
    /// For `count` objects from `first` on; nonces rise from the clock.
    pub(crate) fn new(first: usize, count: usize) -> Self {
        let nonce = u64::try_from(now_s()).unwrap_or(0) << 24;
        Self { first, count, turn: 0, nonce }
    }
}

impl Script for LimitTouch {
    fn next(&mut self, out: &mut Vec<u8>) {
        use hmac::{Hmac, KeyInit as _, Mac as _};
        let object = self.first + self.turn % self.count;
        self.turn += 1;
        self.nonce += 1;
        let body = format!(
            r#"{{"object":{object},"unit":3,"who":"{}","name":"Bench Resident","holder":"{HOLDER}","owner":"{OWNER}","region":"Bench","grid":"opensim-0.9.3","nonce":{},"at":{}}}"#,
            avatar(self.turn),
            self.nonce,
            now_s()
        );
        let key = secret(object);
        let Ok(mut mac) = Hmac::<sha2::Sha256>::new_from_slice(key.reveal().as_bytes()) else { return };
        mac.update(body.as_bytes());
        let mac = format!(
            "content-type: application/json\r\nx-mac: {}\r\n",
            hex::encode(mac.finalize().into_bytes())
        );
        post(out, "/touch", &mac, body.as_bytes());
    }

    fn judge(&mut self, status: u16, body: &[u8]) -> Answer {
        if status == 200 && body.starts_with(br#"{"ok""#) { Answer::Accepted } else { Answer::Other }
    }
}

/// Ways to be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rejected {
    /// Signed with another key.
    Forged,
    /// The same message over and over.
    Replayed,
    /// More than a message may have.
    Oversize,
    /// From an object that nobody enrolled.
    Unknown,
}

impl Rejected {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Forged, Self::Replayed, Self::Oversize, Self::Unknown];
    /// The reason that the bridge gives.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Forged => "forged",
            Self::Replayed => "replayed",
            Self::Oversize => "too-long",
            Self::Unknown => "unknown-object",
        }
    }
}

struct Refused {
    reason: &'static str,
    request: Vec<u8>,
}

impl Script for Refused {
    fn next(&mut self, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.request);
    }
    fn judge(&mut self, _: u16, body: &[u8]) -> Answer {
        // A number too far below the newest is refused as reordered: nobody can tell any more.
        let also = if self.reason == "replayed" { "reordered" } else { self.reason };
        let found =
            std::str::from_utf8(body).is_ok_and(|text| text.contains(self.reason) || text.contains(also));
        if found { Answer::Refused } else { Answer::Other }
    }
}

/// A script whose every message is refused for this reason. For `Replayed`, `object`'s number 1 must
/// have been used.
pub(crate) fn rejected(how: Rejected, object: usize, nonce: Nonce) -> Box<dyn Script> {
    let boot = NonceField::Boot(nonce);
    let body = touch_body("1.1", 0, object);
    let message = match how {
        Rejected::Forged => {
            let mut message = signed(Dir::Up, object, boot, 2, &body);
            let end = message.iter().position(|b| *b == b'\n').unwrap_or(1);
            message[end - 1] = if message[end - 1] == b'0' { b'1' } else { b'0' };
            message
        }
        Rejected::Replayed => signed(Dir::Up, object, boot, 1, &body),
        Rejected::Oversize => {
            let mut message = signed(Dir::Up, object, boot, 2, &body);
            message.resize(9000, b' ');
            message
        }
        Rejected::Unknown => signed(Dir::Up, 900_000_000 + object, boot, 2, &body),
    };
    let mut request = Vec::new();
    post(&mut request, "/world/1", "", &message);
    Box::new(Refused { reason: how.reason(), request })
}

/// Learns the bridge's nonce as a script does: by being refused for an old one.
pub(crate) async fn greet(port: u16, object: usize) -> anyhow::Result<Nonce> {
    let mut line = Line::open(port).await?;
    let mut request = Vec::new();
    post(&mut request, "/world/1", "", &signed(Dir::Up, object, NonceField::None, 1, "{}"));
    let (_, body) = line.ask(&request).await?;
    let answer = Unverified::parse(body)?.verify(&secret(object))?;
    match answer.header().nonce {
        NonceField::Boot(nonce) => Ok(nonce),
        NonceField::None => anyhow::bail!("an answer without the bridge's nonce"),
    }
}

/// Registers the objects of one connection, one after the other.
struct Registers {
    objects: std::ops::Range<usize>,
    nonce: Nonce,
    seq: u32,
    sink: u16,
    manner: &'static str,
    object: usize,
}

impl Script for Registers {
    fn next(&mut self, out: &mut Vec<u8>) {
        self.object = self.objects.next().unwrap_or(self.object);
        let url = callback(self.object, self.sink, self.manner);
        let body = format!(
            r#"{{"do":"register","url":"{url}","holder":"{HOLDER}","owner":"{OWNER}","region":"Bench","grid":"bench","script":"bench 1","units":"0"}}"#
        );
        post(
            out,
            "/world/1",
            "",
            &signed(Dir::Up, self.object, NonceField::Boot(self.nonce), self.seq, &body),
        );
    }
    fn judge(&mut self, _: u16, body: &[u8]) -> Answer {
        let signed = Unverified::parse(body).and_then(|it| it.verify(&secret(self.object)));
        let seq = primrack_wire::world::Seq(self.seq);
        let body = signed.and_then(|it| it.answers(Dir::Answer, seq));
        let fine = body
            .ok()
            .and_then(|body| std::str::from_utf8(body).ok())
            .is_some_and(|it| it.contains("registered"));
        if fine { Answer::Accepted } else { Answer::Other }
    }
}

/// A script that registers these objects with number `seq`.
pub(crate) fn register(
    objects: std::ops::Range<usize>,
    nonce: Nonce,
    seq: u32,
    sink: u16,
) -> Box<dyn Script> {
    let object = objects.start;
    debug_assert!(object_id(object).len() < 64);
    Box::new(Registers { objects, nonce, seq, sink, manner: "o", object })
}
