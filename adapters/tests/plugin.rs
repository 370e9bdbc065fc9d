//! Programs as adapters: the templates, whole, and programs that misbehave in every way that counts.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "common/mod.rs"]
mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use common::{Bridge, Nest, Peer, Transcript, address, quality};
use primrack_adapter_api::conformance::{RULES, compare};
use primrack_adapter_api::{Adapter, AdapterError, Console, Hint};
use primrack_adapters::plugin::{PluginAdapter, PluginCheck, PluginConfig, TEMPLATES, Verdict, check};
use primrack_model::{Action, Cause, Command, IntentId, Power};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::sync::mpsc;

/// A program in a folder of its own, with the folder as `STATE`.
fn program(nest: &Nest, name: &str, text: &str) -> PluginConfig {
    let path = nest.path().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let mut config = PluginConfig::of(path.to_str().unwrap(), Vec::new());
    // The mark by which the nest ends whatever is left of a failed test.
    let folder = nest.path().display();
    config.env = vec![format!("STATE={folder}/state"), format!("PRIMRACK_MACHINE={folder}")];
    config
}

fn template(nest: &Nest, language: &str) -> PluginConfig {
    let (_, file, text) = TEMPLATES.into_iter().find(|(known, ..)| *known == language).unwrap();
    program(nest, file, text)
}

/// A program in shell that answers hello as `hello` says (fields after the version) and each other
/// line by `rest`, the arms of a `case`.
fn shell(nest: &Nest, hello: &str, rest: &str) -> PluginConfig {
    let text = format!(
        r#"#!/bin/sh
say() {{ printf '%s\n' "$1"; }}
echo $$ >>"{folder}/pids"
while IFS= read -r line; do
    id=${{line#*\"id\":}} id=${{id%%,*}}
    case $line in
    *'"do":"hello"'*) say "{{\"id\":$id,\"version\":1,\"actions\":[\"start\"]{hello}}}" ;;
    {rest}
    *'"do":"list"'*) say "{{\"id\":$id,\"machines\":[{{\"address\":\"a\"}}]}}" ;;
    *'"do":"shutdown"'*) say "{{\"id\":$id,\"ok\":true}}"; exit 0 ;;
    *'"do":"observe"'*) say "{{\"id\":$id,\"state\":{{\"power\":\"off\"}}}}" ;;
    *) say "{{\"id\":$id,\"ok\":true}}" ;;
    esac
done
"#,
        folder = nest.path().display(),
    );
    let mut config = program(nest, "shell", &text);
    config.answer_ms = 1_000;
    config
}

fn pids(nest: &Nest) -> Vec<Pid> {
    let text = fs::read_to_string(nest.path().join("pids")).unwrap_or_default();
    text.lines().map(|line| Pid::from_raw(line.parse().unwrap()).unwrap()).collect()
}

async fn becomes(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(common::PATIENCE, waiting).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

fn unreachable(why: &AdapterError) -> &str {
    match why {
        AdapterError::Unreachable(words) => words,
        other => panic!("{other:?}"),
    }
}

/// What `primrack plugin check` does, and what it told.
async fn checked(config: PluginConfig, kill: &str) -> (bool, Vec<(&'static str, Verdict)>) {
    let what = PluginCheck {
        config,
        address: address("alpha"),
        kill: Some(kill.to_owned()),
        patience: Duration::from_secs(30),
    };
    let mut rules = Vec::new();
    let fine = check(&what, &mut |rule| rules.push((rule.name, rule.verdict))).await;
    (fine, rules)
}

/// The rules of the suite that were kept.
fn kept_of(rules: &[(&'static str, Verdict)]) -> Vec<&'static str> {
    let kept = rules.iter().filter(|(name, verdict)| *verdict == Verdict::Kept && RULES.contains(name));
    kept.map(|(name, _)| *name).collect()
}

#[tokio::test]
async fn the_template_in_shell_passes_the_check() {
    let nest = Nest::new();
    let transcript = Transcript::begin("plugin-shell", "plugin", Peer::Real);
    let kill = format!("kill -9 $(cat {}/state/$MACHINE.pid)", nest.path().display());
    let (fine, rules) = checked(template(&nest, "shell"), &kill).await;
    assert!(fine, "{rules:#?}");
    assert_eq!(rules.iter().filter(|(_, verdict)| *verdict == Verdict::Kept).count(), 16, "{rules:#?}");
    transcript.end("the template in sh, its machines processes that sleep", &kept_of(&rules));
}

#[tokio::test]
async fn the_template_in_python_keeps_the_suite_as_the_quality_file_says() {
    let transcript = Transcript::begin("plugin-python", "plugin", Peer::Real);
    let nest = Nest::new();
    let state = nest.path().join("state");
    let kill = format!(
        "kill -9 $(python3 -c 'import json; print(json.load(open(\"{}/alpha.json\"))[\"pid\"])')",
        state.display()
    );
    let (fine, rules) = checked(template(&nest, "python"), &kill).await;
    assert!(fine, "{rules:#?}");
    let kept = kept_of(&rules);
    compare(&quality(include_str!("../src/plugin/quality.toml")), &kept).unwrap();
    transcript.end("the template in Python, its machines processes that sleep", &kept);

    // Behind the driver: events, a console, several in flight.
    let adapter = PluginAdapter::new(template(&nest, "python"), "plugin");
    adapter.greet().await.unwrap();
    assert!(
        matches!(adapter.console(&address("alpha")).await.unwrap(), Console::Text(text) if text.contains("up"))
    );
    let mut bridge = Bridge::of(adapter, &["alpha"]);
    bridge.act("alpha", Action::Start).await.unwrap();
    let seen = bridge.power("alpha", Power::On).await;
    let pid = seen.detail.strip_prefix("process ").unwrap().parse().unwrap();
    let began = Instant::now();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    assert_eq!(bridge.power("alpha", Power::Crashed).await.cause, Some(Cause::Crash));
    common::figure::in_time("killed to told by an event", began.elapsed(), Duration::from_millis(500));
    bridge.finish().await;
}

#[tokio::test]
async fn a_broken_one_is_told_rule_by_rule() {
    let nest = Nest::new();
    let (fine, rules) =
        checked(program(&nest, "dumb", "#!/bin/sh\necho hello, world\ncat >&2\n"), "true").await;
    assert!(!fine);
    let Verdict::Broken(words) = &rules[0].1 else { panic!("{rules:?}") };
    assert!(words.contains("\"hello, world\", which is no JSON object"), "{words}");
    assert!(rules[1..].iter().all(|(_, verdict)| matches!(verdict, Verdict::Skipped(_))));

    // One that does not notice the end of its input and starts whatever it is told.
    let config = shell(
        &nest,
        "",
        "*no-such-request*) ;; *'\"do\":\"observe\"'*) say \"{\\\"id\\\":$id,\\\"state\\\":{\\\"power\\\":\\\"on\\\"}}\" ;;",
    );
    let (fine, rules) = checked(config, "true").await;
    assert!(!fine);
    let broken: Vec<&str> = rules
        .iter()
        .filter(|(_, verdict)| matches!(verdict, Verdict::Broken(_)))
        .map(|(name, _)| *name)
        .collect();
    assert!(broken.contains(&"unknown-request") && broken.contains(&"lists-it"), "{rules:#?}");
}

#[tokio::test]
async fn garbage_is_refused_with_words_and_the_next_one_starts_after_a_pause() {
    let cases = [
        ("echo 'debug: here'", "which is no JSON object"),
        ("say '[1,2]'", "which is no JSON object"),
        ("say '{\"id\":99,\"ok\":true}'", "answered request 99, which does not wait"),
        ("say '{\"hello\":1}'", "neither an event nor the id"),
        ("say '{\"event\":\"exploded\",\"address\":\"a\"}'", "is not understood"),
        ("head -c 2000000 /dev/zero | tr '\\0' x; say ''", "a line longer than 1048576 bytes"),
        ("printf '\\377\\376\\n'", "which is no JSON object"),
        ("exit 7", "ended with status 7"),
        ("kill -9 $$", "ended by signal 9"),
        ("exec >&-; sleep 60", "closed its standard output"),
    ];
    for (does, words) in cases {
        let nest = Nest::new();
        let adapter =
            PluginAdapter::new(shell(&nest, "", &format!("*'\"do\":\"observe\"'*) {does} ;;")), "plugin");
        adapter.list().await.unwrap();
        let why = adapter.observe(&address("a")).await.unwrap_err();
        assert!(unreachable(&why).contains(words), "{does}: {why}");
        assert!(test_kill_process(pids(&nest)[0]).is_err(), "{does}: it is gone before the next one starts");
        let why = adapter.list().await.unwrap_err();
        assert!(unreachable(&why).contains("is started again in"), "{why}");
        tokio::time::sleep(Duration::from_millis(550)).await;
        adapter.list().await.expect("it is started again");
        assert_eq!(pids(&nest).len(), 2);
    }
}

#[tokio::test]
async fn an_answer_that_is_not_understood_fails_alone() {
    let nest = Nest::new();
    let config = shell(
        &nest,
        "",
        "*'\"do\":\"observe\"'*) say \"{\\\"id\\\":$id,\\\"state\\\":{\\\"power\\\":\\\"running\\\"}}\" ;; *'\"do\":\"execute\"'*) say \"{\\\"id\\\":$id}\" ;;",
    );
    let adapter = PluginAdapter::new(config, "plugin");
    let why = adapter.observe(&address("a")).await.unwrap_err();
    assert!(unreachable(&why).contains("running"), "{why}");
    let command =
        Command { intent: IntentId::now(), address: address("a"), action: Action::Start, deadline_ms: 1_000 };
    let why = adapter.execute(&command).await.unwrap_err();
    assert!(unreachable(&why).contains("neither with"), "never taken for done: {why}");
    assert_eq!(adapter.list().await.unwrap().len(), 1);
    assert_eq!(pids(&nest).len(), 1);
}

#[tokio::test]
async fn a_hung_one_makes_its_machines_unknown_and_is_replaced_with_its_whole_group() {
    let nest = Nest::new();
    // It leaves a child in its group.
    let config = shell(
        &nest,
        ",\\\"events\\\":true",
        "*'\"do\":\"list\"'*) sleep 1000 & echo $! >>\"$STATE.child\"; say \"{\\\"id\\\":$id,\\\"machines\\\":[{\\\"address\\\":\\\"a\\\"}]}\" ;;",
    );
    let mut bridge = Bridge::of(PluginAdapter::new(config, "plugin"), &["a"]);
    bridge.power("a", Power::Off).await;
    let first = pids(&nest)[0];
    kill_process(first, Signal::STOP).unwrap();
    let why = bridge.act("a", Action::Start).await.unwrap_err();
    assert!(unreachable(&why).contains("did not answer execute within 3000 ms"), "{why}");
    let driver = std::sync::Arc::clone(&bridge.driver);
    becomes("everything of it is stale", || driver.status().counts.losses > 0).await;
    assert!(test_kill_process(first).is_err());
    let child = fs::read_to_string(nest.path().join("state.child")).unwrap();
    let child = Pid::from_raw(child.lines().next().unwrap().parse().unwrap()).unwrap();
    becomes("its child is gone", || {
        test_kill_process(child).is_err()
            || fs::read_to_string(format!("/proc/{}/stat", child.as_raw_nonzero()))
                .is_ok_and(|stat| stat.contains(") Z"))
    })
    .await;
    bridge.power("a", Power::Off).await;
    assert_eq!(pids(&nest).len(), 2);
    bridge.finish().await;
}

#[tokio::test]
async fn an_idle_one_that_hangs_is_noticed_without_being_asked() {
    let nest = Nest::new();
    let adapter = PluginAdapter::new(shell(&nest, ",\\\"events\\\":true", ""), "plugin");
    adapter.list().await.unwrap();
    let (sender, _hints) = mpsc::channel(8);
    kill_process(pids(&nest)[0], Signal::STOP).unwrap();
    let began = Instant::now();
    let why = adapter.listen(sender).await;
    assert!(unreachable(&why).contains("did not answer ping within 1000 ms"), "{why}");
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn one_that_never_reads_or_answers_is_ended() {
    let nest = Nest::new();
    let mut config = program(&nest, "deaf", "#!/bin/sh\nexec sleep 1000\n");
    config.answer_ms = 300;
    let adapter = PluginAdapter::new(config, "plugin");
    let why = adapter.list().await.unwrap_err();
    assert!(unreachable(&why).contains("did not answer hello within 300 ms"), "{why}");
    let why = PluginAdapter::new(PluginConfig::of("/no/such/program", Vec::new()), "plugin")
        .list()
        .await
        .unwrap_err();
    assert!(unreachable(&why).contains("is it there, and may it be run?"), "{why}");
}

#[tokio::test]
async fn ten_thousand_events_five_thousand_machines_and_a_flood_of_complaints() {
    let nest = Nest::new();
    // Twenty parts of 250 machines; then a storm, and the state that counts at its end.
    let text = r#"#!/usr/bin/env python3
import json, sys
def say(**line): sys.stdout.write(json.dumps(line) + "\n")
for line in sys.stdin:
    asked = json.loads(line)
    do, id = asked["do"], asked["id"]
    if do == "hello":
        say(id=id, version=1, actions=["start"], events=True, at_once=64)
    elif do == "list":
        for part in range(20):
            say(id=id, machines=[{"address": f"m{part * 250 + n}"} for n in range(250)], **({"more": True} if part < 19 else {}))
    elif do == "observe":
        say(id=id, state={"power": "on" if asked["address"] == "m1" else "off"})
    elif do == "execute":
        for n in range(10_000):
            print("x" * 3000, file=sys.stderr)
            say(event="changed", address="m1")
        say(event="state", address="m2", state={"power": "on"})
        say(id=id, ok=True)
    else:
        say(id=id, ok=True)
    sys.stdout.flush()
"#;
    let adapter = PluginAdapter::new(program(&nest, "storm", text), "plugin");
    let began = Instant::now();
    assert_eq!(adapter.list().await.unwrap().len(), 5_000);
    let listed = began.elapsed();
    let mut bridge = Bridge::of(adapter, &["m1", "m2"]);
    bridge.power("m1", Power::On).await;
    let began = Instant::now();
    bridge.act("m2", Action::Start).await.unwrap();
    // The storm may have swallowed the event; then the machine was asked, and it says the truth.
    bridge.until("m2", |seen| matches!(seen.power, Power::On | Power::Off)).await;
    eprintln!("5,000 machines listed in {listed:?}, 10,000 events in {:?}", began.elapsed());
    assert!(bridge.driver.status().connected, "{:?}", bridge.driver.status());
    bridge.finish().await;
}

#[tokio::test]
async fn what_it_is_told_and_where_it_runs() {
    let nest = Nest::new();
    let text = r#"#!/bin/sh
IFS= read -r line
printf '%s\n' "$line" "$(pwd)" "$(id -un) $(id -G)" "$PRIMRACK_CREDENTIAL_TOKEN" "${SECRET_OF_BRIDGE-none}" "$HOME" "$ADDED" >"$OUT"
printf '%s\n' '{"id":1,"version":1}'
cat >/dev/null
"#;
    let mut config = program(&nest, "told", text);
    let token = nest.path().join("token");
    fs::write(&token, "hunter2").unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(nest.path(), fs::Permissions::from_mode(0o777)).unwrap();
    config.env.extend([format!("OUT={}/out", nest.path().display()), "ADDED=yes".to_owned()]);
    config.cwd = Some("/usr".into());
    config.user = Some("nobody".to_owned());
    config.credentials.insert("token".to_owned(), token.clone());
    config.settings.insert("region".to_owned(), "north".into());

    let why = PluginAdapter::new(config.clone(), "plugin").greet().await.unwrap_err();
    assert!(matches!(&why, AdapterError::Credentials(words) if words.contains("chmod 600")), "{why:?}");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    let adapter = PluginAdapter::new(config, "plugin");
    adapter.greet().await.unwrap();
    let out = fs::read_to_string(nest.path().join("out")).unwrap();
    let lines: Vec<&str> = out.lines().collect();
    assert!(
        lines[0].starts_with("{\"id\":1,\"do\":\"hello\",\"versions\":[1],")
            && lines[0].contains("{\"region\":\"north\"}"),
        "{out}"
    );
    assert_eq!(lines[1], "/usr");
    assert!(
        lines[2].starts_with("nobody ") && lines[2].split(' ').count() == 2,
        "one group only: {}",
        lines[2]
    );
    assert_eq!(Path::new(lines[3]), token);
    assert_eq!((lines[4], lines[6]), ("none", "yes"));
    assert!(!out.contains("hunter2"));
}

#[tokio::test]
async fn lost_events_are_told_and_a_version_of_tomorrow_is_refused() {
    let nest = Nest::new();
    let config = shell(
        &nest,
        ",\\\"events\\\":true",
        "*'\"do\":\"ping\"'*|*'\"do\":\"execute\"'*) say '{\"event\":\"lost\",\"error\":\"credentials\",\"words\":\"the key was changed\"}'; say \"{\\\"id\\\":$id,\\\"ok\\\":true}\" ;;",
    );
    let adapter = std::sync::Arc::new(PluginAdapter::new(config, "plugin"));
    let (sender, mut hints) = mpsc::channel::<Hint>(8);
    let listening = std::sync::Arc::clone(&adapter);
    adapter.greet().await.unwrap();
    let listener = tokio::spawn(async move { listening.listen(sender).await });
    tokio::task::yield_now().await;
    let command =
        Command { intent: IntentId::now(), address: address("a"), action: Action::Start, deadline_ms: 1_000 };
    adapter.execute(&command).await.unwrap();
    assert_eq!(listener.await.unwrap(), AdapterError::Credentials("the key was changed".to_owned()));
    assert!(hints.recv().await.is_none());
    assert_eq!(pids(&nest).len(), 1, "it was not restarted for that");

    let other = program(
        &nest,
        "tomorrow",
        "#!/bin/sh\nread -r line; echo '{\"id\":1,\"version\":2}'; cat >/dev/null\n",
    );
    let why = PluginAdapter::new(other, "plugin").greet().await.unwrap_err();
    assert!(unreachable(&why).contains("speaks version 2"), "{why}");
}
