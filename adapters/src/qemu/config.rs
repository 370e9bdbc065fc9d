//! What can be set.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use primrack_adapter_api::Adapter;
use serde::{Deserialize, Serialize};

use crate::config::check_name;
use crate::local::Ready;
use crate::{ConfigError, Configured, Need, programs};

use super::QemuAdapter;

/// Virtual machines in QEMU: a folder to remember them in, and the machines by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QemuConfig {
    /// Where sockets, records, console logs and saved memory are kept; made if absent, readable by its
    /// owner only, for one bridge at a time. Short: the path of a socket has room for 107 bytes.
    pub state_dir: PathBuf,
    /// The QEMU to run. Default `qemu-system-x86_64`.
    #[serde(default = "program")]
    pub program: String,
    /// What runs the guest's instructions. Default `auto`.
    #[serde(default)]
    pub accel: Accelerator,
    /// How many bytes of a console are kept before it is cut. Default 1 MiB.
    #[serde(default = "log_limit")]
    pub log_limit: u64,
    /// The machines by name; the name is the address of the target.
    #[serde(default)]
    pub machines: BTreeMap<String, MachineConfig>,
}

/// What runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Accelerator {
    /// KVM if a tiny guest really runs in it, else TCG. A `/dev/kvm` that opens proves nothing.
    #[default]
    Auto,
    /// KVM, without trying.
    Kvm,
    /// QEMU's own translator: works everywhere, some ten times slower.
    Tcg,
}

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineConfig {
    /// A name for people; the machine's own if absent.
    #[serde(default)]
    pub label: String,
    /// Memory in MiB. Default 256.
    #[serde(default = "memory")]
    pub memory_mib: u32,
    /// Processors. Default 1.
    #[serde(default = "cpus")]
    pub cpus: u32,
    /// A kernel to boot directly.
    #[serde(default)]
    pub kernel: Option<PathBuf>,
    /// Its first file system.
    #[serde(default)]
    pub initrd: Option<PathBuf>,
    /// Its command line. With `console=ttyS0` it speaks to the log.
    #[serde(default)]
    pub append: String,
    /// Its disks, the first to boot from.
    #[serde(default)]
    pub disks: Vec<DiskConfig>,
    /// Further arguments of QEMU, such as `["-nic", "user,model=virtio-net-pci"]`. There is no network
    /// without one. What the bridge sets itself is refused.
    #[serde(default)]
    pub args: Vec<String>,
    /// When it counts as On. `{ line = ... }` means a line on the first serial port.
    #[serde(default)]
    pub ready: Ready,
}

/// One disk, on virtio.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskConfig {
    /// The image or device.
    pub file: PathBuf,
    /// `qcow2`, `raw` and so on. Named, since a guest can write a header that fools a guess.
    pub format: String,
}

impl MachineConfig {
    /// Whether it has disks, and all of them can keep snapshots.
    pub(super) fn keeps_snapshots(&self) -> bool {
        !self.disks.is_empty() && self.disks.iter().all(|disk| disk.format == "qcow2")
    }
}

fn program() -> String {
    "qemu-system-x86_64".to_owned()
}
fn log_limit() -> u64 {
    1 << 20
}
fn memory() -> u32 {
    256
}
fn cpus() -> u32 {
    1
}

/// Arguments that the bridge sets itself, or that would take the machine out of its hands.
const OURS: [&str; 22] = [
    "-name",
    "-m",
    "-smp",
    "-accel",
    "-enable-kvm",
    "-kernel",
    "-initrd",
    "-append",
    "-serial",
    "-qmp",
    "-qmp-pretty",
    "-mon",
    "-monitor",
    "-pidfile",
    "-daemonize",
    "-incoming",
    "-S",
    "-no-shutdown",
    "-action",
    "-display",
    "-nographic",
    "-sandbox",
];

impl QemuConfig {
    /// Checks it without touching anything.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.state_dir.as_os_str().is_empty() {
            return Err(ConfigError::new("state_dir", "name a folder, such as /var/lib/primrack/qemu"));
        }
        if self.program.is_empty() {
            return Err(ConfigError::new("program", "name the QEMU to run, such as qemu-system-x86_64"));
        }
        if self.log_limit < 4096 {
            return Err(ConfigError::new("log_limit", "at least 4096 bytes are needed"));
        }
        for (name, machine) in &self.machines {
            check_name("machines", name)?;
            let place = |field: &str| format!("machines.{name}.{field}");
            if machine.memory_mib < 8 || machine.cpus == 0 {
                return Err(ConfigError::new(
                    place("memory_mib"),
                    "at least 8 MiB and one processor are needed",
                ));
            }
            if machine.kernel.is_none() && (machine.initrd.is_some() || !machine.append.is_empty()) {
                return Err(ConfigError::new(
                    place("kernel"),
                    "initrd and append are for a kernel, and none is named",
                ));
            }
            for argument in &machine.args {
                let plain =
                    argument.strip_prefix('-').map(|rest| format!("-{}", rest.trim_start_matches('-')));
                if let Some(ours) = OURS.iter().find(|ours| plain.as_deref() == Some(**ours)) {
                    return Err(ConfigError::new(
                        place("args"),
                        format!("{ours} is set by the bridge: leave it out"),
                    ));
                }
            }
            if machine.disks.iter().any(|disk| {
                disk.format.is_empty() || !disk.format.bytes().all(|byte| byte.is_ascii_alphanumeric())
            }) {
                return Err(ConfigError::new(
                    place("disks"),
                    "name each disk's format, such as qcow2 or raw",
                ));
            }
            if machine.ready.line().is_some_and(str::is_empty) {
                return Err(ConfigError::new(place("ready"), "the line to wait for is empty"));
            }
        }
        Ok(())
    }

    /// Makes the adapter. Nothing is started, opened or locked before the adapter is first used.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn build(self) -> Result<QemuAdapter, ConfigError> {
        self.check()?;
        Ok(QemuAdapter::new(self))
    }
}

impl Configured for QemuConfig {
    fn resolve(&mut self, base: &Path) {
        self.state_dir = base.join(&self.state_dir);
        for machine in self.machines.values_mut() {
            for file in [&mut machine.kernel, &mut machine.initrd].into_iter().flatten() {
                *file = base.join(&*file);
            }
            for disk in &mut machine.disks {
                disk.file = base.join(&disk.file);
            }
        }
    }
    fn check(&self) -> Result<(), ConfigError> {
        self.check()
    }
    fn build(self) -> Result<Arc<dyn Adapter>, ConfigError> {
        Ok(Arc::new(self.build()?))
    }
    fn needs(&self) -> Vec<Need> {
        let program = match programs::find(&self.program) {
            Some(path) => Need::fine(format!("QEMU is {}", path.display())),
            None => {
                let what = format!("there is no program {:?}", self.program);
                Need::missing(what, "apt-get install qemu-system-x86")
            }
        };
        let kvm = match File::options().read(true).write(true).open("/dev/kvm") {
            Ok(_) => Need::fine(
                "/dev/kvm can be opened; whether guests run in it the bridge tries at its first start of one",
            ),
            Err(error) => Need::worse(
                format!(
                    "/dev/kvm cannot be opened ({error}): machines run in QEMU's own translator, some ten times slower"
                ),
                "usermod -aG kvm USER for the bridge's user, or switch virtualisation on in the firmware",
            ),
        };
        vec![program, kvm]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_readme_is_understood() {
        let readme = include_str!("README.md");
        let example = readme.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
        let config: QemuConfig = toml::from_str(example).unwrap();
        config.check().unwrap();
        assert_eq!(config.machines["db-1"].disks[0].format, "qcow2");
    }

    #[test]
    fn what_the_bridge_sets_itself_is_refused() {
        for argument in ["-daemonize", "--daemonize", "-monitor", "-S"] {
            let text = format!("state_dir = '/x'\n[machines.a]\nargs = ['{argument}']");
            let config: QemuConfig = toml::from_str(&text).unwrap();
            let why = config.check().unwrap_err().to_string();
            assert!(why.starts_with("machines.a.args: "), "{why}");
        }
    }
}
