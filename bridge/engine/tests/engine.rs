//! The engine from intent to effect, with an adapter that can be told to hang, fail or lie.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use primrack_adapter_api::{Adapter, AdapterError, Capabilities, DriverSettings, Found, Hint, Hints};
use primrack_engine::journal::{Entry, EntryFilter, Journal, JournalSettings, Reader};
use primrack_engine::{Backend, Engine, EngineSettings, Parts};
use primrack_model::{
    Action, Actor, ActorKind, Address, BackendId, Command, Edge, GroupId, Intent, IntentId, Inventory,
    Observation, OriginKey, Outcome, Person, Power, Receipt, RefusalCode, TargetEntry, TargetId, TargetIx,
    TargetKind, TargetState, UnixMs, Verdict, Via,
};
use primrack_policy::Policy;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// One machine that does as it is told, or does not.
#[derive(Debug)]
struct Scripted {
    power: Mutex<Power>,
    executed: AtomicU32,
    hints: watch::Sender<Option<Hints>>,
    obeys: bool,
    /// Execution waits here when the test wants it to.
    gate: Option<Arc<Notify>>,
    refuses: bool,
    /// Nothing can ever tell its state, so a start is over when it was taken.
    blind: bool,
}

impl Scripted {
    fn new() -> Self {
        Self {
            power: Mutex::new(Power::Off),
            executed: AtomicU32::new(0),
            hints: watch::Sender::new(None),
            obeys: true,
            gate: None,
            refuses: false,
            blind: false,
        }
    }
    async fn becomes(&self, power: Power) {
        *self.power.lock() = power;
        let mut listening = self.hints.subscribe();
        let hints = listening.wait_for(Option::is_some).await.unwrap().clone().unwrap();
        hints.send(Hint::State(Address("m".into()), Observation::of(power))).await.unwrap();
    }
}

#[async_trait]
impl Adapter for Scripted {
    fn technology(&self) -> &'static str {
        "scripted"
    }
    fn capabilities(&self, _: &Address) -> Capabilities {
        let actions = &[Action::Start, Action::SoftOff, Action::HardOff];
        Capabilities { actions, pushes_events: true, simulated: true }
    }
    fn unseen(&self, _: &Address) -> &'static [Action] {
        if self.blind { &[Action::Start] } else { &[] }
    }
    async fn list(&self) -> Result<Vec<Found>, AdapterError> {
        let seen = Some(self.observe(&Address("m".into())).await?);
        Ok(vec![Found { seen, ..Found::of(Address("m".into())) }])
    }
    async fn observe(&self, _: &Address) -> Result<Observation, AdapterError> {
        let power = *self.power.lock();
        Ok(if power == Power::Unknown { Observation::unknown(UNSEEN) } else { Observation::of(power) })
    }
    async fn execute(&self, command: &Command) -> Result<(), AdapterError> {
        self.executed.fetch_add(1, Ordering::SeqCst);
        if let Some(gate) = &self.gate {
            gate.notified().await;
        }
        if self.refuses {
            return Err(AdapterError::Refused("no room on the host".to_owned()));
        }
        if self.obeys {
            let power = if command.action == Action::Start { Power::On } else { Power::Off };
            self.becomes(power).await;
        }
        Ok(())
    }
    async fn listen(&self, hints: Hints) -> AdapterError {
        let closed = hints.clone();
        self.hints.send_replace(Some(hints));
        closed.closed().await;
        AdapterError::Unreachable("the test is over".to_owned())
    }
}

struct Bench {
    engine: Arc<Engine>,
    machine: Arc<Scripted>,
    tasks: TaskTracker,
    stop: CancellationToken,
    ended: mpsc::UnboundedReceiver<(IntentId, Outcome)>,
}

struct Ends(mpsc::UnboundedSender<(IntentId, Outcome)>);

impl primrack_engine::Watcher for Ends {
    fn changed(&self, _: TargetIx) {}
    fn ended(&self, _: TargetIx, intent: &Intent, outcome: &Outcome) {
        let _gone = self.0.send((intent.id, outcome.clone()));
    }
}

const ADA: &str = "aaaaaaaa-0000-4000-8000-00000000ada1";
const UNSEEN: &str = "nothing checks";
const MACHINE: TargetIx = TargetIx(0);

async fn bench(
    folder: &Path,
    machine: Scripted,
    settings: EngineSettings,
    journal: JournalSettings,
) -> Bench {
    let target = TargetEntry {
        id: TargetId::new("m").unwrap(),
        label: "m".into(),
        kind: TargetKind::Machine,
        backend: BackendId::new("local").unwrap(),
        address: Address("m".into()),
        protected: false,
        groups: Vec::new(),
    };
    let ada = Person { actor: format!("avatar:{ADA}").into(), groups: vec![GroupId::new("owners").unwrap()] };
    let inventory = Arc::new(Inventory::new(vec![target], Vec::new(), vec![ada]).unwrap());
    let policy = Arc::new(Policy::load(&[Policy::starter()], Arc::clone(&inventory)).unwrap());
    let path = folder.join("journal.sqlite");
    let (journal, recovered) =
        tokio::task::spawn_blocking(move || Journal::open(&path, &journal)).await.unwrap().unwrap();
    let machine = Arc::new(machine);
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let backend = Backend {
        id: BackendId::new("local").unwrap(),
        adapter: Arc::clone(&machine) as _,
        settings: DriverSettings::default(),
    };
    let parts = Parts {
        inventory,
        policy,
        journal,
        unfinished: recovered.unfinished,
        backends: vec![backend],
        settings,
    };
    let (tell, ended) = mpsc::unbounded_channel();
    let engine = Engine::start(parts, &tasks, stop.clone(), |_| vec![Arc::new(Ends(tell)) as _]);
    let bench = Bench { engine, machine, tasks, stop, ended };
    engine_recalls(&bench, &recovered.kept);
    // What nobody can see never becomes known.
    bench.until(|state| !state.stale || state.detail == UNSEEN).await;
    bench
}

/// As the composition does.
fn engine_recalls(bench: &Bench, kept: &primrack_engine::journal::Kept) {
    if let Some(kept) = kept.get(primrack_engine::READ_ONLY_SPACE) {
        bench.engine.recall_read_only(kept);
    }
}

impl Bench {
    async fn simple(folder: &Path) -> Self {
        bench(folder, Scripted::new(), EngineSettings::default(), JournalSettings::default()).await
    }
    /// Waits for the state, awakened by every change.
    async fn until(&self, wanted: impl Fn(&TargetState) -> bool) -> TargetState {
        let mut changes = self.engine.subscribe();
        loop {
            let state = self.engine.state(MACHINE);
            if wanted(&state) {
                return state;
            }
            tokio::time::timeout(Duration::from_secs(20), changes.recv()).await.expect("no change").unwrap();
        }
    }
    async fn close(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.engine.journal().close().await;
    }
}

fn intent(action: Action, who: &str, event: &str) -> Intent {
    Intent {
        id: IntentId::now(),
        actor: Actor::new(ActorKind::Avatar, who, "Ada"),
        action,
        target: TargetId::new("m").unwrap(),
        via: Via { edge: Edge::World, object: None, unit: Some(1) },
        origin: Some(OriginKey { source: "rack-1".into(), event: event.into() }),
        at: UnixMs::now(),
    }
}

fn entries(folder: &Path) -> Vec<Entry> {
    let reader = Reader::open(&folder.join("journal.sqlite")).unwrap();
    reader.entries(EntryFilter::default()).map(|record| record.unwrap().entry).collect()
}

#[tokio::test]
async fn a_start_is_accepted_recorded_executed_once_and_ends_done() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::simple(folder.path()).await;
    let receipt = bench.engine.submit(intent(Action::Start, ADA, "1")).await;
    assert_eq!((&receipt.verdict, receipt.words.as_str()), (&Verdict::Accepted, "Starting m."));
    bench.until(|state| state.power == Power::On && state.transition.is_none()).await;
    assert_eq!(bench.ended.recv().await, Some((receipt.intent, Outcome::Done)));
    assert_eq!(bench.machine.executed.load(Ordering::SeqCst), 1);
    bench.close().await;
    let story: Vec<String> =
        entries(folder.path()).iter().map(|entry| entry.kind().token().to_owned()).collect();
    assert_eq!(story, ["boot", "decision", "ended", "closed"]);
}

#[tokio::test]
async fn what_nobody_can_see_may_be_started_and_its_state_stays_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let start = |blind| {
        let machine = Scripted { power: Mutex::new(Power::Unknown), obeys: false, blind, ..Scripted::new() };
        bench(folder.path(), machine, EngineSettings::default(), JournalSettings::default())
    };
    let bench = start(false).await;
    let receipt = bench.engine.submit(intent(Action::Start, ADA, "1")).await;
    assert!(
        matches!(&receipt.verdict, Verdict::Refused(why) if why.code == RefusalCode::Stale),
        "{receipt:?}"
    );
    bench.close().await;

    let mut bench = start(true).await;
    let ada = Actor::new(ActorKind::Avatar, ADA, "Ada");
    let via = Via { edge: Edge::World, object: None, unit: Some(1) };
    assert_eq!(bench.engine.choices(&ada, MACHINE, &via), Ok(vec![Action::Start]));
    let receipt = bench.engine.submit(intent(Action::Start, ADA, "2")).await;
    assert_eq!(receipt.verdict, Verdict::Accepted);
    assert_eq!(bench.ended.recv().await, Some((receipt.intent, Outcome::Done)));
    assert_eq!(bench.machine.executed.load(Ordering::SeqCst), 1);
    let state = bench.until(|state| state.transition.is_none()).await;
    assert_eq!((state.power, state.detail.as_str()), (Power::Unknown, UNSEEN), "no state is guessed");
    let receipt = bench.engine.submit(intent(Action::HardOff, ADA, "3")).await;
    assert!(
        matches!(&receipt.verdict, Verdict::Refused(why) if why.code == RefusalCode::Stale),
        "{receipt:?}"
    );
    bench.close().await;
}

#[tokio::test]
async fn the_same_event_sent_again_gets_the_same_receipt_and_no_second_action() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::simple(folder.path()).await;
    let asked = intent(Action::Start, ADA, "1");
    let together: Vec<Receipt> =
        futures::future::join_all((0..8).map(|_| bench.engine.submit(asked.clone()))).await;
    assert!(together.windows(2).all(|pair| pair[0] == pair[1]), "{together:?}");
    bench.until(|state| state.power == Power::On).await;
    bench.close().await;
    // Over a restart, with another intent id, as a script sends it again.
    let bench = Bench::simple(folder.path()).await;
    let again = bench.engine.submit(intent(Action::Start, ADA, "1")).await;
    assert_eq!(again, together[0]);
    assert_eq!(bench.machine.executed.load(Ordering::SeqCst), 0);
    bench.close().await;
}

#[tokio::test]
async fn two_people_at_once_are_one_command_and_two_truthful_receipts() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Arc::new(Notify::new());
    let machine = Scripted { gate: Some(Arc::clone(&gate)), ..Scripted::new() };
    let bench = bench(folder.path(), machine, EngineSettings::default(), JournalSettings::default()).await;
    let (one, two) = tokio::join!(
        bench.engine.submit(intent(Action::Start, ADA, "1")),
        bench.engine.submit(intent(Action::Start, ADA, "2"))
    );
    let (first, second) = if one.verdict == Verdict::Accepted { (one, two) } else { (two, one) };
    assert_eq!(second.verdict, Verdict::Joined { with: first.intent });
    assert!(second.words.starts_with("Starting m already, for Ada"), "{}", second.words);
    gate.notify_one();
    bench.until(|state| state.power == Power::On).await;
    assert_eq!(bench.machine.executed.load(Ordering::SeqCst), 1);
    bench.close().await;
}

#[tokio::test]
async fn a_stranger_is_refused_in_words_and_on_record() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::simple(folder.path()).await;
    let receipt =
        bench.engine.submit(intent(Action::Start, "bbbbbbbb-0000-4000-8000-00000000b0b0", "1")).await;
    let Verdict::Refused(refusal) = &receipt.verdict else { panic!("{receipt:?}") };
    assert_eq!(refusal.code, RefusalCode::NotPermitted);
    assert!(receipt.words.contains("may not start m"), "{}", receipt.words);
    let mut nowhere = intent(Action::Start, ADA, "2");
    nowhere.target = TargetId::new("x").unwrap();
    assert!(
        matches!(bench.engine.submit(nowhere).await.verdict, Verdict::Refused(r) if r.code == RefusalCode::NoTarget)
    );
    assert_eq!(bench.machine.executed.load(Ordering::SeqCst), 0);
    bench.close().await;
    let decisions =
        entries(folder.path()).into_iter().filter(|entry| entry.kind().token() == "decision").count();
    assert_eq!(decisions, 2);
}

#[tokio::test]
async fn the_emergency_stop_refuses_everything_and_outlives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::simple(folder.path()).await;
    let mut told = bench.engine.watch_read_only();
    assert!(bench.engine.stop_acting("button gate/0", "smoke in the lab").await.unwrap());
    assert!(!bench.engine.stop_acting("button gate/0", "pressed again").await.unwrap());
    told.changed().await.unwrap();
    assert_eq!(told.borrow().as_ref().map(|stop| stop.why.to_string()), Some("smoke in the lab".to_owned()));
    let refused = |receipt: Receipt| match receipt.verdict {
        Verdict::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    };
    let no = refused(bench.engine.submit(intent(Action::Start, ADA, "1")).await);
    assert_eq!(no.code, RefusalCode::ReadOnly);
    assert!(no.words.contains("button gate/0 (smoke in the lab)"), "{}", no.words);
    let ada = Actor::new(ActorKind::Avatar, ADA, "Ada");
    let via = Via { edge: Edge::World, object: None, unit: Some(1) };
    assert_eq!(bench.engine.choices(&ada, MACHINE, &via).unwrap_err().code, RefusalCode::ReadOnly);
    assert_eq!(bench.machine.executed.load(Ordering::SeqCst), 0);
    bench.close().await;

    let bench = Bench::simple(folder.path()).await;
    assert_eq!(
        refused(bench.engine.submit(intent(Action::Start, ADA, "2")).await).code,
        RefusalCode::ReadOnly
    );
    assert!(bench.engine.act_again("operator ada").await.unwrap());
    assert!(!bench.engine.act_again("operator ada").await.unwrap());
    assert!(bench.engine.submit(intent(Action::Start, ADA, "3")).await.is_accepted());
    bench.close().await;

    let bench = Bench::simple(folder.path()).await;
    assert_eq!(bench.engine.read_only(), None, "what was ended comes back with no restart");
    bench.close().await;
    let notes = entries(folder.path())
        .into_iter()
        .filter(|entry| matches!(entry, Entry::Audit { class, .. } if class == "read-only"));
    assert_eq!(notes.count(), 2);
}

#[tokio::test]
async fn what_the_backend_refuses_fails_with_its_words() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Scripted { refuses: true, ..Scripted::new() };
    let mut bench =
        bench(folder.path(), machine, EngineSettings::default(), JournalSettings::default()).await;
    let receipt = bench.engine.submit(intent(Action::Start, ADA, "1")).await;
    assert!(receipt.is_accepted());
    let (_, outcome) = bench.ended.recv().await.unwrap();
    assert_eq!(outcome, Outcome::Failed("no room on the host".to_owned()));
    let state = bench.until(|state| state.transition.is_none()).await;
    assert_eq!((state.power, state.detail.as_str()), (Power::Off, "Start failed: no room on the host"));
    bench.close().await;
}

#[tokio::test]
async fn a_soft_off_that_is_ignored_fails_at_its_deadline_and_the_plug_still_works() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Scripted { obeys: false, power: Mutex::new(Power::On), ..Scripted::new() };
    let settings = EngineSettings { soft_off_deadline_ms: 1000, ..EngineSettings::default() };
    let mut bench = bench(folder.path(), machine, settings, JournalSettings::default()).await;
    bench.engine.submit(intent(Action::SoftOff, ADA, "1")).await;
    bench.until(|state| state.power == Power::Stopping).await;
    let (_, outcome) = bench.ended.recv().await.unwrap();
    assert_eq!(outcome, Outcome::Failed("still On after 1 s: it does not follow the request".to_owned()));
    let receipt = bench.engine.submit(intent(Action::HardOff, ADA, "2")).await;
    bench.machine.becomes(Power::Off).await;
    assert_eq!(bench.ended.recv().await, Some((receipt.intent, Outcome::Done)));
    bench.close().await;
}

#[tokio::test]
async fn a_full_journal_refuses_and_nothing_is_executed() {
    let folder = tempfile::tempdir().unwrap();
    let journal = JournalSettings { max_bytes: Some(256 * 1024), ..JournalSettings::default() };
    let bench = bench(folder.path(), Scripted::new(), EngineSettings::default(), journal).await;
    let (mut refused, mut event) = (None, 0);
    while refused.is_none() {
        event += 1;
        assert!(event < 5000, "the journal never filled up");
        let before = bench.machine.executed.load(Ordering::SeqCst);
        let power = bench.engine.state(MACHINE).power;
        let action = if power == Power::On { Action::SoftOff } else { Action::Start };
        let receipt = bench.engine.submit(intent(action, ADA, &event.to_string())).await;
        match receipt.verdict {
            Verdict::Refused(refusal) if refusal.code == RefusalCode::Journal => {
                refused = Some((before, refusal));
            }
            Verdict::Accepted => {
                bench.until(|state| state.transition.is_none() && state.power != power).await;
            }
            other => panic!("{other:?}"),
        }
    }
    let (before, refusal) = refused.unwrap();
    assert!(refusal.words.contains("journal cannot be written"), "{}", refusal.words);
    assert_eq!(bench.machine.executed.load(Ordering::SeqCst), before);
    assert!(bench.engine.state(MACHINE).transition.is_none());
}

#[tokio::test]
async fn what_was_under_way_at_a_crash_is_interrupted_and_never_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Arc::new(Notify::new());
    let machine = Scripted { gate: Some(gate), ..Scripted::new() };
    let bench = bench(folder.path(), machine, EngineSettings::default(), JournalSettings::default()).await;
    let receipt = bench.engine.submit(intent(Action::Start, ADA, "1")).await;
    assert!(receipt.is_accepted());
    // The journal's file as it is at this moment is what a kill leaves behind.
    let crashed = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), crashed.path().join(entry.file_name())).unwrap();
    }
    let after = Bench::simple(crashed.path()).await;
    assert_eq!(after.machine.executed.load(Ordering::SeqCst), 0);
    assert!(after.engine.state(MACHINE).transition.is_none());
    after.close().await;
    let told = entries(crashed.path());
    assert!(
        told.iter()
            .any(|entry| matches!(entry, Entry::Interrupted { intent, .. } if *intent == receipt.intent)),
        "{told:?}"
    );
}
