//! The demonstration's room: a rack for each configured object, in a row, and people who may touch them.

use anyhow::Context as _;
use primrack_lsl::Profile;
use primrack_model::Inventory;
use primrack_region::{AvatarPlan, RackPlan, Region, RegionSettings, Room};
use primrack_world::Keyring;
use uuid::Uuid;

use super::scripts;
use crate::rack::Avatar;

/// The grid whose language and limits the region keeps.
pub(crate) const PROFILE: Profile = Profile::SecondLife;
/// From one rack to the next, metres.
const STEP: f64 = 1.6;

/// Starts the region with a rack per object; the racks' notecards hold their keys and the bridge's address.
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
    room.scripts.insert("rack".to_owned(), scripts::rack(PROFILE)?);
    for (at, who) in (0_u32..).zip(people) {
        let key = Uuid::parse_str(&who.id).context("an avatar's id is a UUID")?;
        let position = [124.0 + 2.0 * f64::from(at), 122.0, 21.0];
        room.avatar.push(AvatarPlan { name: who.name.to_string(), key: Some(key), position });
    }
    let count = u32::try_from(inventory.objects().len()).unwrap_or(u32::MAX);
    for (at, object) in (0_u32..).zip(inventory.objects()) {
        let id = object.id.as_str();
        let key = keys.of(id).last().with_context(|| format!("{id} has no key: begin anew with --reset"))?;
        let notecard = format!(
            "id = {id}\nkey = {}.{}\nbridge = http://{bridge}/world/1\nunnamed = ignore\n",
            key.id.as_str(),
            key.secret.reveal()
        );
        let units = object.units.last().map_or(0, |(unit, _)| *unit).max(1);
        room.rack.push(RackPlan {
            id: id.to_owned(),
            position: [
                128.0 + STEP * (f64::from(at) - f64::from(count.saturating_sub(1)) / 2.0),
                128.0,
                20.0,
            ],
            turned: -90.0,
            units,
            script: "rack".to_owned(),
            notecards: [("rack.conf".to_owned(), notecard)].into(),
            owner: None,
            key: None,
        });
    }
    let settings =
        RegionSettings { profile: PROFILE, name: "Primrack".to_owned(), ..RegionSettings::default() };
    Ok(Region::start(settings, &room).await?)
}
