//! What is derived from the chain: which intents are open, and where an origin was answered.
//!
//! Kept in memory by the writer and written to its tables in folds, together with the number of the
//! entry it is true for. So an append costs one row, and opening replays only what came after a fold.

use std::collections::HashMap;

use primrack_model::IntentId;
use rusqlite::{Connection, params};

use super::entry::{Effect, OriginBytes};

/// After this many changes the next batch writes them too. Bounds what opening has to replay, and is
/// far below what the memory of recent origins holds.
const FOLD_AT: usize = 512;

#[derive(Debug)]
enum Change {
    Opened(u64),
    Closed,
}

/// The writer's own view. Entries are applied after they are durable.
#[derive(Debug, Default)]
pub(super) struct Index {
    open: HashMap<IntentId, u64>,
    changed: HashMap<IntentId, Change>,
    origins: Vec<(OriginBytes, u64)>,
    since_fold: usize,
}

impl Index {
    pub(super) fn load(db: &Connection) -> rusqlite::Result<Self> {
        let mut query = db.prepare("SELECT intent, seq FROM open_intents")?;
        let open = query
            .query_map([], |row| Ok((IntentId::from_bytes(row.get(0)?), row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(Self { open, ..Self::default() })
    }
    /// Accepted and not ended.
    pub(super) fn open(&self) -> impl Iterator<Item = (u64, IntentId)> + '_ {
        self.open.iter().map(|(id, seq)| (*seq, *id))
    }
    pub(super) fn open_count(&self) -> usize {
        self.open.len()
    }
    /// Entry `seq` is durable and does this.
    pub(super) fn apply(&mut self, seq: u64, effect: Effect) {
        self.since_fold += 1;
        match effect {
            Effect::Nothing => {}
            Effect::Decided { opens, origin } => {
                if let Some(id) = opens {
                    self.open.insert(id, seq);
                    self.changed.insert(id, Change::Opened(seq));
                }
                if let Some(key) = origin {
                    self.origins.push((key, seq));
                }
            }
            Effect::Closes(id) => {
                if self.open.remove(&id).is_some() {
                    match self.changed.remove(&id) {
                        // Opened since the last fold: the table never knew it.
                        Some(Change::Opened(_)) => {}
                        Some(Change::Closed) | None => {
                            self.changed.insert(id, Change::Closed);
                        }
                    }
                }
            }
        }
    }
    pub(super) fn is_due(&self) -> bool {
        self.since_fold >= FOLD_AT
    }
    pub(super) fn is_clean(&self) -> bool {
        self.since_fold == 0
    }
    /// How many rows a fold would write.
    pub(super) fn weight(&self) -> usize {
        self.changed.len() + self.origins.len()
    }
    /// Writes what changed, within the caller's transaction. After its commit: [`Self::folded`].
    pub(super) fn fold(&mut self, tx: &Connection, upto: u64) -> rusqlite::Result<()> {
        let mut opened =
            tx.prepare_cached("INSERT OR REPLACE INTO open_intents (intent, seq) VALUES (?1, ?2)")?;
        let mut closed = tx.prepare_cached("DELETE FROM open_intents WHERE intent = ?1")?;
        for (id, change) in &self.changed {
            match change {
                Change::Opened(seq) => opened.execute(params![id.as_bytes(), seq])?,
                Change::Closed => closed.execute([id.as_bytes()])?,
            };
        }
        // Sorted, so that neighbours land in one page.
        self.origins.sort_unstable();
        let mut origin = tx.prepare_cached("INSERT OR REPLACE INTO origins (key, seq) VALUES (?1, ?2)")?;
        for (key, seq) in &self.origins {
            origin.execute(params![key, seq])?;
        }
        tx.prepare_cached("UPDATE meta SET value = ?1 WHERE key = 'derived_upto'")?.execute([upto])?;
        Ok(())
    }
    /// The fold is durable.
    pub(super) fn folded(&mut self) {
        self.changed.clear();
        self.origins.clear();
        self.since_fold = 0;
    }
}
