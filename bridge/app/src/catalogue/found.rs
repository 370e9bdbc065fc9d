//! What backends list becomes targets while the bridge runs; and what they have that nobody knows.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use primrack_adapter_api::Found;
use primrack_engine::{Listing, NextBackend, Replacement};
use primrack_model::{Address, BackendId, Inventory, TargetEntry, TargetKind, UnixMs};
use primrack_policy::Policy;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use tokio_util::sync::CancellationToken;

use super::{Catalogue, Current};
use crate::config::{Loaded, inventory_after};
use crate::discovery::{self, Memory};

/// Listings that come within this time are looked at together.
const TOGETHER: Duration = Duration::from_secs(1);
/// The most machines that a drift report names of a kind.
const NAMED: usize = 1000;

/// A target as it is known now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetNow {
    /// Its id.
    pub id: SmolStr,
    /// What the world shows.
    pub label: SmolStr,
    /// What kind of thing it is.
    pub kind: TargetKind,
    /// Its backend.
    pub backend: SmolStr,
    /// What the backend calls it.
    pub address: SmolStr,
    /// Whether disruptive actions need a rule that names it.
    pub protected: bool,
    /// Its groups.
    pub groups: Vec<SmolStr>,
    /// The rule of discovery that brought it; none where it has a table.
    pub rule: Option<SmolStr>,
    /// Its tags, where it was found.
    pub tags: Vec<SmolStr>,
    /// Its host, where it was found and has one.
    pub host: SmolStr,
    /// Since when its backend has it no more.
    pub gone: Option<UnixMs>,
    /// What it shows, in a word.
    pub state: SmolStr,
    /// When it was last seen; 0 for never.
    pub seen: UnixMs,
}

/// What differs between the inventory, what backends have, and what the world shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// Machines that backends have and that are no target: backend and address.
    pub unknown: Vec<(SmolStr, SmolStr)>,
    /// How many there are, where not all are named.
    pub unknown_count: usize,
    /// Targets that their backend does not list: target and backend.
    pub missing: Vec<(SmolStr, SmolStr)>,
    /// Backends that have listed nothing yet, so nothing is known of theirs.
    pub unheard: Vec<SmolStr>,
    /// Targets that no object and no group shows.
    pub unshown: Vec<SmolStr>,
    /// Objects that have never registered, or whose pushes do not arrive.
    pub silent: Vec<SmolStr>,
}

impl Drift {
    /// Whether all is as configured.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Takes what backends have listed last.
pub(super) fn take_all(memory: &mut Memory, loaded: &Loaded, listings: &BTreeMap<BackendId, Listing>) {
    let rules = discovery::rules(loaded, &mut Vec::new());
    for (backend, Listing { at, found }) in listings {
        if !rules.iter().any(|rule| rule.backend == *backend) {
            continue;
        }
        let limit = loaded.config.backends.get(backend.as_str()).map(|backend| backend.driver.list_limit);
        let is_whole = limit.is_none_or(|limit| found.len() < limit);
        // Machines with a table of their own take none of the places that a rule has.
        let configured: HashSet<&SmolStr> = (loaded.config.targets.iter())
            .filter(|(_, target)| target.backend == backend.as_str())
            .map(|(id, target)| target.address.as_ref().unwrap_or(id))
            .collect();
        let rest: Vec<Found> =
            found.iter().filter(|found| !configured.contains(&found.address.0)).cloned().collect();
        memory.take(backend, &rest, &rules, *at, is_whole);
    }
}

/// Writes down what was found. Where that fails it is found anew after a restart.
pub(super) async fn keep(loaded: &Loaded, memory: &Memory) {
    if loaded.config.discover.is_empty() {
        return;
    }
    let (folder, memory) = (loaded.resolve(&loaded.config.bridge.state_dir), memory.clone());
    match tokio::task::spawn_blocking(move || memory.write(&folder)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!("what discovery found is not kept: {error:#}"),
        Err(error) => tracing::error!(%error, "what discovery found is not kept"),
    }
}

/// Whether both have the same targets and objects at the same places.
fn same(a: &Inventory, b: &Inventory) -> bool {
    a.targets() == b.targets()
        && a.objects() == b.objects()
        && a.live_targets().map(|(ix, _)| ix).eq(b.live_targets().map(|(ix, _)| ix))
}

impl Catalogue {
    /// Follows what backends list until `stop`.
    pub(crate) async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let mut listed = self.engine.watch_listed();
        loop {
            self.take_listings().await;
            tokio::select! {
                changed = listed.changed() => if changed.is_err() { return },
                () = stop.cancelled() => return,
            }
            tokio::select! {
                () = tokio::time::sleep(TOGETHER) => {}
                () = stop.cancelled() => return,
            }
            listed.mark_unchanged();
        }
    }

    async fn take_listings(&self) {
        let mut current = self.current.lock().await;
        if current.loaded.config.discover.is_empty() {
            return;
        }
        let (before, listings) = (self.engine.inventory(), self.engine.listings());
        let Current { loaded, mut memory, sources } = current.clone();
        let was = Arc::clone(&before);
        let made = tokio::task::spawn_blocking(move || {
            let old = memory.clone();
            take_all(&mut memory, &loaded, &listings);
            if memory == old {
                return Ok::<_, String>(None);
            }
            let inventory = inventory_after(&loaded, &was, UnixMs::now(), &memory).map_err(|mistakes| {
                mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
            })?;
            let inventory = Arc::new(inventory);
            let policy = Policy::load(&sources, Arc::clone(&inventory)).map_err(|error| error.to_string())?;
            Ok(Some((inventory, policy, memory)))
        });
        let (inventory, policy, memory) = match made.await {
            Ok(Ok(Some(made))) => made,
            Ok(Ok(None)) => return,
            Ok(Err(why)) => return tracing::error!(why, "what was found cannot be used"),
            Err(error) => return tracing::error!(%error, "what was found cannot be used"),
        };
        keep(&current.loaded, &memory).await;
        if !same(&before, &inventory) {
            let running = self.engine.backends();
            let backends = running.iter().filter_map(|(id, ..)| {
                let backend = current.loaded.config.backends.get(id.as_str())?;
                Some(NextBackend::Stays(id.clone(), backend.driver.clone()))
            });
            let ids = |inventory: &Inventory| -> BTreeSet<String> {
                inventory.live_targets().map(|(_, target)| target.id.to_string()).collect()
            };
            let (old, new) = (ids(&before), ids(&inventory));
            self.engine.replace(Replacement {
                inventory,
                policy: Arc::new(policy),
                settings: current.loaded.config.engine.clone(),
                backends: backends.collect(),
            });
            let told = [("found", new.difference(&old)), ("forgotten", old.difference(&new))];
            for (what, names) in told {
                let names: Vec<&str> = names.map(String::as_str).collect();
                if !names.is_empty() {
                    let some = names.iter().take(12).copied().collect::<Vec<_>>().join(", ");
                    let words = format!("{what} {}: {some}", names.len());
                    tracing::info!(words, "discovery");
                    self.tell("discovery", what, &words);
                }
            }
        }
        current.memory = memory;
    }

    /// All targets as they are known now.
    pub async fn targets(&self) -> Vec<TargetNow> {
        let current = self.current.lock().await;
        let inventory = self.engine.inventory();
        let rules = discovery::rules(&current.loaded, &mut Vec::new());
        let configured: Vec<TargetEntry> = (inventory.live_targets())
            .map(|(_, target)| target.clone())
            .filter(|target| current.loaded.config.targets.contains_key(target.id.as_str()))
            .collect();
        let found = discovery::discovered(&current.memory, &rules, &configured);
        let by: HashMap<&str, &SmolStr> =
            found.targets.iter().map(|(rule, target)| (target.id.as_str(), rule)).collect();
        let now = |(ix, target): (_, &TargetEntry)| {
            let state = self.engine.state(ix);
            let rule = by.get(target.id.as_str()).copied().cloned();
            let machine = rule.as_ref().and_then(|_| current.memory.get(&target.backend, &target.address));
            TargetNow {
                id: target.id.as_str().into(),
                label: target.label.clone(),
                kind: target.kind,
                backend: target.backend.as_str().into(),
                address: target.address.0.clone(),
                protected: target.protected,
                groups: target.groups.iter().map(|group| group.as_str().into()).collect(),
                rule,
                tags: machine.map(|machine| machine.tags.clone()).unwrap_or_default(),
                host: machine.map(|machine| machine.host.clone()).unwrap_or_default(),
                gone: machine.and_then(|machine| machine.gone),
                state: SmolStr::new_static(state.word(target.kind)),
                seen: state.seen,
            }
        };
        inventory.live_targets().map(now).collect()
    }

    /// What differs between the inventory, the backends and the world.
    #[must_use]
    pub fn drift(&self) -> Drift {
        let (inventory, listings) = (self.engine.inventory(), self.engine.listings());
        let boards = self.boards.names();
        let is_board = |backend: &BackendId| boards.iter().any(|board| board == backend.as_str());
        let mut drift = Drift::default();
        let mut known: BTreeMap<&BackendId, BTreeSet<&Address>> = BTreeMap::new();
        for (ix, target) in inventory.live_targets() {
            known.entry(&target.backend).or_default().insert(&target.address);
            if inventory.shown_by(ix).is_empty() && inventory.within(ix).is_empty() {
                drift.unshown.push(target.id.as_str().into());
            }
        }
        for (backend, ..) in self.engine.backends() {
            if is_board(&backend) {
                continue;
            }
            let Some(Listing { found, .. }) = listings.get(&backend) else {
                drift.unheard.push(backend.as_str().into());
                continue;
            };
            let there: BTreeSet<&Address> = found.iter().map(|found| &found.address).collect();
            let none = BTreeSet::new();
            let ours = known.get(&backend).unwrap_or(&none);
            for address in there.difference(ours) {
                drift.unknown_count += 1;
                if drift.unknown.len() < NAMED {
                    drift.unknown.push((backend.as_str().into(), address.0.clone()));
                }
            }
            for (_, target) in inventory.live_targets() {
                if target.backend == backend && !there.contains(&target.address) {
                    drift.missing.push((target.id.as_str().into(), backend.as_str().into()));
                }
            }
        }
        for object in self.world.objects() {
            if object.region.is_none() || object.silent.is_some() {
                drift.silent.push(object.object.as_str().into());
            }
        }
        drift
    }
}
