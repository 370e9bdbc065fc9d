//! Numbers as text, the way each engine writes them.
//!
//! Linden's engine is Mono with 32-bit floats: seven significant digits are kept (rounded from the binary value), then the
//! decimals are cut with a second rounding, halves away from zero. That is why `(string)123456789.0` is
//! `123456800.000000`. YEngine does the same with fifteen significant digits. Only the .NET runtime (0.9.3 and later)
//! writes the sign of a zero that rounding made; Mono of 0.9.2 never does, and Linden keeps it for an exact `-0.0` only.

use crate::profile::Profile;

/// A float as a cast to string writes it: six decimals.
#[must_use]
pub fn float(x: f64, profile: Profile) -> String {
    let mut out = String::with_capacity(16);
    push_float(&mut out, x, 6, profile);
    out
}

/// Appends `x` with that many decimals.
pub(crate) fn push_float(out: &mut String, x: f64, decimals: usize, profile: Profile) {
    let x = profile.float(x);
    if x.is_nan() {
        out.push_str("NaN");
        return;
    }
    if x.is_infinite() {
        out.push_str(if x < 0.0 { "-Infinity" } else { "Infinity" });
        return;
    }
    let significant = if profile.single_precision() { 7 } else { 15 };
    let (digits, scale) = round(x.abs(), significant, decimals);
    let vanished = digits.is_empty();
    let sign = x.is_sign_negative()
        && match profile {
            Profile::SecondLife => !vanished || x == 0.0,
            Profile::OpenSim092 => !vanished,
            Profile::OpenSim093 | Profile::OpenSimMaster => true,
        };
    if sign {
        out.push('-');
    }
    push_digits(out, &digits, scale, decimals);
}

/// The decimal digits of `x` (not negative) after both roundings, and how many of them stand before the point.
/// No digits means zero.
fn round(x: f64, significant: usize, decimals: usize) -> (Vec<u8>, i32) {
    if x == 0.0 {
        return (Vec::new(), 0);
    }
    let text = format!("{x:.*e}", significant - 1);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mut digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    let mut scale = exponent.parse::<i32>().unwrap_or(0) + 1;
    let keep = scale + i32::try_from(decimals).unwrap_or(0);
    let Ok(keep) = usize::try_from(keep) else { return (Vec::new(), 0) };
    if keep < digits.len() {
        let up = digits[keep] >= b'5';
        digits.truncate(keep);
        if up {
            let mut i = digits.len();
            loop {
                if i == 0 {
                    digits.insert(0, b'1');
                    scale += 1;
                    break;
                }
                i -= 1;
                if digits[i] == b'9' {
                    digits[i] = b'0';
                } else {
                    digits[i] += 1;
                    break;
                }
            }
        }
    }
    while digits.last() == Some(&b'0') {
        digits.pop();
    }
    (digits, scale)
}

fn push_digits(out: &mut String, digits: &[u8], scale: i32, decimals: usize) {
    let at = |i: i32| usize::try_from(i).ok().and_then(|i| digits.get(i)).map_or('0', |d| char::from(*d));
    if scale <= 0 {
        out.push('0');
    }
    for i in 0..scale {
        out.push(at(i));
    }
    out.push('.');
    for i in 0..i32::try_from(decimals).unwrap_or(0) {
        out.push(at(scale + i));
    }
}

/// `%.6f` of C, as Linden's older functions write it (`llList2CSV`): every digit of the binary value, no cut at seven.
pub(crate) fn c_float(x: f64, profile: Profile) -> String {
    let x = profile.float(x);
    if x.is_nan() {
        (if x.is_sign_negative() { "-nan" } else { "nan" }).to_owned()
    } else if x.is_infinite() {
        (if x < 0.0 { "-inf" } else { "inf" }).to_owned()
    } else {
        format!("{x:.6}")
    }
}

/// A float with one to six decimals and no more zeros than needed (`0.0#####` of .NET), as OpenSim's JSON reader returns it.
pub(crate) fn short_float(x: f64, profile: Profile) -> String {
    let mut text = float(x, profile);
    if x.is_finite() {
        while text.ends_with('0') && !text.ends_with(".0") {
            text.pop();
        }
    }
    text
}

/// `<a, b, c>` or `<a, b, c, d>` with that many decimals each.
#[must_use]
pub(crate) fn tuple(parts: &[f64], decimals: usize, profile: Profile) -> String {
    let mut out = String::with_capacity(12 * parts.len());
    out.push('<');
    for (i, x) in parts.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        push_float(&mut out, *x, decimals, profile);
    }
    out.push('>');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use Profile::{OpenSim092 as Os, OpenSim093 as Net, SecondLife as Sl};

    #[test]
    fn floats_keep_seven_digits_on_linden_and_fifteen_in_yengine() {
        assert_eq!(float(123_456_789.0, Sl), "123456800.000000");
        assert_eq!(float(123_456_789.0, Os), "123456789.000000");
        assert_eq!(float(1e10, Sl), "10000000000.000000");
        assert_eq!(float(16_777_217.0, Sl), "16777220.000000");
        assert_eq!(float(1.0 / 3.0, Os), "0.333333");
        assert_eq!(float(1e20 / 3.0, Os), "33333333333333300000.000000");
    }

    #[test]
    fn the_second_rounding_goes_away_from_zero() {
        assert_eq!(float(0.000_001_499_999_8, Sl), "0.000002");
        assert_eq!(float(0.000_001_499_99, Sl), "0.000001");
        assert_eq!(float(0.999_999_9, Sl), "1.000000");
        assert_eq!(float(9.999_999_5, Os), "10.000000");
        assert_eq!(float(2.5e-7, Os), "0.000000");
        assert_eq!(float(5e-7, Os), "0.000001");
    }

    #[test]
    fn each_engine_has_its_own_negative_zero() {
        assert_eq!(float(-0.0, Sl), "-0.000000");
        assert_eq!(float(-1e-9, Sl), "0.000000");
        assert_eq!(float(-0.0, Os), "0.000000");
        assert_eq!(float(-1e-9, Os), "0.000000");
        assert_eq!(float(-0.0, Net), "-0.000000");
        assert_eq!(float(-1e-9, Net), "-0.000000");
    }

    #[test]
    fn what_is_no_number_has_a_name() {
        assert_eq!(float(f64::NAN, Os), "NaN");
        assert_eq!(float(f64::INFINITY, Sl), "Infinity");
        assert_eq!(float(1e300, Sl), "Infinity");
        assert_eq!(float(f64::NEG_INFINITY, Net), "-Infinity");
    }

    #[test]
    fn the_short_form_drops_zeros_but_one() {
        assert_eq!(short_float(2.5, Os), "2.5");
        assert_eq!(short_float(2.0, Os), "2.0");
        assert_eq!(short_float(100.0, Os), "100.0");
    }
}
