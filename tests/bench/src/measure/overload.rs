//! Three times what it can do, from many connections at once.

use std::time::Duration;

use super::Scale;
use super::touch::{CONNECTIONS, bridge, scratch, touches, window};
use crate::child::Server;
use crate::load::{Sink, connect, open};
use crate::report::{Good, Row, quantile};
use crate::words::Spec;

const OBJECTS: usize = 32_768;
/// A region of objects that do not wait for each other.
const MANY: usize = 2_048;
/// An object keeps a touch this long before its person has given up.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn overload(scale: Scale) -> anyhow::Result<Vec<Row>> {
    let folder = scratch()?;
    let sink = Sink::start(OBJECTS).await?;
    let ours = Server::start(&Spec::Bridge(bridge(&folder, OBJECTS, sink.port))).await?;
    sink.want("off");
    anyhow::ensure!(sink.until_showing(OBJECTS, Duration::from_secs(60)).await, "objects were not told");
    let mut few = connect(ours.port, touches(&ours, OBJECTS, 1, CONNECTIONS, 0).await?).await?;
    window(&ours, Some(&sink), &mut few, scale.window()).await?;
    let normal = window(&ours, Some(&sink), &mut few, scale.window()).await?;
    let calm = ours.usage()?;
    drop(few);
    let mut many = connect(ours.port, touches(&ours, OBJECTS, 1, MANY, 1_000_000).await?).await?;
    let time = Duration::from_secs(if scale.long {
        30
    } else if scale.quick {
        4
    } else {
        10
    });
    let mut opened = open(&mut many, normal.per_s * 3.0, time, Some(PATIENCE)).await?;
    sink.settle(Duration::from_millis(400)).await;
    let usage = ours.usage()?;
    let goodput = opened.window.accepted as f64 / opened.window.took.as_secs_f64();
    let tail = quantile(&mut opened.latencies, 0.99);
    let half = quantile(&mut opened.latencies, 0.5);
    // After it, the bridge must do what it did before.
    let mut after = connect(ours.port, touches(&ours, OBJECTS, 1, CONNECTIONS, 2_000_000).await?).await?;
    let recovered = window(&ours, Some(&sink), &mut after, scale.window()).await?;
    let note = format!(
        "offered {:.0}/s for {} s from {MANY} connections; accepted {}, shed {}, other {}, not sent {}, broken {}; p50 {half:.0} ms; afterwards {:.0}/s",
        normal.per_s * 3.0,
        time.as_secs(),
        opened.window.accepted,
        opened.window.shed,
        opened.window.other,
        opened.unsent,
        opened.broken,
        recovered.per_s
    );
    let rows = vec![
        Row::new("overload goodput", goodput / normal.per_s, Good::High, 0.8, 0.95)
            .of(format!("{goodput:.0}/s"), format!("{:.0}/s capacity", normal.per_s))
            .with(note),
        Row::new("overload p99 ms", tail, Good::Low, 1000.0, 250.0).of(format!("{tail:.0} ms"), ""),
        Row::new("overload rss", usage.peak as f64 / calm.rss as f64, Good::Low, 2.0, 1.3)
            .of(mib(usage.peak), format!("{} before", mib(calm.rss))),
    ];
    ours.stop().await?;
    Ok(rows)
}

/// Bytes in words.
pub(super) fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
