//! Which intents were carried out already: an adapter does each once.

use std::collections::VecDeque;

use primrack_model::IntentId;

/// How many are remembered per machine. The engine keeps one command under way per target.
const KEPT: usize = 16;

/// The latest intents of one machine.
#[derive(Debug, Default)]
pub(crate) struct Recent(VecDeque<IntentId>);

impl Recent {
    /// Remembers an intent. Whether it is new.
    pub(crate) fn is_new(&mut self, intent: IntentId) -> bool {
        if self.0.contains(&intent) {
            return false;
        }
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(intent);
        true
    }
    /// It came to nothing and may be tried again.
    pub(crate) fn forget(&mut self, intent: IntentId) {
        self.0.retain(|known| *known != intent);
    }
}
