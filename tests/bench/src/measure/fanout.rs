//! One change for everybody: how fast it reaches all objects, and who cannot hold it up.

use std::time::{Duration, Instant};

use super::Scale;
use super::overload::mib;
use super::touch::{CONNECTIONS, bridge, scratch};
use crate::child::Server;
use crate::load::{Sink, closed, connect, greet, register};
use crate::report::{Good, Row, median};
use crate::words::{BridgeSpec, FanSpec, HOSTS, Registered, Spec};

const PATIENCE: Duration = Duration::from_secs(120);

/// A bridge with its sink, every object told its first state.
struct Fan {
    server: Server,
    sink: Sink,
    objects: usize,
    on: bool,
    _folder: tempfile::TempDir,
}

impl Fan {
    async fn start(objects: usize) -> anyhow::Result<Self> {
        let folder = scratch()?;
        let sink = Sink::start(objects).await?;
        let server = Server::start(&Spec::Bridge(bridge(&folder, objects, sink.port))).await?;
        sink.want("off");
        anyhow::ensure!(sink.until_showing(objects, PATIENCE).await, "objects were not told");
        sink.settle(Duration::from_millis(300)).await;
        Ok(Self { server, sink, objects, on: false, _folder: folder })
    }
    /// All machines change; how long until all objects show it, and the CPU of one push in microseconds.
    async fn flip(&mut self) -> anyhow::Result<(Duration, f64)> {
        // Beyond the pause that follows a push, which spares scripts and would be measured instead.
        tokio::time::sleep(Duration::from_millis(2600)).await;
        self.on = !self.on;
        let state = if self.on { "on" } else { "off" };
        self.sink.want(state);
        let (before, pushes) = (self.server.usage()?.cpu, self.sink.pushes());
        let begun = Instant::now();
        self.server.ask(&format!("flip {state}")).await?;
        anyhow::ensure!(self.sink.until_showing(self.objects, PATIENCE).await, "not all objects were told");
        let took = begun.elapsed();
        let cpu = self.server.usage()?.cpu.saturating_sub(before).as_secs_f64() * 1e6;
        Ok((took, cpu / (self.sink.pushes() - pushes).max(1) as f64))
    }
}

/// Bare hyper with its sink.
struct Bare {
    server: Server,
    sink: Sink,
    objects: usize,
    on: bool,
}

impl Bare {
    async fn start(objects: usize) -> anyhow::Result<Self> {
        let sink = Sink::start(objects).await?;
        let server = Server::start(&Spec::Fan(FanSpec { objects, sink: sink.port })).await?;
        let mut bare = Self { server, sink, objects, on: false };
        bare.flip().await?;
        Ok(bare)
    }
    async fn flip(&mut self) -> anyhow::Result<Duration> {
        self.on = !self.on;
        let state = if self.on { "on" } else { "off" };
        self.server.ask(&format!("prepare {state}")).await?;
        self.sink.want(state);
        let begun = Instant::now();
        self.server.ask("post").await?;
        anyhow::ensure!(
            self.sink.until_showing(self.objects, PATIENCE).await,
            "not all objects were posted to"
        );
        Ok(begun.elapsed())
    }
}

pub(super) async fn ten_thousand(scale: Scale) -> anyhow::Result<Vec<Row>> {
    let mut ours = Fan::start(10_000).await?;
    let mut bare = Bare::start(10_000).await?;
    let (mut us, mut them, mut ratios, mut cpu) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..scale.rounds() {
        let theirs = bare.flip().await?.as_secs_f64();
        let (took, one) = ours.flip().await?;
        us.push(took.as_secs_f64());
        them.push(theirs);
        ratios.push(theirs / took.as_secs_f64());
        cpu.push(one);
    }
    right(&ours.sink)?;
    let row = Row::new("fanout-10k", median(&ratios), Good::High, 0.35, 0.60)
        .of(format!("{:.0} ms", median(&us) * 1e3), format!("{:.0} ms bare hyper", median(&them) * 1e3))
        .with(format!("{:.0} us of CPU a push, the change of the machine included", median(&cpu)));
    ours.server.stop().await?;
    bare.server.stop().await?;
    Ok(vec![row])
}

pub(super) async fn hundred_thousand(scale: Scale) -> anyhow::Result<Vec<Row>> {
    let mut small = Fan::start(10_000).await?;
    let mut large = Fan::start(100_000).await?;
    let mut bare = Bare::start(100_000).await?;
    let (mut ratios, mut growth, mut times) = (Vec::new(), Vec::new(), (Vec::new(), Vec::new(), Vec::new()));
    for _ in 0..scale.rounds().min(3) {
        let theirs = bare.flip().await?.as_secs_f64();
        let (ten, _) = small.flip().await?;
        let (hundred, _) = large.flip().await?;
        ratios.push(theirs / hundred.as_secs_f64());
        growth.push(hundred.as_secs_f64() / ten.as_secs_f64() / 10.0);
        times.0.push(hundred.as_secs_f64());
        times.1.push(theirs);
        times.2.push(ten.as_secs_f64());
    }
    right(&large.sink)?;
    let rows = vec![
        Row::new("fanout-100k", median(&ratios), Good::High, 0.35, 0.60).of(
            format!("{:.0} ms", median(&times.0) * 1e3),
            format!("{:.0} ms bare hyper", median(&times.1) * 1e3),
        ),
        Row::new("fanout-100k a push", median(&growth), Good::Low, 1.3, 1.1).of(
            format!("{:.1} us", median(&times.0) * 10.0),
            format!("{:.1} us of 10k", median(&times.2) * 100.0),
        ),
    ];
    small.server.stop().await?;
    large.server.stop().await?;
    bare.server.stop().await?;
    Ok(rows)
}

/// What was verified must have held.
fn right(sink: &Sink) -> anyhow::Result<()> {
    let (checked, wrong) = sink.checked();
    anyhow::ensure!(checked > 0 && wrong == 0, "{wrong} of {checked} pushes looked at were not right");
    Ok(())
}

pub(super) async fn dead(scale: Scale) -> anyhow::Result<Vec<Row>> {
    const OBJECTS: usize = 10_000;
    let mut clean = Fan::start(OBJECTS).await?;
    let folder = scratch()?;
    let sink = Sink::start(OBJECTS).await?;
    let manners = [(17, "b"), (43, "d"), (71, "h")].map(|(n, manner)| (n, manner.to_owned())).to_vec();
    let healthy = |object: usize| ![17, 43, 71].contains(&(object / 100 % 100));
    let spec = BridgeSpec { manners, ..bridge(&folder, OBJECTS, sink.port) };
    let mut server = Server::start(&Spec::Bridge(spec)).await?;
    let all = OBJECTS - 3 * OBJECTS / 100;
    sink.want("off");
    anyhow::ensure!(sink.until_showing(all, PATIENCE).await, "the healthy were not told at first");
    let (mut ratios, mut us, mut them, mut on) = (Vec::new(), Vec::new(), Vec::new(), false);
    let calm = clean.server.usage()?.rss;
    for _ in 0..scale.rounds() {
        let (reference, _) = clean.flip().await?;
        tokio::time::sleep(Duration::from_millis(2600)).await;
        on = !on;
        let state = if on { "on" } else { "off" };
        sink.want(state);
        let begun = Instant::now();
        server.ask(&format!("flip {state}")).await?;
        anyhow::ensure!(sink.until_showing(all, PATIENCE).await, "not all healthy objects were told");
        let took = begun.elapsed();
        anyhow::ensure!(sink.showing_of(healthy) == all, "one that never answers cannot show anything");
        ratios.push(took.as_secs_f64() / reference.as_secs_f64());
        us.push(took.as_secs_f64());
        them.push(reference.as_secs_f64());
    }
    right(&sink)?;
    let extra = server.usage()?.peak.saturating_sub(calm);
    let rows = vec![
        Row::new("fanout-dead-1% healthy", median(&ratios), Good::Low, 2.0, 1.2)
            .of(format!("{:.0} ms", median(&us) * 1e3), format!("{:.0} ms all well", median(&them) * 1e3))
            .with(format!("1 % black holes, 1 % dripping, 1 % endless among {OBJECTS} objects, one of each on each of {HOSTS} hosts")),
        Row::new("fanout-dead-1% rss MiB", extra as f64 / f64::from(1 << 20), Good::Low, 128.0, 32.0)
            .of(mib(extra), format!("above {}", mib(calm))),
    ];
    server.stop().await?;
    clean.server.stop().await?;
    Ok(rows)
}

pub(super) async fn storm(scale: Scale) -> anyhow::Result<Vec<Row>> {
    const OBJECTS: usize = 10_000;
    let (mut times, mut answered, mut lost) = (Vec::new(), Vec::new(), 0);
    for _ in 0..scale.rounds() {
        let folder = scratch()?;
        let sink = Sink::start(OBJECTS).await?;
        let spec = BridgeSpec { registered: Registered::None, ..bridge(&folder, OBJECTS, sink.port) };
        let server = Server::start(&Spec::Bridge(spec)).await?;
        let nonce = greet(server.port, 0).await?;
        let count = OBJECTS.div_ceil(CONNECTIONS);
        let range = |n: usize| n * count..((n + 1) * count).min(OBJECTS);
        let scripts = (0..CONNECTIONS).map(|n| register(range(n), nonce, 2, sink.port)).collect();
        let mut clients = connect(server.port, scripts).await?;
        sink.want("off");
        let begun = Instant::now();
        let mut registered = 0;
        // The last connection has fewer objects: it must not register its last one again.
        let (last, first) = clients.split_last_mut().ok_or_else(|| anyhow::anyhow!("no connections"))?;
        let (many, few) = tokio::join!(
            closed(first, PATIENCE, count),
            closed(std::slice::from_mut(last), PATIENCE, range(CONNECTIONS - 1).len())
        );
        for window in [many?, few?] {
            registered += window.accepted;
            lost += window.other + window.shed;
        }
        answered.push(begun.elapsed().as_secs_f64());
        anyhow::ensure!(registered == OBJECTS as u64, "{registered} of {OBJECTS} were registered");
        let told = sink.until_showing(OBJECTS, Duration::from_secs(30)).await;
        times.push(begun.elapsed().as_secs_f64());
        lost += if told { 0 } else { (OBJECTS - sink.showing()) as u64 };
        right(&sink)?;
        server.stop().await?;
    }
    Ok(vec![
        Row::new("rereg-storm s", median(&times), Good::Low, 2.0, 0.6)
            .of(format!("{:.2} s", median(&times)), "")
            .with(format!(
                "{OBJECTS} objects register, durably, and are told their state; answered after {:.2} s",
                median(&answered)
            )),
        Row::new("rereg-storm lost", lost as f64, Good::Low, 0.0, 0.0).of(lost.to_string(), ""),
    ])
}

pub(super) async fn flap(scale: Scale) -> anyhow::Result<Vec<Row>> {
    const OBJECTS: usize = 1_000;
    const PER_S: u64 = 100;
    let seconds = if scale.quick { 3 } else { 8 };
    let mut fan = Fan::start(OBJECTS).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = fan.sink.per_object();
    fan.sink.want("on");
    let flips: u64 = fan.server.count(&format!("flap {} {seconds}", PER_S * OBJECTS as u64)).await?;
    let ended = Instant::now();
    let right_in_time = fan.sink.until_showing(OBJECTS, Duration::from_secs(10)).await;
    let late = ended.elapsed();
    anyhow::ensure!(right_in_time, "{} of {OBJECTS} objects show the last state", fan.sink.showing());
    let pushes: Vec<f64> =
        fan.sink.per_object().iter().zip(&before).map(|(now, then)| f64::from(now - then)).collect();
    let busiest = pushes.iter().copied().fold(0.0, f64::max);
    let span = f64::from(seconds) + late.as_secs_f64();
    let rows = vec![
        Row::new("flap-coalesce pushes/s", median(&pushes) / span, Good::Low, 2.0, 1.0)
            .of(format!("{:.2} an object and second", median(&pushes) / span), "")
            .with(format!(
                "{:.0} flips an object and second for {seconds} s; at most {:.2} pushes/s to one",
                flips as f64 / OBJECTS as f64 / f64::from(seconds),
                busiest / span
            )),
        Row::new("flap-coalesce last s", late.as_secs_f64(), Good::Low, 2.0, 1.0)
            .of(format!("{:.2} s", late.as_secs_f64()), "")
            .with("from the last flip until every object showed the last state"),
    ];
    right(&fan.sink)?;
    fan.server.stop().await?;
    Ok(rows)
}
