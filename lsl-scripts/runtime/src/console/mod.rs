//! What `primrack scripts check` and `primrack scripts run` do, as library functions.

mod check;

pub use check::{FileReport, Format, check_files, check_sources};
