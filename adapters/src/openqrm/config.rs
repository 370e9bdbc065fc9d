//! What can be set.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use primrack_adapter_api::Adapter;
use serde::{Deserialize, Serialize};

use super::OpenqrmAdapter;
use super::client::is_allowed;
use crate::web::{Trust, check_url};
use crate::{ConfigError, Configured, Need};

/// As whom openQRM is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// A user of openQRM itself, who sees the appliances of everybody.
    #[default]
    Admin,
    /// A user of its cloud, who sees their own.
    User,
}

impl Mode {
    /// The word in messages.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::User => "user",
        }
    }
    /// Where its interface is.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Admin => "/openqrm/base/plugins/cloud/soap/cloudadmin-soap.php",
            Self::User => "/cloud-portal/user/soap/clouduser-soap.php",
        }
    }
}

/// One openQRM server with the plug-in `cloud`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenqrmConfig {
    /// Where it is: `https://openqrm.example.org`.
    pub url: String,
    /// Who speaks to it.
    pub user: String,
    /// A file with the password, for its owner only.
    pub password_file: PathBuf,
    /// As whom. Default `admin`.
    #[serde(default)]
    pub mode: Mode,
    /// Whose certificate is believed.
    #[serde(default)]
    pub tls: Trust,
    /// How long any one answer may take, in milliseconds. Default 10 000.
    #[serde(default = "answer_within_ms")]
    pub answer_within_ms: u64,
}

fn answer_within_ms() -> u64 {
    10_000
}

impl OpenqrmConfig {
    /// Checks it without touching anything.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        if check_url("url", &self.url)?.path() != "/" {
            return Err(ConfigError::new("url", "only scheme, host and port: the path depends on the mode"));
        }
        if self.user.is_empty() || self.user.contains(',') || !is_allowed(&self.user) {
            return Err(ConfigError::new(
                "user",
                "openQRM takes letters, digits, blanks and . - _ ( ) / : @ in a name",
            ));
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
    pub fn build(self) -> Result<OpenqrmAdapter, ConfigError> {
        self.check()?;
        let url = check_url("url", &self.url)?;
        Ok(OpenqrmAdapter::new(self, url))
    }
}

impl Configured for OpenqrmConfig {
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
        let config: OpenqrmConfig = toml::from_str(example).unwrap();
        config.check().unwrap();
        assert_eq!(config.mode, Mode::User);
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let wrong = |text: &str| {
            let text = format!("password_file = 'p'\n{text}");
            toml::from_str::<OpenqrmConfig>(&text).unwrap().check().unwrap_err().to_string()
        };
        assert!(wrong("url = 'http://openqrm.example.org'\nuser = 'a'").starts_with("url: write https"));
        assert!(wrong("url = 'https://openqrm.example.org/openqrm'\nuser = 'a'").starts_with("url: only"));
        // A comma would make one argument two.
        assert!(wrong("url = 'https://openqrm.example.org'\nuser = 'a,b'").starts_with("user: "));
        assert!(wrong("url = 'https://openqrm.example.org'\nuser = 'a$b'").starts_with("user: "));
    }
}
