//! Which intents were carried out already: an adapter does each once.

use std::collections::VecDeque;

use parking_lot::Mutex;
use primrack_model::IntentId;

/// How many are remembered per backend. The engine keeps one command under way per target.
const KEPT: usize = 1024;

/// The latest intents of one backend.
#[derive(Debug, Default)]
pub(crate) struct Done(Mutex<VecDeque<IntentId>>);

impl Done {
    /// Remembers an intent. Whether it is new.
    pub(crate) fn is_new(&self, intent: IntentId) -> bool {
        let mut known = self.0.lock();
        if known.contains(&intent) {
            return false;
        }
        if known.len() == KEPT {
            known.pop_front();
        }
        known.push_back(intent);
        true
    }
    /// It came to nothing and may be tried again.
    pub(crate) fn forget(&self, intent: IntentId) {
        self.0.lock().retain(|known| *known != intent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_intent_is_new_once_until_it_came_to_nothing() {
        let (done, intent) = (Done::default(), IntentId::now());
        assert!(done.is_new(intent) && !done.is_new(intent));
        done.forget(intent);
        assert!(done.is_new(intent));
        for _ in 0..2 * KEPT {
            done.is_new(IntentId::now());
        }
        assert_eq!(done.0.lock().len(), KEPT);
    }
}
