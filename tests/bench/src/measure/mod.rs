//! The benchmarks.

mod fanout;
mod fresh;
mod latency;
mod lummao;
mod memory;
mod overload;
mod policy;
mod recovery;
mod region;
mod reject;
mod touch;

use std::time::Duration;

use crate::cores::{Place, pin};
use crate::report::{Row, complain, keep, say, table};

/// How long everything takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) quick: bool,
    pub(crate) long: bool,
}

impl Scale {
    /// A window of load.
    pub(crate) fn window(self) -> Duration {
        Duration::from_millis(if self.quick { 1000 } else { 3000 })
    }
    /// How many windows of each side.
    pub(crate) fn rounds(self) -> usize {
        if self.quick { 3 } else { 5 }
    }
}

type Measured = std::pin::Pin<Box<dyn Future<Output = anyhow::Result<Vec<Row>>>>>;

/// A benchmark by name.
struct Benchmark {
    name: &'static str,
    about: &'static str,
    run: fn(Scale) -> Measured,
}

macro_rules! benchmarks {
    ($($name:literal, $about:literal, $run:path;)*) => {
        &[$(Benchmark { name: $name, about: $about, run: |scale| Box::pin($run(scale)) }),*]
    };
}

/// All of them, in the order they run.
const ALL: &[Benchmark] = benchmarks! {
    "touch-roundtrip", "touches a second, durable, with callback, over the durable limit", touch::roundtrip;
    "touch-latency", "p50 and p99 at 500 and 5,000 a second, open loop", latency::latency;
    "touch-tls-fresh", "a TLS connection for each touch: CPU over the limit", fresh::fresh;
    "reject-cost", "CPU of a refusal over that of a touch; rows written", reject::reject;
    "overload", "three times the capacity: goodput, p99, memory", overload::overload;
    "fanout-10k", "one change to 10,000 objects over bare hyper", fanout::ten_thousand;
    "fanout-100k", "the same to 100,000; a push of these over one of 10,000", fanout::hundred_thousand;
    "fanout-dead-1%", "1 % each black-hole, dripping, endless: time for the healthy", fanout::dead;
    "rereg-storm", "10,000 new URLs at once, durable, with the state", fanout::storm;
    "flap-coalesce", "flapping machines: pushes to an object, the last state", fanout::flap;
    "mem-per-unit", "bytes, slope from 10,000 to 100,000 units", memory::per_unit;
    "start", "memory of an idle bridge; time until the first touch", memory::start;
    "crash-recovery", "kill -9 at 5,000 a second: lost, doubled, time", recovery::crash;
    "policy", "p99 of a decision", policy::policy;
    "region", "LSL statements over lummao's, touches through script and HTTP, memory", region::region;
    "growth", "ten times the objects: bulk, one touch", memory::growth;
};

/// The list for `--help`.
pub(crate) fn help() -> String {
    let lines: Vec<String> = ALL.iter().map(|it| format!("  {:<18}{}", it.name, it.about)).collect();
    format!("Benchmarks:\n{}", lines.join("\n"))
}

/// Runs those named, or all. False when a figure is below its floor.
pub(crate) fn run(names: &[String], scale: Scale) -> anyhow::Result<bool> {
    for name in names {
        anyhow::ensure!(ALL.iter().any(|it| it.name == name), "no benchmark is called {name:?}; {}", help());
    }
    pin(Place::Load)?;
    let mut all = Vec::new();
    let mut failed = false;
    for it in ALL.iter().filter(|it| names.is_empty() || names.iter().any(|name| name == it.name)) {
        say(&format!("{}: {}", it.name, it.about));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        match runtime.block_on((it.run)(scale)) {
            Ok(rows) => {
                keep(it.name, &rows)?;
                say(&table(&rows));
                all.extend(rows);
            }
            Err(error) => {
                complain(&format!("{}: {error:#}", it.name));
                failed = true;
            }
        }
        runtime.shutdown_background();
    }
    if names.len() != 1 {
        say(&table(&all));
    }
    Ok(!failed && all.iter().all(Row::holds))
}
