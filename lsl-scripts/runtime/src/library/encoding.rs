//! Base64 in the grids' several dialects, and bytes to text.

use super::LibCtx;
use super::args::{Args, int};
use crate::error::RuntimeError;
use crate::profile::Profile;
use crate::value::Value;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::{BASE64_STANDARD, Engine};

type Out = Result<Value, RuntimeError>;

/// Bits after the last whole byte are ignored, as both grids do.
const STRICT: GeneralPurpose =
    GeneralPurpose::new(&ALPHABET, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What .NET's `Convert.FromBase64String` takes: white space is skipped, padding is required.
fn net_decode(text: &str) -> Option<Vec<u8>> {
    let clean: String = text.chars().filter(|c| !matches!(c, ' ' | '\t' | '\r' | '\n')).collect();
    STRICT.decode(clean).ok()
}

/// The Base64 characters at the start, without one that is left over.
fn prefix(text: &str) -> &str {
    let n = text.bytes().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/')).count();
    &text[..if n % 4 == 1 { n - 1 } else { n }]
}

fn linden_decode(text: &str) -> Vec<u8> {
    LENIENT.decode(prefix(text)).unwrap_or_default()
}

/// Bytes as Linden's engine makes them text: a question mark per byte that is no UTF-8, an end at the first zero.
pub(super) fn linden_utf8(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\0' => return out,
                '\u{fffe}' => out.push_str("???"),
                _ => out.push(c),
            }
        }
        for _ in chunk.invalid() {
            out.push('?');
        }
    }
    out
}

/// What Linden's Base64 reader does before: control characters and whole broken sequences become one question mark.
fn linden_sanitise(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&lead) = bytes.get(at) {
        let wanted = match lead {
            0 if at + 1 == bytes.len() => break,
            0x09 | 0x0A | 0x0F | 0x1F..=0x7F | 0xFE..=0xFF => {
                out.push(lead);
                at += 1;
                continue;
            }
            0xC0..=0xDF => 1,
            0xE0..=0xEF => 2,
            0xF0..=0xF7 => 3,
            0xF8..=0xFB => 4,
            0xFC..=0xFD => 5,
            0x00..=0x1E | 0x80..=0xBF => 0,
        };
        let found = bytes[at + 1..].iter().take(wanted).take_while(|b| **b & 0xC0 == 0x80).count();
        let second = bytes.get(at + 1).copied().unwrap_or(0);
        let short_form = matches!(lead, 0xC0 | 0xC1)
            || matches!((lead, second), (0xE0, ..0xA0) | (0xF0, ..0x90) | (0xF8, ..0x88) | (0xFC, ..0x84));
        if wanted > 0 && found == wanted && !short_form {
            out.extend_from_slice(&bytes[at..=at + found]);
        } else {
            out.push(b'?');
        }
        at += 1 + found;
    }
    out
}

pub(super) fn string_to_base64(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    ctx.text(BASE64_STANDARD.encode(Args(args).text(0)?))
}

pub(super) fn base64_to_string(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let text = Args(args).text(0)?;
    if ctx.linden() {
        return ctx.text(linden_utf8(&linden_sanitise(&linden_decode(text))));
    }
    // OpenSimulator shouts "Error decoding string" on the debug channel and gives nothing.
    ctx.text(net_decode(text).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default())
}

pub(super) fn integer_to_base64(_: &mut LibCtx<'_>, args: &[Value]) -> Out {
    Ok(Value::str(BASE64_STANDARD.encode(Args(args).int(0)?.to_be_bytes())))
}

fn sextet(b: u8) -> Option<u8> {
    Some(match b {
        b'A'..=b'Z' => b - b'A',
        b'a'..=b'z' => b - b'a' + 26,
        b'0'..=b'9' => b - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

pub(super) fn base64_to_integer(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let text = Args(args).text(0)?;
    if text.encode_utf16().count() > 8 {
        return int(0);
    }
    if ctx.linden() {
        let mut bytes = linden_decode(text);
        bytes.resize(4, 0);
        return int(i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    }
    let digits: Vec<u32> = text.bytes().map_while(|b| sextet(b).map(u32::from)).take(6).collect();
    let mut number: u32 = 0;
    for (i, d) in digits.iter().enumerate() {
        number |= if i < 5 { d << (26 - 6 * i) } else { d >> 4 };
    }
    if ctx.profile == Profile::OpenSim092 {
        if text.is_empty() {
            return Err(super::args::exception("llBase64ToInteger", "the string is empty"));
        }
        // Padding ends the number, any other foreign character makes it 0; too short a string is an exception.
        return match text.as_bytes().get(digits.len()) {
            _ if digits.len() == 6 => int(number.cast_signed()),
            Some(b'=') => int(number.cast_signed()),
            Some(_) => int(0),
            None => {
                Err(super::args::exception("llBase64ToInteger", "the string has fewer than six characters"))
            }
        };
    }
    // Since 0.9.3 the digits before a foreign one count, cut to whole bytes where the string ends early.
    int(match digits.len() {
        0 | 1 => 0,
        2 if text.len() == 2 => number & 0xFF00_0000,
        2 => number & 0xFC00_0000,
        3 if text.len() == 3 => number & 0xFFFF_0000,
        3 => number & 0xFFF0_0000,
        4 => number & 0xFFFF_FF00,
        5 => number & 0xFFFF_FF00,
        _ => number,
    }
    .cast_signed())
}

fn xor(data: &mut [u8], with: &[u8]) {
    for (b, w) in data.iter_mut().zip(with.iter().cycle()) {
        *b ^= w;
    }
}

pub(super) fn xor_base64(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (text, with) = (a.text(0)?, a.text(1)?);
    if with.is_empty() {
        return ctx.text(text);
    }
    let mut data = linden_decode(text);
    let mut mask = linden_decode(with);
    if mask.is_empty() {
        if ctx.profile.is_opensim() {
            return ctx.text(padded(prefix(text)));
        }
        mask.push(0);
    }
    xor(&mut data, &mask);
    ctx.text(BASE64_STANDARD.encode(data))
}

fn padded(text: &str) -> String {
    let mut out = text.to_owned();
    while !out.len().is_multiple_of(4) {
        out.push('=');
    }
    out
}

/// The deprecated form that combines the characters instead of the bytes.
pub(super) fn xor_base64_strings(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let a = Args(args);
    let (text, with) = (a.text(0)?, a.text(1)?);
    let symbol = |n: u8| char::from(DIGITS[usize::from(n & 63)]);
    if ctx.profile.is_opensim() {
        if text.is_empty() || with.is_empty() {
            return ctx.text(text);
        }
        let Some(mask) = repaired(with) else { return Ok(Value::str("")) };
        if net_decode(text).is_none() || net_decode(&mask).is_none() {
            return Ok(Value::str(""));
        }
        let mask: Vec<u8> = mask.trim_end_matches('=').bytes().map(|b| sextet(b).unwrap_or(0)).collect();
        if mask.is_empty() {
            return Err(super::args::exception("llXorBase64Strings", "the second string holds no Base64"));
        }
        let body = text.trim_end_matches('=');
        let mut out: String =
            body.bytes().zip(mask.iter().cycle()).map(|(b, m)| symbol(sextet(b).unwrap_or(0) ^ m)).collect();
        out.push_str(&text[body.len()..]);
        return ctx.text(out);
    }
    if with.is_empty() {
        return ctx.text(text);
    }
    // A first character that is no Base64 stands for one that is; later ones restart the mask with it.
    let mut mask: Vec<Option<u8>> = with.chars().map(|c| u8::try_from(c).ok().and_then(sextet)).collect();
    let base = mask[0].unwrap_or(if with.starts_with('=') { 62 } else { 63 });
    mask[0] = Some(base);
    let mut at = 0;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let m = mask[at];
        at = (at + 1) % mask.len();
        match u8::try_from(c).ok().and_then(sextet) {
            None => out.push('='),
            Some(n) => out.push(symbol(
                n ^ m.unwrap_or_else(|| {
                    at = 1 % mask.len();
                    base
                }),
            )),
        }
    }
    ctx.text(out)
}

/// OpenSimulator's repair of a mask whose length is no multiple of four.
fn repaired(text: &str) -> Option<String> {
    if text.len().is_multiple_of(4) {
        return Some(text.to_owned());
    }
    let body = text.trim_end_matches('=');
    let cut = if body.len() % 4 == 1 { body.get(..body.len() - 1)? } else { body };
    Some(padded(cut))
}

pub(super) fn xor_base64_strings_correct(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (text, with) = (a.text(0)?, a.text(1)?);
    if ctx.profile.is_opensim() {
        if text.is_empty() || with.is_empty() {
            return ctx.text(text);
        }
        let (Some(mut data), Some(mask)) = (net_decode(text), repaired(with).and_then(|m| net_decode(&m)))
        else {
            return Ok(Value::str(""));
        };
        if mask.is_empty() {
            return ctx.text(text);
        }
        xor(&mut data, &mask);
        return ctx.text(BASE64_STANDARD.encode(data));
    }
    if with.is_empty() {
        return ctx.text(text);
    }
    // The mask restarts at its first zero byte; the end counts as one.
    let mut mask = linden_decode(with);
    mask.push(0);
    let mut at = 0;
    let mut data = linden_decode(text);
    for b in &mut data {
        *b ^= mask[at];
        at += 1;
        if mask.get(at).is_none_or(|m| *m == 0) {
            at = 0;
        }
    }
    ctx.text(BASE64_STANDARD.encode(data))
}

#[cfg(test)]
mod tests {
    use crate::library::testing::{call, call_err, s, text};
    use crate::profile::Profile::{self, OpenSim092 as Os, OpenSimMaster as Master, SecondLife as Sl};
    use crate::value::Value::Integer as I;
    use proptest::prelude::*;

    #[test]
    fn base64_as_the_probes_show() {
        for p in Profile::ALL {
            assert_eq!(text(p, "llStringToBase64", &[s("é€")]), "w6nigqw=");
            assert_eq!(text(p, "llStringToBase64", &[s("a")]), "YQ==");
            assert_eq!(text(p, "llBase64ToString", &[s("w6k=")]), "é");
            assert_eq!(text(p, "llIntegerToBase64", &[I(1)]), "AAAAAQ==");
            assert_eq!(call(p, "llBase64ToInteger", &[s("AAAAAQ==")]), I(1));
            assert_eq!(text(p, "llXorBase64", &[s("YWJj"), s("AQID")]), "YGBg");
            assert_eq!(text(p, "llXorBase64StringsCorrect", &[s("YWJj"), s("AQID")]), "YGBg");
        }
        assert_eq!(text(Sl, "llBase64ToString", &[s("w6k")]), "é");
        assert_eq!(text(Os, "llBase64ToString", &[s("w6k")]), "");
        assert_eq!(text(Sl, "llBase64ToString", &[s("/w==")]), "?");
        assert_eq!(text(Os, "llBase64ToString", &[s("/w==")]), "\u{fffd}");
    }

    #[test]
    fn broken_bytes_become_question_marks_on_linden() {
        // E0 80 80 is an overlong form: one mark. 80: one. 01 (control): one. Then "a".
        assert_eq!(text(Sl, "llBase64ToString", &[s("4ICAgAFh")]), "???a");
        assert_eq!(text(Sl, "llBase64ToString", &[s("YQA=")]), "a");
    }

    #[test]
    fn short_base64_integers_differ() {
        assert_eq!(call(Sl, "llBase64ToInteger", &[s("AAAAAQ")]), I(1));
        assert_eq!(call(Sl, "llBase64ToInteger", &[s("AQ")]), I(0x0100_0000));
        assert_eq!(call(Master, "llBase64ToInteger", &[s("AQ")]), I(0x0100_0000));
        assert_eq!(call(Master, "llBase64ToInteger", &[s("")]), I(0));
        assert!(call_err(Os, "llBase64ToInteger", &[s("AQ")]).message.contains("six"));
        assert_eq!(call(Os, "llBase64ToInteger", &[s("AQ==")]), I(0x0100_0000));
        assert_eq!(call(Sl, "llBase64ToInteger", &[s("AAAAAAAAA")]), I(0));
    }

    #[test]
    fn the_old_xor_works_on_characters() {
        assert_eq!(text(Sl, "llXorBase64Strings", &[s("YWJj"), s("AQID")]), "YGBg");
        assert_eq!(text(Os, "llXorBase64Strings", &[s("YWJj"), s("AQID")]), "YGBg");
        assert_eq!(text(Sl, "llXorBase64Strings", &[s("YQ=="), s("AQ==")]).len(), 4);
    }

    proptest! {
        #[test]
        fn base64_round_trips(t in "[^\\x00-\\x1f\u{fffe}]{0,40}", n: i32) {
            for p in Profile::ALL {
                let b64 = text(p, "llStringToBase64", &[s(&t)]);
                prop_assert_eq!(text(p, "llBase64ToString", &[s(&b64)]), t.clone());
                let b64 = text(p, "llIntegerToBase64", &[I(n)]);
                prop_assert_eq!(call(p, "llBase64ToInteger", &[s(&b64)]), I(n));
            }
        }

        #[test]
        fn xor_twice_gives_the_original(t in "[a-z]{1,20}", k in "[a-z]{1,9}") {
            for p in Profile::ALL {
                let (t64, k64) = (text(p, "llStringToBase64", &[s(&t)]), text(p, "llStringToBase64", &[s(&k)]));
                let once = text(p, "llXorBase64", &[s(&t64), s(&k64)]);
                prop_assert_eq!(text(p, "llXorBase64", &[s(&once), s(&k64)]), t64);
            }
        }

        #[test]
        fn any_text_can_be_decoded(t in ".{0,20}", k in ".{0,9}") {
            for p in Profile::ALL {
                let _: String = text(p, "llBase64ToString", &[s(&t)]);
                for f in ["llXorBase64", "llXorBase64StringsCorrect"] {
                    let _: String = text(p, f, &[s(&t), s(&k)]);
                }
                crate::library::testing::survives(p, "llXorBase64Strings", &[s(&t), s(&k)]);
            }
        }
    }
}
