//! Goes through the table of origins once after opening and once a day: fills the filter that keeps
//! look-ups off the disk, and has the writer forget what is older than an origin would send again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use primrack_model::UnixMs;
use rusqlite::{Connection, OptionalExtension, params};

use super::entry::OriginBytes;
use super::file::connect_to_read;
use super::origins::Origins;
use super::queue::{Item, Queue, Work};

/// Rows looked at in one step.
const STEP: usize = 1024;
/// From one pass to the next.
const EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// Tells the keeper to stop.
#[derive(Default)]
pub(super) struct Stop {
    stopped: Mutex<bool>,
    wake: Condvar,
}

impl Stop {
    pub(super) fn stop(&self) {
        *self.stopped.lock() = true;
        self.wake.notify_all();
    }
    fn is_stopped(&self) -> bool {
        *self.stopped.lock()
    }
    /// Waits; true when it is time to stop.
    fn wait(&self, time: Duration) -> bool {
        let mut stopped = self.stopped.lock();
        if !*stopped {
            self.wake.wait_for(&mut stopped, time);
        }
        *stopped
    }
}

pub(super) struct Keeper {
    pub(super) path: PathBuf,
    pub(super) queue: Arc<Queue>,
    pub(super) origins: Arc<Origins>,
    pub(super) keep: Duration,
    pub(super) stop: Arc<Stop>,
}

impl Keeper {
    pub(super) fn run(self) {
        loop {
            let wait = match self.pass() {
                Ok(()) => EVERY,
                Err(words) => {
                    tracing::warn!(%words, "the journal's origins could not be gone through; look-ups read the file");
                    Duration::from_secs(60)
                }
            };
            if self.stop.wait(wait) {
                return;
            }
        }
    }

    fn pass(&self) -> Result<(), String> {
        let db = connect_to_read(&self.path).map_err(|error| error.to_string())?;
        self.walk(&db).map_err(|error| error.to_string())
    }

    fn walk(&self, db: &Connection) -> rusqlite::Result<()> {
        let oldest = UnixMs::now().0.saturating_sub(i64::try_from(self.keep.as_millis()).unwrap_or(i64::MAX));
        let cut = first_at(db, oldest)?;
        self.origins.begin_pass();
        let mut last: Vec<u8> = Vec::new();
        while !self.stop.is_stopped() {
            let rows: Vec<(OriginBytes, u64)> = db
                .prepare_cached("SELECT key, seq FROM origins WHERE key > ?1 ORDER BY key LIMIT ?2")?
                .query_map(params![last, STEP], |row| {
                    Ok((row.get::<_, Vec<u8>>(0)?.into_boxed_slice(), row.get(1)?))
                })?
                .collect::<rusqlite::Result<_>>()?;
            let Some((key, _)) = rows.last() else {
                self.origins.end_pass();
                return Ok(());
            };
            last.clear();
            last.extend_from_slice(key);
            let (old, kept): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(_, seq)| *seq < cut);
            self.origins.pass(kept.iter().map(|(key, _)| self.origins.id(key)));
            self.forget(old);
        }
        Ok(())
    }

    /// Hands them to the writer when there is room; else they are met again on the next pass.
    fn forget(&self, old: Vec<(OriginBytes, u64)>) {
        if old.is_empty() {
            return;
        }
        let (Ok(unawaited), Ok(place)) =
            (self.queue.unawaited.try_acquire(), self.queue.places.try_acquire())
        else {
            self.origins.pass(old.iter().map(|(key, _)| self.origins.id(key)));
            return;
        };
        if self.queue.push(Item { work: Work::Forget(old), waiter: None }) {
            unawaited.forget();
            place.forget();
        }
    }
}

/// The first entry at or after a time, by halving: entries follow the clock but for its corrections,
/// and a little more or less does not matter here.
fn first_at(db: &Connection, at: i64) -> rusqlite::Result<u64> {
    let mut low: u64 = 1;
    let mut high: u64 = db
        .query_row("SELECT seq FROM chain ORDER BY seq DESC LIMIT 1", [], |row| row.get(0))
        .optional()?
        .unwrap_or(0)
        + 1;
    let mut look = db.prepare("SELECT at FROM chain WHERE seq = ?1")?;
    while low < high {
        let middle = low + (high - low) / 2;
        let found: Option<i64> = look.query_row([middle], |row| row.get(0)).optional()?;
        if found.is_none_or(|found| found < at) { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}
