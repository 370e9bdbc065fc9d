//! Who may do what: pure decisions; the only maker of a [`Permit`].
//!
//! ```text
//! sources ─ parse ─ validate against the schema ─ check names against the inventory ─▶ Policy
//! Intent ─▶ slice (rules whose scope fits) ─▶ Cedar for those with conditions ─▶ Permit | Refusal
//! ```
//!
//! What no rule permits is refused, and a forbid beats every permit. Two things go beyond Cedar:
//!
//! - **Protected targets.** A disruptive action on a target with `protected` counts only those
//!   permits whose scope is `resource == Primrack::Target::"that one"`. No policy file can lift this.
//! - **A forbid that cannot be evaluated forbids.** Cedar would skip it.
//!
//! What is looked at is not decided here, only what is done. Confirmation, a second person and
//! budgets are not in this room yet.

mod cache;
#[cfg(test)]
mod equivalence;
mod explain;
mod inputs;
mod literal;
mod load;
mod mistake;
mod people;
mod permit;
mod policy;
mod reads;
mod scope;
mod source;
mod vocabulary;
mod words;

pub use explain::{Considered, Effect, Explanation, Fit};
pub use mistake::{Mistake, PolicyErrors};
pub use permit::{Permit, PolicyName};
pub use policy::Policy;
pub use source::Source;
