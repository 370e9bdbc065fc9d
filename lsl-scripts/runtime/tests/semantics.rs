//! One test per row of the language's semantics.

mod common;

use common::{errors, run_whole, says, value, warnings};
use primrack_lsl::Profile::{self, OpenSim092 as Os, SecondLife as Sl};
use primrack_lsl::console::RunEnd;

const TRACE: &str = "string trace; integer f(integer x) { trace += (string)x; return x; }";

fn traced(profile: Profile, expression: &str) -> String {
    says(profile, TRACE, &format!("{expression}; say(trace);"))
}

#[test]
fn the_probe_prints_what_the_engine_printed() {
    for (profile, exceptions) in
        [(Sl, &["(int)'99999999999'", "jset", "jset append", "replace"][..]), (Os, &[][..])]
    {
        let name = profile.name();
        let read = |ext: &str| {
            std::fs::read_to_string(format!("{}/tests/probes/{name}.{ext}", env!("CARGO_MANIFEST_DIR")))
                .unwrap()
        };
        let (out, end) = run_whole(profile, &read("lsl"));
        assert_eq!(end, RunEnd::Idle);
        let wanted = read("out");
        let keep = |line: &&str| !exceptions.iter().any(|e| line.split(" = ").next() == Some(e));
        let ours: Vec<&str> = out.lines().filter(keep).collect();
        let theirs: Vec<&str> = wanted.lines().filter(keep).collect();
        assert!(theirs.len() > 85, "{name}: {}", theirs.len());
        for (o, t) in ours.iter().zip(&theirs) {
            assert_eq!(o, t, "{name}");
        }
        assert_eq!(ours.len(), theirs.len(), "{name}");
    }
}

#[test]
fn operands_are_evaluated_from_the_right_and_arguments_from_the_left() {
    for p in Profile::ALL {
        assert_eq!(traced(p, "f(1) + f(2) * f(3)"), "321");
        assert_eq!(traced(p, "llListReplaceList([], [], f(1), f(2))"), "12");
        assert_eq!(traced(p, "if (f(1) < f(2)) f(3)"), "213");
        assert_eq!(says(p, "", "integer i = 5; i = i++ + i; say((string)i);"), "10");
        assert_eq!(says(p, "", "integer z = 1; z = z + (z = 5); say((string)z);"), "10");
        assert_eq!(says(p, "", "integer z = 1; z = (z = 5) + z; say((string)z);"), "6");
        assert_eq!(says(p, "", "integer i = 5; i = i++; say((string)i);"), "5");
    }
}

#[test]
fn list_literals_are_evaluated_in_the_engines_order() {
    assert_eq!(traced(Sl, "[f(1), f(2), f(3)]"), "123");
    assert_eq!(traced(Os, "[f(1), f(2), f(3)]"), "321");
}

#[test]
fn and_and_or_evaluate_both_sides_and_have_equal_rank() {
    for p in Profile::ALL {
        assert_eq!(traced(p, "f(0) && f(1)"), "10");
        assert_eq!(traced(p, "f(1) || f(0)"), "01");
        assert_eq!(value(p, "1 || 1 && 0"), "0");
        assert_eq!(value(p, "3 && 4"), "1");
    }
}

#[test]
fn integers_wrap_and_shift_like_the_hardware() {
    for p in Profile::ALL {
        assert_eq!(value(p, "2147483647 + 1"), "-2147483648");
        assert_eq!(
            says(p, "", "integer m = 0x80000000; say((string)(m / -1)); say((string)(m % -1));"),
            "-2147483648,0"
        );
        assert_eq!(value(p, "-7 / 2"), "-3");
        assert_eq!(value(p, "-7 % 2"), "-1");
        assert_eq!(value(p, "1 << 33"), "2");
        assert_eq!(value(p, "-8 >> 1"), "-4");
        assert_eq!(value(p, "0xFFFFFFFF"), "-1");
        assert_eq!(value(p, "~5 ^ 3 | 8 & 12"), "-7");
    }
}

#[test]
fn precedence_is_lsls() {
    for p in Profile::ALL {
        assert_eq!(value(p, "1 | 2 == 2"), "1");
        assert_eq!(value(p, "2 + 3 << 1"), "10");
        assert_eq!(value(p, "!0 == 1"), "1");
        assert_eq!(value(p, "-2 * -3 - -1"), "7");
        assert_eq!(value(p, "10 - 3 - 2"), "5");
        assert_eq!(value(p, "7 & 3 == 3"), "1");
    }
}

#[test]
fn division_by_zero_is_a_math_error_with_its_line() {
    for body in
        ["integer z; z = 1 / z;", "integer z; z = 1 % z;", "float z; z = 1.0 / z;", "vector v; v = v / 0.0;"]
    {
        for p in Profile::ALL {
            let (out, end) = run_whole(p, &format!("default {{\nstate_entry() {{\n{body}\n}} }}"));
            let RunEnd::Stopped(e) = end else { panic!("{body}: {end:?}") };
            assert_eq!((e.kind, e.line), (primrack_lsl::ErrorKind::Math, 3), "{body}");
            assert!(out.contains("Math Error"), "{out}");
        }
    }
}

#[test]
fn floats_have_32_bits_on_second_life_and_64_in_yengine() {
    assert_eq!(value(Sl, "123456789.0"), "123456800.000000");
    assert_eq!(value(Os, "123456789.0"), "123456789.000000");
    assert_eq!(value(Sl, "0.1 + 0.2 == 0.3"), "1");
    assert_eq!(value(Os, "0.1 + 0.2 == 0.3"), "0");
    // Temporaries keep 64 bits on Mono, variables do not.
    assert_eq!(says(Sl, "", "float f = 16777216; say((string)((integer)(f + 5 - 5)));"), "16777216");
    assert_eq!(says(Sl, "", "float f = 16777216; f += 5; f -= 5; say((string)((integer)f));"), "16777215");
    assert_eq!(
        says(Sl, "float h(float x) { return x - 5; }", "say((string)((integer)h(16777216 + 5.0)));"),
        "16777215"
    );
    assert_eq!(
        says(Sl, "", "vector v; v.x = 16777216 + 5.0; say((string)((integer)(v.x - 5)));"),
        "16777215"
    );
}

#[test]
fn casts_follow_the_engine() {
    assert_eq!(value(Sl, "(integer)\"99999999999\""), "1215752191");
    assert_eq!(value(Os, "(integer)\"99999999999\""), "-1");
    for p in Profile::ALL {
        assert_eq!(value(p, "(integer)\"12abc\""), "12");
        assert_eq!(value(p, "(integer)\"0x1F\""), "31");
        assert_eq!(value(p, "(integer)(-2.7)"), "-2");
        assert_eq!(value(p, "(integer)3990000000.0"), "-2147483648");
        assert_eq!(value(p, "(vector)\"<1, 2, 3>\" == <1.0, 2.0, 3.0>"), "1");
        assert_eq!(value(p, "(vector)\"nonsense\" == ZERO_VECTOR"), "1");
        assert_eq!(value(p, "(string)[1, \"a\", 2]"), "1a2");
        assert_eq!(value(p, "llGetListLength((list)\"x\")"), "1");
    }
    assert_eq!(value(Sl, "<1.0, 0.1, 0.0>"), "<1.00000, 0.10000, 0.00000>");
    assert_eq!(value(Os, "<1.0, 0.1, 0.0>"), "<1.000000, 0.100000, 0.000000>");
}

#[test]
fn a_wild_cast_kills_a_script_only_in_yengine() {
    let script = "default { state_entry() { llOwnerSay((string)((integer)\" 0x1F\")); } }";
    assert!(matches!(run_whole(Os, script).1, RunEnd::Stopped(_)));
    assert_eq!(run_whole(Sl, script).0.trim(), "0");
}

#[test]
fn conditions_know_the_truth_of_every_type() {
    let truth = |p, e: &str| says(p, "", &format!("if ({e}) say(\"T\"); else say(\"F\");"));
    for p in Profile::ALL {
        for (e, t) in [
            ("2", "T"),
            ("0.0", "F"),
            ("0.5", "T"),
            ("\"\"", "F"),
            ("\"a\"", "T"),
            ("(key)NULL_KEY", "F"),
            ("[]", "F"),
            ("[0]", "T"),
            ("ZERO_VECTOR", "F"),
            ("<0.0, 0.0, 1.0>", "T"),
            ("ZERO_ROTATION", "F"),
            ("(key)\"12345678-1234-1234-1234-123456789abc\"", "T"),
        ] {
            assert_eq!(truth(p, e), t, "{p}: {e}");
        }
    }
    assert_eq!(truth(Sl, "(key)\"abc\""), "F");
    assert_eq!(truth(Os, "(key)\"abc\""), "T");
}

#[test]
fn lists_compare_by_length() {
    for p in Profile::ALL {
        assert_eq!(value(p, "[1] == [2]"), "1");
        assert_eq!(value(p, "[1, 2] != []"), "2");
        assert_eq!(value(p, "[] != [1, 2, 3]"), "-3");
        assert_eq!(
            says(p, "", "list l = [1]; l += 2; l = 0 + l; l = l + [\"x\", 1.5]; say(llList2CSV(l));"),
            "0, 1, 2, x, 1.500000"
        );
    }
}

#[test]
fn a_value_that_grows_in_place_leaves_its_copies_alone() {
    for p in Profile::ALL {
        let body = "list a = [1]; list b = a; a += 2; string s = \"a long enough text to be shared by two\"; string t = s; \
                    s += \"!\"; s += s; say(llList2CSV(b)); say(t); say((string)llStringLength(s));";
        assert_eq!(says(p, "", body), "1,a long enough text to be shared by two,78");
    }
}

#[test]
fn loops_jumps_and_declarations_behave() {
    for p in Profile::ALL {
        assert_eq!(
            says(p, "", "integer i; for (i = 0; i < 3; ++i) { integer n; ++n; say((string)n); }"),
            "1,1,1"
        );
        assert_eq!(says(p, "", "integer i = 5; do { say((string)i); } while (--i > 3);"), "5,4");
        assert_eq!(
            says(p, "", "integer i; @top; if (i >= 3) jump out; ++i; jump top; @out; say((string)i);"),
            "3"
        );
        assert_eq!(
            says(
                p,
                "",
                "integer i; while (i < 2) { ++i; { jump next; } say(\"no\"); @next; say((string)i); }"
            ),
            "1,2"
        );
        assert_eq!(says(p, "", "integer a = 1; { integer a = 2; say((string)a); } say((string)a);"), "2,1");
        assert_eq!(says(p, "", "integer i; for (; i < 2; i += 1, say((string)i)) ;"), "1,2");
        let chain = "integer i = 3; if (i == 1) say(\"1\"); else if (i == 2) say(\"2\"); else if (i == 3) say(\"3\"); else say(\"4\");";
        assert_eq!(says(p, "", chain), "3");
    }
}

#[test]
fn strings_keep_escapes_as_lsl_reads_them() {
    for p in Profile::ALL {
        assert_eq!(value(p, "llStringLength(\"\\t\\n\\\"\\\\\\u\")"), "8");
        assert_eq!(value(p, "llStringLength(\"a\nb\")"), "3");
    }
}

#[test]
fn vectors_and_rotations_compute_as_in_the_world() {
    for p in Profile::ALL {
        assert_eq!(value(p, "<1, 2, 3> * <4, 5, 6> == 32.0"), "1");
        assert_eq!(value(p, "<1, 0, 0> % <0, 1, 0> == <0, 0, 1>"), "1");
        assert_eq!(value(p, "2 * <1, 2, 3> == <2, 4, 6>"), "1");
        assert_eq!(value(p, "<1, 0, 0> * <0, 0, 1, 0> == <-1, 0, 0>"), "1");
        assert_eq!(value(p, "-<1, 2, 3> == <-1, -2, -3>"), "1");
        assert_eq!(
            says(
                p,
                "vector g = <1, 2, 3>;",
                "g.z += 4; rotation r; r.s = 2; say((string)(g.z == 7 && r.s == 2));"
            ),
            "1"
        );
        assert_eq!(value(p, "<1, 2, 3>-<1, 1, 1> == <0, 1, 2>"), "1");
        assert_eq!(value(p, "llGetListLength([<1, 2, 3>, <1, 2, 3, 4>, 1 > 0])"), "3");
    }
}

#[test]
fn recursion_and_functions_with_every_type() {
    for p in Profile::ALL {
        assert_eq!(
            says(
                p,
                "integer fib(integer n) { if (n < 2) return n; return fib(n - 1) + fib(n - 2); }",
                "say((string)fib(15));"
            ),
            "610"
        );
        assert_eq!(
            says(
                p,
                "list two(string s, vector v) { return [s, v.y]; } nothing() { return; }",
                "nothing(); say(llList2CSV(two(\"k\", <0, 1, 0>)));"
            ),
            "k, 1.000000"
        );
    }
}

#[test]
fn a_state_change_runs_exit_then_entry_and_the_same_state_only_ends_the_handler() {
    let script = "default { state_entry() { llOwnerSay(\"a\"); state other; llOwnerSay(\"never\"); } state_exit() { llOwnerSay(\"exit\"); } }
        state other { state_entry() { llOwnerSay(\"b\"); state other; llOwnerSay(\"never\"); } }";
    for p in Profile::ALL {
        let (out, end) = run_whole(p, script);
        assert_eq!((out.as_str(), end), ("a\nexit\nb\n", RunEnd::Idle));
    }
}

#[test]
fn global_variables_start_with_their_values_and_reset_restores_them() {
    let script = "integer n = 3; list l = [1, -2, PI]; vector v = <1, -1, 0>; string s = \"x\"; string t = s; integer unset;
        default { state_entry() { llOwnerSay((string)n + llList2String(l, 1) + t + (string)unset);
            if (llGetUnixTime() == 0) { n = 9; llSleep(1.0); llResetScript(); } } }";
    for p in Profile::ALL {
        assert_eq!(run_whole(p, script).0, "3-2x0\n3-2x0\n");
    }
}

#[test]
fn yengine_joins_numbers_to_text_and_second_life_does_not() {
    assert_eq!(value(Os, "\"n = \" + 5"), "n = 5");
    assert_eq!(errors(Sl, "default { state_entry() { llOwnerSay(\"n = \" + 5); } }"), ["type-mismatch"]);
    assert_eq!(value(Os, "1 ? 2 : 3"), "2");
    assert_eq!(says(Os, "", "integer a = 6; a |= 1; a <<= 1; say((string)a);"), "14");
    assert_eq!(traced(Os, "f(0) &&& f(1)"), "0");
    assert_eq!(traced(Os, "f(1) ||| f(0)"), "1");
    assert_eq!(value(Os, "llGetListLength([1, 2]) * <1, 2, 3>.y"), "4.000000");
}

#[test]
fn float_literals_have_the_forms_each_engine_reads() {
    for p in Profile::ALL {
        assert_eq!(value(p, "1. + .5 + 1.5f == 3.0"), "1");
        assert_eq!(value(p, "1.0e3 == 1000.0"), "1");
    }
    assert_eq!(value(Sl, "1e3 == 1000.0"), "1");
    assert_eq!(errors(Os, "default { state_entry() { llOwnerSay((string)1e-7); } }"), ["float-form"]);
}

#[test]
fn integer_times_float_assignment_passes_as_linden_lets_it() {
    assert_eq!(says(Sl, "", "integer i = 3; i *= 2.5; say((string)i);"), "7");
    assert_eq!(errors(Sl, "default { state_entry() { integer i; i += 2.5; } }"), ["type-mismatch"]);
    assert!(
        warnings(
            Sl,
            "default { state_entry() { integer i = 1; float f = i *= 2.5; llOwnerSay((string)f); } }"
        )
        .contains(&"integer-times-float")
    );
}
