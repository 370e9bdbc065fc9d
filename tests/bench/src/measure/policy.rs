//! One decision among a thousand people, ten thousand targets and two hundred rules.

use std::sync::Arc;
use std::time::Instant;

use primrack_model::{
    Action, Actor, ActorKind, Address, BackendId, Edge, GroupId, Intent, IntentId, Inventory, ObjectId,
    Person, TargetEntry, TargetId, TargetKind, TouchMode, UnixMs, Via,
};
use primrack_policy::{Policy, Source};

use super::Scale;
use crate::report::{Good, Row, median, quantile};

const PEOPLE: usize = 1_000;
const TARGETS: usize = 10_000;
const RULES: usize = 200;
const GROUPS: usize = 50;

fn avatar(person: usize) -> String {
    format!("00000000-0000-4000-a000-{person:012x}")
}

fn inventory() -> anyhow::Result<Inventory> {
    let target = |n: usize| -> anyhow::Result<TargetEntry> {
        Ok(TargetEntry {
            id: TargetId::new(format!("t{n}"))?,
            label: smol_str::format_smolstr!("Server {n}"),
            kind: TargetKind::Machine,
            backend: BackendId::new("mock")?,
            address: Address(smol_str::format_smolstr!("t{n}")),
            protected: n.is_multiple_of(50),
            groups: vec![GroupId::new(format!("tg{}", n % GROUPS))?],
        })
    };
    let object = |n: usize| -> anyhow::Result<_> {
        let units =
            (0..40u8).map(|unit| Ok((unit, TargetId::new(format!("t{}", n * 40 + usize::from(unit)))?)));
        let units: Result<Vec<_>, primrack_model::BadId> = units.collect();
        Ok((ObjectId::new(format!("o{n}"))?, "rack".into(), TouchMode::Menu, units?))
    };
    let person = |n: usize| -> anyhow::Result<Person> {
        let groups = [format!("g{}", n % GROUPS), format!("g{}", n * 7 % GROUPS)];
        let groups = groups.iter().map(GroupId::new).collect::<Result<_, _>>()?;
        Ok(Person { actor: format!("avatar:{}", avatar(n)).into(), groups })
    };
    let targets = (0..TARGETS).map(target).collect::<anyhow::Result<_>>()?;
    let objects = (0..TARGETS / 40).map(object).collect::<anyhow::Result<_>>()?;
    Ok(Inventory::new(targets, objects, (0..PEOPLE).map(person).collect::<anyhow::Result<_>>()?)?)
}

/// Rules as a house with many groups would have them: by group, by target group, by person, by hour.
fn rules() -> String {
    let mut text = String::new();
    for n in 0..RULES {
        let (group, targets) = (n % GROUPS, n * 3 % GROUPS);
        text += &match n % 4 {
            0 => format!(
                "@id(\"r{n}\") permit (principal in Primrack::Group::\"g{group}\", action in Primrack::Action::\"operate\", resource);\n"
            ),
            1 => format!(
                "@id(\"r{n}\") permit (principal in Primrack::Group::\"g{group}\", action, resource in Primrack::TargetGroup::\"tg{targets}\");\n"
            ),
            2 => format!(
                "@id(\"r{n}\") permit (principal == Primrack::Avatar::\"{}\", action, resource == Primrack::Target::\"t{}\");\n",
                avatar(n),
                n * 31
            ),
            _ => format!(
                "@id(\"r{n}\") forbid (principal in Primrack::Group::\"g{group}\", action in Primrack::Action::\"destroy\", resource in Primrack::TargetGroup::\"tg{targets}\") when {{ context.hour < 8 }};\n"
            ),
        };
    }
    text
}

pub(super) async fn policy(scale: Scale) -> anyhow::Result<Vec<Row>> {
    // Alone on the server's core: nothing else of this benchmark runs.
    let inventory = Arc::new(inventory()?);
    let policy = Policy::load(&[Source::new("bench.cedar", rules())], Arc::clone(&inventory))
        .map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
    let decisions = if scale.quick { 50_000 } else { 300_000 };
    let (mut tails, mut halves, mut permitted) = (Vec::new(), Vec::new(), 0usize);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |bound: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % bound
    };
    for _ in 0..scale.rounds() {
        let mut times = Vec::with_capacity(decisions);
        for _ in 0..decisions {
            let target = below(TARGETS);
            let actor = Actor::new(ActorKind::Avatar, avatar(below(PEOPLE)), "Bench Resident");
            let via = Via {
                edge: Edge::World,
                object: Some(ObjectId::new(format!("o{}", target / 40))?),
                unit: u8::try_from(target % 40).ok(),
            };
            let action = Action::ALL[below(Action::ALL.len())];
            let target = inventory.targets()[target].id.clone();
            let intent =
                Intent { id: IntentId::now(), actor, action, target, via, origin: None, at: UnixMs::now() };
            let begun = Instant::now();
            let decided = policy.decide(intent);
            times.push(begun.elapsed().as_secs_f64() * 1e6);
            permitted += usize::from(decided.is_ok());
        }
        halves.push(quantile(&mut times, 0.5));
        tails.push(quantile(&mut times, 0.99));
    }
    let share = permitted as f64 / (decisions * scale.rounds()) as f64;
    anyhow::ensure!(share > 0.01 && share < 0.99, "{share:.2} permitted: these rules decide nothing");
    Ok(vec![
        Row::new("policy p99 us", median(&tails), Good::Low, 100.0, 20.0)
            .of(format!("{:.1} us", median(&tails)), "")
            .with(format!(
                "p50 {:.2} us; {PEOPLE} people, {TARGETS} targets, {RULES} rules, drawn evenly from {} questions; {:.0} % permitted",
                median(&halves),
                PEOPLE * TARGETS * Action::ALL.len(),
                share * 100.0
            )),
    ])
}
