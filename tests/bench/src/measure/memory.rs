//! Memory, and the time until something can be touched.

use std::time::{Duration, Instant};

use super::Scale;
use super::touch::{bridge, scratch};
use crate::child::{Server, Usage};
use crate::load::{Answer, BridgeTouch, Line, Script as _, Sink, greet};
use crate::report::{Good, Row, median};
use crate::words::{BridgeSpec, Registered, Spec};

const PATIENCE: Duration = Duration::from_secs(120);
/// Units of one rack.
const UNITS: usize = 40;

/// A bridge with so many units in racks of 40, after every rack was told everything.
async fn loaded(units: usize) -> anyhow::Result<(Usage, Duration)> {
    let objects = units / UNITS;
    let folder = scratch()?;
    let sink = Sink::start(objects).await?;
    let spec = BridgeSpec { units: UNITS, ..bridge(&folder, objects, sink.port) };
    let begun = Instant::now();
    let server = Server::start(&Spec::Bridge(spec)).await?;
    // First as unknown, perhaps, then as listed; what counts is the last.
    sink.want("off");
    anyhow::ensure!(sink.until_showing(objects, PATIENCE).await, "racks were not told");
    sink.settle(Duration::from_millis(1500)).await;
    let usage = server.usage()?;
    let cpu = usage.cpu.min(begun.elapsed());
    server.stop().await?;
    Ok((usage, cpu))
}

pub(super) async fn per_unit(_: Scale) -> anyhow::Result<Vec<Row>> {
    let (small, _) = loaded(10_000).await?;
    let (large, _) = loaded(100_000).await?;
    let slope = (large.rss as f64 - small.rss as f64) / 90_000.0;
    let mib = super::overload::mib;
    Ok(vec![
        Row::new("mem-per-unit B", slope, Good::Low, 1536.0, 512.0).of(format!("{slope:.0} B"), "").with(
            format!(
                "{} with 10,000 units, {} with 100,000, in racks of {UNITS}; a target each",
                mib(small.rss),
                mib(large.rss)
            ),
        ),
    ])
}

pub(super) async fn start(scale: Scale) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    {
        let (mut rss, mut times) = (Vec::new(), Vec::new());
        for _ in 0..scale.rounds() {
            let folder = scratch()?;
            let server = Server::start(&Spec::Bridge(bridge(&folder, 0, 9))).await?;
            times.push(server.started_in.as_secs_f64() * 1e3);
            tokio::time::sleep(Duration::from_millis(300)).await;
            rss.push(server.usage()?.rss as f64 / f64::from(1 << 20));
            server.stop().await?;
        }
        let (rss, time) = (median(&rss), median(&times));
        rows.push(
            Row::new("base-rss MiB", rss, Good::Low, 30.0, 15.0)
                .of(format!("{rss:.1} MiB"), "")
                .with("idle, nothing configured"),
        );
        rows.push(
            Row::new("start empty ms", time, Good::Low, 100.0, 40.0)
                .of(format!("{time:.0} ms"), "")
                .with("from exec to listening, a new journal made"),
        );
    }
    for (units, floor, target) in [(10_000, 300.0, 80.0), (100_000, 2500.0, 500.0)] {
        let objects = units / UNITS;
        let folder = scratch()?;
        let sink = Sink::start(objects).await?;
        let spec =
            BridgeSpec { units: UNITS, registered: Registered::Kept, ..bridge(&folder, objects, sink.port) };
        let mut first = Server::start(&Spec::Bridge(spec.clone())).await?;
        first.ask("keep").await?;
        first.stop().await?;
        let mut times = Vec::new();
        for _ in 0..scale.rounds() {
            let spec = BridgeSpec { registered: Registered::Journal, ..spec.clone() };
            let begun = Instant::now();
            let server = Server::start(&Spec::Bridge(spec)).await?;
            touched(&server, objects - 1).await?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
            server.stop().await?;
        }
        let time = median(&times);
        rows.push(
            Row::new(&format!("start {}k ms", units / 1000), time, Good::Low, floor, target)
                .of(format!("{time:.0} ms"), "")
                .with("from exec to the first accepted touch; registrations from the journal, the inventory made without TOML"),
        );
    }
    Ok(rows)
}

/// Touches an object until that is accepted: while the bridge does not know a machine's state it refuses.
pub(super) async fn touched(server: &Server, object: usize) -> anyhow::Result<()> {
    let nonce = greet(server.port, object).await?;
    let mut line = Line::open(server.port).await?;
    let mut script = BridgeTouch::new(object, 1, UNITS, nonce, 10, u64::from(nonce.boot) << 20);
    let mut request = Vec::new();
    let begun = Instant::now();
    loop {
        script.next(&mut request);
        let (status, body) = line.ask(&request).await?;
        if script.judge(status, body) == Answer::Accepted {
            return Ok(());
        }
        anyhow::ensure!(begun.elapsed() < PATIENCE, "no touch is accepted");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

pub(super) async fn growth(scale: Scale) -> anyhow::Result<Vec<Row>> {
    let (mut bulk, mut cpu) = (Vec::new(), (Vec::new(), Vec::new()));
    for _ in 0..scale.rounds().min(3) {
        let small = loaded(10_000).await?.1.as_secs_f64();
        let large = loaded(100_000).await?.1.as_secs_f64();
        bulk.push(large / small);
        cpu.0.push(small);
        cpu.1.push(large);
    }
    let rows = vec![
        Row::new("growth bulk", median(&bulk), Good::Low, 13.0, 11.0)
            .of(
                format!("{:.0} ms", median(&cpu.1) * 1e3),
                format!("{:.0} ms for a tenth", median(&cpu.0) * 1e3),
            )
            .with("CPU to load 100,000 units and tell every rack, over that of 10,000"),
        super::touch::growth(scale).await?,
    ];
    Ok(rows)
}
