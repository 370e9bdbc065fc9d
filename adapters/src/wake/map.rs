//! From what a check saw to our words.

use std::io::ErrorKind;

use primrack_model::{Observation, Power};

/// What a try to connect says of the machine. A refused connection is an answer, too: its system is up.
/// No answer is none: it may be off, or cut off, or keep silent.
pub(super) fn tried(tried: Result<(), ErrorKind>) -> Observation {
    match tried {
        Ok(()) => Observation::of(Power::On),
        Err(ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset) => {
            Observation::of(Power::Starting).with_detail("its network answers, its service does not")
        }
        Err(ErrorKind::TimedOut | ErrorKind::HostUnreachable) => Observation::of(Power::Off)
            .with_detail("nobody answers at its address: off, or not to be reached"),
        Err(other) => Observation::unknown(format!("the check could not be made: {other}")),
    }
}

/// Without a check nobody can say, before a packet was sent and after.
pub(super) fn unchecked(sent: bool) -> Observation {
    Observation::unknown(if sent { "sent, nothing checks" } else { "nothing checks: no check is configured" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_is_on() {
        assert_eq!(tried(Ok(())).power, Power::On);
        assert_eq!(tried(Err(ErrorKind::ConnectionRefused)).power, Power::Starting);
        assert_eq!(tried(Err(ErrorKind::TimedOut)).power, Power::Off);
        // Our own network is down: that says nothing about the machine.
        assert_eq!(tried(Err(ErrorKind::NetworkUnreachable)).power, Power::Unknown);
        for sent in [false, true] {
            assert_eq!(unchecked(sent).power, Power::Unknown);
        }
    }
}
