//! Who and what: names, keys, owners, links, avatars, the region itself.

use super::args::Args;
use super::comm::is_avatar;
use super::{Answer, Caller, HostFn, count, give, int, void};
use crate::ids::{PrimId, fresh_key};
use crate::inventory::clip;
use crate::world::Thing;
use primrack_lsl::Value;
use primrack_lsl::value::NULL_KEY;
use uuid::Uuid;

pub(super) const TABLE: &[(&str, HostFn)] = &[
    ("llLoopSound", |c, a| {
        let (what, volume) = (clip(a.text(0)?, 63).into(), a.float(1)?.clamp(0.0, 1.0));
        c.here_mut()?.sound = Some(Box::new((what, volume)));
        c.world.touch_up(c.prim);
        void()
    }),
    ("llStopSound", |c, _| {
        c.here_mut()?.sound = None;
        c.world.touch_up(c.prim);
        void()
    }),
    ("llGetKey", |c, _| give(Value::Key(c.here()?.key_text.clone()))),
    ("llGetOwner", |c, _| give(key(c.object()?.owner))),
    ("llGetCreator", |c, _| give(key(c.object()?.creator))),
    ("llGetOwnerKey", |c, a| {
        let of = a.key(0)?;
        let owner = match c.world.thing(of) {
            Some(Thing::Prim(p)) => c.world.object_of(p).map(|o| o.owner),
            _ => None,
        };
        give(owner.map_or_else(|| Value::key(a.text(0).unwrap_or(NULL_KEY)), key))
    }),
    ("llGetObjectName", |c, _| give(Value::Str(c.here()?.name.clone()))),
    ("llSetObjectName", |c, a| {
        c.here_mut()?.name = clip(a.text(0)?, 63).into();
        c.world.touch_up(c.prim);
        void()
    }),
    ("llGetObjectDesc", |c, _| give(Value::Str(c.here()?.description.clone()))),
    ("llSetObjectDesc", |c, a| {
        c.here_mut()?.description = clip(a.text(0)?, 127).into();
        c.world.touch_up(c.prim);
        void()
    }),
    ("llGetLinkName", |c, a| {
        let p = c.linked_one(a.int(0)?);
        give(
            p.and_then(|p| c.world.prim(p))
                .map_or_else(|| Value::str(NULL_KEY), |p| Value::Str(p.name.clone())),
        )
    }),
    ("llGetLinkKey", |c, a| {
        let p = c.linked_one(a.int(0)?);
        give(
            p.and_then(|p| c.world.prim(p))
                .map_or_else(|| Value::key(NULL_KEY), |p| Value::Key(p.key_text.clone())),
        )
    }),
    ("llGetObjectLinkKey", |c, a| {
        let n = usize::try_from(a.int(1)?.max(1) - 1).unwrap_or(0);
        let of = match c.world.thing(a.key(0)?) {
            Some(Thing::Prim(p)) => c.world.object_of(p).and_then(|o| o.prims.get(n)),
            _ => None,
        };
        give(
            of.and_then(|p| c.world.prim(*p))
                .map_or_else(|| Value::key(NULL_KEY), |p| Value::Key(p.key_text.clone())),
        )
    }),
    ("llGetLinkNumber", |c, _| int(c.world.link_of(c.prim))),
    ("llGetNumberOfPrims", |c, _| count(c.object()?.prims.len())),
    ("llGetObjectPrimCount", |c, a| match c.world.thing(a.key(0)?) {
        Some(Thing::Prim(p)) => count(c.world.object_of(p).map_or(0, |o| o.prims.len())),
        _ => int(0),
    }),
    ("osGetLinkNumber", |c, a| {
        let name = a.text(0)?;
        let at =
            c.object()?.prims.iter().find(|p| c.world.prim(**p).is_some_and(|p| &*p.name == name)).copied();
        int(at.map_or(-1, |p| c.world.link_of(p)))
    }),
    ("llGetObjectDetails", details),
    ("llKey2Name", |c, a| give(Value::str(c.world.name_of(a.key(0)?).unwrap_or_default()))),
    ("osKey2Name", |c, a| give(Value::str(c.world.name_of(a.key(0)?).unwrap_or_default()))),
    ("llGetUsername", |c, a| {
        let of = a.key(0)?;
        let name = if is_avatar(c, of) { c.world.name_of(of).unwrap_or_default() } else { String::new() };
        give(Value::str(name.to_lowercase().replace(' ', ".")))
    }),
    ("llGetDisplayName", |c, a| {
        let of = a.key(0)?;
        give(Value::str(if is_avatar(c, of) {
            c.world.name_of(of).unwrap_or_default()
        } else {
            String::new()
        }))
    }),
    ("llRequestUsername", |c, a| c.agent_answer(a, |n| n.to_lowercase().replace(' ', "."))),
    ("llRequestDisplayName", |c, a| c.agent_answer(a, str::to_owned)),
    ("llRequestAgentData", agent_data),
    ("llGetAgentSize", |c, a| {
        give(Value::Vector(if is_avatar(c, a.key(0)?) { [0.45, 0.6, 1.9] } else { [0.0; 3] }))
    }),
    ("llGetAgentInfo", |_, _| int(0)),
    ("llGetAgentList", |c, _| {
        let all = c.world.avatars.keys().map(|k| key(*k)).collect();
        give(Value::list(all))
    }),
    ("osGetAgents", |c, _| {
        let all = c.world.avatars.values().map(|a| Value::str(a.name.as_str())).collect();
        give(Value::list(all))
    }),
    ("osGetAvatarList", |c, _| {
        let owner = c.object()?.owner;
        let mut out = Vec::new();
        for (k, a) in c.world.avatars.iter().filter(|(k, _)| **k != owner) {
            out.extend([key(*k), Value::Vector(a.position), Value::str(a.name.as_str())]);
        }
        give(Value::list(out))
    }),
    ("llSameGroup", |_, _| int(0)),
    ("llGetRegionName", |c, _| give(Value::str(c.world.name()))),
    ("llGetSimulatorHostname", |_, _| give(Value::str("localhost"))),
    ("llGetRegionCorner", |_, _| give(Value::Vector([256_000.0, 256_000.0, 0.0]))),
    ("osGetRegionSize", |_, _| give(Value::Vector([256.0, 256.0, 4096.0]))),
    ("llGetRegionFPS", |_, _| give(Value::Float(45.0))),
    ("llGetRegionTimeDilation", |_, _| give(Value::Float(1.0))),
    ("llGetEnv", environment),
    ("osGetGridName", |_, _| give(Value::str("primrack-region (simulated)"))),
    ("osGetSimulatorVersion", |c, _| {
        let v =
            format!("primrack-region {} (simulated) as {}", env!("CARGO_PKG_VERSION"), c.profile().title());
        give(Value::str(v))
    }),
    ("osGetScriptEngineName", |_, _| give(Value::str("YEngine"))),
    ("osGetPhysicsEngineType", |_, _| give(Value::str("none"))),
    ("llPassTouches", |c, a| {
        c.here_mut()?.pass_touches = a.int(0)? != 0;
        void()
    }),
    ("llSetTouchText", |_, _| void()),
    ("llSetSitText", |_, _| void()),
];

fn key(k: Uuid) -> Value {
    Value::key(k.to_string())
}

impl Caller<'_> {
    /// The one prim that a link number means.
    fn linked_one(&self, link: i32) -> Option<PrimId> {
        let all = self.world.linked(self.prim, link);
        if all.len() == 1 { all.first().copied() } else { None }
    }

    fn agent_answer(&mut self, a: Args<'_>, with: fn(&str) -> String) -> Answer {
        let request = fresh_key().to_string();
        let of = a.key(0)?;
        if is_avatar(self, of) {
            let name = with(&self.world.name_of(of).unwrap_or_default());
            let args = vec![Value::key(request.as_str()), Value::str(name)];
            self.world.send_later(self.me, 0.05, "dataserver", args);
        }
        give(Value::key(request))
    }
}

fn agent_data(c: &mut Caller<'_>, a: Args<'_>) -> Answer {
    let of = a.key(0)?;
    let here = is_avatar(c, of);
    let data = match a.int(1)? {
        1 => i32::from(here).to_string(),
        2 if here => c.world.name_of(of).unwrap_or_default(),
        3 if here => "2026-01-01".to_owned(),
        8 if here => "0".to_owned(),
        // Unknown people and other questions: no event comes, as on the grids.
        _ => return give(Value::key(fresh_key().to_string())),
    };
    let request = fresh_key().to_string();
    let args = vec![Value::key(request.as_str()), Value::str(data)];
    c.world.send_later(c.me, 0.05, "dataserver", args);
    give(Value::key(request))
}

fn environment(c: &mut Caller<'_>, a: Args<'_>) -> Answer {
    let opensim = c.profile().is_opensim();
    give(Value::str(match a.text(0)? {
        "sim_channel" if opensim => "OpenSim (simulated)".to_owned(),
        "sim_channel" => "Second Life Server (simulated)".to_owned(),
        "sim_version" => env!("CARGO_PKG_VERSION").to_owned(),
        "agent_limit" => "100".to_owned(),
        "dynamic_pathfinding" => "disabled".to_owned(),
        "estate_name" | "region_product_name" => "Primrack (simulated)".to_owned(),
        "estate_id" | "frame_number" | "region_idle" => "0".to_owned(),
        "region_cpu_ratio" => "1".to_owned(),
        "region_max_prims" | "region_object_bonus" => "1000000".to_owned(),
        "whisper_range" => "10".to_owned(),
        "chat_range" => "20".to_owned(),
        "shout_range" => "100".to_owned(),
        _ => String::new(),
    }))
}

fn details(c: &mut Caller<'_>, a: Args<'_>) -> Answer {
    let of = a.key(0)?;
    let Some(thing) = c.world.thing(of) else { return give(Value::list(Vec::new())) };
    let mut out = Vec::new();
    for what in a.list(1)? {
        let Value::Integer(what) = what else { continue };
        out.push(detail(c, of, thing, *what));
    }
    give(Value::list(out))
}

fn detail(c: &Caller<'_>, of: Uuid, thing: Thing, what: i32) -> Value {
    let w = &c.world;
    let prim = match thing {
        Thing::Prim(p) => Some(p),
        Thing::Avatar => None,
    };
    let object = prim.and_then(|p| w.object_of(p));
    let scripts = || -> Vec<_> {
        object.map_or_else(Vec::new, |o| o.prims.iter().flat_map(|p| w.scripts_in(*p)).collect())
    };
    match what {
        1 => Value::str(w.name_of(of).unwrap_or_default()),
        2 => Value::str(prim.and_then(|p| w.prim(p)).map_or("", |p| &p.description)),
        3 => Value::Vector(match prim {
            Some(p) => w.place_of(p).0,
            None => w.avatars.get(&of).map_or([0.0; 3], |a| a.position),
        }),
        4 => Value::Rotation(prim.map_or(crate::geometry::NO_ROTATION, |p| w.place_of(p).1)),
        5 | 29 => Value::Vector([0.0; 3]),
        6 => key(object.map_or(of, |o| o.owner)),
        7 | 27 => Value::key(NULL_KEY),
        8 => object.map_or_else(|| Value::key(NULL_KEY), |o| key(o.creator)),
        9 => {
            let n = scripts()
                .iter()
                .filter(|s| w.scripts.get(s).is_some_and(|s| s.running && s.script.is_some()))
                .count();
            Value::Integer(i32::try_from(n).unwrap_or(i32::MAX))
        }
        10 => Value::Integer(i32::try_from(scripts().len()).unwrap_or(i32::MAX)),
        11 => {
            let n: usize = scripts()
                .iter()
                .filter_map(|s| w.scripts.get(s)?.script.as_ref())
                .map(|s| s.memory_limit())
                .sum();
            Value::Integer(i32::try_from(n).unwrap_or(i32::MAX))
        }
        13 | 30 => Value::Integer(object.map_or(0, |o| i32::try_from(o.prims.len()).unwrap_or(i32::MAX))),
        18 => match object.and_then(|o| o.prims.first()).and_then(|r| w.prim(*r)) {
            Some(root) => Value::Key(root.key_text.clone()),
            None => key(of),
        },
        19..=23 | 34 => Value::Integer(0),
        28 => Value::Integer(prim.and_then(|p| w.prim(p)).map_or(0, |p| p.click_action)),
        31 => {
            let n: usize = object
                .map_or(0, |o| o.prims.iter().filter_map(|p| w.prim(*p)).map(|p| p.inventory.len()).sum());
            Value::Integer(i32::try_from(n).unwrap_or(i32::MAX))
        }
        32 => object.map_or_else(|| Value::key(NULL_KEY), |o| key(o.rezzer)),
        44 => Value::str(prim.and_then(|p| w.prim(p)).map_or("", |p| &p.text.words)),
        46 => Value::Integer(prim.map_or(0, |p| w.link_of(p))),
        47 => Value::Vector(prim.and_then(|p| w.prim(p)).map_or([0.45, 0.6, 1.9], |p| p.size)),
        48 => Value::Vector(prim.and_then(|p| w.prim(p)).map_or([0.0; 3], |p| p.text.colour)),
        49 => Value::Float(prim.and_then(|p| w.prim(p)).map_or(0.0, |p| p.text.alpha)),
        12 | 14..=17 | 24..=26 | 33 | 35 | 37..=43 => {
            // Costs, weights and times that have no meaning here.
            if matches!(what, 12 | 14..=17 | 25 | 26 | 43) { Value::Float(0.0) } else { Value::Integer(0) }
        }
        // OBJECT_UNKNOWN_DETAIL
        _ => Value::Integer(-1),
    }
}
