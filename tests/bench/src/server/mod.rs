//! The server processes.

mod accept;
mod bridge;
mod fan;
mod limit;
mod mock;
mod region;

use std::io::BufRead as _;

use crate::cores::{Place, pin};
use crate::report::say;
use crate::words::Spec;

/// Is a server until told `quit` or the other end is gone.
pub(crate) fn run(spec: &str) -> anyhow::Result<()> {
    pin(Place::Server)?;
    let spec: Spec = serde_json::from_str(spec)?;
    // As the program itself makes it: as many workers as cores, which is one here.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (tell, orders) = tokio::sync::mpsc::channel(4);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if tell.blocking_send(line).is_err() {
                return;
            }
        }
    });
    let ended = runtime.block_on(async {
        match spec {
            Spec::Bridge(spec) => bridge::run(spec, orders).await,
            Spec::Limit(spec) => limit::run(spec, orders).await,
            Spec::Fan(spec) => fan::run(spec, orders).await,
            Spec::Region(spec) => region::run(spec, orders).await,
        }
    });
    // The thread that reads commands may still wait for one.
    runtime.shutdown_background();
    ended
}

/// Lines from the process that measures.
type Orders = tokio::sync::mpsc::Receiver<String>;

fn ready(port: u16) {
    say(&format!("ready {port}"));
}
