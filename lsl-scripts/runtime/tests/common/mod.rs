//! Runs a script on the console host and gives what it said.
#![allow(dead_code, reason = "each test file uses its part")]

use primrack_lsl::console::{RunEnd, RunOptions, run_source};
use primrack_lsl::{Diagnostics, Profile};

/// Everything a script said, and how it ended.
pub(crate) fn run_whole(profile: Profile, source: &str) -> (String, RunEnd) {
    let mut out = Vec::new();
    let options = RunOptions { profile, ..RunOptions::default() };
    let end = match run_source(source, options, &mut out) {
        Ok(end) => end,
        Err(e) => match e {
            primrack_lsl::console::RunError::Check(d) => panic!("{}", d.render("test", source)),
            e @ primrack_lsl::console::RunError::Output(_) => panic!("{e}"),
        },
    };
    (String::from_utf8_lossy(&out).into_owned(), end)
}

/// Runs statements inside `state_entry`; what `say` was given, joined with commas.
pub(crate) fn says(profile: Profile, globals: &str, body: &str) -> String {
    let source = format!(
        "list said; say(string s) {{ said += s; }}\n{globals}\ndefault {{ state_entry() {{ {body}\n llOwnerSay(llDumpList2String(said, \",\")); }} }}"
    );
    let (out, end) = run_whole(profile, &source);
    assert_eq!(end, RunEnd::Idle, "{out}");
    out.trim_end().to_owned()
}

/// The value of an expression as text.
pub(crate) fn value(profile: Profile, expression: &str) -> String {
    says(profile, "", &format!("say((string)({expression}));"))
}

/// The codes of the errors found.
pub(crate) fn errors(profile: Profile, source: &str) -> Vec<&'static str> {
    found(profile, source).errors().map(|d| d.code).collect()
}

/// The codes of the warnings found.
pub(crate) fn warnings(profile: Profile, source: &str) -> Vec<&'static str> {
    found(profile, source).warnings().map(|d| d.code).collect()
}

/// Everything found.
pub(crate) fn found(profile: Profile, source: &str) -> Diagnostics {
    primrack_lsl::check::diagnose(source, profile)
}
