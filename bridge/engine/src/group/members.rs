//! Whether a group may be acted on: each member must be able to do it, and its actor allowed to ask it.

use primrack_adapter_api::Capabilities;
use primrack_model::{Action, Actor, Intent, Refusal, RefusalCode, TargetId, TargetIx, UnixMs, Via};
use primrack_policy::Policy;

use super::plan;
use crate::Engine;

/// What can be done to a group.
const ACTIONS: &[Action] = &[Action::Start, Action::SoftOff, Action::HardOff];

impl Engine {
    /// What can be done to a group; none where the target is no group.
    pub(crate) fn group_capabilities(&self, ix: TargetIx) -> Option<Capabilities> {
        let inventory = self.book.inventory();
        let group = inventory.group(ix)?;
        let simulated = group.members.iter().any(|member| self.capabilities(member.target).simulated);
        Some(Capabilities { actions: ACTIONS, pushes_events: true, simulated })
    }

    /// The members by stage, where the target is a group.
    pub(crate) fn plan(&self, ix: TargetIx, action: Action) -> Vec<Vec<TargetId>> {
        let inventory = self.book.inventory();
        let Some(group) = inventory.group(ix) else { return Vec::new() };
        let id = |at: usize| inventory.target(group.members[at].target).id.clone();
        plan::stages(group, action).into_iter().map(|stage| stage.into_iter().map(id).collect()).collect()
    }

    /// Why a group's intent is refused as a whole because of a member, if it is.
    pub(crate) fn refuse_members(&self, ix: TargetIx, intent: &Intent) -> Option<Refusal> {
        let Intent { actor, action, via, at, .. } = intent;
        self.may_members(&self.policy(), (actor, *action), ix, (via, *at)).err()
    }

    /// Whether every member can be asked this, and by this actor: what somebody may not do to a member, they
    /// may not do through a group.
    pub(crate) fn may_members(
        &self,
        policy: &Policy,
        (actor, action): (&Actor, Action),
        ix: TargetIx,
        (via, at): (&Via, UnixMs),
    ) -> Result<(), Refusal> {
        let inventory = self.book.inventory();
        let Some(group) = inventory.group(ix) else { return Ok(()) };
        let whole = &inventory.target(ix).label;
        let no =
            |code, words: String| Err(Refusal::new(code, format!("Nothing is done to {whole}: {words}")));
        for member in &group.members {
            let target = inventory.target(member.target);
            let action = target.kind.within_group(action);
            if !self.capabilities(member.target).can(action) {
                let asked = target.kind.label(action);
                let words = format!("the backend of {} does not know {asked:?}.", target.label);
                return no(RefusalCode::NotSupported, words);
            }
            if let Err(Refusal { code, words }) = policy.may_at(actor, action, member.target, via, at) {
                return no(code, words);
            }
            self.may_members(policy, (actor, action), member.target, (via, at))?;
        }
        Ok(())
    }
}
