//! Answers that need not be sent again when nothing has changed.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::problem::{Problem, Trouble};

/// What changes with every look at a machine and makes no difference: it is not in the tag.
const PASSING: [&str; 6] = ["age_ms", "seen", "cpu", "memory", "temperature", "now"];

/// JSON with a tag (RFC 9110, section 8.8.3). The tag is a weak one, because ages and loads are left out of it:
/// else none would ever hold.
pub(crate) fn tagged(asked: &HeaderMap, body: &impl Serialize) -> Response {
    let value = match serde_json::to_value(body) {
        Ok(value) => value,
        Err(error) => return Problem::new(Trouble::Unavailable, error.to_string()).into_response(),
    };
    let mut hash = Sha256::new();
    feed(&mut hash, &value);
    let tag = format!("W/\"{}\"", hex::encode(&hash.finalize()[..16]));
    let Ok(shown) = HeaderValue::from_str(&tag) else { return Json(value).into_response() };
    let head =
        [(header::ETAG, shown), (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"))];
    if holds(asked, &tag) {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    (head, Json(value)).into_response()
}

/// Whether the asker has it already. The weak comparison: `W/` makes no difference.
fn holds(asked: &HeaderMap, tag: &str) -> bool {
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    asked
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|one| one.trim() == "*" || bare(one) == bare(tag))
}

fn feed(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Object(map) => {
            hash.update(b"{");
            for (key, value) in map.iter().filter(|(key, _)| !PASSING.contains(&key.as_str())) {
                hash.update(key);
                hash.update(b":");
                feed(hash, value);
            }
            hash.update(b"}");
        }
        Value::Array(all) => {
            hash.update(b"[");
            for value in all {
                feed(hash, value);
                hash.update(b",");
            }
            hash.update(b"]");
        }
        // As JSON, so that the text "1" and the number 1 differ.
        plain => hash.update(plain.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tag(value: &Value) -> HeaderValue {
        tagged(&HeaderMap::new(), value).headers()[header::ETAG].clone()
    }

    #[test]
    fn a_tag_holds_until_something_changes_that_matters() {
        let then = json!({ "entries": [{ "power": "on", "age_ms": 5 }] });
        let now = json!({ "entries": [{ "power": "on", "age_ms": 900 }] });
        let off = json!({ "entries": [{ "power": "off", "age_ms": 5 }] });
        assert_eq!(tag(&then), tag(&now));
        assert_ne!(tag(&then), tag(&off));
        assert_ne!(tag(&json!({ "a": "1" })), tag(&json!({ "a": 1 })));
        let mut asked = HeaderMap::new();
        asked.insert(header::IF_NONE_MATCH, tag(&then));
        assert_eq!(tagged(&asked, &now).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(tagged(&asked, &off).status(), StatusCode::OK);
        let list = format!("\"x\", {}", tag(&then).to_str().unwrap().trim_start_matches("W/"));
        asked.insert(header::IF_NONE_MATCH, HeaderValue::from_str(&list).unwrap());
        assert_eq!(tagged(&asked, &now).status(), StatusCode::NOT_MODIFIED);
    }
}
