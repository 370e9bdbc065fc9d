//! Scripts about themselves and each other: timers, names, state, permissions, the end.

use super::args::Args;
use super::{Answer, Caller, HostFn, give, int, void};
use crate::clock::Micros;
use primrack_lsl::host::{ForcedSleep, HostReturn, Then};
use primrack_lsl::value::NULL_KEY;
use primrack_lsl::{Value, vm::ScriptId};

pub(super) const TABLE: &[(&str, HostFn)] = &[
    ("llSetTimerEvent", |c, a| {
        c.world.set_timer(c.me, a.float(0)?);
        void()
    }),
    ("llGetTime", |c, _| give(Value::Float(c.age()))),
    ("llResetTime", |c, _| {
        c.restart_age();
        void()
    }),
    ("llGetAndResetTime", |c, _| {
        let age = c.age();
        c.restart_age();
        give(Value::Float(age))
    }),
    ("llGetScriptName", |c, _| {
        let name = c.world.scripts.get(&c.me).map_or("", |s| s.name.as_str());
        give(Value::str(name))
    }),
    ("llGetStartParameter", |c, _| int(c.object()?.start_param)),
    ("llGetStartString", |c, _| give(Value::str(c.object()?.start_string.as_str()))),
    ("llResetOtherScript", |c, a| {
        if let Some(id) = c.other(a)? {
            c.world.reset(id);
        }
        void()
    }),
    ("llGetScriptState", |c, a| {
        let state = c.world.script_named(c.prim, a.text(0)?).ok().and_then(|id| c.world.scripts.get(&id));
        int(state
            .map_or(0, |s| i32::from(s.running && s.script.as_ref().is_none_or(|s| s.error().is_none()))))
    }),
    ("llSetScriptState", set_state),
    ("llDie", |c, _| {
        let object = c.here()?.object;
        c.world.remove(object);
        Ok(end())
    }),
    ("llRequestPermissions", permissions),
    ("llGetPermissions", |c, _| int(c.world.scripts.get(&c.me).map_or(0, |s| s.permissions))),
    ("llGetPermissionsKey", |c, _| {
        let by = c.world.scripts.get(&c.me).map(|s| s.granter).filter(|k| !k.is_nil());
        give(by.map_or_else(|| Value::key(NULL_KEY), |k| Value::key(k.to_string())))
    }),
];

/// The script ends with the call.
pub(super) fn end() -> HostReturn {
    HostReturn { value: Value::Integer(0), sleep: ForcedSleep::Seconds(0.0), then: Then::EndHandler }
}

impl Caller<'_> {
    #[expect(clippy::cast_precision_loss, reason = "microseconds of centuries fit 53 bits")]
    fn age(&self) -> f64 {
        let born = self.world.scripts.get(&self.me).map_or(0, |s| s.born);
        (self.world.clock.now() - born) as f64 / 1e6
    }

    fn restart_age(&mut self) {
        let now: Micros = self.world.clock.now();
        if let Some(s) = self.world.scripts.get_mut(&self.me) {
            s.born = now;
        }
    }

    /// Another script of this prim, by name.
    fn other(&mut self, a: Args<'_>) -> Result<Option<ScriptId>, primrack_lsl::RuntimeError> {
        let name = a.text(0)?;
        match self.world.script_named(self.prim, name) {
            Ok(id) if id != self.me => Ok(Some(id)),
            Ok(_) => Ok(None),
            Err(_) => {
                self.world
                    .complain(self.me, &format!("there is no script {:?}", crate::inventory::clip(name, 64)));
                Ok(None)
            }
        }
    }
}

fn set_state(c: &mut Caller<'_>, a: Args<'_>) -> Answer {
    let on = a.int(1)? != 0;
    if c.world.script_named(c.prim, a.text(0)?) == Ok(c.me) {
        if on {
            return void();
        }
        if let Some(s) = c.world.scripts.get_mut(&c.me) {
            s.running = false;
        }
        return Ok(end());
    }
    if let Some(id) = c.other(a)? {
        if let Some(s) = c.world.scripts.get_mut(&id) {
            s.running = on;
        }
        if on {
            c.world.make_ready(id);
        }
    }
    void()
}

/// The owner is asked nothing here: what needs nobody's leave on the grids is granted to scripts of theirs, everything
/// else is denied.
fn permissions(c: &mut Caller<'_>, a: Args<'_>) -> Answer {
    /// `PERMISSION_CHANGE_LINKS`
    const HARMLESS: i32 = 0x80;
    let (who, wanted) = (a.key(0)?, a.int(1)?);
    let granted = if c.object()?.owner == who { wanted & HARMLESS } else { 0 };
    if let Some(s) = c.world.scripts.get_mut(&c.me) {
        s.permissions = granted;
        s.granter = who;
    }
    c.world.send_later(c.me, 0.05, "run_time_permissions", vec![Value::Integer(granted)]);
    void()
}
