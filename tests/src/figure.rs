//! Figures in milliseconds that a test sees while it shows something else.

use std::time::Duration;

/// How much longer than its figure something may take on a machine that does other things besides.
const PATIENCE: u32 = 20;

/// Prints what was measured. On a quiet machine, which whoever sets `PRIMRACK_TIMED` says it is, it has to be within the figure;
/// elsewhere what counts is that it comes at all.
///
/// # Panics
/// It took longer.
#[allow(
    clippy::print_stdout,
    unreachable_pub,
    reason = "the figure is to be read; tests outside this crate include the file"
)]
pub fn in_time(what: &str, took: Duration, figure: Duration) {
    let limit = if std::env::var_os("PRIMRACK_TIMED").is_some() { figure } else { figure * PATIENCE };
    println!("{what}: {took:?}, figure {figure:?}");
    assert!(took <= limit, "{what}: {took:?}, and {limit:?} would have been in time");
}
