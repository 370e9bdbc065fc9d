//! Tasks: what takes longer than an answer has a number (UPID) and is asked for until it is over.

use std::time::Duration;

use primrack_adapter_api::AdapterError;
use serde::Deserialize;
use tokio::time::Instant;

use super::client::Client;

/// The pauses between questions: quick at first, then at the pace of Proxmox VE's own pages.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    status: String,
    exitstatus: Option<String>,
}

/// Follows a task; whether it ended well before `until`.
///
/// # Errors
/// [`AdapterError::Refused`] with the task's own words when it failed.
pub(super) async fn follow(
    client: &Client,
    upid: &str,
    until: Option<Instant>,
) -> Result<bool, AdapterError> {
    // UPID:node:pid:pstart:starttime:type:id:user:
    let node = upid
        .strip_prefix("UPID:")
        .and_then(|rest| rest.split(':').next())
        .ok_or_else(|| AdapterError::Unreachable("its answer is no task".to_owned()))?;
    let mut pause = PAUSES.0;
    loop {
        let Status { status, exitstatus } = client.get(&["nodes", node, "tasks", upid, "status"], "").await?;
        if status == "stopped" {
            let how = exitstatus.unwrap_or_default();
            if how == "OK" || how.starts_with("WARNINGS") {
                return Ok(true);
            }
            let words: String = how.trim().chars().take(300).collect();
            return Err(AdapterError::Refused(if words.is_empty() {
                "its task failed".to_owned()
            } else {
                words
            }));
        }
        if until.is_some_and(|until| Instant::now() >= until) {
            return Ok(false);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}
