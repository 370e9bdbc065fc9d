//! What can be set.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use primrack_adapter_api::Adapter;
use serde::{Deserialize, Serialize};

use crate::config::check_name;
use crate::local::Ready;
use crate::{ConfigError, Configured, Need, programs};

use super::UmlAdapter;

/// User-mode Linux machines: a folder to remember them in, and the machines by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UmlConfig {
    /// Where the running machines are remembered, and their logs, sockets and changed blocks are kept; made
    /// if absent, readable by its owner only, for one bridge at a time. At most about 70 bytes long.
    pub state_dir: PathBuf,
    /// The kernel. Default `linux.uml`.
    #[serde(default = "program")]
    pub program: String,
    /// How many bytes of a console are kept before it is cut. Default 1 MiB.
    #[serde(default = "log_limit")]
    pub log_limit: u64,
    /// The machines by name; the name is the address of the target.
    #[serde(default)]
    pub machines: BTreeMap<String, MachineConfig>,
}

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineConfig {
    /// A name for people; the machine's own if absent.
    #[serde(default)]
    pub label: String,
    /// Its memory in MiB. Default 64.
    #[serde(default = "memory_mib")]
    pub memory_mib: u32,
    /// Its disks, images of file systems: `/dev/ubda`, `/dev/ubdb`... At most 8.
    pub disks: Vec<PathBuf>,
    /// Whether what it writes goes to a file of its own in `state_dir`, so that images can be shared. Default true.
    #[serde(default = "copy_on_write")]
    pub copy_on_write: bool,
    /// More for the kernel's command line.
    #[serde(default = "arguments")]
    pub arguments: Vec<String>,
    /// When it counts as On.
    #[serde(default)]
    pub ready: Ready,
}

fn program() -> String {
    "linux.uml".to_owned()
}
fn log_limit() -> u64 {
    1 << 20
}
fn memory_mib() -> u32 {
    64
}
fn copy_on_write() -> bool {
    true
}
fn arguments() -> Vec<String> {
    ["root=/dev/ubda", "rw", "quiet"].map(str::to_owned).into()
}

impl UmlConfig {
    /// Checks it without touching anything.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.state_dir.as_os_str().is_empty() {
            return Err(ConfigError::new("state_dir", "name a folder, such as /var/lib/primrack/uml"));
        }
        if self.program.is_empty() {
            return Err(ConfigError::new("program", "name the kernel, such as linux.uml"));
        }
        if self.log_limit < 4096 {
            return Err(ConfigError::new("log_limit", "at least 4096 bytes are needed"));
        }
        for (name, machine) in &self.machines {
            check_name("machines", name)?;
            let place = |field: &str| format!("machines.{name}.{field}");
            if !(16..=1_048_576).contains(&machine.memory_mib) {
                return Err(ConfigError::new(place("memory_mib"), "write 16 to 1048576 MiB"));
            }
            if machine.disks.is_empty() || machine.disks.len() > 8 {
                return Err(ConfigError::new(place("disks"), "name one to eight images of file systems"));
            }
            if machine.disks.iter().any(|disk| disk.to_string_lossy().contains([',', ':'])) {
                return Err(ConfigError::new(
                    place("disks"),
                    "User-mode Linux takes no path with `,` or `:`",
                ));
            }
            if machine.arguments.iter().any(|text| text.contains('\0')) {
                return Err(ConfigError::new(
                    place("arguments"),
                    "a zero byte cannot be passed to a program",
                ));
            }
            let ours = ["umid=", "uml_dir=", "mem=", "con0=", "con=", "ubd"];
            if let Some(text) =
                machine.arguments.iter().find(|text| ours.iter().any(|own| text.starts_with(own)))
            {
                return Err(ConfigError::new(
                    place("arguments"),
                    format!("{text:?} is set by the other settings"),
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
    pub fn build(self) -> Result<UmlAdapter, ConfigError> {
        self.check()?;
        Ok(UmlAdapter::new(self))
    }
}

impl Configured for UmlConfig {
    fn resolve(&mut self, base: &Path) {
        self.state_dir = base.join(&self.state_dir);
        for disk in self.machines.values_mut().flat_map(|machine| &mut machine.disks) {
            *disk = base.join(&*disk);
        }
    }
    fn check(&self) -> Result<(), ConfigError> {
        self.check()
    }
    fn build(self) -> Result<Arc<dyn Adapter>, ConfigError> {
        Ok(Arc::new(self.build()?))
    }
    fn needs(&self) -> Vec<Need> {
        let mut needs = Vec::new();
        if programs::find(&self.program).is_none() {
            needs.push(Need::missing(
                format!("there is no program {:?}", self.program),
                "apt-get install user-mode-linux, or program = \"/full/path\"",
            ));
        }
        for (name, machine) in &self.machines {
            for disk in machine.disks.iter().filter(|disk| !disk.exists()) {
                needs.push(Need::missing(
                    format!("machine {name}: there is no image {}", disk.display()),
                    format!("machines.{name}.disks = [\"/full/path\"]"),
                ));
            }
        }
        needs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_readme_is_understood() {
        let readme = include_str!("README.md");
        let example = readme.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
        let config: UmlConfig = toml::from_str(example).unwrap();
        config.check().unwrap();
        assert_eq!(config.machines["lab-1"].memory_mib, 128);
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let wrong = |text: &str| toml::from_str::<UmlConfig>(text).unwrap().check().unwrap_err().to_string();
        assert!(wrong("state_dir = '/x'\n[machines.a]\ndisks = []").starts_with("machines.a.disks: "));
        let taken = wrong("state_dir = '/x'\n[machines.a]\ndisks = ['/d']\narguments = ['mem=1G']");
        assert!(taken.contains("mem=1G"), "{taken}");
    }
}
