//! Finding in lists, and statistics over them.

use super::args::{Args, index, int};
use super::{LibCtx, list, span};
use crate::error::RuntimeError;
use crate::profile::Profile;
use crate::value::{Value, number};

type Out = Result<Value, RuntimeError>;

/// Types must match; Second Life tells strings from keys, OpenSimulator does not. A NaN is found on Second Life only.
fn same(a: &Value, b: &Value, profile: Profile) -> bool {
    match (a, b) {
        (Value::Integer(a), Value::Integer(b)) => a == b,
        (Value::Float(a), Value::Float(b)) => a == b || (!profile.is_opensim() && a.is_nan() && b.is_nan()),
        (Value::Str(a), Value::Str(b)) | (Value::Key(a), Value::Key(b)) => a == b,
        (Value::Str(a), Value::Key(b)) | (Value::Key(a), Value::Str(b)) => profile.is_opensim() && a == b,
        (Value::Vector(a), Value::Vector(b)) => a == b,
        (Value::Rotation(a), Value::Rotation(b)) => a == b,
        _ => false,
    }
}

fn matches_at(list: &[Value], at: usize, wanted: &[Value], profile: Profile) -> bool {
    list.get(at..at + wanted.len())
        .is_some_and(|part| part.iter().zip(wanted).all(|(a, b)| same(a, b, profile)))
}

pub(super) fn find(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (list, wanted, p) = (a.list(0)?, a.list(1)?, ctx.profile);
    if wanted.is_empty() {
        return int(match p {
            Profile::SecondLife => 0,
            Profile::OpenSim092 => -1,
            Profile::OpenSim093 | Profile::OpenSimMaster => -i32::from(list.is_empty()),
        });
    }
    index((0..list.len()).find(|i| matches_at(list, *i, wanted, p)))
}

/// The n-th match, from the end for negative n.
fn nth(list: &[Value], wanted: &[Value], n: i32, first: usize, last: usize, p: Profile) -> Option<usize> {
    let mut hits = (first..last).filter(|i| matches_at(list, *i, wanted, p));
    if n >= 0 { hits.nth(usize::try_from(n).ok()?) } else { hits.nth_back(usize::try_from(!n).ok()?) }
}

/// With nothing to find, the instance itself is the answer, where the list is that long.
fn nth_of_nothing(list: &[Value], n: i32) -> Out {
    if list.is_empty() {
        return int(0);
    }
    index(span::position(n, list.len()))
}

pub(super) fn find_next(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (list, wanted, n) = (a.list(0)?, a.list(1)?, a.int(2)?);
    if wanted.is_empty() {
        return nth_of_nothing(list, n);
    }
    index(nth(list, wanted, n, 0, list.len(), ctx.profile))
}

pub(super) fn os_find_next(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (list, wanted, n) = (a.list(0)?, a.list(1)?, a.int(4)?);
    if wanted.is_empty() {
        return nth_of_nothing(list, n);
    }
    let (start, end) = (span::absolute(a.int(2)?, list.len()), span::absolute(a.int(3)?, list.len()));
    if start < 0 || end < 0 {
        return int(-1);
    }
    // The whole match must lie before the end, which is inclusive.
    let last = (span::clamp(end + 1, list.len()) + 1).saturating_sub(wanted.len());
    index(nth(list, wanted, n, span::clamp(start, list.len()), last, ctx.profile))
}

/// The first match that starts at `start`, `start + stride` and so on, up to `end`.
pub(super) fn find_strided(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (list, wanted) = (a.list(0)?, a.list(1)?);
    if list.is_empty() || wanted.is_empty() {
        return int(if list.is_empty() && !(ctx.linden() && wanted.is_empty()) { -1 } else { 0 });
    }
    let (start, end) = (span::absolute(a.int(2)?, list.len()), span::absolute(a.int(3)?, list.len()));
    let stride = usize::try_from(a.int(4)?).unwrap_or(1).max(1);
    if start < 0 || end < 0 {
        return int(-1);
    }
    let last = span::clamp(end + 1, list.len());
    let mut places = (span::clamp(start, list.len())..last).step_by(stride);
    index(places.find(|i| i + wanted.len() <= last && matches_at(list, *i, wanted, ctx.profile)))
}

/// The numbers of a list. Second Life takes integers and floats; OpenSimulator whatever reads as a number once written as
/// text, hence with six decimals.
fn numbers(ctx: &LibCtx<'_>, list: &[Value]) -> Vec<f64> {
    list.iter()
        .filter_map(|v| match v {
            Value::Integer(n) => Some(f64::from(*n)),
            Value::Float(x) if ctx.linden() => Some(*x),
            Value::Float(_) | Value::Str(_) | Value::Key(_) if !ctx.linden() => {
                number::net_float(&v.list_text(ctx.profile))
            }
            _ => None,
        })
        .collect()
}

fn median(mut n: Vec<f64>) -> f64 {
    n.sort_by(f64::total_cmp);
    let mid = n.len() / 2;
    if n.len() % 2 == 1 { n[mid] } else { (n[mid - 1] + n[mid]) * 0.5 }
}

#[expect(clippy::cast_precision_loss, reason = "list lengths are far below 2^52")]
pub(super) fn statistics(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (operation, n) = (a.int(0)?, numbers(ctx, a.list(1)?));
    let count = n.len() as f64;
    let sum: f64 = n.iter().sum();
    let squares: f64 = n.iter().map(|x| x * x).sum();
    let least = n.iter().copied().fold(f64::INFINITY, f64::min);
    let most = n.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if ctx.linden() && n.is_empty() {
        return ctx.float(0.0);
    }
    ctx.float(match operation {
        // OpenSimulator divides where a range is a difference.
        0 if ctx.linden() => most - least,
        0 => most / least,
        1 => least,
        2 => most,
        3 => sum / count,
        4 if n.is_empty() => {
            return Err(super::args::exception("llListStatistics", "the list holds no numbers"));
        }
        4 => median(n),
        5 if ctx.linden() && n.len() == 1 => 0.0,
        5 if ctx.linden() => {
            let mean = sum / count;
            (n.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (count - 1.0)).sqrt()
        }
        5 => ((squares - count * (sum / count).powi(2)) / (count - 1.0)).sqrt(),
        6 => sum,
        7 => squares,
        8 => count,
        9 if ctx.linden() && least <= 0.0 => 0.0,
        9 if ctx.linden() => (n.iter().map(|x| x.ln()).sum::<f64>() / count).exp(),
        9 => (n.iter().product::<f64>().ln() / count).exp(),
        100 if !ctx.linden() => count / n.iter().map(|x| 1.0 / x).sum::<f64>(),
        _ => 0.0,
    })
}

/// `osListAs...`: an element of exactly that type, counted from the start only, or the type's nothing.
fn exact<'a>(a: Args<'a>) -> Result<Option<&'a Value>, RuntimeError> {
    Ok(usize::try_from(a.int(1)?).ok().and_then(|i| a.0.first().and_then(|_| a.list(0).ok()?.get(i))))
}

pub(super) fn os_as_integer(_: &mut LibCtx<'_>, args: &[Value]) -> Out {
    Ok(exact(Args(args))?.filter(|v| matches!(v, Value::Integer(_))).cloned().unwrap_or_default())
}

pub(super) fn os_as_float(_: &mut LibCtx<'_>, args: &[Value]) -> Out {
    Ok(exact(Args(args))?.filter(|v| matches!(v, Value::Float(_))).cloned().unwrap_or(Value::Float(0.0)))
}

pub(super) fn os_as_string(_: &mut LibCtx<'_>, args: &[Value]) -> Out {
    Ok(match exact(Args(args))? {
        Some(Value::Str(s) | Value::Key(s)) => Value::Str(s.clone()),
        _ => Value::str(""),
    })
}

pub(super) fn os_as_vector(_: &mut LibCtx<'_>, args: &[Value]) -> Out {
    Ok(exact(Args(args))?
        .filter(|v| matches!(v, Value::Vector(_)))
        .cloned()
        .unwrap_or(Value::Vector([0.0; 3])))
}

pub(super) fn os_as_rotation(_: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let nothing = Value::Rotation([0.0, 0.0, 0.0, 1.0]);
    Ok(exact(Args(args))?.filter(|v| matches!(v, Value::Rotation(_))).cloned().unwrap_or(nothing))
}

pub(super) fn os_is_uuid(_: &mut LibCtx<'_>, args: &[Value]) -> Out {
    int(i32::from(list::parses_as_uuid(Args(args).text(0)?)))
}

#[cfg(test)]
mod tests {
    use crate::library::testing::{call, call_err, l, s, survives};
    use crate::profile::Profile::{
        self, OpenSim092 as Os, OpenSim093 as Net, OpenSimMaster as Master, SecondLife as Sl,
    };
    use crate::value::Value::{self, Float as F, Integer as I};
    use proptest::prelude::*;

    #[test]
    fn types_must_match_as_the_probes_show() {
        for p in Profile::ALL {
            assert_eq!(call(p, "llListFindList", &[l([I(1), s("1"), F(1.0)]), l([s("1")])]), I(1));
            assert_eq!(call(p, "llListFindList", &[l([F(1.0), F(2.0)]), l([I(1)])]), I(-1));
            assert_eq!(call(p, "llListFindList", &[l([I(1), I(2), I(3)]), l([I(2), I(3)])]), I(1));
            assert_eq!(call(p, "llListFindList", &[l([I(1)]), l([I(1), I(2)])]), I(-1));
        }
        let keyed = [l([Value::key("a")]), l([s("a")])];
        assert_eq!(call(Sl, "llListFindList", &keyed), I(-1));
        assert_eq!(call(Os, "llListFindList", &keyed), I(0));
    }

    #[test]
    fn finding_nothing_differs() {
        for (p, in_some, in_none) in [(Sl, 0, 0), (Os, -1, -1), (Net, 0, -1), (Master, 0, -1)] {
            assert_eq!(call(p, "llListFindList", &[l([I(1)]), l([])]), I(in_some), "{p}");
            assert_eq!(call(p, "llListFindList", &[l([]), l([])]), I(in_none), "{p}");
        }
    }

    #[test]
    fn instances_count_from_both_ends() {
        let list = l([I(1), I(2), I(1), I(2), I(1)]);
        for p in [Sl, Master] {
            for (n, at) in [(0, 0), (1, 2), (2, 4), (3, -1), (-1, 4), (-2, 2), (-4, -1)] {
                assert_eq!(call(p, "llListFindListNext", &[list.clone(), l([I(1)]), I(n)]), I(at), "{n}");
            }
        }
        let osargs = [list, l([I(1)]), I(1), I(-1), I(0)];
        assert_eq!(call(Master, "osListFindListNext", &osargs), I(2));
    }

    #[test]
    fn strides_are_looked_at_alone() {
        let list = l([I(1), I(9), I(2), I(1), I(3), I(1)]);
        for p in [Sl, Net, Master] {
            assert_eq!(call(p, "llListFindStrided", &[list.clone(), l([I(1)]), I(0), I(-1), I(2)]), I(0));
            assert_eq!(call(p, "llListFindStrided", &[list.clone(), l([I(1)]), I(1), I(-1), I(2)]), I(3));
            assert_eq!(call(p, "llListFindStrided", &[list.clone(), l([I(9)]), I(0), I(-1), I(2)]), I(-1));
            assert_eq!(call(p, "llListFindStrided", &[list.clone(), l([I(1)]), I(2), I(4), I(2)]), I(-1));
        }
    }

    #[test]
    fn statistics_of_one_to_four() {
        let n = l([I(1), F(2.0), I(3), I(4), s("x")]);
        for p in Profile::ALL {
            for (operation, value) in [(1, 1.0), (2, 4.0), (3, 2.5), (4, 2.5), (6, 10.0), (7, 30.0), (8, 4.0)]
            {
                assert_eq!(
                    call(p, "llListStatistics", &[I(operation), n.clone()]),
                    F(value),
                    "{p} {operation}"
                );
            }
        }
        assert_eq!(call(Sl, "llListStatistics", &[I(0), n.clone()]), F(3.0));
        assert_eq!(call(Os, "llListStatistics", &[I(0), n.clone()]), F(4.0));
        let F(dev) = call(Sl, "llListStatistics", &[I(5), n.clone()]) else { panic!("a float") };
        assert!((dev - 1.290_994).abs() < 1e-6);
        let F(mean) = call(Sl, "llListStatistics", &[I(9), n]) else { panic!("a float") };
        assert!((mean - 2.213_364).abs() < 1e-6);
        assert_eq!(call(Sl, "llListStatistics", &[I(4), l([])]), F(0.0));
        assert!(call_err(Os, "llListStatistics", &[I(4), l([])]).message.contains("no numbers"));
        assert_eq!(call(Os, "llListStatistics", &[I(6), l([s("2.5"), s("x")])]), F(2.5));
        assert_eq!(call(Sl, "llListStatistics", &[I(6), l([s("2.5"), s("x")])]), F(0.0));
    }

    #[test]
    fn exact_elements_only() {
        assert_eq!(call(Master, "osListAsInteger", &[l([s("5")]), I(0)]), I(0));
        assert_eq!(call(Master, "osListAsInteger", &[l([I(5)]), I(0)]), I(5));
        assert_eq!(call(Master, "osListAsInteger", &[l([I(5)]), I(-1)]), I(0));
        assert_eq!(call(Master, "osListAsString", &[l([s("5")]), I(0)]), s("5"));
    }

    proptest! {
        #[test]
        fn no_index_makes_finding_panic(n in 0_i32..6, a: i32, b: i32, c: i32, x in -8_i32..8, y in -8_i32..8) {
            let (list, wanted) = (l((0..n).map(I).collect::<Vec<_>>()), l([I(1), I(2)]));
            for p in Profile::ALL {
                for (a, b, c) in [(a, b, c), (x, y, x)] {
                    let _ = call(p, "llListFindStrided", &[list.clone(), wanted.clone(), I(a), I(b), I(c)]);
                    let _ = call(p, "llListFindListNext", &[list.clone(), wanted.clone(), I(a)]);
                    let _ = call(p, "osListFindListNext", &[list.clone(), wanted.clone(), I(a), I(b), I(c)]);
                    survives(p, "llListStatistics", &[I(a), list.clone()]);
                }
            }
        }
    }
}
