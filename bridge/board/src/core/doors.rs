//! Doors: they open for a while and close by themselves; a lock, where there is one, goes along. The lock's
//! lease ends on the board itself, so a door does not stay open because a bridge died.

use primrack_adapter_api::AdapterError;
use primrack_model::Cause;

use super::outputs::Then;
use super::*;

/// One door.
#[derive(Debug, Default)]
pub(crate) struct Door {
    open: bool,
    until: Option<Ms>,
    by_itself: bool,
}

impl Door {
    pub(super) fn due(&self) -> Option<Ms> {
        self.until.filter(|_| self.open)
    }
    pub(super) fn observe(&self) -> Observation {
        match (self.open, self.by_itself) {
            (true, _) => Observation::of(Power::On),
            (false, true) => Observation::caused(Power::Off, Cause::Guest).with_detail("closed by itself"),
            (false, false) => Observation::of(Power::Off),
        }
    }
}

impl Core {
    pub(super) fn order_door(
        &mut self,
        now: Ms,
        address: &SmolStr,
        (open_ms, lock): (u64, Option<u8>),
        open: bool,
        token: Token,
    ) {
        match (open, lock) {
            (true, Some(lock)) => {
                if self.refuse_while_down(token) {
                    return;
                }
                let until = (open_ms > 0).then(|| now + open_ms);
                self.wish_quietly(lock, 1, until);
                let lease = u32::try_from(open_ms).unwrap_or(u32::MAX);
                self.put(now, lock, 1, lease, Then::Open { address: address.clone(), open_ms, token });
            }
            (true, None) => {
                self.open_door(now, address, open_ms);
                self.effects.push(Effect::Reply(token, Ok(())));
            }
            (false, lock) => {
                let down = self.down.is_some();
                self.close_door(now, address, false);
                // The lock's lease ends without us; what nobody can see is not called done.
                let reply = match (&self.down, lock) {
                    (Some(why), Some(_)) if down => Err(AdapterError::Unreachable(format!(
                        "the line to the board is down: {why}; the lock closes at the end of its lease"
                    ))),
                    _ => Ok(()),
                };
                self.effects.push(Effect::Reply(token, reply));
            }
        }
    }

    pub(super) fn open_door(&mut self, now: Ms, address: &SmolStr, open_ms: u64) {
        if let Some(door) = self.doors.get_mut(address) {
            *door = Door { open: true, until: (open_ms > 0).then(|| now + open_ms), by_itself: false };
            self.show(address);
        }
    }

    fn close_door(&mut self, now: Ms, address: &SmolStr, by_itself: bool) {
        let Some(door) = self.doors.get_mut(address) else { return };
        *door = Door { open: false, until: None, by_itself };
        if let Some(Thing::Door { lock: Some(lock), .. }) = self.plan.things.get(address) {
            let lock = *lock;
            self.wish_quietly(lock, 0, None);
            self.put(now, lock, 0, 0, Then::Nothing);
        }
        self.show(address);
    }

    pub(super) fn close_doors(&mut self, now: Ms) {
        let over: Vec<SmolStr> = self
            .doors
            .iter()
            .filter(|(_, door)| door.due().is_some_and(|until| now >= until))
            .map(|(address, _)| address.clone())
            .collect();
        for address in over {
            self.close_door(now, &address, true);
        }
    }

    /// The board let a lock fall because its time was over: the door is closed.
    pub(super) fn lock_fell(&mut self, index: u8, value: u32) {
        let address = self.plan.things.iter().find_map(|(address, thing)| match thing {
            Thing::Door { lock: Some(lock), .. } if *lock == index => Some(address.clone()),
            _ => None,
        });
        if value == 0
            && let Some(address) = address
            && let Some(door) = self.doors.get_mut(&address)
            && door.open
        {
            *door = Door { open: false, until: None, by_itself: true };
            self.show(&address);
        }
    }
}
