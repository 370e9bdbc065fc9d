//! Messages a script author would thank you for.

mod common;

use common::{errors, found, warnings};
use primrack_lsl::Profile::{self, OpenSim092, OpenSim093, OpenSimMaster, SecondLife};
use primrack_lsl::console::{Format, check_sources};
use std::path::Path;

fn entry(body: &str) -> String {
    format!("default {{ state_entry() {{\n{body}\n}} }}")
}

#[test]
fn a_typo_a_missing_function_and_a_type_error_are_explained() {
    let source = entry(
        "llOwnerSya(\"hi\");\nstring mac = llHMAC(\"k\", \"m\", \"sha1\");\ninteger n = \"5\";\nllOwnerSay(mac + (string)n);",
    );
    let d = found(OpenSim092, &source);
    let shown = d.render("rack.lsl", &source);
    for part in [
        "rack.lsl:2:1: error[unknown-function]: there is no function llOwnerSya",
        "help: did you mean llOwnerSay?",
        "3 | string mac = llHMAC(\"k\", \"m\", \"sha1\");",
        "llHMAC is not in OpenSimulator before its master branch",
        "error[type-mismatch]: the variable n is of type integer, but this is of type string",
        "help: cast it: (integer)…",
        "  |             ^^^",
    ] {
        assert!(shown.contains(part), "missing {part:?} in\n{shown}");
    }
    assert_eq!(d.errors().count(), 3);
}

#[test]
fn linden_shares_names_between_kinds_and_returns_no_void_at_the_end() {
    for source in [
        "integer test; test() { } default { state_entry() { } }",
        "integer test; default { state_entry() { state test; } } state test { state_entry() { } }",
        "test() { } default { state_entry() { state test; } } state test { state_entry() { } }",
    ] {
        assert_eq!(errors(SecondLife, source), ["duplicate-name"], "{source}");
        assert!(errors(OpenSimMaster, source).is_empty(), "{source}");
    }
    for (body, code) in
        [("return llOwnerSay(\"\");", Some("return-value")), ("if (1) return llOwnerSay(\"\");", None)]
    {
        let found = errors(SecondLife, &entry(body));
        assert_eq!(found.first().copied(), code, "{body}");
        assert!(errors(OpenSimMaster, &entry(body)).is_empty(), "{body}");
    }
    // A label and a local variable may have any name.
    assert!(
        errors(SecondLife, "test() { } default { state_entry() { integer test = 1; jump test; @test; } }")
            .is_empty()
    );
}

#[test]
fn what_a_grid_lacks_is_said_with_the_grid_that_has_it() {
    let write = entry("llLinksetDataWrite(\"a\", \"b\");");
    assert!(errors(OpenSim093, &write).is_empty());
    let d = found(OpenSim092, &write);
    let e = d.errors().next().unwrap();
    assert_eq!(e.message, "llLinksetDataWrite is not in OpenSimulator before 0.9.3");
    assert_eq!(e.hint.as_deref(), Some("it exists in Second Life and OpenSimulator from 0.9.3 on"));
    for (source, profile, code) in [
        (entry("osMakeNotecard(\"a\", [\"b\"]);"), SecondLife, "unknown-function"),
        (
            entry("list l = [HTTP_USER_AGENT, \"x\"]; llHTTPRequest(\"\", l, \"\");"),
            OpenSim092,
            "unknown-constant",
        ),
        (
            "default { linkset_data(integer a, string n, string v) { } }".to_owned(),
            OpenSim092,
            "unknown-event",
        ),
        (entry("llSignRSA(\"a\", \"b\", \"c\");"), OpenSimMaster, "unknown-function"),
    ] {
        assert_eq!(errors(profile, &source), [code], "{source}");
    }
}

#[test]
fn names_types_and_places_are_checked() {
    for (body, code) in [
        ("llSay(0);", "argument-count"),
        ("llSay(\"0\", \"x\");", "type-mismatch"),
        ("integer a; string a;", "duplicate-name"),
        ("a = 1;", "unknown-name"),
        ("jump nowhere;", "unknown-label"),
        ("state nowhere;", "unknown-state"),
        ("return 5;", "return-value"),
        ("PI = 3.0;", "assign-constant"),
        ("integer PI;", "duplicate-name"),
        ("list l = [1, [2]];", "list-in-list"),
        ("vector v; v.w = 1.0;", "unknown-part"),
        ("integer i; i.x = 1.0;", "unknown-part"),
        ("string s; s++;", "type-mismatch"),
        ("llSetPos(<1, 2, \"3\">);", "type-mismatch"),
        ("key k = \"a\" + llGetOwner();", "type-mismatch"),
        ("integer i = llSay(0, \"\");", "type-mismatch"),
        ("if (llSay(0, \"\")) ;", "type-mismatch"),
        ("rotation r = (rotation)<1, 2, 3>;", "type-mismatch"),
    ] {
        for p in Profile::ALL {
            assert_eq!(errors(p, &entry(body)), [code], "{p}: {body}");
        }
    }
    for (source, code) in [
        ("integer f() { if (TRUE) return 1; } default { state_entry() { f(); } }", "missing-return"),
        ("default { touch_start() { } }", "event-signature"),
        ("default { tuch_start(integer n) { } }", "unknown-event"),
        ("default { timer() { } timer() { } }", "duplicate-name"),
        ("integer g; integer g; default { timer() { } }", "duplicate-name"),
        ("f() { } f() { } default { timer() { } }", "duplicate-name"),
        ("state other { timer() { } }", "no-default-state"),
        ("", "no-default-state"),
    ] {
        for p in Profile::ALL {
            assert_eq!(errors(p, source), [code], "{p}: {source}");
        }
    }
}

#[test]
fn lindens_narrow_places_are_errors_there_only() {
    for (source, code) in [
        ("integer g = 1 + 2; default { timer() { g; } }".to_owned(), "global-initializer"),
        (entry("llOwnerSay((string)(integer)\"1\");"), "cast-brackets"),
        (entry("if (TRUE) integer i = 1;"), "declaration-place"),
        ("f() { state default; } default { timer() { f(); } }".to_owned(), "state-in-function"),
        ("default { }".to_owned(), "empty-state"),
        (entry("llOwnerSay((string)llGetPos().x);"), "part-of-value"),
        (entry("for (;;) { llSleep(1.0); }"), "syntax"),
        (entry("float a = 5.0 % 2.0; llOwnerSay((string)a);"), "type-mismatch"),
        (entry("if (!\"\") { llSleep(1.0); }"), "type-mismatch"),
    ] {
        assert_eq!(errors(SecondLife, &source), [code], "{source}");
        assert!(errors(OpenSimMaster, &source).is_empty(), "{source}: {:?}", found(OpenSimMaster, &source));
    }
}

#[test]
fn several_syntax_errors_are_reported_at_once_with_their_remedies() {
    let source = "integer a = ;\nf( { }\ndefault {\n  state_entry() {\n    integer x = 1\n    llSay(0, \"a\";\n    if x { }\n    foo bar;\n    llSay(0, \"fine\");\n  }\n  touch_start(integer n) { x = [1, 2; }\n}\n";
    let d = found(SecondLife, source);
    let lines: Vec<u32> = d.errors().map(|e| e.line).collect();
    for line in [1, 2, 5, 6, 7, 8, 11] {
        assert!(lines.contains(&line), "line {line} is missing in {lines:?}\n{d}");
    }
    assert!(d.errors().all(|e| e.code == "syntax"), "{d}");
    assert!(d.errors().any(|e| e.hint.as_deref() == Some("add ';' here")));
}

#[test]
fn foreign_dialects_are_recognized() {
    for (source, part) in [
        ("#include \"x.lsl\"\ndefault { timer() { } }", "#include is a preprocessor directive"),
        (
            "  #define A 1\n#define B 2\ndefault { timer() { foo; } }",
            "#define is a preprocessor directive (and 1 more",
        ),
    ] {
        let d = found(SecondLife, source);
        assert_eq!(d.errors().count(), 1, "{d}");
        assert!(d.to_string().contains(part), "{d}");
    }
    let switch = found(SecondLife, &entry("integer i; switch (i) { case 1: break; }"));
    assert!(switch.0.iter().any(|d| d.message.contains("LSL has no switch")), "{switch}");
    assert!(found(SecondLife, &entry("llSay(0, “hello”);")).render("f", "").contains("straight"));
}

#[test]
fn warnings_are_few_and_about_real_slips() {
    for (source, code) in [
        (entry("integer a; if (a = 1) llSleep(1.0);"), "assignment-as-condition"),
        (entry("integer a; a == 1;"), "comparison-as-statement"),
        (entry("list a = [1]; if (a == [2]) llSleep(1.0);"), "list-comparison"),
        (entry("if (TRUE); llSleep(1.0);"), "empty-if"),
        (entry("return; llSleep(1.0);"), "unreachable"),
        (entry("integer never;"), "unused-variable"),
        ("f() { } default { timer() { } }".to_owned(), "unused-function"),
        (entry("state default;"), "state-change-to-itself"),
    ] {
        for p in Profile::ALL {
            assert_eq!(warnings(p, &source), [code], "{source}");
            assert!(errors(p, &source).is_empty(), "{source}");
        }
    }
    assert!(warnings(SecondLife, &entry("list a = [1]; if (a == []) llSleep(1.0);")).is_empty());
}

#[test]
fn overloads_are_chosen_by_their_arguments() {
    assert!(
        errors(
            OpenSim092,
            &entry("osKickAvatar(\"A\", \"B\", \"bye\"); osKickAvatar(llGetOwner(), \"bye\");")
        )
        .is_empty()
    );
    assert_eq!(errors(OpenSim092, &entry("osKickAvatar(\"bye\");")), ["argument-count"]);
}

#[test]
fn columns_count_characters_and_carets_stand_below_them() {
    let source = entry("string é = \"€😀\" + nope;");
    let d = found(SecondLife, "default { state_entry() { string e = \"€😀\" + nope; } }");
    let e = d.errors().next().unwrap();
    assert_eq!((e.line, e.column, e.end_column), (1, 45, 49));
    // é is no letter of a name.
    assert!(!errors(OpenSim092, &source).is_empty());
}

#[test]
fn reports_come_for_people_and_for_programs() {
    let bad = entry("llSay(0, 1);");
    let good = entry("llSay(0, \"1\");");
    let sources = [(Path::new("bad.lsl"), bad.as_str()), (Path::new("good.lsl"), good.as_str())];
    let mut out = Vec::new();
    assert!(!check_sources(sources, &[SecondLife], Format::Json, &mut out).unwrap());
    let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(json[0]["file"], "bad.lsl");
    assert_eq!(json[0]["ok"], false);
    assert_eq!(json[0]["profile"], "secondlife");
    assert_eq!(json[0]["diagnostics"][0]["severity"], "error");
    assert_eq!(json[0]["diagnostics"][0]["line"], 2);
    assert_eq!(json[1]["ok"], true);
    let mut out = Vec::new();
    assert!(check_sources([sources[1]], &Profile::ALL, Format::Human, &mut out).unwrap());
    assert!(
        String::from_utf8(out).unwrap().contains(
            "1 script checked for secondlife, opensim-0.9.2, opensim-0.9.3, opensim-master: 0 errors"
        )
    );
}
