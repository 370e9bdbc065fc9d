//! JSON: two implementations with different habits, chosen by the profile.
//!
//! Traps that both share: a string that looks like an object or array goes in raw (escape untrusted text before), and `/`
//! is written as `\/`. Second Life does not read `\uXXXX`.

mod linden;
mod lit;

use super::LibCtx;
use super::args::Args;
use crate::error::RuntimeError;
use crate::value::Value;

type Out = Result<Value, RuntimeError>;

const INVALID: &str = "\u{fdd0}";
const OBJECT: &str = "\u{fdd1}";
const ARRAY: &str = "\u{fdd2}";
const NUMBER: &str = "\u{fdd3}";
const STRING: &str = "\u{fdd4}";
const NULL: &str = "\u{fdd5}";
const TRUE: &str = "\u{fdd6}";
const FALSE: &str = "\u{fdd7}";
const DELETE: &str = "\u{fdd8}";

/// The grid answers JSON_INVALID; scripts carry on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Invalid;

fn or_invalid(result: Result<String, Invalid>) -> String {
    result.unwrap_or_else(|Invalid| INVALID.to_owned())
}

pub(super) fn from_list(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (kind, list) = (a.text(0)?, a.list(1)?);
    let text =
        if ctx.linden() { linden::from_list(kind, list) } else { lit::from_list(kind, list, ctx.profile) };
    ctx.text(or_invalid(text))
}

pub(super) fn to_list(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let text = Args(args).text(0)?;
    let list = if ctx.linden() { linden::to_list(text) } else { lit::to_list(text, ctx.profile) };
    ctx.list(list.unwrap_or_else(|Invalid| vec![Value::str(INVALID)]))
}

pub(super) fn get_value(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (text, path) = (a.text(0)?, a.list(1)?);
    let found = if ctx.linden() { linden::get(text, path) } else { lit::get(text, path, ctx.profile) };
    ctx.text(or_invalid(found))
}

pub(super) fn value_type(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (text, path) = (a.text(0)?, a.list(1)?);
    let kind = if ctx.linden() { linden::kind(text, path) } else { lit::kind(text, path) };
    Ok(Value::str(kind.unwrap_or(INVALID)))
}

pub(super) fn set_value(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (text, path, value) = (a.text(0)?, a.list(1)?, a.text(2)?);
    let set =
        if ctx.linden() { linden::set(text, path, value) } else { lit::set(text, path, value, ctx.profile) };
    ctx.text(or_invalid(set))
}

/// Quoted and escaped as both grids do it; control characters without a letter of their own become `\uXXXX` in
/// OpenSimulator and stay as they are on Second Life.
fn quoted(text: &str, unicode_escapes: bool) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        let short = match c {
            '"' | '\\' | '/' => c,
            '\u{8}' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\u{c}' => 'f',
            '\r' => 'r',
            _ if c < ' ' && unicode_escapes => {
                out.push_str(&format!("\\u{:04X}", u32::from(c)));
                continue;
            }
            _ => {
                out.push(c);
                continue;
            }
        };
        out.push('\\');
        out.push(short);
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::testing::{csv, l, s, survives, text};
    use crate::profile::Profile::{self, OpenSim092 as Os, OpenSimMaster as Master, SecondLife as Sl};
    use Value::{Float as F, Integer as I, Vector as V};
    use proptest::prelude::*;

    const J: &str = r#"{"a":{"b":[1,2.50,true,null,"x\u00e9\/y"]},"s":" sp "}"#;

    fn probe_object() -> Value {
        l([
            s("s"),
            s("a/b\"c\\é\n    "),
            s("i"),
            I(1),
            s("f"),
            F(1.5),
            s("t"),
            s(TRUE),
            s("n"),
            s(NULL),
            s("k"),
            s("{\"x\":1}"),
            s("num"),
            s("12"),
        ])
    }

    #[test]
    fn lists_become_json_as_the_probes_show() {
        assert_eq!(
            text(Sl, "llList2Json", &[s(OBJECT), probe_object()]),
            r#"{"s":"a\/b\"c\\é","i":1,"f":1.500000,"t":true,"n":null,"k":{"x":1},"num":"12"}"#
        );
        assert_eq!(
            text(Os, "llList2Json", &[s(OBJECT), probe_object()]),
            r#"{"s":"a\/b\"c\\é\n    ","i":1,"f":1.500000,"t":true,"n":null,"k":{"x":1},"num":"12"}"#
        );
        let array = l([I(1), F(2.0), s("x"), V([1.0, 2.0, 3.0]), s("true")]);
        for p in [Sl, Os] {
            assert_eq!(
                text(p, "llList2Json", &[s(ARRAY), array.clone()]),
                r#"[1,2.000000,"x","<1.000000, 2.000000, 3.000000>",true]"#
            );
        }
        assert_eq!(
            text(Master, "llList2Json", &[s(ARRAY), array]),
            r#"[1,2,"x","<1.000000, 2.000000, 3.000000>",true]"#,
            "later versions write floats as .NET does"
        );
    }

    #[test]
    fn values_are_found_as_the_probes_show() {
        let path = |i| l([s("a"), s("b"), I(i)]);
        assert_eq!(text(Sl, "llJsonGetValue", &[s(J), path(1)]), "2.50");
        assert_eq!(text(Os, "llJsonGetValue", &[s(J), path(1)]), "2.5");
        assert_eq!(text(Sl, "llJsonGetValue", &[s(J), path(4)]), "xu00e9/y");
        assert_eq!(text(Os, "llJsonGetValue", &[s(J), path(4)]), "xé/y");
        assert_eq!(
            text(Sl, "llJsonGetValue", &[s(J), l([s("a")])]),
            r#"{"b":[1,2.50,true,null,"x\u00e9\/y"]}"#
        );
        assert_eq!(
            text(Os, "llJsonGetValue", &[s(J), l([s("a")])]),
            r#"{"b":[1,2.5,true,null,"x\u00E9/y"]}"#
        );
        for p in Profile::ALL {
            assert_eq!(text(p, "llJsonGetValue", &[s(J), path(2)]), TRUE);
            assert_eq!(text(p, "llJsonGetValue", &[s(J), path(3)]), NULL);
            assert_eq!(text(p, "llJsonGetValue", &[s(J), l([s("zz")])]), INVALID);
            assert_eq!(text(p, "llJsonGetValue", &[s(J), path(9)]), INVALID);
            assert_eq!(text(p, "llJsonGetValue", &[s(J), l([s("s")])]), " sp ");
            assert_eq!(text(p, "llJsonValueType", &[s("nonsense"), l([])]), INVALID);
            assert_eq!(text(p, "llJsonValueType", &[s(J), l([])]), OBJECT);
            assert_eq!(text(p, "llJsonValueType", &[s(J), l([s("a"), s("b")])]), ARRAY);
            assert_eq!(text(p, "llJsonValueType", &[s(J), path(0)]), NUMBER);
            assert_eq!(text(p, "llJsonValueType", &[s(J), path(2)]), TRUE);
            assert_eq!(text(p, "llJsonValueType", &[s(J), path(3)]), NULL);
            assert_eq!(text(p, "llJsonValueType", &[s(J), path(4)]), STRING);
            assert_eq!(text(p, "llJsonValueType", &[s("\"x\""), l([])]), STRING);
            assert_eq!(csv(p, "llJson2List", &[s("{\"a\":1,\"b\":[2]}")]), "a, 1, b, [2]");
            assert_eq!(csv(p, "llJson2List", &[s("[]")]), "");
        }
    }

    #[test]
    fn values_are_set() {
        let append = |p: Profile| if p.is_opensim() { s("-1") } else { I(-1) };
        for p in Profile::ALL {
            assert_eq!(
                text(p, "llJsonSetValue", &[s("{}"), l([s("a"), s("b")]), s("1")]),
                r#"{"a":{"b":1}}"#
            );
            assert_eq!(text(p, "llJsonSetValue", &[s("[1]"), l([append(p)]), s("x")]), r#"[1,"x"]"#);
            assert_eq!(text(p, "llJsonSetValue", &[s("[1,2,3]"), l([I(1)]), s(DELETE)]), "[1,3]");
            assert_eq!(text(p, "llJsonSetValue", &[s("[1,2]"), l([I(2)]), s("true")]), "[1,2,true]");
            assert_eq!(text(p, "llJsonSetValue", &[s("[1,2]"), l([I(4)]), s("0")]), INVALID);
            assert_eq!(
                text(p, "llJsonSetValue", &[s(r#"{"a":1,"b":2}"#), l([s("a")]), s(DELETE)]),
                r#"{"b":2}"#
            );
            assert_eq!(
                text(p, "llJsonSetValue", &[s(r#"{"a":[1,{"c":2}]}"#), l([s("a"), I(1), s("c")]), s("x")]),
                r#"{"a":[1,{"c":"x"}]}"#
            );
            assert_eq!(text(p, "llJsonSetValue", &[s(""), l([I(0), s("k")]), s("v")]), r#"[{"k":"v"}]"#);
        }
    }

    #[test]
    fn strings_that_look_like_json_go_in_raw() {
        for p in Profile::ALL {
            let evil = l([s("name"), s(r#"{"admin":true}"#)]);
            assert_eq!(text(p, "llList2Json", &[s(OBJECT), evil]), r#"{"name":{"admin":true}}"#);
        }
        assert_eq!(text(Sl, "llList2Json", &[s(ARRAY), l([s("{x")])]), r#"["{x"]"#);
        assert_eq!(text(Os, "llList2Json", &[s(ARRAY), l([s("{x")])]), "[{x]");
    }

    #[test]
    fn odd_lists_and_wrong_keys_are_invalid() {
        for p in Profile::ALL {
            assert_eq!(text(p, "llList2Json", &[s(OBJECT), l([s("a")])]), INVALID);
            assert_eq!(text(p, "llList2Json", &[s(OBJECT), l([I(1), I(2)])]), INVALID);
            assert_eq!(text(p, "llList2Json", &[s("x"), l([])]), INVALID);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_json_panic(t in r#"[\[\]{}:,"\\a1e.\- ]{0,16}"#, any in ".{0,12}", i in -3_i32..4) {
            for p in Profile::ALL {
                for t in [&t, &any] {
                    for path in [l([]), l([I(i)]), l([s("a")]), l([I(i), s("a")]), l([s("a"), I(i)])] {
                        for f in ["llJsonGetValue", "llJsonValueType"] {
                            survives(p, f, &[s(t), path.clone()]);
                        }
                        survives(p, "llJsonSetValue", &[s(t), path.clone(), s("1")]);
                        survives(p, "llJsonSetValue", &[s(t), path, s(DELETE)]);
                    }
                    survives(p, "llJson2List", &[s(t)]);
                }
            }
        }

        #[test]
        fn deep_nesting_is_survived(n in 1_usize..20_000) {
            for p in Profile::ALL {
                let deep = "[".repeat(n);
                let path = l(vec![I(0); n.min(5000)]);
                survives(p, "llJsonGetValue", &[s(&deep), path.clone()]);
                survives(p, "llJsonSetValue", &[s(&deep), path, s("1")]);
                survives(p, "llJson2List", &[s(&deep)]);
            }
        }

        #[test]
        fn strings_survive_the_way_through_an_array(t in "[a-zé/\"\\\\]{1,12}") {
            prop_assume!(!matches!(t.as_str(), "true" | "false" | "null") && !t.starts_with('"'));
            prop_assume!(!t.chars().all(|c| c == 'e'));
            for p in Profile::ALL {
                let json = text(p, "llList2Json", &[s(ARRAY), l([s(&t)])]);
                prop_assert_eq!(text(p, "llJsonGetValue", &[s(&json), l([I(0)])]), t.clone());
            }
        }
    }
}
