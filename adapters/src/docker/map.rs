//! From Docker's words to ours. Podman speaks the same dialect with words of its own, so every word is
//! read as text and none is taken for granted.
//!
//! Source: Docker Engine API v1.41, `ContainerInspect`, `ContainerList` and `ContainerStats`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use primrack_adapter_api::Found;
use primrack_model::{About, Address, Cause, Observation, Power, UnixMs};
use serde::Deserialize;
use smol_str::{SmolStr, format_smolstr};

use crate::containers::{TAG, TAGS, head};

/// The most addresses that are shown.
const ADDRESSES: usize = 8;

/// What is read of an inspection.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Inspected {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) state: State,
    #[serde(default)]
    pub(super) config: Option<Config>,
    #[serde(default)]
    pub(super) host_config: Option<HostConfig>,
    #[serde(default)]
    pub(super) network_settings: Option<NetworkSettings>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct State {
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) exit_code: i64,
    #[serde(default, rename = "OOMKilled")]
    pub(super) oom_killed: bool,
    #[serde(default)]
    pub(super) error: String,
    #[serde(default)]
    pub(super) started_at: String,
    #[serde(default)]
    pub(super) health: Option<Health>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Health {
    #[serde(default)]
    status: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Config {
    /// A name in Docker, a number in some Podmans.
    #[serde(default)]
    stop_signal: serde_json::Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct HostConfig {
    #[serde(default)]
    pub(super) auto_remove: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NetworkSettings {
    #[serde(default)]
    networks: Option<HashMap<String, Option<Network>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Network {
    #[serde(default, rename = "IPAddress")]
    ip_address: String,
    #[serde(default, rename = "GlobalIPv6Address")]
    global_ipv6_address: String,
}

/// One line of the listing.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Listed {
    #[serde(default)]
    names: Option<Vec<String>>,
    #[serde(default)]
    image: String,
    #[serde(default)]
    labels: Option<HashMap<String, String>>,
    #[serde(default)]
    host_config: Option<ListedHost>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedHost {
    #[serde(default)]
    network_mode: String,
}

/// What is read of one sample of figures.
#[derive(Debug, Deserialize)]
pub(super) struct Stats {
    cpu_stats: CpuStats,
    memory_stats: MemoryStats,
}

#[derive(Debug, Deserialize)]
struct CpuStats {
    cpu_usage: CpuUsage,
}

#[derive(Debug, Deserialize)]
struct CpuUsage {
    #[serde(default)]
    total_usage: u64,
}

#[derive(Debug, Deserialize)]
struct MemoryStats {
    #[serde(default)]
    usage: u64,
    #[serde(default)]
    stats: Option<HashMap<String, serde_json::Value>>,
}

impl Stats {
    /// Nanoseconds of processor time since it began.
    pub(super) fn cpu(&self) -> u64 {
        self.cpu_stats.cpu_usage.total_usage
    }
    /// Bytes, without what the kernel would give up at once, as `docker stats` counts.
    pub(super) fn memory(&self) -> u64 {
        let figure = |name: &str| {
            self.memory_stats
                .stats
                .as_ref()
                .and_then(|stats| stats.get(name))
                .and_then(|value| value.as_u64())
        };
        let cache = figure("total_inactive_file").or_else(|| figure("inactive_file")).unwrap_or(0);
        self.memory_stats.usage.saturating_sub(cache)
    }
}

impl Inspected {
    /// The name without its slash.
    pub(super) fn plain_name(&self) -> &str {
        self.name.trim_start_matches('/')
    }
    pub(super) fn is(&self, status: &str) -> bool {
        self.state.status == status
    }
    /// Whether something of it runs, by the backend's word.
    pub(super) fn runs(&self) -> bool {
        matches!(self.state.status.as_str(), "running" | "paused" | "stopping" | "restarting")
    }
    /// The signal that its image or its maker wants to be asked with.
    pub(super) fn stop_signal(&self) -> String {
        match self.config.as_ref().map(|config| &config.stop_signal) {
            Some(serde_json::Value::String(signal)) if !signal.is_empty() => signal.clone(),
            Some(serde_json::Value::Number(signal)) => signal.to_string(),
            _ => "SIGTERM".to_owned(),
        }
    }
    /// How long it has run at `now`.
    pub(super) fn age(&self, now: UnixMs) -> Option<Duration> {
        let since: jiff::Timestamp = self.state.started_at.parse().ok()?;
        // Never started is the year 1.
        (since.as_millisecond() > 0).then(|| UnixMs(since.as_millisecond()).age_at(now))
    }
    fn about(&self) -> Option<Box<About>> {
        let networks = self.network_settings.as_ref().and_then(|settings| settings.networks.as_ref());
        let mut addresses: Vec<IpAddr> = networks
            .into_iter()
            .flat_map(HashMap::values)
            .flatten()
            .flat_map(|network| [&network.ip_address, &network.global_ipv6_address])
            .filter_map(|address| address.parse().ok())
            .collect();
        addresses.sort_unstable();
        addresses.truncate(ADDRESSES);
        let health = match self.state.health.as_ref().map(|health| health.status.as_str()) {
            Some("unhealthy") => SmolStr::new_static("unhealthy, by its own check"),
            _ => SmolStr::default(),
        };
        (!addresses.is_empty() || !health.is_empty())
            .then(|| Box::new(About { addresses, health, ..About::default() }))
    }
}

/// What was heard of the end of a container's present or last run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Heard {
    /// Somebody sent it a signal through the daemon, not long before.
    pub(super) signalled: bool,
    /// Its end itself was heard, so that no signal was missed.
    pub(super) died: bool,
}

/// What an inspection means.
pub(super) fn observation(seen: &Inspected, heard: Heard) -> Observation {
    let said = match seen.state.status.as_str() {
        "running" => match seen.state.health.as_ref().map(|health| health.status.as_str()) {
            Some("starting") => Observation::of(Power::Starting).with_detail("its health check is not over"),
            _ => Observation::of(Power::On),
        },
        "paused" => Observation::of(Power::Paused),
        "restarting" => Observation::of(Power::Starting)
            .with_detail(format!("started again after exit status {}", seen.state.exit_code)),
        "stopping" => Observation::of(Power::Stopping),
        "created" | "configured" | "initialized" => match seen.state.error.as_str() {
            "" => Observation::of(Power::Off),
            why => Observation::of(Power::Off).with_detail(head(why, 120)),
        },
        "exited" | "stopped" => ended(&seen.state, heard),
        "removing" => Observation::of(Power::Off).with_detail("being removed"),
        "dead" => Observation::of(Power::Off).with_detail("dead: it could not be removed"),
        other => Observation::unknown(format!("the daemon calls it {:?}", head(other, 40))),
    };
    Observation { about: seen.about(), ..said }
}

fn ended(state: &State, heard: Heard) -> Observation {
    let code = state.exit_code;
    let words = match code {
        0 => SmolStr::default(),
        129..=192 => format_smolstr!("ended by signal {}", code - 128),
        _ => format_smolstr!("exit status {code}"),
    };
    if state.oom_killed {
        return Observation::caused(Power::Crashed, Cause::Host).with_detail("it was out of memory");
    }
    if heard.signalled {
        return Observation::caused(Power::Off, Cause::Operator).with_detail(words);
    }
    match (code, heard.died) {
        (0, true) => Observation::caused(Power::Off, Cause::Guest),
        (0, false) => Observation::of(Power::Off),
        (129..=192, false) => {
            Observation::of(Power::Off).with_detail(format!("{words}, who sent it is not known"))
        }
        (_, _) => Observation::caused(Power::Crashed, Cause::Crash).with_detail(words),
    }
}

impl Listed {
    /// What it is called; `None` for one without a name.
    pub(super) fn found(self) -> Option<Found> {
        // Links give a container more names, with more slashes in them.
        let names = self.names.unwrap_or_default();
        let name = names.iter().map(|name| name.trim_start_matches('/')).find(|name| !name.contains('/'))?;
        let mut tags: Vec<SmolStr> = Vec::new();
        let mut tag = |text: &str| {
            if tags.len() < TAGS {
                tags.push(head(text, TAG).into());
            }
        };
        tag(&format!("image={}", self.image));
        if let Some(host) = self.host_config.filter(|host| !host.network_mode.is_empty()) {
            tag(&format!("network={}", host.network_mode));
        }
        let mut labels: Vec<_> = self.labels.unwrap_or_default().into_iter().collect();
        labels.sort_unstable();
        for (key, value) in labels {
            tag(&if value.is_empty() { key } else { format!("{key}={value}") });
        }
        Some(Found { tags, ..Found::of(Address(name.into())) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspected(state: &str) -> Inspected {
        let text = format!(r#"{{"Id":"0f","Name":"/web","State":{state}}}"#);
        serde_json::from_str(&text).unwrap()
    }
    fn seen(state: &str, heard: Heard) -> (Power, Option<Cause>, String) {
        let seen = observation(&inspected(state), heard);
        (seen.power, seen.cause, seen.detail.to_string())
    }
    const NOTHING: Heard = Heard { signalled: false, died: false };
    const DIED: Heard = Heard { signalled: false, died: true };
    const ASKED: Heard = Heard { signalled: true, died: true };

    #[test]
    fn an_end_is_told_apart_and_never_guessed() {
        let killed = r#"{"Status":"exited","ExitCode":137}"#;
        assert_eq!(seen(killed, ASKED), (Power::Off, Some(Cause::Operator), "ended by signal 9".into()));
        assert_eq!(seen(killed, DIED), (Power::Crashed, Some(Cause::Crash), "ended by signal 9".into()));
        assert_eq!(
            seen(killed, NOTHING),
            (Power::Off, None, "ended by signal 9, who sent it is not known".into())
        );
        let fine = r#"{"Status":"exited","ExitCode":0}"#;
        assert_eq!(seen(fine, DIED), (Power::Off, Some(Cause::Guest), String::new()));
        assert_eq!(seen(fine, NOTHING), (Power::Off, None, String::new()));
        let failed = r#"{"Status":"exited","ExitCode":3}"#;
        assert_eq!(seen(failed, NOTHING), (Power::Crashed, Some(Cause::Crash), "exit status 3".into()));
        let memory = r#"{"Status":"exited","ExitCode":137,"OOMKilled":true}"#;
        assert_eq!(seen(memory, NOTHING).1, Some(Cause::Host));
    }

    #[test]
    fn a_word_that_is_not_known_is_shown_as_such() {
        assert_eq!(seen(r#"{"Status":"levitating"}"#, NOTHING).0, Power::Unknown);
        assert_eq!(
            seen(r#"{"Status":"running","Health":{"Status":"starting"}}"#, NOTHING).0,
            Power::Starting
        );
        assert_eq!(seen(r#"{"Status":"running","Health":null}"#, NOTHING).0, Power::On);
        assert_eq!(seen(r#"{"Status":"stopped"}"#, NOTHING).0, Power::Off);
    }

    #[test]
    fn the_signal_to_ask_with_is_the_containers_own() {
        let with = |config: &str| {
            let text = format!(r#"{{"Id":"0","Name":"/a","State":{{}},"Config":{config}}}"#);
            serde_json::from_str::<Inspected>(&text).unwrap().stop_signal()
        };
        assert_eq!(with("{}"), "SIGTERM");
        assert_eq!(with(r#"{"StopSignal":"SIGRTMIN+3"}"#), "SIGRTMIN+3");
        assert_eq!(with(r#"{"StopSignal":15}"#), "15");
    }

    #[test]
    fn tags_are_bounded() {
        let labels: HashMap<String, String> = (0..100).map(|n| (format!("k{n}"), "v".repeat(100))).collect();
        let listed = Listed {
            names: Some(vec!["/other/alias".into(), "/web".into()]),
            image: "busybox".into(),
            labels: Some(labels),
            host_config: None,
        };
        let found = listed.found().unwrap();
        assert_eq!(found.address.0, "web");
        assert!(found.tags.len() == TAGS && found.tags.iter().all(|tag| tag.len() <= TAG));
        assert_eq!(found.tags[0], "image=busybox");
    }
}
