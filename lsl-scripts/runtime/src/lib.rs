//! LSL parsed, checked and run as the grids run it.
//!
//! The way of a script through this crate:
//!
//! ```text
//! source ─ syntax ─▶ AST ─ check (profile, tables) ─▶ typed AST ─ vm::compile ─▶ Arc<Program>
//!                                                                                 │ shared by every copy
//!                              host (the world) ◀─ calls ─ Script::run_slice ◀────┘
//! ```
//!
//! * [`profile`]: which grid the script is for; every difference between engines hangs on it.
//! * [`syntax`]: text to tree, with errors that name line, column and remedy.
//! * [`tables`]: the functions, events and constants each grid has.
//! * [`check`]: names and types, diagnostics as plain data.
//! * [`value`]: values, casts, formatting. [`library`]: the functions that need no world.
//! * [`vm`]: compiler to compact code, the interpreter, events, queue, memory accounting.
//! * [`host`]: what the region provides.

pub mod check;
pub mod console;
pub mod diagnostic;
pub mod error;
pub mod host;
pub mod library;
pub mod profile;
pub mod syntax;
pub mod tables;
pub mod value;
pub mod vm;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use error::{ErrorKind, RuntimeError};
pub use profile::Profile;
pub use value::{Type, Value};
pub use vm::{Event, Outcome, Program, Script};

use std::sync::Arc;

/// Parses, checks and compiles a script for a grid. Warnings are kept in [`vm::Program::warnings`].
///
/// # Errors
///
/// Everything that is wrong with the script, warnings included, if there is at least one error.
pub fn check(source: &str, profile: Profile) -> Result<Arc<Program>, Diagnostics> {
    let (script, found) = check::checked(source, profile);
    match script {
        Some(script) => vm::compile::compile(script, profile, found).map(Arc::new),
        None => Err(found),
    }
}
