//! From what happened at an object to intents, menus and answers.

use primrack_engine::Engine;
use primrack_model::{
    Action, Actor, ActorKind, Edge, Intent, IntentId, OriginKey, Receipt, RefusalCode, TargetIx, TouchMode,
    UnixMs, Verdict, Via,
};
use primrack_wire::world::{
    Answer, AnswerEntry, AnswerVerdict, BODY_ROOM, Event, EventId, EventKind, Events, Fault, clip, fit,
};
use smol_str::SmolStr;
use std::sync::Arc;

use crate::station::{Menu, Question};
use crate::words;
use crate::world::World;

/// The button that asks for nothing.
const CANCEL: &str = "Cancel";

/// Who touched what, where, and the event's own name.
struct Deed<'a> {
    at: usize,
    id: &'a EventId,
    actor: Actor,
    unit: u8,
    target: TargetIx,
}

impl World {
    /// Answers a batch: as many entries as fit, in order.
    pub(crate) async fn events(&self, at: usize, batch: Events) -> Result<Answer, Fault> {
        {
            let station = self.station(at);
            let holder = station.line.as_ref().map(|line| &line.facts.holder);
            if holder != Some(&batch.holder) {
                return Err(Fault::NotRegistered);
            }
        }
        self.counters.events.inc_by(batch.list.len() as u64);
        let mut list = futures::future::join_all(batch.list.iter().map(|event| self.event(at, event))).await;
        {
            let mut station = self.station(at);
            for entry in &list {
                if station.recall(&entry.id).is_none() {
                    station.remember(entry.clone());
                }
            }
        }
        // A single entry always fits.
        if list.len() > 1 {
            list.truncate(fit(&list, r#"{"list":}"#.len(), BODY_ROOM));
        }
        Ok(Answer::Entries { list })
    }

    async fn event(&self, at: usize, event: &Event) -> AnswerEntry {
        let Event { id, kind } = event;
        if let Some(entry) = self.station(at).recall(id) {
            return entry.clone();
        }
        let entry = |who: &SmolStr, verdict| AnswerEntry { id: id.clone(), who: who.clone(), verdict };
        match kind {
            EventKind::Touch { unit, who, name } => {
                entry(who, self.touch(at, id, *unit, avatar(who, name)).await)
            }
            EventKind::Choose { menu, who, name, pick } => {
                entry(who, self.choose(at, id, menu, avatar(who, name), pick).await)
            }
            EventKind::Line { menu, who, name, text } => {
                entry(who, self.choose(at, id, menu, avatar(who, name), text.trim()).await)
            }
            EventKind::Error { text } => {
                let inventory = self.inventory();
                let object = &inventory.objects()[at].id;
                tracing::warn!(%object, text = clip(text, 256), "the script reports trouble");
                self.counters.reason("script-error");
                if let Some(audit) = self.audit.get() {
                    audit.note("script-error", object.as_str(), "The script reports trouble: see the log.");
                }
                entry(&SmolStr::default(), AnswerVerdict::Noted)
            }
        }
    }

    async fn touch(&self, at: usize, id: &EventId, unit: u8, actor: Actor) -> AnswerVerdict {
        let inventory = self.inventory();
        let object = &inventory.objects()[at];
        let Some(engine) = self.engine.get() else { return not_offered("The bridge is starting.") };
        let Some(target) = object.target(unit) else {
            let say = format!(
                "Unit {unit} of {} shows nothing: give it a target in the bridge's configuration.",
                object.label
            );
            return AnswerVerdict::Refused { code: code(RefusalCode::NoTarget), say: clip(&say, words::SAY) };
        };
        let deed = Deed { at, id, actor, unit, target };
        let kind = inventory.target(target).kind;
        let state = engine.state(target);
        let direct = match object.touch {
            TouchMode::Menu => None,
            TouchMode::Start => Some(Action::Start),
            TouchMode::Toggle => Some(kind.toggle(state.power)),
        };
        if let Some(action) = direct {
            return self.submit(engine, &deed, action).await;
        }
        let via = self.via(&deed);
        match engine.choices(&deed.actor, target, &via) {
            Ok(actions) => self.offer(&deed, Question::Actions(actions), &state),
            // A no is recorded like any other: as the refusal of what they most likely wanted.
            Err(refusal) if matches!(refusal.code, RefusalCode::NotPermitted | RefusalCode::Forbidden) => {
                self.submit(engine, &deed, kind.toggle(state.power)).await
            }
            Err(refusal) => {
                AnswerVerdict::Refused { code: code(refusal.code), say: clip(&refusal.words, words::SAY) }
            }
        }
    }

    async fn choose(&self, at: usize, id: &EventId, menu: &str, actor: Actor, pick: &str) -> AnswerVerdict {
        let Some(engine) = self.engine.get() else { return not_offered("The bridge is starting.") };
        let now = UnixMs::now();
        let answered = {
            let mut station = self.station(at);
            station.menu(menu, &actor.id, id, now).map(|menu| {
                menu.answered_by = Some(id.clone());
                (menu.unit, menu.target, menu.question.clone())
            })
        };
        let (unit, target, question) = match answered {
            Ok(answered) => answered,
            Err(why) => {
                // Sent again over a restart of the bridge: the menu is gone, the receipt is not.
                let origin = self.origin(at, id);
                return match engine.journal().find_origin(Edge::World, &origin).await {
                    Ok(Some(receipt)) => verdict(&receipt),
                    _ => self.not_offered(at, why),
                };
            }
        };
        let deed = Deed { at, id, actor, unit, target };
        let inventory = self.inventory();
        let entry = inventory.target(target);
        if pick == CANCEL {
            return AnswerVerdict::Noted;
        }
        match question {
            Question::Actions(actions) => match actions
                .into_iter()
                .find(|action| entry.kind.label(*action) == pick)
            {
                None => self.not_offered(at, "That was not offered: touch again."),
                Some(action @ (Action::HardOff | Action::Reset)) => {
                    let question =
                        if entry.protected { Question::TypeLabel(action) } else { Question::Confirm(action) };
                    self.offer(&deed, question, &engine.state(target))
                }
                Some(action) => self.submit(engine, &deed, action).await,
            },
            Question::Confirm(action) if pick == entry.kind.label(action) => {
                self.submit(engine, &deed, action).await
            }
            Question::TypeLabel(action) if pick == entry.label => self.submit(engine, &deed, action).await,
            Question::TypeLabel(_) => self.not_offered(at, "That is not its name, so nothing is done."),
            Question::Confirm(_) => self.not_offered(at, "That was not offered: touch again."),
        }
    }

    /// An answer to a question that was not put like that: a script that is wrong, or somebody who tries.
    fn not_offered(&self, at: usize, why: &'static str) -> AnswerVerdict {
        self.counters.reason(RefusalCode::NotOffered.token());
        if let Some(audit) = self.audit.get() {
            audit.note(RefusalCode::NotOffered.token(), self.inventory().objects()[at].id.as_str(), why);
        }
        not_offered(why)
    }

    async fn submit(&self, engine: &Arc<Engine>, deed: &Deed<'_>, action: Action) -> AnswerVerdict {
        let intent = Intent {
            id: IntentId::now(),
            actor: deed.actor.clone(),
            action,
            target: self.inventory().target(deed.target).id.clone(),
            via: self.via(deed),
            origin: Some(self.origin(deed.at, deed.id)),
            at: UnixMs::now(),
        };
        verdict(&engine.submit(intent).await)
    }

    fn offer(
        &self,
        deed: &Deed<'_>,
        question: Question,
        state: &primrack_model::TargetState,
    ) -> AnswerVerdict {
        let inventory = self.inventory();
        let entry = inventory.target(deed.target);
        let now = UnixMs::now();
        let for_s = self.settings.load().menu_s;
        let id = SmolStr::new(format!("{:016x}", rand_u64()));
        let verdict = match &question {
            Question::Actions(actions) => AnswerVerdict::Menu {
                menu: id.clone(),
                say: words::menu(entry, state),
                pick: actions.iter().map(|action| SmolStr::new_static(entry.kind.label(*action))).collect(),
                for_s,
            },
            Question::Confirm(action) => AnswerVerdict::Menu {
                menu: id.clone(),
                say: words::confirm(entry, *action),
                pick: vec![SmolStr::new_static(entry.kind.label(*action)), SmolStr::new_static(CANCEL)],
                for_s,
            },
            Question::TypeLabel(action) => AnswerVerdict::Ask {
                menu: id.clone(),
                say: clip(
                    &format!(
                        "{} It is protected: write {:?} to go on.",
                        words::confirm(entry, *action),
                        entry.label
                    ),
                    words::SAY,
                ),
                for_s,
            },
        };
        let until = UnixMs(now.0 + i64::from(for_s) * 1000);
        let menu = Menu {
            id,
            who: deed.actor.id.clone(),
            unit: deed.unit,
            target: deed.target,
            question,
            until,
            answered_by: None,
        };
        self.station(deed.at).offer(menu, now);
        verdict
    }

    fn via(&self, deed: &Deed<'_>) -> Via {
        let object = self.inventory().objects()[deed.at].id.clone();
        Via { edge: Edge::World, object: Some(object), unit: Some(deed.unit) }
    }
    fn origin(&self, at: usize, id: &EventId) -> OriginKey {
        OriginKey {
            source: self.inventory().objects()[at].id.clone().into(),
            event: SmolStr::new(id.as_str()),
        }
    }
}

fn rand_u64() -> u64 {
    getrandom::u64().unwrap_or_else(|error| unreachable!("the system has no randomness: {error}"))
}

fn avatar(who: &str, name: &str) -> Actor {
    Actor::new(ActorKind::Avatar, who.to_ascii_lowercase(), name)
}

fn verdict(receipt: &Receipt) -> AnswerVerdict {
    let say = words::receipt(receipt);
    match &receipt.verdict {
        Verdict::Accepted | Verdict::Joined { .. } => AnswerVerdict::Accepted { say },
        Verdict::Refused(refusal) => AnswerVerdict::Refused { code: code(refusal.code), say },
    }
}

fn not_offered(say: &str) -> AnswerVerdict {
    AnswerVerdict::Refused { code: code(RefusalCode::NotOffered), say: say.to_owned() }
}

fn code(code: RefusalCode) -> SmolStr {
    SmolStr::new_static(code.token())
}
