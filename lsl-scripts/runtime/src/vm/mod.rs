//! Compiler to compact code, the interpreter, events, queue, memory accounting.
//!
//! A [`Script`] is one copy of a [`Program`] in one prim. It never blocks and never runs away: [`Script::run_slice`] works
//! for a number of instructions and says why it stopped.
//!
//! ```text
//!            post(event)                 run_slice                     end of handler
//!   idle ───────────────▶ event waits ───────────▶ handler runs ───────────────────────▶ idle
//!                                                   │  ▲    │
//!                                   llSleep, forced │  │    │ division by zero, memory, runaway, …
//!                                                   ▼  │    ▼
//!                                                  asleep  stopped until reset
//! ```

mod arith;
pub(crate) mod code;
pub(crate) mod compile;
mod event;
mod interpret;
pub(crate) mod intrinsic;
mod script;

pub use code::Program;
pub use event::{Detected, Event, Posted, TouchPoint};
pub use script::{Limits, Outcome, Script, ScriptId};
