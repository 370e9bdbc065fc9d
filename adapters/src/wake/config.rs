//! What can be set.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use primrack_adapter_api::Adapter;
use serde::{Deserialize, Serialize};

use crate::config::check_name;
use crate::{ConfigError, Configured, Need};

use super::{WakeAdapter, client};

/// Machines by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WakeConfig {
    /// The machines by name; the name is the address of the target.
    pub machines: BTreeMap<String, MachineConfig>,
    /// How long a check waits for an answer in milliseconds. Default 2000.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
}

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineConfig {
    /// A name for people; the machine's own if absent.
    #[serde(default)]
    pub label: String,
    /// The address of its network card: `00:11:22:aa:bb:cc`.
    pub mac: String,
    /// Where the packet goes: a network's broadcast address, or one that a router knows what to do with, and
    /// the port, which is 9 or 7 by custom. Default `255.255.255.255:9`.
    #[serde(default = "to")]
    pub to: SocketAddr,
    /// A file with its SecureOn password, `01:23:45:67:89:ab`; nobody else may read it.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// A TCP port of it that accepts connections when it is up. Without it its state is unknown.
    #[serde(default)]
    pub check: Option<SocketAddr>,
}

fn timeout_ms() -> u64 {
    2000
}
fn to() -> SocketAddr {
    SocketAddr::from(([255; 4], 9))
}

impl WakeConfig {
    /// Checks it without touching anything.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.machines.is_empty() || self.machines.len() > 10_000 {
            return Err(ConfigError::new("machines", "name 1 to 10000: [machines.NAME] with mac and check"));
        }
        if !(100..=9_000).contains(&self.timeout_ms) {
            return Err(ConfigError::new("timeout_ms", "write 100 to 9000 milliseconds"));
        }
        for (name, machine) in &self.machines {
            check_name("machines", name)?;
            let place = |field: &str| format!("machines.{name}.{field}");
            if client::mac(&machine.mac).is_none() {
                return Err(ConfigError::new(place("mac"), "write the card's six bytes: 00:11:22:aa:bb:cc"));
            }
            if machine.to.port() == 0 || machine.check.is_some_and(|check| check.port() == 0) {
                return Err(ConfigError::new(place("to"), "write an address and a port other than 0"));
            }
        }
        Ok(())
    }

    /// Makes the adapter. Nothing is sent before it is told to.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn build(self) -> Result<WakeAdapter, ConfigError> {
        self.check()?;
        Ok(WakeAdapter::new(self))
    }
}

impl Configured for WakeConfig {
    fn resolve(&mut self, base: &Path) {
        for file in self.machines.values_mut().filter_map(|machine| machine.password_file.as_mut()) {
            *file = base.join(&*file);
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
        for (name, machine) in &self.machines {
            if let Some(why) = machine.password_file.as_deref().and_then(|file| client::password(file).err())
            {
                needs.push(Need::missing(
                    format!("machine {name}: {why}"),
                    format!("machines.{name}.password_file"),
                ));
            }
            if machine.check.is_none() {
                needs.push(Need::worse(
                    format!("machine {name}: without a check its state stays unknown"),
                    format!("machines.{name}.check = \"192.0.2.10:22\""),
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
        let config: WakeConfig = toml::from_str(example).unwrap();
        config.check().unwrap();
        assert_eq!(config.machines["desk-1"].to, "192.0.2.255:9".parse().unwrap());
        assert_eq!(config.machines["desk-2"].to, to());
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let wrong = |text: &str| toml::from_str::<WakeConfig>(text).unwrap().check().unwrap_err().to_string();
        assert!(wrong("[machines.a]\nmac = 'x'").starts_with("machines.a.mac: "));
        assert!(wrong("machines = {}").starts_with("machines: name"));
    }
}
