//! Is it well, and how much has it done: for load balancers and Prometheus.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
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

/// In the format that the asker names: OpenMetrics 1.0, or for others the text format 0.0.4 of Prometheus.
async fn metrics(State(health): State<Arc<Health>>, asked: HeaderMap) -> Response {
    let open = asked
        .get_all(header::ACCEPT)
        .iter()
        .any(|value| value.to_str().is_ok_and(|text| text.contains("application/openmetrics-text")));
    health.edges.refresh();
    let mut text = String::with_capacity(8192);
    match encode(&mut text, &health.registry.lock()) {
        Ok(()) => {
            let kind = if open {
                "application/openmetrics-text; version=1.0.0; charset=utf-8"
            } else {
                text = plain(&text);
                "text/plain; version=0.0.4; charset=utf-8"
            };
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// OpenMetrics as the text format 0.0.4: there a counter is described under its full name, and nothing marks the end
/// (Prometheus, "Exposition formats"; OpenMetrics 1.0, "Counter").
fn plain(open: &str) -> String {
    let mut text = String::with_capacity(open.len());
    let mut help: Option<&str> = None;
    for line in open.lines() {
        if line.starts_with("# HELP ") {
            // Whether it is a counter is told by the next line.
            help = Some(line);
            continue;
        }
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        let counter = line.strip_prefix("# TYPE ").and_then(|rest| rest.strip_suffix(" counter"));
        if let Some((name, words)) =
            help.take().and_then(|help| help.strip_prefix("# HELP ")?.split_once(' '))
        {
            let total = if counter.is_some() { "_total" } else { "" };
            text.push_str(&format!("# HELP {name}{total} {words}\n"));
        }
        match counter {
            Some(name) => text.push_str(&format!("# TYPE {name}_total counter\n")),
            None => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_know_openmetrics_gets_the_older_format() {
        let open = "# HELP a_b Things.\n# TYPE a_b counter\na_b_total{x=\"y\"} 1\n# HELP c Now.\n# TYPE c gauge\nc 2\n# EOF\n";
        let old = "# HELP a_b_total Things.\n# TYPE a_b_total counter\na_b_total{x=\"y\"} 1\n# HELP c Now.\n# TYPE c gauge\nc 2\n";
        assert_eq!(plain(open), old);
    }
}
