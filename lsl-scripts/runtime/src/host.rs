//! What the region provides to a running script.

use crate::error::RuntimeError;
use crate::tables::Function;
use crate::value::Value;

/// What a world function gives back.
#[derive(Debug, Clone, Default)]
pub struct HostReturn {
    /// The result; ignored for functions without one. Must have the type that the table names.
    pub value: Value,
    /// How long the script sleeps afterwards.
    pub sleep: ForcedSleep,
    /// What happens to the script itself.
    pub then: Then,
}

/// The forced sleep after a world function.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum ForcedSleep {
    /// As long as the grid's table says ([`Function::sleep`]).
    #[default]
    Table,
    /// That many seconds; 0 for none.
    Seconds(f64),
}

/// What a world function does to the script that called it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Then {
    /// It runs on.
    #[default]
    Continue,
    /// The handler ends here without an error (`llDie`, `llSetScriptState` on itself, `llRemoveInventory` of itself).
    EndHandler,
}

impl HostReturn {
    /// A value, with the table's sleep.
    #[must_use]
    pub fn value(value: Value) -> Self {
        Self { value, ..Self::default() }
    }

    /// No value, with the table's sleep.
    #[must_use]
    pub fn void() -> Self {
        Self::default()
    }
}

impl From<Value> for HostReturn {
    fn from(value: Value) -> Self {
        Self::value(value)
    }
}

/// The world as one script sees it. The interpreter calls it for every function that neither it nor the
/// [library](crate::library) can answer.
pub trait Host {
    /// Calls a world function. `args` have the count and types that `function` names. A function that this world does not
    /// have returns [`RuntimeError::unsupported`].
    ///
    /// # Errors
    ///
    /// Any error stops the script until it is reset.
    fn call(&mut self, function: &'static Function, args: &[Value]) -> Result<HostReturn, RuntimeError>;

    /// Seconds since the Unix epoch, by the region's clock (real or virtual).
    fn unix_time(&mut self) -> f64;

    /// A uniformly distributed number in `0.0 <= x < 1.0`.
    fn random(&mut self) -> f64;

    /// The data store of the linkset the script is in.
    fn linkset_data(&mut self) -> &mut crate::library::LinksetData;

    /// The store changed: every script of the linkset with a `linkset_data` event is to be told.
    fn linkset_data_changed(&mut self, action: i32, name: &str, value: &str);

    /// The script is entering another state: its listens and sensors end, its timer and URLs stay.
    fn state_changed(&mut self) {}

    /// The script reset itself: everything it asked for ends (listens, timer, URLs, sensors, permissions).
    fn script_reset(&mut self) {}

    /// `print(value)`, an oddity of the language that shows nowhere in the world.
    fn print(&mut self, _text: &str) {}
}
