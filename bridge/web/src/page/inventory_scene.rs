//! Any world that the bridge knows, laid out as a machine room: what a page shows of a real grid, where the
//! bridge does not see where things stand. Read-only, since nobody at a page is an avatar there.

use std::sync::Arc;

use parking_lot::RwLock;
use primrack_engine::Engine;
use primrack_model::{Inventory, Power, StateEvent, TargetIx, TargetKind, TargetState};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::scene::{
    Deed, PrimView, RegionView, Scene, SceneEvent, SceneView, Shape, TransitionView, UnitView,
};

/// Rack units in a cabinet, and the height of one in metres (EIA-310: 1.75 inch).
const CABINET_UNITS: usize = 42;
const RACK_UNIT: f32 = 0.044_45;
/// Height of a cabinet: its units, plinth and top.
const HEIGHT: f32 = 42.0 * RACK_UNIT + PLINTH + 0.15;
/// A cabinet's width, depth and plinth in metres.
const WIDTH: f32 = 0.6;
const DEPTH: f32 = 0.9;
const PLINTH: f32 = 0.1;
/// From one place to the next, along a row and to the next row.
const STEP: f32 = 0.75;
const AISLE: f32 = 2.6;
/// Places in a row.
const ROW: usize = 12;

const FRAME: [f32; 3] = [0.15, 0.17, 0.2];

/// What stands at one place.
#[derive(Debug, Clone)]
struct Place {
    object: String,
    label: String,
    units: Vec<(u8, TargetIx)>,
}

/// Racks, doors and lamps from the inventory, with what the engine knows of them.
#[derive(Debug)]
pub struct InventoryScene {
    engine: Arc<Engine>,
    name: String,
    places: RwLock<Arc<[Place]>>,
    events: broadcast::Sender<Arc<SceneEvent>>,
}

impl InventoryScene {
    /// Lays it out and follows the engine until `stop`. Must be called on a runtime.
    #[must_use]
    pub fn start(engine: Arc<Engine>, name: impl Into<String>, stop: CancellationToken) -> Arc<Self> {
        let places = RwLock::new(places(&engine.inventory()));
        let scene = Arc::new(Self { places, name: name.into(), events: broadcast::channel(1024).0, engine });
        tokio::spawn(Arc::clone(&scene).follow(scene.engine.subscribe(), stop));
        scene
    }

    async fn follow(self: Arc<Self>, mut states: broadcast::Receiver<StateEvent>, stop: CancellationToken) {
        let mut replaced = self.engine.watch_replaced();
        loop {
            let state = tokio::select! {
                state = states.recv() => state,
                Ok(()) = replaced.changed() => {
                    *self.places.write() = places(&self.engine.inventory());
                    drop(self.events.send(Arc::new(SceneEvent::Renewed)));
                    continue;
                }
                () = stop.cancelled() => return,
            };
            let event = match state {
                Ok(StateEvent { target, .. }) => {
                    let Some(ix) = self.engine.inventory().find_target(target.as_str()) else { continue };
                    let places = self.places();
                    let units = units(&places).filter(|(_, _, at)| *at == ix);
                    SceneEvent::Units { units: units.map(|(p, unit, ix)| self.view(p, unit, ix)).collect() }
                }
                Err(RecvError::Lagged(_)) => SceneEvent::Renewed,
                Err(RecvError::Closed) => return,
            };
            // Without viewers there is nobody to tell.
            drop(self.events.send(Arc::new(event)));
        }
    }

    fn places(&self) -> Arc<[Place]> {
        Arc::clone(&self.places.read())
    }

    fn view(&self, place: &Place, unit: u8, ix: TargetIx) -> UnitView {
        let inventory = self.engine.inventory();
        let target = inventory.target(ix);
        let state: TargetState = self.engine.state(ix);
        let note = match (state.detail.is_empty(), state.cause) {
            (false, _) => state.detail.to_string(),
            (true, Some(cause)) if state.power != Power::On => cause.words().to_owned(),
            (true, _) => String::new(),
        };
        UnitView {
            object: place.object.clone(),
            object_label: place.label.clone(),
            unit,
            target: target.id.to_string(),
            label: target.label.to_string(),
            kind: target.kind,
            power: state.power,
            word: state.word(target.kind).to_owned(),
            note,
            cpu: state.load.map(|load| load.cpu),
            stale: state.stale,
            simulated: self.engine.capabilities(ix).simulated,
            since_ms: state.since.0,
            transition: state.transition.map(|under_way| TransitionView {
                action: target.kind.label(under_way.action).to_owned(),
                by: under_way.by.to_string(),
                since_ms: under_way.since.0,
            }),
        }
    }
}

impl Scene for InventoryScene {
    fn snapshot(&self) -> SceneView {
        let inventory = self.engine.inventory();
        let places = self.places();
        let (prims, size) = layout(&places, |ix| inventory.target(ix).kind);
        SceneView {
            region: RegionView {
                name: self.name.clone(),
                simulated: false,
                size,
                note: "Laid out from the configuration: things may stand elsewhere in the world.".to_owned(),
            },
            avatars: Vec::new(),
            prims,
            units: units(&places).map(|(place, unit, ix)| self.view(place, unit, ix)).collect(),
            touchable: false,
        }
    }
    fn subscribe(&self) -> broadcast::Receiver<Arc<SceneEvent>> {
        self.events.subscribe()
    }
    fn act(&self, _deed: Deed) -> Result<(), String> {
        Err("touch it in the world: this page only shows it".to_owned())
    }
}

/// One place a cabinet; an object with more units than a cabinet holds gets several, and what no object shows
/// stands at the end.
fn places(inventory: &Inventory) -> Arc<[Place]> {
    let mut places = Vec::new();
    let mut add = |object: &str, label: &str, units: &[(u8, TargetIx)]| {
        for part in units.chunks(CABINET_UNITS) {
            places.push(Place { object: object.into(), label: label.into(), units: part.to_vec() });
        }
    };
    for (_, object) in inventory.live_objects() {
        add(object.id.as_str(), &object.label, &object.units);
    }
    let lone: Vec<TargetIx> =
        inventory.live_targets().map(|(ix, _)| ix).filter(|ix| inventory.shown_by(*ix).is_empty()).collect();
    // Object ids never start with a hyphen, so these names are free.
    for (at, part) in lone.chunks(250).enumerate() {
        let units: Vec<(u8, TargetIx)> = (1..=u8::MAX).zip(part.iter().copied()).collect();
        add(&format!("-{at}"), "In no object", &units);
    }
    places.into()
}

fn units(places: &[Place]) -> impl Iterator<Item = (&Place, u8, TargetIx)> {
    places.iter().flat_map(|place| place.units.iter().map(move |(unit, ix)| (place, *unit, *ix)))
}

#[expect(clippy::cast_precision_loss, reason = "places are counted in hundreds")]
fn layout(places: &[Place], kind: impl Fn(TargetIx) -> TargetKind) -> (Vec<PrimView>, [f32; 2]) {
    let mut prims = Vec::new();
    let rows = places.len().div_ceil(ROW).max(1);
    for (at, place) in places.iter().enumerate() {
        let x = 2.0 + (at % ROW) as f32 * STEP;
        let y = 2.0 + (at / ROW) as f32 * AISLE;
        let id = 1 + u32::try_from(at).unwrap_or(0) * 64;
        let rack = place.units.iter().any(|(_, ix)| match kind(*ix) {
            TargetKind::Machine | TargetKind::Group => true,
            TargetKind::Output | TargetKind::Door | TargetKind::Alarm => false,
        });
        let height = if rack { cabinet(&mut prims, id, x, y) } else { 0.05 };
        let count = place.units.len().max(1) as f32;
        // Few units are drawn taller, so that they can be read; many become thin as they are.
        let slot = ((height - PLINTH - 0.15) / count).clamp(RACK_UNIT, RACK_UNIT * 4.0);
        let mut top: f32 = height;
        for (nth, (unit, ix)) in (0u16..).zip(&place.units) {
            let nth_m = f32::from(nth);
            let kind = kind(*ix);
            let (shape, pos, size) = match kind {
                TargetKind::Machine | TargetKind::Group => {
                    let z = height - 0.1 - slot * (nth_m + 0.5);
                    (Shape::Box, [x, y - 0.03, z], [WIDTH - 0.1, DEPTH - 0.08, slot * 0.9])
                }
                TargetKind::Door if !rack => (Shape::Box, [x, y + 0.4 * nth_m, 1.05], [0.68, 0.08, 2.1]),
                TargetKind::Output | TargetKind::Alarm if !rack => {
                    (Shape::Sphere, [x, y, 0.5 + 0.35 * nth_m], [0.25, 0.25, 0.25])
                }
                TargetKind::Output | TargetKind::Door | TargetKind::Alarm => {
                    let z = height - 0.1 - slot * (nth_m + 0.5);
                    (Shape::Box, [x, y - 0.03, z], [WIDTH - 0.1, DEPTH - 0.08, slot * 0.9])
                }
            };
            top = top.max(pos[2] + size[2] / 2.0);
            let mut prim =
                PrimView::cuboid(id + 8 + u32::from(nth), &format!("unit {unit}"), pos, size, FRAME);
            prim.shape = shape;
            prim.object.clone_from(&place.object);
            prim.link = u32::from(nth) + 2;
            prim.unit = Some(*unit);
            prims.push(prim);
        }
        let mut sign = PrimView::cuboid(id, "sign", [x, y, top + 0.03], [WIDTH, 0.06, 0.06], FRAME);
        sign.text.clone_from(&place.label);
        sign.object.clone_from(&place.object);
        sign.link = 1;
        prims.push(sign);
    }
    let wide = 4.0 + places.len().clamp(1, ROW) as f32 * STEP;
    (prims, [wide, 4.0 + rows as f32 * AISLE])
}

/// Sides, top, base and back; gives the height.
fn cabinet(prims: &mut Vec<PrimView>, id: u32, x: f32, y: f32) -> f32 {
    let height = HEIGHT;
    let side = WIDTH / 2.0 - 0.02;
    let parts = [
        ("side", [x - side, y, height / 2.0], [0.03, DEPTH, height]),
        ("side", [x + side, y, height / 2.0], [0.03, DEPTH, height]),
        ("top", [x, y, height - 0.02], [WIDTH, DEPTH, 0.04]),
        ("base", [x, y, PLINTH / 2.0], [WIDTH, DEPTH, PLINTH]),
        ("back", [x, y + DEPTH / 2.0 - 0.01, height / 2.0], [WIDTH, 0.02, height]),
    ];
    for (n, (name, pos, size)) in (1u32..).zip(parts) {
        prims.push(PrimView::cuboid(id + n, name, pos, size, FRAME));
    }
    height
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn place(object: &str, units: u8) -> Place {
        Place {
            object: object.into(),
            label: object.to_uppercase(),
            units: (1..=units).map(|n| (n, TargetIx(u32::from(n)))).collect(),
        }
    }

    #[test]
    fn every_unit_gets_one_prim_inside_its_cabinet_and_no_id_twice() {
        let places: Vec<Place> = (0..30).map(|n| place(&format!("r{n}"), 42)).collect();
        let (prims, size) = layout(&places, |_| TargetKind::Machine);
        let ids: HashSet<u32> = prims.iter().map(|prim| prim.id).collect();
        assert_eq!(ids.len(), prims.len());
        assert_eq!(prims.iter().filter(|prim| prim.unit.is_some()).count(), 30 * 42);
        for prim in prims.iter().filter(|prim| prim.unit.is_some()) {
            assert!(prim.pos[2] - prim.size[2] / 2.0 >= PLINTH - 0.001, "{prim:?}");
            assert!(prim.pos[0] < size[0] && prim.pos[1] < size[1], "{prim:?}");
        }
    }

    #[test]
    fn a_door_stands_by_itself() {
        let (prims, _) = layout(&[place("door", 1)], |_| TargetKind::Door);
        assert!(prims.iter().all(|prim| prim.name != "side"));
        assert!(prims.iter().any(|prim| prim.unit == Some(1) && prim.size[2] > 2.0));
    }
}
