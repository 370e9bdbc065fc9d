//! OpenSimulator's own functions on strings and numbers.

use super::args::{Args, Output, exception, index, int};
use super::{LibCtx, pattern, span, unit};
use crate::error::RuntimeError;
use crate::profile::Profile;
use crate::value::Value;

type Out = Result<Value, RuntimeError>;

pub(super) fn max(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let (a, b) = (Args(args).float(0)?, Args(args).float(1)?);
    // .NET gives NaN if either is.
    ctx.float(if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) })
}

pub(super) fn min(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let (a, b) = (Args(args).float(0)?, Args(args).float(1)?);
    ctx.float(if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) })
}

pub(super) fn round(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let (x, digits) = (Args(args).float(0)?, Args(args).int(1)?.clamp(0, 15));
    let scale = 10.0_f64.powi(digits);
    ctx.float(if x.abs() >= 1e16 { x } else { (x * scale).round() / scale })
}

/// 1 for NaN, 2 and 3 for minus and plus infinity, 0 for a number.
pub(super) fn is_not_valid_number(_: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let x = Args(args).float(0)?;
    int(if x.is_nan() {
        1
    } else if x.is_infinite() {
        if x < 0.0 { 2 } else { 3 }
    } else {
        0
    })
}

/// Two floats, vectors or rotations, a millionth apart at most or as far as the third argument says.
pub(super) fn approx_equals(_: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let margin = if a.count() > 2 { a.float(2)?.abs() } else { 1e-6 };
    let parts = |i: usize| {
        Ok::<_, RuntimeError>(match a.value(i)? {
            Value::Vector(v) => v.to_vec(),
            Value::Rotation(r) => r.to_vec(),
            _ => vec![a.float(i)?],
        })
    };
    let (x, y) = (parts(0)?, parts(1)?);
    int(i32::from(x.iter().zip(y).all(|(x, y)| !(*x > y + margin || *x < y - margin))))
}

/// The text for a comparison without case, mapped character by character.
fn folded(text: &str, ignore_case: bool) -> String {
    text.chars()
        .map(|c| {
            let mut upper = c.to_uppercase();
            match (ignore_case, upper.next(), upper.next()) {
                (true, Some(one), None) => one,
                _ => c,
            }
        })
        .collect()
}

pub(super) fn starts_with(_: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (text, wanted) = (folded(a.text(0)?, a.int(2)? != 0), folded(a.text(1)?, a.int(2)? != 0));
    int(i32::from(!wanted.is_empty() && text.starts_with(wanted.as_str())))
}

pub(super) fn ends_with(_: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (text, wanted) = (folded(a.text(0)?, a.int(2)? != 0), folded(a.text(1)?, a.int(2)? != 0));
    int(i32::from(!wanted.is_empty() && text.ends_with(wanted.as_str())))
}

/// Where `wanted` stands in the UTF-16 units `from..to` of `text`. Folding may change the bytes of a character but
/// neither the number of characters nor their planes, so units count the same in both.
fn search(text: &str, wanted: &str, from: usize, to: usize, ignore_case: bool, last: bool) -> Option<usize> {
    const UNITS: Profile = Profile::OpenSimMaster;
    let (text, wanted) = (folded(text, ignore_case), folded(wanted, ignore_case));
    let (start, end) = (unit::byte_of(&text, from, UNITS).0, unit::byte_of(&text, to, UNITS).0);
    let part = text.get(start..end)?;
    let found = if last { part.rfind(&wanted) } else { part.find(&wanted) };
    found.map(|at| unit::unit_of(&text, start + at, UNITS))
}

/// `osStringIndexOf(src, value, ignorecase)` and `(src, value, offset, count, ignorecase)`.
pub(super) fn string_index_of(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (text, wanted) = (a.text(0)?, a.text(1)?);
    let len = unit::len(text, ctx.profile);
    if text.is_empty() || wanted.is_empty() {
        return int(-1);
    }
    if a.count() < 5 {
        return index(search(text, wanted, 0, len, a.int(2)? != 0, false));
    }
    let (offset, count) = window(a, len)?;
    index(search(text, wanted, offset, offset + count, a.int(4)? != 0, false))
}

/// Offset and count of the longer forms, cut to the text.
fn window(a: Args<'_>, len: usize) -> Result<(usize, usize), RuntimeError> {
    let offset = span::clamp(i64::from(a.int(2)?), len);
    let count = usize::try_from(a.int(3)?).ok().filter(|n| *n > 0).unwrap_or(usize::MAX);
    Ok((offset, count.min(len - offset)))
}

/// As [`string_index_of`], the last one; with an offset the search runs backwards from there.
pub(super) fn string_last_index_of(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (text, wanted) = (a.text(0)?, a.text(1)?);
    let len = unit::len(text, ctx.profile);
    if text.is_empty() || wanted.is_empty() {
        return int(-1);
    }
    if a.count() < 5 {
        return index(search(text, wanted, 0, len, a.int(2)? != 0, true));
    }
    let (offset, count) = window(a, len)?;
    if offset >= len {
        return int(-1);
    }
    let Some(from) = (offset + 1).checked_sub(count) else {
        return Err(exception("osStringLastIndexOf", "count reaches before the start of the string"));
    };
    index(search(text, wanted, from, offset + 1, a.int(4)? != 0, true))
}

pub(super) fn string_remove(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let text = a.text(0)?;
    let len = unit::len(text, ctx.profile);
    let offset = span::clamp(i64::from(a.int(1)?), len);
    let count = usize::try_from(a.int(2)?).ok().filter(|n| *n > 0).unwrap_or(usize::MAX).min(len - offset);
    // An offset past the end gives nothing, not the whole.
    if offset >= len {
        return Ok(Value::str(""));
    }
    Ok(Value::str(unit::slice(text, &[0..offset, offset + count..len], ctx.profile)))
}

pub(super) fn string_replace(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (text, old, new) = (a.text(0)?, a.text(1)?, a.text(2)?);
    let mut out = Output::new(ctx.profile);
    if old.is_empty() {
        return out.finish();
    }
    for (i, part) in text.split(old).enumerate() {
        if i > 0 {
            out.push(new)?;
        }
        out.push(part)?;
    }
    out.finish()
}

pub(super) fn string_sub_string(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let text = a.text(0)?;
    let len = unit::len(text, ctx.profile);
    let from = span::clamp(i64::from(a.int(1)?), len);
    let count = if a.count() > 2 { usize::try_from(a.int(2)?).unwrap_or(0) } else { len };
    let mut out = String::new();
    unit::push_range(&mut out, text, &(from..from.saturating_add(count).min(len)), ctx.profile);
    Ok(Value::str(out))
}

/// Matches and their groups, each followed by its position.
pub(super) fn match_string(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let text = a.text(0)?;
    let Some(start) = span::position(a.int(2)?, unit::len(text, ctx.profile)) else {
        return ctx.list(Vec::new());
    };
    let Some(regex) = pattern::compile(a.text(1)?) else {
        return Err(exception("osMatchString", "the pattern is no regular expression"));
    };
    let mut out = Vec::new();
    for hit in pattern::captures_from(&regex, text, unit::byte_of(text, start, ctx.profile).0) {
        for group in hit.iter().flatten() {
            out.push(Value::str(group.as_str()));
            let at = unit::unit_of(text, group.start(), ctx.profile);
            out.push(Value::Integer(i32::try_from(at).unwrap_or(i32::MAX)));
        }
        if out.len() > super::args::max_items(ctx.profile) {
            return Err(super::args::collision());
        }
    }
    ctx.list(out)
}

pub(super) fn replace_string(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (text, count) = (a.text(0)?, a.int(3)?);
    let Some(start) = span::position(a.int(4)?, unit::len(text, ctx.profile)) else {
        return ctx.text(text);
    };
    let Some(regex) = pattern::compile(a.text(1)?) else {
        return Err(exception("osReplaceString", "the pattern is no regular expression"));
    };
    let count = match count {
        0 => return ctx.text(text),
        -1 => 0,
        ..-1 => return Err(exception("osReplaceString", "the count is below -1")),
        n => n,
    };
    let from = unit::byte_of(text, start, ctx.profile).0;
    pattern::replace(ctx.profile, &regex, text, a.text(2)?, count, from)
}

pub(super) fn regex_is_match(_: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (text, wanted) = (a.text(0)?, a.text(1)?);
    int(i32::from(pattern::compile(wanted).is_some_and(|r| r.is_match(text))))
}

/// .NET's composite formatting: `{0}`, `{1,8}`, `{{`.
pub(super) fn format_string(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (text, items) = (a.text(0)?, a.list(1)?);
    let wrong =
        || exception("osFormatString", "the format string is wrong or names an item that is not there");
    let mut out = Output::new(ctx.profile);
    let mut chars = text.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '{' | '}' if text[i + 1..].starts_with(c) => {
                out.push_char(c)?;
                chars.next();
            }
            '{' => {
                let body = text[i + 1..].split_once('}').ok_or_else(wrong)?.0;
                for _ in 0..=body.chars().count() {
                    chars.next();
                }
                let body = body.split_once(':').map_or(body, |(head, _)| head);
                let (number, width) = body.split_once(',').unwrap_or((body, "0"));
                let item =
                    number.trim().parse::<usize>().ok().and_then(|n| items.get(n)).ok_or_else(wrong)?;
                let width: i32 = width.trim().parse().map_err(|_| wrong())?;
                let shown = item.list_text(ctx.profile);
                let pad = usize::try_from(width.unsigned_abs()).unwrap_or(0);
                if pad > super::args::max_text(ctx.profile) {
                    return Err(super::args::collision());
                }
                out.push(&if width < 0 {
                    format!("{shown:<pad$}")
                } else {
                    format!("{:>pad$}", shown.as_str())
                })?;
            }
            '}' => return Err(wrong()),
            _ => out.push_char(c)?,
        }
    }
    out.finish()
}

/// The colour of a glowing body of that many kelvin.
#[expect(clippy::cast_possible_truncation, reason = "the simulator computes colours in 32 bits")]
pub(super) fn temperature_to_srgb(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let t = Args(args).float(0)? as f32;
    let poly = |x: f32, [a, b, c, d]: [f32; 4]| (((a * x + b) * x + c) * x + d).clamp(0.0, 1.0);
    let rgb = if t <= 1000.0 {
        return ctx.vector([1.0, 0.0401, 0.0]);
    } else if t >= 40_000.0 {
        return ctx.vector([0.3277, 0.5022, 1.0]);
    } else if t < 6600.0 {
        let green = poly(t - 1000.0, [-7.873_08e-13, -7.100_85e-9, 0.000_226_93, 0.037_424_9]);
        let blue = poly(t - 1900.0, [-5.97e-12, 5.49e-8, 8.854_65e-5, -0.005_895_9]);
        [1.0, green, blue]
    } else {
        let x = 0.01 * (t - 6000.0);
        let red = 1.897_315 * x.powf(-0.346_837) + 0.062_204_4;
        let green = 1.261_989 * x.powf(-0.251_708) + 0.200_836;
        [red.clamp(0.0, 1.0), green.clamp(0.0, 1.0), 1.0]
    };
    ctx.vector(rgb.map(f64::from))
}

// Drawing: every function appends a command to a list that osSetDynamicTextureData later renders.

/// `Name arg,arg; ` at the end of the first argument; `mark` is what ends it.
fn command(ctx: &LibCtx<'_>, args: &[Value], name: &str, mark: &str) -> Out {
    let mut out = Output::new(ctx.profile);
    out.push(Args(args).text(0)?)?;
    out.push(name)?;
    for (i, value) in args.iter().skip(1).enumerate() {
        out.push(if i == 0 { " " } else { "," })?;
        out.push(&value.list_text(ctx.profile))?;
    }
    out.push(mark)?;
    out.finish()
}

macro_rules! drawing {
    ($($function:ident $name:literal $mark:literal,)*) => {
        $(pub(super) fn $function(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
            command(ctx, args, $name, $mark)
        })*
    };
}

drawing! {
    move_pen "MoveTo" ";",
    draw_text "Text" "; ",
    draw_ellipse "Ellipse" "; ",
    draw_filled_ellipse "FillEllipse" "; ",
    draw_rectangle "Rectangle" "; ",
    draw_filled_rectangle "FillRectangle" "; ",
    draw_image "Image" "; ",
    draw_reset_transform "ResetTransf" ";",
    draw_rotation_transform "RotTransf" ";",
    draw_scale_transform "ScaleTransf" ";",
    draw_translation_transform "TransTransf" ";",
    set_font_name "FontName" "; ",
    set_font_size "FontSize" "; ",
    set_pen_size "PenSize" "; ",
    set_pen_colour "PenColour" "; ",
    set_pen_cap "PenCap" "; ",
}

/// From a point to a point, or on from the pen.
pub(super) fn draw_line(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    if args.len() < 5 {
        return command(ctx, args, "LineTo", "; ");
    }
    let moved = command(ctx, &args[..3], "MoveTo", "; ")?;
    command(ctx, &[moved, args[3].clone(), args[4].clone()], "LineTo", "; ")
}

fn polygon(ctx: &LibCtx<'_>, args: &[Value], name: &str) -> Out {
    let a = Args(args);
    let (x, y) = (a.list(1)?, a.list(2)?);
    if x.len() != y.len() || x.len() < 3 {
        return Ok(Value::str(""));
    }
    let mut points = vec![a.value(0)?.clone()];
    points.extend(x.iter().zip(y).flat_map(|(x, y)| [x.clone(), y.clone()]));
    command(ctx, &points, name, "; ")
}

pub(super) fn draw_polygon(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    polygon(ctx, args, "Polygon")
}

pub(super) fn draw_filled_polygon(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    polygon(ctx, args, "FillPolygon")
}

/// By name, or since 0.9.3 by a colour vector with an alpha.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a byte")]
pub(super) fn set_pen_color(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let Value::Vector([r, g, b]) = a.value(1)? else { return command(ctx, args, "PenColor", "; ") };
    let alpha = if a.count() > 2 { a.float(2)? } else { 1.0 };
    let bytes = [alpha, *r, *g, *b].map(|x| (x.clamp(0.0, 1.0) * 255.0 + 0.5) as u8);
    command(ctx, &[a.value(0)?.clone(), Value::str(hex::encode_upper(bytes))], "PenColor", "; ")
}

#[cfg(test)]
mod tests {
    use crate::library::testing::{call, call_err, l, s, text};
    use crate::profile::Profile::{OpenSim092 as Os, OpenSimMaster as Master};
    use crate::value::Value::{Float as F, Integer as I, Rotation as R, Vector as V};

    #[test]
    fn numbers() {
        assert_eq!(call(Os, "osMax", &[F(1.0), F(2.0)]), F(2.0));
        assert_eq!(call(Os, "osMin", &[F(1.0), F(2.0)]), F(1.0));
        assert_eq!(call(Os, "osRound", &[F(-2.345), I(2)]), F(-2.35));
        assert_eq!(call(Os, "osRound", &[F(2.5), I(-1)]), F(3.0));
        assert_eq!(call(Os, "osIsNotValidNumber", &[F(f64::NEG_INFINITY)]), I(2));
        assert_eq!(call(Os, "osApproxEquals", &[F(1.0), F(1.000_000_5)]), I(1));
        assert_eq!(call(Os, "osApproxEquals", &[V([1.0, 0.0, 0.0]), V([1.1, 0.0, 0.0]), F(0.2)]), I(1));
        assert_eq!(call(Os, "osApproxEquals", &[R([0.0, 0.0, 0.0, 1.0]), R([0.0, 0.0, 1.0, 0.0])]), I(0));
        assert_eq!(call(Os, "osIsUUID", &[s("00000000-0000-0000-0000-000000000000")]), I(1));
        assert_eq!(call(Os, "osIsUUID", &[s("x")]), I(0));
    }

    #[test]
    fn strings() {
        assert_eq!(call(Os, "osStringIndexOf", &[s("Hello hello"), s("HELLO"), I(1)]), I(0));
        assert_eq!(call(Os, "osStringIndexOf", &[s("Hello hello"), s("hello"), I(0)]), I(6));
        assert_eq!(call(Os, "osStringIndexOf", &[s("Hello hello"), s("HELLO"), I(1), I(0), I(1)]), I(6));
        assert_eq!(call(Os, "osStringLastIndexOf", &[s("ababa"), s("aba"), I(0)]), I(2));
        assert_eq!(call(Os, "osStringLastIndexOf", &[s("ababa"), s("b"), I(2), I(2), I(0)]), I(1));
        assert!(
            call_err(Os, "osStringLastIndexOf", &[s("ababa"), s("b"), I(0), I(3), I(0)])
                .message
                .contains("count")
        );
        assert_eq!(call(Os, "osStringStartsWith", &[s("Hello"), s("he"), I(1)]), I(1));
        assert_eq!(call(Os, "osStringEndsWith", &[s("Hello"), s("LO"), I(0)]), I(0));
        assert_eq!(text(Os, "osStringRemove", &[s("hello"), I(1), I(2)]), "hlo");
        assert_eq!(text(Os, "osStringReplace", &[s("aXbX"), s("X"), s("")]), "ab");
        assert_eq!(text(Os, "osStringSubString", &[s("hello"), I(2)]), "llo");
        assert_eq!(text(Os, "osStringSubString", &[s("hello"), I(-1), I(2)]), "he");
        assert_eq!(
            text(Os, "osFormatString", &[s("{0} is {1,4}|{{x}}"), l([s("a"), I(5)])]),
            "a is    5|{x}"
        );
        assert!(call_err(Os, "osFormatString", &[s("{3}"), l([])]).message.contains("osFormatString"));
    }

    #[test]
    fn patterns() {
        assert_eq!(call(Os, "osRegexIsMatch", &[s("abc123"), s("^[a-z]+\\d+$")]), I(1));
        assert_eq!(call(Os, "osRegexIsMatch", &[s("x"), s("(")]), I(0));
        let got = call(Os, "osMatchString", &[s("a1 b2"), s("([a-z])\\d"), I(0)]);
        assert_eq!(got, l([s("a1"), I(0), s("a"), I(0), s("b2"), I(3), s("b"), I(3)]));
        assert_eq!(text(Os, "osReplaceString", &[s("aaa"), s("a"), s("b"), I(1), I(1)]), "aba");
        assert_eq!(text(Os, "osReplaceString", &[s("aaa"), s("a"), s("b"), I(-1), I(0)]), "bbb");
    }

    #[test]
    fn drawing_commands_are_appended() {
        assert_eq!(text(Os, "osMovePen", &[s(""), I(1), I(2)]), "MoveTo 1,2;");
        assert_eq!(text(Os, "osDrawLine", &[s("x;"), I(1), I(2), I(3), I(4)]), "x;MoveTo 1,2; LineTo 3,4; ");
        assert_eq!(text(Os, "osDrawLine", &[s(""), I(3), I(4)]), "LineTo 3,4; ");
        assert_eq!(text(Os, "osSetPenColor", &[s(""), s("Red")]), "PenColor Red; ");
        assert_eq!(
            text(Master, "osSetPenColor", &[s(""), V([1.0, 0.5, 0.0]), F(1.0)]),
            "PenColor FFFF8000; "
        );
        let (x, y) = (l([I(1), I(2), I(3)]), l([I(4), I(5), I(6)]));
        assert_eq!(text(Os, "osDrawPolygon", &[s(""), x, y]), "Polygon 1,4,2,5,3,6; ");
        assert_eq!(text(Os, "osDrawResetTransform", &[s("")]), "ResetTransf;");
    }

    #[test]
    fn colours_of_heat() {
        assert_eq!(call(Master, "osTemperature2sRGB", &[F(500.0)]), V([1.0, 0.0401, 0.0]));
        let V([r, _, b]) = call(Master, "osTemperature2sRGB", &[F(20_000.0)]) else { panic!("a vector") };
        assert!(r < 0.7 && b == 1.0);
    }
}
