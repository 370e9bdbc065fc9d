//! Text that any grid's JSON reader and any viewer can show.

/// Appends `text` to `out`: without control characters (they would need `\u` escapes), line breaks as
/// spaces, cut to at most `limit` bytes at a whole character.
pub fn clip_into(out: &mut String, text: &str, limit: usize) {
    let start = out.len();
    for c in text.chars() {
        let c = if c.is_whitespace() { ' ' } else { c };
        if c.is_control() {
            continue;
        }
        if out.len() - start + c.len_utf8() > limit {
            break;
        }
        out.push(c);
    }
}

/// [`clip_into`] as a new text.
#[must_use]
pub fn clip(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    clip_into(&mut out, text, limit);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_at_whole_characters_and_drops_controls() {
        assert_eq!(clip("a\u{1}b\nc", 10), "ab c");
        assert_eq!(clip("ééé", 5), "éé");
        let json = serde_json::to_string(&clip("\u{0}\u{1b}x/\u{7f}\u{9f}\"", 50)).unwrap();
        assert!(!json.contains("\\u"), "{json}");
    }
}
