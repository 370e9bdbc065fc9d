//! Machines that were made here: `clones/<name>.json` in the state folder has the configuration of one, and
//! `clones/<name>.<number>.<format>` its disks. Nothing outside that folder is ever removed.
//!
//! A disk is copied as a whole, by `qemu-img`. A file that only holds the difference would be quicker, and
//! spoilt as soon as the original is written to again, which is its owner's to decide.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use primrack_adapter_api::AdapterError;

use crate::config::check_name;
use crate::local::{Folder, read_json, write_json};

use super::adapter::Inner;
use super::machine::Machine;
use super::snapshot::image;
use super::{DiskConfig, MachineConfig, launch};

/// How many clones are taken note of.
const MOST: usize = 1000;
/// How long copying a disk may take.
const COPYING: Duration = Duration::from_secs(3600);

fn folder_of(folder: &Folder) -> PathBuf {
    folder.path().join("clones")
}

/// The machines that were made here, by name.
pub(super) async fn read(folder: &Folder) -> Result<BTreeMap<String, MachineConfig>, AdapterError> {
    let folder = folder_of(folder);
    let read = tokio::task::spawn_blocking(move || {
        let mut clones = BTreeMap::new();
        let Ok(entries) = fs::read_dir(&folder) else { return clones };
        for entry in entries.flatten().take(8 * MOST) {
            let file = entry.file_name();
            let Some(name) = file.to_str().and_then(|name| name.strip_suffix(".json")) else { continue };
            if check_name("clones", name).is_ok()
                && clones.len() < MOST
                && let Some(config) = read_json(&entry.path())
            {
                clones.insert(name.to_owned(), config);
            }
        }
        clones
    });
    read.await.map_err(|_| AdapterError::Unreachable("the bridge is ending".to_owned()))
}

impl Inner {
    /// Makes another machine like it, which is off.
    pub(super) async fn clone_of(
        self: &Arc<Self>,
        machine: &Arc<Machine>,
        is_saved: bool,
    ) -> Result<(), AdapterError> {
        if machine.handle().is_some() || is_saved {
            let words = "its disks can only be copied while it is off: shut it down first";
            return Err(AdapterError::Refused(format!("{}: {words}", machine.name)));
        }
        let home = self.home().await?;
        let folder = folder_of(&home.folder);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(|why| refused(&why))?;
        let name = {
            let machines = self.machines.lock();
            if machines.len() >= MOST {
                return Err(AdapterError::Refused(format!("there are {MOST} machines already")));
            }
            let mut names = (1..=MOST + 1).map(|number| format!("{}-clone-{number}", machine.name));
            names.find(|name| {
                !machines.contains_key(name.as_str()) && !folder.join(format!("{name}.json")).exists()
            })
        };
        let name = name.filter(|name| check_name("clones", name).is_ok()).ok_or_else(|| {
            AdapterError::Refused(format!("no name is left for a clone of {}", machine.name))
        })?;
        let mut config = machine.config.clone();
        if !config.label.is_empty() {
            config.label = format!("{} (clone)", config.label);
        }
        let made = async {
            for (number, disk) in config.disks.iter_mut().enumerate() {
                // A name of a format is checked to be a word.
                let file = folder.join(format!("{name}.{number}.{}", disk.format));
                let from = disk.file.to_string_lossy().into_owned();
                let (source, target) = (disk.format.clone(), disk.format.clone());
                image(&["convert", "-f", &source, "-O", &target, &from], &file, COPYING).await?;
                *disk = DiskConfig { file, format: target };
            }
            let file = folder.join(format!("{name}.json"));
            let written = config.clone();
            let write = tokio::task::spawn_blocking(move || write_json(&file, &written));
            write
                .await
                .map_err(|why| AdapterError::Unreachable(why.to_string()))?
                .map_err(|why| refused(&why))?;
            self.add(home, Arc::new(Machine::new(&name, config.clone(), true)))
        };
        let made = made.await;
        if made.is_err() {
            remove(&folder, &name).await;
        }
        made
    }

    /// Removes a machine that was made here, with its disks, records and logs.
    pub(super) async fn delete(
        self: &Arc<Self>,
        machine: &Arc<Machine>,
        is_saved: bool,
    ) -> Result<(), AdapterError> {
        if !machine.is_clone {
            return Err(AdapterError::Refused(format!(
                "{} is in the configuration: remove it there; its disks are yours",
                machine.name
            )));
        }
        if machine.handle().is_some() || is_saved {
            return Err(AdapterError::Refused(format!("{} is not off", machine.name)));
        }
        let home = self.home().await?;
        let place = home.place(machine)?;
        remove(&folder_of(&home.folder), &machine.name).await;
        let log = place.logs.path(&machine.name);
        let messages = place.logs.path(&launch::messages(&machine.name));
        for file in [&log, &messages] {
            for suffix in ["log", "old", "cut"] {
                gone(&with_suffix(file, suffix)).await;
            }
        }
        for suffix in ["json", "held", "pid", "qmp", "operator.qmp"] {
            gone(&home.folder.file(&machine.name, suffix)).await;
        }
        self.machines.lock().remove(&machine.name);
        home.forget(machine);
        Ok(())
    }
}

fn refused(why: &std::io::Error) -> AdapterError {
    AdapterError::Refused(format!("the clone cannot be written: {why}"))
}

/// The log's path with another end: a machine's name may hold dots.
fn with_suffix(log: &Path, suffix: &str) -> PathBuf {
    let mut path = log.to_owned();
    path.set_extension(suffix);
    path
}

/// Removes a clone's configuration first, so that half a clone is never listed, then its disks.
async fn remove(folder: &Path, name: &str) {
    gone(&folder.join(format!("{name}.json"))).await;
    let Ok(mut entries) = tokio::fs::read_dir(folder).await else { return };
    while let Ok(Some(entry)) = entries.next_entry().await {
        let file = entry.file_name();
        // `a.1` is a machine of its own beside `a`: only <name>.<number>.<format> is a disk of it.
        let is_its =
            file.to_str().and_then(|file| file.strip_prefix(name)?.strip_prefix('.')).is_some_and(|rest| {
                rest.split_once('.').is_some_and(|(number, format)| {
                    number.bytes().all(|b| b.is_ascii_digit()) && format != "json" && !format.contains('.')
                })
            });
        if is_its {
            gone(&entry.path()).await;
        }
    }
}

async fn gone(file: &Path) {
    if let Err(why) = tokio::fs::remove_file(file).await
        && why.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(file = %file.display(), %why, "it cannot be removed");
    }
}
