//! A prim: what it is called, where it is, what it looks like, what is in it.

use crate::geometry::{NO_ROTATION, Rotation, Vector};
use crate::ids::ObjectId;
use crate::inventory::Item;
use primrack_lsl::value::Text;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Faces that any prim can have.
pub(crate) const MAX_FACES: usize = 9;

#[derive(Debug, Clone)]
pub(crate) struct Prim {
    pub(crate) key: Uuid,
    /// The same as text, for scripts.
    pub(crate) key_text: Text,
    pub(crate) object: ObjectId,
    pub(crate) name: Text,
    pub(crate) description: Text,
    /// In the region for a root, from the root for a child.
    pub(crate) position: Vector,
    pub(crate) rotation: Rotation,
    pub(crate) size: Vector,
    pub(crate) shape: Shape,
    pub(crate) faces: Faces,
    pub(crate) text: Hover,
    pub(crate) light: Option<Box<Light>>,
    /// Radians a second about an axis, as `PRIM_OMEGA` has it; each viewer turns it for itself.
    pub(crate) spin: Vector,
    /// What is heard from it over and over, and how loud.
    pub(crate) sound: Option<Box<(Text, f64)>>,
    pub(crate) click_action: i32,
    pub(crate) material: i32,
    pub(crate) flags: Flags,
    pub(crate) pass_touches: bool,
    /// By name, as scripts see it.
    pub(crate) inventory: BTreeMap<String, Item>,
}

/// Switches that change nothing here but are kept for the scripts that read them back.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Flags {
    pub(crate) physics: bool,
    pub(crate) temporary: bool,
    pub(crate) phantom: bool,
}

/// `PRIM_POINT_LIGHT`, when it is on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Light {
    pub(crate) colour: Vector,
    pub(crate) intensity: f64,
    pub(crate) radius: f64,
    pub(crate) falloff: f64,
}

#[derive(Debug, Clone)]
pub(crate) struct Hover {
    pub(crate) words: Text,
    pub(crate) colour: Vector,
    pub(crate) alpha: f64,
}

/// `PRIM_TYPE`: the kind and its numbers, those that the kind has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shape {
    pub(crate) kind: i32,
    pub(crate) hole: i32,
    pub(crate) cut: Vector,
    pub(crate) hollow: f64,
    pub(crate) twist: Vector,
    /// Size of the top, for a box, cylinder or prism.
    pub(crate) top: Vector,
    pub(crate) shear: Vector,
    /// Begin and end of the dimple, for a sphere.
    pub(crate) dimple: Vector,
    /// What torus, tube and ring have besides.
    pub(crate) round: Round,
    pub(crate) sculpt: Option<(Uuid, i32)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Round {
    pub(crate) hole_size: Vector,
    pub(crate) profile_cut: Vector,
    pub(crate) taper: Vector,
    pub(crate) revolutions: f64,
    pub(crate) radius_offset: f64,
    pub(crate) skew: f64,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            kind: kind::BOX,
            hole: 0,
            cut: [0.0, 1.0, 0.0],
            hollow: 0.0,
            twist: [0.0; 3],
            top: [1.0, 1.0, 0.0],
            shear: [0.0; 3],
            dimple: [0.0, 1.0, 0.0],
            round: Round {
                hole_size: [1.0, 0.25, 0.0],
                profile_cut: [0.0, 1.0, 0.0],
                taper: [0.0; 3],
                revolutions: 1.0,
                radius_offset: 0.0,
                skew: 0.0,
            },
            sculpt: None,
        }
    }
}

/// Values of `PRIM_TYPE_…`.
pub(crate) mod kind {
    pub(crate) const BOX: i32 = 0;
    pub(crate) const CYLINDER: i32 = 1;
    pub(crate) const PRISM: i32 = 2;
    pub(crate) const SPHERE: i32 = 3;
    pub(crate) const TORUS: i32 = 4;
    pub(crate) const TUBE: i32 = 5;
    pub(crate) const RING: i32 = 6;
    pub(crate) const SCULPT: i32 = 7;
}

impl Shape {
    /// How many faces it has: those of the whole solid, one more inside a hollow, two more at a cut.
    pub(crate) fn sides(&self) -> usize {
        let whole = match self.kind {
            kind::BOX => 6,
            kind::CYLINDER => 3,
            kind::PRISM => 5,
            kind::TUBE => 4,
            kind::RING => 3,
            _ => 1,
        };
        let hollow = usize::from(self.hollow > 0.0);
        let cut = if self.cut[0] > 0.0 || self.cut[1] < 1.0 { 2 } else { 0 };
        if self.kind == kind::SCULPT { 1 } else { (whole + hollow + cut).min(MAX_FACES) }
    }
}

/// A face.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Face {
    pub(crate) colour: Vector,
    pub(crate) alpha: f64,
    pub(crate) glow: f64,
    pub(crate) bright: bool,
    pub(crate) texture: Uuid,
    pub(crate) repeats: Vector,
    pub(crate) offsets: Vector,
    pub(crate) turned: f64,
    pub(crate) shiny: i32,
    pub(crate) bump: i32,
}

impl Default for Face {
    fn default() -> Self {
        Self {
            colour: [1.0; 3],
            alpha: 1.0,
            glow: 0.0,
            bright: false,
            // The grids' plywood.
            texture: Uuid::from_u128(0x8955_6747_24cb_43ed_920b_47ca_ed15_465f),
            repeats: [1.0, 1.0, 0.0],
            offsets: [0.0; 3],
            turned: 0.0,
            shiny: 0,
            bump: 0,
        }
    }
}

/// All faces alike, as nearly always, or each its own.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Faces {
    Alike(Box<Face>),
    Each(Box<[Face; MAX_FACES]>),
}

impl Default for Faces {
    fn default() -> Self {
        Self::Alike(Box::default())
    }
}

impl Faces {
    pub(crate) fn get(&self, side: usize) -> &Face {
        match self {
            Self::Alike(f) => f,
            Self::Each(all) => &all[side.min(MAX_FACES - 1)],
        }
    }

    /// Changes one face, or with `None` every one. Says whether anything is different now.
    pub(crate) fn change(&mut self, side: Option<usize>, with: impl Fn(&mut Face)) -> bool {
        let before = self.clone();
        match (side, &mut *self) {
            (None, Self::Alike(f)) => with(f),
            (None, Self::Each(all)) => {
                all.iter_mut().for_each(&with);
                if all.iter().all(|f| *f == all[0]) {
                    *self = Self::Alike(Box::new(all[0]));
                }
            }
            (Some(side), _) if side < MAX_FACES => {
                let mut all = match self {
                    Self::Alike(f) => Box::new([**f; MAX_FACES]),
                    Self::Each(all) => all.clone(),
                };
                with(&mut all[side]);
                *self = if all.iter().all(|f| *f == all[0]) {
                    Self::Alike(Box::new(all[0]))
                } else {
                    Self::Each(all)
                };
            }
            (Some(_), _) => {}
        }
        before != *self
    }
}

impl Prim {
    pub(crate) fn new(key: Uuid, object: ObjectId, name: &str) -> Self {
        Self {
            key,
            key_text: key.to_string().into(),
            object,
            name: name.into(),
            description: Text::default(),
            position: [0.0; 3],
            rotation: NO_ROTATION,
            size: [0.5; 3],
            shape: Shape::default(),
            faces: Faces::default(),
            text: Hover { words: Text::default(), colour: [1.0; 3], alpha: 1.0 },
            light: None,
            spin: [0.0; 3],
            sound: None,
            click_action: 0,
            material: 3,
            flags: Flags::default(),
            pass_touches: false,
            inventory: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faces_part_when_one_changes_and_join_when_all_are_alike_again() {
        let mut f = Faces::default();
        assert!(f.change(Some(2), |x| x.glow = 0.5));
        assert!(matches!(f, Faces::Each(_)));
        assert!(!f.change(Some(2), |x| x.glow = 0.5), "nothing new");
        assert!(!f.change(Some(40), |x| x.glow = 0.5), "there is no such face");
        assert!(f.change(None, |x| x.glow = 0.5));
        assert!(matches!(f, Faces::Alike(_)));
    }

    #[test]
    fn a_hollow_or_cut_box_has_more_faces() {
        let mut s = Shape::default();
        assert_eq!(s.sides(), 6);
        s.hollow = 0.5;
        assert_eq!(s.sides(), 7);
        s.cut = [0.25, 1.0, 0.0];
        assert_eq!(s.sides(), 9);
    }
}
