//! Who asks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// By what means somebody is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActorKind {
    /// An avatar's id, as an enrolled object reported it. Proves only that the object said so.
    Avatar,
    /// A badge: its name in the badges file, or `unknown-` and a keyed hash of its number.
    Badge,
    /// A button on a board, by board and place: says where somebody pressed, not who.
    Button,
    /// A person at the page or the API.
    Web,
    /// An MQTT client by its account and topic.
    Mqtt,
    /// A schedule or a demonstration script.
    Schedule,
    /// Whoever runs the program on the bridge's own machine.
    Operator,
}

impl ActorKind {
    /// The prefix before the id: `avatar:…`.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::Avatar => "avatar",
            Self::Badge => "badge",
            Self::Button => "button",
            Self::Web => "web",
            Self::Mqtt => "mqtt",
            Self::Schedule => "schedule",
            Self::Operator => "operator",
        }
    }
}

/// Who asks: the kind and the id within it. The display name is a claim and decides nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Actor {
    /// By what means they are known.
    pub kind: ActorKind,
    /// The id within the kind: an avatar's UUID in lower case, a badge's hash, an account.
    pub id: SmolStr,
    /// What they call themselves, for people to read. Cut to 64 bytes, control characters removed.
    #[serde(default, skip_serializing_if = "SmolStr::is_empty")]
    pub name: SmolStr,
}

impl Actor {
    /// An actor with a display name, which is cleaned and cut to 64 bytes.
    #[must_use]
    pub fn new(kind: ActorKind, id: impl AsRef<str>, name: &str) -> Self {
        Self { kind, id: SmolStr::new(id), name: clean(name, 64) }
    }
    /// What to call them in a sentence: the name, else kind and id.
    #[must_use]
    pub fn called(&self) -> String {
        if self.name.is_empty() { self.to_string() } else { self.name.to_string() }
    }
}

/// Keeps what can be shown anywhere: no control characters, at most `limit` bytes, whole characters.
fn clean(text: &str, limit: usize) -> SmolStr {
    let mut out = String::with_capacity(text.len().min(limit));
    for c in text.chars().filter(|c| !c.is_control()) {
        if out.len() + c.len_utf8() > limit {
            break;
        }
        out.push(c);
    }
    SmolStr::new(out.trim())
}

impl fmt::Display for Actor {
    /// `kind:id`, as configuration and policy name them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.token(), self.id)
    }
}

/// A text that names nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} names nobody: write kind:id, with a kind of avatar, badge, button, web, mqtt, schedule or operator"
)]
pub struct UnknownActor(pub String);

impl FromStr for Actor {
    type Err = UnknownActor;
    fn from_str(text: &str) -> Result<Self, UnknownActor> {
        let unknown = || UnknownActor(text.chars().take(80).collect());
        let (kind, id) = text.split_once(':').ok_or_else(unknown)?;
        let kind = match kind {
            "avatar" => ActorKind::Avatar,
            "badge" => ActorKind::Badge,
            "button" => ActorKind::Button,
            "web" => ActorKind::Web,
            "mqtt" => ActorKind::Mqtt,
            "schedule" => ActorKind::Schedule,
            "operator" => ActorKind::Operator,
            _ => return Err(unknown()),
        };
        if id.is_empty() || id.len() > 128 || id.chars().any(char::is_control) {
            return Err(unknown());
        }
        Ok(Self::new(kind, id, ""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_only_ever_text() {
        let actor = Actor::new(ActorKind::Avatar, "a", "Ada\n\u{7}Lovelace");
        assert_eq!(actor.name, "AdaLovelace");
        assert_eq!(Actor::new(ActorKind::Avatar, "a", &"é".repeat(100)).name.len(), 64);
    }

    #[test]
    fn an_actor_reads_back() {
        let actor: Actor = "badge:9f".parse().unwrap();
        assert_eq!(actor.to_string(), "badge:9f");
        assert!("root".parse::<Actor>().is_err());
    }
}
