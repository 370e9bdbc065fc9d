//! What the journal counts of itself, for `/metrics` and the page.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;

/// Upper bounds of the commit time classes, in microseconds; one more class holds the rest.
pub const COMMIT_BOUNDS_US: [u64; 10] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 250_000, 1_000_000];

#[derive(Default)]
pub(super) struct Counters {
    pub(super) entries: AtomicU64,
    pub(super) puts: AtomicU64,
    pub(super) batches: AtomicU64,
    pub(super) largest_batch: AtomicU64,
    pub(super) failed_batches: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) too_busy: AtomicU64,
    pub(super) duplicates: AtomicU64,
    pub(super) origin_reads: AtomicU64,
    pub(super) open_intents: AtomicU64,
    pub(super) checkpoints: AtomicU64,
    pub(super) commit_us: AtomicU64,
    pub(super) commit_classes: [AtomicU64; COMMIT_BOUNDS_US.len() + 1],
    /// Set while writing fails, cleared by the next success.
    pub(super) failing: Mutex<Option<Arc<str>>>,
}

impl Counters {
    pub(super) fn committed(&self, entries: usize, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let class = COMMIT_BOUNDS_US.iter().position(|bound| us <= *bound).unwrap_or(COMMIT_BOUNDS_US.len());
        self.entries.fetch_add(entries as u64, Relaxed);
        self.batches.fetch_add(1, Relaxed);
        self.largest_batch.fetch_max(entries as u64, Relaxed);
        self.commit_us.fetch_add(us, Relaxed);
        self.commit_classes[class].fetch_add(1, Relaxed);
    }
}

/// A reading of the journal's counters since it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalStats {
    /// Entries waiting or being written.
    pub queued: usize,
    /// How many may be.
    pub bound: usize,
    /// Entries made durable.
    pub entries: u64,
    /// Values put or deleted beside the chain.
    pub puts: u64,
    /// Commits.
    pub batches: u64,
    /// Most entries in one commit.
    pub largest_batch: u64,
    /// Commits that failed.
    pub failed_batches: u64,
    /// Entries nobody waited for that found no place.
    pub dropped: u64,
    /// Appends that gave up at a full queue.
    pub too_busy: u64,
    /// Decisions refused because their event had been decided before.
    pub duplicates: u64,
    /// Look-ups of an origin that had to read the file.
    pub origin_reads: u64,
    /// Accepted intents that have not ended.
    pub open_intents: u64,
    /// Times the write-ahead log was moved into the file.
    pub checkpoints: u64,
    /// Time spent in batches, begin to commit, in microseconds.
    pub commit_us: u64,
    /// How many batches took at most [`COMMIT_BOUNDS_US`], and longer.
    pub commit_classes: [u64; COMMIT_BOUNDS_US.len() + 1],
    /// Why writing fails at present. None: the last batch was written.
    pub failing: Option<Arc<str>>,
}

impl JournalStats {
    pub(super) fn read(counters: &Counters, queued: usize, bound: usize) -> Self {
        let Counters {
            entries,
            puts,
            batches,
            largest_batch,
            failed_batches,
            dropped,
            too_busy,
            duplicates,
            origin_reads,
            open_intents,
            checkpoints,
            commit_us,
            commit_classes,
            failing,
        } = counters;
        Self {
            queued,
            bound,
            entries: entries.load(Relaxed),
            puts: puts.load(Relaxed),
            batches: batches.load(Relaxed),
            largest_batch: largest_batch.load(Relaxed),
            failed_batches: failed_batches.load(Relaxed),
            dropped: dropped.load(Relaxed),
            too_busy: too_busy.load(Relaxed),
            duplicates: duplicates.load(Relaxed),
            origin_reads: origin_reads.load(Relaxed),
            open_intents: open_intents.load(Relaxed),
            checkpoints: checkpoints.load(Relaxed),
            commit_us: commit_us.load(Relaxed),
            commit_classes: std::array::from_fn(|class| commit_classes[class].load(Relaxed)),
            failing: failing.lock().clone(),
        }
    }
}
