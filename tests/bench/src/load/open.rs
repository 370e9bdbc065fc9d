//! Open loop: requests are due at their times, whether or not earlier ones were answered. Latency counts
//! from when a request was due, so a stalled server cannot hide behind a patient generator.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use futures::stream::{FuturesUnordered, StreamExt as _};

use super::closed::{Client, Window};

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    pub(crate) window: Window,
    /// Milliseconds from due to answered, of accepted ones.
    pub(crate) latencies: Vec<f64>,
    /// Never sent, since every connection waited for an answer.
    pub(crate) unsent: u64,
    /// Connections that broke.
    pub(crate) broken: u64,
}

/// Offers `per_s` requests a second for `time`. With `patience`, a request that finds no free connection
/// for that long is not sent any more.
pub(crate) async fn open(
    clients: &mut [Client],
    per_s: f64,
    time: Duration,
    patience: Option<Duration>,
) -> anyhow::Result<Opened> {
    let begun = Instant::now();
    let mut opened = Opened::default();
    let mut due: VecDeque<Instant> = VecDeque::new();
    let mut idle: Vec<&mut Client> = clients.iter_mut().collect();
    let mut work = FuturesUnordered::new();
    let mut offered = 0u64;
    loop {
        let elapsed = begun.elapsed();
        if elapsed < time {
            let should = (elapsed.as_secs_f64() * per_s) as u64;
            while offered < should {
                due.push_back(begun + Duration::from_secs_f64(offered as f64 / per_s));
                offered += 1;
            }
        } else if work.is_empty() && (due.is_empty() || idle.is_empty()) {
            break;
        }
        if let Some(patience) = patience {
            while due.front().is_some_and(|due| due.elapsed() > patience) {
                due.pop_front();
                opened.unsent += 1;
            }
        }
        while !idle.is_empty()
            && let Some(at) = due.pop_front()
            && let Some(client) = idle.pop()
        {
            work.push(async move {
                let answer = client.once().await;
                (client, at, answer)
            });
        }
        // Never sleeps, since the timer counts in milliseconds: looks at the sockets and comes back.
        tokio::select! {
            biased;
            Some((client, at, answer)) = work.next(), if !work.is_empty() => match answer {
                Ok(answer) => {
                    opened.window.add(answer);
                    if answer == super::Answer::Accepted {
                        opened.latencies.push(at.elapsed().as_secs_f64() * 1e3);
                    }
                    idle.push(client);
                }
                Err(_) => opened.broken += 1,
            },
            () = tokio::task::yield_now() => {}
        }
    }
    opened.unsent += due.len() as u64;
    opened.window.took = begun.elapsed();
    Ok(opened)
}
