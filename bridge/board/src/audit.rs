//! Refusals in the journal, without letting whoever causes them fill it: the first of a class and subject
//! is written at once, further ones are counted and written once a minute.

use std::collections::HashMap;

use primrack_engine::journal::{Entry, Journal};
use primrack_model::UnixMs;
use smol_str::SmolStr;

/// Subjects told apart within a minute; the rest is counted as `others`.
const SUBJECTS: usize = 128;

/// What was refused in this minute.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    counts: HashMap<(&'static str, SmolStr), (u64, String)>,
}

impl Audit {
    pub(crate) fn note(&mut self, journal: &Journal, class: &'static str, subject: &str, words: String) {
        let mut key = (class, SmolStr::new(subject));
        if self.counts.len() >= SUBJECTS && !self.counts.contains_key(&key) {
            key.1 = SmolStr::new_static("others");
        }
        match self.counts.get_mut(&key) {
            Some((count, last)) => {
                *count += 1;
                *last = words;
            }
            None => {
                write(journal, class, key.1.clone(), 1, &words);
                self.counts.insert(key, (0, words));
            }
        }
    }

    /// Writes the counts; once a minute and at the end.
    pub(crate) fn flush(&mut self, journal: &Journal) {
        for ((class, subject), (count, words)) in self.counts.drain() {
            if count > 0 {
                write(journal, class, subject, count, &words);
            }
        }
    }
}

fn write(journal: &Journal, class: &'static str, subject: SmolStr, count: u64, words: &str) {
    let class_of = SmolStr::new_static(class);
    let entry = Entry::Audit { class: class_of, subject, count, words: words.to_owned(), at: UnixMs::now() };
    if !journal.append_soon(&entry) {
        tracing::warn!(class, "the journal is busy: an audit line was not written");
    }
}
