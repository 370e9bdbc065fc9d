//! Any text goes through parser, checker and compiler of every profile, and what compiles runs for a while.
//!
//! `cargo +nightly fuzz run check` in `lsl-scripts/runtime`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use primrack_lsl::Profile;
use primrack_lsl::console::{RunOptions, run_source};

fuzz_target!(|source: &str| {
    for profile in Profile::ALL {
        let found = primrack_lsl::check::diagnose(source, profile);
        assert_eq!(found.render("f", source).is_empty(), found.0.is_empty());
        if !found.has_errors() {
            let options = RunOptions { profile, seconds: 10.0, instructions: 1_000_000, ..RunOptions::default() };
            let _ = run_source(source, options, &mut std::io::sink());
        }
    }
});
