//! Lists: parts, elements, conversion from and to text.

use super::args::{Args, Output, exception, int, size};
use super::{LibCtx, span};
use crate::error::RuntimeError;
use crate::profile::Profile;
use crate::value::cast::{float_to_integer, is_uuid};
use crate::value::{Value, format, number};
use std::ops::Range;

type Out = Result<Value, RuntimeError>;

fn pick(list: &[Value], ranges: &[Range<usize>]) -> Vec<Value> {
    ranges.iter().flat_map(|r| list[r.clone()].iter().cloned()).collect()
}

pub(super) fn length(_: &mut LibCtx<'_>, args: &[Value]) -> Out {
    size(Args(args).list(0)?.len())
}

/// The element at an index that may count from the end.
fn element<'a>(a: Args<'a>) -> Result<Option<&'a Value>, RuntimeError> {
    let list = a.list(0)?;
    Ok(span::position(a.int(1)?, list.len()).map(|i| &list[i]))
}

/// What the simulator's UUID parser takes: with or without hyphens, in braces.
pub(super) fn parses_as_uuid(text: &str) -> bool {
    let text = text.trim();
    let inner = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(text);
    is_uuid(inner) || (inner.len() == 32 && inner.bytes().all(|b| b.is_ascii_hexdigit()))
}

pub(super) fn to_integer(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    int(match element(Args(args))? {
        Some(Value::Integer(n)) => *n,
        Some(Value::Float(x)) => {
            // .NET's Convert.ToInt32 rounds halves to even and throws out of range; later versions cut.
            if ctx.profile == Profile::OpenSim092 {
                let rounded = x.round_ties_even();
                if !(-2_147_483_648.0..=2_147_483_647.0).contains(&rounded) {
                    return Err(exception("llList2Integer", "the float does not fit an integer"));
                }
                float_to_integer(rounded)
            } else {
                float_to_integer(*x)
            }
        }
        // The exception that a cast raises is caught here.
        Some(Value::Str(s)) => number::integer(s, ctx.profile).unwrap_or(0),
        Some(Value::Key(s)) if ctx.profile.is_opensim() => number::integer(s, ctx.profile).unwrap_or(0),
        _ => 0,
    })
}

pub(super) fn to_float(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    ctx.float(match element(Args(args))? {
        Some(Value::Integer(n)) => f64::from(*n),
        Some(Value::Float(x)) => *x,
        Some(Value::Str(s)) if ctx.linden() => number::float(s, ctx.profile).unwrap_or(0.0),
        Some(Value::Str(s) | Value::Key(s)) if ctx.profile.is_opensim() => {
            if parses_as_uuid(s) {
                f64::from(number::integer(s, ctx.profile).unwrap_or(0))
            } else {
                leading_number(s)
            }
        }
        _ => 0.0,
    })
}

/// OpenSimulator's own reading of a string in a list: digits with thousands commas, no exponent.
fn leading_number(text: &str) -> f64 {
    let body = text.trim_start();
    let signed = body.strip_prefix('-').map_or((false, body), |b| (true, b));
    let body = signed.1.strip_prefix('+').unwrap_or(signed.1);
    if signed.0 && body.len() != signed.1.len() {
        return 0.0;
    }
    let whole: String = body.chars().take_while(|c| c.is_ascii_digit() || *c == ',').collect();
    let mut digits = whole.replace(',', "");
    if whole.starts_with(',') || digits.is_empty() {
        return 0.0;
    }
    if let Some(rest) = body[whole.len()..].strip_prefix('.') {
        digits.push('.');
        digits.extend(rest.chars().take_while(char::is_ascii_digit));
    }
    let value = digits.parse().unwrap_or(0.0);
    if signed.0 { -value } else { value }
}

pub(super) fn to_string(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    Ok(element(Args(args))?.map_or_else(|| Value::str(""), |v| Value::Str(v.list_text(ctx.profile))))
}

pub(super) fn to_key(_: &mut LibCtx<'_>, args: &[Value]) -> Out {
    Ok(match element(Args(args))? {
        Some(Value::Str(s) | Value::Key(s)) => Value::Key(s.clone()),
        _ => Value::key(""),
    })
}

pub(super) fn to_vector(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    Ok(match element(Args(args))? {
        Some(Value::Vector(v)) => Value::Vector(*v),
        Some(Value::Str(s) | Value::Key(s)) if ctx.profile.is_opensim() => {
            Value::Vector(number::tuple(s, ctx.profile).unwrap_or_default())
        }
        _ => Value::Vector([0.0; 3]),
    })
}

pub(super) fn to_rotation(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    const IDENTITY: [f64; 4] = [0.0, 0.0, 0.0, 1.0];
    Ok(match element(Args(args))? {
        Some(Value::Rotation(r)) => Value::Rotation(*r),
        Some(Value::Str(s) | Value::Key(s)) if ctx.profile.is_opensim() => {
            Value::Rotation(number::tuple(s, ctx.profile).unwrap_or(IDENTITY))
        }
        _ => Value::Rotation(IDENTITY),
    })
}

/// 1 integer, 2 float, 3 string, 4 key, 5 vector, 6 rotation, 0 outside the list. OpenSimulator tells keys from strings by
/// their text.
pub(super) fn entry_type(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    int(match element(Args(args))? {
        None => 0,
        Some(Value::Integer(_)) => 1,
        Some(Value::Float(_)) => 2,
        Some(Value::Str(s) | Value::Key(s)) if ctx.profile.is_opensim() => 3 + i32::from(parses_as_uuid(s)),
        Some(Value::Str(_)) => 3,
        Some(Value::Key(_)) => 4,
        Some(Value::Vector(_)) => 5,
        Some(Value::Rotation(_)) => 6,
        Some(Value::List(_)) => 7,
    })
}

pub(super) fn sub_list(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let list = a.list(0)?;
    ctx.list(pick(list, &span::selected(a.int(1)?, a.int(2)?, list.len())))
}

pub(super) fn delete_sub_list(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let list = a.list(0)?;
    let (mut start, mut end) = (span::absolute(a.int(1)?, list.len()), span::absolute(a.int(2)?, list.len()));
    // An index before the list means its first element in OpenSimulator.
    if ctx.profile.is_opensim() {
        (start, end) = (start.max(0), end.max(0));
    }
    ctx.list(pick(list, &span::remaining(start, end, list.len())))
}

pub(super) fn insert_list(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (list, new) = (a.list(0)?, a.list(1)?);
    let at = span::clamp(span::absolute(a.int(2)?, list.len()), list.len());
    ctx.list([&list[..at], new, &list[at..]].concat())
}

pub(super) fn replace_list(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (list, new) = (a.list(0)?, a.list(1)?);
    let len = list.len();
    let (start, end) = (span::absolute(a.int(2)?, len), span::absolute(a.int(3)?, len));
    if ctx.profile.is_opensim() {
        return ctx.list(yengine_replace(list, new, start, end));
    }
    // The new elements are lost when the range starts before the list.
    let new = if start < 0 { &[] } else { new };
    let [head, tail] = span::remaining(start, end, len);
    // A range that wraps leaves its middle, and the new elements go to the end.
    ctx.list([&list[head], new, &list[tail]].concat())
}

/// YEngine cuts its parts with the function that counts negative positions from the end, and hands it positions that it
/// has already made absolute: those before the list are counted twice.
fn yengine_replace(list: &[Value], new: &[Value], start: i64, end: i64) -> Vec<Value> {
    let cut = |from: i64, to: i64| {
        let index = |i: i64| i32::try_from(i).unwrap_or(if i < 0 { i32::MIN } else { i32::MAX });
        pick(list, &span::selected(index(from), index(to), list.len()))
    };
    if start > end {
        let mut out = cut(end + 1, start - 1);
        out.extend_from_slice(new);
        return out;
    }
    let mut out = if start > 0 { cut(0, start - 1) } else { Vec::new() };
    if start >= 0 {
        out.extend_from_slice(new);
    }
    if usize::try_from(end + 1).map_or(true, |i| i < list.len()) {
        out.extend(cut(end + 1, -1));
    }
    out
}

pub(super) fn list_to_list_strided(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (list, start, end, stride) = (a.list(0)?, a.int(1)?, a.int(2)?, a.int(3)?);
    if ctx.profile == Profile::OpenSim092 {
        return old_strided(ctx, list, start, end, stride);
    }
    ctx.list(slice(ctx, list, start, end, stride, 0))
}

pub(super) fn list_to_list_slice(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let list = a.list(0)?;
    ctx.list(slice(ctx, list, a.int(1)?, a.int(2)?, a.int(3)?, a.int(4)?))
}

/// One element of each stride that starts in the range.
fn slice(ctx: &LibCtx<'_>, list: &[Value], start: i32, end: i32, stride: i32, offset: i32) -> Vec<Value> {
    let len = list.len();
    let stride = if ctx.linden() { stride.unsigned_abs() } else { stride.max(0).cast_unsigned() };
    let stride = usize::try_from(stride).unwrap_or(1).max(1);
    let Some(offset) = span::position(offset, stride) else { return Vec::new() };
    let (mut first, mut last) = (span::absolute(start, len), span::absolute(end, len));
    if ctx.profile.is_opensim() {
        (first, last) = (first.max(0), last.max(0));
    }
    if first > last {
        (first, last) = (0, i64::try_from(len).unwrap_or(i64::MAX) - 1);
    }
    let Ok(last) = usize::try_from(last) else { return Vec::new() };
    let first = span::clamp(first, len).next_multiple_of(stride);
    (first..)
        .step_by(stride)
        .map(|i| i.saturating_add(offset))
        .take_while(|i| *i <= last && *i < len)
        .map(|i| list[i].clone())
        .collect()
}

/// The reading before 0.9.3 (kept later as `osOldList2ListStrided`): strides count from the start of the list, a range
/// that wraps selects both ends, a negative stride runs backwards.
fn old_strided(ctx: &LibCtx<'_>, list: &[Value], start: i32, end: i32, stride: i32) -> Out {
    let len = i64::try_from(list.len()).unwrap_or(i64::MAX);
    let (start, end) = (span::absolute(start, list.len()).min(len), span::absolute(end, list.len()).min(len));
    let stride = if stride == 0 { 1 } else { stride };
    let step = usize::try_from(stride.unsigned_abs()).unwrap_or(1);
    if start == end {
        if start % i64::from(stride) != 0 {
            return ctx.list(Vec::new());
        }
        let Some(item) = usize::try_from(start).ok().and_then(|i| list.get(i)) else {
            return Err(exception("llList2ListStrided", "start and end lie outside the list"));
        };
        return ctx.list(vec![item.clone()]);
    }
    let wanted = |i: &usize| {
        let i = i64::try_from(*i).unwrap_or(i64::MAX);
        if start < end { start <= i && i <= end } else { i <= end || i >= start }
    };
    let take = |i: usize| list[i].clone();
    ctx.list(if stride > 0 {
        (0..list.len()).step_by(step).filter(wanted).map(take).collect()
    } else {
        (0..list.len()).rev().step_by(step).filter(wanted).map(take).collect()
    })
}

pub(super) fn os_old_list_to_list_strided(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let list = a.list(0)?;
    old_strided(ctx, list, a.int(1)?, a.int(2)?, a.int(3)?)
}

pub(super) fn randomize(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let list = a.list(0)?;
    let stride = usize::try_from(a.int(1)?).unwrap_or(1).max(1);
    if !list.len().is_multiple_of(stride) {
        return ctx.list(list.to_vec());
    }
    let mut order: Vec<usize> = (0..list.len() / stride).collect();
    for i in (1..order.len()).rev() {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a random number below 1 times a list's length"
        )]
        let j = ((ctx.host.random() * (i + 1) as f64) as usize).min(i);
        order.swap(i, j);
    }
    ctx.list(order.into_iter().flat_map(|i| list[i * stride..(i + 1) * stride].iter().cloned()).collect())
}

/// Linden drops the sign of a zero here (and only here).
fn dumped(v: &Value, profile: Profile) -> Value {
    let plus = |x: f64| if profile.is_opensim() || profile.float(x) != 0.0 { x } else { 0.0 };
    match v {
        Value::Float(x) => Value::Float(plus(*x)),
        Value::Vector(v) => Value::Vector(v.map(plus)),
        Value::Rotation(r) => Value::Rotation(r.map(plus)),
        Value::Integer(_) | Value::Str(_) | Value::Key(_) | Value::List(_) => v.clone(),
    }
}

pub(super) fn dump(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (list, separator) = (a.list(0)?, a.text(1)?);
    let mut out = Output::new(ctx.profile);
    for (i, item) in list.iter().enumerate() {
        if i > 0 {
            out.push(separator)?;
        }
        out.push(&dumped(item, ctx.profile).list_text(ctx.profile))?;
    }
    out.finish()
}

pub(super) fn to_csv(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let p = ctx.profile;
    let mut out = Output::new(p);
    let tuple = |parts: &[f64]| {
        let parts: Vec<String> = parts.iter().map(|x| format::c_float(*x, p)).collect();
        format!("<{}>", parts.join(", "))
    };
    for (i, item) in Args(args).list(0)?.iter().enumerate() {
        if i > 0 {
            out.push(", ")?;
        }
        match item {
            Value::Float(x) if !p.is_opensim() => out.push(&format::c_float(*x, p))?,
            Value::Vector(v) if !p.is_opensim() => out.push(&tuple(v))?,
            Value::Rotation(r) if !p.is_opensim() => out.push(&tuple(r))?,
            _ => out.push(&item.list_text(p))?,
        }
    }
    out.finish()
}

/// Commas inside `<...>` do not separate. Linden eats one space after a comma, OpenSimulator trims every part.
pub(super) fn from_csv(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let text = Args(args).text(0)?;
    let linden = ctx.linden();
    let mut depth = 0_u32;
    let mut parts = Vec::new();
    let mut from = 0;
    for (at, c) in text.char_indices() {
        match c {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    let clean =
        |part: &str| Value::str(if linden { part.strip_prefix(' ').unwrap_or(part) } else { part.trim() });
    ctx.list(parts.into_iter().map(clean).collect())
}

pub(super) fn parse(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    parse_string(ctx, args, false)
}

pub(super) fn parse_keep_nulls(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    parse_string(ctx, args, true)
}

/// At every place the separators are tried first, then the spacers, each in the order of its list. Linden looks at the
/// first eight of each only.
fn parse_string(ctx: &LibCtx<'_>, args: &[Value], keep: bool) -> Out {
    let a = Args(args);
    let (text, p) = (a.text(0)?, ctx.profile);
    if text.is_empty() {
        let kept = keep && p != Profile::OpenSimMaster;
        return Ok(Value::list(if kept { vec![Value::str("")] } else { Vec::new() }));
    }
    let most = if ctx.linden() { 8 } else { usize::MAX };
    let words = |list: &[Value]| -> Vec<String> {
        list.iter().take(most).map(|v| v.list_text(p).to_string()).filter(|s| !s.is_empty()).collect()
    };
    let (separators, spacers) = (words(a.list(1)?), words(a.list(2)?));
    let delimiters: Vec<&str> = separators.iter().chain(&spacers).map(String::as_str).collect();
    // Where each delimiter comes next; looked up again only when passed, so that the whole is linear per delimiter.
    let mut next: Vec<Option<usize>> = delimiters.iter().map(|d| text.find(d)).collect();
    let mut out = Vec::new();
    let mut from = 0;
    loop {
        for (place, d) in next.iter_mut().zip(&delimiters) {
            if place.is_some_and(|at| at < from) {
                *place = text[from..].find(d).map(|at| at + from);
            }
        }
        let first = next.iter().enumerate().filter_map(|(i, at)| at.map(|at| (at, i))).min();
        let end = first.map_or(text.len(), |(at, _)| at);
        if keep || end > from {
            out.push(Value::str(&text[from..end]));
        }
        let Some((at, which)) = first else { break };
        if which >= separators.len() {
            out.push(Value::str(delimiters[which]));
        }
        from = at + delimiters[which].len();
        if out.len() > super::args::max_items(p) {
            return Err(super::args::collision());
        }
    }
    ctx.list(out)
}

#[cfg(test)]
mod tests {
    use crate::library::testing::{call, call_err, csv, l, s, survives, text};
    use crate::profile::Profile::{
        self, OpenSim092 as Os, OpenSim093 as Net, OpenSimMaster as Master, SecondLife as Sl,
    };
    use crate::value::Value::{self, Float as F, Integer as I, Vector as V};
    use proptest::prelude::*;

    fn ints(n: i32) -> Value {
        l((0..n).map(I).collect::<Vec<_>>())
    }

    #[test]
    fn lists_as_the_probes_show() {
        for p in Profile::ALL {
            assert_eq!(
                text(p, "llList2CSV", &[l([I(1), F(2.5), s("a,b"), V([1.0, 2.0, 3.0])])]),
                "1, 2.500000, a,b, <1.000000, 2.000000, 3.000000>"
            );
            assert_eq!(call(p, "llList2Integer", &[l([s("0x10"), s("12 ")]), I(0)]), I(16));
            assert_eq!(call(p, "llList2Integer", &[l([s("0x10"), s("12 ")]), I(1)]), I(12));
            assert_eq!(text(p, "llList2String", &[l([I(1)]), I(5)]), "");
            assert_eq!(text(p, "llList2String", &[ints(4), I(-1)]), "3");
            assert_eq!(csv(p, "llParseString2List", &[s("a,,b;c"), l([s(",")]), l([s(";")])]), "a, b, ;, c");
            assert_eq!(
                csv(p, "llParseStringKeepNulls", &[s("a,,b;c"), l([s(",")]), l([s(";")])]),
                "a, , b, ;, c"
            );
            assert_eq!(csv(p, "llList2List", &[ints(5), I(3), I(1)]), "0, 1, 3, 4");
            assert_eq!(csv(p, "llListReplaceList", &[ints(3), l([s("x")]), I(1), I(5)]), "0, x");
            assert_eq!(csv(p, "llList2ListStrided", &[ints(5), I(0), I(-1), I(2)]), "0, 2, 4");
            assert_eq!(csv(p, "llDeleteSubList", &[ints(5), I(1), I(2)]), "0, 3, 4");
            assert_eq!(csv(p, "llListInsertList", &[ints(3), l([s("x")]), I(1)]), "0, x, 1, 2");
            assert_eq!(csv(p, "llListInsertList", &[ints(3), l([s("x")]), I(-1)]), "0, 1, x, 2");
            assert_eq!(csv(p, "llListInsertList", &[ints(3), l([s("x")]), I(9)]), "0, 1, 2, x");
            assert_eq!(csv(p, "llCSV2List", &[s("a, b,<1,2,3>, c")]), "a, b, <1,2,3>, c");
        }
        let floats = l([F(1.0), F(0.1), F(123_456_789.0)]);
        assert_eq!(
            text(Sl, "llDumpList2String", &[floats.clone(), s("|")]),
            "1.000000|0.100000|123456800.000000"
        );
        assert_eq!(text(Os, "llDumpList2String", &[floats, s("|")]), "1.000000|0.100000|123456789.000000");
        assert_eq!(
            text(Sl, "llDumpList2String", &[l([V([1.0, 0.5, 0.25])]), s("|")]),
            "<1.000000, 0.500000, 0.250000>"
        );
    }

    #[test]
    fn opensim_knows_keys_by_their_text_and_linden_by_their_type() {
        let key = Value::key("k");
        let uuid = s("00000000-0000-0000-0000-000000000001");
        assert_eq!(call(Sl, "llGetListEntryType", &[l([key.clone(), uuid.clone()]), I(0)]), I(4));
        assert_eq!(call(Sl, "llGetListEntryType", &[l([key.clone(), uuid.clone()]), I(1)]), I(3));
        assert_eq!(call(Os, "llGetListEntryType", &[l([key.clone(), uuid.clone()]), I(0)]), I(3));
        assert_eq!(call(Os, "llGetListEntryType", &[l([key, uuid]), I(1)]), I(4));
        assert_eq!(call(Os, "llGetListEntryType", &[l([I(1)]), I(1)]), I(0));
    }

    #[test]
    fn csv_spaces_are_eaten_differently() {
        assert_eq!(
            text(Sl, "llDumpList2String", &[call(Sl, "llCSV2List", &[s("a,  b ,c")]), s("|")]),
            "a| b |c"
        );
        assert_eq!(
            text(Os, "llDumpList2String", &[call(Os, "llCSV2List", &[s("a,  b ,c")]), s("|")]),
            "a|b|c"
        );
        assert_eq!(text(Sl, "llList2CSV", &[l([F(123_456_789.0)])]), "123456792.000000");
    }

    #[test]
    fn empty_strings_parse_to_what_each_version_gives() {
        let none = l([]);
        for (p, n) in [(Sl, 1), (Os, 1), (Net, 1), (Master, 0)] {
            let got = call(p, "llParseStringKeepNulls", &[s(""), none.clone(), none.clone()]);
            assert_eq!(call(p, "llGetListLength", &[got]), I(n), "{p}");
            assert_eq!(call(p, "llParseString2List", &[s(""), none.clone(), none.clone()]), l([]), "{p}");
        }
    }

    #[test]
    fn linden_uses_eight_separators() {
        let many = l("abcdefghi".chars().map(|c| s(&c.to_string())).collect::<Vec<_>>());
        assert_eq!(csv(Sl, "llParseString2List", &[s("1h2i3"), many.clone(), l([])]), "1, 2i3");
        assert_eq!(csv(Os, "llParseString2List", &[s("1h2i3"), many, l([])]), "1, 2, 3");
    }

    #[test]
    fn the_first_delimiter_in_the_list_wins_at_one_place() {
        for p in Profile::ALL {
            assert_eq!(csv(p, "llParseString2List", &[s("a==b"), l([s("="), s("==")]), l([])]), "a, b");
            assert_eq!(csv(p, "llParseString2List", &[s("a==b"), l([]), l([s("=="), s("=")])]), "a, ==, b");
        }
    }

    #[test]
    fn indices_before_the_list_differ() {
        assert_eq!(csv(Sl, "llDeleteSubList", &[ints(3), I(-9), I(-8)]), "0, 1, 2");
        assert_eq!(csv(Os, "llDeleteSubList", &[ints(3), I(-9), I(-8)]), "1, 2");
        assert_eq!(csv(Sl, "llListReplaceList", &[ints(4), l([s("x")]), I(-5), I(-4)]), "1, 2, 3");
        assert_eq!(csv(Sl, "llListReplaceList", &[ints(4), l([s("x")]), I(-5), I(-7)]), "");
        assert_eq!(csv(Os, "llListReplaceList", &[ints(4), l([s("x")]), I(-5), I(-4)]), "1, 2, 3");
        for p in Profile::ALL {
            assert_eq!(csv(p, "llListReplaceList", &[ints(4), l([s("x")]), I(3), I(0)]), "1, 2, x");
            assert_eq!(csv(p, "llListReplaceList", &[ints(4), l([s("x")]), I(9), I(9)]), "0, 1, 2, 3, x");
            assert_eq!(csv(p, "llListReplaceList", &[ints(4), l([s("x")]), I(0), I(-1)]), "x");
        }
        assert_eq!(csv(Sl, "llListReplaceList", &[ints(4), l([s("x")]), I(0), I(-5)]), "x");
        assert_eq!(csv(Os, "llListReplaceList", &[ints(4), l([s("x")]), I(0), I(-5)]), "0, 1, 2, 3, x");
    }

    #[test]
    fn strides_are_read_anew_since_0_9_3() {
        assert_eq!(csv(Sl, "llList2ListStrided", &[ints(6), I(1), I(-1), I(2)]), "2, 4");
        assert_eq!(csv(Net, "llList2ListStrided", &[ints(6), I(1), I(-1), I(2)]), "2, 4");
        assert_eq!(csv(Os, "llList2ListStrided", &[ints(6), I(-1), I(0), I(-1)]), "5, 0");
        assert_eq!(csv(Net, "llList2ListStrided", &[ints(6), I(-1), I(0), I(2)]), "0, 2, 4");
        assert_eq!(csv(Master, "osOldList2ListStrided", &[ints(6), I(4), I(1), I(1)]), "0, 1, 4, 5");
        assert!(call_err(Os, "llList2ListStrided", &[ints(2), I(9), I(9), I(1)]).message.contains("outside"));
        assert_eq!(csv(Sl, "llList2ListSlice", &[ints(6), I(0), I(-1), I(2), I(1)]), "1, 3, 5");
        assert_eq!(csv(Sl, "llList2ListSlice", &[ints(6), I(0), I(-1), I(3), I(-1)]), "2, 5");
        assert_eq!(csv(Sl, "llList2ListSlice", &[ints(6), I(0), I(-1), I(2), I(2)]), "");
    }

    #[test]
    fn elements_convert_by_each_engines_rules() {
        assert_eq!(call(Os, "llList2Integer", &[l([s(" 0x1F")]), I(0)]), I(0));
        assert_eq!(call(Os, "llList2Integer", &[l([F(2.5)]), I(0)]), I(2));
        assert_eq!(call(Net, "llList2Integer", &[l([F(3.9)]), I(0)]), I(3));
        assert_eq!(call(Os, "llList2Float", &[l([s("1,234.5x")]), I(0)]), F(1234.5));
        assert_eq!(call(Os, "llList2Float", &[l([s("1e3")]), I(0)]), F(1.0));
        assert_eq!(call(Sl, "llList2Float", &[l([s("1e3")]), I(0)]), F(1000.0));
        assert_eq!(call(Sl, "llList2Vector", &[l([s("<1,2,3>")]), I(0)]), V([0.0; 3]));
        assert_eq!(call(Os, "llList2Vector", &[l([s("<1,2,3>")]), I(0)]), V([1.0, 2.0, 3.0]));
        assert_eq!(call(Sl, "llList2Key", &[l([I(1)]), I(0)]), Value::key(""));
        assert_eq!(text(Sl, "llDumpList2String", &[l([F(-0.0)]), s("")]), "0.000000");
        assert_eq!(text(Sl, "llList2String", &[l([F(-0.0)]), I(0)]), "-0.000000");
    }

    #[test]
    fn joining_past_the_scripts_memory_is_a_collision() {
        let big = l(vec![s("x"); 4000]);
        let error = call_err(Sl, "llDumpList2String", &[big, s(&"y".repeat(1000))]);
        assert!(error.message.starts_with("Stack-Heap Collision"));
    }

    #[test]
    fn shuffling_keeps_strides_together() {
        let Value::List(got) = call(Sl, "llListRandomize", &[ints(10), I(2)]) else { panic!("a list") };
        let mut firsts: Vec<i32> = got
            .chunks(2)
            .map(|c| match c {
                [I(a), I(b)] if a + 1 == *b => *a,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_ne!(firsts, [0, 2, 4, 6, 8], "the host's numbers do shuffle");
        firsts.sort_unstable();
        assert_eq!(firsts, [0, 2, 4, 6, 8]);
        assert_eq!(call(Sl, "llListRandomize", &[ints(5), I(2)]), ints(5));
    }

    proptest! {
        #[test]
        fn no_index_makes_a_list_function_panic(n in 0_i32..8, a: i32, b: i32, x in -9_i32..9, y in -9_i32..9, z in -4_i32..5) {
            let list = ints(n);
            for p in Profile::ALL {
                for (a, b) in [(a, b), (x, y)] {
                    for f in ["llList2List", "llDeleteSubList"] {
                        let _ = call(p, f, &[list.clone(), I(a), I(b)]);
                    }
                    let _ = call(p, "llListReplaceList", &[list.clone(), list.clone(), I(a), I(b)]);
                    let _ = call(p, "llListInsertList", &[list.clone(), list.clone(), I(a)]);
                    survives(p, "llList2ListStrided", &[list.clone(), I(a), I(b), I(z)]);
                    survives(p, "llList2ListStrided", &[list.clone(), I(a), I(b), I(a)]);
                    let _ = call(p, "llList2ListSlice", &[list.clone(), I(a), I(b), I(z), I(x)]);
                    let _ = call(p, "llListRandomize", &[list.clone(), I(a)]);
                    for f in ["llList2Integer", "llList2Float", "llList2String", "llList2Rot", "llGetListEntryType"] {
                        let _ = call(p, f, &[list.clone(), I(a)]);
                    }
                }
            }
        }

        #[test]
        fn parsing_loses_nothing_but_delimiters(t in "[ab,;]{0,20}") {
            for p in Profile::ALL {
                let parts = call(p, "llParseStringKeepNulls", &[s(&t), l([]), l([s(","), s(";")])]);
                prop_assert_eq!(text(p, "llDumpList2String", &[parts, s("")]), t.clone());
            }
        }
    }
}
