//! The demonstration's room: a rack, door, lamp … for each configured object, in a row, and people who may touch them.

use anyhow::Context as _;
use primrack_lsl::Profile;
use primrack_model::{Inventory, ObjectEntry};
use primrack_region::{AvatarPlan, Region, RegionSettings, Room};
use primrack_world::Keyring;
use uuid::Uuid;

use super::{scripts, things};
use crate::rack::Avatar;

/// The grid whose language and limits the region keeps.
pub(crate) const PROFILE: Profile = Profile::SecondLife;
/// What an object is when its name does not say.
const RACK: &str = "rack";

/// What kind of thing an object is, by its name: `door-1` is a door.
fn kind(id: &str) -> &'static str {
    let named =
        |kind: &&str| id.strip_prefix(*kind).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    scripts::OBJECTS.into_iter().find(|kind| named(kind)).unwrap_or(RACK)
}

/// What stands where: its kind, its object, the middle of its foot.
pub(crate) fn feet(inventory: &Inventory) -> Vec<(&'static str, &ObjectEntry, [f64; 3])> {
    let mut objects: Vec<_> =
        inventory.objects().iter().map(|object| (kind(object.id.as_str()), object)).collect();
    objects.sort_by_key(|(kind, _)| scripts::OBJECTS.iter().position(|known| known == kind));
    // Side by side, the middle of the row in the middle of the region.
    let mut left = 128.0 - objects.iter().map(|(kind, _)| things::width(kind)).sum::<f64>() / 2.0;
    let place = |(kind, object)| {
        let foot = [left + things::width(kind) / 2.0, 128.0, 20.0];
        left += things::width(kind);
        (kind, object, foot)
    };
    objects.into_iter().map(place).collect()
}

/// Starts the region with a thing per object; their notecards hold their keys and
/// the bridge's address.
///
/// # Errors
/// When an object has no key or the region cannot start.
pub(crate) async fn open(
    inventory: &Inventory,
    keys: &Keyring,
    bridge: std::net::SocketAddr,
    people: &[Avatar],
) -> anyhow::Result<Region> {
    let mut room = Room::default();
    for kind in scripts::OBJECTS {
        room.scripts.insert(kind.to_owned(), scripts::of(kind, PROFILE)?);
    }
    for (at, who) in (0_u32..).zip(people) {
        let key = Uuid::parse_str(&who.id).context("an avatar's id is a UUID")?;
        let position = [124.0 + 2.0 * f64::from(at), 122.0, 21.0];
        room.avatar.push(AvatarPlan { name: who.name.to_string(), key: Some(key), position });
    }
    for (kind, object, foot) in feet(inventory) {
        let id = object.id.as_str();
        let key = keys.of(id).last().with_context(|| format!("{id} has no key: begin anew with --reset"))?;
        let mut notecard = format!(
            "id = {id}\nkey = {}.{}\nbridge = http://{bridge}/world/1\n",
            key.id.as_str(),
            key.secret.reveal()
        );
        if kind == "door" {
            // Not at a right angle: what stands on the leaf is to be read from the front, too.
            notecard.push_str("amount = -66\n");
        }
        if let Some(thing) = things::build(kind, id, foot, notecard.clone()) {
            room.object.push(thing);
            continue;
        }
        notecard.push_str("unnamed = ignore\n");
        let units = object.units.last().map_or(0, |(unit, _)| *unit).max(1);
        room.object.push(things::rack(id, units, foot, notecard));
    }
    let settings =
        RegionSettings { profile: PROFILE, name: "Primrack".to_owned(), ..RegionSettings::default() };
    Ok(Region::start(settings, &room).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_what_its_name_says_and_else_a_rack() {
        assert_eq!(kind("door-1"), "door");
        assert_eq!(kind("letter-box"), "letter-box");
        assert_eq!(kind("doorbell"), "rack");
        assert_eq!(kind("cellar"), "rack");
    }
}
