//! What things are called by their kind: a lamp is switched on, a door is opened, an alarm is
//! acknowledged. States and actions are the same for all; only the words differ.

use crate::{Action, Power, TargetKind};

impl TargetKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Machine, Self::Output, Self::Door, Self::Alarm, Self::Group];

    /// The token in configuration and policy.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::Output => "output",
            Self::Door => "door",
            Self::Alarm => "alarm",
            Self::Group => "group",
        }
    }
    /// The label of a menu button for a target of this kind: at most 24 bytes, as [`Action::label`].
    #[must_use]
    pub fn label(self, action: Action) -> &'static str {
        match (self, action) {
            (Self::Output, Action::Start) => "Switch on",
            (Self::Output, Action::SoftOff) => "Switch off",
            (Self::Door, Action::Start) => "Open",
            (Self::Door, Action::SoftOff) => "Close",
            (Self::Alarm, Action::Start) => "Raise",
            (Self::Alarm, Action::Pause) => "Acknowledge",
            _ => action.label(),
        }
    }
    /// The verb in a sentence to a person: "Opening Front door", as [`Action::doing`].
    #[must_use]
    pub fn doing(self, action: Action) -> &'static str {
        match (self, action) {
            (Self::Output, Action::Start) => "Switching on",
            (Self::Output, Action::SoftOff) => "Switching off",
            (Self::Door, Action::Start) => "Opening",
            (Self::Door, Action::SoftOff) => "Closing",
            (Self::Alarm, Action::Start) => "Raising",
            (Self::Alarm, Action::Pause) => "Acknowledging",
            _ => action.doing(),
        }
    }
    /// The word for a state of a target of this kind, as [`Power::word`].
    #[must_use]
    pub fn word(self, power: Power) -> &'static str {
        match (self, power) {
            (Self::Output, Power::Starting) => "Switching on",
            (Self::Output, Power::Stopping) => "Switching off",
            (Self::Door, Power::On) => "Open",
            (Self::Door, Power::Off) => "Closed",
            (Self::Door, Power::Starting) => "Opening",
            (Self::Door, Power::Stopping) => "Closing",
            (Self::Alarm, Power::On | Power::Starting) => "Sounding",
            (Self::Alarm, Power::Paused) => "Acknowledged",
            (Self::Alarm, Power::Off | Power::Stopping) => "Quiet",
            _ => power.word(),
        }
    }
    /// What an action on a group is to a member of this kind. A lamp or a door has no plug to pull: switching
    /// it off is all there is.
    #[must_use]
    pub fn within_group(self, action: Action) -> Action {
        match (self, action) {
            (Self::Output | Self::Door, Action::HardOff) => Action::SoftOff,
            (_, action) => action,
        }
    }
    /// What a touch without a menu asks for: on when off, off when on. A sounding alarm is acknowledged; a
    /// quiet one is not raised by a touch.
    #[must_use]
    pub fn toggle(self, power: Power) -> Action {
        match (self, power) {
            (Self::Alarm, _) => Action::Pause,
            (_, Power::Off | Power::Crashed | Power::Starting | Power::Unknown) => Action::Start,
            (_, Power::On | Power::Stopping) => Action::SoftOff,
            (_, Power::Paused) => Action::Resume,
            (_, Power::Saved) => Action::Restore,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_own_words_and_machines_keep_theirs() {
        assert_eq!(TargetKind::Output.label(Action::Start), "Switch on");
        assert_eq!(TargetKind::Door.label(Action::SoftOff), "Close");
        assert_eq!(TargetKind::Door.word(Power::Off), "Closed");
        assert_eq!(TargetKind::Alarm.label(Action::Pause), "Acknowledge");
        assert_eq!(
            [Power::On, Power::Paused, Power::Off].map(|power| TargetKind::Alarm.word(power)),
            ["Sounding", "Acknowledged", "Quiet"]
        );
        for action in Action::ALL {
            assert_eq!(TargetKind::Machine.label(action), action.label());
            assert_eq!(TargetKind::Machine.doing(action), action.doing());
        }
    }

    #[test]
    fn a_button_of_any_kind_fits_and_is_found_again_by_its_label() {
        for kind in TargetKind::ALL {
            for action in Action::ALL {
                assert!(kind.label(action).len() <= 24);
                let alike = Action::ALL.into_iter().filter(|other| kind.label(*other) == kind.label(action));
                assert_eq!(alike.count(), 1, "{kind:?} {action}");
            }
        }
    }

    #[test]
    fn a_touch_without_a_menu_turns_things_over_and_only_ever_acknowledges_an_alarm() {
        assert_eq!(TargetKind::Door.toggle(Power::Off), Action::Start);
        assert_eq!(TargetKind::Door.toggle(Power::On), Action::SoftOff);
        assert!(Power::ALL.iter().all(|power| TargetKind::Alarm.toggle(*power) == Action::Pause));
    }

    #[test]
    fn what_is_not_known_is_called_the_same_everywhere() {
        for kind in TargetKind::ALL {
            assert_eq!(kind.word(Power::Unknown), "Unknown");
        }
    }
}
