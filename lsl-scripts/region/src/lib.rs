//! A small region that runs LSL scripts under the limits of the real grids. It is simulated, and says so in everything
//! that leaves it.
//!
//! ```text
//!   page, tests ── Region (handle) ──▶ one task owns the World ──▶ Script::run_slice ──▶ host: functions of the world
//!        ▲                                 │      ▲                                          │
//!        └────── RegionEvent (broadcast) ──┘      └── answers, requests ◀── net: HTTP out, HTTP in
//! ```
//!
//! * [`Room`]: what stands in the region, read from TOML or made by the program.
//! * [`Region`]: starts it, touches, answers dialogs, restarts; subscribes to what happens.
//! * [`view`]: prims and events as a viewer sees them.
//! * [`RegionSettings`], [`Knobs`]: which grid it resembles; slow, lossy.
//!
//! There is no physics and no land. A function that would need them stops its script with an error that names it.
//!
//! Deliberately absent: https in and out (a request for such a URL is denied, a call to one is answered with 499),
//! avatars that walk, permissions that a viewer would have to ask for.

mod clock;
mod geometry;
mod host;
mod ids;
mod inventory;
mod limits;
mod net;
mod object;
mod prim;
mod region;
mod room;
mod settings;
pub mod view;
mod world;

pub use ids::{AvatarKey, DialogId, ObjectId, PrimId};
pub use region::{Gone, Region, StartError, Taken};
pub use room::{AvatarPlan, ObjectPlan, PrimPlan, RackPlan, Room, RoomError, ScriptPlan};
pub use settings::{ClockKind, Knobs, Outbound, RegionSettings};
pub use view::{PrimView, RegionEvent, Snapshot};
pub use world::{Refusal, ScriptStatus};
