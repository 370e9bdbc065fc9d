//! Which core does what.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// Where a process belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The server that is measured.
    Server,
    /// Load and callback sink.
    Load,
}

/// The cores that this program may use, as it was started: servers inherit the pinning of the load and are told.
const ALLOWED: &str = "PRIMRACK_BENCH_CORES";

/// What servers are started with besides.
pub(crate) fn told(cores: &[usize]) -> (&'static str, String) {
    (ALLOWED, cores.iter().map(usize::to_string).collect::<Vec<_>>().join(","))
}

/// Every core that this program was started with.
pub(crate) fn cores() -> anyhow::Result<&'static [usize]> {
    static CORES: std::sync::OnceLock<Vec<usize>> = std::sync::OnceLock::new();
    if let Some(cores) = CORES.get() {
        return Ok(cores);
    }
    let cores = match std::env::var(ALLOWED) {
        Ok(list) => list.split(',').map(str::parse).collect::<Result<_, _>>()?,
        Err(_) => {
            let allowed = sched_getaffinity(Pid::from_raw(0))?;
            (0..CpuSet::count()).filter(|core| allowed.is_set(*core).unwrap_or(false)).collect()
        }
    };
    Ok(CORES.get_or_init(|| cores))
}

/// Pins this process, before it has other threads. With a single core everything shares it, and no
/// figure means much: that is said.
pub(crate) fn pin(place: Place) -> anyhow::Result<()> {
    let cores = cores()?;
    let core = match place {
        Place::Server => cores.first(),
        Place::Load => cores.last(),
    };
    if cores.len() < 2 {
        crate::report::complain("only one core: servers and load disturb each other");
    }
    if let Some(core) = core {
        let mut set = CpuSet::new();
        set.set(*core)?;
        sched_setaffinity(Pid::from_raw(0), &set)?;
    }
    Ok(())
}
