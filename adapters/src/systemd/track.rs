//! Who ended a unit: told by the order of systemd's signals, which come from one sender in its order.
//!
//! A unit that becomes inactive while a job of it is under way, and was up before, was stopped by that
//! job: by an operator or a dependency. One that becomes inactive without a job ended by itself.
//! systemd sends a unit's pending change before it says that the job is gone (`bus_job_send_removed_signal`
//! in its src/core/dbus-job.c).

use std::time::Instant;

use primrack_model::{Cause, Observation, Power};

use crate::local::Recent;

use super::map::End;

/// What is remembered of one unit.
#[derive(Debug, Default)]
pub(super) struct Track {
    /// Which intents it has carried out.
    pub(super) recent: Recent,
    /// The run (`InvocationID`) that we killed: its failure is our doing.
    pub(super) killed: Option<Vec<u8>>,
    /// We kill it now: its next end is our doing.
    pub(super) killing: bool,
    /// CPU nanoseconds at a moment, for the share since then.
    pub(super) sample: Option<(u64, Instant)>,
    /// The last `ActiveState` of a signal.
    active: Option<String>,
    /// Jobs under way.
    jobs: u32,
    end: End,
}

impl Track {
    /// A job of it was queued.
    pub(super) fn job_new(&mut self) {
        self.jobs = self.jobs.saturating_add(1);
    }

    /// A job of it is gone: `result` is `done`, `failed`, `canceled`, `timeout`, `dependency`, `skipped`...
    pub(super) fn job_removed(&mut self, result: &str) {
        self.jobs = self.jobs.saturating_sub(1);
        self.end.job = match result {
            // What "failed" means is in the unit's own result.
            "done" | "failed" | "canceled" | "skipped" => None,
            other => Some(other.to_owned()),
        };
    }

    /// Its `ActiveState` as a signal has it. What to show at once, where it may be over before anyone asks.
    pub(super) fn changed(&mut self, active: &str) -> Option<Observation> {
        let before = self.active.replace(active.to_owned());
        if before.as_deref() == Some(active) {
            return None;
        }
        match active {
            "inactive" | "failed" => {
                let ours = std::mem::take(&mut self.killing);
                self.end.cause = match before.as_deref() {
                    _ if ours => Some(Cause::Operator),
                    // Nobody saw it up: nobody can say.
                    None => None,
                    Some("active" | "reloading" | "refreshing" | "deactivating") if self.jobs > 0 => {
                        Some(Cause::Operator)
                    }
                    Some(_) if active == "failed" => Some(Cause::Crash),
                    Some("inactive" | "failed") => self.end.cause,
                    Some(_) => Some(Cause::Guest),
                };
                (self.end.cause == Some(Cause::Operator))
                    .then(|| Observation::caused(Power::Off, Cause::Operator))
            }
            "deactivating" => Some(Observation::of(Power::Stopping)),
            _ => {
                self.end = End::default();
                None
            }
        }
    }

    /// The listener was lost: what it had counted means nothing any more.
    pub(super) fn forget_signals(&mut self) {
        self.active = None;
        self.jobs = 0;
        self.end = End::default();
    }

    /// What is known of its last end, given the run it was.
    pub(super) fn end(&self, invocation: &[u8]) -> End {
        let ours = self.killed.as_deref().is_some_and(|killed| !killed.is_empty() && killed == invocation);
        End { cause: if ours { Some(Cause::Operator) } else { self.end.cause }, job: self.end.job.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end_of(signals: &[&str]) -> Option<Cause> {
        let mut track = Track::default();
        for signal in signals {
            match *signal {
                "job" => track.job_new(),
                "gone" => track.job_removed("done"),
                active => drop(track.changed(active)),
            }
        }
        track.end(b"").cause
    }

    #[test]
    fn signals_tell_who_ended_it() {
        assert_eq!(end_of(&["active", "job", "deactivating", "inactive", "gone"]), Some(Cause::Operator));
        assert_eq!(end_of(&["active", "deactivating", "inactive"]), Some(Cause::Guest));
        assert_eq!(end_of(&["active", "failed"]), Some(Cause::Crash));
        // One that does its work while it starts (Type=oneshot).
        assert_eq!(end_of(&["inactive", "job", "activating", "inactive", "gone"]), Some(Cause::Guest));
        // A restart, and later its own end.
        let restarted =
            ["active", "job", "deactivating", "inactive", "activating", "active", "gone", "inactive"];
        assert_eq!(end_of(&restarted), Some(Cause::Guest));
        assert_eq!(end_of(&["inactive"]), None);
    }

    #[test]
    fn what_we_killed_is_our_doing_and_only_that_run() {
        let mut track = Track { killed: Some(vec![7; 16]), ..Track::default() };
        track.changed("active");
        track.changed("failed");
        assert_eq!(track.end(&[7; 16]).cause, Some(Cause::Operator));
        assert_eq!(track.end(&[8; 16]).cause, Some(Cause::Crash));
    }
}
