use primrack_model::{Actor, ActorKind, Edge, TargetEntry, TargetId, TargetKind, Via};

use super::*;

fn book() -> Book {
    let target = TargetEntry {
        id: TargetId::new("web-1").unwrap(),
        label: "web-1".into(),
        kind: TargetKind::Machine,
        backend: BackendId::new("local").unwrap(),
        address: Address("web-1".into()),
        protected: false,
        groups: Vec::new(),
    };
    Book::new(Arc::new(Inventory::new(vec![target], Vec::new(), Vec::new()).unwrap()))
}

const WEB: TargetIx = TargetIx(0);

fn see(book: &Book, seen: Observation) {
    book.observed_at(seen);
}

impl Book {
    fn observed_at(&self, seen: Observation) {
        Sink::observed(self, &BackendId::new("local").unwrap(), &Address("web-1".into()), seen);
    }
}

fn intent(action: Action, name: &str) -> Intent {
    Intent {
        id: IntentId::now(),
        actor: Actor::new(ActorKind::Avatar, name, name),
        action,
        target: TargetId::new("web-1").unwrap(),
        via: Via { edge: Edge::World, object: None, unit: None },
        origin: None,
        at: UnixMs::now(),
    }
}

fn all() -> Capabilities {
    Capabilities { actions: &Action::ALL, pushes_events: true, simulated: false }
}

#[test]
fn nothing_is_done_to_what_was_never_observed() {
    let book = book();
    let Admission::Refused(refusal) = book.admit(WEB, &intent(Action::Start, "Ada"), all(), false) else {
        panic!("admitted")
    };
    assert_eq!(refusal.code, RefusalCode::Stale);
}

#[test]
fn a_start_shows_starting_only_once_durable_and_ends_when_the_machine_says_on() {
    let book = book();
    see(&book, Observation::of(Power::Off));
    let ask = intent(Action::Start, "Ada");
    let Admission::Run(mut finish) = book.admit(WEB, &ask, all(), false) else { panic!("refused") };
    assert_eq!(book.view(WEB).power, Power::Off, "shown before the journal holds it");
    book.made_durable(WEB, ask.id);
    let generation = book.view(WEB).generation;
    assert_eq!(book.view(WEB).power, Power::Starting);
    see(&book, Observation::of(Power::Starting));
    assert!(finish.try_recv().is_err());
    see(&book, Observation::of(Power::On));
    assert_eq!(finish.try_recv(), Ok(Finish::Reached));
    let view = book.view(WEB);
    assert!(view.power == Power::On && view.transition.is_none() && view.generation > generation);
}

#[test]
fn two_at_once_are_one_command() {
    let book = book();
    see(&book, Observation::of(Power::Off));
    let (ada, bob) = (intent(Action::Start, "Ada"), intent(Action::Start, "Bob"));
    let Admission::Run(_finish) = book.admit(WEB, &ada, all(), false) else { panic!("refused") };
    let Admission::Joined { with, by, mut durable, .. } = book.admit(WEB, &bob, all(), false) else {
        panic!("not joined")
    };
    assert_eq!((with, by.as_str()), (ada.id, "Ada"));
    assert!(durable.try_recv().is_err(), "said before it was true");
    book.made_durable(WEB, ada.id);
    assert_eq!(durable.try_recv(), Ok(true));
    let Admission::Refused(busy) = book.admit(WEB, &intent(Action::SoftOff, "Bob"), all(), false) else {
        panic!("admitted")
    };
    assert_eq!(busy.code, RefusalCode::Busy);
}

#[test]
fn a_command_that_cannot_be_recorded_leaves_no_trace() {
    let book = book();
    see(&book, Observation::of(Power::Off));
    let (ada, bob) = (intent(Action::Start, "Ada"), intent(Action::Start, "Bob"));
    let Admission::Run(_finish) = book.admit(WEB, &ada, all(), false) else { panic!("refused") };
    let Admission::Joined { mut durable, .. } = book.admit(WEB, &bob, all(), false) else {
        panic!("not joined")
    };
    book.close(WEB, ada.id, None);
    assert_eq!(durable.try_recv(), Ok(false));
    assert!(matches!(book.admit(WEB, &bob, all(), false), Admission::Run(_)));
}

#[test]
fn the_plug_may_be_pulled_while_a_soft_off_hangs() {
    let book = book();
    see(&book, Observation::of(Power::On));
    let (soft, hard) = (intent(Action::SoftOff, "Ada"), intent(Action::HardOff, "Ada"));
    let Admission::Run(mut finish) = book.admit(WEB, &soft, all(), false) else { panic!("refused") };
    book.made_durable(WEB, soft.id);
    assert_eq!(book.view(WEB).power, Power::Stopping);
    assert!(matches!(book.admit(WEB, &hard, all(), false), Admission::Run(_)));
    assert!(matches!(finish.try_recv(), Ok(Finish::Superseded(_))));
    // The first command's end must not take the second one away.
    book.close(WEB, soft.id, Some("given up"));
    book.made_durable(WEB, hard.id);
    assert_eq!(book.view(WEB).transition.unwrap().action, Action::HardOff);
}

#[test]
fn a_machine_that_dies_while_starting_fails_the_start_with_its_words() {
    let book = book();
    see(&book, Observation::of(Power::Off));
    let ask = intent(Action::Start, "Ada");
    let Admission::Run(mut finish) = book.admit(WEB, &ask, all(), false) else { panic!("refused") };
    book.made_durable(WEB, ask.id);
    book.sent(WEB, ask.id);
    see(&book, Observation::caused(Power::Crashed, Cause::Crash).with_detail("exit status 3"));
    assert_eq!(finish.try_recv(), Ok(Finish::Died("exit status 3".to_owned())));
}

#[test]
fn silence_keeps_the_last_word_and_calls_it_old() {
    let book = book();
    see(&book, Observation::of(Power::On));
    Sink::silent(&book, &BackendId::new("local").unwrap(), None, "the stream is lost");
    let view = book.view(WEB);
    assert!(view.stale && view.power == Power::On && view.detail == "the stream is lost");
    let Admission::Refused(refusal) = book.admit(WEB, &intent(Action::SoftOff, "Ada"), all(), false) else {
        panic!("admitted")
    };
    assert_eq!(refusal.code, RefusalCode::Stale);
    see(&book, Observation::of(Power::On));
    assert!(!book.view(WEB).stale);
}

#[test]
fn a_reboot_is_over_when_it_was_away_and_came_back() {
    let book = book();
    see(&book, Observation::of(Power::On));
    let ask = intent(Action::Reboot, "Ada");
    let Admission::Run(mut finish) = book.admit(WEB, &ask, all(), false) else { panic!("refused") };
    book.made_durable(WEB, ask.id);
    book.sent(WEB, ask.id);
    see(&book, Observation::of(Power::On));
    assert!(finish.try_recv().is_err(), "it has not gone down yet");
    see(&book, Observation::of(Power::Off));
    see(&book, Observation::of(Power::On));
    assert_eq!(finish.try_recv(), Ok(Finish::Reached));
}
