//! What comes in, read with limits, and said otherwise where it cannot be read.

use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::admit::Caller;
use super::problem::{Problem, Trouble};

/// The longest body, in bytes.
pub(crate) const BODY: usize = 16 * 1024;
/// How long a body may take to arrive.
const ARRIVES: Duration = Duration::from_secs(10);
/// The longest Idempotency-Key, in characters.
const KEY: usize = 255;

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;
    /// Absent only where a route was put before no door: then nobody comes in.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Problem::new(Trouble::NoToken, "this path wants a token"))
    }
}

/// The query, whose keys are all known.
#[derive(Debug)]
pub(crate) struct Asked<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(why) => Err(Problem::new(Trouble::Invalid, format!("the query: {}", why.body_text()))),
        }
    }
}

/// A part of the path.
#[derive(Debug)]
pub(crate) struct Named<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(named)) => Ok(Self(named)),
            Err(why) => Err(Problem::new(Trouble::NotFound, format!("the path: {}", why.body_text()))),
        }
    }
}

/// A body of JSON.
#[derive(Debug)]
pub(crate) struct Sent<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Sent<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = kind.and_then(|kind| kind.split(';').next()).map(str::trim).unwrap_or_default();
        if !essence.eq_ignore_ascii_case("application/json") {
            let words = match kind {
                None => "the body has no content type".to_owned(),
                Some(_) => "the body has another content type than application/json".to_owned(),
            };
            return Err(Problem::new(Trouble::ContentType, words));
        }
        let too_large = || Problem::new(Trouble::TooLarge, format!("the body has more than {BODY} bytes"));
        let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        if announced.and_then(|value| value.parse::<u64>().ok()).is_some_and(|all| all > BODY as u64) {
            return Err(too_large());
        }
        let bytes = match tokio::time::timeout(ARRIVES, to_bytes(request.into_body(), BODY)).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(_)) => return Err(too_large()),
            Err(_) => {
                let words = format!("the body did not arrive within {} s", ARRIVES.as_secs());
                return Err(Problem::new(Trouble::TimedOut, words));
            }
        };
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            let trouble = match error.classify() {
                Category::Data => Trouble::Invalid,
                Category::Io | Category::Syntax | Category::Eof => Trouble::Malformed,
            };
            Problem::new(trouble, format!("the body: {error}"))
        })
    }
}

/// The client's own name for a command (draft-ietf-httpapi-idempotency-key-header-07).
///
/// # Errors
/// When there is none, or none that can be kept.
pub(crate) fn key(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut all = headers.get_all("idempotency-key").iter();
    let (Some(one), None) = (all.next(), all.next()) else {
        let words = "a command that is sent twice must not be done twice";
        return Err(Problem::new(Trouble::KeyMissing, words));
    };
    match one.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= KEY => Ok(key),
        _ => {
            let words = format!("an Idempotency-Key is 1 to {KEY} printable ASCII characters");
            Err(Problem::new(Trouble::Invalid, words))
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::HeaderValue;
    use primrack_model::Action;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Deed {
        #[expect(dead_code, reason = "only read")]
        action: Action,
    }

    async fn status(kind: Option<&str>, body: Vec<u8>) -> u16 {
        let mut request = Request::new(Body::from(body));
        if let Some(kind) = kind {
            request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_str(kind).unwrap());
        }
        Sent::<Deed>::from_request(request, &()).await.map_or_else(|problem| problem.status, |_| 200)
    }

    #[tokio::test]
    async fn each_way_to_send_a_wrong_body_has_its_status() {
        let json = Some("application/json; charset=utf-8");
        assert_eq!(status(json, br#"{"action":"start"}"#.to_vec()).await, 200);
        assert_eq!(status(None, br#"{"action":"start"}"#.to_vec()).await, 415);
        assert_eq!(status(Some("text/plain"), br#"{"action":"start"}"#.to_vec()).await, 415);
        assert_eq!(status(json, b"{".to_vec()).await, 400);
        assert_eq!(status(json, Vec::new()).await, 400);
        assert_eq!(status(json, br#"{"action":"explode"}"#.to_vec()).await, 422);
        assert_eq!(status(json, br#"{"action":"start","who":1}"#.to_vec()).await, 422);
        assert_eq!(status(json, vec![b' '; BODY + 1]).await, 413);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_given_up() {
        let body = Body::from_stream(futures::stream::pending::<Result<axum::body::Bytes, std::io::Error>>());
        let mut request = Request::new(body);
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        assert_eq!(Sent::<Deed>::from_request(request, &()).await.unwrap_err().status, 408);
    }
}
