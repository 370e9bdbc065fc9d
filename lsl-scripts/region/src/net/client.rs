//! One call of a script to the outside. A connection each, as OpenSimulator does.

use crate::settings::Outbound;
use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// What is to be sent.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) uri: Uri,
    pub(crate) method: Method,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
    /// Bytes of the answer's body that are kept.
    pub(crate) keep: usize,
    /// On Second Life only text comes through.
    pub(crate) text_only: bool,
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Cut to what the script may have; cut in bytes, so that a broken last character shows as U+FFFD.
    pub(crate) body: String,
    /// Bytes received and kept.
    pub(crate) bytes: usize,
}

impl Reply {
    /// What the grids answer when no answer came.
    pub(crate) fn none(why: &str) -> Self {
        Self { status: 499, body: why.to_owned(), bytes: 0 }
    }
}

/// Host without brackets, and port.
pub(crate) fn target(uri: &Uri) -> Option<(&str, u16)> {
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return None;
    }
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    Some((host, port))
}

/// Sends it. Comes back with 499 for whatever fails; the time-out is the caller's.
pub(crate) async fn send(call: Call, outbound: &Outbound) -> Reply {
    match attempt(call, outbound).await {
        Ok(reply) => reply,
        Err(why) => Reply::none(&why),
    }
}

async fn attempt(call: Call, outbound: &Outbound) -> Result<Reply, String> {
    let Call { uri, method, headers, body, keep, text_only } = call;
    if uri.scheme_str() != Some("http") {
        return Err("this simulated region makes no https calls".to_owned());
    }
    let Some((host, port)) = target(&uri) else { return Err("the URL has no host".to_owned()) };
    let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port))
        .await
        .map_err(|e| format!("{host} is not found: {e}"))?
        .filter(|a| outbound.allows(host, *a))
        .collect();
    let Some(address) = found.first() else {
        return Err(format!("{host}:{port} may not be called from this region"));
    };
    let stream =
        TcpStream::connect(address).await.map_err(|e| format!("no connection to {host}:{port}: {e}"))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| format!("no connection to {host}:{port}: {e}"))?;
    let path = uri.path_and_query().map_or("/", |p| if p.as_str().is_empty() { "/" } else { p.as_str() });
    let mut request = Request::builder().method(method).uri(path);
    if let Some(authority) = uri.authority() {
        request = request.header(http::header::HOST, authority.as_str());
    }
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(body)).map_err(|e| format!("the request is malformed: {e}"))?;
    let exchange = async {
        let response =
            sender.send_request(request).await.map_err(|e| format!("no answer from {host}:{port}: {e}"))?;
        let status = response.status().as_u16();
        let kind = response
            .headers()
            .get(http::header::CONTENT_TYPE)
            .and_then(|v| v.to_str().ok())
            .unwrap_or("text/plain")
            .to_owned();
        if text_only && !is_text(&kind) {
            return Ok(Reply {
                status: 415,
                body: "Unsupported or unknown Content-Type".to_owned(),
                bytes: 0,
            });
        }
        let mut kept = BytesMut::new();
        let mut body = response.into_body();
        while kept.len() < keep
            && let Some(frame) = body.frame().await
        {
            let frame = frame.map_err(|e| format!("the answer of {host}:{port} broke off: {e}"))?;
            if let Some(data) = frame.data_ref() {
                let room = keep - kept.len();
                kept.extend_from_slice(&data[..data.len().min(room)]);
            }
        }
        Ok(Reply { status, body: String::from_utf8_lossy(&kept).into_owned(), bytes: kept.len() })
    };
    // The connection ends with the exchange.
    tokio::select! {
        reply = exchange => reply,
        // Its end, good or bad, reaches the exchange, which knows what to make of it.
        () = async {
            drop(connection.await);
            std::future::pending::<()>().await;
        } => Err("the connection ended".to_owned()),
    }
}

/// Content types that Second Life hands to a script without HTTP_ACCEPT.
fn is_text(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.starts_with("text/")
        || matches!(
            kind.as_str(),
            "application/xhtml+xml"
                | "application/atom+xml"
                | "application/rss+xml"
                | "application/json"
                | "application/xml"
                | "application/llsd+xml"
                | "application/x-www-form-urlencoded"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_host_and_port() {
        let of = |u: &str| target(&u.parse().unwrap()).map(|(h, p)| (h.to_owned(), p));
        assert_eq!(of("http://a.example/x"), Some(("a.example".to_owned(), 80)));
        assert_eq!(of("https://a.example"), Some(("a.example".to_owned(), 443)));
        assert_eq!(of("http://[::1]:81/"), Some(("::1".to_owned(), 81)));
        assert_eq!(of("/only/a/path"), None);
    }

    #[test]
    fn pictures_are_no_text() {
        assert!(is_text("Text/Plain; charset=utf-8") && is_text("application/json"));
        assert!(!is_text("image/png") && !is_text("application/octet-stream"));
    }
}
