//! Positions in text: code points on Second Life, UTF-16 units in OpenSimulator.
//!
//! A position inside a surrogate pair gives U+FFFD for the half that is left; our text is UTF-8 and cannot hold half a
//! character as .NET's can.

use crate::profile::Profile;
use crate::value::cast::utf16_len;
use std::ops::Range;

/// Length of the text in the engine's unit.
pub(super) fn len(text: &str, profile: Profile) -> usize {
    if text.is_ascii() {
        text.len()
    } else if profile.is_opensim() {
        utf16_len(text)
    } else {
        text.chars().count()
    }
}

fn width(c: char, profile: Profile) -> usize {
    if profile.is_opensim() { c.len_utf16() } else { 1 }
}

/// Byte offset of the character that holds the unit, and whether the unit is its second half.
pub(super) fn byte_of(text: &str, unit: usize, profile: Profile) -> (usize, bool) {
    if text.is_ascii() {
        return (unit.min(text.len()), false);
    }
    let mut seen = 0;
    for (at, c) in text.char_indices() {
        let next = seen + width(c, profile);
        if unit < next {
            return (at, unit > seen);
        }
        seen = next;
    }
    (text.len(), false)
}

/// The unit at which a byte offset (on a character boundary) lies.
pub(super) fn unit_of(text: &str, byte: usize, profile: Profile) -> usize {
    len(&text[..byte], profile)
}

/// Appends those units to `out`.
pub(super) fn push_range(out: &mut String, text: &str, range: &Range<usize>, profile: Profile) {
    if range.start >= range.end {
        return;
    }
    let (mut from, split_start) = byte_of(text, range.start, profile);
    let (to, split_end) = byte_of(text, range.end, profile);
    if split_start {
        out.push('\u{fffd}');
        from += text[from..].chars().next().map_or(0, char::len_utf8);
    }
    if from < to {
        out.push_str(&text[from..to]);
    }
    if split_end {
        out.push('\u{fffd}');
    }
}

/// The text of those ranges, one after the other.
pub(super) fn slice(text: &str, ranges: &[Range<usize>], profile: Profile) -> String {
    let mut out = String::new();
    for r in ranges {
        push_range(&mut out, text, r, profile);
    }
    out
}

/// The character that holds the unit.
pub(super) fn char_at(text: &str, unit: usize, profile: Profile) -> Option<char> {
    text[byte_of(text, unit, profile).0..].chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Profile::{OpenSim092 as Os, SecondLife as Sl};

    fn part(text: &str, from: usize, to: usize, profile: Profile) -> String {
        slice(text, std::slice::from_ref(&(from..to)), profile)
    }

    #[test]
    fn linden_counts_code_points_and_opensim_utf16_units() {
        assert_eq!(len("é€😀", Sl), 3);
        assert_eq!(len("é€😀", Os), 4);
        assert_eq!(part("a😀b", 1, 2, Sl), "😀");
        assert_eq!(part("a😀b", 1, 3, Os), "😀");
        assert_eq!(part("a😀b", 1, 2, Os), "\u{fffd}");
        assert_eq!(part("a😀b", 2, 4, Os), "\u{fffd}b");
        assert_eq!(char_at("a😀b", 2, Os), Some('😀'));
        assert_eq!(unit_of("a😀b", 5, Os), 3);
    }
}
