//! From LXD's words to ours.
//!
//! Source: LXD's REST API 1.0, `InstanceState`, `Instance`, `StatusCode` and the lifecycle events.

use std::collections::HashMap;
use std::net::IpAddr;

use primrack_adapter_api::Found;
use primrack_model::{About, Address, Cause, Observation, Power};
use serde::Deserialize;
use smol_str::SmolStr;

use crate::containers::{TAG, TAGS, head};

/// The most addresses that are shown.
const ADDRESSES: usize = 8;

/// What is read of an instance's state.
#[derive(Debug, Deserialize)]
pub(super) struct State {
    #[serde(default)]
    status: String,
    status_code: u16,
    #[serde(default)]
    cpu: Usage,
    #[serde(default)]
    memory: Usage,
    #[serde(default)]
    network: Option<HashMap<String, Network>>,
}

#[derive(Debug, Default, Deserialize)]
struct Usage {
    #[serde(default)]
    usage: i64,
}

#[derive(Debug, Deserialize)]
struct Network {
    #[serde(default)]
    addresses: Option<Vec<NetworkAddress>>,
}

#[derive(Debug, Deserialize)]
struct NetworkAddress {
    #[serde(default)]
    address: String,
    #[serde(default)]
    scope: String,
}

/// One line of the listing.
#[derive(Debug, Deserialize)]
pub(super) struct Instance {
    pub(super) name: String,
    #[serde(default)]
    config: Option<HashMap<String, String>>,
    #[serde(default)]
    location: String,
    #[serde(default)]
    profiles: Option<Vec<String>>,
    #[serde(default, rename = "type")]
    kind: String,
}

/// One snapshot.
#[derive(Debug, Deserialize)]
pub(super) struct Snapshot {
    pub(super) name: String,
}

impl State {
    pub(super) fn stopped(&self) -> bool {
        self.status_code == 102
    }
    pub(super) fn frozen(&self) -> bool {
        self.status_code == 110
    }
    /// Nanoseconds of processor time since it began; negative where nobody counts.
    pub(super) fn cpu(&self) -> Option<u64> {
        u64::try_from(self.cpu.usage).ok()
    }
    /// Bytes.
    pub(super) fn memory(&self) -> u64 {
        u64::try_from(self.memory.usage).unwrap_or(0)
    }
    fn about(&self) -> Option<Box<About>> {
        let networks = self.network.as_ref().into_iter().flat_map(HashMap::values);
        let mut addresses: Vec<IpAddr> = networks
            .filter_map(|network| network.addresses.as_ref())
            .flatten()
            .filter(|address| address.scope == "global")
            .filter_map(|address| address.address.parse().ok())
            .collect();
        addresses.sort_unstable();
        addresses.truncate(ADDRESSES);
        (!addresses.is_empty()).then(|| Box::new(About { addresses, ..About::default() }))
    }
}

/// How the last run ended, as far as it was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Somebody had the daemon end it.
    Asked,
    /// Nobody did.
    ByItself,
}

/// What a state means.
pub(super) fn observation(state: &State, end: Option<End>) -> Observation {
    let said = match state.status_code {
        103 | 111 | 113 => Observation::of(Power::On),
        109 => Observation::of(Power::On).with_detail("it is being frozen"),
        106 => Observation::of(Power::Starting),
        107 | 108 => Observation::of(Power::Stopping),
        110 => Observation::of(Power::Paused),
        102 => match end {
            Some(End::Asked) => Observation::caused(Power::Off, Cause::Operator),
            Some(End::ByItself) => {
                Observation::of(Power::Off).with_detail("it ended or was killed; LXD does not tell which")
            }
            None => Observation::of(Power::Off),
        },
        _ => Observation::unknown(format!("the daemon calls it {:?}", head(&state.status, 40))),
    };
    Observation { about: state.about(), ..said }
}

impl Instance {
    /// As it is listed.
    pub(super) fn found(self) -> Found {
        let mut tags: Vec<SmolStr> = Vec::new();
        let mut tag = |text: &str| {
            if tags.len() < TAGS {
                tags.push(head(text, TAG).into());
            }
        };
        if !self.kind.is_empty() {
            tag(&format!("type={}", self.kind));
        }
        for profile in self.profiles.unwrap_or_default() {
            tag(&format!("profile={profile}"));
        }
        // What its owner wrote there, and what its image is.
        let mut pairs: Vec<_> = self
            .config
            .unwrap_or_default()
            .into_iter()
            .filter_map(|(key, value)| match key.strip_prefix("user.") {
                // Scripts of cloud-init are no labels.
                Some(own) => {
                    (!own.contains("data") && !own.contains("config")).then(|| format!("{own}={value}"))
                }
                None => (key == "image.os").then(|| format!("os={value}")),
            })
            .collect();
        pairs.sort_unstable();
        for pair in pairs {
            tag(&pair);
        }
        // A server that is in no cluster calls its own place "none".
        let host = if self.location == "none" { SmolStr::default() } else { self.location.into() };
        Found { tags, host, ..Found::of(Address(self.name.into())) }
    }
}

/// An instance's name as LXD allows it: nothing that leads elsewhere in a path.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.len() <= 63
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// A project's name that needs no escaping in a query.
pub(super) fn is_project(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.len() <= 63
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(code: u16) -> State {
        serde_json::from_str(&format!(r#"{{"status":"Odd","status_code":{code},"network":null}}"#)).unwrap()
    }

    #[test]
    fn an_end_is_told_apart_and_never_guessed() {
        assert_eq!(observation(&state(102), Some(End::Asked)).cause, Some(Cause::Operator));
        let alone = observation(&state(102), Some(End::ByItself));
        assert_eq!((alone.power, alone.cause), (Power::Off, None));
        assert!(alone.detail.contains("does not tell"), "{}", alone.detail);
        assert_eq!(observation(&state(102), None).detail, "");
        assert_eq!(observation(&state(110), None).power, Power::Paused);
        // An error or a word of a later version.
        for code in [112, 100, 999] {
            assert_eq!(observation(&state(code), None).power, Power::Unknown, "{code}");
        }
    }

    #[test]
    fn only_addresses_that_reach_somewhere_are_shown() {
        let text = r#"{"status_code":103,"cpu":{"usage":-1},"network":{"lo":{"addresses":[{"address":"127.0.0.1","scope":"local"}]},
            "eth0":{"addresses":[{"address":"10.1.2.3","scope":"global"},{"address":"fe80::1","scope":"link"}]}}}"#;
        let state: State = serde_json::from_str(text).unwrap();
        assert_eq!(state.about().unwrap().addresses, ["10.1.2.3".parse::<IpAddr>().unwrap()]);
        assert_eq!(state.cpu(), None);
    }

    #[test]
    fn tags_are_what_its_owner_wrote_and_bounded() {
        let mut config: HashMap<String, String> =
            (0..100).map(|n| (format!("user.k{n}"), "v".repeat(100))).collect();
        config.insert("user.user-data".into(), "#cloud-config".into());
        config.insert("volatile.uuid".into(), "0".into());
        let instance = Instance {
            name: "web".into(),
            config: Some(config),
            location: "none".into(),
            profiles: Some(vec!["default".into()]),
            kind: "container".into(),
        };
        let found = instance.found();
        assert!(found.tags.len() == TAGS && found.tags.iter().all(|tag| tag.len() <= TAG));
        assert_eq!(found.tags[..2], ["type=container", "profile=default"]);
        assert!(
            found.host.is_empty()
                && !found.tags.iter().any(|tag| tag.contains("cloud") || tag.contains("uuid"))
        );
    }

    #[test]
    fn what_could_lead_elsewhere_is_no_name() {
        assert!(is_name("web-1") && is_project("a_b.c"));
        for name in ["", "..", "a/b", "a?b", "-a", "a b", "a%2f", "a.b"] {
            assert!(!is_name(name), "{name}");
        }
        assert!(!is_project("a&b") && !is_project("../x"));
    }
}
