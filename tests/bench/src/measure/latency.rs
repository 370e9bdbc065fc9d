//! How long a touch waits for its answer at an even pace, from when it was due.

use std::time::Duration;

use super::Scale;
use super::touch::{CONNECTIONS, bridge, limit_touches, scratch, touches};
use crate::child::Server;
use crate::load::{Sink, connect, open};
use crate::report::{Good, Row, median, quantile};
use crate::words::{LimitSpec, Spec};

const OBJECTS: usize = 32_768;

pub(super) async fn latency(scale: Scale) -> anyhow::Result<Vec<Row>> {
    let (ours_in, theirs_in) = (scratch()?, scratch()?);
    let sink = Sink::start(OBJECTS).await?;
    let their_sink = Sink::start(OBJECTS).await?;
    let durable = Some(theirs_in.path().to_owned());
    let spec = LimitSpec { objects: OBJECTS, durable, sink: Some(their_sink.port), tls: None };
    let theirs = Server::start(&Spec::Limit(spec)).await?;
    let ours = Server::start(&Spec::Bridge(bridge(&ours_in, OBJECTS, sink.port))).await?;
    sink.want("off");
    anyhow::ensure!(sink.until_showing(OBJECTS, Duration::from_secs(60)).await, "objects were not told");
    let mut our_clients = connect(ours.port, touches(&ours, OBJECTS, 1, CONNECTIONS, 0).await?).await?;
    let mut their_clients = connect(theirs.port, limit_touches(OBJECTS, CONNECTIONS)).await?;
    let mut rows = Vec::new();
    for rate in [500.0, 5000.0] {
        let (mut halves, mut ratios, mut tails) =
            ((Vec::new(), Vec::new()), Vec::new(), (Vec::new(), Vec::new()));
        for _ in 0..scale.rounds() {
            let mut them = open(&mut their_clients, rate, scale.window(), None).await?;
            their_sink.settle(Duration::from_millis(200)).await;
            let mut us = open(&mut our_clients, rate, scale.window(), None).await?;
            sink.settle(Duration::from_millis(200)).await;
            let accepted = us.window.accepted as f64 / (us.window.accepted + us.window.other).max(1) as f64;
            anyhow::ensure!(accepted > 0.99, "touches were not accepted: {:?}", us.window);
            let (ours, theirs) = (quantile(&mut us.latencies, 0.5), quantile(&mut them.latencies, 0.5));
            halves.0.push(ours);
            halves.1.push(theirs);
            ratios.push(ours / theirs);
            tails.0.push(quantile(&mut us.latencies, 0.99));
            tails.1.push(quantile(&mut them.latencies, 0.99));
        }
        let name = format!("touch-latency {rate:.0}/s");
        rows.push(Row::new(&format!("{name} p50"), median(&ratios), Good::Low, 2.5, 1.5).of(
            format!("{:.2} ms", median(&halves.0)),
            format!("{:.2} ms durable limit", median(&halves.1)),
        ));
        let tail = median(&tails.0);
        rows.push(
            Row::new(&format!("{name} p99"), tail, Good::Low, 10.0, 5.0)
                .of(format!("{tail:.2} ms"), format!("{:.2} ms durable limit", median(&tails.1))),
        );
    }
    ours.stop().await?;
    theirs.stop().await?;
    Ok(rows)
}
