//! What prims look like and where they are: the parameter lists and the functions beside them.

use super::args::Rules;
use super::{Answer, Caller, HostFn, give, void};
use crate::geometry::{Vector, add, inverse, length, scale, sub, then};
use crate::ids::PrimId;
use crate::inventory::clip;
use crate::prim::{Face, Light, Prim, Shape, kind};
use crate::world::World;
use primrack_lsl::value::Text;
use primrack_lsl::{ErrorKind, RuntimeError, Value};
use uuid::Uuid;

pub(super) const TABLE: &[(&str, HostFn)] = &[
    ("llSetPrimitiveParams", |c, a| c.set_rules(-4, a.list(0)?)),
    ("llSetLinkPrimitiveParams", |c, a| c.set_rules(a.int(0)?, a.list(1)?)),
    ("llSetLinkPrimitiveParamsFast", |c, a| c.set_rules(a.int(0)?, a.list(1)?)),
    ("llGetPrimitiveParams", |c, a| c.get_rules(-4, a.list(0)?)),
    ("llGetLinkPrimitiveParams", |c, a| c.get_rules(a.int(0)?, a.list(1)?)),
    ("osGetLinkPrimitiveParams", |c, a| c.get_rules(a.int(0)?, a.list(1)?)),
    ("llSetText", |c, a| {
        let rules = [
            Value::Integer(rule::TEXT),
            Value::str(a.text(0)?),
            Value::Vector(a.vector(1)?),
            Value::Float(a.float(2)?),
        ];
        c.set_rules(-4, &rules)
    }),
    ("llSetColor", |c, a| c.paint(-4, a.int(1)?, Some(a.vector(0)?), None)),
    ("llSetLinkColor", |c, a| c.paint(a.int(0)?, a.int(2)?, Some(a.vector(1)?), None)),
    ("llSetAlpha", |c, a| c.paint(-4, a.int(1)?, None, Some(a.float(0)?))),
    ("llSetLinkAlpha", |c, a| c.paint(a.int(0)?, a.int(2)?, None, Some(a.float(1)?))),
    ("llGetColor", |c, a| {
        let p = c.here()?;
        let n = p.shape.sides();
        let colour = match usize::try_from(a.int(0)?) {
            Ok(side) => p.faces.get(side).colour,
            // All sides: their average.
            Err(_) => {
                scale((0..n).fold([0.0; 3], |sum, i| add(sum, p.faces.get(i).colour)), 1.0 / as_float(n))
            }
        };
        give(Value::Vector(colour))
    }),
    ("llGetAlpha", |c, a| {
        let p = c.here()?;
        let alpha = match usize::try_from(a.int(0)?) {
            Ok(side) => p.faces.get(side).alpha,
            // All sides: their sum, an oddity of both grids.
            Err(_) => (0..p.shape.sides()).map(|i| p.faces.get(i).alpha).sum(),
        };
        give(Value::Float(alpha))
    }),
    ("llSetTexture", |c, a| c.texture(-4, a.int(1)?, a.text(0)?)),
    ("llSetLinkTexture", |c, a| c.texture(a.int(0)?, a.int(2)?, a.text(1)?)),
    ("llGetTexture", |c, a| {
        let side = usize::try_from(a.int(0)?).unwrap_or(0);
        give(Value::str(c.here()?.faces.get(side).texture.to_string()))
    }),
    ("llGetNumberOfSides", |c, _| super::count(c.here()?.shape.sides())),
    ("llGetLinkNumberOfSides", |c, a| {
        let n = c
            .world
            .linked(c.prim, a.int(0)?)
            .iter()
            .filter_map(|p| c.world.prim(*p))
            .map(|p| p.shape.sides())
            .sum();
        super::count(n)
    }),
    ("llGetPos", |c, _| give(Value::Vector(c.world.place_of(c.prim).0))),
    ("llGetRootPosition", |c, _| {
        let root = c.root()?;
        give(Value::Vector(c.world.place_of(root).0))
    }),
    ("llGetLocalPos", |c, _| give(Value::Vector(c.here()?.position))),
    ("llGetRot", |c, _| give(Value::Rotation(c.world.place_of(c.prim).1))),
    ("llGetRootRotation", |c, _| {
        let root = c.root()?;
        give(Value::Rotation(c.world.place_of(root).1))
    }),
    ("llGetLocalRot", |c, _| give(Value::Rotation(c.here()?.rotation))),
    ("llGetScale", |c, _| give(Value::Vector(c.here()?.size))),
    ("llSetPos", |c, a| c.set_rules(-4, &[Value::Integer(rule::POSITION), Value::Vector(a.vector(0)?)])),
    ("llSetRegionPos", |c, a| {
        let to = a.vector(0)?;
        let inside = to.iter().all(|x| x.is_finite()) && to[..2].iter().all(|x| (0.0..=256.0).contains(x));
        if inside && (0.0..=4096.0).contains(&to[2]) {
            let root = c.root()?;
            if let Some(p) = c.world.prims.get_mut(&root) {
                p.position = to;
            }
            c.redraw_object()?;
            return super::yes(true);
        }
        super::yes(false)
    }),
    ("llSetRot", |c, a| c.set_rules(-4, &[Value::Integer(rule::ROTATION), Value::Rotation(a.rotation(0)?)])),
    ("llSetLocalRot", |c, a| {
        c.set_rules(-4, &[Value::Integer(rule::ROT_LOCAL), Value::Rotation(a.rotation(0)?)])
    }),
    ("llSetScale", |c, a| c.set_rules(-4, &[Value::Integer(rule::SIZE), Value::Vector(a.vector(0)?)])),
    ("llSetClickAction", |c, a| {
        c.set_rules(-4, &[Value::Integer(rule::CLICK_ACTION), Value::Integer(a.int(0)?)])
    }),
];

/// Values of `PRIM_…`.
mod rule {
    pub(super) const MATERIAL: i32 = 2;
    pub(super) const PHYSICS: i32 = 3;
    pub(super) const TEMP_ON_REZ: i32 = 4;
    pub(super) const PHANTOM: i32 = 5;
    pub(super) const POSITION: i32 = 6;
    pub(super) const SIZE: i32 = 7;
    pub(super) const ROTATION: i32 = 8;
    pub(super) const TYPE: i32 = 9;
    pub(super) const TEXTURE: i32 = 17;
    pub(super) const COLOR: i32 = 18;
    pub(super) const BUMP_SHINY: i32 = 19;
    pub(super) const FULLBRIGHT: i32 = 20;
    pub(super) const POINT_LIGHT: i32 = 23;
    pub(super) const GLOW: i32 = 25;
    pub(super) const TEXT: i32 = 26;
    pub(super) const NAME: i32 = 27;
    pub(super) const DESC: i32 = 28;
    pub(super) const ROT_LOCAL: i32 = 29;
    pub(super) const OMEGA: i32 = 32;
    pub(super) const POS_LOCAL: i32 = 33;
    pub(super) const LINK_TARGET: i32 = 34;
    pub(super) const SLICE: i32 = 35;
    pub(super) const CLICK_ACTION: i32 = 43;
}

use crate::world::changed;

#[expect(clippy::cast_precision_loss, reason = "a handful of faces")]
fn as_float(n: usize) -> f64 {
    n as f64
}

/// The face that a number means: `None` is all of them.
fn side(n: i32) -> Option<Option<usize>> {
    if n < 0 { Some(None) } else { usize::try_from(n).ok().filter(|n| *n < crate::prim::MAX_FACES).map(Some) }
}

fn unknown(rule: i32) -> RuntimeError {
    let name = primrack_lsl::tables::constants()
        .iter()
        .find(|k| {
            k.value == Value::Integer(rule)
                && k.name.starts_with("PRIM_")
                && ![
                    "PRIM_TYPE_",
                    "PRIM_HOLE_",
                    "PRIM_MATERIAL_",
                    "PRIM_BUMP_",
                    "PRIM_MEDIA_",
                    "PRIM_SHINY_",
                    "PRIM_ALPHA_MODE_",
                    "PRIM_SCULPT_",
                    "PRIM_PHYSICS_",
                    "PRIM_GLTF_ALPHA",
                    "PRIM_REFLECTION_PROBE_",
                    "PRIM_TEXGEN_",
                ]
                .iter()
                .any(|p| k.name.starts_with(p))
        })
        .map_or_else(|| format!("the rule {rule}"), |k| k.name.to_owned());
    RuntimeError::new(ErrorKind::Unsupported, format!("{name} is not available in this region"))
}

impl Caller<'_> {
    fn redraw_object(&mut self) -> Result<(), RuntimeError> {
        for p in self.object()?.prims.clone() {
            self.world.touch_up(p);
        }
        Ok(())
    }

    fn paint(&mut self, link: i32, face: i32, colour: Option<Vector>, alpha: Option<f64>) -> Answer {
        let Some(side) = side(face) else { return void() };
        for id in self.world.linked(self.prim, link) {
            let different = self.world.prims.get_mut(&id).is_some_and(|p| {
                p.faces.change(side, |f| {
                    if let Some(c) = colour {
                        f.colour = c.map(bound);
                    }
                    if let Some(a) = alpha {
                        f.alpha = bound(a);
                    }
                })
            });
            if different {
                self.world.touch_up(id);
                self.world.changed(id, changed::COLOR);
            }
        }
        void()
    }

    fn texture(&mut self, link: i32, face: i32, name: &str) -> Answer {
        let (Some(side), Ok(key)) = (side(face), Uuid::parse_str(name)) else {
            self.world.complain(self.me, &format!("there is no texture {:?}", clip(name, 64)));
            return void();
        };
        for id in self.world.linked(self.prim, link) {
            if self.world.prims.get_mut(&id).is_some_and(|p| p.faces.change(side, |f| f.texture = key)) {
                self.world.touch_up(id);
                self.world.changed(id, changed::TEXTURE);
            }
        }
        void()
    }

    fn set_rules(&mut self, link: i32, list: &[Value]) -> Answer {
        let mut rules = Rules::new(list, self.profile());
        let mut targets = self.world.linked(self.prim, link);
        while let Some(what) = rules.take() {
            let Value::Integer(what) = what else {
                return Err(RuntimeError::new(
                    ErrorKind::Argument,
                    "a rule of the list has to be an integer",
                ));
            };
            if *what == rule::LINK_TARGET {
                targets = self.world.linked(self.prim, rules.int()?);
                continue;
            }
            let before = rules;
            // The arguments are read for each prim; without any they still have to be there.
            if targets.is_empty() {
                let mut nobody = Prim::new(Uuid::nil(), crate::ids::ObjectId(0), "");
                apply(self.world, &mut nobody, None, *what, &mut rules)?;
            }
            for id in &targets {
                rules = before;
                self.apply(*id, *what, &mut rules)?;
            }
        }
        void()
    }

    fn apply(&mut self, id: PrimId, what: i32, rules: &mut Rules<'_>) -> Result<(), RuntimeError> {
        // Out of the map for a moment, so that the world can be asked about its surroundings.
        let root = self.world.root_of(id).filter(|r| *r != id);
        let Some(mut prim) = self.world.prims.remove(&id) else { return Ok(()) };
        let result = apply(self.world, &mut prim, root, what, rules);
        let moved = root.is_none()
            && matches!(what, rule::POSITION | rule::ROTATION | rule::POS_LOCAL | rule::ROT_LOCAL);
        self.world.prims.insert(id, prim);
        let done = result?;
        if let Some(mask) = done {
            self.world.touch_up(id);
            if moved {
                self.redraw_object()?;
            }
            if mask != 0 {
                self.world.changed(id, mask);
            }
        }
        Ok(())
    }

    fn get_rules(&mut self, link: i32, list: &[Value]) -> Answer {
        let mut rules = Rules::new(list, self.profile());
        let mut targets = self.world.linked(self.prim, link);
        let mut out = Vec::new();
        while let Some(what) = rules.take() {
            let Value::Integer(what) = what else {
                return Err(RuntimeError::new(
                    ErrorKind::Argument,
                    "a rule of the list has to be an integer",
                ));
            };
            if *what == rule::LINK_TARGET {
                targets = self.world.linked(self.prim, rules.int()?);
                continue;
            }
            let before = rules;
            for id in &targets {
                rules = before;
                read(self.world, *id, *what, &mut rules, &mut out)?;
            }
            if targets.is_empty() && takes_face(*what) {
                rules.int()?;
            }
        }
        give(Value::list(out))
    }
}

fn bound(x: f64) -> f64 {
    if x.is_nan() { 0.0 } else { x.clamp(0.0, 1.0) }
}

const fn takes_face(what: i32) -> bool {
    matches!(what, rule::COLOR | rule::TEXTURE | rule::FULLBRIGHT | rule::GLOW | rule::BUMP_SHINY)
}

/// Applies one rule. Gives what `changed` says about it, or `None` when all was so before. `root` is missing for a root.
fn apply(
    world: &World,
    p: &mut Prim,
    root: Option<PrimId>,
    what: i32,
    rules: &mut Rules<'_>,
) -> Result<Option<i32>, RuntimeError> {
    let faces = |p: &mut Prim, face: i32, mask: i32, with: &dyn Fn(&mut Face)| {
        side(face).and_then(|s| p.faces.change(s, with).then_some(mask))
    };
    Ok(match what {
        rule::NAME => {
            let name = rules.text()?;
            replace(&mut p.name, clip(&name, 63).into(), 0)
        }
        rule::DESC => {
            let text = rules.text()?;
            replace(&mut p.description, clip(&text, 127).into(), 0)
        }
        rule::POSITION | rule::POS_LOCAL => {
            let mut to = rules.vector()?;
            if root.is_none() {
                // A root moves 10 m at a time.
                let step = sub(to, p.position);
                let far = length(step);
                if far > 10.0 {
                    to = add(p.position, scale(step, 10.0 / far));
                }
            }
            replace(&mut p.position, to, 0)
        }
        rule::ROTATION => {
            let to = rules.rotation()?;
            let to = match root {
                // A child keeps its turn against the root; the grids, by an old slip, count the root's twice.
                Some(root) => then(to, inverse(world.place_of(root).1)),
                None => to,
            };
            replace(&mut p.rotation, to, 0)
        }
        rule::ROT_LOCAL => {
            let to = rules.rotation()?;
            replace(&mut p.rotation, to, 0)
        }
        rule::SIZE => {
            let size = rules.vector()?.map(|x| x.clamp(0.01, 64.0));
            replace(&mut p.size, size, changed::SCALE)
        }
        rule::TYPE => {
            let shape = shape(rules)?;
            replace(&mut p.shape, shape, changed::SHAPE)
        }
        rule::COLOR => {
            let (face, colour, alpha) = (rules.int()?, rules.vector()?.map(bound), bound(rules.float()?));
            faces(p, face, changed::COLOR, &|f| {
                f.colour = colour;
                f.alpha = alpha;
            })
        }
        rule::FULLBRIGHT => {
            let (face, bright) = (rules.int()?, rules.int()? != 0);
            faces(p, face, changed::TEXTURE, &|f| f.bright = bright)
        }
        rule::GLOW => {
            let (face, glow) = (rules.int()?, bound(rules.float()?));
            faces(p, face, changed::TEXTURE, &|f| f.glow = glow)
        }
        rule::BUMP_SHINY => {
            let (face, shiny, bump) = (rules.int()?, rules.int()?, rules.int()?);
            faces(p, face, changed::TEXTURE, &|f| {
                f.shiny = shiny;
                f.bump = bump;
            })
        }
        rule::TEXTURE => {
            let face = rules.int()?;
            let name = rules.text()?;
            let (repeats, offsets, turned) = (rules.vector()?, rules.vector()?, rules.float()?);
            let key = Uuid::parse_str(&name).ok();
            faces(p, face, changed::TEXTURE, &|f| {
                // A name that is no texture here leaves the texture as it was.
                f.texture = key.unwrap_or(f.texture);
                f.repeats = repeats;
                f.offsets = offsets;
                f.turned = turned;
            })
        }
        rule::TEXT => {
            let words = rules.text()?;
            let (colour, alpha) = (rules.vector()?.map(bound), bound(rules.float()?));
            let words: Text = clip(&words, world.limits.text).into();
            let same =
                p.text.words == words && p.text.colour == colour && p.text.alpha.to_bits() == alpha.to_bits();
            p.text = crate::prim::Hover { words, colour, alpha };
            (!same).then_some(0)
        }
        rule::POINT_LIGHT => {
            let on = rules.int()? != 0;
            let (colour, intensity) = (rules.vector()?.map(bound), bound(rules.float()?));
            let (radius, falloff) = (rules.float()?.clamp(0.1, 20.0), rules.float()?.clamp(0.0, 2.0));
            let light = Light { colour, intensity, radius, falloff };
            replace(&mut p.light, on.then(|| Box::new(light)), 0)
        }
        rule::OMEGA => {
            let (axis, rate, gain) = (rules.vector()?, rules.float()?, rules.float()?);
            // Without gain it stands.
            let rate = if gain == 0.0 || !rate.is_finite() { 0.0 } else { rate };
            replace(&mut p.spin, scale(axis, rate), 0)
        }
        rule::CLICK_ACTION => {
            let n = rules.int()?;
            replace(&mut p.click_action, n, 0)
        }
        rule::MATERIAL => {
            let n = rules.int()?;
            replace(&mut p.material, n, 0)
        }
        rule::PHYSICS => {
            p.flags.physics = rules.int()? != 0;
            if p.flags.physics {
                return Err(unknown(what));
            }
            None
        }
        rule::TEMP_ON_REZ => {
            p.flags.temporary = rules.int()? != 0;
            None
        }
        rule::PHANTOM => {
            p.flags.phantom = rules.int()? != 0;
            None
        }
        rule::SLICE => {
            let v = rules.vector()?;
            let mut shape = p.shape;
            shape.dimple = v;
            replace(&mut p.shape, shape, changed::SHAPE)
        }
        _ => return Err(unknown(what)),
    })
}

/// Puts a value in its place; the mask if it is another one.
fn replace<T: PartialEq>(place: &mut T, value: T, mask: i32) -> Option<i32> {
    let different = *place != value;
    *place = value;
    different.then_some(mask)
}

/// What follows `PRIM_TYPE`.
fn shape(rules: &mut Rules<'_>) -> Result<Shape, RuntimeError> {
    let kind = rules.int()?;
    let mut s = Shape { kind, ..Shape::default() };
    if kind == kind::SCULPT {
        let map = rules.text()?;
        s.sculpt = Some((Uuid::parse_str(&map).unwrap_or_default(), rules.int()?));
        return Ok(s);
    }
    if !(kind::BOX..=kind::RING).contains(&kind) {
        return Err(RuntimeError::new(ErrorKind::Argument, format!("there is no PRIM_TYPE {kind}")));
    }
    s.hole = rules.int()?;
    s.cut = cut(rules.vector()?, 0.02);
    s.hollow = rules.float()?.clamp(0.0, 0.95);
    s.twist = rules.vector()?.map(|x| x.clamp(-1.0, 1.0));
    match kind {
        kind::BOX | kind::CYLINDER | kind::PRISM => {
            s.top = rules.vector()?.map(|x| x.clamp(0.0, 2.0));
            s.shear = rules.vector()?.map(|x| x.clamp(-0.5, 0.5));
        }
        kind::SPHERE => s.dimple = cut(rules.vector()?, 0.02),
        _ => {
            let r = &mut s.round;
            r.hole_size = rules.vector()?;
            s.shear = rules.vector()?.map(|x| x.clamp(-0.5, 0.5));
            r.profile_cut = cut(rules.vector()?, 0.02);
            r.taper = rules.vector()?.map(|x| x.clamp(-1.0, 1.0));
            r.revolutions = rules.float()?.clamp(1.0, 4.0);
            r.radius_offset = rules.float()?.clamp(-1.0, 1.0);
            r.skew = rules.float()?.clamp(-0.95, 0.95);
        }
    }
    Ok(s)
}

/// Begin and end within 0 to 1, with something left between them.
fn cut(v: Vector, least: f64) -> Vector {
    let begin = v[0].clamp(0.0, 1.0 - least);
    [begin, v[1].clamp(begin + least, 1.0), 0.0]
}

fn read(
    world: &World,
    id: PrimId,
    what: i32,
    rules: &mut Rules<'_>,
    out: &mut Vec<Value>,
) -> Result<(), RuntimeError> {
    let Some(p) = world.prim(id) else { return Ok(()) };
    let mut faces = |with: &dyn Fn(&Face, &mut Vec<Value>)| -> Result<(), RuntimeError> {
        let n = rules.int()?;
        match usize::try_from(n) {
            Ok(n) => with(p.faces.get(n), out),
            Err(_) => (0..p.shape.sides()).for_each(|i| with(p.faces.get(i), out)),
        }
        Ok(())
    };
    let flag = |b: bool| Value::Integer(i32::from(b));
    match what {
        rule::COLOR => {
            return faces(&|f, out| out.extend([Value::Vector(f.colour), Value::Float(f.alpha)]));
        }
        rule::FULLBRIGHT => return faces(&|f, out| out.push(flag(f.bright))),
        rule::GLOW => return faces(&|f, out| out.push(Value::Float(f.glow))),
        rule::BUMP_SHINY => {
            return faces(&|f, out| out.extend([Value::Integer(f.shiny), Value::Integer(f.bump)]));
        }
        rule::TEXTURE => {
            return faces(&|f, out| {
                out.extend([
                    Value::str(f.texture.to_string()),
                    Value::Vector(f.repeats),
                    Value::Vector(f.offsets),
                    Value::Float(f.turned),
                ]);
            });
        }
        rule::NAME => out.push(Value::Str(p.name.clone())),
        rule::DESC => out.push(Value::Str(p.description.clone())),
        rule::POSITION => out.push(Value::Vector(world.place_of(id).0)),
        rule::POS_LOCAL => out.push(Value::Vector(p.position)),
        rule::ROTATION => out.push(Value::Rotation(world.place_of(id).1)),
        rule::ROT_LOCAL => out.push(Value::Rotation(p.rotation)),
        rule::SIZE => out.push(Value::Vector(p.size)),
        rule::TYPE => read_shape(&p.shape, out),
        rule::SLICE => out.push(Value::Vector(p.shape.dimple)),
        rule::TEXT => {
            out.extend([
                Value::Str(p.text.words.clone()),
                Value::Vector(p.text.colour),
                Value::Float(p.text.alpha),
            ]);
        }
        rule::POINT_LIGHT => {
            let off = Light { colour: [1.0; 3], intensity: 1.0, radius: 10.0, falloff: 0.75 };
            let light = p.light.as_deref().copied().unwrap_or(off);
            out.extend([
                flag(p.light.is_some()),
                Value::Vector(light.colour),
                Value::Float(light.intensity),
                Value::Float(light.radius),
                Value::Float(light.falloff),
            ]);
        }
        rule::OMEGA => {
            let rate = length(p.spin);
            let axis = if rate > 0.0 { scale(p.spin, 1.0 / rate) } else { p.spin };
            let gain = f64::from(u8::from(rate > 0.0));
            out.extend([Value::Vector(axis), Value::Float(rate), Value::Float(gain)]);
        }
        rule::CLICK_ACTION => out.push(Value::Integer(p.click_action)),
        rule::MATERIAL => out.push(Value::Integer(p.material)),
        rule::PHYSICS => out.push(flag(p.flags.physics)),
        rule::TEMP_ON_REZ => out.push(flag(p.flags.temporary)),
        rule::PHANTOM => out.push(flag(p.flags.phantom)),
        _ => return Err(unknown(what)),
    }
    Ok(())
}

fn read_shape(s: &Shape, out: &mut Vec<Value>) {
    out.push(Value::Integer(s.kind));
    if let Some((map, kind)) = s.sculpt {
        out.extend([Value::str(map.to_string()), Value::Integer(kind)]);
        return;
    }
    out.extend([
        Value::Integer(s.hole),
        Value::Vector(s.cut),
        Value::Float(s.hollow),
        Value::Vector(s.twist),
    ]);
    match s.kind {
        kind::BOX | kind::CYLINDER | kind::PRISM => {
            out.extend([Value::Vector(s.top), Value::Vector(s.shear)]);
        }
        kind::SPHERE => out.push(Value::Vector(s.dimple)),
        _ => out.extend([
            Value::Vector(s.round.hole_size),
            Value::Vector(s.shear),
            Value::Vector(s.round.profile_cut),
            Value::Vector(s.round.taper),
            Value::Float(s.round.revolutions),
            Value::Float(s.round.radius_offset),
            Value::Float(s.round.skew),
        ]),
    }
}
