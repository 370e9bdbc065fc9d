//! Functions that only the machine itself can answer: what was detected, memory, sleep, reset.

use super::event::Detected;
use crate::profile::Profile;
use crate::tables::constant;
use crate::value::{Text, Value};

/// A function answered by the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intrinsic {
    Sleep,
    ResetScript,
    FreeMemory,
    UsedMemory,
    MemoryLimit,
    SetMemoryLimit,
    PeakMemory,
    Profiler,
    Detected(Field),
}

/// A property of something detected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Key,
    Name,
    Owner,
    Group,
    Type,
    Link,
    Pos,
    Vel,
    Rot,
    Grab,
    TouchFace,
    TouchUv,
    TouchSt,
    TouchPos,
    TouchNormal,
    TouchBinormal,
}

impl Intrinsic {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "llSleep" => Self::Sleep,
            "llResetScript" => Self::ResetScript,
            "llGetFreeMemory" => Self::FreeMemory,
            "llGetUsedMemory" => Self::UsedMemory,
            "llGetMemoryLimit" => Self::MemoryLimit,
            "llSetMemoryLimit" => Self::SetMemoryLimit,
            "llGetSPMaxMemory" => Self::PeakMemory,
            "llScriptProfiler" => Self::Profiler,
            "llDetectedKey" => Self::Detected(Field::Key),
            "llDetectedName" => Self::Detected(Field::Name),
            "llDetectedOwner" => Self::Detected(Field::Owner),
            "llDetectedGroup" => Self::Detected(Field::Group),
            "llDetectedType" => Self::Detected(Field::Type),
            "llDetectedLinkNumber" => Self::Detected(Field::Link),
            "llDetectedPos" => Self::Detected(Field::Pos),
            "llDetectedVel" => Self::Detected(Field::Vel),
            "llDetectedRot" => Self::Detected(Field::Rot),
            "llDetectedGrab" => Self::Detected(Field::Grab),
            "llDetectedTouchFace" => Self::Detected(Field::TouchFace),
            "llDetectedTouchUV" => Self::Detected(Field::TouchUv),
            "llDetectedTouchST" => Self::Detected(Field::TouchSt),
            "llDetectedTouchPos" => Self::Detected(Field::TouchPos),
            "llDetectedTouchNormal" => Self::Detected(Field::TouchNormal),
            "llDetectedTouchBinormal" => Self::Detected(Field::TouchBinormal),
            _ => return None,
        })
    }
}

/// The property of the n-th thing detected, or what the grids give where there is none.
pub(crate) fn detected(field: Field, of: Option<&Detected>, profile: Profile) -> Value {
    let null = || Value::key(Text::from(crate::value::NULL_KEY));
    let invalid = |name| constant(name, profile).cloned().unwrap_or(Value::Vector([0.0; 3]));
    let Some(d) = of else {
        return match field {
            // Second Life gives the null key, OpenSimulator an empty text for "nobody".
            Field::Key | Field::Owner if profile.is_opensim() => Value::key(""),
            Field::Key | Field::Owner => null(),
            Field::Name if profile.is_opensim() => Value::str(""),
            Field::Name => Value::str(""),
            Field::Group | Field::Type | Field::Link => Value::Integer(0),
            Field::TouchFace => Value::Integer(-1),
            Field::Rot => Value::Rotation([0.0, 0.0, 0.0, 1.0]),
            Field::TouchUv | Field::TouchSt => invalid("TOUCH_INVALID_TEXCOORD"),
            Field::Pos
            | Field::Vel
            | Field::Grab
            | Field::TouchPos
            | Field::TouchNormal
            | Field::TouchBinormal => Value::Vector([0.0; 3]),
        };
    };
    match field {
        Field::Key => Value::Key(d.key.clone()),
        Field::Name => Value::Str(d.name.clone()),
        Field::Owner => Value::Key(d.owner.clone()),
        Field::Group => Value::Integer(i32::from(d.same_group)),
        Field::Type => Value::Integer(d.kind),
        Field::Link => Value::Integer(d.link),
        Field::Pos => Value::Vector(d.position),
        Field::Vel => Value::Vector(d.velocity),
        Field::Rot => Value::Rotation(d.rotation),
        Field::Grab => Value::Vector(d.grab),
        Field::TouchFace => Value::Integer(d.touch.as_ref().map_or(-1, |t| t.face)),
        Field::TouchUv => {
            d.touch.as_ref().map_or_else(|| invalid("TOUCH_INVALID_TEXCOORD"), |t| Value::Vector(t.uv))
        }
        Field::TouchSt => {
            d.touch.as_ref().map_or_else(|| invalid("TOUCH_INVALID_TEXCOORD"), |t| Value::Vector(t.st))
        }
        Field::TouchPos => Value::Vector(d.touch.as_ref().map_or([0.0; 3], |t| t.position)),
        Field::TouchNormal => Value::Vector(d.touch.as_ref().map_or([0.0; 3], |t| t.normal)),
        Field::TouchBinormal => Value::Vector(d.touch.as_ref().map_or([0.0; 3], |t| t.binormal)),
    }
}
