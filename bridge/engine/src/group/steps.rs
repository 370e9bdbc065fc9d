//! A group's command from its first step to its end.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use primrack_model::{
    Action, Group, Intent, IntentId, Inventory, Member, Outcome, Power, Ready, TargetIx, TargetKind,
};
use primrack_policy::Permit;
use smol_str::SmolStr;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::plan::Run;
use super::whole::names;
use crate::Engine;
use crate::book::{Finish, Stand};
use crate::engine::Going;

/// What somebody else's command of a member may take longer than its own deadline, until it is told.
const GRACE_MS: u64 = 5_000;

/// A group's command, as its steps see it.
struct Whole {
    ix: TargetIx,
    intent: Intent,
    /// As it was when the command was accepted.
    inventory: Arc<Inventory>,
    /// It was given up: nothing more is begun, nothing more is waited for.
    given_up: CancellationToken,
}

impl Whole {
    fn group(&self) -> Option<&Group> {
        self.inventory.group(self.ix)
    }
    fn label(&self, member: &Member) -> SmolStr {
        self.inventory.target(member.target).label.clone()
    }
}

impl Engine {
    /// Acts on the members in their order. The permit is for the group; every step gets its own.
    pub(crate) fn act_on_members(
        self: Arc<Self>,
        ix: TargetIx,
        permit: Permit,
        part_of: Option<IntentId>,
        mut finish: oneshot::Receiver<Finish>,
    ) -> BoxFuture<'static, Outcome> {
        // Boxed, since a group may contain groups.
        Box::pin(async move {
            let started = tokio::time::Instant::now();
            let whole = Arc::new(Whole {
                ix,
                intent: permit.into_intent(),
                inventory: self.book.inventory(),
                given_up: CancellationToken::new(),
            });
            // Whoever acted on it before has begun its last step when this is had.
            let turn = self.book.turn(ix);
            let _turn = turn.lock().await;
            let outcome = match whole.group() {
                Some(group) => self.go_through(&whole, group, &mut finish).await,
                None => Outcome::Failed("it is no group any more".to_owned()),
            };
            self.settle(ix, &whole.intent, part_of, &outcome, started);
            outcome
        })
    }

    async fn go_through(
        self: &Arc<Self>,
        whole: &Arc<Whole>,
        group: &Group,
        finish: &mut oneshot::Receiver<Finish>,
    ) -> Outcome {
        let action = whole.intent.action;
        let mut run = Run::new(group, action);
        let mut steps = FuturesUnordered::new();
        let mut failed: Vec<String> = Vec::new();
        let ended = loop {
            for at in run.next() {
                let (engine, whole) = (Arc::clone(self), Arc::clone(whole));
                steps.push(async move { (at, engine.step(&whole, at).await) });
            }
            let under_way: Vec<SmolStr> = run.under_way().map(|at| whole.label(&group.members[at])).collect();
            if under_way.is_empty() {
                break None;
            }
            let doing = TargetKind::Group.doing(action).to_lowercase();
            let now = names(under_way.iter().map(SmolStr::as_str));
            let words = format!("{doing} {} of {}: {now}", run.begun(), group.members.len());
            self.book.progress(whole.ix, whole.intent.id, &words);
            tokio::select! {
                biased;
                how = &mut *finish => break Some(self.finished(&whole.intent, how.ok())),
                () = self.stop.cancelled() => {
                    break Some(Outcome::Unknown("the bridge stopped meanwhile".to_owned()));
                }
                Some((at, how)) = steps.next() => {
                    run.ended(at, how.is_ok());
                    if let Err(why) = how {
                        failed.push(format!("{}: {why}", whole.label(&group.members[at])));
                    }
                }
            }
        };
        if let Some(outcome) = ended {
            // A step that is being decided is not dropped halfway; one whose effect is awaited is left to itself.
            whole.given_up.cancel();
            while steps.next().await.is_some() {}
            return outcome;
        }
        let left: Vec<SmolStr> = run.left().map(|at| whole.label(&group.members[at])).collect();
        if let Some(first) = failed.first() {
            let more =
                if failed.len() > 1 { format!("; {} more failed", failed.len() - 1) } else { String::new() };
            let left = if left.is_empty() {
                String::new()
            } else {
                format!(", not begun: {}", names(left.iter().map(SmolStr::as_str)))
            };
            let (done, all) = (run.done(), group.members.len());
            return Outcome::Failed(format!("{first}{more}; {done} of {all} done{left}"));
        }
        // Somebody may have undone meanwhile what was done first.
        let undone = group.members.iter().filter(|member| {
            let action = whole.inventory.target(member.target).kind.within_group(action);
            self.book.stand(member.target, action) != Stand::There || self.waits_for(whole, member).is_some()
        });
        let undone: Vec<SmolStr> = undone.map(|member| whole.label(member)).collect();
        if undone.is_empty() {
            Outcome::Done
        } else {
            let names = names(undone.iter().map(SmolStr::as_str));
            Outcome::Failed(format!("all was done, but it did not stay so: {names}"))
        }
    }

    /// One member, from what it is to what was asked for.
    async fn step(self: &Arc<Self>, whole: &Whole, at: usize) -> Result<(), String> {
        let Some(member) = whole.group().and_then(|group| group.members.get(at)) else {
            return Err("it is no member any more".to_owned());
        };
        let target = whole.inventory.target(member.target);
        let action = target.kind.within_group(whole.intent.action);
        match self.book.stand(member.target, action) {
            Stand::There => {}
            Stand::Coming => self.comes(whole, member.target, action, None).await?,
            Stand::Open | Stand::No(_) => {
                let intent = Intent {
                    id: IntentId::now(),
                    action,
                    target: target.id.clone(),
                    origin: None,
                    ..whole.intent.clone()
                };
                let (receipt, going) = self.decide_part(intent, Some(whole.intent.id)).await;
                match going {
                    Going::No => return Err(receipt.words),
                    Going::With(with) => self.comes(whole, member.target, action, Some(with)).await?,
                    Going::Ours(mut task) => {
                        let ended = tokio::select! {
                            ended = &mut task => ended,
                            () = whole.given_up.cancelled() => return Err("given up".to_owned()),
                        };
                        match ended {
                            Ok(Outcome::Done) => {}
                            Ok(Outcome::Failed(why) | Outcome::Unknown(why)) => {
                                // A stronger command took its place: what counts is what comes of that.
                                let Some(other) = self.book.intent_under_way(member.target) else {
                                    return Err(why);
                                };
                                self.comes(whole, member.target, action, Some(other)).await?;
                            }
                            Err(error) => return Err(format!("nobody saw how it ended: {error}")),
                        }
                    }
                }
            }
        }
        self.becomes_ready(whole, member).await
    }

    /// Waits for what is brought about by somebody else: by the command of that intent, or outside.
    async fn comes(
        &self,
        whole: &Whole,
        ix: TargetIx,
        action: Action,
        with: Option<IntentId>,
    ) -> Result<(), String> {
        let within = match whole.inventory.group(ix) {
            // It ends when each of its steps has ended, and they have deadlines.
            Some(_) => None,
            None => Some(self.deadline_ms(action) + GRACE_MS),
        };
        let come = self.until(whole, within, || {
            if with.is_some() && self.book.intent_under_way(ix) == with {
                return None;
            }
            match self.book.stand(ix, action) {
                Stand::There => Some(Ok(())),
                Stand::Coming => None,
                Stand::Open | Stand::No(_) => Some(Err(())),
            }
        });
        let word = || {
            let state = self.state(ix);
            let detail = if state.detail.is_empty() { String::new() } else { format!(" ({})", state.detail) };
            format!("is {}{detail}", state.word(whole.inventory.target(ix).kind))
        };
        match come.await {
            Some(Ok(())) => Ok(()),
            Some(Err(())) => Err(format!("{} after what somebody else did", word())),
            None => Err(format!("{}, and what somebody else began does not end", word())),
        }
    }

    /// Why a start has to wait for a member that is On, if it has to.
    fn waits_for(&self, whole: &Whole, member: &Member) -> Option<SmolStr> {
        if whole.intent.action != Action::Start || member.ready == Ready::On {
            return None;
        }
        self.book.is_ready(whole.ix, member.target).err()
    }

    async fn becomes_ready(&self, whole: &Whole, member: &Member) -> Result<(), String> {
        let ready = self.until(whole, Some(member.ready_within_ms), || {
            if self.waits_for(whole, member).is_none() {
                return Some(Ok(()));
            }
            let (power, _) = self.book.observed(member.target);
            (power != Power::On).then_some(Err(power))
        });
        match ready.await {
            Some(Ok(())) => Ok(()),
            Some(Err(power)) => {
                let word = whole.inventory.target(member.target).kind.word(power);
                Err(format!("was On, and is {word} before it was ready"))
            }
            None => {
                let why = self.waits_for(whole, member).unwrap_or_default();
                Err(format!("is On, but not ready after {} s: {why}", member.ready_within_ms / 1000))
            }
        }
    }

    /// Waits until the members show something. None: not in time, or the command was given up.
    async fn until<T>(
        &self,
        whole: &Whole,
        within_ms: Option<u64>,
        mut look: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        let mut nudged = self.book.nudged(whole.ix);
        let seen = async {
            loop {
                nudged.mark_unchanged();
                if let Some(seen) = look() {
                    return Some(seen);
                }
                if nudged.changed().await.is_err() {
                    return None;
                }
            }
        };
        let late = async {
            match within_ms {
                Some(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            seen = seen => seen,
            () = late => None,
            () = whole.given_up.cancelled() => None,
        }
    }
}
