//! From texts to rules: parsed, validated strictly, names checked. All mistakes are found at once.

use std::collections::HashMap;
use std::sync::Arc;

use cedar_policy::{
    Effect as CedarEffect, Policy as CedarPolicy, PolicyId, PolicySet, ValidationError, ValidationMode,
    Validator,
};
use miette::{Diagnostic, NamedSource};
use primrack_model::Inventory;
use smol_str::SmolStr;

use crate::explain::Effect;
use crate::literal::{Scan, scan};
use crate::mistake::{Mistake, PolicyErrors, line_and_column};
use crate::people::People;
use crate::permit::PolicyName;
use crate::policy::PROTECTED_RULE;
use crate::reads::Reads;
use crate::scope::{Index, Scope};
use crate::source::Source;
use crate::vocabulary::schema;

mod names;

use names::Names;

/// How long a `@reason` may be: it is a whole refusal, and those fit into a chat line of a script.
const REASON_BYTES: usize = 150;
/// How much of a file that does not parse is looked through policy by policy.
const SALVAGED_BYTES: usize = 256 * 1024;

/// One policy, ready to be evaluated alone.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: PolicyName,
    pub(crate) effect: Effect,
    pub(crate) reason: Option<Box<str>>,
    pub(crate) scope: Scope,
    pub(crate) reads: Reads,
    pub(crate) conditional: bool,
    pub(crate) alone: PolicySet,
}

/// All rules, found by what they are about.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) rules: Vec<Rule>,
    pub(crate) index: Index,
    pub(crate) people: People,
}

/// A file while it is read.
struct File {
    source: Arc<NamedSource<Arc<str>>>,
    scan: Scan,
}

impl File {
    fn text(&self) -> &str {
        self.source.inner()
    }
}

/// Reads the sources against the inventory.
pub(crate) fn load(sources: &[Source], inventory: &Inventory) -> Result<Rules, PolicyErrors> {
    let mut mistakes = Vec::new();
    let mut people = People::new(inventory, &mut mistakes);
    let names = Names::of(inventory);
    let mut found: Vec<(CedarPolicy, PolicyName)> = Vec::new();
    let mut files = Vec::with_capacity(sources.len());
    for (number, source) in sources.iter().enumerate() {
        let text: Arc<str> = Arc::from(source.text.as_str());
        let file = File { scan: scan(&text), source: Arc::new(NamedSource::new(&source.name, text)) };
        names.check(&file, &mut mistakes);
        for (policy, place) in parse(&file, &mut mistakes) {
            names::check_action_scope(&file, &policy, place, &mut mistakes);
            let (line, _) = line_and_column(file.text(), place);
            let name = policy
                .annotation("id")
                .filter(|id| !id.is_empty())
                .map_or_else(|| PolicyName::new(format!("{}:{line}", source.name)), PolicyName::new);
            check_annotations(&file, &policy, place, &name, &mut mistakes);
            if let Some((first, _)) = found.iter().find(|(_, other)| *other == name) {
                let first = first.id().to_string();
                let message = format!("two policies are called {name:?}", name = name.as_str());
                let help =
                    format!("give one of them another @id: the audit tells them apart by it ({first})");
                mistakes.push(at_policy(&file, place, message, "called the same").with_help(help));
            }
            let id = PolicyId::new(format!("{number}/{place}"));
            found.push((policy.new_id(id), name));
        }
        files.push(file);
    }
    validate(&files, &found, &mut mistakes);
    let order: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
    if let Some(errors) = PolicyErrors::of(mistakes, &order) {
        return Err(errors);
    }

    let mut index = Index::default();
    let mut rules = Vec::with_capacity(found.len());
    for (policy, name) in found {
        let scope = Scope::of(&policy, &mut people, inventory);
        let reads = Reads::of(&policy);
        index.add(u32::try_from(rules.len()).unwrap_or(u32::MAX), &scope, reads);
        // Only literals in the scope or in conditions tell people apart; both must get their own place.
        names::people_named(&policy, &mut people);
        rules.push(Rule {
            name,
            effect: match policy.effect() {
                CedarEffect::Permit => Effect::Permit,
                CedarEffect::Forbid => Effect::Forbid,
            },
            reason: policy.annotation("reason").map(Box::from),
            reads,
            conditional: policy.has_non_scope_constraint(),
            alone: PolicySet::from_policies([policy]).expect("one policy has one id"),
            scope,
        });
    }
    Ok(Rules { rules, index, people })
}

/// The policies of a file with their places. Of a file that does not parse, those that do.
fn parse(file: &File, mistakes: &mut Vec<Mistake>) -> Vec<(CedarPolicy, usize)> {
    let whole = file.text().parse::<PolicySet>();
    let errors = match whole {
        Ok(set) => {
            let template = set.templates().next().is_some();
            let mut policies: Vec<CedarPolicy> = set.policies().cloned().collect();
            // Cedar calls them policy0, policy1, … in the order of the text.
            policies.sort_by_key(|policy| {
                policy.id().to_string().trim_start_matches("policy").parse::<usize>().unwrap_or(usize::MAX)
            });
            if !template && policies.len() == file.scan.policies.len() {
                let places = file.scan.policies.iter().map(|range| range.start);
                return policies.into_iter().zip(places).collect();
            }
            None
        }
        Err(errors) => Some(errors),
    };
    let mut policies = Vec::new();
    let before = mistakes.len();
    if file.text().len() <= SALVAGED_BYTES {
        for range in &file.scan.policies {
            // Blanks before it keep every place in the text right.
            let padded = " ".repeat(range.start) + &file.text()[range.clone()];
            match CedarPolicy::parse(None, &padded) {
                Ok(policy) => policies.push((policy, range.start)),
                Err(found) => {
                    found.iter().for_each(|error| mistakes.push(translate(file, error, range.start)));
                }
            }
        }
    }
    if mistakes.len() == before {
        match errors {
            Some(errors) => {
                errors.iter().for_each(|error| mistakes.push(translate(file, error, 0)));
            }
            None => mistakes.push(
                at_policy(file, 0, "templates are not supported", "in this file")
                    .with_help("write a policy without ?principal and ?resource for each case".to_owned()),
            ),
        }
    }
    policies
}

/// Strict validation against the schema. A policy that can never apply is a mistake as well.
fn validate(files: &[File], found: &[(CedarPolicy, PolicyName)], mistakes: &mut Vec<Mistake>) {
    let Ok(all) = PolicySet::from_policies(found.iter().map(|(policy, _)| policy.clone())) else {
        return;
    };
    let own = mistakes.len();
    // Level 1: only principal, action, resource and context are in a request, so nothing else can be
    // looked into. `Avatar::"x" in Group::"y"` would silently be false.
    let result = Validator::new(schema().clone()).validate_with_level(&all, ValidationMode::Strict, 1);
    let mut wrong: Vec<&PolicyId> = Vec::new();
    for error in result.validation_errors() {
        wrong.push(error.policy_id());
        let help = match error {
            ValidationError::EntityDerefLevelViolation(_) => {
                Some("conditions can look into principal, action, resource and context only, one step deep")
            }
            _ => None,
        };
        add(files, error.policy_id(), error, help, own, mistakes);
    }
    for warning in result.validation_warnings() {
        // That a policy with a mistake cannot apply is no news.
        if !wrong.contains(&warning.policy_id()) {
            add(files, warning.policy_id(), warning, None, own, mistakes);
        }
    }
}

/// Adds a finding of the validator unless one of ours already marks the place.
fn add(
    files: &[File],
    id: &PolicyId,
    finding: &dyn Diagnostic,
    help: Option<&str>,
    own: usize,
    mistakes: &mut Vec<Mistake>,
) {
    let id = id.to_string();
    let Some((file, place)) = id.split_once('/') else { return };
    let (Ok(file), Ok(place)) = (file.parse::<usize>(), place.parse::<usize>()) else { return };
    let file = &files[file];
    let mut mistake = translate(file, finding, place);
    if let Some(help) = help {
        mistake = mistake.with_help(help.to_owned());
    }
    let whole = file.scan.policies.iter().find(|range| range.start == place);
    let known = mistakes[..own].iter().any(|other| {
        let (Some(ours), Some(theirs)) = (other.span(), mistake.span()) else { return false };
        let same_file = other.file() == mistake.file();
        // A finding without a place of its own marks the whole policy.
        let inside = whole.is_some_and(|whole| whole.start <= ours.start && ours.end <= whole.end);
        same_file && (ours.start < theirs.end && theirs.start < ours.end || theirs.start == place && inside)
    });
    // Cedar repeats itself for every action that a policy is about.
    let said =
        mistakes[own..].iter().any(|other| other.file() == mistake.file() && other.span() == mistake.span());
    if !known && !said {
        mistakes.push(mistake);
    }
}

/// A finding of Cedar in our form. `place` is where to point if it does not say.
fn translate(file: &File, finding: &dyn Diagnostic, place: usize) -> Mistake {
    let label = finding.labels().and_then(|mut labels| labels.next());
    let message = plain(&finding.to_string());
    let help = finding.help().map(|help| plain(&help.to_string()));
    let mistake = match label {
        Some(label) => {
            let span = label.offset()..label.offset() + label.len().max(1);
            Mistake::at(&file.source, span, message, label.label().unwrap_or("here"))
        }
        None => at_policy(file, place, message, "in this policy"),
    };
    mistake.with_help(help)
}

/// Cedar begins with the number that we gave the policy, which people know by its line, and may end
/// with whichever action it tried first.
fn plain(message: &str) -> String {
    let message = message.split(" for Primrack::Action::").next().unwrap_or(message);
    let rest = message.strip_prefix("for policy `").and_then(|rest| rest.split_once('`'));
    rest.map_or(message, |(_, rest)| rest.trim_start_matches([',', ':', ' '])).to_owned()
}

/// A mistake that marks the first line of a policy.
fn at_policy(file: &File, place: usize, message: impl Into<String>, label: &str) -> Mistake {
    let rest = file.text().get(place..).unwrap_or_default();
    let length = rest.find('\n').unwrap_or(rest.len()).max(1);
    Mistake::at(&file.source, place..place + length, message, label)
}

/// `@id` and `@reason` are shown to people and kept in the audit.
fn check_annotations(
    file: &File,
    policy: &CedarPolicy,
    place: usize,
    name: &PolicyName,
    mistakes: &mut Vec<Mistake>,
) {
    let mut known: HashMap<&str, &str> = HashMap::from([("id", ""), ("reason", "")]);
    for (key, value) in policy.annotations() {
        if known.insert(key, value).is_none() {
            let message = format!("nobody reads the annotation @{key}");
            mistakes.push(at_policy(file, place, message, "annotated here").with_help(
                "there are @id(\"…\"), the rule's name, and @reason(\"…\"), what a refusal says".to_owned(),
            ));
        }
    }
    if name.as_str() == PROTECTED_RULE {
        let message = format!("{PROTECTED_RULE:?} is the name of the built-in rule for protected targets");
        mistakes.push(
            at_policy(file, place, message, "called so here").with_help("choose another @id".to_owned()),
        );
    }
    let shown = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
    if !shown(name.as_str()) || SmolStr::new(name.as_str()).len() > 64 {
        let message = "this @id cannot be shown".to_owned();
        mistakes.push(
            at_policy(file, place, message, "has the @id")
                .with_help("1 to 64 bytes without line breaks, such as \"night-watch\"".to_owned()),
        );
    }
    let Some(reason) = policy.annotation("reason") else { return };
    if !shown(reason) || reason.len() > REASON_BYTES {
        let message = format!("this @reason cannot be shown in a region: it has {} bytes", reason.len());
        let help = format!("one sentence of 1 to {REASON_BYTES} bytes, without line breaks");
        mistakes.push(at_policy(file, place, message, "has the @reason").with_help(help));
    }
    if policy.effect() == CedarEffect::Permit {
        mistakes.push(
            at_policy(file, place, "a permit cannot have a @reason", "has the @reason")
                .with_help("only a forbid is explained to people; name a permit with @id".to_owned()),
        );
    }
}
