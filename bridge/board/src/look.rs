//! Which value an output takes for a state: a relay knows two, a tower of lamps a colour for each.
//! Values as in `hardware/PROTOCOL.md`, section 4.

use std::collections::BTreeMap;

use primrack_model::Power;
use serde::Deserialize;
use smol_str::SmolStr;

/// What is connected to an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputKind {
    /// Two states.
    #[default]
    Relay,
    /// A tower: bits for red 1, yellow 2, green 4; 8, 16 and 32 the same blinking.
    Lamp,
    /// NeoPixels, all alike, 24 bits of colour.
    Pixels,
    /// A servo that locks.
    Lock,
    /// A tone in Hz.
    Buzzer,
}

/// Red, lit and blinking, of a tower.
const RED: u32 = 1;
const YELLOW: u32 = 2;
const GREEN: u32 = 4;
const RED_BLINKS: u32 = 8;
const YELLOW_BLINKS: u32 = 16;
/// The tone of a siren, in Hz: where ears and small piezos are keenest.
const SIREN: u32 = 2700;

/// The values of one output for the states of one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Look {
    kind: OutputKind,
    values: [u32; Power::ALL.len()],
}

fn usual(kind: OutputKind, power: Power) -> u32 {
    use Power as P;
    match kind {
        OutputKind::Relay | OutputKind::Lock => u32::from(power == P::On),
        OutputKind::Buzzer => {
            if power == P::On {
                SIREN
            } else {
                0
            }
        }
        OutputKind::Lamp => match power {
            P::On => GREEN,
            P::Starting | P::Stopping => YELLOW_BLINKS,
            P::Paused | P::Saved => YELLOW,
            P::Crashed => RED,
            P::Off => 0,
            P::Unknown => RED_BLINKS | YELLOW_BLINKS,
        },
        OutputKind::Pixels => match power {
            P::On => 0x00_C0_00,
            P::Starting | P::Stopping => 0xC0_80_00,
            P::Paused | P::Saved => 0x40_30_00,
            P::Crashed => 0xFF_00_00,
            P::Off => 0,
            P::Unknown => 0x40_00_60,
        },
    }
}

/// The greatest value that a kind takes.
fn most(kind: OutputKind) -> u32 {
    match kind {
        OutputKind::Relay | OutputKind::Lock => 1,
        OutputKind::Lamp => 63,
        OutputKind::Pixels => 0xFF_FF_FF,
        OutputKind::Buzzer => 5000,
    }
}

impl Look {
    /// The usual values of a kind but for those given by a state's token; an error names the key.
    pub(crate) fn new(kind: OutputKind, own: &BTreeMap<SmolStr, u32>) -> Result<Self, (String, String)> {
        let mut values = Power::ALL.map(|power| usual(kind, power));
        for (token, value) in own {
            let Some(at) = Power::ALL.iter().position(|power| power.token() == token) else {
                return Err((token.to_string(), format!("no state is called {token:?}")));
            };
            if *value > most(kind) {
                let what = format!("{value} is more than this kind of output takes ({})", most(kind));
                return Err((token.to_string(), what));
            }
            values[at] = *value;
        }
        Ok(Self { kind, values })
    }

    /// The value for a state.
    pub(crate) fn of(&self, power: Power) -> u32 {
        Power::ALL.iter().position(|known| *known == power).map_or(0, |at| self.values[at])
    }

    /// The value during an emergency stop, where the kind has a red.
    pub(crate) fn emergency(&self) -> Option<u32> {
        match self.kind {
            OutputKind::Lamp => Some(RED),
            OutputKind::Pixels => Some(0xFF_00_00),
            OutputKind::Relay | OutputKind::Lock | OutputKind::Buzzer => None,
        }
    }

    /// What a target is whose output reports `value`.
    pub(crate) fn power(&self, value: u32) -> Power {
        if value == self.of(Power::Off) { Power::Off } else { Power::On }
    }
}

/// The tower for an accepted badge, or a refused one.
pub(crate) fn verdict_lamp(accepted: bool) -> u32 {
    if accepted { GREEN } else { RED }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tower_shows_each_state_and_red_in_an_emergency() {
        let look = Look::new(OutputKind::Lamp, &BTreeMap::new()).unwrap();
        assert_eq!([Power::On, Power::Crashed, Power::Off].map(|power| look.of(power)), [4, 1, 0]);
        assert_ne!(look.of(Power::Unknown), look.of(Power::Starting));
        assert_eq!(look.emergency(), Some(1));
        assert_eq!(Look::new(OutputKind::Relay, &BTreeMap::new()).unwrap().emergency(), None);
    }

    #[test]
    fn own_values_replace_usual_ones_and_are_checked() {
        let own = BTreeMap::from([("on".into(), 32), ("off".into(), 1)]);
        let look = Look::new(OutputKind::Lamp, &own).unwrap();
        assert_eq!((look.of(Power::On), look.power(1), look.power(32)), (32, Power::Off, Power::On));
        let error = Look::new(OutputKind::Relay, &BTreeMap::from([("on".into(), 2)])).unwrap_err();
        assert_eq!(error.0, "on");
    }
}
