//! An LXD that lies, on a UNIX socket: for what a real one does not do on demand. Its events come by websocket.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test program uses its part")]

use std::path::PathBuf;
use std::sync::Arc;

use futures::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Message, Role};

/// An answer with a JSON body.
pub fn answer(status: u16, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} it is\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// It listens until it is dropped.
pub struct Herald {
    pub socket: PathBuf,
    listener: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Herald {
    /// Says these events to who listens, and to other requests what `say` says to their paths.
    pub fn new(events: Vec<String>, say: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let shared = Arc::new((events, say));
        let listener = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move { serve(stream, &shared.0, &shared.1).await });
            }
        });
        Self { socket, listener, _folder: folder }
    }
}

impl Drop for Herald {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn serve(mut stream: UnixStream, events: &[String], say: &(impl Fn(&str) -> Vec<u8> + Send + Sync)) {
    let mut request = Vec::new();
    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    let text = String::from_utf8_lossy(&request);
    let path = text.split_whitespace().nth(1).unwrap_or_default().to_owned();
    let key = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim().to_owned())
    });
    let Some(key) = key else {
        // Who asked may have had enough.
        stream.write_all(&say(&path)).await.ok();
        return;
    };
    let head = format!(
        "HTTP/1.1 101 it is\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key.as_bytes())
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    for event in events {
        if socket.send(Message::text(event.as_str())).await.is_err() {
            return;
        }
    }
    // Answers pings until the other side goes.
    while let Some(Ok(_)) = socket.next().await {}
}
