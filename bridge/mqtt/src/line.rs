//! The line to the broker, in either version of the protocol: what differs between them ends here.
//!
//! Settings that were measured (two broker kills, 3,000 messages): a clean session loses two thirds of what is
//! sent meanwhile, a kept one nothing; without TCP_NODELAY half of all messages take 44 ms.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
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
/// How long a version 5 broker keeps commands for a bridge that is away. What is older was meant for another
/// day; a 3.1.1 broker keeps it as long as it is set to.
const KEPT_S: u32 = 24 * 3600;
/// How long a broker may take to answer a first connection, when it is only tried.
const TRIED: Duration = Duration::from_secs(8);

/// Sends.
#[derive(Clone)]
pub(crate) enum Sender {
    V5(v5::AsyncClient),
    V311(v4::AsyncClient),
}

/// Drives the connection and receives.
pub(crate) enum Receiver {
    V5(Box<V5>),
    V311(Box<v4::EventLoop>),
}

/// Version 5, and the options it goes on with after its first connection.
pub(crate) struct V5 {
    events: v5::EventLoop,
    then: Option<v5::MqttOptions>,
}

/// Says at the first connection that nothing of ours is under way: rumqttc sends nothing over a session that
/// it has no memory of, and of an earlier run of this program it has none. Nothing is lost by that: what we
/// send needs no memory but the broker's (QoS 1; states are told anew, commands come again until acknowledged).
#[derive(Debug)]
struct NothingUnderWay;

type Stored<'a, T> = BoxFuture<'a, Result<T, v5::SessionStoreError>>;

impl v5::SessionStore for NothingUnderWay {
    fn load<'a>(&'a self, key: &'a v5::SessionStoreKey) -> Stored<'a, Option<v5::PersistedSession>> {
        let session = v5::PersistedSession {
            format_version: 1,
            client_id: key.client_id().to_owned(),
            clean_start: false,
            session_expiry_interval: Some(KEPT_S),
            outgoing_inflight_upper_limit: Some(OUTGOING),
            ack_mode: v5::PersistedAckMode::Manual,
            last_pkid: 0,
            last_puback: 0,
            replay: Vec::new(),
            incoming_qos2: Vec::new(),
        };
        Box::pin(async move { Ok(Some(session)) })
    }
    fn save<'a>(&'a self, _: &'a v5::SessionStoreKey, _: &'a v5::PersistedSession) -> Stored<'a, ()> {
        Box::pin(async { Ok(()) })
    }
    fn clear<'a>(&'a self, _: &'a v5::SessionStoreKey) -> Stored<'a, ()> {
        Box::pin(async { Ok(()) })
    }
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
    /// Over which connection it came: it can be acknowledged over that one only, since another gives its
    /// number to something else.
    pub(crate) line: u64,
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

/// What is left at the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stay {
    /// A session that outlives the connection, and a last will.
    Lasting,
    /// Nothing.
    Tried,
}

/// Both ends of the line. Nothing is connected before the receiver is polled.
pub(crate) fn open(plan: &Plan, stay: Stay) -> (Sender, Receiver) {
    let will = (plan.topics.status(), "offline");
    match plan.version {
        Version::V5 => {
            let mut options = v5::MqttOptions::new(plan.client_id.as_str(), (plan.host.clone(), plan.port));
            let mut network = v5::NetworkOptions::new();
            network.set_tcp_nodelay(true);
            options
                .set_keep_alive(KEEP_ALIVE_S)
                .set_ack_mode(v5::AckMode::Manual)
                .set_receive_maximum(Some(INCOMING))
                .set_max_packet_size(Some(PACKET))
                .set_request_channel_capacity(usize::from(OUTGOING))
                .set_outgoing_inflight_upper_limit(OUTGOING)
                .set_connect_timeout(Duration::from_secs(5))
                .set_network_options(network);
            if let Some((user, password)) = &plan.credentials {
                options.set_credentials(user, password.expose_secret().as_bytes().to_vec());
            }
            if let Some(tls) = &plan.tls {
                let tls = v5::TlsConfiguration::Rustls(Arc::clone(tls));
                options.set_transport(v5::Transport::tls_with_config(tls));
            }
            let mut then = None;
            if stay == Stay::Lasting {
                options
                    .set_session_expiry_interval(Some(KEPT_S))
                    .set_session_mode(v5::SessionMode::Persistent)
                    .set_last_will(v5::LastWill::new(will.0, will.1, v5::QoS::AtLeastOnce, true, None));
                then = Some(options.clone());
                options.set_session_store(NothingUnderWay);
            }
            let (client, events) = v5::AsyncClient::builder(options).capacity(usize::from(OUTGOING)).build();
            (Sender::V5(client), Receiver::V5(Box::new(V5 { events, then })))
        }
        Version::V311 => {
            let mut options = v4::MqttOptions::new(plan.client_id.as_str(), (plan.host.clone(), plan.port));
            let mut network = v4::NetworkOptions::new();
            network.set_tcp_nodelay(true);
            options
                .set_keep_alive(KEEP_ALIVE_S)
                .set_clean_session(stay == Stay::Tried)
                .set_ack_mode(v4::AckMode::Manual)
                .set_request_channel_capacity(usize::from(OUTGOING))
                .set_inflight(OUTGOING);
            if stay == Stay::Lasting {
                options.set_last_will(v4::LastWill::new(will.0, will.1, v4::QoS::AtLeastOnce, true));
            }
            if let Some((user, password)) = &plan.credentials {
                options.set_credentials(user, password.expose_secret().as_bytes().to_vec());
            }
            if let Some(tls) = &plan.tls {
                let tls = v4::TlsConfiguration::Rustls(Arc::clone(tls));
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
            Self::V5(line) => match line.events.poll().await.map_err(|error| error.to_string())? {
                v5::Event::Incoming(v5::Packet::ConnAck(ack)) => {
                    if let Some(then) = line.then.take() {
                        line.events.options = then;
                    }
                    Ok(News::Connected(ack.session_present))
                }
                v5::Event::Incoming(v5::Packet::Publish(publish)) => {
                    let properties = publish.properties.as_ref();
                    Ok(News::Message(Message {
                        topic: String::from_utf8_lossy(&publish.topic).into_owned(),
                        payload: publish.payload.clone(),
                        retain: publish.retain,
                        response_topic: properties.and_then(|it| it.response_topic.clone()),
                        correlation: properties.and_then(|it| it.correlation_data.clone()),
                        line: 0,
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
                    line: 0,
                    ack: Ack::V311(Box::new(publish)),
                })),
                _ => Ok(News::Other),
            },
        }
    }
}

impl Sender {
    /// Asks for what is published to `filters`. In version 5 a retained message is told as one, also when it
    /// comes at once. Tells which filters the broker does not let us hear.
    pub(crate) async fn subscribe(&self, filters: &[String]) -> Result<Vec<String>, NotSent> {
        let mut denied = Vec::new();
        for filter in filters {
            let heard = match self {
                Self::V5(client) => {
                    let input = v5::SubscribeFilterInput::new(filter.clone(), v5::QoS::AtLeastOnce)
                        .preserve_retain(true);
                    let notice = client.subscribe_many_tracked([input]).await.map_err(|_| NotSent)?;
                    match notice.wait_completion_async().await {
                        Ok(()) => true,
                        Err(v5::SubscribeNoticeError::V5SubAckFailure(_)) => false,
                        Err(_) => return Err(NotSent),
                    }
                }
                Self::V311(client) => {
                    let notice = client.subscribe_tracked(filter.clone(), v4::QoS::AtLeastOnce).await;
                    match notice.map_err(|_| NotSent)?.wait_completion_async().await {
                        Ok(()) => true,
                        Err(v4::SubscribeNoticeError::V4SubAckFailure(_)) => false,
                        Err(_) => return Err(NotSent),
                    }
                }
            };
            if !heard {
                denied.push(filter.clone());
            }
        }
        Ok(denied)
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

/// Connects once, as doctor does, under a name of its own, and leaves at once.
///
/// # Errors
/// Why not, in the words of the line.
pub async fn probe(plan: &Plan) -> Result<(), String> {
    let plan = Plan { client_id: format!("{}-doctor", plan.client_id).into(), ..plan.clone() };
    let (sender, mut receiver) = open(&plan, Stay::Tried);
    let connected = async {
        loop {
            if let News::Connected(_) = receiver.next().await? {
                return Ok(());
            }
        }
    };
    let said = tokio::time::timeout(TRIED, connected).await;
    if let Ok(Ok(())) = said {
        sender.close().await;
        // Until the goodbye is out the line has to be polled; its end is an error.
        let leaving = async { while receiver.next().await.is_ok() {} };
        if tokio::time::timeout(Duration::from_secs(1), leaving).await.is_err() {
            tracing::debug!("the broker did not close the line");
        }
    }
    said.unwrap_or_else(|_| Err(format!("timeout: no answer within {} s", TRIED.as_secs())))
}

/// What to change when the line says `why`.
#[must_use]
pub fn remedy(why: &str) -> &'static str {
    let said = |words: &[&str]| words.iter().any(|word| why.contains(word));
    if said(&["NotAuthorized", "BadUserNamePassword", "Banned"]) {
        "[mqtt] username and password_file: as the broker has them; `mosquitto_passwd FILE USER` sets one there"
    } else if said(&["may not hear"]) {
        "in the broker's access list: `topic readwrite PREFIX/#` for the bridge's own account"
    } else if said(&["UnknownIssuer", "SelfSigned", "CaUsedAsEndEntity"]) {
        "[mqtt] ca_file: the certificate of whoever signed the broker's, PEM"
    } else if said(&["NotValidForName", "not valid for name"]) {
        "[mqtt] broker: by a name that the broker's certificate has"
    } else if said(&["Expired", "expired", "NotValidYet", "not valid yet"]) {
        "renew the broker's certificate, or set this machine's clock"
    } else if said(&["CertificateRequired", "HandshakeFailure", "BadCertificate", "UnknownCA"]) {
        "[mqtt] certificate and key: a client certificate that the broker's CA has signed"
    } else if said(&["InvalidContentType", "corrupt message", "close_notify"]) {
        "[mqtt] broker: this port speaks no TLS; name the one that does, usually 8883"
    } else if said(&["ProtocolVersion"]) {
        "[mqtt] version = \"3.1.1\""
    } else if said(&["TakenOver", "IdentifierNotValid", "BadClientId"]) {
        "[mqtt] client_id: one that no other program uses at this broker"
    } else if said(&["refused"]) {
        "start the broker (`systemctl start mosquitto`), or correct the port in [mqtt] broker"
    } else if said(&["lookup", "Name or service"]) {
        "[mqtt] broker: this name is not known here"
    } else {
        "[mqtt] broker: is it this host and port, and does a firewall let it through? The broker's log tells more"
    }
}
