//! The words of the model as the document lists them, taken from the model's own lists.

use primrack_engine::journal::Kind;
use primrack_model::{Action, Power};
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::SchemaFormat;

fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> Object {
    let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).enum_values(Some(words)).build()
}

/// What can be asked of a target.
pub(crate) fn action() -> Object {
    one_of(Action::ALL.map(Action::token))
}
/// What a machine says of itself.
pub(crate) fn power() -> Object {
    one_of(Power::ALL.map(Power::token))
}
/// What kind of thing a target is.
pub(crate) fn kind() -> Object {
    one_of(["machine", "output", "door", "alarm", "group"])
}
/// Who brought a state about.
pub(crate) fn cause() -> Object {
    one_of(["guest", "operator", "host", "crash"])
}
/// What the journal tells apart.
pub(crate) fn entry() -> Object {
    one_of(Kind::ALL.map(Kind::token))
}
/// An id as configuration has it.
pub(crate) fn id() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .pattern(Some("^[A-Za-z0-9][A-Za-z0-9._-]*$"))
        .min_length(Some(1))
        .max_length(Some(64))
        .build()
}
/// An intent's id.
pub(crate) fn intent() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .format(Some(SchemaFormat::Custom("uuid".to_owned())))
        .build()
}
/// Where a list goes on.
pub(crate) fn cursor() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .pattern(Some("^p[0-9]{1,9}$"))
        .build()
}

#[cfg(test)]
mod tests {
    use primrack_model::{Cause, TargetKind};
    use utoipa::openapi::schema::Object;

    fn holds(schema: &Object, word: &serde_json::Value) -> bool {
        schema.enum_values.as_ref().unwrap().contains(word)
    }

    #[test]
    fn every_word_of_the_model_is_in_its_list() {
        let kinds =
            [TargetKind::Machine, TargetKind::Output, TargetKind::Door, TargetKind::Alarm, TargetKind::Group];
        for word in kinds {
            assert!(holds(&super::kind(), &serde_json::to_value(word).unwrap()), "{word:?}");
        }
        for word in [Cause::Guest, Cause::Operator, Cause::Host, Cause::Crash] {
            assert!(holds(&super::cause(), &serde_json::to_value(word).unwrap()), "{word:?}");
        }
    }
}
