//! Measures decisions in a large house: 1,000 people, 10,000 targets on 250 racks, 200 rules, of which
//! 36 have conditions.
//!
//! ```sh
//! cargo run --release -p primrack-policy --example decide
//! ```
//!
//! `first` decides 60,000 questions, each for the first time; `kept` asks the last 10,000 of them again.
//! Times are of [`Policy::may_at`] alone, in microseconds, and hold the clock's own cost of some 0.03.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use primrack_model::{
    Action, Actor, Address, BackendId, Edge, GroupId, Inventory, ObjectId, Person, TargetEntry, TargetId,
    TargetIx, TargetKind, TouchMode, UnixMs, Via,
};
use primrack_policy::{Policy, Source};

const PEOPLE: u32 = 1_000;
const TARGETS: u32 = 10_000;
const UNITS: u32 = 40;
const FIRST: usize = 60_000;
const AGAIN: usize = 10_000;

fn avatar(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

fn inventory() -> Result<Inventory, Box<dyn std::error::Error>> {
    let mut targets = Vec::new();
    let mut racks = Vec::new();
    for number in 0..TARGETS {
        targets.push(TargetEntry {
            id: TargetId::new(format!("t-{number}"))?,
            label: format!("Machine {number}").into(),
            kind: TargetKind::Machine,
            backend: BackendId::new(format!("backend-{}", number % 5))?,
            address: Address(format!("vm-{number}").into()),
            protected: number % 50 == 0,
            groups: vec![
                GroupId::new(format!("site-{}", number % 40))?,
                GroupId::new(format!("tier-{}", number % 7))?,
            ],
        });
    }
    for rack in 0..TARGETS / UNITS {
        let mut units = Vec::new();
        for unit in 0..UNITS {
            units.push((u8::try_from(unit)?, TargetId::new(format!("t-{}", rack * UNITS + unit))?));
        }
        racks.push((ObjectId::new(format!("rack-{rack}"))?, "Rack".into(), TouchMode::Menu, units));
    }
    let mut people = Vec::new();
    for number in 0..PEOPLE {
        let mut groups = vec![GroupId::new(format!("team-{}", number % 40))?];
        if number % 10 == 0 {
            groups.push(GroupId::new("operators")?);
        }
        if number % 100 == 0 {
            groups.push(GroupId::new("owners")?);
        }
        people.push(Person { actor: format!("avatar:{}", avatar(number)).into(), groups });
    }
    Ok(Inventory::new(targets, racks, people)?)
}

/// 196 rules beside the starter's four.
fn rules() -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for n in 0..120 {
        writeln!(
            text,
            "@id(\"team-{n}\") permit(principal in Primrack::Group::\"team-{}\", action in Primrack::Action::\"{}\", \
             resource in Primrack::TargetGroup::\"site-{}\");",
            n % 40,
            ["operate", "interrupt"][n % 2],
            n * 7 % 40
        )?;
    }
    for n in 0..40 {
        writeln!(
            text,
            "@id(\"own-{n}\") permit(principal == Primrack::Avatar::\"{}\", action, resource == Primrack::Target::\"t-{}\");",
            avatar(n * 3),
            n * 50
        )?;
    }
    for n in 0..20 {
        writeln!(
            text,
            "@id(\"rack-{n}\") permit(principal in Primrack::Group::\"team-{n}\", action, \
             resource in Primrack::Object::\"rack-{n}\") when {{ context has unit && context.unit < 20 }};"
        )?;
    }
    for n in 0..10 {
        writeln!(
            text,
            "@id(\"any-{n}\") permit(principal is Primrack::Avatar, action == Primrack::Action::\"start\", \
             resource in Primrack::TargetGroup::\"site-{n}\") \
             when {{ resource.kind == Primrack::Kind::\"machine\" && !resource.protected }};"
        )?;
    }
    for n in 0..6 {
        writeln!(
            text,
            "@id(\"night-{n}\") @reason(\"Not at night.\") forbid(principal, action in Primrack::Action::\"interrupt\", \
             resource in Primrack::TargetGroup::\"tier-{n}\") when {{ context.hour < 6 }} \
             unless {{ principal in Primrack::Group::\"owners\" }};"
        )?;
    }
    Ok(text)
}

/// Mid, ninety-ninth and highest of a hundred, in microseconds.
fn table(out: &mut impl std::io::Write, name: &str, mut times: Vec<Duration>) -> std::io::Result<()> {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_nanos();
    let micros = |nanos: u128| format!("{}.{:02}", nanos / 1000, nanos % 1000 / 10);
    writeln!(
        out,
        "{name:<6} p50 {:>7}  p99 {:>7}  max {:>8}",
        micros(at(50)),
        micros(at(99)),
        micros(at(100))
    )
}

/// Resident memory in KiB, where the system tells.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout().lock();
    let inventory = Arc::new(inventory()?);
    let before = resident();
    let began = Instant::now();
    let policy = Policy::load(&[Policy::starter(), Source::new("house.cedar", rules()?)], inventory)?;
    let (took, loaded) = (began.elapsed(), resident());
    let rules = policy.rule_names().count() - 1;
    writeln!(out, "{rules} rules loaded in {} ms, {} KiB", took.as_millis(), loaded - before)?;

    // A fixed walk through all combinations, with steps that share no factor with their numbers.
    let mut questions = Vec::with_capacity(FIRST);
    for n in 0..u32::try_from(FIRST)? {
        let target = n * 7919 % TARGETS;
        let object = ObjectId::new(format!("rack-{}", target / UNITS))?;
        let via = Via { edge: Edge::World, object: Some(object), unit: Some(u8::try_from(target % UNITS)?) };
        let actor: Actor = format!("avatar:{}", avatar(n * 317 % PEOPLE)).parse()?;
        questions.push((actor, Action::ALL[(n as usize / 11) % Action::ALL.len()], TargetIx(target), via));
    }
    let mut allowed = 0;
    let mut ask = |(actor, action, target, via): &(Actor, Action, TargetIx, Via), hour: i64| {
        let began = Instant::now();
        let answer = policy.may_at(actor, *action, *target, via, UnixMs(hour * 3_600_000));
        let took = began.elapsed();
        allowed += usize::from(answer.is_ok());
        took
    };
    let first: Vec<Duration> = questions.iter().map(|question| ask(question, 3)).collect();
    let again: Vec<Duration> = questions[FIRST - AGAIN..].iter().map(|question| ask(question, 3)).collect();
    table(&mut out, "first", first)?;
    table(&mut out, "kept", again)?;
    writeln!(out, "{allowed} of {} allowed; {} KiB with kept answers", FIRST + AGAIN, resident() - before)?;
    Ok(())
}
