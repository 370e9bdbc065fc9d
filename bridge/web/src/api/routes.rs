//! The routes and what is before all of them.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use futures::future::BoxFuture;
use parking_lot::RwLock;
use primrack_engine::Engine;
use prometheus_client::registry::Registry;
use serde_json::Value;
use utoipa::openapi::SecurityRequirement;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::admit::{Tokens, TokensChanged, admit};
use super::config::{ApiPlan, Scope};
use super::counters::Counters;
use super::problem::{PROBLEM, Problem, Trouble};
use super::{command, document, journal, list, reference, stop};
use crate::seldom::Seldom;

/// What other rooms tell and do; the app answers, since edges do not know each other.
pub trait ApiHost: Send + Sync + 'static {
    /// How the objects in the world stand, one JSON object each.
    fn objects(&self) -> Vec<Value>;
    /// How the boards stand, one JSON object each.
    fn boards(&self) -> Vec<Value>;
    /// Reads the configuration again, or only checks it: whether it is in force, and what changed; or all mistakes.
    fn reload(&self, check: bool) -> BoxFuture<'static, Result<(bool, Value), Vec<String>>>;
}

/// What an API is made of.
pub struct ApiParts {
    /// What happens.
    pub engine: Arc<Engine>,
    /// The other rooms.
    pub host: Arc<dyn ApiHost>,
    /// Who may come in.
    pub plan: ApiPlan,
}

impl std::fmt::Debug for ApiParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiParts").field("plan", &self.plan).finish_non_exhaustive()
    }
}

/// The API while it runs.
pub struct Api {
    pub(crate) engine: Arc<Engine>,
    pub(crate) host: Arc<dyn ApiHost>,
    pub(crate) counters: Counters,
    tokens: RwLock<Arc<Tokens>>,
    refused: Seldom,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

impl Api {
    /// Puts it together.
    #[must_use]
    pub fn new(parts: ApiParts) -> Arc<Self> {
        let ApiParts { engine, host, plan } = parts;
        Arc::new(Self {
            engine,
            host,
            counters: Counters::default(),
            tokens: RwLock::new(Arc::new(Tokens::new(plan))),
            refused: Seldom::new("api-refused"),
        })
    }

    /// Adds its counters to the others.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.counters.register(registry);
    }

    /// Which tokens a plan brings, takes or changes.
    #[must_use]
    pub fn compare(&self, plan: &ApiPlan) -> TokensChanged {
        self.tokens().changed(plan)
    }

    /// Other tokens from now on. A stream of one that is gone ends with its next beat.
    pub fn change_tokens(&self, plan: ApiPlan) {
        *self.tokens.write() = Arc::new(Tokens::new(plan));
    }

    pub(crate) fn tokens(&self) -> Arc<Tokens> {
        Arc::clone(&self.tokens.read())
    }

    /// Counts who was turned away at the door, and notes it in the journal now and then.
    pub(crate) fn turned_away(&self, trouble: Trouble, problem: &Problem) {
        self.counters.turned_away(trouble.token());
        // Without a token somebody only looked at an address.
        if trouble != Trouble::NoToken {
            self.refused.note(self.engine.journal(), trouble.token(), "web:unknown", &problem.detail);
        }
    }
}

/// Puts routes behind a door, and says so in their document: one place, so that both agree.
fn behind(api: &Arc<Api>, scope: Scope, routes: OpenApiRouter<Arc<Api>>) -> OpenApiRouter<Arc<Api>> {
    let mut routes = routes.route_layer(from_fn_with_state((Arc::clone(api), scope), admit));
    for item in routes.get_openapi_mut().paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.post, &mut item.put].into_iter().flatten() {
            operation.security = Some(vec![SecurityRequirement::new(document::TOKEN, [scope.token()])]);
        }
    }
    routes
}

pub(crate) fn described(api: &Arc<Api>) -> OpenApiRouter<Arc<Api>> {
    let read = OpenApiRouter::new()
        .routes(routes!(list::targets))
        .routes(routes!(list::target))
        .routes(routes!(list::groups))
        .routes(routes!(list::group))
        .routes(routes!(list::objects))
        .routes(routes!(list::object))
        .routes(routes!(list::boards))
        .routes(routes!(list::board))
        .routes(routes!(list::health))
        .routes(routes!(command::command))
        .routes(routes!(stop::stopped));
    let act = OpenApiRouter::new().routes(routes!(command::send));
    let admin = OpenApiRouter::new()
        .routes(routes!(journal::journal))
        .routes(routes!(stop::stop))
        .routes(routes!(stop::reload));
    let routes = [(Scope::Read, read), (Scope::Act, act), (Scope::Admin, admin)];
    routes
        .into_iter()
        .fold(OpenApiRouter::new(), |all, (scope, routes)| all.merge(behind(api, scope, routes)))
}

/// Everything below `/api`.
pub fn api_routes(api: &Arc<Api>) -> Router {
    let (routes, _) = described(api).split_for_parts();
    routes
        .route("/api/v1/openapi.json", get(reference::described))
        .route("/api/v1/docs", get(reference::page))
        .route("/api/v1/docs/{file}", get(reference::file))
        .route("/api", any(nothing))
        .route("/api/{*rest}", any(nothing))
        .layer(from_fn_with_state(Arc::clone(api), watched))
        .with_state(Arc::clone(api))
}

async fn nothing() -> Problem {
    Problem::new(Trouble::NoSuchPath, "the API has no such path")
}

/// Before and after everything: counts, and puts into a problem what the framework refused by itself.
async fn watched(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let mut response = next.run(request).await;
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    if status.is_client_error() && kind.is_none_or(|kind| kind.as_bytes() != PROBLEM.as_bytes()) {
        let allow = response.headers_mut().remove(header::ALLOW);
        let trouble = match status {
            StatusCode::METHOD_NOT_ALLOWED => Trouble::Method,
            StatusCode::NOT_FOUND => Trouble::NoSuchPath,
            StatusCode::PAYLOAD_TOO_LARGE => Trouble::TooLarge,
            _ => Trouble::Malformed,
        };
        let mut problem = Problem::new(trouble, trouble.title());
        if let Some(allow) = allow {
            problem = problem.with_header(header::ALLOW, allow);
        }
        response = problem.into_response();
    }
    let head = response.headers_mut();
    head.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    api.counters.request(response.status(), began.elapsed());
    response
}
