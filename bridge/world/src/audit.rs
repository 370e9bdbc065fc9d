//! Refused messages in the journal, without letting whoever sends them fill it.
//!
//! The first of a class and subject is written at once, further ones are counted and written once a
//! minute. At most [`SUBJECTS`] subjects are told apart; the rest is counted as `others`.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use primrack_engine::journal::{Entry, Journal};
use primrack_model::UnixMs;
use smol_str::SmolStr;
use tokio_util::sync::CancellationToken;

/// Subjects told apart within a minute.
const SUBJECTS: usize = 256;
const PERIOD: Duration = Duration::from_secs(60);

type Class = (&'static str, SmolStr);

/// Counts what is refused before anybody is known by name.
#[derive(Debug)]
pub(crate) struct Audit {
    journal: Journal,
    counts: Mutex<HashMap<Class, (u64, &'static str)>>,
}

impl Audit {
    pub(crate) fn new(journal: Journal) -> Self {
        Self { journal, counts: Mutex::default() }
    }

    /// Notes one refusal. `subject` is what the message claimed, cut; `words` say what it means.
    pub(crate) fn note(&self, class: &'static str, subject: &str, words: &'static str) {
        let subject: String = subject.chars().filter(|c| !c.is_control()).take(64).collect();
        let mut counts = self.counts.lock();
        let known = counts.contains_key(&(class, SmolStr::new(&subject)));
        let subject = if known || counts.len() < SUBJECTS {
            SmolStr::new(subject)
        } else {
            SmolStr::new_static("others")
        };
        match counts.get_mut(&(class, subject.clone())) {
            Some((count, _)) => *count += 1,
            None => {
                counts.insert((class, subject.clone()), (0, words));
                drop(counts);
                self.write(class, subject, 1, words);
            }
        }
    }

    fn write(&self, class: &'static str, subject: SmolStr, count: u64, words: &str) {
        let entry = Entry::Audit {
            class: SmolStr::new_static(class),
            subject,
            count,
            words: words.to_owned(),
            at: UnixMs::now(),
        };
        if !self.journal.append_soon(&entry) {
            tracing::warn!(class, "the journal is busy: an audit line was counted only");
        }
    }

    fn flush(&self) {
        let counts = std::mem::take(&mut *self.counts.lock());
        for ((class, subject), (count, words)) in counts {
            if count > 0 {
                self.write(class, subject, count, words);
            }
        }
    }

    /// Writes the counts once a minute and at the end.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(PERIOD);
        loop {
            tokio::select! {
                _ = tick.tick() => self.flush(),
                () = stop.cancelled() => return self.flush(),
            }
        }
    }
}
