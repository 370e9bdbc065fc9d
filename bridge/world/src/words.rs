//! What people in the world read. The bridge words everything; scripts only show it.

use primrack_model::{Action, Outcome, Power, Receipt, TargetEntry, TargetKind, TargetState, UnixMs};
use primrack_wire::world::{UnitState, clip};
use smol_str::SmolStr;

/// Bytes of a sentence to one person.
pub(crate) const SAY: usize = 255;
const LABEL: usize = 48;
const NOTE: usize = 80;

/// What a unit shows of its target.
pub(crate) fn unit(
    unit: u8,
    target: &TargetEntry,
    state: &TargetState,
    simulated: bool,
    now: UnixMs,
) -> UnitState {
    let never = state.seen == UnixMs(0);
    let power = if never { Power::Unknown } else { state.power };
    let group = target.kind == TargetKind::Group;
    let note =
        if let Some(transition) = state.transition.as_ref().filter(|_| !group || state.detail.is_empty()) {
            format!("{}, for {}", target.kind.label(transition.action), transition.by)
        } else if state.stale && !never {
            format!("last word {} ago", age(state.seen, now))
        } else if state.detail.is_empty() {
            state.cause.map_or_else(String::new, |cause| cause.words().to_owned())
        } else {
            state.detail.to_string()
        };
    UnitState {
        u: unit,
        s: SmolStr::new_static(power.token()),
        l: SmolStr::new(clip(&target.label, LABEL)),
        w: SmolStr::new_static(if never { target.kind.word(power) } else { state.word(target.kind) }),
        n: SmolStr::new(clip(&note, NOTE)),
        o: state.stale,
        m: simulated,
    }
}

/// What a unit shows that showed something earlier and shows nothing now.
pub(crate) fn blank(unit: u8) -> UnitState {
    UnitState {
        u: unit,
        s: SmolStr::new_static(Power::Unknown.token()),
        l: SmolStr::default(),
        w: SmolStr::default(),
        n: SmolStr::default(),
        o: false,
        m: false,
    }
}

fn age(seen: UnixMs, now: UnixMs) -> String {
    match seen.age_at(now).as_secs() {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7200 => format!("{} min", s / 60),
        s => format!("{} h", s / 3600),
    }
}

/// The question above a menu.
pub(crate) fn menu(target: &TargetEntry, state: &TargetState) -> String {
    let now = match &state.transition {
        Some(transition) => {
            format!("{} for {}", target.kind.doing(transition.action).to_lowercase(), transition.by)
        }
        None if state.detail.is_empty() => state.word(target.kind).to_lowercase(),
        None => format!("{} ({})", state.word(target.kind).to_lowercase(), state.detail),
    };
    clip(&format!("{} is {now}. What now?", target.label), SAY)
}

/// The question before something is lost.
pub(crate) fn confirm(target: &TargetEntry, action: Action) -> String {
    clip(&format!("{} {}? Unsaved work in it is lost.", target.kind.label(action), target.label), SAY)
}

/// A receipt as a sentence.
pub(crate) fn receipt(receipt: &Receipt) -> String {
    clip(&receipt.words, SAY)
}

/// What the asker hears when it did not work; success shows on the unit.
pub(crate) fn ended(target: &TargetEntry, action: Action, outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Done => None,
        Outcome::Failed(why) => {
            Some(clip(&format!("{}: {} failed: {why}", target.label, target.kind.label(action)), SAY))
        }
        Outcome::Unknown(why) => Some(clip(
            &format!("{}: nobody can say whether {} worked: {why}", target.label, target.kind.label(action)),
            SAY,
        )),
    }
}

#[cfg(test)]
mod tests {
    use primrack_model::{Address, BackendId, TargetId};

    use super::*;

    fn target(kind: TargetKind) -> TargetEntry {
        TargetEntry {
            id: TargetId::new("front-door").unwrap(),
            label: "Front door".into(),
            kind,
            backend: BackendId::new("gate").unwrap(),
            address: Address("front-door".into()),
            protected: false,
            groups: Vec::new(),
        }
    }

    #[test]
    fn a_unit_and_its_menu_speak_of_a_door_as_of_a_door() {
        let state = TargetState { power: Power::On, seen: UnixMs(1), ..TargetState::default() };
        let shown = unit(0, &target(TargetKind::Door), &state, false, UnixMs(2));
        assert_eq!((shown.w.as_str(), shown.s.as_str()), ("Open", "on"));
        assert_eq!(menu(&target(TargetKind::Door), &state), "Front door is open. What now?");
        assert_eq!(menu(&target(TargetKind::Alarm), &state), "Front door is sounding. What now?");
        let failed =
            ended(&target(TargetKind::Output), Action::SoftOff, &Outcome::Failed("no answer".into()));
        assert_eq!(failed.unwrap(), "Front door: Switch off failed: no answer");
    }
}
