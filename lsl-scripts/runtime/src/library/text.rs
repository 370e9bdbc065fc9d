//! Strings: parts, search, case, trimming, URL escapes.

use super::args::{Args, Output, exception, index, int, max_text, size};
use super::encoding::linden_utf8;
use super::{LibCtx, pattern, span, unit};
use crate::error::RuntimeError;
use crate::profile::Profile;
use crate::value::Value;

type Out = Result<Value, RuntimeError>;

pub(super) fn string_length(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    size(unit::len(Args(args).text(0)?, ctx.profile))
}

pub(super) fn get_sub_string(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (text, p) = (a.text(0)?, ctx.profile);
    if text.is_ascii() {
        let [first, second] = span::selected(a.int(1)?, a.int(2)?, text.len());
        if second.is_empty() {
            // The common case, without a copy in between.
            return Ok(Value::str(&text[first]));
        }
    }
    let ranges = span::selected(a.int(1)?, a.int(2)?, unit::len(text, p));
    Ok(Value::str(unit::slice(text, &ranges, p)))
}

pub(super) fn delete_sub_string(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (text, p) = (a.text(0)?, ctx.profile);
    let len = unit::len(text, p);
    let (start, mut end) = (span::absolute(a.int(1)?, len), span::absolute(a.int(2)?, len));
    // OpenSimulator forgets to drop the first character when a wrapped range ends there.
    if p.is_opensim() && start > end && end == 0 {
        end = -1;
    }
    Ok(Value::str(unit::slice(text, &span::remaining(start, end, len), p)))
}

pub(super) fn insert_string(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (text, at, new, p) = (a.text(0)?, a.int(1)?, a.text(2)?, ctx.profile);
    let len = unit::len(text, p);
    let at = match p {
        // Negative positions mean the start here; the other functions count them from the end.
        Profile::SecondLife => usize::try_from(at).unwrap_or(0),
        Profile::OpenSim092 | Profile::OpenSim093 => {
            if at >= 0 && span::clamp(i64::from(at), len) == len {
                return Err(exception("llInsertString", "the position is at or after the end of the string"));
            }
            span::clamp(span::absolute(at, len), len)
        }
        Profile::OpenSimMaster if new.is_empty() => return ctx.text(text),
        Profile::OpenSimMaster => span::clamp(span::absolute(at, len), len),
    };
    let (mut byte, split) = unit::byte_of(text, at.min(len), p);
    // A pair is not torn: positive positions move behind it, negative ones before it.
    if split && a.int(1)? >= 0 {
        byte += text[byte..].chars().next().map_or(0, char::len_utf8);
    }
    let mut out = Output::new(p);
    out.push(&text[..byte])?;
    out.push(new)?;
    out.push(&text[byte..])?;
    out.finish()
}

pub(super) fn sub_string_index(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (text, wanted) = (a.text(0)?, a.text(1)?);
    if text.is_empty() && ctx.profile.is_opensim() {
        return int(-1);
    }
    let found = match wanted.as_bytes() {
        // No searcher has to be made for a single byte.
        [byte] => text.bytes().position(|b| b == *byte),
        _ => text.find(wanted),
    };
    index(found.map(|byte| unit::unit_of(text, byte, ctx.profile)))
}

pub(super) fn string_trim(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (text, how) = (a.text(0)?, a.int(1)?);
    let linden = ctx.linden();
    let space = |c: char| if linden { matches!(c, '\t'..='\r' | ' ') } else { c.is_whitespace() };
    // OpenSimulator compares the flags as a whole, Linden looks at the bits.
    let bits = if linden || (1..=3).contains(&how) { how } else { 0 };
    let text = if bits & 1 == 0 { text } else { text.trim_start_matches(space) };
    let text = if bits & 2 == 0 { text } else { text.trim_end_matches(space) };
    Ok(Value::str(text))
}

/// The one character a character becomes; those that become several stay (`ß`), as .NET's simple mapping has it.
fn simple(c: char, mut mapped: impl Iterator<Item = char>) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

pub(super) fn to_upper(_: &mut LibCtx<'_>, args: &[Value]) -> Out {
    Ok(Value::str(Args(args).text(0)?.chars().map(|c| simple(c, c.to_uppercase())).collect::<String>()))
}

pub(super) fn to_lower(_: &mut LibCtx<'_>, args: &[Value]) -> Out {
    Ok(Value::str(Args(args).text(0)?.chars().map(|c| simple(c, c.to_lowercase())).collect::<String>()))
}

/// Second Life replaces plain text, OpenSimulator a regular expression. A negative count counts from the end.
pub(super) fn replace_sub_string(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (text, wanted, new, count) = (a.text(0)?, a.text(1)?, a.text(2)?, a.int(3)?);
    if text.is_empty() || wanted.is_empty() {
        return ctx.text(text);
    }
    if ctx.profile.is_opensim() {
        return match pattern::compile(wanted) {
            Some(regex) => pattern::replace(ctx.profile, &regex, text, new, count, 0),
            None => ctx.text(text),
        };
    }
    let hits: Vec<usize> = if count < 0 {
        let mut hits: Vec<usize> =
            text.rmatch_indices(wanted).take(count.unsigned_abs() as usize).map(|(at, _)| at).collect();
        hits.reverse();
        hits
    } else {
        let most = if count == 0 { usize::MAX } else { count.unsigned_abs() as usize };
        text.match_indices(wanted).take(most).map(|(at, _)| at).collect()
    };
    let mut out = Output::new(ctx.profile);
    let mut from = 0;
    for at in hits {
        out.push(&text[from..at])?;
        out.push(new)?;
        from = at + wanted.len();
    }
    out.push(&text[from..])?;
    out.finish()
}

pub(super) fn ord(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let text = a.text(0)?;
    let at = span::position(a.int(1)?, unit::len(text, ctx.profile));
    let c = at.and_then(|at| unit::char_at(text, at, ctx.profile)).map_or(0, u32::from);
    int(c.cast_signed())
}

pub(super) fn char(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let code = Args(args).int(0)?;
    if code == 0 {
        return Ok(Value::str(""));
    }
    let known = u32::try_from(code).ok().and_then(char::from_u32);
    if ctx.profile.is_opensim() {
        return Ok(Value::str(known.unwrap_or('\u{fffd}').to_string()));
    }
    // Linden writes the code in UTF-8 of 1993 (up to six bytes) and reads it back: one question mark per byte it refuses.
    Ok(match known {
        Some(c) if c != '\u{fffe}' => Value::str(c.to_string()),
        _ if code < 0 => Value::str("?"),
        _ if code < 0x1_0000 => Value::str("???"),
        _ if code < 0x20_0000 => Value::str("????"),
        _ if code < 0x400_0000 => Value::str("?????"),
        _ => Value::str("??????"),
    })
}

pub(super) fn escape_url(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let text = Args(args).text(0)?;
    let kept: &[u8] = if ctx.linden() { b"" } else { b"-_.~" };
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || kept.contains(&b) {
            out.push(char::from(b));
        } else {
            out.push('%');
            for digit in [b >> 4, b & 15] {
                out.push(char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase());
            }
        }
        if out.len() > max_text(ctx.profile) {
            break;
        }
    }
    ctx.text(out)
}

fn hex(b: u8) -> Option<u8> {
    char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

pub(super) fn unescape_url(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let text = Args(args).text(0)?;
    ctx.text(if ctx.linden() { linden_unescape(text) } else { net_unescape(text) })
}

/// Linden reads two characters after every `%`, taking what is no digit for 0; a `%` in second place is eaten too.
fn linden_unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    let digit = |c: char| u8::try_from(c).ok().and_then(hex).unwrap_or(0);
    while let Some(c) = chars.next() {
        if c != '%' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let (Some(high), Some(low)) = (chars.next(), chars.next()) else { break };
        out.push(digit(high) << 4 | digit(low));
    }
    linden_utf8(&out)
}

/// .NET decodes runs of `%XX`; what is no escape, or no UTF-8, stays as it was.
fn net_unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let escape = |at: usize| match bytes.get(at..at + 3) {
        Some([b'%', h, l]) => Some(hex(*h)? << 4 | hex(*l)?),
        _ => None,
    };
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let mut run = Vec::new();
        while let Some(b) = escape(at + 3 * run.len()) {
            run.push(b);
        }
        if run.is_empty() {
            let c = text[at..].chars().next().unwrap_or('%');
            out.push(c);
            at += c.len_utf8();
            continue;
        }
        at += 3 * run.len();
        for chunk in run.utf8_chunks() {
            out.push_str(chunk.valid());
            for b in chunk.invalid() {
                out.push_str(&format!("%{b:02X}"));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use crate::library::testing::{call, call_err, s, text};
    use crate::profile::Profile::{
        self, OpenSim092 as Os, OpenSim093 as Net, OpenSimMaster as Master, SecondLife as Sl,
    };
    use crate::value::Value::Integer as I;
    use proptest::prelude::*;

    #[test]
    fn parts_of_strings_as_the_probes_show() {
        for p in Profile::ALL {
            assert_eq!(text(p, "llGetSubString", &[s("hello"), I(-2), I(-1)]), "lo");
            assert_eq!(text(p, "llGetSubString", &[s("hello"), I(3), I(1)]), "helo");
            assert_eq!(text(p, "llDeleteSubString", &[s("hello"), I(1), I(2)]), "hlo");
            assert_eq!(call(p, "llSubStringIndex", &[s("hello"), s("l")]), I(2));
            assert_eq!(call(p, "llSubStringIndex", &[s("hello"), s("")]), I(0));
            assert_eq!(call(p, "llSubStringIndex", &[s("hello"), s("z")]), I(-1));
            assert_eq!(text(p, "llStringTrim", &[s("  x "), I(3)]), "x");
            assert_eq!(text(p, "llStringTrim", &[s("  x "), I(1)]), "x ");
            assert_eq!(text(p, "llToUpper", &[s("éa")]), "ÉA");
            assert_eq!(text(p, "llToUpper", &[s("ß")]), "ß");
            assert_eq!(text(p, "llToLower", &[s("ÉA")]), "éa");
            assert_eq!(call(p, "llOrd", &[s("é"), I(0)]), I(233));
            assert_eq!(call(p, "llOrd", &[s("é"), I(3)]), I(0));
            assert_eq!(text(p, "llChar", &[I(233)]), "é");
            assert_eq!(text(p, "llReplaceSubString", &[s("aXbX"), s("X"), s("-"), I(0)]), "a-b-");
            assert_eq!(text(p, "llReplaceSubString", &[s("aXbX"), s("X"), s("-"), I(1)]), "a-bX");
            assert_eq!(text(p, "llReplaceSubString", &[s("aXbX"), s("X"), s("-"), I(-1)]), "aXb-");
            assert_eq!(text(p, "llUnescapeURL", &[s("a%20b+c%C3%A9")]), "a b+cé");
        }
    }

    #[test]
    fn lengths_and_positions_follow_the_engines_unit() {
        assert_eq!(call(Sl, "llStringLength", &[s("é€😀")]), I(3));
        assert_eq!(call(Os, "llStringLength", &[s("é€😀")]), I(4));
        assert_eq!(call(Sl, "llStringLength", &[s("h\\u00e9")]), I(7));
        assert_eq!(call(Sl, "llSubStringIndex", &[s("😀x"), s("x")]), I(1));
        assert_eq!(call(Os, "llSubStringIndex", &[s("😀x"), s("x")]), I(2));
        assert_eq!(call(Os, "llSubStringIndex", &[s(""), s("")]), I(-1));
        assert_eq!(call(Sl, "llSubStringIndex", &[s(""), s("")]), I(0));
        assert_eq!(call(Os, "llOrd", &[s("😀"), I(1)]), I(0x1F600));
    }

    #[test]
    fn escapes_keep_what_each_engine_keeps() {
        assert_eq!(text(Sl, "llEscapeURL", &[s("a b/é~-_.")]), "a%20b%2F%C3%A9%7E%2D%5F%2E");
        assert_eq!(text(Os, "llEscapeURL", &[s("a b/é~-_.")]), "a%20b%2F%C3%A9~-_.");
        assert_eq!(text(Sl, "llUnescapeURL", &[s("%80%C3")]), "??");
        assert_eq!(text(Sl, "llUnescapeURL", &[s("a%4")]), "a");
        assert_eq!(text(Sl, "llUnescapeURL", &[s("%zz%41")]), "");
        assert_eq!(text(Os, "llUnescapeURL", &[s("%zz%41%80")]), "%zzA%80");
    }

    #[test]
    fn inserting_at_the_end_throws_in_opensim_before_master() {
        assert_eq!(text(Sl, "llInsertString", &[s("abc"), I(3), s("x")]), "abcx");
        assert_eq!(text(Sl, "llInsertString", &[s("abc"), I(-1), s("x")]), "xabc");
        assert_eq!(text(Master, "llInsertString", &[s("abc"), I(3), s("x")]), "abcx");
        assert_eq!(text(Master, "llInsertString", &[s("abc"), I(-1), s("x")]), "abxc");
        assert_eq!(text(Os, "llInsertString", &[s("abc"), I(1), s("x")]), "axbc");
        assert!(call_err(Os, "llInsertString", &[s("abc"), I(3), s("x")]).message.contains("llInsertString"));
        assert!(call_err(Net, "llInsertString", &[s("abc"), I(3), s("x")]).message.contains("throws"));
    }

    #[test]
    fn opensim_replaces_by_regular_expression() {
        assert_eq!(text(Os, "llReplaceSubString", &[s("a1b22"), s("[0-9]+"), s("#"), I(0)]), "a#b#");
        assert_eq!(text(Os, "llReplaceSubString", &[s("a1b22"), s("([0-9]+)"), s("<$1>"), I(-1)]), "a1b<22>");
        assert_eq!(text(Sl, "llReplaceSubString", &[s("a.b"), s("."), s("#"), I(0)]), "a#b");
        assert_eq!(text(Os, "llReplaceSubString", &[s("a(b"), s("("), s("#"), I(0)]), "a(b");
    }

    #[test]
    fn characters_out_of_range_are_question_marks_on_linden() {
        assert_eq!(text(Sl, "llChar", &[I(0xD800)]), "???");
        assert_eq!(text(Sl, "llChar", &[I(0x11_0000)]), "????");
        assert_eq!(text(Sl, "llChar", &[I(-1)]), "?");
        assert_eq!(text(Sl, "llChar", &[I(0)]), "");
        assert_eq!(text(Os, "llChar", &[I(0xD800)]), "\u{fffd}");
    }

    #[test]
    fn a_replacement_larger_than_the_scripts_memory_is_a_collision() {
        let big = "x".repeat(30_000);
        let error = call_err(Sl, "llReplaceSubString", &[s(&big), s("x"), s(&big), I(0)]);
        assert!(error.message.starts_with("Stack-Heap Collision"));
        assert!(
            call_err(Os, "llReplaceSubString", &[s(&big), s("x"), s(&big), I(0)])
                .message
                .starts_with("Stack")
        );
    }

    #[test]
    fn opensim_keeps_the_first_character_of_a_wrapped_deletion_that_ends_there() {
        assert_eq!(text(Sl, "llDeleteSubString", &[s("hello"), I(3), I(0)]), "el");
        assert_eq!(text(Os, "llDeleteSubString", &[s("hello"), I(3), I(0)]), "hel");
    }

    proptest! {
        #[test]
        fn no_index_makes_a_string_function_panic(t in ".{0,12}", a: i32, b: i32, n in -9_i32..9, m in -9_i32..9) {
            for p in Profile::ALL {
                for (x, y) in [(a, b), (n, m)] {
                    for f in ["llGetSubString", "llDeleteSubString"] {
                        let _: String = text(p, f, &[s(&t), I(x), I(y)]);
                    }
                    let _: crate::Value = call(p, "llOrd", &[s(&t), I(x)]);
                    let _: crate::Value = call(p, "llChar", &[I(x)]);
                }
            }
        }

        #[test]
        fn escaped_urls_read_back(t in "[^\\x00\u{fffe}]{0,20}") {
            for p in Profile::ALL {
                let escaped = text(p, "llEscapeURL", &[s(&t)]);
                prop_assert_eq!(text(p, "llUnescapeURL", &[s(&escaped)]), t.clone());
            }
        }
    }
}
