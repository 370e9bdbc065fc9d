//! Closed loop: every connection sends its next request when it has its answer.

use std::time::{Duration, Instant};

use futures::stream::{FuturesUnordered, StreamExt as _};

use super::http::Line;
use super::scripts::{Answer, Script};

/// A connection and who speaks on it.
pub(crate) struct Client {
    line: Line,
    pub(crate) script: Box<dyn Script>,
    request: Vec<u8>,
}

/// What came of a window.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Window {
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    pub(crate) shed: u64,
    pub(crate) other: u64,
    pub(crate) took: Duration,
}

impl Window {
    pub(crate) fn add(&mut self, answer: Answer) {
        match answer {
            Answer::Accepted => self.accepted += 1,
            Answer::Refused => self.refused += 1,
            Answer::Shed => self.shed += 1,
            Answer::Other => self.other += 1,
        }
    }
}

/// Opens a connection for each script.
pub(crate) async fn connect(port: u16, scripts: Vec<Box<dyn Script>>) -> anyhow::Result<Vec<Client>> {
    let mut clients = Vec::with_capacity(scripts.len());
    for script in scripts {
        clients.push(Client { line: Line::open(port).await?, script, request: Vec::with_capacity(1024) });
    }
    Ok(clients)
}

impl Client {
    pub(super) async fn once(&mut self) -> std::io::Result<Answer> {
        self.script.next(&mut self.request);
        let (status, body) = self.line.ask(&self.request).await?;
        Ok(self.script.judge(status, body))
    }
}

/// All clients send for so long, or so many requests each, whichever ends first.
pub(crate) async fn closed(clients: &mut [Client], time: Duration, each: usize) -> anyhow::Result<Window> {
    let begun = Instant::now();
    let mut work: FuturesUnordered<_> = clients
        .iter_mut()
        .map(|client| async move {
            let mut window = Window::default();
            let mut left = each;
            while left > 0 && begun.elapsed() < time {
                window.add(client.once().await?);
                left -= 1;
            }
            std::io::Result::Ok(window)
        })
        .collect();
    let mut all = Window::default();
    while let Some(window) = work.next().await {
        let Window { accepted, refused, shed, other, took: _ } = window?;
        all.accepted += accepted;
        all.refused += refused;
        all.shed += shed;
        all.other += other;
    }
    all.took = begun.elapsed();
    Ok(all)
}
