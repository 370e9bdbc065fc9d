//! A made-up machine room: racks, a door, a lamp; touches answer, machines take their time, some die by themselves.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use primrack_model::{Power, TargetKind, UnixMs};
use primrack_web::page::scene::{
    AvatarView, Deed, Hop, PrimView, RegionView, Scene, SceneEvent, SceneView, Shape, TransitionView,
    UnitView,
};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

const STEEL: [f32; 3] = [0.17, 0.19, 0.22];
const NAMES: [&str; 12] = [
    "web-1", "web-2", "database", "mail", "build", "cache", "queue", "search", "files", "backup", "monitor",
    "gateway",
];
const PER_RACK: u16 = 10;

#[derive(Debug, Default)]
struct State {
    prims: Vec<PrimView>,
    units: Vec<UnitView>,
    /// Open menus: number, whose, and for which unit.
    menus: HashMap<u32, (String, usize)>,
    next: u32,
    seed: u32,
}

#[derive(Debug)]
pub(crate) struct Room {
    me: Weak<Self>,
    state: Mutex<State>,
    events: broadcast::Sender<Arc<SceneEvent>>,
}

impl Room {
    pub(crate) fn new(count: u16) -> Arc<Self> {
        let mut state = State { seed: 7, ..State::default() };
        let racks = count.div_ceil(PER_RACK);
        for rack in 0..racks {
            let (column, row) = (rack % 12, rack / 12);
            let at = [10.0 + f32::from(column) * 0.78, 10.0 + f32::from(row) * 2.8];
            let units = (count - rack * PER_RACK).min(PER_RACK);
            cabinet(&mut state, rack, at, units);
        }
        extras(&mut state);
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            state: Mutex::new(state),
            events: broadcast::channel(1024).0,
        })
    }

    /// Now and then something happens by itself.
    pub(crate) async fn live(self: Arc<Self>, stop: CancellationToken) {
        let mut pace = tokio::time::interval(Duration::from_secs(4));
        loop {
            tokio::select! {
                _ = pace.tick() => {}
                () = stop.cancelled() => return,
            }
            let (at, power) = {
                let mut state = self.state.lock();
                let count = u32::try_from(state.units.len()).unwrap_or(1);
                let at = usize::try_from(roll(&mut state.seed) % count).unwrap_or(0);
                let fails = roll(&mut state.seed).is_multiple_of(4);
                let unit = &state.units[at];
                // Left alone: the first unit, which tests touch, and whatever is under way.
                if at == 0 || unit.transition.is_some() || unit.object == "door" {
                    continue;
                }
                match unit.power {
                    Power::On if fails => (at, Power::Crashed),
                    Power::Off | Power::Crashed | Power::Saved | Power::Paused => (at, Power::Starting),
                    Power::Starting | Power::Stopping | Power::Unknown | Power::On => continue,
                }
            };
            if power == Power::Starting {
                tokio::spawn(Arc::clone(&self).carry_out(at, "Start", "a schedule".to_owned()));
            } else {
                self.show(at, power, "exit status 1", None);
                self.say(None, "Rack", "A machine ended by itself and not well.");
            }
        }
    }

    fn show(&self, at: usize, power: Power, note: &str, transition: Option<TransitionView>) {
        let mut state = self.state.lock();
        let unit = &mut state.units[at];
        unit.power = power;
        unit.word = power.word().to_owned();
        unit.note = note.to_owned();
        unit.since_ms = UnixMs::now().0;
        unit.transition = transition;
        unit.cpu = (power == Power::On).then_some(0.2);
        let event = SceneEvent::Units { units: vec![unit.clone()] };
        let lamp = state.units.iter().any(|unit| unit.power == Power::Crashed);
        let changed: Vec<PrimView> = state
            .prims
            .iter_mut()
            .filter(|prim| prim.name == "beacon" && (prim.glow > 0.0) != lamp)
            .map(|prim| {
                prim.glow = if lamp { 0.9 } else { 0.0 };
                prim.colour = if lamp { [1.0, 0.35, 0.1] } else { [0.2, 0.12, 0.1] };
                prim.fullbright = lamp;
                prim.clone()
            })
            .collect();
        self.tell(event);
        if !changed.is_empty() {
            self.tell(SceneEvent::Prims { prims: changed });
        }
    }

    fn tell(&self, event: SceneEvent) {
        // Without viewers there is nobody to tell.
        drop(self.events.send(Arc::new(event)));
    }
    fn say(&self, to: Option<&str>, from: &str, text: &str) {
        self.tell(SceneEvent::Say {
            to: to.map(str::to_owned),
            from: from.to_owned(),
            text: text.to_owned(),
        });
    }

    async fn carry_out(self: Arc<Self>, at: usize, action: &'static str, by: String) {
        let started = std::time::Instant::now();
        let (between, end) = match action {
            "Start" | "Resume" => (Power::Starting, Power::On),
            "Pause" => (Power::On, Power::Paused),
            _ => (Power::Stopping, Power::Off),
        };
        let way = TransitionView { action: action.to_owned(), by: by.clone(), since_ms: UnixMs::now().0 };
        self.show(at, between, "", Some(way));
        tokio::time::sleep(Duration::from_millis(1500)).await;
        self.show(at, end, "", None);
        let label = self.state.lock().units[at].label.clone();
        let hop = |name: &str, ms: f32| Hop { name: name.to_owned(), ms };
        self.tell(SceneEvent::Hops {
            what: format!("{action} {label}"),
            words: format!("{} for {by}", end.word()),
            hops: vec![
                hop("touch to script", 4.0),
                hop("script to bridge", 11.0),
                hop("decided and recorded", 3.0),
                hop("machine", started.elapsed().as_secs_f32() * 1000.0),
                hop("back to the unit", 9.0),
            ],
        });
    }

    fn touch(&self, avatar: &str, prim: u32) {
        let mut state = self.state.lock();
        let Some(touched) = state.prims.iter().find(|known| known.id == prim).cloned() else { return };
        let Some(at) = touched.unit.and_then(|unit| {
            state.units.iter().position(|known| known.object == touched.object && known.unit == unit)
        }) else {
            drop(state);
            self.say(Some(avatar), &touched.name, "There is nothing to touch here: try a unit.");
            return;
        };
        let unit = &state.units[at];
        let from = unit.object_label.clone();
        if avatar == "eve" {
            let words = format!("No: nobody has permitted Eve anything with {}. Ask Ada.", unit.label);
            drop(state);
            self.say(Some(avatar), &from, &words);
            return;
        }
        let mut buttons: Vec<String> = match unit.power {
            Power::Off | Power::Crashed | Power::Saved => vec!["Start".into()],
            Power::Paused => vec!["Resume".into(), "Power off".into()],
            Power::On if avatar == "ada" => vec!["Pause".into(), "Shut down".into(), "Power off".into()],
            Power::On => vec!["Shut down".into()],
            Power::Starting | Power::Stopping | Power::Unknown => Vec::new(),
        };
        if buttons.is_empty() {
            let words = format!("{} is {}: wait until it is done.", unit.label, unit.word);
            drop(state);
            self.say(Some(avatar), &from, &words);
            return;
        }
        buttons.push("Write a note".into());
        buttons.push("Cancel".into());
        let text = format!("{} is {}. What shall happen?", unit.label, unit.word);
        state.next += 1;
        let dialog = state.next;
        if state.menus.len() > 100 {
            state.menus.clear();
        }
        state.menus.insert(dialog, (avatar.to_owned(), at));
        drop(state);
        self.tell(SceneEvent::Dialog { to: avatar.to_owned(), dialog, from, text, buttons });
    }

    fn take(&self, avatar: &str, dialog: u32) -> Result<usize, String> {
        match self.state.lock().menus.remove(&dialog) {
            Some((whose, at)) if whose == avatar => Ok(at),
            _ => Err("this menu is no longer open: touch the unit again".to_owned()),
        }
    }
}

/// A little number generator, so that a room is the same each time.
fn roll(seed: &mut u32) -> u32 {
    *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    *seed >> 8
}

fn cabinet(state: &mut State, rack: u16, [x, y]: [f32; 2], units: u16) {
    let object = format!("rack-{}", rack + 1);
    let label = format!("Rack {}", rack + 1);
    let base = u32::from(rack) * 64 + 100;
    let parts = [
        ("side", [x - 0.31, y, 1.1], [0.03, 0.8, 2.2]),
        ("side", [x + 0.31, y, 1.1], [0.03, 0.8, 2.2]),
        ("top", [x, y, 2.2], [0.65, 0.8, 0.05]),
        ("base", [x, y, 0.06], [0.65, 0.8, 0.12]),
        ("back", [x, y + 0.39, 1.1], [0.65, 0.02, 2.2]),
    ];
    for (n, (name, pos, size)) in (0u32..).zip(parts) {
        let mut prim = PrimView::cuboid(base + n, name, pos, size, STEEL);
        prim.object.clone_from(&object);
        if name == "top" {
            prim.text.clone_from(&label);
        }
        state.prims.push(prim);
    }
    for n in 0..units {
        let z = 2.02 - f32::from(n) * 0.195;
        let unit = u8::try_from(n + 1).unwrap_or(u8::MAX);
        let mut prim = PrimView::cuboid(
            base + 10 + u32::from(n),
            "unit",
            [x, y - 0.02, z],
            [0.56, 0.74, 0.165],
            [0.1, 0.1, 0.12],
        );
        let at = usize::from(rack * PER_RACK + n);
        let power = match at % 9 {
            0 => Power::Off,
            5 => Power::Paused,
            7 if rack == 1 => Power::Crashed,
            8 if rack == 2 => Power::Unknown,
            3 if rack == 1 => Power::Saved,
            4 if rack == 2 => Power::Off,
            _ => Power::On,
        };
        let name = NAMES[at % NAMES.len()];
        let label =
            if at < NAMES.len() { name.to_owned() } else { format!("{name}-{}", at / NAMES.len() + 1) };
        prim.object.clone_from(&object);
        prim.unit = Some(unit);
        prim.link = u32::from(n) + 2;
        prim.text = format!("{label}\n{}", power.word());
        state.prims.push(prim);
        state.units.push(unit_view(&object, &format!("Rack {}", rack + 1), unit, &label, power));
        if power == Power::Unknown
            && let Some(last) = state.units.last_mut()
        {
            last.stale = true;
            last.power = Power::On;
            last.word = "On".to_owned();
            last.note = "its host has not answered for 4 min".to_owned();
        }
    }
}

fn unit_view(object: &str, object_label: &str, unit: u8, label: &str, power: Power) -> UnitView {
    let kind = if object == "door" { TargetKind::Door } else { TargetKind::Machine };
    UnitView {
        object: object.to_owned(),
        object_label: object_label.to_owned(),
        unit,
        target: label.to_owned(),
        label: label.to_owned(),
        kind,
        power,
        word: kind.word(power).to_owned(),
        note: if power == Power::Crashed { "killed by signal 9".to_owned() } else { String::new() },
        cpu: None,
        stale: false,
        simulated: true,
        since_ms: UnixMs::now().0 - 240_000,
        transition: None,
    }
}

fn extras(state: &mut State) {
    let mut door = PrimView::cuboid(20, "door", [13.2, 10.2, 1.05], [0.95, 0.08, 2.1], [0.2, 0.25, 0.3]);
    door.object = "door".to_owned();
    door.unit = Some(1);
    door.text = "Door to the lab".to_owned();
    state.prims.push(door);
    state.units.push(unit_view("door", "Lab door", 1, "lab-door", Power::Off));
    let mut post = PrimView::cuboid(21, "post", [9.1, 10.0, 0.75], [0.06, 0.06, 1.5], STEEL);
    post.shape = Shape::Cylinder;
    state.prims.push(post);
    let mut beacon = PrimView::cuboid(22, "beacon", [9.1, 10.0, 1.6], [0.2; 3], [1.0, 0.35, 0.1]);
    beacon.shape = Shape::Sphere;
    beacon.glow = 0.9;
    beacon.fullbright = true;
    beacon.text = "Alarm lamp\nlit while a machine has crashed".to_owned();
    beacon.text_colour = [1.0, 0.8, 0.6];
    state.prims.push(beacon);
}

impl Scene for Room {
    fn snapshot(&self) -> SceneView {
        let state = self.state.lock();
        let avatar = |id: &str, name: &str, note: &str| AvatarView {
            id: id.to_owned(),
            name: name.to_owned(),
            note: note.to_owned(),
        };
        SceneView {
            region: RegionView {
                name: "Machine Room".to_owned(),
                simulated: true,
                size: [32.0, 32.0],
                note: "A made-up room for looking at the page.".to_owned(),
            },
            avatars: vec![
                avatar("ada", "Ada Operator", "may do everything"),
                avatar("bob", "Bob Visitor", "may start and shut down"),
                avatar("eve", "Eve Stranger", "may do nothing, and is told why"),
            ],
            prims: state.prims.clone(),
            units: state.units.clone(),
            touchable: true,
        }
    }
    fn subscribe(&self) -> broadcast::Receiver<Arc<SceneEvent>> {
        self.events.subscribe()
    }
    fn act(&self, deed: Deed) -> Result<(), String> {
        match deed {
            Deed::Touch { avatar, prim } => self.touch(&avatar, prim),
            Deed::Choose { avatar, dialog, button } => {
                let at = self.take(&avatar, dialog)?;
                let action = match button.as_str() {
                    "Start" => "Start",
                    "Resume" => "Resume",
                    "Pause" => "Pause",
                    "Shut down" => "Shut down",
                    "Power off" => "Power off",
                    "Write a note" => {
                        let mut state = self.state.lock();
                        state.next += 1;
                        let dialog = state.next;
                        state.menus.insert(dialog, (avatar.clone(), at));
                        let from = state.units[at].object_label.clone();
                        drop(state);
                        let text = "What shall the note say?".to_owned();
                        self.tell(SceneEvent::TextBox { to: avatar, dialog, from, text });
                        return Ok(());
                    }
                    _ => return Ok(()),
                };
                self.say(Some(&avatar), "Rack", &format!("{action}: accepted."));
                if let Some(room) = self.me.upgrade() {
                    tokio::spawn(room.carry_out(at, action, avatar));
                }
            }
            Deed::Write { avatar, dialog, text } => {
                let at = self.take(&avatar, dialog)?;
                let power = self.state.lock().units[at].power;
                self.show(at, power, &text, None);
            }
        }
        Ok(())
    }
}
