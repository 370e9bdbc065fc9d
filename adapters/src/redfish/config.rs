//! What can be set.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use primrack_adapter_api::Adapter;
use serde::{Deserialize, Serialize};

use crate::web::check_url;
use crate::{ConfigError, Configured, Need, Trust};

use super::RedfishAdapter;

/// One BMC, or one chassis manager with many systems.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedfishConfig {
    /// Where it answers, without `/redfish/v1`: `https://bmc-7.example.org`. Plain http only to this
    /// machine itself.
    pub url: String,
    /// The account on it.
    pub user: String,
    /// A file with its password, readable by its owner only.
    pub password_file: PathBuf,
    /// Whose certificate is believed. A BMC mostly has one of its own making: name its fingerprint.
    #[serde(default)]
    pub tls: Trust,
    /// How the account is shown. Default `auto`.
    #[serde(default)]
    pub auth: Auth,
    /// How old a temperature may become before it is read again, in seconds; 0 means never read.
    /// Default 60.
    #[serde(default = "thermal")]
    pub thermal_every_s: u64,
    /// Whether its event stream is used where it has one. Default true.
    #[serde(default = "yes")]
    pub events: bool,
    /// What a reboot is. Default `off-and-on`.
    #[serde(default)]
    pub reboot: RebootBy,
    /// What is set for single systems, by their `Id`.
    #[serde(default)]
    pub systems: BTreeMap<String, SystemConfig>,
}

/// How the account is shown to the BMC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    /// A session where the service tells where sessions are made, else with each request.
    #[default]
    Auto,
    /// A session: the password travels once, and the BMC's log has one entry.
    Session,
    /// With each request (HTTP basic).
    Basic,
}

/// What a reboot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum RebootBy {
    /// A graceful shutdown, and when it is seen off, on. Every step can be seen.
    #[default]
    OffAndOn,
    /// The BMC's own `GracefulRestart`. Goes on without the bridge, but most BMCs do not tell whether it
    /// happened.
    GracefulRestart,
}

/// One system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct SystemConfig {
    /// What it boots from, once, each time that the bridge starts it.
    #[serde(default)]
    pub boot: Option<BootDevice>,
    /// How its indicator (locate) light is set whenever the bridge lists the BMC's systems.
    #[serde(default)]
    pub indicator: Option<Indicator>,
}

/// What a system may boot from once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootDevice {
    /// Its network.
    Pxe,
    /// A disk.
    Hdd,
    /// A (virtual) CD.
    Cd,
    /// A (virtual) stick.
    Usb,
    /// The setup of its firmware.
    BiosSetup,
    /// UEFI HTTP.
    UefiHttp,
    /// The maker's diagnostics.
    Diags,
    /// The maker's utilities.
    Utilities,
}

impl BootDevice {
    /// The word of `BootSourceOverrideTarget` (DSP2046, ComputerSystem).
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Pxe => "Pxe",
            Self::Hdd => "Hdd",
            Self::Cd => "Cd",
            Self::Usb => "Usb",
            Self::BiosSetup => "BiosSetup",
            Self::UefiHttp => "UefiHttp",
            Self::Diags => "Diags",
            Self::Utilities => "Utilities",
        }
    }
}

/// A light to find the machine by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Indicator {
    /// Dark.
    Off,
    /// Lit.
    Lit,
    /// Blinking; lit where the BMC knows only on and off.
    Blinking,
}

fn thermal() -> u64 {
    60
}
fn yes() -> bool {
    true
}

impl RedfishConfig {
    /// Checks it without touching anything.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        check_url("url", &self.url)?;
        if self.user.is_empty() || self.user.contains(':') {
            return Err(ConfigError::new("user", "name the account on the BMC, without a colon"));
        }
        if self.password_file.as_os_str().is_empty() {
            return Err(ConfigError::new("password_file", "name the file with the account's password"));
        }
        self.tls.check("tls")?;
        if (1..10).contains(&self.thermal_every_s) {
            return Err(ConfigError::new(
                "thermal_every_s",
                "a BMC is slow: at least 10, or 0 for no temperatures",
            ));
        }
        Ok(())
    }

    /// Makes the adapter. Nothing is connected before it is first used.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn build(self) -> Result<RedfishAdapter, ConfigError> {
        self.check()?;
        RedfishAdapter::new(self)
    }
}

impl Configured for RedfishConfig {
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
        match std::fs::metadata(&self.password_file) {
            Ok(_) => vec![Need::fine(format!("the password is in {}", self.password_file.display()))],
            Err(error) => vec![Need::missing(
                format!("the password's file {} cannot be read: {error}", self.password_file.display()),
                format!("install -m 600 /dev/null {0} && editor {0}", self.password_file.display()),
            )],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_readme_is_understood() {
        let readme = include_str!("README.md");
        let example = readme.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
        let config: RedfishConfig = toml::from_str(example).unwrap();
        config.check().unwrap();
        assert_eq!(config.systems["437XR1138R2"].boot, Some(BootDevice::Pxe));
    }

    #[test]
    fn a_password_never_goes_over_a_network_in_the_clear() {
        let text = "url = 'http://bmc.example.org'\nuser = 'a'\npassword_file = '/x'";
        let config: RedfishConfig = toml::from_str(text).unwrap();
        assert!(config.check().unwrap_err().to_string().starts_with("url: write https"));
    }
}
