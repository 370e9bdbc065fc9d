//! What is refused at a door, in the journal: the first of a kind at once, further ones counted and written with the
//! next a minute later, so that nobody fills the journal with them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use primrack_engine::journal::{Entry, Journal};
use primrack_model::UnixMs;
use smol_str::SmolStr;

const PERIOD: Duration = Duration::from_secs(60);

/// The token and the subject.
type Kind = (&'static str, &'static str);

/// What was written when, and what was not since. Kinds and subjects are from fixed lists.
#[derive(Debug)]
pub(crate) struct Seldom {
    class: &'static str,
    told: Mutex<HashMap<Kind, (Option<Instant>, u64)>>,
}

impl Seldom {
    /// `class` is that of its audit entries.
    pub(crate) fn new(class: &'static str) -> Self {
        Self { class, told: Mutex::default() }
    }

    pub(crate) fn note(&self, journal: &Journal, token: &'static str, subject: &'static str, words: &str) {
        let now = Instant::now();
        let count = {
            let mut told = self.told.lock();
            let (last, count) = told.entry((token, subject)).or_default();
            *count += 1;
            if last.is_some_and(|last| now.duration_since(last) < PERIOD) {
                return;
            }
            *last = Some(now);
            std::mem::take(count)
        };
        let entry = Entry::Audit {
            class: SmolStr::new_static(self.class),
            subject: SmolStr::new_static(subject),
            count,
            words: format!("{token}: {words}"),
            at: UnixMs::now(),
        };
        if !journal.append_soon(&entry) {
            tracing::warn!(token, "the journal is busy: an audit line was not written");
        }
    }
}
