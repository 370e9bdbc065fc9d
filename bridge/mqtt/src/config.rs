//! What can be set, and what it makes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use primrack_wire::mqtt::{Account, HomeAssistant, Topics};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use smol_str::SmolStr;

/// `[mqtt]`: one broker.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttConfig {
    /// `mqtt://HOST[:1883]`, or `mqtts://HOST[:8883]` with TLS.
    pub broker: String,
    /// The version of the protocol that is spoken.
    #[serde(default)]
    pub version: Version,
    /// How the broker knows this bridge, and its session, over restarts: two bridges need two.
    #[serde(default = "primrack")]
    pub client_id: SmolStr,
    /// The account at the broker.
    #[serde(default)]
    pub username: Option<String>,
    /// A file with its password, readable by its owner only.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Certificates to trust besides the public ones, PEM.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// A client certificate with its chain, PEM.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// The key of the client certificate, PEM, readable by its owner only.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// Plain text to a broker elsewhere is refused, since everyone on the way could read and command, unless
    /// this says that the way is safe by other means, such as a tunnel.
    #[serde(default)]
    pub plain_text_is_safe: bool,
    /// Before every topic.
    #[serde(default = "primrack")]
    pub prefix: SmolStr,
    /// Who may command: accounts at the broker. Its access list must allow each to write below
    /// `PREFIX/do/ACCOUNT/` and nowhere else: that is what proves who sent a command.
    #[serde(default)]
    pub accounts: Vec<SmolStr>,
    /// Announces everything to Home Assistant.
    #[serde(default)]
    pub home_assistant: Option<HomeAssistantConfig>,
}

/// `[mqtt.home_assistant]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HomeAssistantConfig {
    /// Its account at the broker, one of `accounts`.
    pub account: SmolStr,
    /// Its discovery prefix.
    #[serde(default = "homeassistant")]
    pub discovery: SmolStr,
}

/// Versions of MQTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
pub enum Version {
    /// MQTT 5.0: answers by response topic, and a retained command is known at once.
    #[default]
    #[serde(rename = "5")]
    V5,
    /// MQTT 3.1.1, for brokers that speak nothing newer.
    #[serde(rename = "3.1.1")]
    V311,
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::V5 => "5",
            Self::V311 => "3.1.1",
        })
    }
}

fn primrack() -> SmolStr {
    SmolStr::new_static("primrack")
}

fn homeassistant() -> SmolStr {
    SmolStr::new_static("homeassistant")
}

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct ConfigError {
    /// The key below `[mqtt]`.
    pub key: &'static str,
    /// What is wrong.
    pub words: String,
    /// What to do.
    pub hint: String,
}

fn wrong(key: &'static str, words: impl Into<String>, hint: impl Into<String>) -> ConfigError {
    ConfigError { key, words: words.into(), hint: hint.into() }
}

/// What was configured, checked, with its files read.
#[derive(Clone)]
pub struct Plan {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) version: Version,
    pub(crate) client_id: SmolStr,
    pub(crate) credentials: Option<(String, SecretString)>,
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
    pub(crate) topics: Topics,
    pub(crate) accounts: Vec<Account>,
    pub(crate) home: Option<HomeAssistant>,
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Plan {
    /// Host and port of the broker.
    #[must_use]
    pub fn broker(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl MqttConfig {
    /// Makes relative paths start at `base`.
    pub fn resolve(&mut self, base: &Path) {
        let Self { password_file, ca_file, certificate, key, .. } = self;
        for file in [password_file, ca_file, certificate, key].into_iter().flatten() {
            *file = base.join(&*file);
        }
    }

    /// Checks it and reads its files; nothing is connected.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn plan(&self) -> Result<Plan, ConfigError> {
        let (tls, host, port) = self.address()?;
        let topics = Topics::new(&self.prefix)
            .map_err(|error| wrong("prefix", error.to_string(), "prefix = \"primrack\""))?;
        if self.client_id.is_empty()
            || self.client_id.len() > 64
            || !self.client_id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        {
            let words = format!("client_id {:?} has other characters than A-Z a-z 0-9 _ -", self.client_id);
            return Err(wrong("client_id", words, "client_id = \"primrack\""));
        }
        let accounts = self.accounts.iter().map(|name| Account::new(name));
        let accounts = accounts.collect::<Result<Vec<_>, _>>().map_err(|error| {
            wrong("accounts", error.to_string(), "name them as the broker's password file does")
        })?;
        let home = match &self.home_assistant {
            None => None,
            Some(HomeAssistantConfig { account, discovery }) => {
                let Some(account) = accounts.iter().find(|known| known.as_str() == account) else {
                    let words = format!("Home Assistant's account {account:?} is not among the accounts");
                    return Err(wrong("home_assistant", words, format!("accounts = [\"{account}\"]")));
                };
                let prefix = Topics::new(discovery);
                prefix.map_err(|error| {
                    wrong("home_assistant", error.to_string(), "discovery = \"homeassistant\"")
                })?;
                Some(HomeAssistant {
                    discovery: discovery.clone(),
                    node: self.client_id.clone(),
                    account: account.clone(),
                })
            }
        };
        Ok(Plan {
            host,
            port,
            version: self.version,
            client_id: self.client_id.clone(),
            credentials: self.credentials(tls)?,
            tls: if tls { Some(Arc::new(self.tls()?)) } else { None },
            topics,
            accounts,
            home,
        })
    }

    fn address(&self) -> Result<(bool, String, u16), ConfigError> {
        let hint = "broker = \"mqtts://broker.example.org\"";
        let (tls, rest) = match self.broker.split_once("://") {
            Some(("mqtts", rest)) => (true, rest),
            Some(("mqtt", rest)) => (false, rest),
            _ => {
                let words = format!("{:?} begins neither with mqtt:// nor with mqtts://", self.broker);
                return Err(wrong("broker", words, hint));
            }
        };
        if rest.contains(['@', '/']) {
            let words =
                "a broker is a host and perhaps a port; an account goes into username and password_file";
            return Err(wrong("broker", words, hint));
        }
        let usual = if tls { 8883 } else { 1883 };
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let words = || wrong("broker", format!("{port:?} is no port"), hint);
                (host, port.parse().map_err(|_| words())?)
            }
            _ => (rest, usual),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(wrong("broker", "the broker has no host", hint));
        }
        let here = host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        if !tls && !here && !self.plain_text_is_safe {
            let words =
                format!("{host} is elsewhere, and without TLS everyone on the way can read and command");
            return Err(wrong(
                "broker",
                words,
                "write mqtts://, or plain_text_is_safe = true where a tunnel protects the way",
            ));
        }
        Ok((tls, host.to_owned(), port))
    }

    fn credentials(&self, tls: bool) -> Result<Option<(String, SecretString)>, ConfigError> {
        match (&self.username, &self.password_file) {
            (None, None) if tls && self.certificate.is_some() => Ok(None),
            (None, None) => Ok(None),
            (Some(user), Some(file)) => {
                let text = secret(file, "password_file")?;
                let password = SecretString::from(text.expose_secret().trim_end_matches(['\r', '\n']));
                Ok(Some((user.clone(), password)))
            }
            _ => Err(wrong(
                "username",
                "a username needs a password and a password a username",
                "set username and password_file",
            )),
        }
    }

    fn tls(&self) -> Result<rustls::ClientConfig, ConfigError> {
        let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(file) = &self.ca_file {
            for certificate in certificates(file, "ca_file")? {
                roots.add(certificate).map_err(|error| {
                    wrong(
                        "ca_file",
                        format!("{}: {error}", file.display()),
                        "name a PEM file of certificates",
                    )
                })?;
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong("broker", error.to_string(), "this is a fault of the program"))?
            .with_root_certificates(roots);
        match (&self.certificate, &self.key) {
            (None, None) => Ok(builder.with_no_client_auth()),
            (Some(chain), Some(key)) => {
                let text = secret(key, "key")?;
                let secret =
                    PrivateKeyDer::from_pem_slice(text.expose_secret().as_bytes()).map_err(|error| {
                        wrong(
                            "key",
                            format!("{}: {error}", key.display()),
                            "name a PEM file with one private key",
                        )
                    })?;
                builder.with_client_auth_cert(certificates(chain, "certificate")?, secret).map_err(|error| {
                    wrong("certificate", error.to_string(), "certificate and key have to belong together")
                })
            }
            _ => {
                Err(wrong("certificate", "a client certificate needs both files", "set certificate and key"))
            }
        }
    }
}

fn certificates(file: &Path, key: &'static str) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let bad =
        |words: String| wrong(key, format!("{}: {words}", file.display()), "name a PEM file of certificates");
    let text = fs::read(file).map_err(|error| bad(error.to_string()))?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match all {
        Ok(all) if all.is_empty() => Err(bad("no certificate is in it".to_owned())),
        Ok(all) => Ok(all),
        Err(error) => Err(bad(error.to_string())),
    }
}

/// A secret's file: readable by its owner only, and not large.
fn secret(file: &Path, key: &'static str) -> Result<SecretString, ConfigError> {
    let shown = file.display();
    let bad = |words: String, hint: String| wrong(key, words, hint);
    let about = fs::metadata(file)
        .map_err(|error| bad(format!("{shown}: {error}"), "write it into a file of its own".to_owned()))?;
    let mode = about.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(bad(format!("others may read {shown} (mode {mode:o})"), format!("chmod 600 {shown}")));
    }
    if about.len() > 64 * 1024 {
        return Err(bad(format!("{shown} is too large for a secret"), "is it the right file?".to_owned()));
    }
    fs::read_to_string(file)
        .map(SecretString::from)
        .map_err(|error| bad(format!("{shown}: {error}"), "a secret is text".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Result<Plan, ConfigError> {
        toml::from_str::<MqttConfig>(text).unwrap().plan()
    }

    #[test]
    fn brokers_are_understood_with_and_without_ports() {
        let at = |broker: &str| plan(&format!("broker = '{broker}'")).map(|plan| (plan.host, plan.port));
        assert_eq!(at("mqtt://localhost").unwrap(), ("localhost".to_owned(), 1883));
        assert_eq!(at("mqtt://127.0.0.1:1884").unwrap(), ("127.0.0.1".to_owned(), 1884));
        assert_eq!(at("mqtts://broker.example.org").unwrap(), ("broker.example.org".to_owned(), 8883));
        assert_eq!(at("mqtts://[2001:db8::1]:8884").unwrap(), ("2001:db8::1".to_owned(), 8884));
        for bad in ["broker.example.org", "mqtt://u:p@localhost", "mqtts://", "mqtt://localhost:x"] {
            assert_eq!(at(bad).unwrap_err().key, "broker", "{bad}");
        }
    }

    #[test]
    fn plain_text_to_a_broker_elsewhere_needs_a_word() {
        let refused = plan("broker = 'mqtt://broker.example.org'").unwrap_err();
        assert!(refused.words.contains("everyone on the way"), "{refused}");
        plan("broker = 'mqtt://broker.example.org'\nplain_text_is_safe = true").unwrap();
    }

    #[test]
    fn a_password_that_others_can_read_is_refused_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        fs::write(&file, "hush-hush\n").unwrap();
        let text =
            format!("broker = 'mqtt://localhost'\nusername = 'x'\npassword_file = '{}'", file.display());
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(plan(&text).unwrap_err().hint.starts_with("chmod 600"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let plan = plan(&text).unwrap();
        assert_eq!(plan.credentials.as_ref().unwrap().1.expose_secret(), "hush-hush");
        assert!(!format!("{plan:?}").contains("hush"));
    }

    #[test]
    fn home_assistant_commands_as_one_of_the_accounts() {
        let text = "broker = 'mqtt://localhost'\n[home_assistant]\naccount = 'ha'";
        assert_eq!(plan(text).unwrap_err().hint, "accounts = [\"ha\"]");
        let text = "broker = 'mqtt://localhost'\naccounts = ['ha']\n[home_assistant]\naccount = 'ha'";
        assert!(plan(text).unwrap().home.is_some());
    }
}
