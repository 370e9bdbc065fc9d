//! Commands: read, put to the engine, answered, acknowledged, in the order in which they came.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::FuturesOrdered;
use primrack_engine::Engine;
use primrack_model::{
    Actor, ActorKind, Edge, Intent, IntentId, ObjectId, OriginKey, TargetId, TargetIx, UnixMs, Via,
};
use primrack_wire::mqtt::{Account, Asked, CommandFault, ReceiptMessage};
use smol_str::SmolStr;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::edge::Mqtt;
use crate::line::{Ack, INCOMING, Message, Outgoing, Sender};

/// Messages that wait for their turn. The broker sends no more than [`INCOMING`] unacknowledged ones; what it
/// sends without wanting an acknowledgement is dropped when there is no room.
const WAITING: usize = 1024;

/// Where the line puts what came.
pub(crate) struct Inbox(mpsc::Sender<Message>);

impl Inbox {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Message>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    /// Never waits: the line has to go on.
    pub(crate) fn take(&self, mqtt: &Mqtt, message: Message) {
        if self.0.try_send(message).is_err() {
            mqtt.counters.dropped.inc();
            tracing::warn!(
                "more MQTT messages than can be answered: one is left; the broker sends it again at the next connection"
            );
        }
    }
}

/// What was decided about a message, to be sent and then acknowledged.
struct Done {
    answers: Vec<Outgoing>,
    line: u64,
    ack: Ack,
}

pub(crate) async fn run(
    mqtt: Arc<Mqtt>,
    engine: Arc<Engine>,
    sender: Sender,
    mut inbox: mpsc::Receiver<Message>,
    stop: CancellationToken,
) {
    let mut work = FuturesOrdered::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            message = inbox.recv(), if work.len() < usize::from(INCOMING) => match message {
                Some(message) => {
                    let (mqtt, engine, sender) = (Arc::clone(&mqtt), Arc::clone(&engine), sender.clone());
                    work.push_back(async move {
                        let Done { answers, line, ack } = answer(&mqtt, &engine, message).await;
                        for answer in answers {
                            // Lost with the session: the command comes again, and with it the receipt.
                            if sender.deliver(answer).await.is_err() {
                                return None;
                            }
                        }
                        Some((line, ack))
                    });
                }
                None => return,
            },
            Some(ack) = work.next(), if !work.is_empty() => {
                // Over another connection it comes again, and is acknowledged then.
                if let Some((line, ack)) = ack
                    && *mqtt.connected.borrow() == line
                {
                    sender.acknowledge(ack).await;
                }
            }
        }
    }
}

async fn answer(mqtt: &Mqtt, engine: &Arc<Engine>, message: Message) -> Done {
    let Message { topic, payload, retain, response_topic, correlation, line, ack } = message;
    let topics = &mqtt.plan.topics;
    if !topics.is_command(&topic) {
        let answers = crate::states::heard(mqtt, &topic, &payload);
        return Done { answers, line, ack };
    }
    // What clears a retained command is no command.
    if payload.is_empty() {
        return Done { answers: Vec::new(), line, ack };
    }
    let now = UnixMs::now();
    let (account, target) = match topics.read_command(&topic) {
        Some(Ok(named)) => named,
        Some(Err(words)) => {
            mqtt.fault(engine, &CommandFault::Topic(words), "");
            return Done { answers: Vec::new(), line, ack };
        }
        None => return Done { answers: Vec::new(), line, ack },
    };
    if !mqtt.plan.accounts.contains(&account) {
        mqtt.fault(engine, &CommandFault::UnknownAccount, "");
        return Done { answers: Vec::new(), line, ack };
    }
    let read = if retain { Err(CommandFault::Retained) } else { Asked::read(&payload) };
    let receipt = match read {
        Ok(asked) => submit(mqtt, engine, &account, target, asked, now).await,
        Err(fault) => {
            mqtt.fault(engine, &fault, account.as_str());
            ReceiptMessage::fault(target.as_str(), &fault, now.0)
        }
    };
    mqtt.counters.answered(receipt.accepted);
    let own = response_topic.filter(|topic| {
        let may = topics.may_answer(&account, topic);
        if !may {
            mqtt.counters.fault("response-topic");
            tracing::warn!(%account, "a response topic outside of the account's own receipts was not used");
        }
        may
    });
    let payload = serde_json::to_vec(&receipt).unwrap_or_default();
    let topic = own.unwrap_or_else(|| topics.receipt(&account));
    Done { answers: vec![Outgoing { topic, payload, retain: false, correlation }], line, ack }
}

async fn submit(
    mqtt: &Mqtt,
    engine: &Arc<Engine>,
    account: &Account,
    target: TargetId,
    asked: Asked,
    now: UnixMs,
) -> ReceiptMessage {
    let Asked { action, id } = asked;
    // An id is the sender's for good: the same one a week later is the same command.
    let origin = id.clone().map(|event| OriginKey { source: SmolStr::new(format!("mqtt/{account}")), event });
    let intent = Intent {
        id: IntentId::now(),
        actor: Actor::new(ActorKind::Mqtt, account.as_str(), ""),
        action,
        target,
        via: Via { edge: Edge::Mqtt, object: ObjectId::new(account.as_str()).ok(), unit: None },
        origin,
        at: now,
    };
    // Fair: who comes first goes first.
    let lane = engine.inventory().find_target(intent.target.as_str()).map_or(0, |TargetIx(ix)| ix as usize);
    let _turn = mqtt.lanes[lane % mqtt.lanes.len()].lock().await;
    ReceiptMessage::of(&engine.submit(intent).await, id)
}

impl Mqtt {
    /// Counts and tells of a message that is not followed.
    fn fault(&self, engine: &Engine, fault: &CommandFault, account: &str) {
        self.counters.fault(fault.token());
        self.refused.note(engine.journal(), fault.token(), account, &fault.to_string());
        tracing::warn!(account, reason = fault.token(), "an MQTT command was not followed: {fault}");
    }
}
