//! From QEMU's words to ours.

use primrack_model::{Cause, Observation, Power};
use qapi::qmp::{RunState, ShutdownCause};

use crate::local::Ending;

/// What QEMU said last, before its process ended.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LastWords {
    /// The reason of its SHUTDOWN event.
    pub(super) shutdown: Option<ShutdownCause>,
    /// The guest told that its kernel panicked.
    pub(super) panicked: bool,
}

/// What the run state means, for a machine that was asked nothing.
pub(super) fn running(state: RunState, ready: bool) -> Observation {
    match state {
        RunState::running | RunState::debug => {
            Observation::of(if ready { Power::On } else { Power::Starting })
        }
        RunState::paused | RunState::suspended => Observation::of(Power::Paused),
        RunState::save_vm => Observation::of(Power::Paused).with_detail("a snapshot is being written"),
        RunState::prelaunch | RunState::inmigrate | RunState::restore_vm | RunState::colo => {
            Observation::of(Power::Starting)
        }
        RunState::postmigrate | RunState::finish_migrate | RunState::shutdown => {
            Observation::of(Power::Stopping)
        }
        RunState::io_error => Observation::of(Power::Paused).with_detail("held by QEMU: a disk fails"),
        RunState::guest_panicked => panicked(),
        RunState::internal_error => crashed("QEMU: internal error of the virtual processor"),
        RunState::watchdog => crashed("the guest's watchdog ran out"),
    }
}

/// What the end of QEMU's process means. `asked` is whether we had told it to end.
pub(super) fn ended(ending: Ending, words: LastWords, asked: bool) -> Observation {
    if words.panicked || words.shutdown == Some(ShutdownCause::guest_panic) {
        return panicked();
    }
    match (words.shutdown, asked) {
        (_, true) => Observation::caused(Power::Off, Cause::Operator),
        (Some(ShutdownCause::guest_shutdown | ShutdownCause::guest_reset), false) => {
            Observation::caused(Power::Off, Cause::Guest)
        }
        (Some(ShutdownCause::host_qmp_quit | ShutdownCause::host_ui), false) => {
            Observation::caused(Power::Off, Cause::Operator).with_detail("by QEMU's monitor")
        }
        (Some(ShutdownCause::host_signal), false) => {
            Observation::caused(Power::Off, Cause::Host).with_detail("QEMU was told to end by a signal")
        }
        (Some(ShutdownCause::host_error), false) => crashed("QEMU: an error of the host"),
        (Some(_) | None, false) => match ending {
            Ending::Signal(signal) => crashed(&format!("QEMU was killed by signal {signal}")),
            Ending::Exit(code) => crashed(&format!("QEMU ended with status {code} and without a word")),
            Ending::Unknown => crashed("QEMU ended without a word"),
        },
    }
}

/// It was on when the bridge was last here.
pub(super) fn ended_unwatched() -> Observation {
    Observation::of(Power::Off).with_detail("ended while no bridge was running")
}

pub(super) fn panicked() -> Observation {
    crashed("the guest's kernel panicked")
}

pub(super) fn crashed(words: &str) -> Observation {
    Observation::caused(Power::Crashed, Cause::Crash).with_detail(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(shutdown: ShutdownCause) -> LastWords {
        LastWords { shutdown: Some(shutdown), panicked: false }
    }

    #[test]
    fn the_reason_of_an_end_is_told_apart() {
        let seen = ended(Ending::Exit(0), words(ShutdownCause::guest_shutdown), false);
        assert_eq!((seen.power, seen.cause), (Power::Off, Some(Cause::Guest)));
        let seen = ended(Ending::Exit(0), words(ShutdownCause::host_signal), false);
        assert_eq!((seen.power, seen.cause), (Power::Off, Some(Cause::Host)));
        let seen = ended(Ending::Signal(9), LastWords::default(), false);
        assert_eq!((seen.power, seen.detail.as_str()), (Power::Crashed, "QEMU was killed by signal 9"));
        let seen = ended(Ending::Exit(0), words(ShutdownCause::guest_panic), true);
        assert_eq!(seen.power, Power::Crashed, "a panic while shutting down is still a crash");
        let seen = ended(Ending::Exit(0), words(ShutdownCause::guest_shutdown), true);
        assert_eq!(seen.cause, Some(Cause::Operator));
    }
}
