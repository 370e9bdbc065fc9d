//! Opening what came, sealing what goes.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::header::TAG;
use super::mac::holds;
use super::{
    Dir, Fault, Form, HEADER_LIMIT, Header, MAX_SKEW_S, MESSAGE_LIMIT, Nonce, NonceField, Secret, Seq,
    SeqWindow, mac,
};

/// A message whose header could be read. Nothing in it is believed.
#[derive(Debug, Clone, Copy)]
pub struct Unverified<'a> {
    /// What the first line claims.
    pub header: Header<'a>,
    line: &'a str,
    body: &'a [u8],
}

impl<'a> Unverified<'a> {
    /// Reads the header line of a whole message.
    ///
    /// # Errors
    /// [`Fault::TooLong`], [`Fault::Malformed`], [`Fault::Version`].
    pub fn parse(message: &'a [u8]) -> Result<Self, Fault> {
        if message.len() > MESSAGE_LIMIT {
            return Err(Fault::TooLong);
        }
        let end = message.iter().take(HEADER_LIMIT + 1).position(|b| *b == b'\n').ok_or(Fault::Malformed)?;
        let line = std::str::from_utf8(&message[..end]).map_err(|_| Fault::Malformed)?;
        let (header, line) = Header::parse(line)?;
        Ok(Self { header, line, body: &message[end + 1..] })
    }

    /// Checks the MAC with the key that the header names.
    ///
    /// # Errors
    /// [`Fault::Forged`]. A body that is not what the digest says passes here, so that the refusal can
    /// be signed; [`Signed::admit`] refuses it.
    pub fn verify(self, secret: &Secret) -> Result<Signed<'a>, Fault> {
        if holds(self.header.form, secret, self.line, self.header.mac) {
            Ok(Signed { header: self.header, body: self.body })
        } else {
            Err(Fault::Forged)
        }
    }
}

/// A message whose header line was made with the object's key.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    header: Header<'a>,
    body: &'a [u8],
}

impl<'a> Signed<'a> {
    /// The header, believed.
    #[must_use]
    pub fn header(&self) -> &Header<'a> {
        &self.header
    }

    /// Lets an `up` in: digest, clock, boot, number, in this order. The number is taken in `window`.
    ///
    /// # Errors
    /// [`Fault::Malformed`] for another direction, [`Fault::Truncated`], [`Fault::Skew`],
    /// [`Fault::Nonce`], [`Fault::Replayed`], [`Fault::Reordered`].
    pub fn admit(self, now_s: i64, nonce: Nonce, window: &mut SeqWindow) -> Result<&'a [u8], Fault> {
        if self.header.dir != Dir::Up {
            return Err(Fault::Malformed);
        }
        let body = self.matching_body()?;
        if (self.header.time - now_s).abs() > MAX_SKEW_S {
            return Err(Fault::Skew);
        }
        if self.header.nonce != NonceField::Boot(nonce) {
            return Err(Fault::Nonce);
        }
        window.take(self.header.seq)?;
        Ok(body)
    }

    /// The body of an answer or ack to the message numbered `seq`.
    ///
    /// # Errors
    /// [`Fault::Malformed`] for another direction, [`Fault::Reordered`] for another number,
    /// [`Fault::Truncated`].
    pub fn answers(self, dir: Dir, seq: Seq) -> Result<&'a [u8], Fault> {
        if self.header.dir != dir {
            return Err(Fault::Malformed);
        }
        if self.header.seq != seq {
            return Err(Fault::Reordered);
        }
        self.matching_body()
    }

    /// The body of a push, for whoever plays a script: newer than `last` as (boot, seq) and in time.
    ///
    /// # Errors
    /// [`Fault::Malformed`], [`Fault::Truncated`], [`Fault::Skew`], [`Fault::Nonce`] for `0` as nonce,
    /// [`Fault::Replayed`] when it is not above `last`.
    pub fn push(self, now_s: i64, last: Option<(u32, Seq)>) -> Result<&'a [u8], Fault> {
        if self.header.dir != Dir::Push {
            return Err(Fault::Malformed);
        }
        let body = self.matching_body()?;
        if (self.header.time - now_s).abs() > MAX_SKEW_S {
            return Err(Fault::Skew);
        }
        let NonceField::Boot(nonce) = self.header.nonce else { return Err(Fault::Nonce) };
        if last.is_some_and(|last| (nonce.boot, self.header.seq) <= last) {
            return Err(Fault::Replayed);
        }
        Ok(body)
    }

    fn matching_body(&self) -> Result<&'a [u8], Fault> {
        let found: [u8; 32] = Sha256::digest(self.body).into();
        if bool::from(found.ct_eq(&self.header.digest)) { Ok(self.body) } else { Err(Fault::Truncated) }
    }
}

/// What a header says besides the body.
#[derive(Debug, Clone, Copy)]
pub struct Sealing<'a> {
    /// Which way.
    pub dir: Dir,
    /// Whose.
    pub object: &'a str,
    /// The id of the key.
    pub key_id: &'a str,
    /// The key.
    pub secret: &'a Secret,
    /// How to write the MAC.
    pub form: Form,
    /// The boot.
    pub nonce: NonceField,
    /// The number.
    pub seq: Seq,
    /// Unix seconds.
    pub time: i64,
}

/// Makes a whole message: header line, line feed, body.
#[must_use]
pub fn seal(what: &Sealing<'_>, body: &str) -> Vec<u8> {
    use std::fmt::Write as _;
    let Sealing { dir, object, key_id, secret, form, nonce, seq, time } = what;
    let mut line = String::with_capacity(HEADER_LIMIT + body.len());
    let mut digest = [0; 64];
    hex::encode_to_slice(Sha256::digest(body.as_bytes()), &mut digest)
        .unwrap_or_else(|_| unreachable!("64 digits for 32 bytes"));
    line.push_str(TAG);
    for field in [dir.token(), object, key_id] {
        line.push(' ');
        line.push_str(field);
    }
    let written = match nonce {
        NonceField::None => line.write_str(" 0"),
        NonceField::Boot(nonce) => write!(line, " {nonce}"),
    };
    written
        .and_then(|()| write!(line, " {} {time} ", seq.0))
        .unwrap_or_else(|_| unreachable!("a String takes all"));
    line.extend(digest.iter().map(|b| char::from(*b)));
    line.push(' ');
    line.push_str(form.token());
    let mac = mac(*form, secret, &line);
    line.push(' ');
    line.push_str(&mac);
    line.push('\n');
    line.push_str(body);
    line.into_bytes()
}
