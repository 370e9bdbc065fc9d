//! Events on their way to the listener, in the order in which they came, bounded.

use std::collections::VecDeque;

use parking_lot::Mutex;
use primrack_adapter_api::{AdapterError, Hint};
use tokio::sync::Notify;

/// How many events may wait. Beyond it they are dropped, and every machine is asked instead.
const WAITING: usize = 4096;

/// What the listener has to be told.
#[derive(Debug)]
pub(super) enum Told {
    Hints(VecDeque<Hint>),
    /// Some were dropped: every machine may have changed.
    Everything,
    /// The plug-in itself has lost its events.
    Lost(AdapterError),
}

#[derive(Debug, Default)]
struct Waiting {
    hints: VecDeque<Hint>,
    dropped: bool,
    lost: Option<AdapterError>,
}

/// The events that wait.
#[derive(Debug, Default)]
pub(super) struct News {
    waiting: Mutex<Waiting>,
    rung: Notify,
}

impl News {
    pub(super) fn push(&self, hint: Hint) {
        {
            let mut waiting = self.waiting.lock();
            if waiting.hints.len() < WAITING {
                waiting.hints.push_back(hint);
            } else {
                waiting.hints.clear();
                waiting.dropped = true;
            }
        }
        self.rung.notify_one();
    }

    pub(super) fn lose(&self, why: AdapterError) {
        self.waiting.lock().lost = Some(why);
        self.rung.notify_one();
    }

    pub(super) fn forget_loss(&self) {
        self.waiting.lock().lost = None;
    }

    /// Waits until there is something. May be dropped without losing anything.
    pub(super) async fn next(&self) -> Told {
        loop {
            {
                let mut waiting = self.waiting.lock();
                if let Some(why) = waiting.lost.take() {
                    return Told::Lost(why);
                }
                if std::mem::take(&mut waiting.dropped) {
                    waiting.hints.clear();
                    return Told::Everything;
                }
                if !waiting.hints.is_empty() {
                    return Told::Hints(std::mem::take(&mut waiting.hints));
                }
            }
            self.rung.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use primrack_model::Address;

    use super::*;

    #[tokio::test]
    async fn a_storm_becomes_one_word() {
        let news = News::default();
        let hint = || Hint::Changed(Address("a".into()));
        news.push(hint());
        assert!(matches!(news.next().await, Told::Hints(hints) if hints.len() == 1));
        for _ in 0..10_000 {
            news.push(hint());
        }
        assert!(matches!(news.next().await, Told::Everything));
        news.push(hint());
        news.lose(AdapterError::Unreachable("gone".into()));
        assert!(matches!(news.next().await, Told::Lost(_)));
        assert!(matches!(news.next().await, Told::Hints(_)));
    }
}
