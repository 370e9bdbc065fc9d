//! The control socket: what the command line asks of a running bridge. Whoever may open the socket is the
//! local operator; policy still decides what that one may do.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::StreamExt as _;
use primrack_engine::{Console, Engine, ReadOnly};
use primrack_model::{
    Action, Actor, ActorKind, Edge, Intent, IntentId, ObjectId, Receipt, StateEvent, TargetId, TargetIx,
    TargetKind, TargetState, UnixMs, Via,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

use crate::Edges;

/// What to touch: a unit of an object, or a target by its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Where {
    /// As an avatar would.
    Unit {
        /// The object.
        object: ObjectId,
        /// Its unit.
        unit: u8,
    },
    /// By name.
    Target(TargetId),
}

/// A touch from the command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touch {
    /// What to touch.
    pub at: Where,
    /// What to do; without it, what could be done is answered.
    pub action: Option<Action>,
    /// The operator's name, for the journal.
    pub operator: String,
}

/// What could be done to a target now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choices {
    /// The target.
    pub target: TargetId,
    /// What it shows.
    pub state: TargetState,
    /// What this operator may do.
    pub actions: Vec<Action>,
    /// Why there is nothing.
    pub why: Option<String>,
}

/// One line of the watch: everything first, then every change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Whose.
    pub target: TargetId,
    /// Its public label.
    pub label: String,
    /// What kind of thing it is, for the words.
    #[serde(default)]
    pub kind: TargetKind,
    /// Whether what it shows is simulated.
    pub simulated: bool,
    /// Of a group: its members.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<TargetId>,
    /// What it shows.
    pub state: TargetState,
}

/// Begins or ends the emergency stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Whether it is to hold.
    pub on: bool,
    /// Why, in a few words.
    #[serde(default)]
    pub why: String,
    /// The operator's name, for the journal.
    pub operator: String,
}

/// How the emergency stop stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// By whom and since when, while it holds.
    pub read_only: Option<ReadOnly>,
    /// Whether the request changed that.
    pub changed: bool,
}

/// What the routes need.
#[derive(Clone)]
pub struct ControlState {
    /// The engine.
    pub engine: Arc<Engine>,
    /// The other edges.
    pub edges: Arc<dyn Edges>,
}

impl std::fmt::Debug for ControlState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControlState").finish_non_exhaustive()
    }
}

/// `GET /console/TARGET` (text or a picture), and, all JSON: `GET /watch`, `/states`, `/objects`, `/backends`, `/journal`, `/read-only`, and `POST /touch`,
/// `/read-only`, all JSON.
pub fn control_routes(state: ControlState) -> Router {
    Router::new()
        .route("/watch", get(watch))
        .route("/states", get(states))
        .route("/objects", get(|State(s): State<ControlState>| async move { Json(s.edges.objects()) }))
        .route("/backends", get(backends))
        .route("/journal", get(journal))
        .route("/read-only", get(stopped).post(stop))
        .route("/touch", post(touch))
        .route("/console/{target}", get(console))
        .with_state(state)
}

fn all(engine: &Engine) -> Vec<Change> {
    engine.inventory().live_targets().map(|(ix, _)| change(engine, ix)).collect()
}

fn change(engine: &Engine, ix: TargetIx) -> Change {
    let inventory = engine.inventory();
    let target = inventory.target(ix);
    let members = inventory.group(ix).map(|group| group.members.as_slice()).unwrap_or_default();
    Change {
        target: target.id.clone(),
        label: target.label.to_string(),
        kind: target.kind,
        simulated: engine.capabilities(ix).simulated,
        members: members.iter().map(|member| inventory.target(member.target).id.clone()).collect(),
        state: engine.state(ix),
    }
}

async fn states(State(state): State<ControlState>) -> Json<Vec<Change>> {
    Json(all(&state.engine))
}

async fn backends(State(state): State<ControlState>) -> Response {
    let list: Vec<_> = state
        .engine
        .backends()
        .into_iter()
        .map(|(id, technology, status)| json!({ "backend": id, "technology": technology, "status": status }))
        .collect();
    Json(list).into_response()
}

/// The end of the journal's chain, and why it cannot be written, if it cannot.
async fn journal(State(state): State<ControlState>) -> Json<serde_json::Value> {
    let journal = state.engine.journal();
    Json(json!({ "head": journal.head(), "failing": journal.stats().failing.as_deref() }))
}

/// One JSON object a line: all states, then each change. Who falls behind gets all states again.
async fn watch(State(state): State<ControlState>) -> Response {
    let mut changes = state.engine.subscribe();
    let mut replaced = state.engine.watch_replaced();
    let engine = Arc::clone(&state.engine);
    let (tx, rx) = tokio::sync::mpsc::channel::<Bytes>(64);
    tokio::spawn(async move {
        let mut batch = all(&engine);
        loop {
            for change in batch.drain(..) {
                let mut line = serde_json::to_vec(&change).unwrap_or_default();
                line.push(b'\n');
                if tx.send(Bytes::from(line)).await.is_err() {
                    return;
                }
            }
            let next = tokio::select! {
                next = changes.recv() => next,
                Ok(()) = replaced.changed() => {
                    batch = all(&engine);
                    continue;
                }
                () = tx.closed() => return,
                // Its last word is the end of the stream.
                () = engine.stopped() => return,
            };
            match next {
                Ok(StateEvent { target, state }) => {
                    if let Some(ix) = engine.inventory().find_target(target.as_str()) {
                        batch.push(Change { state, ..change(&engine, ix) });
                    }
                }
                Err(RecvError::Lagged(_)) => batch = all(&engine),
                Err(RecvError::Closed) => return,
            }
        }
    });
    let lines = futures::stream::unfold(rx, |mut rx| async { rx.recv().await.map(|line| (line, rx)) });
    let body = Body::from_stream(lines.map(Ok::<_, Infallible>));
    ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

async fn stopped(State(state): State<ControlState>) -> Json<Stopped> {
    Json(Stopped { read_only: state.engine.read_only(), changed: false })
}

async fn stop(State(state): State<ControlState>, Json(asked): Json<Stop>) -> Response {
    let Stop { on, why, operator } = asked;
    let cut =
        |text: &str, most: usize| text.chars().filter(|c| !c.is_control()).take(most).collect::<String>();
    let by = format!("operator {}", cut(&operator, 64));
    let changed = if on {
        state.engine.stop_acting(&by, &cut(&why, 120)).await
    } else {
        state.engine.act_again(&by).await
    };
    match changed {
        Ok(changed) => Json(Stopped { read_only: state.engine.read_only(), changed }).into_response(),
        Err(error) => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "error": error.to_string() }))).into_response()
        }
    }
}

/// What a machine shows: `text/plain`, without what a terminal would obey, or `image/png`.
async fn console(State(state): State<ControlState>, Path(target): Path<String>) -> Response {
    let Some(ix) = state.engine.inventory().find_target(&target) else {
        let why = json!({ "error": "there is no target of that name" });
        return (StatusCode::NOT_FOUND, Json(why)).into_response();
    };
    match state.engine.console(ix).await {
        Ok(Console::Text(text)) => {
            ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], readable(&text)).into_response()
        }
        Ok(Console::Png(png)) => ([(header::CONTENT_TYPE, "image/png")], png).into_response(),
        Err(why) => (StatusCode::BAD_GATEWAY, Json(json!({ "error": why.to_string() }))).into_response(),
    }
}

/// A machine's text without escape sequences (ECMA-48, sections 5.3 to 5.6) and control characters, so that
/// no terminal obeys it. Lines and tabs stay.
fn readable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => match rest.next() {
                // A control sequence ends with a letter or the like.
                Some('[') => while rest.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
                // A control string ends with BEL or ESC \.
                Some(']' | 'P' | 'X' | '^' | '_') => {
                    while let Some(c) = rest.next() {
                        if c == '\u{7}' || (c == '\u{1b}' && rest.next_if_eq(&'\\').is_some()) {
                            break;
                        }
                    }
                }
                Some(' '..='/') => while rest.next().is_some_and(|c| !('0'..='~').contains(&c)) {},
                Some(_) | None => {}
            },
            '\n' | '\t' => out.push(c),
            // Letters that turn the direction of others.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

async fn touch(State(state): State<ControlState>, Json(asked): Json<Touch>) -> Response {
    let Touch { at, action, operator } = asked;
    let inventory = state.engine.inventory();
    let (ix, object, unit) = match &at {
        Where::Target(target) => (inventory.find_target(target.as_str()), None, None),
        Where::Unit { object, unit } => {
            let found = inventory.object(object.as_str()).and_then(|entry| entry.target(*unit));
            (found, Some(object.clone()), Some(*unit))
        }
    };
    let Some(ix) = ix else {
        let why = match &at {
            Where::Target(target) if inventory.gone_since(target.as_str()).is_some() => {
                format!("{target} is not in the configuration any more")
            }
            Where::Target(target) => format!("there is no target called {target}"),
            Where::Unit { object, unit } if inventory.object(object.as_str()).is_none() => {
                format!("there is no object called {object} (asked for its unit {unit})")
            }
            Where::Unit { object, unit } => format!("unit {unit} of {object} shows nothing"),
        };
        return (StatusCode::NOT_FOUND, Json(json!({ "error": why }))).into_response();
    };
    let actor = Actor::new(ActorKind::Operator, "local", &operator);
    let via = Via { edge: Edge::Cli, object, unit };
    let target = inventory.target(ix).id.clone();
    let Some(action) = action else {
        let (actions, why) = match state.engine.choices(&actor, ix, &via) {
            Ok(actions) => (actions, None),
            Err(refusal) => (Vec::new(), Some(refusal.words)),
        };
        return Json(Choices { target, state: state.engine.state(ix), actions, why }).into_response();
    };
    let intent = Intent { id: IntentId::now(), actor, action, target, via, origin: None, at: UnixMs::now() };
    let receipt: Receipt = state.engine.submit(intent).await;
    Json(receipt).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_is_shown_without_what_a_terminal_would_obey() {
        let text = "\u{1b}[2J\u{1b}[1;31mlogin:\u{1b}[0m ada\r\n\u{1b}]0;owned\u{7}ok\u{1b}]8;;http://x\u{1b}\\!\t\u{1b}(B\u{9b}x\u{202e}\u{8}";
        assert_eq!(readable(text), "login: ada\nok!\tx");
        assert_eq!(readable("half \u{1b}["), "half ");
    }

    #[test]
    fn a_touch_reads_as_the_command_line_writes_it() {
        let touch = Touch {
            at: Where::Unit { object: ObjectId::new("rack-1").unwrap(), unit: 3 },
            action: Some(Action::Start),
            operator: "ada".to_owned(),
        };
        let json = serde_json::to_string(&touch).unwrap();
        assert_eq!(json, r#"{"at":{"unit":{"object":"rack-1","unit":3}},"action":"start","operator":"ada"}"#);
        assert_eq!(serde_json::from_str::<Touch>(&json).unwrap(), touch);
    }
}
