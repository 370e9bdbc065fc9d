//! What happens to objects and the region from outside: touches, restart, copies, new owners.

use super::build::Placement;
use super::{Refusal, ScriptStatus, Thing, Wake, World};
use crate::geometry::Vector;
use crate::ids::{AvatarKey, ObjectId, PrimId, fresh_key};
use crate::inventory::{Content, Item};
use crate::object::{Compiled, Template};
use crate::view::RegionEvent;
use primrack_lsl::vm::{Detected, ScriptId, TouchPoint};
use primrack_lsl::{Event, Value};
use std::sync::Arc;
use uuid::Uuid;

/// Bits of `changed`.
pub(crate) mod changed {
    pub(crate) const INVENTORY: i32 = 1;
    pub(crate) const COLOR: i32 = 2;
    pub(crate) const SHAPE: i32 = 4;
    pub(crate) const SCALE: i32 = 8;
    pub(crate) const TEXTURE: i32 = 16;
    pub(crate) const OWNER: i32 = 128;
    pub(crate) const REGION: i32 = 256;
    pub(crate) const TELEPORT: i32 = 512;
    pub(crate) const REGION_START: i32 = 1024;
}

impl World {
    /// Scripts that hear touches of a prim: its own, else those of the root; both when it passes touches on.
    pub(crate) fn touched_scripts(&self, prim: PrimId) -> Vec<ScriptId> {
        let hears = |id: &ScriptId| {
            self.program_of(*id).is_some_and(|p| {
                ["touch_start", "touch", "touch_end"]
                    .into_iter()
                    .any(|e| primrack_lsl::tables::event(e).is_some_and(|e| p.handles(e)))
            })
        };
        let mut own: Vec<ScriptId> = self.scripts_in(prim).into_iter().filter(hears).collect();
        let pass = self.prim(prim).is_some_and(|p| p.pass_touches);
        if (own.is_empty() || pass)
            && let Some(root) = self.root_of(prim).filter(|r| *r != prim)
        {
            own.extend(self.scripts_in(root).into_iter().filter(hears));
        }
        own
    }

    /// An avatar touches a prim, shortly.
    pub(crate) fn touch(&mut self, avatar: AvatarKey, prim: PrimId) -> Result<(), Refusal> {
        if !self.up {
            return Err(Refusal::Down);
        }
        let who = self.avatars.get(&avatar).ok_or(Refusal::NoAvatar(avatar))?;
        if self.prim(prim).is_none() {
            return Err(Refusal::NoPrim(prim));
        }
        let at = self.place_of(prim).0;
        let detected = Detected {
            key: avatar.to_string().into(),
            name: who.name.as_str().into(),
            owner: avatar.to_string().into(),
            kind: 1,
            link: self.link_of(prim),
            position: who.position,
            touch: Some(TouchPoint {
                face: 0,
                uv: [0.5, 0.5, 0.0],
                st: [0.5, 0.5, 0.0],
                position: at,
                normal: [1.0, 0.0, 0.0],
                binormal: [0.0, 1.0, 0.0],
            }),
            ..Detected::default()
        };
        let scripts = self.touched_scripts(prim);
        if scripts.is_empty() {
            return Err(Refusal::NotTouchable);
        }
        self.tell(RegionEvent::Touched { prim, avatar });
        for id in scripts {
            for name in ["touch_start", "touch", "touch_end"] {
                if let Some(e) = Event::with_detected(name, vec![detected.clone()]) {
                    self.post(id, e);
                }
            }
        }
        Ok(())
    }

    /// Tells the scripts in a prim that something about it changed.
    pub(crate) fn changed(&mut self, prim: PrimId, what: i32) {
        for id in self.scripts_in(prim) {
            self.send(id, "changed", vec![Value::Integer(what)]);
        }
    }

    /// The same for a whole object.
    pub(crate) fn changed_object(&mut self, object: ObjectId, what: i32) {
        let prims = self.objects.get(&object).map_or_else(Vec::new, |o| o.prims.clone());
        for prim in prims {
            self.changed(prim, what);
        }
    }

    /// The region goes down for so long. Calls and URLs are lost; variables, timers, listens and queues are not, as with
    /// the saved state of the grids.
    pub(crate) fn restart(&mut self, seconds: f64) {
        if !self.up {
            return;
        }
        self.up = false;
        self.drop_urls();
        self.drop_calls();
        self.close_dialogs(|_| true);
        self.tell(RegionEvent::Down);
        self.wake_in(seconds, Wake::Up);
    }

    pub(crate) fn come_up(&mut self) {
        self.up = true;
        self.throttles = crate::limits::Throttles::new(self.settings.profile);
        self.tell(RegionEvent::Up);
        let mut all: Vec<ScriptId> = self.scripts.keys().copied().collect();
        all.sort_unstable();
        for id in all {
            self.send(id, "changed", vec![Value::Integer(changed::REGION_START)]);
            self.make_ready(id);
        }
    }

    /// Scripts back to their beginning.
    pub(crate) fn reset(&mut self, id: ScriptId) {
        self.forget_wishes(id);
        self.stop_sleep(id);
        if let Some(slot) = self.scripts.get_mut(&id) {
            if let Some(s) = &mut slot.script {
                s.reset();
            }
            slot.running = true;
        }
        self.make_ready(id);
    }

    pub(crate) fn reset_named(&mut self, prim: PrimId, name: &str) -> Result<(), Refusal> {
        let id = self.script_named(prim, name)?;
        self.reset(id);
        Ok(())
    }

    pub(crate) fn script_named(&self, prim: PrimId, name: &str) -> Result<ScriptId, Refusal> {
        let p = self.prim(prim).ok_or(Refusal::NoPrim(prim))?;
        match p.inventory.get(name).map(|i| &i.content) {
            Some(Content::Script { id, .. }) => Ok(*id),
            _ => Err(Refusal::NoScript(name.to_owned())),
        }
    }

    pub(crate) fn copy(
        &mut self,
        object: ObjectId,
        position: Vector,
        owner: Option<Uuid>,
    ) -> Result<ObjectId, Refusal> {
        let template = self.pack(object)?;
        self.put(&template, position, owner.or_else(|| self.objects.get(&object).map(|o| o.owner)))
    }

    /// Rezzes what was packed.
    pub(crate) fn put(
        &mut self,
        template: &Template,
        position: Vector,
        owner: Option<Uuid>,
    ) -> Result<ObjectId, Refusal> {
        if !self.up {
            return Err(Refusal::Down);
        }
        let rotation = template.prims.first().map_or(crate::geometry::NO_ROTATION, |p| p.prim.rotation);
        let owner = owner.unwrap_or(template.creator);
        Ok(self.rez(
            template,
            Placement {
                position,
                rotation,
                owner,
                rezzer: owner,
                start_param: 0,
                start_string: String::new(),
                key: None,
            },
        ))
    }

    pub(crate) fn take(&mut self, object: ObjectId) -> Result<Arc<Template>, Refusal> {
        let template = Arc::new(self.pack(object)?);
        self.remove(object);
        Ok(template)
    }

    /// An object and everything in it leaves the world.
    pub(crate) fn remove(&mut self, object: ObjectId) {
        let Some(o) = self.objects.remove(&object) else { return };
        for id in o.prims {
            for script in self.scripts_in(id) {
                self.remove_script(script);
            }
            if let Some(p) = self.prims.remove(&id) {
                self.things.remove(&p.key);
            }
            self.gone_prim(id);
        }
        self.close_dialogs(|d| d.object == object);
    }

    pub(crate) fn remove_script(&mut self, id: ScriptId) {
        self.forget_wishes(id);
        self.stop_sleep(id);
        self.drop_calls_of(id);
        self.scripts.remove(&id);
    }

    fn gone_prim(&mut self, id: PrimId) {
        self.dirty.remove(&id);
        self.gone.push(id);
    }

    pub(crate) fn change_owner(&mut self, object: ObjectId, owner: Uuid) -> Result<(), Refusal> {
        let o = self.objects.get_mut(&object).ok_or(Refusal::NoObject(object))?;
        o.owner = owner;
        for id in o.prims.clone() {
            self.touch_up(id);
        }
        self.changed_object(object, changed::OWNER);
        Ok(())
    }

    /// Moves an object as a teleport or border crossing does: its URLs are lost, and it is told so.
    pub(crate) fn teleport(&mut self, object: ObjectId, position: Vector) -> Result<(), Refusal> {
        let o = self.objects.get(&object).ok_or(Refusal::NoObject(object))?;
        let prims = o.prims.clone();
        if let Some(root) = prims.first().and_then(|r| self.prims.get_mut(r)) {
            root.position = position;
        }
        for prim in prims {
            self.touch_up(prim);
            for id in self.scripts_in(prim) {
                self.release_urls_of(id);
            }
        }
        self.changed_object(object, changed::REGION | changed::TELEPORT);
        Ok(())
    }

    /// Puts a notecard into a prim, in place of one of that name.
    pub(crate) fn write_notecard(&mut self, prim: PrimId, name: &str, text: &str) -> Result<(), Refusal> {
        let p = self.prims.get_mut(&prim).ok_or(Refusal::NoPrim(prim))?;
        let content = Content::Notecard { text: text.into(), asset: fresh_key() };
        p.inventory.insert(name.to_owned(), Item { key: fresh_key(), content });
        self.changed(prim, changed::INVENTORY);
        Ok(())
    }

    pub(crate) fn script_statuses(&self) -> Vec<ScriptStatus> {
        let mut all: Vec<_> = self.scripts.iter().collect();
        all.sort_unstable_by_key(|(id, _)| **id);
        let waiting = self.requests_by_script();
        all.into_iter()
            .filter_map(|(id, s)| {
                let object = self.prim(s.prim)?.object;
                let script = s.script.as_ref();
                let error = match &s.what {
                    Compiled::Broken(why) => Some(why.to_string()),
                    Compiled::Program(_) => {
                        script.and_then(|s| s.error()).map(|e| format!("line {}: {e}", e.line))
                    }
                };
                Some(ScriptStatus {
                    object,
                    prim: s.prim,
                    name: s.name.clone(),
                    running: s.running,
                    error,
                    state: script.map_or_else(String::new, |s| s.state().to_owned()),
                    memory: script.map_or(0, |s| s.memory_used()),
                    footprint: script.map_or(0, |s| s.footprint() + size_of::<super::Slot>()),
                    queued: script.map_or(0, |s| s.queued()),
                    requests: waiting.get(id).copied().unwrap_or(0),
                })
            })
            .collect()
    }

    pub(crate) fn thing(&self, key: Uuid) -> Option<Thing> {
        self.things.get(&key).copied()
    }
}
