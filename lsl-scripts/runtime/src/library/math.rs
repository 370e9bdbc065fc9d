//! Numbers.

use super::LibCtx;
use super::args::{Args, exception, int};
use crate::error::RuntimeError;
use crate::value::Value;
use crate::value::cast::float_to_integer;

type Out = Result<Value, RuntimeError>;

pub(super) fn abs(_: &mut LibCtx<'_>, args: &[Value]) -> Out {
    // The smallest integer has no positive counterpart and stays.
    int(Args(args).int(0)?.wrapping_abs())
}

pub(super) fn fabs(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let x = Args(args).float(0)?;
    // Linden leaves the sign of zero alone.
    ctx.float(if ctx.linden() && x == 0.0 { x } else { x.abs() })
}

fn linden_periodic(ctx: &LibCtx<'_>, x: f64, f: fn(f64) -> f64) -> Out {
    // The processor's instruction gives back an argument beyond 2^63 unchanged.
    if ctx.linden() && x.is_finite() && x.abs() >= 9_223_372_036_854_775_808.0 {
        return ctx.float(x);
    }
    ctx.float(f(x))
}

pub(super) fn sin(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    linden_periodic(ctx, Args(args).float(0)?, f64::sin)
}

pub(super) fn cos(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    linden_periodic(ctx, Args(args).float(0)?, f64::cos)
}

pub(super) fn tan(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    linden_periodic(ctx, Args(args).float(0)?, f64::tan)
}

pub(super) fn asin(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    ctx.float(Args(args).float(0)?.asin())
}

pub(super) fn acos(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    ctx.float(Args(args).float(0)?.acos())
}

pub(super) fn atan2(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    ctx.float(a.float(0)?.atan2(a.float(1)?))
}

pub(super) fn sqrt(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    ctx.float(Args(args).float(0)?.sqrt())
}

pub(super) fn pow(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (base, exponent) = (a.float(0)?, a.float(1)?);
    if !ctx.linden() {
        // .NET gives 1 for 1^NaN and (-1)^infinity as IEEE 754 does.
        return ctx.float(base.powf(exponent));
    }
    let unit_to_infinity = base.abs() == 1.0 && exponent.is_infinite();
    if base.is_nan() || exponent.is_nan() || unit_to_infinity {
        return ctx.float(f64::NAN);
    }
    let result = ctx.profile.float(base.powf(exponent));
    // Linden never gives a negative zero here.
    ctx.float(if result == 0.0 { 0.0 } else { result })
}

fn logarithm(ctx: &LibCtx<'_>, x: f64, f: fn(f64) -> f64) -> Out {
    if ctx.linden() && (x.is_nan() || x <= 0.0) {
        return ctx.float(0.0);
    }
    ctx.float(f(x))
}

pub(super) fn log(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    logarithm(ctx, Args(args).float(0)?, f64::ln)
}

pub(super) fn log10(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    logarithm(ctx, Args(args).float(0)?, f64::log10)
}

/// Halves go up on Second Life (-0.5 is 0), away from zero in YEngine (-0.5 is -1).
pub(super) fn round(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let x = Args(args).float(0)?;
    int(float_to_integer(if ctx.linden() { ctx.profile.float(x + 0.5).floor() } else { x.round() }))
}

pub(super) fn floor(_: &mut LibCtx<'_>, args: &[Value]) -> Out {
    int(float_to_integer(Args(args).float(0)?.floor()))
}

pub(super) fn ceil(_: &mut LibCtx<'_>, args: &[Value]) -> Out {
    int(float_to_integer(Args(args).float(0)?.ceil()))
}

pub(super) fn mod_pow(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let (base, exponent, modulus) = (a.int(0)?, a.int(1)?, a.int(2)?);
    if ctx.linden() {
        return int(linden_mod_pow(base.cast_unsigned(), exponent.cast_unsigned(), modulus.cast_unsigned()));
    }
    if modulus == 0 {
        return Err(exception("llModPow", "division by zero"));
    }
    // The power is computed as a float, which is right only while it stays below 2^53.
    let power = f64::from(base).powf(f64::from(exponent));
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
    let power = if power.abs() < 9_223_372_036_854_775_808.0 { power as i64 } else { i64::MIN };
    let rest = power.wrapping_rem(i64::from(modulus));
    int(i32::try_from(rest).unwrap_or(0))
}

/// Square and multiply with products cut to 32 bits before each remainder, as Linden's does.
fn linden_mod_pow(base: u32, mut exponent: u32, modulus: u32) -> i32 {
    if modulus < 2 {
        return 0;
    }
    let (mut product, mut result) = (base, 1_u32);
    if exponent == 0 {
        return 1;
    }
    loop {
        if exponent & 1 == 1 {
            result = result.wrapping_mul(product) % modulus;
        }
        exponent >>= 1;
        if exponent == 0 {
            return result.cast_signed();
        }
        product = product.wrapping_mul(product) % modulus;
    }
}

pub(super) fn frand(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let limit = Args(args).float(0)?;
    if ctx.linden() && limit.is_infinite() {
        return ctx.float(0.0);
    }
    let x = ctx.host.random() * limit;
    let rounded = ctx.profile.float(x);
    // Rounding to 32 bits must not reach the limit, which is excluded.
    ctx.float(if ctx.linden() && rounded == limit { 0.0 } else { rounded })
}

pub(super) fn generate_key(ctx: &mut LibCtx<'_>, _: &[Value]) -> Out {
    let mut bytes = [0_u8; 16];
    for b in &mut bytes {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the value lies in 0..256"
        )]
        {
            *b = (ctx.host.random() * 256.0) as u8;
        }
    }
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    let h = hex::encode(bytes);
    Ok(Value::key(format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..])))
}

#[cfg(test)]
mod tests {
    use crate::library::testing::{call, call_err};
    use crate::profile::Profile::{self, OpenSim092 as Os, SecondLife as Sl};
    use crate::value::Value::{self, Float as F, Integer as I};
    use proptest::prelude::*;

    #[test]
    fn rounding_differs_at_negative_halves() {
        assert_eq!(call(Sl, "llRound", &[F(-0.5)]), I(0));
        assert_eq!(call(Os, "llRound", &[F(-0.5)]), I(-1));
        for p in Profile::ALL {
            assert_eq!(call(p, "llRound", &[F(2.5)]), I(3));
            assert_eq!(call(p, "llFloor", &[F(-2.1)]), I(-3));
            assert_eq!(call(p, "llCeil", &[F(-2.1)]), I(-2));
            assert_eq!(call(p, "llRound", &[F(f64::NAN)]), I(i32::MIN));
            assert_eq!(call(p, "llFloor", &[F(1e10)]), I(i32::MIN));
            assert_eq!(call(p, "llAbs", &[I(-5)]), I(5));
            assert_eq!(call(p, "llAbs", &[I(i32::MIN)]), I(i32::MIN));
        }
    }

    #[test]
    fn results_have_the_engines_precision() {
        assert_eq!(call(Os, "llSqrt", &[F(2.0)]), F(2.0_f64.sqrt()));
        assert_eq!(call(Sl, "llSqrt", &[F(2.0)]), F(f64::from(2.0_f32.sqrt())));
        assert_eq!(call(Sl, "llPow", &[F(2.0), F(0.5)]), F(f64::from(std::f32::consts::SQRT_2)));
    }

    #[test]
    fn logarithms_of_nothing_are_zero_on_linden() {
        assert_eq!(call(Sl, "llLog", &[F(0.0)]), F(0.0));
        assert_eq!(call(Os, "llLog", &[F(0.0)]), F(f64::NEG_INFINITY));
        assert_eq!(call(Sl, "llLog10", &[F(1000.0)]), F(3.0));
    }

    #[test]
    fn modular_powers() {
        assert_eq!(call(Sl, "llModPow", &[I(3), I(5), I(7)]), I(5));
        assert_eq!(call(Os, "llModPow", &[I(3), I(5), I(7)]), I(5));
        assert_eq!(call(Sl, "llModPow", &[I(3), I(5), I(0)]), I(0));
        assert!(call_err(Os, "llModPow", &[I(3), I(5), I(0)]).message.contains("division by zero"));
    }

    #[test]
    fn generated_keys_are_uuids() {
        let Value::Key(k) = call(Sl, "llGenerateKey", &[]) else { panic!("a key") };
        assert!(crate::value::cast::is_uuid(&k), "{k}");
    }

    proptest! {
        #[test]
        fn random_numbers_stay_below_their_limit(limit in 1e-3_f64..1e6) {
            for p in Profile::ALL {
                let limit = p.float(limit);
                let Value::Float(x) = call(p, "llFrand", &[F(limit)]) else { panic!("a float") };
                prop_assert!((0.0..limit).contains(&x));
            }
        }

        #[test]
        fn no_number_makes_a_function_panic(a: i32, b: i32, c: i32, x: f64, y: f64) {
            for p in Profile::ALL {
                crate::library::testing::survives(p, "llModPow", &[I(a), I(b), I(c)]);
                for f in ["llPow", "llAtan2"] {
                    let _ = call(p, f, &[F(x), F(y)]);
                }
                for f in ["llSin", "llRound", "llFloor", "llCeil", "llLog", "llFabs", "llAcos", "llFrand"] {
                    let _ = call(p, f, &[F(x)]);
                }
            }
        }
    }
}
