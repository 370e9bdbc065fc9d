//! What a rule's conditions look at: only that is put into a request, and only that keeps cached
//! answers apart.

use cedar_policy::Policy as CedarPolicy;
use serde_json::Value;

/// A set of things looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Reads(u16);

impl Reads {
    /// Nothing.
    pub(crate) const NONE: Self = Self(0);
    /// `context.edge`
    pub(crate) const EDGE: Self = Self(1);
    /// `context.object`
    pub(crate) const OBJECT: Self = Self(1 << 1);
    /// `context.unit`
    pub(crate) const UNIT: Self = Self(1 << 2);
    /// `context.strong`
    pub(crate) const STRONG: Self = Self(1 << 3);
    /// `context.hour`
    pub(crate) const HOUR: Self = Self(1 << 4);
    /// `context.weekday`
    pub(crate) const WEEKDAY: Self = Self(1 << 5);
    /// Any attribute of the target.
    pub(crate) const TARGET: Self = Self(1 << 6);
    /// Everything there is.
    pub(crate) const ALL: Self = Self((1 << 7) - 1);
    const CONTEXT: Self = Self(Self::ALL.0 & !Self::TARGET.0);

    pub(crate) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What a policy looks at; everything, when that cannot be told.
    pub(crate) fn of(policy: &CedarPolicy) -> Self {
        if !policy.has_non_scope_constraint() {
            return Self::NONE;
        }
        let Ok(json) = policy.to_json() else { return Self::ALL };
        let Some(conditions) = json.get("conditions") else { return Self::ALL };
        let mut reads = Self::NONE;
        walk(conditions, &mut reads);
        reads
    }
}

/// Goes through an expression in Cedar's JSON form.
fn walk(value: &Value, reads: &mut Reads) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(item, reads)),
        Value::Object(map) => {
            for (key, inside) in map {
                match (key.as_str(), variable(inside.get("left")), inside.get("attr")) {
                    ("." | "has", Some("context"), Some(attr)) => *reads = reads.and(field(attr)),
                    ("Var", ..) if inside == "context" => *reads = reads.and(Reads::CONTEXT),
                    ("." | "has", Some("resource"), _) => *reads = reads.and(Reads::TARGET),
                    ("==" | "!=" | "in" | "is", Some("resource"), _) => {
                        // Compared as a whole: the left side reads nothing, the rest may.
                        if let Value::Object(sides) = inside {
                            sides
                                .iter()
                                .filter(|(side, _)| *side != "left")
                                .for_each(|(_, v)| walk(v, reads));
                        }
                    }
                    ("Var", ..) if inside == "resource" => *reads = reads.and(Reads::TARGET),
                    _ => walk(inside, reads),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn variable(value: Option<&Value>) -> Option<&str> {
    value?.get("Var")?.as_str()
}

fn field(attr: &Value) -> Reads {
    match attr.as_str() {
        Some("edge") => Reads::EDGE,
        Some("object") => Reads::OBJECT,
        Some("unit") => Reads::UNIT,
        Some("strong") => Reads::STRONG,
        Some("hour") => Reads::HOUR,
        Some("weekday") => Reads::WEEKDAY,
        _ => Reads::CONTEXT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(condition: &str) -> Reads {
        let text = format!("permit(principal, action, resource) when {{ {condition} }};");
        Reads::of(&text.parse().unwrap())
    }

    #[test]
    fn a_condition_is_known_by_what_it_looks_at() {
        assert_eq!(reads("context.hour < 8 || context.weekday == 7"), Reads::HOUR.and(Reads::WEEKDAY));
        assert_eq!(reads("context has unit && context.unit == 3"), Reads::UNIT);
        assert_eq!(reads("[context.edge, context.edge].contains(context.edge)"), Reads::EDGE);
        assert_eq!(reads("resource.protected && resource has label"), Reads::TARGET);
        assert_eq!(reads("resource in P::G::\"x\" && resource == P::T::\"y\""), Reads::NONE);
        assert_eq!(reads("resource in [context.object]"), Reads::OBJECT);
        assert_eq!(reads("(if true then context else context).hour == 1"), Reads::CONTEXT);
        assert_eq!(reads("(if true then resource else resource).protected"), Reads::TARGET);
        assert_eq!(reads("context == {}"), Reads::CONTEXT);
        assert_eq!(reads("true"), Reads::NONE);
    }
}
