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
//! * [`host`]: what the region provides. [`console`]: checking files, and running a script without a region.
//!
//! ```
//! use primrack_lsl::{Event, Outcome, Profile, Script, Value, check, vm::ScriptId};
//! use primrack_lsl::{RuntimeError, host::{Host, HostReturn}, library::LinksetData, tables::Function};
//!
//! #[derive(Default)]
//! struct World(Vec<String>, LinksetData);
//!
//! impl Host for World {
//!     fn call(&mut self, f: &'static Function, args: &[Value]) -> Result<HostReturn, RuntimeError> {
//!         match (f.name, args) {
//!             ("llSay", [_, Value::Str(text)]) => self.0.push(text.to_string()),
//!             _ => return Err(RuntimeError::unsupported(f.name)),
//!         }
//!         Ok(HostReturn::void())
//!     }
//!     fn unix_time(&mut self) -> f64 { 0.0 }
//!     fn random(&mut self) -> f64 { 0.0 }
//!     fn linkset_data(&mut self) -> &mut LinksetData { &mut self.1 }
//!     fn linkset_data_changed(&mut self, _: i32, _: &str, _: &str) {}
//! }
//!
//! let source = "integer n; default { touch_start(integer i) { ++n; llSay(0, \"touch \" + (string)n); } }";
//! let program = check(source, Profile::SecondLife)?;
//! let mut world = World::default();
//! let mut script = Script::new(program, ScriptId(1));
//! assert_eq!(script.run_slice(&mut world, 1_000), Outcome::Idle);
//! script.post(Event::new("touch_start", vec![Value::Integer(1)]).unwrap());
//! script.run_slice(&mut world, 1_000);
//! assert_eq!(world.0, ["touch 1"]);
//! # Ok::<(), primrack_lsl::Diagnostics>(())
//! ```

pub mod check;
pub mod console;
pub mod diagnostic;
pub mod error;
pub mod host;
pub mod library;
pub mod profile;
pub mod source;
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
