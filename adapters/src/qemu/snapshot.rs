//! Snapshots inside the disks (qcow2): by QEMU's jobs while it runs, with its memory, and by `qemu-img` while it is off.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use primrack_adapter_api::AdapterError;
use primrack_model::UnixMs;
use qapi::qmp::{self, JobStatus};
use serde::Deserialize;

use super::adapter::Inner;
use super::client::Qmp;
use super::launch::node;
use super::machine::Machine;

/// How the names of our snapshots begin; the time in milliseconds follows.
const OURS: &str = "primrack-";
/// How often a job is asked about: its end comes as an event of QEMU only among many others.
const ASKING: Duration = Duration::from_millis(50);
/// How long `qemu-img` may take for what touches a table only.
pub(super) const QUICK: Duration = Duration::from_secs(60);

/// One snapshot, as `qemu-img info` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Kept {
    name: String,
    #[serde(rename = "vm-state-size")]
    memory: u64,
}

#[derive(Debug, Deserialize)]
struct Info {
    #[serde(default)]
    snapshots: Vec<Kept>,
}

impl Inner {
    /// Keeps what is on its disks, and in its memory while it runs.
    pub(super) async fn snapshot(&self, machine: &Arc<Machine>, until: Instant) -> Result<(), AdapterError> {
        able(machine)?;
        let tag = format!("{OURS}{}", UnixMs::now().0);
        if machine.handle().is_some() {
            let qmp = machine.qmp()?;
            let nodes = nodes(machine);
            let command = qmp::snapshot_save {
                job_id: tag.clone(),
                vmstate: nodes[0].clone(),
                devices: nodes,
                tag: tag.clone(),
            };
            qmp.run(command).await?;
            let done = job(&qmp, &tag, until).await;
            self.refresh(machine, &qmp).await?;
            return done;
        }
        for disk in &machine.config.disks {
            image(&["snapshot", "-c", &tag], &disk.file, QUICK).await?;
        }
        Ok(())
    }

    /// Goes back to the newest snapshot.
    pub(super) async fn revert(&self, machine: &Arc<Machine>, until: Instant) -> Result<(), AdapterError> {
        able(machine)?;
        let newest = newest(machine).await?;
        if machine.handle().is_none() {
            for disk in &machine.config.disks {
                image(&["snapshot", "-a", &newest.name], &disk.file, QUICK).await?;
            }
            return Ok(());
        }
        if newest.memory == 0 {
            return Err(AdapterError::Refused(format!(
                "the newest snapshot of {} was taken while it was off: shut it down first",
                machine.name
            )));
        }
        let qmp = machine.qmp()?;
        let nodes = nodes(machine);
        let id = format!("{OURS}revert-{}", UnixMs::now().0);
        // Its devices are reset before they are loaded; that is no boot.
        self.change_live(machine, |live| live.reverting = true);
        let command = qmp::snapshot_load {
            job_id: id.clone(),
            vmstate: nodes[0].clone(),
            devices: nodes,
            tag: newest.name,
        };
        let done = match qmp.run(command).await {
            Ok(_) => job(&qmp, &id, until).await,
            Err(why) => Err(why),
        };
        let asked = self.refresh(machine, &qmp).await;
        self.change_live(machine, |live| live.reverting = false);
        done.and(asked.map(drop))
    }
}

fn able(machine: &Machine) -> Result<(), AdapterError> {
    if machine.config.keeps_snapshots() {
        return Ok(());
    }
    let words = "has no disk that can keep one: all its disks have to be qcow2";
    Err(AdapterError::NotSupported(format!("{} {words}", machine.name)))
}

fn nodes(machine: &Machine) -> Vec<String> {
    (0..machine.config.disks.len()).map(node).collect()
}

/// Waits for the end of a job and forgets it.
async fn job(qmp: &Qmp, id: &str, until: Instant) -> Result<(), AdapterError> {
    loop {
        let jobs = qmp.run(qmp::query_jobs {}).await?;
        match jobs.into_iter().find(|job| job.id == id) {
            Some(job) if job.status == JobStatus::concluded => {
                qmp.run(qmp::job_dismiss { id: id.to_owned() }).await?;
                return match job.error {
                    Some(why) => Err(AdapterError::Refused(format!("QEMU refused: {why}"))),
                    None => Ok(()),
                };
            }
            Some(_) if Instant::now() < until => tokio::time::sleep(ASKING).await,
            Some(_) => return Err(AdapterError::Refused("QEMU is still at it; it goes on".to_owned())),
            None => return Err(AdapterError::Refused("QEMU has forgotten how it ended".to_owned())),
        }
    }
}

/// Our newest snapshot on its first disk.
async fn newest(machine: &Machine) -> Result<Kept, AdapterError> {
    // A running QEMU holds the file; looking at it does no harm, only what is under way may be missing.
    let text = image(&["info", "-U", "--output=json"], &machine.config.disks[0].file, QUICK).await?;
    latest(&text).ok_or_else(|| AdapterError::Refused(format!("{} has no snapshot of ours", machine.name)))
}

fn latest(text: &str) -> Option<Kept> {
    let info: Info = serde_json::from_str(text).ok()?;
    let time = |kept: &Kept| kept.name.strip_prefix(OURS)?.parse::<i64>().ok();
    info.snapshots.into_iter().filter(|kept| time(kept).is_some()).max_by_key(time)
}

/// Runs `qemu-img` on a file; what it prints. Ended when this is dropped.
pub(super) async fn image(args: &[&str], file: &Path, patience: Duration) -> Result<String, AdapterError> {
    let mut command = tokio::process::Command::new("qemu-img");
    command.args(args).arg(file).stdin(std::process::Stdio::null()).kill_on_drop(true);
    let Ok(out) = tokio::time::timeout(patience, command.output()).await else {
        return Err(AdapterError::TimedOut(u64::try_from(patience.as_millis()).unwrap_or(u64::MAX)));
    };
    let out = out.map_err(|why| {
        AdapterError::Refused(format!("qemu-img cannot be run ({why}): install qemu-utils"))
    })?;
    if out.status.success() {
        return Ok(String::from_utf8_lossy(&out.stdout).into_owned());
    }
    let words: String = String::from_utf8_lossy(&out.stderr).chars().take(300).collect();
    Err(AdapterError::Refused(words.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_ours_is_found() {
        let text = r#"{"format":"qcow2","snapshots":[
            {"id":"1","name":"primrack-2000","vm-state-size":0,"date-sec":9},
            {"id":"2","name":"primrack-11000","vm-state-size":5,"date-sec":1},
            {"id":"3","name":"primrack-by-hand","vm-state-size":0},{"id":"4","name":"zz","vm-state-size":0}]}"#;
        assert_eq!(latest(text), Some(Kept { name: "primrack-11000".into(), memory: 5 }));
        assert_eq!(latest(r#"{"format":"qcow2"}"#), None);
    }
}
