//! From vSphere's words to ours.

use std::net::IpAddr;

use primrack_adapter_api::Found;
use primrack_model::{About, Address, Load, Observation, Power};
use smol_str::{SmolStr, format_smolstr};

use super::inventory::{Names, Properties};
use super::soap::{Ref, child_text};

/// What is asked of a machine.
pub(super) const PATHS: [&str; 14] = [
    "name",
    "parent",
    "config.template",
    "runtime.powerState",
    "runtime.connectionState",
    "runtime.host",
    "runtime.question",
    "summary.overallStatus",
    "summary.runtime.maxCpuUsage",
    "summary.config.numCpu",
    "summary.quickStats.overallCpuUsage",
    "summary.quickStats.hostMemoryUsage",
    "guest.toolsRunningStatus",
    "guest.net",
];

/// The state that a machine is in by these properties.
pub(super) fn power(state: Option<&str>) -> Option<Power> {
    match state? {
        "poweredOn" => Some(Power::On),
        "poweredOff" => Some(Power::Off),
        "suspended" => Some(Power::Saved),
        _ => None,
    }
}

/// What the machine says of itself.
pub(super) fn observation(of: Properties<'_, '_>, names: &Names) -> Observation {
    let mut seen = match (of.text("runtime.connectionState"), power(of.text("runtime.powerState"))) {
        (Some("connected") | None, Some(power)) => Observation::of(power),
        (Some("disconnected"), _) => Observation::unknown("its host is disconnected from vCenter"),
        (Some("connected") | None, None) => {
            Observation::unknown("its state may not be read: give the user System.Read on it")
        }
        (Some(other), _) => Observation::unknown(format!("vCenter calls it {other}")),
    };
    if seen.power == Power::On {
        match of.text("guest.toolsRunningStatus") {
            Some("guestToolsExecutingScripts") => {
                seen.power = Power::Starting;
                seen.detail = SmolStr::new_static("VMware Tools are starting");
            }
            Some("guestToolsNotRunning") => {
                seen.detail = SmolStr::new_static("VMware Tools do not run in it");
            }
            _ => {}
        }
        seen.load = load(of);
    }
    let about = About {
        host: of.text("runtime.host").map(|id| names.host(id)).unwrap_or_default(),
        addresses: addresses(of),
        temperature: None,
        health: health(of),
    };
    if about != About::default() {
        seen.about = Some(Box::new(about));
    }
    seen
}

fn load(of: Properties<'_, '_>) -> Option<Load> {
    let core = of.number("summary.runtime.maxCpuUsage")? / of.number("summary.config.numCpu")?;
    let used = of.number("summary.quickStats.overallCpuUsage")?;
    let memory = of.number("summary.quickStats.hostMemoryUsage")?;
    let cpu = if core > 0.0 { used / core } else { return None };
    Some(Load { cpu: cpu as f32, memory: (memory as u64).saturating_mul(1 << 20) })
}

fn addresses(of: Properties<'_, '_>) -> Vec<IpAddr> {
    let Some(net) = of.get("guest.net") else { return Vec::new() };
    let texts = net.descendants().filter(|node| node.has_tag_name(("urn:vim25", "ipAddress")));
    let mut addresses: Vec<IpAddr> = Vec::new();
    // `ipConfig` says each a second time, as an element with elements.
    for address in texts.filter_map(|node| node.text()?.trim().parse().ok()) {
        if addresses.len() < 8 && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

fn health(of: Properties<'_, '_>) -> SmolStr {
    if let Some(question) = of.get("runtime.question").and_then(|question| child_text(question, "text")) {
        let words: String = question.chars().take(90).collect();
        return format_smolstr!("waits for an answer: {words}");
    }
    match of.text("summary.overallStatus") {
        Some("red") => SmolStr::new_static("red: it has an alarm"),
        Some("yellow") => SmolStr::new_static("yellow: it has a warning"),
        _ => SmolStr::default(),
    }
}

/// The machine as a finding, without what other objects are called.
pub(super) fn found(machine: &Ref, of: Properties<'_, '_>, names: &Names) -> Found {
    let label = super::inventory::plain(of.text("name").unwrap_or(&machine.id)).to_string();
    let seen = Some(observation(of, names));
    Found { label, seen, ..Found::of(Address(SmolStr::new(&machine.id))) }
}

/// The folder of a machine as a tag, which has at most 64 bytes.
pub(super) fn folder_tag(folder: &str) -> Option<SmolStr> {
    let tag = format!("folder={folder}");
    let end = (0..=tag.len().min(64)).rev().find(|end| tag.is_char_boundary(*end))?;
    Some(SmolStr::new(&tag[..end]))
}
