//! The command line's side of the control socket: one request a connection, JSON both ways.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use primrack_model::UnixMs;
use primrack_web::Change;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use tokio::net::UnixStream;

/// The longest answer that is read at once.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;
/// The longest line of a watch.
const LINE_LIMIT: usize = 64 * 1024;

/// How an object stands, as the bridge tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectNow {
    /// Its id.
    pub object: SmolStr,
    /// What people call it.
    #[serde(default)]
    pub label: SmolStr,
    /// Whether the key file has it.
    pub enrolled: bool,
    /// Where it stands, if it registered.
    pub region: Option<SmolStr>,
    /// What it runs on.
    pub grid: Option<SmolStr>,
    /// When it was last heard.
    pub heard: Option<UnixMs>,
    /// Since when pushes do not arrive.
    pub silent: Option<UnixMs>,
    /// Which second prim wants its id.
    pub rival: Option<SmolStr>,
    /// How many of its units wait to be shown.
    #[serde(default)]
    pub waiting: usize,
}

/// Why the bridge could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum NoBridge {
    /// Nothing is there.
    #[error(
        "no bridge is running here: {} is not there. Start one with `primrack serve`, or name another with --config or --control", .0.display()
    )]
    Absent(PathBuf),
    /// It was left by a bridge that was killed.
    #[error(
        "no bridge is running here: nobody answers at {}, which a bridge left behind. Start one with `primrack serve`", .0.display()
    )]
    Left(PathBuf),
    /// It belongs to another user.
    #[error(
        "{} may only be used by the user that runs the bridge: try `sudo -u USER primrack …`", .0.display()
    )]
    Forbidden(PathBuf),
    /// Something else.
    #[error("{} cannot be reached: {}", .0.display(), .1)]
    Other(PathBuf, io::Error),
}

/// Where a running bridge is asked.
#[derive(Debug, Clone)]
pub struct Control {
    socket: PathBuf,
}

impl Control {
    /// At this socket.
    #[must_use]
    pub fn at(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    async fn connect(&self) -> Result<UnixStream, NoBridge> {
        let path = || self.socket.clone();
        UnixStream::connect(&self.socket).await.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => NoBridge::Absent(path()),
            io::ErrorKind::ConnectionRefused => NoBridge::Left(path()),
            io::ErrorKind::PermissionDenied => NoBridge::Forbidden(path()),
            _ => NoBridge::Other(path(), error),
        })
    }

    /// Whether a bridge answers, and if not, why.
    ///
    /// # Errors
    /// [`NoBridge`].
    pub async fn is_there(&self) -> Result<(), NoBridge> {
        self.connect().await.map(drop)
    }

    async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> anyhow::Result<Response<Incoming>> {
        let stream = self.connect().await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to the bridge ended badly");
            }
        });
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "control")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))?;
        Ok(sender.send_request(request).await?)
    }

    /// Asks and reads the answer. An answer of another status is an error in the bridge's words.
    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: Vec<u8>) -> anyhow::Result<T> {
        let response = self.send(method, path, body).await?;
        let status = response.status();
        let bytes = whole(status, response.into_body()).await?;
        understood(path, &bytes)
    }

    /// `GET path`.
    ///
    /// # Errors
    /// When no bridge answers, or with what it says.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.ask(Method::GET, path, Vec::new()).await
    }

    /// `GET path`, whose answer is no JSON: its content type and its bytes.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn fetch(&self, path: &str) -> anyhow::Result<(String, Bytes)> {
        let response = self.send(Method::GET, path, Vec::new()).await?;
        let status = response.status();
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default().to_owned();
        Ok((kind, whole(status, response.into_body()).await?))
    }

    /// `POST path`.
    ///
    /// # Errors
    /// When no bridge answers, or with what it says.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> anyhow::Result<T> {
        self.ask(Method::POST, path, serde_json::to_vec(body)?).await
    }

    /// `POST path`, where the bridge may say no in more than a sentence (status 409).
    ///
    /// # Errors
    /// When no bridge answers, or with what it says.
    pub async fn post_or<T: DeserializeOwned, E: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<Answered<T, E>> {
        let response = self.send(Method::POST, path, serde_json::to_vec(body)?).await?;
        let status = response.status();
        let bytes = read(response.into_body()).await?;
        if status == StatusCode::CONFLICT {
            return understood(path, &bytes).map(Answered::No);
        }
        fine(status, &bytes)?;
        understood(path, &bytes).map(Answered::Yes)
    }

    /// All states, then every change.
    ///
    /// # Errors
    /// When no bridge answers.
    pub async fn watch(&self) -> anyhow::Result<Watch> {
        self.lines("/watch").await
    }

    /// `GET path`, whose answer has no end: one JSON object a line, for [`Watch::next_of`].
    ///
    /// # Errors
    /// When no bridge answers, or with what it says.
    pub async fn lines(&self, path: &str) -> anyhow::Result<Watch> {
        let response = self.send(Method::GET, path, Vec::new()).await?;
        if response.status() != StatusCode::OK {
            let read = Limited::new(response.into_body(), LINE_LIMIT).collect().await;
            let bytes = read.map_err(|error| anyhow!("the bridge's answer broke off: {error}"))?.to_bytes();
            let words = serde_json::from_slice::<serde_json::Value>(&bytes).unwrap_or_default();
            bail!(
                "{}",
                words["error"].as_str().unwrap_or("the bridge does not know this: is it another version?")
            );
        }
        Ok(Watch { body: response.into_body(), buffer: Vec::new() })
    }
}

/// A yes or a no, each with what it says.
#[derive(Debug)]
pub enum Answered<T, E> {
    /// It was done.
    Yes(T),
    /// It was refused.
    No(E),
}

/// A whole answer. One of another status is an error in the bridge's words.
async fn whole(status: StatusCode, body: Incoming) -> anyhow::Result<Bytes> {
    let bytes = read(body).await?;
    fine(status, &bytes)?;
    Ok(bytes)
}

async fn read(body: Incoming) -> anyhow::Result<Bytes> {
    let read = Limited::new(body, ANSWER_LIMIT).collect().await;
    Ok(read.map_err(|error| anyhow!("the bridge's answer broke off: {error}"))?.to_bytes())
}

/// Another status is an error in the bridge's words.
fn fine(status: StatusCode, bytes: &[u8]) -> anyhow::Result<()> {
    if status != StatusCode::OK {
        let words = serde_json::from_slice::<serde_json::Value>(bytes).ok();
        match words.as_ref().and_then(|words| words["error"].as_str()) {
            Some(words) => bail!("{words}"),
            None => bail!("the bridge answered with status {status}"),
        }
    }
    Ok(())
}

fn understood<T: DeserializeOwned>(path: &str, bytes: &[u8]) -> anyhow::Result<T> {
    serde_json::from_slice(bytes)
        .with_context(|| format!("the bridge's answer to {path} is not understood: is it another version?"))
}

/// The lines of a watch.
#[derive(Debug)]
pub struct Watch {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Watch {
    /// The next line; none when the bridge ends.
    ///
    /// # Errors
    /// When the stream breaks off or a line is not understood.
    pub async fn next(&mut self) -> anyhow::Result<Option<Change>> {
        self.next_of().await
    }

    /// The next line of another kind.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub async fn next_of<T: DeserializeOwned>(&mut self) -> anyhow::Result<Option<T>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            if self.buffer.len() > LINE_LIMIT {
                bail!("the bridge sent a line without an end");
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => bail!("the bridge broke off: {error}"),
                None => return Ok(None),
            }
        }
    }
}
