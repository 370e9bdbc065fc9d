//! Sources that want to break the reader: it reports and never panics, whatever it is given.

mod common;

use common::{errors, found, run_whole};
use primrack_lsl::console::{RunOptions, run_source};
use primrack_lsl::{Profile, check};
use proptest::prelude::*;

#[test]
fn deep_nesting_is_refused_and_never_overflows_the_stack() {
    let deep = 50_000;
    for body in [
        format!("x = {}1{};", "(".repeat(deep), ")".repeat(deep)),
        format!("{}{}", "switch (x) { case 1: ".repeat(deep), "}".repeat(deep)),
        "for (integer i; i; i) ".repeat(deep),
        format!("x = {}1;", "-".repeat(deep)),
        format!("x = {}1;", "- ".repeat(deep)),
        format!("x = {}1;", "!".repeat(deep)),
        format!("x = 1{};", " + 1".repeat(deep)),
        format!("x = {}1;", "x = ".repeat(deep)),
        format!("{}{}", "{".repeat(deep), "}".repeat(deep)),
        format!("{};", "if (1) ".repeat(deep)),
        format!("{};", "while (1) ".repeat(deep)),
        format!("x = {}", "[".repeat(deep)),
        format!("x = {}", "<1,".repeat(deep)),
        format!("x = {}1;", "(integer)".repeat(deep)),
        format!("x = {}", "f(".repeat(deep)),
        format!("do {}", "do ".repeat(deep)),
    ] {
        let source = format!("default {{ state_entry() {{ integer x; {body} }} }}");
        for p in [Profile::SecondLife, Profile::OpenSimMaster] {
            assert!(!errors(p, &source).is_empty(), "{}", &body[..40]);
        }
    }
}

#[test]
fn a_long_else_if_chain_is_no_deep_one() {
    let chain: String = (0..3_000).map(|i| format!("if (x == {i}) y = {i}; else ")).collect();
    let source = format!(
        "default {{ state_entry() {{ integer x = 2999; integer y; {chain} y = -1; llOwnerSay((string)y); }} }}"
    );
    assert_eq!(run_whole(Profile::SecondLife, &source).0.trim(), "2999");
}

#[test]
fn a_long_chain_within_the_limit_runs_on_a_small_stack() {
    let source = format!("default {{ state_entry() {{ llOwnerSay((string)(1{})); }} }}", " + 1".repeat(350));
    assert_eq!(run_whole(Profile::SecondLife, &source).0.trim(), "351");
}

#[test]
fn unfinished_sources_are_reported() {
    let whole = "integer g = 1; f(integer a) { g = a; } default { state_entry() { f(<1, 2, 3>.x); @l; if (g) jump l; llSay(0, \"é\\n\"); } }";
    for (i, _) in whole.char_indices() {
        for p in Profile::ALL {
            assert!(found(p, &whole[..i]).has_errors(), "{}", &whole[..i]);
        }
    }
}

#[test]
fn reports_stay_short_whatever_the_number_of_errors() {
    let source = format!("default {{ state_entry() {{ {} }} }}", "foo(); ".repeat(20_000));
    assert!(found(Profile::SecondLife, &source).0.len() <= 101);
    assert!(!errors(Profile::SecondLife, &" ".repeat((1 << 20) + 1)).is_empty());
}

const WORDS: [&str; 60] = [
    "default",
    "state",
    "integer",
    "float",
    "string",
    "key",
    "vector",
    "rotation",
    "list",
    "if",
    "else",
    "while",
    "for",
    "do",
    "jump",
    "return",
    "@",
    "x",
    "y",
    "f",
    "llSay",
    "PI",
    "NULL_KEY",
    "touch_start",
    "state_entry",
    "timer",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "<",
    ">",
    ",",
    ";",
    "=",
    "==",
    "+",
    "-",
    "*",
    "/",
    "%",
    "!",
    "~",
    "&&",
    "||",
    "++",
    "--",
    "+=",
    ".",
    ".x",
    "1",
    "0x1F",
    "1.5",
    "\"a\"",
    "\"",
    "//",
    "\n",
    "?",
];

/// Pieces of YEngine's flow control, whole enough that many a soup of them compiles.
const FLOW: &[&str] = &[
    "switch (x) {",
    "switch (s) {",
    "case 1:",
    "case C:",
    "case \"a\":",
    "case 1 ... 3:",
    "default:",
    "break;",
    "continue;",
    "}",
    "{",
    "while (x < 3) {",
    "for (integer i = 0; i < 3; ++i)",
    "do",
    "while (x > 3);",
    "++x;",
    "x = 1, x = 2;",
    "if (x)",
    "else",
    "constant D = x;",
    "constant E = f();",
    "C = 3;",
    "return;",
    "jump l;",
    "@l;",
    ";",
    "f();",
    "s += x;",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_without_a_panic(source in ".{0,200}", p in 0usize..4) {
        let d = found(Profile::ALL[p], &source);
        prop_assert_eq!(d.render("f", &source).is_empty(), d.0.is_empty());
    }

    #[test]
    fn any_words_are_read_without_a_panic(words in prop::collection::vec(0usize..WORDS.len(), 0..120), p in 0usize..4) {
        let text: Vec<&str> = words.iter().map(|&w| WORDS[w]).collect();
        let source = format!("integer y; f() {{ }} default {{ state_entry() {{ integer x; {} }} }}", text.join(" "));
        if let Err(d) = check(&source, Profile::ALL[p]) {
            prop_assert!(d.has_errors() && !d.render("f", &source).is_empty());
        }
    }

    #[test]
    fn any_words_of_yengines_own_are_read_and_run_without_a_panic(words in prop::collection::vec(0usize..FLOW.len(), 0..80)) {
        let text: Vec<&str> = words.iter().map(|&w| FLOW[w]).collect();
        let source = format!("yoption advflowctl; constant C = 2; f() {{ }} default {{ state_entry() {{ integer x; string s; {} }} }}", text.join(" "));
        match check(&source, Profile::OpenSimMaster) {
            Err(d) => prop_assert!(d.has_errors() && !d.render("f", &source).is_empty()),
            Ok(_) => {
                let options = RunOptions { profile: Profile::OpenSimMaster, instructions: 100_000, ..RunOptions::default() };
                prop_assert!(run_source(&source, options, &mut std::io::sink()).is_ok());
            }
        }
    }

    #[test]
    fn integer_arithmetic_agrees_with_the_hardware(a: i32, b: i32, p in 0usize..4) {
        let source = format!("integer a = {a}; integer b = {b}; default {{ state_entry() {{
            llOwnerSay(llDumpList2String([a + b, a - b, a * b, a & b, a | b, a ^ b, a << b, a >> b, a < b, a >= b, -a, ~b], \" \")); }} }}");
        let sh = b.cast_unsigned() & 31;
        let want: Vec<String> = [a.wrapping_add(b), a.wrapping_sub(b), a.wrapping_mul(b), a & b, a | b, a ^ b, a.wrapping_shl(sh),
            a.wrapping_shr(sh), i32::from(a < b), i32::from(a >= b), a.wrapping_neg(), !b].iter().map(i32::to_string).collect();
        let out = run_whole(Profile::ALL[p], &source).0;
        prop_assert_eq!(out.trim(), want.join(" "));
    }
}
