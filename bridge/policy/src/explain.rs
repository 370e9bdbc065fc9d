//! "Why (not)?": what every rule says to a question, for the terminal.

use std::fmt;

use primrack_model::{Action, Actor, GroupId, RefusalCode, UnixMs, Via};
use serde::Serialize;

use crate::inputs::Question;
use crate::load::Rule;
use crate::permit::PolicyName;
use crate::policy::{Answer, PROTECTED_RULE, Policy, Said};
use crate::reads::Reads;
use crate::scope::{Scope, What, Who};
use crate::vocabulary::action_index;
use crate::words;

/// What a rule does when it applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// It lets.
    Permit,
    /// It refuses, whatever else permits.
    Forbid,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Permit => "permit",
            Self::Forbid => "forbid",
        })
    }
}

/// Whether a rule applies, and if not, what is missing first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// It applies.
    Applies,
    /// It permits, but does not name the protected target outright.
    PassedOver,
    /// It is about the action and the target, but about somebody else.
    OtherPerson,
    /// Its scope fits; its conditions do not hold.
    ConditionsFail,
    /// It could not be evaluated. A permit then lets nobody, a forbid refuses.
    NotEvaluated,
}

/// A rule about the action and the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Considered {
    /// The rule.
    pub rule: PolicyName,
    /// What it does when it applies.
    pub effect: Effect,
    /// Whether it applies.
    pub fit: Fit,
    /// Whom it is about, in words: `members of operators`.
    pub about: String,
    /// Whether it has conditions beyond its scope.
    pub conditional: bool,
}

/// A decision with its grounds. `Display` is for the terminal, several lines; serialised it is for
/// machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Whether it would be allowed.
    pub allowed: bool,
    /// Why not, for machines.
    pub code: Option<RefusalCode>,
    /// What the asker would be told; for a yes, one sentence with the rules.
    pub words: String,
    /// The rules that decided: those that permit, or the one that forbids.
    pub decided_by: Vec<PolicyName>,
    /// The groups that the asker is in.
    pub groups: Vec<GroupId>,
    /// The rules about this action and target, whomever they are about, in the order of the files.
    pub considered: Vec<Considered>,
    /// What would make it allowed, each alone.
    pub would_help: Vec<String>,
    /// Which policy this is about.
    pub policy_version: String,
}

impl Policy {
    /// Why somebody may or may not do something now, and what would be needed.
    #[must_use]
    pub fn explain(&self, actor: &Actor, action: Action, target: &str, via: &Via) -> Explanation {
        self.explain_at(actor, action, target, via, UnixMs::now())
    }
    /// [`Self::explain`] at a given time.
    #[must_use]
    pub fn explain_at(
        &self,
        actor: &Actor,
        action: Action,
        target: &str,
        via: &Via,
        at: UnixMs,
    ) -> Explanation {
        let policy_version = self.version().to_owned();
        let person = self.rules.people.find(actor);
        let groups = self.rules.people.groups(person).to_vec();
        let Some(ix) = self.inventory.find_target(target) else {
            let refusal = words::no_target(target);
            return Explanation {
                allowed: false,
                code: Some(refusal.code),
                words: refusal.words,
                decided_by: Vec::new(),
                groups,
                considered: Vec::new(),
                would_help: Vec::new(),
                policy_version,
            };
        };
        let question = Question { actor, action, target: ix, via, at };
        let guarded = words::is_guarded(self.inventory.target(ix), action);
        let answer = self.judge(&question, person);
        let mine = self.rules.index.about(action, actor.kind, person, &self.rules.people);
        let inputs = question.build(&self.inventory, &groups, Reads::ALL);

        let mut considered = Vec::new();
        let mut would_help = Vec::new();
        for (number, rule) in self.rules.rules.iter().enumerate() {
            let Rule { name, effect, scope, conditional, .. } = rule;
            if !scope.actions[action_index(action)] || !scope.is_about(ix, &self.inventory) {
                continue;
            }
            let is_mine = mine.iter().any(|mine| *mine as usize == number) && scope.allows_kind(actor);
            let fit = match inputs.as_ref().map(|inputs| self.ask(rule, inputs)) {
                Err(_) | Ok(Said::Failed) => Fit::NotEvaluated,
                Ok(Said::Yes) if guarded && *effect == Effect::Permit && !scope.names_outright() => {
                    Fit::PassedOver
                }
                Ok(Said::Yes) => Fit::Applies,
                Ok(Said::No) if is_mine => Fit::ConditionsFail,
                Ok(Said::No) => Fit::OtherPerson,
            };
            let about = self.about(scope);
            let usable = !guarded || scope.names_outright();
            match (effect, fit) {
                (Effect::Permit, Fit::OtherPerson) if usable => {
                    would_help.push(format!("{name} permits {about}"));
                }
                (Effect::Permit, Fit::ConditionsFail) if usable => {
                    would_help.push(format!("{name} would permit it if its conditions held"));
                }
                (Effect::Forbid, Fit::Applies) => {
                    would_help.push(format!("{name} forbids it; only a change of that rule helps"));
                }
                _ => {}
            }
            considered.push(Considered {
                rule: name.clone(),
                effect: *effect,
                fit,
                about,
                conditional: *conditional,
            });
        }
        if answer == Answer::Protected {
            would_help.push(format!(
                "{target} is protected: a permit with the scope `resource == Primrack::Target::{target:?}`"
            ));
        }
        let name_of = |number: u32| self.rules.rules[number as usize].name.clone();
        let decided_by = match &answer {
            Answer::Permitted(reasons) => reasons.to_vec(),
            Answer::Forbidden(number) | Answer::NotEvaluated(number) => vec![name_of(*number)],
            Answer::Protected => vec![PolicyName::new(PROTECTED_RULE)],
            Answer::NotPermitted => Vec::new(),
        };
        let (allowed, code, words) = if let Answer::Permitted(_) = answer {
            would_help.clear();
            let rules = decided_by.iter().map(PolicyName::as_str).collect::<Vec<_>>().join(", ");
            (
                true,
                None,
                format!(
                    "{} may {} {target}: {rules} permits it.",
                    actor.called(),
                    words::verb(self.inventory.target(ix), action)
                ),
            )
        } else {
            let refusal = self.refusal(&question, &answer);
            if would_help.is_empty() {
                would_help.push(format!("no rule permits {} on {target}: write one", action.token()));
            }
            (false, Some(refusal.code), refusal.words)
        };
        Explanation { allowed, code, words, decided_by, groups, considered, would_help, policy_version }
    }

    /// Whom and what a scope is about, in words.
    fn about(&self, scope: &Scope) -> String {
        let who = match &scope.who {
            Who::Anybody => "anybody".to_owned(),
            Who::Kind(kind) => format!("any {}", kind.token()),
            Who::Person(person) => self.rules.people.name(*person),
            Who::Group(group, None) => format!("members of {group}"),
            Who::Group(group, Some(kind)) => format!("any {} in {group}", kind.token()),
            Who::Nobody => "nobody".to_owned(),
        };
        let what = match &scope.what {
            What::Anything => return who,
            What::Target { ix, .. } => format!("target {}", self.inventory.target(*ix).id),
            What::TargetGroup(group) => format!("target group {group}"),
            What::Object(object) => format!("object {}", self.inventory.objects()[*object as usize].id),
            What::Nothing => "nothing".to_owned(),
        };
        format!("{who}, on {what}")
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", if self.allowed { "allowed" } else { "refused" }, self.words)?;
        let groups = self.groups.iter().map(GroupId::as_str).collect::<Vec<_>>().join(", ");
        writeln!(f, "  groups: {}", if groups.is_empty() { "none" } else { &groups })?;
        for Considered { rule, effect, fit, about, .. } in &self.considered {
            let fit = match fit {
                Fit::Applies => "applies",
                Fit::PassedOver => "does not name the protected target",
                Fit::OtherPerson => "is about somebody else",
                Fit::ConditionsFail => "its conditions do not hold",
                Fit::NotEvaluated => "could not be evaluated",
            };
            writeln!(f, "  {effect} {rule} ({about}): {fit}")?;
        }
        for help in &self.would_help {
            writeln!(f, "  would help: {help}")?;
        }
        write!(f, "  policy {}", self.policy_version)
    }
}
