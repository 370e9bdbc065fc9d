//! The whole of delivery against hosts that misbehave. Where something must not be held up, the
//! time-outs are set so long that being held up would never end: nothing here measures time.

mod sink;

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use self::sink::{Mode, Sink};
use super::*;

/// Longer than any test may take.
const FOREVER: Duration = Duration::from_secs(3_600);
/// When a test that hangs gives up.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Object {
    url: Option<Arc<Callback>>,
    version: u64,
    dirty: bool,
    out: Option<(u64, u64)>,
    delivered: Vec<u64>,
    errors: Vec<PostError>,
}

/// A registry of counters: an object's state is a number, newest wins.
struct Register {
    objects: Vec<Mutex<Object>>,
    double: AtomicBool,
    changed: Notify,
}

impl Parcels for Register {
    fn compose(&self, object: ObjectIx) -> Option<Parcel> {
        let mut object = self.objects[object.0 as usize].lock();
        if object.out.is_some() {
            self.double.store(true, Ordering::SeqCst);
        }
        if !std::mem::take(&mut object.dirty) {
            return None;
        }
        let id = object.version * 1_000 + object.errors.len() as u64;
        object.out = Some((id, object.version));
        Some(Parcel { id, url: object.url.clone()?, body: Bytes::from(object.version.to_string()) })
    }

    fn settle(&self, object: ObjectIx, parcel_id: u64, answer: Result<Bytes, PostError>) -> Settled {
        let mut object = self.objects[object.0 as usize].lock();
        let (id, version) = object.out.take().expect("settled once");
        assert_eq!(id, parcel_id);
        let settled = match answer {
            Ok(body) if body == "ack" => {
                object.delivered.push(version);
                Settled::Delivered { more: object.dirty }
            }
            Ok(_) => {
                object.dirty = true;
                Settled::Retry { after: None }
            }
            Err(error) => {
                let dead = matches!(error, PostError::Status { status: 404 | 410, .. });
                object.errors.push(error);
                object.dirty = true;
                if dead { Settled::Dead } else { Settled::Retry { after: None } }
            }
        };
        drop(object);
        self.changed.notify_waiters();
        settled
    }
}

struct World {
    register: Arc<Register>,
    delivery: Arc<Delivery>,
    guard: Guard,
    tasks: TaskTracker,
    stop: CancellationToken,
}

fn quick() -> DeliverySettings {
    DeliverySettings {
        linger_ms: 1,
        min_interval_ms: 1,
        max_interval_ms: 1,
        retry_base: Duration::from_millis(20),
        retry_max: Duration::from_millis(100),
        breaker_base: Duration::from_millis(20),
        breaker_max: Duration::from_millis(100),
        pace_per_second: 0,
        ..DeliverySettings::default()
    }
}

impl World {
    fn new(objects: usize, settings: DeliverySettings) -> Self {
        Self::with(objects, settings, &["127.0.0.0/8:*"], Box::new(SystemResolver))
    }

    fn with(objects: usize, settings: DeliverySettings, rules: &[&str], resolver: Box<dyn Resolve>) -> Self {
        let allow = rules.iter().map(|rule| rule.parse().expect("rule")).collect();
        let guard = Guard::new(GuardSettings { allow });
        let objects = (0..objects).map(|_| Mutex::default()).collect();
        let register = Arc::new(Register { objects, double: AtomicBool::new(false), changed: Notify::new() });
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let delivery = Delivery::start_with(
            Arc::clone(&register) as _,
            settings,
            guard.clone(),
            resolver,
            &tasks,
            stop.clone(),
        );
        Self { register, delivery, guard, tasks, stop }
    }

    /// Gives the object a URL; its first state is due at once.
    fn register(&self, ix: u32, url: &str) {
        let url = Arc::new(self.guard.check_url(url).expect("allowed"));
        {
            let mut object = self.register.objects[ix as usize].lock();
            object.url = Some(Arc::clone(&url));
            object.version += 1;
            object.dirty = true;
        }
        self.delivery.resume(ObjectIx(ix), &url, [PaceGroup::NONE; 2]);
    }

    fn change(&self, ix: u32) -> u64 {
        let version = {
            let mut object = self.register.objects[ix as usize].lock();
            object.version += 1;
            object.dirty = true;
            object.version
        };
        self.delivery.wake(ObjectIx(ix));
        version
    }

    fn delivered(&self, ix: u32) -> Vec<u64> {
        self.register.objects[ix as usize].lock().delivered.clone()
    }

    fn errors(&self, ix: u32) -> Vec<PostError> {
        self.register.objects[ix as usize].lock().errors.clone()
    }

    async fn until(&self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        wait_for(&self.register.changed, what, || condition(self)).await;
    }

    async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        tokio::time::timeout(PATIENCE, self.tasks.wait()).await.expect("stop drains");
        assert!(!self.register.double.load(Ordering::SeqCst), "two posts of one object in flight");
    }
}

async fn wait_for(changed: &Notify, what: &str, mut condition: impl FnMut() -> bool) {
    let waiting = async {
        loop {
            // Listening first: a change between the look and the wait is not missed.
            let notified = changed.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if condition() {
                return;
            }
            // Some conditions (a status, a breaker) change without a parcel being settled.
            tokio::time::timeout(Duration::from_millis(20), notified).await.ok();
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never came: {what}"));
}

#[tokio::test]
async fn changes_coalesce_arrive_in_order_and_one_at_a_time() {
    let sink = Sink::start().await;
    let world = World::new(20, quick());
    for ix in 0..20 {
        world.register(ix, &sink.url(&format!("/{ix}")));
    }
    let mut last = 0;
    for _ in 0..200 {
        last = (0..20).map(|ix| world.change(ix)).max().expect("some");
        tokio::task::yield_now().await;
    }
    world
        .until("the newest state everywhere", |w| (0..20).all(|ix| w.delivered(ix).last() == Some(&last)))
        .await;
    for ix in 0..20 {
        let bodies: Vec<u64> =
            sink.bodies(&format!("/{ix}")).iter().map(|body| body.parse().expect("number")).collect();
        assert!(bodies.is_sorted_by(|a, b| a < b), "{bodies:?}");
        assert!(bodies.len() < 100, "coalesced: {}", bodies.len());
    }
    assert_eq!(sink.record.overlapping.load(Ordering::SeqCst), 0);
    world.end().await;
}

#[tokio::test]
async fn pushes_carry_their_length_and_share_a_connection() {
    let sink = Sink::start().await;
    let world = World::new(1, quick());
    sink.set("/lslhttp/x/?a=b", Mode::Chunked);
    world.register(0, &sink.url("/lslhttp/x/?a=b"));
    for n in 1..=30 {
        world.until("a push", |w| w.delivered(0).len() == n).await;
        world.change(0);
    }
    world.until("the last push", |w| w.delivered(0).len() == 31).await;
    for seen in sink.record.seen.lock().iter() {
        let head = seen.head.to_ascii_lowercase();
        assert!(head.starts_with("post /lslhttp/x/?a=b http/1.1\r\n"), "{head}");
        assert!(head.contains(&format!("content-length: {}\r\n", seen.body.len())), "{head}");
        assert!(head.contains(&format!("host: {}\r\n", sink.address)), "{head}");
        assert!(!head.contains("transfer-encoding"), "{head}");
    }
    assert_eq!(sink.record.connections.load(Ordering::SeqCst), 1);
    world.end().await;
}

#[tokio::test]
async fn a_connection_closed_between_posts_costs_no_retry() {
    let sink = Sink::start().await;
    let world = World::new(1, quick());
    sink.set("/x", Mode::Closing);
    world.register(0, &sink.url("/x"));
    for n in 1..=20 {
        world.until("a push", |w| w.delivered(0).len() == n).await;
        world.change(0);
    }
    world.until("the last push", |w| w.delivered(0).len() == 21).await;
    assert!(world.errors(0).iter().all(|error| matches!(error, PostError::StaleConnection)));
    assert_eq!(world.delivery.status().counters.retries, 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn healthy_objects_are_served_beside_one_percent_of_every_bad_kind_on_one_host() {
    // Silence lasts forever here: whoever waits for it never gets done.
    let settings = DeliverySettings { total_timeout: FOREVER, connect_timeout: FOREVER, ..quick() };
    let sink = Sink::start().await;
    let world = World::new(300, settings);
    let bad = [
        Mode::BlackHole,
        Mode::Drip,
        Mode::Endless,
        Mode::Announced,
        Mode::HugeHeaders,
        Mode::Redirect,
        Mode::Reset,
        Mode::Garbage,
        Mode::Empty,
        Mode::Status(404),
        Mode::Status(410),
        Mode::Status(500),
        Mode::Busy,
    ];
    // Three black holes and three dripping ones, of eight places.
    let mode = |ix: u32| bad.get(ix as usize % 100).copied().unwrap_or(Mode::Ok);
    for ix in 0..300 {
        let path = format!("/{ix}");
        sink.set(&path, mode(ix));
        world.register(ix, &sink.url(&path));
    }
    let healthy: Vec<u32> = (0..300).filter(|ix| mode(*ix) == Mode::Ok).collect();
    for round in 1..=3 {
        world
            .until("every healthy object", |w| healthy.iter().all(|ix| w.delivered(*ix).len() >= round))
            .await;
        healthy.iter().for_each(|ix| {
            world.change(*ix);
        });
    }
    assert!(sink.bodies("/trap").is_empty(), "redirects are not followed");
    for (ix, bad) in (0..).zip(bad) {
        assert!(world.delivered(ix).is_empty(), "{bad:?}");
    }
    for ix in [9, 10] {
        world.until("a dead URL", |w| !w.errors(ix).is_empty()).await;
        world.change(ix);
    }
    world.until("dead ones counted", |w| w.delivery.status().gauges.dead == 6).await;
    assert_eq!(sink.bodies("/9").len(), 1, "a dead URL is left alone");
    let most = sink.record.most_open.load(Ordering::SeqCst);
    assert!(most <= 8 + 6 + 2, "{most} connections at once");
    // The six silent ones would go on forever: they are given up when their objects are forgotten.
    (0..300).for_each(|ix| world.delivery.forget(ObjectIx(ix)));
    world.end().await;
}

#[tokio::test]
async fn oversized_and_broken_answers_are_cut_off_and_named() {
    let sink = Sink::start().await;
    let world = World::new(6, DeliverySettings { total_timeout: FOREVER, ..quick() });
    let modes =
        [Mode::Endless, Mode::Announced, Mode::HugeHeaders, Mode::Garbage, Mode::Reset, Mode::Redirect];
    for (ix, mode) in (0..).zip(modes) {
        sink.set(&format!("/{ix}"), mode);
        world.register(ix, &sink.url(&format!("/{ix}")));
    }
    world.until("all failed", |w| (0..6).all(|ix| !w.errors(ix).is_empty())).await;
    let first = |ix| world.errors(ix)[0].clone();
    for ix in 0..3 {
        assert!(matches!(first(ix), PostError::TooLarge), "{ix}: {:?}", first(ix));
    }
    assert!(matches!(first(3), PostError::Garbled), "{:?}", first(3));
    assert!(matches!(first(4), PostError::Broken), "{:?}", first(4));
    assert!(matches!(first(5), PostError::Status { status: 302, .. }), "{:?}", first(5));
    let posts = sink.bodies("/0").len();
    let taken = sink.record.endless_bytes.load(Ordering::SeqCst);
    // What the kernel's socket buffers swallow on loopback, and no more.
    assert!(taken <= posts * 8 * 1024 * 1024, "{taken} bytes in {posts} posts");
    (0..6).for_each(|ix| world.delivery.forget(ObjectIx(ix)));
    world.end().await;
}

#[tokio::test]
async fn silence_ends_at_the_time_out_and_the_newest_state_arrives_after_it() {
    let sink = Sink::start().await;
    let world = World::new(1, DeliverySettings { total_timeout: Duration::from_millis(150), ..quick() });
    sink.set("/x", Mode::BlackHole);
    world.register(0, &sink.url("/x"));
    world.until("a time-out", |w| !w.errors(0).is_empty()).await;
    assert!(matches!(world.errors(0)[0], PostError::AnswerTimeout));
    for _ in 0..50 {
        world.change(0);
    }
    sink.set("/x", Mode::Ok);
    let newest = world.change(0);
    world.until("the newest state", |w| w.delivered(0).last() == Some(&newest)).await;
    assert_eq!(world.delivered(0), [newest], "and none before it");
    world.end().await;
}

#[tokio::test]
async fn a_busy_host_is_told_on_with_its_retry_after_and_left_alone_meanwhile() {
    let sink = Sink::start().await;
    let world = World::new(2, quick());
    sink.set("/x", Mode::Busy);
    world.register(0, &sink.url("/x"));
    world.until("the refusal", |w| !w.errors(0).is_empty()).await;
    let retry_after = match world.errors(0)[0] {
        PostError::Status { status: 503, retry_after } => retry_after,
        ref other => panic!("{other:?}"),
    };
    assert_eq!(retry_after, Some(Duration::from_secs(120)));
    // Neighbours are served; the busy one is not asked again although its state changes.
    world.register(1, &sink.url("/y"));
    for n in 1..=20 {
        world.change(0);
        world.until("the neighbour", |w| w.delivered(1).len() >= n).await;
        world.change(1);
    }
    assert_eq!(sink.bodies("/x").len(), 1);
    world.end().await;
}

#[tokio::test]
async fn the_breaker_opens_for_a_broken_host_and_closes_when_it_answers() {
    let sink = Sink::start().await;
    let world = World::new(20, quick());
    for ix in 0..20 {
        sink.set(&format!("/{ix}"), Mode::Reset);
        world.register(ix, &sink.url(&format!("/{ix}")));
    }
    world.until("the breaker opens", |w| w.delivery.status().counters.breakers_opened > 0).await;
    (0..20).for_each(|ix| sink.set(&format!("/{ix}"), Mode::Ok));
    world.until("all arrive", |w| (0..20).all(|ix| !w.delivered(ix).is_empty())).await;
    let status = world.delivery.status();
    assert!(status.counters.breakers_closed > 0 && status.gauges.open_breakers.is_empty(), "{status:?}");
    world.end().await;
}

#[tokio::test]
async fn a_new_registration_does_not_wait_for_the_old_url() {
    let (old, new) = (Sink::start().await, Sink::start().await);
    let world = World::new(1, DeliverySettings { total_timeout: FOREVER, ..quick() });
    old.set("/x", Mode::BlackHole);
    world.register(0, &old.url("/x"));
    wait_for(&old.record.changed, "the old URL is asked", || !old.bodies("/x").is_empty()).await;
    world.register(0, &new.url("/x"));
    world.until("the new URL", |w| !w.delivered(0).is_empty()).await;
    assert!(matches!(world.errors(0)[..], [PostError::Superseded]));
    assert_eq!(old.bodies("/x").len(), 1);
    world.end().await;
}

#[tokio::test]
async fn stopping_lets_posts_in_flight_end_and_starts_no_more() {
    let sink = Sink::start().await;
    let world = World::new(10, DeliverySettings { total_timeout: FOREVER, ..quick() });
    for ix in 0..10 {
        sink.set(&format!("/{ix}"), Mode::Held);
        world.register(ix, &sink.url(&format!("/{ix}")));
    }
    let asked = || sink.record.seen.lock().len();
    wait_for(&sink.record.changed, "posts in flight", || asked() >= 2).await;
    world.stop.cancel();
    (0..10).for_each(|ix| {
        world.change(ix);
    });
    world.tasks.close();
    let register = Arc::clone(&world.register);
    let mut waiting = std::pin::pin!(world.end());
    loop {
        sink.release();
        if tokio::time::timeout(Duration::from_millis(20), waiting.as_mut()).await.is_ok() {
            break;
        }
    }
    let settled: usize = register.objects.iter().map(|object| object.lock().delivered.len()).sum();
    assert_eq!(settled, asked(), "each post that went out was settled");
    assert!(register.objects.iter().all(|object| object.lock().out.is_none()));
}

/// Answers with what it is told, and counts.
struct Fixed(Vec<std::net::IpAddr>, Arc<std::sync::atomic::AtomicUsize>);

impl Resolve for Fixed {
    fn resolve(&self, _: &str) -> Resolving {
        self.1.fetch_add(1, Ordering::SeqCst);
        let found = self.0.clone();
        Box::pin(async move { Ok(found) })
    }
}

#[tokio::test]
async fn a_name_that_leads_anywhere_forbidden_is_never_connected_to() {
    let sink = Sink::start().await;
    let port = sink.address.port();
    let here = sink.address.ip();
    for (found, rules) in [
        // Loopback without a rule for it.
        (vec![here], vec![format!("grid.example.org:{port}")]),
        // One allowed address beside a forbidden one.
        (
            vec![here, "10.0.0.1".parse().unwrap()],
            vec![format!("grid.example.org:{port}"), format!("127.0.0.1:{port}")],
        ),
        (vec!["::ffff:127.0.0.1".parse().unwrap()], vec![format!("grid.example.org:{port}")]),
    ] {
        let asked = Arc::default();
        let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
        let world = World::with(1, quick(), &rules, Box::new(Fixed(found, Arc::clone(&asked))));
        world.register(0, &format!("http://grid.example.org:{port}/x"));
        world.until("refused", |w| w.errors(0).len() >= 2).await;
        assert!(matches!(world.errors(0)[0], PostError::Refused(GuardRefusal::Special { .. })));
        assert!(asked.load(Ordering::SeqCst) > 0);
        world.end().await;
    }
    assert_eq!(sink.record.connections.load(Ordering::SeqCst), 0);
    // With every address named it works, so the refusals above were not for another reason.
    let rules = [format!("grid.example.org:{port}"), format!("127.0.0.1:{port}")];
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    let world = World::with(1, quick(), &rules, Box::new(Fixed(vec![here], Arc::default())));
    world.register(0, &format!("http://grid.example.org:{port}/x"));
    world.until("allowed", |w| !w.delivered(0).is_empty()).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_objects_need_no_more_connections_than_the_limits_allow() {
    let sinks = [Sink::start().await, Sink::start().await, Sink::start().await];
    let world = World::new(10_000, DeliverySettings { idle_total: 4, ..quick() });
    for ix in 0..10_000 {
        let sink = &sinks[ix as usize % 3];
        world.register(ix, &sink.url(&format!("/{ix}")));
    }
    world.until("all", |w| (0..10_000).all(|ix| !w.delivered(ix).is_empty())).await;
    for sink in &sinks {
        let most = sink.record.most_open.load(Ordering::SeqCst);
        assert!(most <= 8 + 6 + 2, "{most} connections at once");
    }
    assert!(world.delivery.status().gauges.idle_connections <= 4);
    world.end().await;
}
