//! From openQRM's words to ours: an appliance is a resource that runs an image with a kernel.

use primrack_adapter_api::Found;
use primrack_model::{About, Address, Observation, Power};
use smol_str::{SmolStr, format_smolstr};

/// What `CloudApplianceGetDetails` tells of an appliance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Appliance {
    id: String,
    /// Seconds since its resource has booted.
    pub(super) uptime: Option<u64>,
    details: Vec<(String, String)>,
}

impl Appliance {
    /// `None` where there is none: openQRM answers with the number that was asked for, and nothing else.
    pub(super) fn read(details: Vec<(String, String)>) -> Option<Self> {
        let get = |name: &str| details.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let id = get("id")?.to_owned();
        get("appliance_name").filter(|name| !name.is_empty())?;
        let uptime = get("resource_uptime").and_then(|seconds| seconds.trim().parse().ok());
        Some(Self { id, uptime, details })
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.details.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// What it says of itself. `before` is the uptime that was told last.
    pub(super) fn observation(&self, before: Option<u64>) -> Observation {
        let mut seen = match self.get("cloud_appliance_state") {
            Some("1") if before.zip(self.uptime).is_some_and(|(before, now)| now < before) => {
                Observation::of(Power::Starting).with_detail("began anew")
            }
            Some("1") => Observation::of(Power::On),
            // openQRM calls it paused: the appliance is kept, its resource has gone back to the others.
            Some("0") => Observation::of(Power::Off),
            Some(other) => Observation::unknown(format!("openQRM calls its state {other:?}")),
            None => Observation::unknown("openQRM does not tell its state"),
        };
        let mut addresses = Vec::new();
        for name in ["cloud_appliance_ip", "resource_int_ip"] {
            if let Some(address) = self.get(name).and_then(|text| text.trim().parse().ok())
                && seen.power != Power::Off
                && !addresses.contains(&address)
            {
                addresses.push(address);
            }
        }
        if !addresses.is_empty() {
            seen.about = Some(Box::new(About { addresses, ..About::default() }));
        }
        seen
    }

    /// The appliance as a finding.
    pub(super) fn found(&self) -> Found {
        let tag = |name: &str, key: &str| {
            let tag = format_smolstr!("{name}={}", self.get(key)?);
            (tag.len() <= 64).then_some(tag)
        };
        let kind = self.get("resource_type").and_then(|kind| kind.strip_prefix("TYPE="));
        let kind = kind.map(|kind| format_smolstr!("resource={kind}")).filter(|kind| kind.len() <= 64);
        let tags = kind.into_iter().chain(tag("image", "image_name")).chain(tag("kernel", "kernel_name"));
        Found {
            label: self.get("appliance_name").unwrap_or_default().chars().take(120).collect(),
            tags: tags.collect(),
            seen: Some(self.observation(None)),
            ..Found::of(Address(SmolStr::new(&self.id)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_uptime_is_a_new_beginning() {
        let with = |state: &str, uptime: &str| {
            let details = [("id", "1"), ("appliance_name", "a"), ("cloud_appliance_state", state)];
            let details = details.into_iter().chain([("resource_uptime", uptime)]);
            Appliance::read(details.map(|(a, b)| (a.to_owned(), b.to_owned())).collect()).unwrap()
        };
        assert_eq!(with("1", "100").observation(None).power, Power::On);
        assert_eq!(with("1", "100").observation(Some(100)).power, Power::On);
        assert_eq!(with("1", "5").observation(Some(100)).power, Power::Starting);
        assert_eq!(with("0", "5").observation(Some(100)).power, Power::Off);
        assert_eq!(with("7", "5").observation(None).power, Power::Unknown);
    }
}
