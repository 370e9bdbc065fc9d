//! The MQTT side from configuration to the running bridge: what boards see is told there, and how it stands is
//! told on the control socket.

use std::sync::Arc;

use axum::routing::get;
use axum::{Json, Router};
use primrack_board::Boards;
use primrack_mqtt::{BoardPlan, ConfigError, Mqtt, Plan};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, Loaded, Mistake};

/// What was configured, with its files read; nothing is connected.
pub(crate) fn plan(loaded: &Loaded) -> Result<Option<Plan>, Mistake> {
    let Some(config) = &loaded.config.mqtt else { return Ok(None) };
    let mut config = config.clone();
    config.resolve(loaded.folder());
    let plan = config.plan().map_err(|ConfigError { key, words, hint }| {
        loaded.at(&["mqtt", key], format!("[mqtt] {key}: {words}")).with_hint(hint)
    })?;
    Ok(Some(plan))
}

/// The boards to be announced.
pub(crate) fn boards(config: &Config) -> Vec<BoardPlan> {
    let boards = config.backends.iter().filter_map(|(name, backend)| Some((name, backend.board()?)));
    boards
        .map(|(name, board)| BoardPlan {
            name: name.clone(),
            readers: board.readers.keys().filter_map(|number| number.parse().ok()).collect(),
        })
        .collect()
}

/// Tells the broker what each board sees.
pub(crate) fn feed(mqtt: &Arc<Mqtt>, boards: &Arc<Boards>, tasks: &TaskTracker, stop: &CancellationToken) {
    for status in boards.status() {
        let Some(mut seen) = boards.watch(&status.board) else { continue };
        mqtt.board(&status.board, status.up);
        let (mqtt, boards, stop) = (Arc::clone(mqtt), Arc::clone(boards), stop.clone());
        tasks.spawn(async move {
            loop {
                let next = tokio::select! {
                    next = seen.recv() => next,
                    () = stop.cancelled() => return,
                };
                match next {
                    Ok(seen) => {
                        if let Some((reader, badge)) = seen.badge() {
                            mqtt.tag(&seen.board, reader, badge);
                        }
                        if let Some(up) = seen.came() {
                            mqtt.board(&seen.board, up);
                        }
                    }
                    // A badge that was missed is gone; how the board stands can be asked.
                    Err(RecvError::Lagged(_)) => {
                        for now in boards.status().iter().filter(|now| now.board == status.board) {
                            mqtt.board(&now.board, now.up);
                        }
                    }
                    Err(RecvError::Closed) => return,
                }
            }
        });
    }
}

/// `GET /mqtt`: how the line to the broker stands; `null` where none is configured.
pub(crate) fn routes(mqtt: Option<Arc<Mqtt>>) -> Router {
    Router::new().route("/mqtt", get(|| async move { Json(mqtt.map(|mqtt| mqtt.status())) }))
}
