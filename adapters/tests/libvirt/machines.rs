//! The machines that the tests' daemons have.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test program uses its part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use primrack_adapter_api::{Adapter, AdapterError, Capabilities, Console, Found, Hints};
use primrack_adapters::libvirt::LibvirtAdapter;
use primrack_model::{Action, Address, Observation, Power};

use super::daemon::Daemon;

pub const QEMU: &str = "qemu:///system";
pub const LXC: &str = "lxc:///system";
pub const TEST: &str = "test:///default";

/// The guest that `cargo xtask guest` makes.
pub fn guest() -> PathBuf {
    let folder = std::env::var_os("PRIMRACK_GUEST_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target/guest"),
        PathBuf::from,
    );
    assert!(
        folder.join("vmlinuz").is_file() && folder.join("initrd").is_file(),
        "no guest in {}: run `cargo xtask guest` first, or name its folder in PRIMRACK_GUEST_DIR",
        folder.display()
    );
    folder
}

/// Where a machine's serial line is written.
pub fn console(daemon: &Daemon, name: &str) -> PathBuf {
    daemon.home().join(format!("{name}.console"))
}

pub fn qemu_xml(daemon: &Daemon, name: &str, devices: &str) -> String {
    let guest = guest();
    format!(
        "<domain type='qemu'><name>{name}</name><memory unit='MiB'>96</memory><vcpu>1</vcpu>
        <os><type arch='x86_64' machine='pc'>hvm</type><kernel>{0}/vmlinuz</kernel><initrd>{0}/initrd</initrd>
        <cmdline>console=ttyS0 quiet panic=-1</cmdline></os><features><acpi/></features>
        <cpu mode='custom'><model>qemu64</model></cpu>
        <on_reboot>restart</on_reboot><on_crash>preserve</on_crash>
        <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>{devices}
        <controller type='usb' model='none'/><memballoon model='none'/>
        <serial type='file'><source path='{1}' append='on'/></serial></devices></domain>",
        guest.display(),
        console(daemon, name).display()
    )
}

pub fn define_qemu(daemon: &Daemon, name: &str) {
    fs::write(console(daemon, name), "").unwrap();
    daemon.define(QEMU, &qemu_xml(daemon, name, ""));
}

/// A container whose first process obeys: SIGTERM is libvirt's soft off, SIGHUP its reboot.
pub fn define_lxc(daemon: &Daemon, name: &str) {
    let root = daemon.home().join("root");
    fs::create_dir(&root).unwrap();
    let unpacked = Command::new("cpio")
        .args(["-id", "--quiet", "--no-absolute-filenames", "-F"])
        .arg(guest().join("initrd"))
        .current_dir(&root)
        .status()
        .expect("cpio cannot be run");
    assert!(unpacked.success());
    let init = "#!/bin/sh\nexport PATH=/bin\ntrap 'exit 0' TERM\ntrap 'reboot -f' HUP\n\
                echo GUEST-READY >>/console\nwhile :; do sleep 1 & wait; done\n";
    fs::write(root.join("init"), init).unwrap();
    fs::write(root.join("console"), "").unwrap();
    daemon.define(
        LXC,
        &format!(
            "<domain type='lxc'><name>{name}</name><memory unit='MiB'>128</memory>
            <os><type>exe</type><init>/init</init></os><devices>
            <emulator>/usr/lib/libvirt/libvirt_lxc</emulator>
            <filesystem type='mount'><source dir='{}'/><target dir='/'/></filesystem>
            <console type='pty'/></devices></domain>",
            root.display()
        ),
    );
}

fn test_xml(name: &str) -> String {
    format!(
        "<domain type='test'><name>{name}</name><memory unit='MiB'>8</memory><os><type>hvm</type></os></domain>"
    )
}

/// In the test driver's world, which somebody else holds; asked until that is connected.
pub async fn define_test(daemon: &Daemon, name: &str) {
    daemon.define(TEST, &test_xml(name));
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if daemon.virsh(TEST, &["list", "--all", "--name"]).lines().any(|line| line.trim() == name) {
            return;
        }
        daemon.define(TEST, &test_xml(name));
    }
    panic!("nobody holds the test driver's world");
}

/// Many machines in that world. Returns their names.
pub fn define_many(daemon: &Daemon, count: usize) -> Vec<String> {
    let names: Vec<String> = (0..count).map(|number| format!("m{number}")).collect();
    let folder = daemon.home().join("many");
    fs::create_dir(&folder).unwrap();
    let mut words = String::new();
    for name in &names {
        let file = folder.join(name);
        fs::write(&file, test_xml(name)).unwrap();
        words += &format!("define {}\n", file.display());
    }
    let script = folder.join("words");
    fs::write(&script, words).unwrap();
    let input = fs::File::open(script).unwrap();
    let done = daemon.virsh_command(TEST).stdin(input).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    names
}

/// Presses the power button only when the guest listens, as a person would who watches its console. libvirt does
/// not know when that is.
#[derive(Debug)]
pub struct Patient {
    adapter: LibvirtAdapter,
    console: PathBuf,
    booted: Booted,
}

/// Where on the console the last boot began. It outlives an adapter.
pub type Booted = Arc<Mutex<usize>>;

impl Patient {
    pub fn new(adapter: LibvirtAdapter, console: PathBuf, booted: &Booted) -> Self {
        Self { adapter, console, booted: Arc::clone(booted) }
    }

    async fn ready(&self) {
        let from = *self.booted.lock();
        let ready = || {
            let text = fs::read(&self.console).unwrap();
            String::from_utf8_lossy(&text[from.min(text.len())..]).contains("GUEST-READY")
        };
        while !ready() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[async_trait]
impl Adapter for Patient {
    fn technology(&self) -> &'static str {
        self.adapter.technology()
    }
    fn capabilities(&self, address: &Address) -> Capabilities {
        self.adapter.capabilities(address)
    }
    async fn list(&self) -> Result<Vec<Found>, AdapterError> {
        self.adapter.list().await
    }
    async fn observe(&self, address: &Address) -> Result<Observation, AdapterError> {
        self.adapter.observe(address).await
    }
    async fn execute(&self, command: &primrack_model::Command) -> Result<(), AdapterError> {
        if matches!(command.action, Action::SoftOff | Action::Reboot) {
            self.ready().await;
        }
        // A start of what runs already begins no boot.
        let boots = match command.action {
            Action::Start => self.adapter.observe(&command.address).await?.power != Power::On,
            other => matches!(other, Action::Reset | Action::Reboot),
        };
        if boots {
            let length = usize::try_from(fs::metadata(&self.console).unwrap().len()).unwrap();
            *self.booted.lock() = length;
        }
        self.adapter.execute(command).await
    }
    async fn listen(&self, hints: Hints) -> AdapterError {
        self.adapter.listen(hints).await
    }
    async fn console(&self, address: &Address) -> Result<Console, AdapterError> {
        self.adapter.console(address).await
    }
}
