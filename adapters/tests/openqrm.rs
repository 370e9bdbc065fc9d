//! openQRM, against recordings: what PHP's SOAP server answered under the WSDL of its tree of March 2010, with a
//! stand-in behind it (tests/openqrm). No openQRM has been asked. The conformance suite needs machines that live,
//! so this checks, rule by rule, what recordings can show.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "common/mod.rs"]
mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::{Bridge, Peer, Transcript, address, quality};
use parking_lot::Mutex;
use primrack_adapter_api::conformance::compare;
use primrack_adapter_api::{Adapter, AdapterError};
use primrack_adapters::openqrm::{OpenqrmAdapter, OpenqrmConfig};
use primrack_model::{Action, Command, IntentId, Power};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Plays the recordings. Which of two it plays for an appliance follows the commands that were taken.
#[derive(Debug)]
struct Played {
    /// Whether appliances 1 and 4 are active.
    active: [bool; 2],
    /// What was called, with its arguments after the password.
    calls: Vec<String>,
    /// Instead of everything else.
    instead: Option<Vec<u8>>,
    /// Put in place of the recorded uptime.
    uptime: &'static str,
    hangs: bool,
}

struct Server {
    at: String,
    folder: TempDir,
    played: Arc<Mutex<Played>>,
    listener: JoinHandle<()>,
}

fn recorded(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openqrm");
    fs::read_to_string(folder.join(format!("{name}.xml"))).unwrap()
}

fn http(body: &str) -> Vec<u8> {
    let status = if body.contains("Fault>") { "500 Internal Server Error" } else { "200 OK" };
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: text/xml\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

impl Played {
    fn answer(&mut self, symbol: &str, method: &str) -> String {
        let arguments: Vec<&str> = symbol.split(',').collect();
        if arguments[..3] != ["admin", "primrack", "secret"] {
            self.calls.push("denied".to_owned());
            return recorded(if method == "CloudApplianceCommand" {
                "command-refused"
            } else {
                "list-denied"
            });
        }
        self.calls.push(format!("{method} {}", arguments[3..].join(",")));
        let place = match arguments[3] {
            "1" => 0,
            "4" => 1,
            _ => 2,
        };
        match (method, place) {
            ("CloudApplianceGetList", _) => recorded("list"),
            ("CloudApplianceGetDetails", 2) => {
                recorded("details-absent").replace(">9<", &format!(">{}<", arguments[3]))
            }
            ("CloudApplianceGetDetails", _) => {
                let state = if self.active[place] { "active" } else { "paused" };
                recorded(&format!("details-{}-{state}", arguments[3]))
                    .replace(">1040<", &format!(">{}<", self.uptime))
            }
            ("CloudApplianceCommand", 0 | 1) => {
                let active = &mut self.active[place];
                let fits = if arguments[4] == "start" { !*active } else { *active };
                if fits && arguments[4] != "restart" {
                    *active = !*active;
                }
                if fits && arguments[4] == "restart" {
                    self.uptime = "3";
                }
                recorded(if fits { "command-taken" } else { "command-refused" })
            }
            _ => recorded("fault"),
        }
    }
}

impl Server {
    async fn start() -> Self {
        Self::at("127.0.0.1:0", tempfile::tempdir().unwrap()).await
    }
    async fn at(at: &str, folder: TempDir) -> Self {
        password(folder.path(), "secret");
        let listener = TcpListener::bind(at).await.unwrap();
        let at = listener.local_addr().unwrap().to_string();
        let played =
            Played { active: [false, true], calls: Vec::new(), instead: None, uptime: "1040", hangs: false };
        let played = Arc::new(Mutex::new(played));
        let shared = Arc::clone(&played);
        let listener = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let played = Arc::clone(&shared);
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    let mut part = [0; 4096];
                    while !String::from_utf8_lossy(&request).contains("Envelope>") {
                        match stream.read(&mut part).await {
                            Ok(length @ 1..) => request.extend_from_slice(&part[..length]),
                            _ => return,
                        }
                    }
                    let request = String::from_utf8_lossy(&request).into_owned();
                    assert!(
                        request.starts_with("POST /openqrm/base/plugins/cloud/soap/cloudadmin-soap.php ")
                    );
                    let method =
                        request.split("urn:localhost-cloud#").nth(1).unwrap().split('"').next().unwrap();
                    let symbol = request.split("x:string\">").nth(1).unwrap().split('<').next().unwrap();
                    if played.lock().hangs {
                        std::future::pending::<()>().await;
                    }
                    let answer = {
                        let mut played = played.lock();
                        let answer = http(&played.answer(symbol, method));
                        played.instead.clone().unwrap_or(answer)
                    };
                    // The other side may have given up.
                    stream.write_all(&answer).await.ok();
                });
            }
        });
        Self { at, folder, played, listener }
    }

    fn adapter(&self) -> OpenqrmAdapter {
        let text = format!(
            "url = 'http://{}'\nuser = 'primrack'\npassword_file = '{}/password'\nanswer_within_ms = 2000\n\
             tls = {{ sha256 = '{}' }}",
            self.at,
            self.folder.path().display(),
            "00".repeat(32)
        );
        toml::from_str::<OpenqrmConfig>(&text).unwrap().build().unwrap()
    }
    fn calls(&self, method: &str) -> usize {
        self.played.lock().calls.iter().filter(|call| call.starts_with(method)).count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

fn password(folder: &Path, text: &str) {
    let path = folder.join("password");
    fs::write(&path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn command(name: &str, action: Action) -> Command {
    Command { intent: IntentId::now(), address: address(name), action, deadline_ms: 10_000 }
}

async fn power(adapter: &OpenqrmAdapter, name: &str) -> Power {
    adapter.observe(&address(name)).await.unwrap().power
}

#[tokio::test]
async fn keeps_the_rules_that_recordings_can_show() {
    let transcript = Transcript::begin("openqrm", "openqrm", Peer::Recording);
    let server = Server::start().await;
    let adapter = server.adapter();
    let mut kept = Vec::new();

    let mut found = adapter.list().await.unwrap();
    found.sort_by(|a, b| a.address.cmp(&b.address));
    assert_eq!((found.len(), found[0].label.as_str()), (2, "cloud-1-1-x"));
    assert_eq!(found[0].tags, ["resource=kvm-vm", "image=lenny.x86_64.cloud", "kernel=default"]);
    kept.push("lists-it");
    for strange in ["there-is-no-such-machine", "9", "1,start", ""] {
        let seen = adapter.observe(&address(strange)).await;
        assert!(matches!(seen, Err(AdapterError::NotFound(_))), "{strange:?}: {seen:?}");
        let done = adapter.execute(&command(strange, Action::Start)).await;
        assert!(matches!(done, Err(AdapterError::NotFound(_))), "{strange:?}: {done:?}");
    }
    kept.push("not-found");
    assert_eq!(power(&adapter, "1").await, Power::Off);
    kept.push("off-at-first");
    let start = command("1", Action::Start);
    adapter.execute(&start).await.unwrap();
    assert_eq!(power(&adapter, "1").await, Power::On);
    kept.push("start");
    adapter.execute(&start).await.unwrap();
    assert_eq!(server.calls("CloudApplianceCommand 1,start"), 1, "one intent was sent twice");
    kept.push("once-per-intent");
    let again = adapter.execute(&command("1", Action::Start)).await;
    assert!(matches!(again, Err(AdapterError::Refused(_))), "{again:?}");
    assert_eq!(power(&adapter, "1").await, Power::On);
    kept.push("start-when-on");
    let about = adapter.observe(&address("1")).await.unwrap().about.unwrap();
    assert_eq!(about.addresses.len(), 2);
    adapter.execute(&command("1", Action::Reboot)).await.unwrap();
    assert_eq!(power(&adapter, "1").await, Power::Starting);
    assert_eq!(power(&adapter, "1").await, Power::On);
    kept.push("reboot");
    drop(adapter);
    let adapter = server.adapter();
    assert_eq!(power(&adapter, "1").await, Power::On);
    kept.push("adopts");
    adapter.execute(&command("1", Action::SoftOff)).await.unwrap();
    assert_eq!(power(&adapter, "1").await, Power::Off);
    kept.push("soft-off");
    server.played.lock().active[1] = false;
    assert_eq!(power(&adapter, "4").await, Power::Off);
    kept.push("killed-outside");
    for other in [Action::HardOff, Action::Reset, Action::Pause, Action::Save, Action::Delete] {
        assert!(!adapter.capabilities(&address("1")).can(other));
        let done = adapter.execute(&command("1", other)).await;
        assert!(matches!(done, Err(AdapterError::NotSupported(_))), "{other}: {done:?}");
    }

    compare(&quality(include_str!("../src/openqrm/quality.toml")), &kept).unwrap();
    let against = "recordings: PHP 8.2's SOAP server under openQRM's WSDL of 2010; no openQRM";
    transcript.end(against, &kept);
}

#[tokio::test]
async fn nothing_said_is_a_no_and_an_empty_list_is_an_answer() {
    let server = Server::start().await;
    password(server.folder.path(), "wrong");
    let adapter = server.adapter();
    let why = adapter.list().await.unwrap_err();
    assert!(matches!(&why, AdapterError::Credentials(words) if words.contains("password_file")), "{why:?}");
    assert!(matches!(adapter.observe(&address("1")).await, Err(AdapterError::Credentials(_))));
    // These it would drop without a word: they are not even sent.
    for text in ["a,b", "pa$$word"] {
        password(server.folder.path(), text);
        let sent = server.played.lock().calls.len();
        let why = adapter.list().await.unwrap_err();
        assert!(matches!(&why, AdapterError::Credentials(words) if !words.contains(text)), "{why:?}");
        assert_eq!(server.played.lock().calls.len(), sent);
    }
    password(server.folder.path(), "secret");
    server.played.lock().instead = Some(http(&recorded("list-empty")));
    assert!(adapter.list().await.unwrap().is_empty());
    server.played.lock().instead = Some(http(&recorded("fault")));
    let why = adapter.list().await.unwrap_err();
    assert!(matches!(&why, AdapterError::Refused(words) if words.contains("not present")), "{why:?}");
    for (text, words) in [
        ("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n", "web server"),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "plug-in cloud"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n<e>", "half an answer"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n<e>", "not what was expected"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n", "longer than"),
        ("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", "302"),
    ] {
        server.played.lock().instead = Some(text.as_bytes().to_vec());
        let why = adapter.list().await.unwrap_err();
        assert!(why.to_string().contains(words), "{why:?}");
    }
}

#[tokio::test]
async fn a_lost_a_hung_and_a_returned_server_is_never_guessed_at() {
    let server = Server::start().await;
    let mut bridge = Bridge::polling(server.adapter(), &["4"], Duration::from_millis(200));
    bridge.power("4", Power::On).await;
    server.played.lock().hangs = true;
    let seen = bridge.power("4", Power::Unknown).await;
    assert!(seen.detail.contains("no answer"), "{seen:?}");
    server.played.lock().hangs = false;
    bridge.power("4", Power::On).await;
    server.played.lock().instead = Some(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n".to_vec());
    bridge.power("4", Power::Unknown).await;
    server.played.lock().instead = None;
    bridge.power("4", Power::On).await;
    bridge.finish().await;
}
