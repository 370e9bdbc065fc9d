//! What a group shows: computed from its members, never guessed. Pure.

use primrack_model::{Power, UnixMs};
use smol_str::SmolStr;

/// What is known of one member.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    /// What people call it.
    pub(crate) label: SmolStr,
    /// What it shows.
    pub(crate) power: Power,
    /// What it shows is old.
    pub(crate) stale: bool,
    /// It was observed at least once.
    pub(crate) ever: bool,
    /// Its check has said so, or it needs none.
    pub(crate) ready: bool,
}

/// What is known of all together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Whole {
    /// On when all are On and ready, Off when all are Off, and so on; Unknown when they differ.
    pub(crate) power: Power,
    /// At least one does not answer, so what is said of all is old.
    pub(crate) stale: bool,
    /// What people should know beyond that.
    pub(crate) words: SmolStr,
}

/// Names for people: the first few.
pub(crate) fn names<'a>(labels: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 3;
    let all: Vec<&str> = labels.collect();
    let mut text = all.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if all.len() > SHOWN {
        text += &format!(" and {} more", all.len() - SHOWN);
    }
    text
}

impl Whole {
    pub(crate) fn of(parts: &[Part]) -> Self {
        let all = |fits: &dyn Fn(&Part) -> bool| parts.iter().all(fits);
        let any = |fits: &dyn Fn(&Part) -> bool| parts.iter().any(fits);
        let those = |fits: &dyn Fn(&Part) -> bool| {
            names(parts.iter().filter(|part| fits(part)).map(|part| part.label.as_str()))
        };
        let is = |power: Power| move |part: &Part| part.power == power;
        let serves = |part: &Part| part.power == Power::On && part.ready;
        let comes = |part: &Part| matches!(part.power, Power::On | Power::Starting);
        let goes = |part: &Part| matches!(part.power, Power::Off | Power::Stopping);
        let lies = |part: &Part| matches!(part.power, Power::Off | Power::Crashed);
        let power = if all(&serves) {
            Power::On
        } else if all(&is(Power::Off)) {
            Power::Off
        } else if all(&is(Power::Paused)) {
            Power::Paused
        } else if all(&is(Power::Saved)) {
            Power::Saved
        } else if all(&comes) {
            Power::Starting
        } else if all(&goes) && any(&is(Power::Stopping)) {
            Power::Stopping
        } else if all(&lies) {
            Power::Crashed
        } else {
            Power::Unknown
        };
        let stale = any(&|part| part.stale || part.power == Power::Unknown && !part.ever);
        let on = parts.iter().filter(|part| part.power == Power::On).count();
        let mut words = match power {
            Power::On | Power::Off | Power::Paused | Power::Saved => String::new(),
            _ => format!("{on} of {} on", parts.len()),
        };
        let mut add = |what: &str, fits: &dyn Fn(&Part) -> bool| {
            if any(fits) {
                let dot = if words.is_empty() { "" } else { "; " };
                words += &format!("{dot}{what}{}", those(fits));
            }
        };
        add("no answer from ", &|part| part.stale && part.ever);
        add("nothing known yet of ", &|part| !part.ever);
        add("crashed: ", &is(Power::Crashed));
        add("not ready: ", &|part| part.power == Power::On && !part.ready && !part.stale);
        Self { power, stale, words: words.into() }
    }
}

/// The oldest of some times: what is said of all is as old as the oldest word.
pub(crate) fn oldest(seen: impl Iterator<Item = UnixMs>) -> UnixMs {
    seen.min().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(label: &str, power: Power) -> Part {
        Part { label: label.into(), power, stale: false, ever: true, ready: true }
    }
    fn shown(parts: &[Part]) -> (Power, bool, String) {
        let Whole { power, stale, words } = Whole::of(parts);
        (power, stale, words.to_string())
    }

    #[test]
    fn all_or_nothing_has_a_word_and_what_differs_is_counted() {
        use Power as P;
        let two = |a, b| shown(&[part("a", a), part("b", b)]);
        assert_eq!(two(P::On, P::On), (P::On, false, String::new()));
        assert_eq!(two(P::Off, P::Off), (P::Off, false, String::new()));
        assert_eq!(two(P::On, P::Off), (P::Unknown, false, "1 of 2 on".into()));
        assert_eq!(two(P::On, P::Starting), (P::Starting, false, "1 of 2 on".into()));
        assert_eq!(two(P::Off, P::Stopping), (P::Stopping, false, "0 of 2 on".into()));
        assert_eq!(two(P::Off, P::Crashed), (P::Crashed, false, "0 of 2 on; crashed: b".into()));
        assert_eq!(two(P::On, P::Crashed), (P::Unknown, false, "1 of 2 on; crashed: b".into()));
        let waiting = Part { ready: false, ..part("b", P::On) };
        assert_eq!(
            shown(&[part("a", P::On), waiting]),
            (P::Starting, false, "2 of 2 on; not ready: b".into())
        );
        let old = Part { stale: true, ..part("b", P::On) };
        assert_eq!(shown(&[part("a", P::On), old]), (P::On, true, "no answer from b".into()));
    }

    proptest! {
        #[test]
        fn on_is_never_said_of_a_group_with_one_that_is_not(
            parts in proptest::collection::vec((0usize..Power::ALL.len(), any::<bool>(), any::<bool>()), 1..9)
        ) {
            let parts: Vec<Part> = parts
                .into_iter()
                .map(|(at, ready, stale)| Part { ready, stale, ..part("x", Power::ALL[at]) })
                .collect();
            let whole = Whole::of(&parts);
            prop_assert_eq!(
                whole.power == Power::On,
                parts.iter().all(|part| part.power == Power::On && part.ready)
            );
            prop_assert_eq!(whole.power == Power::Off, parts.iter().all(|part| part.power == Power::Off));
            prop_assert_eq!(whole.stale, parts.iter().any(|part| part.stale));
        }
    }
}
