//! What the page shows, whatever the world behind it: plain data and one trait.
//!
//! Lengths are metres in region coordinates with z up; rotations are unit quaternions x, y, z, s; colours are as
//! the grids have them, 0 to 1 (sRGB). Everything here goes to browsers as it is, so nothing secret may get in.

use std::fmt;
use std::sync::Arc;

use primrack_model::{Power, TargetKind};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

/// A world that a page can show. A region simulator, or [`super::InventoryScene`] for everything else.
pub trait Scene: Send + Sync + 'static {
    /// Everything as it is now.
    fn snapshot(&self) -> SceneView;
    /// What changes from now on. The channel is bounded; whoever lags takes another snapshot.
    fn subscribe(&self) -> broadcast::Receiver<Arc<SceneEvent>>;
    /// Does what an avatar does. Called on a runtime thread: it hands over and returns.
    ///
    /// # Errors
    /// Why not, in words for the person at the page.
    fn act(&self, deed: Deed) -> Result<(), String>;
}

impl fmt::Debug for dyn Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scene")
    }
}

/// The region as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct RegionView {
    /// What it is called.
    pub name: String,
    /// Whether it is a simulation. The page says so on every view.
    pub simulated: bool,
    /// Extent in x and y, in metres.
    pub size: [f32; 2],
    /// One sentence about it, or nothing.
    #[serde(default)]
    pub note: String,
}

/// Somebody whom a visitor of the page may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AvatarView {
    /// Its id, as in [`Deed`].
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it may do, in words.
    #[serde(default)]
    pub note: String,
}

/// The solid a prim is drawn as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// A box.
    #[default]
    Box,
    /// A cylinder along z.
    Cylinder,
    /// A ball.
    Sphere,
    /// A ring about the x axis.
    Torus,
    /// Three sides, along z.
    Prism,
}

/// One prim.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PrimView {
    /// Stays the same while the prim exists.
    pub id: u32,
    /// The object it belongs to; empty for scenery.
    #[serde(default)]
    pub object: String,
    /// Its link number; 0 when it stands alone.
    #[serde(default)]
    pub link: u32,
    /// The unit of the object that it shows.
    #[serde(default)]
    pub unit: Option<u8>,
    /// Its solid.
    #[serde(default)]
    pub shape: Shape,
    /// Where its centre is.
    pub pos: [f32; 3],
    /// How it is turned.
    pub rot: [f32; 4],
    /// Its extent along its own axes.
    pub size: [f32; 3],
    /// Its colour.
    pub colour: [f32; 3],
    /// 0 is not seen, 1 is solid.
    pub alpha: f32,
    /// How much it glows, 0 to 1.
    #[serde(default)]
    pub glow: f32,
    /// Lit without a lamp.
    #[serde(default)]
    pub fullbright: bool,
    /// How far it lights its surroundings, in metres; 0 not at all.
    #[serde(default)]
    pub light: f32,
    /// Radians a second that it turns about the vertical by itself.
    #[serde(default)]
    pub spin: f32,
    /// Hover text; lines are divided by `\n`.
    #[serde(default)]
    pub text: String,
    /// Its colour.
    #[serde(default)]
    pub text_colour: [f32; 3],
    /// The prim's name.
    #[serde(default)]
    pub name: String,
}

impl PrimView {
    /// A solid box without text.
    #[must_use]
    pub fn cuboid(id: u32, name: &str, pos: [f32; 3], size: [f32; 3], colour: [f32; 3]) -> Self {
        Self {
            id,
            object: String::new(),
            link: 0,
            unit: None,
            shape: Shape::Box,
            pos,
            rot: [0.0, 0.0, 0.0, 1.0],
            size,
            colour,
            alpha: 1.0,
            glow: 0.0,
            fullbright: false,
            light: 0.0,
            spin: 0.0,
            text: String::new(),
            text_colour: [1.0; 3],
            name: name.to_owned(),
        }
    }
}

/// A command under way at a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransitionView {
    /// The action's label, such as `Start`.
    pub action: String,
    /// Who asked, for people to read.
    pub by: String,
    /// Since when, Unix milliseconds.
    pub since_ms: i64,
}

/// What a unit shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnitView {
    /// The object.
    pub object: String,
    /// What people call the object.
    pub object_label: String,
    /// The unit's number in it.
    pub unit: u8,
    /// The target's id.
    pub target: String,
    /// What people call the target.
    pub label: String,
    /// What kind of thing the target is.
    #[serde(default)]
    pub kind: TargetKind,
    /// The state as a token.
    pub power: Power,
    /// The state as a word, and who brought it about.
    pub word: String,
    /// A phrase for people.
    #[serde(default)]
    pub note: String,
    /// Share of one core, where known.
    #[serde(default)]
    pub cpu: Option<f32>,
    /// What is shown is the last word, and old.
    #[serde(default)]
    pub stale: bool,
    /// What is shown is simulated.
    #[serde(default)]
    pub simulated: bool,
    /// Since when, Unix milliseconds.
    pub since_ms: i64,
    /// The command under way.
    #[serde(default)]
    pub transition: Option<TransitionView>,
}

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct SceneView {
    /// The region.
    pub region: RegionView,
    /// Who a visitor may be.
    pub avatars: Vec<AvatarView>,
    /// What stands there.
    pub prims: Vec<PrimView>,
    /// What the units show.
    pub units: Vec<UnitView>,
    /// Whether a touch can do anything in this scene.
    pub touchable: bool,
}

/// One leg of the way of an action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hop {
    /// What passed it, such as `script` or `bridge`.
    pub name: String,
    /// How long it took, in milliseconds.
    pub ms: f32,
}

/// Something that changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum SceneEvent {
    /// These prims are new, or look different.
    Prims {
        /// As they are now.
        prims: Vec<PrimView>,
    },
    /// These prims are no more.
    Gone {
        /// By id.
        ids: Vec<u32>,
    },
    /// These units show something else.
    Units {
        /// As they are now.
        units: Vec<UnitView>,
    },
    /// Everything is different (a reset, a restart): viewers get a snapshot.
    Renewed,
    /// A menu for one avatar.
    Dialog {
        /// Whom it is for.
        to: String,
        /// Names it in [`Deed::Choose`].
        dialog: u32,
        /// What asks.
        from: String,
        /// What it says.
        text: String,
        /// Its buttons, in reading order.
        buttons: Vec<String>,
    },
    /// A box to write in, for one avatar.
    TextBox {
        /// Whom it is for.
        to: String,
        /// Names it in [`Deed::Write`].
        dialog: u32,
        /// What asks.
        from: String,
        /// What it says.
        text: String,
    },
    /// Words.
    Say {
        /// The only one who hears it; everybody when missing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<String>,
        /// Who speaks.
        from: String,
        /// What is said.
        text: String,
    },
    /// What an action took.
    Hops {
        /// Such as `Start web-1`.
        what: String,
        /// How it ended, in words.
        words: String,
        /// From touch to change.
        hops: Vec<Hop>,
    },
}

impl SceneEvent {
    /// The only avatar who may see it; everybody when `None`.
    #[must_use]
    pub fn to(&self) -> Option<&str> {
        match self {
            Self::Dialog { to, .. } | Self::TextBox { to, .. } => Some(to),
            Self::Say { to, .. } => to.as_deref(),
            Self::Prims { .. }
            | Self::Gone { .. }
            | Self::Units { .. }
            | Self::Renewed
            | Self::Hops { .. } => None,
        }
    }
}

/// What a visitor does as an avatar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "deed", deny_unknown_fields)]
pub enum Deed {
    /// Touches a prim.
    Touch {
        /// Who.
        avatar: String,
        /// Which prim, by id.
        prim: u32,
    },
    /// Presses a button of a menu.
    Choose {
        /// Who.
        avatar: String,
        /// Which menu.
        dialog: u32,
        /// The button's label.
        button: String,
    },
    /// Sends what was written into a text box.
    Write {
        /// Who.
        avatar: String,
        /// Which box.
        dialog: u32,
        /// The words.
        text: String,
    },
}

impl Deed {
    /// Who does it.
    #[must_use]
    pub fn avatar(&self) -> &str {
        match self {
            Self::Touch { avatar, .. } | Self::Choose { avatar, .. } | Self::Write { avatar, .. } => avatar,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_for_one_says_so() {
        let whisper = SceneEvent::Say { to: Some("ada".into()), from: "Rack".into(), text: "No.".into() };
        assert_eq!(whisper.to(), Some("ada"));
        let shout = SceneEvent::Say { to: None, from: "Rack".into(), text: "Hello.".into() };
        assert_eq!(shout.to(), None);
    }

    #[test]
    fn a_deed_reads_as_the_page_writes_it_and_nothing_else() {
        let deed: Deed = serde_json::from_str(r#"{"deed":"touch","avatar":"ada","prim":7}"#).unwrap();
        assert_eq!(deed, Deed::Touch { avatar: "ada".into(), prim: 7 });
        assert!(serde_json::from_str::<Deed>(r#"{"deed":"touch","avatar":"ada","prim":7,"as":1}"#).is_err());
        assert!(serde_json::from_str::<Deed>(r#"{"deed":"delete","avatar":"ada"}"#).is_err());
    }
}
