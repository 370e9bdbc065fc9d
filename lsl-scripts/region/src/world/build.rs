//! Setting up what a room describes, and turning objects into templates and back.

use super::{Avatar, Refusal, Slot, Thing, World};
use crate::geometry::{NO_ROTATION, Rotation, Vector};
use crate::ids::{ObjectId, PrimId, fresh_key, lasting_key};
use crate::inventory::{Content, Item, clip};
use crate::object::{Compiled, Object, Template, TemplatePrim, TemplateScript};
use crate::prim::Prim;
use crate::room::{ObjectPlan, PrimPlan, Room, RoomError};
use crate::view::{AvatarView, RegionEvent};
use primrack_lsl::Value;
use primrack_lsl::library::LinksetData;
use primrack_lsl::vm::ScriptId;
use std::sync::Arc;
use uuid::Uuid;

/// Prims of one object.
const PRIMS: usize = 256;

/// Where and for whom an object is rezzed.
#[derive(Debug, Clone)]
pub(crate) struct Placement {
    pub(crate) position: Vector,
    pub(crate) rotation: Rotation,
    pub(crate) owner: Uuid,
    pub(crate) rezzer: Uuid,
    pub(crate) start_param: i32,
    pub(crate) start_string: String,
    /// The root's UUID, if it is to be this one.
    pub(crate) key: Option<Uuid>,
}

impl World {
    /// Puts a room into the region.
    pub(crate) fn build(&mut self, room: &Room) -> Result<(), RoomError> {
        for a in &room.avatar {
            let key = a.key.unwrap_or_else(|| lasting_key(&["avatar", &a.name]));
            self.enter(key, &a.name, a.position);
        }
        let first = room.avatar.first().map_or_else(
            || lasting_key(&["owner", self.name()]),
            |a| a.key.unwrap_or_else(|| lasting_key(&["avatar", &a.name])),
        );
        for r in &room.rack {
            if r.units == 0 {
                return Err(RoomError::Count { object: r.id.clone(), what: "units", count: 0, most: 255 });
            }
            let key = r.key.unwrap_or_else(|| lasting_key(&[self.name(), "rack", &r.id]));
            self.place(room, &r.object(), key, first)?;
        }
        for (i, o) in room.object.iter().enumerate() {
            let name = o.prim.first().map_or("", |p| &p.name);
            let key = o.key.unwrap_or_else(|| lasting_key(&[self.name(), "object", name, &i.to_string()]));
            self.place(room, o, key, first)?;
        }
        Ok(())
    }

    fn place(&mut self, room: &Room, plan: &ObjectPlan, key: Uuid, first: Uuid) -> Result<(), RoomError> {
        let owner = plan.owner.unwrap_or(first);
        let template = self.template(room, plan, owner)?;
        if self.things.contains_key(&key) {
            return Err(RoomError::SameKey { object: template.name, key });
        }
        let root = &template.prims[0].prim;
        let at = Placement {
            position: root.position,
            rotation: root.rotation,
            owner,
            rezzer: Uuid::nil(),
            start_param: 0,
            start_string: String::new(),
            key: Some(key),
        };
        self.rez(&template, at);
        Ok(())
    }

    fn template(&mut self, room: &Room, plan: &ObjectPlan, owner: Uuid) -> Result<Template, RoomError> {
        let name = plan.prim.first().map_or_else(String::new, |p| p.name.clone());
        if plan.prim.is_empty() || plan.prim.len() > PRIMS {
            return Err(RoomError::Count {
                object: name,
                what: "prims",
                count: plan.prim.len(),
                most: PRIMS,
            });
        }
        let prims = plan.prim.iter().map(|p| self.template_prim(room, p, owner)).collect::<Result<_, _>>()?;
        Ok(Template { name, creator: owner, prims, data: LinksetData::default() })
    }

    fn template_prim(
        &mut self,
        room: &Room,
        plan: &PrimPlan,
        owner: Uuid,
    ) -> Result<TemplatePrim, RoomError> {
        let range = |what, ok: bool| {
            if ok { Ok(()) } else { Err(RoomError::Range { object: plan.name.clone(), what }) }
        };
        range("position", plan.position.iter().all(|x| x.is_finite() && x.abs() <= 4096.0))?;
        range("size", plan.size.iter().all(|x| (0.001..=64.0).contains(x)))?;
        range("colour", plan.colour.iter().all(|x| (0.0..=1.0).contains(x)))?;
        range("shape", (0..=6).contains(&plan.shape))?;
        range("turned", plan.turned.is_finite())?;
        let mut prim = Prim::new(Uuid::nil(), ObjectId(0), clip(&plan.name, 63));
        prim.description = clip(&plan.description, 127).into();
        prim.position = plan.position;
        let half = plan.turned.to_radians() / 2.0;
        prim.rotation = if plan.turned == 0.0 { NO_ROTATION } else { [0.0, 0.0, half.sin(), half.cos()] };
        prim.size = plan.size;
        prim.shape.kind = plan.shape;
        prim.faces.change(None, |f| f.colour = plan.colour);
        prim.text.words = clip(&plan.text, self.limits.text).into();
        for (name, text) in &plan.notecards {
            let asset = lasting_key(&["notecard", text]);
            let content = Content::Notecard { text: text.as_str().into(), asset };
            prim.inventory.insert(name.clone(), Item { key: fresh_key(), content });
        }
        for inner in &plan.contains {
            let template = Arc::new(self.template(room, inner, owner)?);
            let name = template.name.clone();
            let content = Content::Object { template, asset: fresh_key() };
            prim.inventory.insert(name, Item { key: fresh_key(), content });
        }
        let mut scripts = Vec::new();
        for s in &plan.scripts {
            let Some(source) = room.scripts.get(&s.script) else {
                return Err(RoomError::NoScript {
                    object: plan.name.clone(),
                    script: s.script.clone(),
                    have: room.scripts.keys().cloned().collect::<Vec<_>>().join(", "),
                });
            };
            let item = s.name.clone().unwrap_or_else(|| s.script.clone());
            let content = Content::Script { id: ScriptId(0), asset: lasting_key(&["script", source]) };
            prim.inventory.insert(item.clone(), Item { key: fresh_key(), content });
            scripts.push(TemplateScript { item, running: true, what: self.compiled(source) });
        }
        Ok(TemplatePrim { prim, scripts })
    }

    /// Brings an object into the world and starts its scripts.
    pub(crate) fn rez(&mut self, template: &Template, at: Placement) -> ObjectId {
        let object = ObjectId(self.next_object);
        self.next_object += 1;
        let root_key = at.key.unwrap_or_else(fresh_key);
        let mut ids = Vec::with_capacity(template.prims.len());
        let mut start = Vec::new();
        for (i, t) in template.prims.iter().enumerate() {
            let id = PrimId(self.next_prim);
            self.next_prim += 1;
            // A room's objects have the same UUIDs in every run, their children too.
            let key = match (i, at.key) {
                (0, _) => root_key,
                (_, Some(root)) => lasting_key(&[&root.to_string(), &i.to_string()]),
                (_, None) => fresh_key(),
            };
            let mut prim = t.prim.clone();
            prim.key = key;
            prim.key_text = key.to_string().into();
            prim.object = object;
            if i == 0 {
                prim.position = at.position;
                prim.rotation = at.rotation;
            }
            for item in prim.inventory.values_mut() {
                item.key = fresh_key();
            }
            for s in &t.scripts {
                let script = ScriptId(self.next_script);
                self.next_script += 1;
                if let Some(Item { content: Content::Script { id, .. }, .. }) =
                    prim.inventory.get_mut(&s.item)
                {
                    *id = script;
                }
                let mut slot = Slot::new(id, &s.item, s.what.clone(), script, self.clock.now());
                slot.running = s.running;
                self.scripts.insert(script, slot);
                start.push((script, prim.name.to_string(), s.item.clone()));
            }
            self.things.insert(key, Thing::Prim(id));
            self.prims.insert(id, prim);
            self.touch_up(id);
            ids.push(id);
        }
        self.objects.insert(
            object,
            Object {
                owner: at.owner,
                creator: template.creator,
                prims: ids,
                data: template.data.clone(),
                rezzer: at.rezzer,
                start_param: at.start_param,
                start_string: at.start_string,
            },
        );
        for (id, name, item) in start {
            self.report_broken(id, object, &name, &item);
            self.make_ready(id);
            // A room's objects stand there; only what is rezzed later is told so.
            if at.key.is_none() {
                self.send(id, "on_rez", vec![Value::Integer(at.start_param)]);
            }
        }
        object
    }

    fn report_broken(&self, id: ScriptId, object: ObjectId, name: &str, item: &str) {
        if let Some(Slot { what: Compiled::Broken(why), prim, .. }) = self.scripts.get(&id) {
            tracing::warn!(object = name, script = item, "a script does not compile");
            self.tell(RegionEvent::ScriptError {
                object,
                prim: *prim,
                script: item.to_owned(),
                message: why.to_string(),
                line: 0,
            });
        }
    }

    /// An object as it can be rezzed again. Its scripts begin anew then; the grids would keep their states.
    pub(crate) fn pack(&self, object: ObjectId) -> Result<Template, Refusal> {
        let o = self.objects.get(&object).ok_or(Refusal::NoObject(object))?;
        let mut prims = Vec::with_capacity(o.prims.len());
        for prim in o.prims.iter().filter_map(|id| self.prim(*id)) {
            let mut scripts = Vec::new();
            for (name, item) in &prim.inventory {
                if let Content::Script { id, .. } = item.content
                    && let Some(slot) = self.scripts.get(&id)
                {
                    scripts.push(TemplateScript {
                        item: name.clone(),
                        running: slot.running,
                        what: slot.what.clone(),
                    });
                }
            }
            prims.push(TemplatePrim { prim: prim.clone(), scripts });
        }
        let name = prims.first().map_or_else(String::new, |p| p.prim.name.to_string());
        Ok(Template { name, creator: o.creator, prims, data: o.data.clone() })
    }

    /// An avatar comes, or moves.
    pub(crate) fn enter(&mut self, key: Uuid, name: &str, position: Vector) {
        self.things.insert(key, Thing::Avatar);
        self.avatars.insert(key, Avatar { name: name.to_owned(), position });
        self.tell(RegionEvent::Avatar { avatar: AvatarView { key, name: name.to_owned(), position } });
    }

    pub(crate) fn leave(&mut self, key: Uuid) -> Result<(), Refusal> {
        self.avatars.remove(&key).ok_or(Refusal::NoAvatar(key))?;
        self.things.remove(&key);
        self.close_dialogs(|d| d.avatar == key);
        self.tell(RegionEvent::AvatarGone { avatar: key });
        Ok(())
    }
}
