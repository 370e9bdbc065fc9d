//! Where pushes may go: an allow-list, checked as literal, as resolved and as connected.
//!
//! A callback URL comes from a script, so it is chosen by whoever wrote the script. Without rules
//! nothing is allowed. A name rule lets a name through the first check; every address that name
//! resolves to must then be public or be named by an address rule of its own, and the connection
//! goes to exactly the address that was checked.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use ipnet::IpNet;
use parking_lot::Mutex;

use super::address;
use super::callback::{self, Callback, Host, Origin, OriginKey};

/// What the guard needs to know.
#[derive(Debug, Clone, Default)]
pub struct GuardSettings {
    /// Allow rules; an empty list refuses every callback.
    pub allow: Vec<AllowRule>,
}

/// One allowed destination: `host[:port]`, `*.example.org:12046`, `10.0.0.0/8:9000`, `127.0.0.1:*`,
/// `[fd00::]/8:9000`. Without a port the rule allows 80 and 443.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowRule {
    host: HostRule,
    port: PortRule,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostRule {
    Name(Box<str>),
    /// Any name below this one; the name itself is not included.
    Below(Box<str>),
    Net(IpNet),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PortRule {
    Default,
    Any,
    One(u16),
}

/// A rule that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot read the callback rule \"{rule}\": {what} (write host, host:port, *.example.org:port, 10.0.0.0/8:port, [fd00::]/8:port; * as port allows every port)"
)]
pub struct BadRule {
    rule: String,
    what: &'static str,
}

impl std::str::FromStr for AllowRule {
    type Err = BadRule;

    fn from_str(text: &str) -> Result<Self, BadRule> {
        let bad = |what| BadRule { rule: text.to_owned(), what };
        // The port comes after the last colon that stands outside brackets.
        let after_bracket = text.rfind(']').map_or(0, |at| at + 1);
        let (host, port) = match text[after_bracket..].rfind(':') {
            Some(at) => (&text[..after_bracket + at], Some(&text[after_bracket + at + 1..])),
            None => (text, None),
        };
        let port = match port {
            None => PortRule::Default,
            Some("*") => PortRule::Any,
            Some(digits) => match digits.parse::<u16>() {
                Ok(port) if port != 0 => PortRule::One(port),
                _ => return Err(bad("the port is not a number from 1 to 65535")),
            },
        };
        let host = if let Some((address, prefix)) = host.split_once('/') {
            let address = address.trim_start_matches('[').trim_end_matches(']');
            let address: IpAddr = address.parse().map_err(|_| bad("the network address is not valid"))?;
            let prefix: u8 = prefix.parse().map_err(|_| bad("the prefix length is not a number"))?;
            let net =
                IpNet::new(address, prefix).map_err(|_| bad("the prefix is longer than the address"))?;
            if net.trunc().addr() != address {
                return Err(bad("the address has bits set beyond its prefix"));
            }
            HostRule::Net(net)
        } else if let Some(parent) = host.strip_prefix("*.") {
            match callback::parse_host(parent) {
                Ok(Host::Name(name)) => HostRule::Below(name),
                Ok(Host::Ip(_)) => return Err(bad("a wildcard cannot stand before an address")),
                Err(_) => return Err(bad("the name after the wildcard is not valid")),
            }
        } else {
            match callback::parse_host(host) {
                Ok(Host::Name(name)) => HostRule::Name(name),
                Ok(Host::Ip(ip)) => HostRule::Net(IpNet::from(ip)),
                Err(_) => return Err(bad("the host is not a valid name or address")),
            }
        };
        Ok(Self { host, port })
    }
}

impl fmt::Display for AllowRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            HostRule::Name(name) => f.write_str(name)?,
            HostRule::Below(name) => write!(f, "*.{name}")?,
            HostRule::Net(net) if net.prefix_len() == net.max_prefix_len() => {
                write!(f, "{}", Host::Ip(net.addr()))?;
            }
            HostRule::Net(net) => write!(f, "{}/{}", Host::Ip(net.addr()), net.prefix_len())?,
        }
        match self.port {
            PortRule::Default => Ok(()),
            PortRule::Any => f.write_str(":*"),
            PortRule::One(port) => write!(f, ":{port}"),
        }
    }
}

impl AllowRule {
    fn allows_port(&self, port: u16) -> bool {
        match self.port {
            PortRule::Default => port == 80 || port == 443,
            PortRule::Any => true,
            PortRule::One(one) => one == port,
        }
    }

    fn allows_name(&self, name: &str) -> bool {
        match &self.host {
            HostRule::Name(own) => **own == *name,
            HostRule::Below(parent) => {
                name.strip_suffix(&**parent).is_some_and(|head| head.len() > 1 && head.ends_with('.'))
            }
            HostRule::Net(_) => false,
        }
    }
}

/// A destination that may not be reached. Says what was refused and which line would allow it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuardRefusal {
    /// The URL is not one the bridge reads; nothing in the configuration changes that.
    #[error("the callback URL is refused: {0}")]
    Malformed(&'static str),
    /// No rule names the host and port.
    #[error(
        "the callback host {destination} is not on the allow-list; to allow it add \"{line}\" to world.callbacks"
    )]
    NotAllowed {
        /// Host and port as the URL names them.
        destination: String,
        /// The entry that would allow it.
        line: String,
    },
    /// The address is special and no rule names it.
    #[error(
        "the callback host {destination} leads to {address}, a {kind} address; to allow it add \"{line}\" to world.callbacks"
    )]
    Special {
        /// Host and port as the URL names them.
        destination: String,
        /// The address refused.
        address: IpAddr,
        /// What kind of address it is.
        kind: &'static str,
        /// The entry that would allow it.
        line: String,
    },
    /// The connection reached another address than the one that was checked.
    #[error("the connection to {destination} reached {address}, which is not the address that was checked")]
    OtherPeer {
        /// Host and port as the URL names them.
        destination: String,
        /// The address reached.
        address: IpAddr,
    },
}

/// The allow-list. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub struct Guard {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    rules: ArcSwap<Vec<AllowRule>>,
    /// One entry per server in use, so that 100,000 callbacks do not carry 100,000 header maps.
    origins: Mutex<Origins>,
}

#[derive(Debug)]
struct Origins {
    known: HashMap<OriginKey, Weak<Origin>>,
    /// Entries whose callbacks are gone are dropped when the map reaches this size.
    prune_at: usize,
}

impl Guard {
    /// A guard with these rules.
    #[must_use]
    pub fn new(settings: GuardSettings) -> Self {
        let GuardSettings { allow } = settings;
        let origins = Mutex::new(Origins { known: HashMap::new(), prune_at: 256 });
        Self { shared: Arc::new(Shared { rules: ArcSwap::from_pointee(allow), origins }) }
    }

    /// Other rules from now on, for all clones. What is connected already is not cut.
    pub fn allow_only(&self, allow: Vec<AllowRule>) {
        self.shared.rules.store(Arc::new(allow));
    }

    /// Parses a callback URL and checks what can be checked without the network.
    ///
    /// # Errors
    /// The refusal, in words that name the host but never the path.
    pub fn check_url(&self, text: &str) -> Result<Callback, GuardRefusal> {
        let (key, target) = callback::parse(text).map_err(GuardRefusal::Malformed)?;
        match &key.host {
            Host::Ip(ip) => self.check_address(&key, *ip)?,
            Host::Name(name) => {
                let rules = self.shared.rules.load();
                let allowed = rules.iter().any(|rule| rule.allows_name(name) && rule.allows_port(key.port));
                if !allowed {
                    return Err(not_allowed(&key));
                }
            }
        }
        Ok(Callback { origin: self.intern(key), target })
    }

    /// Checks an address that is about to be connected to, or was.
    pub(super) fn check_address(&self, key: &OriginKey, address: IpAddr) -> Result<(), GuardRefusal> {
        let address = address.to_canonical();
        let special = address::special(address);
        // A name on the list may lead to any public address; a literal needs its own rule.
        if special.is_none() && matches!(key.host, Host::Name(_)) {
            return Ok(());
        }
        let named = self.shared.rules.load().iter().any(|rule| match rule.host {
            HostRule::Net(net) => {
                let covers = match special {
                    Some(_) => address::names_special(net, address),
                    None => net.contains(&address),
                };
                covers && rule.allows_port(key.port)
            }
            HostRule::Name(_) | HostRule::Below(_) => false,
        });
        match (named, special) {
            (true, _) => Ok(()),
            (false, None) => Err(not_allowed(key)),
            (false, Some(kind)) => Err(GuardRefusal::Special {
                destination: destination(key),
                address,
                kind,
                line: format!("{}:{}", Host::Ip(address), key.port),
            }),
        }
    }

    fn intern(&self, key: OriginKey) -> Arc<Origin> {
        let mut origins = self.shared.origins.lock();
        if let Some(origin) = origins.known.get(&key).and_then(Weak::upgrade) {
            return origin;
        }
        if origins.known.len() >= origins.prune_at {
            origins.known.retain(|_, origin| origin.strong_count() > 0);
            origins.prune_at = (origins.known.len() * 2).max(256);
        }
        let origin = Arc::new(Origin::new(key.clone()));
        origins.known.insert(key, Arc::downgrade(&origin));
        origin
    }
}

pub(super) fn destination(key: &OriginKey) -> String {
    format!("{}:{}", key.host, key.port)
}

fn not_allowed(key: &OriginKey) -> GuardRefusal {
    GuardRefusal::NotAllowed { destination: destination(key), line: destination(key) }
}

#[cfg(test)]
mod tests;
