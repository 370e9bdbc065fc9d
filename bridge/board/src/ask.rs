//! From a badge or button to the engine and back: the receipt in as many words as an LCD has.

use std::sync::Arc;

use primrack_engine::Engine;
use primrack_model::{
    Edge, Intent, IntentId, ObjectId, OriginKey, Receipt, RefusalCode, TargetEntry, UnixMs,
    Verdict as Decision, Via,
};
use smol_str::SmolStr;

use crate::board::Board;
use crate::boards::KEPT;
use crate::config::Deed;
use crate::core::{Asking, Verdict, short_words};

/// An event's name at its origin holds the ten minutes in which it happened, so that a board whose counter
/// starts afresh does not repeat the names of last week.
const PERIOD_MS: i64 = 600_000;

/// Puts what a badge or button wants to the engine.
pub(crate) async fn ask(engine: &Arc<Engine>, board: &Board, asking: Asking) -> Verdict {
    let Asking { actor, wired, reader, boot, seq, age, keep } = asking;
    let refused = |words: &str| Verdict {
        actor: actor.clone(),
        reader,
        accepted: false,
        denied: false,
        label: String::new(),
        words: words.to_owned(),
    };
    if let Some((key, value)) = keep {
        // Before anything is done: a counter that a crash forgets could be played again.
        let put = engine.journal().put(KEPT, format!("{}/{key}", board.name), Some(value.into_bytes())).await;
        if let Err(error) = put {
            tracing::error!(%error, "the counter of a badge cannot be kept, so it is refused");
            return refused("Out of order");
        }
    }
    // Told by a reload while this was on its way.
    if board.is_removed() {
        return refused("Not in use");
    }
    let Some(target) = wired.target else {
        let words = crate::stop::engage(engine, &actor).await;
        return Verdict { accepted: true, label: "STOP".to_owned(), ..refused(words) };
    };
    let inventory = engine.inventory();
    let Some(ix) = inventory.find_target(target.as_str()) else { return refused("No such target") };
    let entry = inventory.target(ix);
    let action = match wired.deed {
        Deed::Act(action) => action,
        Deed::Toggle | Deed::EmergencyStop => entry.kind.toggle(engine.state(ix).power),
    };
    let now = UnixMs::now();
    let happened = now.0.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
    let id = board.status.lock().id.clone().unwrap_or_default();
    let origin = OriginKey {
        source: SmolStr::new(format!("{}/{id}", board.name)),
        event: SmolStr::new(format!("{boot}-{seq}-{}", happened.div_euclid(PERIOD_MS))),
    };
    let via = Via { edge: Edge::Board, object: ObjectId::new(&board.name).ok(), unit: reader };
    let intent = Intent {
        id: IntentId::now(),
        actor: actor.clone(),
        action,
        target,
        via,
        origin: Some(origin),
        at: now,
    };
    let receipt = engine.submit(intent).await;
    verdict(engine, &receipt, entry, refused(""))
}

fn verdict(engine: &Engine, receipt: &Receipt, entry: &TargetEntry, blank: Verdict) -> Verdict {
    let label = entry.label.to_string();
    match &receipt.verdict {
        Decision::Accepted | Decision::Joined { .. } => {
            let words = entry.kind.doing(receipt.action).to_owned();
            Verdict { accepted: true, label, words, ..blank }
        }
        Decision::Refused(refusal) => {
            let power = engine.inventory().find_target(entry.id.as_str()).map(|ix| engine.state(ix).power);
            let is = entry.kind.word(power.unwrap_or_default());
            let denied = matches!(refusal.code, RefusalCode::NotPermitted | RefusalCode::Forbidden);
            Verdict { denied, label, words: short_words(refusal.code, is), ..blank }
        }
    }
}
