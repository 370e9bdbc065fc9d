//! The objects in the world: whether they could reach the bridge, and whether the bridge reaches them.

use primrack_model::UnixMs;

use super::Finding;
use crate::compose::keys_path;
use crate::config::Loaded;
use crate::control::{Control, ObjectNow};
use crate::show;

/// The line of `OpenSim.ini` that lets scripts call a bridge: OpenSimulator refuses private addresses
/// by default (measured on 0.9.2 and 0.9.3).
fn opensim_line(loaded: &Loaded) -> String {
    let listen = loaded.config.bridge.listen;
    let host = if listen.ip().is_unspecified() { "HOST".to_owned() } else { listen.ip().to_string() };
    format!("OpenSim.ini: [Network] OutboundDisallowForUserScriptsExcept = {host}:{}", listen.port())
}

pub(super) fn callbacks(loaded: &Loaded, findings: &mut Vec<Finding>) {
    let area = "callbacks";
    let world = &loaded.config.world;
    if loaded.config.objects.is_empty() {
        return;
    }
    if world.callbacks.is_empty() {
        let what = "no callback is allowed, so no object can register";
        let fix =
            "[world] callbacks = [\"simulator.example:9000\"]   (host and port of the region's simulator)";
        findings.push(Finding::fail(area, what, fix));
    } else {
        findings.push(Finding::ok(area, format!("allowed: {}", world.callbacks.join(", "))));
    }
    let listen = loaded.config.bridge.listen;
    if listen.ip().is_loopback() && !loaded.config.bridge.behind_proxy {
        let what = format!("{listen} is reached from this machine only: a region elsewhere cannot call");
        let fix = "[bridge] listen = \"0.0.0.0:8480\" with tls_certificate and tls_key, or a proxy in front and behind_proxy = true";
        findings.push(Finding::warn("address", what, fix));
    }
}

pub(super) async fn objects(loaded: &Loaded, control: Option<&Control>, findings: &mut Vec<Finding>) {
    let told: Option<Vec<ObjectNow>> = match control {
        None => None,
        Some(control) => match control.get("/objects").await {
            Ok(told) => Some(told),
            Err(error) => {
                let what = format!("the bridge does not tell: {error}");
                findings.push(Finding::warn("objects", what, "restart the bridge"));
                None
            }
        },
    };
    if let Some(told) = told {
        let now = UnixMs::now();
        findings.extend(told.iter().map(|object| finding(object, loaded, now)));
        return;
    }
    let ring = primrack_world::Keyring::read(&keys_path(loaded)).unwrap_or_default();
    for id in loaded.config.objects.keys().filter(|id| !ring.knows(id)) {
        findings.push(not_enrolled(id));
    }
}

fn not_enrolled(id: &str) -> Finding {
    let fix = format!("primrack object enrol {id}, then restart the bridge");
    Finding::warn(format!("object {id}"), "it has no key, so nothing it says is taken", fix)
}

fn finding(object: &ObjectNow, loaded: &Loaded, now: UnixMs) -> Finding {
    let ObjectNow { object: id, label: _, enrolled, region, grid: _, heard, silent, rival, waiting } = object;
    let area = format!("object {id}");
    if !enrolled {
        return not_enrolled(id);
    }
    let (Some(region), Some(heard)) = (region, heard) else {
        let what = "it has a key, but never registered";
        let fix = format!(
            "look at what the object tells its owner. In OpenSimulator, most often, the simulator refuses to call the bridge:\n{}\nor the script gets no URL:\nOpenSim.ini: [Network] ExternalHostNameForLSL = HOST OF THE SIMULATOR",
            opensim_line(loaded)
        );
        return Finding::warn(area, what, fix);
    };
    let heard = show::age(*heard, now);
    if let Some(rival) = rival {
        let what = format!("a second prim, {rival}, wants to be this object, which stands in {region}");
        let fix = format!("give the copy an id and key of its own: primrack object enrol {id}-2");
        return Finding::warn(area, what, fix);
    }
    if let Some(silent) = silent {
        let since = show::age(*silent, now);
        let what = format!(
            "silent for {since}: pushes to it in {region} do not arrive, {waiting} units wait; last heard {heard} ago"
        );
        let fix = "most often the region is down or restarted: the rack registers by itself when it is back.\nIf it touches but never changes colour, the bridge does not reach the simulator:\nOpenSim.ini: [Network] ExternalHostNameForLSL = a name or address that this machine reaches";
        return Finding::fail(area, what, fix);
    }
    Finding::ok(area, format!("registered from {region}, heard {heard} ago"))
}
