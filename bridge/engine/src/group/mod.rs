//! Groups of targets: one intent, and a plan over its members.
//!
//! ```text
//! intent for the group ─▶ permitted for it and for every member? ─▶ journal, with the plan ─▶ receipt
//!    plan ─ next ─▶ step: an intent of its own ─▶ decide ─▶ admit ─▶ journal ─▶ adapter ─▶ On ─▶ ready?
//!      ▲                                                                                       │
//!      └──────────────────────────── done / failed ◀───────────────────────────────────────────┘
//! ```
//! A step passes through the same door as a touch of the member: it is decided again with the rules of that
//! moment, so a right that was withdrawn and the emergency stop hold for what has not begun.

mod keep;
mod members;
mod plan;
mod ready;
mod steps;
pub(crate) mod whole;
