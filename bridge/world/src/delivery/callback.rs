//! A callback URL, parsed once and strictly.
//!
//! Grids hand out plain URLs (`http://sim123.example.org:12046/cap/<uuid>`). Whatever needs
//! interpretation (a numeric host in octal, a user name, a zone, a backslash) is refused instead of
//! normalised: two parsers that normalise differently are how address checks are bypassed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue, USER_AGENT};
use http::uri::{PathAndQuery, Uri};

/// Longest callback URL accepted, in bytes. Second Life's are about 90, OpenSim's about 80.
pub const MAX_URL: usize = 1024;

/// Longest host name (RFC 1035).
const MAX_HOST: usize = 253;

/// How the connection is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain HTTP/1.1.
    Http,
    /// HTTP/1.1 over TLS, certificate checked.
    Https,
}

/// The host as the URL names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A DNS name in lower case, ASCII (punycode as written), without a trailing dot.
    Name(Box<str>),
    /// An address literal; an IPv4-mapped IPv6 literal is kept as the IPv4 address it reaches.
    Ip(IpAddr),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// What identifies a server: everything about connections, limits and breakers hangs on it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct OriginKey {
    pub(super) scheme: Scheme,
    pub(super) host: Host,
    pub(super) port: u16,
}

impl fmt::Display for OriginKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

/// A server with the headers every push to it carries, shared by all its callbacks.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) key: OriginKey,
    pub(super) headers: HeaderMap,
}

impl Origin {
    pub(super) fn new(key: OriginKey) -> Self {
        let default = match key.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        };
        let authority =
            if key.port == default { key.host.to_string() } else { format!("{}:{}", key.host, key.port) };
        let mut headers = HeaderMap::with_capacity(3);
        // A parsed host is LDH, dots, digits, colons and brackets: always a valid header value.
        if let Ok(value) = HeaderValue::from_str(&authority) {
            headers.insert(HOST, value);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("primrack/", env!("CARGO_PKG_VERSION"))));
        Self { key, headers }
    }
}

/// A checked callback URL: made only by [`Guard::check_url`](super::Guard::check_url).
///
/// The path is a capability (who knows it can speak to the object), so neither `Debug` nor
/// `Display` shows it; both print the origin.
#[derive(Clone)]
pub struct Callback {
    pub(super) origin: Arc<Origin>,
    pub(super) target: Uri,
}

impl Callback {
    /// The host as the URL names it.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.origin.key.host
    }

    /// The port, the scheme's default filled in.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.origin.key.port
    }

    /// Whether the push goes over TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.origin.key.scheme == Scheme::Https
    }
}

impl PartialEq for Callback {
    fn eq(&self, other: &Self) -> bool {
        self.origin.key == other.origin.key && self.target == other.target
    }
}

impl Eq for Callback {}

impl fmt::Display for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.origin.key.fmt(f)
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Callback({}/…)", self.origin.key)
    }
}

/// Splits and checks a URL; the error says what is wrong with it without repeating its path.
pub(super) fn parse(text: &str) -> Result<(OriginKey, Uri), &'static str> {
    if text.len() > MAX_URL {
        return Err("it is longer than 1024 bytes");
    }
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(
            "it holds spaces, control or non-ASCII characters (write an international name in punycode)",
        );
    }
    let (scheme, rest) = if let Some(rest) = strip_scheme(text, "http://") {
        (Scheme::Http, rest)
    } else if let Some(rest) = strip_scheme(text, "https://") {
        (Scheme::Https, rest)
    } else {
        return Err("it does not start with http:// or https://");
    };
    if rest.contains(['\\', '#', '<', '>', '"', '^', '`', '{', '|', '}']) {
        return Err("it holds a backslash, a fragment or another character that has no place in a URL");
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.contains('@') {
        return Err("it carries a user name");
    }
    if authority.contains('%') {
        return Err("its host is percent-encoded or names a zone");
    }
    let (host, port) = split_port(authority)?;
    let port = match (port, scheme) {
        (Some(port), _) => port,
        (None, Scheme::Http) => 80,
        (None, Scheme::Https) => 443,
    };
    let host = parse_host(host)?;
    let target = match path.as_bytes().first() {
        None => PathAndQuery::from_static("/"),
        Some(b'/') => path_and_query(path.to_owned())?,
        Some(_) => path_and_query(format!("/{path}"))?,
    };
    Ok((OriginKey { scheme, host, port }, Uri::from(target)))
}

fn path_and_query(text: String) -> Result<PathAndQuery, &'static str> {
    PathAndQuery::from_maybe_shared(Bytes::from(text)).map_err(|_| "its path is not valid")
}

fn strip_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let head = text.get(..scheme.len())?;
    head.eq_ignore_ascii_case(scheme).then(|| &text[scheme.len()..])
}

pub(super) fn split_port(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    let host_end = match authority.strip_prefix('[') {
        Some(rest) => rest.find(']').ok_or("its IPv6 bracket is not closed")? + 2,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, tail) = authority.split_at(host_end);
    let port = match tail.strip_prefix(':') {
        None if tail.is_empty() => None,
        Some(digits)
            if !digits.is_empty() && digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit()) =>
        {
            match digits.parse::<u16>() {
                Ok(port) if port != 0 => Some(port),
                _ => return Err("its port is not between 1 and 65535"),
            }
        }
        _ => return Err("its port is not a number"),
    };
    Ok((host, port))
}

pub(super) fn parse_host(text: &str) -> Result<Host, &'static str> {
    if let Some(inner) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        let ip =
            inner.parse::<Ipv6Addr>().map_err(|_| "its IPv6 address is not valid (zones are not allowed)")?;
        return Ok(Host::Ip(IpAddr::V6(ip).to_canonical()));
    }
    if text.is_empty() {
        return Err("it has no host");
    }
    if text.len() > MAX_HOST {
        return Err("its host is longer than 253 bytes");
    }
    if text.ends_with('.') {
        return Err("its host ends with a dot");
    }
    for label in text.split('.') {
        let edge = label.starts_with('-') || label.ends_with('-');
        let plain = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if label.is_empty() || label.len() > 63 || edge || !plain {
            return Err("its host is not a valid name");
        }
    }
    // A last label that a resolver could read as a number means an IPv4 literal (WHATWG "ends in a
    // number"); only the plain four-part decimal form is one that everybody reads alike.
    let last = text.rsplit('.').next().unwrap_or(text);
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let numeric = last.bytes().all(|b| b.is_ascii_digit())
        || hex.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    if numeric {
        return match text.parse::<Ipv4Addr>() {
            Ok(ip) => Ok(Host::Ip(IpAddr::V4(ip))),
            Err(_) => Err("its host is a number in an unusual form (write four decimal parts)"),
        };
    }
    Ok(Host::Name(text.to_ascii_lowercase().into_boxed_str()))
}
