//! The scripts that Primrack ships, embedded, as any grid gets them.

use primrack_lsl::Profile;
use primrack_lsl::source::expand;

macro_rules! sources {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../lsl-scripts/", $path)))),*]
    };
}

/// Every source by its path below `lsl-scripts`.
const SOURCES: &[(&str, &str)] = sources![
    "objects/alarm/alarm.lsl",
    "objects/door/door.lsl",
    "objects/lamp/lamp.lsl",
    "objects/letter-box/letter-box.lsl",
    "objects/rack/rack.lsl",
    "objects/switch/switch.lsl",
    "include/callback.lsl",
    "include/draw.lsl",
    "include/envelope.lsl",
    "include/mac.lsl",
    "include/menus.lsl",
    "include/object.lsl",
    "include/outbox.lsl",
    "include/owner.lsl",
    "include/plain.lsl",
    "include/pose.lsl",
    "include/push.lsl",
    "include/settings.lsl",
    "include/states.lsl",
    "include/text.lsl",
    "include/thing.lsl",
    "include/units.lsl",
];

/// The kinds of objects that there are scripts for, in the order in which they stand in the room.
pub(crate) const OBJECTS: [&str; 6] = ["letter-box", "lamp", "rack", "door", "switch", "alarm"];

/// The script of one kind of object as `profile` gets it.
///
/// # Errors
/// A kind that is not in [`OBJECTS`], or a mistake in the source, which the tests would have found.
pub(crate) fn of(object: &str, profile: Profile) -> anyhow::Result<String> {
    let read =
        |path: &str| SOURCES.iter().find(|(known, _)| *known == path).map(|(_, text)| (*text).to_owned());
    Ok(expand(&read, &format!("objects/{object}/{object}.lsl"), profile)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_grid_gets_every_object_and_each_compiles() {
        for (object, profile) in OBJECTS.iter().flat_map(|o| Profile::ALL.map(|p| (o, p))) {
            let script = of(object, profile).unwrap();
            let found = primrack_lsl::check::diagnose(&script, profile);
            assert!(!found.has_errors(), "{profile}: {}", found.render(object, &script));
        }
    }
}
