//! What can be set.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use primrack_adapter_api::Adapter;
use serde::{Deserialize, Serialize};

use crate::wire::{Door, Settings};
use crate::{ConfigError, Configured, Need, Trust};

use super::LxdAdapter;
use super::client::Client;
use super::map::is_project;

/// LXD's own place for its socket.
const SOCKET: &str = "/var/lib/lxd/unix.socket";
/// Its port for TLS.
const PORT: u16 = 8443;

/// One LXD or Incus server, by its socket or over TLS.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LxdConfig {
    /// Its socket. Default `/var/lib/lxd/unix.socket`; Incus has `/var/lib/incus/unix.socket`, LXD as a snap
    /// `/var/snap/lxd/common/lxd/unix.socket`.
    #[serde(default)]
    pub socket: Option<PathBuf>,
    /// Where it listens instead: `https://HOST:PORT`.
    #[serde(default)]
    pub url: Option<String>,
    /// Whose certificates are believed there; the system's authorities if absent.
    #[serde(default)]
    pub tls: Option<Trust>,
    /// Our own certificate, PEM.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM, readable by its owner only.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// The project whose instances are meant. Default `default`.
    #[serde(default)]
    pub project: Option<String>,
}

impl LxdConfig {
    fn parts(&self) -> Result<(Door, String), ConfigError> {
        let settings = Settings {
            socket: self.socket.as_deref(),
            url: self.url.as_deref(),
            tls: self.tls.as_ref(),
            certificate: self.certificate.as_deref(),
            key: self.key.as_deref(),
            usual: SOCKET,
            port: PORT,
        };
        let project = self.project.as_deref().unwrap_or("default");
        if !is_project(project) {
            return Err(ConfigError::new(
                "project",
                "a project's name is 1 to 63 of the characters A-Z a-z 0-9 . _ - and starts with a letter or digit",
            ));
        }
        Ok((settings.door()?, project.to_owned()))
    }

    /// Makes the adapter. Nothing is connected before it is first used.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn build(self) -> Result<LxdAdapter, ConfigError> {
        let (door, project) = self.parts()?;
        Ok(LxdAdapter::new(Client::new(door, &project)))
    }
}

impl Configured for LxdConfig {
    fn resolve(&mut self, base: &Path) {
        for file in [&mut self.socket, &mut self.certificate, &mut self.key].into_iter().flatten() {
            *file = base.join(&file);
        }
        if let Some(tls) = &mut self.tls {
            tls.resolve(base);
        }
    }
    fn check(&self) -> Result<(), ConfigError> {
        self.parts().map(drop)
    }
    fn build(self) -> Result<Arc<dyn Adapter>, ConfigError> {
        Ok(Arc::new(self.build()?))
    }
    fn needs(&self) -> Vec<Need> {
        self.parts().map(|(door, _)| door.needs()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_readme_are_understood() {
        let readme = include_str!("README.md");
        let examples: Vec<&str> =
            readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        assert_eq!(examples.len(), 2);
        for example in examples {
            let config: LxdConfig = toml::from_str(example).unwrap();
            Configured::check(&config).unwrap();
        }
    }

    #[test]
    fn what_leads_nowhere_is_refused_with_its_place() {
        let wrong = |text: &str| {
            Configured::check(&toml::from_str::<LxdConfig>(text).unwrap()).unwrap_err().to_string()
        };
        assert!(wrong("url = 'http://10.0.0.1:8443'").starts_with("url: write https://"));
        assert!(wrong("project = 'a&b'").starts_with("project: "));
        assert!(wrong("url = 'https://h'\nkey = '/k'").starts_with("certificate: "));
    }
}
