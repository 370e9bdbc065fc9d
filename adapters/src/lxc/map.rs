//! From LXC's words to ours.
//!
//! Source: lxc-info(1), lxc-ls(1), lxc-monitor(1), and the states of src/lxc/state.c, LXC 5.0.

use std::net::IpAddr;

use primrack_adapter_api::Found;
use primrack_model::{About, Address, Cause, Observation, Power};
use smol_str::SmolStr;

use crate::containers::{TAG, TAGS, head};

/// The most addresses that are shown.
const ADDRESSES: usize = 8;

/// What `lxc-info -H` says of a container.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Info {
    pub(super) state: String,
    /// Nanoseconds of processor time since it began.
    pub(super) cpu: Option<u64>,
    /// Bytes.
    pub(super) memory: u64,
    addresses: Vec<IpAddr>,
}

impl Info {
    /// Reads it. `None` where it tells no state, as half an answer does not.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut info = Self::default();
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match key.trim() {
                "State" => info.state = value.to_owned(),
                "CPU use" => info.cpu = value.parse().ok(),
                "Memory use" => info.memory = value.parse().unwrap_or_default(),
                "IP" if info.addresses.len() < ADDRESSES => info.addresses.extend(value.parse::<IpAddr>()),
                _ => {}
            }
        }
        (!info.state.is_empty()).then_some(info)
    }
    pub(super) fn stopped(&self) -> bool {
        self.state == "STOPPED"
    }
    pub(super) fn frozen(&self) -> bool {
        self.state == "FROZEN"
    }
    pub(super) fn observation(&self, end: Option<End>) -> Observation {
        let addresses = self.addresses.clone();
        let about = (!addresses.is_empty()).then(|| Box::new(About { addresses, ..About::default() }));
        Observation { about, ..observation(&self.state, end) }
    }
}

/// How the last run ended, as far as it was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// We had it end.
    Asked,
    /// With this status. A first process that was killed by a signal ends with 0, too, for all that LXC tells.
    Status(i32),
}

/// What a state means.
pub(super) fn observation(state: &str, end: Option<End>) -> Observation {
    match state {
        "RUNNING" | "THAWED" => Observation::of(Power::On),
        "FREEZING" => Observation::of(Power::On).with_detail("it is being frozen"),
        "FROZEN" => Observation::of(Power::Paused),
        "STARTING" => Observation::of(Power::Starting),
        "STOPPING" | "ABORTING" => Observation::of(Power::Stopping),
        "STOPPED" => match end {
            None => Observation::of(Power::Off),
            Some(End::Asked) => Observation::caused(Power::Off, Cause::Operator),
            Some(End::Status(0)) => {
                Observation::of(Power::Off).with_detail("it ended or was killed; LXC does not tell which")
            }
            Some(End::Status(status)) => Observation::caused(Power::Crashed, Cause::Crash)
                .with_detail(format!("its first process ended with status {status}")),
        },
        other => Observation::unknown(format!("LXC calls it {:?}", head(other, 40))),
    }
}

/// The lines of `lxc-ls -f -F NAME,STATE,GROUPS`: name, state, and the groups with commas between them or a hyphen.
///
/// # Errors
/// Without its first line it is no such list.
pub(super) fn listing(text: &str) -> Result<Vec<Found>, String> {
    let mut lines = text.lines();
    match lines.next().map(|line| line.split_whitespace().collect::<Vec<_>>()) {
        // It says nothing at all where there is no container.
        None => return Ok(Vec::new()),
        Some(words) if words == ["NAME", "STATE", "GROUPS"] => {}
        Some(words) => return Err(format!("it begins with {:?}", head(&words.join(" "), 80))),
    }
    let found = lines.filter_map(|line| {
        let mut words = line.split_whitespace();
        let (name, state) = (words.next()?, words.next()?);
        if !is_name(name) {
            return None;
        }
        let groups = words.next().filter(|groups| *groups != "-").unwrap_or_default();
        let tags: Vec<SmolStr> = groups
            .split(',')
            .filter(|group| !group.is_empty())
            .take(TAGS)
            .map(|group| head(&format!("group={group}"), TAG).into())
            .collect();
        // How it ended is only asked one by one.
        let seen = Some(observation(state, None)).filter(|seen| seen.power != Power::Off);
        Some(Found { tags, seen, ..Found::of(Address(name.into())) })
    });
    Ok(found.collect())
}

/// One line of lxc-monitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    State(String),
    Exited(i32),
}

/// `'web' changed state to [RUNNING]`, `'web' exited with status [0]`.
pub(super) fn event(line: &str) -> Option<(&str, Event)> {
    let (name, rest) = line.strip_prefix('\'')?.split_once("' ")?;
    let event = match rest.strip_suffix(']')?.split_once('[')? {
        ("changed state to ", state) => Event::State(state.to_owned()),
        ("exited with status ", status) => Event::Exited(status.parse().ok()?),
        _ => return None,
    };
    is_name(name).then_some((name, event))
}

/// A name that leads nowhere else in a path and is taken for no option.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && !name.starts_with(['-', '.'])
        && name.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b'\'' | b'"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "Name:           c1\nState:          RUNNING\nPID:            24\n\
                        IP:             10.0.3.7\nCPU use:        2858162\nBlkIO use:      0\nMemory use:     688128\n";

    #[test]
    fn an_answer_is_read_and_half_of_it_is_none() {
        let info = Info::read(INFO).unwrap();
        assert_eq!((info.cpu, info.memory), (Some(2_858_162), 688_128));
        let seen = info.observation(None);
        assert_eq!((seen.power, seen.about.unwrap().addresses.len()), (Power::On, 1));
        assert_eq!(Info::read("Name:           c1\nSta"), None);
    }

    #[test]
    fn an_end_is_told_apart_and_never_guessed() {
        assert_eq!(observation("STOPPED", None), Observation::of(Power::Off));
        assert_eq!(observation("STOPPED", Some(End::Asked)).cause, Some(Cause::Operator));
        let alone = observation("STOPPED", Some(End::Status(0)));
        assert_eq!((alone.power, alone.cause), (Power::Off, None));
        assert_eq!(observation("STOPPED", Some(End::Status(3))).power, Power::Crashed);
        for state in ["", "SNORING"] {
            assert_eq!(observation(state, None).power, Power::Unknown, "{state}");
        }
    }

    #[test]
    fn lists_and_events_are_read_and_nonsense_is_not() {
        let found =
            listing("NAME STATE   GROUPS \nc1   RUNNING a,b    \nc2   STOPPED -      \n../x RUNNING -\n")
                .unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].tags, ["group=a", "group=b"]);
        assert_eq!((found[0].seen.as_ref().unwrap().power, &found[1].seen), (Power::On, &None));
        assert!(listing("").unwrap().is_empty() && listing("command not found\n").is_err());
        assert_eq!(event("'c1' changed state to [FROZEN]"), Some(("c1", Event::State("FROZEN".into()))));
        assert_eq!(event("'c1' exited with status [3]"), Some(("c1", Event::Exited(3))));
        for line in [
            "",
            "'c1",
            "'c1' changed state to [RUN",
            "'a/b' exited with status [3]",
            "'c1' exited with status [x]",
        ] {
            assert_eq!(event(line), None, "{line}");
        }
        assert!(is_name("web.1_a") && !is_name("-n") && !is_name("..") && !is_name("a b"));
    }
}
