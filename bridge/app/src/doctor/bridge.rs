//! The bridge's own house: state folder, journal, port, keys, backends.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use primrack_adapters::{Configured as _, Need, Standing};
use primrack_engine::journal::{EntryFilter, Kind, Reader};
use primrack_model::UnixMs;
use tokio::net::TcpListener;

use super::Finding;
use crate::compose::{JOURNAL, keys_path};
use crate::config::{BackendConfig, Loaded};
use crate::control::{Control, NoBridge};
use crate::show;

/// Whether our bridge answers.
pub(super) async fn running(control: &Control, findings: &mut Vec<Finding>) -> bool {
    match control.is_there().await {
        Ok(()) => {
            findings.push(Finding::ok("bridge", "it runs and answers on its control socket"));
            true
        }
        Err(why @ NoBridge::Forbidden(_)) => {
            let fix = "run doctor as the bridge's user, such as `sudo -u primrack primrack doctor`";
            findings.push(Finding::fail("bridge", why.to_string(), fix));
            false
        }
        Err(NoBridge::Absent(_) | NoBridge::Left(_)) => {
            let what = "it does not run; what follows is from the files";
            findings.push(Finding::warn("bridge", what, "primrack serve"));
            false
        }
        Err(why @ NoBridge::Other(..)) => {
            findings.push(Finding::fail("bridge", why.to_string(), "look at the control socket's path"));
            false
        }
    }
}

pub(super) fn state_folder(folder: &Path, running: bool, findings: &mut Vec<Finding>) {
    let area = "state folder";
    let shown = folder.display();
    let Ok(about) = std::fs::metadata(folder) else {
        // It is made at the first start, if its parent lets.
        let parent = folder.ancestors().skip(1).find(|parent| parent.is_dir());
        let finding = match parent.map(probe) {
            Some(Ok(())) => Finding::ok(area, format!("{shown} will be made at the first start")),
            Some(Err(error)) => Finding::fail(
                area,
                format!("{shown} is not there and cannot be made: {error}"),
                format!("mkdir -m 700 {shown} and give it to the bridge's user, or set [bridge] state_dir"),
            ),
            None => Finding::fail(area, format!("{shown} leads nowhere"), "set [bridge] state_dir"),
        };
        findings.push(finding);
        return;
    };
    let mode = about.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let what = format!("others may enter {shown} (mode {mode:o})");
        findings.push(Finding::warn(area, what, format!("chmod 700 {shown}")));
    }
    match probe(folder) {
        Ok(()) => findings.push(Finding::ok(area, format!("{shown} can be written"))),
        Err(error) => {
            let who = if running { "this user" } else { "the bridge, if it runs as this user" };
            let what = format!("{shown} cannot be written by {who}: {error}");
            let fix = "free space on its disk, or give it to the bridge's user with chown";
            findings.push(Finding::fail(area, what, fix));
        }
    }
}

/// Writes and removes a file of a block: also a full disk shows.
fn probe(folder: &Path) -> std::io::Result<()> {
    let path = folder.join(format!(".doctor.{}", std::process::id()));
    let mut file = File::options().write(true).create_new(true).open(&path)?;
    let written = file.write_all(&[0; 4096]).and_then(|()| file.sync_all());
    std::fs::remove_file(&path)?;
    written
}

pub(super) async fn journal(folder: &Path, control: Option<&Control>, findings: &mut Vec<Finding>) {
    let area = "journal";
    if let Some(control) = control {
        match control.get::<serde_json::Value>("/journal").await {
            Ok(told) if told["failing"].is_string() => {
                let what = format!(
                    "the bridge refuses everything, because it cannot write: {}",
                    told["failing"].as_str().unwrap_or_default()
                );
                let fix = "mend that; the next request tries again, no restart is needed";
                findings.push(Finding::fail(area, what, fix));
            }
            Ok(_) => {}
            Err(error) => {
                let fix = "is the running bridge of another version? Restart it";
                findings.push(Finding::warn(area, format!("the bridge does not tell: {error}"), fix));
            }
        }
    }
    let path = folder.join(JOURNAL);
    if !path.exists() {
        findings.push(Finding::ok(area, format!("{} will be made at the first start", path.display())));
        return;
    }
    match look(&path) {
        Ok(what) => findings.push(Finding::ok(area, what)),
        Err(error) => {
            let fix = "primrack audit verify says where; restore a copy of the file";
            findings.push(Finding::fail(area, error.to_string(), fix));
        }
    }
}

fn look(path: &Path) -> anyhow::Result<String> {
    let reader = Reader::open(path)?;
    let head = reader.head()?;
    let mut boots = reader.entries(EntryFilter {
        after: head.seq.saturating_sub(20_000),
        kinds: vec![Kind::Boot],
        ..EntryFilter::default()
    });
    let last = boots.try_fold(None, |_, record| record.map(Some))?;
    let started = last
        .map(|record| format!(", last start {} ago", show::age(record.at, UnixMs::now())))
        .unwrap_or_default();
    let size = std::fs::metadata(path)?.len() / 1024;
    Ok(format!("{} entries, {size} KiB{started}, head {head}", head.seq))
}

pub(super) async fn port(loaded: &Loaded, running: bool, findings: &mut Vec<Finding>) {
    let area = "port";
    let listen = loaded.config.bridge.listen;
    match (TcpListener::bind(listen).await, running) {
        (Err(error), true) if error.kind() == std::io::ErrorKind::AddrInUse => {
            findings
                .push(Finding::ok(area, format!("{listen} is taken, as it should be while the bridge runs")));
        }
        (Ok(_), true) => {
            let what = format!("the bridge runs, but not on {listen}: the configuration was changed");
            findings.push(Finding::warn(area, what, "restart the bridge"));
        }
        (Ok(_), false) => findings.push(Finding::ok(area, format!("{listen} is free"))),
        (Err(error), _) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let what =
                format!("{listen} is taken by another program, or by a bridge with another state folder");
            let fix =
                format!("stop it (`ss -ltnp 'sport = :{}'` names it), or set [bridge] listen", listen.port());
            findings.push(Finding::fail(area, what, fix));
        }
        (Err(error), _) => {
            let what = format!("{listen} cannot be listened on: {error}");
            findings.push(Finding::fail(area, what, "set [bridge] listen to an address of this machine"));
        }
    }
}

pub(super) fn keys(loaded: &Loaded, findings: &mut Vec<Finding>) {
    let area = "keys";
    let path = keys_path(loaded);
    if loaded.config.objects.is_empty() && !path.exists() {
        findings.push(Finding::ok(area, "no objects are configured, so none are needed"));
        return;
    }
    match primrack_world::Keyring::read(&path) {
        Ok(ring) => {
            let count = ring.objects().count();
            findings.push(Finding::ok(area, format!("{} holds keys of {count} objects", path.display())));
        }
        Err(error) => {
            let fix = if path.exists() {
                format!("chmod 600 {}, or correct the line it names", path.display())
            } else {
                "primrack object enrol ID".to_owned()
            };
            findings.push(Finding::fail(area, error.to_string(), fix));
        }
    }
}

pub(super) async fn backends(loaded: &Loaded, control: Option<&Control>, findings: &mut Vec<Finding>) {
    for (name, backend) in &loaded.config.backends {
        needs(name, backend, findings);
    }
    if loaded.config.backends.is_empty() {
        let fix = "add a [backends.NAME.process] or [backends.NAME.qemu] table";
        findings.push(Finding::warn("backends", "none is configured: nothing can be acted on", fix));
    }
    let Some(control) = control else { return };
    let told: Vec<serde_json::Value> = match control.get("/backends").await {
        Ok(told) => told,
        Err(error) => {
            let what = format!("the bridge does not tell: {error}");
            findings.push(Finding::warn("backends", what, "restart the bridge"));
            return;
        }
    };
    for backend in told {
        let name = backend["backend"].as_str().unwrap_or_default();
        let area = format!("backend {name}");
        let status = &backend["status"];
        let number = |key: &str| status[key].as_u64().unwrap_or_default();
        if status["connected"].as_bool() == Some(true) {
            let (watched, silent) = (number("watched"), number("silent"));
            let what = format!("connected, {watched} machines watched");
            findings.push(if silent == 0 {
                Finding::ok(area, what)
            } else {
                let fix = "`primrack watch --once` shows which, and why";
                Finding::warn(area, format!("{what}, {silent} of them do not answer"), fix)
            });
        } else {
            let why = status["why"].as_str().unwrap_or("it has not connected yet").to_owned();
            findings.push(Finding::fail(area, format!("not connected: {why}"), "see the log of the bridge"));
        }
    }
}

/// Whether what a backend needs of this machine is there.
fn needs(name: &str, backend: &BackendConfig, findings: &mut Vec<Finding>) {
    let area = format!("backend {name}");
    let Some(technology) = backend.technology() else { return };
    if backend.dry_run {
        let what = "dry run: its machines are shown, and nothing is done to them";
        findings.push(Finding::warn(area.clone(), what, "remove dry_run from its table to act"));
    }
    findings.extend(technology.needs().into_iter().map(|Need { found, words, remedy }| match found {
        Standing::Fine => Finding::ok(area.clone(), words),
        Standing::Worse => Finding::warn(area.clone(), words, remedy),
        Standing::Missing => Finding::fail(area.clone(), words, remedy),
    }));
}
