//! One process, named for good: a pid file descriptor never means another process than at first.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;
use std::time::Duration;

use process_wrap::std::{CommandWrap, ProcessSession};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, pidfd_send_signal, waitid,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::Stat;

/// Starts a program in a session of its own, so that neither a signal to the bridge's terminal nor the
/// bridge's end reaches it. (Were it only in a process group of its own, the kernel would send SIGHUP
/// to a paused one when the bridge ends: setpgid(2), orphaned process groups.) Returns its pid; nobody
/// else waits for it. Forks: not for a runtime thread.
pub(crate) fn spawn(command: Command) -> io::Result<i32> {
    let child = CommandWrap::from(command).wrap(ProcessSession).spawn()?;
    i32::try_from(child.id()).map_err(io::Error::other)
}

/// Registers a descriptor with the runtime, to await that it becomes readable.
#[expect(
    deprecated,
    reason = "its replacement is unsafe for types that may change their descriptor; an OwnedFd cannot"
)]
pub(super) fn awaited(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, Interest::READABLE)
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Exit(i32),
    Signal(i32),
    /// It was started by an earlier bridge: only its parent is told.
    Unknown,
}

/// A running process, ours or found again.
#[derive(Debug)]
pub(crate) struct Handle {
    pid: Pid,
    started: u64,
    fd: AsyncFd<OwnedFd>,
}

impl Handle {
    /// Takes hold of a process, given the start time it must have. `None` if it is gone or the pid
    /// means another one by now. Needs a runtime.
    pub(crate) fn open(pid: i32, started: Option<u64>) -> io::Result<Option<Self>> {
        let Some(checked) = Pid::from_raw(pid) else { return Ok(None) };
        let fd = match pidfd_open(checked, PidfdFlags::empty()) {
            Ok(fd) => fd,
            Err(Errno::SRCH) => return Ok(None),
            Err(why) => return Err(why.into()),
        };
        // Read after the descriptor was opened: if the time is right now, the descriptor is right too.
        let Ok(stat) = Stat::read(pid) else { return Ok(None) };
        if started.is_some_and(|started| started != stat.started) {
            return Ok(None);
        }
        let fd = awaited(fd)?;
        Ok(Some(Self { pid: checked, started: stat.started, fd }))
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }
    pub(crate) fn started(&self) -> u64 {
        self.started
    }

    /// Whether it has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.over_within(Duration::ZERO)
    }

    /// Waits for its end on a thread that may block. Whether it came in time.
    pub(crate) fn over_within(&self, patience: Duration) -> bool {
        let mut fds = [PollFd::new(self.fd.get_ref(), PollFlags::IN)];
        let patience = Timespec::try_from(patience).unwrap_or_default();
        matches!(poll(&mut fds, Some(&patience)), Ok(1..))
    }

    /// Waits for its end without taking notice of it away from [`Self::reap`].
    pub(crate) async fn over(&self) {
        // An error would mean that the runtime is going down; then nobody asks any more.
        if self.fd.readable().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Takes notice of its end, so that no zombie stays. Only after [`Self::over`].
    pub(crate) fn reap(&self) -> Ending {
        match waitid(WaitId::PidFd(self.fd.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
            Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => Ending::Exit(code),
                (None, Some(signal)) => Ending::Signal(signal),
                (None, None) => Ending::Unknown,
            },
            Ok(None) | Err(_) => Ending::Unknown,
        }
    }

    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        pidfd_send_signal(self.fd.get_ref(), signal).map_err(Into::into)
    }

    /// To it and all of its process group. The group's number cannot mean another one while the
    /// process lives or was not waited for.
    pub(crate) fn signal_group(&self, signal: Signal) -> io::Result<()> {
        kill_process_group(self.pid, signal).map_err(Into::into)
    }
}
