//! What stands in the demonstration's room: rack, door, switch, lamp, alarm and letter-box, each a few prims with the
//! names that the shipped scripts know their parts by. Lengths are metres; everything faces along -y.

use std::collections::BTreeMap;

use primrack_region::{ObjectPlan, PrimPlan, ScriptPlan};

const BOX: i32 = 0;
const CYLINDER: i32 = 1;
const SPHERE: i32 = 3;

const STEEL: [f64; 3] = [0.16, 0.18, 0.21];
const PALE: [f64; 3] = [0.42, 0.45, 0.5];
const UNKNOWN: [f64; 3] = [0.6, 0.6, 0.6];

/// A part of a thing before it is put together: name, solid, where its middle is above the thing's foot, size, colour.
type Part = (&'static str, i32, [f64; 3], [f64; 3], [f64; 3]);

/// The parts of one kind of thing, the root first, and its width; `None` for a kind that is no thing.
fn parts(kind: &str) -> Option<(f64, &'static [Part])> {
    Some(match kind {
        "door" => (
            1.55,
            &[
                ("frame", BOX, [0.0, 0.0, 2.13], [1.2, 0.16, 0.1], STEEL),
                ("frame", BOX, [-0.55, 0.0, 1.04], [0.1, 0.16, 2.08], STEEL),
                ("frame", BOX, [0.55, 0.0, 1.04], [0.1, 0.16, 2.08], STEEL),
                ("unit 1 leaf", BOX, [0.0, 0.0, 1.04], [0.98, 0.06, 2.04], UNKNOWN),
                ("light", BOX, [0.0, -0.09, 2.13], [0.24, 0.03, 0.05], UNKNOWN),
            ],
        ),
        "switch" => (
            0.85,
            &[
                ("post", BOX, [0.0, 0.04, 0.7], [0.12, 0.06, 1.4], STEEL),
                ("plate", BOX, [0.0, 0.0, 1.22], [0.68, 0.03, 0.54], PALE),
                ("unit 1 rocker", BOX, [0.0, -0.04, 1.22], [0.58, 0.1, 0.4], UNKNOWN),
                ("light", BOX, [0.0, -0.02, 1.47], [0.12, 0.02, 0.03], UNKNOWN),
                ("foot", BOX, [0.0, 0.04, 0.02], [0.4, 0.3, 0.04], STEEL),
            ],
        ),
        "lamp" => (
            0.65,
            &[
                ("pole", CYLINDER, [0.0, 0.0, 0.8], [0.06, 0.06, 1.6], STEEL),
                ("foot", CYLINDER, [0.0, 0.0, 0.02], [0.4, 0.4, 0.04], STEEL),
                ("unit 1 bulb", SPHERE, [0.0, 0.0, 1.78], [0.4, 0.4, 0.4], UNKNOWN),
                ("socket", CYLINDER, [0.0, 0.0, 1.58], [0.16, 0.16, 0.08], PALE),
            ],
        ),
        "alarm" => (
            0.8,
            &[
                ("pole", BOX, [0.0, 0.0, 0.75], [0.14, 0.14, 1.5], STEEL),
                ("foot", BOX, [0.0, 0.0, 0.02], [0.4, 0.4, 0.04], STEEL),
                ("unit 1 beacon", BOX, [0.0, 0.0, 1.75], [0.64, 0.3, 0.38], UNKNOWN),
                ("light", BOX, [0.0, -0.08, 1.36], [0.08, 0.02, 0.08], UNKNOWN),
                ("socket", CYLINDER, [0.0, 0.0, 1.53], [0.24, 0.24, 0.06], PALE),
            ],
        ),
        "letter-box" => (
            0.8,
            &[
                ("box", BOX, [0.0, 0.0, 1.05], [0.62, 0.4, 0.44], [0.2, 0.26, 0.36]),
                ("slot", BOX, [0.0, -0.205, 1.19], [0.44, 0.01, 0.03], [0.03, 0.03, 0.03]),
                ("post", BOX, [0.0, 0.0, 0.425], [0.1, 0.1, 0.85], STEEL),
                ("foot", BOX, [0.0, 0.0, 0.02], [0.4, 0.3, 0.04], STEEL),
                ("unit 1 flag", BOX, [0.04, -0.23, 1.0], [0.6, 0.03, 0.2], UNKNOWN),
            ],
        ),
        _ => return None,
    })
}

/// The width that a rack needs.
const RACK_WIDTH: f64 = 1.3;
/// How high a rack's units are together at most, and one of them.
const RACK_HEIGHT: f64 = 1.75;
const UNIT_HEIGHT: f64 = 0.22;

/// The width that a kind of thing needs.
pub(crate) fn width(kind: &str) -> f64 {
    parts(kind).map_or(RACK_WIDTH, |(width, _)| width)
}

/// A rack called `id`: a frame, and its units in front of it from the top.
pub(crate) fn rack(id: &str, units: u8, foot: [f64; 3], notecard: String) -> ObjectPlan {
    let pitch = (RACK_HEIGHT / f64::from(units.max(1))).min(UNIT_HEIGHT);
    let height = pitch * f64::from(units) + 0.14;
    let root = prim("rack", id, [foot[0], foot[1], foot[2] + height / 2.0], [1.1, 0.5, height], notecard);
    let units = (1..=units).map(|n| {
        let up = (f64::from(units) + 1.0 - 2.0 * f64::from(n)) / 2.0 * pitch;
        part(format!("unit {n}"), BOX, [0.0, -0.05, up], [1.0, 0.5, pitch * 0.84], UNKNOWN)
    });
    ObjectPlan { prim: std::iter::once(root).chain(units).collect(), owner: None, key: None }
}

/// A thing called `id` with its foot at `foot`; `None` for a kind that is no thing of parts. Its script and notecard are
/// in its root, which bears its name.
pub(crate) fn build(kind: &str, id: &str, foot: [f64; 3], notecard: String) -> Option<ObjectPlan> {
    let (_, parts) = parts(kind)?;
    let ((_, shape, at, size, colour), rest) = parts.split_first()?;
    let position = [foot[0] + at[0], foot[1] + at[1], foot[2] + at[2]];
    let mut root = prim(kind, id, position, *size, notecard);
    (root.shape, root.colour) = (*shape, *colour);
    let rest = rest.iter().map(|(name, shape, [x, y, z], size, colour)| PrimPlan {
        // A leaf that has its hinge on the right shows its face to whoever looks from the left.
        turned: if name.ends_with(" leaf") { 180.0 } else { 0.0 },
        ..part((*name).to_owned(), *shape, [x - at[0], y - at[1], z - at[2]], *size, *colour)
    });
    Some(ObjectPlan { prim: std::iter::once(root).chain(rest).collect(), owner: None, key: None })
}

/// A root, with script and notecard.
fn prim(kind: &str, id: &str, position: [f64; 3], size: [f64; 3], notecard: String) -> PrimPlan {
    PrimPlan {
        scripts: vec![ScriptPlan { script: kind.to_owned(), name: None }],
        notecards: BTreeMap::from([(format!("{kind}.conf"), notecard)]),
        ..part(id.to_owned(), BOX, position, size, STEEL)
    }
}

fn part(name: String, shape: i32, position: [f64; 3], size: [f64; 3], colour: [f64; 3]) -> PrimPlan {
    PrimPlan {
        name,
        description: String::new(),
        position,
        turned: 0.0,
        size,
        shape,
        colour,
        text: String::new(),
        scripts: Vec::new(),
        notecards: BTreeMap::new(),
        contains: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thing_stands_on_its_foot_with_one_part_that_shows_its_unit() {
        for kind in ["door", "switch", "lamp", "alarm", "letter-box"] {
            let thing = build(kind, "x", [10.0, 20.0, 30.0], String::new()).unwrap();
            let root = &thing.prim[0];
            assert_eq!(root.name, "x");
            let bottom = |prim: &PrimPlan, base: f64| base + prim.position[2] - prim.size[2] / 2.0;
            let lowest = thing.prim[1..]
                .iter()
                .map(|prim| bottom(prim, root.position[2]))
                .chain([bottom(root, 0.0)])
                .fold(f64::INFINITY, f64::min);
            assert!((30.0 - 1e-9..30.03).contains(&lowest), "{kind} stands at {lowest}");
            assert_eq!(thing.prim.iter().filter(|prim| prim.name.starts_with("unit 1 ")).count(), 1);
        }
        assert!(build("rack", "x", [0.0; 3], String::new()).is_none());
        for units in [1, 7, 40, 255] {
            let rack = rack("x", units, [10.0, 20.0, 30.0], String::new());
            assert_eq!(rack.prim.len(), usize::from(units) + 1);
            let (root, last) = (&rack.prim[0], &rack.prim[usize::from(units)]);
            assert!((root.position[2] - root.size[2] / 2.0 - 30.0).abs() < 1e-9 && root.size[2] < 1.95);
            assert!(last.position[2] - last.size[2] / 2.0 > -root.size[2] / 2.0);
        }
    }
}
