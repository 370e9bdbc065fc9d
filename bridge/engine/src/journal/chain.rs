//! The hash chain.
//!
//! ```text
//! hash(0) = SHA-256("primrack journal 1" ‖ the file's id, 16 bytes)
//! hash(n) = SHA-256(hash(n-1) ‖ n as u64 ‖ at as i64 ‖ kind as u8 ‖ body)      numbers big-endian
//! ```
//! All fields before the body have a fixed size, so no two entries have the same input. The chain shows
//! that something was changed; that nothing was cut off its end shows only a head kept elsewhere.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The hash of an entry.
pub(super) type Hash = [u8; 32];

/// The end of the chain: what to export, so that a later check can tell that nothing was cut or rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Head {
    /// The number of the last entry; 0 before the first.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

impl Head {
    /// Where the chain of the file with this id begins.
    pub(super) fn genesis(id: &[u8]) -> Self {
        let hash = Sha256::new().chain_update(b"primrack journal 1").chain_update(id).finalize();
        Self { seq: 0, hash: hash.into() }
    }
    /// The head after one more entry.
    pub(super) fn after(self, at: i64, kind: u8, body: &[u8]) -> Self {
        let seq = self.seq + 1;
        let mut fixed = [0u8; 49];
        fixed[..32].copy_from_slice(&self.hash);
        fixed[32..40].copy_from_slice(&seq.to_be_bytes());
        fixed[40..48].copy_from_slice(&at.to_be_bytes());
        fixed[48] = kind;
        let hash = Sha256::new().chain_update(fixed).chain_update(body).finalize();
        Self { seq, hash: hash.into() }
    }
}

impl fmt::Display for Head {
    /// `seq:hash in hex`, as exported.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, hex::encode(self.hash))
    }
}

/// A text that is no head.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no head of a journal: it is written as the entry's number, a colon and 64 hex digits")]
pub struct BadHead(pub String);

impl FromStr for Head {
    type Err = BadHead;
    fn from_str(text: &str) -> Result<Self, BadHead> {
        let bad = || BadHead(text.chars().take(100).collect());
        let (seq, hash) = text.trim().split_once(':').ok_or_else(bad)?;
        let mut head = Self { seq: seq.parse().map_err(|_| bad())?, hash: [0; 32] };
        hex::decode_to_slice(hash, &mut head.hash).map_err(|_| bad())?;
        Ok(head)
    }
}

impl Serialize for Head {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Head {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_reads_back_and_nothing_else_does() {
        let head = Head::genesis(b"0123456789abcdef").after(5, 2, b"{}");
        assert_eq!(head.to_string().parse(), Ok(head));
        for bad in
            ["", "1", "1:", "1:00", "x:0000000000000000000000000000000000000000000000000000000000000000"]
        {
            assert!(bad.parse::<Head>().is_err(), "{bad:?} was taken");
        }
    }

    /// Frozen: journals in use were written so. Computed apart from this code with Python's hashlib.
    #[test]
    fn the_hash_is_the_documented_one() {
        let genesis = Head::genesis(b"0123456789abcdef");
        let head = genesis.after(1_195_776_000_123, 7, br#"{"kind":"closed","at":1195776000123}"#);
        assert_eq!(hex::encode(genesis.hash), GENESIS);
        assert_eq!(hex::encode(head.hash), FIRST);
    }
    const GENESIS: &str = "f691c635332a68f337b2ebdf95497d87e50b3f4c94ce8e3f0dd205fe3ca85c05";
    const FIRST: &str = "57c8005496838a317a7a99005a874ea2eb17045f3ec9a9ebae26c8714d2a3136";
}
