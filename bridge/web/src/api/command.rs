//! Commands: an intent of the token's, which the policy decides like any other.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use primrack_engine::journal::Story;
use primrack_model::{
    Action, Edge, Intent, IntentId, ObjectId, OriginKey, Outcome, Receipt, TargetId, UnixMs, Verdict, Via,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use smol_str::{SmolStr, format_smolstr};

use super::admit::Caller;
use super::input::{Named, Sent, key};
use super::output::tagged;
use super::problem::{Problem, Trouble};
use super::routes::Api;
use super::schema;
use super::view::ReceiptView;

/// What is to be done.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deed {
    /// The action.
    #[schemars(schema_with = "schema::action")]
    action: Action,
}

/// What stands in the journal instead of the key itself, which may be long: 128 bits of its digest.
fn event(key: &str) -> SmolStr {
    SmolStr::new(hex::encode(&Sha256::digest(key)[..16]))
}

/// The path under which the outcome can be asked for.
fn place(intent: IntentId) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("/api/v1/commands/{intent}")).ok()
}

/// Does something to a target or a group.
///
/// The receipt comes at once: accepted, or a problem that says why not and carries the receipt too. What became of
/// it is asked for with its intent, or told by the stream. The `Idempotency-Key` belongs to the token and is kept
/// with the journal for a week: the same key with the same command is answered with the same receipt, also over a
/// crash, and done once.
pub(crate) async fn send(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(name): Named<String>,
    headers: HeaderMap,
    Sent(Deed { action }): Sent<Deed>,
) -> Result<Response, Problem> {
    let key = key(&headers)?;
    let target = TargetId::new(&name).map_err(|error| {
        Problem::new(Trouble::NotFound, error.to_string())
            .with_remedy("list the targets with GET /api/v1/targets")
    })?;
    let origin = OriginKey { source: format_smolstr!("api/{}", caller.name), event: event(key) };
    let intent = Intent {
        id: IntentId::now(),
        actor: caller.actor(),
        action,
        target: target.clone(),
        via: Via { edge: Edge::Web, object: ObjectId::new(&caller.name).ok(), unit: None },
        origin: Some(origin),
        at: UnixMs::now(),
    };
    let ours = intent.id;
    let receipt = api.engine.submit(intent).await;
    if receipt.target != target || receipt.action != action {
        let words = format!("it was used to {} {}", receipt.action, receipt.target);
        return Err(Problem::new(Trouble::KeyReused, words));
    }
    let again = receipt.intent != ours;
    api.counters.answered(&receipt);
    let mut response = match &receipt.verdict {
        Verdict::Refused(refusal) => Problem::refused(refusal.code, &receipt).into_response(),
        Verdict::Accepted | Verdict::Joined { .. } => {
            let head = [(header::CACHE_CONTROL, "no-store")];
            (StatusCode::ACCEPTED, head, Json(ReceiptView::of(&receipt))).into_response()
        }
    };
    let head = response.headers_mut();
    head.extend(place(receipt.intent).map(|place| (header::LOCATION, place)));
    if again {
        head.insert(HeaderName::from_static("idempotency-replayed"), HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Stands {
    /// It was not done.
    Refused,
    /// Another intent does the same: ask for that one.
    Joined,
    /// It is under way.
    UnderWay,
    /// The machine reported the state that was asked for.
    Done,
    /// It was tried and did not work.
    Failed,
    /// Nobody can say; the machine is observed again.
    Unknown,
}

/// A command and what became of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CommandView {
    /// What was answered.
    receipt: ReceiptView,
    /// Who asked, as `kind:id`.
    by: String,
    /// The group's command that it is a step of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::intent")]
    part_of: Option<IntentId>,
    /// What became of it.
    status: Stands,
    /// Why it failed or is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>")]
    ended: Option<UnixMs>,
}

impl CommandView {
    fn of(story: Story) -> Self {
        let Story { decision, ended } = story;
        let receipt: &Receipt = &decision.receipt;
        let (status, why) = match (&receipt.verdict, &ended) {
            (Verdict::Refused(_), _) => (Stands::Refused, None),
            (Verdict::Joined { .. }, _) => (Stands::Joined, None),
            (Verdict::Accepted, None) => (Stands::UnderWay, None),
            (Verdict::Accepted, Some((Outcome::Done, _))) => (Stands::Done, None),
            (Verdict::Accepted, Some((Outcome::Failed(why), _))) => (Stands::Failed, Some(why.clone())),
            (Verdict::Accepted, Some((Outcome::Unknown(why), _))) => (Stands::Unknown, Some(why.clone())),
        };
        Self {
            by: decision.intent.actor.to_string(),
            part_of: decision.part_of,
            status,
            why,
            ended: ended.map(|(_, at)| at),
            receipt: ReceiptView::of(receipt),
        }
    }
}

/// A command and what became of it, whoever gave it.
pub(crate) async fn command(
    State(api): State<Arc<Api>>,
    Named(name): Named<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let none = || {
        let problem = Problem::new(Trouble::NotFound, "the journal knows no command of that intent");
        problem.with_remedy("use the intent of a receipt, or look into GET /api/v1/journal")
    };
    let intent: IntentId = name.parse().map_err(|_| none())?;
    match api.engine.journal().story(intent).await {
        Ok(Some(story)) => Ok(tagged(&headers, &CommandView::of(story))),
        Ok(None) => Err(none()),
        Err(error) => Err(Problem::new(Trouble::Unavailable, error.to_string())),
    }
}
