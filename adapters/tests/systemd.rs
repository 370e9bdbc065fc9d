//! A real systemd, as process 1 of a container that the test starts.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "common/mod.rs"]
mod common;
#[path = "systemd/container.rs"]
mod container;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use common::figure::in_time;
use common::{Bridge, PATIENCE, Peer, Transcript, address, quality};
use container::Container;
use primrack_adapter_api::conformance::{Subject, check, compare};
use primrack_adapter_api::{Adapter, AdapterError, Console, Hint};
use primrack_adapters::systemd::{SystemdAdapter, SystemdConfig};
use primrack_model::{Action, Address, Cause, Power};
use tokio::process::Command as Program;
use tokio::sync::mpsc;

/// Units for every occasion.
const UNITS: [(&str, &str); 8] = [
    ("plain.service", "[Unit]\nDescription=A plain one\n[Service]\nExecStart=sleep 1000\n"),
    ("fails.service", "[Service]\nExecStart=sh -c 'exit 3'\n"),
    ("finishes.service", "[Service]\nExecStart=sleep 0.3\n"),
    ("once.service", "[Service]\nType=oneshot\nExecStart=true\n"),
    (
        "deaf.service",
        "[Service]\nExecStart=sh -c 'trap \"\" TERM; echo deaf; while :; do sleep 1; done'\nTimeoutStopSec=1\n",
    ),
    ("returns.service", "[Service]\nExecStart=sleep 1000\nRestart=always\nRestartSec=100ms\n"),
    ("group-1.service", "[Service]\nExecStart=sleep 1000\n"),
    ("group-2.service", "[Service]\nExecStart=sleep 1000\n"),
];

fn adapter(container: &Container, more: &str) -> SystemdAdapter {
    let text = format!(
        "address = '{}'\njournal_dir = '{}'\n{}",
        container.address("bus"),
        container.journal().display(),
        if more.is_empty() {
            "units = ['plain.service', 'fails.service', 'finishes.service', 'once.service', 'deaf.service', \
             'returns.service', 'absent.service', 'group-*.service', 'lab-*.scope']"
        } else {
            more
        }
    );
    toml::from_str::<SystemdConfig>(&text).unwrap().build().unwrap()
}

struct Plain(Container);

#[async_trait]
impl Subject for Plain {
    fn make(&self) -> Arc<dyn Adapter> {
        Arc::new(adapter(&self.0, ""))
    }
    fn address(&self) -> Address {
        address("plain.service")
    }
    fn patience(&self) -> Duration {
        PATIENCE
    }
    async fn kill_from_outside(&self) {
        self.0.systemctl(&["kill", "--signal=KILL", "plain.service"]);
    }
}

#[tokio::test]
async fn keeps_the_conformance_suite_as_its_quality_file_says() {
    let transcript = Transcript::begin("systemd", "systemd", Peer::Real);
    let subject = Plain(Container::boot(&UNITS));
    // Whether units can be frozen is learnt from the machine with the first connection.
    let checked = check(&subject).await.unwrap();
    compare(&quality(include_str!("../src/systemd/quality.toml")), &checked).unwrap();
    let version = subject.0.systemctl(&["--version"]);
    let version = version.lines().next().unwrap_or_default();
    transcript.end(&format!("{version}, as process 1 of a container"), &checked);
}

#[tokio::test]
async fn what_units_do_is_told_with_its_cause() {
    let container = Container::boot(&UNITS);
    let names = [
        "plain.service",
        "fails.service",
        "finishes.service",
        "once.service",
        "deaf.service",
        "returns.service",
    ];
    let mut bridge = Bridge::of(adapter(&container, ""), &names);
    for name in names {
        bridge.power(name, Power::Off).await;
    }

    bridge.act("fails.service", Action::Start).await.unwrap();
    let seen = bridge.power("fails.service", Power::Crashed).await;
    assert_eq!((seen.cause, seen.detail.as_str()), (Some(Cause::Crash), "exit status 3"));
    bridge.act("finishes.service", Action::Start).await.unwrap();
    bridge.power("finishes.service", Power::On).await;
    assert_eq!(bridge.power("finishes.service", Power::Off).await.cause, Some(Cause::Guest));
    bridge.act("once.service", Action::Start).await.unwrap();
    bridge.until("once.service", |seen| seen.power == Power::Off && seen.cause == Some(Cause::Guest)).await;

    // systemd kills it after the unit's own patience.
    bridge.act("deaf.service", Action::Start).await.unwrap();
    bridge.power("deaf.service", Power::On).await;
    bridge.act("deaf.service", Action::SoftOff).await.unwrap();
    bridge.power("deaf.service", Power::Stopping).await;
    let seen = bridge.until("deaf.service", |seen| seen.detail.contains("time-out")).await;
    assert_eq!((seen.power, seen.cause), (Power::Off, Some(Cause::Operator)));

    // A hard off stays off, whatever its `Restart=` says.
    bridge.act("returns.service", Action::Start).await.unwrap();
    bridge.power("returns.service", Power::On).await;
    bridge.act("returns.service", Action::HardOff).await.unwrap();
    let seen = bridge.power("returns.service", Power::Off).await;
    assert_eq!(seen.cause, Some(Cause::Operator));
    assert!(["failed", "inactive"].contains(&shown(&container, "returns.service").as_str()));

    // By the hands of others, who use systemctl.
    let mut delays = Vec::new();
    for _ in 0..3 {
        for (verb, power) in [("start", Power::On), ("stop", Power::Off)] {
            let mut program = Program::from(container.inside(&["systemctl", verb, "plain.service"]));
            let (done, seen) = tokio::join!(
                async {
                    assert!(program.status().await.unwrap().success());
                    Instant::now()
                },
                async {
                    let seen = bridge.power("plain.service", power).await;
                    (Instant::now(), seen)
                }
            );
            delays.push(seen.0.saturating_duration_since(done));
            if power == Power::Off {
                assert_eq!(seen.1.cause, Some(Cause::Operator));
            }
        }
    }
    delays.sort();
    in_time("systemctl to state, the median", delays[delays.len() / 2], Duration::from_millis(500));
    bridge.finish().await;
}

fn shown(container: &Container, unit: &str) -> String {
    container.systemctl(&["show", "--property=ActiveState", "--value", unit]).trim().to_owned()
}

#[tokio::test]
async fn lists_by_pattern_counts_and_shows_the_journal() {
    let container = Container::boot(&UNITS);
    let adapter = adapter(&container, "");
    let found = adapter.list().await.unwrap();
    let names: Vec<_> = found.iter().map(|found| found.address.0.as_str()).collect();
    assert!(names.contains(&"group-1.service") && names.contains(&"group-2.service"), "{names:?}");
    assert!(!names.contains(&"absent.service"), "{names:?}");
    let absent = adapter.observe(&address("absent.service")).await;
    assert!(matches!(absent, Err(AdapterError::NotFound(_))), "{absent:?}");
    let foreign = adapter.observe(&address("dbus.service")).await;
    assert!(matches!(foreign, Err(AdapterError::NotFound(_))), "{foreign:?}");
    assert!(adapter.capabilities(&address("lab-1.scope")).can(Action::HardOff));
    assert!(!adapter.capabilities(&address("lab-1.scope")).can(Action::Start));

    // A unit without a file: it is there while it runs.
    container.systemctl(&["start", "deaf.service"]);
    let run = ["systemd-run", "--unit=group-busy", "sh", "-c", "while :; do :; done"];
    assert!(container.inside(&run).status().unwrap().success());
    let found = adapter.list().await.unwrap();
    let busy = found.iter().find(|found| found.address.0 == "group-busy.service").unwrap();
    assert!(busy.tags.iter().any(|tag| tag == "type=service"), "{busy:?}");
    adapter.observe(&busy.address).await.unwrap();
    // CPU is what was used between two looks.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let load = adapter.observe(&busy.address).await.unwrap().load.expect("this systemd counts CPU");
    assert!(load.cpu > 0.05, "{load:?}");
    container.systemctl(&["stop", "group-busy.service"]);
    assert!(matches!(adapter.observe(&busy.address).await, Err(AdapterError::NotFound(_))));

    let said = async {
        loop {
            match adapter.console(&address("deaf.service")).await.unwrap() {
                Console::Text(text) if text.lines().any(|line| line.ends_with("deaf")) => return text,
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    };
    let said = tokio::time::timeout(PATIENCE, said).await.expect("the unit's words come to its journal");
    assert!(said.len() <= 64 * 1024);
}

#[tokio::test]
async fn a_bus_that_dies_hangs_or_refuses_makes_nothing_up() {
    // A bus that lets nobody but one user in, and a rule of the system's own bus for one call.
    let nobody = "[Service]\nExecStart=dbus-daemon --config-file=/hostbus/nobody.conf --nofork --nopidfile \
                  --address=unix:path=/hostbus/nobody\n";
    let rule = "<busconfig><policy user=\"root\"><deny send_destination=\"org.freedesktop.systemd1\" \
                send_interface=\"org.freedesktop.systemd1.Manager\" send_member=\"FreezeUnit\"/></policy></busconfig>";
    let mut units = UNITS.to_vec();
    units.extend([("bus-nobody.service", nobody), ("../../dbus-1/system.d/lab.conf", rule)]);
    let container = Container::boot(&units);
    let policy = "<busconfig><listen>unix:path=/hostbus/unused</listen><auth>EXTERNAL</auth>\
                  <policy context=\"default\"><deny user=\"root\"/></policy></busconfig>";
    std::fs::write(container.socket("nobody.conf"), policy).unwrap();

    let mut bridge = Bridge::of(adapter(&container, ""), &["plain.service"]);
    bridge.power("plain.service", Power::Off).await;
    bridge.act("plain.service", Action::Start).await.unwrap();
    bridge.power("plain.service", Power::On).await;

    let why = bridge.act("plain.service", Action::Pause).await.unwrap_err();
    assert!(matches!(&why, AdapterError::Credentials(words) if words.contains("manage-units")), "{why:?}");

    // Killed: unknown at once, and true again when it is back.
    container.signal_bus("KILL");
    bridge.power("plain.service", Power::Unknown).await;
    bridge.power("plain.service", Power::On).await;
    // The listener works, too, and not only the question.
    container.systemctl(&["stop", "plain.service"]);
    bridge.power("plain.service", Power::Off).await;
    container.systemctl(&["start", "plain.service"]);
    bridge.power("plain.service", Power::On).await;

    // Stopped: no answer is no state. What it does while the bus sleeps is told afterwards.
    let asleep = container.systemctl(&["show", "--property=MainPID", "--value", "dbus.service"]);
    container.kill("STOP", asleep.trim());
    let began = Instant::now();
    assert!(bridge.act("plain.service", Action::SoftOff).await.is_err());
    let seen = bridge.until("plain.service", |seen| seen.power != Power::On).await;
    println!("a bus that hangs is noticed after {:?}", began.elapsed());
    assert_eq!(seen.power, Power::Unknown);
    container.kill("CONT", asleep.trim());
    bridge.until("plain.service", |seen| [Power::On, Power::Off].contains(&seen.power)).await;
    bridge.finish().await;

    container.systemctl(&["start", "bus-nobody.service"]);
    let config = format!("address = '{}'\nunits = ['plain.service']", container.address("nobody"));
    let refused = toml::from_str::<SystemdConfig>(&config).unwrap().build().unwrap();
    let turned_away = async {
        loop {
            match refused.list().await.unwrap_err() {
                AdapterError::Unreachable(words) if words.contains("policy") => return,
                // Its socket is not there yet.
                AdapterError::Unreachable(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                why => panic!("{why:?}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, turned_away).await.expect("the bus turns root away");
}

#[tokio::test]
async fn thousands_of_units_and_a_storm_of_signals_stay_within_bounds() {
    // Loaded, because another is ordered after them, and not started.
    let many: String = (0..5_000).map(|number| format!("After=many@{number}.service\n")).collect();
    let many = format!("[Unit]\n{many}[Service]\nExecStart=sleep 1000\n");
    let instance = "[Service]\nExecStart=sleep 1000\n";
    let units =
        [UNITS[0], ("storm@.service", instance), ("many@.service", instance), ("last.service", &many)];
    let container = Container::boot(&units);
    container.systemctl(&["start", "last.service"]);
    let all = "list_limit = 6000\nunits = ['many@*.service', 'plain.service', 'storm@*.service']";
    let began = Instant::now();
    let found = adapter(&container, all).list().await.unwrap();
    println!("{} units listed in {:?}", found.len(), began.elapsed());
    assert_eq!(found.len(), 5_001);
    let few = adapter(&container, "list_limit = 100\nunits = ['many@*.service']");
    assert_eq!(few.list().await.unwrap().len(), 100);

    // A listener that is slow to take hints, and 10 000 signals: each instance that is asked after comes
    // into systemd's memory and leaves it.
    let adapter = Arc::new(adapter(&container, all));
    let (sender, mut hints) = mpsc::channel(16);
    let listening = Arc::clone(&adapter);
    let listener = tokio::spawn(async move { listening.listen(sender).await });
    // Until its first hint the listener may not be there yet.
    let heard = async {
        loop {
            container.systemctl(&["start", "plain.service"]);
            container.systemctl(&["stop", "plain.service"]);
            if let Ok(Some(_)) = tokio::time::timeout(Duration::from_millis(100), hints.recv()).await {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.expect("the listener hears");
    let storm = "i=0; while [ $i -lt 50 ]; do set --; j=0; while [ $j -lt 100 ]; do \
                 set -- \"$@\" storm@$i-$j.service; j=$((j+1)); done; \
                 systemctl is-active --quiet \"$@\"; i=$((i+1)); done; true";
    let mut program = Program::from(container.inside(&["sh", "-c", storm]));
    let began = Instant::now();
    let mut count = 0;
    let mut storming = program.spawn().unwrap();
    let storm_over = async { assert!(storming.wait().await.unwrap().success()) };
    tokio::pin!(storm_over);
    let mut over = false;
    loop {
        tokio::select! {
            () = &mut storm_over, if !over => over = true,
            hint = tokio::time::timeout(Duration::from_secs(1), hints.recv()) => match hint {
                Ok(Some(Hint::Changed(_) | Hint::State(..))) => count += 1,
                Ok(None) => panic!("the listener ended: {:?}", listener.await),
                Err(_) if over => break,
                Err(_) => {}
            }
        }
    }
    println!("{count} hints of a storm in {:?}", began.elapsed());
    assert!(count >= 10_000, "{count}");
    // It goes on to hear and to answer.
    container.systemctl(&["start", "plain.service"]);
    let heard = async { while hints.recv().await.unwrap() != Hint::Changed(address("plain.service")) {} };
    tokio::time::timeout(PATIENCE, heard).await.expect("the listener still hears");
    assert_eq!(adapter.observe(&address("plain.service")).await.unwrap().power, Power::On);
    listener.abort();
}
