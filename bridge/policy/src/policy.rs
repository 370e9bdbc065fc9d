//! The decision.

use std::cell::LazyCell;
use std::fmt;
use std::sync::Arc;

use cedar_policy::{Authorizer, Decision};
use primrack_model::{Action, Actor, Intent, Inventory, Person, Refusal, TargetIx, UnixMs, Via};
use sha2::{Digest, Sha256};

use crate::cache::{Answers, Key};
use crate::explain::Effect;
use crate::inputs::{Inputs, Question};
use crate::load::{Rule, Rules, load};
use crate::mistake::PolicyErrors;
use crate::people::PersonIx;
use crate::permit::{Permit, PolicyName};
use crate::reads::Reads;
use crate::source::Source;
use crate::vocabulary::SCHEMA;
use crate::words;

/// What the built-in rule for protected targets is called.
pub(crate) const PROTECTED_RULE: &str = "protected-target";

/// The rules in force: compiled, immutable, to be shared by `Arc`. A reload builds another.
pub struct Policy {
    pub(crate) rules: Rules,
    pub(crate) inventory: Arc<Inventory>,
    version: Arc<str>,
    authorizer: Authorizer,
    answers: Answers,
}

/// A decision without the words, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// These rules permit it.
    Permitted(Arc<[PolicyName]>),
    /// This rule forbids it.
    Forbidden(u32),
    /// This rule forbids, and could not be evaluated.
    NotEvaluated(u32),
    /// Only rules that do not name the protected target permit it.
    Protected,
    /// Nothing permits it.
    NotPermitted,
}

/// What one rule says to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// It applies.
    Yes,
    /// It does not.
    No,
    /// It could not be evaluated.
    Failed,
}

impl Policy {
    /// Compiles policy texts for an inventory. No text at all is a policy that refuses everything.
    ///
    /// Beyond Cedar's own checks, in strict mode against [`Self::schema`], these are mistakes: names
    /// of actions, groups, targets, target groups, objects and backends that are not there (except the
    /// groups `operators` and `owners` and the target group `public`, which may be empty), avatars that
    /// are no UUID in lower case, a policy that can never apply, two policies of one name, templates,
    /// and looking into entities other than principal, action, resource and context.
    ///
    /// # Errors
    /// [`PolicyErrors`] with all mistakes of all texts, each with file, line, column and hint.
    pub fn load(sources: &[Source], inventory: Arc<Inventory>) -> Result<Self, PolicyErrors> {
        let rules = load(sources, &inventory)?;
        let answers = Answers::new();
        Ok(Self { rules, inventory, version: version_of(sources), authorizer: Authorizer::new(), answers })
    }
    /// The starter policy, shipped as `starter.cedar`.
    #[must_use]
    pub fn starter() -> Source {
        Source::starter()
    }
    /// What policies can speak about, in Cedar's schema language; shipped as `primrack.cedarschema`.
    #[must_use]
    pub fn schema() -> &'static str {
        SCHEMA
    }
    /// Twelve hexadecimal digits that name the policy texts and the schema, for the audit.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }
    /// Everybody whom the configuration names.
    #[must_use]
    pub fn people_known(&self) -> &[Person] {
        self.inventory.people()
    }
    /// What targets there are.
    #[must_use]
    pub fn inventory(&self) -> &Arc<Inventory> {
        &self.inventory
    }
    /// The names of the rules in force, in the order of the files, the built-in one last.
    pub fn rule_names(&self) -> impl Iterator<Item = PolicyName> + '_ {
        self.rules.rules.iter().map(|rule| rule.name.clone()).chain([PolicyName::new(PROTECTED_RULE)])
    }

    /// Decides an intent, at the time when the bridge received it.
    ///
    /// # Errors
    /// The intent comes back with the [`Refusal`]: `NoTarget`, `NotPermitted` or `Forbidden`.
    pub fn decide(&self, intent: Intent) -> Result<Permit, (Intent, Refusal)> {
        let Some(target) = self.inventory.find_target(intent.target.as_str()) else {
            let refusal = words::no_target(intent.target.as_str());
            return Err((intent, refusal));
        };
        let Intent { actor, action, via, at, .. } = &intent;
        let question = Question { actor, action: *action, target, via, at: *at };
        match self.answer(&question) {
            Answer::Permitted(reasons) => Ok(Permit::new(intent, reasons, Arc::clone(&self.version))),
            no => {
                let refusal = self.refusal(&question, &no);
                Err((intent, refusal))
            }
        }
    }
    /// The same decision without an intent, now: for menus, which offer only what would be allowed.
    ///
    /// # Errors
    /// The [`Refusal`] that an intent would get.
    pub fn may(&self, actor: &Actor, action: Action, target: TargetIx, via: &Via) -> Result<(), Refusal> {
        self.may_at(actor, action, target, via, UnixMs::now())
    }
    /// [`Self::may`] at a given time.
    ///
    /// # Errors
    /// The [`Refusal`] that an intent received then would get.
    pub fn may_at(
        &self,
        actor: &Actor,
        action: Action,
        target: TargetIx,
        via: &Via,
        at: UnixMs,
    ) -> Result<(), Refusal> {
        if self.inventory.targets().get(target.0 as usize).is_none() {
            return Err(words::no_target(&format!("number {}", target.0)));
        }
        let question = Question { actor, action, target, via, at };
        match self.answer(&question) {
            Answer::Permitted(_) => Ok(()),
            no => Err(self.refusal(&question, &no)),
        }
    }

    /// The kept answer, or a new one. An answer depends on nothing that is not in the key: the rules
    /// and the inventory never change, and what the rules about the action look at is asked for.
    fn answer(&self, question: &Question<'_>) -> Answer {
        let person = self.rules.people.find(question.actor);
        let reads = self.rules.index.reads(question.action);
        let key = Key::of(question, person, reads, &self.inventory);
        if let Some(answer) = self.answers.get(&key) {
            return answer;
        }
        let answer = self.judge(question, person);
        self.answers.keep(key, answer.clone());
        answer
    }

    /// Decides without looking at kept answers.
    pub(crate) fn judge(&self, question: &Question<'_>, person: PersonIx) -> Answer {
        let Question { actor, action, target, .. } = *question;
        let Self { rules: Rules { rules, index, people }, inventory, .. } = self;
        let slice: Vec<u32> = index
            .about(action, actor.kind, person, people)
            .into_iter()
            .filter(|number| rules[*number as usize].scope.is_about(target, inventory))
            .collect();
        if slice.is_empty() {
            return Answer::NotPermitted;
        }
        let rule = |number: &u32| &rules[*number as usize];
        // Built only if a rule has conditions: a scope alone is decided by the slice, which is exact.
        let inputs = LazyCell::new(|| {
            let reads = slice.iter().fold(Reads::NONE, |reads, number| reads.and(rule(number).reads));
            question.build(inventory, people.groups(person), reads)
        });
        let say = |rule: &Rule| {
            if !rule.scope.allows_kind(actor) {
                return Said::No;
            }
            if !rule.conditional {
                return Said::Yes;
            }
            inputs.as_ref().map_or(Said::Failed, |inputs| self.ask(rule, inputs))
        };
        let mut forbidden = None;
        for number in slice.iter().filter(|number| rule(number).effect == Effect::Forbid) {
            let found = match say(rule(number)) {
                Said::Yes => Answer::Forbidden(*number),
                Said::Failed => Answer::NotEvaluated(*number),
                Said::No => continue,
            };
            // The first that has words for people, else the first.
            if rule(number).reason.is_some() {
                return found;
            }
            forbidden.get_or_insert(found);
        }
        if let Some(found) = forbidden {
            return found;
        }
        let guarded = words::is_guarded(inventory.target(target), action);
        let mut reasons = Vec::new();
        let mut passed_over = false;
        for number in slice.iter().filter(|number| rule(number).effect == Effect::Permit) {
            if say(rule(number)) != Said::Yes {
                continue;
            }
            if guarded && !rule(number).scope.names_outright() {
                passed_over = true;
            } else {
                reasons.push(rule(number).name.clone());
            }
        }
        match (reasons.is_empty(), passed_over) {
            (false, _) => Answer::Permitted(reasons.into()),
            (true, true) => Answer::Protected,
            (true, false) => Answer::NotPermitted,
        }
    }

    /// Puts a question to one rule. A permit alone allows when it applies; a forbid alone never
    /// allows, so whether it applies shows in the reasons.
    pub(crate) fn ask(&self, rule: &Rule, inputs: &Inputs) -> Said {
        let response = self.authorizer.is_authorized(&inputs.request, &rule.alone, &inputs.entities);
        if response.diagnostics().errors().next().is_some() {
            return Said::Failed;
        }
        let applies = match rule.effect {
            Effect::Permit => response.decision() == Decision::Allow,
            Effect::Forbid => response.diagnostics().reason().next().is_some(),
        };
        if applies { Said::Yes } else { Said::No }
    }

    /// An answer that is a no, in words.
    pub(crate) fn refusal(&self, question: &Question<'_>, answer: &Answer) -> Refusal {
        let Question { actor, action, target, .. } = *question;
        let target = self.inventory.target(target);
        match answer {
            Answer::Forbidden(number) => {
                let Rule { name, reason, .. } = &self.rules.rules[*number as usize];
                words::forbidden(actor, action, target, name.as_str(), reason.as_deref())
            }
            Answer::NotEvaluated(number) => {
                words::not_evaluated(self.rules.rules[*number as usize].name.as_str())
            }
            Answer::Protected => words::protected(actor, action, target),
            Answer::NotPermitted | Answer::Permitted(_) => words::not_permitted(actor, action, target),
        }
    }
    #[cfg(test)]
    pub(crate) fn kept(&self) -> usize {
        self.answers.len()
    }
}

/// Names are hashed with their lengths, so that nothing can move from one text into another unseen.
fn version_of(sources: &[Source]) -> Arc<str> {
    let mut hash = Sha256::new();
    let parts = sources.iter().flat_map(|source| [source.name.as_str(), source.text.as_str()]);
    for part in [SCHEMA].into_iter().chain(parts) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("version", &self.version)
            .field("rules", &self.rules.rules.len())
            .field("answers", &self.answers)
            .finish_non_exhaustive()
    }
}
