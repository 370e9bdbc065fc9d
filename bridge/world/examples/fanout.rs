//! What delivery costs per push, beside a bare hyper-util client in the same run.
//!
//! ```text
//! cargo run --release -p primrack-world --example fanout [objects] [hosts] [rounds]
//! ```
//!
//! A sink on its own thread (one port per host, keep-alive, the least HTTP that works) answers both
//! sides. Rounds are interleaved: bare client, delivery, bare client, … Each round pushes every
//! object once. The bare client runs 64 loops over a fixed list of requests; delivery is woken for
//! every object and composes, limits, times and settles each. Pacing and linger are off: what is
//! measured is overhead. The last line is the ratio of the medians.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use primrack_world::delivery::{
    Callback, Delivery, DeliverySettings, Guard, GuardSettings, ObjectIx, PaceGroup, Parcel, Parcels,
    PostError, Settled,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// About as long as a push with a few units.
const BODY: &[u8] = &[b'x'; 400];
const IN_FLIGHT: usize = 64;

#[expect(clippy::print_stdout, reason = "an example that prints its result")]
fn main() -> Outcome<()> {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<usize>());
    let objects = args.next().transpose()?.unwrap_or(10_000);
    let hosts = args.next().transpose()?.unwrap_or(100);
    let rounds = args.next().transpose()?.unwrap_or(9);

    let (ports, bound) = std::sync::mpsc::channel();
    std::thread::spawn(move || sink(hosts, &ports));
    let ports = bound.recv()?;

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let urls: Vec<String> =
            (0..objects).map(|n| format!("http://127.0.0.1:{}/cap/{n}", ports[n % ports.len()])).collect();
        let guard = Guard::new(GuardSettings { allow: vec!["127.0.0.1:*".parse()?] });
        let callbacks =
            urls.iter().map(|url| guard.check_url(url).map(Arc::new)).collect::<Result<Vec<_>, _>>()?;
        let register = Arc::new(Register::new(callbacks));
        let settings = DeliverySettings {
            linger_ms: 0,
            min_interval_ms: 0,
            max_interval_ms: 0,
            pace_per_second: 0,
            ..DeliverySettings::default()
        };
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let delivery =
            Delivery::start(Arc::clone(&register) as _, settings, guard, &tasks, stop.child_token());
        for (ix, url) in (0u32..).zip(&register.urls) {
            delivery.resume(ObjectIx(ix), url, [PaceGroup::NONE; 2]);
        }
        register.all_delivered().await;
        let bare = Bare::new(&urls)?;
        bare.round().await?;

        let (mut limit, mut ours) = (Vec::new(), Vec::new());
        for round in 1..=rounds {
            let begin = Instant::now();
            bare.round().await?;
            limit.push(per_second(objects, begin.elapsed()));
            register.mark_all();
            let begin = Instant::now();
            for ix in 0u32..u32::try_from(objects)? {
                delivery.wake(ObjectIx(ix));
            }
            register.all_delivered().await;
            ours.push(per_second(objects, begin.elapsed()));
            println!("round {round}: bare {:.0}/s, delivery {:.0}/s", limit[round - 1], ours[round - 1]);
        }
        let (limit, ours) = (median(limit), median(ours));
        println!(
            "{objects} objects, {hosts} hosts: bare {limit:.0}/s, delivery {ours:.0}/s, ratio {:.2}",
            ours / limit
        );
        println!(
            "per push: {:.2} µs; connections made {}",
            1e6 / ours,
            delivery.status().counters.connections
        );
        stop.cancel();
        tasks.close();
        tasks.wait().await;
        Ok(())
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Every object always has the same body; what counts is who is dirty.
struct Register {
    urls: Vec<Arc<Callback>>,
    dirty: Vec<std::sync::atomic::AtomicBool>,
    left: AtomicUsize,
    parcels: AtomicU64,
    done: Notify,
}

impl Register {
    fn new(urls: Vec<Arc<Callback>>) -> Self {
        let dirty = urls.iter().map(|_| true.into()).collect();
        Self { left: urls.len().into(), urls, dirty, parcels: AtomicU64::new(0), done: Notify::new() }
    }

    fn mark_all(&self) {
        self.left.store(self.urls.len(), Ordering::SeqCst);
        self.dirty.iter().for_each(|dirty| dirty.store(true, Ordering::SeqCst));
    }

    async fn all_delivered(&self) {
        while self.left.load(Ordering::SeqCst) > 0 {
            self.done.notified().await;
        }
    }
}

impl Parcels for Register {
    fn compose(&self, object: ObjectIx) -> Option<Parcel> {
        let ix = object.0 as usize;
        self.dirty[ix].swap(false, Ordering::SeqCst).then(|| Parcel {
            id: self.parcels.fetch_add(1, Ordering::Relaxed),
            url: Arc::clone(&self.urls[ix]),
            body: Bytes::from_static(BODY),
        })
    }

    fn settle(&self, object: ObjectIx, _: u64, answer: Result<Bytes, PostError>) -> Settled {
        if answer.is_ok_and(|body| !body.is_empty()) {
            if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
                self.done.notify_one();
            }
            Settled::Delivered { more: false }
        } else {
            self.dirty[object.0 as usize].store(true, Ordering::SeqCst);
            Settled::Retry { after: None }
        }
    }
}

/// The limit: hyper-util's client and nothing else.
struct Bare {
    client: Client<HttpConnector, Full<Bytes>>,
    uris: Arc<[http::Uri]>,
}

impl Bare {
    fn new(urls: &[String]) -> Outcome<Self> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client, uris: urls.iter().map(|url| url.parse()).collect::<Result<_, _>>()? })
    }

    async fn round(&self) -> Outcome<()> {
        let next = Arc::new(AtomicUsize::new(0));
        let mut loops = tokio::task::JoinSet::new();
        for _ in 0..IN_FLIGHT {
            let (client, uris, next) = (self.client.clone(), Arc::clone(&self.uris), Arc::clone(&next));
            loops.spawn(async move {
                while let Some(uri) = uris.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let request =
                        http::Request::post(uri.clone()).body(Full::new(Bytes::from_static(BODY)))?;
                    client.request(request).await?.into_body().collect().await?;
                }
                Outcome::Ok(())
            });
        }
        while let Some(ended) = loops.join_next().await {
            ended??;
        }
        Ok(())
    }
}

/// Answers every request; runs until the process ends.
#[expect(clippy::expect_used, reason = "without a sink there is nothing to measure")]
fn sink(hosts: usize, ports: &std::sync::mpsc::Sender<Vec<u16>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let mut bound = Vec::new();
        for _ in 0..hosts {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            bound.push(listener.local_addr().expect("bound").port());
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(answer(stream));
                }
            });
        }
        ports.send(bound).expect("main waits");
        std::future::pending::<()>().await;
    });
}

async fn answer(mut stream: TcpStream) {
    stream.set_nodelay(true).ok();
    let mut input = vec![0u8; 4096];
    let mut have = 0;
    while let Ok(read) = stream.read(&mut input[have..]).await {
        if read == 0 {
            return;
        }
        have += read;
        // Both clients send one request at a time, its body last and of known length.
        let Some(head) = input[..have].windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        if have >= head + 4 + BODY.len() {
            have = 0;
            if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nack").await.is_err() {
                return;
            }
        }
    }
}
