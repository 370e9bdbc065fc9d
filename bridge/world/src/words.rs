//! What people in the world read. The bridge words everything; scripts only show it.

use primrack_model::{Action, Outcome, Power, Receipt, TargetEntry, TargetState, UnixMs};
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
    let note = if let Some(transition) = &state.transition {
        format!("{}, for {}", transition.action.label(), transition.by)
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
        w: SmolStr::new_static(power.word()),
        n: SmolStr::new(clip(&note, NOTE)),
        o: state.stale,
        m: simulated,
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
        Some(transition) => format!("{} for {}", transition.action.doing().to_lowercase(), transition.by),
        None if state.detail.is_empty() => state.power.word().to_lowercase(),
        None => format!("{} ({})", state.power.word().to_lowercase(), state.detail),
    };
    clip(&format!("{} is {now}. What now?", target.label), SAY)
}

/// The question before something is lost.
pub(crate) fn confirm(target: &TargetEntry, action: Action) -> String {
    clip(&format!("{} {}? Unsaved work in it is lost.", action.label(), target.label), SAY)
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
            Some(clip(&format!("{}: {} failed: {why}", target.label, action.label()), SAY))
        }
        Outcome::Unknown(why) => Some(clip(
            &format!("{}: nobody can say whether {} worked: {why}", target.label, action.label()),
            SAY,
        )),
    }
}
