//! The region as a viewer sees it: prims with resolved positions, and what happens. Plain data, ready for JSON.

use crate::geometry::{Rotation, Vector};
use crate::ids::{AvatarKey, DialogId, ObjectId, PrimId};
use serde::Serialize;
use std::sync::Arc;
use uuid::Uuid;

/// A prim as it looks now. Lengths in metres, colours 0 to 1, rotation x, y, z, s; position and rotation are the region's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PrimView {
    /// Its name for viewers.
    pub id: PrimId,
    /// The object it belongs to.
    pub object: ObjectId,
    /// 0 for a prim on its own, 1 for a root, then the children.
    pub link: i32,
    /// Its UUID.
    pub key: Uuid,
    /// Name.
    pub name: String,
    /// Description.
    pub description: String,
    /// Owner of the object.
    pub owner: AvatarKey,
    /// Centre.
    pub position: Vector,
    /// Turn about the centre.
    pub rotation: Rotation,
    /// Edge lengths.
    pub size: Vector,
    /// Its shape.
    pub shape: ShapeView,
    /// The look of its first face; of all when `faces` is empty.
    pub face: FaceView,
    /// Each face's look, where they differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faces: Vec<FaceView>,
    /// Words above it.
    pub text: String,
    /// Their colour.
    pub text_colour: Vector,
    /// Their opacity.
    pub text_alpha: f64,
    /// The light that it gives to its surroundings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub light: Option<LightView>,
    /// Radians a second about an axis; each viewer turns it for itself.
    pub spin: Vector,
    /// The sound that is heard from it over and over: an asset's UUID, or a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sound: Option<String>,
    /// What a click does; 0 touches.
    pub click_action: i32,
    /// Whether a script hears touches of it.
    pub touchable: bool,
}

/// What a shape's numbers mean for a viewer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ShapeView {
    /// The solid.
    pub kind: ShapeKind,
    /// `PRIM_HOLE_…`.
    pub hole: i32,
    /// Where the cut begins and ends, 0 to 1.
    pub cut: [f64; 2],
    /// How hollow, 0 to 0.95.
    pub hollow: f64,
    /// Twist at begin and end, -1 to 1 of half a turn.
    pub twist: [f64; 2],
    /// Size of the top against the bottom as `PRIM_TYPE` has it: 1 the same, 0 a ridge, above 1 the bottom is narrower.
    pub top: [f64; 2],
    /// Shear of the top.
    pub shear: [f64; 2],
}

/// A solid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum ShapeKind {
    Box,
    Cylinder,
    Prism,
    Sphere,
    Torus,
    Tube,
    Ring,
    Sculpt,
}

/// A face's look.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FaceView {
    /// Red, green, blue.
    pub colour: Vector,
    /// Opacity.
    pub alpha: f64,
    /// How much it shines of itself, 0 to 1.
    pub glow: f64,
    /// Not darkened by shade.
    pub bright: bool,
}

/// A point light.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LightView {
    /// Red, green, blue.
    pub colour: Vector,
    /// 0 to 1.
    pub intensity: f64,
    /// How far it reaches, in metres.
    pub radius: f64,
}

/// An avatar.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AvatarView {
    /// UUID.
    pub key: AvatarKey,
    /// Name.
    pub name: String,
    /// Where it stands.
    pub position: Vector,
}

/// All there is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Snapshot {
    /// Always true: this region is no grid's.
    pub simulated: bool,
    /// Its name.
    pub region: String,
    /// The grid whose limits hold.
    pub profile: &'static str,
    /// Whether it is up.
    pub up: bool,
    /// Every prim, by id.
    pub prims: Vec<Arc<PrimView>>,
    /// Who is there.
    pub avatars: Vec<AvatarView>,
    /// Menus and text boxes that are open.
    pub dialogs: Vec<Dialog>,
}

/// A menu or text box in front of one avatar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dialog {
    /// Its name, for the answer.
    pub id: DialogId,
    /// Who sees it.
    pub avatar: AvatarKey,
    /// Whose it is.
    pub object: ObjectId,
    /// The object's name.
    pub from: String,
    /// The question.
    pub text: String,
    /// In the order of the script: three to a row, from the bottom. Empty for a text box.
    pub buttons: Vec<String>,
    /// A line of text is wanted instead of a button.
    pub text_box: bool,
}

/// How something was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Voice {
    /// 10 m.
    Whisper,
    /// 20 m.
    Say,
    /// 100 m.
    Shout,
    /// To the object's owner only.
    Owner,
    /// To one avatar only.
    Private,
    /// A message to one avatar, wherever it is.
    InstantMessage,
    /// A script's trouble, on the debug channel.
    Debug,
}

/// Something said that people can see.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chat {
    /// How.
    pub voice: Voice,
    /// UUID of the speaker.
    pub from: Uuid,
    /// Its name.
    pub name: String,
    /// Who alone sees it, if one does.
    pub to: Option<AvatarKey>,
    /// The words.
    pub text: String,
    /// Where it was said.
    pub position: Vector,
}

/// A call between a script and the outside, when it is over.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hop {
    /// Whose script.
    pub object: ObjectId,
    /// Which way.
    pub way: Way,
    /// Status as the caller saw it; 0 when the connection ended without one.
    pub status: u16,
    /// Microseconds from the call to the answer.
    pub micros: u64,
    /// Bytes sent by the caller.
    pub sent: usize,
    /// Bytes answered.
    pub received: usize,
}

/// Which way a call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// The script called.
    Out,
    /// The script was called.
    In,
}

/// Something happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum RegionEvent {
    /// These prims are new or look different.
    Prims {
        /// As they are now.
        prims: Vec<Arc<PrimView>>,
    },
    /// These prims are gone.
    Gone {
        /// Which.
        prims: Vec<PrimId>,
    },
    /// An avatar came or moved.
    Avatar {
        /// As it is now.
        avatar: AvatarView,
    },
    /// An avatar left.
    AvatarGone {
        /// Who.
        avatar: AvatarKey,
    },
    /// Somebody said something.
    Chat(Chat),
    /// A menu or text box opened.
    Dialog(Dialog),
    /// A menu or text box was answered or pushed out by newer ones.
    DialogClosed {
        /// Which.
        dialog: DialogId,
        /// Who saw it.
        avatar: AvatarKey,
    },
    /// A prim was touched.
    Touched {
        /// Which.
        prim: PrimId,
        /// By whom.
        avatar: AvatarKey,
    },
    /// A script stopped with a run-time error.
    ScriptError {
        /// Whose.
        object: ObjectId,
        /// Which prim it is in.
        prim: PrimId,
        /// The script's name.
        script: String,
        /// What went wrong.
        message: String,
        /// Source line, 1-based; 0 if unknown.
        line: u32,
    },
    /// A call is over.
    Hop(Hop),
    /// The region went down; script URLs are dead.
    Down,
    /// The region is up again.
    Up,
}
