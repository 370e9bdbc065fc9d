//! What it costs to refuse, and whether refusing fills the journal.

use std::time::Duration;

use super::Scale;
use super::touch::{CONNECTIONS, bridge, scratch, touches, window};
use crate::child::Server;
use crate::load::{Rejected, Sink, closed, connect, greet, rejected};
use crate::report::{Good, Row, median};
use crate::words::Spec;

const OBJECTS: usize = 32_768;
/// Entries of one class in a window: each of the subjects told apart once at the beginning of a minute and once
/// at its end, and the line for the others.
const ROWS: f64 = 600.0;

pub(super) async fn reject(scale: Scale) -> anyhow::Result<Vec<Row>> {
    let folder = scratch()?;
    let sink = Sink::start(OBJECTS).await?;
    let mut ours = Server::start(&Spec::Bridge(bridge(&folder, OBJECTS, sink.port))).await?;
    sink.want("off");
    anyhow::ensure!(sink.until_showing(OBJECTS, Duration::from_secs(60)).await, "objects were not told");
    let nonce = greet(ours.port, 0).await?;
    let mut touching = connect(ours.port, touches(&ours, OBJECTS, 1, CONNECTIONS, 10).await?).await?;
    window(&ours, Some(&sink), &mut touching, scale.window() / 3).await?;
    let mut rows = Vec::new();
    for how in Rejected::ALL {
        let scripts = (0..CONNECTIONS).map(|n| rejected(how, n * OBJECTS / CONNECTIONS, nonce)).collect();
        let mut refused = connect(ours.port, scripts).await?;
        let (mut ratios, mut costs, mut accepted, mut written, mut sent) =
            (Vec::new(), Vec::new(), Vec::new(), 0, 0);
        for _ in 0..scale.rounds() {
            accepted.push(window(&ours, Some(&sink), &mut touching, scale.window()).await?.cpu_us);
            let (entries, before) = (ours.count("entries").await?, ours.usage()?.cpu);
            let window = closed(&mut refused, scale.window(), usize::MAX).await?;
            let cpu = ours.usage()?.cpu.saturating_sub(before).as_secs_f64() * 1e6;
            anyhow::ensure!(
                window.refused > 0 && window.other + window.accepted == 0,
                "{} was not refused as such: {window:?}",
                how.reason()
            );
            written += ours.count("entries").await? - entries;
            sent += window.refused;
            costs.push(cpu / window.refused as f64);
            ratios.push(costs[costs.len() - 1] / accepted[accepted.len() - 1]);
        }
        let name = format!("reject-cost {}", how.reason());
        rows.push(
            Row::new(&name, median(&ratios), Good::Low, 1.0, 0.4)
                .of(format!("{:.1} us", median(&costs)), format!("{:.1} us accepted", median(&accepted))),
        );
        rows.push(
            Row::new(&format!("{name} rows"), written as f64, Good::Low, ROWS, ROWS)
                .of(format!("{written} entries"), format!("{sent} refused")),
        );
    }
    ours.stop().await?;
    Ok(rows)
}
