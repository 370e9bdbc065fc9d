//! `[discover.NAME]`: which of a backend's machines appear as targets by themselves.

use primrack_adapter_api::Found;
use primrack_model::{BackendId, GroupId};
use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use smol_str::SmolStr;

use crate::config::{Loaded, Mistake};

/// The most machines that one rule may bring.
pub const LIMIT_MAX: usize = 10_000;
/// The group of targets that everything discovered is in, for policies.
pub const DISCOVERED: &str = "discovered";
/// Characters that begin an id; room for a name and a hash is left in 64.
const PREFIX_MAX: usize = 24;

/// `[discover.NAME]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiscoverConfig {
    /// Whose machines.
    pub backend: SmolStr,
    /// Only those whose label or address fits this glob, such as `web-*`.
    pub name: Option<SmolStr>,
    /// Only those whose label or address as a whole fits this regular expression.
    pub regex: Option<String>,
    /// Only those that have, for each of these globs, a tag that fits it, such as `env=prod`.
    #[serde(default)]
    pub tags: Vec<SmolStr>,
    /// Only those on a host that fits this glob.
    pub host: Option<SmolStr>,
    /// None whose label or address fits one of these globs.
    #[serde(default)]
    pub except: Vec<SmolStr>,
    /// What their ids begin with; the rule's name and a hyphen if absent.
    pub prefix: Option<SmolStr>,
    /// Whether disruptive actions need a rule that names the target; they do if nothing is said.
    #[serde(default = "yes")]
    pub protected: bool,
    /// The target groups they belong to besides `discovered`.
    #[serde(default)]
    pub groups: Vec<SmolStr>,
    /// How many at most, up to 10,000.
    #[serde(default = "limit")]
    pub limit: usize,
    /// A machine that is gone is kept as unknown for so many hours.
    #[serde(default = "forget_h")]
    pub forget_h: u32,
}

fn yes() -> bool {
    true
}
fn limit() -> usize {
    1000
}
fn forget_h() -> u32 {
    24
}

/// A rule that was checked.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) name: SmolStr,
    pub(crate) backend: BackendId,
    pub(crate) prefix: SmolStr,
    pub(crate) protected: bool,
    pub(crate) groups: Vec<GroupId>,
    pub(crate) limit: usize,
    pub(crate) forget_ms: i64,
    name_glob: Option<Regex>,
    regex: Option<Regex>,
    tags: Vec<Regex>,
    host: Option<Regex>,
    except: Vec<Regex>,
}

impl Rule {
    /// Whether a machine is one of this rule's.
    pub(crate) fn fits(&self, found: &Found) -> bool {
        let names = [found.label.as_str(), found.address.0.as_str()];
        let named = |glob: &Regex| names.iter().any(|name| glob.is_match(name));
        self.name_glob.as_ref().is_none_or(named)
            && self.regex.as_ref().is_none_or(|regex| names.iter().any(|name| regex.is_match(name)))
            && self.tags.iter().all(|glob| found.tags.iter().any(|tag| glob.is_match(tag.as_str())))
            && self.host.as_ref().is_none_or(|glob| glob.is_match(found.host.as_str()))
            && !self.except.iter().any(named)
    }
}

/// All rules, in the order of their names, and what is wrong with them.
pub(crate) fn rules(loaded: &Loaded, mistakes: &mut Vec<Mistake>) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for (name, config) in &loaded.config.discover {
        match rule(loaded, name, config) {
            Ok(rule) => rules.push(rule),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    // Ids must not depend on who came first.
    for (at, rule) in rules.iter().enumerate() {
        let other = rules[..at].iter().find(|other| {
            let begins = |a: &Rule, b: &Rule| a.prefix.starts_with(b.prefix.as_str());
            other.backend != rule.backend && (begins(other, rule) || begins(rule, other))
        });
        if let Some(other) = other {
            let what = format!(
                "the ids of discover.{} begin with {:?} and those of discover.{} with {:?}: machines of two backends could get one id",
                rule.name, rule.prefix, other.name, other.prefix
            );
            let mistake = loaded.at(&["discover", &rule.name, "prefix"], what);
            mistakes.push(mistake.with_hint("give one of them a prefix that neither begins the other"));
        }
    }
    rules
}

fn rule(loaded: &Loaded, name: &str, config: &DiscoverConfig) -> Result<Rule, Mistake> {
    let at =
        |key: &str, what: String| loaded.at(&["discover", name, key], format!("discover.{name}: {what}"));
    let glob = |key: &str, text: &str| -> Result<Regex, Mistake> {
        if text.len() > 200 {
            return Err(at(key, "a pattern has more than 200 characters".to_owned()));
        }
        // `*` and `?` are all that names need; everything else is itself.
        whole(&regex::escape(text).replace(r"\*", ".*").replace(r"\?", ".")).map_err(|error| at(key, error))
    };
    let globs = |key: &str, texts: &[SmolStr]| -> Result<Vec<Regex>, Mistake> {
        if texts.len() > 32 {
            return Err(at(key, "more than 32 patterns".to_owned()));
        }
        texts.iter().map(|text| glob(key, text)).collect()
    };
    match loaded.config.backends.get(&config.backend) {
        None => {
            let known: Vec<&str> = loaded.config.backends.keys().map(|name| &**name).collect();
            let what = format!("there is no backend {:?}", config.backend);
            return Err(at("backend", what).with_hint(format!("there are: {}", known.join(", "))));
        }
        Some(backend) if backend.board().is_some() => {
            let what = format!("{} is a board: what it has is configured, not found", config.backend);
            return Err(at("backend", what).with_hint("write a [targets.…] table for each of its things"));
        }
        Some(_) => {}
    }
    let regex = match &config.regex {
        None => None,
        Some(text) => Some(whole(text).map_err(|error| at("regex", error))?),
    };
    let prefix = config.prefix.clone().unwrap_or_else(|| format!("{name}-").into());
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let first = prefix.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if !first || prefix.len() > PREFIX_MAX || !prefix.bytes().all(plain) {
        let what = format!("ids cannot begin with {prefix:?}");
        let hint = format!("1 to {PREFIX_MAX} of A-Z a-z 0-9 . _ -, a letter or digit first");
        return Err(at("prefix", what).with_hint(hint));
    }
    if config.limit == 0 || config.limit > LIMIT_MAX {
        return Err(at("limit", format!("a rule brings 1 to {LIMIT_MAX} machines, not {}", config.limit)));
    }
    let id = |error: primrack_model::BadId| at("groups", error.to_string());
    let groups = config.groups.iter().map(SmolStr::as_str).chain([DISCOVERED]).map(GroupId::new);
    Ok(Rule {
        name: name.into(),
        backend: BackendId::new(&config.backend).map_err(|error| at("backend", error.to_string()))?,
        prefix,
        protected: config.protected,
        groups: groups.collect::<Result<_, _>>().map_err(id)?,
        limit: config.limit,
        forget_ms: i64::from(config.forget_h) * 3_600_000,
        name_glob: config.name.as_deref().map(|text| glob("name", text)).transpose()?,
        regex,
        tags: globs("tags", &config.tags)?,
        host: config.host.as_deref().map(|text| glob("host", text)).transpose()?,
        except: globs("except", &config.except)?,
    })
}

/// A pattern that a name has to fit from its beginning to its end.
fn whole(pattern: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(&format!("^(?s:{pattern})$")).size_limit(1 << 20).build();
    built.map_err(|error| error.to_string())
}
