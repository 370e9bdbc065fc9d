//! A no in one sentence for a person: under 160 bytes, whatever people and targets are called.

use primrack_model::{Action, Actor, Refusal, RefusalCode, TargetEntry, TargetKind};

/// The most bytes that a refusal has: less than 160.
const LIMIT: usize = 159;
/// As much as is shown of an actor's name.
const NAME: usize = 34;
/// As much as is shown of a target's label.
const LABEL: usize = 32;

/// No rule allows it.
pub(crate) fn not_permitted(actor: &Actor, action: Action, target: &TargetEntry) -> Refusal {
    let (who, what) = (who(actor), label(target));
    let ask = match group_hint(actor) {
        true => "Ask a region owner to add you to a group.",
        false => "See the policy files.",
    };
    refusal(
        RefusalCode::NotPermitted,
        &format!("{who} may not {} {what}: no rule allows it. {ask}", verb(target, action)),
    )
}

/// A rule forbids it, in the words of its `@reason` if it has one.
pub(crate) fn forbidden(
    actor: &Actor,
    action: Action,
    target: &TargetEntry,
    rule: &str,
    reason: Option<&str>,
) -> Refusal {
    match reason {
        Some(reason) => refusal(RefusalCode::Forbidden, reason),
        None => {
            let (who, what, rule) = (who(actor), label(target), cut(rule, 40));
            let words = format!("{who} may not {} {what}: the rule {rule} forbids it.", verb(target, action));
            refusal(RefusalCode::Forbidden, &words)
        }
    }
}

/// A rule that would let them exists, but none names the protected target.
pub(crate) fn protected(actor: &Actor, action: Action, target: &TargetEntry) -> Refusal {
    let (who, what) = (who(actor), label(target));
    let words = format!(
        "{what} is protected: {who} may {} it only by a rule that names it. Ask a region owner.",
        verb_it(target, action)
    );
    refusal(RefusalCode::Forbidden, &words)
}

/// There is no such target.
pub(crate) fn no_target(target: &str) -> Refusal {
    refusal(RefusalCode::NoTarget, &format!("There is no target called {}.", cut(target, 64)))
}

/// A rule that forbids could not be evaluated.
pub(crate) fn not_evaluated(rule: &str) -> Refusal {
    let words =
        format!("The rule {} could not be evaluated, so it forbids. Tell a region owner.", cut(rule, 64));
    refusal(RefusalCode::Forbidden, &words)
}

/// Whether a group is what they lack: a schedule or a client is not told to ask anybody.
fn group_hint(actor: &Actor) -> bool {
    use primrack_model::ActorKind as K;
    match actor.kind {
        K::Avatar | K::Badge | K::Web => true,
        K::Button | K::Mqtt | K::Schedule | K::Operator => false,
    }
}

fn refusal(code: RefusalCode, words: &str) -> Refusal {
    Refusal::new(code, cut(words, LIMIT))
}

fn who(actor: &Actor) -> String {
    cut(&actor.called(), NAME)
}

fn label(target: &TargetEntry) -> String {
    let label = if target.label.is_empty() { target.id.as_str() } else { target.label.as_str() };
    cut(label, LABEL)
}

/// The action within a sentence: `shut down`, or `open` where the target is a door.
pub(crate) fn verb(target: &TargetEntry, action: Action) -> String {
    target.kind.label(action).to_lowercase()
}

/// Whether only a rule that names the target outright may permit the action: what disturbs a protected
/// target, and the deletion of any.
pub(crate) fn is_guarded(target: &TargetEntry, action: Action) -> bool {
    action == Action::Delete || (target.protected && action.is_disruptive())
}

/// The action before "it": `shut` goes around it, so the plain verb of each.
fn verb_it(target: &TargetEntry, action: Action) -> &'static str {
    match action {
        Action::Start if target.kind == TargetKind::Door => "open",
        Action::SoftOff if target.kind == TargetKind::Door => "close",
        Action::Pause if target.kind == TargetKind::Alarm => "acknowledge",
        Action::Start => "start",
        Action::SoftOff | Action::HardOff => "stop",
        Action::Reboot => "reboot",
        Action::Reset => "reset",
        Action::Pause => "pause",
        Action::Resume => "resume",
        Action::Save => "save",
        Action::Restore => "restore",
        Action::Snapshot => "keep a snapshot of",
        Action::Revert => "revert",
        Action::Clone => "clone",
        Action::Migrate => "migrate",
        Action::Delete => "delete",
    }
}

/// At most `limit` bytes, whole characters, an ellipsis for what is missing, no control characters.
fn cut(text: &str, limit: usize) -> String {
    let clean: String = text.chars().filter(|c| !c.is_control()).collect();
    if clean.len() <= limit {
        return clean;
    }
    let mut end = limit.saturating_sub('…'.len_utf8());
    while !clean.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", clean[..end].trim_end())
}
