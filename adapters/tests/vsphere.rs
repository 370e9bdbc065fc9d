//! vSphere, against vcsim: VMware's own simulator of the protocol, built by `cargo xtask test`.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "common/mod.rs"]
mod common;
#[path = "vsphere/vcsim.rs"]
mod vcsim;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use common::{Bridge, PATIENCE, Peer, Transcript, address, quality};
use primrack_adapter_api::conformance::{Subject, check, compare};
use primrack_adapter_api::{Adapter, AdapterError};
use primrack_adapters::vsphere::{VsphereAdapter, VsphereConfig};
use primrack_model::{Action, Address, Command, IntentId, Power};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use vcsim::Vcsim;

/// A machine that vcsim has from the beginning.
const VM: &str = "DC0_H0_VM0";
/// Another one.
const OTHER: &str = "DC0_C0_RP0_VM0";

struct Machine(Vcsim);

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
        self.0.operator("PowerOffVM_Task", VM).await;
    }
}

#[tokio::test]
async fn keeps_the_conformance_suite_as_its_quality_file_says() {
    let transcript = Transcript::begin("vsphere", "vsphere", Peer::Simulator);
    let checked = check(&Machine(Vcsim::start(2))).await.unwrap();
    compare(&quality(include_str!("../src/vsphere/quality.toml")), &checked).unwrap();
    transcript.end("vcsim of govmomi 0.24 (Debian 12), a simulator", &checked);
}

async fn act(adapter: &VsphereAdapter, name: &str, action: Action) -> Result<(), AdapterError> {
    let intent = IntentId::now();
    adapter.execute(&Command { intent, address: address(name), action, deadline_ms: 10_000 }).await
}

#[tokio::test]
async fn machines_are_copied_kept_moved_and_removed() {
    let vcsim = Vcsim::start(2);
    let adapter = vcsim.adapter();
    let found = adapter.list().await.unwrap();
    let names: Vec<&str> = found.iter().map(|found| found.address.0.as_str()).collect();
    assert_eq!(found.len(), 4, "{names:?}");
    let one = found.iter().find(|found| found.address.0 == VM).unwrap();
    assert_eq!((one.host.as_str(), one.tags[0].as_str()), ("DC0_H0", "folder=vm"));
    assert_eq!(one.seen.as_ref().unwrap().power, Power::Off);

    let why = act(&adapter, VM, Action::Revert).await.unwrap_err();
    assert!(matches!(&why, AdapterError::Refused(words) if words.contains("no snapshot")), "{why:?}");
    act(&adapter, VM, Action::Snapshot).await.unwrap();
    act(&adapter, VM, Action::Snapshot).await.unwrap();
    act(&adapter, VM, Action::Revert).await.unwrap();

    act(&adapter, VM, Action::Clone).await.unwrap();
    let intent = IntentId::now();
    let twice = Command { intent, address: address(VM), action: Action::Clone, deadline_ms: 10_000 };
    adapter.execute(&twice).await.unwrap();
    adapter.execute(&twice).await.unwrap();
    let names: Vec<_> = adapter.list().await.unwrap().into_iter().map(|found| found.address.0).collect();
    for clone in ["DC0_H0_VM0-clone-1", "DC0_H0_VM0-clone-2"] {
        assert!(names.iter().any(|name| name == clone), "{names:?}");
        assert_eq!(adapter.observe(&address(clone)).await.unwrap().power, Power::Off);
    }
    assert_eq!(names.len(), 6, "one intent made two: {names:?}");

    act(&adapter, OTHER, Action::Migrate).await.unwrap();
    let about = adapter.observe(&address(OTHER)).await.unwrap().about.unwrap();
    assert_eq!(about.host, "DC0_C0_H1");

    act(&adapter, VM, Action::Start).await.unwrap();
    let why = act(&adapter, VM, Action::Delete).await.unwrap_err();
    assert!(matches!(why, AdapterError::Refused(_)), "{why:?}");
    act(&adapter, "DC0_H0_VM0-clone-2", Action::Delete).await.unwrap();
    let why = adapter.observe(&address("DC0_H0_VM0-clone-2")).await.unwrap_err();
    assert!(matches!(why, AdapterError::NotFound(_)), "{why:?}");
    assert!(matches!(act(&adapter, VM, Action::Pause).await, Err(AdapterError::NotSupported(_))));
}

#[tokio::test]
async fn what_others_do_is_told_within_half_a_second_and_a_storm_ends_in_the_truth() {
    let vcsim = Vcsim::start(2);
    let mut bridge = Bridge::of(vcsim.adapter(), &[VM, OTHER]);
    bridge.power(VM, Power::Off).await;
    bridge.power(OTHER, Power::Off).await;
    // Until the stream stands, news is for the looks.
    let mut fastest = Duration::MAX;
    for method in ["PowerOnVM_Task", "PowerOffVM_Task", "PowerOnVM_Task", "SuspendVM_Task"] {
        let wanted = match method {
            "PowerOnVM_Task" => Power::On,
            "SuspendVM_Task" => Power::Saved,
            _ => Power::Off,
        };
        vcsim.operator(method, VM).await;
        let done = Instant::now();
        bridge.power(VM, wanted).await;
        fastest = fastest.min(done.elapsed());
    }
    // Others may keep this machine busy: the fastest of four is the backend's own.
    common::figure::in_time("vSphere's task to state, the fastest", fastest, Duration::from_millis(500));

    vcsim.storm(OTHER, 10_000).await;
    bridge.power(OTHER, Power::On).await;
    vcsim.operator("PowerOffVM_Task", OTHER).await;
    bridge.power(OTHER, Power::Off).await;
    bridge.finish().await;
}

#[tokio::test]
async fn a_lost_a_hung_and_a_restarted_server_is_never_guessed_at() {
    let mut vcsim = Vcsim::start(2);
    let mut bridge = Bridge::of(vcsim.adapter(), &[VM]);
    bridge.power(VM, Power::Off).await;
    bridge.act(VM, Action::Start).await.unwrap();
    bridge.power(VM, Power::On).await;

    vcsim.signal(Signal::STOP);
    let seen = bridge.power(VM, Power::Unknown).await;
    assert!(seen.detail.contains("no answer"), "{seen:?}");
    vcsim.signal(Signal::CONT);
    bridge.power(VM, Power::On).await;

    vcsim.kill();
    bridge.power(VM, Power::Unknown).await;
    vcsim.again();
    // It has forgotten the session and the start.
    bridge.power(VM, Power::Off).await;
    bridge.act(VM, Action::Start).await.unwrap();
    bridge.power(VM, Power::On).await;
    bridge.finish().await;
}

#[tokio::test]
async fn wrong_credentials_and_another_certificate_are_told_as_that() {
    let vcsim = Vcsim::start(1);
    let mut config = vcsim.config("");
    config.user = "somebody".to_owned();
    let why = config.build().unwrap().list().await.unwrap_err();
    assert!(matches!(why, AdapterError::Credentials(_)), "{why:?}");

    let password = vcsim.folder.path().join("password");
    fs::set_permissions(&password, fs::Permissions::from_mode(0o644)).unwrap();
    let why = vcsim.adapter().list().await.unwrap_err();
    assert!(matches!(&why, AdapterError::Credentials(words) if words.contains("chmod 600")), "{why:?}");
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();

    // Pinned, another one pinned, and an authority that does not know it.
    let pem = fs::read_to_string(vcsim.folder.path().join("certificate")).unwrap();
    let other = vcsim.config(&format!("tls = {{ sha256 = '{}' }}", "00".repeat(32)));
    let why = other.build().unwrap().list().await.unwrap_err().to_string();
    let fingerprint = why.split("fingerprint is ").nth(1).expect("the one it has is told").split(',').next();
    let pinned = vcsim.config(&format!("tls = {{ sha256 = '{}' }}", fingerprint.unwrap()));
    assert!(!pinned.build().unwrap().list().await.unwrap().is_empty());
    let stranger = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    fs::write(vcsim.folder.path().join("certificate"), stranger.cert.pem()).unwrap();
    let why = vcsim.adapter().list().await.unwrap_err();
    assert!(
        matches!(&why, AdapterError::Unreachable(words) if words.contains("certificate is not believed")),
        "{why:?}"
    );
    fs::write(vcsim.folder.path().join("certificate"), pem).unwrap();

    let mut elsewhere = vcsim.config("");
    elsewhere.inside = Some("DC0/vm/no such folder".to_owned());
    let why = elsewhere.build().unwrap().list().await.unwrap_err();
    assert!(matches!(&why, AdapterError::Unreachable(words) if words.contains("no such folder")), "{why:?}");
}

/// A server of the test's own: what vcsim does not do on demand. It answers each request by its method.
async fn fake(answer: impl Fn(&str, usize) -> String + Send + 'static) -> (String, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    fs::write(&password, "x").unwrap();
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let answer = Arc::new(std::sync::Mutex::new((answer, 0)));
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let mut request = Vec::new();
                let mut part = [0; 4096];
                while !String::from_utf8_lossy(&request).contains("</soapenv:Envelope>") {
                    match stream.read(&mut part).await {
                        Ok(length @ 1..) => request.extend_from_slice(&part[..length]),
                        _ => return,
                    }
                }
                let request = String::from_utf8_lossy(&request).into_owned();
                let method = request.split("<soapenv:Body><").nth(1).unwrap().split(' ').next().unwrap();
                let text = {
                    let mut answer = answer.lock().unwrap();
                    answer.1 += 1;
                    let count = answer.1;
                    (answer.0)(method, count)
                };
                // The other side may have given up.
                stream.write_all(text.as_bytes()).await.ok();
            });
        }
    });
    (format!("http://{at}"), folder)
}

/// What a server says to `method` before a list.
fn greeting(method: &str) -> Option<String> {
    let reference = |name: &str| format!("<{name} type=\"T\">{name}</{name}>");
    let inner = match method {
        "RetrieveServiceContent" => {
            let all =
                ["rootFolder", "propertyCollector", "viewManager", "sessionManager"].map(reference).concat();
            format!("<returnval>{all}<about><fullName>fake</fullName></about></returnval>")
        }
        "Login" => String::new(),
        "CreateContainerView" => reference("returnval"),
        _ => return None,
    };
    Some(whole(&inner))
}

fn whole(inner: &str) -> String {
    let body = format!("<e><Body><r>{inner}</r></Body></e>");
    let head = "HTTP/1.1 200 OK\r\nset-cookie: vmware_soap_session=abc; Path=/\r\nconnection: close\r\n";
    format!("{head}content-length: {}\r\n\r\n{body}", body.len())
}

fn machine(n: usize) -> String {
    format!(
        "<objects><obj type=\"VirtualMachine\">vm-{n}</obj><propSet><name>name</name><val>web-{n}</val></propSet>\
         <propSet><name>runtime.powerState</name><val>poweredOn</val></propSet></objects>"
    )
}

fn at(url: &str, folder: &Path) -> VsphereAdapter {
    let folder = folder.display();
    let text =
        format!("url = '{url}'\nuser = 'u'\npassword_file = '{folder}/password'\nanswer_within_ms = 2000");
    let mut config: VsphereConfig = toml::from_str(&text).unwrap();
    config.tls.sha256 = Some("00".repeat(32));
    config.build().unwrap()
}

#[tokio::test]
async fn five_thousand_machines_come_in_pages() {
    let (url, folder) = fake(|method, count| {
        if let Some(text) = greeting(method) {
            return text;
        }
        let page = count - 4;
        let machines: String = (page * 250..(page + 1) * 250).map(machine).collect();
        let token = if page < 19 { "<token>more</token>" } else { "" };
        whole(&format!("<returnval>{token}{machines}</returnval>"))
    })
    .await;
    let found = at(&url, folder.path()).list().await.unwrap();
    assert_eq!((found.len(), found[4999].address.0.as_str()), (5000, "web-4999"));
    assert_eq!(found[17].seen.as_ref().unwrap().power, Power::On);
}

#[tokio::test]
async fn half_an_answer_a_wrong_one_and_pages_without_end_are_errors_or_bounded() {
    for (text, words) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n<e><Body>".to_owned(), "half an answer"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n<e><Body>".to_owned(), "not what was expected"),
        ("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".to_owned(), "503"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".to_owned(), "longer than"),
    ] {
        let (url, folder) = fake(move |method, _| greeting(method).unwrap_or_else(|| text.clone())).await;
        let why = at(&url, folder.path()).list().await.unwrap_err();
        assert!(matches!(&why, AdapterError::Unreachable(said) if said.contains(words)), "{why:?}");
    }
    let (url, folder) = fake(|method, count| {
        greeting(method).unwrap_or_else(|| {
            let machines: String = (count * 250..(count + 1) * 250).map(machine).collect();
            whole(&format!("<returnval><token>more</token>{machines}</returnval>"))
        })
    })
    .await;
    assert_eq!(at(&url, folder.path()).list().await.unwrap().len(), 20_000);
}
