//! A folder of a bridge's own: configuration, keys, and an end to whatever was started from it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use primrack_app::rack::Avatar;
use primrack_engine::journal::{Entry, EntryFilter, Reader, VerifyReport, verify};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The secret of key `a` of every object here.
pub const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Who may do everything by [`WORLD`].
pub const OWNER: &str = "11111111-2222-4333-8444-555555555555";

/// The beginning of every configuration here: where things are, callbacks on this machine, one owner.
/// The pace of one object is lifted: tests speak faster than people touch.
pub const WORLD: &str = "
[bridge]
state_dir = 'state'
listen = '127.0.0.1:0'
[world]
callbacks = ['127.0.0.1:*']
requests_per_s = 10000.0
request_burst = 10000.0
[groups]
owners = ['avatar:11111111-2222-4333-8444-555555555555']
";

/// The owner, called Ada Lovelace.
#[must_use]
pub fn owner() -> Avatar {
    Avatar { id: OWNER.into(), name: "Ada Lovelace".into() }
}

/// The folder.
#[derive(Debug)]
pub struct Room {
    folder: TempDir,
}

impl Room {
    /// A folder with this configuration, and key `a` for each of these objects.
    ///
    /// # Panics
    /// When the disk does not play along.
    #[must_use]
    pub fn new<'a>(config: &str, objects: impl IntoIterator<Item = &'a str>) -> Self {
        let room = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(room.config(), config).unwrap();
        let keys: String = objects.into_iter().map(|object| format!("{object} a {SECRET}\n")).collect();
        fs::write(room.at("world.keys"), keys).unwrap();
        fs::set_permissions(room.at("world.keys"), fs::Permissions::from_mode(0o600)).unwrap();
        room
    }
    /// The configuration's file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.at("primrack.toml")
    }
    /// A file in the folder.
    #[must_use]
    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    /// The journal.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.at("state/journal.sqlite")
    }

    /// Everything in the journal, oldest first. The bridge may be at work meanwhile.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let reader = Reader::open(&self.journal()).unwrap();
        reader.entries(EntryFilter::default()).map(|record| record.unwrap().entry).collect()
    }
    /// The check of the whole chain.
    ///
    /// # Panics
    /// When the journal cannot be opened.
    #[must_use]
    pub fn verify(&self) -> VerifyReport {
        verify(&self.journal(), &[]).unwrap()
    }

    /// The processes that bear the mark of a machine whose state is in `<folder>/<state>`.
    #[must_use]
    pub fn processes(&self, state: &str, machine: &str) -> Vec<Pid> {
        let Ok(folder) = self.at(state).canonicalize() else { return Vec::new() };
        let mark = format!("PRIMRACK_MACHINE={}/{machine}", folder.display());
        marked(|pair| pair == mark.as_bytes())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let Ok(folder) = self.folder.path().canonicalize() else { return };
        let mark = format!("PRIMRACK_MACHINE={}/", folder.display());
        for pid in marked(|pair| pair.starts_with(mark.as_bytes())) {
            // It may have ended by itself meanwhile.
            kill_process(pid, Signal::KILL).ok();
        }
    }
}

fn marked(is_ours: impl Fn(&[u8]) -> bool) -> Vec<Pid> {
    let entries = fs::read_dir(Path::new("/proc")).unwrap().flatten();
    entries
        .filter_map(|entry| {
            let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
            let environment = fs::read(entry.path().join("environ")).ok()?;
            environment.split(|byte| *byte == 0).any(&is_ours).then_some(pid)
        })
        .collect()
}
