//! Touches: throughput, latency, cost.

use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Scale;
use crate::child::Server;
use crate::load::{BridgeTouch, LimitTouch, Script, Sink, Window, closed, connect, greet};
use crate::report::{Good, Row, folder, median};
use crate::words::{BridgeSpec, LimitSpec, Registered, Spec};

/// Keep-alive connections, as in the facts that floors and targets come from.
pub(super) const CONNECTIONS: usize = 64;
/// Enough objects that each is touched less often than pushes to it are spaced: every touch then costs
/// a callback of its own, as in the reference.
const OBJECTS: usize = 32_768;

/// A folder for one server's files, gone at the end.
pub(super) fn scratch() -> anyhow::Result<TempDir> {
    Ok(tempfile::tempdir_in(folder()?)?)
}

/// The usual bridge: all objects registered, one unit each.
pub(super) fn bridge(folder: &TempDir, objects: usize, sink: u16) -> BridgeSpec {
    BridgeSpec {
        objects,
        units: 1,
        folder: folder.path().to_owned(),
        sink,
        registered: Registered::Given,
        manners: Vec::new(),
        tls: None,
        executed: None,
        log: None,
    }
}

/// One script for each connection, the objects shared out among them.
pub(super) async fn touches(
    server: &Server,
    objects: usize,
    units: usize,
    connections: usize,
    base: u32,
) -> anyhow::Result<Vec<Box<dyn Script>>> {
    let nonce = greet(server.port, 0).await?;
    let count = objects / connections;
    let script = |n| Box::new(BridgeTouch::new(n * count, count, units, nonce, base, u64::from(nonce.boot)));
    Ok((0..connections).map(|n| script(n) as Box<dyn Script>).collect())
}

/// One script of the reference for each connection.
pub(super) fn limit_touches(objects: usize, connections: usize) -> Vec<Box<dyn Script>> {
    let count = objects / connections;
    (0..connections).map(|n| Box::new(LimitTouch::new(n * count, count)) as Box<dyn Script>).collect()
}

/// What one window cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    pub(super) per_s: f64,
    pub(super) cpu_us: f64,
    pub(super) window: Window,
    pub(super) pushes: u64,
}

/// Loads a server for a window and waits until its callbacks have come to rest: what is still owed at
/// the end of the window counts into its time.
pub(super) async fn window(
    server: &Server,
    sink: Option<&Sink>,
    clients: &mut [crate::load::Client],
    time: Duration,
) -> anyhow::Result<Cost> {
    let before = server.usage()?.cpu;
    let posts = sink.map_or(0, Sink::posts);
    let begun = Instant::now();
    let window = closed(clients, time, usize::MAX).await?;
    let mut took = window.took;
    if let Some(sink) = sink
        && let Some(last) = sink.settle(Duration::from_millis(400)).await
    {
        took = took.max(last.saturating_duration_since(begun));
    }
    let cpu = server.usage()?.cpu.saturating_sub(before);
    anyhow::ensure!(window.accepted > 0, "nothing was accepted: {window:?}");
    Ok(Cost {
        per_s: window.accepted as f64 / took.as_secs_f64(),
        cpu_us: cpu.as_secs_f64() * 1e6 / window.accepted as f64,
        window,
        pushes: sink.map_or(0, Sink::posts) - posts,
    })
}

/// The medians of several windows, and the windows themselves in words.
pub(super) fn middle(all: &[Cost], of: impl Fn(&Cost) -> f64) -> f64 {
    median(&all.iter().map(of).collect::<Vec<_>>())
}

pub(super) async fn roundtrip(scale: Scale) -> anyhow::Result<Vec<Row>> {
    let (ours_in, theirs_in) = (scratch()?, scratch()?);
    let sink = Sink::start(OBJECTS).await?;
    let their_sink = Sink::start(OBJECTS).await?;
    let spec = LimitSpec {
        objects: OBJECTS,
        durable: Some(theirs_in.path().to_owned()),
        sink: Some(their_sink.port),
        tls: None,
    };
    let theirs = Server::start(&Spec::Limit(spec)).await?;
    let ours = Server::start(&Spec::Bridge(bridge(&ours_in, OBJECTS, sink.port))).await?;
    sink.want("off");
    anyhow::ensure!(
        sink.until_showing(OBJECTS, Duration::from_secs(60)).await,
        "objects were not told the first state"
    );
    let mut our_clients = connect(ours.port, touches(&ours, OBJECTS, 1, CONNECTIONS, 0).await?).await?;
    let mut their_clients = connect(theirs.port, limit_touches(OBJECTS, CONNECTIONS)).await?;
    // One window each to warm up, not counted.
    window(&ours, Some(&sink), &mut our_clients, scale.window() / 3).await?;
    window(&theirs, Some(&their_sink), &mut their_clients, scale.window() / 3).await?;
    let (mut us, mut them) = (Vec::new(), Vec::new());
    for _ in 0..scale.rounds() {
        them.push(window(&theirs, Some(&their_sink), &mut their_clients, scale.window()).await?);
        us.push(window(&ours, Some(&sink), &mut our_clients, scale.window()).await?);
    }
    let ratio = median(&us.iter().zip(&them).map(|(us, them)| us.per_s / them.per_s).collect::<Vec<_>>());
    let pushes = us.iter().map(|it| it.pushes).sum::<u64>() as f64;
    let accepted = us.iter().map(|it| it.window.accepted).sum::<u64>() as f64;
    let other = us.iter().chain(&them).map(|it| it.window.other + it.window.shed).sum::<u64>();
    let (checked, wrong) = sink.checked();
    anyhow::ensure!(wrong == 0, "{wrong} of {checked} pushes looked at were not right");
    let note = format!(
        "{:.2} callbacks a touch, {checked} of them verified; {other} answers not accepted; windows {}",
        pushes / accepted,
        us.iter()
            .zip(&them)
            .map(|(us, them)| format!("{:.0}/{:.0}", us.per_s, them.per_s))
            .collect::<Vec<_>>()
            .join(" ")
    );
    let rows = vec![
        Row::new("touch-roundtrip", ratio, Good::High, 0.40, 0.60)
            .of(
                format!("{:.0}/s", middle(&us, |it| it.per_s)),
                format!("{:.0}/s durable limit", middle(&them, |it| it.per_s)),
            )
            .with(note),
        Row::told(
            "touch-roundtrip cpu",
            middle(&us, |it| it.cpu_us) / middle(&them, |it| it.cpu_us),
            Good::Low,
        )
        .of(
            format!("{:.1} us", middle(&us, |it| it.cpu_us)),
            format!("{:.1} us", middle(&them, |it| it.cpu_us)),
        ),
    ];
    ours.stop().await?;
    theirs.stop().await?;
    Ok(rows)
}

/// The cost of a touch among ten times as many objects.
pub(super) async fn growth(scale: Scale) -> anyhow::Result<Row> {
    let (few_in, many_in) = (scratch()?, scratch()?);
    let (few, many) = (OBJECTS / 4, OBJECTS / 4 * 10);
    let (few_sink, many_sink) = (Sink::start(few).await?, Sink::start(many).await?);
    let small = Server::start(&Spec::Bridge(bridge(&few_in, few, few_sink.port))).await?;
    let large = Server::start(&Spec::Bridge(bridge(&many_in, many, many_sink.port))).await?;
    for (sink, objects) in [(&few_sink, few), (&many_sink, many)] {
        sink.want("off");
        anyhow::ensure!(sink.until_showing(objects, Duration::from_secs(60)).await, "objects were not told");
        sink.settle(Duration::from_millis(400)).await;
    }
    let mut few_clients = connect(small.port, touches(&small, few, 1, CONNECTIONS, 0).await?).await?;
    let mut many_clients = connect(large.port, touches(&large, many, 1, CONNECTIONS, 0).await?).await?;
    // The same number of touches for both, each object at most once in a window: so that neither gains from
    // pushes that another touch makes needless.
    let each = few / CONNECTIONS;
    let (mut us, mut them, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=scale.rounds() {
        let mut costs = Vec::new();
        for (server, sink, clients) in
            [(&small, &few_sink, &mut few_clients), (&large, &many_sink, &mut many_clients)]
        {
            tokio::time::sleep(Duration::from_millis(2600)).await;
            let before = server.usage()?.cpu;
            let window = closed(clients, Duration::from_secs(60), each).await?;
            sink.settle(Duration::from_millis(400)).await;
            let cpu = server.usage()?.cpu.saturating_sub(before).as_secs_f64() * 1e6;
            costs.push(cpu / window.accepted as f64);
        }
        // The first round warms up.
        if round > 0 {
            ratios.push(costs[1] / costs[0]);
            them.push(costs[0]);
            us.push(costs[1]);
        }
    }
    small.stop().await?;
    large.stop().await?;
    Ok(Row::new("growth a touch", median(&ratios), Good::Low, 1.3, 1.1)
        .of(format!("{:.1} us", median(&us)), format!("{:.1} us with a tenth", median(&them)))
        .with(format!("CPU of a touch with its callback among {many} objects over that among {few}")))
}
