//! What can be set.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;

use primrack_adapter_api::Adapter;
use serde::{Deserialize, Serialize};
use zbus::address::Transport;

use crate::{ConfigError, Configured, Need, programs};

use super::{SystemdAdapter, names};

/// The units of one systemd: by name, or by patterns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemdConfig {
    /// The D-Bus address of the bus that systemd is on, such as `unix:path=/run/dbus/system_bus_socket`.
    /// The machine's own system bus if absent.
    #[serde(default)]
    pub address: Option<String>,
    /// Which units are targets: names with their suffix, or patterns with `*` and `?`.
    pub units: Vec<String>,
    /// How many units a listing may bring. Default 1000, at most 10 000.
    #[serde(default = "list_limit")]
    pub list_limit: usize,
    /// How many of the last lines of its journal a unit's console shows; 0 turns the console off. Default 100.
    #[serde(default = "journal_lines")]
    pub journal_lines: u16,
    /// The folder of the journal, where `address` leads to another machine whose journal is mounted
    /// here. Without it only units of the machine's own system bus have a console.
    #[serde(default)]
    pub journal_dir: Option<PathBuf>,
}

fn list_limit() -> usize {
    1000
}
fn journal_lines() -> u16 {
    100
}

impl SystemdConfig {
    /// Checks it without touching anything.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        if let Some(address) = &self.address {
            let parsed = zbus::Address::from_str(address).map_err(|why| {
                ConfigError::new("address", format!("{address:?} is no D-Bus address: {why}"))
            })?;
            if !matches!(parsed.transport(), Transport::Unix(_)) {
                return Err(ConfigError::new(
                    "address",
                    "only `unix:` addresses are taken: D-Bus over a network is neither encrypted nor signed",
                ));
            }
        }
        if self.units.is_empty() {
            return Err(ConfigError::new(
                "units",
                "name units, such as [\"nginx.service\", \"app-*.service\"]",
            ));
        }
        if self.units.len() > 1000 {
            return Err(ConfigError::new("units", "at most 1000 names; write patterns"));
        }
        for (at, unit) in self.units.iter().enumerate() {
            names::check(unit).map_err(|words| ConfigError::new(format!("units[{at}]"), words))?;
        }
        if !(1..=10_000).contains(&self.list_limit) {
            return Err(ConfigError::new("list_limit", "write a number from 1 to 10000"));
        }
        if self.journal_lines > 1000 {
            return Err(ConfigError::new("journal_lines", "at most 1000"));
        }
        Ok(())
    }

    /// Makes the adapter. Nothing is connected before it is first used.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn build(self) -> Result<SystemdAdapter, ConfigError> {
        self.check()?;
        Ok(SystemdAdapter::new(self))
    }

    /// Whether units can show their journal.
    pub(super) fn has_journal(&self) -> bool {
        self.journal_lines > 0 && (self.address.is_none() || self.journal_dir.is_some())
    }
}

impl Configured for SystemdConfig {
    fn resolve(&mut self, base: &Path) {
        if let Some(folder) = &mut self.journal_dir {
            *folder = base.join(&*folder);
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
        if self.address.is_none() && !Path::new("/run/systemd/system").is_dir() {
            needs.push(Need::missing(
                "this machine was not started by systemd",
                "address = \"unix:path=…\" of the bus of one that was",
            ));
        }
        if self.has_journal() && programs::find("journalctl").is_none() {
            needs.push(Need::worse(
                "there is no journalctl: consoles of units stay empty",
                "journal_lines = 0, or install systemd's tools",
            ));
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
        let config: SystemdConfig = toml::from_str(example).unwrap();
        config.check().unwrap();
        assert_eq!(config.units, ["nginx.service", "app-*.service"]);
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let wrong =
            |text: &str| toml::from_str::<SystemdConfig>(text).unwrap().check().unwrap_err().to_string();
        assert!(wrong("units = []").starts_with("units: name units"));
        assert!(wrong("units = ['a.service', 'nginx']").starts_with("units[1]: \"nginx\" has no suffix"));
        assert!(wrong("units = ['a b.service']").starts_with("units[0]: "));
        assert!(wrong("units = ['a.service']\naddress = 'here'").starts_with("address: "));
        let network = wrong("units = ['a.service']\naddress = 'tcp:host=127.0.0.1,port=1'");
        assert!(network.contains("encrypted"), "{network}");
    }
}
