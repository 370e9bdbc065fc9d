//! What OpenSimulator's engine reads beyond LSL: at once, or below `yoption …;`. Read in `MMRScriptTokenize.cs` and
//! `MMRScriptReduce.cs`.

mod common;

use common::{errors, found, says};
use primrack_lsl::Profile::{self, OpenSim092, OpenSimMaster, SecondLife};

const GRIDS: [Profile; 3] = [OpenSim092, Profile::OpenSim093, OpenSimMaster];

/// Statements below `yoption advflowctl;`.
fn flow(body: &str) -> String {
    let mut all = GRIDS.map(|grid| says(grid, "yoption advflowctl;", body)).to_vec();
    all.dedup();
    assert_eq!(all.len(), 1, "the versions differ");
    all.remove(0)
}

#[test]
fn a_for_loop_may_declare_its_variable_and_commas_join_expressions() {
    for grid in GRIDS {
        assert_eq!(says(grid, "", "for (integer i = 0; i < 3; ++i) say((string)i);"), "0,1,2");
        assert_eq!(says(grid, "", "integer a; integer b; a = 1, b = a + 1; say((string)(a + b));"), "3");
        // The variable ends with the loop.
        let twice = "for (integer i = 0; i < 2; ++i) ; for (float i = 0; i < 1; ++i) say((string)i);";
        assert_eq!(says(grid, "", twice), "0.000000");
        assert!(errors(grid, "; integer a;; default { state_entry() { } }").is_empty());
    }
    for body in ["for (integer i = 0; i < 3; ++i) ;", "integer a; a = 1, a = 2;"] {
        assert!(
            !errors(SecondLife, &format!("default {{ state_entry() {{ {body} }} }}")).is_empty(),
            "{body}"
        );
    }
    assert!(!errors(SecondLife, "; default { state_entry() { } }").is_empty());
}

#[test]
fn break_leaves_the_innermost_loop_and_continue_begins_it_anew() {
    assert_eq!(
        flow(
            "integer i; for (i = 0; i < 9; ++i) { if (i == 1) continue; if (i == 4) break; say((string)i); } say((string)i);"
        ),
        "0,2,3,4"
    );
    assert_eq!(
        flow("integer i; while (TRUE) { if (++i > 5) break; if (i % 2) continue; say((string)i); }"),
        "2,4"
    );
    assert_eq!(flow("integer i; do { if (++i == 2) continue; say((string)i); } while (i < 4);"), "1,3,4");
    let nested = "for (integer a = 0; a < 3; ++a) { for (integer b = 0; b < 9; ++b) { if (b > a) break; say((string)(a * 10 + b)); } if (a == 1) break; }";
    assert_eq!(flow(nested), "0,10,11");
}

#[test]
fn switch_compares_falls_through_and_knows_ranges_text_and_default() {
    let body = "integer i; for (i = 0; i < 8; ++i) { switch (i) { case 1: say(\"one\"); case 2: say(\"two\"); break;
        case 4 ... 6: { if (i == 5) continue; say(\"some\"); break; } default: say(\"other\"); } say((string)i); }";
    assert_eq!(flow(body), "other,0,one,two,1,two,2,other,3,some,4,some,6,other,7");
    // A default in the middle is taken only when nothing fits.
    assert_eq!(flow("switch (3) { default: say(\"d\"); break; case 3: say(\"3\"); }"), "3");
    assert_eq!(flow("switch (9) { case 1: say(\"1\"); default: say(\"d\"); case 3: say(\"3\"); }"), "d,3");
    assert_eq!(
        flow(
            "string s = \"b\"; switch (s) { case \"a\": say(\"A\"); break; case \"b\": say(\"B\"); break; }"
        ),
        "B"
    );
    assert_eq!(flow("switch (7) { } say(\"end\");").as_str(), "end");
    // The value is computed once.
    assert_eq!(flow("integer n; switch (++n) { case 5: case 6: case 1: say((string)n); }"), "1");
}

#[test]
fn a_constant_has_the_type_of_its_value_and_stays_what_it_is() {
    let globals = "yoptions; constant A = 3; constant B = \"x\"; integer c = A;";
    assert_eq!(
        says(OpenSimMaster, globals, "constant D = 2.5; say(B + (string)(A + c) + (string)(D * 2));"),
        "x65.000000"
    );
    for change in ["A = 4;", "++A;", "constant D = 1; D += 1;", "constant V = <1.0, 2.0, 3.0>; V.x = 2.0;"] {
        let source = format!("yoptions; constant A = 3; default {{ state_entry() {{ {change} }} }}");
        assert_eq!(errors(OpenSimMaster, &source), ["assign-constant"], "{change}");
    }
}

#[test]
fn the_words_are_names_until_they_are_switched_on() {
    // YEngine lets a script call its variables so.
    assert_eq!(
        says(OpenSimMaster, "integer switch = 3;", "integer object = switch; say((string)object);"),
        "3"
    );
    let hint = |profile, body: &str| {
        let source = format!("default {{ state_entry() {{ integer i; {body} }} }}");
        found(profile, &source).errors().next().and_then(|d| d.hint.clone()).unwrap_or_default()
    };
    for body in ["switch (i) { case 1: ; }", "while (i) { break; }", "while (i) { continue; }"] {
        assert!(hint(OpenSimMaster, body).contains("`yoption advflowctl;`"), "{body}");
        assert!(!hint(SecondLife, body).is_empty(), "{body}");
    }
    assert!(hint(OpenSimMaster, "foreach (a, b in c) ;").contains("yoption arrays"));
    let d = found(OpenSimMaster, "constant A = 3; default { state_entry() { } }");
    assert!(d.errors().next().unwrap().hint.as_deref().unwrap().contains("yoption advflowctl"));
    // Second Life says whose line that is.
    let d = found(SecondLife, "yoptions; default { state_entry() { } }");
    assert!(d.errors().next().unwrap().hint.as_deref().unwrap().contains("OpenSimulator"));
}

#[test]
fn an_extension_that_is_not_known_here_is_named_and_nothing_else_is_said() {
    for (source, word, option) in [
        (
            "yoption arrays; default { state_entry() { array a; a[1] = 2; foreach (k, v in a) ; } }",
            "array",
            "arrays",
        ),
        ("yoptions; default { state_entry() { try { ; } catch (exception e) { } } }", "try", "trycatch"),
        ("yoption objects; class X { } default { state_entry() { } }", "class", "objects"),
    ] {
        let d = found(OpenSim092, source);
        let messages: Vec<_> = d.errors().map(|d| d.message.as_str()).collect();
        assert_eq!(
            messages.len(),
            2 - usize::from(!messages.iter().any(|m| m.contains("default state"))),
            "{messages:?}"
        );
        assert!(messages[0].contains(word) && messages[0].contains(option), "{messages:?}");
    }
    assert_eq!(errors(OpenSim092, "yoption nonsense; default { state_entry() { } }"), ["unknown-yoption"]);
}

#[test]
fn what_leaves_nothing_is_an_error() {
    let inside = |body: &str| {
        errors(
            OpenSimMaster,
            &format!("yoptions; integer f() {{ {body} }} default {{ state_entry() {{ f(); }} }}"),
        )
    };
    assert_eq!(inside("break; return 1;"), ["break-outside"]);
    assert_eq!(inside("switch (1) { case 1: continue; } return 1;"), ["break-outside"]);
    assert_eq!(inside("switch (1) { case 1: return 1; default: return 2; }"), [""; 0]);
    assert_eq!(inside("while (1) { return 2; }"), [""; 0]);
    assert_eq!(inside("while (1) { break; }"), ["missing-return"]);
    assert_eq!(inside("switch (1) { 5; } return 1;"), ["syntax"]);
}

#[test]
fn a_list_is_sorted_where_it_is() {
    for grid in [Profile::OpenSim093, OpenSimMaster] {
        let sorted =
            "list l = [3, \"c\", 1, \"a\"]; osListSortInPlace(l, 2, TRUE); say(llDumpList2String(l, \"\"));";
        assert_eq!(says(grid, "", sorted), "1a3c");
        let strided = "osListSortInPlaceStrided(g, 2, 1, FALSE); say(llDumpList2String(g, \"\")); osListSortInPlace([2, 1], 1, TRUE);";
        assert_eq!(says(grid, "list g = [1, \"a\", 2, \"b\"];", strided), "2b1a");
    }
    assert!(
        errors(OpenSim092, "default { state_entry() { list l; osListSortInPlace(l, 1, TRUE); } }").is_empty()
    );
}

#[test]
fn switches_and_loops_nest_as_deep_as_anything_else_and_no_deeper() {
    for body in ["switch (x) { case 1: ".repeat(50_000), "for (integer i; i; i) ".repeat(50_000)] {
        let source = format!("yoptions; default {{ state_entry() {{ integer x; {body} }} }}");
        assert!(!errors(OpenSimMaster, &source).is_empty());
    }
}
