//! What there is: targets, groups, objects, boards, and how the bridge is.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use primrack_model::{BackendId, GroupId, Power, TargetIx, TargetKind, UnixMs};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::input::{Asked, Named};
use super::output::tagged;
use super::problem::{Problem, Trouble};
use super::routes::Api;
use super::schema;
use super::view::{GroupView, TargetView};

/// Entries of a page where the asker names no number.
const PAGE: usize = 100;
/// Most entries of a page.
const PAGE_MOST: usize = 500;

/// Which targets, and from where on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TargetsAsked {
    /// The `next` of the page before.
    #[schemars(schema_with = "schema::cursor")]
    after: Option<String>,
    /// How many, 1 to 500; 100 if absent.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<usize>,
    /// Only of this kind.
    #[schemars(schema_with = "schema::kind")]
    kind: Option<TargetKind>,
    /// Only those that show this.
    #[schemars(schema_with = "schema::power")]
    power: Option<Power>,
    /// Only of this backend.
    #[schemars(schema_with = "schema::id")]
    backend: Option<BackendId>,
    /// Only of this target group of the policy.
    #[schemars(schema_with = "schema::id")]
    group: Option<GroupId>,
    /// Only those whose state is old, or only those whose is not.
    stale: Option<bool>,
}

/// A page of targets, in the order of their places.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TargetPage {
    targets: Vec<TargetView>,
    /// Where to go on: `after` of the next page. Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::cursor")]
    next: Option<String>,
}

/// The place to go on from. A place stays what it is over reloads, so a page is never shown twice.
fn place(cursor: Option<&str>) -> Result<u32, Problem> {
    let Some(text) = cursor else { return Ok(0) };
    let number = text.strip_prefix('p').filter(|digits| digits.len() <= 9);
    let number = number.filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    number.and_then(|digits| digits.parse().ok()).ok_or_else(|| {
        Problem::new(Trouble::Invalid, "the query: after is no cursor of this list")
            .with_remedy("send the `next` of the page before, or nothing")
    })
}

fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    match asked {
        None => Ok(PAGE),
        Some(some) if (1..=PAGE_MOST).contains(&some) => Ok(some),
        Some(other) => {
            let words = format!("the query: limit is {other}, not 1 to {PAGE_MOST}");
            Err(Problem::new(Trouble::Invalid, words).with_remedy("send a limit from 1 to 500, or none"))
        }
    }
}

/// All targets, a page at a time.
pub(crate) async fn targets(
    State(api): State<Arc<Api>>,
    Asked(asked): Asked<TargetsAsked>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let TargetsAsked { after, limit: most, kind, power, backend, group, stale } = asked;
    let (from, most) = (place(after.as_deref())?, limit(most)?);
    let inventory = api.engine.inventory();
    let mut page = TargetPage { targets: Vec::new(), next: None };
    let all = inventory.targets().len();
    for (at, entry) in (from..).zip(inventory.targets().iter().skip(from as usize)) {
        let ix = TargetIx(at);
        let fits = !inventory.is_retired(ix)
            && kind.is_none_or(|kind| kind == entry.kind)
            && backend.as_ref().is_none_or(|backend| *backend == entry.backend)
            && group.as_ref().is_none_or(|group| entry.groups.contains(group));
        if !fits {
            continue;
        }
        let state = api.engine.state(ix);
        if power.is_some_and(|power| power != state.power) || stale.is_some_and(|stale| stale != state.stale)
        {
            continue;
        }
        page.targets.push(TargetView::showing(&api.engine, &inventory, ix, &state));
        if page.targets.len() == most {
            page.next = ((at as usize) + 1 < all).then(|| format!("p{}", at + 1));
            break;
        }
    }
    Ok(tagged(&headers, &page))
}

fn no_target(api: &Api, name: &str) -> Problem {
    let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
    let words = match api.engine.inventory().gone_since(name) {
        Some(_) => format!("{shown} is not in the configuration any more"),
        None => format!("there is no target called {shown:?}"),
    };
    Problem::new(Trouble::NotFound, words).with_remedy("list the targets with GET /api/v1/targets")
}

/// One target: state, age, cause, capabilities.
pub(crate) async fn target(
    State(api): State<Arc<Api>>,
    Named(name): Named<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let inventory = api.engine.inventory();
    let ix = inventory.find_target(&name).ok_or_else(|| no_target(&api, &name))?;
    Ok(tagged(&headers, &TargetView::of(&api.engine, &inventory, ix)))
}

/// Groups of targets.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct GroupList {
    groups: Vec<GroupView>,
}

/// All groups of targets with their members. There are never so many that they need pages.
pub(crate) async fn groups(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    let inventory = api.engine.inventory();
    let live = inventory.groups().filter(|(ix, _)| !inventory.is_retired(*ix));
    let groups = live.filter_map(|(ix, _)| GroupView::of(&api.engine, &inventory, ix)).collect();
    tagged(&headers, &GroupList { groups })
}

/// One group with its members.
pub(crate) async fn group(
    State(api): State<Arc<Api>>,
    Named(name): Named<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let inventory = api.engine.inventory();
    let ix = inventory.find_target(&name).ok_or_else(|| no_target(&api, &name))?;
    let group = GroupView::of(&api.engine, &inventory, ix).ok_or_else(|| {
        let words = format!("{name} is a target, and no group");
        Problem::new(Trouble::NotFound, words).with_remedy("list the groups with GET /api/v1/groups")
    })?;
    Ok(tagged(&headers, &group))
}

/// What a unit of an object shows.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct UnitView {
    /// The unit's number.
    unit: u8,
    /// The target that it shows.
    #[schemars(schema_with = "schema::id")]
    target: String,
}

/// An object in a region.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ObjectView {
    /// Its id.
    #[schemars(schema_with = "schema::id")]
    object: String,
    /// What people call it.
    label: String,
    /// Whether it has a key.
    enrolled: bool,
    /// Where it stands, if it registered.
    region: Option<String>,
    /// What it runs on.
    grid: Option<String>,
    /// Its script.
    script: Option<String>,
    /// When it was last heard.
    #[schemars(with = "Option<i64>")]
    heard: Option<UnixMs>,
    /// Since when pushes to it do not arrive.
    #[schemars(with = "Option<i64>")]
    silent: Option<UnixMs>,
    /// A second prim wants its id: which.
    rival: Option<String>,
    /// How many of its units wait to be shown.
    waiting: u64,
    /// Which unit shows which target.
    #[serde(default)]
    units: Vec<UnitView>,
}

/// Objects.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ObjectList {
    objects: Vec<ObjectView>,
}

/// What another room tells as JSON, as the API shows it.
fn as_view<T: DeserializeOwned>(told: Vec<Value>) -> Result<Vec<T>, Problem> {
    told.into_iter().map(serde_json::from_value).collect::<Result<_, _>>().map_err(|error| {
        tracing::error!(%error, "what one room tells another does not understand");
        Problem::new(Trouble::Unavailable, "the bridge does not understand its own list")
    })
}

fn all_objects(api: &Api) -> Result<Vec<ObjectView>, Problem> {
    let inventory = api.engine.inventory();
    let mut objects: Vec<ObjectView> = as_view(api.host.objects())?;
    for view in &mut objects {
        let units = inventory.object(&view.object).map(|entry| entry.units.as_slice()).unwrap_or_default();
        let unit = |(unit, ix): &(u8, TargetIx)| UnitView {
            unit: *unit,
            target: inventory.target(*ix).id.to_string(),
        };
        view.units = units.iter().map(unit).collect();
    }
    Ok(objects)
}

/// All objects in regions, and how they stand.
pub(crate) async fn objects(State(api): State<Arc<Api>>, headers: HeaderMap) -> Result<Response, Problem> {
    Ok(tagged(&headers, &ObjectList { objects: all_objects(&api)? }))
}

/// One object.
pub(crate) async fn object(
    State(api): State<Arc<Api>>,
    Named(name): Named<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    match all_objects(&api)?.into_iter().find(|view| view.object == name) {
        Some(view) => Ok(tagged(&headers, &view)),
        None => {
            let problem = Problem::new(Trouble::NotFound, "there is no object of that name");
            Err(problem.with_remedy("list the objects with GET /api/v1/objects"))
        }
    }
}

/// A microcontroller with readers and outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct BoardView {
    /// Its backend in the configuration.
    #[schemars(schema_with = "schema::id")]
    board: String,
    /// Its port.
    port: String,
    /// Whether it does what it is told.
    up: bool,
    /// Since when.
    #[schemars(with = "i64")]
    since: UnixMs,
    /// The same in words: which board it is, or why there is none.
    words: String,
    /// Whether it is played in software.
    simulated: bool,
    /// Its firmware and version, where it has said.
    firmware: Option<String>,
    /// What it has, as in `r1b1a1o4`.
    parts: Option<String>,
}

/// Boards.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct BoardList {
    boards: Vec<BoardView>,
}

/// All boards, and how they stand.
pub(crate) async fn boards(State(api): State<Arc<Api>>, headers: HeaderMap) -> Result<Response, Problem> {
    Ok(tagged(&headers, &BoardList { boards: as_view(api.host.boards())? }))
}

/// One board.
pub(crate) async fn board(
    State(api): State<Arc<Api>>,
    Named(name): Named<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let boards: Vec<BoardView> = as_view(api.host.boards())?;
    match boards.into_iter().find(|view| view.board == name) {
        Some(view) => Ok(tagged(&headers, &view)),
        None => {
            let problem = Problem::new(Trouble::NotFound, "there is no board of that name");
            Err(problem.with_remedy("list the boards with GET /api/v1/boards"))
        }
    }
}

/// How a backend is.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct BackendHealth {
    #[schemars(schema_with = "schema::id")]
    backend: String,
    technology: String,
    /// Whether the last listing worked and its events come.
    connected: bool,
    /// Why not.
    why: String,
    /// How many machines are watched.
    watched: u64,
    /// How many of them did not answer the last look.
    silent: u64,
}

/// How the bridge is.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Health {
    /// Whether commands can be recorded, and so be done.
    well: bool,
    /// Why the journal cannot be written, if it cannot.
    journal: Option<String>,
    /// The number of the newest entry of the journal that is on the disk.
    entries: u64,
    /// Whether the emergency stop holds.
    read_only: bool,
    /// How many targets there are.
    targets: u64,
    /// The program's version.
    version: &'static str,
    /// Each backend.
    backends: Vec<BackendHealth>,
}

/// How the bridge and its backends are.
pub(crate) async fn health(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    let stats = api.engine.journal().stats();
    let size = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let backends = api.engine.backends().into_iter().map(|(id, technology, status)| BackendHealth {
        backend: id.to_string(),
        technology: technology.to_owned(),
        connected: status.connected,
        why: status.why,
        watched: size(status.watched),
        silent: size(status.silent),
    });
    let health = Health {
        well: stats.failing.is_none(),
        journal: stats.failing.as_deref().map(str::to_owned),
        entries: api.engine.journal().head().seq,
        read_only: api.engine.read_only().is_some(),
        targets: size(api.engine.inventory().target_count()),
        version: env!("CARGO_PKG_VERSION"),
        backends: backends.collect(),
    };
    tagged(&headers, &health)
}
