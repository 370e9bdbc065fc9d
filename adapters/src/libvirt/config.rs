//! What can be set.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use primrack_adapter_api::Adapter;
use serde::{Deserialize, Serialize};

use crate::{ConfigError, Configured, Need};

use super::LibvirtAdapter;
use super::driver::Driver;

/// A daemon of libvirt, and the hypervisor to open through it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LibvirtConfig {
    /// What the daemon is to open, in its own view: `qemu:///system`, `lxc:///system`, `xen:///system`,
    /// `esx://esx-1.example.org/?no_verify=0`, `test:///default`. How the daemon is reached is not said
    /// here but by `socket`, `tls` or `tcp`, at most one of them.
    pub uri: String,
    /// The daemon's UNIX socket. Without any of the three the usual ones of this machine are tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
    /// The daemon is reached over TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
    /// The daemon is reached over plain TCP, `127.0.0.1:16509`. Only on this machine (a tunnel's end),
    /// since whoever hears it can do everything that the daemon can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<String>,
    /// Where `migrate` moves machines to: a URI as the source's daemon understands it, such as
    /// `qemu+tls://kvm-2.example.org/system`. Without it nothing is moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migrate_to: Option<String>,
    /// Whether `delete` leaves the disks where they are. Default: they are deleted with the machine.
    #[serde(default)]
    pub keep_disks: bool,
}

/// A daemon over TLS. Both sides show a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// Where it listens, `kvm-1.example.org:16514`.
    pub address: String,
    /// The name or address its certificate has to be for. Default: the host of `address`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The CA that its certificate has to come from, PEM.
    pub ca: PathBuf,
    /// The bridge's certificate, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM. Nobody but its owner may read the file.
    pub key: PathBuf,
}

/// Where a daemon is.
#[derive(Debug)]
pub(super) enum At<'a> {
    /// One of these sockets.
    Unix(Vec<PathBuf>),
    Tcp(&'a str),
    Tls(&'a TlsSettings),
}

impl TlsSettings {
    /// The name that the daemon's certificate has to be for.
    pub(super) fn server_name(&self) -> String {
        if !self.name.is_empty() {
            return self.name.clone();
        }
        let host = self.address.rsplit_once(':').map_or(self.address.as_str(), |(host, _)| host);
        host.trim_start_matches('[').trim_end_matches(']').to_owned()
    }
}

impl LibvirtConfig {
    /// Checks it without touching anything.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        let Some((scheme, rest)) = self.uri.split_once("://") else {
            return Err(ConfigError::new(
                "uri",
                "name what the daemon is to open, such as qemu:///system or lxc:///system",
            ));
        };
        if scheme.contains('+') {
            return Err(ConfigError::new(
                "uri",
                "how the daemon is reached is said by `socket`, `tls` or `tcp`: write qemu:///system here, not \
                 qemu+tls://host/system",
            ));
        }
        let authority = rest.split('/').next().unwrap_or_default();
        if authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')) {
            return Err(ConfigError::new(
                "uri",
                "a password does not belong here: put it into /etc/libvirt/auth.conf on the daemon's host",
            ));
        }
        if !authority.is_empty() && !self.driver().reaches_out() {
            return Err(ConfigError::new(
                "uri",
                "this driver works on the daemon's own host: write three slashes, and the host into `tls` or `tcp`",
            ));
        }
        if usize::from(self.socket.is_some())
            + usize::from(self.tls.is_some())
            + usize::from(self.tcp.is_some())
            > 1
        {
            return Err(ConfigError::new("socket", "name one way to the daemon: `socket`, `tls` or `tcp`"));
        }
        if self.uri.ends_with("/session") && self.tls.is_none() && self.tcp.is_none() && self.socket.is_none()
        {
            return Err(ConfigError::new(
                "socket",
                "a session's socket is in its user's folder: name it, such as /run/user/1000/libvirt/libvirt-sock",
            ));
        }
        if let Some(tcp) = &self.tcp {
            let host = tcp.rsplit_once(':').map(|(host, _)| host);
            if !matches!(host, Some("127.0.0.1" | "[::1]" | "localhost")) {
                return Err(ConfigError::new(
                    "tcp",
                    "plain TCP only on this machine, such as 127.0.0.1:16509; over a network use `tls`",
                ));
            }
        }
        if let Some(tls) = &self.tls {
            let port = tls.address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            if port.is_none() {
                return Err(ConfigError::new(
                    "tls.address",
                    "name host and port, such as kvm-1.example.org:16514",
                ));
            }
        }
        if self.migrate_to.as_ref().is_some_and(|uri| !uri.contains("://")) {
            return Err(ConfigError::new(
                "migrate_to",
                "name a URI as the source's daemon understands it, such as qemu+tls://kvm-2.example.org/system",
            ));
        }
        Ok(())
    }

    /// Makes the adapter. Nothing is connected before it is first used.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn build(self) -> Result<LibvirtAdapter, ConfigError> {
        self.check()?;
        Ok(LibvirtAdapter::new(self))
    }

    /// What the URI opens.
    pub(super) fn driver(&self) -> Driver {
        Driver::of(&self.uri)
    }

    /// Where the daemon is.
    pub(super) fn at(&self) -> At<'_> {
        if let Some(tls) = &self.tls {
            At::Tls(tls)
        } else if let Some(tcp) = &self.tcp {
            At::Tcp(tcp)
        } else if let Some(socket) = &self.socket {
            At::Unix(vec![socket.clone()])
        } else {
            At::Unix(self.driver().sockets())
        }
    }

    /// The daemon's place, in words.
    pub(super) fn place(&self) -> String {
        match self.at() {
            At::Unix(sockets) => sockets.first().map(|path| path.display().to_string()).unwrap_or_default(),
            At::Tcp(address) => address.to_owned(),
            At::Tls(tls) => tls.address.clone(),
        }
    }
}

impl Configured for LibvirtConfig {
    fn resolve(&mut self, base: &Path) {
        if let Some(socket) = &mut self.socket {
            *socket = base.join(&*socket);
        }
        if let Some(tls) = &mut self.tls {
            for file in [&mut tls.ca, &mut tls.certificate, &mut tls.key] {
                *file = base.join(&*file);
            }
        }
    }
    fn check(&self) -> Result<(), ConfigError> {
        self.check()
    }
    fn build(self) -> Result<Arc<dyn Adapter>, ConfigError> {
        Ok(Arc::new(self.build()?))
    }
    fn needs(&self) -> Vec<Need> {
        match self.at() {
            At::Unix(sockets) => {
                let there = sockets.iter().find(|socket| socket.exists());
                vec![match there {
                    Some(socket) => Need::fine(format!("the daemon's socket is {}", socket.display())),
                    None => Need::missing(
                        format!("there is no socket of libvirt: {} is not there", self.place()),
                        "apt-get install libvirt-daemon-system, then systemctl start libvirtd; or name its `socket`",
                    ),
                }]
            }
            At::Tcp(_) => Vec::new(),
            At::Tls(tls) => [&tls.ca, &tls.certificate, &tls.key]
                .into_iter()
                .map(|file| match std::fs::File::open(file) {
                    Ok(_) => Need::fine(format!("{} can be read", file.display())),
                    Err(why) => Need::missing(
                        format!("{} cannot be read: {why}", file.display()),
                        "make the bridge a client certificate as libvirt.org/tlscerts.html says, and let its user read it",
                    ),
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        toml::from_str::<LibvirtConfig>(text).unwrap().check().unwrap_err().to_string()
    }

    #[test]
    fn the_examples_of_the_readme_are_understood() {
        let readme = include_str!("README.md");
        let mut examples = 0;
        for example in readme.split("```toml\n").skip(1) {
            let config: LibvirtConfig = toml::from_str(example.split("```").next().unwrap()).unwrap();
            config.check().unwrap();
            examples += 1;
        }
        assert!(examples >= 2);
    }

    #[test]
    fn what_cannot_work_is_refused_with_the_way_out() {
        assert!(wrong("uri = 'qemu'").starts_with("uri: "));
        assert!(wrong("uri = 'qemu+tls://a/system'").contains("`tls`"));
        assert!(wrong("uri = 'qemu://a/system'").contains("three slashes"));
        assert!(wrong("uri = 'esx://root:secret@a/'").contains("auth.conf"));
        assert!(wrong("uri = 'qemu:///session'").starts_with("socket: "));
        assert!(wrong("uri = 'qemu:///system'\ntcp = '10.0.0.1:16509'").starts_with("tcp: "));
        assert!(wrong("uri = 'qemu:///system'\ntcp = 'localhost:1'\nsocket = '/x'").starts_with("socket: "));
    }

    #[test]
    fn the_name_to_be_shown_is_the_hosts() {
        let mut tls = TlsSettings {
            address: "[2001:db8::1]:16514".into(),
            name: String::new(),
            ca: "a".into(),
            certificate: "b".into(),
            key: "c".into(),
        };
        assert_eq!(tls.server_name(), "2001:db8::1");
        tls.name = "kvm-1".into();
        assert_eq!(tls.server_name(), "kvm-1");
    }
}
