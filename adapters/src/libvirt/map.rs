//! From libvirt's words to ours. The numbers are those of `libvirt-domain.h`: virDomainState, the
//! reasons of each state, virDomainEventType and the details of each event.

use primrack_model::{Cause, Observation, Power};

/// States (virDomainState).
pub(super) const RUNNING: i32 = 1;
const BLOCKED: i32 = 2;
const PAUSED: i32 = 3;
const SHUTTING_DOWN: i32 = 4;
pub(super) const SHUTOFF: i32 = 5;
pub(super) const CRASHED: i32 = 6;
pub(super) const PM_SUSPENDED: i32 = 7;

/// Reasons of being off (virDomainShutoffReason).
const OFF_SHUTDOWN: i32 = 1;
const OFF_DESTROYED: i32 = 2;
const OFF_CRASHED: i32 = 3;
const OFF_MIGRATED: i32 = 4;
const OFF_SAVED: i32 = 5;
const OFF_FAILED: i32 = 6;
const OFF_FROM_SNAPSHOT: i32 = 7;

/// Events (virDomainEventType).
pub(super) const EVENT_STARTED: i32 = 2;
pub(super) const EVENT_STOPPED: i32 = 5;
pub(super) const EVENT_SHUTDOWN: i32 = 6;
/// Who began a shutdown (virDomainEventShutdownDetailType): the host, by a signal.
const SHUTDOWN_HOST: i32 = 2;

/// What is known of an end beside its state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// The bridge had asked for it.
    pub(super) asked: bool,
    /// The detail of the last event of a shutdown.
    pub(super) shutdown: Option<i32>,
}

/// Whether something executes or could at once.
pub(super) fn is_active(state: i32) -> bool {
    matches!(state, RUNNING | BLOCKED | PAUSED | SHUTTING_DOWN | PM_SUSPENDED)
}

/// What a state means that is not [`SHUTOFF`], and what one that is means without memory kept.
pub(super) fn observation(state: i32, reason: i32, told: Told) -> Observation {
    match state {
        RUNNING | BLOCKED => match reason {
            9 => crashed("the guest's kernel panicked"),
            10 => Observation::of(Power::On).with_detail("being moved"),
            _ => Observation::of(Power::On),
        },
        PAUSED => paused(reason),
        SHUTTING_DOWN => Observation::of(Power::Stopping),
        SHUTOFF => off(reason, told),
        CRASHED => crashed("the guest's kernel panicked"),
        PM_SUSPENDED => Observation::caused(Power::Paused, Cause::Guest).with_detail("sleeps"),
        0 => Observation::unknown("the hypervisor names no state"),
        other => Observation::unknown(format!("the hypervisor names state {other}, which nobody knows")),
    }
}

/// virDomainPausedReason.
fn paused(reason: i32) -> Observation {
    let seen = Observation::of(Power::Paused);
    match reason {
        1 => Observation::caused(Power::Paused, Cause::Operator),
        2 | 12 => seen.with_detail("being moved"),
        3 => Observation::of(Power::Stopping).with_detail("its memory is being written"),
        4 => seen.with_detail("its memory is being dumped"),
        5 => Observation::caused(Power::Paused, Cause::Host).with_detail("held: a disk fails"),
        6 => seen.with_detail("held: its watchdog ran out"),
        8 => Observation::of(Power::Stopping),
        9 => seen.with_detail("a snapshot is being taken"),
        10 => crashed("the guest's kernel panicked"),
        11 => Observation::of(Power::Starting),
        13 => Observation::caused(Power::Paused, Cause::Crash).with_detail("moving it failed half-way"),
        14 => seen.with_detail("held: the host could not go on"),
        _ => seen,
    }
}

fn off(reason: i32, told: Told) -> Observation {
    match reason {
        OFF_SHUTDOWN if told.asked => Observation::caused(Power::Off, Cause::Operator),
        OFF_SHUTDOWN if told.shutdown == Some(SHUTDOWN_HOST) => {
            Observation::caused(Power::Off, Cause::Host).with_detail("ended by a signal on its host")
        }
        OFF_SHUTDOWN => Observation::caused(Power::Off, Cause::Guest),
        OFF_DESTROYED => Observation::caused(Power::Off, Cause::Operator),
        OFF_CRASHED => crashed("it ended without a word"),
        OFF_MIGRATED => Observation::caused(Power::Off, Cause::Operator).with_detail("moved to another host"),
        // Its memory was kept once, and is not any more.
        OFF_SAVED => Observation::of(Power::Off),
        OFF_FAILED => Observation::caused(Power::Off, Cause::Host).with_detail("it could not be started"),
        OFF_FROM_SNAPSHOT => {
            Observation::caused(Power::Off, Cause::Operator).with_detail("as in its snapshot")
        }
        _ => Observation::of(Power::Off),
    }
}

fn crashed(words: &str) -> Observation {
    Observation::caused(Power::Crashed, Cause::Crash).with_detail(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_an_end_is_told_apart() {
        let cause = |reason, asked, shutdown| {
            let seen = observation(SHUTOFF, reason, Told { asked, shutdown });
            (seen.power, seen.cause)
        };
        assert_eq!(cause(OFF_SHUTDOWN, false, Some(1)), (Power::Off, Some(Cause::Guest)));
        assert_eq!(cause(OFF_SHUTDOWN, false, Some(2)), (Power::Off, Some(Cause::Host)));
        assert_eq!(cause(OFF_SHUTDOWN, true, Some(1)), (Power::Off, Some(Cause::Operator)));
        assert_eq!(cause(OFF_CRASHED, true, None), (Power::Crashed, Some(Cause::Crash)));
        assert_eq!(cause(0, false, None), (Power::Off, None));
    }

    #[test]
    fn a_state_that_nobody_knows_is_unknown() {
        for state in [0, 8, -1, i32::MAX] {
            assert_eq!(observation(state, 0, Told::default()).power, Power::Unknown);
        }
    }
}
