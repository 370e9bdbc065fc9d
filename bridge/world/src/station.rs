//! What is remembered of one object while the bridge runs: kept small, most of it absent when idle.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use primrack_model::{Action, ObjectEntry, TargetIx, UnixMs};
use primrack_wire::world::{AnswerEntry, EventId, Form, KeyId, Seq, SeqWindow, Tell};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::delivery::Callback;

/// Answers kept for events that are sent again.
const RECENT: usize = 8;
/// Menus open at one object at once.
const MENUS: usize = 16;
/// Sentences waiting for people at one object.
const TELLS: usize = 8;

/// Where an object is, as it is kept over restarts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Registration {
    pub(crate) url: SmolStr,
    pub(crate) holder: SmolStr,
    pub(crate) owner: SmolStr,
    pub(crate) region: SmolStr,
    pub(crate) grid: SmolStr,
    pub(crate) script: SmolStr,
    pub(crate) form: Form,
    pub(crate) key_id: SmolStr,
    pub(crate) at: UnixMs,
}

/// A registration in force.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) facts: Registration,
    pub(crate) callback: Arc<Callback>,
    pub(crate) key: KeyId,
    /// The last message that held, either way.
    pub(crate) heard: UnixMs,
    /// Since when pushes do not arrive.
    pub(crate) silent: Option<UnixMs>,
    /// The URL is known to be dead: nothing is sent until the object registers again.
    pub(crate) dead: bool,
}

/// Another prim that wants the same id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rival {
    pub(crate) holder: SmolStr,
    pub(crate) state: RivalState,
}

/// What asking the first holder has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RivalState {
    /// It was sent an empty push.
    Asking,
    /// It answered.
    FirstAlive,
    /// It did not.
    FirstGone,
}

/// What a menu asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    /// One of these actions.
    Actions(Vec<Action>),
    /// Really this one?
    Confirm(Action),
    /// Write its label, really this one.
    TypeLabel(Action),
}

/// A menu that was offered.
#[derive(Debug, Clone)]
pub(crate) struct Menu {
    pub(crate) id: SmolStr,
    pub(crate) who: SmolStr,
    pub(crate) unit: u8,
    pub(crate) target: TargetIx,
    pub(crate) question: Question,
    pub(crate) until: UnixMs,
    /// The event that answered it: that one may be sent again, no other is taken.
    pub(crate) answered_by: Option<EventId>,
}

/// The post on its way.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) seq: Seq,
    pub(crate) key: KeyId,
    pub(crate) units: UnitSet,
    pub(crate) tells: Vec<Tell>,
    pub(crate) since: Instant,
}

/// A set of places in an object's list of units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct UnitSet([u64; 4]);

impl UnitSet {
    pub(crate) fn insert(&mut self, place: usize) {
        self.0[place / 64] |= 1 << (place % 64);
    }
    pub(crate) fn first(count: usize) -> Self {
        let mut set = Self::default();
        for place in 0..count.min(256) {
            set.insert(place);
        }
        set
    }
    /// All that an object shows, and what it shows no more.
    pub(crate) fn all_of(object: &ObjectEntry) -> Self {
        Self::first(object.units.len() + object.blank.len())
    }
    pub(crate) fn add(&mut self, other: Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine |= theirs;
        }
    }
    pub(crate) fn remove(&mut self, place: usize) {
        self.0[place / 64] &= !(1 << (place % 64));
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }
    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        self.0.into_iter().enumerate().flat_map(|(word, bits)| {
            (0..64).filter(move |bit| bits & (1 << bit) != 0).map(move |bit| word * 64 + bit)
        })
    }
}

/// One object.
#[derive(Debug, Default)]
pub(crate) struct Station {
    pub(crate) line: Option<Box<Line>>,
    pub(crate) window: SeqWindow,
    pub(crate) push_seq: u32,
    pub(crate) dirty: UnitSet,
    pub(crate) in_flight: Option<Box<InFlight>>,
    /// Somebody wants to know whether the holder is there.
    pub(crate) ping: bool,
    pub(crate) rival: Option<Box<Rival>>,
    allowance: Option<Allowance>,
    tells: Vec<Tell>,
    recent: VecDeque<AnswerEntry>,
    menus: Vec<Menu>,
}

#[derive(Debug, Clone, Copy)]
struct Allowance {
    tokens: f32,
    at: UnixMs,
}

impl Station {
    /// It is an object no more. What keeps old messages from being taken again stays, should it come back.
    pub(crate) fn leave(&mut self) {
        let Self {
            line,
            window: _,
            push_seq: _,
            dirty,
            in_flight,
            ping,
            rival,
            allowance: _,
            tells,
            recent: _,
            menus,
        } = self;
        (*line, *in_flight, *rival) = (None, None, None);
        (*dirty, *ping) = (UnitSet::default(), false);
        tells.clear();
        menus.clear();
    }

    /// Takes one request from the object's share.
    pub(crate) fn allow(&mut self, now: UnixMs, per_s: f32, burst: f32) -> bool {
        let Allowance { tokens, at } = self.allowance.unwrap_or(Allowance { tokens: burst, at: now });
        let tokens = (tokens + at.age_at(now).as_secs_f32() * per_s).min(burst);
        let allowed = tokens >= 1.0;
        self.allowance = Some(Allowance { tokens: if allowed { tokens - 1.0 } else { tokens }, at: now });
        allowed
    }

    pub(crate) fn recall(&self, id: &EventId) -> Option<&AnswerEntry> {
        self.recent.iter().find(|entry| entry.id == *id)
    }
    pub(crate) fn remember(&mut self, entry: AnswerEntry) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(entry);
    }

    /// Keeps a menu; the oldest goes when there are too many.
    pub(crate) fn offer(&mut self, menu: Menu, now: UnixMs) {
        self.menus.retain(|old| now < old.until && !(old.who == menu.who && old.answered_by.is_none()));
        if self.menus.len() == MENUS {
            self.menus.remove(0);
        }
        self.menus.push(menu);
    }
    /// The open menu of that id, offered to `who`, answered by nobody or by this same event. Otherwise why
    /// not, in words for whoever chose.
    pub(crate) fn menu(
        &mut self,
        id: &str,
        who: &str,
        event: &EventId,
        now: UnixMs,
    ) -> Result<&mut Menu, &'static str> {
        match self.menus.iter_mut().find(|menu| menu.id == id) {
            Some(menu) if menu.who != who => {
                Err("That menu was offered to somebody else: touch it yourself.")
            }
            Some(menu) if menu.answered_by.as_ref().is_some_and(|answered| answered != event) => {
                Err("That menu was answered already: touch again.")
            }
            Some(menu) if now < menu.until => Ok(menu),
            _ => Err("That menu is over: touch again."),
        }
    }

    pub(crate) fn tell(&mut self, tell: Tell) {
        if self.tells.len() == TELLS {
            self.tells.remove(0);
        }
        self.tells.push(tell);
    }
    pub(crate) fn take_tells(&mut self) -> Vec<Tell> {
        std::mem::take(&mut self.tells)
    }
    /// Puts sentences back that did not arrive, before newer ones.
    pub(crate) fn put_back(&mut self, mut tells: Vec<Tell>) {
        tells.append(&mut self.tells);
        let over = tells.len().saturating_sub(TELLS);
        tells.drain(..over);
        self.tells = tells;
    }
    pub(crate) fn has_something(&self) -> bool {
        !self.dirty.is_empty() || !self.tells.is_empty() || self.ping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_requests_fills_again() {
        let mut station = Station::default();
        let at = |ms: i64| UnixMs(1_000_000 + ms);
        assert!((0..3).all(|_| station.allow(at(0), 1.0, 3.0)));
        assert!(!station.allow(at(500), 1.0, 3.0));
        assert!(station.allow(at(1500), 1.0, 3.0));
    }

    #[test]
    fn a_set_of_units_holds_all_256() {
        let set = UnitSet::first(256);
        assert_eq!(set.iter().collect::<Vec<_>>(), (0..256).collect::<Vec<_>>());
        let mut set = UnitSet::default();
        set.insert(64);
        set.insert(255);
        set.remove(64);
        assert_eq!(set.iter().collect::<Vec<_>>(), [255]);
    }
}
