//! Chat, listens, menus, messages between scripts.

use super::args::Args;
use super::{Answer, Caller, HostFn, int, void};
use crate::inventory::clip;
use crate::view::{Chat, RegionEvent, Voice};
use crate::world::{Reach, Thing};
use primrack_lsl::{ErrorKind, RuntimeError, Value};

pub(super) const TABLE: &[(&str, HostFn)] = &[
    ("llSay", |c, a| c.chat(a, Voice::Say, Reach::Metres(20.0))),
    ("llWhisper", |c, a| c.chat(a, Voice::Whisper, Reach::Metres(10.0))),
    ("llShout", |c, a| c.chat(a, Voice::Shout, Reach::Metres(100.0))),
    ("llRegionSay", |c, a| {
        if a.int(0)? == 0 {
            // Nobody may shout at a whole region.
            return void();
        }
        c.chat(a, Voice::Shout, Reach::Region)
    }),
    ("llRegionSayTo", region_say_to),
    ("llOwnerSay", |c, a| {
        let owner = c.object()?.owner;
        c.show(Voice::Owner, owner, a.text(0)?)
    }),
    ("llInstantMessage", |c, a| {
        let to = a.key(0)?;
        c.show(Voice::InstantMessage, to, a.text(1)?)
    }),
    ("llListen", listen),
    ("llListenRemove", |c, a| {
        c.world.listen_remove(c.me, a.int(0)?);
        void()
    }),
    ("llListenControl", |c, a| {
        c.world.listen_control(c.me, a.int(0)?, a.int(1)? != 0);
        void()
    }),
    ("llDialog", dialog),
    ("llTextBox", |c, a| {
        let to = a.key(0)?;
        let text = c.question("llTextBox", a.text(1)?)?;
        c.world.open_dialog(c.prim, to, &text, Vec::new(), true, a.int(2)?);
        void()
    }),
    ("llMessageLinked", message_linked),
];

impl Caller<'_> {
    fn chat(&mut self, a: Args<'_>, voice: Voice, reach: Reach) -> Answer {
        let from = self.world.speaker(self.prim);
        self.world.say(&from, a.int(0)?, a.text(1)?, voice, reach);
        void()
    }

    /// Words that one person sees.
    fn show(&mut self, voice: Voice, to: uuid::Uuid, text: &str) -> Answer {
        let from = self.world.speaker(self.prim);
        self.world.tell(RegionEvent::Chat(Chat {
            voice,
            from: from.key,
            name: from.name,
            to: Some(to),
            text: clip(text, 1023).to_owned(),
            position: from.position,
        }));
        void()
    }

    /// The words of a menu or text box: 512 bytes at most.
    fn question(&mut self, function: &str, text: &str) -> Result<String, RuntimeError> {
        if text.is_empty() {
            self.world.complain(self.me, &format!("{function}: the message is empty"));
        }
        if text.len() > 512 {
            self.world.complain(self.me, &format!("{function}: the message is longer than 512 bytes"));
        }
        Ok(clip(text, 512).to_owned())
    }
}

fn region_say_to(c: &mut Caller<'_>, a: Args<'_>) -> Answer {
    let (to, channel, text) = (a.key(0)?, a.int(1)?, a.text(2)?);
    if c.world.thing(to).is_none() {
        return void();
    }
    let from = c.world.speaker(c.prim);
    c.world.say(&from, channel, text, Voice::Private, Reach::Only(to));
    void()
}

fn listen(c: &mut Caller<'_>, a: Args<'_>) -> Answer {
    match c.world.listen(c.me, a.int(0)?, a.text(1)?, a.text(2)?, a.text(3)?) {
        Some(handle) => int(handle),
        None => Err(RuntimeError::new(ErrorKind::Host, "Too Many Listens")),
    }
}

fn dialog(c: &mut Caller<'_>, a: Args<'_>) -> Answer {
    let (to, channel) = (a.key(0)?, a.int(3)?);
    let text = c.question("llDialog", a.text(1)?)?;
    let mut buttons = Vec::new();
    let mut wrong = None;
    for b in a.list(2)? {
        match b {
            Value::Str(s) | Value::Key(s) if s.is_empty() => wrong = Some("a button is empty".to_owned()),
            Value::Str(s) | Value::Key(s) if s.len() > 24 => {
                wrong = Some(format!("the button {:?} is longer than 24 bytes", s.as_str()));
            }
            Value::Str(s) | Value::Key(s) => buttons.push(s.to_string()),
            _ => wrong = Some("a button is no string".to_owned()),
        }
    }
    if buttons.len() > 12 {
        wrong = Some(format!("there are {} buttons, 12 are allowed", buttons.len()));
    }
    if let Some(wrong) = wrong {
        // All grids refuse the whole menu and say so on the debug channel.
        c.world.complain(c.me, &format!("llDialog: {wrong}"));
        return void();
    }
    if buttons.is_empty() {
        buttons.push("OK".to_owned());
    }
    c.world.open_dialog(c.prim, to, &text, buttons, false, channel);
    void()
}

fn message_linked(c: &mut Caller<'_>, a: Args<'_>) -> Answer {
    let (link, num, text, id) = (a.int(0)?, a.int(1)?, a.text(2)?, a.text(3)?);
    let sender = c.world.link_of(c.prim);
    for prim in c.world.linked(c.prim, link) {
        for script in c.world.scripts_in(prim) {
            let args = vec![Value::Integer(sender), Value::Integer(num), Value::str(text), Value::key(id)];
            c.world.send(script, "link_message", args);
        }
    }
    void()
}

/// Whether somebody of that key is an avatar here.
pub(super) fn is_avatar(c: &Caller<'_>, key: uuid::Uuid) -> bool {
    matches!(c.world.thing(key), Some(Thing::Avatar))
}
