//! The three forms of the MAC.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use smol_str::SmolStr;
use subtle::ConstantTimeEq;

/// How a MAC was made and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// HMAC-SHA-256 in lower-case hex, as OpenSimulator's `llHMAC` gives it.
    Hex,
    /// HMAC-SHA-256 in Base64, as Second Life's `llHMAC` gives it.
    B64,
    /// Nested SHA-256, for OpenSimulator before it had `llHMAC`.
    Nest,
}

impl Form {
    /// All forms.
    pub const ALL: [Self; 3] = [Self::Hex, Self::B64, Self::Nest];

    /// The token in the header.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::Hex => "hex",
            Self::B64 => "b64",
            Self::Nest => "nest",
        }
    }
    /// The form of that token.
    #[must_use]
    pub fn from_token(token: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.token() == token)
    }
}

/// Why a text cannot be a key's secret. Never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a secret is 32 to 128 printable ASCII characters without space; `primrack object enrol` makes a good one"
)]
pub struct BadSecret;

/// An object's key. Shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(SmolStr);

impl Secret {
    /// Takes the secret's text.
    ///
    /// # Errors
    /// [`BadSecret`] when it is too short, too long or not printable ASCII.
    pub fn new(text: &str) -> Result<Self, BadSecret> {
        let fine = (32..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if fine { Ok(Self(SmolStr::new(text))) } else { Err(BadSecret) }
    }
    /// The text, for writing a notecard and nothing else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

fn hmac(secret: &Secret, line: &str) -> Hmac<Sha256> {
    // A key of any length is allowed (RFC 2104), so this cannot fail.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.0.as_bytes())
        .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
    mac.update(line.as_bytes());
    mac
}

fn hex_digest(parts: [&[u8]; 2]) -> [u8; 64] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let mut out = [0; 64];
    hex::encode_to_slice(hash.finalize(), &mut out)
        .unwrap_or_else(|_| unreachable!("64 digits for 32 bytes"));
    out
}

fn nest(secret: &Secret, line: &str) -> [u8; 64] {
    let kin = hex_digest([b"primrack-1-in ", secret.0.as_bytes()]);
    let kout = hex_digest([b"primrack-1-out ", secret.0.as_bytes()]);
    hex_digest([&kout, &hex_digest([&kin, line.as_bytes()])])
}

/// The MAC over `line` as text.
#[must_use]
pub fn mac(form: Form, secret: &Secret, line: &str) -> String {
    match form {
        Form::Hex => hex::encode(hmac(secret, line).finalize().into_bytes()),
        Form::B64 => STANDARD.encode(hmac(secret, line).finalize().into_bytes()),
        Form::Nest => nest(secret, line).iter().map(|b| char::from(*b)).collect(),
    }
}

/// Whether `claimed` is the MAC over `line`, in time that does not depend on where it differs.
pub(super) fn holds(form: Form, secret: &Secret, line: &str, claimed: &str) -> bool {
    match form {
        Form::Hex => {
            let mut raw = [0; 32];
            // One way to write a MAC, not two.
            let lower = claimed.bytes().all(|b| !b.is_ascii_uppercase());
            lower
                && hex::decode_to_slice(claimed, &mut raw).is_ok()
                && hmac(secret, line).verify_slice(&raw).is_ok()
        }
        Form::B64 => STANDARD.decode(claimed).is_ok_and(|raw| hmac(secret, line).verify_slice(&raw).is_ok()),
        Form::Nest => bool::from(nest(secret, line).as_slice().ct_eq(claimed.as_bytes())),
    }
}
