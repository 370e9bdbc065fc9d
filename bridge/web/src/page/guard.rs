//! Who may post: the page itself, and no other site that a visitor happens to have open.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};

/// The header that another site's form or image cannot send.
pub(crate) const HEADER: &str = "x-primrack-page";

/// Why a deed is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Foreign {
    /// No or another content type.
    #[error("a deed is JSON: send content-type application/json")]
    Kind,
    /// The header is missing.
    #[error("a deed comes from the page: send the header x-primrack-page: 1")]
    Header,
    /// Another site, or none.
    #[error("a deed comes from the page's own address, not from another site")]
    Origin,
    /// A name that was never configured, as in DNS rebinding.
    #[error("this host name is not one of the page's: add it to the configuration")]
    Host,
}

/// Checks a deed's headers. `hosts` are the names that the page is known by beside `localhost` and plain
/// addresses.
pub(crate) fn check(headers: &HeaderMap, hosts: &[String]) -> Result<(), Foreign> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let kind = text(header::CONTENT_TYPE.as_str()).unwrap_or_default();
    if kind.split(';').next().map(str::trim) != Some("application/json") {
        return Err(Foreign::Kind);
    }
    if text(HEADER) != Some("1") {
        return Err(Foreign::Header);
    }
    let host = text(header::HOST.as_str()).unwrap_or_default();
    let origin = text(header::ORIGIN.as_str()).unwrap_or_default();
    let site = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    if host.is_empty() || site != Some(host) {
        return Err(Foreign::Origin);
    }
    if known(host, hosts) { Ok(()) } else { Err(Foreign::Host) }
}

/// Whether a `Host` header is an address, `localhost` or one of `hosts`.
pub(crate) fn known(host: &str, hosts: &[String]) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, _)) => v6,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok()
        || hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    const GOOD: [(&str, &str); 4] = [
        ("content-type", "application/json"),
        ("x-primrack-page", "1"),
        ("host", "127.0.0.1:7400"),
        ("origin", "http://127.0.0.1:7400"),
    ];

    fn without(name: &str, put: Option<&'static str>) -> HeaderMap {
        let mut map = headers(&GOOD);
        map.remove(name);
        if let Some(value) = put {
            map.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn the_page_itself_may_post() {
        assert_eq!(check(&headers(&GOOD), &[]), Ok(()));
        assert!(known("[::1]:7400", &[]) && known("localhost", &[]));
    }

    #[test]
    fn another_site_may_not() {
        assert_eq!(check(&without("origin", Some("https://evil.example")), &[]), Err(Foreign::Origin));
        assert_eq!(check(&without("origin", None), &[]), Err(Foreign::Origin));
        assert_eq!(check(&without("x-primrack-page", None), &[]), Err(Foreign::Header));
        assert_eq!(check(&without("content-type", Some("text/plain")), &[]), Err(Foreign::Kind));
    }

    #[test]
    fn a_name_that_was_rebound_to_this_machine_may_not() {
        let mut map = without("host", Some("evil.example:7400"));
        map.insert("origin", HeaderValue::from_static("http://evil.example:7400"));
        assert_eq!(check(&map, &[]), Err(Foreign::Host));
        assert_eq!(check(&map, &["evil.example".to_owned()]), Ok(()));
    }
}
