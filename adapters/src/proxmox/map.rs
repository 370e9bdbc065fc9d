//! From Proxmox VE's words to ours.

use primrack_adapter_api::Found;
use primrack_model::{About, Address, Load, Observation, Power};
use serde::Deserialize;
use smol_str::{SmolStr, format_smolstr};

use super::cluster::Guest;

/// What `status/current` of a virtual machine has beyond the overview.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Current {
    pub(super) status: SmolStr,
    /// QEMU's own word on its state.
    pub(super) qmpstatus: SmolStr,
    pub(super) lock: SmolStr,
}

/// Whether the overview says too little: a virtual machine that is held in memory is running to it.
pub(super) fn needs_a_look(guest: &Guest) -> bool {
    guest.kind == "qemu" && guest.status == "running"
}

/// What a guest says of itself by the overview and, where it was asked, by its own status.
pub(super) fn observation(guest: &Guest, current: Option<&Current>) -> Observation {
    let (status, lock) = match current {
        Some(current) => (current.status.as_str(), current.lock.as_str()),
        None => (guest.status.as_str(), guest.lock.as_str()),
    };
    let paused = |why: &'static str| Observation::of(Power::Paused).with_detail(why);
    let mut seen = match (status, current.map_or("", |current| current.qmpstatus.as_str())) {
        ("running", "prelaunch" | "inmigrate") => Observation::of(Power::Starting),
        ("running", "shutdown") => Observation::of(Power::Stopping),
        ("running", "paused" | "suspended" | "save-vm") => Observation::of(Power::Paused),
        ("running", "io-error") => paused("held: its storage has failed"),
        ("running", "internal-error") => paused("held: QEMU has failed inside"),
        ("running", "guest-panicked") => paused("held: its guest has panicked"),
        ("running", "watchdog") => paused("held: its watchdog has bitten"),
        ("running", _) => Observation::of(Power::On),
        ("stopped", _) if lock == "suspended" => Observation::of(Power::Saved),
        ("stopped", _) => Observation::of(Power::Off),
        ("paused", _) => Observation::of(Power::Paused),
        ("suspended", _) => Observation::of(Power::Saved),
        ("unknown", _) => Observation::unknown(format!("its node {} does not answer", guest.node)),
        (other, _) => Observation::unknown(format!("Proxmox VE calls it {other:?}")),
    };
    if seen.detail.is_empty() && !matches!(lock, "" | "suspended") {
        seen.detail = format_smolstr!("locked: {lock}");
    }
    if seen.power == Power::On {
        let cpu = (guest.cpu * guest.maxcpu) as f32;
        seen.load = Some(Load { cpu, memory: guest.mem as u64 });
    }
    let health = match guest.hastate.as_str() {
        "error" | "fence" | "recovery" => format_smolstr!("high availability: {}", guest.hastate),
        _ => SmolStr::default(),
    };
    seen.about = Some(Box::new(About { host: guest.node.clone(), health, ..About::default() }));
    seen
}

/// The guest as a finding.
pub(super) fn found(guest: &Guest) -> Found {
    let kind = format_smolstr!("type={}", guest.kind);
    let pool = (!guest.pool.is_empty()).then(|| format_smolstr!("pool={}", guest.pool));
    let tags = guest.tags.split([';', ',', ' ']).filter(|tag| !tag.is_empty()).map(SmolStr::new);
    let label = if guest.name.is_empty() { guest.id.to_string() } else { guest.name.to_string() };
    Found {
        address: Address(guest.id.clone()),
        label,
        tags: [kind].into_iter().chain(pool).chain(tags).filter(|tag| tag.len() <= 64).take(32).collect(),
        host: guest.node.clone(),
        seen: (!needs_a_look(guest)).then(|| observation(guest, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_saved_locked_and_out_of_sight_are_told_apart() {
        let guest = |kind: &str, status: &str, lock: &str| Guest {
            kind: kind.into(),
            status: status.into(),
            lock: lock.into(),
            node: "pve1".into(),
            ..Guest::default()
        };
        let power = |guest: &Guest, qmp: Option<&str>| {
            let current = qmp.map(|qmp| Current {
                status: guest.status.clone(),
                qmpstatus: qmp.into(),
                lock: guest.lock.clone(),
            });
            observation(guest, current.as_ref()).power
        };
        let running = guest("qemu", "running", "");
        assert!(needs_a_look(&running) && !needs_a_look(&guest("lxc", "running", "")));
        assert_eq!(power(&running, Some("running")), Power::On);
        assert_eq!(power(&running, Some("paused")), Power::Paused);
        assert_eq!(power(&guest("qemu", "stopped", "suspended"), None), Power::Saved);
        let locked = observation(&guest("qemu", "stopped", "backup"), None);
        assert_eq!((locked.power, locked.detail.as_str()), (Power::Off, "locked: backup"));
        let unseen = observation(&guest("lxc", "unknown", ""), None);
        assert_eq!((unseen.power, unseen.detail.as_str()), (Power::Unknown, "its node pve1 does not answer"));
        assert_eq!(power(&guest("lxc", "", ""), None), Power::Unknown);
    }

    #[test]
    fn tags_are_within_their_bounds() {
        let tags = (0..50).map(|n| format!("tag{n}")).chain(["x".repeat(65)]).collect::<Vec<_>>().join(";");
        let guest = Guest { tags: tags.into(), kind: "lxc".into(), pool: "web".into(), ..Guest::default() };
        let found = found(&guest);
        assert_eq!(found.tags.len(), 32);
        assert_eq!((found.tags[0].as_str(), found.tags[1].as_str()), ("type=lxc", "pool=web"));
    }
}
