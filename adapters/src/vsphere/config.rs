//! What can be set.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use primrack_adapter_api::Adapter;
use serde::{Deserialize, Serialize};

use super::VsphereAdapter;
use crate::web::{Trust, check_url};
use crate::{ConfigError, Configured, Need};

/// One vCenter, or one ESXi host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VsphereConfig {
    /// Where it is: `https://vcenter.example.org`. The path `/sdk` is added.
    pub url: String,
    /// Who logs in: `primrack@vsphere.local`.
    pub user: String,
    /// A file with the password, for its owner only.
    pub password_file: PathBuf,
    /// Whose certificate is believed.
    #[serde(default)]
    pub tls: Trust,
    /// Only machines below this folder or data centre, by its inventory path: `DC0/vm/web`. All if absent.
    #[serde(default)]
    pub inside: Option<String>,
    /// The host that `migrate` moves machines to, by its name in the inventory. Without it, there is no
    /// migration.
    #[serde(default)]
    pub migrate_to: Option<String>,
    /// Whether a snapshot of a running machine holds its memory, too. Default yes.
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

impl VsphereConfig {
    /// Checks it without touching anything.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        let url = check_url("url", &self.url)?;
        if !matches!(url.path(), "/" | "/sdk" | "/sdk/") {
            return Err(ConfigError::new("url", "only scheme, host and port: the path is always /sdk"));
        }
        if self.user.is_empty() {
            return Err(ConfigError::new("user", "say who logs in, such as primrack@vsphere.local"));
        }
        for (place, text) in [("inside", &self.inside), ("migrate_to", &self.migrate_to)] {
            if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
                return Err(ConfigError::new(place, "it is empty: leave the line out instead"));
            }
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
    pub fn build(self) -> Result<VsphereAdapter, ConfigError> {
        self.check()?;
        let url = check_url("url", &self.url)?;
        Ok(VsphereAdapter::new(self, url))
    }
}

impl Configured for VsphereConfig {
    fn resolve(&mut self, base: &Path) {
        self.password_file = base.join(&self.password_file);
        self.tls.resolve(base);
    }
    fn check(&self) -> Result<(), ConfigError> {
        self.check()
    }
    fn build(self) -> Result<Arc<dyn Adapter>, ConfigError> {
        Ok(Arc::new(self.build()?))
    }
    fn needs(&self) -> Vec<Need> {
        let files = std::iter::once(("password_file", &self.password_file))
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
        let config: VsphereConfig = toml::from_str(example).unwrap();
        config.check().unwrap();
        assert_eq!(config.inside.as_deref(), Some("DC0/vm/web"));
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let wrong = |text: &str| {
            let text = format!("user = 'u'\npassword_file = 'p'\n{text}");
            toml::from_str::<VsphereConfig>(&text).unwrap().check().unwrap_err().to_string()
        };
        assert!(wrong("url = 'http://vc.example.org'").starts_with("url: write https"));
        assert!(wrong("url = 'https://vc.example.org/ui'").contains("/sdk"));
        assert!(wrong("url = 'https://u:p@vc.example.org'").starts_with("url: no user"));
        assert!(wrong("url = 'https://vc.example.org'\ninside = ''").starts_with("inside: "));
        assert!(
            wrong("url = 'https://vc.example.org'\nanswer_within_ms = 1").starts_with("answer_within_ms")
        );
    }
}
