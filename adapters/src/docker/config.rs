//! What can be set.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use primrack_adapter_api::Adapter;
use serde::{Deserialize, Serialize};

use crate::wire::{Door, Settings};
use crate::{ConfigError, Configured, Need, Trust};

use super::DockerAdapter;

/// Docker's own place for its socket.
const SOCKET: &str = "/var/run/docker.sock";
/// Docker's port for TLS.
const PORT: u16 = 2376;

/// One Docker daemon or Podman service, by its socket or over TLS.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DockerConfig {
    /// Its socket. Default `/var/run/docker.sock`; Podman's is `/run/podman/podman.sock`.
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
}

impl DockerConfig {
    fn door(&self) -> Result<Door, ConfigError> {
        let settings = Settings {
            socket: self.socket.as_deref(),
            url: self.url.as_deref(),
            tls: self.tls.as_ref(),
            certificate: self.certificate.as_deref(),
            key: self.key.as_deref(),
            usual: SOCKET,
            port: PORT,
        };
        settings.door()
    }

    /// Makes the adapter. Nothing is connected before it is first used.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn build(self) -> Result<DockerAdapter, ConfigError> {
        Ok(DockerAdapter::new(self.door()?))
    }
}

impl Configured for DockerConfig {
    fn resolve(&mut self, base: &Path) {
        for file in [&mut self.socket, &mut self.certificate, &mut self.key].into_iter().flatten() {
            *file = base.join(&file);
        }
        if let Some(tls) = &mut self.tls {
            tls.resolve(base);
        }
    }
    fn check(&self) -> Result<(), ConfigError> {
        self.door().map(drop)
    }
    fn build(self) -> Result<Arc<dyn Adapter>, ConfigError> {
        Ok(Arc::new(self.build()?))
    }
    fn needs(&self) -> Vec<Need> {
        self.door().map(|door| door.needs()).unwrap_or_default()
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
            let config: DockerConfig = toml::from_str(example).unwrap();
            Configured::check(&config).unwrap();
        }
    }

    #[test]
    fn an_unprotected_port_is_refused_with_its_place() {
        let wrong = |text: &str| {
            Configured::check(&toml::from_str::<DockerConfig>(text).unwrap()).unwrap_err().to_string()
        };
        assert!(wrong("url = 'tcp://10.0.0.1:2375'").starts_with("url: write https://"));
        assert!(wrong("url = 'https://h'\nkey = '/k'").starts_with("certificate: "));
        assert!(toml::from_str::<DockerConfig>("sockets = '/x'").is_err());
    }
}
