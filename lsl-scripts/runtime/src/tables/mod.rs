//! The functions, events and constants each grid has.

use crate::profile::Profile;
use crate::value::Type;

/// A built-in function as the grids declare it.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// Position in the table: the same in every profile, for dispatch without comparing names.
    pub id: u16,
    /// For instance `llSay`.
    pub name: &'static str,
    /// Result, [`Type::Void`] for none.
    pub returns: Type,
    /// Arguments in order.
    pub params: Vec<Param>,
    /// Bits of the profiles that have it ([`Profile::bit`]).
    pub profiles: u8,
    /// Forced sleep in seconds after the call.
    pub sleep: f64,
}

/// An argument of a function or event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param {
    /// Type.
    pub ty: Type,
    /// Name in the grid's documentation.
    pub name: &'static str,
}

impl Function {
    /// Whether that grid compiles it.
    #[must_use]
    pub const fn in_profile(&self, profile: Profile) -> bool {
        self.profiles & profile.bit() != 0
    }
}
