//! What discovery has found, kept over restarts: a machine that is not listed any more is known as gone.

use std::collections::{BTreeMap, HashSet};
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use primrack_adapter_api::Found;
use primrack_model::{Address, BackendId, UnixMs};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::rule::Rule;

/// The file in the state folder.
pub const FILE: &str = "discovered.json";
/// The longest such file that is read.
const FILE_MAX: u64 = 64 * 1024 * 1024;
/// The longest name that is kept for people.
const LABEL: usize = 120;

/// One machine that a backend had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// A name for people.
    pub label: SmolStr,
    /// Its tags at the backend.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<SmolStr>,
    /// The host that it runs on.
    #[serde(default, skip_serializing_if = "SmolStr::is_empty")]
    pub host: SmolStr,
    /// Its place among the machines of its backend: those found earlier come first.
    pub number: u64,
    /// Since when its backend has it no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<UnixMs>,
}

impl Machine {
    fn found(&self, address: &Address) -> Found {
        let (label, tags, host) = (self.label.to_string(), self.tags.clone(), self.host.clone());
        Found { label, tags, host, ..Found::of(address.clone()) }
    }
}

/// All of them, by backend and address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    machines: BTreeMap<BackendId, BTreeMap<SmolStr, Machine>>,
    next: u64,
}

impl Memory {
    /// The machines of a backend by address.
    pub fn of(&self, backend: &BackendId) -> impl Iterator<Item = (Address, &Machine)> {
        let machines = self.machines.get(backend).into_iter().flatten();
        machines.map(|(address, machine)| (Address(address.clone()), machine))
    }
    /// The machine at an address.
    #[must_use]
    pub fn get(&self, backend: &BackendId, address: &Address) -> Option<&Machine> {
        self.machines.get(backend)?.get(&address.0)
    }

    /// What a backend has now: what no rule wants is passed over, what is missing is gone from `now` on, and
    /// forgotten when its time is over. `is_whole` is false where the list was cut: then nothing is missing.
    pub(crate) fn take(
        &mut self,
        backend: &BackendId,
        found: &[Found],
        rules: &[Rule],
        now: UnixMs,
        is_whole: bool,
    ) {
        let rules: Vec<&Rule> = rules.iter().filter(|rule| rule.backend == *backend).collect();
        let mut known = self.machines.remove(backend).unwrap_or_default();
        // By address, so that numbers do not depend on the order of an answer.
        let by_address: BTreeMap<&SmolStr, &Found> =
            found.iter().map(|found| (&found.address.0, found)).collect();
        if is_whole {
            for (address, machine) in &mut known {
                if !by_address.contains_key(address) {
                    machine.gone.get_or_insert(now);
                }
            }
        }
        known.retain(|address, machine| {
            let found = machine.found(&Address(address.clone()));
            let rule = rules.iter().find(|rule| rule.fits(&found));
            let rests = |rule: &Rule| machine.gone.is_none_or(|since| now.0 - since.0 <= rule.forget_ms);
            by_address.contains_key(address) || rule.is_some_and(|rule| rests(rule))
        });
        let room: usize = rules.iter().map(|rule| rule.limit).sum();
        for (address, found) in by_address {
            if !rules.iter().any(|rule| rule.fits(found)) {
                known.remove(address);
                continue;
            }
            if !known.contains_key(address) && known.len() >= room {
                // Those that are gone for longest make room first.
                let oldest = known.iter().filter_map(|(at, it)| Some((it.gone?, at.clone()))).min();
                match oldest {
                    Some((_, oldest)) => known.remove(&oldest),
                    None => {
                        tracing::warn!(%backend, room, "there are more machines than the rules of discovery may bring: raise their limit");
                        break;
                    }
                };
            }
            let number = known.get(address).map(|machine| machine.number).unwrap_or_else(|| {
                self.next += 1;
                self.next
            });
            let label = found.label.chars().filter(|c| !c.is_control()).take(LABEL).collect::<String>();
            let machine = Machine {
                label: if label.is_empty() { address.clone() } else { label.into() },
                tags: found.tags.clone(),
                host: found.host.clone(),
                number,
                gone: None,
            };
            known.insert(address.clone(), machine);
        }
        if !known.is_empty() {
            self.machines.insert(backend.clone(), known);
        }
    }

    /// Forgets what no rule wants any more, and what belongs to backends that are not there.
    pub(crate) fn keep_what_fits(&mut self, rules: &[Rule]) {
        let wanted: HashSet<&BackendId> = rules.iter().map(|rule| &rule.backend).collect();
        self.machines.retain(|backend, machines| {
            machines.retain(|address, machine| {
                let found = machine.found(&Address(address.clone()));
                rules.iter().any(|rule| rule.backend == *backend && rule.fits(&found))
            });
            wanted.contains(backend) && !machines.is_empty()
        });
    }

    /// The rule of a machine.
    pub(crate) fn rule<'a>(
        backend: &BackendId,
        at: &Address,
        it: &Machine,
        rules: &'a [Rule],
    ) -> Option<&'a Rule> {
        let found = it.found(at);
        rules.iter().find(|rule| rule.backend == *backend && rule.fits(&found))
    }

    /// What was kept; nothing where there is no file yet.
    ///
    /// # Errors
    /// Where the file cannot be read or understood.
    pub fn read(state_dir: &Path) -> anyhow::Result<Self> {
        let path = state_dir.join(FILE);
        let shown = path.display();
        let meta = match std::fs::metadata(&path) {
            Ok(meta) => meta,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error).with_context(|| format!("{shown} cannot be read")),
        };
        anyhow::ensure!(
            meta.len() <= FILE_MAX,
            "{shown} is longer than anything this bridge writes: remove it"
        );
        let text = std::fs::read(&path).with_context(|| format!("{shown} cannot be read"))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{shown} is damaged: remove it, and machines are found anew"))
    }

    /// Keeps it: the whole file or the one before.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn write(&self, state_dir: &Path) -> anyhow::Result<()> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let (path, fresh) = (state_dir.join(FILE), state_dir.join(format!("{FILE}.new")));
        let write = || -> std::io::Result<()> {
            let mut file =
                std::fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
            file.write_all(&serde_json::to_vec(self)?)?;
            file.sync_all()?;
            std::fs::rename(&fresh, &path)
        };
        write().with_context(|| format!("{} cannot be written", path.display()))
    }
}
