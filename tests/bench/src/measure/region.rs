//! The region in a box: statements a second against lummao, touches through script and HTTP, memory.

use std::time::Instant;

use axum::Router;
use primrack_lsl::host::{Host, HostReturn};
use primrack_lsl::library::LinksetData;
use primrack_lsl::tables::Function;
use primrack_lsl::vm::ScriptId;
use primrack_lsl::{Event, Outcome, Profile, RuntimeError, Script, Value};

use super::Scale;
use super::lummao::Lummao;
use crate::child::Server;
use crate::report::{Good, Row, median};
use crate::words::{RegionSpec, Spec};

/// One loop, told to both sides in the same words.
struct Loop {
    name: &'static str,
    /// LSL statements executed in one round of the loop: its test and its step count as one each.
    statements: usize,
    /// A function of that name that takes the number of rounds.
    source: &'static str,
    /// Rounds of one measurement.
    rounds: i32,
    /// Only the two that the facts name are held to a floor.
    held: bool,
}

const LOOPS: [Loop; 3] = [
    Loop {
        name: "arithmetic",
        statements: 7,
        source: r"
string arithmetic(integer n)
{
    integer i;
    integer x = 1;
    float y = 0.5;
    for (i = 0; i < n; ++i)
    {
        x = (x * 1103515245 + 12345) & 0x7FFFFFFF;
        x = x ^ (i << 3);
        y = y * 0.75 + (float)(x % 1000);
        if (y > 500.0) y = y - 250.0;
        else y = y + 1.0;
    }
    return (string)x + ' ' + (string)((integer)y);
}",
        rounds: 40_000,
        held: true,
    },
    Loop {
        name: "strings",
        statements: 5,
        source: r"
string strings(integer n)
{
    integer i;
    integer sum;
    string s = 'begin';
    for (i = 0; i < n; ++i)
    {
        s = llGetSubString(s + (string)i + ', ', -40, -1);
        sum = sum + llStringLength(s) + llSubStringIndex(s, '7');
        if (llGetSubString(s, 0, 0) == '9') sum = sum + 1;
        else sum = sum - 1;
    }
    return s + (string)sum;
}",
        rounds: 10_000,
        held: true,
    },
    Loop {
        name: "calls",
        statements: 3,
        source: r"
integer halved(integer n)
{
    return (n + 1) / 2;
}
string calls(integer n)
{
    integer i;
    integer x;
    for (i = 0; i < n; ++i) x = halved(x + i);
    return (string)x;
}",
        rounds: 40_000,
        held: false,
    },
];

/// Every loop in one script; the links' message says which and how often.
fn script() -> String {
    let mut text: String = LOOPS.iter().map(|it| it.source.replace('\'', "\"")).collect();
    text.push_str("\ndefault\n{\n    link_message(integer from, integer n, string which, key id)\n    {\n");
    for it in &LOOPS {
        text.push_str(&format!("        if (which == \"{0}\") llOwnerSay({0}(n));\n", it.name));
    }
    text.push_str("    }\n}\n");
    text
}

/// Hears what a script says to its owner.
#[derive(Default)]
struct Ear(Option<String>, LinksetData);

impl Host for Ear {
    fn call(&mut self, function: &'static Function, args: &[Value]) -> Result<HostReturn, RuntimeError> {
        match (function.name, args) {
            ("llOwnerSay", [Value::Str(text)]) => self.0 = Some(text.to_string()),
            _ => return Err(RuntimeError::unsupported(function.name)),
        }
        Ok(HostReturn::void())
    }
    fn unix_time(&mut self) -> f64 {
        0.0
    }
    fn random(&mut self) -> f64 {
        0.5
    }
    fn linkset_data(&mut self) -> &mut LinksetData {
        &mut self.1
    }
    fn linkset_data_changed(&mut self, _: i32, _: &str, _: &str) {}
}

/// One run of a loop on our side: seconds, and what came out.
fn ours(script: &mut Script, it: &Loop) -> anyhow::Result<(f64, String)> {
    let mut ear = Ear::default();
    let args = vec![Value::Integer(0), Value::Integer(it.rounds), Value::str(it.name), Value::key("")];
    let event = Event::new("link_message", args).ok_or_else(|| anyhow::anyhow!("no such event"))?;
    script.post(event);
    let begun = Instant::now();
    loop {
        match script.run_slice(&mut ear, 20_000) {
            Outcome::Preempted => {}
            Outcome::Idle => break,
            other => anyhow::bail!("the loop {} ended with {other:?}", it.name),
        }
    }
    let took = begun.elapsed().as_secs_f64();
    Ok((took, ear.0.ok_or_else(|| anyhow::anyhow!("the loop {} said nothing", it.name))?))
}

async fn statements(scale: Scale) -> anyhow::Result<Vec<Row>> {
    let source = script();
    let mut lummao = Lummao::start(&source).await?;
    let program = primrack_lsl::check(&source, Profile::SecondLife)
        .map_err(|found| anyhow::anyhow!("{}", found.render("loops.lsl", &source)))?;
    let mut here = Script::new(program, ScriptId(1));
    anyhow::ensure!(here.run_slice(&mut Ear::default(), 20_000) == Outcome::Idle, "it does not begin");
    let mut rows = Vec::new();
    for it in &LOOPS {
        let rounds = u32::try_from(it.rounds)?;
        // Once to warm up, and to see that both sides compute the same.
        let (mine, their) = (ours(&mut here, it)?.1, lummao.run(it.name, rounds).await?.1);
        anyhow::ensure!(mine == their, "the loop {}: {mine:?} here, {their:?} in lummao", it.name);
        let (mut us, mut them, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..scale.rounds() {
            let theirs = lummao.run(it.name, rounds).await?.0;
            // Ours is over so soon that one run says little.
            let mut runs = Vec::new();
            for _ in 0..5 {
                runs.push(ours(&mut here, it)?.0);
            }
            let mine = median(&runs);
            ratios.push(theirs / mine);
            let executed = f64::from(rounds) * it.statements as f64;
            us.push(executed / mine / 1e6);
            them.push(executed / theirs / 1e6);
        }
        let name = format!("lsl {} statements", it.name);
        let value = median(&ratios);
        let row = if it.held {
            Row::new(&name, value, Good::High, 20.0, 50.0)
        } else {
            Row::told(&name, value, Good::High)
        };
        let windows: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.0}")).collect();
        rows.push(
            row.of(
                format!("{:.1} M/s", median(&us)),
                format!("{:.2} M/s lummao {}", median(&them), lummao.version),
            )
            .with(format!(
                "{} statements a round, {rounds} rounds, the same result on both sides; ratios {}",
                it.statements,
                windows.join(" ")
            )),
        );
    }
    lummao.stop().await?;
    Ok(rows)
}

/// Answers every post with what a bridge would answer a touch with.
async fn sink() -> anyhow::Result<(u16, tokio::task::JoinHandle<std::io::Result<()>>)> {
    let answer = || async { r#"{"verdict":"accepted","say":"Starting web-1."}"# };
    let router = Router::new().route("/touch", axum::routing::post(answer));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    Ok((port, tokio::spawn(async move { axum::serve(listener, router).await })))
}

/// Touches of one region: within what Second Life grants an object in 20 s, so that nothing is throttled.
const TOUCHES: usize = 10_000;
const RACKS: u32 = 1_000;
const UNITS: u8 = 40;

async fn touches(scale: Scale) -> anyhow::Result<Vec<Row>> {
    let (port, task) = sink().await?;
    let (mut us, mut them, mut ratios, mut built, mut grown) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut footprint, mut prims) = (0, 0);
    for _ in 0..scale.rounds() {
        let spec = RegionSpec { racks: RACKS, units: UNITS, sink: port };
        let mut server = Server::start(&Spec::Region(spec)).await?;
        let before = server.usage()?.rss;
        built.push(server.count("build").await? as f64 / 1e3);
        prims = server.count("prims").await?;
        grown.push(server.usage()?.rss.saturating_sub(before) as f64 / f64::from(1 << 20));
        footprint = server.count("footprint").await?;
        let posts = server.count(&format!("post {TOUCHES}")).await? as f64 / 1e6;
        let touches = server.count(&format!("touch {TOUCHES}")).await? as f64 / 1e6;
        us.push(TOUCHES as f64 / touches);
        them.push(TOUCHES as f64 / posts);
        ratios.push(posts / touches);
        server.stop().await?;
    }
    task.abort();
    Ok(vec![
        Row::told("lsl touches", median(&ratios), Good::High)
            .of(format!("{:.0}/s", median(&us)), format!("{:.0}/s posts by bare hyper", median(&them)))
            .with(format!(
                "each is a touch, an event, a drawing, a call on a connection of its own, its answer read as JSON, a word to the \
                 owner; {RACKS} racks, {TOUCHES} touches within Second Life's throttles"
            )),
        Row::told("region of 1000 racks ms", median(&built), Good::Low)
            .of(format!("{:.0} ms", median(&built)), "")
            .with(format!("{prims} prims; until every script is idle")),
        Row::told("region of 1000 racks MiB", median(&grown), Good::Low)
            .of(format!("{:.1} MiB", median(&grown)), "")
            .with(format!(
                "growth of resident memory: {:.0} B a prim; {footprint} B of it for each idle script, counted",
                median(&grown) * f64::from(1 << 20) / prims as f64
            )),
    ])
}

/// What one more idle copy of the shipped rack script takes, by the slope of resident memory.
async fn idle(scale: Scale) -> anyhow::Result<Row> {
    let (few, many) = if scale.quick { (1_000, 6_000) } else { (2_000, 22_000) };
    let mut server = Server::start(&Spec::Region(RegionSpec { racks: 0, units: 1, sink: 9 })).await?;
    server.count(&format!("idle {few}")).await?;
    let small = server.usage()?.rss;
    let counted = server.count(&format!("idle {many}")).await?;
    let large = server.usage()?.rss;
    server.stop().await?;
    let bytes = large.saturating_sub(small) as f64 / f64::from(many - few);
    Ok(Row::new("lsl idle script KiB", bytes / 1024.0, Good::Low, 32.0, 8.0)
        .of(format!("{bytes:.0} B"), "")
        .with(format!(
            "slope of resident memory from {few} to {many} copies of the rack script after state_entry; {counted} B by its own count"
        )))
}

pub(super) async fn region(scale: Scale) -> anyhow::Result<Vec<Row>> {
    let mut rows = statements(scale).await?;
    rows.push(idle(scale).await?);
    rows.extend(touches(scale).await?);
    Ok(rows)
}
