//! Is it well, and how much has it done: for load balancers and Prometheus.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use parking_lot::Mutex;
use primrack_engine::Engine;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

/// What the other edges tell of themselves; the app answers, since edges do not know each other.
pub trait Edges: Send + Sync + 'static {
    /// How the objects in the world stand, one JSON object each.
    fn objects(&self) -> Vec<Value>;
    /// Brings gauges up to date before they are read.
    fn refresh(&self);
}

struct Health {
    engine: Arc<Engine>,
    edges: Arc<dyn Edges>,
    registry: Mutex<Registry>,
}

/// `GET /healthz` and `GET /metrics`.
pub fn health_routes(engine: Arc<Engine>, edges: Arc<dyn Edges>, registry: Registry) -> Router {
    let state = Arc::new(Health { engine, edges, registry: Mutex::new(registry) });
    Router::new().route("/healthz", get(healthz)).route("/metrics", get(metrics)).with_state(state)
}

/// 200 while intents can be recorded, else 503 with the reason. Backends that are lost do not make the
/// bridge unwell: they are named.
async fn healthz(State(health): State<Arc<Health>>) -> Response {
    let journal = health.engine.journal().stats();
    let well = journal.failing.is_none();
    let backends: Vec<Value> = health
        .engine
        .backends()
        .into_iter()
        .map(|(id, technology, status)| {
            json!({ "backend": id, "technology": technology, "connected": status.connected, "why": status.why })
        })
        .collect();
    let body = json!({
        "well": well,
        "journal": journal.failing.as_deref().unwrap_or("writes"),
        "read_only": health.engine.read_only(),
        "backends": backends,
    });
    (if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(body)).into_response()
}

async fn metrics(State(health): State<Arc<Health>>) -> Response {
    health.edges.refresh();
    let mut text = String::with_capacity(8192);
    match encode(&mut text, &health.registry.lock()) {
        Ok(()) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
