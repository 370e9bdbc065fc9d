//! What stands in a region: a readable file, or made by a program. Racks are short to describe; anything else is an
//! object with its prims.

use crate::geometry::Vector;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// A room. In TOML:
///
/// ```
/// let room = primrack_region::Room::from_toml(r#"
/// [scripts]
/// greeter = 'default { touch_start(integer n) { llSay(0, "Hello, " + llDetectedName(0)); } }'
///
/// [[avatar]]
/// name = "Ada Lovelace"
/// position = [130.0, 126.0, 21.0]
///
/// [[rack]]
/// id = "rack-1"
/// position = [128.0, 128.0, 20.0]   # the middle of its foot
/// turned = 90.0                      # degrees, anticlockwise seen from above
/// units = 8
/// script = "greeter"
/// notecards = { "rack.conf" = "id = rack-1" }
///
/// [[object]]
/// [[object.prim]]                    # the root, then its children
/// name = "lamp"
/// position = [126.0, 128.0, 21.0]
/// size = [0.2, 0.2, 0.4]
/// scripts = [{ script = "greeter" }]
/// "#)?;
/// assert_eq!(room.rack[0].units, 8);
/// # Ok::<(), primrack_region::RoomError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Room {
    /// Script sources by the name that racks and objects use. A program may add ready ones.
    pub scripts: BTreeMap<String, String>,
    /// Who is there from the start.
    pub avatar: Vec<AvatarPlan>,
    /// Racks.
    pub rack: Vec<RackPlan>,
    /// Anything else.
    pub object: Vec<ObjectPlan>,
}

/// An avatar.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvatarPlan {
    /// Name, as people see it.
    pub name: String,
    /// UUID; made from the name if missing.
    #[serde(default)]
    pub key: Option<Uuid>,
    /// Where it stands, metres in the region.
    #[serde(default = "middle")]
    pub position: Vector,
}

/// A rack: a frame with units in front of it, numbered from the top, each a prim named `unit N`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RackPlan {
    /// Its name, the name of the root prim too.
    pub id: String,
    /// The middle of its foot, metres in the region.
    pub position: Vector,
    /// Degrees about the vertical, anticlockwise from above; 0 faces along x.
    #[serde(default)]
    pub turned: f64,
    /// How many units, 1 to 255.
    pub units: u8,
    /// Name in [`Room::scripts`].
    pub script: String,
    /// Notecards beside the script, by name.
    #[serde(default)]
    pub notecards: BTreeMap<String, String>,
    /// UUID of the owner; the first avatar if missing.
    #[serde(default)]
    pub owner: Option<Uuid>,
    /// UUID of the root prim; made from the id if missing.
    #[serde(default)]
    pub key: Option<Uuid>,
}

/// An object of one or more prims.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectPlan {
    /// Its prims, the root first; at least one.
    pub prim: Vec<PrimPlan>,
    /// UUID of the owner; the first avatar if missing.
    #[serde(default)]
    pub owner: Option<Uuid>,
    /// UUID of the root prim; made from name and place in the file if missing.
    #[serde(default)]
    pub key: Option<Uuid>,
}

/// A prim.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrimPlan {
    /// Name.
    pub name: String,
    /// Description.
    #[serde(default)]
    pub description: String,
    /// Centre: in the region for a root, from the root for a child.
    #[serde(default = "origin")]
    pub position: Vector,
    /// Degrees about the vertical.
    #[serde(default)]
    pub turned: f64,
    /// Edge lengths.
    #[serde(default = "half")]
    pub size: Vector,
    /// `PRIM_TYPE_…`: 0 box, 1 cylinder, 2 prism, 3 sphere, 4 torus, 5 tube, 6 ring.
    #[serde(default)]
    pub shape: i32,
    /// Colour, 0 to 1.
    #[serde(default = "white")]
    pub colour: Vector,
    /// Words above it.
    #[serde(default)]
    pub text: String,
    /// What runs in it.
    #[serde(default)]
    pub scripts: Vec<ScriptPlan>,
    /// Notecards in it, by name.
    #[serde(default)]
    pub notecards: BTreeMap<String, String>,
    /// Objects in it that a script can rez.
    #[serde(default)]
    pub contains: Vec<ObjectPlan>,
}

/// A script in a prim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptPlan {
    /// Name in [`Room::scripts`].
    pub script: String,
    /// Name in the inventory; the same if missing.
    #[serde(default)]
    pub name: Option<String>,
}

fn middle() -> Vector {
    [128.0, 128.0, 21.0]
}

fn origin() -> Vector {
    [0.0; 3]
}

fn half() -> Vector {
    [0.5; 3]
}

fn white() -> Vector {
    [1.0; 3]
}

/// What is wrong with a room.
#[derive(Debug, thiserror::Error)]
pub enum RoomError {
    /// It cannot be read.
    #[error("the room cannot be read: {0}")]
    Toml(#[from] toml::de::Error),
    /// It asks for a script that is not there.
    #[error("{object} wants a script {script:?}, which the room does not have; it has: {have}")]
    NoScript {
        /// Which object.
        object: String,
        /// Which script.
        script: String,
        /// What there is.
        have: String,
    },
    /// A rack has no units or an object too many prims.
    #[error("{object} has {count} {what}; there have to be 1 to {most}")]
    Count {
        /// Which object.
        object: String,
        /// Units or prims.
        what: &'static str,
        /// How many.
        count: usize,
        /// At most.
        most: usize,
    },
    /// Two things have one UUID.
    #[error("{object} has the UUID {key}, which something else has already")]
    SameKey {
        /// Which object.
        object: String,
        /// The UUID.
        key: Uuid,
    },
    /// A position or size is no number or out of the region.
    #[error("{object}: {what} is out of range")]
    Range {
        /// Which object.
        object: String,
        /// Position, size …
        what: &'static str,
    },
}

/// Metres from one unit to the next.
const PITCH: f64 = 0.14;

impl Room {
    /// Reads a room.
    ///
    /// # Errors
    ///
    /// [`RoomError::Toml`] with line and column. What does not fit together is found when the region starts.
    pub fn from_toml(text: &str) -> Result<Self, RoomError> {
        Ok(toml::from_str(text)?)
    }
}

impl RackPlan {
    /// The prims of the rack: frame first, then the units from the top.
    pub(crate) fn object(&self) -> ObjectPlan {
        let count = f64::from(self.units);
        let height = count * PITCH + 0.2;
        let prim = |name: String, position, size, colour| PrimPlan {
            name,
            description: String::new(),
            position,
            turned: 0.0,
            size,
            shape: 0,
            colour,
            text: String::new(),
            scripts: Vec::new(),
            notecards: BTreeMap::new(),
            contains: Vec::new(),
        };
        let [x, y, z] = self.position;
        let mut root =
            prim(self.id.clone(), [x, y, z + height / 2.0], [0.4, 0.9, height], [0.12, 0.13, 0.15]);
        root.turned = self.turned;
        root.scripts = vec![ScriptPlan { script: self.script.clone(), name: None }];
        root.notecards.clone_from(&self.notecards);
        let units = (1..=self.units).map(|n| {
            let up = (count + 1.0 - 2.0 * f64::from(n)) / 2.0 * PITCH;
            prim(format!("unit {n}"), [0.12, 0.0, up], [0.5, 0.8, 0.11], [0.6; 3])
        });
        let prim = std::iter::once(root).chain(units).collect();
        ObjectPlan { prim, owner: self.owner, key: self.key }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_in_the_file_names_its_line() {
        let e = Room::from_toml("[[rack]]\nid = 'a'\nunits = 300\n").unwrap_err().to_string();
        assert!(e.contains("line 3"), "{e}");
        let e = Room::from_toml("[[rack]]\nid = 'a'\nunit = 3\n").unwrap_err().to_string();
        assert!(e.contains("unit"), "{e}");
    }

    #[test]
    fn a_rack_has_its_units_from_the_top_within_the_frame() {
        let text = "[[rack]]\nid='r'\nposition=[1.0,2.0,20.0]\nunits=3\nscript='s'\n";
        let o = Room::from_toml(text).unwrap().rack[0].object();
        assert_eq!(o.prim.len(), 4);
        assert_eq!(o.prim[1].name, "unit 1");
        assert!(o.prim[1].position[2] > o.prim[3].position[2]);
        let top = o.prim[1].position[2] + o.prim[1].size[2] / 2.0;
        let frame = &o.prim[0];
        assert!(top < frame.size[2] / 2.0);
        assert!((frame.position[2] - frame.size[2] / 2.0 - 20.0).abs() < 1e-9, "it stands on its foot");
    }
}
