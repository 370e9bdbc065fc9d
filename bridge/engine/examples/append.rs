//! How fast is the journal, and how much of that is SQLite and the disk?
//!
//! ```text
//! cargo run --release -p primrack-engine --example append -- [seconds per run] [appenders] [folder]
//! ```
//!
//! Measures two ways to make the same decisions durable, in turns, three times each, in one folder (put it
//! on the disk in question; the default is the system's temporary folder, which may be memory):
//!
//! - `journal`: [`Journal::append`] from concurrent tasks: encoded, queued, checked against earlier events,
//!   hashed, inserted, committed in groups, acknowledged when durable; the derived tables written too.
//! - `bare`: the same bodies, encoded beforehand, into a table `(seq, at, kind, body, hash)` by one thread
//!   with the same group commit, the same pragmas and a waiting task for each row. No hash chain, no origins.
//!
//! Prints entries per second, the median and 99th percentile of the wait, and the process's CPU time for one
//! entry, then the medians and their ratio. The appenders run on the same cores and are part of the CPU time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use primrack_engine::journal::{Decision, Entry, Journal, JournalSettings, PolicyNote};
use primrack_model::{
    Action, Actor, ActorKind, Edge, Intent, IntentId, ObjectId, OriginKey, Receipt, TargetId, UnixMs,
    Verdict, Via,
};
use rusqlite::{Connection, params};
use tokio::sync::oneshot;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// One run of one way.
struct Figures {
    per_second: f64,
    cpu_us: f64,
    p50: Duration,
    p99: Duration,
}

#[expect(clippy::print_stdout, reason = "a measurement for people to read")]
#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let seconds: u64 = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let appenders: usize = arguments.next().map_or(Ok(64), |text| text.parse())?;
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::Builder::new().prefix("primrack-append-").tempdir_in(folder)?;
    let time = Duration::from_secs(seconds);
    println!("{appenders} appenders, {seconds} s a run, in {}", folder.path().display());

    let (mut journal, mut bare) = (Vec::new(), Vec::new());
    for turn in 0..3 {
        let figures = run_bare(&folder.path().join(format!("bare-{turn}.db")), time, appenders).await?;
        show("bare", &figures);
        bare.push(figures.per_second);
        let figures = run_journal(&folder.path().join(format!("journal-{turn}.db")), time, appenders).await?;
        show("journal", &figures);
        journal.push(figures.per_second);
    }
    let (journal, bare) = (median(journal), median(bare));
    println!("median: journal {journal:.0}/s, bare {bare:.0}/s, ratio {:.2}", journal / bare);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a measurement for people to read")]
fn show(name: &str, figures: &Figures) {
    let Figures { per_second, cpu_us, p50, p99 } = figures;
    println!(
        "{name:8} {per_second:>8.0}/s   wait p50 {:>6} us, p99 {:>6} us   CPU {cpu_us:>5.1} us an entry",
        p50.as_micros(),
        p99.as_micros()
    );
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// CPU time of this process so far, in microseconds (Linux, 100 ticks a second).
fn cpu_us() -> Result<f64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after = stat.rsplit_once(')').ok_or("no command in /proc/self/stat")?.1;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks * 10_000.0)
}

/// An accepted touch on one of 40 units, as the engine records it.
fn decision(source: usize, event: u64) -> Result<Entry, Failure> {
    let target = TargetId::new(format!("web-{}", event % 40))?;
    let intent = Intent {
        id: IntentId::now(),
        actor: Actor::new(ActorKind::Avatar, "6d0e9f3c-5a3e-4b0e-9e0b-6a4f6d1b2c3d", "Ada Resident"),
        action: Action::Start,
        target: target.clone(),
        via: Via { edge: Edge::World, object: Some(ObjectId::new(format!("rack-{source}"))?), unit: Some(3) },
        origin: Some(OriginKey { source: format!("rack-{source}").into(), event: event.to_string().into() }),
        at: UnixMs::now(),
    };
    let receipt = Receipt {
        intent: intent.id,
        target,
        action: Action::Start,
        verdict: Verdict::Accepted,
        words: "Starting the web server".to_owned(),
        at: intent.at,
    };
    let policy = PolicyNote { version: "3f9a".into(), determining: vec!["starter-0".into()] };
    Ok(Entry::Decision(Box::new(Decision { intent, receipt, policy, part_of: None, plan: Vec::new() })))
}

/// Runs `appenders` tasks that each call `append` again as soon as it returned, and reads the clocks.
async fn drive<A, F>(time: Duration, appenders: usize, append: A) -> Result<Figures, Failure>
where
    A: Fn(usize, u64) -> F + Clone + Send + 'static,
    F: Future<Output = Result<(), Failure>> + Send,
{
    let done = Arc::new(AtomicU64::new(0));
    let (cpu, begun) = (cpu_us()?, Instant::now());
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..appenders {
        let (append, done) = (append.clone(), Arc::clone(&done));
        tasks.spawn(async move {
            let mut waits = Vec::new();
            for event in 0.. {
                if begun.elapsed() >= time {
                    break;
                }
                let asked = Instant::now();
                append(task, event).await?;
                waits.push(asked.elapsed());
                done.fetch_add(1, Relaxed);
            }
            Ok::<_, Failure>(waits)
        });
    }
    let mut waits = Vec::new();
    while let Some(finished) = tasks.join_next().await {
        waits.extend(finished??);
    }
    let (took, cpu) = (begun.elapsed().as_secs_f64(), cpu_us()? - cpu);
    waits.sort_unstable();
    let all = done.load(Relaxed) as f64;
    Ok(Figures {
        per_second: all / took,
        cpu_us: cpu / all,
        p50: waits[waits.len() / 2],
        p99: waits[waits.len() * 99 / 100],
    })
}

async fn run_journal(path: &Path, time: Duration, appenders: usize) -> Result<Figures, Failure> {
    let (journal, _) = Journal::open(path, &JournalSettings::default())?;
    let appending = journal.clone();
    let figures = drive(time, appenders, move |task, event| {
        let journal = appending.clone();
        async move {
            journal.append(&decision(task, event)?).await?;
            Ok(())
        }
    })
    .await?;
    journal.close().await;
    Ok(figures)
}

type Row = (Arc<str>, oneshot::Sender<()>);

async fn run_bare(path: &Path, time: Duration, appenders: usize) -> Result<Figures, Failure> {
    let mut db = Connection::open(path)?;
    db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.execute_batch(
        "CREATE TABLE bare (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind INTEGER NOT NULL, body TEXT NOT NULL, hash BLOB NOT NULL) STRICT",
    )?;
    let (rows, mut queued) = tokio::sync::mpsc::channel::<Row>(8192);
    let writer = std::thread::spawn(move || -> rusqlite::Result<()> {
        let mut batch = Vec::new();
        while queued.blocking_recv_many(&mut batch, 8192) > 0 {
            let tx = db.transaction()?;
            {
                let mut insert =
                    tx.prepare_cached("INSERT INTO bare (at, kind, body, hash) VALUES (?1, ?2, ?3, ?4)")?;
                for (body, _) in &batch {
                    insert.execute(params![1_195_776_000_123_i64, 2, body, [0u8; 32]])?;
                }
            }
            tx.commit()?;
            for (_, waiter) in batch.drain(..) {
                let _delivered = waiter.send(());
            }
        }
        Ok(())
    });
    let body: Arc<str> = serde_json::to_string(&decision(7, 1234)?)?.into();
    let figures = drive(time, appenders, move |_, _| {
        let (rows, body) = (rows.clone(), Arc::clone(&body));
        async move {
            let (waiter, durable) = oneshot::channel();
            rows.send((body, waiter)).await?;
            durable.await?;
            Ok(())
        }
    })
    .await?;
    writer.join().map_err(|_| "the bare writer panicked")??;
    Ok(figures)
}
