//! A world for the library's own tests, and short ways to call.

use super::{LibCtx, LinksetData, resolve};
use crate::error::RuntimeError;
use crate::host::{Host, HostReturn};
use crate::profile::Profile;
use crate::tables::Function;
use crate::value::Value;

/// A clock that stands, random numbers from a small generator, a store, and the changes it told of.
pub(crate) struct World {
    pub(crate) now: f64,
    pub(crate) changes: Vec<(i32, String, String)>,
    pub(crate) seed: u64,
    pub(crate) data: LinksetData,
}

impl Default for World {
    fn default() -> Self {
        Self { now: 0.0, changes: Vec::new(), seed: 1, data: LinksetData::new() }
    }
}

impl Host for World {
    fn call(&mut self, function: &'static Function, _: &[Value]) -> Result<HostReturn, RuntimeError> {
        Err(RuntimeError::unsupported(function.name))
    }

    fn unix_time(&mut self) -> f64 {
        self.now
    }

    #[expect(clippy::cast_precision_loss, reason = "53 bits")]
    fn random(&mut self) -> f64 {
        // Knuth's multiplier; the upper bits are good enough for a test.
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn linkset_data(&mut self) -> &mut LinksetData {
        &mut self.data
    }

    fn linkset_data_changed(&mut self, action: i32, name: &str, value: &str) {
        self.changes.push((action, name.to_owned(), value.to_owned()));
    }
}

pub(crate) fn call_in(
    world: &mut World,
    profile: Profile,
    name: &str,
    args: &[Value],
) -> Result<Value, RuntimeError> {
    let function = resolve(name, profile).or_else(|| resolve(name, Profile::OpenSimMaster)).expect(name);
    function(&mut LibCtx { profile, host: world }, args)
}

pub(crate) fn try_call(profile: Profile, name: &str, args: &[Value]) -> Result<Value, RuntimeError> {
    call_in(&mut World::default(), profile, name, args)
}

/// The call comes back, with a value or with an error that is not about the arguments' types.
pub(crate) fn survives(profile: Profile, name: &str, args: &[Value]) {
    if let Err(e) = try_call(profile, name, args) {
        assert!(!e.message.starts_with("argument "), "{name} {profile}: {e}");
    }
}

/// The call comes back, whatever it was given.
pub(crate) fn tolerates(profile: Profile, name: &str, args: &[Value]) {
    if let Err(e) = try_call(profile, name, args) {
        assert!(!e.message.is_empty(), "{name} {profile}");
    }
}

pub(crate) fn call(profile: Profile, name: &str, args: &[Value]) -> Value {
    try_call(profile, name, args).unwrap_or_else(|e| panic!("{name} {profile}: {e}"))
}

pub(crate) fn call_err(profile: Profile, name: &str, args: &[Value]) -> RuntimeError {
    try_call(profile, name, args).expect_err(name)
}

/// The text that the function gives.
pub(crate) fn text(profile: Profile, name: &str, args: &[Value]) -> String {
    match call(profile, name, args) {
        Value::Str(s) | Value::Key(s) => s.to_string(),
        other => panic!("{name} {profile} gave {other:?}"),
    }
}

/// The list that the function gives, as comma-separated text.
pub(crate) fn csv(profile: Profile, name: &str, args: &[Value]) -> String {
    let list = call(profile, name, args);
    text(profile, "llList2CSV", &[list])
}

pub(crate) fn s(text: &str) -> Value {
    Value::str(text)
}

pub(crate) fn l(items: impl Into<Vec<Value>>) -> Value {
    Value::list(items.into())
}
