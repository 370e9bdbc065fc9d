//! What differs between two configurations, by name.

use std::collections::{BTreeMap, BTreeSet};

use primrack_model::{Inventory, ObjectId, TargetEntry};
use primrack_world::Keyring;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::config::Loaded;

/// Settings that take effect at once; everything else outside the lists below needs a restart.
const LIVE: [&str; 12] = [
    "api.request_burst",
    "api.requests_per_s",
    "api.tokens",
    "discover",
    "engine",
    "policy",
    "world.callbacks",
    "world.keys_file",
    "world.menu_s",
    "world.renew_s",
    "world.request_burst",
    "world.requests_per_s",
];
/// Tables whose entries are told by name.
const LISTS: [&str; 4] = ["backends", "groups", "objects", "targets"];

/// What a reload brings, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Targets, those that discovery found included.
    pub targets: Names,
    /// Objects.
    pub objects: Names,
    /// Backends.
    pub backends: Names,
    /// Groups of people.
    pub groups: Names,
    /// Objects with a key, by what happened to their keys.
    pub keys: Names,
    /// The versions of the policy before and after, where they differ.
    pub policy: Option<(String, String)>,
    /// Other settings that take effect at once.
    pub settings: Vec<String>,
    /// What is written otherwise and waits for a restart of the bridge.
    pub restart: Vec<String>,
}

/// Names by what happened to them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// New.
    pub added: Vec<String>,
    /// Gone.
    pub removed: Vec<String>,
    /// Still there, and otherwise.
    pub changed: Vec<String>,
}

impl Names {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }

    fn of<'a, T>(
        old: impl IntoIterator<Item = &'a str>,
        new: impl IntoIterator<Item = &'a str>,
        value: impl Fn(bool, &str) -> T,
    ) -> Self
    where
        T: PartialEq,
    {
        let old: BTreeSet<&str> = old.into_iter().collect();
        let new: BTreeSet<&str> = new.into_iter().collect();
        let named = |names: Vec<&&str>| names.into_iter().map(|name| (*name).to_owned()).collect();
        Self {
            added: named(new.difference(&old).collect()),
            removed: named(old.difference(&new).collect()),
            changed: named(
                old.intersection(&new).filter(|name| value(false, name) != value(true, name)).collect(),
            ),
        }
    }
}

impl Changes {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is written otherwise in `new`.
    pub(super) fn between(old: &Loaded, new: &Loaded) -> Self {
        let list = |name: &str| {
            let none = Table::new();
            let (old, new) = (table(&old.table, name, &none), table(&new.table, name, &none));
            let keys = |table: &Table| table.keys().cloned().collect::<Vec<String>>();
            let (before, after) = (keys(old), keys(new));
            Names::of(before.iter().map(String::as_str), after.iter().map(String::as_str), |late, key| {
                if late { new.get(key).cloned() } else { old.get(key).cloned() }
            })
        };
        let mut changes = Self {
            backends: list("backends"),
            groups: list("groups"),
            objects: list("objects"),
            targets: list("targets"),
            ..Self::default()
        };
        for path in differing(&old.table, &new.table) {
            let is_live = LIVE.iter().any(|live| path == *live || path.starts_with(&format!("{live}.")));
            if is_live { &mut changes.settings } else { &mut changes.restart }.push(path);
        }
        changes
    }

    /// Adds the targets that discovery brings, which have no table.
    pub(super) fn found(
        &mut self,
        (old, before): (&Loaded, &Inventory),
        (new, after): (&Loaded, &Inventory),
    ) {
        let of = |loaded: &Loaded, inventory: &Inventory| -> BTreeMap<String, TargetEntry> {
            let found = inventory.live_targets().map(|(_, target)| target.clone());
            let found = found.filter(|target| !loaded.config.targets.contains_key(target.id.as_str()));
            found.map(|target| (target.id.to_string(), target)).collect()
        };
        let (old, new) = (of(old, before), of(new, after));
        let names = Names::of(old.keys().map(String::as_str), new.keys().map(String::as_str), |late, id| {
            if late { new.get(id).cloned() } else { old.get(id).cloned() }
        });
        self.targets.added.extend(names.added);
        self.targets.removed.extend(names.removed);
        self.targets.changed.extend(names.changed);
    }

    /// The same of keys, by their ids and times. A secret that is changed under the same id is not told: give
    /// it another id.
    pub(super) fn of_keys(old: &Keyring, new: &Keyring) -> Names {
        let names = |ring: &Keyring| ring.objects().map(ObjectId::to_string).collect::<Vec<String>>();
        let (before, after) = (names(old), names(new));
        Names::of(before.iter().map(String::as_str), after.iter().map(String::as_str), |late, object| {
            let ring = if late { new } else { old };
            let of_key = |key: &primrack_world::Key| (key.id.as_str().to_owned(), key.until);
            ring.of(object).iter().map(of_key).collect::<Vec<_>>()
        })
    }

    /// In lines for people; one line that says so where nothing differs.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let Self { targets, objects, backends, groups, keys, policy, settings, restart } = self;
        let mut lines = Vec::new();
        let lists = [
            ("targets", targets),
            ("objects", objects),
            ("backends", backends),
            ("groups", groups),
            ("keys", keys),
        ];
        for (what, names) in lists {
            let Names { added, removed, changed } = names;
            for (sign, names) in [("new", added), ("gone", removed), ("changed", changed)] {
                if !names.is_empty() {
                    lines.push(format!("{what} {sign}: {}", few(names)));
                }
            }
        }
        if let Some((old, new)) = policy {
            lines.push(format!("policy: {old} before, {new} now"));
        }
        if !settings.is_empty() {
            lines.push(format!("settings changed: {}", few(settings)));
        }
        if !restart.is_empty() {
            lines.push(format!("after a restart of the bridge only: {}", few(restart)));
        }
        if lines.is_empty() {
            lines.push("nothing differs".to_owned());
        }
        lines
    }
}

/// The first of many, and how many there are.
fn few(names: &[String]) -> String {
    const SHOWN: usize = 12;
    match names.len() {
        0..=SHOWN => names.join(", "),
        all => format!("{} and {} more", names[..SHOWN].join(", "), all - SHOWN),
    }
}

fn table<'a>(all: &'a Table, name: &str, none: &'a Table) -> &'a Table {
    all.get(name).and_then(Value::as_table).unwrap_or(none)
}

/// The paths of all values that differ, apart from the lists.
fn differing(old: &Table, new: &Table) -> Vec<String> {
    fn walk(at: &str, old: Option<&Value>, new: Option<&Value>, found: &mut Vec<String>) {
        if old == new {
            return;
        }
        let tables = (old.and_then(Value::as_table), new.and_then(Value::as_table));
        let none = Table::new();
        let (old, new) = match tables {
            (None, None) => {
                found.push(at.to_owned());
                return;
            }
            (old, new) => (old.unwrap_or(&none), new.unwrap_or(&none)),
        };
        let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for key in keys {
            let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            walk(&path, old.get(key), new.get(key), found);
        }
    }
    let mut found = Vec::new();
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for key in keys.into_iter().filter(|key| !LISTS.contains(&key.as_str())) {
        walk(key, old.get(key), new.get(key), &mut found);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read;

    fn loaded(text: &str) -> Loaded {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("primrack.toml");
        std::fs::write(&file, text).unwrap();
        read(&file, std::iter::empty()).unwrap()
    }

    const OLD: &str = "
bridge.listen = '127.0.0.1:1'
engine.start_deadline_ms = 5
[groups]
owners = ['badge:ada']
[backends.local.process]
state_dir = 'p'
[targets.a]
backend = 'local'
[targets.b]
backend = 'local'
";

    #[test]
    fn everything_that_differs_is_named_once_and_in_its_place() {
        let old = loaded(OLD);
        assert!(Changes::between(&old, &loaded(&format!("# a word\n{OLD}"))).is_empty());
        let new = OLD
            .replace("127.0.0.1:1", "127.0.0.1:2")
            .replace("ms = 5", "ms = 6\nworld.menu_s = 9")
            .replace("[targets.b]", "[targets.c]")
            .replace("[targets.a]", "[targets.a]\nprotected = true")
            .replace("'badge:ada'", "'badge:bob'");
        let changes = Changes::between(&old, &loaded(&new));
        let names = |added: &[&str], removed: &[&str], changed: &[&str]| {
            let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            Names { added: own(added), removed: own(removed), changed: own(changed) }
        };
        assert_eq!(changes.targets, names(&["c"], &["b"], &["a"]));
        assert_eq!(changes.groups, names(&[], &[], &["owners"]));
        assert!(changes.backends.is_empty() && changes.objects.is_empty());
        assert_eq!(changes.settings, ["engine.start_deadline_ms", "world.menu_s"]);
        assert_eq!(changes.restart, ["bridge.listen"]);
        assert_eq!(changes.lines().len(), 6, "{:?}", changes.lines());
    }
}
