//! The one thread that writes.
//!
//! ```text
//! take all that waits ─▶ begin ─▶ rows, each hashed onto the one before ─▶ commit (waits for the disk)
//!        ▲                                                                   │ordered │failed
//!        │            head, index, origins move on; waiters get their number ◀┘       │
//!        └── nothing moves on; waiters are told why; what nobody waited for is kept ◀─┘
//! ```
//! While the disk works, the next batch gathers in the queue.

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use tokio::sync::watch;

use super::chain::Head;
use super::entry::{Effect, Encoded};
use super::error::write_words;
use super::file::{INSERT, decision_at, read_head};
use super::index::Index;
use super::origins::{Hint, Origins};
use super::queue::{Item, Queue, Work};
use super::stats::Counters;
use super::{Decision, JournalError};

/// How long what nobody waits for lies after a failed batch before it is tried again by itself.
const RETRY: Duration = Duration::from_secs(2);
/// The write-ahead log is moved into the file after about this many pages of 4 KiB.
const CHECKPOINT_AT: usize = 1500;

pub(super) struct Writer {
    pub(super) db: Connection,
    pub(super) path: PathBuf,
    /// Held for as long as this thread writes.
    pub(super) lock: File,
    pub(super) queue: Arc<Queue>,
    pub(super) origins: Arc<Origins>,
    pub(super) counters: Arc<Counters>,
    pub(super) index: Index,
    pub(super) head: Head,
    /// The head as others see it.
    pub(super) published: watch::Sender<Head>,
    /// The last batch failed: look at the file before building on it.
    pub(super) suspect: bool,
    /// Pages in the write-ahead log, about.
    pub(super) log_pages: usize,
}

/// What a batch brings about once it is durable.
#[derive(Default)]
struct Staged {
    entries: usize,
    /// For each item, in order.
    fates: Vec<Result<u64, JournalError>>,
    /// Origins of this batch, which nobody else knows yet.
    origins: HashMap<u64, u64>,
    bytes: usize,
    puts: usize,
    folded: bool,
}

impl Staged {
    fn clear(&mut self) {
        let Self { entries, fates, origins, bytes, puts, folded } = self;
        *entries = 0;
        fates.clear();
        origins.clear();
        (*bytes, *puts, *folded) = (0, 0, false);
    }
}

impl Writer {
    /// Writes until the queue is closed and drained, and once more what failed before.
    pub(super) fn run(mut self) {
        let mut batch = Vec::new();
        let mut staged = Staged::default();
        let mut last = Instant::now();
        loop {
            let patience = (!batch.is_empty()).then_some(RETRY);
            let closing = self.queue.take(&mut batch, patience, last);
            if !batch.is_empty() {
                self.write(&mut batch, &mut staged);
                last = Instant::now();
            }
            if closing {
                break;
            }
            if self.log_pages >= CHECKPOINT_AT {
                self.checkpoint("PASSIVE");
            }
        }
        if !batch.is_empty() {
            tracing::error!(lost = batch.len(), journal = %self.path.display(), "the journal could not be written at the end");
            self.counters.dropped.fetch_add(batch.len() as u64, Relaxed);
        }
        self.finish();
        // Whoever awaits the end may open the file again at once.
        let Self { db, lock, published, .. } = self;
        drop(db);
        drop(lock);
        drop(published);
    }

    /// Leaves a file that needs no catching up. Failing here loses nothing: opening does it then.
    fn finish(&mut self) {
        if !self.index.is_clean() && !self.suspect {
            let Self { db, index, head, .. } = self;
            let folded = db.transaction().and_then(|tx| {
                index.fold(&tx, head.seq)?;
                tx.commit()
            });
            match folded {
                Ok(()) => index.folded(),
                Err(error) => tracing::warn!(%error, "the journal's derived tables were left as they are"),
            }
        }
        self.checkpoint("TRUNCATE");
    }

    fn write(&mut self, batch: &mut Vec<Item>, staged: &mut Staged) {
        staged.clear();
        let begun = Instant::now();
        let written = self.probe().and_then(|()| {
            self.transact(batch, staged).map_err(|error| write_words(&self.path, &error).into())
        });
        match written {
            Ok(head) => self.succeed(head, begun.elapsed(), batch, staged),
            Err(words) => self.fail(&words, batch),
        }
    }

    fn succeed(&mut self, head: Head, took: Duration, batch: &mut Vec<Item>, staged: &mut Staged) {
        let entries = staged.entries;
        self.head = head;
        self.published.send_replace(head);
        if staged.folded {
            self.index.folded();
        }
        self.origins.add(staged.origins.iter().map(|(id, seq)| (*id, *seq)));
        // Before anyone is woken: who was told looks here next.
        self.counters.committed(entries, took);
        self.counters.puts.fetch_add(staged.puts as u64, Relaxed);
        if let Some(words) = self.counters.failing.lock().take() {
            tracing::info!(was = %words, "the journal is written again");
        }
        for (item, fate) in batch.drain(..).zip(staged.fates.drain(..)) {
            self.queue.release(item.work.weight(), item.waiter.is_none());
            let seq = fate.as_ref().ok().copied();
            if let Some(waiter) = item.waiter {
                // Whoever stopped waiting does not want to know.
                drop(waiter.send(fate));
            }
            match (item.work, seq) {
                (Work::One(entry), Some(seq)) => self.index.apply(seq, entry.effect),
                (Work::Many(entries), Some(last)) => {
                    let first = last + 1 - entries.len() as u64;
                    for (seq, entry) in (first..).zip(entries) {
                        self.index.apply(seq, entry.effect);
                    }
                }
                // A refused duplicate changes nothing, and neither does what is not of the chain.
                _ => {}
            }
        }
        self.counters.open_intents.store(self.index.open_count() as u64, Relaxed);
        self.log_pages += 2 + staged.bytes / 3500 + staged.puts;
    }

    /// Nothing of the batch is in the file, and nothing here has moved on.
    fn fail(&mut self, words: &Arc<str>, batch: &mut Vec<Item>) {
        self.suspect = true;
        self.counters.failed_batches.fetch_add(1, Relaxed);
        if self.counters.failing.lock().replace(Arc::clone(words)).is_none() {
            tracing::error!(%words, "the journal cannot be written: nothing is done until it can");
        }
        batch.retain_mut(|item| match item.waiter.take() {
            Some(waiter) => {
                self.queue.release(item.work.weight(), false);
                drop(waiter.send(Err(JournalError::NotWritten(Arc::clone(words)))));
                false
            }
            // Outcomes are kept, with their places in the queue: they are true all the same.
            None => true,
        });
    }

    /// After a failure: what the file says must be what we think it says.
    fn probe(&mut self) -> Result<(), Arc<str>> {
        if !self.suspect {
            return Ok(());
        }
        let words = |error: rusqlite::Error| -> Arc<str> { write_words(&self.path, &error).into() };
        if !self.db.is_autocommit() {
            self.db.execute_batch("ROLLBACK").map_err(words)?;
        }
        let found = read_head(&self.db).map_err(words)?;
        if found != self.head {
            return Err(format!(
                "{} ends at entry {} and should end at {}: another program wrote to it; restart the bridge",
                self.path.display(),
                found.seq,
                self.head.seq
            )
            .into());
        }
        self.suspect = false;
        Ok(())
    }

    fn transact(&mut self, batch: &[Item], staged: &mut Staged) -> rusqlite::Result<Head> {
        let Self { db, origins, counters, index, head, .. } = self;
        let mut head = *head;
        #[cfg(test)]
        for item in batch {
            if let Work::Limit(pages) = item.work {
                db.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
            }
        }
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let seen = Seen { tx: &tx, origins, counters };
            let mut insert = tx.prepare_cached(INSERT)?;
            let mut append =
                |entry: &Encoded, staged: &mut Staged, origin: Option<u64>| -> rusqlite::Result<u64> {
                    let Encoded { kind, at, body, effect: _ } = entry;
                    head = head.after(*at, kind.code(), body.as_bytes());
                    insert.execute(params![head.seq, at, kind.code(), body, &head.hash[..]])?;
                    staged.bytes += body.len() + 48;
                    staged.entries += 1;
                    if let Some(id) = origin {
                        staged.origins.insert(id, head.seq);
                    }
                    Ok(head.seq)
                };
            for item in batch {
                let fate = match &item.work {
                    Work::One(entry) => {
                        let id = seen.id(entry);
                        match seen.before(entry, id, &staged.origins)? {
                            Some(decision) => Err(JournalError::Duplicate(Box::new(decision.receipt))),
                            None => Ok(append(entry, staged, id)?),
                        }
                    }
                    Work::Many(entries) => {
                        let mut ids = Vec::with_capacity(entries.len());
                        let mut duplicate = None;
                        for entry in entries {
                            let id = seen.id(entry);
                            ids.push(id);
                            if duplicate.is_none() {
                                duplicate = seen.before(entry, id, &staged.origins)?;
                            }
                        }
                        match duplicate {
                            Some(decision) => Err(JournalError::Duplicate(Box::new(decision.receipt))),
                            None => {
                                let mut last = 0;
                                for (entry, id) in entries.iter().zip(ids) {
                                    last = append(entry, staged, id)?;
                                }
                                Ok(last)
                            }
                        }
                    }
                    Work::Put { space, key, value } => {
                        staged.puts += 1;
                        put(&tx, space, key, value.as_deref())?;
                        Ok(0)
                    }
                    Work::Forget(keys) => {
                        let mut forget =
                            tx.prepare_cached("DELETE FROM origins WHERE key = ?1 AND seq = ?2")?;
                        for (key, seq) in keys {
                            forget.execute(params![key, seq])?;
                        }
                        staged.puts += keys.len() / 64;
                        Ok(0)
                    }
                    #[cfg(test)]
                    Work::Limit(_) => Ok(0),
                };
                if matches!(fate, Err(JournalError::Duplicate(_))) {
                    counters.duplicates.fetch_add(1, Relaxed);
                }
                staged.fates.push(fate);
            }
        }
        if index.is_due() {
            // True for what was durable before this batch; its own entries come with the next fold.
            staged.puts += index.weight() / 16;
            index.fold(&tx, self.head.seq)?;
            staged.folded = true;
        }
        tx.commit()?;
        Ok(head)
    }

    /// Moves the log into the file. Readers and callers are not held up; the next batch is, for this long.
    fn checkpoint(&mut self, mode: &str) {
        let done = self.db.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
            Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
        });
        match done {
            Ok((log, moved)) => {
                // What a reader still needs stays, and counts towards the next time.
                let left = usize::try_from(log.saturating_sub(moved)).unwrap_or(0);
                self.log_pages = left.min(CHECKPOINT_AT / 2);
                self.counters.checkpoints.fetch_add(1, Relaxed);
            }
            Err(error) => {
                self.log_pages = 0;
                tracing::warn!(%error, "the journal's log stays as it is for now");
            }
        }
    }
}

/// Looks for an earlier decision about the same event.
struct Seen<'a> {
    tx: &'a Transaction<'a>,
    origins: &'a Origins,
    counters: &'a Counters,
}

impl Seen<'_> {
    fn id(&self, entry: &Encoded) -> Option<u64> {
        match &entry.effect {
            Effect::Decided { origin: Some(key), .. } => Some(self.origins.id(key)),
            Effect::Decided { origin: None, .. } | Effect::Nothing | Effect::Closes(_) => None,
        }
    }
    fn before(
        &self,
        entry: &Encoded,
        id: Option<u64>,
        batch: &HashMap<u64, u64>,
    ) -> rusqlite::Result<Option<Decision>> {
        let (Effect::Decided { origin: Some(key), .. }, Some(id)) = (&entry.effect, id) else {
            return Ok(None);
        };
        let hint = match batch.get(&id) {
            Some(&seq) => Hint::Recent(seq),
            None => self.origins.hint(id),
        };
        if hint != Hint::New {
            self.counters.origin_reads.fetch_add(1, Relaxed);
        }
        find(self.tx, key, hint)
    }
}

/// The decision about the event with this key, as the hint says or as the table does.
pub(super) fn find(db: &Connection, key: &[u8], hint: Hint) -> rusqlite::Result<Option<Decision>> {
    let same = |decision: &Decision| {
        let intent = &decision.intent;
        let origin = intent.origin.as_ref();
        origin.is_some_and(|origin| *super::entry::origin_bytes(intent.via.edge, origin) == *key)
    };
    match hint {
        Hint::New => return Ok(None),
        Hint::Recent(seq) => {
            if let Some(decision) = decision_at(db, seq)?.filter(same) {
                return Ok(Some(decision));
            }
        }
        Hint::Perhaps => {}
    }
    let seq: Option<u64> = db
        .prepare_cached("SELECT seq FROM origins WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    match seq {
        Some(seq) => Ok(decision_at(db, seq)?.filter(same)),
        None => Ok(None),
    }
}

fn put(tx: &Transaction<'_>, space: &str, key: &str, value: Option<&[u8]>) -> rusqlite::Result<()> {
    match value {
        Some(value) => tx
            .prepare_cached("INSERT OR REPLACE INTO kept (space, key, value) VALUES (?1, ?2, ?3)")?
            .execute(params![space, key, value])?,
        None => tx
            .prepare_cached("DELETE FROM kept WHERE space = ?1 AND key = ?2")?
            .execute(params![space, key])?,
    };
    Ok(())
}
