//! The keys of enrolled objects: one file, one line a key.
//!
//! ```text
//! # object  key id  secret                                                            [until]
//! rack-1    a       3f1c9a7b…64 hex digits…                                           2026-12-24T00:00:00Z
//! rack-1    b       77ab01c4…
//! ```
//! Several lines of one object are keys that are valid side by side; `until` ends one, which is how a key
//! is changed without a gap.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use primrack_model::{ObjectId, UnixMs};
use primrack_wire::world::{KeyId, Secret};

/// What is wrong with a key file. Never shows a secret.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// It cannot be read.
    #[error("the key file {path} cannot be read: {source}; `primrack object enrol` makes it")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others than its owner may read it.
    #[error("the key file {path} may be read by others (mode {mode:o}): chmod 600 {path}")]
    Open {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A line that says nothing.
    #[error("{path}, line {line}: {what}; write `object key-id secret [until]`")]
    Line {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong, without the secret.
        what: String,
    },
}

/// One key of an object.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its id, as in the header.
    pub id: KeyId,
    /// The secret.
    pub secret: Secret,
    /// The end of its time.
    pub until: Option<UnixMs>,
}

impl Key {
    fn is_valid(&self, now: UnixMs) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// The keys of all enrolled objects.
#[derive(Debug, Default)]
pub struct Keyring {
    keys: HashMap<ObjectId, Vec<Key>>,
}

impl Keyring {
    /// Reads a key file, which only its owner may read.
    ///
    /// # Errors
    /// [`KeysError`], with the line.
    pub fn read(path: &Path) -> Result<Self, KeysError> {
        use std::os::unix::fs::PermissionsExt as _;
        let read = |source| KeysError::Read { path: path.to_owned(), source };
        let mode = std::fs::metadata(path).map_err(read)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeysError::Open { path: path.to_owned(), mode });
        }
        Self::parse(path, &std::fs::read_to_string(path).map_err(read)?)
    }

    /// Reads the text of a key file; `path` is for messages.
    ///
    /// # Errors
    /// [`KeysError::Line`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, KeysError> {
        let mut ring = Self::default();
        for (at, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            let mut fields = line.split_whitespace();
            let Some(object) = fields.next() else { continue };
            let wrong = |what: String| KeysError::Line { path: path.to_owned(), line: at + 1, what };
            let object = ObjectId::new(object).map_err(|error| wrong(error.to_string()))?;
            let id = fields.next().and_then(KeyId::new);
            let id = id.ok_or_else(|| wrong("the key id is not 1 to 8 letters or digits".to_owned()))?;
            let secret =
                Secret::new(fields.next().unwrap_or_default()).map_err(|error| wrong(error.to_string()))?;
            let until = match fields.next() {
                None => None,
                Some(text) => match text.parse::<jiff::Timestamp>() {
                    Ok(until) => Some(UnixMs(until.as_millisecond())),
                    Err(_) => return Err(wrong(format!("{text:?} is no time such as 2026-12-24T00:00:00Z"))),
                },
            };
            if fields.next().is_some() {
                return Err(wrong("there is more on the line than four fields".to_owned()));
            }
            let keys = ring.keys.entry(object).or_default();
            if keys.iter().any(|key| key.id == id) {
                return Err(wrong(format!("the object has a key {:?} already", id.as_str())));
            }
            keys.push(Key { id, secret, until });
            keys.shrink_to_fit();
        }
        Ok(ring)
    }

    /// Adds a key; for tests, benchmarks and programs that enrol by themselves.
    pub fn insert(&mut self, object: ObjectId, key: Key) {
        self.keys.entry(object).or_default().push(key);
    }

    /// Whether the object is enrolled.
    #[must_use]
    pub fn knows(&self, object: &str) -> bool {
        self.keys.contains_key(object)
    }
    /// All keys of an object, expired ones too.
    #[must_use]
    pub fn of(&self, object: &str) -> &[Key] {
        self.keys.get(object).map_or(&[], Vec::as_slice)
    }
    /// The valid key of that id.
    #[must_use]
    pub fn find(&self, object: &str, key_id: &str, now: UnixMs) -> Option<&Key> {
        self.of(object).iter().find(|key| key.id.as_str() == key_id && key.is_valid(now))
    }
    /// All enrolled objects.
    pub fn objects(&self) -> impl Iterator<Item = &ObjectId> {
        self.keys.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn parse(text: &str) -> Result<Keyring, KeysError> {
        Keyring::parse(Path::new("world.keys"), text)
    }

    #[test]
    fn two_keys_are_valid_until_one_ends() {
        let ring =
            parse(&format!("rack-1 a {SECRET} 2026-01-01T00:00:00Z # old\n\nrack-1 b {SECRET}x\n")).unwrap();
        let (before, after) = (UnixMs(1_767_225_599_999), UnixMs(1_767_225_600_000));
        assert!(ring.find("rack-1", "a", before).is_some() && ring.find("rack-1", "b", before).is_some());
        assert!(ring.find("rack-1", "a", after).is_none() && ring.find("rack-1", "b", after).is_some());
        assert!(ring.find("rack-2", "a", before).is_none() && !ring.knows("rack-2"));
    }

    #[test]
    fn a_mistake_names_the_line_and_no_secret() {
        for bad in [
            format!("rack-1 a {SECRET}\nrack-1 a {SECRET}"),
            format!("ok a {SECRET}\nrack-1 a-b {SECRET}"),
            format!("ok a {SECRET}\nrack-1 a {SECRET} tomorrow"),
            "ok a 0123456789abcdef0123456789abcdef\nrack-1 a short".to_owned(),
        ] {
            let error = parse(&bad).unwrap_err().to_string();
            assert!(error.starts_with("world.keys, line 2: ") && !error.contains("0123456789"), "{error}");
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Keyring::read(file.path()), Err(KeysError::Open { mode: 0o640, .. })));
    }
}
