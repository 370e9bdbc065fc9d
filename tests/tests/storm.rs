//! A thousand racks register at once, as after a restart of the grid, and again at new URLs; among them
//! some whose callbacks are slow, hanging, dead, redirecting or endless.
//!
//! The racks are simulated: a region side made of the bridge's own wire code, ten listeners that play ten
//! simulators. The bridge is the real program in a process of its own; its forty targets are real processes
//! that are off, each shown on all thousand racks.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use primrack_model::UnixMs;
use primrack_tests::{BridgeProcess, Control, Room, SECRET, Script, WORLD};
use primrack_wire::world::{Answer, Dir, Form, PushBody, Sealing, Secret, Unverified, seal};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

const RACKS: usize = 1000;
const UNITS: usize = 40;
const SIMULATORS: usize = 10;
/// Connections on which the racks register: a grid's proxies have few.
const CONNECTIONS: usize = 64;
/// What a whole round may take here. On an idle machine it takes a few seconds; the bridge itself spaces
/// what it sends to one simulator.
const BOUND: Duration = Duration::from_secs(60);
const MEMORY_MIB: u64 = 400;

/// How a rack's callback behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Healthy,
    Slow,
    Hanging,
    Dead,
    Redirecting,
    Endless,
}

impl Manner {
    /// Every tenth is sick, in turn, on every simulator.
    fn of(rack: usize) -> Self {
        const SICK: [Manner; 5] =
            [Manner::Slow, Manner::Hanging, Manner::Dead, Manner::Redirecting, Manner::Endless];
        // 10 simulators, racks dealt out in turn: so that each simulator has racks of every manner.
        if rack / SIMULATORS % 10 == 3 { SICK[(rack / 100 + rack) % 5] } else { Self::Healthy }
    }
}

/// One rack as the region has it.
struct Place {
    manner: Manner,
    /// What each unit showed last.
    shown: Mutex<HashMap<u8, String>>,
    /// The registration whose URL is in force.
    round: AtomicUsize,
    complete_ms: AtomicU64,
}

struct Grid {
    places: Vec<Place>,
    secret: Secret,
    healed: AtomicBool,
    begun: Mutex<Instant>,
    /// Pushes that did not hold, or went to a URL that is no more.
    wrong: AtomicUsize,
    stale: AtomicUsize,
    pushes: AtomicUsize,
    progress: Notify,
    elsewhere: SocketAddr,
}

fn name(rack: usize) -> String {
    format!("rack-{rack}")
}

impl Grid {
    fn sealing<'a>(&'a self, object: &'a str, like: &Unverified<'_>) -> Sealing<'a> {
        Sealing {
            dir: Dir::Ack,
            object,
            key_id: "a",
            secret: &self.secret,
            form: Form::Hex,
            nonce: like.header.nonce,
            seq: like.header.seq,
            time: UnixMs::now().seconds(),
        }
    }

    /// Takes a push as a script does: proved, shown, acknowledged.
    fn take(&self, rack: usize, round: usize, message: &[u8]) -> Option<Vec<u8>> {
        let place = &self.places[rack];
        let unverified = Unverified::parse(message).ok()?;
        let object = name(rack);
        if unverified.header.object != object || message.len() > 2048 {
            return None;
        }
        let body = unverified.verify(&self.secret).ok()?.push(UnixMs::now().seconds(), None).ok()?;
        let body: PushBody = serde_json::from_slice(body).ok()?;
        self.pushes.fetch_add(1, Relaxed);
        if round != place.round.load(Relaxed) {
            // It was on its way when the rack moved: taken, but it counts for nothing.
            self.stale.fetch_add(1, Relaxed);
            return Some(seal(&self.sealing(&object, &unverified), "{}"));
        }
        let complete = {
            let mut shown = place.shown.lock();
            shown.extend(body.list.into_iter().map(|unit| (unit.u, unit.s.to_string())));
            shown.len() == UNITS
        };
        if complete && place.complete_ms.load(Relaxed) == 0 {
            let took = self.begun.lock().elapsed().as_millis();
            place.complete_ms.store(u64::try_from(took).unwrap().max(1), Relaxed);
            self.progress.notify_one();
        }
        Some(seal(&self.sealing(&object, &unverified), "{}"))
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Out> {
        let mut path = request.uri().path().trim_start_matches('/').split('/');
        let read = |part: Option<&str>| part.and_then(|part| part.parse::<usize>().ok());
        let (Some(rack), Some(round)) = (read(path.next()), read(path.next())) else {
            return out(StatusCode::NOT_FOUND, Bytes::new());
        };
        let manner = if self.healed.load(Relaxed) { Manner::Healthy } else { self.places[rack].manner };
        match manner {
            Manner::Healthy => {}
            Manner::Slow => tokio::time::sleep(Duration::from_secs(3)).await,
            Manner::Hanging => std::future::pending().await,
            Manner::Dead => return out(StatusCode::NOT_FOUND, Bytes::new()),
            Manner::Redirecting => {
                let mut response = out(StatusCode::TEMPORARY_REDIRECT, Bytes::new());
                let to = format!("http://{}/{rack}/{round}", self.elsewhere);
                response.headers_mut().insert("location", to.parse().unwrap());
                return response;
            }
            Manner::Endless => return Response::new(Out::Endless),
        }
        let message = request.into_body().collect().await.unwrap_or_default().to_bytes();
        match self.take(rack, round, &message) {
            Some(ack) => out(StatusCode::OK, Bytes::from(ack)),
            None => {
                self.wrong.fetch_add(1, Relaxed);
                out(StatusCode::FORBIDDEN, Bytes::new())
            }
        }
    }

    /// Racks of these manners that do not show all of their units yet.
    fn waiting(&self, wanted: impl Fn(Manner) -> bool) -> usize {
        let waits = |place: &&Place| wanted(place.manner) && place.complete_ms.load(Relaxed) == 0;
        self.places.iter().filter(waits).count()
    }

    /// Waits until all of these show everything.
    async fn complete(&self, what: &str, wanted: impl Fn(Manner) -> bool + Copy) {
        let waiting = async {
            while self.waiting(wanted) > 0 {
                self.progress.notified().await;
            }
        };
        if tokio::time::timeout(BOUND, waiting).await.is_err() {
            panic!("{what}: {} racks still wait after {BOUND:?}", self.waiting(wanted));
        }
    }

    fn times(&self) -> Vec<u64> {
        let mut times: Vec<u64> = self
            .places
            .iter()
            .filter(|place| place.manner == Manner::Healthy)
            .map(|place| place.complete_ms.load(Relaxed))
            .collect();
        times.sort_unstable();
        times
    }
}

/// An answer: some bytes, or no end of them.
enum Out {
    Bytes(Full<Bytes>),
    Endless,
}

impl Body for Out {
    type Data = Bytes;
    type Error = Infallible;
    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Bytes(bytes) => Pin::new(bytes).poll_frame(context),
            Self::Endless => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b' '; 1024]))))),
        }
    }
    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Self::Bytes(bytes) => bytes.size_hint(),
            Self::Endless => hyper::body::SizeHint::default(),
        }
    }
}

fn out(status: StatusCode, body: Bytes) -> Response<Out> {
    let mut response = Response::new(Out::Bytes(Full::new(body)));
    *response.status_mut() = status;
    response
}

/// Plays one simulator: its address.
async fn simulator(grid: Arc<Grid>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let grid = Arc::clone(&grid);
            tokio::spawn(async move {
                let service = service_fn(|request| {
                    let grid = Arc::clone(&grid);
                    async move { Ok::<_, Infallible>(grid.answer(request).await) }
                });
                // The bridge hangs up on whoever hangs or never ends.
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await
                    .ok();
            });
        }
    });
    address
}

async fn connect(bridge: SocketAddr) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(bridge).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn post(sender: &mut SendRequest<Full<Bytes>>, message: Vec<u8>) -> primrack_tests::Reply {
    let request = Request::builder()
        .method(Method::POST)
        .uri("/world/1")
        .header("host", "bridge")
        .body(Full::new(Bytes::from(message)))
        .unwrap();
    sender.ready().await.unwrap();
    let response = sender.send_request(request).await.unwrap();
    let status = response.status().as_u16();
    assert!(status < 500, "a script was answered with {status}");
    primrack_tests::Reply { status, body: response.into_body().collect().await.unwrap().to_bytes() }
}

/// All of these racks register at once, at a new URL each.
async fn register(
    grid: &Arc<Grid>,
    simulators: &[SocketAddr],
    scripts: &Arc<Vec<Mutex<Script>>>,
    round: usize,
) {
    for (rack, place) in grid.places.iter().enumerate() {
        place.round.store(round, Relaxed);
        place.shown.lock().clear();
        place.complete_ms.store(0, Relaxed);
        scripts[rack].lock().url = format!("http://{}/{rack}/{round}", simulators[rack % SIMULATORS]).into();
    }
    *grid.begun.lock() = Instant::now();
    let next = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (scripts, next) = (Arc::clone(scripts), Arc::clone(&next));
            tokio::spawn(async move {
                let bridge = scripts[0].lock().bridge;
                let mut sender = connect(bridge).await;
                loop {
                    let rack = next.fetch_add(1, Relaxed);
                    let Some(slot) = scripts.get(rack) else { return };
                    let mut script = slot.lock().clone();
                    // First contact: the answer to an unknown nonce, then the registration.
                    let mut registered = false;
                    for _ in 0..3 {
                        let body = script.registration();
                        let message = script.next(&body);
                        let reply = post(&mut sender, message).await;
                        let seq = script.seq;
                        match script.believe(&reply, seq) {
                            Answer::Registered { .. } => {
                                registered = true;
                                break;
                            }
                            Answer::Refused(refused) if refused.refused == "nonce" => {
                                script.seq = refused.last.unwrap_or(0);
                            }
                            other => panic!("rack {rack}: {other:?}"),
                        }
                    }
                    assert!(registered, "rack {rack} was never registered");
                    *slot.lock() = script;
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
}

fn room() -> Room {
    let mut config = format!("{WORLD}\n[backends.local.process]\nstate_dir = 'processes'\n");
    for unit in 1..=UNITS {
        write!(
            config,
            "[backends.local.process.servers.p{unit}]\ncommand = ['sleep', '600']\n\
             [targets.server-{unit}]\nbackend = 'local'\naddress = 'p{unit}'\n"
        )
        .unwrap();
    }
    let units: Vec<String> = (1..=UNITS).map(|unit| format!("{unit} = 'server-{unit}'")).collect();
    let units = units.join(", ");
    let names: Vec<String> = (0..RACKS).map(name).collect();
    for rack in &names {
        writeln!(config, "[objects.{rack}]\nunits = {{ {units} }}").unwrap();
    }
    Room::new(&config, names.iter().map(String::as_str))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_racks_come_back_at_once_and_the_sick_ones_hold_up_nobody() {
    let bridge = BridgeProcess::start(room()).await;
    let rest = bridge.peak_mib();
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let place = |rack| Place {
        manner: Manner::of(rack),
        shown: Mutex::default(),
        round: AtomicUsize::new(0),
        complete_ms: AtomicU64::new(0),
    };
    let grid = Arc::new(Grid {
        places: (0..RACKS).map(place).collect(),
        secret: Secret::new(SECRET).unwrap(),
        healed: AtomicBool::new(false),
        begun: Mutex::new(Instant::now()),
        wrong: AtomicUsize::new(0),
        stale: AtomicUsize::new(0),
        pushes: AtomicUsize::new(0),
        progress: Notify::new(),
        elsewhere: elsewhere.local_addr().unwrap(),
    });
    for manner in [Manner::Slow, Manner::Hanging, Manner::Dead, Manner::Redirecting, Manner::Endless] {
        let count = grid.places.iter().filter(|place| place.manner == manner).count();
        assert_eq!(count, 20, "{manner:?}");
    }
    let mut simulators = Vec::new();
    for _ in 0..SIMULATORS {
        simulators.push(simulator(Arc::clone(&grid)).await);
    }
    let scripts: Arc<Vec<_>> =
        Arc::new((0..RACKS).map(|rack| Mutex::new(bridge.script(&name(rack)))).collect());
    let healthy = |manner| manner == Manner::Healthy;

    for round in 1..=2 {
        register(&grid, &simulators, &scripts, round).await;
        let taken = grid.begun.lock().elapsed();
        grid.complete(&format!("round {round}"), healthy).await;
        let times = grid.times();
        println!(
            "round {round}: {RACKS} registrations in {taken:.1?}; 900 healthy racks show all {UNITS} units after \
             {} ms (median) to {} ms (last); {} pushes; bridge at most {} MiB (idle {rest})",
            times[times.len() / 2],
            times[times.len() - 1],
            grid.pushes.load(Relaxed),
            bridge.peak_mib(),
        );
    }
    // What changes now reaches everybody who can hear.
    *grid.begun.lock() = Instant::now();
    let start = json!({ "at": { "target": "server-7" }, "action": "start", "operator": "ada" });
    let (status, receipt) = Control::of(&bridge.room).touch(start).await;
    assert_eq!(status, 200, "{receipt}");
    let shows_on = |place: &&Place| place.manner == Manner::Healthy && place.shown.lock()[&7] != "on";
    primrack_tests::until("all healthy racks show the change", async || {
        (grid.places.iter().filter(shows_on).count() == 0).then_some(())
    })
    .await;
    println!("one change reached 900 racks in {:.1?}", grid.begun.lock().elapsed());
    assert!(bridge.peak_mib() < MEMORY_MIB, "{} MiB", bridge.peak_mib());
    // Who cannot be reached is shown as silent, and nobody else. A slow one answers at last.
    let control = Control::of(&bridge.room);
    primrack_tests::until("the sick ones are silent", async || {
        let objects = control.get("/objects").await;
        let silent = |object: &serde_json::Value| !object["silent"].is_null();
        let mut right = true;
        for object in objects.as_array().unwrap() {
            let rack: usize = object["object"].as_str().unwrap().trim_start_matches("rack-").parse().unwrap();
            match grid.places[rack].manner {
                Manner::Healthy => assert!(!silent(object), "{object}"),
                Manner::Slow => {}
                _ => right &= silent(object),
            }
        }
        right.then_some(())
    })
    .await;

    // Healed and registered again, the sick ones get everything too: nothing was lost.
    grid.healed.store(true, Relaxed);
    register(&grid, &simulators, &scripts, 3).await;
    grid.complete("after healing", |_| true).await;
    for (rack, place) in grid.places.iter().enumerate() {
        let shown = place.shown.lock();
        let wrong = shown.iter().find(|(unit, state)| **state != if **unit == 7 { "on" } else { "off" });
        assert!(wrong.is_none() && shown.len() == UNITS, "rack {rack}: {wrong:?}");
    }
    assert_eq!(grid.wrong.load(Relaxed), 0, "every push held");
    let nobody = elsewhere.accept().unwrap_err();
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock, "somebody followed a redirect");
    println!(
        "the bridge took at most {} MiB; {} pushes met an old URL in flight",
        bridge.peak_mib(),
        grid.stale.load(Relaxed)
    );
    assert!(bridge.peak_mib() < MEMORY_MIB, "{} MiB", bridge.peak_mib());
    let (room, _) = bridge.kill().await;
    assert_eq!(room.verify().fault, None);
}
