//! The journal's promises, each tried out.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use primrack_model::{
    Action, Actor, ActorKind, Edge, Intent, IntentId, ObjectId, OriginKey, Outcome, Receipt, TargetId,
    UnixMs, Verdict, Via,
};
use rusqlite::{Connection, params};
use tempfile::TempDir;

use super::*;

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    (folder, path)
}

fn settings() -> JournalSettings {
    JournalSettings { version: "0.1.0".into(), config: "c0ffee".into(), ..JournalSettings::default() }
}

fn origin(source: &str, event: u64) -> OriginKey {
    OriginKey { source: source.into(), event: event.to_string().into() }
}

fn decision(event: Option<OriginKey>) -> Entry {
    let target = TargetId::new("web-1").unwrap();
    let intent = Intent {
        id: IntentId::now(),
        actor: Actor::new(ActorKind::Avatar, "6d0e9f3c-5a3e-4b0e-9e0b-6a4f6d1b2c3d", "Ada Resident"),
        action: Action::Start,
        target: target.clone(),
        via: Via { edge: Edge::World, object: Some(ObjectId::new("rack-1").unwrap()), unit: Some(3) },
        origin: event,
        at: UnixMs::now(),
    };
    let receipt = Receipt {
        intent: intent.id,
        target,
        action: Action::Start,
        verdict: Verdict::Accepted,
        words: "Starting web-1".to_owned(),
        at: UnixMs::now(),
    };
    let policy = PolicyNote { version: "p1".into(), determining: vec!["starter-0".into()] };
    Entry::Decision(Box::new(Decision { intent, receipt, policy, part_of: None, plan: Vec::new() }))
}

fn ended(decision: &Entry) -> Entry {
    Entry::Ended {
        intent: decision.intent().unwrap(),
        target: decision.target().unwrap().clone(),
        outcome: Outcome::Done,
        part_of: None,
        at: UnixMs::now(),
    }
}

fn noted(words: &str) -> Entry {
    Entry::Audit {
        class: "forged".into(),
        subject: "rack-1".into(),
        count: 3,
        words: words.to_owned(),
        at: UnixMs::now(),
    }
}

/// A journal with eight entries of several kinds, closed.
async fn filled(path: &Path) -> Head {
    let (journal, _) = Journal::open(path, &settings()).unwrap();
    for event in 0..3 {
        let decision = decision(Some(origin("rack-1", event)));
        journal.append(&decision).await.unwrap();
        journal.append(&ended(&decision)).await.unwrap();
    }
    journal.close().await;
    let head = Reader::open(path).unwrap().head().unwrap();
    assert_eq!(head.seq, 8);
    head
}

#[tokio::test]
async fn what_is_written_reads_back_and_the_chain_verifies() {
    let (_folder, path) = folder();
    let (journal, recovered) = Journal::open(&path, &settings()).unwrap();
    assert_eq!((recovered.boot, recovered.entries, recovered.was_closed), (1, 1, true));
    let entries = [decision(None), noted("three forged"), decision(Some(origin("rack-1", 7)))];
    for (n, entry) in entries.iter().enumerate() {
        assert_eq!(journal.append(entry).await.unwrap(), n as u64 + 2);
    }
    // Verified while in use.
    let report = verify(&path, &[journal.head()]).unwrap();
    assert_eq!((report.entries, report.fault, report.heads_confirmed, report.unfinished), (4, None, 1, 2));
    journal.close().await;
    let found: Vec<Entry> = Reader::open(&path)
        .unwrap()
        .entries(EntryFilter::default())
        .map(|record| record.unwrap().entry)
        .collect();
    assert_eq!(found.len(), 5);
    assert_eq!(found[1..4], entries);
    assert!(matches!(&found[0], Entry::Boot(boot) if boot.boot == 1 && boot.version == "0.1.0"));
    assert!(matches!(found[4], Entry::Closed { .. }));
}

#[tokio::test]
async fn pages_hold_what_the_filter_wants() {
    let (_folder, path) = folder();
    let (journal, _) = Journal::open(&path, &settings()).unwrap();
    let wanted = decision(None);
    journal.append(&wanted).await.unwrap();
    let many: Vec<Entry> = (0..3000).map(|_| noted("more")).collect();
    journal.append_many(&many).await.unwrap();
    journal.append(&ended(&wanted)).await.unwrap();
    let filter = EntryFilter { intent: wanted.intent(), ..EntryFilter::default() };
    let page = journal.page(filter.clone()).await.unwrap();
    assert_eq!((page.records.len(), page.next), (1, Some(1024)));
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.entries(filter).count(), 2);
    let audits = EntryFilter { kinds: vec![Kind::Audit], upto: Some(100), ..EntryFilter::default() };
    assert_eq!(reader.entries(audits).count(), 98);
    let future = EntryFilter { since: Some(UnixMs(i64::MAX)), ..EntryFilter::default() };
    assert_eq!(reader.entries(future).count(), 0);
}

/// Changes a closed journal behind its back, as someone with the file and without our triggers would.
fn tamper(path: &Path, sql: &str) {
    let db = Connection::open(path).unwrap();
    db.execute_batch("DROP TRIGGER chain_is_not_edited; DROP TRIGGER chain_is_not_cut;").unwrap();
    db.execute_batch(sql).unwrap();
    let [edited, cut] = [file::TABLES[5], file::TABLES[6]];
    db.execute_batch(edited).unwrap();
    db.execute_batch(cut).unwrap();
}

#[tokio::test]
async fn every_kind_of_tampering_is_found_and_its_place_named() {
    let cases = [
        ("UPDATE chain SET body = replace(body, 'Ada', 'Eve') WHERE seq = 4", 4, "not what was written"),
        ("UPDATE chain SET at = at + 1 WHERE seq = 5", 5, "not what was written"),
        ("UPDATE chain SET kind = 5 WHERE seq = 2", 2, "not what was written"),
        ("UPDATE chain SET hash = zeroblob(32) WHERE seq = 6", 6, "not what was written"),
        ("DELETE FROM chain WHERE seq = 3", 3, "entry 3 is missing"),
        ("DELETE FROM chain WHERE seq IN (3, 4)", 3, "entries 3 to 4 are missing"),
        ("DELETE FROM chain WHERE seq = 1", 1, "entry 1 is missing"),
        (
            "UPDATE chain SET seq = 100 WHERE seq = 4; UPDATE chain SET seq = 4 WHERE seq = 6; UPDATE chain SET seq = 6 WHERE seq = 100",
            4,
            "not what was written",
        ),
        ("DELETE FROM chain WHERE seq > 5", 6, "the file notes 8"),
        (
            "DELETE FROM chain WHERE seq > 5; UPDATE meta SET value = 5 WHERE key = 'derived_upto'",
            6,
            "exported head",
        ),
        ("UPDATE meta SET value = zeroblob(16) WHERE key = 'id'", 1, "not what was written"),
    ];
    for (sql, seq, words) in cases {
        let (_folder, path) = folder();
        let head = filled(&path).await;
        tamper(&path, sql);
        let heads: &[Head] = if words == "exported head" { &[head] } else { &[] };
        let fault = verify(&path, heads).unwrap().fault.unwrap_or_else(|| panic!("not found: {sql}"));
        assert_eq!(fault.seq, seq, "{sql}: {}", fault.words);
        assert!(fault.words.contains(words), "{sql}: {}", fault.words);
    }
}

#[tokio::test]
async fn any_changed_byte_of_any_entry_is_found() {
    let (_folder, path) = folder();
    filled(&path).await;
    let bodies: Vec<(u64, Vec<u8>)> = {
        let reader = Reader::open(&path).unwrap();
        file::rows_after(reader.db(), 0, 100).unwrap().into_iter().map(|row| (row.seq, row.body)).collect()
    };
    let whole = std::fs::read(&path).unwrap();
    let mut tried = 0;
    for (seq, body) in bodies {
        let start = whole.windows(body.len()).position(|window| window == body).unwrap();
        // Every 13th byte keeps this quick and still meets every field.
        for byte in (start..start + body.len()).step_by(13) {
            let mut changed = whole.clone();
            changed[byte] ^= 0x01;
            std::fs::write(&path, &changed).unwrap();
            let fault = verify(&path, &[]).unwrap().fault;
            assert_eq!(fault.map(|fault| fault.seq), Some(seq), "byte {} of entry {seq}", byte - start);
            tried += 1;
        }
    }
    assert!(tried > 100, "{tried}");
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(verify(&path, &[]).unwrap().fault, None);
}

#[tokio::test]
async fn a_chain_written_anew_is_told_by_an_exported_head() {
    let (_folder, path) = folder();
    let head = filled(&path).await;
    // The forger recomputes every hash from entry 4 on: whole by itself, but not the one that was exported.
    let rows = file::rows_after(Reader::open(&path).unwrap().db(), 0, 100).unwrap();
    let db = Connection::open(&path).unwrap();
    let mut at = Head::genesis(&file::meta_blob(&db, "id").unwrap());
    db.execute_batch("DROP TRIGGER chain_is_not_edited").unwrap();
    for row in rows {
        let body = String::from_utf8(row.body).unwrap();
        let body = if row.seq == 4 { body.replace("Ada", "Eve") } else { body };
        at = at.after(row.at, row.kind, body.as_bytes());
        db.execute(
            "UPDATE chain SET body = ?2, hash = ?3 WHERE seq = ?1",
            params![at.seq, body, &at.hash[..]],
        )
        .unwrap();
    }
    db.execute_batch(file::TABLES[5]).unwrap();
    drop(db);
    assert_eq!(verify(&path, &[]).unwrap().fault, None);
    let fault = verify(&path, &[head]).unwrap().fault.unwrap();
    assert!(fault.words.contains("written anew"), "{}", fault.words);
}

#[tokio::test]
async fn sqlite_itself_refuses_to_edit_or_delete_an_entry() {
    let (_folder, path) = folder();
    filled(&path).await;
    let db = Connection::open(&path).unwrap();
    for sql in ["UPDATE chain SET at = 0", "DELETE FROM chain WHERE seq = 8"] {
        let error = db.execute_batch(sql).unwrap_err().to_string();
        assert!(error.contains("append-only"), "{error}");
    }
}

#[tokio::test]
async fn a_second_bridge_is_refused_with_the_process_that_holds_it() {
    let (_folder, path) = folder();
    let (journal, _) = Journal::open(&path, &settings()).unwrap();
    let error = Journal::open(&path, &settings()).unwrap_err();
    assert!(
        matches!(error, JournalError::InUse { process: Some(id), .. } if id == std::process::id()),
        "{error}"
    );
    assert!(error.to_string().contains("in use by another bridge"), "{error}");
    journal.close().await;
    let (_journal, recovered) = Journal::open(&path, &settings()).unwrap();
    assert_eq!((recovered.boot, recovered.was_closed), (2, true));
}

#[tokio::test]
async fn files_that_cannot_be_trusted_are_refused_in_words() {
    let (_folder, path) = folder();
    let refused = |what: &str| {
        let error = Journal::open(&path, &settings()).unwrap_err().to_string();
        assert!(error.contains(what), "{what:?} is not in {error:?}");
    };
    std::fs::write(&path, "primrack = true\n".repeat(400)).unwrap();
    refused("no SQLite database");
    std::fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE songs (name)").unwrap();
    refused("another program");
    std::fs::remove_file(&path).unwrap();

    filled(&path).await;
    let run = |sql: &str| Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    run("PRAGMA user_version = 2");
    refused("newer Primrack");
    run("PRAGMA user_version = 0");
    refused("half way");
    run("PRAGMA user_version = 1; ALTER TABLE origins RENAME TO origins_old");
    refused("missing or was changed: CREATE TABLE origins");
    run("ALTER TABLE origins_old RENAME TO origins");
    run("DROP TABLE origins");
    refused("missing or was changed: CREATE TABLE origins");
    run(file::TABLES[3]);
    tamper(&path, "DELETE FROM chain WHERE seq > 6");
    refused("entries were cut off");
    tamper(
        &path,
        "UPDATE meta SET value = 2 WHERE key = 'derived_upto'; UPDATE chain SET at = 1 WHERE seq = 5",
    );
    refused("entry 5 does not follow");
}

#[tokio::test]
async fn a_damaged_page_is_refused_or_found() {
    let (_folder, path) = folder();
    filled(&path).await;
    let mut bytes = std::fs::read(&path).unwrap();
    // The header of the first page after the schema's own: a table's root.
    bytes[4096..4104].fill(0xff);
    std::fs::write(&path, &bytes).unwrap();
    let error = Journal::open(&path, &settings()).unwrap_err();
    assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn accepted_intents_without_an_end_are_found_after_a_restart() {
    let (_folder, path) = folder();
    let (journal, _) = Journal::open(&path, &settings()).unwrap();
    let all: Vec<Entry> = (0..1500).map(|_| decision(None)).collect();
    for entry in &all {
        assert!(journal.append_soon(entry));
    }
    // Past a fold, and a few after it.
    for entry in &all[..1490] {
        journal.append(&ended(entry)).await.unwrap();
    }
    let interrupted = Entry::Interrupted {
        intent: all[1490].intent().unwrap(),
        target: all[1490].target().unwrap().clone(),
        at: UnixMs::now(),
    };
    journal.append(&interrupted).await.unwrap();
    journal.close().await;
    let (journal, recovered) = Journal::open(&path, &settings()).unwrap();
    let found: Vec<IntentId> = recovered.unfinished.iter().map(|(intent, _)| intent.id).collect();
    let expected: Vec<IntentId> = all[1491..].iter().filter_map(Entry::intent).collect();
    assert_eq!(found, expected);
    assert_eq!(journal.stats().open_intents, 9);
    let report = verify(&path, &[]).unwrap();
    assert_eq!((report.fault, report.unfinished), (None, 9));
}

#[tokio::test]
async fn an_event_sent_again_gets_its_receipt_even_after_a_restart() {
    let (_folder, path) = folder();
    let (journal, _) = Journal::open(&path, &settings()).unwrap();
    let first = decision(Some(origin("rack-1", 41)));
    let Entry::Decision(made) = &first else { unreachable!() };
    journal.append(&first).await.unwrap();
    let again = journal.find_origin(Edge::World, &origin("rack-1", 41)).await.unwrap();
    assert_eq!(again.as_ref(), Some(&made.receipt));
    // A second decision on it is refused by the journal itself, alone, in a group and within one batch.
    let repeated = decision(Some(origin("rack-1", 41)));
    let error = journal.append(&repeated).await.unwrap_err();
    assert!(matches!(error, JournalError::Duplicate(receipt) if *receipt == made.receipt));
    let error = journal.append_many(&[noted("with it"), repeated.clone()]).await.unwrap_err();
    assert!(matches!(error, JournalError::Duplicate(_)));
    assert_eq!(journal.head().seq, 2, "nothing of a refused group stays");
    let (one, two) = (decision(Some(origin("rack-1", 42))), decision(Some(origin("rack-1", 42))));
    let (one, two) = tokio::join!(journal.append(&one), journal.append(&two));
    assert_eq!(one.unwrap(), 3);
    assert!(matches!(two, Err(JournalError::Duplicate(_))));
    journal.close().await;

    let (journal, _) = Journal::open(&path, &settings()).unwrap();
    let again = journal.find_origin(Edge::World, &origin("rack-1", 41)).await.unwrap();
    assert_eq!(again.as_ref(), Some(&made.receipt));
    assert!(matches!(journal.append(&repeated).await, Err(JournalError::Duplicate(_))));
    for (edge, other) in [
        (Edge::Board, origin("rack-1", 41)),
        (Edge::World, origin("rack-2", 41)),
        (Edge::World, origin("rack-1", 4)),
        (Edge::World, origin("rack-14", 1)),
    ] {
        assert_eq!(journal.find_origin(edge, &other).await.unwrap(), None, "{edge:?} {other:?}");
    }
}

/// Waits until the first pass over the origins is over.
async fn passed(journal: &Journal) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while journal.inner.origins.hint(0) != Hint::New {
        assert!(tokio::time::Instant::now() < deadline, "the pass over the origins did not end");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn new_events_are_known_as_new_without_reading() {
    let (_folder, path) = folder();
    let (journal, _) = Journal::open(&path, &settings()).unwrap();
    for event in 0..2000 {
        assert!(journal.append_soon(&decision(Some(origin("rack-1", event)))));
    }
    journal.close().await;
    let (journal, _) = Journal::open(&path, &settings()).unwrap();
    passed(&journal).await;
    for event in 2000..4000 {
        let key = origin("rack-1", event);
        assert_eq!(journal.find_origin(Edge::World, &key).await.unwrap(), None);
        assert!(journal.append_soon(&decision(Some(key))));
    }
    journal.append(&noted("all are in")).await.unwrap();
    assert!(journal.stats().origin_reads < 10, "{}", journal.stats().origin_reads);
    assert!(journal.find_origin(Edge::World, &origin("rack-1", 5)).await.unwrap().is_some());
    assert!(journal.find_origin(Edge::World, &origin("rack-1", 3999)).await.unwrap().is_some());
}

#[tokio::test]
async fn origins_are_forgotten_when_they_are_old() {
    let (_folder, path) = folder();
    let (journal, _) = Journal::open(&path, &settings()).unwrap();
    for event in 0..1500 {
        assert!(journal.append_soon(&decision(Some(origin("rack-1", event)))));
    }
    journal.close().await;
    let old = JournalSettings { keep_origins: Duration::ZERO, ..settings() };
    let (journal, _) = Journal::open(&path, &old).unwrap();
    passed(&journal).await;
    journal.close().await;
    let count = || -> u64 {
        Connection::open(&path)
            .unwrap()
            .query_row("SELECT count(*) FROM origins", [], |row| row.get(0))
            .unwrap()
    };
    assert_eq!(count(), 0);
    assert_eq!(verify(&path, &[]).unwrap().fault, None);
}

#[tokio::test]
async fn values_beside_the_chain_are_kept_replaced_and_deleted() {
    let (_folder, path) = folder();
    let (journal, recovered) = Journal::open(&path, &settings()).unwrap();
    assert_eq!(recovered.kept, HashMap::new());
    journal.put("urls", "rack-1".to_owned(), Some(b"http://a".to_vec())).await.unwrap();
    journal.put("urls", "rack-2".to_owned(), Some(b"http://b".to_vec())).await.unwrap();
    journal.put("urls", "rack-1".to_owned(), Some(b"http://c".to_vec())).await.unwrap();
    journal.put("urls", "rack-2".to_owned(), None).await.unwrap();
    let error = journal.put("urls", "x".to_owned(), Some(vec![0; MAX_VALUE])).await.unwrap_err();
    assert!(matches!(error, JournalError::TooLarge { .. }), "{error}");
    journal.close().await;
    let (_journal, recovered) = Journal::open(&path, &settings()).unwrap();
    let expected = HashMap::from([("urls".to_owned(), vec![("rack-1".to_owned(), b"http://c".to_vec())])]);
    assert_eq!(recovered.kept, expected);
}

#[tokio::test]
async fn an_entry_beyond_the_limit_is_refused() {
    let (_folder, path) = folder();
    let (journal, _) = Journal::open(&path, &settings()).unwrap();
    let error = journal.append(&noted(&"x".repeat(MAX_BODY))).await.unwrap_err();
    assert!(matches!(error, JournalError::TooLarge { .. }), "{error}");
    let error = journal.append_many(&vec![noted("x"); 9000]).await.unwrap_err();
    assert!(matches!(error, JournalError::TooLarge { limit: 8192, .. }), "{error}");
    assert_eq!(journal.head().seq, 1);
}

#[tokio::test]
async fn a_full_file_fails_every_waiter_and_goes_on_when_there_is_room() {
    let (_folder, path) = folder();
    let (journal, _) = Journal::open(&path, &settings()).unwrap();
    journal.append(&noted("before")).await.unwrap();
    let before = journal.head();
    journal.limit_pages(1).await.unwrap();
    // Enough for more than the pages there are: SQLite sets the limit to the present size at least.
    let group: Vec<Entry> = (0..100).map(|_| decision(None)).collect();
    let unfit = journal.append_many(&group);
    let put = journal.put("urls", "rack-1".to_owned(), Some(vec![7; 100_000]));
    let (unfit, put) = tokio::join!(unfit, put);
    for error in [unfit.unwrap_err(), put.unwrap_err()] {
        assert!(matches!(error, JournalError::NotWritten(_)), "{error}");
        assert!(error.to_string().contains("no space is left"), "{error}");
    }
    assert_eq!(journal.head(), before, "nothing moved on");
    // Outcomes nobody waits for are kept until they can be written.
    let soon: Vec<Entry> = (0..100).map(|_| decision(None)).collect();
    for entry in &soon {
        assert!(journal.append_soon(entry));
    }
    journal.append(&noted("still full")).await.unwrap_err();
    assert!(journal.stats().failing.is_some());

    // The limit is lifted through the same writer; SQLite takes it although the last batch failed.
    journal.limit_pages(1_000_000).await.unwrap();
    let seq = journal.append(&noted("after")).await.unwrap();
    assert_eq!(seq, before.seq + 101);
    let stats = journal.stats();
    assert_eq!((stats.failing, stats.dropped, stats.queued), (None, 0, 0));
    journal.close().await;
    let report = verify(&path, &[before]).unwrap();
    assert_eq!((report.fault, report.unfinished), (None, 100));
}

/// A small file system of its own, unmounted at the end.
struct Disk(TempDir);

impl Disk {
    /// None where this user may not mount.
    fn of(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        mounted.then(|| Self(folder))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the journal's background threads may still close their files.
        let unmounted = Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "{} stays mounted", self.0.path().display());
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_survived_without_a_restart() {
    let Some(disk) = Disk::of("2m") else {
        eprintln!(
            "not tried: this user may not mount a small file system; the limited file stands in for it"
        );
        return;
    };
    let path = disk.0.path().join("journal.db");
    let (journal, _) = Journal::open(&path, &settings()).unwrap();
    let ballast = disk.0.path().join("ballast");
    // Fills the disk to the last byte.
    assert!(std::fs::write(&ballast, vec![1; 4 << 20]).is_err());
    let mut acknowledged = 1;
    let error = loop {
        match journal.append(&decision(None)).await {
            Ok(seq) => acknowledged = seq,
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("no space is left"), "{error}");
    for _ in 0..20 {
        assert!(matches!(journal.append(&decision(None)).await, Err(JournalError::NotWritten(_))));
    }
    assert!(journal.append_soon(&noted("kept for later")));
    assert_eq!(journal.head().seq, acknowledged);
    std::fs::remove_file(&ballast).unwrap();
    let seq = journal.append(&noted("room again")).await.unwrap();
    assert_eq!(seq, acknowledged + 2);
    assert_eq!(journal.stats().failing, None);
    journal.close().await;
    let report = verify(&path, &[]).unwrap();
    assert_eq!((report.entries, report.fault), (seq + 1, None));
}

#[tokio::test]
async fn a_full_queue_refuses_after_the_wait_and_drops_what_nobody_waits_for() {
    let (_folder, path) = folder();
    let small = JournalSettings { queue: 16, wait_ms: 50, ..settings() };
    let (journal, _) = Journal::open(&path, &small).unwrap();
    // Another program holds the write lock: the writer waits for it, and the queue fills.
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let soon = (0..20).filter(|_| journal.append_soon(&noted("soon"))).count();
    assert_eq!(soon, 8, "half of the queue");
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let journal = journal.clone();
        waiting.spawn(async move { journal.append(&noted("waits")).await });
    }
    let mut busy = 0;
    while busy < 4 {
        if let Err(JournalError::TooBusy { waited_ms: 50 }) = waiting.join_next().await.unwrap().unwrap() {
            busy += 1;
        }
    }
    assert_eq!(journal.stats().queued, 16);
    other.execute_batch("COMMIT").unwrap();
    while let Some(result) = waiting.join_next().await {
        result.unwrap().unwrap();
    }
    journal.append(&noted("room again")).await.unwrap();
    let stats = journal.stats();
    assert_eq!((stats.too_busy, stats.dropped, stats.queued), (4, 12, 0));
    assert_eq!(journal.head().seq, 1 + 8 + 8 + 1);
}

#[tokio::test]
async fn closing_writes_what_is_queued_and_refuses_the_rest() {
    let (_folder, path) = folder();
    let (journal, _) = Journal::open(&path, &settings()).unwrap();
    for _ in 0..1000 {
        assert!(journal.append_soon(&noted("queued")));
    }
    journal.close().await;
    assert!(matches!(journal.append(&noted("late")).await, Err(JournalError::Closed)));
    assert!(!journal.append_soon(&noted("late")));
    let report = verify(&path, &[]).unwrap();
    assert_eq!((report.entries, report.fault), (1002, None));
}

const CHILD: &str = "PRIMRACK_TEST_JOURNAL";

/// Not a test by itself: what the next test starts and kills. Appends without end from 16 tasks and prints
/// the number of every intent it was told is durable.
#[tokio::test]
#[ignore = "run by a_kill_loses_nothing_that_was_acknowledged in a process of its own"]
async fn child_that_appends_until_killed() {
    let path = PathBuf::from(std::env::var_os(CHILD).expect("the parent names the journal"));
    let (journal, _) = Journal::open(&path, &settings()).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..16 {
        let journal = journal.clone();
        tasks.spawn(async move {
            for event in 0.. {
                let decision = decision(Some(origin(&format!("rack-{task}-{}", std::process::id()), event)));
                let intent = decision.intent().unwrap();
                let seq = journal.append(&decision).await.unwrap();
                println!("accepted {seq} {intent}");
                if event % 3 != 0 {
                    journal.append(&ended(&decision)).await.unwrap();
                    println!("ended {seq} {intent}");
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

#[tokio::test]
async fn a_kill_loses_nothing_that_was_acknowledged() {
    let (_folder, path) = folder();
    let mut accepted: HashMap<IntentId, u64> = HashMap::new();
    let mut finished: HashSet<IntentId> = HashSet::new();
    for round in 1..=3u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "journal::tests::child_that_appends_until_killed", "--ignored", "--nocapture"])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for (n, line) in lines.map_while(Result::ok).enumerate() {
            if n == 2000 {
                child.kill().unwrap();
            }
            let words: Vec<&str> = line.split(' ').collect();
            // A line may be cut by the kill; a whole one is a promise.
            if let [what, seq, intent] = words[..]
                && let (Ok(seq), Ok(intent)) = (seq.parse(), intent.parse())
            {
                match what {
                    "accepted" => drop(accepted.insert(intent, seq)),
                    "ended" => drop(finished.insert(intent)),
                    _ => {}
                }
            }
        }
        child.wait().unwrap();
        assert!(accepted.len() as u64 > 800 * round, "{}", accepted.len());

        let (journal, recovered) = Journal::open(&path, &settings()).unwrap();
        assert_eq!((recovered.boot, recovered.was_closed), (round * 2, false));
        let report = verify(&path, &[]).unwrap();
        assert_eq!(report.fault, None);
        assert_eq!(report.unfinished, recovered.unfinished.len());
        let found: HashMap<IntentId, u64> = Reader::open(&path)
            .unwrap()
            .entries(EntryFilter { kinds: vec![Kind::Decision], ..EntryFilter::default() })
            .map(|record| record.unwrap())
            .map(|record| (record.entry.intent().unwrap(), record.seq))
            .collect();
        let unfinished: HashSet<IntentId> =
            recovered.unfinished.iter().map(|(intent, _)| intent.id).collect();
        for (intent, seq) in &accepted {
            assert_eq!(found.get(intent), Some(seq), "acknowledged and lost");
        }
        assert!(finished.is_disjoint(&unfinished), "an acknowledged end was lost");
        journal.close().await;
    }
}
