//! The texts a policy is made of.

use serde::{Deserialize, Serialize};

/// One policy file: its text and what to call it in messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The file's name, as messages show it.
    pub name: String,
    /// Cedar policies.
    pub text: String,
}

impl Source {
    /// A text under a name.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }
    /// The starter policy that is shipped as `starter.cedar`.
    #[must_use]
    pub fn starter() -> Self {
        Self::new("starter.cedar", include_str!("../starter.cedar"))
    }
    /// The rule for guests that is shipped as `guests.cedar`: any avatar may start and resume what is
    /// in the target group `public`. To be loaded beside the starter policy.
    #[must_use]
    pub fn guests() -> Self {
        Self::new("guests.cedar", include_str!("../guests.cedar"))
    }
}
