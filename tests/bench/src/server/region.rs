//! The simulated region, alone in its process: so that its memory is its own and a touch goes through nothing of the
//! load's. Beside it, the reference for calls: the same posts by bare hyper, a connection each as a script's call has.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::body::Bytes;
use axum::http::Request;
use futures::StreamExt as _;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use primrack_lsl::host::{Host, HostReturn};
use primrack_lsl::library::LinksetData;
use primrack_lsl::tables::Function;
use primrack_lsl::vm::ScriptId;
use primrack_lsl::{Outcome, Profile, Program, RuntimeError, Script, Value};
use primrack_region::view::{RegionEvent, Way};
use primrack_region::{AvatarPlan, RackPlan, Region, RegionSettings, Room};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{Orders, ready};
use crate::report::say;
use crate::words::RegionSpec;

const TOUCHER: Uuid = Uuid::from_u128(0x0da0_4000_8000_0000_0000_0001);
/// Posts of the reference at once: what Second Life's region has at once is bounded by its throttles only.
const IN_FLIGHT: usize = 64;
/// Touches that are under way at once.
const TOUCHING: usize = 256;
/// Nothing here takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a script does with a touch: it draws, calls out, and says when the answer is there.
fn script(sink: u16) -> String {
    format!(
        r#"
integer gCount;
touched(integer link, key who, string name)
{{
    ++gCount;
    llSetLinkPrimitiveParamsFast(link, [PRIM_TEXT, "touched " + (string)gCount, <1.0, 1.0, 1.0>, 1.0,
        PRIM_COLOR, ALL_SIDES, <0.1, 0.8, 0.3>, 1.0]);
    llHTTPRequest("http://127.0.0.1:{sink}/touch", [HTTP_METHOD, "POST"],
        "{{\"unit\":" + (string)link + ",\"who\":\"" + (string)who + "\",\"name\":\"" + name + "\",\"count\":"
        + (string)gCount + "}}");
}}
default
{{
    touch_start(integer n)
    {{
        // Second Life joins touches that wait.
        while (n-- > 0) touched(llDetectedLinkNumber(n), llDetectedKey(n), llDetectedName(n));
    }}
    http_response(key id, integer status, list meta, string body)
    {{
        if (status == 200 && llJsonGetValue(body, ["verdict"]) == "accepted") llOwnerSay("accepted");
        else llOwnerSay("status " + (string)status);
    }}
}}"#
    )
}

fn room(spec: &RegionSpec) -> Room {
    let mut room = Room::default();
    room.scripts.insert("rack".to_owned(), script(spec.sink));
    room.avatar.push(AvatarPlan {
        name: "Ada".to_owned(),
        key: Some(TOUCHER),
        position: [128.0, 128.0, 21.0],
    });
    for rack in 0..spec.racks {
        room.rack.push(RackPlan {
            id: format!("rack-{rack}"),
            position: [f64::from(rack % 40) * 6.0, f64::from(rack / 40) * 8.0, 20.0],
            turned: 0.0,
            units: spec.units,
            script: "rack".to_owned(),
            notecards: std::collections::BTreeMap::new(),
            // An owner each: this measures the region, not the throttle of an owner.
            owner: Some(Uuid::from_u128(0x1000 + u128::from(rack))),
            key: None,
        });
    }
    room
}

pub(super) async fn run(spec: RegionSpec, mut orders: Orders) -> anyhow::Result<()> {
    let room = room(&spec);
    ready(0);
    let mut stage = None;
    let mut idle = Vec::new();
    while let Some(order) = orders.recv().await {
        let words: Vec<&str> = order.split_whitespace().collect();
        match words.as_slice() {
            ["quit"] => break,
            // Told when everything stands and every script is idle.
            ["build"] => {
                let begun = Instant::now();
                // The counter shares the core with the region: it must not miss events while it waits for its turn.
                let settings = RegionSettings {
                    profile: Profile::SecondLife,
                    event_buffer: 1 << 17,
                    ..RegionSettings::default()
                };
                let region = Region::start(settings, &room).await?;
                region.settle().await?;
                let took = begun.elapsed();
                let (snapshot, _) = region.snapshot().await?;
                let mut units = std::collections::BTreeMap::<_, Vec<_>>::new();
                for prim in snapshot.prims.iter().filter(|p| p.name.starts_with("unit ")) {
                    units.entry(prim.object).or_default().push(prim.id);
                }
                stage = Some((region, units.into_values().collect::<Vec<_>>()));
                say(&took.as_micros().to_string());
            }
            ["prims"] => {
                let (region, _) = stage.as_ref().context("build first")?;
                say(&region.snapshot().await?.0.prims.len().to_string());
            }
            ["footprint"] => {
                let (region, _) = stage.as_ref().context("build first")?;
                let scripts = region.scripts().await?;
                let all: usize = scripts.iter().map(|s| s.footprint).sum();
                say(&(all / scripts.len().max(1)).to_string());
            }
            ["touch", times] => {
                let (region, units) = stage.as_ref().context("build first")?;
                say(&touch(region, units, times.parse()?).await?.as_micros().to_string());
            }
            ["post", times] => say(&post(spec.sink, times.parse()?).await?.as_micros().to_string()),
            ["idle", copies] => {
                let wanted: usize = copies.parse()?;
                let program = match idle.first() {
                    Some(script) => Arc::clone(Script::program(script)),
                    None => rack_program()?,
                };
                while idle.len() < wanted {
                    idle.push(started(&program, idle.len() as u64)?);
                }
                let footprint: usize = idle.iter().map(Script::footprint).sum();
                say(&(footprint / idle.len().max(1)).to_string());
            }
            other => anyhow::bail!("nobody knows the order {other:?}"),
        }
    }
    if let Some((region, _)) = stage {
        region.stop().await;
    }
    Ok(())
}

/// Touches units, some hundred at a time, one rack after the other so that no script has many touches at once; over when
/// every script has heard its answer and said so.
async fn touch(
    region: &Region,
    racks: &[Vec<primrack_region::PrimId>],
    times: usize,
) -> anyhow::Result<Duration> {
    let mut events = region.subscribe();
    let places = Arc::new(Semaphore::new(TOUCHING));
    let free = Arc::clone(&places);
    let counting = tokio::spawn(async move {
        let (mut said, mut calls) = (0, 0);
        while said < times || calls < times {
            match events.recv().await {
                Ok(RegionEvent::Chat(chat)) if chat.text == "accepted" => {
                    said += 1;
                    free.add_permits(1);
                }
                Ok(RegionEvent::Chat(chat)) => anyhow::bail!("a script said {:?}", chat.text),
                Ok(RegionEvent::Hop(hop)) if hop.way == Way::Out && hop.status == 200 => calls += 1,
                Ok(RegionEvent::ScriptError { message, .. }) => anyhow::bail!("a script stopped: {message}"),
                Ok(_) => {}
                Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {
                    anyhow::bail!("the counter is slower than the region")
                }
                Err(gone) => return Err(gone.into()),
            }
        }
        Ok(())
    });
    let begun = Instant::now();
    let touching = async {
        for n in 0..times {
            let rack = &racks[n % racks.len()];
            let unit = rack[n / racks.len() % rack.len()];
            // The place is free again when the answer was heard.
            places.acquire().await?.forget();
            region.touch(TOUCHER, unit).await?.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, async {
        tokio::select! {
            counted = counting => counted?,
            ended = async { touching.await?; std::future::pending::<anyhow::Result<()>>().await } => ended,
        }
    })
    .await
    .context("not every touch was answered")??;
    Ok(begun.elapsed())
}

/// The same number of posts of that size without a region.
async fn post(sink: u16, times: usize) -> anyhow::Result<Duration> {
    let mut http = HttpConnector::new();
    http.set_nodelay(true);
    let client: Client<HttpConnector, Full<Bytes>> =
        Client::builder(hyper_util::rt::TokioExecutor::new()).pool_max_idle_per_host(0).build(http);
    let url = format!("http://127.0.0.1:{sink}/touch");
    let begun = Instant::now();
    let mut posts = futures::stream::iter(0..times)
        .map(|n| {
            let (client, url) = (&client, url.as_str());
            async move {
                let body = format!(r#"{{"unit":{},"who":"{TOUCHER}","name":"Ada","count":{n}}}"#, n % 40 + 2);
                let request = Request::post(url).body(Full::new(Bytes::from(body)))?;
                client.request(request).await?.into_body().collect().await?;
                anyhow::Ok(())
            }
        })
        .buffer_unordered(IN_FLIGHT);
    while let Some(done) = posts.next().await {
        done?;
    }
    Ok(begun.elapsed())
}

/// The shipped rack script.
fn rack_program() -> anyhow::Result<Arc<Program>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lsl-scripts");
    let read = |path: &str| std::fs::read_to_string(folder.join(path)).ok();
    let source = primrack_lsl::source::expand(&read, "objects/rack/rack.lsl", Profile::SecondLife)
        .map_err(|mistake| anyhow::anyhow!("{mistake}"))?;
    primrack_lsl::check(&source, Profile::SecondLife).map_err(|found| anyhow::anyhow!("{found:?}"))
}

/// A copy that has run its `state_entry` and waits for something to happen.
fn started(program: &Arc<Program>, id: u64) -> anyhow::Result<Script> {
    let mut script = Script::new(Arc::clone(program), ScriptId(id));
    let mut world = Nowhere(LinksetData::default());
    loop {
        match script.run_slice(&mut world, 1_000_000) {
            Outcome::Idle => return Ok(script),
            Outcome::Preempted | Outcome::Sleeping(_) => {}
            Outcome::Stopped(error) => anyhow::bail!("the rack script stopped: {error}"),
        }
    }
}

/// A world in which every function answers with its type's empty value.
struct Nowhere(LinksetData);

impl Host for Nowhere {
    fn call(&mut self, function: &'static Function, _: &[Value]) -> Result<HostReturn, RuntimeError> {
        Ok(HostReturn::value(function.returns.default_value()))
    }
    fn unix_time(&mut self) -> f64 {
        0.0
    }
    fn random(&mut self) -> f64 {
        0.5
    }
    fn linkset_data(&mut self) -> &mut LinksetData {
        &mut self.0
    }
    fn linkset_data_changed(&mut self, _: i32, _: &str, _: &str) {}
}
