//! Answers given before, bounded. A policy never changes once built, so an answer stays right as
//! long as everything the rules look at is in its key; a reload builds another policy with an empty
//! cache.

use std::fmt;

use primrack_model::{Action, Edge, Inventory};
use quick_cache::sync::Cache;

use crate::inputs::{Question, hour_and_weekday};
use crate::people::PersonIx;
use crate::policy::Answer;
use crate::reads::Reads;

/// How many answers are kept at most.
pub(crate) const KEPT: usize = 65_536;

/// Everything an answer depends on. What no rule looks at is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    person: PersonIx,
    target: u32,
    action: Action,
    edge: Option<Edge>,
    object: Option<u32>,
    unit: Option<u8>,
    hour: Option<u8>,
    weekday: Option<u8>,
}

impl Key {
    /// The key of a question to rules that look at `reads`. Whether the actor is strong follows from
    /// their kind, and the kind from the person.
    pub(crate) fn of(question: &Question<'_>, person: PersonIx, reads: Reads, inventory: &Inventory) -> Self {
        let via = question.via;
        // Rules can only name objects of the inventory, so all others are alike; none at all is not.
        let object = via.object.as_ref().filter(|_| reads.has(Reads::OBJECT));
        let timed = reads.has(Reads::HOUR.and(Reads::WEEKDAY)).then(|| hour_and_weekday(question.at));
        Self {
            person,
            target: question.target.0,
            action: question.action,
            edge: reads.has(Reads::EDGE).then_some(via.edge),
            object: object.map(|object| inventory.find_object(object.as_str()).unwrap_or(u32::MAX)),
            unit: via.unit.filter(|_| reads.has(Reads::UNIT)),
            hour: timed.map(|(hour, _)| hour).filter(|_| reads.has(Reads::HOUR)),
            weekday: timed.map(|(_, weekday)| weekday).filter(|_| reads.has(Reads::WEEKDAY)),
        }
    }
}

/// The answers kept.
pub(crate) struct Answers(Cache<Key, Answer>);

impl Answers {
    pub(crate) fn new() -> Self {
        Self(Cache::new(KEPT))
    }
    /// The answer to a question, if it was given before and is still kept.
    pub(crate) fn get(&self, key: &Key) -> Option<Answer> {
        self.0.get(key)
    }
    /// Keeps an answer; a less used one may go.
    pub(crate) fn keep(&self, key: Key, answer: Answer) {
        self.0.insert(key, answer);
    }
    /// How many are kept.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} answers", self.0.len())
    }
}
