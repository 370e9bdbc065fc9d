//! What can be set.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use primrack_adapter_api::Adapter;
use serde::{Deserialize, Serialize};

use super::{LxcAdapter, client::TOOLS};
use crate::{ConfigError, Configured, Need, programs};

/// The containers of one folder.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LxcConfig {
    /// The folder with the containers; LXC's own default for the bridge's user if absent, which is `/var/lib/lxc`
    /// for root.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// What comes before each of LXC's programs, such as `["sudo", "-n"]`.
    #[serde(default)]
    pub with: Vec<String>,
    /// How long an answer of one of them may take, in milliseconds; three times as long for a list. Default 10 000.
    #[serde(default)]
    pub answer_ms: Option<u64>,
}

impl LxcConfig {
    /// Checks it without touching anything.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.path.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
            return Err(ConfigError::new("path", "name a folder, such as /var/lib/lxc, or leave it out"));
        }
        if self.with.iter().any(|word| word.is_empty() || word.contains('\0')) {
            return Err(ConfigError::new(
                "with",
                "each of its words needs a character, and none may be zero",
            ));
        }
        if self.answer_ms.is_some_and(|ms| !(100..=600_000).contains(&ms)) {
            return Err(ConfigError::new("answer_ms", "write 100 to 600000"));
        }
        Ok(())
    }

    /// Makes the adapter. Nothing is started before it is first used.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn build(self) -> Result<LxcAdapter, ConfigError> {
        self.check()?;
        Ok(LxcAdapter::new(self))
    }
}

impl Configured for LxcConfig {
    fn resolve(&mut self, base: &Path) {
        if let Some(path) = &mut self.path {
            *path = base.join(&*path);
        }
    }
    fn check(&self) -> Result<(), ConfigError> {
        self.check()
    }
    fn build(self) -> Result<Arc<dyn Adapter>, ConfigError> {
        Ok(Arc::new(self.build()?))
    }
    fn needs(&self) -> Vec<Need> {
        if let Some(program) = self.with.first() {
            return match programs::find(program) {
                Some(_) => Vec::new(),
                None => vec![Need::missing(
                    format!("there is no program {program:?}"),
                    "with = [\"/full/path\", …], or leave it out",
                )],
            };
        }
        let missing: Vec<&str> =
            TOOLS.into_iter().filter(|program| programs::find(program).is_none()).collect();
        if missing.is_empty() {
            return Vec::new();
        }
        vec![Need::missing(format!("there is no {}", missing.join(", ")), "apt-get install lxc")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_readme_are_understood() {
        let examples: Vec<LxcConfig> = include_str!("README.md")
            .split("```toml\n")
            .skip(1)
            .map(|part| toml::from_str(part.split("```").next().unwrap()).unwrap())
            .collect();
        assert_eq!(examples.len(), 2);
        for config in &examples {
            config.check().unwrap();
        }
        assert_eq!(examples[1].with, ["sudo", "-n"]);
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let wrong = |text: &str| toml::from_str::<LxcConfig>(text).unwrap().check().unwrap_err().to_string();
        assert!(wrong("path = ''").starts_with("path: "));
        assert!(wrong("with = ['sudo', '']").starts_with("with: "));
        assert!(wrong("answer_ms = 1").starts_with("answer_ms: "));
        let needs = LxcConfig { with: vec!["/no/such".to_owned()], ..LxcConfig::default() }.needs();
        assert!(needs[0].words.contains("/no/such"), "{needs:?}");
    }
}
