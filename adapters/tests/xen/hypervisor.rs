//! Xen in QEMU, with its dom0's serial line and its libvirt.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use primrack_adapters::libvirt::LibvirtConfig;
use tempfile::TempDir;

/// How long it may take to boot, or to do anything.
const PATIENCE: Duration = Duration::from_secs(400);

/// One that runs. QEMU ends when this is dropped, or its process dies.
#[derive(Debug)]
pub struct Hypervisor {
    qemu: Child,
    line: Mutex<BufReader<UnixStream>>,
    port: u16,
    /// What dom0 told of itself: `DOM0-XEN 4.17 …` and `DOM0-READY libvirt=9.0.0 …`.
    told: Vec<String>,
    _folder: TempDir,
}

fn files() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target/xen");
    assert!(folder.join("stamp").is_file(), "no Xen in {}: run `cargo xtask xen` first", folder.display());
    folder
}

impl Hypervisor {
    /// Boots it, until its libvirt listens.
    pub fn start() -> Self {
        let files = files();
        let folder = tempfile::tempdir().unwrap();
        let serial = folder.path().join("serial");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let serial_line = UnixListener::bind(&serial).unwrap();
        // Paravirtual guests need no VT, which TCG has not; newer processors of QEMU's make Xen's dom0 stumble.
        let qemu = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "qemu-system-x86_64"])
            .args(["-accel", "tcg,thread=multi", "-cpu", "Nehalem", "-smp", "2", "-m", "2048", "-M", "q35"])
            .args(["-display", "none", "-monitor", "none", "-no-reboot", "-kernel", "xen"])
            .args([
                "-append",
                "dom0_mem=1280M,max:1280M dom0_max_vcpus=1 com1=115200,8n1 console=com1 loglvl=warning",
            ])
            .args(["-initrd", "vmlinuz console=hvc0 quiet,initrd"])
            .args([
                "-drive",
                "file=disk,format=raw,if=none,id=d0,snapshot=on",
                "-device",
                "virtio-blk-pci,drive=d0",
            ])
            .arg("-netdev")
            .arg(format!("user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:16509"))
            .args(["-device", "virtio-net-pci,netdev=n0", "-serial"])
            .arg(format!("unix:{}", serial.display()))
            .current_dir(&files)
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .spawn()
            .expect("qemu-system-x86_64 cannot be run");
        let (stream, _) = serial_line.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut line = BufReader::new(stream);
        let mut told = Vec::new();
        let mut all = String::new();
        let began = Instant::now();
        loop {
            let text = read(&mut line);
            assert!(!text.is_empty() && began.elapsed() < PATIENCE, "it does not boot:\n{all}");
            all.push_str(&text);
            assert!(!text.contains("DOM0-FAILED"), "{all}");
            if text.contains("DOM0-") {
                told.push(text.trim().to_owned());
            }
            if text.contains("DOM0-READY") {
                break;
            }
        }
        Self { qemu, line: Mutex::new(line), port, told, _folder: folder }
    }

    fn said(&self, key: &str) -> String {
        let words = self.told.iter().flat_map(|line| line.split_whitespace());
        words.skip_while(|word| !word.starts_with(key)).map(str::to_owned).next().unwrap_or_default()
    }

    /// The hypervisor's version, `Xen 4.17.6`.
    pub fn version(&self) -> String {
        let line = self.told.iter().find(|line| line.contains("DOM0-XEN")).cloned().unwrap_or_default();
        format!("Xen {}", line.split_whitespace().nth(1).unwrap_or_default())
    }
    /// The version of its libvirt.
    pub fn libvirt(&self) -> String {
        self.said("libvirt=").trim_start_matches("libvirt=").to_owned()
    }

    /// For a bridge that reaches it.
    pub fn config(&self) -> LibvirtConfig {
        toml::from_str(&format!("uri = 'xen:///system'\ntcp = '127.0.0.1:{}'", self.port)).unwrap()
    }

    /// Does something in dom0, in the words of a shell.
    pub fn tell(&self, words: &str) {
        let (status, all) = self.ask(words);
        assert_eq!(status, 0, "{words}:\n{all}");
    }

    /// Does something in dom0. Its status and what it wrote.
    pub fn ask(&self, words: &str) -> (i32, String) {
        let mut line = self.line.lock().unwrap();
        writeln!(line.get_mut(), "{words}").unwrap();
        let mut all = String::new();
        loop {
            let text = read(&mut line);
            assert!(!text.is_empty(), "{words}: no answer:\n{all}");
            if let Some(status) = text.trim().strip_prefix("= ") {
                return (status.parse().unwrap(), all);
            }
            all.push_str(&text);
        }
    }

    /// An operator's tool, somewhere else.
    pub fn virsh(&self, arguments: &[&str]) -> String {
        let output = Command::new("virsh")
            .args(["-q", "-c", &format!("xen+tcp://127.0.0.1:{}/system", self.port)])
            .args(arguments)
            .output()
            .expect("virsh (libvirt-clients) cannot be run");
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "virsh {arguments:?}: {words}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Makes the guest `plain` known, whose files are on dom0's disk.
    pub fn define(&self) {
        let xml = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("tests/xen/plain.xml");
        self.virsh(&["define", xml.to_str().unwrap()]);
    }
}

/// A line of what dom0 says, which may hold bytes of anything; empty when there is no more.
fn read(line: &mut BufReader<UnixStream>) -> String {
    let mut bytes = Vec::new();
    line.read_until(b'\n', &mut bytes).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Drop for Hypervisor {
    fn drop(&mut self) {
        self.qemu.kill().ok();
        self.qemu.wait().ok();
    }
}
