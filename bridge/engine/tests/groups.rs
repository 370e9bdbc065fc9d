//! Groups through the engine: order, readiness, failure, rights, and what happens in between.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use primrack_adapter_api::{Adapter, AdapterError, Capabilities, DriverSettings, Found, Hint, Hints};
use primrack_engine::journal::{Entry, EntryFilter, Journal, JournalSettings, Reader};
use primrack_engine::{Backend, Engine, EngineSettings, Parts};
use primrack_model::{
    Action, Actor, ActorKind, Address, BackendId, Command, Edge, GROUPS, GroupId, GroupPlan, Intent,
    IntentId, Inventory, MemberPlan, Observation, OnFailure, Outcome, Person, Power, Ready, Receipt, Refusal,
    RefusalCode, TargetEntry, TargetId, TargetIx, TargetKind, TargetState, UnixMs, Verdict, Via,
};
use primrack_policy::{Policy, Source};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What a machine does when it is told something.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Obeys,
    Refuses,
    /// Takes the command and comes to no end.
    Hangs,
}

/// Several machines that do as they are told, or do not.
#[derive(Debug)]
struct Yard {
    power: Mutex<BTreeMap<String, Power>>,
    fates: Mutex<BTreeMap<String, Fate>>,
    told: Mutex<Vec<(String, Action)>>,
    hints: watch::Sender<Option<Hints>>,
}

impl Yard {
    fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            power: Mutex::new(names.into_iter().map(|name| (name.to_owned(), Power::Off)).collect()),
            fates: Mutex::default(),
            told: Mutex::default(),
            hints: watch::Sender::new(None),
        }
    }
    fn fate(&self, name: &str, fate: Fate) {
        self.fates.lock().insert(name.to_owned(), fate);
    }
    async fn becomes(&self, name: &str, power: Power) {
        self.power.lock().insert(name.to_owned(), power);
        let mut listening = self.hints.subscribe();
        let hints = listening.wait_for(Option::is_some).await.unwrap().clone().unwrap();
        hints.send(Hint::State(Address(name.into()), Observation::of(power))).await.unwrap();
    }
    fn told(&self) -> Vec<String> {
        self.told.lock().iter().map(|(name, action)| format!("{action} {name}")).collect()
    }
}

#[async_trait]
impl Adapter for Yard {
    fn technology(&self) -> &'static str {
        "yard"
    }
    fn capabilities(&self, _: &Address) -> Capabilities {
        let actions = &[Action::Start, Action::SoftOff, Action::HardOff];
        Capabilities { actions, pushes_events: true, simulated: true }
    }
    async fn list(&self) -> Result<Vec<Found>, AdapterError> {
        let found = |(name, power): (&String, &Power)| Found {
            seen: Some(Observation::of(*power)),
            ..Found::of(Address(name.as_str().into()))
        };
        Ok(self.power.lock().iter().map(found).collect())
    }
    async fn observe(&self, address: &Address) -> Result<Observation, AdapterError> {
        let power = self.power.lock().get(address.0.as_str()).copied();
        power.map(Observation::of).ok_or(AdapterError::NotFound(address.0.to_string()))
    }
    async fn execute(&self, command: &Command) -> Result<(), AdapterError> {
        let name = command.address.0.as_str();
        self.told.lock().push((name.to_owned(), command.action));
        let fate = self.fates.lock().get(name).copied().unwrap_or(Fate::Obeys);
        match fate {
            Fate::Refuses => Err(AdapterError::Refused("no room on the host".to_owned())),
            Fate::Hangs if command.action != Action::HardOff => {
                if command.action == Action::Start {
                    self.becomes(name, Power::Starting).await;
                }
                Ok(())
            }
            Fate::Hangs | Fate::Obeys => {
                let power = if command.action == Action::Start { Power::On } else { Power::Off };
                self.becomes(name, power).await;
                Ok(())
            }
        }
    }
    async fn listen(&self, hints: Hints) -> AdapterError {
        let closed = hints.clone();
        self.hints.send_replace(Some(hints));
        closed.closed().await;
        AdapterError::Unreachable("the test is over".to_owned())
    }
}

const ADA: &str = "aaaaaaaa-0000-4000-8000-00000000ada1";
const BOB: &str = "bbbbbbbb-0000-4000-8000-00000000b0b0";
/// Bob may do everything but stop the database.
const RULES: &str = r#"
@id("owners-all") permit (principal in Primrack::Group::"owners", action, resource);
@id("bob") permit (principal == Primrack::Avatar::"bbbbbbbb-0000-4000-8000-00000000b0b0", action, resource)
unless { resource == Primrack::Target::"db" && action == Primrack::Action::"soft-off" };
"#;

fn id(name: &str) -> TargetId {
    TargetId::new(name).unwrap()
}
fn member(target: &str, after: &[&str]) -> MemberPlan {
    let after = after.iter().map(|name| id(name)).collect();
    MemberPlan { target: id(target), after, ready: Ready::On, ready_within_ms: 20_000 }
}
fn group(target: &str, members: Vec<MemberPlan>) -> GroupPlan {
    GroupPlan { target: id(target), members, parallel: 4, on_failure: OnFailure::Stop }
}
/// A database, two web servers after it, a balancer after both.
fn shop() -> GroupPlan {
    let members = vec![
        member("lb", &["web-1", "web-2"]),
        member("web-1", &["db"]),
        member("web-2", &["db"]),
        member("db", &[]),
    ];
    group("shop", members)
}

struct Bench {
    engine: Arc<Engine>,
    yard: Arc<Yard>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

const MACHINES: [&str; 4] = ["db", "web-1", "web-2", "lb"];

async fn bench(folder: &Path, plans: &[GroupPlan]) -> Bench {
    let target = |name: &str, kind, backend: &str| TargetEntry {
        id: id(name),
        label: name.into(),
        kind,
        backend: BackendId::new(backend).unwrap(),
        address: Address(name.into()),
        protected: false,
        groups: Vec::new(),
    };
    let machines = MACHINES.map(|name| target(name, TargetKind::Machine, "local"));
    let groups = plans.iter().map(|plan| target(plan.target.as_str(), TargetKind::Group, GROUPS));
    let targets = machines.into_iter().chain(groups).collect();
    let ada = Person { actor: format!("avatar:{ADA}").into(), groups: vec![GroupId::new("owners").unwrap()] };
    let inventory = Inventory::new(targets, Vec::new(), vec![ada]).unwrap().with_groups(plans).unwrap();
    let inventory = Arc::new(inventory);
    let policy = Arc::new(Policy::load(&[Source::new("rules", RULES)], Arc::clone(&inventory)).unwrap());
    let path = folder.join("journal.sqlite");
    let opening = move || Journal::open(&path, &JournalSettings::default()).unwrap();
    let (journal, recovered) = tokio::task::spawn_blocking(opening).await.unwrap();
    let yard = Arc::new(Yard::new(MACHINES));
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let backend = Backend {
        id: BackendId::new("local").unwrap(),
        adapter: Arc::clone(&yard) as _,
        settings: DriverSettings::default(),
    };
    let parts = Parts {
        inventory,
        policy,
        journal,
        unfinished: recovered.unfinished,
        backends: vec![backend],
        settings: EngineSettings { start_deadline_ms: 2_000, ..EngineSettings::default() },
    };
    let engine = Engine::start(parts, &tasks, stop.clone(), |_| Vec::new());
    let bench = Bench { engine, yard, tasks, stop };
    for plan in plans {
        bench.until(plan.target.as_str(), |state| !state.stale).await;
    }
    bench
}

fn intent(action: Action, target: &str, who: &str, name: &str) -> Intent {
    Intent {
        id: IntentId::now(),
        actor: Actor::new(ActorKind::Avatar, who, name),
        action,
        target: id(target),
        via: Via { edge: Edge::World, object: None, unit: None },
        origin: None,
        at: UnixMs::now(),
    }
}

fn refusal(receipt: &Receipt) -> &Refusal {
    match &receipt.verdict {
        Verdict::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

impl Bench {
    fn ix(&self, target: &str) -> TargetIx {
        self.engine.inventory().find_target(target).unwrap()
    }
    fn state(&self, target: &str) -> TargetState {
        self.engine.state(self.ix(target))
    }
    async fn ask(&self, action: Action, target: &str) -> Receipt {
        self.engine.submit(intent(action, target, ADA, "Ada")).await
    }
    /// Waits for the state, awakened by every change.
    async fn until(&self, target: &str, wanted: impl Fn(&TargetState) -> bool) -> TargetState {
        let mut changes = self.engine.subscribe();
        loop {
            let state = self.state(target);
            if wanted(&state) {
                return state;
            }
            let change = tokio::time::timeout(Duration::from_secs(30), changes.recv()).await;
            drop(change.unwrap_or_else(|_| panic!("{target} stays {state:?}")));
        }
    }
    /// Asks, and waits until it is over.
    async fn carry_out(&self, action: Action, target: &str) -> TargetState {
        let receipt = self.ask(action, target).await;
        assert!(receipt.is_accepted(), "{}", receipt.words);
        self.until(target, |state| state.transition.is_none()).await
    }
    async fn close(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.engine.journal().close().await;
    }
}

fn entries(folder: &Path) -> Vec<Entry> {
    let reader = Reader::open(&folder.join("journal.sqlite")).unwrap();
    reader.entries(EntryFilter::default()).map(|record| record.unwrap().entry).collect()
}

#[tokio::test]
async fn a_group_comes_up_in_order_and_goes_down_in_reverse_as_one_intent_with_its_steps() {
    let folder = tempfile::tempdir().unwrap();
    let bench = bench(folder.path(), &[shop()]).await;
    assert_eq!(bench.state("shop").power, Power::Off);
    let receipt = bench.ask(Action::Start, "shop").await;
    assert_eq!(receipt.words, "Starting shop.");
    let up = bench.until("shop", |state| state.transition.is_none()).await;
    assert_eq!((up.power, up.detail.as_str(), up.stale), (Power::On, "", false));
    let told = bench.yard.told();
    assert_eq!((told[0].as_str(), told[3].as_str()), ("start db", "start lb"), "{told:?}");
    assert_eq!(refusal(&bench.ask(Action::Start, "shop").await).code, RefusalCode::WrongState);
    let down = bench.carry_out(Action::SoftOff, "shop").await;
    assert_eq!(down.power, Power::Off);
    let told = bench.yard.told().split_off(4);
    assert_eq!((told[0].as_str(), told[3].as_str()), ("soft-off lb", "soft-off db"), "{told:?}");
    bench.close().await;

    let all = entries(folder.path());
    let plans: Vec<_> = all
        .iter()
        .filter_map(|entry| match entry {
            Entry::Decision(decision) if !decision.plan.is_empty() => Some(decision.plan.clone()),
            _ => None,
        })
        .collect();
    let names = |plan: &Vec<Vec<TargetId>>| {
        plan.iter()
            .map(|stage| stage.iter().map(TargetId::as_str).collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&plans[0]), ["db", "web-1 web-2", "lb"]);
    assert_eq!(names(&plans[1]), ["lb", "web-1 web-2", "db"]);
    let steps = |entry: &&Entry| entry.part_of() == Some(receipt.intent);
    let decided = all.iter().filter(steps).filter(|entry| entry.kind().token() == "decision");
    assert_eq!(decided.count(), 4);
    let ended = |entry: &&Entry| matches!(entry, Entry::Ended { outcome: Outcome::Done, .. });
    assert_eq!(all.iter().filter(steps).filter(ended).count(), 4);
    assert_eq!(all.iter().filter(ended).count(), 10, "eight steps and two groups");
}

#[tokio::test]
async fn the_first_failure_leaves_what_has_not_begun_and_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let bench = bench(folder.path(), &[shop()]).await;
    bench.yard.fate("web-2", Fate::Refuses);
    let failed = bench.carry_out(Action::Start, "shop").await;
    assert_eq!(failed.detail, "Start failed: web-2: no room on the host; 2 of 4 done, not begun: lb");
    // Two run and two do not: neither On nor Off.
    assert_eq!((failed.power, failed.word(TargetKind::Group)), (Power::Unknown, "Mixed"));
    assert_eq!(bench.state("db").power, Power::On, "nothing is rolled back");
    assert_eq!(bench.state("lb").power, Power::Off);
    // What is there already counts as done: only the two others are told something.
    bench.yard.fate("web-2", Fate::Obeys);
    assert_eq!(bench.carry_out(Action::Start, "shop").await.power, Power::On);
    assert_eq!(bench.yard.told()[3..], ["start web-2", "start lb"]);
    // Somebody stops one of them by itself: no word of On remains.
    bench.yard.becomes("web-1", Power::Crashed).await;
    let mixed = bench.until("shop", |state| state.power != Power::On).await;
    assert_eq!((mixed.power, mixed.detail.as_str()), (Power::Unknown, "3 of 4 on; crashed: web-1"));
    bench.close().await;
}

#[tokio::test]
async fn with_continue_only_what_depends_on_the_failed_one_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let plan = GroupPlan { on_failure: OnFailure::Continue, parallel: 1, ..shop() };
    let bench = bench(folder.path(), &[plan]).await;
    bench.yard.fate("web-1", Fate::Refuses);
    let failed = bench.carry_out(Action::Start, "shop").await;
    assert_eq!(failed.detail, "Start failed: web-1: no room on the host; 2 of 4 done, not begun: lb");
    assert_eq!(bench.yard.told(), ["start db", "start web-1", "start web-2"]);
    bench.close().await;
}

#[tokio::test]
async fn nobody_gets_by_a_group_what_they_may_not_do_to_a_member() {
    let folder = tempfile::tempdir().unwrap();
    let outer = group("house", vec![member("shop", &[])]);
    let bench = bench(folder.path(), &[shop(), outer]).await;
    assert_eq!(bench.carry_out(Action::Start, "house").await.power, Power::On);
    for target in ["shop", "house"] {
        let no = bench.engine.submit(intent(Action::SoftOff, target, BOB, "Bob")).await;
        assert_eq!(refusal(&no).code, RefusalCode::NotPermitted);
        assert!(no.words.contains("Nothing is done to shop: Bob may not shut down db"), "{}", no.words);
        let bob = Actor::new(ActorKind::Avatar, BOB, "Bob");
        let via = Via { edge: Edge::World, object: None, unit: None };
        assert_eq!(bench.engine.choices(&bob, bench.ix(target), &via), Ok(vec![Action::HardOff]));
    }
    assert_eq!(bench.yard.told().len(), 4, "nothing was stopped");
    let ada = Actor::new(ActorKind::Avatar, ADA, "Ada");
    let via = Via { edge: Edge::World, object: None, unit: None };
    let choices = bench.engine.choices(&ada, bench.ix("house"), &via);
    assert_eq!(choices, Ok(vec![Action::SoftOff, Action::HardOff]));
    bench.close().await;
}

#[tokio::test]
async fn a_member_that_is_on_and_does_not_serve_yet_holds_up_who_depends_on_it() {
    let folder = tempfile::tempdir().unwrap();
    // Taken and given back, so that nobody listens there yet.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut plan = shop();
    plan.members[3].ready = Ready::Tcp(port.to_string().into());
    let bench = bench(folder.path(), &[plan]).await;
    bench.ask(Action::Start, "shop").await;
    bench.until("db", |state| state.power == Power::On && state.transition.is_none()).await;
    let waits = bench.until("shop", |state| state.detail.starts_with("starting 1 of 4")).await;
    assert_eq!((waits.power, waits.detail.as_str()), (Power::Starting, "starting 1 of 4: db"));
    assert_eq!(bench.yard.told(), ["start db"]);
    let listener = TcpListener::bind(port).await.unwrap();
    let up = bench.until("shop", |state| state.transition.is_none()).await;
    assert_eq!(up.power, Power::On, "{}", up.detail);
    drop(listener);
    // By its own word it is On. But nobody listens: the group is not.
    bench.yard.becomes("db", Power::Off).await;
    bench.yard.becomes("db", Power::On).await;
    let not = bench.until("shop", |state| state.detail.contains("not ready")).await;
    assert_eq!((not.power, not.detail.as_str()), (Power::Starting, "4 of 4 on; not ready: db"));
    bench.close().await;
}

#[tokio::test]
async fn a_member_that_never_serves_fails_the_start_with_what_was_found() {
    let folder = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut plan = shop();
    plan.members[3].ready = Ready::Tcp(port.to_string().into());
    plan.members[3].ready_within_ms = 1_000;
    let bench = bench(folder.path(), &[plan]).await;
    let failed = bench.carry_out(Action::Start, "shop").await;
    let why = format!("Start failed: db: is On, but not ready after 1 s: TCP {port}: nobody listens; 0 of 4");
    assert!(failed.detail.starts_with(&why), "{}", failed.detail);
    assert_eq!(bench.yard.told(), ["start db"]);
    bench.close().await;
}

#[tokio::test]
async fn a_power_off_takes_the_place_of_a_start_that_hangs_and_nothing_begins_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let bench = bench(folder.path(), &[shop()]).await;
    bench.yard.fate("web-1", Fate::Hangs);
    let start = bench.ask(Action::Start, "shop").await;
    bench.until("shop", |state| state.detail == "starting 3 of 4: web-1").await;
    // The same once more is joined; the opposite has to wait, unless the plug is pulled.
    let joined = bench.engine.submit(intent(Action::Start, "shop", BOB, "Bob")).await;
    assert_eq!(joined.verdict, Verdict::Joined { with: start.intent });
    assert_eq!(refusal(&bench.ask(Action::SoftOff, "shop").await).code, RefusalCode::Busy);
    let off = bench.carry_out(Action::HardOff, "shop").await;
    assert_eq!((off.power, off.detail.as_str()), (Power::Off, ""));
    let told: BTreeSet<String> = bench.yard.told().split_off(3).into_iter().collect();
    let expected = ["hard-off db", "hard-off web-1", "hard-off web-2"].map(str::to_owned);
    assert_eq!(told, BTreeSet::from(expected), "lb never ran and is not told anything");
    bench.close().await;
    let given_up = entries(folder.path()).into_iter().any(|entry| {
        matches!(entry, Entry::Ended { intent, outcome: Outcome::Failed(why), .. }
            if intent == start.intent && why == "given up: powering off for Ada")
    });
    assert!(given_up);
}

#[tokio::test]
async fn what_somebody_else_does_to_a_member_meanwhile_is_told_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let bench = bench(folder.path(), &[shop()]).await;
    bench.yard.fate("db", Fate::Hangs);
    // Bob starts the database by itself, and the group waits for his command instead of giving its own.
    let bob = bench.engine.submit(intent(Action::Start, "db", BOB, "Bob")).await;
    bench.ask(Action::Start, "shop").await;
    bench.until("shop", |state| state.detail == "starting 1 of 4: db").await;
    bench.yard.becomes("db", Power::On).await;
    assert_eq!(bench.until("shop", |state| state.transition.is_none()).await.power, Power::On);
    assert_eq!(bench.yard.told().iter().filter(|told| *told == "start db").count(), 1);
    let joined = |entry: &Entry| match entry {
        Entry::Decision(decision) => {
            decision.part_of.is_some() && decision.receipt.verdict == Verdict::Joined { with: bob.intent }
        }
        _ => false,
    };
    // While the group waits for a member that ignores it, somebody pulls the plug: it is off, and that counts.
    bench.yard.fate("db", Fate::Obeys);
    bench.yard.fate("lb", Fate::Hangs);
    bench.ask(Action::SoftOff, "shop").await;
    bench.until("lb", |state| state.power == Power::Stopping).await;
    bench.engine.submit(intent(Action::HardOff, "lb", BOB, "Bob")).await;
    let off = bench.until("shop", |state| state.transition.is_none()).await;
    assert_eq!((off.power, off.detail.as_str()), (Power::Off, ""));
    // While it starts, the same is the end of it.
    bench.yard.fate("db", Fate::Hangs);
    bench.ask(Action::Start, "shop").await;
    bench.until("db", |state| state.power == Power::Starting).await;
    bench.engine.submit(intent(Action::HardOff, "db", BOB, "Bob")).await;
    let failed = bench.until("shop", |state| state.transition.is_none()).await;
    let why =
        "Start failed: db: is Off after what somebody else did; 0 of 4 done, not begun: lb, web-1, web-2";
    assert_eq!((failed.power, failed.detail.as_str()), (Power::Off, why));
    bench.close().await;
    assert!(entries(folder.path()).iter().any(joined));
}

#[tokio::test]
async fn the_emergency_stop_holds_for_what_has_not_begun() {
    let folder = tempfile::tempdir().unwrap();
    let bench = bench(folder.path(), &[shop()]).await;
    bench.yard.fate("db", Fate::Hangs);
    bench.ask(Action::Start, "shop").await;
    bench.until("shop", |state| state.detail == "starting 1 of 4: db").await;
    bench.engine.stop_acting("operator ada", "smoke").await.unwrap();
    bench.yard.becomes("db", Power::On).await;
    let failed = bench.until("shop", |state| state.transition.is_none()).await;
    assert!(
        failed.detail.starts_with("Start failed: web-1: Stopped by operator ada (smoke)"),
        "{}",
        failed.detail
    );
    assert_eq!(bench.yard.told(), ["start db"]);
    bench.close().await;
}

#[tokio::test]
async fn what_cannot_be_seen_beforehand_to_work_is_refused_with_the_member_named() {
    let folder = tempfile::tempdir().unwrap();
    let bench = bench(folder.path(), &[shop()]).await;
    bench.yard.becomes("web-1", Power::Paused).await;
    bench.until("web-1", |state| state.power == Power::Paused).await;
    let no = bench.ask(Action::Start, "shop").await;
    assert_eq!(refusal(&no).code, RefusalCode::WrongState);
    assert_eq!(no.words, "Nothing is done to shop: web-1 is Paused: Start makes no sense now.");
    bench.yard.becomes("web-1", Power::Unknown).await;
    let old = bench.until("shop", |state| state.stale).await;
    assert_eq!(old.detail, "0 of 4 on; no answer from web-1");
    assert_eq!(refusal(&bench.ask(Action::Start, "shop").await).code, RefusalCode::Stale);
    assert!(bench.yard.told().is_empty());
    bench.close().await;
}

#[tokio::test]
async fn a_crash_in_the_middle_repeats_no_step_and_shows_what_is() {
    let folder = tempfile::tempdir().unwrap();
    let bench_before = bench(folder.path(), &[shop()]).await;
    bench_before.yard.fate("web-1", Fate::Hangs);
    let receipt = bench_before.ask(Action::Start, "shop").await;
    bench_before.until("shop", |state| state.detail == "starting 3 of 4: web-1").await;
    // The journal's file as it is at this moment is what a kill leaves behind.
    let crashed = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), crashed.path().join(entry.file_name())).unwrap();
    }
    let after = bench(crashed.path(), &[shop()]).await;
    assert!(after.yard.told().is_empty());
    let state = after.state("shop");
    assert!(state.transition.is_none() && state.power == Power::Off, "{state:?}");
    after.close().await;
    let cut: Vec<_> = entries(crashed.path())
        .into_iter()
        .filter_map(|entry| match entry {
            Entry::Interrupted { target, intent, .. } => Some((target.to_string(), intent)),
            _ => None,
        })
        .collect();
    assert_eq!(cut[0], ("shop".to_owned(), receipt.intent));
    assert!(cut.iter().any(|(target, _)| target == "web-1"), "{cut:?}");
}
