//! All technologies as one list: what `[backends.NAME.TECHNOLOGY]` may say, and what is made of it.
//! A new one is a folder, a feature and a line in the list below.

use std::path::Path;
use std::sync::Arc;

use primrack_adapter_api::Adapter;
use serde::de::{Deserialize, DeserializeSeed, Deserializer};

use crate::ConfigError;

/// What every technology's configuration can do. Nothing of it touches anything but memory.
pub trait Configured {
    /// Turns relative paths into ones below `base`, the folder of the configuration file.
    fn resolve(&mut self, base: &Path);

    /// Checks it without touching anything.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    fn check(&self) -> Result<(), ConfigError>;

    /// Makes the adapter. Nothing is opened, started or connected before it is first used.
    ///
    /// # Errors
    /// As [`Self::check`].
    fn build(self) -> Result<Arc<dyn Adapter>, ConfigError>;

    /// What has to be on this machine for it, for `primrack doctor`. Looks, changes nothing, and does
    /// not reach out: whether the backend answers is the driver's to tell.
    fn needs(&self) -> Vec<Need> {
        Vec::new()
    }
}

/// Something that a technology needs on the bridge's own machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// How it stands.
    pub found: Standing,
    /// One sentence.
    pub words: String,
    /// What to do about it: a command, or the line of the configuration. Empty when it is fine.
    pub remedy: String,
}

/// How a need stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is there.
    Fine,
    /// It works without, but worse.
    Worse,
    /// It does not work without.
    Missing,
}

impl Need {
    /// Something that is there.
    #[must_use]
    pub fn fine(words: impl Into<String>) -> Self {
        Self { found: Standing::Fine, words: words.into(), remedy: String::new() }
    }
    /// Something it does not work without.
    #[must_use]
    pub fn missing(words: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { found: Standing::Missing, words: words.into(), remedy: remedy.into() }
    }
    /// Something without which it works worse.
    #[must_use]
    pub fn worse(words: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { found: Standing::Worse, words: words.into(), remedy: remedy.into() }
    }
}

macro_rules! technologies {
    ($($feature:literal $variant:ident $config:path,)*) => {
        /// One backend's configuration: the technology and what is set of it.
        #[derive(Debug, Clone)]
        pub enum Technology {
            $(
                #[cfg(feature = $feature)]
                #[doc = concat!("`[backends.NAME.", $feature, "]`")]
                $variant($config),
            )*
        }

        impl Technology {
            /// The names of the technologies that this program was built with, as in configuration.
            pub const NAMES: &[&str] = &[$(#[cfg(feature = $feature)] $feature,)*];

            /// Its name, as in configuration.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self {
                    $(#[cfg(feature = $feature)] Self::$variant(_) => $feature,)*
                }
            }
        }

        impl Configured for Technology {
            fn resolve(&mut self, base: &Path) {
                match self {
                    $(#[cfg(feature = $feature)] Self::$variant(config) => config.resolve(base),)*
                }
            }
            fn check(&self) -> Result<(), ConfigError> {
                match self {
                    $(#[cfg(feature = $feature)] Self::$variant(config) => Configured::check(config),)*
                }
            }
            fn build(self) -> Result<Arc<dyn Adapter>, ConfigError> {
                match self {
                    $(#[cfg(feature = $feature)] Self::$variant(config) => Configured::build(config),)*
                }
            }
            fn needs(&self) -> Vec<Need> {
                match self {
                    $(#[cfg(feature = $feature)] Self::$variant(config) => config.needs(),)*
                }
            }
        }

        /// Reads the table of the technology that it names, keeping the places of mistakes.
        #[derive(Debug, Clone, Copy)]
        pub struct Named<'a>(pub &'a str);

        impl<'de> DeserializeSeed<'de> for Named<'_> {
            type Value = Technology;
            fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Technology, D::Error> {
                match self.0 {
                    $(
                        #[cfg(feature = $feature)]
                        $feature => <$config>::deserialize(from).map(Technology::$variant),
                    )*
                    other => Err(serde::de::Error::unknown_field(other, Technology::NAMES)),
                }
            }
        }
    };
}

technologies! {
    "plugin" Plugin crate::plugin::PluginConfig,
    "libvirt" Libvirt crate::libvirt::LibvirtConfig,
    "docker" Docker crate::docker::DockerConfig,
    "lxc" Lxc crate::lxc::LxcConfig,
    "lxd" Lxd crate::lxd::LxdConfig,
    "process" Process crate::process::ProcessConfig,
    "qemu" Qemu crate::qemu::QemuConfig,
    "openqrm" Openqrm crate::openqrm::OpenqrmConfig,
    "proxmox" Proxmox crate::proxmox::ProxmoxConfig,
    "uml" Uml crate::uml::UmlConfig,
    "vsphere" Vsphere crate::vsphere::VsphereConfig,
    "wake" Wake crate::wake::WakeConfig,
    "ssh" Ssh crate::ssh::SshConfig,
    "systemd" Systemd crate::systemd::SystemdConfig,
    "ipmi" Ipmi crate::ipmi::IpmiConfig,
    "redfish" Redfish crate::redfish::RedfishConfig,
}
