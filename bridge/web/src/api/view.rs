//! What the API shows. Times are milliseconds since 1970, UTC.

use primrack_engine::Engine;
use primrack_model::{
    About, Action, Cause, IntentId, Inventory, Load, OnFailure, Power, Ready, Receipt, RefusalCode, TargetIx,
    TargetKind, TargetState, UnixMs, Verdict,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// A command under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct TransitionView {
    /// Its intent.
    #[schemars(schema_with = "schema::intent")]
    pub(crate) intent: IntentId,
    /// What is being done.
    #[schemars(schema_with = "schema::action")]
    pub(crate) action: Action,
    /// Who asked, for people to read.
    pub(crate) by: String,
    /// Since when.
    #[schemars(with = "i64")]
    pub(crate) since: UnixMs,
}

/// What can be done to a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct CapabilitiesView {
    /// The actions that its backend knows. Whether one may be done is the policy's word.
    #[schemars(schema_with = "schema::actions")]
    pub(crate) actions: Vec<Action>,
    /// Whether its changes are reported, not only found by looking.
    pub(crate) pushes_events: bool,
}

/// The unit of an object that shows a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ShownBy {
    /// The object.
    #[schemars(schema_with = "schema::id")]
    pub(crate) object: String,
    /// Its unit.
    pub(crate) unit: u8,
}

/// A target and what it shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct TargetView {
    /// Its id.
    #[schemars(schema_with = "schema::id")]
    pub(crate) target: String,
    /// What people call it.
    pub(crate) label: String,
    /// What kind of thing it is.
    #[schemars(schema_with = "schema::kind")]
    pub(crate) kind: TargetKind,
    /// Which backend has it; `groups` for a group.
    #[schemars(schema_with = "schema::id")]
    pub(crate) backend: String,
    /// Whether disruptive actions need a rule that names it.
    pub(crate) protected: bool,
    /// The target groups of the policy that it belongs to.
    pub(crate) groups: Vec<String>,
    /// What it shows.
    #[schemars(schema_with = "schema::power")]
    pub(crate) power: Power,
    /// The same in a word for people: `On`, or `Open` for a door.
    pub(crate) word: String,
    /// Who brought it about, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::cause")]
    pub(crate) cause: Option<Cause>,
    /// A phrase for people: the machine's, or why the last command failed.
    pub(crate) detail: String,
    /// The machine does not answer: what is shown is its last word, as old as `age_ms`.
    pub(crate) stale: bool,
    /// What it shows is simulated.
    pub(crate) simulated: bool,
    /// Since when it is in this state.
    #[schemars(with = "i64")]
    pub(crate) since: UnixMs,
    /// When the machine last confirmed it; 0 before the first time.
    #[schemars(with = "i64")]
    pub(crate) seen: UnixMs,
    /// How long ago that was, in milliseconds; absent before the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) age_ms: Option<u64>,
    /// Counts the changes of what is shown.
    pub(crate) generation: u64,
    /// The command under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) transition: Option<TransitionView>,
    /// Processor share in percent of one core, where the technology tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cpu: Option<f32>,
    /// Resident memory in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) memory: Option<u64>,
    /// Hottest sensor, in degrees Celsius.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) temperature: Option<f32>,
    /// Its own word on its health where that is not fine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) health: Option<String>,
    /// The host that it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    /// Its addresses in the network.
    pub(crate) addresses: Vec<String>,
    /// What can be done to it.
    pub(crate) capabilities: CapabilitiesView,
    /// What shows it in the world.
    pub(crate) shown_by: Vec<ShownBy>,
}

/// How many decimals a share has: one.
fn percent(share: f32) -> f32 {
    (share * 1000.0).round() / 10.0
}

impl TargetView {
    /// What the engine knows of a target. `inventory` is the one in which `ix` was found.
    pub(crate) fn of(engine: &Engine, inventory: &Inventory, ix: TargetIx) -> Self {
        Self::showing(engine, inventory, ix, &engine.state(ix))
    }

    /// The same with a state of an earlier moment.
    pub(crate) fn showing(engine: &Engine, inventory: &Inventory, ix: TargetIx, state: &TargetState) -> Self {
        let entry = inventory.target(ix);
        let can = engine.capabilities(ix);
        let TargetState { power, cause, detail, load, about, transition, generation, since, seen, stale } =
            state;
        let About { host, addresses, temperature, health } = about.as_deref().cloned().unwrap_or_default();
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let shown_by = inventory.shown_by(ix).iter().filter_map(|(object, unit)| {
            let object = inventory.objects().get(*object as usize)?;
            Some(ShownBy { object: object.id.to_string(), unit: *unit })
        });
        Self {
            target: entry.id.to_string(),
            label: entry.label.to_string(),
            kind: entry.kind,
            backend: entry.backend.to_string(),
            protected: entry.protected,
            groups: entry.groups.iter().map(ToString::to_string).collect(),
            power: *power,
            word: state.word(entry.kind).to_owned(),
            cause: *cause,
            detail: detail.to_string(),
            stale: *stale,
            simulated: can.simulated,
            since: *since,
            seen: *seen,
            age_ms: (seen.0 != 0)
                .then(|| u64::try_from(seen.age_at(UnixMs::now()).as_millis()).unwrap_or(u64::MAX)),
            generation: generation.0,
            transition: transition.as_deref().map(|it| TransitionView {
                intent: it.intent,
                action: it.action,
                by: it.by.to_string(),
                since: it.since,
            }),
            cpu: load.map(|Load { cpu, memory: _ }| percent(cpu)),
            memory: load.map(|Load { cpu: _, memory }| memory),
            temperature,
            health: text(&health),
            host: text(&host),
            addresses: addresses.iter().map(ToString::to_string).collect(),
            capabilities: CapabilitiesView {
                actions: can.actions.to_vec(),
                pushes_events: can.pushes_events,
            },
            shown_by: shown_by.collect(),
        }
    }
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct MemberView {
    /// Which target.
    #[schemars(schema_with = "schema::id")]
    pub(crate) target: String,
    /// The members that have to be On and ready before it is started.
    pub(crate) after: Vec<String>,
    /// When it counts as ready, in words.
    pub(crate) ready: String,
    /// What it shows.
    #[schemars(schema_with = "schema::power")]
    pub(crate) power: Power,
    /// Whether that is old.
    pub(crate) stale: bool,
}

/// A group of targets that are acted on together. Its own state is in the list of targets, too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct GroupView {
    /// The target that stands for all of them.
    pub(crate) group: TargetView,
    /// Who belongs to it.
    pub(crate) members: Vec<MemberView>,
    /// How many are acted on at once.
    pub(crate) parallel: usize,
    /// What happens to the rest when one fails.
    #[schemars(schema_with = "schema::on_failure")]
    pub(crate) on_failure: OnFailure,
}

impl GroupView {
    /// A group, or nothing where the target is none.
    pub(crate) fn of(engine: &Engine, inventory: &Inventory, ix: TargetIx) -> Option<Self> {
        let group = inventory.group(ix)?;
        let name = |at: TargetIx| inventory.target(at).id.to_string();
        let members = group.members.iter().map(|member| {
            let state = engine.state(member.target);
            let ready: &Ready = &member.ready;
            MemberView {
                target: name(member.target),
                after: member
                    .after
                    .iter()
                    .filter_map(|at| Some(name(group.members.get(*at)?.target)))
                    .collect(),
                ready: ready.to_string(),
                power: state.power,
                stale: state.stale,
            }
        });
        Some(Self {
            group: TargetView::of(engine, inventory, ix),
            members: members.collect(),
            parallel: group.parallel,
            on_failure: group.on_failure,
        })
    }
}

/// What is said to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Said {
    /// It is in the journal and will be done.
    Accepted,
    /// The same is under way for somebody else; nothing is done twice.
    Joined,
    /// It will not be done.
    Refused,
}

/// The answer to a command, at once: accepted, or refused and why. The journal has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ReceiptView {
    /// The bridge's name for the command, from here to the machine and into the journal.
    #[schemars(schema_with = "schema::intent")]
    pub(crate) intent: IntentId,
    /// The target.
    #[schemars(schema_with = "schema::id")]
    pub(crate) target: String,
    /// The action asked for.
    #[schemars(schema_with = "schema::action")]
    pub(crate) action: Action,
    /// Yes or no.
    pub(crate) verdict: Said,
    /// The intent of somebody else that does the same already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::intent")]
    pub(crate) with: Option<IntentId>,
    /// Why not, for machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub(crate) reason: Option<RefusalCode>,
    /// One sentence for a person.
    pub(crate) words: String,
    /// When it was decided.
    #[schemars(with = "i64")]
    pub(crate) at: UnixMs,
}

impl ReceiptView {
    /// The engine's receipt.
    pub(crate) fn of(receipt: &Receipt) -> Self {
        let Receipt { intent, target, action, verdict, words, at } = receipt;
        let (verdict, with, reason) = match verdict {
            Verdict::Accepted => (Said::Accepted, None, None),
            Verdict::Joined { with } => (Said::Joined, Some(*with), None),
            Verdict::Refused(refusal) => (Said::Refused, None, Some(refusal.code)),
        };
        Self {
            intent: *intent,
            target: target.to_string(),
            action: *action,
            verdict,
            with,
            reason,
            words: words.clone(),
            at: *at,
        }
    }
}
