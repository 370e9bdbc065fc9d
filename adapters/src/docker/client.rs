//! The daemon, through `bollard`, over a wire of our own: bollard would take an answer of any length.
//!
//! Inspections and listings are read here, not by bollard: Podman has words that bollard's enumerations
//! do not know, and one of them would make a whole listing unreadable.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use bollard::{API_DEFAULT_VERSION, BollardRequest, ClientVersion, Docker};
use futures::{Stream, StreamExt};
use hyper::Request;
use hyper::header::CONTENT_TYPE;
use parking_lot::Mutex;
use primrack_adapter_api::AdapterError;
use primrack_model::Address;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;

use crate::containers::{head, tail};
use crate::wire::{self, Allowance, Door, Wire, WireError};

use super::map::{Inspected, Listed, Stats};

/// How long the head of an answer may take. Longer than anything but a copy, and the driver's own
/// limits are shorter.
const ANSWER: Duration = Duration::from_secs(60);
/// A stream of events ends when it ends.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);
/// The longest answer but for listings and streams.
const SHORT: u64 = 4 << 20;
/// The longest listing: 10,000 containers with a dozen labels each.
const LISTING: u64 = 64 << 20;

/// The longest event.
const EVENT: u64 = 1 << 20;
/// How long a sample of figures may take: without it a container is shown without its load.
const FIGURES: Duration = Duration::from_millis(400);

/// A daemon.
#[derive(Debug)]
pub(super) struct Client {
    wire: Arc<Wire>,
    known: Mutex<Option<Engine>>,
}

/// The way to ask it in a version of the interface that both speak.
pub(super) type Engine = Docker;

/// What happens to containers.
pub(super) type Events = Pin<Box<dyn Stream<Item = Result<EventMessage, AdapterError>> + Send>>;

/// What is known of the stream of events beside its events.
#[derive(Debug)]
pub(super) struct StreamState {
    /// To be filled up after each event.
    pub(super) allowance: Arc<Allowance>,
    /// Told once the daemon has begun to answer: from then on no event is missed.
    pub(super) stands: Notify,
}

impl Client {
    pub(super) fn new(door: Door) -> Self {
        Self { wire: Arc::new(Wire::new(door)), known: Mutex::default() }
    }

    /// The daemon; asked once per stretch of being connected.
    pub(super) async fn engine(&self) -> Result<Engine, AdapterError> {
        let known = self.known.lock().clone();
        match known {
            Some(engine) => Ok(engine),
            None => self.ask_anew().await,
        }
    }

    /// Asks again: another daemon may be behind the same door by now.
    pub(super) async fn ask_anew(&self) -> Result<Engine, AdapterError> {
        let docker = self.over_wire(API_DEFAULT_VERSION, None)?;
        let docker = docker.negotiate_version().await.map_err(|why| error(&why))?;
        *self.known.lock() = Some(docker.clone());
        Ok(docker)
    }

    /// Bollard over our wire. Each request has an allowance of its own, or is that of the `stream`.
    fn over_wire(
        &self,
        version: &ClientVersion,
        stream: Option<Arc<StreamState>>,
    ) -> Result<Docker, AdapterError> {
        let wire = Arc::clone(&self.wire);
        let transport = move |request: BollardRequest| {
            let (wire, stream) = (Arc::clone(&wire), stream.clone());
            async move {
                let allowance = stream
                    .as_ref()
                    .map_or_else(|| Allowance::new(SHORT), |stream| Arc::clone(&stream.allowance));
                let answer = wire.send(request, allowance).await;
                if let (Ok(_), Some(stream)) = (&answer, stream) {
                    stream.stands.notify_one();
                }
                answer.map_err(|why| Error::IOError { err: std::io::Error::other(why) })
            }
        };
        Docker::connect_with_custom_transport(transport, Some("http://localhost"), ANSWER.as_secs(), version)
            .map_err(|why| error(&why))
    }

    /// The stream of what happens to containers. It connects when it is first polled.
    pub(super) async fn events(&self) -> Result<(Events, Arc<StreamState>), AdapterError> {
        let engine = self.ask_anew().await?;
        let state = Arc::new(StreamState { allowance: Allowance::new(EVENT), stands: Notify::new() });
        let docker = self.over_wire(&engine.client_version(), Some(Arc::clone(&state)))?;
        let filters = HashMap::from([("type", vec!["container"])]);
        let options = EventsOptionsBuilder::new().filters(&filters).build();
        // Podman sends not even the head of its answer before there is an event.
        let docker = docker.with_timeout(NEVER);
        let stream = docker.events(Some(options)).map(|event| event.map_err(|why| error(&why)));
        Ok((Box::pin(stream), state))
    }

    /// Whether the daemon still answers, asked while its events are silent.
    pub(super) async fn ping(&self) -> Result<(), AdapterError> {
        self.engine().await?.ping().await.map(drop).map_err(|why| error(&why))
    }

    pub(super) async fn list(&self) -> Result<Vec<Listed>, AdapterError> {
        self.ask("GET", "/containers/json?all=1", None, LISTING).await
    }

    /// The container that is called exactly so. The daemon would take the beginning of an id for a name.
    pub(super) async fn inspect(&self, address: &Address) -> Result<Inspected, AdapterError> {
        let unknown = || AdapterError::NotFound(address.0.to_string());
        if !is_name(&address.0) {
            return Err(unknown());
        }
        let seen: Inspected =
            match self.ask("GET", &format!("/containers/{}/json", address.0), None, SHORT).await {
                Err(AdapterError::NotFound(_)) => return Err(unknown()),
                other => other?,
            };
        if seen.plain_name() == address.0 { Ok(seen) } else { Err(unknown()) }
    }

    /// One sample of a running container's figures; `None` when there is none at once.
    pub(super) async fn figures(&self, id: &str) -> Option<Stats> {
        let path = format!("/containers/{id}/stats?stream=false&one-shot=true");
        let sample = self.ask("GET", &path, None, SHORT);
        tokio::time::timeout(FIGURES, sample).await.ok()?.ok()
    }

    /// One request that bollard's own types are too narrow for.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        send: Option<&serde_json::Value>,
        limit: u64,
    ) -> Result<T, AdapterError> {
        let bytes = send.map(ToString::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(CONTENT_TYPE, "application/json")
            .body(bollard::body_full(bytes.into()))
            .map_err(|why| AdapterError::Refused(format!("this cannot be asked: {why}")))?;
        let allowance = Allowance::new(limit);
        let asking = async {
            let answer = self.wire.send(request, Arc::clone(&allowance)).await?;
            let status = answer.status().as_u16();
            Ok::<_, WireError>((status, wire::body(answer, &allowance, ANSWER).await?))
        };
        let (status, body) = match tokio::time::timeout(ANSWER, asking).await {
            Ok(answer) => answer?,
            Err(_) => return Err(WireError::Slow(ANSWER).into()),
        };
        if !(200..300).contains(&status) {
            #[derive(Deserialize)]
            struct No {
                message: String,
            }
            let words =
                serde_json::from_slice::<No>(&body).map_or_else(|_| tail(&body, 300), |no| no.message);
            return Err(refusal(status, &words));
        }
        serde_json::from_slice(&body).map_err(|why| {
            AdapterError::Unreachable(format!(
                "the daemon's answer to {method} {path} is not understood: {why}"
            ))
        })
    }
}

/// A name as Docker and Podman allow it; nothing that leads elsewhere in a path.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.len() <= 255
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// What an answer other than yes means.
fn refusal(status: u16, words: &str) -> AdapterError {
    let words = head(words, 400).to_owned();
    match status {
        401 | 403 => AdapterError::Credentials(format!("the daemon lets us not in: {words}")),
        404 => AdapterError::NotFound(words),
        501 => AdapterError::NotSupported(words),
        503 => AdapterError::Unreachable(words),
        _ => AdapterError::Refused(words),
    }
}

/// Bollard's errors, sorted.
pub(super) fn error(why: &Error) -> AdapterError {
    match why {
        Error::DockerResponseServerError { status_code, message } => refusal(*status_code, message),
        Error::RequestTimeoutError => WireError::Slow(ANSWER).into(),
        Error::IOError { err } => match err.get_ref().and_then(|inner| inner.downcast_ref::<WireError>()) {
            Some(why) => why.to_adapter(),
            None => AdapterError::Unreachable(format!("the connection broke: {err}")),
        },
        Error::HyperResponseError { err } => {
            AdapterError::Unreachable(format!("the answer broke off: {}", wire::cause(err)))
        }
        other => AdapterError::Unreachable(format!("the daemon is not understood: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_lead_elsewhere_is_no_name() {
        for name in ["web", "web-1.b_c", "0f"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "..", "../images", "a/b", "a?b", "-a", "a b", "a%2f"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
