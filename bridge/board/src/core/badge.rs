//! Badges and buttons: who asks for what, whether it is asked at all, and the receipt shown at the reader.

use std::collections::hash_map::Entry;

use primrack_link::message::SunMessage;
use primrack_model::ActorKind;

use super::outputs::Then;
use super::*;
use crate::badges::Holder;
use crate::config::{Deed, Wired};
use crate::guard::{Rules, Showing};
use crate::look::verdict_lamp;

/// How long the LCD shows a receipt.
const LCD_MS: Ms = 4000;
/// How long the tower shows one.
const LAMP_MS: u32 = 1500;
/// Characters of a row.
const ROW: usize = 16;

/// Somebody wants something; to be put to the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asking {
    pub(crate) actor: Actor,
    pub(crate) wired: Wired,
    /// The reader, where a badge asks.
    pub(crate) reader: Option<u8>,
    /// The board's name for the event.
    pub(crate) boot: u16,
    pub(crate) seq: u16,
    /// How old it was when it arrived.
    pub(crate) age: Duration,
    /// What must be kept before anything is done: the counter of a badge that proved itself.
    pub(crate) keep: Option<(String, String)>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) actor: Actor,
    pub(crate) reader: Option<u8>,
    pub(crate) accepted: bool,
    /// Policy said no, which counts towards a lock-out.
    pub(crate) denied: bool,
    /// What it was about, for the LCD.
    pub(crate) label: String,
    /// What was decided, in as many characters as an LCD has.
    pub(crate) words: String,
}

impl Core {
    pub(super) fn tag(&mut self, now: Ms, reader: u8, uid: &[u8], origin: (u16, u16), age: Duration) {
        if !self.plan.readers.contains_key(&reader) {
            return;
        }
        let (id, proved) = match self.badges.holder(uid) {
            Holder::Known(name) | Holder::Stranger(name) => (name, true),
            Holder::Unproved(name) => (name, false),
        };
        let actor = Actor::new(ActorKind::Badge, &id, "");
        if !proved {
            let words =
                "this badge has keys and showed only its number: hold it to a reader that reads it in full";
            return self.refuse(now, reader, &actor, "unproved", words, "Hold it longer");
        }
        self.badge(now, reader, actor, origin, age, None);
    }

    pub(super) fn sun(
        &mut self,
        now: Ms,
        reader: u8,
        message: &SunMessage,
        origin: (u16, u16),
        age: Duration,
    ) {
        if !self.plan.readers.contains_key(&reader) {
            return;
        }
        let Some((name, counter)) = self.badges.prove(message) else {
            let actor = Actor::new(ActorKind::Badge, self.badges.stranger(&message.picc), "");
            let words = "a badge that should prove itself did not: its keys are not in the badges file, or it is forged";
            return self.refuse(now, reader, &actor, "forged-badge", words, "Not genuine");
        };
        let actor = Actor::new(ActorKind::Badge, &name, "");
        match self.counters.entry(name.clone()) {
            Entry::Occupied(mut last) if counter > *last.get() => {
                last.insert(counter);
            }
            Entry::Occupied(_) => {
                let words = format!("its counter {counter} was used before: a recording played again");
                return self.refuse(now, reader, &actor, "replayed-badge", &words, "Used before");
            }
            Entry::Vacant(first) => {
                first.insert(counter);
            }
        }
        let keep = Some((format!("sun/{name}"), counter.to_string()));
        self.badge(now, reader, actor, origin, age, keep);
    }

    fn badge(
        &mut self,
        now: Ms,
        reader: u8,
        actor: Actor,
        (boot, seq): (u16, u16),
        age: Duration,
        keep: Option<(String, String)>,
    ) {
        let plan = Arc::clone(&self.plan);
        let Some((wired, config)) = plan.readers.get(&reader) else { return };
        if age > STALE {
            let words =
                format!("shown {:.1} s ago, while the line was down: show it again", age.as_secs_f32());
            return self.refuse(now, reader, &actor, "stale-badge", &words, "Too late, again");
        }
        let rules = Rules {
            debounce_ms: config.debounce_ms.into(),
            denials: config.denials,
            lockout_ms: u64::from(config.lockout_s) * 1000,
        };
        match self.guard.shown(now, reader, &actor.id, rules) {
            Showing::Same => {}
            Showing::LockedOut(left) => {
                let words =
                    format!("locked out for {} s more after {} denials", left.div_ceil(1000), rules.denials);
                self.refuse(now, reader, &actor, "locked-out", &words, "Locked out");
            }
            Showing::Asks => {
                let wired = wired.clone();
                let asking = Asking { actor, wired, reader: Some(reader), boot, seq, age, keep };
                self.effects.push(Effect::Ask(Box::new(asking)));
            }
        }
    }

    pub(super) fn button(&mut self, index: u8, pressed: bool, (boot, seq): (u16, u16), age: Duration) {
        let Some((wired, on_release)) = self.plan.buttons.get(&index) else { return };
        if pressed == *on_release {
            return;
        }
        let actor = Actor::new(ActorKind::Button, format!("{}-{index}", self.name), "");
        // An emergency stop that comes late is still better than none.
        if age > STALE && wired.deed != Deed::EmergencyStop {
            let words =
                format!("pressed {:.1} s ago, while the line was down: press again", age.as_secs_f32());
            let subject = actor.to_string();
            self.effects.push(Effect::Audit { class: "stale-button", subject, words });
            return;
        }
        let asking = Asking { actor, wired: wired.clone(), reader: None, boot, seq, age, keep: None };
        self.effects.push(Effect::Ask(Box::new(asking)));
    }

    /// Refused before policy was asked.
    fn refuse(&mut self, now: Ms, reader: u8, actor: &Actor, class: &'static str, words: &str, short: &str) {
        let subject = format!("{}/reader-{reader} {actor}", self.name);
        self.effects.push(Effect::Audit { class, subject, words: words.to_owned() });
        self.receipt(now, false, &actor.id.clone(), short);
    }

    pub(super) fn decided(&mut self, now: Ms, verdict: Verdict) {
        let Verdict { actor, reader, accepted, denied, label, words } = verdict;
        if let Some(reader) = reader
            && let Some((_, config)) = self.plan.readers.get(&reader)
        {
            let rules = Rules {
                debounce_ms: config.debounce_ms.into(),
                denials: config.denials,
                lockout_ms: u64::from(config.lockout_s) * 1000,
            };
            // What was no question of rights neither counts nor forgives.
            if (accepted || denied) && self.guard.decided(now, reader, &actor.id, denied, rules) {
                let subject = format!("{}/reader-{reader} {actor}", self.name);
                let words =
                    format!("{} denials in a row, locked out for {} s", rules.denials, config.lockout_s);
                self.effects.push(Effect::Audit { class: "lock-out", subject, words });
            }
        }
        self.receipt(now, accepted, &label, &words);
    }

    /// Shows a receipt by whatever the board has for it: short and high is yes, long and low is no.
    fn receipt(&mut self, now: Ms, accepted: bool, label: &str, words: &str) {
        let plan = Arc::clone(&self.plan);
        if let Some(buzzer) = plan.buzzer {
            let (tone, lease) = if accepted { (2400, 80) } else { (300, 500) };
            self.put(now, buzzer, tone, lease, Then::Nothing);
        }
        if let Some(lamp) = plan.lamp {
            self.put(now, lamp, verdict_lamp(accepted), LAMP_MS, Then::Nothing);
        }
        if let Some(index) = plan.lcd
            && self.down.is_none()
        {
            for (row, text) in [(0, label), (1, words)] {
                self.effects.push(Effect::Text { index, row, text: lcd_row(text) });
            }
            self.lcd_until = Some(now + LCD_MS);
        }
    }
}

/// What an LCD can show of a text.
fn lcd_row(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii() && !c.is_ascii_control() { c } else { '?' }).take(ROW).collect()
}
