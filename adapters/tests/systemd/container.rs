//! A real systemd as process 1 of a container: systemd-nspawn on a root of its own, which holds nothing
//! but links into the machine's own `/usr`, so that there is nothing to fetch or unpack.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test program uses its part")]

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ends with it, however the test ends: its first process dies with the test's thread.
pub struct Container {
    folder: tempfile::TempDir,
    nspawn: Child,
    groups: String,
}

/// Makes a place of its own in the second version of control groups, whatever the machine has mounted:
/// two systemds in one group would end each other's processes.
const SCRIPT: &str = r#"
set -e
mount --make-rprivate /
umount -l /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mkdir "/sys/fs/cgroup/$GROUPS_OF_TEST"
echo 0 > "/sys/fs/cgroup/$GROUPS_OF_TEST/cgroup.procs"
exec systemd-nspawn --quiet --register=no --keep-unit --private-network --directory="$FOLDER/root" --bind-ro=/usr \
  --machine="$GROUPS_OF_TEST" --bind="$FOLDER/bus:/hostbus" --bind="$FOLDER/journal:/var/log/journal" \
  --boot --console=pipe systemd.unit=lab.target
"#;

const SWEEP: &str = r#"
mount --make-rprivate /
umount -l /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
cd "/sys/fs/cgroup/$GROUPS_OF_TEST" || exit 0
echo 1 > cgroup.kill
for try in 1 2 3 4 5 6 7 8 9 10; do
  find . -depth -type d -exec rmdir {} + 2>/dev/null
  [ -d "/sys/fs/cgroup/$GROUPS_OF_TEST/." ] || exit 0
  rmdir "/sys/fs/cgroup/$GROUPS_OF_TEST" 2>/dev/null && exit 0
  sleep 0.1
done
"#;

impl Container {
    /// Boots one with these units, and waits for its bus.
    pub fn boot(units: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let groups = format!(
            "primrack-{}",
            folder.path().file_name().unwrap().to_string_lossy().trim_start_matches('.').to_lowercase()
        );
        furnish(folder.path(), units);
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let nspawn = Command::new("setpriv")
            // In a namespace of its own for processes: when its first one is killed, all of them are.
            .args([
                "--pdeathsig",
                "KILL",
                "unshare",
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
            ])
            .args(["sh", "-c", SCRIPT])
            .env("FOLDER", folder.path())
            .env("GROUPS_OF_TEST", &groups)
            // There is no systemd in the root to tell by its version what it can: it is in the /usr that comes later.
            .env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("setpriv, unshare and systemd-nspawn are needed: util-linux, systemd-container");
        let mut container = Self { folder, nspawn, groups };
        let patience = Instant::now() + Duration::from_secs(60);
        while UnixStream::connect(container.socket("bus")).is_err() {
            let ended = container.nspawn.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < patience,
                "no systemd in a container (are we root, on Linux with namespaces and cgroup2?): {}",
                fs::read_to_string(container.folder.path().join("log")).unwrap()
            );
            // Another program's socket gives no event.
            #[allow(clippy::disallowed_methods, reason = "no runtime is kept from anything here")]
            std::thread::sleep(Duration::from_millis(20));
        }
        container.systemctl(&["is-active", "dbus.socket"]);
        container
    }

    pub fn journal(&self) -> PathBuf {
        self.folder.path().join("journal")
    }
    pub fn socket(&self, name: &str) -> PathBuf {
        self.folder.path().join("bus").join(name)
    }
    pub fn address(&self, name: &str) -> String {
        format!("unix:path={}", self.socket(name).display())
    }

    /// A program inside the container, as an administrator would run it there.
    pub fn inside(&self, program: &[&str]) -> Command {
        // unshare, nspawn, systemd.
        let init = child(child(self.nspawn.id()));
        let mut command = Command::new("nsenter");
        command.args(["--target", &init.to_string(), "--all"]).args(program).stdin(Stdio::null());
        command
    }

    pub fn systemctl(&self, arguments: &[&str]) -> String {
        let out = self.inside(&[&["systemctl"], arguments].concat()).output().unwrap();
        assert!(out.status.success(), "systemctl {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    /// Sends a signal to the bus's own process.
    pub fn signal_bus(&self, signal: &str) {
        let shown = self.systemctl(&["show", "--property=MainPID", "--value", "dbus.service"]);
        self.kill(signal, shown.trim());
    }
    pub fn kill(&self, signal: &str, pid: &str) {
        let done = self.inside(&["kill", "-s", signal, pid]).status().unwrap();
        assert!(done.success());
    }
}

fn child(of: u32) -> u32 {
    let children = fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap();
    children.split_ascii_whitespace().next().expect("it has a child").parse().unwrap()
}

impl Drop for Container {
    fn drop(&mut self) {
        self.nspawn.kill().ok();
        self.nspawn.wait().ok();
        Command::new("unshare")
            .args(["--mount", "sh", "-c", SWEEP])
            .env("GROUPS_OF_TEST", &self.groups)
            .status()
            .ok();
    }
}

fn furnish(folder: &Path, units: &[(&str, &str)]) {
    for name in ["bus", "journal"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    let root = folder.join("root");
    for name in ["usr", "proc", "sys", "dev", "run", "tmp", "var/log/journal", "root", "hostbus"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    for name in ["bin", "sbin", "lib", "lib64"] {
        symlink(Path::new("usr").join(name), root.join(name)).unwrap();
    }
    let etc = root.join("etc");
    let own = etc.join("systemd/system");
    fs::create_dir_all(own.join("dbus.socket.d")).unwrap();
    fs::create_dir_all(etc.join("systemd/journald.conf.d")).unwrap();
    // A machine with an id was booted before: systemd does not enable all that the machine's /usr has.
    fs::write(etc.join("machine-id"), "0123456789abcdef0123456789abcdef\n").unwrap();
    fs::write(etc.join("os-release"), "ID=lab\n").unwrap();
    fs::write(etc.join("passwd"), "root:x:0:0::/root:/bin/sh\nmessagebus:x:100:101::/:/usr/sbin/nologin\n")
        .unwrap();
    fs::write(etc.join("group"), "root:x:0:\nmessagebus:x:101:\n").unwrap();
    fs::write(etc.join("systemd/journald.conf.d/lab.conf"), "[Journal]\nStorage=persistent\n").unwrap();
    fs::write(own.join("dbus.socket.d/lab.conf"), "[Socket]\nListenStream=/hostbus/bus\n").unwrap();
    fs::write(own.join("lab.target"), "[Unit]\nRequires=dbus.socket systemd-journald.service\n").unwrap();
    for (name, text) in units {
        fs::create_dir_all(own.join(name).parent().unwrap()).unwrap();
        fs::write(own.join(name), text).unwrap();
    }
}
