//! kill -9 in full flight: what was acknowledged is there, once, and touching goes on.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use super::Scale;
use super::memory::touched;
use super::touch::{CONNECTIONS, bridge, scratch};
use crate::child::Server;
use crate::load::{BridgeTouch, Script, Sink, closed, connect, greet, open};
use crate::report::{Good, Row, median};
use crate::words::{BridgeSpec, Spec};

const OBJECTS: usize = 8_192;

/// What the journal says about every event: how many decisions accepted it, and the intents.
/// How often each event was decided, and which intents ended.
type Story = (HashMap<(String, String), u32>, HashSet<String>);

fn journal(path: &Path) -> anyhow::Result<Story> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut accepted = HashMap::new();
    let mut intents = HashSet::new();
    // Kind 2 is a decision; the body is the entry as JSON.
    let mut query = db.prepare("SELECT body FROM chain WHERE kind = 2")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let body: serde_json::Value = serde_json::from_str(row.get_ref(0)?.as_str()?)?;
        if body["receipt"]["verdict"]["verdict"] != "accepted" {
            continue;
        }
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let origin = &body["intent"]["origin"];
        *accepted.entry((text(&origin["source"]), text(&origin["event"]))).or_insert(0) += 1;
        intents.insert(text(&body["intent"]["id"]));
    }
    Ok((accepted, intents))
}

pub(super) async fn crash(scale: Scale) -> anyhow::Result<Vec<Row>> {
    let (mut times, mut lost, mut doubled, mut acknowledged, mut unfounded) = (Vec::new(), 0, 0, 0, 0);
    for _ in 0..scale.rounds() {
        let folder = scratch()?;
        let sink = Sink::start(OBJECTS).await?;
        let executed = folder.path().join("executed");
        let spec = BridgeSpec { executed: Some(executed.clone()), ..bridge(&folder, OBJECTS, sink.port) };
        let server = Server::start(&Spec::Bridge(spec.clone())).await?;
        sink.want("off");
        anyhow::ensure!(sink.until_showing(OBJECTS, Duration::from_secs(60)).await, "objects were not told");
        let nonce = greet(server.port, 0).await?;
        let count = OBJECTS / CONNECTIONS;
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let script = |n: usize| {
            let inner = BridgeTouch::new(n * count, count, 1, nonce, 0, 1);
            Box::new(Telling { inner, tell: tell.clone() }) as Box<dyn Script>
        };
        let mut clients = connect(server.port, (0..CONNECTIONS).map(script).collect()).await?;
        let load = open(&mut clients, 5000.0, Duration::from_secs(20), None);
        {
            let mut load = std::pin::pin!(load);
            tokio::select! {
                ended = &mut load => anyhow::bail!("the load ended before the kill: {:?}", ended.map(|it| it.window)),
                () = tokio::time::sleep(scale.window()) => {}
            }
        }
        server.kill().await?;
        drop(clients);
        drop(tell);
        let mut answered: Vec<(usize, String)> = Vec::new();
        while let Some(one) = told.recv().await {
            answered.push(one);
        }
        let begun = Instant::now();
        let server = Server::start(&Spec::Bridge(spec)).await?;
        touched(&server, 0).await?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        // Every script sends its last event again, as it would without an answer.
        let nonce = greet(server.port, 0).await?;
        let script = |n: usize| {
            Box::new(BridgeTouch::new(n * count, 16.min(count), 1, nonce, 0, 1)) as Box<dyn Script>
        };
        let mut again = connect(server.port, (0..CONNECTIONS).map(script).collect()).await?;
        let window = closed(&mut again, Duration::from_secs(20), 16).await?;
        anyhow::ensure!(window.accepted > 0, "what was sent again got no receipt: {window:?}");
        server.stop().await?;
        let (accepted, intents) = journal(&folder.path().join("journal.sqlite"))?;
        let known =
            |(object, event): &(usize, String)| accepted.contains_key(&(format!("o{object}"), event.clone()));
        lost += answered.iter().filter(|one| !known(one)).count();
        doubled += accepted.values().filter(|count| **count > 1).count();
        acknowledged += answered.len();
        let mut seen = HashSet::new();
        for intent in std::fs::read_to_string(&executed)?.lines() {
            doubled += usize::from(!seen.insert(intent.to_owned()));
            unfounded += usize::from(!intents.contains(intent));
        }
    }
    anyhow::ensure!(acknowledged > 1000, "only {acknowledged} touches were acknowledged before the kills");
    let rows = vec![
        Row::new("crash-recovery ms", median(&times), Good::Low, 1000.0, 300.0)
            .of(format!("{:.0} ms", median(&times)), "")
            .with(format!(
                "from exec to the first accepted touch; {} kills at 5000/s, {acknowledged} acknowledged",
                times.len()
            )),
        Row::new("crash-recovery lost", lost as f64, Good::Low, 0.0, 0.0).of(lost.to_string(), ""),
        Row::new("crash-recovery doubled", doubled as f64, Good::Low, 0.0, 0.0)
            .of(doubled.to_string(), "")
            .with("events with two accepted decisions, and intents executed twice"),
        Row::new("crash-recovery unfounded", unfounded as f64, Good::Low, 0.0, 0.0)
            .of(unfounded.to_string(), "")
            .with("commands executed without their intent in the journal"),
    ];
    Ok(rows)
}

/// Touches, and tells at once what was acknowledged, since the load is cut off.
struct Telling {
    inner: BridgeTouch,
    tell: tokio::sync::mpsc::UnboundedSender<(usize, String)>,
}

impl Script for Telling {
    fn next(&mut self, out: &mut Vec<u8>) {
        self.inner.next(out);
        self.inner.accepted = Some(Vec::new());
    }
    fn judge(&mut self, status: u16, body: &[u8]) -> crate::load::Answer {
        let answer = self.inner.judge(status, body);
        for one in self.inner.accepted.iter_mut().flat_map(|accepted| accepted.drain(..)) {
            // The other end lives as long as the load.
            drop(self.tell.send(one));
        }
        answer
    }
}
