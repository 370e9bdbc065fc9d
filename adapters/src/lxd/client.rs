//! The daemon: its REST interface, the operations it works on, and its events by websocket.

use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::header::CONTENT_TYPE;
use primrack_adapter_api::AdapterError;
use primrack_model::Address;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::containers::{CONSOLE, head, tail};
use crate::wire::{self, Allowance, Door, Metered, Wire, WireError};

use super::map::{Instance, Snapshot, State, is_name};

/// How long an answer may take. An operation is waited for in turns shorter than this.
const ANSWER: Duration = Duration::from_secs(60);
/// One turn of waiting for an operation, in seconds.
const TURN: u64 = 15;
/// The longest answer but for listings.
const SHORT: u64 = 4 << 20;
/// The longest listing: 10,000 instances of 6 KiB each.
const LISTING: u64 = 64 << 20;
/// The longest event.
const EVENT: u64 = 1 << 20;

/// A daemon, and one project of it.
#[derive(Debug)]
pub(super) struct Client {
    wire: Wire,
    project: String,
}

/// The stream of events.
pub(super) struct Events {
    pub(super) socket: WebSocketStream<Metered>,
    /// To be filled up after each event.
    pub(super) allowance: Arc<Allowance>,
}

/// Something that the daemon works on.
#[derive(Debug)]
pub(super) struct Operation(String);

/// What every answer is wrapped into.
#[derive(Debug, Deserialize)]
struct Envelope<T> {
    #[serde(default)]
    operation: Option<String>,
    metadata: Option<T>,
}

/// An answer other than yes.
#[derive(Debug, Default, Deserialize)]
struct No {
    #[serde(default)]
    error: String,
}

/// How an operation stands.
#[derive(Debug, Deserialize)]
struct Progress {
    status_code: u16,
    #[serde(default)]
    err: String,
}

impl Client {
    pub(super) fn new(door: Door, project: &str) -> Self {
        Self { wire: Wire::new(door), project: project.to_owned() }
    }

    pub(super) async fn list(&self) -> Result<Vec<Instance>, AdapterError> {
        self.get("/1.0/instances?recursion=1", LISTING).await
    }

    pub(super) async fn state(&self, address: &Address) -> Result<State, AdapterError> {
        let path = format!("{}/state", path_of(address)?);
        self.get(&path, SHORT).await.map_err(|why| about(address, why))
    }

    /// The newest snapshot that a bridge has made. Their names begin with the time.
    pub(super) async fn newest_snapshot(&self, address: &Address) -> Result<Option<String>, AdapterError> {
        let path = format!("{}/snapshots?recursion=1", path_of(address)?);
        let all: Vec<Snapshot> = self.get(&path, LISTING).await.map_err(|why| about(address, why))?;
        let ours = all.into_iter().map(|snapshot| snapshot.name).filter(|name| name.starts_with("primrack-"));
        Ok(ours.max())
    }

    /// What it has shown on its console lately.
    pub(super) async fn console(&self, address: &Address) -> Result<String, AdapterError> {
        let path = format!("{}/console", path_of(address)?);
        let (status, body) = self.exchange("GET", &path, None, SHORT).await?;
        match status {
            200..300 => Ok(tail(&body, CONSOLE)),
            404 => Err(AdapterError::NotFound(address.0.to_string())),
            _ => Err(AdapterError::NotSupported(words(&body))),
        }
    }

    /// Begins something with an instance.
    pub(super) async fn begin(
        &self,
        method: &str,
        address: &Address,
        below: &str,
        send: Option<&Value>,
    ) -> Result<Operation, AdapterError> {
        let path = format!("{}{below}", path_of(address)?);
        self.operation(method, &path, send).await.map_err(|why| about(address, why))
    }

    /// Begins to make another instance from one, with the same settings.
    pub(super) async fn copy(&self, address: &Address, name: &str) -> Result<Operation, AdapterError> {
        let path = path_of(address)?;
        let mut made: Map<String, Value> = self.get(&path, SHORT).await.map_err(|why| about(address, why))?;
        made.retain(|key, _| {
            matches!(
                key.as_str(),
                "architecture" | "config" | "description" | "devices" | "ephemeral" | "profiles" | "type"
            )
        });
        if let Some(config) = made.get_mut("config").and_then(Value::as_object_mut) {
            // The daemon's own notes on that one, such as its hardware addresses.
            config.retain(|key, _| !key.starts_with("volatile."));
        }
        made.insert("name".to_owned(), json!(name));
        made.insert(
            "source".to_owned(),
            json!({"type": "copy", "source": address.0.as_str(), "instance_only": true}),
        );
        self.operation("POST", "/1.0/instances", Some(&Value::Object(made))).await
    }

    async fn operation(
        &self,
        method: &str,
        path: &str,
        send: Option<&Value>,
    ) -> Result<Operation, AdapterError> {
        let answer: Envelope<serde::de::IgnoredAny> = self.ask(method, path, send, SHORT).await?;
        let path = answer.operation.unwrap_or_default();
        let path = path.split('?').next().unwrap_or_default();
        let id = path.strip_prefix("/1.0/operations/").unwrap_or_default();
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(AdapterError::Unreachable("the daemon did not say what it works on".to_owned()));
        }
        Ok(Operation(id.to_owned()))
    }

    /// Waits until the daemon is done with it.
    pub(super) async fn done(&self, operation: &Operation, until: Instant) -> Result<(), AdapterError> {
        loop {
            let left = until.saturating_duration_since(Instant::now()).as_secs().min(TURN);
            let path = format!("/1.0/operations/{}/wait?timeout={left}", operation.0);
            let progress: Progress = self.get(&path, SHORT).await.map_err(|why| match why {
                AdapterError::NotFound(_) => {
                    AdapterError::Unreachable("the daemon has forgotten what it worked on".to_owned())
                }
                other => other,
            })?;
            match progress.status_code {
                200 => return Ok(()),
                400 => return Err(AdapterError::Refused(head(&progress.err, 400).to_owned())),
                401 => return Err(AdapterError::Refused("somebody had the daemon give it up".to_owned())),
                _ if Instant::now() >= until => {
                    return Err(AdapterError::Refused(
                        "the daemon is not done with it in time and goes on".to_owned(),
                    ));
                }
                _ => {}
            }
        }
    }

    /// What happens to the instances of the project. It stands once a ping was answered.
    pub(super) async fn events(&self) -> Result<Events, AdapterError> {
        let allowance = Allowance::new(EVENT);
        let stream = Metered::new(self.wire.connect().await?, Arc::clone(&allowance));
        let place = format!("ws://{}/1.0/events?type=lifecycle&project={}", self.wire.host(), self.project);
        let most = usize::try_from(EVENT).unwrap_or(usize::MAX);
        let limits = WebSocketConfig::default().max_message_size(Some(most)).max_frame_size(Some(most));
        let opening = tokio_tungstenite::client_async_with_config(place, stream, Some(limits));
        match tokio::time::timeout(ANSWER, opening).await {
            Ok(Ok((socket, _))) => Ok(Events { socket, allowance }),
            Ok(Err(tungstenite::Error::Http(answer))) => {
                let words = answer.body().as_deref().map(words).unwrap_or_default();
                Err(refusal(answer.status().as_u16(), &words))
            }
            Ok(Err(why)) => Err(broken(&why)),
            Err(_) => Err(WireError::Slow(ANSWER).into()),
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, limit: u64) -> Result<T, AdapterError> {
        let answer: Envelope<T> = self.ask("GET", path, None, limit).await?;
        answer
            .metadata
            .ok_or_else(|| AdapterError::Unreachable(format!("the daemon's answer to {path} is empty")))
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        send: Option<&Value>,
        limit: u64,
    ) -> Result<T, AdapterError> {
        let (status, body) = self.exchange(method, path, send, limit).await?;
        if !(200..300).contains(&status) {
            return Err(refusal(status, &words(&body)));
        }
        serde_json::from_slice(&body).map_err(|why| {
            AdapterError::Unreachable(format!(
                "the daemon's answer to {method} {path} is not understood: {why}"
            ))
        })
    }

    async fn exchange(
        &self,
        method: &str,
        path: &str,
        send: Option<&Value>,
        limit: u64,
    ) -> Result<(u16, Vec<u8>), AdapterError> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let request = Request::builder()
            .method(method)
            .uri(format!("{path}{joint}project={}", self.project))
            .header(CONTENT_TYPE, "application/json")
            .body(send.map(ToString::to_string).unwrap_or_default())
            .map_err(|why| AdapterError::Refused(format!("this cannot be asked: {why}")))?;
        let allowance = Allowance::new(limit);
        let asking = async {
            let answer = self.wire.send(request, Arc::clone(&allowance)).await?;
            let status = answer.status().as_u16();
            Ok::<_, WireError>((status, wire::body(answer, &allowance, ANSWER).await?))
        };
        match tokio::time::timeout(ANSWER, asking).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(WireError::Slow(ANSWER).into()),
        }
    }
}

/// Where an instance is in the interface.
fn path_of(address: &Address) -> Result<String, AdapterError> {
    if is_name(&address.0) {
        Ok(format!("/1.0/instances/{}", address.0))
    } else {
        Err(AdapterError::NotFound(address.0.to_string()))
    }
}

/// What was not found is called by its own name.
fn about(address: &Address, why: AdapterError) -> AdapterError {
    match why {
        AdapterError::NotFound(_) => AdapterError::NotFound(address.0.to_string()),
        other => other,
    }
}

/// What an answer says against us.
fn words(body: &[u8]) -> String {
    let error = serde_json::from_slice::<No>(body).map(|no| no.error).unwrap_or_default();
    if error.is_empty() { tail(body, 300) } else { head(&error, 400).to_owned() }
}

/// What an answer other than yes means.
fn refusal(status: u16, words: &str) -> AdapterError {
    match status {
        401 | 403 => AdapterError::Credentials(format!("the daemon lets us not in: {words}")),
        404 => AdapterError::NotFound(words.to_owned()),
        501 => AdapterError::NotSupported(words.to_owned()),
        503 => AdapterError::Unreachable(words.to_owned()),
        _ => AdapterError::Refused(words.to_owned()),
    }
}

/// Why a websocket ended.
pub(super) fn broken(why: &tungstenite::Error) -> AdapterError {
    AdapterError::Unreachable(format!("the stream of events broke: {}", wire::cause(why)))
}
