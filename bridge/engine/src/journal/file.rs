//! The file: its lock, its tables, what is checked before it is trusted.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use primrack_model::{Intent, IntentId, Receipt};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::chain::Head;
use super::entry::{Effect, Encoded};
use super::error::{read_error, write_words};
use super::index::Index;
use super::{Boot, Entry, JournalError, JournalSettings};

/// "Prjl": marks the file as a journal of Primrack.
const APPLICATION: i32 = 0x5072_6a6c;
/// The version of the tables below. A change of them is a new number and a migration in one transaction.
const SCHEMA: i32 = 1;
/// What one page of entries reads at most, so that no read holds back the clearing of the log for long.
pub(super) const PAGE: usize = 1024;

/// The tables. `chain` is the record. `open_intents` and `origins` are derived from it up to entry
/// `derived_upto` and are caught up when the file is opened. `kept` is a store of its own, without history.
pub(super) const TABLES: [&str; 7] = [
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID",
    "CREATE TABLE chain (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind INTEGER NOT NULL, body TEXT NOT NULL, hash BLOB NOT NULL) STRICT",
    "CREATE TABLE open_intents (intent BLOB PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE origins (key BLOB PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE kept (space TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (space, key)) STRICT, WITHOUT ROWID",
    "CREATE TRIGGER chain_is_not_edited BEFORE UPDATE ON chain BEGIN SELECT RAISE(ABORT, 'the journal is append-only: an entry is never edited'); END",
    "CREATE TRIGGER chain_is_not_cut BEFORE DELETE ON chain BEGIN SELECT RAISE(ABORT, 'the journal is append-only: an entry is never deleted'); END",
];

pub(super) const INSERT: &str = "INSERT INTO chain (seq, at, kind, body, hash) VALUES (?1, ?2, ?3, ?4, ?5)";

/// Values beside the chain: by space, each with its key.
pub type Kept = HashMap<String, Vec<(String, Vec<u8>)>>;

/// What was found in the file, for the engine to go on from.
#[derive(Debug)]
pub struct Recovered {
    /// Counts the boots of this file, from 1. Durable before it is returned. A file restored from an
    /// older copy counts from there, so a nonce should not be made of this number alone.
    pub boot: u64,
    /// Whether the last boot ended in order. True for a new file.
    pub was_closed: bool,
    /// Accepted, and neither ended nor interrupted: what to observe again and then record as interrupted.
    /// In the order of acceptance.
    pub unfinished: Vec<(Intent, Receipt)>,
    /// What was put beside the chain, by space, then key.
    pub kept: Kept,
    /// How many entries there are, this boot's included.
    pub entries: u64,
    /// The end of the chain, this boot's entry included.
    pub head: Head,
}

/// A file that is ours, locked and checked.
pub(super) struct Opened {
    pub(super) db: Connection,
    pub(super) lock: File,
    pub(super) head: Head,
    pub(super) index: Index,
    pub(super) recovered: Recovered,
}

/// The lock lies beside the journal and not on it: SQLite's own locks on a file are lost when the same
/// process opens and closes that file once more.
fn lock(path: &Path) -> Result<File, JournalError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let beside = PathBuf::from(name);
    let unreadable = |error: std::io::Error| JournalError::Unreadable {
        path: path.to_path_buf(),
        words: format!("its lock {} cannot be taken: {error}", beside.display()),
    };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&beside)
        .map_err(unreadable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let process =
                (&file).take(20).read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(JournalError::InUse { path: path.to_path_buf(), process });
        }
        Err(TryLockError::Error(error)) => return Err(unreadable(error)),
    }
    // Only for the words of a refusal: a full disk must not keep the bridge from saying so properly.
    let noted =
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    if let Err(error) = noted {
        tracing::warn!(%error, lock = %beside.display(), "cannot note the process in the lock of the journal");
    }
    Ok(file)
}

pub(super) fn connect(path: &Path, create: bool) -> rusqlite::Result<Connection> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if create {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(Duration::from_secs(2))?;
    Ok(db)
}

pub(super) fn connect_to_read(path: &Path) -> Result<Connection, JournalError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(|error| read_error(path, &error))?;
    db.busy_timeout(Duration::from_secs(2)).map_err(|error| read_error(path, &error))?;
    match check_schema(&db, path)? {
        Schema::Ours => Ok(db),
        Schema::Empty => Err(JournalError::Foreign {
            path: path.to_path_buf(),
            words: "it is empty: no bridge has used it yet".to_owned(),
        }),
    }
}

enum Schema {
    Empty,
    Ours,
}

fn check_schema(db: &Connection, path: &Path) -> Result<Schema, JournalError> {
    let failed = |error: rusqlite::Error| read_error(path, &error);
    let foreign = |words: String| JournalError::Foreign { path: path.to_path_buf(), words };
    let damaged = |words: String| JournalError::Damaged { path: path.to_path_buf(), words };
    let application: i32 = db.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(failed)?;
    let version: i32 = db.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
    let mut found: Vec<String> = db
        .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")
        .and_then(|mut all| all.query_map([], |row| row.get(0))?.collect())
        .map_err(failed)?;
    if application == 0 && version == 0 && found.is_empty() {
        return Ok(Schema::Empty);
    }
    if application != APPLICATION {
        return Err(foreign(
            "it is a database of another program; choose another file name in the configuration".to_owned(),
        ));
    }
    if version > SCHEMA {
        return Err(foreign(format!(
            "it was written by a newer Primrack (tables of version {version}, this one knows {SCHEMA}); use that version, or another file"
        )));
    }
    if version != SCHEMA {
        return Err(damaged(format!(
            "its tables are of version {version}, which no Primrack has written: a migration stopped half way"
        )));
    }
    let mut expected: Vec<String> = TABLES.iter().map(|&sql| sql.to_owned()).collect();
    expected.sort_unstable();
    found.sort_unstable();
    if let Some(missing) = expected.iter().find(|sql| !found.contains(sql)) {
        let what: String = missing.chars().take_while(|&c| c != '(').take(60).collect();
        return Err(damaged(format!(
            "this part of version {SCHEMA} is missing or was changed: {}",
            what.trim()
        )));
    }
    Ok(Schema::Ours)
}

fn create(db: &mut Connection) -> rusqlite::Result<()> {
    let tx = db.transaction()?;
    for sql in TABLES {
        tx.execute_batch(sql)?;
    }
    tx.execute_batch("INSERT INTO meta VALUES ('id', randomblob(16)), ('boot', 0), ('derived_upto', 0);")?;
    tx.pragma_update(None, "application_id", APPLICATION)?;
    tx.pragma_update(None, "user_version", SCHEMA)?;
    tx.commit()
}

fn settle(db: &Connection, settings: &JournalSettings) -> rusqlite::Result<()> {
    let mode: String = db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        tracing::warn!(mode, "the journal's file system does not allow write-ahead logging");
    }
    db.pragma_update(None, "synchronous", "FULL")?;
    // The writer moves the log into the file itself, after it has answered.
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    db.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    db.pragma_update(None, "cache_size", -8192)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    if let Some(limit) = settings.max_bytes {
        let page: u64 = db.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        let pages = i64::try_from((limit / page).max(16)).unwrap_or(i64::MAX);
        db.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
    }
    Ok(())
}

pub(super) fn meta_blob(db: &Connection, key: &str) -> rusqlite::Result<Vec<u8>> {
    db.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
}

fn meta_number(db: &Connection, key: &str) -> rusqlite::Result<u64> {
    db.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
}

/// The last entry's number and hash, or the beginning of the chain.
pub(super) fn read_head(db: &Connection) -> rusqlite::Result<Head> {
    head_at(db, None)
}

/// The head as it was after entry `seq`, or the last one.
fn head_at(db: &Connection, seq: Option<u64>) -> rusqlite::Result<Head> {
    let seq = seq.map_or(i64::MAX, |seq| i64::try_from(seq).unwrap_or(i64::MAX));
    let last = db
        .prepare_cached("SELECT seq, hash FROM chain WHERE seq <= ?1 ORDER BY seq DESC LIMIT 1")?
        .query_row([seq], |row| Ok(Head { seq: row.get(0)?, hash: row.get(1)? }))
        .optional()?;
    match last {
        Some(head) => Ok(head),
        None => Ok(Head::genesis(&meta_blob(db, "id")?)),
    }
}

/// One stored entry, as bytes.
pub(super) struct Row {
    pub(super) seq: u64,
    pub(super) at: i64,
    pub(super) kind: u8,
    pub(super) body: Vec<u8>,
    pub(super) hash: Vec<u8>,
}

/// Up to `limit` entries after `seq`, in order. A row of the wrong shape is an error of its own.
pub(super) fn rows_after(db: &Connection, seq: u64, limit: usize) -> rusqlite::Result<Vec<Row>> {
    db.prepare_cached("SELECT seq, at, kind, body, hash FROM chain WHERE seq > ?1 ORDER BY seq LIMIT ?2")?
        .query_map(params![seq, limit], |row| {
            Ok(Row {
                seq: row.get(0)?,
                at: row.get(1)?,
                kind: row.get(2)?,
                body: row.get_ref(3)?.as_bytes()?.to_vec(),
                hash: row.get(4)?,
            })
        })?
        .collect()
}

/// The rows from after `seq` up to `upto` whose body has this text somewhere.
pub(super) fn rows_with(db: &Connection, seq: u64, upto: u64, text: &str) -> rusqlite::Result<Vec<Row>> {
    db.prepare_cached(
        "SELECT seq, at, kind, body, hash FROM chain WHERE seq > ?1 AND seq <= ?2 AND instr(body, ?3) > 0 ORDER BY seq LIMIT ?4",
    )?
    .query_map(params![seq, upto, text, PAGE], |row| {
        Ok(Row {
            seq: row.get(0)?,
            at: row.get(1)?,
            kind: row.get(2)?,
            body: row.get_ref(3)?.as_bytes()?.to_vec(),
            hash: row.get(4)?,
        })
    })?
    .collect()
}

/// The number of the last entry before `at`, as far as the clock only ever went on. Looks at about 20 rows.
pub(super) fn last_before(db: &Connection, at: i64) -> rusqlite::Result<u64> {
    let mut query = db.prepare_cached("SELECT at FROM chain WHERE seq = ?1")?;
    let (mut low, mut high) = (0, read_head(db)?.seq + 1);
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        if query.query_row([middle], |row| row.get::<_, i64>(0))? < at { low = middle } else { high = middle }
    }
    Ok(low)
}

pub(super) fn decode(row: &Row) -> Result<Entry, String> {
    let entry: Entry = serde_json::from_slice(&row.body).map_err(|error| error.to_string())?;
    if entry.kind().code() == row.kind { Ok(entry) } else { Err("its kind is not its body's".to_owned()) }
}

/// Opens, locks, checks and catches up; counts and records this boot.
pub(super) fn open(path: &Path, settings: &JournalSettings) -> Result<Opened, JournalError> {
    let lock = lock(path)?;
    let failed = |error: rusqlite::Error| read_error(path, &error);
    let damaged = |words: String| JournalError::Damaged { path: path.to_path_buf(), words };
    let mut db = connect(path, true).map_err(failed)?;
    let unwritten = |error: rusqlite::Error| match read_error(path, &error) {
        JournalError::Unreadable { .. } => JournalError::NotWritten(write_words(path, &error).into()),
        other => other,
    };
    if matches!(check_schema(&db, path)?, Schema::Empty) {
        settle(&db, settings).map_err(unwritten)?;
        create(&mut db).map_err(unwritten)?;
    } else {
        settle(&db, settings).map_err(unwritten)?;
    }

    let derived = meta_number(&db, "derived_upto").map_err(failed)?;
    let mut head = head_at(&db, Some(derived)).map_err(failed)?;
    if head.seq != derived {
        return Err(damaged(format!(
            "it ends at entry {}, but once had {derived}: entries were cut off",
            head.seq
        )));
    }
    let mut index = Index::load(&db).map_err(failed)?;
    let mut was_closed = match rows_after(&db, head.seq.saturating_sub(1), 1).map_err(failed)?.first() {
        Some(row) => row.kind == super::Kind::Closed.code(),
        None => true,
    };
    // What came after the derived tables were last written: at most a few thousand entries.
    loop {
        let rows = rows_after(&db, head.seq, PAGE).map_err(failed)?;
        let Some(last) = rows.last() else { break };
        was_closed = last.kind == super::Kind::Closed.code();
        for row in &rows {
            let next = head.after(row.at, row.kind, &row.body);
            if next.seq != row.seq || next.hash[..] != row.hash[..] {
                return Err(damaged(format!("entry {} does not follow from the one before it", row.seq)));
            }
            let entry = decode(row).map_err(|words| damaged(format!("entry {}: {words}", row.seq)))?;
            head = next;
            index.apply(head.seq, Effect::of(&entry));
        }
    }

    let boot = meta_number(&db, "boot").map_err(failed)? + 1;
    let entry = Entry::Boot(Boot {
        boot,
        version: settings.version.clone(),
        config: settings.config.clone(),
        at: primrack_model::UnixMs::now(),
    });
    let Encoded { kind, at, body, effect } = Encoded::new(&entry)?;
    let next = head.after(at, kind.code(), body.as_bytes());
    index.apply(next.seq, effect);
    let written = (|| {
        let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        tx.execute(INSERT, params![next.seq, at, kind.code(), body, &next.hash[..]])?;
        tx.execute("UPDATE meta SET value = ?1 WHERE key = 'boot'", [boot])?;
        index.fold(&tx, next.seq)?;
        tx.commit()
    })();
    written.map_err(unwritten)?;
    index.folded();

    let unfinished = unfinished(&db, path, &index)?;
    let kept = kept(&db).map_err(failed)?;
    let recovered = Recovered { boot, was_closed, unfinished, kept, entries: next.seq, head: next };
    Ok(Opened { db, lock, head: next, index, recovered })
}

fn unfinished(db: &Connection, path: &Path, index: &Index) -> Result<Vec<(Intent, Receipt)>, JournalError> {
    let mut seqs: Vec<(u64, IntentId)> = index.open().collect();
    seqs.sort_unstable();
    let damaged = |words: String| JournalError::Damaged { path: path.to_path_buf(), words };
    let mut all = Vec::with_capacity(seqs.len());
    for (seq, id) in seqs {
        match decision_at(db, seq).map_err(|error| read_error(path, &error))? {
            Some(super::Decision { intent, receipt, .. }) if intent.id == id => {
                all.push((intent, receipt));
            }
            Some(_) | None => {
                return Err(damaged(format!("the unfinished intent {id} is not in entry {seq}")));
            }
        }
    }
    Ok(all)
}

/// The decision in entry `seq`, if that is one.
pub(super) fn decision_at(db: &Connection, seq: u64) -> rusqlite::Result<Option<super::Decision>> {
    let rows = rows_after(db, seq.saturating_sub(1), 1)?;
    Ok(rows.first().filter(|row| row.seq == seq).and_then(|row| match decode(row) {
        Ok(Entry::Decision(decision)) => Some(*decision),
        _ => None,
    }))
}

fn kept(db: &Connection) -> rusqlite::Result<Kept> {
    let mut all = Kept::new();
    let mut query = db.prepare("SELECT space, key, value FROM kept ORDER BY space, key")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let space: String = row.get(0)?;
        all.entry(space).or_default().push((row.get(1)?, row.get(2)?));
    }
    Ok(all)
}
