//! What `primrack scripts check` and `primrack scripts run` do, as library functions.

mod check;
mod run;

pub use check::{FileReport, Format, check_files, check_sources};
pub use run::{RunEnd, RunError, RunOptions, check_source, run_source};
