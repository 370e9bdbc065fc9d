//! Virtual machines of the demonstration, where QEMU and a guest are there.

use std::path::{Path, PathBuf};

/// The unit that shows the machine: the rack's own units are numbered before it.
const UNIT: u8 = 7;

/// What is added to the seed: a machine with the guest that `cargo xtask test` builds, or a sentence
/// about what is missing.
pub(super) fn machines() -> String {
    match (qemu(), guest()) {
        (true, Some(guest)) => machine(&guest),
        (false, _) => "\n# A virtual machine comes here when qemu-system-x86_64 is installed (then `primrack demo --reset`).\n".to_owned(),
        (true, None) => "\n# A virtual machine comes here when a guest is there: `cargo xtask test` builds one (then `primrack demo --reset`).\n".to_owned(),
    }
}

fn qemu() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join("qemu-system-x86_64").is_file())
}

/// The guest's folder: named by `PRIMRACK_GUEST_DIR`, or `target/guest` of the working folder.
fn guest() -> Option<PathBuf> {
    let folder = std::env::var_os("PRIMRACK_GUEST_DIR")
        .map(PathBuf::from)
        .or_else(|| std::env::current_dir().ok().map(|here| here.join("target/guest")))?;
    let there = folder.is_absolute() && ["vmlinuz", "initrd"].iter().all(|file| folder.join(file).is_file());
    there.then_some(folder)
}

fn machine(guest: &Path) -> String {
    let file = |name: &str| toml::Value::String(guest.join(name).display().to_string()).to_string();
    let (kernel, initrd) = (file("vmlinuz"), file("initrd"));
    format!(
        r#"{UNIT} = "vm-1"

# A real virtual machine.
[backends.qemu.qemu]
state_dir = "machines"

[backends.qemu.qemu.machines.vm-1]
kernel = {kernel}
initrd = {initrd}
append = "console=ttyS0 quiet panic=-1"
memory_mib = 128
ready = {{ line = "GUEST-READY" }}

[targets.vm-1]
backend = "qemu"
label = "Virtual machine"
"#
    )
}
