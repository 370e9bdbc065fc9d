//! A question as Cedar wants it: principal, action, target and context, built for one decision and
//! dropped after it. Nothing is held per target.

use std::collections::{HashMap, HashSet};

use cedar_policy::{Context, Entities, Entity, EntityUid, Request, RestrictedExpression as Expr};
use primrack_model::{Action, Actor, GroupId, Inventory, TargetIx, UnixMs, Via};

use crate::people::canonical;
use crate::reads::Reads;
use crate::vocabulary::{action_index, edge_token, group_of, is_strong, target_kind_token, types, uid};

/// Who asks for what, through which door, when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) actor: &'a Actor,
    pub(crate) action: Action,
    pub(crate) target: TargetIx,
    pub(crate) via: &'a Via,
    pub(crate) at: UnixMs,
}

/// What Cedar evaluates rules against.
pub(crate) struct Inputs {
    pub(crate) request: Request,
    pub(crate) entities: Entities,
}

/// A question that cannot be put to Cedar. Not reachable with ids as the model makes them.
#[derive(Debug, thiserror::Error)]
#[error("cannot be put to Cedar: {0}")]
pub(crate) struct NotAsked(String);

/// Hour of the day, 0 to 23, and day of the week, 1 for Monday to 7 for Sunday, in UTC.
pub(crate) fn hour_and_weekday(at: UnixMs) -> (u8, u8) {
    let hours = at.seconds().div_euclid(3600);
    // 1970-01-01 was a Thursday.
    let weekday = (hours.div_euclid(24) + 3).rem_euclid(7) + 1;
    (u8::try_from(hours.rem_euclid(24)).unwrap_or(0), u8::try_from(weekday).unwrap_or(1))
}

impl Question<'_> {
    /// Builds what the rules look at: principal and target with what they belong to, and of
    /// attributes and context what is in `reads`.
    pub(crate) fn build(
        &self,
        inventory: &Inventory,
        groups: &[GroupId],
        reads: Reads,
    ) -> Result<Inputs, NotAsked> {
        let failed = |error: &dyn std::fmt::Display| NotAsked(error.to_string());
        let types = types();
        let principal = uid(types.kind(self.actor.kind), &canonical(self.actor.kind, &self.actor.id));
        let action = types.actions[action_index(self.action)].clone();
        let entry = inventory.target(self.target);
        let target = uid(&types.target, entry.id.as_str());

        let member_of: HashSet<EntityUid> =
            groups.iter().map(|group| uid(&types.group, group.as_str())).collect();
        let mut belongs_to: HashSet<EntityUid> =
            entry.groups.iter().map(|group| uid(&types.target_group, group.as_str())).collect();
        for (object, _) in inventory.shown_by(self.target) {
            belongs_to.insert(uid(&types.object, inventory.objects()[*object as usize].id.as_str()));
        }
        let mut attributes = HashMap::new();
        if reads.has(Reads::TARGET) {
            let kind = uid(&types.target_kind, target_kind_token(entry.kind));
            let backend = uid(&types.backend, entry.backend.as_str());
            attributes.insert("protected".to_owned(), Expr::new_bool(entry.protected));
            attributes.insert("kind".to_owned(), Expr::new_entity_uid(kind));
            attributes.insert("backend".to_owned(), Expr::new_entity_uid(backend));
            attributes.insert("label".to_owned(), Expr::new_string(entry.label.to_string()));
        }
        let entities = [
            Entity::new_no_attrs(principal.clone(), member_of),
            Entity::new_no_attrs(action.clone(), HashSet::from([uid(&types.action, group_of(self.action))])),
            if attributes.is_empty() {
                Entity::new_no_attrs(target.clone(), belongs_to)
            } else {
                Entity::new(target.clone(), attributes, belongs_to).map_err(|error| failed(&error))?
            },
        ];
        let entities = Entities::from_entities(entities, None).map_err(|error| failed(&error))?;
        let context = self.context(reads)?;
        let request =
            Request::new(principal, action, target, context, None).map_err(|error| failed(&error))?;
        Ok(Inputs { request, entities })
    }

    fn context(&self, reads: Reads) -> Result<Context, NotAsked> {
        let types = types();
        let mut pairs = Vec::new();
        if reads.has(Reads::EDGE) {
            let edge = uid(&types.edge, edge_token(self.via.edge));
            pairs.push(("edge".to_owned(), Expr::new_entity_uid(edge)));
        }
        if reads.has(Reads::OBJECT)
            && let Some(object) = &self.via.object
        {
            let object = uid(&types.object, object.as_str());
            pairs.push(("object".to_owned(), Expr::new_entity_uid(object)));
        }
        if reads.has(Reads::UNIT)
            && let Some(unit) = self.via.unit
        {
            pairs.push(("unit".to_owned(), Expr::new_long(i64::from(unit))));
        }
        if reads.has(Reads::STRONG) {
            pairs.push(("strong".to_owned(), Expr::new_bool(is_strong(self.actor.kind))));
        }
        let (hour, weekday) = hour_and_weekday(self.at);
        if reads.has(Reads::HOUR) {
            pairs.push(("hour".to_owned(), Expr::new_long(i64::from(hour))));
        }
        if reads.has(Reads::WEEKDAY) {
            pairs.push(("weekday".to_owned(), Expr::new_long(i64::from(weekday))));
        }
        Context::from_pairs(pairs).map_err(|error| NotAsked(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_and_hour_are_those_of_greenwich() {
        assert_eq!(hour_and_weekday(UnixMs(0)), (0, 4), "a Thursday");
        assert_eq!(hour_and_weekday(UnixMs(1_195_776_000_123)), (0, 5), "2007-11-23 was a Friday");
        assert_eq!(hour_and_weekday(UnixMs(-1)), (23, 3), "the evening before");
    }
}
