//! What the adapter itself is doing: the end of one part and the beginning of the next are known for
//! certain here, whatever the backend's events say and when.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;
use primrack_adapter_api::{AdapterError, Hint, Hints};
use primrack_model::{Address, IntentId, Observation, Power};
use tokio::sync::broadcast;

/// How many intents are remembered.
const INTENTS: usize = 1024;
/// How many hints may wait for a listener. One that falls behind is told that it lost the stream.
const WAITING: usize = 1024;

/// Commands under way, and who wants to hear of them.
#[derive(Debug)]
pub(crate) struct Ours {
    intents: Mutex<VecDeque<IntentId>>,
    /// What ends now and is to be started again by us, or could not be: why.
    returning: Mutex<HashMap<Address, Return>>,
    voice: broadcast::Sender<Hint>,
}

/// How a return stands.
#[derive(Debug, Clone)]
enum Return {
    UnderWay,
    Failed(String),
}

impl Default for Ours {
    fn default() -> Self {
        Self {
            intents: Mutex::default(),
            returning: Mutex::default(),
            voice: broadcast::Sender::new(WAITING),
        }
    }
}

impl Ours {
    /// Remembers an intent. Whether it is new.
    pub(crate) fn is_new(&self, intent: IntentId) -> bool {
        let mut intents = self.intents.lock();
        if intents.contains(&intent) {
            return false;
        }
        if intents.len() == INTENTS {
            intents.pop_front();
        }
        intents.push_back(intent);
        true
    }

    /// It came to nothing and may be tried again.
    pub(crate) fn forget(&self, intent: IntentId) {
        self.intents.lock().retain(|known| *known != intent);
    }

    /// Something was done to it: whoever listens asks.
    pub(crate) fn changed(&self, address: &Address) {
        // Nobody may be listening.
        self.voice.send(Hint::Changed(address.clone())).ok();
    }

    /// It is being ended, to be started again.
    pub(crate) fn will_return(&self, address: &Address) {
        self.returning.lock().insert(address.clone(), Return::UnderWay);
    }

    /// It did not end, so it is not started again.
    pub(crate) fn stays(&self, address: &Address) {
        self.returning.lock().remove(address);
        self.changed(address);
    }

    /// It ended, and is being started again.
    pub(crate) fn returns(&self, address: &Address) {
        self.voice.send(Hint::State(address.clone(), Observation::of(Power::Starting))).ok();
    }

    /// The start has been carried out, or not: then why.
    pub(crate) fn returned(&self, address: &Address, failed: Option<String>) {
        {
            let mut returning = self.returning.lock();
            match failed {
                None => returning.remove(address),
                Some(why) => returning.insert(address.clone(), Return::Failed(why)),
            };
        }
        self.changed(address);
    }

    /// Corrects what the backend says by what is known here.
    pub(crate) fn amend(&self, address: &Address, seen: Observation) -> Observation {
        if !matches!(seen.power, Power::Off | Power::Crashed) {
            return seen;
        }
        match self.returning.lock().get(address) {
            Some(Return::UnderWay) => Observation::of(Power::Starting),
            Some(Return::Failed(why)) => seen.with_detail(why),
            None => seen,
        }
    }

    /// A new command makes an old failure old news.
    pub(crate) fn begins(&self, address: &Address) {
        let mut returning = self.returning.lock();
        if matches!(returning.get(address), Some(Return::Failed(_))) {
            returning.remove(address);
        }
    }

    /// A listener's ear; taken before anything is asked.
    pub(crate) fn ear(&self) -> broadcast::Receiver<Hint> {
        self.voice.subscribe()
    }
}

/// Passes on what the adapter does. Returns when the listener is gone or has fallen behind.
pub(crate) async fn relay(mut ear: broadcast::Receiver<Hint>, hints: &Hints) -> AdapterError {
    loop {
        match ear.recv().await {
            Ok(hint) => {
                if hints.send(hint).await.is_err() {
                    return AdapterError::Unreachable("nobody listens any more".to_owned());
                }
            }
            Err(why) => return AdapterError::Unreachable(format!("the adapter's own news were lost: {why}")),
        }
    }
}
