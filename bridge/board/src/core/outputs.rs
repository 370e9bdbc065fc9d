//! The board's outputs: what is wished, what the board says, and what was asked and not answered.

use primrack_adapter_api::AdapterError;

use super::*;
use crate::config::Follows;

/// What an output should be, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) value: u32,
    pub(super) until: Option<Ms>,
}

/// What becomes of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Then {
    Nothing,
    /// These orders wait for it.
    Reply(Vec<Token>),
    /// The door of this address opens for so long.
    Open {
        address: SmolStr,
        open_ms: u64,
        token: Token,
    },
}

#[derive(Debug)]
pub(super) struct Pending {
    set: u64,
    value: u32,
    since: Ms,
    then: Then,
}

/// One output.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) wish: Option<Wish>,
    pub(super) reported: Option<u32>,
    /// What the board said when it last refused.
    pub(super) words: String,
    pub(super) pending: Option<Pending>,
    /// A value found at adoption becomes the wish: a bridge that restarts leaves the lamps as they are.
    pub(super) takes_over: bool,
}

impl Slot {
    pub(super) fn due(&self) -> Option<Ms> {
        self.pending.as_ref().map(|pending| pending.since + ANSWER_MS)
    }
}

impl Core {
    pub(super) fn up(&mut self, now: Ms) {
        self.down = None;
        // What has no end is asserted by the session; what has one, with what is left of it, by us.
        let leased: Vec<(u8, u32, Ms)> = self
            .slots
            .iter()
            .filter_map(|(index, slot)| slot.wish.and_then(|wish| Some((*index, wish.value, wish.until?))))
            .collect();
        for (index, value, until) in leased {
            if until <= now {
                self.forget_wish(index);
            } else {
                self.put(now, index, value, left(Some(until), now), Then::Nothing);
            }
        }
        self.show_all();
    }

    pub(super) fn line_lost(&mut self, why: &str) {
        self.down = Some(why.to_owned());
        let mut waiting = Vec::new();
        for slot in self.slots.values_mut() {
            slot.reported = None;
            if let Some(pending) = slot.pending.take() {
                waiting.push(pending.then);
            }
        }
        let words = format!("the line to the board is down: {why}");
        for then in waiting {
            self.fail(then, &AdapterError::Unreachable(words.clone()));
        }
        self.show_all();
    }

    fn fail(&mut self, then: Then, error: &AdapterError) {
        let tokens = match then {
            Then::Nothing => Vec::new(),
            Then::Reply(tokens) => tokens,
            Then::Open { token, .. } => vec![token],
        };
        for token in tokens {
            self.effects.push(Effect::Reply(token, Err(error.clone())));
        }
    }

    fn forget_wish(&mut self, index: u8) {
        if let Some(slot) = self.slots.get_mut(&index) {
            slot.wish = None;
        }
    }

    /// An order of the engine for an output.
    pub(super) fn order_set(&mut self, now: Ms, index: u8, value: u32, until: Option<Ms>, token: Token) {
        if self.refuse_while_down(token) {
            return;
        }
        if let Some(slot) = self.slots.get_mut(&index) {
            slot.wish = Some(Wish { value, until });
            if let Some(Pending { value: same, then: Then::Reply(tokens), .. }) = &mut slot.pending
                && *same == value
            {
                return tokens.push(token);
            }
        }
        self.put(now, index, value, left(until, now), Then::Reply(vec![token]));
    }

    pub(super) fn refuse_while_down(&mut self, token: Token) -> bool {
        let Some(why) = &self.down else { return false };
        let error = AdapterError::Unreachable(format!("the line to the board is down: {why}"));
        self.effects.push(Effect::Reply(token, Err(error)));
        true
    }

    /// Tells the board. What waited for an older answer of this output is refused.
    pub(super) fn put(&mut self, now: Ms, index: u8, value: u32, lease_ms: u32, then: Then) {
        if self.down.is_some() {
            return;
        }
        let set = self.next_set;
        self.next_set += 1;
        let Some(slot) = self.slots.get_mut(&index) else { return };
        let old = slot.pending.replace(Pending { set, value, since: now, then });
        self.effects.push(Effect::Set { set, index, value, lease_ms });
        if let Some(old) = old {
            let error = AdapterError::Refused("something newer was asked of this output".to_owned());
            self.fail(old.then, &error);
        }
    }

    /// Notes what a lock is to be; the caller tells the board.
    pub(super) fn wish_quietly(&mut self, index: u8, value: u32, until: Option<Ms>) {
        if let Some(slot) = self.slots.get_mut(&index) {
            slot.wish = Some(Wish { value, until });
        }
    }

    /// Keeps an output at a value for as long as nothing else is wished, whether the line is up or not.
    fn hold(&mut self, index: u8, value: u32) {
        let Some(slot) = self.slots.get_mut(&index) else { return };
        let wish = Wish { value, until: None };
        if slot.wish.replace(wish) != Some(wish) {
            self.effects.push(Effect::Hold { index, value });
        }
    }

    pub(super) fn answered(&mut self, now: Ms, set: u64, result: Result<u32, String>) {
        let found = self.slots.iter_mut().find_map(|(index, slot)| {
            slot.pending.take_if(|pending| pending.set == set).map(|pending| (*index, pending))
        });
        let Some((index, pending)) = found else { return };
        match result {
            Ok(value) => {
                if let Some(slot) = self.slots.get_mut(&index) {
                    slot.reported = Some(value);
                    slot.words.clear();
                }
                self.show_output(index);
                match pending.then {
                    Then::Nothing => {}
                    Then::Reply(tokens) => {
                        self.effects.extend(tokens.into_iter().map(|token| Effect::Reply(token, Ok(()))));
                    }
                    Then::Open { address, open_ms, token } => {
                        self.open_door(now, &address, open_ms);
                        self.effects.push(Effect::Reply(token, Ok(())));
                    }
                }
            }
            Err(why) => {
                if let Some(slot) = self.slots.get_mut(&index) {
                    slot.words = format!("the board refused: {why}");
                    slot.wish = None;
                }
                let words = format!("output {index} of the board {}: {why}", self.name);
                self.fail(pending.then, &AdapterError::Refused(words));
                self.show_output(index);
            }
        }
    }

    pub(super) fn overdue_sets(&mut self, now: Ms) {
        let late: Vec<Then> = self
            .slots
            .values_mut()
            .filter_map(|slot| slot.pending.as_mut())
            .filter(|pending| now >= pending.since + ANSWER_MS)
            .map(|pending| {
                // The line goes on trying, since the wish stands; only nobody waits any more.
                pending.since = Ms::MAX - ANSWER_MS;
                std::mem::replace(&mut pending.then, Then::Nothing)
            })
            .collect();
        let error = AdapterError::Unreachable("the board does not answer".to_owned());
        for then in late {
            self.fail(then, &error);
        }
    }

    /// The board said by itself what an output is.
    pub(super) fn output_said(&mut self, now: Ms, index: u8, value: u32, cause: OutputCause) {
        let Some(slot) = self.slots.get_mut(&index) else { return };
        let pending = slot.pending.is_some();
        slot.reported = Some(value);
        slot.words = match cause {
            OutputCause::Lease | OutputCause::Adopted => String::new(),
            OutputCause::Host => "the board had not heard the bridge".to_owned(),
            OutputCause::Reset => "the board started afresh".to_owned(),
        };
        match slot.wish {
            None if cause == OutputCause::Adopted && slot.takes_over => self.hold(index, value),
            // Nobody's: a lock that another bridge left open.
            None if cause == OutputCause::Adopted && value != 0 => self.put(now, index, 0, 0, Then::Nothing),
            None => {}
            Some(Wish { until: Some(until), .. }) if cause == OutputCause::Lease || until <= now => {
                slot.wish = None;
            }
            Some(wish) if wish.value != value && !pending => match wish.until {
                Some(until) => self.put(now, index, wish.value, left(Some(until), now), Then::Nothing),
                // A receipt's moment on a lamp that shows something else is over.
                None if cause == OutputCause::Lease => {
                    self.effects.push(Effect::Hold { index, value: wish.value });
                }
                // The session asserts it.
                None => {}
            },
            Some(_) => {}
        }
        self.show_output(index);
        if cause == OutputCause::Lease {
            self.lock_fell(index, value);
        }
    }

    /// Takes over what the session knows. What we have asked for ourselves is told by its answer.
    pub(super) fn stated(&mut self, outputs: &[(u8, u32)]) {
        for (index, value) in outputs {
            let Some(slot) = self.slots.get_mut(index) else { continue };
            if slot.pending.is_none() && slot.reported != Some(*value) {
                slot.reported = Some(*value);
                slot.words.clear();
                self.show_output(*index);
            }
        }
    }

    /// Shows the target that has this output, if there is one.
    fn show_output(&mut self, index: u8) {
        let address = self.plan.things.iter().find_map(|(address, thing)| match thing {
            Thing::Output { index: of, .. } if *of == index => Some(address.clone()),
            _ => None,
        });
        if let Some(address) = address {
            self.show(&address);
        }
    }

    /// Brings every output that follows something to what it should show.
    pub(super) fn follow(&mut self) {
        let plan = Arc::clone(&self.plan);
        for (index, (follows, look)) in &plan.followers {
            let value = match (follows, self.emergency) {
                (Follows::Target(_), true) if look.emergency().is_some() => look.emergency().unwrap_or(0),
                (Follows::Target(target), _) => {
                    look.of(self.powers.get(target).copied().unwrap_or(Power::Unknown))
                }
                (Follows::EmergencyStop, true) => look.emergency().unwrap_or(look.of(Power::On)),
                (Follows::EmergencyStop, false) => look.of(Power::Off),
            };
            self.hold(*index, value);
        }
    }
}

/// A lease for what is left until then; 0 is without end, so what is almost over is one millisecond.
fn left(until: Option<Ms>, now: Ms) -> u32 {
    until.map_or(0, |until| u32::try_from(until.saturating_sub(now)).unwrap_or(u32::MAX).max(1))
}
