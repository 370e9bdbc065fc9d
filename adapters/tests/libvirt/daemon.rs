//! A real libvirt daemon for a test, and what an operator would do to it.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test program uses its part")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use primrack_adapters::libvirt::LibvirtConfig;
use tempfile::TempDir;

/// How long anything of it may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A file of the workspace; other crates' tests use this one, too.
fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

/// One daemon in namespaces of its own. Everything in them ends when this is dropped, or its process dies.
pub struct Daemon {
    home: TempDir,
    child: Child,
    talk: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Daemon {
    pub fn start() -> Self {
        Self::start_with("", false)
    }

    /// With further lines in its configuration; `listen` for it to be reached over a network.
    pub fn start_with(settings: &str, listen: bool) -> Self {
        // Short: sockets' paths are.
        let home = tempfile::Builder::new().prefix("lv").tempdir().unwrap();
        let etc = home.path().join("etc/libvirt");
        fs::create_dir_all(&etc).unwrap();
        let id = home
            .path()
            .file_name()
            .unwrap()
            .to_string_lossy()
            .bytes()
            .fold(7_u64, |id, byte| id.wrapping_mul(0x0100_0000_01b3) ^ u64::from(byte));
        let conf = format!(
            "auth_unix_rw = \"none\"\nauth_unix_ro = \"none\"\nmax_client_requests = 5\n\
             host_uuid = \"{:08x}-1b2c-4d3e-8f4a-{:012x}\"\n{settings}\n",
            id >> 32,
            id & 0xffff_ffff_ffff
        );
        fs::write(etc.join("libvirtd.conf"), conf).unwrap();
        fs::write(
            etc.join("qemu.conf"),
            "namespaces = []\nuser = \"root\"\ngroup = \"root\"\nsecurity_driver = \"none\"\n\
             cgroup_controllers = []\nremember_owner = 0\nstdio_handler = \"file\"\n",
        )
        .unwrap();
        if listen {
            fs::write(home.path().join("listen"), "").unwrap();
        }
        let script = here("adapters/tests/libvirt/daemon.sh");
        let mut child = Command::new("unshare")
            .args(["--mount", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child"])
            .args(["--propagation", "private", "bash"])
            .arg(script)
            .arg(home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(home.path().join("errors")).unwrap())
            .spawn()
            .expect("unshare cannot be run: is util-linux installed?");
        let talk = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let daemon = Self { home, child, talk: Mutex::new(talk) };
        assert!(daemon.hear() == "started", "no daemon: {}", daemon.words());
        daemon.wait_for_socket();
        daemon
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }
    pub fn socket(&self) -> PathBuf {
        self.home().join("run/libvirt/libvirt-sock")
    }

    /// The configuration for a bridge that reaches it by its socket.
    pub fn config(&self, uri: &str) -> LibvirtConfig {
        toml::from_str(&format!("uri = '{uri}'\nsocket = '{}'", self.socket().display())).unwrap()
    }

    /// Does something in there, in the words of a shell.
    pub fn tell(&self, line: &str) {
        writeln!(self.talk.lock().unwrap().0, "{line}").unwrap();
        assert!(self.hear() == "done", "{line}: {}", self.words());
    }

    fn hear(&self) -> String {
        let mut line = String::new();
        self.talk.lock().unwrap().1.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// What it complains of.
    fn words(&self) -> String {
        ["errors", "libvirtd.log"]
            .map(|file| fs::read_to_string(self.home().join(file)).unwrap_or_default())
            .join("\n")
    }

    #[expect(clippy::disallowed_methods, reason = "before the test begins there is nothing to await")]
    pub fn wait_for_socket(&self) {
        let until = Instant::now() + PATIENCE;
        while std::os::unix::net::UnixStream::connect(self.socket()).is_err() {
            assert!(Instant::now() < until, "libvirtd does not come up: {}", self.words());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// An operator's tool, somewhere else. `uri` is as in the configuration.
    pub fn virsh(&self, uri: &str, arguments: &[&str]) -> String {
        let output =
            self.virsh_command(uri).args(arguments).output().expect("virsh (libvirt-clients) cannot be run");
        assert!(
            output.status.success(),
            "virsh {arguments:?}: {}{}",
            String::from_utf8_lossy(&output.stderr),
            self.words()
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub fn virsh_command(&self, uri: &str) -> Command {
        let (scheme, rest) = uri.split_once("://").unwrap();
        let mut command = Command::new("virsh");
        command.args(["-q", "-c", &format!("{scheme}+unix://{rest}?socket={}", self.socket().display())]);
        command
    }

    /// Makes a machine from its description.
    pub fn define(&self, uri: &str, xml: &str) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), xml).unwrap();
        self.virsh(uri, &["define", file.path().to_str().unwrap()]);
    }

    /// The version it reports.
    pub fn version(&self) -> String {
        let output = Command::new("/usr/sbin/libvirtd").arg("--version").output().unwrap();
        String::from_utf8_lossy(&output.stdout).split_whitespace().last().unwrap_or_default().to_owned()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Its first process in there dies with it, and everything else with that.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
