//! One stream for all viewers: each event is written down once and shared.
//!
//! ```text
//! Scene ─▶ hub (serialises, numbers) ─▶ ring of frames ─▶ viewer ─▶ browser
//!                                                    └── fell behind: a snapshot, then on
//! ```
//! A viewer costs its place in the ring, never a queue of its own.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use parking_lot::Mutex;
use primrack_model::UnixMs;
use serde::Serialize;
use serde_json::json;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{OwnedSemaphorePermit, broadcast};
use tokio_util::sync::CancellationToken;

use super::scene::{Scene, SceneEvent, SceneView};

/// How far a viewer may fall behind before it gets a snapshot instead.
const RING: usize = 1024;
/// How often a silent stream says that it lives.
const BEAT: Duration = Duration::from_secs(10);

/// What a snapshot says beside the scene.
#[derive(Debug, Serialize)]
pub(crate) struct Welcome {
    #[serde(flatten)]
    pub(crate) scene: SceneView,
    /// Whether this server takes deeds.
    pub(crate) acting: bool,
    /// The server's clock, so that ages are right on a phone whose clock is not.
    pub(crate) now_ms: i64,
    /// Changes when the program starts anew.
    pub(crate) epoch: u64,
}

#[derive(Debug)]
enum Frame {
    /// For everybody, or for one avatar.
    Event { to: Option<String>, bytes: Bytes },
    /// Everybody starts again from a snapshot.
    Renew,
}

/// The stream's source.
#[derive(Debug)]
pub(crate) struct Hub {
    scene: Arc<dyn Scene>,
    acting: bool,
    epoch: u64,
    ring: broadcast::Sender<Arc<Frame>>,
    number: AtomicU64,
    /// The last snapshot and the number it was taken at: a thousand viewers arriving together share one.
    last: Mutex<Option<(u64, Instant, Bytes)>>,
    stop: CancellationToken,
}

impl Hub {
    /// Starts it; it ends with `stop`.
    pub(crate) fn start(scene: Arc<dyn Scene>, acting: bool, stop: CancellationToken) -> Arc<Self> {
        let hub = Arc::new(Self {
            acting,
            epoch: u64::try_from(UnixMs::now().0).unwrap_or(0),
            ring: broadcast::channel(RING).0,
            number: AtomicU64::new(0),
            last: Mutex::new(None),
            stop,
            scene,
        });
        let events = hub.scene.subscribe();
        tokio::spawn(Arc::clone(&hub).relay(events));
        hub
    }

    /// The scene.
    pub(crate) fn scene(&self) -> &Arc<dyn Scene> {
        &self.scene
    }
    /// Whether deeds are taken.
    pub(crate) fn acting(&self) -> bool {
        self.acting
    }
    /// Everything now, as JSON.
    pub(crate) fn welcome(&self) -> Welcome {
        Welcome {
            scene: self.scene.snapshot(),
            acting: self.acting,
            now_ms: UnixMs::now().0,
            epoch: self.epoch,
        }
    }

    async fn relay(self: Arc<Self>, mut events: broadcast::Receiver<Arc<SceneEvent>>) {
        let mut beat = tokio::time::interval(BEAT);
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                _ = beat.tick() => {
                    let words = json!({ "kind": "beat", "now_ms": UnixMs::now().0 });
                    self.put(None, &words);
                    continue;
                }
                () = self.stop.cancelled() => return,
            };
            match event {
                Ok(event) => match event.as_ref() {
                    SceneEvent::Renewed => self.renew(),
                    event => self.put(event.to(), event),
                },
                Err(RecvError::Lagged(missed)) => {
                    tracing::debug!(missed, "the page fell behind its scene; viewers get a snapshot");
                    self.renew();
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn put(&self, to: Option<&str>, words: &impl Serialize) {
        // Raised first, so that a snapshot taken before this event is not handed out after it.
        let number = self.number.fetch_add(1, Ordering::AcqRel) + 1;
        if self.ring.receiver_count() == 0 {
            return;
        }
        match serde_json::to_string(words) {
            Ok(json) => {
                let bytes = frame("change", self.epoch, number, &json);
                // Nobody listens any more: nothing is lost.
                drop(self.ring.send(Arc::new(Frame::Event { to: to.map(str::to_owned), bytes })));
            }
            Err(error) => tracing::error!(%error, "an event of the scene cannot be written"),
        }
    }

    fn renew(&self) {
        self.number.fetch_add(1, Ordering::AcqRel);
        drop(self.ring.send(Arc::new(Frame::Renew)));
    }

    fn snapshot(&self) -> Bytes {
        let number = self.number.load(Ordering::Acquire);
        let mut last = self.last.lock();
        if let Some((at, taken, bytes)) = last.as_ref()
            && *at == number
            && taken.elapsed() < BEAT / 10
        {
            return bytes.clone();
        }
        let json = serde_json::to_string(&self.welcome()).unwrap_or_else(|error| {
            tracing::error!(%error, "the scene cannot be written");
            "{}".to_owned()
        });
        let bytes = frame("snapshot", self.epoch, number, &json);
        *last = Some((number, Instant::now(), bytes.clone()));
        bytes
    }
}

/// One server-sent event. JSON has no raw line breaks, so one `data` line holds it.
fn frame(event: &str, epoch: u64, number: u64, json: &str) -> Bytes {
    let mut text = String::with_capacity(json.len() + 64);
    // Writing to a String cannot fail.
    write!(text, "event: {event}\nid: {epoch}-{number}\ndata: {json}\n\n").unwrap_or_default();
    Bytes::from(text)
}

/// One browser's place in the stream.
#[derive(Debug)]
pub(crate) struct Viewer {
    hub: Arc<Hub>,
    ring: broadcast::Receiver<Arc<Frame>>,
    /// Whose whispers it gets.
    avatar: Option<String>,
    fresh: bool,
    _place: OwnedSemaphorePermit,
}

impl Viewer {
    /// Joins. The ring is joined before the first snapshot is taken, so that nothing falls between.
    pub(crate) fn join(hub: Arc<Hub>, avatar: Option<String>, place: OwnedSemaphorePermit) -> Self {
        let ring = hub.ring.subscribe();
        Self { hub, ring, avatar, fresh: false, _place: place }
    }

    fn passes(&self, frame: &Frame) -> Option<Bytes> {
        match frame {
            Frame::Event { to: None, bytes } => Some(bytes.clone()),
            Frame::Event { to, bytes } if *to == self.avatar => Some(bytes.clone()),
            Frame::Event { .. } | Frame::Renew => None,
        }
    }

    /// What to send next; nothing more at the end. Frames that wait together go together, up to 64 KiB.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !self.fresh {
                self.fresh = true;
                // What waited is older than the snapshot, or in it.
                self.ring = self.hub.ring.subscribe();
                return Some(self.hub.snapshot());
            }
            let stop = self.hub.stop.clone();
            let frame = tokio::select! {
                frame = self.ring.recv() => frame,
                () = stop.cancelled() => return None,
            };
            let first = match frame {
                Ok(frame) if matches!(*frame, Frame::Renew) => None,
                Ok(frame) => match self.passes(&frame) {
                    Some(bytes) => Some(bytes),
                    None => continue,
                },
                Err(RecvError::Lagged(_)) => None,
                Err(RecvError::Closed) => return None,
            };
            let Some(first) = first else {
                self.fresh = false;
                continue;
            };
            if self.ring.is_empty() {
                return Some(first);
            }
            let mut together = first.to_vec();
            while together.len() < 64 * 1024 {
                match self.ring.try_recv() {
                    Ok(frame) if matches!(*frame, Frame::Renew) => {
                        self.fresh = false;
                        break;
                    }
                    Ok(frame) => {
                        if let Some(bytes) = self.passes(&frame) {
                            together.extend_from_slice(&bytes);
                        }
                    }
                    Err(TryRecvError::Lagged(_)) => {
                        self.fresh = false;
                        break;
                    }
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                }
            }
            return Some(Bytes::from(together));
        }
    }
}
