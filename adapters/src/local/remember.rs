//! How a machine's process is started so that it is found again, and never started twice.
//!
//! Three things name a running machine: its record (pid and start time, written right after the start),
//! a lock that it holds itself (its standard input is an empty file under flock(2), and the lock lives
//! as long as the process does), and a word in its environment. A bridge that dies between the start
//! and the record leaves the lock and the word: the next one sees the lock and finds the process.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use primrack_model::{IntentId, Observation};
use rustix::event::{Timespec, poll};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::folder::{read_json, write_json};
use super::handle::spawn;
use super::procfs::{boot_id, marked};
use super::{Folder, Handle};

/// The word in a machine's environment that leads back to its adapter.
pub(crate) const MARK: &str = "PRIMRACK_MACHINE";

/// How long what an earlier bridge left may take to show its mark (it is between fork and exec).
const MARKING: Duration = Duration::from_millis(500);
/// How long a killed process may take to go.
const REMNANT: Duration = Duration::from_secs(1);
/// How long what cannot be found may hold a machine's lock after its end.
const LINGERING: Duration = Duration::from_secs(3);

/// What passes from the bridge's environment.
const PASSED_ON: [&str; 6] = ["PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR"];

/// A command with as little of the bridge's environment as programs need.
pub(crate) fn clean_command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs(PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command
}

/// What is remembered of a machine.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The run under way.
    #[serde(default)]
    pub(crate) run: Option<Run>,
    /// How the last one ended.
    #[serde(default)]
    pub(crate) ended: Option<Observation>,
}

/// One run of a machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) pid: i32,
    /// In clock ticks since the machine started.
    pub(crate) started: u64,
    /// The boot it belongs to.
    pub(crate) boot: String,
    /// Unix time in milliseconds.
    pub(crate) since_ms: u64,
    /// Whether it was ready.
    pub(crate) ready: bool,
    /// Where in its log this boot begins.
    #[serde(default)]
    pub(crate) log_from: u64,
    /// Whether it is held by its own kernel, which nobody can see from outside.
    #[serde(default)]
    pub(crate) paused: bool,
    /// What it was started for; absent if it was found by its mark only.
    pub(crate) intent: Option<IntentId>,
}

impl Run {
    pub(crate) fn of(handle: &Handle, since: SystemTime, intent: Option<IntentId>) -> Self {
        let since = since.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            pid: handle.pid(),
            started: handle.started(),
            boot: boot_id(),
            since_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            ready: false,
            log_from: 0,
            paused: false,
            intent,
        }
    }
    pub(crate) fn since(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.since_ms)
    }
}

/// The files of one machine. Every function touches the disk: not for a runtime thread.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    pub(crate) name: String,
    record: PathBuf,
    lock: PathBuf,
    /// The value of [`MARK`].
    mark: String,
}

/// What an earlier bridge left of a machine.
pub(crate) enum Left {
    Running(Handle),
    /// Its lock is held, but the process has no mark (yet), or only what it left behind has.
    Something,
    Nothing,
}

/// What a start found.
pub(crate) enum Started {
    /// It runs now.
    New(Handle),
    /// It ran already.
    Found(Handle),
}

impl Files {
    pub(crate) fn new(folder: &Folder, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            record: folder.file(name, "json"),
            lock: folder.file(name, "held"),
            mark: folder.path().join(name).display().to_string(),
        }
    }

    fn read(&self) -> Record {
        read_json(&self.record).unwrap_or_default()
    }
    pub(crate) fn write(&self, record: &Record) -> io::Result<()> {
        write_json(&self.record, record)
    }

    /// Writes a record without holding up the runtime. That it cannot be written is no reason to end a
    /// machine: its lock and mark lead back to it.
    pub(crate) async fn note(&self, record: Record) {
        let files = self.clone();
        let written = tokio::task::spawn_blocking(move || {
            if let Err(why) = files.write(&record) {
                tracing::warn!(machine = files.name, %why, "the record cannot be written");
            }
        });
        if written.await.is_err() {
            tracing::error!("writing a record failed inside");
        }
    }

    /// Notes whether the run under way is held.
    pub(crate) async fn note_paused(&self, pid: i32, paused: bool) {
        let files = self.clone();
        let record = tokio::task::spawn_blocking(move || files.read()).await.unwrap_or_default();
        if let Some(run) = record.run.filter(|run| run.pid == pid) {
            self.note(Record { run: Some(Run { paused, ..run }), ended: record.ended }).await;
        }
    }

    /// Reads the record and looks for what an earlier bridge left, a little longer where something is
    /// there without a mark.
    pub(crate) async fn left(&self) -> Result<(Record, Left), String> {
        let patience = Instant::now() + MARKING;
        loop {
            let files = self.clone();
            let found = tokio::task::spawn_blocking(move || {
                let record = files.read();
                let left = files.find(&record)?;
                Ok::<_, io::Error>((record, left))
            });
            match found.await {
                Ok(Ok((_, Left::Something))) if Instant::now() < patience => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Ok(Ok(found)) => return Ok(found),
                Ok(Err(why)) => return Err(format!("the state of {} cannot be read: {why}", self.name)),
                Err(why) => return Err(format!("looking for {} failed inside: {why}", self.name)),
            }
        }
    }

    /// Finds a machine that was left running: by its record, else by its lock and mark.
    fn find(&self, record: &Record) -> io::Result<Left> {
        if let Some(run) = &record.run
            && run.boot == boot_id()
            && let Some(handle) = Handle::open(run.pid, Some(run.started))?
            && !handle.is_over()
        {
            return Ok(Left::Running(handle));
        }
        if self.try_lock()?.is_some() {
            return Ok(Left::Nothing);
        }
        Ok(self.find_marked()?.map_or(Left::Something, Left::Running))
    }

    /// Starts the process, unless it runs. `command` is made only when it does not; its standard input
    /// and its mark are set here.
    pub(crate) fn start(&self, command: impl FnOnce() -> io::Result<Command>) -> io::Result<Started> {
        let held = match self.try_lock()? {
            Some(held) => held,
            None => {
                if let Some(handle) = self.find_marked()? {
                    return Ok(Started::Found(handle));
                }
                // The first process is gone and something it left behind holds the lock.
                self.end_remnants();
                self.lock_soon()?.ok_or_else(|| {
                    io::Error::other(format!(
                        "something of its last run still holds {} and cannot be found: see `fuser {0}`",
                        self.lock.display()
                    ))
                })?
            }
        };
        let mut command = command()?;
        let program = command.get_program().to_string_lossy().into_owned();
        command.env(MARK, &self.mark).stdin(held);
        let pid = spawn(command).map_err(|why| {
            io::Error::other(format!(
                "{program:?} cannot be started ({why}): is it there, and may it be run?"
            ))
        })?;
        // It is our child and nobody has waited for it: the pid cannot mean another process.
        let handle = Handle::open(pid, None)?.ok_or_else(|| io::Error::other("it ended at once"))?;
        Ok(Started::New(handle))
    }

    /// The lock that a running machine holds; `None` if one does.
    fn try_lock(&self) -> io::Result<Option<File>> {
        let file = File::options().read(true).append(true).create(true).mode(0o600).open(&self.lock)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(why) => Err(why.into()),
        }
    }

    /// The lock, once what was killed is gone: that takes it a moment, and not all that a run leaves shows
    /// its mark (the processes of a User-mode Linux guest have none). Blocks.
    fn lock_soon(&self) -> io::Result<Option<File>> {
        let patience = Instant::now() + LINGERING;
        loop {
            match self.try_lock()? {
                None if Instant::now() < patience => {
                    // Waits for nothing but the time: a lock has no event, and the thread may block.
                    poll(&mut [], Some(&Timespec { tv_sec: 0, tv_nsec: 20_000_000 })).ok();
                }
                held => return Ok(held),
            }
        }
    }

    /// The machine's first process: marked, and the leader of its session.
    fn find_marked(&self) -> io::Result<Option<Handle>> {
        for (pid, stat) in marked(MARK, &self.mark) {
            if stat.session == pid
                && let Some(handle) = Handle::open(pid, Some(stat.started))?
            {
                return Ok(Some(handle));
            }
        }
        Ok(None)
    }

    fn end_remnants(&self) {
        for (pid, stat) in marked(MARK, &self.mark) {
            if let Ok(Some(handle)) = Handle::open(pid, Some(stat.started))
                && (handle.signal(rustix::process::Signal::KILL).is_err() || !handle.over_within(REMNANT))
            {
                tracing::warn!(machine = self.name, pid, "what a run left behind cannot be ended");
            }
        }
    }
}
