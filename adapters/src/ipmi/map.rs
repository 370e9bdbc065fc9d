//! IPMI's words and ours (IPMI 2.0, 28.2 "Get Chassis Status", 28.3 "Chassis Control").

use ipmi::{ChassisControl, ChassisStatus, Error};
use primrack_adapter_api::AdapterError;
use primrack_model::{About, Action, Observation, Power};

/// What a chassis says of itself.
pub(super) fn observation(status: &ChassisStatus) -> Observation {
    let mut seen = Observation::of(if status.system_power_on { Power::On } else { Power::Off });
    let last = &status.last_power_event;
    if !status.system_power_on && last.ac_failed {
        seen = seen.with_detail("its mains failed");
    } else if !status.system_power_on && (last.power_fault || last.power_overload) {
        seen = seen.with_detail("its power failed");
    }
    let faults = [
        (status.main_power_fault, "power fault"),
        (status.power_overload, "power overload"),
        (status.power_control_fault, "power control fault"),
        (status.cooling_fan_fault, "fan fault"),
        (status.drive_fault, "drive fault"),
        (status.chassis_intrusion, "chassis open"),
    ];
    let words: Vec<_> = faults.iter().filter(|(is, _)| *is).map(|(_, words)| *words).collect();
    if !words.is_empty() {
        let health = words.join(", ").into();
        seen.about = Some(Box::new(About { health, ..About::default() }));
    }
    seen
}

/// What is sent for an action.
pub(super) fn control(action: Action) -> Option<ChassisControl> {
    match action {
        Action::Start => Some(ChassisControl::PowerUp),
        Action::SoftOff | Action::Reboot => Some(ChassisControl::AcpiSoft),
        Action::HardOff => Some(ChassisControl::PowerDown),
        Action::Reset => Some(ChassisControl::HardReset),
        _ => None,
    }
}

/// What is to be done about an error of the protocol.
pub(super) fn wrong(error: &Error) -> AdapterError {
    match error {
        Error::Timeout => AdapterError::Unreachable("the BMC does not answer".to_owned()),
        Error::CompletionCode { completion_code: 0xd4 } => AdapterError::Credentials(
            "the account may not do that: give it the privilege Operator or Administrator on the BMC"
                .to_owned(),
        ),
        Error::CompletionCode { completion_code: 0xc1 } => {
            AdapterError::NotSupported("this BMC has no such command".to_owned())
        }
        Error::CompletionCode { completion_code: 0xc0 } => {
            AdapterError::Refused("the BMC is busy".to_owned())
        }
        Error::CompletionCode { completion_code } => {
            AdapterError::Refused(format!("the BMC refused, with completion code {completion_code:#04x}"))
        }
        Error::Io(why) => AdapterError::Unreachable(format!("the BMC is not reached: {why}")),
        other => AdapterError::Unreachable(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sorted_by_what_is_to_be_done() {
        let code = |completion_code| wrong(&Error::CompletionCode { completion_code });
        assert!(matches!(code(0xd4), AdapterError::Credentials(_)));
        assert!(matches!(code(0xc1), AdapterError::NotSupported(_)));
        assert!(matches!(code(0xd5), AdapterError::Refused(words) if words.contains("0xd5")));
        assert!(matches!(wrong(&Error::Timeout), AdapterError::Unreachable(_)));
        assert_eq!(control(Action::Pause), None);
    }
}
