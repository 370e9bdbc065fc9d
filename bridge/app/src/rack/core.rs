//! What both directions of a rack share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::Uri;
use parking_lot::Mutex;
use primrack_model::UnixMs;
use primrack_wire::world::{EventId, NonceField, PushBody, Seq, Tell, UnitState};
use serde::Serialize;
use smol_str::SmolStr;
use tokio::sync::{Notify, broadcast, watch};

use super::faults::Faults;
use super::link::RackError;
use super::settings::{RackKey, RackSettings};
use super::site::{Client, Site};

/// What the units show.
pub type States = BTreeMap<u8, UnitState>;

/// News kept for a slow reader.
const NEWS: usize = 1024;

/// Something that happened at the rack.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum News {
    /// The bridge took the registration.
    Registered {
        /// Renewed in so many seconds.
        renew: u32,
    },
    /// A unit shows something new.
    Unit(UnitState),
    /// Words for one person.
    Tell(Tell),
    /// Something is wrong; the rack goes on trying.
    Trouble {
        /// In words.
        words: String,
    },
}

/// What is known of the bridge now.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) nonce: NonceField,
    /// The last number used upward.
    pub(super) seq: u32,
    /// The bridge's clock is so far ahead of ours.
    pub(super) offset_s: i64,
    /// Ours is so far off on purpose.
    pub(super) clock_error_s: i64,
    /// Boot and number of the last push taken.
    pub(super) last_push: Option<(u32, Seq)>,
    /// When an old or late push last led to a registration, Unix seconds.
    pub(super) provoked: i64,
    events: u64,
}

impl Session {
    /// The clock as the rack believes it: its own, corrected by the bridge's.
    pub(super) fn now_s(&self) -> i64 {
        UnixMs::now().seconds() + self.clock_error_s + self.offset_s
    }
    /// The clock without the correction.
    pub(super) fn own_s(&self) -> i64 {
        UnixMs::now().seconds() + self.clock_error_s
    }
}

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// How often what happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
        pub struct CountsNow { $($(#[$doc])* pub $name: u64),* }

        #[derive(Debug, Default)]
        pub(super) struct Counts { $(pub(super) $name: AtomicU64),* }

        impl Counts {
            pub(super) fn now(&self) -> CountsNow {
                CountsNow { $($name: self.$name.load(Ordering::Relaxed)),* }
            }
        }
    };
}

counts! {
    /// Messages sent up.
    sent,
    /// Answers that held.
    answers,
    /// Messages that no believable answer came to.
    unanswered,
    /// Registrations taken, renewals included.
    registered,
    /// Pushes taken.
    pushes,
    /// Pushes that did not hold, or came late or twice.
    pushes_refused,
    /// Units that were told in pushes.
    units,
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// The shared part.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) settings: RackSettings,
    pub(super) bridge: Uri,
    pub(super) path: String,
    pub(super) url: SmolStr,
    pub(super) client: Client,
    pub(super) key: Mutex<Arc<RackKey>>,
    pub(super) session: Mutex<Session>,
    pub(super) faults: Mutex<Faults>,
    pub(super) shown: watch::Sender<States>,
    pub(super) news: broadcast::Sender<News>,
    pub(super) counts: Counts,
    pub(super) register_soon: Notify,
    /// What sets this start's events apart from those of an earlier one.
    epoch: String,
}

impl Core {
    pub(super) fn new(settings: RackSettings, site: &Site) -> Result<Self, RackError> {
        let bridge = bridge_uri(&settings.bridge_url)?;
        let random = getrandom::u64().map_err(|error| RackError::Setup(format!("no randomness: {error}")))?;
        let path = format!("/cap/{}", uuid::Uuid::new_v4());
        let url = SmolStr::new(format!("{}{path}", site.base()));
        Ok(Self {
            key: Mutex::new(Arc::new(settings.key.clone())),
            settings,
            bridge,
            path,
            url,
            client: site.client(),
            session: Mutex::new(Session {
                nonce: NonceField::None,
                seq: 0,
                offset_s: 0,
                clock_error_s: 0,
                last_push: None,
                provoked: 0,
                events: 0,
            }),
            faults: Mutex::default(),
            shown: watch::Sender::default(),
            news: broadcast::Sender::new(NEWS),
            counts: Counts::default(),
            register_soon: Notify::new(),
            epoch: format!("{:x}", random >> 16),
        })
    }

    /// A name for the next event, unique over starts of the rack.
    pub(super) fn next_event(&self) -> EventId {
        let mut session = self.session.lock();
        session.events += 1;
        let id = SmolStr::new(format!("{}.{}", self.epoch, session.events));
        EventId::try_from(id).unwrap_or_else(|why| unreachable!("made to the rule: {why}"))
    }

    pub(super) fn tell(&self, news: News) {
        // Nobody may be listening.
        let _listeners = self.news.send(news);
    }

    /// Shows what a push told.
    pub(super) fn show(&self, body: PushBody) {
        let PushBody { list, tell } = body;
        self.counts.units.fetch_add(list.len() as u64, Ordering::Relaxed);
        if !list.is_empty() {
            self.shown.send_modify(|shown| shown.extend(list.iter().map(|unit| (unit.u, unit.clone()))));
        }
        // Cloned only where somebody listens: benchmarks play thousands of racks.
        if self.news.receiver_count() > 0 {
            list.into_iter().for_each(|unit| self.tell(News::Unit(unit)));
            tell.into_iter().for_each(|words| self.tell(News::Tell(words)));
        }
    }
}

/// Reads the bridge's address; without a path, the one of the protocol is meant.
fn bridge_uri(text: &str) -> Result<Uri, RackError> {
    let wrong = |why: String| {
        RackError::Setup(format!("{text:?} is no address of a bridge, such as http://127.0.0.1:8480: {why}"))
    };
    let uri: Uri = text.trim_end_matches('/').parse().map_err(|error| wrong(format!("{error}")))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
        return Err(wrong("it begins with http:// or https:// and names a host".to_owned()));
    }
    if uri.path() != "/" {
        return Ok(uri);
    }
    format!("{}/world/1", text.trim_end_matches('/')).parse().map_err(|error| wrong(format!("{error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_is_named_with_or_without_the_path() {
        for text in ["http://127.0.0.1:8480", "http://127.0.0.1:8480/", "http://127.0.0.1:8480/world/1"] {
            assert_eq!(bridge_uri(text).unwrap().to_string(), "http://127.0.0.1:8480/world/1");
        }
        for text in ["127.0.0.1:8480", "ftp://x/", "", "http://", "nonsense at all"] {
            assert!(bridge_uri(text).is_err(), "{text}");
        }
    }
}
