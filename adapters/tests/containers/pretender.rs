//! A daemon that lies, on a UNIX socket: for what a real one does not do on demand.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test program uses its part")]

use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

/// What is to be said to a request for a path, and whether the line is then cut.
pub struct Answer {
    pub bytes: Vec<u8>,
    /// Says no more, but stays on the line.
    pub hangs: bool,
}

/// A whole answer with a JSON body.
pub fn answer(body: &str) -> Answer {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    Answer { bytes: (head + body).into_bytes(), hangs: false }
}

/// It listens until it is dropped.
pub struct Pretender {
    pub socket: PathBuf,
    listener: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Pretender {
    pub fn new(say: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let say = Arc::new(say);
        let listener = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let say = Arc::clone(&say);
                tokio::spawn(async move { serve(stream, &*say).await });
            }
        });
        Self { socket, listener, _folder: folder }
    }
}

impl Drop for Pretender {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn serve(mut stream: UnixStream, say: &(impl Fn(&str) -> Answer + Send + Sync)) {
    let mut request = Vec::new();
    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
        let mut bytes = [0; 4096];
        match stream.read(&mut bytes).await {
            Ok(0) | Err(_) => return,
            Ok(read) => request.extend_from_slice(&bytes[..read]),
        }
    }
    let text = String::from_utf8_lossy(&request);
    let path = text.split_whitespace().nth(1).unwrap_or_default().to_owned();
    let answer = say(&path);
    // Who asked may have had enough.
    stream.write_all(&answer.bytes).await.ok();
    if answer.hangs {
        std::future::pending::<()>().await;
    }
}
