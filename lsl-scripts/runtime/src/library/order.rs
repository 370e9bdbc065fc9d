//! Sorting lists.
//!
//! Both grids document a sort that compares elements of the same type only and leaves the rest where it stands. The order
//! that comes out of it depends on the algorithm, an exchange of every pair, so that algorithm is run where it can be
//! seen: mixed types, equal keys with company, NaN. Everything else goes through the standard library's sort.

use super::LibCtx;
use super::args::Args;
use crate::error::{ErrorKind, RuntimeError};
use crate::profile::Profile;
use crate::value::Value;
use std::cmp::Ordering;

type Out = Result<Value, RuntimeError>;

/// Strides that the exchange of every pair is run for; more would take seconds.
const MOST: usize = 10_000;

pub(super) fn sort(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    sorted(ctx, a.list(0)?, a.int(1)?, 0, a.int(2)? == 1)
}

pub(super) fn sort_strided(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    sorted(ctx, a.list(0)?, a.int(1)?, a.int(2)?, a.int(3)? == 1)
}

fn sorted(ctx: &LibCtx<'_>, list: &[Value], stride: i32, key: i32, ascending: bool) -> Out {
    let stride = usize::try_from(stride).unwrap_or(1).max(1);
    let Some(key) = super::span::position(key, stride) else {
        // A key outside the stride: OpenSimulator answers with an empty list.
        return ctx.list(if ctx.linden() { list.to_vec() } else { Vec::new() });
    };
    if !list.len().is_multiple_of(stride) {
        return ctx.list(list.to_vec());
    }
    let keys: Vec<&Value> = list.iter().skip(key).step_by(stride).collect();
    let mut order: Vec<usize> = (0..keys.len()).collect();
    if !quick(&mut order, &keys, stride, ascending, ctx.profile) {
        if keys.len() > MOST {
            let message =
                format!("llListSort of {} mixed or equal strides would not end in time", keys.len());
            return Err(RuntimeError::new(ErrorKind::Runaway, message));
        }
        exchange(&mut order, &keys, ascending, ctx.profile);
    }
    ctx.list(order.into_iter().flat_map(|i| list[i * stride..(i + 1) * stride].iter().cloned()).collect())
}

fn square(v: &[f64; 3]) -> f64 {
    v.iter().map(|x| x * x).sum()
}

/// Text in the engine's order: code points on Second Life, UTF-16 units in OpenSimulator.
fn text_order(a: &str, b: &str, profile: Profile) -> Ordering {
    if profile.is_opensim() && !(a.is_ascii() && b.is_ascii()) {
        a.encode_utf16().cmp(b.encode_utf16())
    } else {
        a.cmp(b)
    }
}

/// The order of two elements; nothing where the engine does not compare them.
fn compare(a: &Value, b: &Value, profile: Profile) -> Option<Ordering> {
    match (a, b) {
        (Value::Integer(a), Value::Integer(b)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Str(a), Value::Str(b)) | (Value::Key(a), Value::Key(b)) => Some(text_order(a, b, profile)),
        (Value::Str(a), Value::Key(b)) | (Value::Key(a), Value::Str(b)) if profile.is_opensim() => {
            Some(text_order(a, b, profile))
        }
        (Value::Vector(a), Value::Vector(b)) => square(a).partial_cmp(&square(b)),
        _ => None,
    }
}

/// The standard sort, where its result is the same: every pair comparable, and either single elements that cannot be told
/// apart when equal, or no equal keys at all.
fn quick(order: &mut [usize], keys: &[&Value], stride: usize, ascending: bool, profile: Profile) -> bool {
    let Some(first) = keys.first() else { return true };
    let alike = |v: &&Value| match v {
        Value::Float(x) => !x.is_nan() && matches!(first, Value::Float(_)),
        Value::Vector(v) => !square(v).is_nan() && matches!(first, Value::Vector(_)),
        Value::Str(_) | Value::Key(_) if profile.is_opensim() => {
            matches!(first, Value::Str(_) | Value::Key(_))
        }
        Value::Integer(_) | Value::Str(_) | Value::Key(_) => v.ty() == first.ty(),
        Value::Rotation(_) | Value::List(_) => false,
    };
    if !keys.iter().all(alike) {
        return false;
    }
    let cmp = |a: &usize, b: &usize| compare(keys[*a], keys[*b], profile).unwrap_or(Ordering::Equal);
    order.sort_by(|a, b| if ascending { cmp(a, b) } else { cmp(b, a) });
    let single = stride == 1 && !matches!(first, Value::Vector(_));
    if single || order.windows(2).all(|w| cmp(&w[0], &w[1]) != Ordering::Equal) {
        return true;
    }
    order.sort_unstable();
    false
}

/// Exchanges every pair that stands wrong. Linden's descending order exchanges whatever is not greater, so that equal and
/// incomparable pairs are swapped as well; that is what grids do with mixed lists.
fn exchange(order: &mut [usize], keys: &[&Value], ascending: bool, profile: Profile) {
    for i in 0..order.len() {
        for j in i + 1..order.len() {
            let (a, b) = (keys[order[i]], keys[order[j]]);
            let swap = if profile.is_opensim() {
                yengine_swaps(a, b, ascending, profile)
            } else {
                linden_greater(a, b) == ascending
            };
            if swap {
                order.swap(i, j);
            }
        }
    }
}

/// NaN counts as greater than everything, since the engine asks for "not less or equal".
fn linden_greater(a: &Value, b: &Value) -> bool {
    let comparable = a.ty() == b.ty() && !matches!(a, Value::Rotation(_) | Value::List(_));
    comparable && !matches!(compare(a, b, Profile::SecondLife), Some(Ordering::Less | Ordering::Equal))
}

fn yengine_swaps(a: &Value, b: &Value, ascending: bool, profile: Profile) -> bool {
    // 0.9.2 compares the square of one length with the other length itself.
    if let (Value::Vector(a), Value::Vector(b), true, Profile::OpenSim092) = (a, b, ascending, profile) {
        return square(a) > square(b).sqrt();
    }
    let wrong = if ascending { Ordering::Greater } else { Ordering::Less };
    compare(a, b, profile) == Some(wrong)
}

#[cfg(test)]
mod tests {
    use crate::library::testing::{call, csv, l, s, try_call};
    use crate::profile::Profile::{self, OpenSim092 as Os, OpenSimMaster as Master, SecondLife as Sl};
    use crate::value::Value::{self, Float as F, Integer as I, Vector as V};
    use proptest::prelude::*;

    fn mixed() -> Value {
        l([I(3), I(1), s("b"), I(2), s("a")])
    }

    #[test]
    fn mixed_types_are_feathered_as_the_probes_show() {
        for p in Profile::ALL {
            assert_eq!(csv(p, "llListSort", &[mixed(), I(1), I(1)]), "1, 2, a, 3, b", "{p}");
        }
    }

    #[test]
    fn lindens_descending_order_swaps_what_it_cannot_compare() {
        assert_eq!(csv(Os, "llListSort", &[mixed(), I(1), I(0)]), "3, 2, b, 1, a");
        assert_eq!(csv(Sl, "llListSort", &[l([I(1), s("a")]), I(1), I(0)]), "a, 1");
        assert_eq!(csv(Os, "llListSort", &[l([I(1), s("a")]), I(1), I(0)]), "1, a");
    }

    #[test]
    fn strides_move_as_a_whole() {
        let list = l([s("b"), I(2), s("a"), I(1), s("c"), I(3)]);
        for p in Profile::ALL {
            assert_eq!(csv(p, "llListSort", &[list.clone(), I(2), I(1)]), "a, 1, b, 2, c, 3");
            assert_eq!(csv(p, "llListSort", &[list.clone(), I(2), I(0)]), "c, 3, b, 2, a, 1");
            assert_eq!(csv(p, "llListSort", &[list.clone(), I(4), I(1)]), "b, 2, a, 1, c, 3", "no multiple");
            assert_eq!(csv(p, "llListSortStrided", &[list.clone(), I(2), I(1), I(0)]), "c, 3, b, 2, a, 1");
            assert_eq!(csv(p, "llListSortStrided", &[list.clone(), I(2), I(-1), I(1)]), "a, 1, b, 2, c, 3");
        }
        assert_eq!(csv(Master, "llListSortStrided", &[list, I(2), I(2), I(1)]), "");
    }

    #[test]
    fn only_one_means_ascending() {
        for p in Profile::ALL {
            assert_eq!(csv(p, "llListSort", &[l([I(1), I(2)]), I(1), I(2)]), "2, 1");
        }
    }

    #[test]
    fn vectors_sort_by_length() {
        let list = l([V([3.0, 0.0, 0.0]), V([0.0, 1.0, 0.0])]);
        for p in Profile::ALL {
            let Value::List(got) = call(p, "llListSort", &[list.clone(), I(1), I(1)]) else {
                panic!("a list")
            };
            assert_eq!(got[0], V([0.0, 1.0, 0.0]));
        }
    }

    #[test]
    fn text_beyond_the_first_plane_sorts_by_unit() {
        let list = l([s("\u{ff5e}"), s("😀")]);
        assert_eq!(csv(Sl, "llListSort", &[list.clone(), I(1), I(1)]), "\u{ff5e}, 😀");
        assert_eq!(csv(Os, "llListSort", &[list, I(1), I(1)]), "😀, \u{ff5e}");
    }

    #[test]
    fn a_long_mixed_list_is_refused_not_waited_for() {
        let items: Vec<Value> =
            (0..30_000).map(|i| if i % 2 == 0 { I(-i) } else { F(f64::from(i)) }).collect();
        let error = try_call(Os, "llListSort", &[l(items), I(1), I(1)]).unwrap_err();
        assert_eq!(error.kind, crate::ErrorKind::Runaway);
    }

    proptest! {
        #[test]
        fn integers_come_out_in_order(mut v in proptest::collection::vec(any::<i32>(), 0..30)) {
            for p in Profile::ALL {
                let got = call(p, "llListSort", &[l(v.iter().copied().map(I).collect::<Vec<_>>()), I(1), I(1)]);
                v.sort_unstable();
                prop_assert_eq!(got, l(v.iter().copied().map(I).collect::<Vec<_>>()));
            }
        }

        #[test]
        fn nothing_is_lost(v in proptest::collection::vec(prop_oneof![any::<i32>().prop_map(I), "[a-c]{0,2}".prop_map(|t| s(&t)),
            any::<f64>().prop_map(F)], 0..12), stride in -2_i32..5, up: bool) {
            for p in Profile::ALL {
                let got = call(p, "llListSort", &[l(v.clone()), I(stride), I(i32::from(up))]);
                let Value::List(got) = got else { panic!("a list") };
                let shown = |items: &[Value]| {
                    let mut all: Vec<String> = items.iter().map(|v| format!("{v:?}")).collect();
                    all.sort();
                    all
                };
                prop_assert_eq!(shown(&got), shown(&v));
            }
        }
    }
}
