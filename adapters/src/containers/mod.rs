//! What the technologies of containers share: one backend for many of them, told by its own events and
//! by what the adapter itself does.

mod early;
mod ours;
mod share;

pub(crate) use early::{Early, tell};
pub(crate) use ours::{Ours, relay};
pub(crate) use share::Shares;

/// At most this many tags per container, each at most [`TAG`] bytes.
pub(crate) const TAGS: usize = 32;
/// The longest tag.
pub(crate) const TAG: usize = 64;
/// What is shown of a console.
pub(crate) const CONSOLE: usize = 64 << 10;

/// The last bytes of a text, from the start of a character on.
pub(crate) fn tail(bytes: &[u8], limit: usize) -> String {
    let from = bytes.len().saturating_sub(limit);
    let from = (from..bytes.len()).find(|at| bytes[*at] & 0xc0 != 0x80).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[from..]).into_owned()
}

/// The first bytes of a word, up to the end of a character.
pub(crate) fn head(text: &str, limit: usize) -> &str {
    let to = (0..=limit.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..to]
}

/// What a snapshot or clone made now is called: `primrack-` and the time.
pub(crate) fn stamp() -> String {
    let now = primrack_model::UnixMs::now().to_string();
    let digits: String = now.chars().filter(char::is_ascii_digit).collect();
    format!("primrack-{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!((head("äöü", 3), head("abc", 9), head("ä", 1)), ("ä", "abc", ""));
        assert_eq!((tail("äöü".as_bytes(), 3), tail(b"abc", 9)), ("ü".to_owned(), "abc".to_owned()));
        assert!(stamp().len() == "primrack-".len() + 17 && stamp().starts_with("primrack-2"), "{}", stamp());
    }
}
