//! What people get wrong in a policy, and what they are told.

mod support;

use miette::{GraphicalReportHandler, GraphicalTheme};
use support::*;

#[expect(clippy::unwrap_used, reason = "a policy without mistakes fails the test")]
fn shown(rules: &str) -> String {
    let errors = load(rules).map(|_| "it was loaded").unwrap_err();
    let mut out = errors.to_string();
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(100);
    for mistake in errors.mistakes() {
        out.push('\n');
        handler.render_report(&mut out, mistake).unwrap();
    }
    out
}

/// As frozen beside this file.
macro_rules! same {
    ($shown:expr) => {
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!($shown) })
    };
}

#[test]
fn names_that_nothing_has() {
    same!(shown(
        "permit (\n  principal in Primrack::Group::\"operater\",\n  action == Primrack::Action::\"strat\",\n  \
         resource in Primrack::TargetGroup::\"wbe\"\n);\n\
         forbid (principal, action, resource == Primrack::Target::\"web1\");\n\
         forbid (principal, action, resource in Primrack::Object::\"cellar\");\n\
         forbid (principal == Primrack::Avatar::\"A0A0A0A0-0000-4000-8000-000000000001\", action, resource);\n\
         forbid (principal == Avatar::\"Ada\", action, resource)\n  when { resource.backend == Primrack::Backend::\"lokal\" };\n"
    ));
}

#[test]
fn what_the_schema_does_not_know() {
    same!(shown(
        "permit (principal is Primrack::Avatr, action, resource);\n\
         permit (principal, action, resource) when { resource.protcted };\n\
         permit (principal, action, resource) when { context.edge == Primrack::Edge::\"wolrd\" };\n\
         permit (principal, action, resource) when { context.object == Primrack::Object::\"rack-1\" };\n\
         permit (principal, action, resource) when { context.hour == \"3\" };\n"
    ));
}

#[test]
fn a_text_that_does_not_parse_hides_no_other_mistake() {
    same!(shown(
        "permit (principal, action resource);\n\
         permit (principal in Primrack::Group::\"onwers\", action, resource);\n\
         permit (principal, action, resource) when { resource.protcted };\n\
         allow (principal, action, resource);\n"
    ));
}

#[test]
fn what_could_never_match() {
    same!(shown(
        "permit (principal, action == Primrack::Action::\"operate\", resource);\n\
         permit (principal, action, resource) when { Primrack::Avatar::\"a0a0a0a0-0000-4000-8000-000000000001\" in Primrack::Group::\"owners\" };\n\
         permit (principal is Primrack::Avatar in Primrack::Group::\"owners\", action, resource is Primrack::Target) when { false };\n\
         permit (principal == ?principal, action, resource);\n"
    ));
}

#[test]
fn annotations_that_help_nobody() {
    same!(shown(
        "@id(\"owners-all\") permit (principal is Primrack::Web, action, resource);\n\
         @id(\"protected-target\") forbid (principal is Primrack::Web, action, resource);\n\
         @raeson(\"No.\") forbid (principal is Primrack::Web, action, resource);\n\
         @reason(\"Because.\") permit (principal is Primrack::Web, action, resource);\n\
         @reason(\"\") forbid (principal is Primrack::Web, action, resource);\n"
    ));
}

#[test]
fn places_are_given_as_numbers_too() {
    let errors =
        load("// é\n  forbid (principal, action, resource == Primrack::Target::\"web-11\");").unwrap_err();
    let [mistake] = errors.mistakes() else { panic!("{errors}") };
    assert_eq!(mistake.file(), Some("house.cedar"));
    assert_eq!(mistake.line_and_column(), Some((2, 60)));
    assert_eq!(mistake.message(), "no target is called \"web-11\"");
    assert_eq!(mistake.hint(), Some("did you mean \"web-1\"?"));
    assert_eq!(
        errors.to_string(),
        "the policy has a mistake: house.cedar:2:60: no target is called \"web-11\""
    );
}

#[test]
fn a_person_who_is_nobody_is_a_mistake_in_the_configuration() {
    let people = vec![primrack_model::Person { actor: "ada".into(), groups: Vec::new() }];
    let inventory = primrack_model::Inventory::new(Vec::new(), Vec::new(), people).unwrap();
    let errors = primrack_policy::Policy::load(&[], inventory.into()).unwrap_err();
    assert_eq!(errors.mistakes().len(), 1);
    assert!(errors.to_string().contains("in the list of people: \"ada\" names nobody"), "{errors}");
}
