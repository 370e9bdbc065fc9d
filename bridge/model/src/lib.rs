//! The words of Primrack. Every other room speaks them; none of them does I/O.
//!
//! What passes between edges, engine and adapters is owned, serialisable data named by stable ids:
//! an edge makes an [`Intent`], policy turns it into a permit or a [`Refusal`], the asker gets a
//! [`Receipt`] at once, and what the machine does comes later as a [`StateEvent`] to everyone who
//! shows that target.

mod action;
mod actor;
mod group;
mod ids;
mod index;
mod intent;
mod inventory;
mod kind;
mod places;
mod power;
mod receipt;
mod state;
mod time;

pub use action::{Action, UnknownAction};
pub use actor::{Actor, ActorKind, UnknownActor};
pub use group::{
    GROUPS, Group, GroupError, GroupMistake, GroupPlan, MAX_DEPTH, MAX_MEMBERS, Member, MemberPlan,
    OnFailure, Ready,
};
pub use ids::{BackendId, BadId, GroupId, IntentId, ObjectId, TargetId};
pub use index::NameIndex;
pub use intent::{Command, Edge, Intent, OriginKey, Via};
pub use inventory::{
    Inventory, InventoryError, ObjectEntry, ObjectPlan, Person, TargetEntry, TargetIx, TargetKind, TouchMode,
};
pub use places::Places;
pub use power::{Cause, Power};
pub use receipt::{Receipt, Refusal, RefusalCode, Verdict};
pub use state::{
    About, Address, Generation, Load, Observation, Outcome, StateEvent, TargetState, Transition,
};
pub use time::UnixMs;
