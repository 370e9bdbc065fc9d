//! The systems of one BMC: what is remembered of each, and how they are listed.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use parking_lot::Mutex;
use primrack_adapter_api::{AdapterError, Found};
use primrack_model::{Action, Address};
use serde_json::Value;
use smol_str::SmolStr;
use tokio::time::Instant;

use crate::bmc::Asked;
use crate::local::Recent;

use super::client::{Bmc, ROOT};
use super::config::RebootBy;
use super::map::{label, link, observation, resets, tags, text, texts};

/// How many systems are taken from a listing.
const MOST: usize = 10_000;
/// How many pages a listing may have.
const PAGES: usize = 1_000;
/// How many systems are asked one by one for names and tags while listing. More cost a BMC too much;
/// those are asked when they are looked at.
const ASKED: usize = 16;
/// How many bytes an address may have.
const ADDRESS: usize = 128;

/// Every action that a system may have, in the order of the bits of [`System::can`].
const ACTIONS: [Action; 7] = [
    Action::Start,
    Action::SoftOff,
    Action::HardOff,
    Action::Reboot,
    Action::Reset,
    Action::Pause,
    Action::Resume,
];
/// What a system is taken to be able to do until it tells: all but pause and resume.
const PRESUMED: u8 = 0b001_1111;

/// The subsets of [`ACTIONS`] by their bits.
static SUBSETS: LazyLock<Vec<Vec<Action>>> = LazyLock::new(|| {
    let subset = |bits: usize| {
        let all = ACTIONS.iter().enumerate();
        all.filter(|(at, _)| bits & (1 << at) != 0).map(|(_, action)| *action).collect()
    };
    (0..1 << ACTIONS.len()).map(subset).collect()
});

/// What is remembered of one system.
#[derive(Debug)]
pub(super) struct System {
    pub(super) path: String,
    /// Where resets are ordered.
    pub(super) reset: Option<String>,
    /// Which types of reset it takes; empty when it does not tell.
    pub(super) types: Vec<SmolStr>,
    can: u8,
    pub(super) chassis: Option<String>,
    /// When it last restarted, in its own words.
    pub(super) restarted: Option<SmolStr>,
    pub(super) asked: Asked,
    pub(super) recent: Recent,
    /// Its hottest sensor, and when that was read.
    pub(super) temperature: Option<f32>,
    pub(super) felt: Option<Instant>,
}

impl System {
    fn at(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            reset: None,
            types: Vec::new(),
            can: PRESUMED,
            chassis: None,
            restarted: None,
            asked: Asked::default(),
            recent: Recent::default(),
            temperature: None,
            felt: None,
        }
    }

    /// Takes in what it says of itself. `types` are those of its action's own description, where it
    /// keeps them there.
    pub(super) fn learn(&mut self, said: &Value, types: Option<Vec<SmolStr>>, reboot: RebootBy) {
        let action = "/Actions/#ComputerSystem.Reset";
        if let Some(target) = text(said, &format!("{action}/target")) {
            self.reset = Some(target.to_owned());
        }
        let told = texts(said, &format!("{action}/ResetType@Redfish.AllowableValues"));
        if !told.is_empty() {
            self.types = told.into_iter().take(32).map(SmolStr::new).collect();
        } else if let Some(types) = types {
            self.types = types;
        }
        if !self.types.is_empty() {
            self.can = 0;
            for (at, action) in ACTIONS.iter().enumerate() {
                let takes = |action: Action| {
                    resets(action).iter().any(|(name, _)| self.types.iter().any(|there| there == name))
                };
                let can = match (action, reboot) {
                    (Action::Reboot, RebootBy::OffAndOn) => takes(Action::SoftOff) && takes(Action::Start),
                    _ => takes(*action),
                };
                self.can |= u8::from(can) << at;
            }
        }
        if let Some(chassis) = link(said, "/Links/Chassis") {
            self.chassis = Some(chassis.to_owned());
        }
        let restarted = text(said, "/LastResetTime").map(SmolStr::new);
        if self.restarted.is_some() && restarted.is_some() && restarted != self.restarted {
            self.asked.restarted(std::time::Instant::now());
        }
        self.restarted = restarted.or_else(|| self.restarted.take());
    }
}

/// All that are known.
#[derive(Debug, Default)]
pub(super) struct Systems {
    known: Mutex<BTreeMap<SmolStr, System>>,
    listed: Mutex<Option<Instant>>,
}

impl Systems {
    /// What can be done to one.
    pub(super) fn actions(&self, address: &Address) -> &'static [Action] {
        let bits = self.known.lock().get(&address.0).map_or(PRESUMED, |system| system.can);
        SUBSETS.get(usize::from(bits)).map_or(&[], Vec::as_slice)
    }

    /// Does something to what is known of one.
    pub(super) fn with<T>(&self, address: &Address, act: impl FnOnce(&mut System) -> T) -> Option<T> {
        self.known.lock().get_mut(&address.0).map(act)
    }

    /// Whether a listing is so fresh that another would tell nothing new.
    pub(super) fn is_fresh(&self, age: Duration) -> bool {
        self.listed.lock().is_some_and(|at| at.elapsed() < age)
    }

    /// It is gone.
    pub(super) fn forget(&self, address: &Address) {
        self.known.lock().remove(&address.0);
    }

    /// Which system a path lies in; all of up to `limit` where it lies in none.
    pub(super) fn concerned(&self, path: &str, limit: usize) -> Vec<Address> {
        let known = self.known.lock();
        let within = |system: &System| {
            path.strip_prefix(system.path.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '#', '?']))
        };
        let its: Vec<Address> =
            known.iter().filter(|(_, system)| within(system)).map(|(id, _)| Address(id.clone())).collect();
        if its.is_empty() { known.keys().take(limit).cloned().map(Address).collect() } else { its }
    }

    /// Asks the BMC for all its systems.
    pub(super) async fn list(&self, bmc: &Bmc, reboot: RebootBy) -> Result<Vec<Found>, AdapterError> {
        let root = bmc.get(ROOT).await?;
        let place = link(&root, "/Systems").unwrap_or("/redfish/v1/Systems").to_owned();
        let members = members(bmc, &place, expands(&root)).await?;
        let few = members.len() <= ASKED;
        let mut found = Vec::new();
        let mut ids: BTreeMap<SmolStr, String> = BTreeMap::new();
        for member in members {
            let Some(path) = link(&member, "").map(|path| path.trim_end_matches('/').to_owned()) else {
                continue;
            };
            let Some(id) = path.rsplit('/').next().filter(|id| !id.is_empty() && id.len() <= ADDRESS) else {
                tracing::warn!("a system without a usable name was left out");
                continue;
            };
            let id = SmolStr::new(id);
            if ids.contains_key(&id) {
                continue;
            }
            let said = if member.get("PowerState").is_some() || member.get("Actions").is_some() {
                Some(member)
            } else if few {
                bmc.look(&path).await?
            } else {
                None
            };
            found.push(match said {
                Some(said) => {
                    let types = types(bmc, &said).await?;
                    let mut known = self.known.lock();
                    let system = known.entry(id.clone()).or_insert_with(|| System::at(&path));
                    system.learn(&said, types, reboot);
                    Found {
                        label: label(&said, &id),
                        tags: tags(&said),
                        seen: Some(system.asked.explain(observation(&said), std::time::Instant::now())),
                        ..Found::of(Address(id.clone()))
                    }
                }
                None => Found::of(Address(id.clone())),
            });
            ids.insert(id, path);
        }
        let mut known = self.known.lock();
        known.retain(|id, _| ids.contains_key(id));
        for (id, path) in ids {
            known.entry(id).or_insert_with(|| System::at(&path)).path.clone_from(&path);
        }
        drop(known);
        *self.listed.lock() = Some(Instant::now());
        Ok(found)
    }
}

/// Whether the service inlines the members of a collection when asked.
fn expands(root: &Value) -> bool {
    ["NoLinks", "ExpandAll"].iter().any(|kind| {
        let at = format!("/ProtocolFeaturesSupported/ExpandQuery/{kind}");
        root.pointer(&at).and_then(Value::as_bool) == Some(true)
    })
}

/// The members of a collection, page by page.
async fn members(bmc: &Bmc, place: &str, expand: bool) -> Result<Vec<Value>, AdapterError> {
    let mut members = Vec::new();
    let mut next = Some(if expand { format!("{place}?$expand=.($levels=1)") } else { place.to_owned() });
    let mut pages = 0;
    while let Some(place_of_page) = next {
        let page = match bmc.get(&place_of_page).await {
            // Some claim that they can inline, and fail.
            Err(AdapterError::Unreachable(_) | AdapterError::NotFound(_)) if expand && pages == 0 => {
                bmc.get(place).await?
            }
            other => other?,
        };
        pages += 1;
        next = text(&page, "/Members@odata.nextLink").map(str::to_owned);
        if let Some(Value::Array(here)) = { page }.get_mut("Members").map(Value::take) {
            members.extend(here.into_iter().take(MOST - members.len()));
        }
        if next.is_some() && (members.len() >= MOST || pages >= PAGES) {
            tracing::warn!(systems = members.len(), pages, "the BMC's list of systems was cut");
            break;
        }
    }
    Ok(members)
}

/// The types of reset where they are kept in the action's own description (`@Redfish.ActionInfo`).
pub(super) async fn types(bmc: &Bmc, said: &Value) -> Result<Option<Vec<SmolStr>>, AdapterError> {
    let action = "/Actions/#ComputerSystem.Reset";
    if !texts(said, &format!("{action}/ResetType@Redfish.AllowableValues")).is_empty() {
        return Ok(None);
    }
    let Some(place) = link(said, &format!("{action}/@Redfish.ActionInfo")) else { return Ok(None) };
    let Some(info) = bmc.look(place).await? else { return Ok(None) };
    let parameters = info.get("Parameters").and_then(Value::as_array);
    let its = parameters.into_iter().flatten().find(|its| text(its, "/Name") == Some("ResetType"));
    Ok(its.map(|its| texts(its, "/AllowableValues").into_iter().take(32).map(SmolStr::new).collect()))
}
