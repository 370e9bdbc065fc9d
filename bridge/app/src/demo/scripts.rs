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
    "objects/rack/rack.lsl",
    "include/callback.lsl",
    "include/draw.lsl",
    "include/envelope.lsl",
    "include/mac.lsl",
    "include/menus.lsl",
    "include/outbox.lsl",
    "include/owner.lsl",
    "include/push.lsl",
    "include/settings.lsl",
    "include/text.lsl",
    "include/units.lsl",
];

/// The rack's script as `profile` gets it.
///
/// # Errors
/// A mistake in the source, which the tests would have found.
pub(crate) fn rack(profile: Profile) -> anyhow::Result<String> {
    let read =
        |path: &str| SOURCES.iter().find(|(known, _)| *known == path).map(|(_, text)| (*text).to_owned());
    Ok(expand(&read, "objects/rack/rack.lsl", profile)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_grid_gets_a_rack_that_compiles() {
        for profile in Profile::ALL {
            let script = rack(profile).unwrap();
            assert!(!primrack_lsl::check::diagnose(&script, profile).has_errors(), "{profile}");
        }
    }
}
