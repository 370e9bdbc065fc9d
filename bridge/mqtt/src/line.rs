//! The line to the broker, in either version of the protocol: what differs between them ends here.
//!
//! Settings that were measured (two broker kills, 3,000 messages): a clean session loses two thirds of what is
//! sent meanwhile, a kept one nothing; without TCP_NODELAY half of all messages take 44 ms.

use std::time::Duration;

use bytes::Bytes;
use rumqttc_v4 as v4;
use rumqttc_v5 as v5;
use secrecy::ExposeSecret as _;

use crate::config::{Plan, Version};

/// Messages on their way out at once, and the bound of what waits for them.
const OUTGOING: u16 = 64;
/// Commands that may be on their way in without having been acknowledged.
pub(crate) const INCOMING: u16 = 64;
/// The largest packet taken, in bytes; commands are far smaller.
const PACKET: u32 = 16 * 1024;
const KEEP_ALIVE_S: u16 = 15;

/// Sends.
#[derive(Clone)]
pub(crate) enum Sender {
    V5(v5::AsyncClient),
    V311(v4::AsyncClient),
}

/// Drives the connection and receives.
pub(crate) enum Receiver {
    V5(Box<v5::EventLoop>),
    V311(Box<v4::EventLoop>),
}

/// What came.
pub(crate) enum News {
    /// The broker took us; whether it had kept our session.
    Connected(bool),
    /// A message.
    Message(Message),
    /// Nothing of interest.
    Other,
}

/// A message from the broker.
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    pub(crate) retain: bool,
    /// Where the sender wants the answer, in version 5.
    pub(crate) response_topic: Option<String>,
    pub(crate) correlation: Option<Bytes>,
    pub(crate) ack: Ack,
}

/// What tells the broker that a message is done with.
pub(crate) enum Ack {
    V5(Box<v5::Publish>),
    V311(Box<v4::Publish>),
}

/// A message to the broker.
pub(crate) struct Outgoing {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) retain: bool,
    pub(crate) correlation: Option<Bytes>,
}

/// It was not sent: the session at the broker is gone, or the program ends.
#[derive(Debug)]
pub(crate) struct NotSent;

/// Both ends of the line. Nothing is connected before the receiver is polled.
pub(crate) fn open(plan: &Plan) -> (Sender, Receiver) {
    let will = (plan.topics.status(), "offline");
    match plan.version {
        Version::V5 => {
            let mut options =
                v5::MqttOptions::new(plan.client_id.as_str(), (plan.host.clone(), plan.port));
            let mut network = v5::NetworkOptions::new();
            network.set_tcp_nodelay(true);
            options
                .set_keep_alive(KEEP_ALIVE_S)
                .set_session_mode(v5::SessionMode::Persistent)
                // A bridge that was killed finds the commands that came meanwhile.
                .set_broker_session_resume_policy(v5::BrokerSessionResumePolicy::AllowBrokerOnly)
                .set_ack_mode(v5::AckMode::Manual)
                .set_receive_maximum(Some(INCOMING))
                .set_max_packet_size(Some(PACKET))
                .set_request_channel_capacity(usize::from(OUTGOING))
                .set_outgoing_inflight_upper_limit(OUTGOING)
                .set_connect_timeout(Duration::from_secs(5))
                .set_network_options(network)
                .set_last_will(v5::LastWill::new(will.0, will.1, v5::QoS::AtLeastOnce, true, None));
            if let Some((user, password)) = &plan.credentials {
                options.set_credentials(user, password.expose_secret().as_bytes().to_vec());
            }
            if let Some(tls) = &plan.tls {
                let tls = v5::TlsConfiguration::Rustls(std::sync::Arc::clone(tls));
                options.set_transport(v5::Transport::tls_with_config(tls));
            }
            let (client, events) =
                v5::AsyncClient::builder(options).capacity(usize::from(OUTGOING)).build();
            (Sender::V5(client), Receiver::V5(Box::new(events)))
        }
        Version::V311 => {
            let mut options =
                v4::MqttOptions::new(plan.client_id.as_str(), (plan.host.clone(), plan.port));
            let mut network = v4::NetworkOptions::new();
            network.set_tcp_nodelay(true);
            options
                .set_keep_alive(KEEP_ALIVE_S)
                .set_clean_session(false)
                .set_ack_mode(v4::AckMode::Manual)
                .set_request_channel_capacity(usize::from(OUTGOING))
                .set_inflight(OUTGOING)
                .set_last_will(v4::LastWill::new(will.0, will.1, v4::QoS::AtLeastOnce, true));
            if let Some((user, password)) = &plan.credentials {
                options.set_credentials(user, password.expose_secret().as_bytes().to_vec());
            }
            if let Some(tls) = &plan.tls {
                let tls = v4::TlsConfiguration::Rustls(std::sync::Arc::clone(tls));
                options.set_transport(v4::Transport::tls_with_config(tls));
            }
            let (client, mut events) =
                v4::AsyncClient::builder(options).capacity(usize::from(OUTGOING)).build();
            events.set_network_options(network);
            (Sender::V311(client), Receiver::V311(Box::new(events)))
        }
    }
}

impl Receiver {
    /// What comes next. After an error the next call connects again.
    pub(crate) async fn next(&mut self) -> Result<News, String> {
        match self {
            Self::V5(events) => match events.poll().await.map_err(|error| error.to_string())? {
                v5::Event::Incoming(v5::Packet::ConnAck(ack)) => Ok(News::Connected(ack.session_present)),
                v5::Event::Incoming(v5::Packet::Publish(publish)) => {
                    let properties = publish.properties.as_ref();
                    Ok(News::Message(Message {
                        topic: String::from_utf8_lossy(&publish.topic).into_owned(),
                        payload: publish.payload.clone(),
                        retain: publish.retain,
                        response_topic: properties.and_then(|it| it.response_topic.clone()),
                        correlation: properties.and_then(|it| it.correlation_data.clone()),
                        ack: Ack::V5(Box::new(publish)),
                    }))
                }
                _ => Ok(News::Other),
            },
            Self::V311(events) => match events.poll().await.map_err(|error| error.to_string())? {
                v4::Event::Incoming(v4::Packet::ConnAck(ack)) => Ok(News::Connected(ack.session_present)),
                v4::Event::Incoming(v4::Packet::Publish(publish)) => Ok(News::Message(Message {
                    topic: String::from_utf8_lossy(&publish.topic).into_owned(),
                    payload: publish.payload.clone(),
                    retain: publish.retain,
                    response_topic: None,
                    correlation: None,
                    ack: Ack::V311(Box::new(publish)),
                })),
                _ => Ok(News::Other),
            },
        }
    }
}

impl Sender {
    /// Asks for what is published to `filters`. In version 5 a retained message is told as one, also when it
    /// comes at once.
    pub(crate) async fn subscribe(&self, filters: &[String]) -> Result<(), NotSent> {
        for filter in filters {
            let done = match self {
                Self::V5(client) => {
                    let filter =
                        v5::SubscribeFilterInput::new(filter.clone(), v5::QoS::AtLeastOnce)
                            .preserve_retain(true);
                    client.subscribe_many([filter]).await.is_ok()
                }
                Self::V311(client) => client.subscribe(filter.clone(), v4::QoS::AtLeastOnce).await.is_ok(),
            };
            if !done {
                return Err(NotSent);
            }
        }
        Ok(())
    }

    /// Hands a message over, to be delivered at least once. Waits for room, not for the broker.
    pub(crate) async fn publish(&self, message: Outgoing) -> Result<(), NotSent> {
        let Outgoing { topic, payload, retain, correlation } = message;
        let done = match self {
            Self::V5(client) => {
                let options = v5::PublishOptions::at_least_once().retain(retain);
                let options = options.properties(properties(correlation));
                client.publish(topic, payload, options).await.is_ok()
            }
            Self::V311(client) => {
                let options = v4::PublishOptions::new(v4::QoS::AtLeastOnce).retain(retain);
                client.publish(topic, payload, options).await.is_ok()
            }
        };
        if done { Ok(()) } else { Err(NotSent) }
    }

    /// Sends a message and waits until the broker has it.
    pub(crate) async fn deliver(&self, message: Outgoing) -> Result<(), NotSent> {
        let Outgoing { topic, payload, retain, correlation } = message;
        match self {
            Self::V5(client) => {
                let options = v5::PublishOptions::at_least_once().retain(retain);
                let options = options.properties(properties(correlation));
                let notice = client.publish_tracked(topic, payload, options).await.map_err(|_| NotSent)?;
                notice.wait_async().await.map(drop).map_err(|_| NotSent)
            }
            Self::V311(client) => {
                let options = v4::PublishOptions::new(v4::QoS::AtLeastOnce).retain(retain);
                let notice = client.publish_tracked(topic, payload, options).await.map_err(|_| NotSent)?;
                notice.wait_async().await.map(drop).map_err(|_| NotSent)
            }
        }
    }

    /// Tells the broker that a message is done with; one that was delivered over a connection that is gone
    /// comes again by itself.
    pub(crate) async fn acknowledge(&self, ack: Ack) {
        let done = match (self, ack) {
            (Self::V5(client), Ack::V5(publish)) => client.ack(&publish).await.is_ok(),
            (Self::V311(client), Ack::V311(publish)) => client.ack(&publish).await.is_ok(),
            _ => false,
        };
        if !done {
            tracing::debug!("a message was not acknowledged: it comes again");
        }
    }

    /// Ends the connection in order, after what was handed over.
    pub(crate) async fn close(&self) {
        let done = match self {
            Self::V5(client) => client.disconnect().await.is_ok(),
            Self::V311(client) => client.disconnect().await.is_ok(),
        };
        if !done {
            tracing::debug!("the line to the broker was closed already");
        }
    }
}

fn properties(correlation: Option<Bytes>) -> v5::PublishProperties {
    v5::PublishProperties {
        payload_format_indicator: Some(1),
        correlation_data: correlation,
        ..v5::PublishProperties::default()
    }
}
