//! The routes and what is before all of them.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post, put};
use futures::future::BoxFuture;
use parking_lot::RwLock;
use primrack_engine::Engine;
use prometheus_client::registry::Registry;
use serde_json::Value;

use super::admit::{Tokens, TokensChanged};
use super::config::{ApiPlan, Scope};
use super::counters::Counters;
use super::document::{Table, Words};
use super::problem::{PROBLEM, Problem, Trouble};
use super::view::{GroupView, ReceiptView, TargetView};
use super::{command, journal, list, reference, stop};
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

    /// Other tokens from now on.
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

pub(crate) fn table(api: &Arc<Api>) -> Table {
    let mut table = Table::new(api);
    table
        .add(
            ("get", "/api/v1/targets", Scope::Read),
            get(list::targets),
            Words {
                id: "listTargets",
                tag: "targets",
                summary: "All targets, a page at a time",
                answer: "A page of targets",
            },
        )
        .asks::<list::TargetsAsked>()
        .gives::<list::TargetPage>();
    table
        .add(
            ("get", "/api/v1/targets/{target}", Scope::Read),
            get(list::target),
            Words {
                id: "getTarget",
                tag: "targets",
                summary: "One target: state, age, cause, capabilities",
                answer: "The target",
            },
        )
        .gives::<TargetView>();
    table
        .add(
            ("get", "/api/v1/groups", Scope::Read),
            get(list::groups),
            Words {
                id: "listGroups",
                tag: "targets",
                summary: "All groups of targets with their members",
                answer: "All groups",
            },
        )
        .gives::<list::GroupList>();
    table
        .add(
            ("get", "/api/v1/groups/{target}", Scope::Read),
            get(list::group),
            Words {
                id: "getGroup",
                tag: "targets",
                summary: "One group with its members",
                answer: "The group",
            },
        )
        .gives::<GroupView>();
    table
        .add(
            ("get", "/api/v1/objects", Scope::Read),
            get(list::objects),
            Words {
                id: "listObjects",
                tag: "world",
                summary: "All objects in regions, and how they stand",
                answer: "All objects",
            },
        )
        .gives::<list::ObjectList>();
    table
        .add(
            ("get", "/api/v1/objects/{object}", Scope::Read),
            get(list::object),
            Words { id: "getObject", tag: "world", summary: "One object", answer: "The object" },
        )
        .gives::<list::ObjectView>();
    table
        .add(
            ("get", "/api/v1/boards", Scope::Read),
            get(list::boards),
            Words {
                id: "listBoards",
                tag: "boards",
                summary: "All boards, and how they stand",
                answer: "All boards",
            },
        )
        .gives::<list::BoardList>();
    table
        .add(
            ("get", "/api/v1/boards/{board}", Scope::Read),
            get(list::board),
            Words { id: "getBoard", tag: "boards", summary: "One board", answer: "The board" },
        )
        .gives::<list::BoardView>();
    table
        .add(
            ("get", "/api/v1/health", Scope::Read),
            get(list::health),
            Words {
                id: "getHealth",
                tag: "bridge",
                summary: "How the bridge and its backends are",
                answer: "How it is",
            },
        )
        .gives::<list::Health>();
    table
        .add(
            ("get", "/api/v1/commands/{intent}", Scope::Read),
            get(command::command),
            Words {
                id: "getCommand",
                tag: "commands",
                summary: "A command and what became of it, whoever gave it",
                answer: "The command",
            },
        )
        .gives::<command::CommandView>();
    table
        .add(
            ("post", "/api/v1/targets/{target}/commands", Scope::Act),
            post(command::send),
            Words {
                id: "sendCommand",
                tag: "commands",
                summary: "Does something to a target or a group. The receipt comes at once; the same Idempotency-Key and command get the same receipt for a week and are done once",
                answer: "Accepted, or the same was under way already",
            },
        )
        .takes::<command::Deed>().keyed().status("202").gives::<ReceiptView>().tells(&[("Location", "Where the outcome is"), ("Idempotency-Replayed", "`true` where the command had been sent before")]);
    table
        .add(
            ("get", "/api/v1/journal", Scope::Admin),
            get(journal::journal),
            Words {
                id: "readJournal",
                tag: "journal",
                summary: "Every intent with who asked, what was answered by which rule and how it ended",
                answer: "A page of entries, oldest first",
            },
        )
        .asks::<journal::EntriesAsked>()
        .gives::<journal::EntryPage>();
    table
        .add(
            ("get", "/api/v1/emergency-stop", Scope::Read),
            get(stop::stopped),
            Words {
                id: "getEmergencyStop",
                tag: "bridge",
                summary: "Whether the emergency stop holds: then every command is refused",
                answer: "How it stands",
            },
        )
        .gives::<stop::StopView>();
    table
        .add(
            ("put", "/api/v1/emergency-stop", Scope::Admin),
            put(stop::stop),
            Words {
                id: "setEmergencyStop",
                tag: "bridge",
                summary: "Begins or ends the emergency stop",
                answer: "How it stands now",
            },
        )
        .takes::<stop::StopAsked>()
        .gives::<stop::StopView>();
    table
        .add(
            ("post", "/api/v1/reload", Scope::Admin),
            post(stop::reload),
            Words {
                id: "reload",
                tag: "bridge",
                summary: "Reads configuration and policies again: all is put in force, or nothing",
                answer: "What changed",
            },
        )
        .takes::<stop::ReloadAsked>()
        .gives::<stop::ReloadView>();
    table
}

/// The OpenAPI document, as it is served at `/api/v1/openapi.json`. It does not depend on what is configured.
#[must_use]
pub fn document(api: &Arc<Api>) -> Value {
    table(api).document()
}

/// Everything below `/api`.
pub fn api_routes(api: &Arc<Api>) -> Router {
    table(api)
        .into_router()
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
