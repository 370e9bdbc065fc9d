//! What can be set.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use primrack_adapter_api::Adapter;
use serde::{Deserialize, Serialize};

use super::ProxmoxAdapter;
use crate::web::{Trust, check_url};
use crate::{ConfigError, Configured, Need};

/// One cluster, reached by one of its nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxmoxConfig {
    /// A node: `https://pve1.example.org:8006`.
    pub url: String,
    /// A file with an API token, for its owner only: `primrack@pve!bridge=00000000-0000-…`.
    pub token_file: PathBuf,
    /// Whose certificate is believed. A node's own authority is `/etc/pve/pve-root-ca.pem`.
    #[serde(default)]
    pub tls: Trust,
    /// The node that `migrate` moves guests to. Without it, there is no migration.
    #[serde(default)]
    pub migrate_to: Option<String>,
    /// Whether a snapshot of a running virtual machine holds its memory, too. Default yes.
    #[serde(default = "yes")]
    pub snapshot_memory: bool,
    /// How long any one answer may take, in milliseconds. Default 10 000.
    #[serde(default = "answer_within_ms")]
    pub answer_within_ms: u64,
}

fn yes() -> bool {
    true
}

fn answer_within_ms() -> u64 {
    10_000
}

impl ProxmoxConfig {
    /// Checks it without touching anything.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        if check_url("url", &self.url)?.path() != "/" {
            return Err(ConfigError::new("url", "only scheme, host and port: the path is always /api2/json"));
        }
        if self.migrate_to.as_ref().is_some_and(|node| node.trim().is_empty()) {
            return Err(ConfigError::new("migrate_to", "it is empty: leave the line out instead"));
        }
        if !(500..=120_000).contains(&self.answer_within_ms) {
            return Err(ConfigError::new("answer_within_ms", "from 500 to 120000"));
        }
        self.tls.check("tls")
    }

    /// Makes the adapter. Nothing is read or connected before it is first used.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn build(self) -> Result<ProxmoxAdapter, ConfigError> {
        self.check()?;
        let url = check_url("url", &self.url)?;
        Ok(ProxmoxAdapter::new(self, url))
    }
}

impl Configured for ProxmoxConfig {
    fn resolve(&mut self, base: &Path) {
        self.token_file = base.join(&self.token_file);
        self.tls.resolve(base);
    }
    fn check(&self) -> Result<(), ConfigError> {
        self.check()
    }
    fn build(self) -> Result<Arc<dyn Adapter>, ConfigError> {
        Ok(Arc::new(self.build()?))
    }
    fn needs(&self) -> Vec<Need> {
        let files = std::iter::once(("token_file", &self.token_file))
            .chain(self.tls.ca_file.as_ref().map(|path| ("tls.ca_file", path)));
        files
            .filter(|(_, path)| !path.is_file())
            .map(|(place, path)| {
                Need::missing(
                    format!("there is no file {}", path.display()),
                    format!("{place} = \"/full/path\""),
                )
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
        let config: ProxmoxConfig = toml::from_str(example).unwrap();
        config.check().unwrap();
        assert_eq!(config.migrate_to.as_deref(), Some("pve2"));
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let wrong = |text: &str| {
            let text = format!("token_file = 't'\n{text}");
            toml::from_str::<ProxmoxConfig>(&text).unwrap().check().unwrap_err().to_string()
        };
        assert!(wrong("url = 'http://pve1.example.org:8006'").starts_with("url: write https"));
        assert!(wrong("url = 'https://pve1:8006/api2/json'").contains("/api2/json"));
        assert!(wrong("url = 'https://pve1:8006'\nmigrate_to = ' '").starts_with("migrate_to: "));
    }
}
