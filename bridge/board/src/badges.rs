//! Whose badge is whose, and what a stranger's is called.
//!
//! ```text
//! # number                 name
//! 04A1B2C3D4E5F6           ada
//! 04DE5F1EACC040           grace   sun   5ACE7E50AB65D5D51FD5BF5A16B8205B   00000000000000000000000000000000
//! ```
//! A line with `sun` is an NTAG 424 DNA that proves itself: the key for its encrypted number (SDMMetaRead)
//! and the key of its MAC (SDMFileRead) follow. Its bare number then counts for nothing.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit as _, Mac as _};
use primrack_link::message::SunMessage;
use primrack_link::sun::SunKeys;
use sha2::Sha256;
use smol_str::SmolStr;

/// What is wrong with a badges file. Never shows a key.
#[derive(Debug, thiserror::Error)]
pub enum BadgesError {
    /// It cannot be read.
    #[error(
        "the badges file {path} cannot be read: {source}; make it with one line `UID NAME` a badge, mode 600"
    )]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others than its owner may read it.
    #[error("the badges file {path} may be read by others (mode {mode:o}): chmod 600 {path}")]
    Open {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A line that says nothing.
    #[error("{path}, line {line}: {what}; write `UID NAME`, or `UID NAME sun METAKEY FILEKEY`")]
    Line {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong, without the keys.
        what: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    name: SmolStr,
    sun: Option<SunKeys>,
}

/// Who a badge is said to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Holder {
    /// A name of the file.
    Known(SmolStr),
    /// Nobody of the file; the id is a keyed hash of the number.
    Stranger(SmolStr),
    /// A badge that should have proved itself and only showed its number.
    Unproved(SmolStr),
}

/// All known badges.
#[derive(Debug, Default)]
pub struct Badges {
    known: HashMap<Box<[u8]>, Known>,
    hash_key: [u8; 32],
}

impl Badges {
    /// No badges known; strangers are told apart under `hash_key`.
    #[must_use]
    pub fn none(hash_key: [u8; 32]) -> Self {
        Self { known: HashMap::new(), hash_key }
    }

    /// Reads a badges file, which only its owner may read.
    ///
    /// # Errors
    /// [`BadgesError`], with the line.
    pub fn read(path: &Path, hash_key: [u8; 32]) -> Result<Self, BadgesError> {
        use std::os::unix::fs::PermissionsExt as _;
        let read = |source| BadgesError::Read { path: path.to_owned(), source };
        let mode = std::fs::metadata(path).map_err(read)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(BadgesError::Open { path: path.to_owned(), mode });
        }
        Self::parse(path, &std::fs::read_to_string(path).map_err(read)?, hash_key)
    }

    fn parse(path: &Path, text: &str, hash_key: [u8; 32]) -> Result<Self, BadgesError> {
        let mut badges = Self::none(hash_key);
        for (at, line) in text.lines().enumerate() {
            let wrong =
                |what: &str| BadgesError::Line { path: path.to_owned(), line: at + 1, what: what.to_owned() };
            let fields: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
            let (uid, name, rest) = match fields.as_slice() {
                [] => continue,
                [uid, name, rest @ ..] => (uid, name, rest),
                [_] => return Err(wrong("a number without a name")),
            };
            let uid = hex::decode(uid).ok().filter(|uid| (3..=10).contains(&uid.len()));
            let uid = uid.ok_or_else(|| wrong("the number is not 3 to 10 bytes in hex digits"))?;
            let plain = name.len() <= 64
                && !name.starts_with("unknown-")
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
            if !plain {
                return Err(wrong("the name is not 1 to 64 of A-Z a-z 0-9 . _ - (and not unknown-…)"));
            }
            let sun = match rest {
                [] => None,
                ["sun", meta, file] => {
                    Some(SunKeys::from_hex(meta, file).map_err(|_| wrong("a key is not 32 hex digits"))?)
                }
                _ => return Err(wrong("after the name only `sun` and two keys may follow")),
            };
            if sun.is_some() && uid.len() != 7 {
                return Err(wrong("the number of an NTAG 424 has 7 bytes"));
            }
            let known = Known { name: SmolStr::new(name), sun };
            if badges.known.insert(uid.into(), known).is_some() {
                return Err(wrong("this number has a name already"));
            }
        }
        Ok(badges)
    }

    /// Takes the names and keys of another file, and goes on calling strangers as before.
    pub(crate) fn become_those(&mut self, new: Self) {
        self.known = new.known;
    }
    pub(crate) fn same_names_as(&self, other: &Self) -> bool {
        self.known == other.known
    }

    /// Of a text, for tests.
    #[cfg(test)]
    pub(crate) fn for_test(text: &str) -> Self {
        Self::parse(Path::new("badges"), text, [7; 32]).unwrap_or_else(|error| panic!("{error}"))
    }

    /// How many badges have a name.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Who shows a bare number.
    pub(crate) fn holder(&self, uid: &[u8]) -> Holder {
        match self.known.get(uid) {
            Some(Known { name, sun: None }) => Holder::Known(name.clone()),
            Some(Known { name, sun: Some(_) }) => Holder::Unproved(name.clone()),
            None => Holder::Stranger(self.stranger(uid)),
        }
    }

    /// Whose message it is, and which one of theirs; none when no badge of ours made it.
    pub(crate) fn prove(&self, message: &SunMessage) -> Option<(SmolStr, u32)> {
        self.known.iter().find_map(|(uid, known)| {
            let tap = known.sun.as_ref()?.verify(message).ok()?;
            (tap.uid.as_bytes() == &**uid).then(|| (known.name.clone(), tap.counter))
        })
    }

    /// What a number nobody knows is called: the same number the same way, and no way back to it
    /// without the key.
    pub(crate) fn stranger(&self, uid: &[u8]) -> SmolStr {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.hash_key)
            .unwrap_or_else(|_| unreachable!("a key of any length is taken"));
        mac.update(uid);
        SmolStr::new(format!("unknown-{}", hex::encode(&mac.finalize().into_bytes()[..4])))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const TEXT: &str = "# ours\n04A1B2C3D4E5F6 ada\n04DE5F1EACC040 grace sun 00000000000000000000000000000000 00000000000000000000000000000001 # proves\n";

    fn parse(text: &str) -> Result<Badges, String> {
        Badges::parse(Path::new("badges"), text, [7; 32]).map_err(|error| error.to_string())
    }

    #[test]
    fn a_badge_has_a_name_and_a_stranger_a_hash_that_depends_on_the_key() {
        let badges = parse(TEXT).unwrap();
        assert_eq!(badges.holder(&hex::decode("04A1B2C3D4E5F6").unwrap()), Holder::Known("ada".into()));
        let uid = [1, 2, 3, 4];
        let Holder::Stranger(name) = badges.holder(&uid) else { panic!("a stranger") };
        assert!(name.starts_with("unknown-") && name.len() == 16, "{name}");
        assert_eq!(badges.stranger(&uid), name);
        assert_ne!(Badges::none([8; 32]).stranger(&uid), name);
        assert!(!name.contains("01020304"));
    }

    #[test]
    fn a_badge_with_keys_counts_for_nothing_by_its_number_alone() {
        let badges = parse(TEXT).unwrap();
        let uid = hex::decode("04DE5F1EACC040").unwrap();
        assert_eq!(badges.holder(&uid), Holder::Unproved("grace".into()));
    }

    #[test]
    fn mistakes_name_the_line_and_never_show_a_key() {
        let told = |text: &str| parse(text).unwrap_err();
        assert!(told("\n04A1B2C3\n").contains("line 2: a number without a name"));
        assert!(told("04XX ada").contains("hex digits"));
        assert!(told("04A1B2C3 unknown-1").contains("name"));
        assert!(told("04A1B2C3 ada\n04a1b2c3 eve").contains("line 2: this number has a name already"));
        let key = told("04DE5F1EACC040 grace sun 5EC4E75EC4E7 00");
        assert!(key.contains("32 hex digits") && !key.contains("5EC4E7"), "{key}");
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("badges");
        std::fs::write(&path, TEXT).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(Badges::read(&path, [0; 32]).unwrap_err().to_string().contains("chmod 600"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(Badges::read(&path, [0; 32]).unwrap().len(), 2);
    }
}
