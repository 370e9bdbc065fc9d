//! Commands that are not even put to the policy, in the journal: the first of a kind at once, further ones
//! counted and written with the next a minute later, so that nobody fills the journal with them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use primrack_engine::journal::{Entry, Journal};
use primrack_model::UnixMs;
use smol_str::SmolStr;

const PERIOD: Duration = Duration::from_secs(60);

/// The token and the account.
type Kind = (&'static str, SmolStr);

/// What was written when, and what was not since. Kinds are few and accounts are those of the configuration.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    told: Mutex<HashMap<Kind, (Option<Instant>, u64)>>,
}

impl Refused {
    /// `account` is a configured one, or empty.
    pub(crate) fn note(&self, journal: &Journal, token: &'static str, account: &str, words: &str) {
        let now = Instant::now();
        let count = {
            let mut told = self.told.lock();
            let (last, count) = told.entry((token, account.into())).or_default();
            *count += 1;
            if last.is_some_and(|last| now.duration_since(last) < PERIOD) {
                return;
            }
            *last = Some(now);
            std::mem::take(count)
        };
        let who = if account.is_empty() { "mqtt:unknown".to_owned() } else { format!("mqtt:{account}") };
        let entry = Entry::Audit {
            class: SmolStr::new_static("mqtt-refused"),
            subject: who.into(),
            count,
            words: format!("{token}: {words}"),
            at: UnixMs::now(),
        };
        if !journal.append_soon(&entry) {
            tracing::warn!(token, "the journal is busy: an audit line was not written");
        }
    }
}
