//! Chat, listens, menus and text boxes.

use super::{Listen, Refusal, Thing, World};
use crate::geometry::{Vector, length, sub};
use crate::ids::{AvatarKey, DialogId, PrimId};
use crate::inventory::clip;
use crate::view::{Chat, Dialog, RegionEvent, Voice};
use primrack_lsl::Value;
use primrack_lsl::vm::ScriptId;
use std::collections::VecDeque;
use uuid::Uuid;

/// Who says something.
#[derive(Debug, Clone)]
pub(crate) struct Speaker {
    pub(crate) key: Uuid,
    pub(crate) name: String,
    pub(crate) position: Vector,
    /// The prim, which does not hear itself.
    pub(crate) prim: Option<PrimId>,
}

/// Who can hear it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Reach {
    /// So many metres around.
    Metres(f64),
    /// The whole region.
    Region,
    /// One prim or avatar.
    Only(Uuid),
}

/// Bytes of a chat line.
const LINE: usize = 1023;
/// Menus and text boxes that are open in the region at most; the oldest is closed for a new one.
const DIALOGS: usize = 512;
/// The same for one avatar.
const DIALOGS_EACH: usize = 16;

impl World {
    pub(crate) fn speaker(&self, prim: PrimId) -> Speaker {
        let (key, name) =
            self.prim(prim).map_or((Uuid::nil(), String::new()), |p| (p.key, p.name.to_string()));
        Speaker { key, name, position: self.place_of(prim).0, prim: Some(prim) }
    }

    /// Chat on a channel. What is said on channel 0 is seen by people too.
    pub(crate) fn say(&mut self, from: &Speaker, channel: i32, text: &str, voice: Voice, reach: Reach) {
        let text = clip(text, LINE);
        let visible = match reach {
            Reach::Only(key) => matches!(self.things.get(&key), Some(Thing::Avatar)).then_some(Some(key)),
            Reach::Metres(_) | Reach::Region => Some(None),
        };
        if channel == 0
            && let Some(to) = visible
        {
            self.tell(RegionEvent::Chat(Chat {
                voice,
                from: from.key,
                name: from.name.clone(),
                to,
                text: text.to_owned(),
                position: from.position,
            }));
        }
        let Some(all) = self.listens.get(&channel) else { return };
        let heard: Vec<ScriptId> =
            all.iter().filter(|l| self.hears(l, from, text, reach)).map(|l| l.script).collect();
        for id in heard {
            let args = vec![
                Value::Integer(channel),
                Value::str(from.name.as_str()),
                Value::key(from.key.to_string()),
                Value::str(text),
            ];
            self.send(id, "listen", args);
        }
    }

    fn hears(&self, l: &Listen, from: &Speaker, text: &str, reach: Reach) -> bool {
        let Some(prim) = self.scripts.get(&l.script).map(|s| s.prim) else { return false };
        l.active
            && from.prim != Some(prim)
            && l.key.is_none_or(|k| k == from.key)
            && (l.name.is_empty() || l.name == from.name)
            && (l.words.is_empty() || l.words == text)
            && match reach {
                Reach::Region => true,
                Reach::Metres(m) => length(sub(self.place_of(prim).0, from.position)) <= m,
                // Words to a prim reach its whole object on Second Life, and that prim in OpenSimulator; all scripts
                // of the object is the wider of the two.
                Reach::Only(key) => match self.things.get(&key) {
                    Some(Thing::Prim(p)) => self.root_of(*p) == self.root_of(prim),
                    _ => false,
                },
            }
    }

    /// Opens a listen; `None` when the script has too many.
    pub(crate) fn listen(
        &mut self,
        script: ScriptId,
        channel: i32,
        name: &str,
        key: &str,
        words: &str,
    ) -> Option<i32> {
        let most = self.limits.listens;
        let key = Uuid::parse_str(key).ok().filter(|k| !k.is_nil());
        let all = self.listens.entry(channel).or_default();
        if let Some(same) =
            all.iter_mut().find(|l| l.script == script && l.name == name && l.key == key && l.words == words)
        {
            same.active = true;
            return Some(same.handle);
        }
        let slot = self.scripts.get_mut(&script).filter(|s| s.listens < most)?;
        slot.listens += 1;
        slot.last_handle = slot.last_handle.wrapping_add(1);
        let handle = slot.last_handle;
        all.push(Listen {
            script,
            handle,
            name: name.to_owned(),
            key,
            words: words.to_owned(),
            active: true,
        });
        Some(handle)
    }

    pub(crate) fn listen_control(&mut self, script: ScriptId, handle: i32, active: bool) {
        for l in self.listens.values_mut().flatten() {
            if l.script == script && l.handle == handle {
                l.active = active;
            }
        }
    }

    pub(crate) fn listen_remove(&mut self, script: ScriptId, handle: i32) {
        self.drop_listens(script, Some(handle));
    }

    pub(crate) fn end_listens(&mut self, script: ScriptId) {
        if self.scripts.get(&script).is_some_and(|s| s.listens > 0) {
            self.drop_listens(script, None);
        }
    }

    fn drop_listens(&mut self, script: ScriptId, handle: Option<i32>) {
        let mut dropped = 0;
        self.listens.retain(|_, all| {
            let before = all.len();
            all.retain(|l| l.script != script || handle.is_some_and(|h| h != l.handle));
            dropped += before - all.len();
            !all.is_empty()
        });
        if let Some(slot) = self.scripts.get_mut(&script) {
            slot.listens -= dropped.min(slot.listens);
        }
    }

    /// Puts a menu or, without buttons, a text box in front of an avatar. Nothing happens if it is not there.
    pub(crate) fn open_dialog(
        &mut self,
        prim: PrimId,
        avatar: Uuid,
        text: &str,
        buttons: Vec<String>,
        text_box: bool,
        channel: i32,
    ) {
        if !self.avatars.contains_key(&avatar) {
            return;
        }
        let Some(object) = self.prim(prim).map(|p| p.object) else { return };
        let from =
            self.root_of(prim).and_then(|r| self.prim(r)).map_or_else(String::new, |p| p.name.to_string());
        let id = DialogId(self.next_dialog);
        self.next_dialog += 1;
        let dialog = Dialog { id, avatar, object, from, text: text.to_owned(), buttons, text_box };
        let theirs = self.dialogs.iter().filter(|(d, _)| d.avatar == avatar).count();
        let oldest = if theirs >= DIALOGS_EACH {
            self.dialogs.iter().position(|(d, _)| d.avatar == avatar)
        } else {
            (self.dialogs.len() >= DIALOGS).then_some(0)
        };
        if let Some((d, _)) = oldest.and_then(|i| self.dialogs.remove(i)) {
            self.tell(RegionEvent::DialogClosed { dialog: d.id, avatar: d.avatar });
        }
        self.dialogs.push_back((dialog.clone(), channel));
        self.tell(RegionEvent::Dialog(dialog));
    }

    pub(crate) fn dialogs(&self) -> impl Iterator<Item = &Dialog> {
        self.dialogs.iter().map(|(d, _)| d)
    }

    /// Answers a menu with one of its buttons, or a text box with a line; `None` closes it unanswered, which no script
    /// sees.
    pub(crate) fn answer_dialog(
        &mut self,
        avatar: AvatarKey,
        id: DialogId,
        answer: Option<&str>,
        text: bool,
    ) -> Result<(), Refusal> {
        if !self.up {
            return Err(Refusal::Down);
        }
        let at = self
            .dialogs
            .iter()
            .position(|(d, _)| d.id == id && d.avatar == avatar)
            .ok_or(Refusal::NoDialog)?;
        let (dialog, channel) = &self.dialogs[at];
        let channel = *channel;
        if let Some(answer) = answer
            && (dialog.text_box != text || (!text && !dialog.buttons.iter().any(|b| b == answer)))
        {
            return Err(Refusal::NotOffered);
        }
        self.dialogs.remove(at);
        self.tell(RegionEvent::DialogClosed { dialog: id, avatar });
        if let Some(answer) = answer {
            // The answer of a menu is chat of the avatar. People touch from anywhere in this region, so it is heard
            // from anywhere too.
            let from = self.avatar_speaker(avatar)?;
            self.say(&from, channel, answer, Voice::Say, Reach::Region);
        }
        Ok(())
    }

    pub(crate) fn avatar_speaker(&self, avatar: AvatarKey) -> Result<Speaker, Refusal> {
        let a = self.avatars.get(&avatar).ok_or(Refusal::NoAvatar(avatar))?;
        Ok(Speaker { key: avatar, name: a.name.clone(), position: a.position, prim: None })
    }

    /// An avatar says something.
    pub(crate) fn avatar_says(&mut self, avatar: AvatarKey, channel: i32, text: &str) -> Result<(), Refusal> {
        let from = self.avatar_speaker(avatar)?;
        self.say(&from, channel, text, Voice::Say, Reach::Metres(20.0));
        Ok(())
    }

    /// Closes what an avatar or object had open.
    pub(crate) fn close_dialogs(&mut self, which: impl Fn(&Dialog) -> bool) {
        let (gone, stay) = std::mem::take(&mut self.dialogs).into_iter().partition(|(d, _)| which(d));
        self.dialogs = stay;
        let gone: VecDeque<(Dialog, i32)> = gone;
        for (d, _) in gone {
            self.tell(RegionEvent::DialogClosed { dialog: d.id, avatar: d.avatar });
        }
    }
}
