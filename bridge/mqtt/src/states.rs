//! What is told to the broker: that we are there, what there is, and the newest state of each target.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use primrack_engine::Engine;
use primrack_model::{TargetId, TargetIx};
use primrack_wire::mqtt::{BoardFacts, StateMessage, TargetFacts};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::edge::Mqtt;
use crate::line::{NotSent, Outgoing, Sender};

/// How long changes gather before they are told: what flaps is told once.
const GATHER: Duration = Duration::from_millis(20);

pub(crate) async fn run(
    mqtt: Arc<Mqtt>,
    engine: Arc<Engine>,
    sender: Sender,
    mut events: mpsc::Receiver<Outgoing>,
    stop: CancellationToken,
) {
    let mut greeted = 0;
    let mut told = HashSet::new();
    let mut connected = mqtt.connected.subscribe();
    loop {
        let now = *connected.borrow_and_update();
        // After a reload everything is announced anew; what is gone is cleared.
        if mqtt.replaced.swap(false, Ordering::AcqRel) {
            greeted = 0;
        }
        if now > 0 && now != greeted && greet(&mqtt, &engine, &sender, &mut told).await.is_ok() {
            greeted = now;
        }
        if now > 0 && tell(&mqtt, &engine, &sender, &mut told).await.is_err() {
            return;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = connected.changed() => if changed.is_err() { return },
            () = mqtt.wake.notified(), if now > 0 => tokio::time::sleep(GATHER).await,
            event = events.recv(), if now > 0 => {
                let Some(event) = event else { return };
                if sender.publish(event).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// After each connection: what is wanted, that we are there, what there is, and every state.
async fn greet(
    mqtt: &Mqtt,
    engine: &Engine,
    sender: &Sender,
    told: &mut HashSet<TargetId>,
) -> Result<(), NotSent> {
    let mut filters = vec![mqtt.plan.topics.commands()];
    if let Some(home) = &mqtt.plan.home {
        filters.push(home.birth());
        filters.extend(home.announced());
    }
    // What comes at once, from an earlier run, is held against what there is now.
    let announcements = announcements(mqtt, engine);
    *mqtt.announced.lock() = announcements.iter().map(|message| message.topic.clone()).collect();
    let denied = sender.subscribe(&filters).await?;
    mqtt.denied(&denied);
    let topic = mqtt.plan.topics.status();
    sender.publish(retained(topic, b"online".to_vec())).await?;
    for message in announcements {
        sender.publish(message).await?;
    }
    let inventory = engine.inventory();
    let live: HashSet<&TargetId> = inventory.live_targets().map(|(_, entry)| &entry.id).collect();
    let gone: Vec<TargetId> = told.iter().filter(|id| !live.contains(id)).cloned().collect();
    for id in gone {
        sender.publish(retained(mqtt.plan.topics.state(id.as_str()), Vec::new())).await?;
        told.remove(&id);
    }
    mqtt.dirty.lock().extend(inventory.live_targets().map(|(ix, _)| ix));
    for (_, told) in mqtt.board_up.lock().values_mut() {
        *told = false;
    }
    Ok(())
}

/// Everything there is, to Home Assistant.
fn announcements(mqtt: &Mqtt, engine: &Engine) -> Vec<Outgoing> {
    let Some(home) = &mqtt.plan.home else { return Vec::new() };
    let backends = engine.backends();
    let topics = &mqtt.plan.topics;
    let inventory = engine.inventory();
    let mut all = Vec::new();
    for (ix, entry) in inventory.live_targets() {
        let capabilities = engine.capabilities(ix);
        let technology = backends
            .iter()
            .find(|(id, _, _)| *id == entry.backend)
            .map_or("", |(_, technology, _)| technology);
        let facts = TargetFacts {
            id: entry.id.as_str(),
            label: &entry.label,
            kind: entry.kind,
            technology,
            actions: capabilities.actions,
            simulated: capabilities.simulated,
        };
        all.extend(home.target(topics, &facts));
    }
    for board in &mqtt.boards {
        all.extend(home.board(topics, &BoardFacts { name: &board.name, readers: &board.readers }));
    }
    all.into_iter().map(|it| retained(it.topic, it.payload.to_string().into_bytes())).collect()
}

/// The newest state of all that changed.
async fn tell(
    mqtt: &Mqtt,
    engine: &Engine,
    sender: &Sender,
    told: &mut HashSet<TargetId>,
) -> Result<(), NotSent> {
    let boards: Vec<_> = {
        let mut boards = mqtt.board_up.lock();
        let untold = boards.iter_mut().filter(|(_, (_, told))| !told);
        untold.map(|(board, (up, told))| (board.clone(), *up, std::mem::replace(told, true))).collect()
    };
    for (board, up, _) in boards {
        let word: &[u8] = if up { b"online" } else { b"offline" };
        sender.publish(retained(mqtt.plan.topics.board(&board), word.to_vec())).await?;
    }
    let dirty: HashSet<TargetIx> = std::mem::take(&mut *mqtt.dirty.lock());
    for ix in dirty {
        // Read at the last moment: the newest counts.
        let inventory = engine.inventory();
        if inventory.is_retired(ix) {
            continue;
        }
        let entry = inventory.target(ix);
        let message = StateMessage::of(entry, &engine.state(ix), engine.capabilities(ix).simulated);
        let Ok(payload) = serde_json::to_vec(&message) else { continue };
        sender.publish(retained(mqtt.plan.topics.state(entry.id.as_str()), payload)).await?;
        told.insert(entry.id.clone());
        mqtt.counters.states.inc();
    }
    Ok(())
}

/// What came that is no command: Home Assistant was started, or something is announced in our name. What to say
/// to it.
pub(crate) fn heard(mqtt: &Mqtt, topic: &str, payload: &[u8]) -> Vec<Outgoing> {
    let (Some(home), Some(engine)) = (&mqtt.plan.home, mqtt.engine.get()) else { return Vec::new() };
    if topic == home.birth() {
        return if payload == b"online" { announcements(mqtt, engine) } else { Vec::new() };
    }
    // Announced by an earlier run, and not there any more: Home Assistant forgets it.
    if home.is_ours(topic) && !payload.is_empty() && !mqtt.announced.lock().contains(topic) {
        return vec![retained(topic.to_owned(), Vec::new())];
    }
    Vec::new()
}

fn retained(topic: String, payload: Vec<u8>) -> Outgoing {
    Outgoing { topic, payload, retain: true, correlation: None }
}
