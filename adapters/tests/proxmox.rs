//! Proxmox VE, against fakepve: a fake with its schema, in the Python environment that
//! `cargo xtask python` makes. Nothing here has met a real cluster.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "common/mod.rs"]
mod common;
#[path = "proxmox/fake.rs"]
mod fake;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::{Bridge, PATIENCE, Peer, Transcript, address, quality};
use fake::{FakePve, SECRET, token};
use primrack_adapter_api::conformance::{Subject, check, compare};
use primrack_adapter_api::{Adapter, AdapterError};
use primrack_adapters::proxmox::{ProxmoxAdapter, ProxmoxConfig};
use primrack_model::{Action, Address, Command, IntentId, Power};
use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const VM: &str = "qemu/100";
const CT: &str = "lxc/9000";
struct Machine(FakePve);

#[async_trait]
impl Subject for Machine {
    fn make(&self) -> Arc<dyn Adapter> {
        Arc::new(self.0.adapter())
    }
    fn address(&self) -> Address {
        address(VM)
    }
    fn patience(&self) -> Duration {
        PATIENCE
    }
    async fn kill_from_outside(&self) {
        self.0.operator("pve1/qemu/100/status/stop").await;
    }
}

#[tokio::test]
async fn keeps_the_conformance_suite_as_its_quality_file_says() {
    let transcript = Transcript::begin("proxmox", "proxmox", Peer::Fake);
    let checked = check(&Machine(FakePve::start(1))).await.unwrap();
    compare(&quality(include_str!("../src/proxmox/quality.toml")), &checked).unwrap();
    transcript.end("fakepve 0.5.0, a fake with the schema of Proxmox VE 9", &checked);
}

async fn act(adapter: &ProxmoxAdapter, name: &str, action: Action) -> Result<(), AdapterError> {
    let intent = IntentId::now();
    adapter.execute(&Command { intent, address: address(name), action, deadline_ms: 20_000 }).await
}

async fn power(adapter: &ProxmoxAdapter, name: &str, wanted: Power) {
    let waiting = async {
        loop {
            let seen = adapter.observe(&address(name)).await.unwrap();
            if seen.power == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{name} is never {wanted:?}"));
}

#[tokio::test]
async fn guests_are_listed_copied_kept_moved_and_removed() {
    let pve = FakePve::start(2);
    let adapter = pve.adapter();
    let found = adapter.list().await.unwrap();
    assert_eq!(found.len(), 3);
    let vm = found.iter().find(|found| found.address.0 == VM).unwrap();
    assert_eq!((vm.label.as_str(), vm.host.as_str()), ("web-0", "pve1"));
    assert_eq!(vm.tags, ["type=qemu", "pool=front", "web", "test"]);
    assert_eq!(vm.seen.as_ref().unwrap().power, Power::Off);

    let why = act(&adapter, VM, Action::Revert).await.unwrap_err();
    assert!(matches!(&why, AdapterError::Refused(words) if words.contains("no snapshot")), "{why:?}");
    act(&adapter, VM, Action::Snapshot).await.unwrap();
    act(&adapter, VM, Action::Revert).await.unwrap();
    act(&adapter, VM, Action::Clone).await.unwrap();
    let found = adapter.list().await.unwrap();
    let clone = found.iter().find(|found| found.label == "web-0-clone-1").expect("the clone is there");
    assert_eq!(clone.seen.as_ref().unwrap().power, Power::Off);
    act(&adapter, &clone.address.0, Action::Delete).await.unwrap();
    let why = adapter.observe(&clone.address).await.unwrap_err();
    assert!(matches!(why, AdapterError::NotFound(_)), "{why:?}");

    // A container: fewer actions, and it moves.
    assert!(matches!(act(&adapter, CT, Action::Pause).await, Err(AdapterError::NotSupported(_))));
    act(&adapter, CT, Action::Start).await.unwrap();
    power(&adapter, CT, Power::On).await;
    act(&adapter, CT, Action::Migrate).await.unwrap();
    let about = adapter.observe(&address(CT)).await.unwrap().about.unwrap();
    assert_eq!(about.host, "pve1");
    let why = act(&adapter, CT, Action::Migrate).await.unwrap_err();
    assert!(matches!(&why, AdapterError::Refused(words) if words.contains("already")), "{why:?}");
    power(&adapter, CT, Power::On).await;
    act(&adapter, CT, Action::SoftOff).await.unwrap();
    power(&adapter, CT, Power::Off).await;
    // What a task says when it fails is the reason.
    act(&adapter, VM, Action::Start).await.unwrap();
    let why = act(&adapter, VM, Action::Start).await.unwrap_err();
    assert!(matches!(&why, AdapterError::Refused(words) if words.contains("already running")), "{why:?}");
}

#[tokio::test]
async fn a_blind_token_is_told_from_an_empty_cluster_and_from_a_wrong_one() {
    let pve = FakePve::start(2);
    let list = async |name: &str| pve.config(name).build().unwrap().list().await;
    assert_eq!(list("bridge").await.unwrap().len(), 3);
    let why = list("blind").await.unwrap_err();
    assert!(matches!(&why, AdapterError::Credentials(words) if words.contains("VM.Audit")), "{why:?}");
    let why = list("nobody").await.unwrap_err();
    assert!(matches!(&why, AdapterError::Credentials(words) if words.contains("token_file")), "{why:?}");

    let one = pve.config("one").build().unwrap();
    assert_eq!(one.list().await.unwrap().len(), 1);
    let why = one.observe(&address("qemu/101")).await.unwrap_err();
    assert!(matches!(&why, AdapterError::Refused(words) if words.contains("/vms/101")), "{why:?}");
    let why = act(&one, VM, Action::Start).await.unwrap_err();
    assert!(matches!(&why, AdapterError::Refused(words) if words.contains("VM.PowerMgmt")), "{why:?}");

    let folder = pve.folder.path();
    token(folder, "bridge", "not a token");
    let why = pve.adapter().list().await.unwrap_err();
    assert!(matches!(&why, AdapterError::Credentials(words) if words.contains("USER@REALM!NAME")), "{why:?}");
    token(folder, "bridge", &format!("primrack@pve!bridge={SECRET}"));
    fs::set_permissions(folder.join("bridge"), fs::Permissions::from_mode(0o640)).unwrap();
    let why = pve.adapter().list().await.unwrap_err();
    assert!(matches!(&why, AdapterError::Credentials(words) if words.contains("chmod 600")), "{why:?}");

    let mut stranger = pve.config("one");
    stranger.tls.ca_file = None;
    stranger.tls.sha256 = Some("ab".repeat(32));
    let why = stranger.build().unwrap().list().await.unwrap_err();
    assert!(matches!(&why, AdapterError::Unreachable(words) if words.contains("fingerprint is")), "{why:?}");
}

#[tokio::test]
async fn a_lost_a_hung_and_a_restarted_cluster_is_never_guessed_at() {
    let mut pve = FakePve::start(1);
    let mut bridge = Bridge::polling(pve.adapter(), &[VM], Duration::from_millis(300));
    bridge.power(VM, Power::Off).await;
    bridge.act(VM, Action::Start).await.unwrap();
    bridge.power(VM, Power::On).await;
    pve.operator("pve1/qemu/100/status/suspend").await;
    bridge.power(VM, Power::Paused).await;

    pve.signal(Signal::STOP);
    let seen = bridge.power(VM, Power::Unknown).await;
    assert!(seen.detail.contains("no answer"), "{seen:?}");
    pve.signal(Signal::CONT);
    bridge.power(VM, Power::Paused).await;

    pve.kill();
    bridge.power(VM, Power::Unknown).await;
    pve.again();
    bridge.power(VM, Power::Off).await;
    bridge.finish().await;
}

#[tokio::test]
async fn five_thousand_guests_are_listed_and_looked_at_with_few_questions() {
    let pve = FakePve::start(4_999);
    let adapter = pve.adapter();
    assert_eq!(adapter.list().await.unwrap().len(), 5_000);
    let began = std::time::Instant::now();
    for number in 100..5_099 {
        let seen = adapter.observe(&address(&format!("qemu/{number}"))).await.unwrap();
        assert_eq!(seen.power, Power::Off);
    }
    // One by one they would be five thousand requests.
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[tokio::test]
async fn half_an_answer_and_a_wrong_one_are_told() {
    let folder = tempfile::tempdir().unwrap();
    token(folder.path(), "bridge", &format!("primrack@pve!bridge={SECRET}"));
    for (text, words) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{\"data\":[", "half an answer"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"data\":42}", "not what was expected"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n", "longer than"),
        ("HTTP/1.1 596 \r\ncontent-length: 0\r\n\r\n", "596"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(text.as_bytes()).await.unwrap();
        });
        let config = format!(
            "url = 'http://{at}'\ntoken_file = '{}/bridge'\ntls = {{ sha256 = '{}' }}",
            folder.path().display(),
            "00".repeat(32)
        );
        let config: ProxmoxConfig = toml::from_str(&config).unwrap();
        let why = config.build().unwrap().list().await.unwrap_err();
        assert!(matches!(&why, AdapterError::Unreachable(said) if said.contains(words)), "{why:?}");
    }
}
