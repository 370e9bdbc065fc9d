//! From systemd's words to ours (systemd.unit(5), systemd.service(5), org.freedesktop.systemd1(5)).

use primrack_model::{Cause, Observation, Power};

/// What a unit says of itself at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// `LoadState`: loaded, not-found, bad-setting, error, masked.
    pub(super) load: String,
    /// `ActiveState`.
    pub(super) active: String,
    /// `SubState`, different for each kind.
    pub(super) sub: String,
    /// `FreezerState`; empty before systemd 246.
    pub(super) freezer: String,
    /// `Result` of its last run; empty for kinds that have none.
    pub(super) result: String,
    /// `ExecMainCode`: 1 exited, 2 killed, 3 dumped core (the CLD_ numbers of waitid(2)).
    pub(super) code: i32,
    /// `ExecMainStatus`: exit status or signal.
    pub(super) status: i32,
    /// Its conditions were looked at and did not hold.
    pub(super) condition_failed: bool,
}

/// What is known of an end from having watched it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct End {
    /// Who ended it.
    pub(super) cause: Option<Cause>,
    /// What became of the last job, where that was not what it was for.
    pub(super) job: Option<String>,
}

/// What a unit's words mean.
pub(super) fn observation(facts: &Facts, end: &End) -> Observation {
    if matches!(facts.freezer.as_str(), "frozen" | "frozen-by-parent") && facts.active == "active" {
        return Observation::of(Power::Paused);
    }
    match facts.active.as_str() {
        "active" | "reloading" | "refreshing" | "maintenance" => Observation::of(Power::On),
        "activating" if facts.sub.starts_with("auto-restart") => {
            Observation::of(Power::Starting).with_detail(format!("starts again after: {}", ending(facts)))
        }
        "activating" => Observation::of(Power::Starting),
        "deactivating" => Observation::of(Power::Stopping),
        "inactive" => off(facts, end),
        "failed" => failed(facts, end),
        other => Observation::unknown(format!("systemd says {other:?}, which this adapter does not know")),
    }
}

fn off(facts: &Facts, end: &End) -> Observation {
    let mut seen = Observation { cause: end.cause, ..Observation::of(Power::Off) };
    match (facts.load.as_str(), &end.job) {
        ("masked", _) => seen = seen.with_detail("masked: it cannot be started"),
        ("loaded" | "", Some(job)) => seen = seen.with_detail(format!("its last job: {job}")),
        ("loaded" | "", None) if facts.condition_failed => {
            seen = seen.with_detail("not started: its conditions do not hold");
        }
        ("loaded" | "", None) => {}
        (load, _) => seen = seen.with_detail(format!("its unit file cannot be used: {load}")),
    }
    seen
}

fn failed(facts: &Facts, end: &End) -> Observation {
    let words = ending(facts);
    // Ended while a stop was under way: it was told to end, however it took that.
    if end.cause == Some(Cause::Operator) {
        return Observation::caused(Power::Off, Cause::Operator).with_detail(words);
    }
    let cause = if facts.result == "oom-kill" { Cause::Host } else { Cause::Crash };
    Observation::caused(Power::Crashed, cause).with_detail(words)
}

/// How the last run ended.
fn ending(facts: &Facts) -> String {
    match facts.result.as_str() {
        "exit-code" => format!("exit status {}", facts.status),
        "signal" if facts.code == 2 => format!("killed by signal {}", facts.status),
        "core-dump" => format!("killed by signal {}, core dumped", facts.status),
        "oom-kill" => "killed by its host for want of memory".to_owned(),
        "timeout" => "did not do it within its time-out, and was killed".to_owned(),
        "watchdog" => "its watchdog heard nothing".to_owned(),
        "start-limit-hit" => "started too often".to_owned(),
        "" => "failed".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(active: &str, result: &str, code: i32, status: i32) -> Facts {
        Facts {
            load: "loaded".into(),
            active: active.into(),
            result: result.into(),
            code,
            status,
            ..Facts::default()
        }
    }

    #[test]
    fn an_end_is_told_with_its_cause() {
        let nobody = End::default();
        let operator = End { cause: Some(Cause::Operator), job: None };
        let seen = observation(&facts("failed", "exit-code", 1, 3), &nobody);
        assert_eq!(
            (seen.power, seen.cause, seen.detail.as_str()),
            (Power::Crashed, Some(Cause::Crash), "exit status 3")
        );
        let seen = observation(&facts("failed", "oom-kill", 2, 9), &nobody);
        assert_eq!((seen.power, seen.cause), (Power::Crashed, Some(Cause::Host)));
        // Killed because it did not end when told, and told to by an operator.
        let seen = observation(&facts("failed", "timeout", 2, 9), &operator);
        assert_eq!((seen.power, seen.cause), (Power::Off, Some(Cause::Operator)));
        assert_eq!(observation(&facts("inactive", "success", 1, 0), &nobody), Observation::of(Power::Off));
    }

    #[test]
    fn a_frozen_unit_is_paused_and_an_unknown_word_is_unknown() {
        let frozen = Facts { freezer: "frozen".into(), ..facts("active", "success", 0, 0) };
        assert_eq!(observation(&frozen, &End::default()).power, Power::Paused);
        assert_eq!(observation(&facts("sleeping", "", 0, 0), &End::default()).power, Power::Unknown);
        let masked = Facts { load: "masked".into(), ..facts("inactive", "", 0, 0) };
        assert!(observation(&masked, &End::default()).detail.contains("masked"));
    }
}
