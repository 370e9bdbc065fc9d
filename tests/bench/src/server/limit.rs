//! The reference: what the same task costs with axum and nothing around it. A touch is about 282 bytes of
//! JSON with an HMAC-SHA-256 in a header; its signature and nonce are checked, a state changes, and it is
//! answered. Durable: after a group commit to SQLite with synchronous=FULL. With callback: after the
//! object's callback has answered.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::routing::post;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use parking_lot::{Condvar, Mutex};
use rusqlite::{Connection, params};
use serde::Deserialize;
use sha2::Sha256;
use tokio::sync::oneshot;

use super::accept::{acceptor, serve};
use super::{Orders, ready};
use crate::words::{LimitSpec, callback, secret};

/// What is posted.
#[derive(Debug, Deserialize)]
pub(super) struct Touch {
    object: usize,
    unit: u8,
    who: String,
    name: String,
    nonce: u64,
    at: i64,
}

struct Object {
    secret: String,
    nonce: u64,
    on: bool,
}

struct Limit {
    objects: Vec<Mutex<Object>>,
    writer: Option<Arc<Writer>>,
    callbacks: Option<(Client<HttpConnector, Full<Bytes>>, u16)>,
}

/// One thread writes what has gathered in one commit.
struct Writer {
    queue: Mutex<Vec<Row>>,
    wake: Condvar,
}

struct Row {
    touch: Touch,
    body: Bytes,
    tell: oneshot::Sender<()>,
}

impl Writer {
    fn start(folder: &Path) -> anyhow::Result<Arc<Self>> {
        let db = Connection::open(folder.join("limit.sqlite"))?;
        db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.execute_batch(
            "CREATE TABLE IF NOT EXISTS touch (id INTEGER PRIMARY KEY, object INTEGER, unit INTEGER, who TEXT, name TEXT, nonce INTEGER, at INTEGER, body BLOB)",
        )?;
        let writer = Arc::new(Self { queue: Mutex::default(), wake: Condvar::new() });
        let this = Arc::clone(&writer);
        std::thread::Builder::new().name("limit-writer".to_owned()).spawn(move || this.run(db))?;
        Ok(writer)
    }

    fn run(&self, mut db: Connection) {
        let mut batch = Vec::new();
        loop {
            {
                let mut queue = self.queue.lock();
                while queue.is_empty() {
                    self.wake.wait(&mut queue);
                }
                std::mem::swap(&mut batch, &mut *queue);
            }
            // What could not be written is not answered: its caller sees the channel close.
            match write(&mut db, &batch) {
                Ok(()) => {
                    for row in batch.drain(..) {
                        // Whoever stopped waiting does not want to know.
                        let _gone = row.tell.send(());
                    }
                }
                Err(error) => {
                    crate::report::complain(&format!("the reference cannot write: {error}"));
                    batch.clear();
                }
            }
        }
    }

    async fn durable(&self, touch: Touch, body: Bytes) -> bool {
        let (tell, told) = oneshot::channel();
        self.queue.lock().push(Row { touch, body, tell });
        self.wake.notify_one();
        told.await.is_ok()
    }
}

fn write(db: &mut Connection, batch: &[Row]) -> rusqlite::Result<()> {
    let tx = db.transaction()?;
    {
        let mut insert = tx.prepare_cached(
            "INSERT INTO touch (object, unit, who, name, nonce, at, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        for Row { touch, body, .. } in batch {
            let Touch { object, unit, who, name, nonce, at } = touch;
            insert.execute(params![object, unit, who, name, nonce, at, &body[..]])?;
        }
    }
    tx.commit()
}

async fn take(
    State(limit): State<Arc<Limit>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let refused = (StatusCode::FORBIDDEN, r#"{"refused":"forged"}"#);
    let Ok(touch) = serde_json::from_slice::<Touch>(&body) else { return refused };
    let Some(object) = limit.objects.get(touch.object) else { return refused };
    let mut claimed = [0; 32];
    let mac = headers.get("x-mac").map_or(&b""[..], |mac| mac.as_bytes());
    if hex::decode_to_slice(mac, &mut claimed).is_err() {
        return refused;
    }
    let (number, on) = {
        let mut object = object.lock();
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(object.secret.as_bytes()) else { return refused };
        mac.update(&body);
        if mac.verify_slice(&claimed).is_err() || touch.nonce <= object.nonce {
            return refused;
        }
        object.nonce = touch.nonce;
        object.on = !object.on;
        (touch.object, object.on)
    };
    if let Some(writer) = &limit.writer
        && !writer.durable(touch, body).await
    {
        return (StatusCode::SERVICE_UNAVAILABLE, r#"{"refused":"journal"}"#);
    }
    if let Some((client, port)) = &limit.callbacks {
        let state = if on { "on" } else { "off" };
        let text = format!(
            r#"{{"object":{number},"list":[{{"u":0,"s":"{state}","l":"Server {number}","w":"{state}"}}]}}"#
        );
        let request = Request::post(callback(number, *port, "r")).body(Full::new(Bytes::from(text)));
        let Ok(request) = request else { return refused };
        let Ok(answer) = client.request(request).await else {
            return (StatusCode::SERVICE_UNAVAILABLE, r#"{"refused":"callback"}"#);
        };
        if answer.into_body().collect().await.is_err() {
            return (StatusCode::SERVICE_UNAVAILABLE, r#"{"refused":"callback"}"#);
        }
    }
    (StatusCode::OK, if on { r#"{"ok":"on"}"# } else { r#"{"ok":"off"}"# })
}

pub(super) async fn run(spec: LimitSpec, mut orders: Orders) -> anyhow::Result<()> {
    let object = |n| Mutex::new(Object { secret: secret(n).reveal().to_owned(), nonce: 0, on: false });
    let client = || {
        Client::builder(hyper_util::rt::TokioExecutor::new()).build({
            let mut http = HttpConnector::new();
            http.set_nodelay(true);
            http
        })
    };
    let limit = Arc::new(Limit {
        objects: (0..spec.objects).map(object).collect(),
        writer: spec.durable.as_deref().map(Writer::start).transpose()?,
        callbacks: spec.sink.map(|port| (client(), port)),
    });
    let routes = Router::new().route("/touch", post(take)).with_state(limit);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    match &spec.tls {
        Some(files) => {
            tokio::spawn(serve(listener, Some(acceptor(files)?), routes));
        }
        None => {
            use axum::serve::ListenerExt as _;
            let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
            tokio::spawn(async move { axum::serve(listener, routes).await });
        }
    }
    ready(port);
    let order = orders.recv().await.context("nobody is there any more")?;
    anyhow::ensure!(order == "quit", "nobody knows the order {order:?}");
    Ok(())
}
