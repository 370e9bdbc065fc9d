//! Snapshots, copies, moves and the end of a machine: what is over when its call returns.

use std::time::SystemTime;

use primrack_adapter_api::AdapterError;
use primrack_model::Power;

use super::client::Connection;
use super::driver::Driver;
use super::protocol::{Domain, Procedure, Snapshot, Volume};
use super::{LibvirtConfig, map, xml};

/// What every snapshot of the bridge is called at its beginning.
const OURS: &str = "primrack-";
/// Descriptions with what is needed to define the machine again (VIR_DOMAIN_XML_SECURE, _INACTIVE).
const WHOLE: u32 = 1 | 2;
/// VIR_MIGRATE_LIVE, _PEER2PEER, _PERSIST_DEST, _UNDEFINE_SOURCE and _OFFLINE.
const LIVE: u32 = 1;
const BY_DAEMON: u32 = 2 | 8 | 16;
const OFFLINE: u32 = 1024;
/// VIR_DOMAIN_UNDEFINE_MANAGED_SAVE, _SNAPSHOTS_METADATA and _NVRAM.
const WITH_EVERYTHING: u32 = 1 | 2 | 4;
/// How many copies of one machine are named by numbers.
const COPIES: u32 = 1000;

pub(super) async fn snapshot(connection: &Connection, domain: &Domain) -> Result<(), AdapterError> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let text = format!("<domainsnapshot><name>{OURS}{}</name></domainsnapshot>", since.as_millis());
    connection.make_snapshot(domain, &text).await
}

/// To the newest snapshot, whoever made it.
pub(super) async fn revert(connection: &Connection, domain: &Domain) -> Result<(), AdapterError> {
    let mut newest: Option<(u64, Snapshot)> = None;
    for snapshot in connection.snapshots(domain).await? {
        let made = xml::snapshot_time(&connection.snapshot_xml(&snapshot).await?);
        // Of the same second the one with the later name: ours are named by the time in milliseconds.
        if newest.as_ref().is_none_or(|(time, other)| (*time, &other.name) < (made, &snapshot.name)) {
            newest = Some((made, snapshot));
        }
    }
    let Some((_, snapshot)) = newest else {
        return Err(AdapterError::Refused(format!("{} has no snapshot", domain.name)));
    };
    connection.revert(&snapshot).await
}

/// Another like it, with copies of its disks. Only of one that is off: the copy of a disk in use is of no use.
pub(super) async fn clone(connection: &Connection, domain: &Domain, state: i32) -> Result<(), AdapterError> {
    if state != map::SHUTOFF {
        return Err(AdapterError::Refused(format!(
            "{} is {}: its disks can be copied only while it is off",
            domain.name,
            if map::is_active(state) { Power::On.word() } else { Power::Crashed.word() }
        )));
    }
    let description = connection.xml(domain, WHOLE).await?;
    let name = free_name(connection, &domain.name).await?;
    let volumes = volumes(connection, &description).await?;
    let mut made: Vec<(String, String, Volume)> = Vec::new();
    let done = async {
        for (path, volume) in &volumes {
            let pool = connection.pool(volume).await?;
            let text = connection.volume_xml(volume).await?;
            let text = xml::copied_volume(&text, &format!("{name}-{}", volume.name)).map_err(refused)?;
            let copy = connection.copy_volume(&pool, &text, volume).await?;
            let place = connection.volume_path(&copy).await?;
            made.push((path.clone(), place, copy));
        }
        let disks: Vec<_> = made.iter().map(|(from, to, _)| (from.as_str(), to.as_str())).collect();
        let text = xml::copied_domain(&description, &name, &disks).map_err(refused)?;
        connection.define(&text).await.map(drop)
    }
    .await;
    if done.is_err() {
        for (_, place, volume) in &made {
            if let Err(why) = connection.delete_volume(volume).await {
                tracing::warn!(%place, %why, "a copy that is of no use any more stays");
            }
        }
    }
    done
}

async fn free_name(connection: &Connection, name: &str) -> Result<String, AdapterError> {
    for number in 1..=COPIES {
        let wanted = format!("{name}-clone-{number}");
        match connection.find(&wanted).await {
            Err(AdapterError::NotFound(_)) => return Ok(wanted),
            Ok(_) => {}
            Err(why) => return Err(why),
        }
    }
    Err(AdapterError::Refused(format!("{name} has {COPIES} copies already")))
}

/// The volumes of its own disks, by path.
async fn volumes(connection: &Connection, description: &str) -> Result<Vec<(String, Volume)>, AdapterError> {
    let mut all = Vec::new();
    for path in xml::own_disks(description).map_err(refused)? {
        let Some(volume) = connection.volume(&path).await? else {
            return Err(AdapterError::Refused(format!(
                "its disk {path} is in no storage pool of the daemon, which could copy or delete it: define a pool for its \
                 folder (virsh pool-define-as)"
            )));
        };
        all.push((path, volume));
    }
    Ok(all)
}

/// Its definition, and its disks unless they are to be kept. Whether the disks can be deleted is known before anything is.
pub(super) async fn delete(
    connection: &Connection,
    config: &LibvirtConfig,
    domain: &Domain,
    state: i32,
) -> Result<(), AdapterError> {
    if map::is_active(state) {
        return Err(AdapterError::Refused(format!("{} runs: it has to be off to be deleted", domain.name)));
    }
    let disks = if config.keep_disks {
        Vec::new()
    } else {
        volumes(connection, &connection.xml(domain, WHOLE).await?).await?
    };
    match connection.tell_with(Procedure::DomainUndefineFlags, domain, WITH_EVERYTHING).await {
        // Drivers that know nothing of saved memory and snapshots.
        Err(AdapterError::NotSupported(_) | AdapterError::Refused(_)) => {
            connection.tell(Procedure::DomainUndefine, domain).await?;
        }
        other => other?,
    }
    for (path, volume) in disks {
        connection.delete_volume(&volume).await.map_err(|why| {
            AdapterError::Refused(format!("{} is deleted, but its disk {path} is not: {why}", domain.name))
        })?;
    }
    Ok(())
}

/// To the host that the configuration names, running where it runs.
pub(super) async fn migrate(
    connection: &Connection,
    config: &LibvirtConfig,
    domain: &Domain,
    state: i32,
) -> Result<(), AdapterError> {
    let Some(to) = &config.migrate_to else {
        return Err(AdapterError::NotSupported(
            "no host is named to move it to: set `migrate_to` of the backend".to_owned(),
        ));
    };
    let flags = if map::is_active(state) { BY_DAEMON | LIVE } else { BY_DAEMON | OFFLINE };
    let flags = if config.driver() == Driver::Xen { flags & !OFFLINE } else { flags };
    connection.migrate(domain, to, flags).await
}

fn refused(why: String) -> AdapterError {
    AdapterError::Refused(why)
}
