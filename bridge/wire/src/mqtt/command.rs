//! What a command says.

use primrack_model::Action;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// The longest command, in bytes.
pub const COMMAND_LIMIT: usize = 1024;

/// A command as JSON: `{"action": "start", "id": "7f3a"}`. A bare action, `start`, is understood, too, and so
/// are `ON` and `OFF`, which switches send: start and soft-off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// What to do.
    #[schemars(with = "String")]
    pub action: Action,
    /// The sender's own name for this command, at most 32 characters of A-Z a-z 0-9 . _ - : one that comes twice
    /// (MQTT may deliver twice) is done once. Needed for reboot, reset and what copies; without it a command that
    /// comes twice is decided twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub id: Option<SmolStr>,
}

/// Why a command is not even put to the policy. Each has its token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandFault {
    /// Left at the broker: it would be done again at each reconnection, as if a door opened by itself.
    #[error(
        "a retained command is never followed: publish it without retain, and remove this one with an empty retained message to the same topic"
    )]
    Retained,
    /// Too long.
    #[error("a command has at most {COMMAND_LIMIT} bytes")]
    TooLong,
    /// Not understood.
    #[error("{0}; send {{\"action\": \"start\", \"id\": \"your-number-1\"}}")]
    Malformed(String),
    /// The id is missing where a second delivery would do harm.
    #[error(
        "{0} needs an id of yours, so that one that is delivered twice is done once: {{\"action\": \"{0}\", \"id\": \"your-number-1\"}}"
    )]
    NeedsId(Action),
    /// Nobody of that name may command here.
    #[error("the account is not listed under [mqtt] accounts")]
    UnknownAccount,
    /// The topic names no target that there could be.
    #[error("{0}")]
    Topic(String),
}

impl CommandFault {
    /// The token in receipts, journal and metrics.
    #[must_use]
    pub fn token(&self) -> &'static str {
        match self {
            Self::Retained => "retained",
            Self::TooLong => "too-long",
            Self::Malformed(_) => "malformed",
            Self::NeedsId(_) => "needs-id",
            Self::UnknownAccount => "unknown-account",
            Self::Topic(_) => "bad-topic",
        }
    }
}

impl Asked {
    /// Reads a payload.
    ///
    /// # Errors
    /// [`CommandFault`] by what is wrong with it.
    pub fn read(payload: &[u8]) -> Result<Self, CommandFault> {
        if payload.len() > COMMAND_LIMIT {
            return Err(CommandFault::TooLong);
        }
        let text = std::str::from_utf8(payload)
            .map_err(|_| CommandFault::Malformed("the command is not text".to_owned()))?
            .trim();
        let asked = if text.starts_with('{') {
            serde_json::from_str(text).map_err(|error| CommandFault::Malformed(error.to_string()))?
        } else {
            let action = match text {
                "ON" => Action::Start,
                "OFF" => Action::SoftOff,
                other => other.parse().map_err(|error: primrack_model::UnknownAction| {
                    CommandFault::Malformed(error.to_string())
                })?,
            };
            Self { action, id: None }
        };
        let Self { action, id } = &asked;
        if let Some(id) = id
            && (id.is_empty()
                || id.len() > 32
                || !id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')))
        {
            let words = "an id is 1 to 32 of the characters A-Z a-z 0-9 . _ -".to_owned();
            return Err(CommandFault::Malformed(words));
        }
        let twice_harms = matches!(action, Action::Reboot | Action::Reset) || action.ends_with_its_call();
        if id.is_none() && twice_harms {
            return Err(CommandFault::NeedsId(*action));
        }
        Ok(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_a_bare_action_and_the_words_of_switches_are_understood() {
        let asked = |text: &str| Asked::read(text.as_bytes());
        let with_id = asked(r#"{"action":"reset","id":"a-1"}"#).unwrap();
        assert_eq!((with_id.action, with_id.id.as_deref()), (Action::Reset, Some("a-1")));
        assert_eq!(asked("soft-off").unwrap().action, Action::SoftOff);
        assert_eq!(asked(" ON\n").unwrap().action, Action::Start);
        assert_eq!(asked("OFF").unwrap().action, Action::SoftOff);
    }

    #[test]
    fn what_is_wrong_is_told_by_its_kind() {
        let token = |text: &str| Asked::read(text.as_bytes()).unwrap_err().token();
        assert_eq!(token("explode"), "malformed");
        assert_eq!(token(r#"{"action":"start","who":"me"}"#), "malformed");
        assert_eq!(token(r#"{"action":"start","id":"a b"}"#), "malformed");
        assert_eq!(token(""), "malformed");
        assert_eq!(token("reset"), "needs-id");
        assert_eq!(token("delete"), "needs-id");
        assert_eq!(token(&"x".repeat(1025)), "too-long");
        assert_eq!(Asked::read(&[0xff, 0xfe]).unwrap_err().token(), "malformed");
    }
}
