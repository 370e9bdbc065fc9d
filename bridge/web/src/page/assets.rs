//! The page's files, inside the binary.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// One file, and the same packed where that is smaller.
#[derive(Debug)]
pub(crate) struct Asset {
    pub(crate) path: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) plain: &'static [u8],
    pub(crate) brotli: Option<&'static [u8]>,
    pub(crate) gzip: Option<&'static [u8]>,
}

/// What the build of the page left; empty when it was not built.
mod built {
    use super::Asset;
    include!(concat!(env!("OUT_DIR"), "/assets.rs"));
}

/// The page that needs no build.
const PLAIN: [Asset; 3] = [
    Asset {
        path: "plain.html",
        kind: "text/html; charset=utf-8",
        plain: include_bytes!("plain.html"),
        brotli: None,
        gzip: None,
    },
    Asset {
        path: "assets/plain.js",
        kind: "text/javascript; charset=utf-8",
        plain: include_bytes!("plain.js"),
        brotli: None,
        gzip: None,
    },
    Asset {
        path: "assets/plain.css",
        kind: "text/css; charset=utf-8",
        plain: include_bytes!("plain.css"),
        brotli: None,
        gzip: None,
    },
];

fn find(path: &str) -> Option<&'static Asset> {
    built::ASSETS.iter().chain(PLAIN.iter()).find(|asset| asset.path == path)
}

/// The page: the built one, else the plain one.
pub(crate) fn page(headers: &HeaderMap) -> Response {
    match find("index.html").or_else(|| find("plain.html")) {
        Some(asset) => give(asset, headers, "no-cache"),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The page without a build.
pub(crate) fn plain(headers: &HeaderMap) -> Response {
    find("plain.html")
        .map_or_else(|| StatusCode::NOT_FOUND.into_response(), |asset| give(asset, headers, "no-cache"))
}

/// A file of the page. Those of the build carry a hash of their content in the name and never change.
pub(crate) fn asset(path: &str, headers: &HeaderMap) -> Response {
    let path = format!("assets/{path}");
    match find(&path) {
        Some(asset) if path.starts_with("assets/plain.") => give(asset, headers, "no-cache"),
        Some(asset) => give(asset, headers, "public, max-age=31536000, immutable"),
        None => (StatusCode::NOT_FOUND, "no such file").into_response(),
    }
}

fn give(asset: &'static Asset, headers: &HeaderMap, cache: &'static str) -> Response {
    let takes = |name: &str| {
        headers
            .get_all(header::ACCEPT_ENCODING)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|one| {
                let mut parts = one.trim().split(';');
                parts.next() == Some(name) && !parts.any(|q| q.trim() == "q=0")
            })
    };
    let (body, packing) = match (asset.brotli, asset.gzip) {
        (Some(brotli), _) if takes("br") => (brotli, Some("br")),
        (_, Some(gzip)) if takes("gzip") => (gzip, Some("gzip")),
        _ => (asset.plain, None),
    };
    let mut response = body.into_response();
    let head = response.headers_mut();
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    head.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    head.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(packing) = packing {
        head.insert(header::CONTENT_ENCODING, HeaderValue::from_static(packing));
    }
    response
}
