//! What lies in prims: notecards, scripts, objects to rez.

use super::args::Args;
use super::script::end;
use super::{Answer, Caller, HostFn, count, give, int, void};
use crate::geometry::{length, sub};
use crate::ids::fresh_key;
use crate::inventory::{Content, Item, clip, line, lines};
use crate::view::Voice;
use crate::world::{Placement, Reach, Thing, changed};
use primrack_lsl::value::NULL_KEY;
use primrack_lsl::{Profile, RuntimeError, Value};
use std::sync::Arc;

pub(super) const TABLE: &[(&str, HostFn)] = &[
    ("llGetInventoryNumber", |c, a| {
        let kind = a.int(0)?;
        count(c.here()?.inventory.values().filter(|i| kind == -1 || i.content.kind() == kind).count())
    }),
    ("llGetInventoryName", |c, a| {
        let (kind, n) = (a.int(0)?, usize::try_from(a.int(1)?).unwrap_or(usize::MAX));
        let name = c
            .here()?
            .inventory
            .iter()
            .filter(|(_, i)| kind == -1 || i.content.kind() == kind)
            .nth(n)
            .map_or("", |(name, _)| name);
        give(Value::str(name))
    }),
    ("llGetInventoryType", |c, a| int(c.item(a.text(0)?)?.map_or(-1, |i| i.content.kind()))),
    ("llGetInventoryKey", |c, a| {
        give(
            c.item(a.text(0)?)?
                .map_or_else(|| Value::key(NULL_KEY), |i| Value::key(i.content.asset().to_string())),
        )
    }),
    ("osGetInventoryItemKey", |c, a| {
        give(c.item(a.text(0)?)?.map_or_else(|| Value::key(NULL_KEY), |i| Value::key(i.key.to_string())))
    }),
    // All of it is the owner's own.
    ("llGetInventoryPermMask", |c, a| int(if c.item(a.text(0)?)?.is_some() { 0x7fff_ffff } else { 0 })),
    ("llGetInventoryCreator", |c, a| {
        let creator = c.object()?.creator;
        give(Value::key(if c.item(a.text(0)?)?.is_some() {
            creator.to_string()
        } else {
            NULL_KEY.to_owned()
        }))
    }),
    ("llGetInventoryDesc", |_, _| give(Value::str(""))),
    ("llRemoveInventory", remove),
    ("llGiveInventory", give_item),
    ("llGetNotecardLine", notecard_line),
    ("llGetNumberOfNotecardLines", |c, a| {
        let Some(text) = c.notecard(a.text(0)?)? else { return c.no_notecard(a.text(0)?) };
        c.data(lines(&text).to_string())
    }),
    ("llGetNotecardLineSync", |c, a| {
        let most = c.world.limits.notecard_line;
        let Some(text) = c.notecard(a.text(0)?)? else {
            return give(Value::str(c.nak()));
        };
        let found = line(&text, a.int(1)?, most).unwrap_or(EOF);
        give(Value::str(found))
    }),
    ("osGetNotecard", |c, a| {
        let text = c.notecard(a.text(0)?)?;
        give(Value::str(text.as_deref().unwrap_or("ERROR!")))
    }),
    ("osGetNotecardLine", |c, a| {
        let most = c.world.limits.notecard_line;
        let text = c.notecard(a.text(0)?)?;
        give(Value::str(
            text.as_deref().map_or("ERROR!", |t| line(t, a.int(1).unwrap_or(-1), most).unwrap_or(EOF)),
        ))
    }),
    ("osGetNumberOfNotecardLines", |c, a| {
        let text = c.notecard(a.text(0)?)?;
        text.map_or_else(|| int(-1), |t| count(lines(&t)))
    }),
    ("llRezObject", |c, a| c.rez(a)),
    // With no centre of mass to speak of, at the root is where the other rezzes too.
    ("llRezAtRoot", |c, a| c.rez(a)),
];

const EOF: &str = "\n\n\n";

impl Caller<'_> {
    fn item(&self, name: &str) -> Result<Option<&Item>, RuntimeError> {
        Ok(self.here()?.inventory.get(name))
    }

    fn notecard(&self, name: &str) -> Result<Option<Arc<str>>, RuntimeError> {
        Ok(match self.item(name)?.map(|i| &i.content) {
            Some(Content::Notecard { text, .. }) => Some(Arc::clone(text)),
            _ => None,
        })
    }

    /// An answer of the data server.
    fn data(&mut self, text: impl AsRef<str>) -> Answer {
        let request = fresh_key().to_string();
        let args = vec![Value::key(request.as_str()), Value::str(text.as_ref())];
        self.world.send_later(self.me, 0.02, "dataserver", args);
        give(Value::key(request))
    }

    /// All grids say so on the debug channel; Second Life's key is the null key, and no event comes.
    fn no_notecard(&mut self, name: &str) -> Answer {
        self.world.complain(self.me, &format!("there is no notecard {:?}", clip(name, 64)));
        give(Value::key(NULL_KEY))
    }

    /// What a notecard that cannot be read at once gives.
    fn nak(&self) -> &'static str {
        if self.profile() == Profile::OpenSim092 { EOF } else { "\n\u{15}\n" }
    }

    fn rez(&mut self, a: Args<'_>) -> Answer {
        let (name, at, velocity, rotation, param) =
            (a.text(0)?, a.vector(1)?, a.vector(2)?, a.rotation(3)?, a.int(4)?);
        let template = match self.item(name)?.map(|i| &i.content) {
            Some(Content::Object { template, .. }) => Arc::clone(template),
            _ => {
                let text = format!("Could not find object {}", clip(name, 64));
                self.world.complain(self.me, &text);
                return void();
            }
        };
        if length(velocity) > 0.0 {
            return Err(RuntimeError::new(
                primrack_lsl::ErrorKind::Unsupported,
                "rezzing with a velocity is not available in this region, which has no physics",
            ));
        }
        // Too far away: nothing happens, and nobody is told.
        if !at.iter().all(|x| x.is_finite()) || length(sub(at, self.world.place_of(self.prim).0)) > 10.0 {
            return void();
        }
        let owner = self.object()?.owner;
        let rezzer = self.here()?.key;
        let object = self.world.rez(
            &template,
            Placement {
                position: at,
                rotation: crate::geometry::unit(rotation),
                owner,
                rezzer,
                start_param: param,
                start_string: String::new(),
                key: None,
            },
        );
        let key =
            self.world.objects.get(&object).and_then(|o| o.prims.first()).and_then(|r| self.world.prim(*r));
        let key = key.map_or_else(|| Value::key(NULL_KEY), |p| Value::Key(p.key_text.clone()));
        for id in self.world.scripts_in(self.prim) {
            self.world.send(id, "object_rez", vec![key.clone()]);
        }
        void()
    }
}

fn notecard_line(c: &mut Caller<'_>, a: Args<'_>) -> Answer {
    let most = c.world.limits.notecard_line;
    let Some(text) = c.notecard(a.text(0)?)? else { return c.no_notecard(a.text(0)?) };
    // A negative line does not exist on any grid.
    let found = line(&text, a.int(1)?, most).unwrap_or(EOF);
    c.data(found)
}

fn remove(c: &mut Caller<'_>, a: Args<'_>) -> Answer {
    let Some(item) = c.here_mut()?.inventory.remove(a.text(0)?) else {
        c.world.complain(c.me, "llRemoveInventory: there is no such item");
        return void();
    };
    c.world.changed(c.prim, changed::INVENTORY);
    if let Content::Script { id, .. } = item.content {
        c.world.remove_script(id);
        if id == c.me {
            return Ok(end());
        }
    }
    void()
}

/// To another object the item goes over; to an avatar it is told, for inventories of avatars there are none here.
fn give_item(c: &mut Caller<'_>, a: Args<'_>) -> Answer {
    let to = a.key(0)?;
    let name = a.text(1)?;
    let Some(item) = c.item(name)?.cloned() else {
        c.world.complain(c.me, &format!("could not find {:?} to give", clip(name, 64)));
        return void();
    };
    match (c.world.thing(to), item.content) {
        (Some(Thing::Avatar), _) => {
            let from = c.world.speaker(c.prim);
            let text = format!("gave you {name:?} (simulated: it is not kept)");
            c.world.say(&from, 0, &text, Voice::Private, Reach::Only(to));
        }
        (Some(Thing::Prim(p)), content @ (Content::Notecard { .. } | Content::Object { .. })) => {
            if let Some(prim) = c.world.prims.get_mut(&p) {
                prim.inventory.insert(name.to_owned(), Item { key: fresh_key(), content });
            }
            c.world.changed(p, changed::INVENTORY);
        }
        (Some(Thing::Prim(_)), Content::Script { .. }) => {
            return Err(RuntimeError::new(
                primrack_lsl::ErrorKind::Unsupported,
                "giving a script to another object is not available in this region",
            ));
        }
        (None, _) => {}
    }
    void()
}
