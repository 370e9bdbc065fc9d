//! What can be set.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use primrack_adapter_api::Adapter;
use serde::{Deserialize, Serialize};

use crate::config::check_name;
use crate::{ConfigError, Configured, Need};

use super::IpmiAdapter;

/// Machines with a BMC each, by name; the name is the address of the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IpmiConfig {
    /// The account on each BMC, at most 16 bytes.
    pub user: String,
    /// A file with its password, readable by its owner only; at most 20 bytes count.
    pub password_file: PathBuf,
    /// Seconds that a packet waits for its answer before it is sent once more, 1 to 10; 2 if absent. Some BMCs answer an order
    /// only when it is done.
    #[serde(default = "answer_s")]
    pub answer_s: u64,
    /// The machines.
    #[serde(default)]
    pub machines: BTreeMap<String, MachineConfig>,
}

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineConfig {
    /// Where its BMC answers: `HOST:PORT`; without a port 623.
    pub bmc: String,
    /// A name for people; the machine's own if absent.
    #[serde(default)]
    pub label: String,
    /// Another account than the others have.
    #[serde(default)]
    pub user: Option<String>,
    /// And another file with its password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
}

fn answer_s() -> u64 {
    2
}

impl IpmiConfig {
    /// Checks it without touching anything.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        let users = self.machines.iter().filter_map(|(name, machine)| {
            machine.user.as_ref().map(|user| (format!("machines.{name}.user"), user))
        });
        for (place, user) in std::iter::once(("user".to_owned(), &self.user)).chain(users) {
            if user.is_empty() || user.len() > 16 {
                return Err(ConfigError::new(place, "IPMI has users of 1 to 16 bytes"));
            }
        }
        if !(1..=10).contains(&self.answer_s) {
            return Err(ConfigError::new("answer_s", "a packet waits 1 to 10 seconds for its answer"));
        }
        if self.password_file.as_os_str().is_empty() {
            return Err(ConfigError::new("password_file", "name the file with the account's password"));
        }
        for (name, machine) in &self.machines {
            check_name("machines", name)?;
            let (host, port) = machine.place();
            if host.is_empty() || port.parse::<u16>().map_or(true, |port| port == 0) {
                return Err(ConfigError::new(
                    format!("machines.{name}.bmc"),
                    "write HOST, HOST:PORT or [ADDRESS]:PORT",
                ));
            }
        }
        Ok(())
    }

    /// Makes the adapter. Nothing is connected before it is first used.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn build(self) -> Result<IpmiAdapter, ConfigError> {
        self.check()?;
        Ok(IpmiAdapter::new(&self))
    }
}

impl MachineConfig {
    /// Host and port.
    pub(super) fn place(&self) -> (&str, &str) {
        match self.bmc.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') => (host, port),
            Some((host, port)) if host.ends_with(']') => (host.trim_matches(['[', ']']), port),
            Some(_) | None => (self.bmc.trim_matches(['[', ']']), "623"),
        }
    }
}

impl Configured for IpmiConfig {
    fn resolve(&mut self, base: &Path) {
        self.password_file = base.join(&self.password_file);
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
        let files = self.machines.values().filter_map(|machine| machine.password_file.as_ref());
        std::iter::once(&self.password_file)
            .chain(files)
            .map(|path| match std::fs::metadata(path) {
                Ok(_) => Need::fine(format!("a password is in {}", path.display())),
                Err(error) => Need::missing(
                    format!("the password's file {} cannot be read: {error}", path.display()),
                    format!("install -m 600 /dev/null {0} && editor {0}", path.display()),
                ),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_readme_is_understood() {
        let readme = include_str!("README.md");
        let example = readme.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
        let config: IpmiConfig = toml::from_str(example).unwrap();
        config.check().unwrap();
        assert_eq!(config.machines["db-1"].place(), ("10.0.9.11", "623"));
        assert_eq!(config.machines["db-2"].place(), ("fd00::12", "6230"));
    }

    #[test]
    fn what_ipmi_cannot_have_is_refused() {
        for (text, place) in [
            ("user = 'a name that is too long'\npassword_file = '/x'", "user"),
            ("user = 'a'\npassword_file = '/x'\n[machines.m]\nbmc = 'host:0'", "machines.m.bmc"),
            ("user = 'a'\npassword_file = '/x'\n[machines.m]\nbmc = 'h'\nuser = ''", "machines.m.user"),
        ] {
            let config: IpmiConfig = toml::from_str(text).unwrap();
            assert_eq!(config.check().unwrap_err().place, place);
        }
    }
}
