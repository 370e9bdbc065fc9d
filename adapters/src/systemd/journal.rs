//! A unit's console: the last lines of its journal, by journalctl(1).

use std::process::Stdio;
use std::time::Duration;

use primrack_adapter_api::{AdapterError, Console};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::SystemdConfig;

/// How much of it is kept: the latest.
const MOST: usize = 64 * 1024;
/// How much is read at all: long lines come whole.
const READ: u64 = 4 * 1024 * 1024;
/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(8);

/// Asks for the last lines. The name was checked: it begins with no dash and holds no pattern.
pub(super) async fn lines(config: &SystemdConfig, unit: &str) -> Result<Console, AdapterError> {
    if !config.has_journal() {
        return Err(AdapterError::NotSupported(
            "no journal of this unit is here: set `journal_dir` and `journal_lines`".to_owned(),
        ));
    }
    let mut command = Command::new("journalctl");
    command
        .args(["--quiet", "--no-pager", "--output=short-iso", "--lines"])
        .arg(config.journal_lines.to_string())
        .arg(format!("--unit={unit}"));
    if let Some(folder) = &config.journal_dir {
        command.arg("--directory").arg(folder);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command
        .spawn()
        .map_err(|why| AdapterError::NotSupported(format!("journalctl cannot be run: {why}")))?;
    let Some(output) = child.stdout.take() else {
        return Err(AdapterError::Unreachable("journalctl has no output".to_owned()));
    };
    let reading = async {
        let mut bytes = Vec::new();
        output.take(READ).read_to_end(&mut bytes).await?;
        // What is beyond the limit is not read: the program may wait for it for ever.
        child.start_kill().ok();
        child.wait().await?;
        Ok::<_, std::io::Error>(bytes)
    };
    let bytes = match tokio::time::timeout(PATIENCE, reading).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(why)) => return Err(AdapterError::Unreachable(format!("journalctl failed: {why}"))),
        Err(_) => return Err(AdapterError::TimedOut(8_000)),
    };
    let latest = &bytes[bytes.len().saturating_sub(MOST)..];
    Ok(Console::Text(String::from_utf8_lossy(latest).into_owned()))
}
