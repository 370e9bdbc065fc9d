//! Any text goes through lexer, parser and checker of every profile: many more texts a second than `check`, which also
//! runs what compiles.
//!
//! `cargo +nightly fuzz run parse` in `lsl-scripts/runtime`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use primrack_lsl::Profile;

fuzz_target!(|source: &str| {
    for profile in Profile::ALL {
        let found = primrack_lsl::check::diagnose(source, profile);
        // The message has to find its place in the source, whatever the source is.
        assert_eq!(found.render("f", source).is_empty(), found.0.is_empty());
    }
});
