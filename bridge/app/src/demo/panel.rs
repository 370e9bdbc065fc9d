//! The board of the demonstration, as things beside those of the region: a reader to show a badge to, a bell to press, its
//! tower of lamps and its display. It is played in software and says so; what it tells the bridge and what the bridge
//! tells it goes over the real line protocol.

use primrack_link::message::Uid;
use primrack_link::soft::{OutputKind, SoftBoard, SoftOutput};
use primrack_model::Inventory;
use primrack_web::page::scene::{PrimView, Shape};
use tokio::sync::watch;

use super::{BADGES, room};
use crate::rack::Avatar;

/// What its parts are said to belong to.
const OBJECT: &str = "Simulated board";
/// Where its prims' ids begin: a region has never so many.
const FIRST: u32 = 0x4000_0000;
const READER: u32 = FIRST;
const BELL: u32 = FIRST + 1;
const DISPLAY: u32 = FIRST + 2;
const LAMPS: u32 = FIRST + 3;
const STANDS: u32 = FIRST + 6;

const DARK: [f32; 3] = [0.1, 0.115, 0.135];

/// A lamp of the tower: its bit when lit, its bit when it blinks, its colour.
const TOWER: [(u32, u32, [f32; 3]); 3] =
    [(1, 8, [1.0, 0.2, 0.12]), (2, 16, [1.0, 0.8, 0.15]), (4, 32, [0.2, 0.95, 0.4])];

/// The board as things in the room.
#[derive(Debug)]
pub(crate) struct Panel {
    board: SoftBoard,
    /// Where the reader, the bell and the display with the tower are.
    places: [[f32; 3]; 3],
}

impl Panel {
    /// Puts the parts of `board` beside the door and the letter-box, and its display beside everything.
    pub(crate) fn new(board: SoftBoard, inventory: &Inventory) -> Self {
        let feet = room::feet(inventory);
        let of =
            |wanted: &str| feet.iter().find(|(kind, ..)| *kind == wanted).map(|(.., foot)| foot.map(short));
        let [right, y, z] = feet.last().map_or([128.0, 128.0, 20.0], |(.., foot)| foot.map(short));
        let beside = |foot: Option<[f32; 3]>, off: [f32; 3]| {
            let [x, y, z] = foot.unwrap_or([right, y, z]);
            [x + off[0], y + off[1], z + off[2]]
        };
        let places = [
            beside(of("door"), [0.74, -0.06, 0.8]),
            beside(of("letter-box"), [0.0, -0.1, 0.55]),
            [right + 0.7, y, z],
        ];
        Self { board, places }
    }

    /// Its outputs, and word of every change.
    pub(crate) fn changes(&self) -> watch::Receiver<Vec<SoftOutput>> {
        self.board.outputs()
    }

    /// As it looks now.
    pub(crate) fn prims(&self) -> Vec<PrimView> {
        let outputs = self.board.outputs();
        let outputs = outputs.borrow();
        let of = |kind: OutputKind| outputs.iter().find(|output| output.kind == kind);
        let [reader, bell, [x, y, z]] = self.places;
        let mut prims = vec![
            part(READER, "reader", reader, [0.16, 0.06, 0.24], [0.2, 0.45, 0.75]),
            part(BELL, "bell", bell, [0.12, 0.06, 0.12], [0.75, 0.6, 0.25]),
            part(DISPLAY, "display", [x, y - 0.05, z + 1.0], [0.46, 0.05, 0.2], [0.16, 0.4, 0.3]),
            part(STANDS, "stand", [reader[0], reader[1] + 0.06, z + 0.4], [0.06, 0.06, 0.8], DARK),
            part(STANDS + 1, "stand", [x, y, z + 0.6], [0.1, 0.06, 1.2], DARK),
            part(STANDS + 2, "foot", [x, y, z + 0.02], [0.4, 0.3, 0.04], DARK),
        ];
        "Badge reader\n(simulated)\ntouch: show your badge".clone_into(&mut prims[0].text);
        "Bell\n(simulated)\ntouch: a letter comes".clone_into(&mut prims[1].text);
        let rows = of(OutputKind::Lcd).map(|lcd| lcd.rows.join("\n")).unwrap_or_default();
        prims[2].text = format!("{OBJECT}\n{}", rows.trim());
        prims[2].fullbright = true;
        let tower = of(OutputKind::Lamp).map_or(0, |lamp| lamp.value);
        for (n, (lit, blinks, colour)) in (0_u8..).zip(TOWER) {
            let at = [x, y, z + 1.62 - 0.17 * f32::from(n)];
            let on = tower & (lit | blinks) != 0;
            let colour = if on { colour } else { colour.map(|part| 0.08 + 0.14 * part) };
            let mut lamp = part(LAMPS + u32::from(n), "lamp", at, [0.15, 0.15, 0.15], colour);
            lamp.shape = Shape::Cylinder;
            lamp.fullbright = on;
            lamp.glow = if on { 0.35 } else { 0.0 };
            prims.push(lamp);
        }
        for prim in &mut prims {
            prim.text_colour = [0.75, 0.85, 0.95];
        }
        prims
    }

    /// Somebody touches one of its parts: whether there is such a part, and what is said to them.
    pub(crate) fn touch(&self, prim: u32, who: &str) -> Option<String> {
        match prim {
            READER => {
                let name = BADGES.iter().find(|(name, _)| Avatar::named(name).id == who);
                let uid = name.and_then(|(_, uid)| Uid::from_hex(uid))?;
                self.board.badge(0, uid);
                Some("You show your badge. The door's display says what came of it.".to_owned())
            }
            BELL => {
                self.board.button(0, true);
                self.board.button(0, false);
                Some("A letter falls in: the contact under the flap closes and opens.".to_owned())
            }
            DISPLAY..=0x4000_00ff => Some(
                "This part of the board only shows: touch the reader at the door, or the bell.".to_owned(),
            ),
            _ => None,
        }
    }
}

fn part(id: u32, name: &str, at: [f32; 3], size: [f32; 3], colour: [f32; 3]) -> PrimView {
    let mut prim = PrimView::cuboid(id, name, at, size, colour);
    OBJECT.clone_into(&mut prim.object);
    prim
}

#[expect(clippy::cast_possible_truncation, reason = "what a screen shows needs no more")]
fn short(x: f64) -> f32 {
    x as f32
}
