//! A real machine in a libvirt of its own, for emulated BMCs to drive.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test program uses its part")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::Mutex;
use primrack_adapter_api::{Adapter, AdapterError, Capabilities, Found, Hints};
use primrack_model::{Action, Address, Command as Order, Observation};

/// The machine's name in libvirt.
pub const MACHINE: &str = "lab1";
/// Its UUID, which sushy-emulator shows as its `Id`.
pub const UUID: &str = "5a0c3d9e-6f3a-4f0e-9d51-0a4c6d1e7b21";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn below(variable: &str, default: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| root().join(default), PathBuf::from)
}

/// A program of the Python environment that `cargo xtask python` makes for BMCs.
pub fn python(program: &str) -> String {
    let path = below("PRIMRACK_PYTHON_DIR", "target/python").join("bmc/bin").join(program);
    assert!(path.is_file(), "{} is not there: run `cargo xtask python` first", path.display());
    path.display().to_string()
}

/// The laboratory. Everything in it ends with this value, or with the test's process.
pub struct Lab {
    folder: tempfile::TempDir,
    child: Child,
    talk: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Lab {
    pub fn start() -> Arc<Self> {
        let guest = below("PRIMRACK_GUEST_DIR", "target/guest");
        let (kernel, initrd) = (guest.join("vmlinuz"), guest.join("initrd"));
        assert!(kernel.is_file() && initrd.is_file(), "no guest: run `cargo xtask guest` first");
        let folder = tempfile::tempdir().unwrap();
        let script = root().join("adapters/tests/bmc/lab.sh");
        let mut child = Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "bash"])
            .arg(script)
            .arg(folder.path())
            .args([kernel, initrd])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(folder.path().join("lab.log")).unwrap())
            .spawn()
            .expect("unshare, of util-linux, runs");
        let talk = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let lab = Self { folder, child, talk: Mutex::new(talk) };
        lab.answer();
        Arc::new(lab)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn answer(&self) -> i32 {
        let mut talk = self.talk.lock();
        loop {
            let mut line = String::new();
            if talk.1.read_line(&mut line).unwrap() == 0 {
                let log = fs::read_to_string(self.path("lab.log")).unwrap_or_default();
                panic!("the laboratory ended (it needs root, libvirt and QEMU): {log}");
            }
            if let Some(status) = line.strip_prefix("= ") {
                return status.trim().parse().unwrap();
            }
        }
    }

    /// Runs a line of shell inside and returns its status. Blocks.
    pub fn run(&self, line: &str) -> i32 {
        assert!(!line.contains('\n'));
        writeln!(self.talk.lock().0, "{line}").unwrap();
        self.answer()
    }

    /// As [`Self::run`], and must do.
    pub fn must(&self, line: &str) {
        let status = self.run(line);
        let log = fs::read_to_string(self.path("lab.log")).unwrap_or_default();
        assert_eq!(status, 0, "{line}: {log}");
    }

    /// Pulls the plug of the machine, as somebody with libvirt's shell would.
    pub async fn pull_the_plug(self: &Arc<Self>) {
        let lab = Arc::clone(self);
        tokio::task::spawn_blocking(move || lab.must("virsh destroy lab1 >/dev/null")).await.unwrap();
    }

    /// Waits until the guest is up. Its console is emptied whenever it is switched on, and before a reset.
    async fn booted(&self) {
        let began = Instant::now();
        loop {
            let log = fs::read(self.path("console.log")).unwrap_or_default();
            let text = String::from_utf8_lossy(&log);
            if text.contains("GUEST-READY") {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "the guest does not boot: {text}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // The first process of the namespace ends with its parent, and all others with it.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A port that was free a moment ago.
pub fn free_tcp() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A port that was free a moment ago.
pub fn free_udp() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// An adapter whose soft orders wait until the guest's system is up. A BMC knows the power rail and not
/// the system, and a guest that is still booting ignores its power button: as true of real ones.
#[derive(Debug)]
pub struct Patient<A> {
    pub inner: A,
    pub lab: Arc<Lab>,
}

impl std::fmt::Debug for Lab {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lab")
    }
}

#[async_trait]
impl<A: Adapter> Adapter for Patient<A> {
    fn technology(&self) -> &'static str {
        self.inner.technology()
    }
    fn capabilities(&self, address: &Address) -> Capabilities {
        self.inner.capabilities(address)
    }
    async fn list(&self) -> Result<Vec<Found>, AdapterError> {
        self.inner.list().await
    }
    async fn observe(&self, address: &Address) -> Result<Observation, AdapterError> {
        self.inner.observe(address).await
    }
    async fn execute(&self, order: &Order) -> Result<(), AdapterError> {
        if matches!(order.action, Action::SoftOff | Action::Reboot | Action::Reset) {
            self.lab.booted().await;
        }
        if order.action == Action::Reset {
            // libvirt empties it at a start only, and what was said before is not said of the next boot.
            tokio::fs::write(self.lab.path("console.log"), "").await.unwrap();
        }
        self.inner.execute(order).await
    }
    async fn listen(&self, hints: Hints) -> AdapterError {
        self.inner.listen(hints).await
    }
}
