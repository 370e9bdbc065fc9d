//! A peer for scripts to call, a caller for their URLs, and short ways to a region.

use primrack_lsl::Profile;
use primrack_region::view::Chat;
use primrack_region::{
    AvatarKey, AvatarPlan, ClockKind, Knobs, ObjectPlan, PrimId, PrimPlan, PrimView, Region, RegionEvent,
    RegionSettings, Room, ScriptPlan,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;
use uuid::Uuid;

pub(crate) const NOW: f64 = 1_795_360_000.0;

/// Longer than any machine needs; a test that waits so long fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn ada() -> AvatarKey {
    Uuid::from_u128(0xaaaa_aaaa_0000_4000_8000_0000_0000_ada1)
}

/// A room with Ada, and one prim for each script.
pub(crate) fn room(scripts: &[(&str, &str)]) -> Room {
    let mut room = Room::default();
    room.avatar.push(AvatarPlan {
        name: "Ada Lovelace".to_owned(),
        key: Some(ada()),
        position: [128.0, 128.0, 21.0],
    });
    for (name, source) in scripts {
        room.scripts.insert((*name).to_owned(), (*source).to_owned());
        room.object.push(ObjectPlan { prim: vec![prim(name, &[name])], owner: None, key: None });
    }
    room
}

pub(crate) fn prim(name: &str, scripts: &[&str]) -> PrimPlan {
    PrimPlan {
        name: name.to_owned(),
        description: String::new(),
        position: [128.0, 130.0, 21.0],
        turned: 0.0,
        size: [0.5; 3],
        shape: 0,
        colour: [1.0; 3],
        text: String::new(),
        scripts: scripts.iter().map(|s| ScriptPlan { script: (*s).to_owned(), name: None }).collect(),
        notecards: BTreeMap::new(),
        contains: Vec::new(),
    }
}

pub(crate) fn settings(profile: Profile) -> RegionSettings {
    RegionSettings { profile, clock: ClockKind::Manual { unix: NOW }, ..RegionSettings::default() }
}

/// A region and what it tells.
pub(crate) struct Stage {
    pub(crate) region: Region,
    pub(crate) events: Receiver<RegionEvent>,
}

impl Stage {
    pub(crate) async fn new(settings: RegionSettings, room: &Room) -> Self {
        let region = Region::start(settings, room).await.unwrap();
        let (_, events) = region.snapshot().await.unwrap();
        let mut stage = Self { region, events };
        stage.advance(0.1).await;
        stage.news();
        stage
    }

    /// One prim with one script.
    pub(crate) async fn script(profile: Profile, source: &str) -> Self {
        Self::new(settings(profile), &room(&[("script", source)])).await
    }

    pub(crate) async fn advance(&mut self, seconds: f64) {
        tokio::time::timeout(PATIENCE, self.region.advance(seconds)).await.unwrap().unwrap();
    }

    /// Everything that was told since the last time.
    pub(crate) fn news(&mut self) -> Vec<RegionEvent> {
        let mut all = Vec::new();
        loop {
            match self.events.try_recv() {
                Ok(e) => all.push(e),
                Err(TryRecvError::Lagged(n)) => panic!("{n} events missed"),
                Err(_) => return all,
            }
        }
    }

    /// The words that were said since the last time, the debug channel's too.
    pub(crate) fn said(&mut self) -> Vec<String> {
        self.chats().into_iter().map(|c| c.text).collect()
    }

    pub(crate) fn chats(&mut self) -> Vec<Chat> {
        let chat = |e| if let RegionEvent::Chat(c) = e { Some(c) } else { None };
        self.news().into_iter().filter_map(chat).collect()
    }

    pub(crate) async fn view(&self, name: &str) -> Arc<PrimView> {
        let (snapshot, _) = self.region.snapshot().await.unwrap();
        assert!(snapshot.simulated);
        Arc::clone(snapshot.prims.iter().find(|p| p.name == name).unwrap_or_else(|| panic!("no prim {name}")))
    }

    pub(crate) async fn prim(&self, name: &str) -> PrimId {
        self.view(name).await.id
    }

    /// Ada touches a prim, and what is said because of it at once.
    pub(crate) async fn touch(&mut self, name: &str) -> Vec<String> {
        self.tap(name, 0.0).await
    }

    /// The same, with what is said within so many seconds.
    pub(crate) async fn tap(&mut self, name: &str, seconds: f64) -> Vec<String> {
        let prim = self.prim(name).await;
        self.region.touch(ada(), prim).await.unwrap().unwrap();
        self.advance(seconds).await;
        self.said()
    }

    pub(crate) async fn knobs(&self, knobs: Knobs) {
        self.region.set_knobs(knobs).await.unwrap();
    }
}

/// A request that a peer saw.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// What a peer does.
pub(crate) enum Reply {
    Say(u16, String),
    /// Keeps the connection and says nothing.
    Hang,
}

/// An HTTP server of the test's own.
pub(crate) struct Peer {
    pub(crate) url: String,
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peer {
    pub(crate) async fn new(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (kept, reply) = (Arc::clone(&seen), Arc::new(reply));
        let task = tokio::spawn(async move {
            let mut all = tokio::task::JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let (kept, reply) = (Arc::clone(&kept), Arc::clone(&reply));
                all.spawn(async move {
                    let Some(one) = read(&mut stream).await else { return };
                    kept.lock().unwrap().push(one.clone());
                    match reply(&one) {
                        Reply::Say(status, body) => {
                            let head = format!(
                                "HTTP/1.1 {status} X\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
                                body.len()
                            );
                            // The region hangs up once it has what it wants.
                            drop(stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await);
                        }
                        Reply::Hang => std::future::pending().await,
                    }
                });
            }
        });
        Self { url, seen, task }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// One HTTP message with a known length.
async fn read(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let line = lines.next()?.to_owned();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|l| l.split_once(':'))
        .map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_owned()))
        .collect();
    let length = headers.get("content-length").and_then(|v| v.parse().ok()).unwrap_or(0);
    let mut body = bytes.split_off(end + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Seen { line, headers, body })
}

/// Posts to a URL: status and body, or `None` when the connection ended without a response.
pub(crate) async fn post(url: &str, headers: &str, body: &[u8]) -> Option<(u16, String)> {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let head =
        format!("POST /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    raw(host, &[head.as_bytes(), body].concat()).await
}

pub(crate) async fn raw(host: &str, message: &[u8]) -> Option<(u16, String)> {
    let exchange = async {
        let mut stream = TcpStream::connect(host).await.ok()?;
        stream.write_all(message).await.ok()?;
        let answer = read(&mut stream).await?;
        let status = answer.line.split(' ').nth(1)?.parse().ok()?;
        Some((status, String::from_utf8_lossy(&answer.body).into_owned()))
    };
    tokio::time::timeout(PATIENCE, exchange).await.expect("neither a response nor an end")
}
