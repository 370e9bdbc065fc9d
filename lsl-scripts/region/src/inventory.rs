//! What lies in a prim.

use crate::object::Template;
use primrack_lsl::vm::ScriptId;
use std::sync::Arc;
use uuid::Uuid;

#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) key: Uuid,
    pub(crate) content: Content,
}

#[derive(Debug, Clone)]
pub(crate) enum Content {
    Script { id: ScriptId, asset: Uuid },
    Notecard { text: Arc<str>, asset: Uuid },
    Object { template: Arc<Template>, asset: Uuid },
}

impl Content {
    /// `INVENTORY_…`.
    pub(crate) const fn kind(&self) -> i32 {
        match self {
            Self::Notecard { .. } => 7,
            Self::Object { .. } => 6,
            Self::Script { .. } => 10,
        }
    }

    pub(crate) const fn asset(&self) -> Uuid {
        match self {
            Self::Script { asset, .. } | Self::Notecard { asset, .. } | Self::Object { asset, .. } => *asset,
        }
    }
}

/// Lines of a notecard, cut to what the grid gives a script. A final line break begins no further line.
pub(crate) fn line(text: &str, number: i32, most: usize) -> Option<&str> {
    let number = usize::try_from(number).ok()?;
    let line = text.lines().nth(number)?;
    Some(clip(line, most))
}

pub(crate) fn lines(text: &str) -> usize {
    text.lines().count()
}

/// At most so many bytes, whole characters.
pub(crate) fn clip(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    let mut end = most;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_and_cut_at_whole_characters() {
        assert_eq!(lines("a\nb\n"), 2);
        assert_eq!(line("a\nb\n", 1, 9), Some("b"));
        assert_eq!(line("a\nb\n", 2, 9), None);
        assert_eq!(line("a", -1, 9), None);
        assert_eq!(line("aéé", 0, 4), Some("aé"));
    }
}
