//! From a machine's end to our words.

use primrack_model::{Cause, Observation, Power};

use crate::local::Ending;

/// What an end means. `asked` is whether we had told it to end. Its process ends with 0 when its guest powers
/// off, and by abort when its kernel panics (Linux, arch/um/kernel/um_arch.c, `panic_exit`).
pub(super) fn ended(ending: Ending, asked: bool) -> Observation {
    match (ending, asked) {
        (_, true) => Observation::caused(Power::Off, Cause::Operator),
        (Ending::Exit(0), false) => Observation::caused(Power::Off, Cause::Guest),
        (Ending::Exit(code), false) => Observation::caused(Power::Crashed, Cause::Crash)
            .with_detail(format!("its kernel ended with status {code}")),
        (Ending::Signal(6), false) => {
            Observation::caused(Power::Crashed, Cause::Crash).with_detail("its kernel panicked")
        }
        (Ending::Signal(signal), false) => Observation::caused(Power::Crashed, Cause::Crash)
            .with_detail(format!("killed by signal {signal}")),
        (Ending::Unknown, false) => {
            Observation::of(Power::Off).with_detail("ended; how is unknown, an earlier bridge had started it")
        }
    }
}

/// It was on when the bridge was last here.
pub(super) fn ended_unwatched() -> Observation {
    Observation::of(Power::Off).with_detail("ended while no bridge was running")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_nobody_asked_for_is_a_crash_unless_it_was_clean() {
        assert_eq!(ended(Ending::Exit(0), false).cause, Some(Cause::Guest));
        assert_eq!(ended(Ending::Signal(6), false).detail, "its kernel panicked");
        assert_eq!(ended(Ending::Signal(9), false).detail, "killed by signal 9");
        assert_eq!(ended(Ending::Signal(9), true), Observation::caused(Power::Off, Cause::Operator));
    }
}
