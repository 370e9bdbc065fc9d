//! Vectors, rotations, colours.

use super::LibCtx;
use super::args::Args;
use crate::error::RuntimeError;
use crate::profile::Profile;
use crate::value::Value;
use std::f64::consts::{FRAC_PI_2, PI};

type Out = Result<Value, RuntimeError>;
type V = [f64; 3];
type R = [f64; 4];

const IDENTITY: R = [0.0, 0.0, 0.0, 1.0];

fn dot(a: V, b: V) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: V, b: V) -> V {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

fn magnitude(v: V) -> f64 {
    dot(v, v).sqrt()
}

fn scaled(v: V, by: f64) -> V {
    v.map(|x| x * by)
}

fn square(r: R) -> f64 {
    r.iter().map(|x| x * x).sum()
}

/// The vector with length 1. What is too short becomes the zero vector: each engine has its own idea of too short.
fn unit(v: V, profile: Profile) -> V {
    let square = dot(v, v);
    let null = match profile {
        Profile::SecondLife | Profile::OpenSim092 => square == 0.0,
        // `float.Epsilon` of .NET: the smallest denormal of 32 bits.
        Profile::OpenSim093 | Profile::OpenSimMaster => square <= f64::from(f32::from_bits(1)),
    };
    if null { [0.0; 3] } else { scaled(v, 1.0 / square.sqrt()) }
}

fn normal(r: R) -> R {
    let square = square(r);
    if square < f64::from(f32::from_bits(1)) { IDENTITY } else { r.map(|x| x / square.sqrt()) }
}

fn identity_if_zero(r: R) -> R {
    if r == [0.0; 4] { IDENTITY } else { r }
}

pub(super) fn vec_mag(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    ctx.float(magnitude(Args(args).vector(0)?))
}

pub(super) fn vec_norm(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    ctx.vector(unit(Args(args).vector(0)?, ctx.profile))
}

pub(super) fn vec_dist(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let (a, b) = (Args(args).vector(0)?, Args(args).vector(1)?);
    ctx.float(magnitude([a[0] - b[0], a[1] - b[1], a[2] - b[2]]))
}

pub(super) fn euler_to_rot(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let v = Args(args).vector(0)?;
    let [(s0, c0), (s1, c1), (s2, c2)] = v.map(|x| (x * 0.5).sin_cos());
    let r = [
        s0 * c1 * c2 + c0 * s1 * s2,
        c0 * s1 * c2 - s0 * c1 * s2,
        c0 * c1 * s2 + s0 * s1 * c2,
        c0 * c1 * c2 - s0 * s1 * s2,
    ];
    if !ctx.linden() {
        return ctx.rotation(r);
    }
    // Linden goes over the matrix, which makes the largest component positive: the scalar where the trace is positive.
    let [(s0, c0), (s1, c1), (s2, c2)] = v.map(f64::sin_cos);
    let diagonal = [c1 * c2, c0 * c2 - s0 * s1 * s2, c0 * c1];
    let lead = if diagonal.iter().sum::<f64>() > 0.0 {
        3
    } else if diagonal[2] > diagonal[0] && diagonal[2] > diagonal[1] {
        2
    } else {
        usize::from(diagonal[1] > diagonal[0])
    };
    ctx.rotation(if ctx.profile.float(r[lead]) < 0.0 { r.map(|x| -x) } else { r })
}

pub(super) fn rot_to_euler(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let mut r = Args(args).rotation(0)?;
    if ctx.linden() {
        r = identity_if_zero(r);
        let square = square(r);
        if !(0.999_997_973_442_077_6..1.000_002_145_767_212).contains(&square) {
            r = r.map(|x| x / square.sqrt());
        }
        let [x, y, z, s] = r;
        let sine = 2.0 * (x * z + y * s);
        return ctx.vector(if sine.abs() > 0.999_99 {
            [0.0, sine.clamp(-1.0, 1.0).asin(), (z * s + x * y).atan2(0.5 - (x * x + z * z))]
        } else {
            [
                (x * s - y * z).atan2(0.5 - (x * x + y * y)),
                sine.asin(),
                (z * s - x * y).atan2(0.5 - (z * z + y * y)),
            ]
        });
    }
    let [x, y, z, s] = r;
    let norm = square(r);
    let test = x * z + y * s;
    let limit = norm * if ctx.profile == Profile::OpenSim092 { 0.4999 } else { 0.499_99 };
    ctx.vector(if test > limit {
        [0.0, FRAC_PI_2, 2.0 * x.atan2(s)]
    } else if test < -limit {
        [0.0, -FRAC_PI_2, -2.0 * x.atan2(s)]
    } else {
        [
            (2.0 * (x * s - z * y)).atan2(s * s + z * z - x * x - y * y),
            (2.0 * test / norm).asin(),
            (2.0 * (z * s - x * y)).atan2(s * s + x * x - y * y - z * z),
        ]
    })
}

/// A rotation from its three axes. The matrix needs not be clean; Linden normalises the result where the trace is not
/// positive, YEngine never does.
pub(super) fn axes_to_rot(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (f, l, u) = (a.vector(0)?, a.vector(1)?, a.vector(2)?);
    let trace = f[0] + l[1] + u[2];
    let linden = ctx.linden();
    if trace > 0.0 || (!linden && trace >= 0.0) {
        let r = (1.0 + trace).sqrt();
        let s = 0.5 / r;
        return ctx.rotation([(l[2] - u[1]) * s, (u[0] - f[2]) * s, (f[1] - l[0]) * s, r * 0.5]);
    }
    let forward = if linden { f[0] >= l[1] && f[0] >= u[2] } else { f[0] > l[1].max(u[2]) };
    let q = if forward {
        let r = (1.0 + f[0] - l[1] - u[2]).sqrt();
        let s = 0.5 / r;
        [r * 0.5, s * (f[1] + l[0]), s * (u[0] + f[2]), s * (l[2] - u[1])]
    } else if l[1] >= u[2] {
        let r = (1.0 - f[0] + l[1] - u[2]).sqrt();
        let s = 0.5 / r;
        [s * (f[1] + l[0]), r * 0.5, s * (l[2] + u[1]), s * (u[0] - f[2])]
    } else {
        let r = (1.0 - f[0] - l[1] + u[2]).sqrt();
        let s = 0.5 / r;
        [s * (u[0] + f[2]), s * (l[2] + u[1]), r * 0.5, s * (f[1] - l[0])]
    };
    ctx.rotation(if linden { normal(q) } else { q })
}

/// The axes of the coordinate system turned by a rotation.
fn axis(ctx: &LibCtx<'_>, args: &[Value], which: usize) -> Out {
    let mut r = identity_if_zero(Args(args).rotation(0)?);
    if (1.0 - square(r)).abs() > 0.000_001 || ctx.linden() {
        r = normal(r);
    }
    let [x, y, z, s] = r;
    ctx.vector(match which {
        0 => [x * x - y * y - z * z + s * s, 2.0 * (x * y + z * s), 2.0 * (x * z - y * s)],
        1 => [2.0 * (x * y - z * s), y * y - x * x - z * z + s * s, 2.0 * (x * s + y * z)],
        _ => [2.0 * (x * z + y * s), 2.0 * (y * z - x * s), z * z - x * x - y * y + s * s],
    })
}

pub(super) fn rot_to_fwd(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    axis(ctx, args, 0)
}

pub(super) fn rot_to_left(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    axis(ctx, args, 1)
}

pub(super) fn rot_to_up(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    axis(ctx, args, 2)
}

pub(super) fn rot_between(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let (a, b) = (Args(args).vector(0)?, Args(args).vector(1)?);
    if ctx.linden() {
        return ctx.rotation(linden_between(unit(a, ctx.profile), unit(b, ctx.profile)));
    }
    if dot(a, a) < 1e-12 || dot(b, b) < 1e-12 {
        return ctx.rotation(IDENTITY);
    }
    let (a, b) = (unit(a, ctx.profile), unit(b, ctx.profile));
    let cosine = dot(a, b);
    if cosine > 0.999_99 {
        return ctx.rotation(IDENTITY);
    }
    if cosine < -0.999_99 {
        let along = scaled(a, a[0] / dot(a, a));
        let mut axis = [1.0 - along[0], -along[1], -along[2]];
        if dot(axis, axis) < 1e-12 {
            axis = [0.0, 0.0, 1.0];
        }
        // OpenSimulator does not normalise this axis, and cuts it to 32 bits.
        let [x, y, z] = axis.map(|x| Profile::SecondLife.float(x));
        return ctx.rotation([x, y, z, 0.0]);
    }
    let (sine, half) = (cosine.acos() * 0.5).sin_cos();
    let [x, y, z] = scaled(unit(cross(a, b), ctx.profile), sine);
    ctx.rotation([x, y, z, half])
}

/// Every step is cut to 32 bits: near opposite vectors the half turn depends on it.
fn linden_between(a: V, b: V) -> R {
    const ALIGNED: f64 = 1.0 - 1.0 / 8_388_608.0;
    let single = |x: f64| Profile::SecondLife.float(x);
    let (a, b) = (a.map(single), b.map(single));
    let cosine = single(dot(a, b));
    if cosine.abs() <= ALIGNED {
        let axis = cross(a, b).map(single);
        let m = (single(dot(axis, axis)) + (cosine + 1.0) * (cosine + 1.0)).sqrt();
        return [axis[0] / m, axis[1] / m, axis[2] / m, (cosine + 1.0) / m];
    }
    if cosine > 0.0 {
        return IDENTITY;
    }
    // Opposite: half a turn around an axis across `a`, about z where `a` lies along x.
    let across = cross(cross(a, [1.0, 0.0, 0.0]), a).map(|x| if x == 0.0 { 0.0 } else { x });
    let square = dot(across, across);
    if square < 1e-10 {
        return [0.0, 0.0, 1.0, 0.0];
    }
    let [x, y, z] = scaled(across, 1.0 / square.sqrt());
    [x, y, z, 0.0]
}

pub(super) fn axis_angle_to_rot(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let axis = unit(a.vector(0)?, ctx.profile);
    let angle = if ctx.linden() && axis == [0.0; 3] { 0.0 } else { a.float(1)? };
    let (sine, cosine) = (angle * 0.5).sin_cos();
    let [x, y, z] = scaled(axis, sine);
    ctx.rotation([x, y, z, cosine])
}

pub(super) fn rot_to_axis(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let r = Args(args).rotation(0)?;
    if ctx.linden() {
        let v = [r[0], r[1], r[2]];
        return ctx.vector(unit(if r[3] < 0.0 { scaled(v, -1.0) } else { v }, ctx.profile));
    }
    let r = normal(r);
    let sine = (1.0 - r[3] * r[3]).sqrt();
    if sine < 1e-8 {
        return ctx.vector([0.0; 3]);
    }
    ctx.vector(scaled([r[0], r[1], r[2]], if r[3] < 0.0 { -1.0 / sine } else { 1.0 / sine }))
}

fn angle(r: R) -> f64 {
    2.0 * magnitude([r[0], r[1], r[2]]).atan2(r[3].abs())
}

pub(super) fn rot_to_angle(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let r = Args(args).rotation(0)?;
    if ctx.linden() {
        return ctx.float(angle(r));
    }
    let full = 2.0 * normal(r)[3].acos();
    ctx.float(if full > PI { 2.0 * PI - full } else { full })
}

pub(super) fn angle_between(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let (a, b) = (Args(args).rotation(0)?, Args(args).rotation(1)?);
    if ctx.linden() {
        let (a, b) = (identity_if_zero(a), identity_if_zero(b));
        return ctx.float(angle(product(a, [-b[0], -b[1], -b[2], b[3]])));
    }
    let norms = square(a) * square(b);
    if norms == 0.0 {
        return ctx.float(0.0);
    }
    let cosine: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
    let quotient = cosine * cosine / norms;
    ctx.float(if quotient >= 1.0 { 0.0 } else { (2.0 * quotient - 1.0).acos() })
}

/// `a * b` of the language: first `a`, then `b`.
fn product(a: R, b: R) -> R {
    [
        b[3] * a[0] + b[0] * a[3] + b[1] * a[2] - b[2] * a[1],
        b[3] * a[1] + b[1] * a[3] + b[2] * a[0] - b[0] * a[2],
        b[3] * a[2] + b[2] * a[3] + b[0] * a[1] - b[1] * a[0],
        b[3] * a[3] - b[0] * a[0] - b[1] * a[1] - b[2] * a[2],
    ]
}

/// Both grids compute colours in 32 bits; only the power is taken in 64, so that it does not depend on the platform.
#[expect(clippy::cast_possible_truncation, reason = "32 bits are meant")]
fn power(x: f32, exponent: f32) -> f32 {
    f64::from(x).powf(f64::from(exponent)) as f32
}

#[expect(clippy::cast_possible_truncation, reason = "32 bits are meant")]
pub(super) fn linear_to_srgb(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let v = Args(args).vector(0)?;
    ctx.vector(v.map(|x| {
        let x = x as f32;
        f64::from(if x <= 0.003_130_8 { x * 12.92 } else { 1.055 * power(x, 1.0 / 2.4) - 0.055 })
    }))
}

#[expect(clippy::cast_possible_truncation, reason = "32 bits are meant")]
pub(super) fn srgb_to_linear(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let v = Args(args).vector(0)?;
    ctx.vector(v.map(|x| {
        let x = x as f32;
        f64::from(if x <= 0.040_45 { x / 12.92 } else { power((x + 0.055) / 1.055, 2.4) })
    }))
}

pub(super) fn os_angle_between(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let (a, b) = (Args(args).vector(0)?, Args(args).vector(1)?);
    ctx.float(magnitude(cross(a, b)).atan2(dot(a, b)))
}

pub(super) fn os_vec_dist_square(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let (a, b) = (Args(args).vector(0)?, Args(args).vector(1)?);
    let d = [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
    ctx.float(dot(d, d))
}

pub(super) fn os_vec_mag_square(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let v = Args(args).vector(0)?;
    ctx.float(dot(v, v))
}

/// Between two vectors or two rotations.
pub(super) fn os_slerp(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let t = a.float(2)?.clamp(0.0, 1.0);
    if let Value::Vector(from) = a.value(0)? {
        let to = a.vector(1)?;
        let cosine = dot(*from, to);
        let (u, w) = if cosine < 0.999 {
            let angle = cosine.acos();
            let inverse = 1.0 / angle.sin();
            (((1.0 - t) * angle).sin() * inverse, (t * angle).sin() * inverse)
        } else {
            (1.0 - t, t)
        };
        return ctx.vector([0, 1, 2].map(|i| from[i] * u + to[i] * w));
    }
    let (mut from, mut to) = (normal(a.rotation(0)?), normal(a.rotation(1)?));
    let mut cosine: f64 = from.iter().zip(to).map(|(a, b)| a * b).sum();
    if cosine < 0.0 {
        from = from.map(|x| -x);
        cosine = -cosine;
    }
    let (u, w) = if cosine + 1.0 <= 0.0005 {
        to = [-from[1], from[0], -from[3], from[2]];
        ((PI * (0.5 - t)).sin(), (PI * t).sin())
    } else if 1.0 - cosine >= 0.0005 {
        let angle = cosine.acos();
        let inverse = 1.0 / angle.sin();
        (((1.0 - t) * angle).sin() * inverse, (t * angle).sin() * inverse)
    } else {
        (1.0 - t, t)
    };
    ctx.rotation([0, 1, 2, 3].map(|i| from[i] * u + to[i] * w))
}

#[cfg(test)]
mod tests {
    use crate::library::testing::call;
    use crate::profile::Profile::{self, OpenSim092 as Os, SecondLife as Sl};
    use crate::value::Value::{self, Float as F, Rotation as R, Vector as V};
    use proptest::prelude::*;
    use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};

    fn near(a: &Value, b: &Value) -> bool {
        let parts = |v: &Value| match v {
            V(v) => v.to_vec(),
            R(r) => r.to_vec(),
            F(x) => vec![*x],
            other => panic!("{other:?}"),
        };
        parts(a).iter().zip(parts(b)).all(|(a, b)| (a - b).abs() < 2e-6)
    }

    #[test]
    fn a_quarter_turn_about_z() {
        let half = FRAC_PI_4.sin();
        for p in Profile::ALL {
            let r = call(p, "llEuler2Rot", &[V([0.0, 0.0, FRAC_PI_2])]);
            assert!(near(&r, &R([0.0, 0.0, half, half])), "{p} {r:?}");
            assert!(
                near(&call(p, "llRot2Euler", std::slice::from_ref(&r)), &V([0.0, 0.0, FRAC_PI_2])),
                "{p}"
            );
            assert!(near(&call(p, "llRot2Fwd", std::slice::from_ref(&r)), &V([0.0, 1.0, 0.0])), "{p}");
            assert!(near(&call(p, "llRot2Left", std::slice::from_ref(&r)), &V([-1.0, 0.0, 0.0])), "{p}");
            assert!(near(&call(p, "llRot2Up", std::slice::from_ref(&r)), &V([0.0, 0.0, 1.0])), "{p}");
            assert!(near(&call(p, "llRot2Axis", std::slice::from_ref(&r)), &V([0.0, 0.0, 1.0])), "{p}");
            assert!(near(&call(p, "llRot2Angle", std::slice::from_ref(&r)), &F(FRAC_PI_2)), "{p}");
            let identity = R([0.0, 0.0, 0.0, 1.0]);
            assert!(near(&call(p, "llAngleBetween", &[identity, r.clone()]), &F(FRAC_PI_2)), "{p}");
            let made = call(p, "llAxisAngle2Rot", &[V([0.0, 0.0, 5.0]), F(FRAC_PI_2)]);
            assert!(near(&made, &r), "{p}");
            let axes = [V([0.0, 1.0, 0.0]), V([-1.0, 0.0, 0.0]), V([0.0, 0.0, 1.0])];
            assert!(near(&call(p, "llAxes2Rot", &axes), &r), "{p}");
        }
    }

    #[test]
    fn opposite_vectors_turn_half_around() {
        assert_eq!(
            call(Sl, "llRotBetween", &[V([1.0, 0.0, 0.0]), V([-1.0, 0.0, 0.0])]),
            R([0.0, 0.0, 1.0, 0.0])
        );
        assert_eq!(
            call(Os, "llRotBetween", &[V([1.0, 0.0, 0.0]), V([-1.0, 0.0, 0.0])]),
            R([0.0, 0.0, 1.0, 0.0])
        );
        for p in Profile::ALL {
            let r = call(p, "llRotBetween", &[V([1.0, 0.0, 0.0]), V([0.0, 2.0, 0.0])]);
            assert!(near(&call(p, "llRot2Angle", &[r]), &F(FRAC_PI_2)), "{p}");
            assert_eq!(call(p, "llRotBetween", &[V([0.0; 3]), V([0.0; 3])]), R([0.0, 0.0, 0.0, 1.0]), "{p}");
        }
    }

    #[test]
    fn straight_up_is_a_pole_of_the_angles() {
        for p in Profile::ALL {
            let r = call(p, "llEuler2Rot", &[V([0.0, FRAC_PI_2, 0.3])]);
            let V([x, y, _]) = call(p, "llRot2Euler", &[r]) else { panic!("a vector") };
            assert!(x.abs() < 1e-6 && (y - FRAC_PI_2).abs() < 1e-2, "{p} {x} {y}");
        }
    }

    #[test]
    fn half_turns_keep_lindens_sign() {
        let R(r) = call(Sl, "llEuler2Rot", &[V([0.0, 0.0, -PI])]) else { panic!("a rotation") };
        assert!((r[2] - 1.0).abs() < 1e-6, "{r:?}");
        let R(r) = call(Os, "llEuler2Rot", &[V([0.0, 0.0, -PI])]) else { panic!("a rotation") };
        assert!((r[2] + 1.0).abs() < 1e-6, "{r:?}");
    }

    #[test]
    fn the_zero_vector_has_no_direction() {
        for p in Profile::ALL {
            assert_eq!(call(p, "llVecNorm", &[V([0.0; 3])]), V([0.0; 3]));
            assert_eq!(call(p, "llVecMag", &[V([3.0, 4.0, 0.0])]), F(5.0));
            assert_eq!(call(p, "llVecDist", &[V([1.0, 1.0, 1.0]), V([1.0, 1.0, 3.0])]), F(2.0));
        }
    }

    #[test]
    fn colours_go_there_and_back() {
        let v = V([0.0, 0.5, 1.0]);
        let s = call(Sl, "llLinear2sRGB", std::slice::from_ref(&v));
        assert!(near(&s, &V([0.0, 0.735_357, 1.0])), "{s:?}");
        assert!(near(&call(Sl, "llsRGB2Linear", &[s]), &v));
    }

    proptest! {
        #[test]
        fn angles_survive_the_way_over_a_rotation(x in -3.0_f64..3.0, y in -1.4_f64..1.4, z in -3.0_f64..3.0) {
            for p in Profile::ALL {
                let r = call(p, "llEuler2Rot", &[V([x, y, z])]);
                let V(v) = call(p, "llRot2Euler", &[r]) else { panic!("a vector") };
                prop_assert!((v[0] - x).abs() < 1e-3 && (v[1] - y).abs() < 1e-3 && (v[2] - z).abs() < 1e-3);
            }
        }

        #[test]
        fn no_rotation_makes_a_function_panic(a: [f64; 4], b: [f64; 3]) {
            for p in Profile::ALL {
                for f in ["llRot2Euler", "llRot2Fwd", "llRot2Left", "llRot2Up", "llRot2Axis", "llRot2Angle"] {
                    let _ = call(p, f, &[R(a)]);
                }
                let _ = call(p, "llRotBetween", &[V(b), V([a[0], a[1], a[2]])]);
                let _ = call(p, "llAxes2Rot", &[V(b), V([a[0], a[1], a[2]]), V(b)]);
            }
        }
    }
}
