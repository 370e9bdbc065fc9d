//! Whether guests really run in KVM here.
//!
//! A `/dev/kvm` that opens may still belong to a host whose nested guests hang. So one is started: a
//! boot sector that writes to QEMU's debug exit port, whose value comes back as the exit status.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::local::clean_command;

/// How long the guest may take. Under TCG it takes a third of a second.
const PATIENCE: Duration = Duration::from_secs(5);

/// `mov al, 0x2A; out 0xF4, al; hlt; jmp $-1`, and the mark of a boot sector.
fn boot_sector() -> [u8; 512] {
    let mut sector = [0; 512];
    sector[..7].copy_from_slice(&[0xB0, 0x2A, 0xE6, 0xF4, 0xF4, 0xEB, 0xFD]);
    sector[510..].copy_from_slice(&[0x55, 0xAA]);
    sector
}

/// What isa-debug-exit makes of 0x2A: twice the value, plus one.
const RAN: i32 = 0x2A * 2 + 1;

/// Whether a guest runs with this accelerator. `folder` takes its disk for a moment.
pub(super) async fn guests_run(program: &str, accelerator: &str, folder: &Path) -> bool {
    let image = folder.join(format!("probe-{accelerator}.img"));
    if let Err(why) = tokio::fs::write(&image, boot_sector()).await {
        tracing::warn!(%why, path = %image.display(), "the probe for KVM cannot be written: using TCG");
        return false;
    }
    let mut command = tokio::process::Command::from(clean_command(program));
    command
        .args(["-nodefaults", "-no-user-config", "-display", "none", "-m", "16", "-accel", accelerator])
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04", "-drive"])
        .arg(format!("file={},format=raw,if=ide,snapshot=on", image.display().to_string().replace(',', ",,")))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let ran = tokio::time::timeout(PATIENCE, command.status()).await;
    let ran = matches!(ran, Ok(Ok(status)) if status.code() == Some(RAN));
    if let Err(why) = tokio::fs::remove_file(&image).await {
        tracing::debug!(%why, "the probe's disk stays");
    }
    ran
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_probe_tells_a_guest_that_runs_from_one_that_does_not() {
        let folder = tempfile::tempdir().unwrap();
        assert!(
            guests_run("qemu-system-x86_64", "tcg", folder.path()).await,
            "needs QEMU: install qemu-system-x86"
        );
        assert!(!guests_run("qemu-system-x86_64", "nonsense", folder.path()).await);
        assert!(!guests_run("/no/such/qemu", "tcg", folder.path()).await);
    }
}
