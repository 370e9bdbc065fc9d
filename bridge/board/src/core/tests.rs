//! A board by a clock that jumps.

use primrack_link::message::{ReaderHealth, SunMessage, Uid};
use primrack_model::{ActorKind, RefusalCode};

use super::*;
use crate::config::{BoardConfig, Deed};

const GATE: &str = "
port = 'soft'
buzzer = 5
lcd = 6
[readers.0]
target = 'front-door'
[buttons.0]
action = 'toggle'
target = 'fan'
[buttons.1]
action = 'emergency-stop'
[outputs.fan]
index = 0
[outputs.tower]
index = 1
kind = 'lamp'
follows = 'web-1'
[outputs.stopped]
index = 2
follows = 'emergency-stop'
[outputs.mail]
[doors.front-door]
open_s = 5
lock = 3
[doors.garden]
open_s = 0
[alarms.heat]
sensor = 0
above = 700
clear = 650
[alarms.web]
crash_of = 'web-1'
";

struct Bench {
    core: Core,
    now: Ms,
    seq: u16,
}

impl Bench {
    fn new() -> Self {
        Self::kept(&Kept::new())
    }
    fn kept(kept: &Kept) -> Self {
        let config: BoardConfig = toml::from_str(GATE).unwrap();
        let badges = Badges::for_test(
            "04A1B2C3 ada\n04DE5F1EACC040 grace sun 00000000000000000000000000000000 00000000000000000000000000000000\n",
        );
        let core = Core::new("gate".into(), Arc::new(config.plan().unwrap()), badges, kept);
        Self { core, now: 10, seq: 0 }
    }
    /// A board that was adopted.
    fn up() -> Self {
        let mut bench = Self::new();
        bench.put(Input::Up);
        for index in 0..7 {
            bench.said(index, 0, OutputCause::Adopted);
        }
        bench
    }
    fn put(&mut self, input: Input) -> Vec<Effect> {
        self.core.handle(self.now, input)
    }
    fn after(&mut self, ms: u64) -> Vec<Effect> {
        self.now += ms;
        self.put(Input::Tick)
    }
    fn happened(&mut self, what: Happening, age_ms: u64) -> Vec<Effect> {
        self.seq += 1;
        let seq = self.seq;
        self.put(Input::Happened { boot: 1, seq, age: Duration::from_millis(age_ms), what })
    }
    fn tag(&mut self, uid: &str, age_ms: u64) -> Vec<Effect> {
        self.happened(Happening::Tag { reader: 0, uid: Uid::from_hex(uid).unwrap() }, age_ms)
    }
    fn said(&mut self, output: u8, value: u32, cause: OutputCause) -> Vec<Effect> {
        self.happened(Happening::Output { output, value, cause }, 0)
    }
    fn order(&mut self, address: &str, action: Action) -> Vec<Effect> {
        self.put(Input::Order { address: address.into(), action, token: 77 })
    }
    /// Answers the set among these effects as the board would.
    fn ack(&mut self, effects: &[Effect]) -> Vec<Effect> {
        let (set, value) = set(effects).unwrap_or_else(|| panic!("nothing was set: {effects:?}"));
        self.put(Input::Answered { set, result: Ok(value) })
    }
    fn power(&self, address: &str) -> Power {
        self.core.observe(address).unwrap().power
    }
    fn target(&mut self, name: &str, power: Power) -> Vec<Effect> {
        self.put(Input::Target(TargetId::new(name).unwrap(), power))
    }
    fn denied(&mut self, words: &str) -> Vec<Effect> {
        let actor = Actor::new(ActorKind::Badge, "ada", "");
        self.put(Input::Decided(Verdict {
            actor,
            reader: Some(0),
            accepted: false,
            denied: true,
            label: "Front door".into(),
            words: words.into(),
        }))
    }
}

fn set(effects: &[Effect]) -> Option<(u64, u32)> {
    effects.iter().find_map(|effect| match effect {
        Effect::Set { set, value, .. } => Some((*set, *value)),
        _ => None,
    })
}

fn held(effects: &[Effect]) -> Vec<(u8, u32)> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Hold { index, value } => Some((*index, *value)),
            _ => None,
        })
        .collect()
}

fn asked(effects: &[Effect]) -> Option<&Asking> {
    effects.iter().find_map(|effect| match effect {
        Effect::Ask(asking) => Some(&**asking),
        _ => None,
    })
}

fn audited(effects: &[Effect]) -> Vec<&'static str> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Audit { class, .. } => Some(*class),
            _ => None,
        })
        .collect()
}

fn replied(effects: &[Effect]) -> Option<&Result<(), AdapterError>> {
    effects.iter().find_map(|effect| match effect {
        Effect::Reply(77, result) => Some(result),
        _ => None,
    })
}

#[test]
fn an_output_is_what_the_board_says_and_unknown_while_the_line_is_down() {
    let mut bench = Bench::new();
    assert_eq!(bench.power("fan"), Power::Unknown);
    bench.put(Input::Up);
    assert_eq!(bench.power("fan"), Power::Unknown, "not said yet");
    bench.said(0, 0, OutputCause::Adopted);
    assert_eq!(bench.power("fan"), Power::Off);
    let set = bench.order("fan", Action::Start);
    assert_eq!((bench.power("fan"), replied(&set)), (Power::Off, None), "asked is not done");
    let done = bench.ack(&set);
    assert_eq!((bench.power("fan"), replied(&done)), (Power::On, Some(&Ok(()))));
    let lost = bench.put(Input::Down("unplugged".into()));
    let seen = bench.core.observe("fan").unwrap();
    assert!(seen.power == Power::Unknown && seen.detail.contains("unplugged"), "{seen:?}");
    assert!(lost.iter().any(|effect| matches!(effect, Effect::Shown(name, _) if name == "fan")));
    let refused = bench.order("fan", Action::SoftOff);
    assert!(matches!(replied(&refused), Some(Err(AdapterError::Unreachable(_)))), "{refused:?}");
}

#[test]
fn an_order_ends_with_the_line_or_with_patience() {
    let mut bench = Bench::up();
    bench.order("fan", Action::Start);
    let lost = bench.put(Input::Down("unplugged".into()));
    assert!(matches!(replied(&lost), Some(Err(AdapterError::Unreachable(_)))), "{lost:?}");
    let mut bench = Bench::up();
    bench.order("fan", Action::Start);
    assert_eq!(bench.core.due(), Some(bench.now + ANSWER_MS));
    let late = bench.after(ANSWER_MS);
    assert!(matches!(replied(&late), Some(Err(AdapterError::Unreachable(_)))), "{late:?}");
    let set = bench.order("fan", Action::Start);
    let (number, _) = self::set(&set).unwrap();
    let refused = bench.put(Input::Answered { set: number, result: Err("no such output".into()) });
    assert!(
        matches!(replied(&refused), Some(Err(AdapterError::Refused(why))) if why.contains("no such output"))
    );
}

#[test]
fn a_board_that_restarts_is_asserted_by_the_session_and_shown_as_it_is() {
    let mut bench = Bench::up();
    let set = bench.order("fan", Action::Start);
    bench.ack(&set);
    bench.said(0, 0, OutputCause::Reset);
    let seen = bench.core.observe("fan").unwrap();
    assert_eq!((seen.power, seen.detail.as_str()), (Power::Off, "the board started afresh"));
    let told = bench.put(Input::Stated(vec![(0, 1), (8, 1)]));
    assert_eq!(told.len(), 1, "what has changed is shown, and nothing else: {told:?}");
    let seen = bench.core.observe("fan").unwrap();
    assert_eq!((seen.power, seen.detail.as_str()), (Power::On, ""));
    bench.order("fan", Action::SoftOff);
    assert_eq!(bench.put(Input::Stated(vec![(0, 0)])), [], "our own question is answered by its answer");
}

#[test]
fn a_bridge_that_restarts_takes_lamps_over_and_closes_locks() {
    let mut bench = Bench::new();
    bench.put(Input::Up);
    assert_eq!(held(&bench.said(0, 1, OutputCause::Adopted)), [(0, 1)]);
    assert_eq!(bench.power("fan"), Power::On);
    assert_eq!(set(&bench.said(3, 1, OutputCause::Adopted)).unwrap().1, 0, "a lock that nobody holds open");
}

#[test]
fn a_door_opens_with_its_lock_and_closes_by_itself() {
    let mut bench = Bench::up();
    let opening = bench.order("front-door", Action::Start);
    assert!(matches!(opening[0], Effect::Set { index: 3, value: 1, lease_ms: 5000, .. }), "{opening:?}");
    assert_eq!(bench.power("front-door"), Power::Off, "not before the lock has answered");
    bench.ack(&opening);
    assert_eq!(bench.power("front-door"), Power::On);
    bench.after(4999);
    assert_eq!(bench.power("front-door"), Power::On);
    let closing = bench.after(1);
    assert_eq!(set(&closing).unwrap().1, 0, "the lock, too");
    let seen = bench.core.observe("front-door").unwrap();
    assert_eq!((seen.power, seen.detail.as_str()), (Power::Off, "closed by itself"));
}

#[test]
fn a_lock_that_falls_first_closes_its_door() {
    let mut bench = Bench::up();
    let opening = bench.order("front-door", Action::Start);
    bench.ack(&opening);
    bench.now += 4990;
    bench.said(3, 0, OutputCause::Lease);
    assert_eq!(bench.power("front-door"), Power::Off);
}

#[test]
fn a_board_that_restarts_while_a_door_is_open_gets_what_is_left_of_it() {
    let mut bench = Bench::up();
    let opening = bench.order("front-door", Action::Start);
    bench.ack(&opening);
    bench.now += 1500;
    let again = bench.put(Input::Up);
    assert!(
        again.iter().any(|e| matches!(e, Effect::Set { index: 3, value: 1, lease_ms: 3500, .. })),
        "{again:?}"
    );
    bench.put(Input::Down("unplugged".into()));
    bench.now += 10_000;
    let much_later = bench.put(Input::Up);
    assert_eq!(set(&much_later).unwrap().1, 0, "what is over is not opened again");
    assert_eq!(bench.power("front-door"), Power::Off);
}

#[test]
fn a_door_of_the_world_needs_no_line() {
    let mut bench = Bench::new();
    assert_eq!(bench.power("garden"), Power::Off);
    let opened = bench.order("garden", Action::Start);
    assert_eq!((bench.power("garden"), replied(&opened)), (Power::On, Some(&Ok(()))));
    bench.after(10_000_000);
    assert_eq!(bench.power("garden"), Power::On, "open_s = 0 waits for somebody");
    bench.order("garden", Action::SoftOff);
    assert_eq!(bench.power("garden"), Power::Off);
    let locked = bench.order("front-door", Action::Start);
    assert!(matches!(replied(&locked), Some(Err(AdapterError::Unreachable(_)))), "a lock does");
}

#[test]
fn a_lamp_shows_the_state_of_its_machine_and_red_while_everything_is_stopped() {
    let mut bench = Bench::new();
    assert_eq!(held(&bench.put(Input::Up)), [(1, 24), (2, 0)], "nobody knows yet");
    assert_eq!(held(&bench.target("web-1", Power::On)), [(1, 4)]);
    assert_eq!(held(&bench.target("web-1", Power::On)), []);
    assert_eq!(held(&bench.put(Input::Emergency(true))), [(1, 1), (2, 1)]);
    assert_eq!(held(&bench.put(Input::Emergency(false))), [(1, 4), (2, 0)]);
    bench.put(Input::Down("unplugged".into()));
    assert_eq!(held(&bench.target("web-1", Power::Crashed)), [(1, 1)], "kept for the next adoption");
}

#[test]
fn a_badge_asks_once_and_an_old_one_is_refused_in_words() {
    let mut bench = Bench::up();
    let effects = bench.tag("04A1B2C3", 20);
    let asking = asked(&effects).unwrap();
    assert_eq!(asking.actor.to_string(), "badge:ada");
    assert_eq!(asking.wired.deed, Deed::Act(Action::Start));
    assert_eq!((asking.boot, asking.seq), (1, bench.seq));
    assert_eq!(asked(&bench.tag("04A1B2C3", 20)), None, "the same showing");
    bench.now += 5000;
    let stale = bench.tag("04A1B2C3", 2001);
    assert_eq!((asked(&stale), audited(&stale)), (None, vec!["stale-badge"]));
    let words = stale.iter().find_map(|e| match e {
        Effect::Audit { words, .. } => Some(words.clone()),
        _ => None,
    });
    assert!(words.unwrap().contains("while the line was down"));
    assert!(stale.iter().any(|e| matches!(e, Effect::Text { row: 1, .. })), "and told at the reader");
}

#[test]
fn a_stranger_asks_under_a_hash_and_no_number_leaves() {
    let mut bench = Bench::up();
    let effects = bench.tag("DEADBEEF", 0);
    let asking = asked(&effects).unwrap();
    assert!(asking.actor.id.starts_with("unknown-"));
    assert!(!format!("{effects:?}").to_uppercase().contains("DEADBEEF"));
}

#[test]
fn five_denials_lock_a_badge_out_and_the_journal_knows() {
    let mut bench = Bench::up();
    for n in 1..=5 {
        assert!(asked(&bench.tag("04A1B2C3", 0)).is_some(), "showing {n}");
        let told = bench.denied("Not allowed");
        assert_eq!(audited(&told), if n == 5 { vec!["lock-out"] } else { vec![] });
        bench.now += 2000;
    }
    let locked = bench.tag("04A1B2C3", 0);
    assert_eq!((asked(&locked), audited(&locked)), (None, vec!["locked-out"]));
    bench.now += 60_000;
    assert!(asked(&bench.tag("04A1B2C3", 0)).is_some());
}

#[test]
fn a_receipt_is_heard_and_read_at_the_reader_and_goes_away() {
    let mut bench = Bench::up();
    let told = bench.denied("Not allowed");
    assert!(
        told.iter().any(|e| matches!(e, Effect::Set { index: 5, value: 300, lease_ms: 500, .. })),
        "{told:?}"
    );
    assert!(told.contains(&Effect::Text { index: 6, row: 0, text: "Front door".into() }));
    assert!(told.contains(&Effect::Text { index: 6, row: 1, text: "Not allowed".into() }));
    let cleared = bench.after(4000);
    assert!(cleared.iter().any(|e| matches!(e, Effect::Set { index: 6, value: 0, .. })), "{cleared:?}");
    for code in [RefusalCode::NotPermitted, RefusalCode::WrongState, RefusalCode::Journal] {
        assert!(short_words(code, "Acknowledged").len() <= 16);
    }
}

#[test]
fn a_badge_that_proves_itself_is_never_believed_twice_nor_by_its_number() {
    // The worked example of NXP's AN12196: zero keys, counter 61.
    let message = SunMessage {
        picc: hex::decode("EF963FF7828658A599F3041510671E88").unwrap().try_into().unwrap(),
        mac: hex::decode("94EED9EE65337086").unwrap().try_into().unwrap(),
    };
    let mut bench = Bench::up();
    let effects = bench.happened(Happening::Sun { reader: 0, message }, 0);
    let asking = asked(&effects).unwrap();
    assert_eq!(asking.actor.to_string(), "badge:grace");
    assert_eq!(asking.keep, Some(("sun/grace".to_owned(), "61".to_owned())));
    bench.now += 5000;
    let again = bench.happened(Happening::Sun { reader: 0, message }, 0);
    assert_eq!((asked(&again), audited(&again)), (None, vec!["replayed-badge"]));
    let bare = bench.tag("04DE5F1EACC040", 0);
    assert_eq!((asked(&bare), audited(&bare)), (None, vec!["unproved"]));
    let forged = SunMessage { mac: [0; 8], ..message };
    let forged = bench.happened(Happening::Sun { reader: 0, message: forged }, 0);
    assert_eq!((asked(&forged), audited(&forged)), (None, vec!["forged-badge"]));
    let mut restarted = Bench::kept(&Kept::from([("sun/grace".to_owned(), "61".to_owned())]));
    let again = restarted.happened(Happening::Sun { reader: 0, message }, 0);
    assert_eq!(audited(&again), ["replayed-badge"], "over a restart, too");
}

#[test]
fn a_button_acts_when_pressed_and_only_an_emergency_stop_may_come_late() {
    let mut bench = Bench::up();
    let press = |index, pressed| Happening::Button { index, pressed };
    let effects = bench.happened(press(0, true), 0);
    assert_eq!(asked(&effects).unwrap().actor.to_string(), "button:gate-0");
    assert_eq!(asked(&bench.happened(press(0, false), 0)), None);
    let stale = bench.happened(press(0, true), 9000);
    assert_eq!((asked(&stale), audited(&stale)), (None, vec!["stale-button"]));
    let stop = bench.happened(press(1, true), 9000);
    assert_eq!(asked(&stop).unwrap().wired.deed, Deed::EmergencyStop);
    assert_eq!(asked(&bench.happened(press(7, true), 0)), None, "not wired");
}

#[test]
fn a_flag_and_a_latched_alarm_survive_a_restart() {
    let mut bench = Bench::up();
    let raised = bench.order("mail", Action::Start);
    assert!(raised.contains(&Effect::Keep { key: "flag/mail".into(), value: "on".into() }));
    let heat = bench.happened(Happening::Value { index: 0, value: 900 }, 0);
    let kept =
        heat.iter().position(|e| *e == Effect::Keep { key: "alarm/heat".into(), value: "sounding".into() });
    let shown = heat.iter().position(|e| matches!(e, Effect::Shown(name, _) if name == "heat"));
    assert!(kept.unwrap() < shown.unwrap(), "kept before it is shown");
    let kept = Kept::from([("flag/mail".into(), "on".into()), ("alarm/heat".into(), "sounding".into())]);
    let again = Bench::kept(&kept);
    assert_eq!((again.power("mail"), again.power("heat")), (Power::On, Power::On));
}

#[test]
fn an_alarm_is_acknowledged_once_and_clears_when_its_cause_is_gone() {
    let mut bench = Bench::up();
    bench.target("web-1", Power::Crashed);
    assert_eq!(bench.power("web"), Power::On);
    let done = bench.order("web", Action::Pause);
    assert_eq!((bench.power("web"), replied(&done)), (Power::Paused, Some(&Ok(()))));
    let twice = bench.order("web", Action::Pause);
    assert!(matches!(replied(&twice), Some(Err(AdapterError::Refused(why))) if why == "it is acknowledged"));
    bench.target("web-1", Power::On);
    assert_eq!(bench.power("web"), Power::Paused, "it might crash again at once");
    bench.after(5000);
    assert_eq!(bench.power("web"), Power::Off);
}

#[test]
fn an_acknowledgement_after_the_cause_is_told_before_the_quiet() {
    let mut bench = Bench::up();
    bench.happened(Happening::Value { index: 0, value: 900 }, 0);
    bench.happened(Happening::Value { index: 0, value: 10 }, 0);
    bench.now += 60_000;
    let effects = bench.order("heat", Action::Pause);
    let shown: Vec<Power> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Shown(_, seen) => Some(seen.power),
            _ => None,
        })
        .collect();
    assert_eq!(shown, [Power::Paused, Power::Off]);
}

#[test]
fn a_deaf_reader_is_told_to_the_journal() {
    let mut bench = Bench::up();
    let told = bench.happened(Happening::Reader { reader: 0, health: ReaderHealth::Deaf }, 0);
    assert_eq!(audited(&told), ["reader"]);
}
