//! What can be set.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use primrack_adapter_api::Adapter;
use russh::keys::ssh_key::{Fingerprint, PublicKey};
use serde::{Deserialize, Serialize};

use crate::config::check_name;
use crate::{ConfigError, Configured, Need};

use super::sets::NAME;
use super::{CommandSet, SshAdapter};

/// Hosts by name, and command sets beside the ready ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SshConfig {
    /// The hosts by name. A machine's address is `HOST/MACHINE`; that of a host itself is `HOST`.
    pub hosts: BTreeMap<String, HostConfig>,
    /// Command sets of your own.
    #[serde(default)]
    pub sets: BTreeMap<String, CommandSet>,
    /// How long reaching a host, and a look, may take in milliseconds. Default 8000.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
    /// How long the command of an action may run in milliseconds. Default 25 000; the driver's
    /// `execute_timeout_ms` counts too.
    #[serde(default = "action_timeout_ms")]
    pub action_timeout_ms: u64,
    /// How many machines of one host are listed. Default 1000, at most 10 000.
    #[serde(default = "list_limit")]
    pub list_limit: usize,
}

/// One host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostConfig {
    /// Name or address with the port: `sun-1.example.org:22`.
    pub address: String,
    /// Who to be there.
    pub user: String,
    /// The file with the private key, in OpenSSH's form and without a pass phrase; nobody else may read it.
    pub key_file: PathBuf,
    /// The host's own key: `SHA256:…` as `ssh-keygen -l` prints it, `ssh-ed25519 AAAA…`, or a line of
    /// known_hosts. Another key is never taken.
    pub host_key: String,
    /// The command set: `zones`, `vserver`, `plain`, or one of `sets`.
    pub set: String,
    /// What comes before each command, such as `pfexec` or `sudo -n`.
    #[serde(default)]
    pub with: String,
    /// A name for people, where the host itself is the machine.
    #[serde(default)]
    pub label: String,
}

/// A host's pinned key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pinned {
    Key(Box<PublicKey>),
    Fingerprint(Fingerprint),
}

fn timeout_ms() -> u64 {
    8000
}
fn action_timeout_ms() -> u64 {
    25_000
}
fn list_limit() -> usize {
    1000
}

impl HostConfig {
    /// Reads the pinned key.
    pub(super) fn pinned(&self) -> Result<Pinned, String> {
        let text = self.host_key.trim();
        if text.starts_with("SHA256:") || text.starts_with("SHA512:") {
            return text.parse().map(Pinned::Fingerprint).map_err(|why| format!("no fingerprint: {why}"));
        }
        // A line of known_hosts has the host's names first.
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let key = match words.iter().position(|word| word.starts_with("ssh-") || word.starts_with("ecdsa-")) {
            Some(at @ 0..=1) => words.get(at..at + 2),
            _ => None,
        };
        let Some(key) = key else {
            return Err(
                "write `SHA256:…`, `ssh-ed25519 AAAA…` or a line of known_hosts (not a hashed or marked one)"
                    .to_owned(),
            );
        };
        PublicKey::from_openssh(&key.join(" "))
            .map(|key| Pinned::Key(Box::new(key)))
            .map_err(|why| format!("no public key: {why}"))
    }
}

impl SshConfig {
    /// Checks it without touching anything.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.hosts.is_empty() {
            return Err(ConfigError::new(
                "hosts",
                "name at least one: [hosts.NAME] with address, user, key_file, host_key and set",
            ));
        }
        if !(1..=10_000).contains(&self.list_limit) {
            return Err(ConfigError::new("list_limit", "write a number from 1 to 10000"));
        }
        for (field, value) in [("timeout_ms", self.timeout_ms), ("action_timeout_ms", self.action_timeout_ms)]
        {
            if !(100..=600_000).contains(&value) {
                return Err(ConfigError::new(field, "write 100 to 600000 milliseconds"));
            }
        }
        for (name, set) in &self.sets {
            check_name("sets", name)?;
            check_set(name, set)?;
        }
        for (name, host) in &self.hosts {
            check_name("hosts", name)?;
            let place = |field: &str| format!("hosts.{name}.{field}");
            let port = host.address.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
            if !matches!(port, Some(Ok(1..))) || host.address.starts_with(':') {
                return Err(ConfigError::new(
                    place("address"),
                    "write the host and its port: `sun-1.example.org:22`",
                ));
            }
            if host.user.is_empty() || host.user.contains(char::is_whitespace) {
                return Err(ConfigError::new(place("user"), "write who to be there"));
            }
            host.pinned().map_err(|words| ConfigError::new(place("host_key"), words))?;
            if self.set_of(host).is_none() {
                return Err(ConfigError::new(
                    place("set"),
                    format!(
                        "there is no command set {:?}: zones, vserver, plain, or one of [sets.NAME]",
                        host.set
                    ),
                ));
            }
        }
        Ok(())
    }

    /// The command set of a host; one of the configuration's own before a ready one.
    pub(super) fn set_of(&self, host: &HostConfig) -> Option<CommandSet> {
        self.sets.get(&host.set).cloned().or_else(|| CommandSet::ready(&host.set))
    }

    /// Makes the adapter. Nothing is connected before it is first used.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn build(self) -> Result<SshAdapter, ConfigError> {
        self.check()?;
        SshAdapter::new(&self)
    }
}

fn check_set(name: &str, set: &CommandSet) -> Result<(), ConfigError> {
    let place = |field: &str| format!("sets.{name}.{field}");
    for (field, command) in set.commands() {
        if command.contains(['\n', '\0']) || command.len() > 4096 {
            return Err(ConfigError::new(place(field), "a command is one line of at most 4096 bytes"));
        }
        let of_one = !matches!(field, "list" | "names") && !set.is_the_host();
        if of_one && !command.is_empty() && !command.contains(NAME) {
            return Err(ConfigError::new(place(field), "it says nowhere which machine: write {name}"));
        }
        if !of_one && command.contains(NAME) {
            return Err(ConfigError::new(
                place(field),
                "it is not about one machine: there is no {name} here",
            ));
        }
    }
    if set.is_the_host() && set.observe.is_empty() {
        return Err(ConfigError::new(
            place("list"),
            "write `list`, or `observe` where the host itself is the machine",
        ));
    }
    if !set.is_the_host() && set.states.is_empty() && (set.state.is_some() || !set.observe.is_empty()) {
        return Err(ConfigError::new(
            place("states"),
            "write what its words mean: { running = \"on\", stopped = \"off\" }",
        ));
    }
    Ok(())
}

impl Configured for SshConfig {
    fn resolve(&mut self, base: &Path) {
        for host in self.hosts.values_mut() {
            host.key_file = base.join(&host.key_file);
        }
    }
    fn check(&self) -> Result<(), ConfigError> {
        self.check()
    }
    fn build(self) -> Result<Arc<dyn Adapter>, ConfigError> {
        Ok(Arc::new(self.build()?))
    }
    fn needs(&self) -> Vec<Need> {
        let without = self.hosts.iter().filter_map(|(name, host)| {
            let why = super::client::read_key(&host.key_file).err()?;
            Some(Need::missing(
                format!("host {name}: {why}"),
                format!("chmod 600 {}", host.key_file.display()),
            ))
        });
        without.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_readme_is_understood() {
        let readme = include_str!("README.md");
        let example = readme.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
        let config: SshConfig = toml::from_str(example).unwrap();
        config.check().unwrap();
        assert_eq!(config.hosts["sun-1"].set, "zones");
        assert!(config.set_of(&config.hosts["vmm-1"]).unwrap().state.is_some());
    }

    #[test]
    fn a_host_key_is_read_in_three_forms() {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILagOJFgwaMNhBWQINinKOXmqS4Gh5NgxgriXwdOoINJ";
        let host = |host_key: String| HostConfig {
            address: "a:22".into(),
            user: "u".into(),
            key_file: "k".into(),
            host_key,
            set: "plain".into(),
            with: String::new(),
            label: String::new(),
        };
        let plain = host(key.to_owned()).pinned().unwrap();
        assert_eq!(host(format!("sun-1,192.0.2.7 {key} a comment")).pinned().unwrap(), plain);
        let Pinned::Key(public) = plain else { panic!("{plain:?}") };
        let print = public.fingerprint(russh::keys::HashAlg::Sha256);
        assert_eq!(host(print.to_string()).pinned().unwrap(), Pinned::Fingerprint(print));
        assert!(host("trust me".into()).pinned().is_err());
        assert!(host("@revoked x ssh-ed25519 AAAA".into()).pinned().is_err());
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let wrong = |text: &str| toml::from_str::<SshConfig>(text).unwrap().check().unwrap_err().to_string();
        let host = "[hosts.a]\naddress = 'a:22'\nuser = 'u'\nkey_file = 'k'\n\
                    host_key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILagOJFgwaMNhBWQINinKOXmqS4Gh5NgxgriXwdOoINJ'\n";
        assert!(wrong(&format!("{host}set = 'zoned'")).starts_with("hosts.a.set: there is no"));
        let set = "set = 'm'\n[sets.m]\nlist = 'ls'\nstart = 'go'";
        assert!(wrong(&format!("{host}{set}")).starts_with("sets.m.start: it says nowhere"));
        assert!(wrong("hosts = {}").starts_with("hosts: name at least one"));
    }
}
