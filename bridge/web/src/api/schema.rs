//! The words of the model as the document lists them, taken from the model's own lists.

use primrack_engine::journal::Kind;
use primrack_model::{Action, Power};
use schemars::{Schema, SchemaGenerator, json_schema};

fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> Schema {
    let words: Vec<&str> = words.into_iter().collect();
    json_schema!({ "type": "string", "enum": words })
}

/// What can be asked of a target.
pub(crate) fn action(_: &mut SchemaGenerator) -> Schema {
    one_of(Action::ALL.map(Action::token))
}
/// Several of them.
pub(crate) fn actions(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": action(generator) })
}
/// What a machine says of itself.
pub(crate) fn power(_: &mut SchemaGenerator) -> Schema {
    one_of(Power::ALL.map(Power::token))
}
/// What kind of thing a target is.
pub(crate) fn kind(_: &mut SchemaGenerator) -> Schema {
    one_of(["machine", "output", "door", "alarm", "group"])
}
/// Who brought a state about.
pub(crate) fn cause(_: &mut SchemaGenerator) -> Schema {
    one_of(["guest", "operator", "host", "crash"])
}
/// What happens to the rest when a member of a group fails.
pub(crate) fn on_failure(_: &mut SchemaGenerator) -> Schema {
    one_of(["stop", "continue"])
}
/// What the journal tells apart.
pub(crate) fn entry(_: &mut SchemaGenerator) -> Schema {
    one_of(Kind::ALL.map(Kind::token))
}
/// An id as configuration has it.
pub(crate) fn id(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$", "minLength": 1, "maxLength": 64,
    })
}
/// An intent's id.
pub(crate) fn intent(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "uuid" })
}
/// Where a list goes on.
pub(crate) fn cursor(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^p[0-9]{1,9}$" })
}
/// What depends on what it is about.
pub(crate) fn object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object" })
}

#[cfg(test)]
mod tests {
    use primrack_model::{Cause, OnFailure, TargetKind};
    use serde::Serialize;

    use super::*;

    fn holds(schema: fn(&mut SchemaGenerator) -> Schema, word: impl Serialize) -> bool {
        let words = schema(&mut SchemaGenerator::default());
        words.get("enum").unwrap().as_array().unwrap().contains(&serde_json::to_value(word).unwrap())
    }

    #[test]
    fn every_word_of_the_model_is_in_its_list() {
        use TargetKind::{Alarm, Door, Group, Machine, Output};
        assert!([Machine, Output, Door, Alarm, Group].into_iter().all(|word| holds(kind, word)));
        assert!(
            [Cause::Guest, Cause::Operator, Cause::Host, Cause::Crash].into_iter().all(|w| holds(cause, w))
        );
        assert!([OnFailure::Stop, OnFailure::Continue].into_iter().all(|word| holds(on_failure, word)));
    }
}
