//! Everything there is in the region, owned by one task.

mod build;
mod chat;
mod http_in;
mod http_out;
mod lifecycle;
mod look;
mod schedule;

pub(crate) use build::Placement;
pub(crate) use chat::Reach;
pub(crate) use http_in::Url;
pub(crate) use http_out::Request;
pub(crate) use lifecycle::changed;
pub(crate) use schedule::{Slot, Wake};

use crate::clock::{Clock, Micros};
use crate::geometry::{Rotation, Vector, add, then, turn};
use crate::ids::{AvatarKey, ObjectId, PrimId};
use crate::limits::{Limits, Throttles};
use crate::object::Object;
use crate::prim::Prim;
use crate::region::Input;
use crate::settings::{Knobs, RegionSettings};
use crate::view::{Dialog, RegionEvent};
use primrack_lsl::vm::{Program, ScriptId};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// Why something asked of the region was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such avatar in the region.
    #[error("there is no avatar {0} in the region")]
    NoAvatar(AvatarKey),
    /// There is no such prim.
    #[error("there is no prim {} in the region", .0.0)]
    NoPrim(PrimId),
    /// There is no such object.
    #[error("there is no object {} in the region", .0.0)]
    NoObject(ObjectId),
    /// That menu is not open for that avatar.
    #[error("that menu is not open any more")]
    NoDialog,
    /// The button is not among those offered, or the wrong kind of answer was given.
    #[error("that was not offered")]
    NotOffered,
    /// The prim has no script of that name.
    #[error("there is no script {0:?} there")]
    NoScript(String),
    /// No script hears touches of that prim.
    #[error("nothing hears touches of that prim")]
    NotTouchable,
    /// The region is restarting.
    #[error("the region is down")]
    Down,
}

/// How a script is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScriptStatus {
    /// Whose it is.
    pub object: ObjectId,
    /// Which prim it is in.
    pub prim: PrimId,
    /// Its name in the inventory.
    pub name: String,
    /// Whether it is set to run.
    pub running: bool,
    /// Why it does nothing: it does not compile, or a run-time error stopped it.
    pub error: Option<String>,
    /// The state it is in.
    pub state: String,
    /// Bytes of script memory in use, as its grid counts.
    pub memory: usize,
    /// Bytes of the host machine's memory, the shared program not counted.
    pub footprint: usize,
    /// Events that wait for it.
    pub queued: usize,
    /// Requests to its URLs that it has not answered yet.
    pub requests: usize,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Thing {
    Prim(PrimId),
    Avatar,
}

#[derive(Debug)]
pub(crate) struct Avatar {
    pub(crate) name: String,
    pub(crate) position: Vector,
}

#[derive(Debug)]
pub(crate) struct Listen {
    pub(crate) script: ScriptId,
    pub(crate) handle: i32,
    pub(crate) name: String,
    /// `None` hears everybody.
    pub(crate) key: Option<Uuid>,
    pub(crate) words: String,
    pub(crate) active: bool,
}

/// What the world needs to reach the outside.
#[derive(Debug)]
pub(crate) struct Outside {
    pub(crate) inputs: mpsc::Sender<Input>,
    pub(crate) events: broadcast::Sender<RegionEvent>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    pub(crate) address: SocketAddr,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) settings: RegionSettings,
    pub(crate) limits: Limits,
    pub(crate) knobs: Knobs,
    pub(crate) clock: Clock,
    pub(crate) up: bool,
    dice: u64,
    pub(crate) prims: HashMap<PrimId, Prim>,
    pub(crate) objects: HashMap<ObjectId, Object>,
    pub(crate) things: HashMap<Uuid, Thing>,
    pub(crate) avatars: BTreeMap<AvatarKey, Avatar>,
    pub(crate) scripts: HashMap<ScriptId, Slot>,
    /// The script that is running now: it is out of its slot.
    executing: Option<ScriptId>,
    ready: VecDeque<ScriptId>,
    wakes: BTreeMap<(Micros, u64), Wake>,
    wake_count: u64,
    pub(crate) listens: HashMap<i32, Vec<Listen>>,
    dialogs: VecDeque<(Dialog, i32)>,
    next_prim: u32,
    next_object: u32,
    next_script: u64,
    next_dialog: u64,
    pub(crate) throttles: Throttles,
    /// Calls under way or waiting for a place, by request.
    pub(crate) calls: HashMap<Uuid, Request>,
    pub(crate) calls_waiting: VecDeque<Uuid>,
    pub(crate) calls_running: usize,
    pub(crate) calls_started: u64,
    pub(crate) urls: HashMap<Uuid, Url>,
    pub(crate) requests: HashMap<Uuid, http_in::Pending>,
    dirty: BTreeSet<PrimId>,
    gone: Vec<PrimId>,
    /// Compiled sources, so that a thousand racks share one program.
    programs: HashMap<String, crate::object::Compiled>,
    pub(crate) outside: Outside,
}

impl World {
    pub(crate) fn new(settings: RegionSettings, outside: Outside) -> Self {
        Self {
            limits: Limits::of(settings.profile),
            knobs: settings.knobs,
            clock: Clock::new(settings.clock),
            up: true,
            dice: settings.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            prims: HashMap::new(),
            objects: HashMap::new(),
            things: HashMap::new(),
            avatars: BTreeMap::new(),
            scripts: HashMap::new(),
            executing: None,
            ready: VecDeque::new(),
            wakes: BTreeMap::new(),
            wake_count: 0,
            listens: HashMap::new(),
            dialogs: VecDeque::new(),
            next_prim: 1,
            next_object: 1,
            next_script: 1,
            next_dialog: 1,
            throttles: Throttles::new(settings.profile),
            calls: HashMap::new(),
            calls_waiting: VecDeque::new(),
            calls_running: 0,
            calls_started: 0,
            urls: HashMap::new(),
            requests: HashMap::new(),
            dirty: BTreeSet::new(),
            gone: Vec::new(),
            programs: HashMap::new(),
            settings,
            outside,
        }
    }

    /// A uniform number from 0 to below 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits")]
    pub(crate) fn random(&mut self) -> f64 {
        // xorshift64*: the same on every machine for one seed.
        self.dice ^= self.dice >> 12;
        self.dice ^= self.dice << 25;
        self.dice ^= self.dice >> 27;
        let bits = self.dice.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11;
        bits as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn tell(&self, event: RegionEvent) {
        // Nobody listens: nobody misses it.
        drop(self.outside.events.send(event));
    }

    /// The region's name as scripts and headers see it.
    pub(crate) fn name(&self) -> &str {
        &self.settings.name
    }

    pub(crate) fn prim(&self, id: PrimId) -> Option<&Prim> {
        self.prims.get(&id)
    }

    pub(crate) fn object_of(&self, prim: PrimId) -> Option<&Object> {
        self.objects.get(&self.prims.get(&prim)?.object)
    }

    pub(crate) fn root_of(&self, prim: PrimId) -> Option<PrimId> {
        self.object_of(prim)?.prims.first().copied()
    }

    /// The link number: 0 for a prim on its own, else 1 for the root and so on.
    pub(crate) fn link_of(&self, prim: PrimId) -> i32 {
        let Some(o) = self.object_of(prim) else { return 0 };
        if o.prims.len() == 1 {
            return 0;
        }
        o.prims.iter().position(|p| *p == prim).and_then(|i| i32::try_from(i + 1).ok()).unwrap_or(0)
    }

    /// The prims that a link number means, seen from `me`. A number that does not exist means none.
    pub(crate) fn linked(&self, me: PrimId, link: i32) -> Vec<PrimId> {
        let Some(o) = self.object_of(me) else { return Vec::new() };
        match link {
            -1 => o.prims.clone(),
            -2 => o.prims.iter().copied().filter(|p| *p != me).collect(),
            -3 => o.prims.iter().skip(1).copied().collect(),
            -4 => vec![me],
            // A prim on its own answers to 0 and to 1.
            0 | 1 => o.prims.first().copied().into_iter().collect(),
            n => usize::try_from(n - 1).ok().and_then(|i| o.prims.get(i)).copied().into_iter().collect(),
        }
    }

    /// Where a prim is and how it is turned, in the region.
    pub(crate) fn place_of(&self, id: PrimId) -> (Vector, Rotation) {
        let Some(p) = self.prims.get(&id) else { return ([0.0; 3], crate::geometry::NO_ROTATION) };
        match self.root_of(id).filter(|r| *r != id).and_then(|r| self.prims.get(&r)) {
            None => (p.position, p.rotation),
            Some(root) => {
                (add(root.position, turn(p.position, root.rotation)), then(p.rotation, root.rotation))
            }
        }
    }

    /// The name of an avatar or prim in the region.
    pub(crate) fn name_of(&self, key: Uuid) -> Option<String> {
        match self.things.get(&key)? {
            Thing::Avatar => self.avatars.get(&key).map(|a| a.name.clone()),
            Thing::Prim(p) => self.prims.get(p).map(|p| p.name.to_string()),
        }
    }

    pub(crate) fn touch_up(&mut self, prim: PrimId) {
        self.dirty.insert(prim);
    }

    /// Scripts in a prim.
    pub(crate) fn scripts_in(&self, prim: PrimId) -> Vec<ScriptId> {
        self.prims.get(&prim).map_or_else(Vec::new, |p| {
            p.inventory
                .values()
                .filter_map(|i| match i.content {
                    crate::inventory::Content::Script { id, .. } => Some(id),
                    _ => None,
                })
                .collect()
        })
    }

    /// Compiles a source, once.
    pub(crate) fn compiled(&mut self, source: &str) -> crate::object::Compiled {
        if let Some(c) = self.programs.get(source) {
            return c.clone();
        }
        let made = match primrack_lsl::check(source, self.settings.profile) {
            Ok(p) => crate::object::Compiled::Program(p),
            Err(why) => crate::object::Compiled::Broken(why.to_string().into()),
        };
        self.programs.insert(source.to_owned(), made.clone());
        made
    }

    /// How many different programs there are.
    pub(crate) fn program_of(&self, id: ScriptId) -> Option<Arc<Program>> {
        match &self.scripts.get(&id)?.what {
            crate::object::Compiled::Program(p) => Some(Arc::clone(p)),
            crate::object::Compiled::Broken(_) => None,
        }
    }
}
