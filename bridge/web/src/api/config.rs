//! `[api]`: who may come in, and how often.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use primrack_model::ObjectId;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use smol_str::SmolStr;

/// The shortest token, in characters: 32 characters of hex or base64 cannot be guessed.
const SHORTEST: usize = 32;
/// The longest file of a token, in bytes.
const LONGEST: u64 = 4096;
/// Most tokens.
const TOKENS: usize = 256;
/// What stands before the digest of a token that is not kept itself.
const DIGEST: &str = "sha256:";

/// `[api]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// Requests a second of one token, on average.
    pub requests_per_s: f32,
    /// Requests of one token at once.
    pub request_burst: f32,
    /// Who may come in, by name: the name is the actor `web:NAME` for policy and journal.
    pub tokens: BTreeMap<SmolStr, TokenConfig>,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self { requests_per_s: 50.0, request_burst: 200.0, tokens: BTreeMap::new() }
    }
}

/// `[api.tokens.NAME]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// A file with the token, or with `sha256:` and its digest in hex; readable by its owner only.
    pub file: PathBuf,
    /// Which doors it opens.
    pub scopes: Vec<Scope>,
}

/// A door of the API. What may be done behind it, the policy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// States, objects, boards, outcomes.
    Read,
    /// Commands.
    Act,
    /// The journal, the emergency stop, reloading.
    Admin,
}

impl Scope {
    /// The word in configuration and document.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Act => "act",
            Self::Admin => "admin",
        }
    }
}

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct ApiConfigError {
    /// The keys below `[api]`.
    pub place: Vec<String>,
    /// What is wrong.
    pub words: String,
    /// What to do.
    pub hint: String,
}

/// A token as it is kept: its digest, never itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) name: SmolStr,
    pub(crate) digest: [u8; 32],
    pub(crate) scopes: Vec<Scope>,
}

/// What was configured, checked, with its files read.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiPlan {
    pub(crate) tokens: Vec<Known>,
    pub(crate) requests_per_s: f64,
    pub(crate) request_burst: f64,
}

impl ApiPlan {
    /// How many tokens there are.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.tokens.len()
    }
}

/// The digest under which a token is known. A fast hash is right here: a token has 128 bits of chance and more,
/// so nobody tries them all.
pub(crate) fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

impl ApiConfig {
    /// Makes relative paths start at `base`.
    pub fn resolve(&mut self, base: &Path) {
        for token in self.tokens.values_mut() {
            token.file = base.join(&token.file);
        }
    }

    /// Checks it and reads its files.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn plan(&self) -> Result<ApiPlan, ApiConfigError> {
        let Self { requests_per_s, request_burst, tokens } = self;
        for (key, value) in [("requests_per_s", *requests_per_s), ("request_burst", *request_burst)] {
            if !(value.is_finite() && (1.0..=1_000_000.0).contains(&value)) {
                let words = format!("{value} is not a number from 1 to 1000000");
                return Err(wrong(&[key], words, format!("{key} = 50.0")));
            }
        }
        if tokens.len() > TOKENS {
            let words = format!("{} tokens are more than {TOKENS}", tokens.len());
            return Err(wrong(&["tokens"], words, "let programs of one kind share a token"));
        }
        let mut known: Vec<Known> = Vec::new();
        for (name, TokenConfig { file, scopes }) in tokens {
            let at = |key: &str| ["tokens".to_owned(), name.to_string(), key.to_owned()];
            let bad = |key: &str, words: String, hint: &str| ApiConfigError {
                place: at(key).to_vec(),
                words: format!("token {name}: {words}"),
                hint: hint.to_owned(),
            };
            ObjectId::new(name).map_err(|_| {
                let words =
                    "a name is 1 to 64 of the characters A-Z a-z 0-9 . _ - and starts with a letter or digit";
                bad("", words.to_owned(), "rename it")
            })?;
            if scopes.is_empty() {
                let words = "it has no scope, so nothing could be done with it".to_owned();
                return Err(bad("scopes", words, "scopes = [\"read\"]"));
            }
            let digest = read(file).map_err(|(words, hint)| bad("file", words, &hint))?;
            if let Some(other) = known.iter().find(|other| other.digest == digest) {
                let words =
                    format!("it is the same as that of {}, so nobody could tell them apart", other.name);
                return Err(bad("file", words, "make another with `openssl rand -hex 32`"));
            }
            let mut scopes = scopes.clone();
            scopes.sort_unstable();
            scopes.dedup();
            known.push(Known { name: name.clone(), digest, scopes });
        }
        Ok(ApiPlan {
            tokens: known,
            requests_per_s: f64::from(*requests_per_s),
            request_burst: f64::from(*request_burst),
        })
    }
}

fn wrong(place: &[&str], words: impl Into<String>, hint: impl Into<String>) -> ApiConfigError {
    let place = place.iter().map(|key| (*key).to_owned()).collect();
    ApiConfigError { place, words: words.into(), hint: hint.into() }
}

/// The digest of the token in a file, or what is wrong with the file and what to do.
fn read(file: &Path) -> Result<[u8; 32], (String, String)> {
    let shown = file.display();
    let about = fs::metadata(file).map_err(|error| {
        let hint = format!("umask 077; openssl rand -hex 32 > {shown}");
        (format!("{shown}: {error}"), hint)
    })?;
    let mode = about.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err((format!("others may read {shown} (mode {mode:o})"), format!("chmod 600 {shown}")));
    }
    if about.len() > LONGEST {
        return Err((format!("{shown} is too large for a token"), "is it the right file?".to_owned()));
    }
    let text = fs::read_to_string(file)
        .map(SecretString::from)
        .map_err(|error| (format!("{shown}: {error}"), "a token is text".to_owned()))?;
    let text = text.expose_secret().trim();
    if let Some(hashed) = text.strip_prefix(DIGEST) {
        let bytes = hex::decode(hashed).ok().and_then(|bytes| bytes.try_into().ok());
        return bytes.ok_or_else(|| {
            let words = format!("what follows {DIGEST} in {shown} is not 64 digits of hex");
            (words, "printf %s TOKEN | sha256sum".to_owned())
        });
    }
    // RFC 6750, section 2.1: what can stand in the header.
    let fine =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=');
    if text.len() < SHORTEST || !text.bytes().all(fine) {
        let words =
            format!("{shown} has no token: {SHORTEST} or more of the characters A-Z a-z 0-9 - . _ ~ + / =");
        return Err((words, format!("umask 077; openssl rand -hex 32 > {shown}")));
    }
    Ok(digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
        let file = folder.join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        file
    }

    fn plan(tokens: &[(&str, &Path)]) -> Result<ApiPlan, ApiConfigError> {
        let token = |file: &Path| TokenConfig { file: file.to_owned(), scopes: vec![Scope::Read] };
        let tokens = tokens.iter().map(|(name, file)| (SmolStr::new(name), token(file))).collect();
        ApiConfig { tokens, ..ApiConfig::default() }.plan()
    }

    #[test]
    fn a_token_is_kept_as_its_digest_only_and_may_be_given_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let secret = "0123456789abcdef0123456789abcdef";
        let plain = file(folder.path(), "plain", &format!("{secret}\n"), 0o600);
        let hashed = file(
            folder.path(),
            "hashed",
            &format!("sha256:{}", hex::encode(digest(secret.as_bytes()))),
            0o600,
        );
        let one = plan(&[("a", &plain)]).unwrap();
        assert_eq!(one.tokens[0].digest, plan(&[("a", &hashed)]).unwrap().tokens[0].digest);
        assert!(!format!("{one:?}").contains(secret));
        let twice = plan(&[("a", &plain), ("b", &hashed)]).unwrap_err();
        assert!(twice.words.contains("the same as that of a"), "{twice}");
    }

    #[test]
    fn files_that_cannot_be_used_are_told_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let open = file(folder.path(), "open", &"x".repeat(40), 0o644);
        assert!(plan(&[("a", &open)]).unwrap_err().hint.starts_with("chmod 600"));
        let short = file(folder.path(), "short", "hush", 0o600);
        let refused = plan(&[("a", &short)]).unwrap_err();
        assert!(refused.hint.contains("openssl rand") && !refused.words.contains("hush"), "{refused}");
        let none = plan(&[("a", &folder.path().join("none"))]).unwrap_err();
        assert_eq!(none.place, ["tokens", "a", "file"]);
        let bad = file(folder.path(), "bad", "sha256:xyz", 0o600);
        assert!(plan(&[("a", &bad)]).unwrap_err().words.contains("64 digits"));
    }
}
