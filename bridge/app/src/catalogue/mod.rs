//! What is configured, kept in force while the bridge runs: read again, checked as a whole, replaced as a
//! whole or not at all.
//!
//! ```text
//! SIGHUP, POST /reload ─▶ read ─▶ check everything ─┬─ mistakes ─▶ all of them told, nothing changed
//!                                                   └─▶ engine.replace ─▶ keys, callbacks, settings ─▶ what changed
//! ```
//! One reload at a time. What cannot be replaced (where the bridge listens, its certificates, how a board is
//! wired) is named and stays as it is until a restart. A board that is gone takes no badge any more, and a
//! badge that is gone from its file opens nothing.

mod changes;
mod found;
mod routes;

use std::fmt;
use std::sync::Arc;

use primrack_board::{Badges, Boards};
use primrack_engine::journal::Entry;
use primrack_engine::{Backend, Engine, NextBackend, Replacement};
use primrack_model::{BackendId, UnixMs};
use primrack_policy::Source;
use primrack_web::api::Api;
use primrack_world::World;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use tokio::sync::Mutex;

pub use changes::{Changes, Names};
pub use found::{Drift, TargetNow};
pub(crate) use routes::routes;
pub use routes::{Refused, ReloadAsked};

use crate::board;
use crate::compose::{self, Checked, Mistakes};
use crate::config::{BackendKind, Loaded, Mistake};
use crate::discovery::Memory;

/// What a reload came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Whether it is in force now; not where only a check was asked for.
    pub applied: bool,
    /// What changed, or would.
    pub changes: Changes,
}

/// The configuration of a running bridge.
pub struct Catalogue {
    engine: Arc<Engine>,
    world: Arc<World>,
    boards: Arc<Boards>,
    api: Arc<Api>,
    /// What is in force; locked for as long as it is being replaced.
    current: Mutex<Current>,
}

/// What was read and found.
#[derive(Debug, Clone)]
pub(crate) struct Current {
    pub(crate) loaded: Loaded,
    pub(crate) memory: Memory,
    pub(crate) sources: Vec<Source>,
}

impl fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalogue").finish_non_exhaustive()
    }
}

impl Catalogue {
    pub(crate) fn new(
        engine: Arc<Engine>,
        world: Arc<World>,
        boards: Arc<Boards>,
        api: Arc<Api>,
        current: Current,
    ) -> Arc<Self> {
        Arc::new(Self { engine, world, boards, api, current: Mutex::new(current) })
    }

    /// Reads everything again, and puts it in force unless something is wrong with it or only a check was
    /// asked for.
    ///
    /// # Errors
    /// All mistakes; nothing is changed then.
    pub async fn reload(&self, only_check: bool) -> Result<Reloaded, Mistakes> {
        let mut current = self.current.lock().await;
        let (Current { loaded: before, mut memory, sources: _ }, inventory) =
            (current.clone(), self.engine.inventory());
        let listings = self.engine.listings();
        let running: Vec<BackendId> = self.engine.backends().into_iter().map(|(id, ..)| id).collect();
        // All that reads files is done before anything is changed, and not on a thread of the runtime.
        let read = tokio::task::spawn_blocking(move || {
            let loaded = before.again().map_err(|mistake| Mistakes(vec![mistake.into()]))?;
            found::take_all(&mut memory, &loaded, &listings);
            let checked = compose::check_after(loaded, &inventory, UnixMs::now(), memory)?;
            let mut changes = Changes::between(&before, &checked.loaded);
            changes.found((&before, &inventory), (&checked.loaded, &checked.inventory));
            let next = backends(&running, &before, &checked.loaded, &mut changes)?;
            let badges = badges(&checked.loaded)?;
            let tokens =
                crate::api::plan(&checked.loaded).map_err(|mistake| Mistakes(vec![mistake.into()]))?;
            Ok((checked, changes, next, badges, tokens))
        });
        let read = read.await.map_err(|error| Mistakes(vec![miette::miette!("{error}")]))?;
        let (checked, mut changes, backends, badges, tokens) = read?;
        let Checked { loaded, inventory, policy, keys, guard: _, callbacks, memory, sources } = checked;
        changes.keys = Changes::of_keys(&self.world.keys(), &keys);
        let version = self.engine.policy().version().to_owned();
        if version != policy.version() {
            changes.policy = Some((version, policy.version().to_owned()));
        }
        for (board, badges) in &badges {
            if !self.boards.knows(board, badges) {
                changes.settings.push(format!("badges of {board}"));
            }
        }
        let told = self.api.compare(&tokens).0;
        changes.settings.extend(told.into_iter().map(|name| format!("token {name} of the API")));
        if only_check {
            return Ok(Reloaded { applied: false, changes });
        }
        let settings = loaded.config.engine.clone();
        for board in self.boards.names() {
            if loaded.config.backends.get(&board).is_none_or(|backend| backend.board().is_none()) {
                self.boards.remove(&board);
            }
        }
        for (board, badges) in badges {
            self.boards.change_badges(&board, badges);
        }
        self.engine.replace(Replacement { inventory, policy, settings, backends });
        self.api.change_tokens(tokens);
        self.world.change_keys(keys);
        self.world.change_settings(loaded.config.world.settings());
        self.world.change_callbacks(callbacks);
        found::keep(&loaded, &memory).await;
        *current = Current { loaded, memory, sources };
        drop(current);
        for line in changes.lines() {
            tracing::info!(what = line, "configuration reloaded");
        }
        self.note(&changes);
        Ok(Reloaded { applied: true, changes })
    }

    /// For the journal: that it was replaced, and what that changed.
    fn note(&self, changes: &Changes) {
        self.tell("reload", "configuration", &changes.lines().join("; "));
    }

    fn tell(&self, class: &'static str, subject: &'static str, words: &str) {
        let entry = Entry::Audit {
            class: SmolStr::new_static(class),
            subject: SmolStr::new_static(subject),
            count: 1,
            words: words.chars().take(2000).collect(),
            at: UnixMs::now(),
        };
        if !self.engine.journal().append_soon(&entry) {
            tracing::error!(class, "the journal took no note of it");
        }
    }
}

/// What becomes of each backend. A board is wired to its port for as long as the bridge runs: what is
/// written otherwise of it waits, and one that is new does, too. One that is gone ends at once.
fn backends(
    running: &[BackendId],
    old: &Loaded,
    new: &Loaded,
    changes: &mut Changes,
) -> Result<Vec<NextBackend>, Mistakes> {
    let mut next = Vec::new();
    let mut mistakes = Vec::new();
    // An adapter in a process of its own was told how patient its driver is.
    let table = |loaded: &Loaded, name: &str, own: bool| {
        let mut table = loaded.table.get("backends")?.get(name)?.as_table()?.clone();
        if !own {
            table.remove("driver");
        }
        Some(table)
    };
    for (name, backend) in &new.config.backends {
        let Ok(id) = BackendId::new(name) else { continue };
        let runs = running.contains(&id);
        let same = table(old, name, backend.own.is_some()) == table(new, name, backend.own.is_some());
        match &backend.kind {
            BackendKind::Board(_) => {
                if !runs || !same {
                    changes.restart.push(format!("backends.{name}"));
                }
                if runs {
                    next.push(NextBackend::Stays(id, backend.driver.clone()));
                }
            }
            BackendKind::Technology(_) if runs && same => {
                next.push(NextBackend::Stays(id, backend.driver.clone()));
            }
            BackendKind::Technology(technology) => match compose::driven(new, name, backend, technology) {
                Ok(adapter) => {
                    next.push(NextBackend::Starts(Backend { id, adapter, settings: backend.driver.clone() }));
                }
                Err(mistake) => mistakes.push(mistake.into()),
            },
        }
    }
    if mistakes.is_empty() { Ok(next) } else { Err(Mistakes(mistakes)) }
}

/// Whose badge is whose, by board. Their own keys for strangers stay with the boards.
fn badges(loaded: &Loaded) -> Result<Vec<(SmolStr, Badges)>, Mistakes> {
    let boards = loaded.config.backends.iter().filter_map(|(name, backend)| Some((name, backend.board()?)));
    boards
        .map(|(name, config)| Ok((name.clone(), board::badges(loaded, config, [0; 32])?)))
        .collect::<Result<_, Mistake>>()
        .map_err(|mistake| Mistakes(vec![mistake.into()]))
}

#[cfg(test)]
mod tests;
