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

/// Pins this process, before it has other threads. With a single core everything shares it, and no
/// figure means much: that is said.
pub(crate) fn pin(place: Place) -> anyhow::Result<()> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    let cores: Vec<usize> =
        (0..CpuSet::count()).filter(|core| allowed.is_set(*core).unwrap_or(false)).collect();
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
