//! Logs that machines write by themselves, kept small and searched for the line that says "ready".
//!
//! A machine writes straight into its file, so that it goes on when the bridge does not. The file is
//! opened for appending: it can be cut while it is written. One inotify watch on the folder tells of
//! all of them. A flood is looked at every [`PAUSE`], so a file may pass its limit by what is written
//! in that time; while no bridge runs, nobody cuts.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use primrack_adapter_api::AdapterError;
use rustix::fs::inotify;
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::folder::private_file;
use super::handle::awaited;

/// How long events are gathered before files are looked at.
const PAUSE: Duration = Duration::from_millis(20);
/// How much of a log is a console's: with replaced characters still below 64 KiB.
const CONSOLE: u64 = 16 << 10;
/// The longest line that is searched whole.
const LINE: usize = 4096;

/// The logs of one adapter.
#[derive(Debug)]
pub(crate) struct Logs {
    folder: PathBuf,
    limit: u64,
    entries: Mutex<HashMap<String, Arc<Mutex<Entry>>>>,
}

#[derive(Debug)]
struct Entry {
    offset: u64,
    line: Option<String>,
    /// What has been read of a line that is not complete.
    rest: Vec<u8>,
    found: Option<oneshot::Sender<()>>,
}

impl Logs {
    /// Watches a folder until `stop`. A file that grows beyond `limit` bytes is cut; its latest quarter
    /// is kept beside it as `.cut`.
    pub(crate) fn open(folder: PathBuf, limit: u64, stop: CancellationToken) -> io::Result<Arc<Self>> {
        let events = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)?;
        inotify::add_watch(&events, &folder, inotify::WatchFlags::MODIFY)?;
        let events = awaited(events)?;
        let logs = Arc::new(Self { folder, limit, entries: Mutex::default() });
        tokio::spawn(Arc::clone(&logs).watch(events, stop));
        Ok(logs)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    /// A fresh file for a new run; that of the run before becomes `.old`. Touches the disk.
    pub(crate) fn fresh(&self, name: &str) -> io::Result<File> {
        let path = self.path(name);
        match fs::rename(&path, path.with_extension("old")) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
            Ok(()) | Err(_) => {}
        }
        private_file(&path)
    }

    /// Takes care of a log from now on, and searches what was written from `offset` on for `line`.
    pub(crate) fn follow(
        self: &Arc<Self>,
        name: &str,
        line: Option<&str>,
        offset: u64,
    ) -> oneshot::Receiver<()> {
        let (found, receiver) = oneshot::channel();
        let entry = Entry { offset, line: line.map(str::to_owned), rest: Vec::new(), found: Some(found) };
        self.entries.lock().insert(name.to_owned(), Arc::new(Mutex::new(entry)));
        let (logs, name) = (Arc::clone(self), name.to_owned());
        // What was written before nobody told of.
        tokio::task::spawn_blocking(move || logs.look(&name));
        receiver
    }

    async fn watch(self: Arc<Self>, events: AsyncFd<OwnedFd>, stop: CancellationToken) {
        loop {
            let names = tokio::select! {
                () = stop.cancelled() => return,
                guard = events.readable() => match guard {
                    Ok(mut guard) => {
                        let names = self.drain(events.get_ref());
                        guard.clear_ready();
                        names
                    }
                    Err(_) => return,
                },
            };
            if !names.is_empty() {
                let logs = Arc::clone(&self);
                let looked = tokio::task::spawn_blocking(move || {
                    for name in names {
                        logs.look(&name);
                    }
                });
                if looked.await.is_err() {
                    tracing::error!(folder = %self.folder.display(), "looking at the logs failed inside");
                }
                // Not waiting for anything: one look per moment however fast they write.
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Whose files were written to.
    fn drain(&self, events: &OwnedFd) -> HashSet<String> {
        let mut names = HashSet::new();
        let mut buffer = [MaybeUninit::uninit(); 8192];
        let mut reader = inotify::Reader::new(events, &mut buffer);
        loop {
            match reader.next() {
                Ok(event) if event.events().contains(inotify::ReadFlags::QUEUE_OVERFLOW) => {
                    names.extend(self.entries.lock().keys().cloned());
                }
                Ok(event) => {
                    let file = event.file_name().and_then(|name| name.to_str().ok());
                    if let Some(name) = file.and_then(|name| name.strip_suffix(".log"))
                        && self.entries.lock().contains_key(name)
                    {
                        names.insert(name.to_owned());
                    }
                }
                Err(Errno::INTR) => {}
                Err(_) => return names,
            }
        }
    }

    fn look(&self, name: &str) {
        let Some(entry) = self.entries.lock().get(name).cloned() else { return };
        let path = self.path(name);
        if let Err(why) = entry.lock().look(&path, self.limit)
            && why.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %why, "a log cannot be looked at");
        }
    }
}

impl Entry {
    fn look(&mut self, path: &Path, limit: u64) -> io::Result<()> {
        let mut file = File::options().read(true).write(true).open(path)?;
        let length = file.metadata()?.len();
        if length < self.offset {
            self.offset = 0;
            self.rest.clear();
        }
        if let Some(line) = self.line.clone() {
            if length - self.offset > 4 * limit {
                // A flood: the line would drown in it, and reading all of it would take for ever.
                self.offset = length - 4 * limit;
                self.rest.clear();
            }
            file.seek(SeekFrom::Start(self.offset))?;
            let mut chunk = [0; 16 * 1024];
            while self.offset < length {
                let count = file.read(&mut chunk)?;
                if count == 0 {
                    break;
                }
                self.offset += count as u64;
                if self.search(&chunk[..count], line.as_bytes()) {
                    self.line = None;
                    self.rest = Vec::new();
                    if let Some(found) = self.found.take() {
                        // Whoever asked may have gone.
                        found.send(()).ok();
                    }
                    break;
                }
            }
        }
        if length > limit {
            let keep = limit / 4;
            file.seek(SeekFrom::Start(length - keep))?;
            let mut latest = Vec::new();
            file.by_ref().take(keep).read_to_end(&mut latest)?;
            let cut = path.with_extension("cut");
            fs::write(cut, latest)?;
            file.set_len(0)?;
            self.offset = 0;
        }
        Ok(())
    }

    /// Whether a line with the text is among the new bytes and what was left of the ones before.
    fn search(&mut self, bytes: &[u8], text: &[u8]) -> bool {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(part);
            if contains(&self.rest, text) {
                return true;
            }
            if part.ends_with(b"\n") {
                self.rest.clear();
            } else if self.rest.len() > LINE {
                // Keeps what may be the beginning of the text.
                self.rest.drain(..self.rest.len() - text.len().min(LINE));
            }
        }
        false
    }
}

/// The last part of a log, as it was written: what a console shows.
pub(crate) async fn tail(path: PathBuf) -> Result<String, AdapterError> {
    let read = tokio::task::spawn_blocking(move || {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(CONSOLE)))?;
        let mut bytes = Vec::new();
        file.take(CONSOLE).read_to_end(&mut bytes)?;
        Ok::<_, io::Error>(bytes)
    });
    match read.await {
        // The first character may be cut: then a replacement stands for it, which is longer.
        Ok(Ok(bytes)) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Ok(Err(why)) if why.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Ok(Err(why)) => Err(AdapterError::Unreachable(format!("its log cannot be read: {why}"))),
        Err(_) => Err(AdapterError::Unreachable("the bridge is ending".to_owned())),
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && haystack.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn entry(line: &str) -> Entry {
        Entry { offset: 0, line: Some(line.into()), rest: Vec::new(), found: None }
    }

    #[test]
    fn a_line_is_found_across_pieces() {
        let mut entry = entry("READY");
        assert!(!entry.search(b"not yet\nREA", b"READY"));
        assert!(entry.search(b"DY at last\n", b"READY"));
    }

    #[test]
    fn an_endless_line_is_not_kept() {
        let mut entry = entry("READY");
        for _ in 0..100 {
            assert!(!entry.search(&[b'x'; 1000], b"READY"));
        }
        assert!(entry.rest.len() < 2 * LINE);
        assert!(entry.search(b"REREADY", b"READY"));
    }

    #[tokio::test]
    async fn a_flood_is_cut_and_its_latest_part_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let stop = CancellationToken::new();
        let logs = Logs::open(folder.path().to_owned(), 40_000, stop.clone()).unwrap();
        let mut file = logs.fresh("a").unwrap();
        let found = logs.follow("a", Some("needle"), 0);
        for number in 0..5_000 {
            writeln!(file, "line {number} of a flood").unwrap();
        }
        writeln!(file, "the needle").unwrap();
        found.await.unwrap();
        let small = async {
            while fs::metadata(logs.path("a")).unwrap().len() > 40_000 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), small).await.expect("it is cut");
        let kept = fs::read_to_string(logs.path("a").with_extension("cut")).unwrap();
        assert!(kept.len() <= 10_000 && kept.contains("of a flood"));
        stop.cancel();
    }
}
