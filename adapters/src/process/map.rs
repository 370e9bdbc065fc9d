//! From a process's words to ours.

use primrack_model::{Cause, Observation, Power};

use crate::local::Ending;

/// What an end means. `asked` is whether we had told it to end.
pub(super) fn ended(ending: Ending, asked: bool) -> Observation {
    match (ending, asked) {
        (_, true) => Observation::caused(Power::Off, Cause::Operator),
        (Ending::Exit(0), false) => Observation::caused(Power::Off, Cause::Guest),
        (Ending::Exit(code), false) => {
            Observation::caused(Power::Crashed, Cause::Crash).with_detail(format!("exit status {code}"))
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
        assert_eq!(ended(Ending::Exit(0), false).power, Power::Off);
        assert_eq!(ended(Ending::Exit(3), false).detail, "exit status 3");
        assert_eq!(ended(Ending::Signal(9), false).detail, "killed by signal 9");
        assert_eq!(ended(Ending::Signal(9), true), Observation::caused(Power::Off, Cause::Operator));
        assert_eq!(ended(Ending::Unknown, false).power, Power::Off);
    }
}
