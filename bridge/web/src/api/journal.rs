//! The journal, a page at a time.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use primrack_engine::journal::{EntryFilter, Kind, Record};
use primrack_model::{IntentId, TargetId, UnixMs};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::input::Asked;
use super::output::tagged;
use super::problem::{Problem, Trouble};
use super::routes::Api;
use super::schema;

/// Entries of a page where the asker names no number.
const PAGE: usize = 100;
/// Most entries of a page.
const PAGE_MOST: usize = 500;
/// The highest number of an entry: what a signed number of 64 bits holds.
const LAST: u64 = i64::MAX as u64;

/// Which entries, and from where on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EntriesAsked {
    /// The `next` of the page before; entries are numbered from 1.
    #[schemars(range(min = 0, max = 9_223_372_036_854_775_807_i64))]
    after: Option<u64>,
    /// How many, 1 to 500; 100 if absent.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<usize>,
    /// Only of this kind.
    #[schemars(schema_with = "schema::entry")]
    kind: Option<String>,
    /// Only about this target.
    #[schemars(schema_with = "schema::id")]
    target: Option<TargetId>,
    /// Only about this intent, the steps of a group's included.
    #[schemars(schema_with = "schema::intent")]
    intent: Option<String>,
    /// Only at or after this time.
    #[schemars(range(min = 0, max = 9_223_372_036_854_775_807_i64))]
    since: Option<u64>,
    /// Only before this time.
    #[schemars(range(min = 0, max = 9_223_372_036_854_775_807_i64))]
    before: Option<u64>,
}

/// An entry as it is stored.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EntryView {
    /// Its number.
    seq: u64,
    /// Its time.
    #[schemars(with = "i64")]
    at: UnixMs,
    /// Its hash in hex, which covers every entry before it.
    hash: String,
    /// The entry; `kind` says what else is in it.
    #[schemars(with = "EntryBody")]
    entry: Value,
}

/// What every entry has.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EntryBody {
    /// Which kind it is.
    #[schemars(schema_with = "schema::entry")]
    kind: String,
}

/// A page of entries, oldest first. It may be empty and still have a next.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EntryPage {
    entries: Vec<EntryView>,
    /// Where to go on: `after` of the next page. Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

fn unfit(words: &str) -> Problem {
    Problem::new(Trouble::Invalid, format!("the query: {words}"))
}

/// The journal: every intent with who asked, what was answered by which rule and how it ended.
pub(crate) async fn journal(
    State(api): State<Arc<Api>>,
    Asked(asked): Asked<EntriesAsked>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let EntriesAsked { after, limit, kind, target, intent, since, before } = asked;
    let most = limit.unwrap_or(PAGE);
    if !(1..=PAGE_MOST).contains(&most) {
        return Err(unfit(&format!("limit is {most}, not 1 to {PAGE_MOST}")));
    }
    let after = after.unwrap_or(0);
    if after > LAST {
        return Err(unfit(&format!("after is {after}, more than any entry's number")));
    }
    let time = |name: &str, at: Option<u64>| {
        let read = |at| i64::try_from(at).map_err(|_| unfit(&format!("{name} is {at}, which is no time")));
        at.map(read).transpose().map(|at| at.map(UnixMs))
    };
    let kinds = kind.map(|token| {
        let shown: String = token.chars().take(40).collect();
        Kind::from_token(&token).ok_or_else(|| unfit(&format!("there is no kind {shown:?}")))
    });
    let intent = intent.map(|text| {
        text.parse::<IntentId>().map_err(|error| unfit(&format!("intent is no intent's id: {error}")))
    });
    let filter = EntryFilter {
        after,
        upto: None,
        since: time("since", since)?,
        before: time("before", before)?,
        kinds: kinds.transpose()?.into_iter().collect(),
        target: target.map(|target| target.to_string()),
        intent: intent.transpose()?,
    };
    let page = api.engine.journal().page(filter).await;
    let page = page.map_err(|error| Problem::new(Trouble::Unavailable, error.to_string()))?;
    let more = page.records.len() > most;
    let mut entries = Vec::with_capacity(page.records.len().min(most));
    for Record { seq, at, hash, entry } in page.records.into_iter().take(most) {
        let entry = serde_json::to_value(entry)
            .map_err(|error| Problem::new(Trouble::Unavailable, error.to_string()))?;
        entries.push(EntryView { seq, at, hash, entry });
    }
    let next = if more { entries.last().map(|last| last.seq) } else { page.next };
    Ok(tagged(&headers, &EntryPage { entries, next }))
}
