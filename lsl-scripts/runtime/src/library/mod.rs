//! The functions that need no world: strings, lists, math, JSON, hashes and encodings, linkset data, time conversion.
//!
//! [`resolve`] is asked once per function and script, at compile time; the interpreter then calls the pointer it gave.
//! The checker has verified count and types of the arguments (and cast integer to float, string to key where the
//! language does), so that a function may rely on them.

use crate::error::RuntimeError;
use crate::host::Host;
use crate::profile::Profile;
use crate::value::Value;

/// What a library function may use besides its arguments.
pub struct LibCtx<'a> {
    /// The engine whose behaviour is wanted.
    pub profile: Profile,
    /// The world: clock, random numbers, the linkset's data.
    pub host: &'a mut dyn Host,
}

impl std::fmt::Debug for LibCtx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LibCtx").field("profile", &self.profile).finish_non_exhaustive()
    }
}

/// A library function. A function without a result gives `Value::Integer(0)`, which nobody reads.
pub type LibFn = fn(&mut LibCtx<'_>, &[Value]) -> Result<Value, RuntimeError>;

/// The library function of that name, or `None` where the host has to give it.
#[must_use]
pub fn resolve(_name: &str, _profile: Profile) -> Option<LibFn> {
    None
}

/// The key-value store of a linkset.
#[derive(Debug, Clone, Default)]
pub struct LinksetData {}
