//! Redfish's words and ours. Everything is read leniently: what is missing or of another kind than the
//! standard says is as if it were not there (DSP0268, schemas ComputerSystem and Resource).

use primrack_model::{About, Action, Observation, Power};
use serde_json::Value;
use smol_str::SmolStr;

use crate::bmc::told;

/// How many bytes of a BMC's words are kept.
const WORDS: usize = 120;
/// How many bytes of a tag are kept.
const TAG: usize = 64;

/// A text below `at`, if there is one that is not empty.
pub(super) fn text<'a>(value: &'a Value, at: &str) -> Option<&'a str> {
    value.pointer(at).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
}

/// The link below `at`: `{"@odata.id": "/redfish/v1/…"}`, or that in a list of one, or a bare path.
pub(super) fn link<'a>(value: &'a Value, at: &str) -> Option<&'a str> {
    let there = value.pointer(at)?;
    let there = there.as_array().map_or(Some(there), |all| all.first())?;
    let path = there.as_str().or_else(|| there.get("@odata.id")?.as_str())?;
    // Odd ones point into a document.
    let path = path.split('#').next().unwrap_or_default();
    (!path.is_empty()).then_some(path)
}

/// The texts of a list.
pub(super) fn texts<'a>(value: &'a Value, at: &str) -> Vec<&'a str> {
    let all = value.pointer(at).and_then(Value::as_array);
    all.map(|all| all.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

/// The first `limit` bytes of a text, at a character's end.
pub(super) fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

/// What a system says of itself.
pub(super) fn observation(system: &Value) -> Observation {
    let stage = text(system, "/BootProgress/LastState");
    let mut seen = match text(system, "/PowerState") {
        // Firmware that is still at work; what comes after the OS's start is told by too few to count on.
        Some("On") if stage.is_some_and(in_firmware) => Observation::of(Power::Starting),
        Some("On") => Observation::of(Power::On),
        Some("Off") => Observation::of(Power::Off),
        Some("PoweringOn") => Observation::of(Power::Starting),
        Some("PoweringOff") => Observation::of(Power::Stopping),
        Some("Paused") => Observation::of(Power::Paused),
        Some(other) => Observation::unknown(format!("its BMC calls its power {:?}", cut(other, 40))),
        None => Observation::unknown(match text(system, "/Status/State") {
            Some("Absent") => "its BMC says that it is not there",
            _ => "its BMC does not tell",
        }),
    };
    if let Some(stage) = stage
        && seen.power == Power::Starting
    {
        seen = told(seen, cut(stage, 60));
    }
    if let Some(words) = next_boot(system) {
        seen = told(seen, &words);
    }
    if let Some(light) = indicator(system).filter(|light| *light != "off") {
        seen = told(seen, &format!("indicator {light}"));
    }
    let detail = SmolStr::new(cut(&seen.detail, WORDS));
    let health = SmolStr::new(cut(&health(system), WORDS));
    let about = About { health, ..About::default() };
    let about = (about != About::default()).then(|| Box::new(about));
    Observation { detail, about, ..seen }
}

/// The stages before an operating system runs (BootProgress, DSP0268).
fn in_firmware(stage: &str) -> bool {
    matches!(
        stage,
        "PrimaryProcessorInitializationStarted"
            | "BusInitializationStarted"
            | "MemoryInitializationStarted"
            | "SecondaryProcessorInitializationStarted"
            | "PCIResourceConfigStarted"
            | "SystemHardwareInitializationComplete"
    )
}

fn next_boot(system: &Value) -> Option<String> {
    let target = text(system, "/Boot/BootSourceOverrideTarget").filter(|target| *target != "None")?;
    match text(system, "/Boot/BootSourceOverrideEnabled") {
        Some("Once") => Some(format!("boots from {} next", cut(target, 24))),
        Some("Continuous") => Some(format!("boots from {}", cut(target, 24))),
        _ => None,
    }
}

/// The locate light: `on`, `off` or `blinking`.
pub(super) fn indicator(system: &Value) -> Option<&'static str> {
    match system.get("LocationIndicatorActive").and_then(Value::as_bool) {
        Some(true) => Some("on"),
        Some(false) => Some("off"),
        None => match text(system, "/IndicatorLED")? {
            "Lit" => Some("on"),
            "Blinking" => Some("blinking"),
            "Off" => Some("off"),
            _ => None,
        },
    }
}

/// Its word on its health where that is not fine. Some write `HealthRollUp`.
fn health(system: &Value) -> String {
    let words = ["/Status/HealthRollup", "/Status/HealthRollUp", "/Status/Health"];
    let worst = words
        .iter()
        .filter_map(|at| text(system, at))
        .find(|health| !matches!(*health, "OK" | "Ok" | "Informational"));
    match (worst, text(system, "/Status/Conditions/0/Message")) {
        (None, _) => String::new(),
        (Some(worst), None) => worst.to_owned(),
        (Some(worst), Some(why)) => format!("{worst}: {why}"),
    }
}

/// A name for people: the host's where its BMC knows it.
pub(super) fn label(system: &Value, id: &str) -> String {
    let name = text(system, "/HostName").or_else(|| text(system, "/Name"));
    cut(name.unwrap_or(id), 64).to_owned()
}

/// What the rules of discovery may go by.
pub(super) fn tags(system: &Value) -> Vec<SmolStr> {
    let pairs = [
        ("manufacturer", "/Manufacturer"),
        ("model", "/Model"),
        ("serial", "/SerialNumber"),
        ("sku", "/SKU"),
        ("asset", "/AssetTag"),
        ("type", "/SystemType"),
        ("hostname", "/HostName"),
    ];
    pairs
        .iter()
        .filter_map(|(key, at)| text(system, at).map(|text| (key, text)))
        .map(|(key, text)| SmolStr::new(cut(&format!("{key}={text}"), TAG)))
        .collect()
}

/// The types of reset that serve an action, the best first, and what the machine must be for a type
/// that is a button rather than an order.
pub(super) fn resets(action: Action) -> &'static [(&'static str, Option<Power>)] {
    match action {
        Action::Start => &[("On", None), ("ForceOn", None), ("PushPowerButton", Some(Power::Off))],
        Action::SoftOff => &[("GracefulShutdown", None), ("PushPowerButton", Some(Power::On))],
        Action::HardOff => &[("ForceOff", None)],
        Action::Reboot => &[("GracefulRestart", None)],
        Action::Reset => &[("ForceRestart", None), ("PowerCycle", None)],
        Action::Pause => &[("Pause", None)],
        Action::Resume => &[("Resume", None)],
        Action::Save
        | Action::Restore
        | Action::Snapshot
        | Action::Revert
        | Action::Clone
        | Action::Migrate
        | Action::Delete => &[],
    }
}

/// What a BMC answered when it refused, without its error's frame (DSP0266, "Error responses").
pub(super) fn refusal(body: &Value) -> Option<String> {
    let said =
        text(body, "/error/@Message.ExtendedInfo/0/Message").or_else(|| text(body, "/error/message"))?;
    Some(cut(said, 200).to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_system_with_nothing_in_it_is_unknown_and_breaks_nothing() {
        for odd in
            [json!({}), json!({"PowerState": 1, "Status": "fine", "Links": [], "Boot": null}), json!(null)]
        {
            let seen = observation(&odd);
            assert_eq!(seen.power, Power::Unknown, "{odd}");
            assert!(tags(&odd).is_empty());
            assert_eq!(label(&odd, "1"), "1");
        }
        let odd = json!({"PowerState": "Reset"});
        assert_eq!(observation(&odd).detail, "its BMC calls its power \"Reset\"");
    }

    #[test]
    fn power_health_boot_and_light_are_shown() {
        let system = json!({
            "PowerState": "On",
            "Status": {"Health": "OK", "HealthRollup": "Warning", "Conditions": [{"Message": "fan 2 slow"}]},
            "Boot": {"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Pxe"},
            "LocationIndicatorActive": true,
            "BootProgress": {"LastState": "MemoryInitializationStarted"},
        });
        let seen = observation(&system);
        assert_eq!(seen.power, Power::Starting);
        assert_eq!(seen.detail, "indicator on; boots from Pxe next; MemoryInitializationStarted");
        assert_eq!(seen.about.unwrap().health, "Warning: fan 2 slow");
    }

    #[test]
    fn odd_links_are_understood_or_left() {
        let odd =
            json!({"a": {"@odata.id": "/x#/y"}, "b": [{"@odata.id": "/x"}], "c": "/x", "d": [], "e": {}});
        assert_eq!(
            (link(&odd, "/a"), link(&odd, "/b"), link(&odd, "/c")),
            (Some("/x"), Some("/x"), Some("/x"))
        );
        assert_eq!((link(&odd, "/d"), link(&odd, "/e"), link(&odd, "/f")), (None, None, None));
    }
}
