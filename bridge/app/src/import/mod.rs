//! Racks and positions from elsewhere, as configuration to review: nothing is put in force by an import.

mod table;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use primrack_model::{BackendId, GroupId, ObjectId, TargetId};
use toml::{Table, Value};

pub use table::read_csv;

/// The most machines of one import.
pub const MACHINES_MAX: usize = 20_000;

/// One machine, where it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placed {
    /// Where it was said, for mistakes: `line 7`.
    pub origin: String,
    /// Its name.
    pub name: String,
    /// What the world shows, where that is another.
    pub label: Option<String>,
    /// The rack it stands in; empty for none.
    pub rack: String,
    /// Its lowest unit in the rack.
    pub position: Option<u8>,
    /// The backend that has it.
    pub backend: String,
    /// What the backend calls it, where that is not its name.
    pub address: Option<String>,
    /// Its groups of targets.
    pub groups: Vec<String>,
    /// Whether disruptive actions need a rule that names it.
    pub protected: bool,
}

/// What of a name can stand in an id.
fn slug(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let text: String = text.trim().chars().map(|c| if plain(c) { c } else { '-' }).collect();
    text.trim_start_matches(['-', '.', '_']).chars().take(64).collect()
}

/// The tables `[targets.…]` and `[objects.…]`, in the order of their names.
///
/// # Errors
/// All mistakes, each with its origin.
pub fn configuration(machines: &[Placed]) -> Result<String, Vec<String>> {
    let mut wrong = Vec::new();
    let (mut targets, mut units) = (Table::new(), BTreeMap::<String, Table>::new());
    let mut racks: BTreeMap<String, String> = BTreeMap::new();
    let mut at: BTreeSet<(String, u8)> = BTreeSet::new();
    for machine in machines {
        let Placed { origin, name, label, rack, position, backend, address, groups, protected } = machine;
        let id = slug(name);
        let mut check = |fine: Result<(), String>| {
            if let Err(words) = fine {
                wrong.push(format!("{origin}: {words}"));
            }
        };
        check(TargetId::new(&id).map(drop).map_err(|error| error.to_string()));
        check(BackendId::new(backend).map(drop).map_err(|error| error.to_string()));
        for group in groups {
            check(GroupId::new(group).map(drop).map_err(|error| error.to_string()));
        }
        let mut target = Table::new();
        let shown = label.as_ref().unwrap_or(name);
        if *shown != id {
            target.insert("label".to_owned(), Value::from(shown.as_str()));
        }
        target.insert("backend".to_owned(), Value::from(backend.as_str()));
        let address = address.as_ref().unwrap_or(name);
        if *address != id {
            target.insert("address".to_owned(), Value::from(address.as_str()));
        }
        if !groups.is_empty() {
            target.insert("groups".to_owned(), Value::from(groups.clone()));
        }
        if *protected {
            target.insert("protected".to_owned(), Value::from(true));
        }
        if targets.insert(id.clone(), Value::Table(target)).is_some() {
            check(Err(format!("another machine has the id {id:?} already: give one of them another name")));
        }
        if rack.is_empty() {
            continue;
        }
        let object = slug(rack);
        check(ObjectId::new(&object).map(drop).map_err(|error| error.to_string()));
        if let Some(other) = racks.insert(object.clone(), rack.clone()).filter(|other| other != rack) {
            check(Err(format!("the racks {rack:?} and {other:?} would both be called {object:?}")));
        }
        let Some(position) = position else { continue };
        if !at.insert((object.clone(), *position)) {
            check(Err(format!("unit {position} of rack {rack:?} is taken already")));
        }
        units.entry(object).or_default().insert(position.to_string(), Value::from(id));
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let mut objects = Table::new();
    for (id, units) in units {
        let mut object = Table::new();
        if let Some(label) = racks.get(&id).filter(|label| **label != id) {
            object.insert("label".to_owned(), Value::from(label.as_str()));
        }
        object.insert("units".to_owned(), Value::Table(units));
        objects.insert(id, Value::Table(object));
    }
    let mut all = Table::new();
    all.insert("targets".to_owned(), Value::Table(targets));
    all.insert("objects".to_owned(), Value::Table(objects));
    toml::to_string(&all).map_err(|error| vec![error.to_string()])
}
