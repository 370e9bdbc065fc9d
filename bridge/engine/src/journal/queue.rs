//! Between the callers and the writer: bounded, taken whole.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::{Semaphore, oneshot};

use super::JournalError;
use super::entry::{Encoded, OriginBytes};

/// The number of an entry, from 1.
pub type Seq = u64;

pub(super) enum Work {
    One(Encoded),
    /// All or none.
    Many(Vec<Encoded>),
    Put {
        space: &'static str,
        key: String,
        value: Option<Vec<u8>>,
    },
    /// Origins that are too old to matter, with the entry they must still name.
    Forget(Vec<(OriginBytes, u64)>),
    /// A fault for a test: the file may have this many pages.
    #[cfg(test)]
    Limit(i64),
}

impl Work {
    /// How many places of the queue it takes.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Many(all) => all.len().max(1),
            Self::One(_) | Self::Put { .. } | Self::Forget(_) => 1,
            #[cfg(test)]
            Self::Limit(_) => 1,
        }
    }
}

pub(super) type Waiter = oneshot::Sender<Result<Seq, JournalError>>;

pub(super) struct Item {
    pub(super) work: Work,
    /// None: nobody waits, and after a failure it is tried again with the next batch.
    pub(super) waiter: Option<Waiter>,
}

/// How long what nobody waits for lies before it is written by itself: until then it goes with what somebody
/// waits for, and saves a commit of its own.
const LAZY: Duration = Duration::from_millis(20);

/// While touches come close upon each other, the writer waits this long for more before it commits: a commit
/// costs about as much as five entries. Not noticed by a person, who gets an answer within 150 ms.
const GATHER: Duration = Duration::from_micros(400);
/// So many waiting entries are enough for a commit of their own.
const GATHERED: usize = 12;
/// They come close upon each other when one came so soon after the last commit.
const CLOSE: Duration = Duration::from_millis(1);

struct State {
    items: Vec<Item>,
    /// How many of them somebody waits for.
    awaited: usize,
    /// When the first came that nobody waits for.
    lazy_since: Option<Instant>,
    /// The writer sleeps and wants to be woken.
    asleep: bool,
    closing: bool,
}

pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    /// One permit for each place. Taken before pushing, given back when the entry's fate is known.
    pub(super) places: Semaphore,
    /// The same for what nobody waits for: it may fill half of the queue at most.
    pub(super) unawaited: Semaphore,
    pub(super) bound: usize,
}

impl Queue {
    pub(super) fn new(bound: usize) -> Self {
        let state = State { items: Vec::new(), awaited: 0, lazy_since: None, asleep: false, closing: false };
        Self {
            state: Mutex::new(state),
            wake: Condvar::new(),
            places: Semaphore::new(bound),
            unawaited: Semaphore::new(bound / 2),
            bound,
        }
    }
    /// Adds an item for which the places are taken. False once the journal is closing.
    pub(super) fn push(&self, item: Item) -> bool {
        let mut state = self.state.lock();
        if state.closing {
            return false;
        }
        let wakes = if item.waiter.is_some() {
            state.awaited += 1;
            state.awaited == 1
        } else {
            // So that the writer sets its alarm.
            let first = state.lazy_since.is_none();
            if first {
                state.lazy_since = Some(Instant::now());
            }
            first
        };
        state.items.push(item);
        if wakes && state.asleep {
            drop(state);
            self.wake.notify_one();
        }
        true
    }
    /// Adds a last item and lets nothing in after it.
    pub(super) fn close(&self, last: Option<Item>) {
        let mut state = self.state.lock();
        if !state.closing {
            state.items.extend(last);
            state.closing = true;
        }
        state.asleep = false;
        drop(state);
        self.wake.notify_one();
        self.places.close();
        self.unawaited.close();
    }
    /// Gives back the places of something whose fate is known.
    pub(super) fn release(&self, places: usize, unawaited: bool) {
        self.places.add_permits(places);
        if unawaited {
            self.unawaited.add_permits(places);
        }
    }
    /// Waits for items and moves all of them behind those in `batch`. `patience` bounds the wait.
    /// `last` is when the last commit ended. Returns whether this is the end.
    pub(super) fn take(&self, batch: &mut Vec<Item>, patience: Option<Duration>, last: Instant) -> bool {
        let mut state = self.state.lock();
        let until = patience.map(|patience| Instant::now() + patience);
        while state.awaited == 0 && !state.closing {
            let due = [until, state.lazy_since.map(|since| since + LAZY)].into_iter().flatten().min();
            state.asleep = true;
            match due {
                None => self.wake.wait(&mut state),
                Some(due) => {
                    if self.wake.wait_until(&mut state, due).timed_out() {
                        break;
                    }
                }
            }
        }
        state.asleep = false;
        let few = (1..GATHERED).contains(&state.awaited);
        if few && !state.closing && last.elapsed() < CLOSE {
            // Not asleep, so that only a closing wakes it: being woken for each entry is what this saves.
            self.wake.wait_for(&mut state, GATHER);
        }
        state.awaited = 0;
        state.lazy_since = None;
        if batch.is_empty() {
            std::mem::swap(batch, &mut state.items);
        } else {
            batch.append(&mut state.items);
        }
        state.closing
    }
}
