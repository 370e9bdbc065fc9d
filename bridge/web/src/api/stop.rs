//! The emergency stop, and reading the configuration again.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use primrack_engine::ReadOnly;
use primrack_model::UnixMs;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::admit::Caller;
use super::input::Sent;
use super::output::tagged;
use super::problem::{Problem, Trouble};
use super::routes::Api;
use super::schema;

/// The emergency stop as it is to be.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StopAsked {
    /// Whether nothing is to be acted on.
    on: bool,
    /// Why, in a few words; 120 characters of it are kept.
    #[serde(default)]
    why: String,
}

/// The emergency stop as it is.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct StopView {
    /// Whether nothing is acted on.
    on: bool,
    /// Who said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>")]
    since: Option<UnixMs>,
}

impl StopView {
    fn of(now: Option<ReadOnly>) -> Self {
        match now {
            None => Self { on: false, by: None, why: None, since: None },
            Some(ReadOnly { by, why, since }) => {
                Self { on: true, by: Some(by.to_string()), why: Some(why.to_string()), since: Some(since) }
            }
        }
    }
}

/// Whether the emergency stop holds: then every command is refused, whoever gives it.
pub(crate) async fn stopped(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    tagged(&headers, &StopView::of(api.engine.read_only()))
}

/// Begins or ends the emergency stop. Doing it twice changes nothing.
pub(crate) async fn stop(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Sent(StopAsked { on, why }): Sent<StopAsked>,
) -> Result<Response, Problem> {
    let by = caller.actor().to_string();
    let why: String = why.chars().filter(|c| !c.is_control()).take(120).collect();
    let changed = if on { api.engine.stop_acting(&by, &why).await } else { api.engine.act_again(&by).await };
    changed.map_err(|error| Problem::new(Trouble::Unavailable, error.to_string()))?;
    let head = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((head, Json(StopView::of(api.engine.read_only()))).into_response())
}

/// A reload that is asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReloadAsked {
    /// Only say what is wrong, or what would change.
    #[serde(default)]
    check: bool,
}

/// What a reload came to.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ReloadView {
    /// Whether it is in force now.
    applied: bool,
    /// What changed or would, by name.
    #[schemars(schema_with = "schema::object")]
    changes: Value,
}

/// Reads configuration and policies again: everything is checked, then put in force as a whole or not at all.
pub(crate) async fn reload(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Sent(ReloadAsked { check }): Sent<ReloadAsked>,
) -> Result<Response, Problem> {
    tracing::info!(by = %caller.actor(), check, "a reload is asked for over the API");
    match api.host.reload(check).await {
        Ok((applied, changes)) => {
            let head = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
            Ok((StatusCode::OK, head, Json(ReloadView { applied, changes })).into_response())
        }
        Err(mistakes) => {
            let words = "nothing is changed: the configuration has mistakes";
            Err(Problem::new(Trouble::Configuration, words).with_mistakes(mistakes))
        }
    }
}
