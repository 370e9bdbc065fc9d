//! What the command line asks of a running bridge.

use std::path::PathBuf;

use hyper::Method;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;

use crate::{Room, http, soon};

/// The control socket of a bridge.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
}

impl Control {
    /// That of the bridge of this folder.
    #[must_use]
    pub fn of(room: &Room) -> Self {
        Self { path: room.at("state/control.sock") }
    }
    async fn ask(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let stream = UnixStream::connect(&self.path).await.unwrap();
        let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(body).unwrap() };
        let (status, answer) = http::exchange(stream, method, path, body).await;
        let read = serde_json::from_slice(&answer)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&answer).into_owned()));
        (status, read)
    }
    /// `GET`, as JSON.
    ///
    /// # Panics
    /// When it is not answered with 200.
    pub async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.ask(Method::GET, path, &Value::Null).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }
    /// `POST /touch` with this body: the status and the answer.
    pub async fn touch(&self, body: Value) -> (u16, Value) {
        self.ask(Method::POST, "/touch", &body).await
    }

    /// `GET /watch`, followed.
    ///
    /// # Panics
    /// When the socket cannot be opened.
    pub async fn watch(&self) -> Watch {
        let (read, mut write) = UnixStream::connect(&self.path).await.unwrap().into_split();
        write.write_all(b"GET /watch HTTP/1.1\r\nHost: bridge\r\n\r\n").await.unwrap();
        Watch { lines: BufReader::new(read).lines(), _write: write }
    }
}

/// A watch under way.
#[derive(Debug)]
pub struct Watch {
    lines: Lines<BufReader<OwnedReadHalf>>,
    _write: tokio::net::unix::OwnedWriteHalf,
}

impl Watch {
    /// The next change. What HTTP puts around the lines (header, sizes of chunks) is no JSON object.
    ///
    /// # Panics
    /// When the watch ends.
    pub async fn next(&mut self) -> Value {
        let next = async {
            loop {
                let line = self.lines.next_line().await.unwrap().expect("the watch goes on");
                if line.starts_with('{') {
                    return serde_json::from_str(&line).unwrap();
                }
            }
        };
        soon("the watch tells a change", next).await
    }
}
