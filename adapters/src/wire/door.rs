//! Where a daemon listens.

use std::fmt;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use crate::{ConfigError, Need, Trust};

/// A daemon's door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Door {
    /// A UNIX socket.
    Unix(PathBuf),
    /// TLS over TCP.
    Tls {
        /// Its name, which its certificate must bear unless that is pinned.
        host: String,
        /// The port.
        port: u16,
        /// Whose word is taken that it is the right one.
        trust: Trust,
        /// Our own certificate and its key, both PEM.
        identity: Option<(PathBuf, PathBuf)>,
    },
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Tls { host, port, .. } => write!(f, "https://{host}:{port}"),
        }
    }
}

impl Door {
    /// What has to be there for it.
    pub(crate) fn needs(&self) -> Vec<Need> {
        match self {
            Self::Unix(path) => vec![socket(path)],
            Self::Tls { trust, identity, .. } => {
                let files = identity.iter().flat_map(|(certificate, key)| [certificate, key]);
                files.chain(&trust.ca_file).filter_map(|file| unreadable(file)).collect()
            }
        }
    }
}

fn socket(path: &Path) -> Need {
    let place = path.display();
    match std::fs::metadata(path) {
        Err(why) => Need::missing(
            format!("the socket {place}: {why}"),
            "start the daemon, or set `socket` to where its socket is",
        ),
        Ok(about) if !about.file_type().is_socket() => {
            Need::missing(format!("{place} is no socket"), "set `socket` to where the daemon's socket is")
        }
        Ok(_) => match rustix::fs::access(path, rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK) {
            Ok(()) => Need::fine(format!("the socket {place}")),
            Err(_) => Need::missing(
                format!("the socket {place} may not be opened by this user"),
                "usermod -a -G GROUP USER, with the group that owns the socket",
            ),
        },
    }
}

/// A file that is not as it should be. What is in it shows when it is used.
fn unreadable(file: &Path) -> Option<Need> {
    let why = std::fs::File::open(file).err()?;
    Some(Need::missing(
        format!("{}: {why}", file.display()),
        "copy the file there, readable by the bridge's user",
    ))
}

/// Where a daemon is, in a technology's table: its socket, or TLS with what belongs to that.
pub(crate) struct Settings<'a> {
    pub(crate) socket: Option<&'a Path>,
    pub(crate) url: Option<&'a str>,
    pub(crate) tls: Option<&'a Trust>,
    pub(crate) certificate: Option<&'a Path>,
    pub(crate) key: Option<&'a Path>,
    /// The socket when nothing is set.
    pub(crate) usual: &'a str,
    /// The port when the URL names none.
    pub(crate) port: u16,
}

impl Settings<'_> {
    /// # Errors
    /// The first setting that leads nowhere.
    pub(crate) fn door(&self) -> Result<Door, ConfigError> {
        let wrong = |place: &str, words: &str| Err(ConfigError::new(place, words));
        let Some(url) = self.url else {
            let set = [
                ("tls", self.tls.is_some()),
                ("certificate", self.certificate.is_some()),
                ("key", self.key.is_some()),
            ];
            if let Some((name, _)) = set.iter().find(|(_, set)| *set) {
                return wrong(name, "belongs to a daemon behind TLS: set `url` too, or leave it out");
            }
            return Ok(Door::Unix(self.socket.unwrap_or_else(|| Path::new(self.usual)).to_owned()));
        };
        if self.socket.is_some() {
            return wrong("socket", "set either `socket` or `url`");
        }
        let Some(rest) = url.strip_prefix("https://") else {
            return wrong(
                "url",
                "write https://HOST:PORT: a daemon is reached over TLS or by its own socket only",
            );
        };
        let rest = rest.trim_end_matches('/');
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => match port.parse() {
                Ok(port) => (host, port),
                Err(_) => return wrong("url", "the port is a number from 1 to 65535"),
            },
            Some(_) | None => (rest, self.port),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || host.contains(|c: char| c == '/' || c == '@' || c.is_whitespace()) || port == 0
        {
            return wrong("url", "write https://HOST:PORT and nothing behind it");
        }
        let trust = self.tls.cloned().unwrap_or_default();
        trust.check("tls")?;
        let identity = match (self.certificate, self.key) {
            (Some(certificate), Some(key)) => Some((certificate.to_owned(), key.to_owned())),
            (None, None) => None,
            (Some(_), None) => return wrong("key", "`certificate` needs its key"),
            (None, Some(_)) => return wrong("certificate", "`key` needs its certificate"),
        };
        Ok(Door::Tls { host: host.to_owned(), port, trust, identity })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: Option<&str>) -> Settings<'_> {
        Settings {
            socket: None,
            url,
            tls: None,
            certificate: None,
            key: None,
            usual: "/run/x.sock",
            port: 2376,
        }
    }

    #[test]
    fn only_a_socket_or_tls_is_a_door() {
        assert_eq!(settings(None).door().unwrap(), Door::Unix("/run/x.sock".into()));
        assert_eq!(settings(Some("https://a:1/")).door().unwrap().to_string(), "https://a:1");
        assert_eq!(settings(Some("https://[::1]")).door().unwrap().to_string(), "https://::1:2376");
        for url in
            ["tcp://a:2375", "http://a", "https://a:99999", "https://a:0", "https://me@a", "https://a/v1"]
        {
            assert_eq!(settings(Some(url)).door().unwrap_err().place, "url", "{url}");
        }
        let trust = Trust::default();
        let without = Settings { tls: Some(&trust), ..settings(None) };
        assert_eq!(without.door().unwrap_err().place, "tls");
    }
}
