//! Where an object is, who holds it, and what happens when two want to be it.

use std::sync::Arc;

use primrack_engine::journal::Entry;
use primrack_model::UnixMs;
use primrack_wire::world::{Answer, Form, KeyId, Refused, Register};
use smol_str::SmolStr;

use crate::station::{Line, Registration, Rival, RivalState, Station, UnitSet};
use crate::world::{SPACE, World};

/// A second holder asks again after so many seconds: longer than a push may take.
const ASK_AGAIN_S: u32 = 6;

/// What a registration comes to before it is durable.
enum Claim {
    Granted { took_over: bool },
    Wait,
    Refused { reason: &'static str, say: &'static str },
}

impl World {
    pub(crate) async fn register(&self, at: usize, asked: Register, key: KeyId, form: Form) -> Answer {
        let now = UnixMs::now();
        let object = self.inventory().objects()[at].id.clone();
        let callback = match self.guard.check_url(&asked.url) {
            Ok(callback) => Arc::new(callback),
            Err(refusal) => {
                self.note_refused(&object, "url", "the callback is not allowed");
                return refused("url", refusal.to_string());
            }
        };
        match self.claim(&mut self.station(at), &asked) {
            Claim::Granted { took_over: true } => {
                self.note(&object, "took-over", format!("{} took over as holder", asked.holder));
            }
            Claim::Granted { took_over: false } => {}
            Claim::Wait => {
                self.wake(at);
                return Answer::Refused(Refused {
                    refused: SmolStr::new_static("wait"),
                    say: "Another copy holds this id: asking whether it is still there.".to_owned(),
                    last: None,
                    again: Some(ASK_AGAIN_S),
                });
            }
            Claim::Refused { reason, say } => {
                self.note_refused(&object, reason, say);
                return refused(reason, say.to_owned());
            }
        }
        let facts = Registration {
            url: asked.url,
            holder: asked.holder,
            owner: asked.owner,
            region: asked.region,
            grid: asked.grid,
            script: asked.script,
            form,
            key_id: SmolStr::new(key.as_str()),
            at: now,
        };
        if let Err(error) = self.keep(&object, &facts).await {
            tracing::error!(%object, %error, "a registration could not be kept");
            return refused("journal", "The bridge cannot write its journal: try again.".to_owned());
        }
        self.counters.registered.inc();
        let url = Arc::clone(&callback);
        let renewed = {
            let mut station = self.station(at);
            let renewed = station.line.as_ref().is_some_and(|line| {
                line.facts.url == facts.url
                    && line.facts.holder == facts.holder
                    && !line.dead
                    && line.silent.is_none()
            });
            station.line =
                Some(Box::new(Line { facts, callback, key, heard: now, silent: None, dead: false }));
            station.rival = None;
            if !renewed {
                station.dirty = UnitSet::all_of(&self.inventory().objects()[at]);
            }
            renewed
        };
        if !renewed {
            tracing::info!(%object, "registered");
            self.resume(at, &url);
        }
        Answer::Registered { ok: SmolStr::new_static("registered"), renew: self.settings.load().renew_s }
    }

    /// Who may hold the id. The present holder may renew from anywhere; another only when it is the
    /// same owner's, in the same region, and the present one does not answer.
    fn claim(&self, station: &mut Station, asked: &Register) -> Claim {
        let Some(line) = &station.line else { return Claim::Granted { took_over: false } };
        let facts = &line.facts;
        if facts.owner != asked.owner {
            let say = "This object was registered by another owner: enrol it again on the bridge.";
            return Claim::Refused { reason: "owner", say };
        }
        if facts.holder == asked.holder {
            return Claim::Granted { took_over: false };
        }
        if facts.region != asked.region {
            let say = "Another copy of this object is registered in another region: give this one an id of its own.";
            return Claim::Refused { reason: "copy", say };
        }
        if line.dead {
            return Claim::Granted { took_over: true };
        }
        match station.rival.as_deref() {
            Some(Rival { holder, state: RivalState::FirstGone }) if *holder == asked.holder => {
                Claim::Granted { took_over: true }
            }
            Some(Rival { holder, state: RivalState::FirstAlive }) if *holder == asked.holder => {
                // Asked anew next time: the first may be gone by then.
                station.rival =
                    Some(Box::new(Rival { holder: asked.holder.clone(), state: RivalState::Asking }));
                station.ping = true;
                let say = "Another copy of this object is alive: give this one an id and a key of its own.";
                Claim::Refused { reason: "copy", say }
            }
            Some(Rival { holder, state: RivalState::Asking }) if *holder == asked.holder => Claim::Wait,
            _ => {
                station.rival =
                    Some(Box::new(Rival { holder: asked.holder.clone(), state: RivalState::Asking }));
                station.ping = true;
                Claim::Wait
            }
        }
    }

    async fn keep(
        &self,
        object: &primrack_model::ObjectId,
        facts: &Registration,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let engine = self.engine.get().ok_or("the region side has not started")?;
        let bytes = serde_json::to_vec(facts)?;
        engine.journal().put(SPACE, object.to_string(), Some(bytes)).await?;
        Ok(())
    }

    fn note(&self, object: &primrack_model::ObjectId, what: &'static str, words: String) {
        if let Some(engine) = self.engine.get() {
            let entry = Entry::World {
                object: object.clone(),
                what: SmolStr::new_static(what),
                words,
                at: UnixMs::now(),
            };
            if !engine.journal().append_soon(&entry) {
                tracing::warn!(%object, what, "the journal is busy: not noted");
            }
        }
    }

    fn note_refused(&self, object: &primrack_model::ObjectId, reason: &'static str, words: &'static str) {
        tracing::warn!(%object, reason, words, "registration refused");
        self.counters.reason(reason);
        if let Some(audit) = self.audit.get() {
            audit.note(reason, object.as_str(), words);
        }
    }
}

fn refused(reason: &'static str, say: String) -> Answer {
    Answer::Refused(Refused { refused: SmolStr::new_static(reason), say, last: None, again: None })
}
