//! Reading: pages of entries, and the check of the whole chain. Works on a file in use, from any process.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use primrack_model::{IntentId, Outcome, UnixMs};
use rusqlite::Connection;
use serde::Serialize;

use super::chain::Head;
use super::entry::Effect;
use super::error::read_error;
use super::file::{
    PAGE, Row, connect_to_read, decode, last_before, meta_blob, read_head, rows_after, rows_with,
};
use super::{Decision, Entry, JournalError, Kind, Seq};

/// An entry as stored, for showing and exporting.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Record {
    /// Its number.
    pub seq: Seq,
    /// Its time.
    pub at: UnixMs,
    /// Its hash in hex, which covers every entry before it.
    pub hash: String,
    /// The entry.
    pub entry: Entry,
}

/// Which entries to show. The default is all.
#[derive(Debug, Clone, Default)]
pub struct EntryFilter {
    /// Only after this entry: the `next` of the page before.
    pub after: Seq,
    /// Only up to this entry.
    pub upto: Option<Seq>,
    /// Only at or after this time.
    pub since: Option<UnixMs>,
    /// Only before this time.
    pub before: Option<UnixMs>,
    /// Only these kinds; empty means all.
    pub kinds: Vec<Kind>,
    /// Only what is about this target.
    pub target: Option<String>,
    /// Only what is about this intent, the steps of a group's included.
    pub intent: Option<IntentId>,
}

impl EntryFilter {
    fn wants_row(&self, row: &Row) -> bool {
        let Self { after: _, upto: _, since, before, kinds, target: _, intent: _ } = self;
        since.is_none_or(|since| row.at >= since.0)
            && before.is_none_or(|before| row.at < before.0)
            && (kinds.is_empty() || kinds.iter().any(|kind| kind.code() == row.kind))
    }
    fn wants(&self, entry: &Entry) -> bool {
        self.target.as_ref().is_none_or(|target| entry.target().is_some_and(|found| found.as_str() == target))
            && self
                .intent
                .is_none_or(|intent| entry.intent() == Some(intent) || entry.part_of() == Some(intent))
    }
}

/// Some entries, and where to go on.
#[derive(Debug, Clone)]
pub struct Page {
    /// At most 1024, in order.
    pub records: Vec<Record>,
    /// The `after` of the next page. None: this was the last. A page may be empty and still have a next.
    pub next: Option<Seq>,
}

/// What the journal knows of one intent.
#[derive(Debug, Clone, PartialEq)]
pub struct Story {
    /// How it was decided.
    pub decision: Decision,
    /// How it ended and when, if it was accepted and has ended.
    pub ended: Option<(Outcome, UnixMs)>,
}

/// How far around its own time an intent's entries are looked for, in milliseconds before, and in entries after.
const SLACK_MS: i64 = 60_000;
const REACH: Seq = 262_144;
/// Entries that are looked through at a time.
const STRETCH: Seq = 8192;

/// A connection that only reads.
#[derive(Debug)]
pub struct Reader {
    db: Connection,
    path: PathBuf,
}

impl Reader {
    /// Opens the journal at `path` to read, whether a bridge uses it or not.
    ///
    /// # Errors
    /// Not there, not readable, or not a journal of this version.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        Ok(Self { db: connect_to_read(path)?, path: path.to_path_buf() })
    }
    pub(super) fn db(&self) -> &Connection {
        &self.db
    }
    fn failed(&self, error: &rusqlite::Error) -> JournalError {
        read_error(&self.path, error)
    }
    /// The end of the chain as stored.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn head(&self) -> Result<Head, JournalError> {
        read_head(&self.db).map_err(|error| self.failed(&error))
    }
    /// The next page of entries. Reads at most 1024 rows, wanted or not, in one short transaction.
    ///
    /// # Errors
    /// When the file cannot be read, or an entry is no entry.
    pub fn page(&self, filter: &EntryFilter) -> Result<Page, JournalError> {
        let rows = rows_after(&self.db, filter.after, PAGE).map_err(|error| self.failed(&error))?;
        let upto = filter.upto.unwrap_or(Seq::MAX);
        let next =
            (rows.len() == PAGE).then(|| rows.last().map(|row| row.seq)).flatten().filter(|&seq| seq < upto);
        let mut records = Vec::new();
        for row in rows.into_iter().filter(|row| row.seq <= upto && filter.wants_row(row)) {
            let entry = decode(&row).map_err(|words| JournalError::Damaged {
                path: self.path.clone(),
                words: format!("entry {}: {words}", row.seq),
            })?;
            if filter.wants(&entry) {
                let Row { seq, at, kind: _, body: _, hash } = row;
                records.push(Record { seq, at: UnixMs(at), hash: hex::encode(hash), entry });
            }
        }
        Ok(Page { records, next })
    }
    /// The number before the first entry that may be about an intent: a minute before it was made.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn before(&self, intent: IntentId) -> Result<Seq, JournalError> {
        let made = intent.made().unwrap_or_default();
        last_before(&self.db, made.0.saturating_sub(SLACK_MS)).map_err(|error| self.failed(&error))
    }
    /// Adds to a story what the entries after `after` say of its intent. Looks through some thousand entries, and
    /// gives the number to go on from; nothing at the end of the chain.
    ///
    /// # Errors
    /// When the file cannot be read, or an entry is no entry.
    pub(super) fn tell(
        &self,
        intent: IntentId,
        after: Seq,
        story: &mut Option<Story>,
    ) -> Result<Option<Seq>, JournalError> {
        let (head, upto) = (self.head()?.seq, after.saturating_add(STRETCH));
        let rows =
            rows_with(&self.db, after, upto, &intent.to_string()).map_err(|error| self.failed(&error))?;
        for row in rows {
            let entry = decode(&row).map_err(|words| JournalError::Damaged {
                path: self.path.clone(),
                words: format!("entry {}: {words}", row.seq),
            })?;
            match (entry, &mut *story) {
                (Entry::Decision(decision), story) if decision.intent.id == intent => {
                    *story = Some(Story { decision: *decision, ended: None });
                }
                (Entry::Ended { intent: of, outcome, at, .. }, Some(story)) if of == intent => {
                    story.ended = Some((outcome, at));
                }
                (Entry::Interrupted { intent: of, at, .. }, Some(story)) if of == intent => {
                    let words = "the bridge ended meanwhile; nothing is repeated".to_owned();
                    story.ended = Some((Outcome::Unknown(words), at));
                }
                _ => {}
            }
        }
        Ok((upto < head).then_some(upto))
    }
    /// All wanted entries, page by page. An error ends it.
    pub fn entries(&self, filter: EntryFilter) -> impl Iterator<Item = Result<Record, JournalError>> + '_ {
        let mut filter = Some(filter);
        std::iter::from_fn(move || {
            let mut wanted = filter.take()?;
            Some(match self.page(&wanted) {
                Ok(page) => {
                    filter = page.next.map(|next| {
                        wanted.after = next;
                        wanted
                    });
                    page.records.into_iter().map(Ok).collect::<Vec<_>>()
                }
                Err(error) => vec![Err(error)],
            })
        })
        .flatten()
    }
}

/// What is known of an intent, read stretch by stretch so that nobody else waits long for the reader.
pub(super) fn story(
    reader: &parking_lot::Mutex<Reader>,
    intent: IntentId,
) -> Result<Option<Story>, JournalError> {
    let mut story = None;
    let begin = reader.lock().before(intent)?;
    let mut after = Some(begin);
    while let Some(from) = after.filter(|from| from.saturating_sub(begin) < REACH) {
        after = reader.lock().tell(intent, from, &mut story)?;
        if story.as_ref().is_some_and(|story| story.ended.is_some() || !story.decision.receipt.is_running()) {
            break;
        }
    }
    Ok(story)
}

/// The first thing wrong with a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The entry at which it shows.
    pub seq: Seq,
    /// What it is.
    pub words: String,
}

/// What a check of the whole chain found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// How many entries follow from one another from the first.
    pub entries: u64,
    /// The head after them.
    pub head: Head,
    /// The first thing wrong. None: the chain is whole.
    pub fault: Option<Fault>,
    /// Accepted intents that have not ended, by the chain itself.
    pub unfinished: usize,
    /// How many of the given heads were found in the chain.
    pub heads_confirmed: usize,
}

/// Walks the chain from its first entry, and compares heads that were exported earlier.
///
/// # Errors
/// Only when the file cannot be opened as a journal. What is wrong with the chain is in the report.
pub fn verify(path: &Path, exported: &[Head]) -> Result<VerifyReport, JournalError> {
    let db = connect_to_read(path)?;
    let failed = |error: rusqlite::Error| read_error(path, &error);
    let mut head = Head::genesis(&meta_blob(&db, "id").map_err(failed)?);
    let mut expected: HashMap<Seq, Head> = HashMap::new();
    for given in exported {
        if let Some(other) = expected.insert(given.seq, *given)
            && other != *given
        {
            let words = format!(
                "two exported heads name entry {} and differ; one of them is of another journal",
                given.seq
            );
            return Ok(report(head, Some(Fault { seq: given.seq, words }), 0, 0));
        }
    }
    let mut confirmed = 0;
    if let Some(given) = expected.remove(&0) {
        if given != head {
            let words = "an exported head names the beginning of another journal".to_owned();
            return Ok(report(head, Some(Fault { seq: 1, words }), 0, 0));
        }
        confirmed += 1;
    }
    let mut open: HashMap<IntentId, Seq> = HashMap::new();
    loop {
        let rows = match rows_after(&db, head.seq, PAGE) {
            Ok(rows) => rows,
            Err(error) => {
                let words = format!("what follows entry {} cannot be read: {error}", head.seq);
                return Ok(report(head, Some(Fault { seq: head.seq + 1, words }), open.len(), confirmed));
            }
        };
        if rows.is_empty() {
            break;
        }
        for row in &rows {
            match check(head, row, expected.get(&row.seq)) {
                Ok(entry) => {
                    head = head.after(row.at, row.kind, &row.body);
                    confirmed += usize::from(expected.remove(&head.seq).is_some());
                    match Effect::of(&entry) {
                        Effect::Decided { opens: Some(id), .. } => {
                            open.insert(id, head.seq);
                        }
                        Effect::Closes(id) => {
                            open.remove(&id);
                        }
                        Effect::Decided { opens: None, .. } | Effect::Nothing => {}
                    }
                }
                Err(fault) => return Ok(report(head, Some(fault), open.len(), confirmed)),
            }
        }
    }
    let missing = expected.keys().max().copied();
    let fault = missing.map(|seq| Fault {
        seq: head.seq + 1,
        words: format!("the chain ends at entry {}, but an exported head names entry {seq}: entries were cut off its end", head.seq),
    });
    let fault = match fault {
        Some(fault) => Some(fault),
        None => derived(&db, head.seq).map_err(failed)?,
    };
    Ok(report(head, fault, open.len(), confirmed))
}

fn report(head: Head, fault: Option<Fault>, unfinished: usize, heads_confirmed: usize) -> VerifyReport {
    VerifyReport { entries: head.seq, head, fault, unfinished, heads_confirmed }
}

/// The file's own note of how far its derived tables go must not lie beyond the chain.
fn derived(db: &Connection, last: Seq) -> rusqlite::Result<Option<Fault>> {
    let upto: Seq =
        db.query_row("SELECT value FROM meta WHERE key = 'derived_upto'", [], |row| row.get(0))?;
    // Read after the walk: a bridge at work may have gone on meanwhile, so ask the chain again.
    let now = read_head(db)?.seq.max(last);
    Ok((upto > now).then(|| Fault {
        seq: now + 1,
        words: format!(
            "the chain ends at entry {now}, but the file notes {upto}: entries were cut off its end"
        ),
    }))
}

fn check(head: Head, row: &Row, exported: Option<&Head>) -> Result<Entry, Fault> {
    let fault = |words: String| Fault { seq: row.seq, words };
    if row.seq != head.seq + 1 {
        let missing = if row.seq == head.seq + 2 {
            format!("entry {} is missing", head.seq + 1)
        } else {
            format!("entries {} to {} are missing", head.seq + 1, row.seq - 1)
        };
        return Err(Fault { seq: head.seq + 1, words: missing });
    }
    let next = head.after(row.at, row.kind, &row.body);
    if next.hash[..] != row.hash[..] {
        return Err(fault(format!(
            "entry {} is not what was written: its time, kind, body or hash was changed, or it is not in its place",
            row.seq
        )));
    }
    if exported.is_some_and(|exported| *exported != next) {
        return Err(fault(format!(
            "entry {} is not the one whose head was exported: the chain was written anew",
            row.seq
        )));
    }
    decode(row).map_err(|words| fault(format!("entry {} is in its place, but is no entry: {words}", row.seq)))
}
