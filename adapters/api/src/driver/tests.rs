//! The driver against an adapter that misbehaves on demand, on a clock that jumps.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use primrack_model::{Action, IntentId, Observation, Power};
use tokio::sync::mpsc;

use super::*;
use crate::{Found, Hint, Hints};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Mood {
    Well,
    Hangs,
    Panics,
    Gone,
}

#[derive(Debug)]
struct Fake {
    moods: Mutex<HashMap<Address, Mood>>,
    state: Mutex<Power>,
    list_mood: Mutex<Mood>,
    listener: Mutex<Option<Hints>>,
    hang_up: Notify,
    looks: AtomicUsize,
    lists: AtomicUsize,
    pushes: bool,
    look_takes: Duration,
}

impl Fake {
    fn new(pushes: bool) -> Self {
        Self {
            moods: Mutex::default(),
            state: Mutex::new(Power::Off),
            list_mood: Mutex::new(Mood::Well),
            listener: Mutex::default(),
            hang_up: Notify::new(),
            looks: AtomicUsize::new(0),
            lists: AtomicUsize::new(0),
            pushes,
            look_takes: Duration::ZERO,
        }
    }
    async fn act(&self, mood: Mood) -> Result<(), AdapterError> {
        match mood {
            Mood::Well => Ok(()),
            Mood::Hangs => std::future::pending().await,
            Mood::Panics => panic!("as told"),
            Mood::Gone => Err(AdapterError::Unreachable("gone".into())),
        }
    }
    fn mood(&self, address: &Address) -> Mood {
        self.moods.lock().get(address).copied().unwrap_or(Mood::Well)
    }
    async fn say(&self, hint: Hint) {
        let listener = self.listener.lock().clone().unwrap();
        listener.send(hint).await.unwrap();
    }
}

#[async_trait::async_trait]
impl Adapter for Fake {
    fn technology(&self) -> &'static str {
        "fake"
    }
    fn capabilities(&self, _: &Address) -> Capabilities {
        Capabilities { actions: &[Action::Start], pushes_events: self.pushes, simulated: true }
    }
    async fn list(&self) -> Result<Vec<Found>, AdapterError> {
        self.lists.fetch_add(1, Ordering::Relaxed);
        let mood = *self.list_mood.lock();
        self.act(mood).await?;
        Ok(vec![Found { label: "A".into(), ..Found::of(address("a")) }])
    }
    async fn observe(&self, address: &Address) -> Result<Observation, AdapterError> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        let power = *self.state.lock();
        tokio::time::sleep(self.look_takes).await;
        self.act(self.mood(address)).await?;
        Ok(Observation::of(power))
    }
    async fn execute(&self, command: &Command) -> Result<(), AdapterError> {
        self.act(self.mood(&command.address)).await
    }
    async fn listen(&self, hints: Hints) -> AdapterError {
        *self.listener.lock() = Some(hints);
        self.hang_up.notified().await;
        AdapterError::Unreachable("hung up".into())
    }
}

#[derive(Debug, PartialEq)]
enum News {
    Seen(Address, Power),
    Silent(Option<Address>),
    Found(usize),
}

struct Ear(mpsc::UnboundedSender<News>);

impl Sink for Ear {
    fn observed(&self, _: &BackendId, address: &Address, seen: Observation) {
        self.0.send(News::Seen(address.clone(), seen.power)).unwrap();
    }
    fn silent(&self, _: &BackendId, address: Option<&Address>, _: &str) {
        self.0.send(News::Silent(address.cloned())).unwrap();
    }
    fn found(&self, _: &BackendId, found: &[Found]) {
        self.0.send(News::Found(found.len())).unwrap();
    }
}

struct Bench {
    fake: Arc<Fake>,
    driver: Arc<Driver>,
    news: mpsc::UnboundedReceiver<News>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

fn address(name: &str) -> Address {
    Address(name.into())
}

fn bench(fake: Fake, watched: &[&str]) -> Bench {
    let fake = Arc::new(fake);
    let (sender, news) = mpsc::unbounded_channel();
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let driver = Driver::start(
        BackendId::new("b").unwrap(),
        Arc::clone(&fake) as Arc<dyn Adapter>,
        DriverSettings { concurrency: 2, ..DriverSettings::default() },
        watched.iter().map(|name| address(name)).collect(),
        Arc::new(Ear(sender)),
        &tasks,
        stop.clone(),
    );
    Bench { fake, driver, news, tasks, stop }
}

impl Bench {
    async fn next(&mut self) -> News {
        tokio::time::timeout(Duration::from_secs(1000), self.news.recv()).await.expect("news").unwrap()
    }
    async fn settled(&mut self) {
        assert_eq!(self.next().await, News::Found(1));
        assert_eq!(self.next().await, News::Seen(address("a"), Power::Off));
    }
    async fn finish(self) {
        self.stop.cancel();
        self.tasks.close();
        tokio::time::timeout(Duration::from_secs(1), self.tasks.wait()).await.expect("ends when told");
    }
}

fn command(address: Address, deadline_ms: u64) -> Command {
    Command { intent: IntentId::now(), address, action: Action::Start, deadline_ms }
}

#[tokio::test(start_paused = true)]
async fn lists_looks_and_polls() {
    let mut bench = bench(Fake::new(false), &["a"]);
    bench.settled().await;
    let began = Instant::now();
    assert_eq!(bench.next().await, News::Seen(address("a"), Power::Off));
    let pause = began.elapsed();
    assert!(pause >= Duration::from_secs(9) && pause <= Duration::from_secs(10), "{pause:?}");
    assert!(bench.driver.status().connected);
    bench.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_hints_is_one_look_after_a_moment() {
    let mut bench = bench(Fake::new(true), &["a"]);
    bench.settled().await;
    *bench.fake.state.lock() = Power::On;
    let looks = bench.fake.looks.load(Ordering::Relaxed);
    let began = Instant::now();
    for _ in 0..50 {
        bench.fake.say(Hint::Changed(address("a"))).await;
    }
    assert_eq!(bench.next().await, News::Seen(address("a"), Power::On));
    assert!(began.elapsed() >= Duration::from_millis(200) && began.elapsed() < Duration::from_millis(250));
    assert_eq!(bench.fake.looks.load(Ordering::Relaxed), looks + 1);
    bench.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_state_is_told_at_once_and_overtakes_an_older_look() {
    let mut bench = bench(Fake { look_takes: Duration::from_millis(500), ..Fake::new(true) }, &["a"]);
    bench.settled().await;
    let began = Instant::now();
    bench.driver.look(&address("a"));
    tokio::time::sleep(Duration::from_millis(100)).await;
    *bench.fake.state.lock() = Power::On;
    bench.fake.say(Hint::State(address("a"), Observation::of(Power::On))).await;
    assert_eq!(bench.next().await, News::Seen(address("a"), Power::On));
    assert!(began.elapsed() < Duration::from_millis(120));
    // The look that began while it was still off must not turn it off again.
    assert_eq!(bench.next().await, News::Seen(address("a"), Power::On));
    bench.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_hangs_delays_only_itself() {
    let fake = Fake::new(false);
    fake.moods.lock().insert(address("hung"), Mood::Hangs);
    let mut bench = bench(fake, &["hung", "a"]);
    bench.settled().await;
    assert_eq!(bench.next().await, News::Seen(address("a"), Power::Off), "polled meanwhile");
    assert_eq!(bench.next().await, News::Silent(Some(address("hung"))));
    for _ in 0..20 {
        assert_eq!(bench.next().await, News::Seen(address("a"), Power::Off), "and silence is told once");
    }
    bench.fake.moods.lock().clear();
    loop {
        if bench.next().await == News::Seen(address("hung"), Power::Off) {
            break;
        }
    }
    bench.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_stream_makes_all_stale_once_and_lists_again() {
    let mut bench = bench(Fake::new(true), &["a"]);
    bench.settled().await;
    *bench.fake.list_mood.lock() = Mood::Gone;
    bench.fake.hang_up.notify_one();
    assert_eq!(bench.next().await, News::Silent(None));
    assert!(!bench.driver.status().connected);
    let lists = bench.fake.lists.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(bench.news.try_recv().is_err(), "told once, not at each attempt");
    let tries = bench.fake.lists.load(Ordering::Relaxed) - lists;
    assert!((8..30).contains(&tries), "growing pauses, not {tries} attempts in ten minutes");
    *bench.fake.list_mood.lock() = Mood::Well;
    bench.settled().await;
    assert!(bench.driver.status().connected);
    bench.finish().await;
}

#[tokio::test(start_paused = true)]
async fn panics_are_contained() {
    let fake = Fake::new(false);
    fake.moods.lock().insert(address("a"), Mood::Panics);
    let mut bench = bench(fake, &["a"]);
    assert_eq!(bench.next().await, News::Found(1));
    assert_eq!(bench.next().await, News::Silent(Some(address("a"))));
    assert!(matches!(
        bench.driver.execute(&command(address("a"), 1000)).await,
        Err(AdapterError::Unreachable(_))
    ));
    bench.fake.moods.lock().clear();
    assert_eq!(bench.next().await, News::Seen(address("a"), Power::Off));
    assert!(bench.driver.status().counts.panics >= 2);
    bench.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_command_is_bounded_by_its_deadline_and_followed_by_a_look() {
    let mut bench = bench(Fake::new(false), &["a"]);
    bench.settled().await;
    bench.fake.moods.lock().insert(address("a"), Mood::Hangs);
    let began = Instant::now();
    let result = bench.driver.execute(&command(address("a"), 1500)).await;
    assert_eq!(result, Err(AdapterError::TimedOut(1500)));
    assert_eq!(began.elapsed(), Duration::from_millis(1500));
    bench.fake.moods.lock().clear();
    bench.driver.execute(&command(address("a"), 5000)).await.unwrap();
    let began = Instant::now();
    for _ in 0..3 {
        assert_eq!(bench.next().await, News::Seen(address("a"), Power::Off));
    }
    assert!(began.elapsed() < Duration::from_millis(2300), "followed closely while under way");
    bench.finish().await;
}

#[tokio::test(start_paused = true)]
async fn hints_about_strangers_are_dropped() {
    let mut bench = bench(Fake::new(true), &["a"]);
    bench.settled().await;
    bench.fake.say(Hint::State(address("stranger"), Observation::of(Power::On))).await;
    bench.fake.say(Hint::State(address("a"), Observation::of(Power::Paused))).await;
    assert_eq!(bench.next().await, News::Seen(address("a"), Power::Paused));
    assert_eq!(bench.driver.status().counts.foreign_hints, 1);
    bench.finish().await;
}
