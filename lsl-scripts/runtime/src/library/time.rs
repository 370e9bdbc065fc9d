//! The clock, always the host's.

use super::LibCtx;
use super::args::{Args, int};
use crate::error::{ErrorKind, RuntimeError};
use crate::value::Value;
use jiff::Timestamp;
use jiff::tz::TimeZone;

type Out = Result<Value, RuntimeError>;

const DAY: f64 = 86_400.0;

#[expect(clippy::cast_possible_truncation, reason = "seconds since 1970 fit 64 bits until the end of time")]
fn whole(seconds: f64) -> i64 {
    seconds.floor() as i64
}

/// The moment, cut to microseconds: a float of today's size holds no finer time.
#[expect(clippy::cast_possible_truncation, reason = "microseconds of this era fit 64 bits")]
fn moment(seconds: f64) -> Result<Timestamp, RuntimeError> {
    Timestamp::from_microsecond((seconds * 1e6).round() as i64)
        .map_err(|e| RuntimeError::new(ErrorKind::Host, format!("the region's clock is out of range: {e}")))
}

/// The clock of Second Life's home: UTC-8, in summer UTC-7.
fn pacific() -> Result<TimeZone, RuntimeError> {
    TimeZone::posix("PST8PDT,M3.2.0,M11.1.0")
        .map_err(|e| RuntimeError::new(ErrorKind::Host, format!("no Pacific time zone: {e}")))
}

pub(super) fn unix_time(ctx: &mut LibCtx<'_>, _: &[Value]) -> Out {
    let low = whole(ctx.host.unix_time()).rem_euclid(1 << 32);
    int(u32::try_from(low).unwrap_or(0).cast_signed())
}

/// Six decimals on Second Life, seven in OpenSimulator.
pub(super) fn timestamp(ctx: &mut LibCtx<'_>, _: &[Value]) -> Out {
    let at = moment(ctx.host.unix_time())?;
    let format = if ctx.linden() { "%Y-%m-%dT%H:%M:%S.%6fZ" } else { "%Y-%m-%dT%H:%M:%S.%6f0Z" };
    Ok(Value::str(at.strftime(format).to_string()))
}

pub(super) fn date(ctx: &mut LibCtx<'_>, _: &[Value]) -> Out {
    Ok(Value::str(moment(ctx.host.unix_time())?.strftime("%Y-%m-%d").to_string()))
}

pub(super) fn gmt_clock(ctx: &mut LibCtx<'_>, _: &[Value]) -> Out {
    let now = ctx.host.unix_time();
    ctx.float(now.rem_euclid(DAY))
}

fn pacific_clock(now: f64) -> Result<f64, RuntimeError> {
    let local = moment(now)?.to_zoned(pacific()?);
    let seconds = i32::from(local.hour()) * 3600 + i32::from(local.minute()) * 60 + i32::from(local.second());
    Ok(f64::from(seconds))
}

/// Whole seconds since midnight, Pacific time; a simulator of OpenSimulator uses its own local time, here UTC.
pub(super) fn wallclock(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    if ctx.profile.is_opensim() {
        return gmt_clock(ctx, args);
    }
    let seconds = pacific_clock(ctx.host.unix_time())?;
    ctx.float(seconds)
}

pub(super) fn os_pst_wallclock(ctx: &mut LibCtx<'_>, _: &[Value]) -> Out {
    let now = ctx.host.unix_time();
    Ok(Value::Float(pacific_clock(now)? + now.rem_euclid(1.0)))
}

pub(super) fn os_unix_time_to_timestamp(_: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let at = moment(f64::from(Args(args).int(0)?))?;
    Ok(Value::str(at.strftime("%Y-%m-%dT%H:%M:%S.%6f0Z").to_string()))
}

#[cfg(test)]
mod tests {
    use crate::library::testing::{World, call_in, s};
    use crate::profile::Profile::{self, OpenSim092 as Os, SecondLife as Sl};
    use crate::value::Value::{self, Float as F, Integer as I};

    fn at(p: Profile, name: &str, seconds: f64) -> Value {
        let mut world = World { now: seconds, ..World::default() };
        call_in(&mut world, p, name, &[]).unwrap()
    }

    #[test]
    fn times_come_from_the_hosts_clock() {
        // 2024-07-01 12:34:56.25 UTC
        let now = 1_719_837_296.25;
        assert_eq!(at(Sl, "llGetUnixTime", now), I(1_719_837_296));
        assert_eq!(at(Sl, "llGetTimestamp", now), s("2024-07-01T12:34:56.250000Z"));
        assert_eq!(at(Os, "llGetTimestamp", now), s("2024-07-01T12:34:56.2500000Z"));
        assert_eq!(at(Sl, "llGetDate", now), s("2024-07-01"));
        assert_eq!(at(Os, "llGetGMTclock", now), F(45_296.25));
    }

    #[test]
    fn the_wallclock_of_second_life_keeps_pacific_summer_time() {
        assert_eq!(at(Sl, "llGetWallclock", 1_719_837_296.25), F(5.0 * 3600.0 + 34.0 * 60.0 + 56.0));
        // 2024-01-15 12:00 UTC is 4 in the morning in winter.
        assert_eq!(at(Sl, "llGetWallclock", 1_705_320_000.0), F(4.0 * 3600.0));
        assert_eq!(at(Os, "llGetWallclock", 1_705_320_000.0), F(12.0 * 3600.0));
    }

    #[test]
    fn unix_time_wraps_like_a_32_bit_integer() {
        assert_eq!(at(Sl, "llGetUnixTime", 2_147_483_648.0), I(i32::MIN));
    }
}
