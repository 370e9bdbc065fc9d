//! A thousand racks of forty units in one region: how long they take to stand there, what they take, how fast they
//! answer. `cargo run --release -p primrack-region --example thousand`

#![expect(clippy::print_stdout, reason = "an example that measures")]

use primrack_lsl::Profile;
use primrack_region::view::RegionEvent;
use primrack_region::{AvatarPlan, RackPlan, Region, RegionSettings, Room};
use std::collections::BTreeMap;
use std::error::Error;
use std::time::Instant;

const SCRIPT: &str = r#"
integer gCount;
default {
    touch_start(integer n) {
        integer link = llDetectedLinkNumber(0);
        ++gCount;
        llSetLinkPrimitiveParamsFast(link, [PRIM_TEXT, "touched " + (string)gCount, <1.0, 1.0, 1.0>, 1.0,
            PRIM_COLOR, ALL_SIDES, <0.1, 0.8, 0.3>, 1.0]);
        llOwnerSay("touched " + (string)link);
    }
}"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let racks: u16 = 1000;
    let mut room = Room::default();
    room.scripts.insert("rack".to_owned(), SCRIPT.to_owned());
    let key = uuid::Uuid::from_u128(1);
    room.avatar.push(AvatarPlan { name: "Ada".to_owned(), key: Some(key), position: [128.0, 128.0, 21.0] });
    for i in 0..racks {
        room.rack.push(RackPlan {
            id: format!("rack-{i}"),
            position: [f64::from(i % 40) * 6.0, f64::from(i / 40) * 8.0, 20.0],
            turned: 0.0,
            units: 40,
            script: "rack".to_owned(),
            notecards: BTreeMap::new(),
            owner: None,
            key: None,
        });
    }
    let before = resident_kib();
    let began = Instant::now();
    let region =
        Region::start(RegionSettings { profile: Profile::OpenSim092, ..RegionSettings::default() }, &room)
            .await?;
    region.settle().await?;
    println!("{racks} racks of 40 units stand after {:.0} ms", began.elapsed().as_secs_f64() * 1e3);
    println!("resident memory grew by {} KiB", resident_kib().saturating_sub(before));
    let scripts = region.scripts().await?;
    let bytes: usize = scripts.iter().map(|s| s.footprint).sum();
    println!("{} bytes for an idle script, its program shared", bytes / scripts.len().max(1));
    let began = Instant::now();
    let (snapshot, mut events) = region.snapshot().await?;
    println!(
        "a snapshot of {} prims takes {:.0} ms",
        snapshot.prims.len(),
        began.elapsed().as_secs_f64() * 1e3
    );
    let units: Vec<_> = snapshot.prims.iter().filter(|p| p.link > 1).map(|p| p.id).collect();
    let touches = 20_000_u32;
    let counter = tokio::spawn(async move {
        let mut heard = 0;
        while heard < touches {
            match events.recv().await {
                Ok(RegionEvent::Chat(_)) => heard += 1,
                Ok(_) => {}
                Err(e) => return Err(e.to_string()),
            }
        }
        Ok(())
    });
    let began = Instant::now();
    for i in 0..touches {
        let unit = units[usize::try_from(i)? * 37 % units.len()];
        region.touch(key, unit).await??;
    }
    counter.await??;
    println!(
        "{:.0} touches a second through script, drawing and chat",
        f64::from(touches) / began.elapsed().as_secs_f64()
    );
    region.stop().await;
    Ok(())
}

/// The process's resident memory; 0 where it cannot be read.
fn resident_kib() -> u64 {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|s| {
            s.lines().find_map(|l| l.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok())
        })
        .unwrap_or(0)
}
