use std::time::Duration;

use primrack_model::{
    Action, Actor, ActorKind, Edge, Intent, IntentId, Power, RefusalCode, TargetId, Verdict, Via,
};

use super::*;
use crate::catalogue::Refused;
use crate::testing::{CONFIG, SECRET, TestBridge};

fn write(bridge: &TestBridge, text: &str) {
    std::fs::write(&bridge.config, text).unwrap();
}

/// Waits until a target shows what it is to show.
async fn shows(bridge: &TestBridge, target: &str, is: impl Fn(Power, bool) -> bool) {
    let engine = &bridge.bridge.engine;
    let mut changes = engine.subscribe();
    let look = async {
        loop {
            let ix = engine.inventory().find_target(target).unwrap();
            let state = engine.state(ix);
            if is(state.power, state.stale) {
                return;
            }
            drop(tokio::time::timeout(Duration::from_millis(200), changes.recv()).await);
        }
    };
    tokio::time::timeout(Duration::from_secs(60), look)
        .await
        .unwrap_or_else(|_| panic!("{target} did not come to show it"));
}

async fn submit(bridge: &TestBridge, target: &str, action: Action) -> Verdict {
    let intent = Intent {
        id: IntentId::now(),
        actor: Actor::new(ActorKind::Operator, "local", "ada"),
        action,
        target: TargetId::new(target).unwrap(),
        via: Via { edge: Edge::Cli, object: None, unit: None },
        origin: None,
        at: UnixMs::now(),
    };
    bridge.bridge.engine.submit(intent).await.verdict
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_adds_changes_and_removes_while_machines_run() {
    let bridge = TestBridge::start().await;
    shows(&bridge, "web-1", |power, stale| power == Power::Off && !stale).await;
    assert_eq!(submit(&bridge, "web-1", Action::Start).await, Verdict::Accepted);
    shows(&bridge, "web-1", |power, _| power == Power::On).await;
    let engine = Arc::clone(&bridge.bridge.engine);
    let before = engine.inventory();
    let since = engine.state(before.find_target("web-1").unwrap()).since;

    // A second backend with a machine of its own, one target less, one renamed, a unit elsewhere.
    let text = CONFIG
        .replace("[targets.db-1]\nbackend = \"local\"\nprotected = true\n", "")
        .replace(
            "[targets.web-2]\nbackend = \"local\"\n",
            "[targets.web-2]\nbackend = \"local\"\nlabel = \"Two\"\n",
        )
        .replace(
            "units = { 1 = \"web-1\", 2 = \"web-2\", 3 = \"db-1\" }",
            "units = { 1 = \"web-1\", 4 = \"mail\" }",
        )
        + r#"
[backends.other.process]
state_dir = "others"
servers.mail.command = ["sleep", "600"]
[targets.mail]
backend = "other"
[engine]
start_deadline_ms = 90000
"#;
    write(&bridge, &text);
    let would = bridge.bridge.catalogue.reload(true).await.unwrap();
    assert!(!would.applied && engine.inventory().find_target("mail").is_none());
    let Reloaded { applied, changes } = bridge.bridge.catalogue.reload(false).await.unwrap();
    assert!(applied);
    assert_eq!(changes, would.changes);
    assert_eq!(
        (changes.targets.added, changes.targets.removed, changes.targets.changed),
        (vec!["mail".to_owned()], vec!["db-1".to_owned()], vec!["web-2".to_owned()])
    );
    assert_eq!(changes.backends.added, ["other"]);
    assert_eq!(changes.objects.changed, ["rack-1"]);
    assert_eq!(changes.settings, ["engine.start_deadline_ms"]);
    assert_eq!(changes.restart, Vec::<String>::new());

    // What stays was not disturbed, and its place is the same.
    let now = engine.inventory();
    let web = now.find_target("web-1").unwrap();
    assert_eq!(Some(web), before.find_target("web-1"));
    assert_eq!(
        (engine.state(web).power, engine.state(web).since, engine.state(web).stale),
        (Power::On, since, false)
    );
    assert_eq!(now.target(now.find_target("web-2").unwrap()).label, "Two");
    // What is new is driven.
    shows(&bridge, "mail", |power, stale| power == Power::Off && !stale).await;
    assert_eq!(submit(&bridge, "mail", Action::Start).await, Verdict::Accepted);
    shows(&bridge, "mail", |power, _| power == Power::On).await;
    // What is gone says so, by name and by the place that somebody may hold.
    let Verdict::Refused(refusal) = submit(&bridge, "db-1", Action::Start).await else {
        panic!("it was done")
    };
    assert_eq!(refusal.code, RefusalCode::NoTarget);
    assert!(refusal.words.contains("not in the configuration any more"), "{}", refusal.words);
    let held = before.find_target("db-1").unwrap();
    assert!(engine.state(held).stale && engine.capabilities(held).actions.is_empty());

    // A backend that is taken away stops; its machine runs on and is found again when it comes back.
    write(&bridge, CONFIG);
    let changes = bridge.bridge.catalogue.reload(false).await.unwrap().changes;
    assert_eq!(
        (changes.backends.removed, changes.targets.added),
        (vec!["other".to_owned()], vec!["db-1".to_owned()])
    );
    assert_eq!(engine.backends().len(), 1);
    shows(&bridge, "db-1", |power, stale| power == Power::Off && !stale).await;
    assert_eq!(engine.inventory().find_target("db-1"), Some(held), "it has its place back");
    write(&bridge, &text);
    bridge.bridge.catalogue.reload(false).await.unwrap();
    shows(&bridge, "mail", |power, stale| power == Power::On && !stale).await;
    bridge.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_under_another_name_is_looked_at_at_once() {
    let bridge = TestBridge::start().await;
    // No other look comes in time to be mistaken for this one.
    let rarely =
        format!("{CONFIG}[backends.local.driver]\nsafety_poll_ms = 36000000\nrelist_ms = 36000000\n");
    write(&bridge, &rarely);
    bridge.bridge.catalogue.reload(false).await.unwrap();
    shows(&bridge, "web-2", |power, stale| power == Power::Off && !stale).await;
    let text = rarely
        .replace(
            "[targets.web-2]\nbackend = \"local\"\n",
            "[targets.two]\nbackend = \"local\"\naddress = \"web-2\"\n",
        )
        .replace("2 = \"web-2\"", "2 = \"two\"");
    write(&bridge, &text);
    bridge.bridge.catalogue.reload(false).await.unwrap();
    shows(&bridge, "two", |power, stale| power == Power::Off && !stale).await;
    bridge.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_with_mistakes_tells_all_of_them_and_changes_nothing() {
    let bridge = TestBridge::start().await;
    let engine = Arc::clone(&bridge.bridge.engine);
    let (before, version) = (engine.inventory(), engine.policy().version().to_owned());
    let wrong =
        CONFIG.replace("3 = \"db-1\"", "3 = \"db-7\"").replace("[\"127.0.0.1:*\"]", "[\"nonsense:port\"]");
    write(&bridge, &wrong);
    let mistakes = bridge.bridge.catalogue.reload(false).await.unwrap_err();
    let Refused { mistakes, .. } = Refused::of(&mistakes);
    assert!(
        mistakes.iter().any(|text| text.contains("db-7") && text.contains("did you mean")),
        "{mistakes:?}"
    );
    // The second kind of mistake, where the first is put right.
    write(&bridge, &wrong.replace("db-7", "db-1"));
    let policy = bridge.config.with_file_name("people.cedar");
    std::fs::write(&policy, "permit(principal, action, resource == Primrack::Target::\"nothing\");").unwrap();
    let Refused { error, mistakes } = Refused::of(&bridge.bridge.catalogue.reload(false).await.unwrap_err());
    assert_eq!(mistakes.len(), 2, "{mistakes:?}");
    assert!(error.contains("2 mistakes") && mistakes.join("").contains("nonsense"), "{error} {mistakes:?}");
    assert!(Arc::ptr_eq(&before, &engine.inventory()) && engine.policy().version() == version);
    // Keys that others may read are refused with all the rest.
    std::fs::write(&policy, "permit(principal, action, resource);").unwrap();
    write(&bridge, &CONFIG.replace("[targets.db-1]", "[targets.db-2]\nbackend = \"local\"\n[targets.db-1]"));
    let keys = bridge.config.with_file_name("world.keys");
    std::fs::set_permissions(&keys, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let Refused { mistakes, .. } = Refused::of(&bridge.bridge.catalogue.reload(false).await.unwrap_err());
    assert!(mistakes.len() == 1 && mistakes[0].contains("chmod 600"), "{mistakes:?}");
    assert!(engine.inventory().find_target("db-2").is_none() && engine.policy().version() == version);
    // Put right, it all takes effect: policy, keys, targets.
    std::fs::set_permissions(&keys, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::write(&keys, format!("rack-1 b {SECRET}\n")).unwrap();
    let changes = bridge.bridge.catalogue.reload(false).await.unwrap().changes;
    assert_eq!(changes.keys.changed, ["rack-1"]);
    assert_eq!(changes.policy.map(|(old, _)| old), Some(version));
    assert!(engine.inventory().find_target("db-2").is_some());
    bridge.stop().await;
}

/// What a board says next that begins with one of these words.
async fn hears(seen: &mut tokio::sync::broadcast::Receiver<primrack_board::Seen>, words: &[&str]) -> String {
    let look = async {
        loop {
            let seen = seen.recv().await.unwrap();
            if words.iter().any(|word| seen.what.starts_with(word)) {
                return seen.what;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), look)
        .await
        .unwrap_or_else(|_| panic!("the board said none of {words:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_badge_that_is_gone_opens_nothing_and_a_board_that_is_gone_takes_none() {
    const GATE: &str = r#"
[targets.front-door]
backend = "gate"
[backends.gate.board]
port = "soft"
badges_file = "badges"
[backends.gate.board.readers.0]
target = "front-door"
[backends.gate.board.doors.front-door]
"#;
    let ada = primrack_link::message::Uid::new(&[4, 0xA1, 0xB2, 0xC3, 0xD4, 0xE5, 0xF6]).unwrap();
    let folder = crate::testing::folder();
    let at = |name: &str| folder.path().join(name);
    let owned = CONFIG.replace("owners = [", "owners = [\"badge:ada\", ");
    std::fs::write(at("primrack.toml"), format!("{owned}{GATE}")).unwrap();
    let badges = |text: &str| {
        std::fs::write(at("badges"), text).unwrap();
        std::fs::set_permissions(at("badges"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    };
    badges("04A1B2C3D4E5F6 ada\n");
    let path = at("badges");
    let bridge = TestBridge::start_in(folder, None).await;
    let boards = Arc::clone(&bridge.bridge.boards);
    shows(&bridge, "front-door", |power, stale| power != Power::Unknown && !stale).await;
    let mut seen = boards.watch("gate").unwrap();
    let soft = boards.soft("gate").unwrap();
    soft.badge(0, ada);
    let said = hears(&mut seen, &["accepted", "refused"]).await;
    assert!(said.starts_with("accepted badge:ada"), "{said}");

    // Her badge is lost, and taken from the file.
    std::fs::write(&path, "04DE5F1EACC040 grace\n").unwrap();
    let changes = bridge.bridge.catalogue.reload(false).await.unwrap().changes;
    assert_eq!(changes.settings, ["badges of gate"]);
    soft.badge(0, ada);
    let said = hears(&mut seen, &["accepted", "refused"]).await;
    assert!(said.starts_with("refused badge:unknown-"), "{said}");
    let nothing = bridge.bridge.catalogue.reload(false).await.unwrap().changes;
    assert!(nothing.is_empty(), "{nothing:?}");

    // The board itself goes.
    write(&bridge, &owned);
    let changes = bridge.bridge.catalogue.reload(false).await.unwrap().changes;
    assert_eq!((changes.backends.removed, changes.restart), (vec!["gate".to_owned()], Vec::new()));
    assert!(boards.status().is_empty() && boards.soft("gate").is_none() && boards.watch("gate").is_none());
    assert_eq!(
        boards.set("gate", 0, 1, 0).await.unwrap_err(),
        "there is no board called \"gate\"; there are: "
    );
    assert!(bridge.bridge.engine.inventory().find_target("front-door").is_none());
    // It comes back with a restart only, and that is said.
    write(&bridge, &format!("{owned}{GATE}"));
    let changes = bridge.bridge.catalogue.reload(false).await.unwrap().changes;
    assert_eq!(changes.restart, ["backends.gate"]);
    assert!(boards.status().is_empty());
    bridge.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_begins_and_ends_with_a_reload() {
    let bridge = TestBridge::start().await;
    shows(&bridge, "web-1", |power, stale| power == Power::Off && !stale).await;
    let dry = CONFIG.replace(
        "[backends.local.process]\nstate_dir",
        "[backends.local]\ndry_run = true\n[backends.local.process]\nstate_dir",
    );
    assert_ne!(dry, CONFIG);
    write(&bridge, &dry);
    let changes = bridge.bridge.catalogue.reload(false).await.unwrap().changes;
    assert_eq!(changes.backends.changed, ["local"]);
    shows(&bridge, "web-1", |power, stale| power == Power::Off && !stale).await;
    for _ in 0..2 {
        assert_eq!(submit(&bridge, "web-1", Action::Start).await, Verdict::Accepted);
        let engine = &bridge.bridge.engine;
        let ix = engine.inventory().find_target("web-1").unwrap();
        let mut changes = engine.subscribe();
        let over = async {
            while engine.state(ix).transition.is_some() {
                drop(tokio::time::timeout(Duration::from_millis(200), changes.recv()).await);
            }
        };
        tokio::time::timeout(Duration::from_secs(60), over).await.unwrap();
        assert_eq!(engine.state(ix).power, Power::Off, "a dry run did something");
        // Another reload changes nothing of that.
        assert!(bridge.bridge.catalogue.reload(false).await.unwrap().changes.is_empty());
    }
    write(&bridge, CONFIG);
    bridge.bridge.catalogue.reload(false).await.unwrap();
    shows(&bridge, "web-1", |power, stale| power == Power::Off && !stale).await;
    assert_eq!(submit(&bridge, "web-1", Action::Start).await, Verdict::Accepted);
    shows(&bridge, "web-1", |power, _| power == Power::On).await;
    bridge.end().await;
}

/// The shell template of the plug-ins, which here reads its machines' names from a file each time.
fn shed(folder: &std::path::Path) -> String {
    let text = include_str!("../../../../adapters/src/plugin/templates/plugin.sh");
    let text = text.replace("in $MACHINES", "in $(cat \"$LIST\")");
    assert!(text.contains("$(cat"));
    std::fs::write(folder.join("shed.sh"), text).unwrap();
    format!(
        r#"
[backends.shed.plugin]
command = "/bin/sh"
args = ["{0}/shed.sh"]
env = ["LIST={0}/machines", "STATE={0}/shed", "PATH=/usr/bin:/bin"]
[backends.shed.driver]
relist_ms = 300
poll_ms = 300
[discover.shed]
backend = "shed"
name = "m-*"
groups = ["public"]
"#,
        folder.display()
    )
}

/// Waits until something holds.
async fn comes(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let look = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), look).await.unwrap_or_else(|_| panic!("not so: {what}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_of_a_backend_appear_by_rule_and_one_that_is_gone_is_unknown_with_its_age() {
    let folder = crate::testing::folder();
    let at = |name: &str| folder.path().join(name);
    let machines = at("machines");
    std::fs::write(&machines, "m-1 m-2 other").unwrap();
    let units = "units = { 1 = \"web-1\", 2 = \"web-2\", 3 = \"db-1\"";
    let config =
        CONFIG.replace(units, &format!("{units}, \"10-12\" = \"found:shed\"")) + &shed(folder.path());
    std::fs::write(at("primrack.toml"), &config).unwrap();
    // A rule that names a machine which is found only later.
    let plain = std::fs::read_to_string(at("people.cedar")).unwrap();
    let mut policy = plain.clone();
    policy += "@id(\"ada-stops-m-1\")\npermit (principal is Primrack::Operator, action, resource == Primrack::Target::\"shed-m-1\");";
    std::fs::write(at("people.cedar"), policy).unwrap();
    let bridge = TestBridge::start_in(folder, None).await;
    let engine = Arc::clone(&bridge.bridge.engine);
    let catalogue = Arc::clone(&bridge.bridge.catalogue);
    comes("two are found", async || engine.inventory().find_target("shed-m-2").is_some()).await;
    assert!(engine.inventory().find_target("shed-other").is_none());
    shows(&bridge, "shed-m-1", |power, stale| power == Power::Off && !stale).await;
    let rack = |engine: &Engine| {
        let inventory = engine.inventory();
        let units = inventory.objects()[0].units.iter();
        units.map(|(unit, ix)| (*unit, inventory.target(*ix).id.to_string())).collect::<Vec<_>>()
    };
    assert_eq!(rack(&engine)[3..], [(10, "shed-m-1".to_owned()), (11, "shed-m-2".to_owned())]);
    // Found ones are protected: starting is fine, stopping needs the rule that names it.
    for target in ["shed-m-1", "shed-m-2"] {
        assert_eq!(submit(&bridge, target, Action::Start).await, Verdict::Accepted);
        shows(&bridge, target, |power, _| power == Power::On).await;
    }
    let Verdict::Refused(refusal) = submit(&bridge, "shed-m-2", Action::HardOff).await else {
        panic!("a protected target was stopped")
    };
    assert!(matches!(refusal.code, RefusalCode::NotPermitted | RefusalCode::Forbidden), "{refusal:?}");
    assert_eq!(submit(&bridge, "shed-m-1", Action::HardOff).await, Verdict::Accepted);
    shows(&bridge, "shed-m-1", |power, _| power == Power::Off).await;
    // One goes, one comes: nothing that stays moves, and what is gone stays, unknown.
    std::fs::write(&machines, "m-1 m-3 other").unwrap();
    comes("m-3 is found", async || engine.inventory().find_target("shed-m-3").is_some()).await;
    comes("m-2 is gone", async || {
        catalogue.targets().await.iter().any(|target| target.id == "shed-m-2" && target.gone.is_some())
    })
    .await;
    shows(&bridge, "shed-m-2", |_, stale| stale).await;
    assert_eq!(rack(&engine)[4..], [(11, "shed-m-2".to_owned()), (12, "shed-m-3".to_owned())]);
    let drift = catalogue.drift();
    assert_eq!(drift.unknown, [(SmolStr::new("shed"), SmolStr::new("other"))]);
    assert_eq!(drift.missing, [(SmolStr::new("shed-m-2"), SmolStr::new("shed"))]);
    assert_eq!(drift.silent, ["rack-1"]);
    // A reload without changes changes nothing, one without the rule takes its machines away.
    assert!(catalogue.reload(true).await.unwrap().changes.is_empty());
    // A restart with the backend's list unreadable knows them all the same.
    std::fs::write(&machines, "m-1 m-2 m-3").unwrap();
    shows(&bridge, "shed-m-2", |power, stale| power == Power::On && !stale).await;
    assert_eq!(submit(&bridge, "shed-m-1", Action::Start).await, Verdict::Accepted);
    let folder = bridge.stop().await;
    std::fs::write(&machines, "").unwrap();
    let bridge = TestBridge::start_in(folder, None).await;
    assert!(bridge.bridge.engine.inventory().find_target("shed-m-3").is_some());
    std::fs::write(bridge.config.with_file_name("people.cedar"), plain).unwrap();
    write(&bridge, &config.replace("[discover.shed]", "[discover.shod]").replace("found:shed", "found:shod"));
    let changes = bridge.bridge.catalogue.reload(false).await.unwrap().changes;
    assert!(changes.targets.removed.contains(&"shed-m-3".to_owned()), "{changes:?}");
    assert!(changes.targets.added.contains(&"shod-m-3".to_owned()), "{changes:?}");
    for pid in ["m-1", "m-2"] {
        let pid = std::fs::read_to_string(bridge.config.with_file_name("shed").join(format!("{pid}.pid")));
        if let Some(pid) =
            pid.ok().and_then(|pid| pid.trim().parse().ok()).and_then(rustix::process::Pid::from_raw)
        {
            let _gone = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
    bridge.stop().await;
}
