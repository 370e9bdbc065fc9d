//! The reference: the document, and a page that shows it. Everybody may read them: they tell nothing of this bridge.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::output::tagged;
use super::problem::{Problem, Trouble};
use super::routes::Api;

/// `/api/v1/openapi.json`
pub(crate) async fn described(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    tagged(&headers, &super::routes::document(&api))
}

/// `/api/v1/docs`
pub(crate) async fn page() -> Response {
    give("text/html; charset=utf-8", include_str!("reference.html"))
}

/// What belongs to the page.
pub(crate) async fn file(Path(file): Path<String>) -> Response {
    match file.as_str() {
        "reference.js" => give("text/javascript; charset=utf-8", include_str!("reference.js")),
        "reference.css" => give("text/css; charset=utf-8", include_str!("reference.css")),
        _ => Problem::new(Trouble::NoSuchPath, "the reference has no such file").into_response(),
    }
}

fn give(kind: &'static str, text: &'static str) -> Response {
    // Nothing from elsewhere runs in it, and it runs in nobody's frame.
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                          base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let head = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (head, text).into_response()
}
