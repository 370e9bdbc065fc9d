//! Text to numbers. Three dialects: Linden (C's `strtoul` and `strtod`), YEngine up to 0.9.2 (regular expressions that take
//! a prefix) and YEngine since 0.9.3 (.NET's parser, which takes the whole text or nothing).

use crate::error::{ErrorKind, RuntimeError};
use crate::profile::Profile;

/// `(integer)text`.
///
/// # Errors
///
/// YEngine 0.9.2 throws at a hexadecimal number after a space; the script dies. Nothing else fails.
pub fn integer(text: &str, profile: Profile) -> Result<i32, RuntimeError> {
    match profile {
        Profile::SecondLife => Ok(c_integer(text)),
        Profile::OpenSim092 => yengine_integer(text),
        Profile::OpenSim093 | Profile::OpenSimMaster => Ok(net_integer(text)),
    }
}

/// `(float)text`.
///
/// # Errors
///
/// YEngine 0.9.2 throws at a number too large for a double; the script dies. Nothing else fails.
pub fn float(text: &str, profile: Profile) -> Result<f64, RuntimeError> {
    match profile {
        Profile::SecondLife => Ok(profile.float(c_float(text).map_or(0.0, |(x, _)| x))),
        Profile::OpenSim092 => yengine_float(text),
        Profile::OpenSim093 | Profile::OpenSimMaster => Ok(net_float(text).unwrap_or(0.0)),
    }
}

fn wild(text: &str, why: &str) -> RuntimeError {
    let shown: String = text.chars().take(40).collect();
    RuntimeError::new(
        ErrorKind::Cast,
        format!(
            "cast of {shown:?} throws in YEngine ({why}); check the text before casting, for example with llStringTrim"
        ),
    )
}

/// C's `strtoul` cut to 32 bits; base 16 only when the very first characters are `0x`.
fn c_integer(text: &str) -> i32 {
    let bytes = text.as_bytes();
    if bytes.len() >= 2 && bytes[0] == b'0' && (bytes[1] | 0x20) == b'x' {
        return wrap(&bytes[2..], 16, false);
    }
    let rest = text.trim_start_matches(is_c_space).as_bytes();
    match rest.first() {
        Some(b'-') => wrap(&rest[1..], 10, true),
        Some(b'+') => wrap(&rest[1..], 10, false),
        _ => wrap(rest, 10, false),
    }
}

/// The leading digits, as 64 bits unsigned (all ones when too large), negated where asked, cut to the low 32 bits.
fn wrap(digits: &[u8], base: u32, negative: bool) -> i32 {
    let mut value: u64 = 0;
    for b in digits {
        let Some(d) = char::from(*b).to_digit(base) else { break };
        match value.checked_mul(u64::from(base)).and_then(|v| v.checked_add(u64::from(d))) {
            Some(v) => value = v,
            None => return -1,
        }
    }
    let value = if negative { value.wrapping_neg() } else { value };
    let low = value & 0xFFFF_FFFF;
    u32::try_from(low).unwrap_or(0).cast_signed()
}

fn is_c_space(c: char) -> bool {
    matches!(c, ' ' | '\t'..='\r')
}

fn yengine_integer(text: &str) -> Result<i32, RuntimeError> {
    let rest = text.trim_start_matches(' ');
    let bytes = rest.as_bytes();
    if bytes.len() >= 3 && bytes[0] == b'0' && (bytes[1] | 0x20) == b'x' && bytes[2].is_ascii_hexdigit() {
        if rest.len() != text.len() {
            return Err(wild(text, "a hexadecimal number after a space"));
        }
        let digits: Vec<u8> = bytes[2..].iter().copied().take_while(u8::is_ascii_hexdigit).collect();
        let digits = digits.iter().skip_while(|b| **b == b'0').copied().collect::<Vec<_>>();
        return Ok(if digits.len() > 8 { -1 } else { wrap(&digits, 16, false) });
    }
    let (negative, digits) = match bytes.first() {
        Some(b'-') => (true, &bytes[1..]),
        Some(b'+') => (false, &bytes[1..]),
        _ => (false, bytes),
    };
    let mut value: i64 = 0;
    for b in digits.iter().take_while(|b| b.is_ascii_digit()) {
        value = value.saturating_mul(10).saturating_add(i64::from(b - b'0'));
    }
    // Too large is an OverflowException, which the cast turns into -1.
    Ok(i32::try_from(if negative { -value } else { value }).unwrap_or(-1))
}

fn net_integer(text: &str) -> i32 {
    let bytes = text.trim_start_matches(' ').as_bytes();
    if bytes.len() >= 2 && bytes[0] == b'0' && (bytes[1] | 0x20) == b'x' {
        let mut value: u32 = 0;
        for b in bytes[2..].iter().take_while(|b| b.is_ascii_hexdigit()) {
            let d = char::from(*b).to_digit(16).unwrap_or(0);
            match value.checked_mul(16).and_then(|v| v.checked_add(d)) {
                Some(v) => value = v,
                None => return -1,
            }
        }
        return value.cast_signed();
    }
    let (negative, digits) = match bytes.first() {
        Some(b'-') => (true, &bytes[1..]),
        Some(b'+') => (false, &bytes[1..]),
        _ => (false, bytes),
    };
    let mut value: i32 = 0;
    for b in digits.iter().take_while(|b| b.is_ascii_digit()) {
        // The sign is applied last, so the smallest integer overflows too.
        match value.checked_mul(10).and_then(|v| v.checked_add(i32::from(b - b'0'))) {
            Some(v) => value = v,
            None => return -1,
        }
    }
    if negative { -value } else { value }
}

/// C's `strtod`: the number at the start and how many bytes it took (leading space included).
pub(crate) fn c_float(text: &str) -> Option<(f64, usize)> {
    let body = text.trim_start_matches(is_c_space);
    let skipped = text.len() - body.len();
    let (negative, unsigned) = match body.as_bytes().first() {
        Some(b'-') => (true, &body[1..]),
        Some(b'+') => (false, &body[1..]),
        _ => (false, body),
    };
    let signed = body.len() - unsigned.len();
    let (value, used) = word(unsigned).or_else(|| hex_float(unsigned)).or_else(|| {
        let used = decimal_len(unsigned.as_bytes());
        (used > 0).then(|| (unsigned[..used].parse::<f64>().unwrap_or(0.0), used))
    })?;
    Some((if negative { -value } else { value }, skipped + signed + used))
}

/// `inf`, `infinity`, `nan` and `nan(...)` in any case.
fn word(text: &str) -> Option<(f64, usize)> {
    let starts = |w: &str| text.get(..w.len()).is_some_and(|t| t.eq_ignore_ascii_case(w));
    if starts("infinity") {
        Some((f64::INFINITY, 8))
    } else if starts("inf") {
        Some((f64::INFINITY, 3))
    } else if starts("nan") {
        let tail = &text.as_bytes()[3..];
        let inner = tail.iter().skip(1).take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
        let closed = tail.first() == Some(&b'(') && tail.get(1 + inner) == Some(&b')');
        Some((f64::NAN, if closed { 3 + inner + 2 } else { 3 }))
    } else {
        None
    }
}

/// Hexadecimal floats of C99: `0x1.8p3`.
fn hex_float(text: &str) -> Option<(f64, usize)> {
    let bytes = text.as_bytes();
    if bytes.len() < 3 || bytes[0] != b'0' || (bytes[1] | 0x20) != b'x' {
        return None;
    }
    let (mut value, mut scale, mut at, mut digits, mut point) = (0.0_f64, 0_i32, 2, 0_usize, false);
    while let Some(b) = bytes.get(at) {
        if let Some(d) = char::from(*b).to_digit(16) {
            // More than 2^53 is rounded by the addition; 300 digits are beyond any double.
            if digits < 300 {
                value = value * 16.0 + f64::from(d);
                if point {
                    scale -= 4;
                }
            }
            digits += 1;
        } else if *b == b'.' && !point {
            point = true;
        } else {
            break;
        }
        at += 1;
    }
    if digits == 0 {
        return None;
    }
    if bytes.get(at).is_some_and(|b| (b | 0x20) == b'p') {
        let (negative, from) = match bytes.get(at + 1) {
            Some(b'-') => (true, at + 2),
            Some(b'+') => (false, at + 2),
            _ => (false, at + 1),
        };
        let n = bytes[from.min(bytes.len())..].iter().take_while(|b| b.is_ascii_digit()).count();
        if n > 0 {
            let e = text[from..from + n].parse::<i32>().unwrap_or(100_000).min(100_000);
            scale += if negative { -e } else { e };
            at = from + n;
        }
    }
    // Two steps, so that neither power overflows alone.
    let half = scale / 2;
    Some((value * 2.0_f64.powi(half) * 2.0_f64.powi(scale - half), at))
}

/// How many bytes `digits[.digits][e[sign]digits]` takes at the start; 0 where there is no number.
fn decimal_len(bytes: &[u8]) -> usize {
    let run = |from: usize| bytes[from.min(bytes.len())..].iter().take_while(|b| b.is_ascii_digit()).count();
    let whole = run(0);
    let mut end = whole;
    if bytes.get(end) == Some(&b'.') {
        let fraction = run(end + 1);
        if whole + fraction == 0 {
            return 0;
        }
        end += 1 + fraction;
    } else if whole == 0 {
        return 0;
    }
    if bytes.get(end).is_some_and(|b| (b | 0x20) == b'e') {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let digits = run(end + 1 + sign);
        if digits > 0 {
            end += 1 + sign + digits;
        }
    }
    end
}

fn yengine_float(text: &str) -> Result<f64, RuntimeError> {
    let body = text.trim_start_matches(' ');
    let (negative, unsigned) = match body.as_bytes().first() {
        Some(b'-') => (true, &body[1..]),
        Some(b'+') => (false, &body[1..]),
        _ => (false, body),
    };
    let used = decimal_len(unsigned.as_bytes());
    let value = unsigned[..used].parse::<f64>().unwrap_or(0.0);
    if value.is_infinite() {
        return Err(wild(text, "a number too large for a float"));
    }
    Ok(if negative { -value } else { value })
}

/// .NET's `double.TryParse` with leading and trailing white space, sign, point and exponent allowed.
pub(crate) fn net_float(text: &str) -> Option<f64> {
    let body = text.trim_matches(is_c_space);
    let (negative, unsigned) = match body.as_bytes().first() {
        Some(b'-') => (true, &body[1..]),
        Some(b'+') => (false, &body[1..]),
        _ => (false, body),
    };
    let value = if unsigned.eq_ignore_ascii_case("nan") {
        f64::NAN
    } else if unsigned == "\u{221e}" {
        f64::INFINITY
    } else {
        let used = decimal_len(unsigned.as_bytes());
        if used == 0 || used != unsigned.len() {
            return None;
        }
        unsigned.parse().ok()?
    };
    Some(if negative { -value } else { value })
}

/// `(vector)text` and `(rotation)text`: N numbers, or nothing where the text does not hold them.
#[must_use]
pub fn tuple<const N: usize>(text: &str, profile: Profile) -> Option<[f64; N]> {
    match profile {
        Profile::SecondLife => linden_tuple(text),
        Profile::OpenSim092 => split_tuple(text),
        Profile::OpenSim093 | Profile::OpenSimMaster => net_tuple(text),
    }
}

/// C's `sscanf("<%f, %f, %f>")`: no space before `<` or a comma, any space before a number, no `>` needed.
fn linden_tuple<const N: usize>(text: &str) -> Option<[f64; N]> {
    let mut rest = text.strip_prefix('<')?;
    let mut out = [0.0; N];
    for (i, slot) in out.iter_mut().enumerate() {
        if i > 0 {
            rest = rest.strip_prefix(',')?;
        }
        let (value, used) = c_float(rest)?;
        *slot = Profile::SecondLife.float(value);
        rest = &rest[used..];
    }
    Some(out)
}

/// Brackets anywhere count as spaces, parts after the N-th are ignored.
fn split_tuple<const N: usize>(text: &str) -> Option<[f64; N]> {
    let mut parts = text.split(',');
    let mut out = [0.0; N];
    for slot in &mut out {
        let value = net_float(parts.next()?.trim_matches(|c: char| c == '<' || c == '>' || is_c_space(c)))?;
        if value.is_infinite() {
            return None;
        }
        *slot = value;
    }
    Some(out)
}

/// Everything before `<` is skipped, the last part ends at `>` or with the text.
fn net_tuple<const N: usize>(text: &str) -> Option<[f64; N]> {
    if text.len() < 2 * N - 1 {
        return None;
    }
    let from = text.find([',', '<']).filter(|i| text.as_bytes()[*i] == b'<').map_or(0, |i| i + 1);
    let mut rest = &text[from..];
    let mut out = [0.0; N];
    for (i, slot) in out.iter_mut().enumerate() {
        let (part, tail) =
            if i + 1 < N { rest.split_once(',')? } else { rest.split_once('>').unwrap_or((rest, "")) };
        *slot = net_float(part)?;
        rest = tail;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Profile::{OpenSim092 as Os, OpenSim093 as Net, SecondLife as Sl};

    fn int(text: &str, profile: Profile) -> i32 {
        integer(text, profile).unwrap()
    }

    fn flt(text: &str, profile: Profile) -> f64 {
        float(text, profile).unwrap()
    }

    #[test]
    fn integers_take_a_prefix() {
        for p in Profile::ALL {
            assert_eq!(int("12abc", p), 12, "{p}");
            assert_eq!(int("12 ", p), 12, "{p}");
            assert_eq!(int("  -7x", p), -7, "{p}");
            assert_eq!(int("+5", p), 5, "{p}");
            assert_eq!(int("-", p), 0, "{p}");
            assert_eq!(int("", p), 0, "{p}");
            assert_eq!(int("1e3", p), 1, "{p}");
            assert_eq!(int("0x10", p), 16, "{p}");
            assert_eq!(int("0x", p), 0, "{p}");
            assert_eq!(int("0xFFFFFFFF", p), -1, "{p}");
            assert_eq!(int("-0x1F", p), 0, "{p}");
            assert_eq!(int("2147483647", p), i32::MAX, "{p}");
        }
    }

    #[test]
    fn integers_out_of_range_wrap_on_linden_and_give_minus_one_in_yengine() {
        assert_eq!(int("99999999999", Sl), 1_215_752_191);
        assert_eq!(int("99999999999", Os), -1);
        assert_eq!(int("99999999999", Net), -1);
        assert_eq!(int("99999999999999999999999", Sl), -1);
        assert_eq!(int("-2147483648", Sl), i32::MIN);
        assert_eq!(int("-2147483648", Os), i32::MIN);
        assert_eq!(int("-2147483648", Net), -1);
        assert_eq!(int("0x1FFFFFFFF", Sl), -1);
        assert_eq!(int("0x00000000012", Os), 18);
        assert_eq!(int("0x123456789", Net), -1);
    }

    #[test]
    fn a_hexadecimal_number_after_a_space_kills_a_script_in_yengine_0_9_2_only() {
        let error = integer(" 0x1F", Os).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Cast);
        assert!(error.message.contains("throws in YEngine"));
        assert_eq!(int(" 0x1F", Sl), 0);
        assert_eq!(int(" 0x1F", Net), 31);
    }

    #[test]
    fn floats_take_a_prefix_except_since_0_9_3() {
        assert_eq!(flt("1e3x", Sl), 1000.0);
        assert_eq!(flt("1e3x", Os), 1000.0);
        assert_eq!(flt("1e3x", Net), 0.0);
        for p in Profile::ALL {
            assert_eq!(flt(" 2.5", p), 2.5, "{p}");
            assert_eq!(flt(".5", p), 0.5, "{p}");
            assert_eq!(flt("5.", p), 5.0, "{p}");
            assert_eq!(flt("-1.5e2", p), -150.0, "{p}");
            assert_eq!(flt("abc", p), 0.0, "{p}");
            assert_eq!(flt(".", p), 0.0, "{p}");
            assert_eq!(flt("", p), 0.0, "{p}");
        }
        assert_eq!(flt("1e", Sl), 1.0);
        assert_eq!(flt("1e", Net), 0.0);
    }

    #[test]
    fn linden_reads_c99_words_and_hexadecimal_floats() {
        assert!(flt("NaN", Sl).is_nan());
        assert!(flt("nan(12)x", Sl).is_nan());
        assert_eq!(flt("-Infinity", Sl), f64::NEG_INFINITY);
        assert_eq!(flt("infra", Sl), f64::INFINITY);
        assert_eq!(flt("0x1.8p3", Sl), 12.0);
        assert_eq!(flt("-0x.8", Sl), -0.5);
        assert_eq!(flt("0xg", Sl), 0.0);
        assert_eq!(flt("0x1p-1074", Sl), 0.0);
        assert_eq!(flt("NaN", Os), 0.0);
        assert!(flt("NaN", Net).is_nan());
    }

    #[test]
    fn a_float_too_large_is_infinite_or_an_exception() {
        assert_eq!(flt("1e40", Sl), f64::INFINITY);
        assert_eq!(flt("1e40", Os), 1e40);
        assert_eq!(float("1e400", Os).unwrap_err().kind, ErrorKind::Cast);
        assert_eq!(flt("1e400", Net), f64::INFINITY);
    }

    #[test]
    fn vectors_are_read_by_each_engines_own_rules() {
        for p in Profile::ALL {
            assert_eq!(tuple("<1, 2.5, -3>", p), Some([1.0, 2.5, -3.0]), "{p}");
            assert_eq!(tuple::<3>("<1, 2>", p), None, "{p}");
            assert_eq!(tuple::<3>("", p), None, "{p}");
            assert_eq!(tuple::<3>("<a, 2, 3>", p), None, "{p}");
            assert_eq!(tuple("<0,0,0,1>", p), Some([0.0, 0.0, 0.0, 1.0]), "{p}");
        }
        assert_eq!(tuple::<3>(" <1,2,3>", Sl), None);
        assert_eq!(tuple(" <1,2,3>", Os), Some([1.0, 2.0, 3.0]));
        assert_eq!(tuple(" <1,2,3>", Net), Some([1.0, 2.0, 3.0]));
        assert_eq!(tuple::<3>("<1 ,2,3>", Sl), None);
        assert_eq!(tuple("<1,2,3", Sl), Some([1.0, 2.0, 3.0]));
        assert_eq!(tuple("1,2,3", Os), Some([1.0, 2.0, 3.0]));
        assert_eq!(tuple::<3>("1,2,3", Sl), None);
        assert_eq!(tuple("<1,2,3,4>", Os), Some([1.0, 2.0, 3.0]));
        assert_eq!(tuple::<3>("<1,2,3,4>", Net), None);
        assert_eq!(tuple("<1,2,3,4>", Sl), Some([1.0, 2.0, 3.0]));
    }
}
