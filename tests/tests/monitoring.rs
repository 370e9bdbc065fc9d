//! What the bridge tells Prometheus, and the alerts and the dashboard that are shipped with it: read by a real Prometheus.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use primrack_app::rack::Rack;
use primrack_tests::http::{get, post};
use primrack_tests::{Control, Room, TestBridge, WORLD, soon, until};
use serde_json::{Value, json};
use tokio::process::Child;

/// How long Prometheus may take to have seen everything.
const PATIENCE: Duration = Duration::from_secs(120);

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../bridge/web/monitoring").join(name).canonicalize().unwrap()
}

fn room() -> Room {
    let config = format!(
        "{WORLD}
[backends.local.process]
state_dir = 'processes'
[backends.local.process.servers.quick]
command = ['sleep', '600']
[targets]
web-1 = {{ backend = 'local', address = 'quick' }}
[objects.rack-1]
units = {{ 1 = 'web-1' }}
"
    );
    Room::new(&config, ["rack-1"])
}

/// Debian's Prometheus, looking at the bridge once a second.
async fn prometheus(folder: &Path, bridge: SocketAddr) -> (Child, SocketAddr) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = format!(
        "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: ['{}']\nscrape_configs:\n  - job_name: primrack\n    static_configs: [{{ targets: ['{bridge}'] }}]\n",
        shipped("rules.yml").display()
    );
    let path = folder.join("prometheus.yml");
    std::fs::write(&path, config).unwrap();
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let child = tokio::process::Command::new("prometheus")
        .arg(format!("--config.file={}", path.display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
        .arg(format!("--web.listen-address={port}"))
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .expect("prometheus of Debian: `cargo xtask test` installs it");
    until("Prometheus listens", async || {
        tokio::net::TcpStream::connect(port).await.ok()?;
        (get(port, "/-/ready").await.0 == 200).then_some(())
    })
    .await;
    (child, port)
}

fn encoded(query: &str) -> String {
    query.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The values that a query gives now, without those that are no numbers.
async fn values(prometheus: SocketAddr, query: &str) -> Vec<f64> {
    let (status, text) = get(prometheus, &format!("/api/v1/query?query={}", encoded(query))).await;
    assert_eq!(status, 200, "{query}: {text}");
    let answer: Value = serde_json::from_str(&text).unwrap();
    let values = answer["data"]["result"].as_array().unwrap().iter();
    values
        .map(|one| one["value"][1].as_str().unwrap().parse::<f64>().unwrap())
        .filter(|value| !value.is_nan())
        .collect()
}

/// The queries of the dashboard, with what Grafana puts in for the step.
fn queries() -> Vec<String> {
    let dashboard: Value =
        serde_json::from_str(&std::fs::read_to_string(shipped("dashboard.json")).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    panels
        .flat_map(|panel| panel["targets"].as_array().unwrap())
        .map(|target| target["expr"].as_str().unwrap().replace("$__rate_interval", "30s"))
        .collect()
}

fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("primrack_")).map(ToOwned::to_owned).collect()
}

/// Starts and ends the machine, is refused, and lets a stranger knock: something of everything.
async fn act(bridge: &TestBridge, control: &Control, rack: &Rack) {
    for (action, power) in [("start", "on"), ("hard-off", "off")] {
        let (status, answer) =
            control.touch(json!({ "at": { "target": "web-1" }, "action": action, "operator": "bob" })).await;
        assert_eq!(status, 200, "{answer}");
        soon("the rack shows it", rack.shows(1, power)).await.unwrap();
    }
    let (_, answer) =
        control.touch(json!({ "at": { "target": "web-1" }, "action": "pause", "operator": "bob" })).await;
    assert!(answer["verdict"]["refused"].is_object() || answer["words"].is_string(), "{answer}");
    post(bridge.address(), b"knock knock".to_vec()).await;
}

#[tokio::test]
async fn prometheus_reads_everything_and_every_query_of_the_dashboard_has_data() {
    let bridge = TestBridge::start(room()).await;
    let control = Control::of(&bridge.room);
    let rack = Rack::start(bridge.rack("rack-1")).await.unwrap();
    soon("the rack registers", rack.register()).await.unwrap();
    soon("the unit shows off", rack.shows(1, "off")).await.unwrap();
    act(&bridge, &control, &rack).await;

    // What is written down for people names what there is.
    let (status, page) = get(bridge.address(), "/metrics").await;
    assert_eq!(status, 200);
    let there = names(&page);
    let rules = std::fs::read_to_string(shipped("rules.yml")).unwrap();
    for name in names(&rules).union(&names(&queries().join(" "))) {
        assert!(there.contains(name), "{name} is asked for and not told");
    }

    let mut check =
        Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).spawn().unwrap();
    check.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    assert!(check.wait().unwrap().success(), "promtool finds fault with the metrics");
    let checked =
        Command::new("promtool").args(["check", "rules"]).arg(shipped("rules.yml")).status().unwrap();
    assert!(checked.success(), "promtool finds fault with the rules");
    let checked =
        Command::new("promtool").args(["check", "config"]).arg(shipped("prometheus.yml")).status().unwrap();
    assert!(checked.success(), "promtool finds fault with the configuration");

    let folder = tempfile::tempdir().unwrap();
    let (_prometheus, prometheus) = prometheus(folder.path(), bridge.address()).await;
    let mut left = queries();
    assert!(left.len() > 20, "{left:?}");
    let began = Instant::now();
    while !left.is_empty() {
        assert!(began.elapsed() < PATIENCE, "no data for {left:?}");
        act(&bridge, &control, &rack).await;
        let mut still = Vec::new();
        for query in left {
            if values(prometheus, &query).await.is_empty() {
                still.push(query);
            }
        }
        left = still;
    }
    // All rules were evaluated, and nothing is alarming.
    let rules = until("the rules are evaluated", async || {
        let (_, text) = get(prometheus, "/api/v1/rules").await;
        let rules: Value = serde_json::from_str(&text).ok()?;
        let rules = rules["data"]["groups"][0]["rules"].as_array()?.clone();
        rules.iter().all(|rule| rule["health"] != "unknown").then_some(rules)
    })
    .await;
    assert_eq!(rules.len(), 10);
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
        assert_ne!(rule["state"], "firing", "{rule}");
    }
    // An alert that must come does.
    assert!(bridge.bridge.engine.stop_acting("operator:bob", "a test").await.unwrap());
    until("the alert is pending", async || {
        let (_, text) = get(prometheus, "/api/v1/alerts").await;
        text.contains("PrimrackReadOnly").then_some(())
    })
    .await;
    bridge.stop().await;
}
