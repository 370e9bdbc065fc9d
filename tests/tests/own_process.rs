//! An adapter in a process of its own, under a user of its own: killed, hung, and its machines go on.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

use primrack_app::compose::{Mistakes, check};
use primrack_app::config::read;
use primrack_tests::{BridgeProcess, Control, Room, WORLD, until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const USER: &str = "nobody";

/// The number of the test's user.
fn number() -> u32 {
    let out = std::process::Command::new("id").args(["-u", USER]).output().unwrap();
    String::from_utf8(out.stdout).unwrap().trim().parse().unwrap()
}

fn command_line(pid: i32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

/// The process that serves a backend, by its arguments: the folder of this test is in the name.
fn adapter(backend: &str) -> Option<i32> {
    let wanted = format!("adapter {backend} ");
    let pids =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.into_iter().find(|pid| command_line(*pid).ends_with(&wanted))
}

async fn state(control: &Control, target: &str) -> Value {
    let all = control.get("/states").await;
    all.as_array().unwrap().iter().find(|one| one["target"] == target).unwrap()["state"].clone()
}

/// Waits until a target shows this, freshly.
async fn shows(control: &Control, target: &str, power: &str) {
    until(&format!("{target} is {power}"), async || {
        let state = state(control, target).await;
        (state["power"] == power && state["stale"] != json!(true)).then_some(())
    })
    .await;
}

async fn touch(control: &Control, target: &str, action: &str) {
    let body = json!({ "at": { "target": target }, "action": action, "operator": "test" });
    let (status, receipt) = control.touch(body).await;
    assert_eq!((status, &receipt["verdict"]["verdict"]), (200, &json!("accepted")), "{receipt}");
}

/// Whether it still does anything. Whose parent is gone may stay as a zombie, where nobody waits for it.
fn lives(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

fn kill(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

#[tokio::test]
async fn an_adapter_of_another_user_is_killed_and_hung_and_its_machines_go_on() {
    // Where that user may write; the bridge's own folder is closed to it.
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let state_dir = folder.path().join("theirs");
    fs::create_dir(&state_dir).unwrap();
    let number = number();
    chown(&state_dir, Some(number), None).expect("this test runs as root, as CI does");
    let backend = format!("theirs-{}", std::process::id());
    let config = format!(
        "{WORLD}
[backends.{backend}]
run_as = '{USER}'
[backends.{backend}.driver]
observe_timeout_ms = 500
list_timeout_ms = 1000
execute_timeout_ms = 1000
poll_ms = 500
safety_poll_ms = 500
[backends.{backend}.process]
state_dir = '{}'
[backends.{backend}.process.servers.alpha]
command = ['sh', '-c', 'echo up as $(id -un); exec sleep 600']
ready = {{ line = 'up as' }}
[backends.ours.process]
state_dir = 'ours'
[backends.ours.process.servers.beta]
command = ['sleep', '600']
[targets]
alpha = {{ backend = '{backend}' }}
beta = {{ backend = 'ours' }}
",
        state_dir.display()
    );
    let bridge = BridgeProcess::start(Room::new(&config, [])).await;
    let control = Control::of(&bridge.room);
    shows(&control, "alpha", "off").await;
    touch(&control, "alpha", "start").await;
    shows(&control, "alpha", "on").await;

    // Who it is, and that nothing of its configuration is in its arguments.
    let first = adapter(&backend).expect("it has a process of its own");
    assert_eq!(fs::metadata(format!("/proc/{first}")).unwrap().uid(), number);
    assert!(!command_line(first).contains("alpha") && !command_line(first).contains("theirs/"));
    let record: Value = serde_json::from_slice(&fs::read(state_dir.join("alpha.json")).unwrap()).unwrap();
    let machine = i32::try_from(record["run"]["pid"].as_i64().unwrap()).unwrap();
    assert_eq!(fs::metadata(format!("/proc/{machine}")).unwrap().uid(), number);
    let console = control.get("/console/alpha").await;
    assert!(console.as_str().is_some_and(|text| text.contains(&format!("up as {USER}"))), "{console}");

    // Killed: unknown, then another one, which finds the machine.
    kill(first, Signal::KILL);
    let second =
        until("another one is started", async || adapter(&backend).filter(|pid| *pid != first)).await;
    shows(&control, "alpha", "on").await;

    // Hung: its machine is stale, everybody else's is not; then it is replaced.
    kill(second, Signal::STOP);
    until("what it showed is old", async || {
        let state = state(&control, "alpha").await;
        (state["stale"] == json!(true)).then_some(())
    })
    .await;
    touch(&control, "beta", "start").await;
    shows(&control, "beta", "on").await;
    let third =
        until("the hung one is replaced", async || adapter(&backend).filter(|pid| *pid != second)).await;
    assert!(!fs::exists(format!("/proc/{second}")).unwrap(), "never two at once");
    shows(&control, "alpha", "on").await;
    assert!(lives(machine), "the machine saw nothing of all that");
    touch(&control, "alpha", "hard-off").await;
    shows(&control, "alpha", "off").await;
    assert!(!lives(machine));

    // A bridge that is killed takes it along, by the end of its input.
    drop(bridge);
    until("it ends with the bridge", async || (!lives(third)).then_some(())).await;
}

#[test]
fn who_cannot_be_had_is_told_by_the_check() {
    for (words, wanted) in [
        ("run_as = 'no-such-user-here'", "there is no user \"no-such-user-here\""),
        ("own_process = false\nrun_as = 'nobody'", "run_as needs a process of its own"),
    ] {
        let room = Room::new(&format!("{WORLD}\n[backends.local]\n{words}\nprocess.state_dir = 'p'\n"), []);
        let said = match read(&room.config(), std::iter::empty()).map(check) {
            Ok(Ok(_)) => panic!("{words} was taken"),
            Ok(Err(Mistakes(mistakes))) => mistakes.iter().map(ToString::to_string).collect(),
            Err(mistake) => mistake.to_string(),
        };
        assert!(said.contains(wanted), "{said}");
    }
}
