//! A board's outputs, doors and alarms as a backend. What they are is in memory: the board's task keeps it.

use std::sync::Arc;

use async_trait::async_trait;
use primrack_adapter_api::{Adapter, AdapterError, Capabilities, Found, Hint, Hints};
use primrack_model::{Action, Address, Command, Observation};
use tokio::sync::broadcast::error::RecvError;

use crate::board::Board;
use crate::config::Thing;

/// What can be done to lamps and doors.
const SWITCHED: &[Action] = &[Action::Start, Action::SoftOff];
/// What can be done to an alarm: it is raised and acknowledged; quiet it becomes by itself.
const ALARM: &[Action] = &[Action::Start, Action::Pause];

/// One board as the engine drives it.
#[derive(Debug)]
pub struct BoardAdapter {
    board: Arc<Board>,
}

impl BoardAdapter {
    pub(crate) fn new(board: Arc<Board>) -> Self {
        Self { board }
    }
}

#[async_trait]
impl Adapter for BoardAdapter {
    fn technology(&self) -> &'static str {
        "board"
    }

    fn capabilities(&self, address: &Address) -> Capabilities {
        let actions = match self.board.plan().things.get(address.0.as_str()) {
            Some(Thing::Output { .. } | Thing::Flag | Thing::Door { .. }) => SWITCHED,
            Some(Thing::Alarm { .. }) => ALARM,
            None => &[],
        };
        Capabilities { actions, pushes_events: true, simulated: self.board.simulated() }
    }

    async fn list(&self) -> Result<Vec<Found>, AdapterError> {
        let addresses = self.board.plan().things.keys();
        Ok(addresses
            .map(|address| Found { seen: self.board.observe(address), ..Found::of(Address(address.clone())) })
            .collect())
    }

    async fn observe(&self, address: &Address) -> Result<Observation, AdapterError> {
        self.board.observe(&address.0).ok_or_else(|| AdapterError::NotFound(address.0.to_string()))
    }

    async fn execute(&self, command: &Command) -> Result<(), AdapterError> {
        self.board.order(command.address.0.clone(), command.action).await
    }

    async fn listen(&self, hints: Hints) -> AdapterError {
        let mut news = self.board.news();
        loop {
            let batch = match news.recv().await {
                Ok((address, seen)) => vec![Hint::State(Address(address), seen)],
                // What was missed is asked for.
                Err(RecvError::Lagged(_)) => {
                    let all = self.board.plan().things.keys();
                    all.map(|address| Hint::Changed(Address(address.clone()))).collect()
                }
                Err(RecvError::Closed) => return AdapterError::Unreachable("the bridge stops".to_owned()),
            };
            for hint in batch {
                if hints.send(hint).await.is_err() {
                    return AdapterError::Unreachable("nobody listens any more".to_owned());
                }
            }
        }
    }
}
