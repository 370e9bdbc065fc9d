//! Which topic means what.

use std::fmt;

use primrack_model::{BadId, TargetId};
use smol_str::SmolStr;

/// A name in a topic that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {found:?} cannot be part of a topic: use 1 to 64 of the characters A-Z a-z 0-9 . _ -{also}")]
pub struct BadTopic {
    what: &'static str,
    found: String,
    also: &'static str,
}

/// The name under which a program has logged in at the broker, as its access list puts it into the topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Account(SmolStr);

impl Account {
    /// Takes a name that keeps the rules of an id.
    ///
    /// # Errors
    /// [`BadTopic`] otherwise.
    pub fn new(text: &str) -> Result<Self, BadTopic> {
        if plain(text) {
            Ok(Self(SmolStr::new(text)))
        } else {
            Err(BadTopic { what: "the account", found: text.chars().take(80).collect(), also: "" })
        }
    }
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn plain(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// All topics below one prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    prefix: SmolStr,
}

impl Topics {
    /// Topics below `prefix`, which may have several levels: `primrack`, `site-1/primrack`.
    ///
    /// # Errors
    /// [`BadTopic`] for a wildcard, an empty level or a strange character.
    pub fn new(prefix: &str) -> Result<Self, BadTopic> {
        if prefix.len() <= 128 && prefix.split('/').all(plain) {
            Ok(Self { prefix: SmolStr::new(prefix) })
        } else {
            let found = prefix.chars().take(80).collect();
            Err(BadTopic { what: "the prefix", found, also: ", and / between levels" })
        }
    }
    /// Whether the bridge is there: `online` or `offline`, retained.
    #[must_use]
    pub fn status(&self) -> String {
        format!("{}/status", self.prefix)
    }
    /// What a target shows, retained.
    #[must_use]
    pub fn state(&self, target: &str) -> String {
        format!("{}/state/{target}", self.prefix)
    }
    /// The filter for all commands.
    #[must_use]
    pub fn commands(&self) -> String {
        format!("{}/do/+/+", self.prefix)
    }
    /// Where an account commands a target.
    #[must_use]
    pub fn command(&self, account: &Account, target: &str) -> String {
        format!("{}/do/{account}/{target}", self.prefix)
    }
    /// Whether something lies among the commands at all, well-formed or not.
    #[must_use]
    pub fn is_command(&self, topic: &str) -> bool {
        topic.strip_prefix(&*self.prefix).is_some_and(|rest| rest.starts_with("/do/"))
    }
    /// Who commands what, by a command's topic.
    ///
    /// # Errors
    /// `None` where it is no command; the mistake where a name in it cannot be one.
    #[must_use]
    pub fn read_command(&self, topic: &str) -> Option<Result<(Account, TargetId), String>> {
        let rest = topic.strip_prefix(&*self.prefix)?.strip_prefix("/do/")?;
        let (account, target) = rest.split_once('/')?;
        let read =
            Account::new(account).map_err(|bad| bad.to_string()).and_then(|account| {
                match TargetId::new(target) {
                    Ok(target) => Ok((account, target)),
                    Err(bad @ BadId { .. }) => Err(bad.to_string()),
                }
            });
        Some(read)
    }
    /// Where an account hears its receipts.
    #[must_use]
    pub fn receipt(&self, account: &Account) -> String {
        format!("{}/receipt/{account}", self.prefix)
    }
    /// Whether a response topic that came with a command is one of this account's own: a bridge that answered
    /// anywhere could be made to command itself as somebody else.
    #[must_use]
    pub fn may_answer(&self, account: &Account, topic: &str) -> bool {
        let own = self.receipt(account);
        topic.len() <= 256
            && !topic.contains(['+', '#', '\0'])
            && topic.strip_prefix(&own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
    /// Where an account hears how its commands ended.
    #[must_use]
    pub fn ended(&self, account: &Account) -> String {
        format!("{}/ended/{account}", self.prefix)
    }
    /// Where a reader's tags are told.
    #[must_use]
    pub fn tag(&self, board: &str, reader: u8) -> String {
        format!("{}/tag/{board}/{reader}", self.prefix)
    }
    /// Whether a board answers, retained.
    #[must_use]
    pub fn board(&self, board: &str) -> String {
        format!("{}/board/{board}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_names_its_account_and_target() {
        let topics = Topics::new("site-1/primrack").unwrap();
        let account = Account::new("node-red").unwrap();
        let topic = topics.command(&account, "web-1");
        assert_eq!(topic, "site-1/primrack/do/node-red/web-1");
        let (who, what) = topics.read_command(&topic).unwrap().unwrap();
        assert_eq!((who, what.as_str()), (account, "web-1"));
        assert_eq!(topics.read_command("site-1/primrack/state/web-1"), None);
        assert_eq!(topics.read_command("other/do/a/b"), None);
        assert!(topics.read_command("site-1/primrack/do/a/b/c").unwrap().is_err());
        assert!(topics.read_command("site-1/primrack/do//b").unwrap().is_err());
    }

    #[test]
    fn an_answer_goes_nowhere_but_to_its_account() {
        let topics = Topics::new("primrack").unwrap();
        let account = Account::new("a").unwrap();
        assert!(topics.may_answer(&account, "primrack/receipt/a"));
        assert!(topics.may_answer(&account, "primrack/receipt/a/session-7"));
        for elsewhere in [
            "primrack/do/owner/db-1",
            "primrack/receipt/ab",
            "primrack/receipt/b",
            "primrack/receipt/a/#",
            "x",
        ] {
            assert!(!topics.may_answer(&account, elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn a_prefix_with_wildcards_is_refused() {
        for bad in ["", "a//b", "a/#", "+", "/a", "a/", "$SYS"] {
            assert!(Topics::new(bad).is_err(), "{bad:?}");
        }
    }
}
