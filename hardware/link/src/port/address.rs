//! Names of ports, as they stand in a configuration.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::{Dial, rfc2217::Rfc2217Dial, serial::SerialDial, tcp::TcpDial};

/// Where a board is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PortAddress {
    /// A serial device or pty, best by a stable path: `/dev/serial/by-id/…`.
    Serial(PathBuf),
    /// Bare bytes over TCP, as `ser2net` gives them: `tcp://host:port`.
    Tcp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// A serial port over telnet with its baud rate set from here: `rfc2217://host:port`.
    Rfc2217 {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
}

/// A name that is none of a port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} names no port: give an absolute path such as /dev/serial/by-id/…, tcp://host:port or rfc2217://host:port"
)]
pub struct AddressError(String);

impl FromStr for PortAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let fail = || AddressError(text.to_owned());
        let host_port = |rest: &str| {
            let (host, port) = rest.rsplit_once(':')?;
            let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
            let port = port.parse().ok().filter(|port| *port != 0)?;
            (!host.is_empty() && !host.contains(['/', '@', ' '])).then(|| (host.to_owned(), port))
        };
        if let Some(rest) = text.strip_prefix("tcp://") {
            host_port(rest).map(|(host, port)| Self::Tcp { host, port }).ok_or_else(fail)
        } else if let Some(rest) = text.strip_prefix("rfc2217://") {
            host_port(rest).map(|(host, port)| Self::Rfc2217 { host, port }).ok_or_else(fail)
        } else if text.starts_with('/') && text.len() > 1 {
            Ok(Self::Serial(text.into()))
        } else {
            Err(fail())
        }
    }
}

impl fmt::Display for PortAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bracketed = |host: &str| if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        match self {
            Self::Serial(path) => write!(f, "{}", path.display()),
            Self::Tcp { host, port } => write!(f, "tcp://{}:{port}", bracketed(host)),
            Self::Rfc2217 { host, port } => write!(f, "rfc2217://{}:{port}", bracketed(host)),
        }
    }
}

impl PortAddress {
    /// What opens it at `baud` bits a second, 8N1. A TCP server has its own baud rate, set there.
    #[must_use]
    pub fn dial(&self, baud: u32) -> Box<dyn Dial> {
        match self {
            Self::Serial(path) => Box::new(SerialDial::new(path.clone(), baud)),
            Self::Tcp { host, port } => Box::new(TcpDial::new(host.clone(), *port)),
            Self::Rfc2217 { host, port } => Box::new(Rfc2217Dial::new(host.clone(), *port, baud)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_and_show_the_same() {
        for text in [
            "/dev/serial/by-id/usb-Arduino-if00",
            "tcp://10.0.0.7:3001",
            "rfc2217://[::1]:2217",
            "tcp://gate:1",
        ] {
            assert_eq!(text.parse::<PortAddress>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "/",
            "ttyUSB0",
            "tcp://",
            "tcp://:1",
            "tcp://h",
            "tcp://h:0",
            "tcp://h:99999",
            "http://h:1",
            "tcp://u@h:1",
        ] {
            assert!(text.parse::<PortAddress>().is_err(), "{text}");
        }
    }
}
