//! The proof that something may be done.

use std::fmt;
use std::sync::Arc;

use primrack_model::Intent;
use serde::Serialize;
use smol_str::SmolStr;

/// What a rule is called: its `@id`, else `file:line`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct PolicyName(SmolStr);

impl PolicyName {
    pub(crate) fn new(text: impl AsRef<str>) -> Self {
        Self(SmolStr::new(text))
    }
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An intent that policy allowed. Nothing is executed without one.
///
/// Only [`crate::Policy::decide`] makes it. It cannot be cloned or read from bytes, so each stands
/// for one decision about one intent.
///
/// ```compile_fail
/// fn forged(intent: primrack_model::Intent) -> primrack_policy::Permit {
///     primrack_policy::Permit { intent }
/// }
/// ```
///
/// ```compile_fail
/// fn twice(permit: &primrack_policy::Permit) -> primrack_policy::Permit {
///     permit.clone()
/// }
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Permit {
    intent: Intent,
    reasons: Arc<[PolicyName]>,
    version: Arc<str>,
}

impl Permit {
    pub(crate) fn new(intent: Intent, reasons: Arc<[PolicyName]>, version: Arc<str>) -> Self {
        Self { intent, reasons, version }
    }
    /// What may be done, for whom.
    #[must_use]
    pub fn intent(&self) -> &Intent {
        &self.intent
    }
    /// The rules that permit it, in the order of the files.
    #[must_use]
    pub fn reasons(&self) -> &[PolicyName] {
        &self.reasons
    }
    /// Which policy decided: see [`crate::Policy::version`].
    #[must_use]
    pub fn policy_version(&self) -> &str {
        &self.version
    }
    /// Gives the intent back; the permit is used up.
    #[must_use]
    pub fn into_intent(self) -> Intent {
        self.intent
    }
}
