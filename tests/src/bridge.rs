//! A bridge to test: in this process, or the real program as a child that can be killed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use primrack_app::compose::{Bridge, check, start};
use primrack_app::config::read;
use primrack_app::rack::{RackKey, RackSettings};
use primrack_wire::world::{KeyId, Secret};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::{Room, SECRET, Script, soon};

/// Settings of a rack of key `a` at a bridge.
fn rack(bridge: SocketAddr, object: &str) -> RackSettings {
    let key = RackKey { id: KeyId::new("a").unwrap(), secret: Secret::new(SECRET).unwrap() };
    RackSettings::new(format!("http://{bridge}"), object, key)
}

/// A bridge in this process.
#[derive(Debug)]
pub struct TestBridge {
    /// The bridge.
    pub bridge: Bridge,
    /// Its folder.
    pub room: Room,
}

impl TestBridge {
    /// Starts it on a free port.
    ///
    /// # Panics
    /// When the configuration is wrong, or it cannot start.
    pub async fn start(room: Room) -> Self {
        Self::start_at(room, SocketAddr::from(([127, 0, 0, 1], 0))).await
    }
    /// Starts it where one listened before.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn start_at(room: Room, address: SocketAddr) -> Self {
        let loaded = read(&room.config(), std::iter::empty()).unwrap();
        let checked = check(loaded).unwrap_or_else(|wrong| panic!("{wrong:?}"));
        let listener = TcpListener::bind(address).await.unwrap();
        let bridge = start(checked, Some(listener)).await.unwrap();
        Self { bridge, room }
    }
    /// Stops it in order and gives its folder back.
    pub async fn stop(self) -> Room {
        self.bridge.stop().await;
        self.room
    }
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.bridge.address
    }
    /// What a rack needs to be here.
    #[must_use]
    pub fn rack(&self, object: &str) -> RackSettings {
        rack(self.address(), object)
    }
    /// Somebody who speaks as the same prim.
    #[must_use]
    pub fn script(&self, object: &str) -> Script {
        Script::new(self.address(), object)
    }
}

/// `primrack serve` as a process of its own. Dropping it kills it.
#[derive(Debug)]
pub struct BridgeProcess {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its folder.
    pub room: Room,
    child: Child,
}

/// The program, as cargo built it beside the tests.
///
/// # Panics
/// When it is not built.
#[must_use]
pub fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("PRIMRACK_BIN") {
        return PathBuf::from(path);
    }
    let tests = std::env::current_exe().unwrap();
    let path = tests.ancestors().nth(2).unwrap().join("primrack");
    assert!(
        path.is_file(),
        "no program at {}: `cargo build -p primrack` first, or name it in PRIMRACK_BIN",
        path.display()
    );
    path
}

impl BridgeProcess {
    /// Starts it on a free port and waits until it is up.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start(room: Room) -> Self {
        Self::start_at(room, SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Starts it where one listened before. For a moment that address may be taken: by a machine of the killed
    /// bridge between fork and exec, or by somebody's outgoing connection.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start_at(room: Room, at: SocketAddr) -> Self {
        for _ in 0..50 {
            match Self::try_start(&room, at).await {
                Ok((address, child)) => return Self { address, room, child },
                Err(words) if words.contains("Address already in use") => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(words) => panic!("the bridge did not come up: {words}"),
            }
        }
        panic!("{at} stays taken");
    }

    /// Starts it once; what it said, if it did not come up.
    async fn try_start(room: &Room, at: SocketAddr) -> Result<(SocketAddr, Child), String> {
        let mut child = Command::new(program())
            .args(["serve", "--log", "json", "--config"])
            .arg(room.config())
            .env("PRIMRACK__BRIDGE__LISTEN", at.to_string())
            .env("PRIMRACK_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let up = async {
            let mut said = Vec::new();
            while let Ok(Some(line)) = log.next_line().await {
                let read: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
                if read["fields"]["message"] == "the bridge is up" {
                    return Ok(read["fields"]["address"].as_str().unwrap().parse().unwrap());
                }
                said.push(line);
            }
            Err(said.join("\n"))
        };
        let address = soon("the bridge comes up", up).await?;
        // Its pipe has to be emptied, or it would wait for us at last.
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        Ok((address, child))
    }

    /// kill -9: no chance to put anything in order.
    ///
    /// # Panics
    /// When it had ended already.
    pub async fn kill(mut self) -> (Room, SocketAddr) {
        assert!(self.child.try_wait().unwrap().is_none(), "the bridge had ended by itself");
        self.child.kill().await.unwrap();
        (self.room, self.address)
    }

    /// The most memory that was resident since its start, in MiB.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn peak_mib(&self) -> u64 {
        let pid = self.child.id().expect("the bridge runs");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() / 1024
    }
    /// What a rack needs to be here.
    #[must_use]
    pub fn rack(&self, object: &str) -> RackSettings {
        rack(self.address, object)
    }
    /// Somebody who speaks as the same prim.
    #[must_use]
    pub fn script(&self, object: &str) -> Script {
        Script::new(self.address, object)
    }
}
