//! `members = […]` of a target of kind group, from names to plans.

use std::fmt;

use primrack_model::{GroupPlan, MemberPlan, OnFailure, Ready, TargetId, TargetKind};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use smol_str::SmolStr;

use super::{Loaded, Mistake, TargetConfig};

/// How long a member may take from On to ready where nothing is said.
const READY_WITHIN_S: u64 = 60;
/// How many members are acted on at once where nothing is said.
const PARALLEL: usize = 4;

/// One of `members`: a target's id, or a table with more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberConfig {
    /// Which target.
    pub target: SmolStr,
    /// The members that have to be On and ready before.
    pub after: Vec<SmolStr>,
    /// When it counts as ready.
    pub ready: Ready,
    /// How long that may take from its On.
    pub ready_within_s: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    target: SmolStr,
    #[serde(default)]
    after: Vec<SmolStr>,
    #[serde(default)]
    ready: Ready,
    ready_within_s: Option<u64>,
}

/// Read by hand: an untagged reader would lose the words and places of mistakes.
impl<'de> Deserialize<'de> for MemberConfig {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(OneMember)
    }
}

struct OneMember;

impl<'de> Visitor<'de> for OneMember {
    type Value = MemberConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a target's id, or { target = \"…\", after = […], ready = … }")
    }
    fn visit_str<E: de::Error>(self, id: &str) -> Result<MemberConfig, E> {
        let ready_within_s = READY_WITHIN_S;
        Ok(MemberConfig { target: id.into(), after: Vec::new(), ready: Ready::On, ready_within_s })
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<MemberConfig, A::Error> {
        let Table { target, after, ready, ready_within_s } =
            Table::deserialize(MapAccessDeserializer::new(map))?;
        let ready_within_s = ready_within_s.unwrap_or(READY_WITHIN_S);
        Ok(MemberConfig { target, after, ready, ready_within_s })
    }
}

impl TargetConfig {
    /// What kind of thing it is by itself: whatever has members is a group.
    #[must_use]
    pub fn own_kind(&self) -> Option<TargetKind> {
        self.kind.or((!self.members.is_empty()).then_some(TargetKind::Group))
    }
}

/// The groups as configured, and what is wrong with each by itself. Who belongs to whom is the inventory's to say.
pub(super) fn plans(loaded: &Loaded, mistakes: &mut Vec<Mistake>) -> Vec<GroupPlan> {
    let mut plans = Vec::new();
    for (id, target) in &loaded.config.targets {
        if target.own_kind() == Some(TargetKind::Group) {
            match plan(loaded, id, target) {
                Ok(plan) => plans.push(plan),
                Err(mistake) => mistakes.push(mistake),
            }
        } else if !target.members.is_empty() {
            let what = format!("target {id} has members, so it is a group and not a {:?}", target.kind);
            mistakes.push(loaded.at(&["targets", id, "kind"], what).with_hint("write kind = \"group\""));
        } else if target.parallel.is_some() || target.on_failure.is_some() {
            let what = format!("target {id} is no group, so it cannot have parallel or on_failure");
            mistakes.push(loaded.at(&["targets", id], what).with_hint("name its members = […]"));
        }
    }
    plans
}

fn plan(loaded: &Loaded, id: &str, target: &TargetConfig) -> Result<GroupPlan, Mistake> {
    let place = ["targets", id, "members"];
    let named = |name: &SmolStr| TargetId::new(name).map_err(|error| loaded.at(&place, error.to_string()));
    if !target.backend.is_empty() || target.address.is_some() {
        let what = format!("group {id} has members instead of a backend and an address");
        return Err(loaded.at(&["targets", id, "backend"], what).with_hint("take that line out"));
    }
    let mut members = Vec::with_capacity(target.members.len());
    for member in &target.members {
        let MemberConfig { target, after, ready, ready_within_s } = member;
        check_ready(ready).map_err(|why| loaded.at(&place, format!("group {id}: {target}: {why}")))?;
        if !(1..=3600).contains(ready_within_s) {
            let what = format!("group {id}: {target}: ready_within_s is 1 to 3600 seconds");
            return Err(loaded.at(&place, what));
        }
        members.push(MemberPlan {
            target: named(target)?,
            after: after.iter().map(named).collect::<Result<_, _>>()?,
            ready: ready.clone(),
            ready_within_ms: ready_within_s * 1000,
        });
    }
    Ok(GroupPlan {
        target: named(&id.into())?,
        members,
        parallel: target.parallel.unwrap_or(PARALLEL),
        on_failure: target.on_failure.unwrap_or(OnFailure::Stop),
    })
}

fn check_ready(ready: &Ready) -> Result<(), String> {
    match ready {
        Ready::On => Ok(()),
        Ready::Tcp(at) => {
            let port = at.rsplit_once(':').and_then(|(host, port)| {
                let port = port.parse::<u16>().ok().filter(|port| *port != 0);
                port.filter(|_| !host.is_empty())
            });
            port.map(drop).ok_or_else(|| format!("{at:?} is no host:port, such as 127.0.0.1:5432"))
        }
        Ready::Http(at) => {
            let uri: hyper::Uri = at.parse().map_err(|error| format!("{at:?} is no address: {error}"))?;
            if uri.scheme_str() != Some("http") || uri.host().is_none() {
                return Err(format!(
                    "{at:?} is no http:// address; where TLS is spoken, ready = {{ tcp = \"host:443\" }} says whether it listens"
                ));
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{inventory, read};

    fn mistakes(text: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("primrack.toml");
        let common = "backends.local.process = { state_dir = 'p' }\ntargets.a.backend = 'local'\n";
        std::fs::write(&path, format!("{common}{text}")).unwrap();
        let loaded = match read(Path::new(&path), std::iter::empty()) {
            Ok(loaded) => loaded,
            Err(mistake) => return vec![mistake.to_string()],
        };
        match inventory(&loaded) {
            Ok(inventory) => {
                assert!(inventory.groups().count() > 0);
                Vec::new()
            }
            Err(wrong) => wrong.iter().map(ToString::to_string).collect(),
        }
    }
    fn is_wrong(text: &str, words: &str) {
        let found = mistakes(text).join("; ");
        assert!(found.contains(words), "{text}: {found}");
    }

    #[test]
    fn the_example_of_the_readme_is_fine_and_mistakes_say_what_to_change() {
        let readme = include_str!("../../../../README.md");
        let example = readme.split("```toml").find(|part| part.contains("[targets.shop]")).unwrap();
        let example = example.split("```").next().unwrap();
        let members = "db-1 web-1 lamp".split(' ').map(|id| format!("targets.{id}.backend = 'local'\n"));
        assert_eq!(mistakes(&(members.collect::<String>() + example)), [""; 0]);

        is_wrong("targets.g.members = ['b']", "member b is no target");
        is_wrong("targets.g.members = ['g']", "it contains itself: g contains g");
        is_wrong("targets.g.kind = 'group'", "it has no members");
        is_wrong("targets.g = { members = ['a'], backend = 'local' }", "instead of a backend");
        is_wrong("targets.g = { members = ['a'], parallel = 0 }", "nothing would ever be begun");
        is_wrong("targets.g.members = [{ target = 'a', afer = ['a'] }]", "no setting `afer`");
        is_wrong("targets.g.members = [{ target = 'a', ready = { tcp = '5432' } }]", "is no host:port");
        is_wrong(
            "targets.g.members = [{ target = 'a', ready = { http = 'https://a/' } }]",
            "is no http:// address",
        );
        is_wrong("targets.g.members = [{ target = 'a', after = ['a'] }]", "wait for each other: a after a");
        is_wrong("targets.h = { backend = 'local', parallel = 3 }", "is no group");
        is_wrong("targets.h.label = 'H'", "names no backend");
    }
}
