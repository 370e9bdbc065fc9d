//! The packet on a wire: a virtual cable into a network namespace, where somebody sleeps until it comes.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "common/mod.rs"]
mod common;

use std::fs;
use std::io::Read as _;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{PATIENCE, Peer, Transcript, address};
use primrack_adapter_api::{Adapter, AdapterError};
use primrack_adapters::wake::{WakeAdapter, WakeConfig};
use primrack_model::{Action, Command as Order, IntentId, Observation, Power};

const MAC: [u8; 6] = [0x02, 0x11, 0x22, 0xaa, 0xbb, 0xcc];
const PASSWORD: [u8; 6] = [1, 0x23, 0x45, 0x67, 0x89, 0xab];

fn run(program: &str, arguments: &[&str]) {
    let done = Command::new(program).args(arguments).output().expect("ip, nsenter: iproute2, util-linux");
    let words = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(
        done.status.success(),
        "{program} {arguments:?}: {words} (are we root, with network namespaces?)"
    );
}

/// The machine at the other end: a namespace, and in it this test program once more, as the one that sleeps.
struct Sleeper {
    holder: Child,
    process: Option<Child>,
    cable: String,
    net: String,
}

impl Sleeper {
    fn new() -> Self {
        let number = std::process::id();
        let (cable, net) = (format!("wol{}", number % 1_000_000), format!("10.213.{}", number % 250));
        // The namespace lives as long as this, and the cable as long as the namespace.
        let mut holder = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "unshare", "--net", "sh", "-c", "echo there; exec sleep 1000"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut there = [0; 6];
        holder.stdout.as_mut().unwrap().read_exact(&mut there).unwrap();
        let pid = holder.id().to_string();
        run("ip", &["link", "add", &cable, "type", "veth", "peer", "name", "eth0", "netns", &pid]);
        let mut sleeper = Self { holder, process: None, cable, net };
        let own = format!("{}.1/24", sleeper.net);
        run("ip", &["addr", "add", &own, "broadcast", "+", "dev", &sleeper.cable]);
        run("ip", &["link", "set", &sleeper.cable, "up"]);
        sleeper.inside(&[
            "ip",
            "addr",
            "add",
            &format!("{}.2/24", sleeper.net),
            "broadcast",
            "+",
            "dev",
            "eth0",
        ]);
        sleeper.inside(&["ip", "link", "set", "eth0", "up"]);
        sleeper.sleep();
        sleeper
    }

    fn inside(&self, arguments: &[&str]) {
        run("nsenter", &[&["--target", &self.holder.id().to_string(), "--net"], arguments].concat());
    }

    /// It hears packets, and answers nobody, not even where its card is.
    fn sleep(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
        self.inside(&["ip", "link", "set", "eth0", "arp", "off"]);
        run("ip", &["neigh", "flush", "dev", &self.cable]);
        let mut process = Command::new("nsenter")
            .args(["--target", &self.holder.id().to_string(), "--net"])
            .args(["setpriv", "--pdeathsig", "KILL"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "as_a_sleeper", "--ignored", "--nocapture"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = Vec::new();
        let output = process.stdout.as_mut().unwrap();
        while !said.ends_with(b"ASLEEP") {
            let mut byte = [0];
            output.read_exact(&mut byte).expect("the sleeper lies down");
            said.push(byte[0]);
        }
        self.process = Some(process);
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        for child in self.process.iter_mut().chain([&mut self.holder]) {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// The other side: wakes at its own packet with its password, and only then opens its port.
#[test]
#[ignore = "started by the other test, in a network namespace"]
fn as_a_sleeper() {
    let socket = UdpSocket::bind("0.0.0.0:9").unwrap();
    println!("ASLEEP");
    let mut wanted = vec![255; 6];
    wanted.extend(MAC.repeat(16));
    wanted.extend(PASSWORD);
    loop {
        let mut bytes = [0; 200];
        let length = socket.recv(&mut bytes).unwrap();
        if bytes[..length] == wanted[..] {
            break;
        }
    }
    let listener = TcpListener::bind("0.0.0.0:2222").unwrap();
    run("ip", &["link", "set", "eth0", "arp", "on"]);
    for connection in listener.incoming() {
        drop(connection.unwrap());
    }
}

fn adapter(net: &str, folder: &std::path::Path) -> WakeAdapter {
    let text = format!(
        "timeout_ms = 700\n\
         [machines.sleeper]\nmac = '02:11:22:aa:bb:cc'\nto = '{net}.255:9'\ncheck = '{net}.2:2222'\n\
         password_file = '{0}/password'\n\
         [machines.other]\nmac = '02:11:22:aa:bb:dd'\nto = '{net}.255:9'\ncheck = '{net}.2:2222'\n\
         [machines.silent]\nmac = '02:11:22:aa:bb:cc'\nto = '{net}.255:9'\n\
         [machines.open]\nmac = '02:11:22:aa:bb:cc'\npassword_file = '{0}/open'\n",
        folder.display()
    );
    toml::from_str::<WakeConfig>(&text).unwrap().build().unwrap()
}

#[tokio::test]
async fn a_sleeper_hears_its_own_packet_and_comes_up() {
    let transcript = Transcript::begin("wake", "wake", Peer::Simulator);
    let folder = tempfile::tempdir().unwrap();
    for (name, mode) in [("password", 0o600), ("open", 0o644)] {
        fs::write(folder.path().join(name), "01:23:45:67:89:ab\n").unwrap();
        fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let mut sleeper = Sleeper::new();
    let wake = adapter(&sleeper.net, folder.path());
    let order = |name: &str, action: Action| Order {
        intent: IntentId::now(),
        address: address(name),
        action,
        deadline_ms: 60_000,
    };
    let power = async |name: &str| wake.observe(&address(name)).await.unwrap().power;
    let reaches = async |wanted: Power| {
        let waiting = async {
            // No machine tells of itself: it is asked.
            while power("sleeper").await != wanted {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("it never is {wanted:?}"));
    };

    assert_eq!(wake.list().await.unwrap().len(), 4);
    let why = wake.observe(&address("absent")).await.unwrap_err();
    assert!(matches!(why, AdapterError::NotFound(_)), "{why:?}");
    let why = wake.execute(&order("absent", Action::Start)).await.unwrap_err();
    assert!(matches!(why, AdapterError::NotFound(_)), "{why:?}");
    let why = wake.execute(&order("sleeper", Action::SoftOff)).await.unwrap_err();
    assert!(matches!(why, AdapterError::NotSupported(_)), "{why:?}");
    let why = wake.execute(&order("open", Action::Start)).await.unwrap_err();
    assert!(matches!(&why, AdapterError::Credentials(words) if words.contains("chmod 600")), "{why:?}");

    reaches(Power::Off).await;
    // Nobody checks this one: whatever it does, it is unknown.
    assert_eq!(power("silent").await, Power::Unknown);
    // Another's packet, and its own without the password, let it sleep.
    for name in ["other", "silent"] {
        wake.execute(&order(name, Action::Start)).await.unwrap();
        assert_eq!(power("sleeper").await, Power::Off);
    }
    // It may be sent, and that is all that is known of it.
    assert_eq!(wake.unseen(&address("silent")), [Action::Start]);
    assert!(wake.unseen(&address("sleeper")).is_empty());
    assert_eq!(wake.observe(&address("silent")).await.unwrap(), Observation::unknown("sent, nothing checks"));
    let start = order("sleeper", Action::Start);
    wake.execute(&start).await.unwrap();
    reaches(Power::On).await;
    wake.execute(&order("sleeper", Action::Start)).await.unwrap();
    assert_eq!(power("sleeper").await, Power::On);

    // It goes down behind our back.
    sleeper.sleep();
    reaches(Power::Off).await;
    // What was done once is not done again.
    wake.execute(&start).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(power("sleeper").await, Power::Off);
    // Dropped half-way at several points, it goes on to obey; and so does the next bridge's.
    for micros in [0, 100, 50_000] {
        let order = order("other", Action::Start);
        drop(tokio::time::timeout(Duration::from_micros(micros), wake.execute(&order)).await);
        drop(tokio::time::timeout(Duration::from_micros(micros), wake.observe(&order.address)).await);
    }
    adapter(&sleeper.net, folder.path()).execute(&order("sleeper", Action::Start)).await.unwrap();
    reaches(Power::On).await;
    let rules = [
        "lists-it",
        "not-found",
        "off-at-first",
        "start",
        "once-per-intent",
        "start-when-on",
        "killed-outside",
        "drop-safe",
    ];
    transcript.end("a listener in a network namespace that wakes at the packet", &rules);
}
