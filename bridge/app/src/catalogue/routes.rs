//! The control socket's side of it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use miette::{GraphicalReportHandler, GraphicalTheme};
use serde::{Deserialize, Serialize};

use super::Catalogue;
use crate::compose::Mistakes;

/// A reload that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadAsked {
    /// Only say what is wrong, or what would change.
    #[serde(default)]
    pub check: bool,
}

/// A configuration that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// In a sentence.
    pub error: String,
    /// Each mistake with its place, as `primrack check` shows it.
    pub mistakes: Vec<String>,
}

impl Refused {
    /// In words for people.
    #[must_use]
    pub fn of(Mistakes(reports): &Mistakes) -> Self {
        let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(100);
        let mistakes: Vec<String> = reports
            .iter()
            .map(|report| {
                let mut text = String::new();
                match handler.render_report(&mut text, report.as_ref()) {
                    Ok(()) => text.trim_end().to_owned(),
                    Err(_) => report.to_string(),
                }
            })
            .collect();
        let error = format!(
            "nothing is changed: the configuration has {} mistake{}",
            mistakes.len(),
            if mistakes.len() == 1 { "" } else { "s" }
        );
        Self { error, mistakes }
    }
}

/// `POST /reload`, `GET /targets`, `GET /drift`.
pub(crate) fn routes(catalogue: Arc<Catalogue>) -> Router {
    Router::new()
        .route("/reload", post(reload))
        .route("/targets", get(|State(it): State<Arc<Catalogue>>| async move { Json(it.targets().await) }))
        .route("/drift", get(|State(it): State<Arc<Catalogue>>| async move { Json(it.drift()) }))
        .with_state(catalogue)
}

async fn reload(
    State(catalogue): State<Arc<Catalogue>>,
    Json(ReloadAsked { check }): Json<ReloadAsked>,
) -> Response {
    match catalogue.reload(check).await {
        Ok(reloaded) => Json(reloaded).into_response(),
        Err(mistakes) => (StatusCode::CONFLICT, Json(Refused::of(&mistakes))).into_response(),
    }
}
