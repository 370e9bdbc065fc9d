//! The journal: what was asked, what was answered and how it ended, durable before anything is done.
//!
//! One SQLite file with one table of entries, each hashed onto the one before. Callers encode and queue;
//! one thread writes whatever has gathered in one commit, and the wait for the disk lets the next batch
//! gather, so the journal gets faster under load. Nothing is acknowledged before the disk has it
//! (`synchronous=FULL`, write-ahead log). When the file cannot be written, every waiter is told in words
//! and nothing of the batch stays; the next append tries again.
//!
//! Not here: entries are never deleted, so the file grows by about 0.8 KiB for each touch. A limit can be
//! set ([`JournalSettings::max_bytes`]); at the limit the bridge refuses rather than forgets.

mod chain;
mod entry;
mod error;
mod file;
mod index;
mod keeper;
mod origins;
mod queue;
mod read;
mod stats;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use parking_lot::Mutex;
use primrack_model::{Edge, IntentId, OriginKey, Receipt, UnixMs};
use smol_str::SmolStr;
use tokio::sync::{TryAcquireError, oneshot, watch};

pub use chain::{BadHead, Head};
pub use entry::{Boot, Decision, Entry, Kind, MAX_BODY, PolicyNote};
pub use error::JournalError;
pub use file::{Kept, Recovered};
pub use queue::Seq;
pub use read::{EntryFilter, Fault, Page, Reader, Record, Story, VerifyReport, verify};
pub use stats::{COMMIT_BOUNDS_US, JournalStats};

use entry::Encoded;
use origins::{Hint, Origins};
use queue::{Item, Queue, Work};
use stats::Counters;

/// The largest value put beside the chain, in bytes.
pub const MAX_VALUE: usize = 256 * 1024;

/// How a journal is kept.
#[derive(Debug, Clone)]
pub struct JournalSettings {
    /// The program's version, for the entry of this boot.
    pub version: SmolStr,
    /// A digest of configuration and policy, for the entry of this boot.
    pub config: SmolStr,
    /// How many entries may wait, those being written included.
    pub queue: usize,
    /// How long an append waits for a place in a full queue, in milliseconds.
    pub wait_ms: u64,
    /// How many of the newest origins are known exactly in memory. At least 4096.
    pub recent_origins: usize,
    /// How long an event sent again is known as the same.
    pub keep_origins: Duration,
    /// The file may not grow beyond this many bytes. None: until the disk is full.
    pub max_bytes: Option<u64>,
}

impl Default for JournalSettings {
    fn default() -> Self {
        Self {
            version: SmolStr::default(),
            config: SmolStr::default(),
            queue: 8192,
            wait_ms: 1000,
            recent_origins: 65_536,
            keep_origins: Duration::from_secs(7 * 24 * 60 * 60),
            max_bytes: None,
        }
    }
}

/// The journal in use. Clones share it; the last one dropped lets what is queued be written and closes the
/// file in the background. [`Self::close`] does the same and can be awaited.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    wait: Duration,
    queue: Arc<Queue>,
    origins: Arc<Origins>,
    counters: Arc<Counters>,
    head: watch::Receiver<Head>,
    stop: Arc<keeper::Stop>,
    reader: Arc<Mutex<Reader>>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal")
            .field("path", &self.inner.path)
            .field("head", &self.head().seq)
            .finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop.stop();
        self.queue.close(None);
    }
}

impl Journal {
    /// Opens or creates the journal at `path`, takes it for this process alone, and records this boot.
    /// Blocks for some milliseconds: not on a runtime thread.
    ///
    /// # Errors
    /// [`JournalError::InUse`] when another bridge has it, [`JournalError::Foreign`] and
    /// [`JournalError::Damaged`] when it cannot be trusted, [`JournalError::NotWritten`] when this boot
    /// cannot be recorded.
    pub fn open(path: &Path, settings: &JournalSettings) -> Result<(Self, Recovered), JournalError> {
        let file::Opened { db, lock, head, index, recovered } = file::open(path, settings)?;
        let reader = Reader::open(path)?;
        let queue = Arc::new(Queue::new(settings.queue.max(16)));
        let origins = Arc::new(Origins::new(settings.recent_origins.max(4096)));
        let counters = Arc::new(Counters::default());
        counters.open_intents.store(recovered.unfinished.len() as u64, Relaxed);
        let (published, seen) = watch::channel(head);
        let writer = writer::Writer {
            db,
            path: path.to_path_buf(),
            lock,
            queue: Arc::clone(&queue),
            origins: Arc::clone(&origins),
            counters: Arc::clone(&counters),
            index,
            head,
            published,
            suspect: false,
            log_pages: 0,
        };
        let stop = Arc::new(keeper::Stop::default());
        let keeper = keeper::Keeper {
            path: path.to_path_buf(),
            queue: Arc::clone(&queue),
            origins: Arc::clone(&origins),
            keep: settings.keep_origins,
            stop: Arc::clone(&stop),
        };
        let inner = Inner {
            path: path.to_path_buf(),
            wait: Duration::from_millis(settings.wait_ms),
            queue,
            origins,
            counters,
            head: seen,
            stop,
            reader: Arc::new(Mutex::new(reader)),
        };
        let no_thread = |error: std::io::Error| JournalError::Unreadable {
            path: path.to_path_buf(),
            words: format!("no thread can be started for it: {error}"),
        };
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run())
            .map_err(no_thread)?;
        std::thread::Builder::new()
            .name("journal-origins".to_owned())
            .spawn(move || keeper.run())
            .map_err(no_thread)?;
        Ok((Self { inner: Arc::new(inner) }, recovered))
    }

    /// Records one entry. Returns its number once it is durable. Stopping to wait does not take it back.
    ///
    /// # Errors
    /// [`JournalError::NotWritten`] and [`JournalError::TooBusy`]: it is not in the journal, so nothing may
    /// be done. [`JournalError::Duplicate`]: this event was decided before, answer with that receipt.
    pub async fn append(&self, entry: &Entry) -> Result<Seq, JournalError> {
        self.submit(Work::One(Encoded::new(entry)?)).await
    }

    /// Records several entries in one commit, all or none. Returns the number of the last.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub async fn append_many(&self, entries: &[Entry]) -> Result<Seq, JournalError> {
        let encoded = entries.iter().map(Encoded::new).collect::<Result<Vec<_>, _>>()?;
        self.submit(Work::Many(encoded)).await
    }

    /// Records an entry nobody waits for: an outcome, a counter. Tried again by itself while the file cannot
    /// be written. False, and counted, when half of the queue is taken by such entries, or it is closed.
    #[must_use]
    pub fn append_soon(&self, entry: &Entry) -> bool {
        let queue = &self.inner.queue;
        let taken = Encoded::new(entry).ok().is_some_and(|encoded| {
            let (Ok(unawaited), Ok(place)) = (queue.unawaited.try_acquire(), queue.places.try_acquire())
            else {
                return false;
            };
            let pushed = queue.push(Item { work: Work::One(encoded), waiter: None });
            if pushed {
                unawaited.forget();
                place.forget();
            }
            pushed
        });
        if !taken {
            self.inner.counters.dropped.fetch_add(1, Relaxed);
        }
        taken
    }

    /// Keeps a value beside the chain, or deletes it. Durable when it returns; without history.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub async fn put(
        &self,
        space: &'static str,
        key: String,
        value: Option<Vec<u8>>,
    ) -> Result<(), JournalError> {
        let found = key.len() + value.as_ref().map_or(0, Vec::len);
        if found > MAX_VALUE {
            return Err(JournalError::TooLarge {
                what: "bytes of a key and its value",
                found,
                limit: MAX_VALUE,
            });
        }
        self.submit(Work::Put { space, key, value }).await.map(drop)
    }

    async fn submit(&self, work: Work) -> Result<Seq, JournalError> {
        let Inner { queue, counters, wait, .. } = &*self.inner;
        let places = work.weight();
        let wanted = u32::try_from(places).ok().filter(|_| places <= queue.bound);
        let Some(wanted) = wanted else {
            return Err(JournalError::TooLarge {
                what: "entries at once",
                found: places,
                limit: queue.bound,
            });
        };
        let permit = match queue.places.try_acquire_many(wanted) {
            Ok(permit) => permit,
            Err(TryAcquireError::Closed) => return Err(JournalError::Closed),
            Err(TryAcquireError::NoPermits) => {
                match tokio::time::timeout(*wait, queue.places.acquire_many(wanted)).await {
                    Ok(Ok(permit)) => permit,
                    Ok(Err(_)) => return Err(JournalError::Closed),
                    Err(_) => {
                        counters.too_busy.fetch_add(1, Relaxed);
                        let waited_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                        return Err(JournalError::TooBusy { waited_ms });
                    }
                }
            }
        };
        let (waiter, fate) = oneshot::channel();
        if !queue.push(Item { work, waiter: Some(waiter) }) {
            return Err(JournalError::Closed);
        }
        permit.forget();
        fate.await.unwrap_or(Err(JournalError::Closed))
    }

    /// What was answered to this event, if it was decided before: in this boot or an earlier one, as long as
    /// origins are kept. Answers at once for an event that is new, which is decided in memory; reads the file
    /// off the runtime's threads otherwise. An append of a second decision is refused in any case.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn find_origin(&self, edge: Edge, origin: &OriginKey) -> Result<Option<Receipt>, JournalError> {
        let key = entry::origin_bytes(edge, origin);
        let hint = self.inner.origins.hint(self.inner.origins.id(&key));
        if hint == Hint::New {
            return Ok(None);
        }
        self.inner.counters.origin_reads.fetch_add(1, Relaxed);
        let reader = Arc::clone(&self.inner.reader);
        let path = self.inner.path.clone();
        let found = tokio::task::spawn_blocking(move || {
            writer::find(reader.lock().db(), &key, hint).map_err(|error| error::read_error(&path, &error))
        });
        let found = found.await.unwrap_or(Err(JournalError::Closed))?;
        Ok(found.map(|decision| decision.receipt))
    }

    /// The end of the chain that is durable now. Export it now and then: see [`verify`].
    #[must_use]
    pub fn head(&self) -> Head {
        *self.inner.head.borrow()
    }

    /// Follows [`Self::head`].
    #[must_use]
    pub fn heads(&self) -> watch::Receiver<Head> {
        self.inner.head.clone()
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// A page of entries, read off the runtime's threads.
    ///
    /// # Errors
    /// As [`Reader::page`].
    pub async fn page(&self, filter: EntryFilter) -> Result<Page, JournalError> {
        let reader = Arc::clone(&self.inner.reader);
        tokio::task::spawn_blocking(move || reader.lock().page(&filter))
            .await
            .unwrap_or(Err(JournalError::Closed))
    }

    /// What is known of one intent, read off the runtime's threads. Looks from a minute before the intent was made
    /// through the 262,144 entries that follow: what ended later than that is told as not ended.
    ///
    /// # Errors
    /// As [`Reader::page`].
    pub async fn story(&self, intent: IntentId) -> Result<Option<Story>, JournalError> {
        let reader = Arc::clone(&self.inner.reader);
        tokio::task::spawn_blocking(move || read::story(&reader, intent))
            .await
            .unwrap_or(Err(JournalError::Closed))
    }

    /// What it counts of itself.
    #[must_use]
    pub fn stats(&self) -> JournalStats {
        let Inner { queue, counters, .. } = &*self.inner;
        JournalStats::read(
            counters,
            queue.bound.saturating_sub(queue.places.available_permits()),
            queue.bound,
        )
    }

    /// Writes what is queued, records the end in order, and closes the file. Whatever comes later is refused.
    /// Returns when the file may be opened again.
    pub async fn close(&self) {
        let Inner { queue, stop, head, .. } = &*self.inner;
        stop.stop();
        let last = Encoded::new(&Entry::Closed { at: UnixMs::now() }).ok();
        queue.close(last.map(|entry| Item { work: Work::One(entry), waiter: None }));
        // The writer drops its end of the channel after the lock.
        let mut head = head.clone();
        while head.changed().await.is_ok() {}
    }

    #[cfg(test)]
    async fn limit_pages(&self, pages: i64) -> Result<Seq, JournalError> {
        self.submit(Work::Limit(pages)).await
    }
}
