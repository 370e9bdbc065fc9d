//! The functions that the region gives to scripts.
//!
//! A function is in one of the tables below by its name; what is in none of them stops the script with an error that
//! says so. Which grid has which function is the business of the language's own tables.

mod args;
mod comm;
mod http;
mod inventory;
mod params;
mod script;
mod thing;

use crate::ids::PrimId;
use crate::object::Object;
use crate::prim::Prim;
use crate::world::World;
use args::Args;
use primrack_lsl::host::{Host, HostReturn};
use primrack_lsl::library::LinksetData;
use primrack_lsl::tables::{self, Function};
use primrack_lsl::vm::ScriptId;
use primrack_lsl::{ErrorKind, Profile, RuntimeError, Value};
use std::sync::LazyLock;

/// A function of the world.
type HostFn = fn(&mut Caller<'_>, Args<'_>) -> Answer;
/// What it gives.
type Answer = Result<HostReturn, RuntimeError>;

/// The world as the running script sees it.
pub(crate) struct Caller<'a> {
    world: &'a mut World,
    me: ScriptId,
    prim: PrimId,
    /// What the data of an object that is gone would be; nobody reads it.
    nothing: LinksetData,
}

/// By [`Function::id`].
static FUNCTIONS: LazyLock<Vec<Option<HostFn>>> = LazyLock::new(|| {
    let mut all = vec![None; tables::functions().len()];
    for (name, f) in [comm::TABLE, http::TABLE, inventory::TABLE, params::TABLE, script::TABLE, thing::TABLE]
        .into_iter()
        .flatten()
    {
        for known in tables::functions_named(name) {
            if let Some(slot) = all.get_mut(usize::from(known.id)) {
                *slot = Some(*f);
            }
        }
    }
    all
});

impl<'a> Caller<'a> {
    pub(crate) fn new(world: &'a mut World, me: ScriptId, prim: PrimId) -> Self {
        Self { world, me, prim, nothing: LinksetData::default() }
    }

    fn profile(&self) -> Profile {
        self.world.settings.profile
    }

    /// The prim that the script is in.
    fn here(&self) -> Result<&Prim, RuntimeError> {
        self.world.prim(self.prim).ok_or_else(gone)
    }

    fn here_mut(&mut self) -> Result<&mut Prim, RuntimeError> {
        self.world.prims.get_mut(&self.prim).ok_or_else(gone)
    }

    fn object(&self) -> Result<&Object, RuntimeError> {
        self.world.object_of(self.prim).ok_or_else(gone)
    }

    fn root(&self) -> Result<PrimId, RuntimeError> {
        self.world.root_of(self.prim).ok_or_else(gone)
    }
}

/// The object was removed while its script ran.
fn gone() -> RuntimeError {
    RuntimeError::new(ErrorKind::Host, "the object is no longer in the region")
}

fn void() -> Answer {
    Ok(HostReturn::void())
}

fn give(value: Value) -> Answer {
    Ok(value.into())
}

fn int(n: i32) -> Answer {
    give(Value::Integer(n))
}

fn count(n: usize) -> Answer {
    int(i32::try_from(n).unwrap_or(i32::MAX))
}

fn yes(b: bool) -> Answer {
    int(i32::from(b))
}

impl Host for Caller<'_> {
    fn call(&mut self, function: &'static Function, args: &[Value]) -> Answer {
        match FUNCTIONS.get(usize::from(function.id)).copied().flatten() {
            Some(f) => f(self, Args(args)),
            None => Err(RuntimeError::unsupported(function.name)),
        }
    }

    fn unix_time(&mut self) -> f64 {
        self.world.clock.unix()
    }

    fn random(&mut self) -> f64 {
        self.world.random()
    }

    fn linkset_data(&mut self) -> &mut LinksetData {
        match self.world.prims.get(&self.prim).map(|p| p.object).and_then(|o| self.world.objects.get_mut(&o))
        {
            Some(o) => &mut o.data,
            None => &mut self.nothing,
        }
    }

    fn linkset_data_changed(&mut self, action: i32, name: &str, value: &str) {
        let prims = self.object().map_or_else(|_| Vec::new(), |o| o.prims.clone());
        for id in prims.into_iter().flat_map(|p| self.world.scripts_in(p)).collect::<Vec<_>>() {
            let args = vec![Value::Integer(action), Value::str(name), Value::str(value)];
            self.world.send(id, "linkset_data", args);
        }
    }

    fn state_changed(&mut self) {
        self.world.end_listens(self.me);
    }

    fn script_reset(&mut self) {
        self.world.forget_wishes(self.me);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_in_the_tables_is_a_function_of_some_grid_and_not_the_librarys() {
        let all = [comm::TABLE, http::TABLE, inventory::TABLE, params::TABLE, script::TABLE, thing::TABLE];
        let mut seen = std::collections::BTreeSet::new();
        for (name, _) in all.into_iter().flatten() {
            assert!(tables::functions_named(name).next().is_some(), "{name} is in no grid's table");
            assert!(
                primrack_lsl::library::resolve(name, Profile::OpenSimMaster).is_none(),
                "{name} is the library's"
            );
            assert!(seen.insert(*name), "{name} is there twice");
        }
    }
}
