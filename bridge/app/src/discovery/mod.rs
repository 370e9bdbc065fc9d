//! Machines that appear as targets by themselves: rules say which, what a backend lists says what there is.
//!
//! ```text
//! [discover.lab]  backend = "hypervisor"  name = "web-*"
//!   listing ─▶ Memory: number, label, tags, host, gone since ─▶ targets lab-web-1, lab-web-2, …
//! ```
//! A machine has its id from its address alone, so it is the same on every bridge and after every restart. One
//! that is not listed any more stays, unknown and with its age, until its time is over. Who may do what with
//! them is the policy's to say, as with all targets, and unless the rule says otherwise they are protected.

mod memory;
mod rule;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};

use primrack_model::{Address, BackendId, TargetEntry, TargetId, TargetKind};
use sha2::{Digest as _, Sha256};
use smol_str::SmolStr;

pub use memory::{FILE, Machine, Memory};
pub use rule::{DISCOVERED, DiscoverConfig, LIMIT_MAX};
pub(crate) use rule::{Rule, rules};

/// What an object's unit says to show the machines of a rule, in their order.
pub const UNITS_OF: &str = "found:";

/// The targets of the rules.
#[derive(Debug, Clone, Default)]
pub(crate) struct Discovered {
    /// With the name of the rule each is there by.
    pub(crate) targets: Vec<(SmolStr, TargetEntry)>,
    by_rule: BTreeMap<SmolStr, Vec<TargetId>>,
}

impl Discovered {
    /// The targets of a rule, those found first at the beginning.
    pub(crate) fn of(&self, rule: &str) -> &[TargetId] {
        self.by_rule.get(rule).map_or(&[], Vec::as_slice)
    }
}

/// What the rules make of what is known. `configured` are the targets that have a table of their own: their
/// machines are not found again, and their ids are taken.
pub(crate) fn discovered(memory: &Memory, rules: &[Rule], configured: &[TargetEntry]) -> Discovered {
    let ids: HashSet<&str> = configured.iter().map(|target| target.id.as_str()).collect();
    let known: HashSet<(&BackendId, &Address)> =
        configured.iter().map(|target| (&target.backend, &target.address)).collect();
    let mut all: Vec<(&Rule, Address, &Machine)> = Vec::new();
    let backends: HashSet<&BackendId> = rules.iter().map(|rule| &rule.backend).collect();
    for backend in backends {
        for (address, machine) in memory.of(backend) {
            if known.contains(&(backend, &address)) {
                continue;
            }
            if let Some(rule) = Memory::rule(backend, &address, machine, rules) {
                all.push((rule, address, machine));
            }
        }
    }
    all.sort_by(|a, b| (&a.0.name, a.2.number).cmp(&(&b.0.name, b.2.number)));
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let mut found = Discovered::default();
    let mut taken: HashSet<TargetId> = HashSet::new();
    for (rule, address, machine) in all {
        let count = counts.entry(rule.name.as_str()).or_default();
        if *count >= rule.limit {
            continue;
        }
        *count += 1;
        let Some(id) = id(rule, &address, &ids).filter(|id| taken.insert(id.clone())) else {
            tracing::error!(backend = %rule.backend, address = %address.0, "no id can be made of this address");
            continue;
        };
        found.by_rule.entry(rule.name.clone()).or_default().push(id.clone());
        let target = TargetEntry {
            id,
            label: machine.label.clone(),
            kind: TargetKind::Machine,
            backend: rule.backend.clone(),
            address,
            protected: rule.protected,
            groups: rule.groups.clone(),
        };
        found.targets.push((rule.name.clone(), target));
    }
    found
}

/// The prefix and the address; where the address cannot stand in an id, or somebody has that id, what can of
/// it and eight digits of its hash.
fn id(rule: &Rule, address: &Address, taken: &HashSet<&str>) -> Option<TargetId> {
    let text = address.0.as_str();
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let whole = format!("{}{text}", rule.prefix);
    if text.chars().all(plain) && whole.len() <= 64 && !taken.contains(whole.as_str()) {
        return TargetId::new(whole).ok();
    }
    let kept: String =
        text.chars().map(|c| if plain(c) { c } else { '-' }).take(64 - 9 - rule.prefix.len()).collect();
    let hash = Sha256::digest(format!("{}\0{text}", rule.backend).as_bytes());
    TargetId::new(format!("{}{kept}-{}", rule.prefix, hex::encode(&hash[..4]))).ok()
}
