//! What the tests of Docker, Podman, LXD and LXC share: a place where a daemon lives and dies with its
//! test, and what a container boots.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test program uses its part")]

pub mod papers;

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Namespaces of its own for processes, mounts and network. However the test ends, the kernel kills all
/// that runs in there.
pub struct Den {
    keeper: Child,
    /// The first process in it, as seen from here.
    init: i32,
    pub folder: tempfile::TempDir,
}

impl Den {
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("prd").tempdir().unwrap();
        // Daemons made for one tree of control groups are given one.
        let script = "ip link set lo up; umount /sys/fs/cgroup/unified 2>/dev/null; echo ready; \
                      while :; do sleep 1000 & wait $!; done";
        let mut keeper = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child=KILL", "--mount"])
            .args(["--net", "--uts", "--mount-proc", "bash", "-c", script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("setpriv and unshare come with util-linux");
        let mut word = [0; 6];
        keeper.stdout.take().unwrap().read_exact(&mut word).expect("namespaces need root");
        let init = child_of(keeper.id()).expect("unshare has a child");
        Self { keeper, init, folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What comes before a command that will run in there.
    pub fn enter(&self) -> Vec<String> {
        let init = self.init.to_string();
        ["nsenter", "-t", &init, "--pid", "--mount", "--net", "--uts", "--"].map(str::to_owned).into()
    }

    /// A command that will run in there.
    pub fn command(&self, program: &str) -> Command {
        let words = self.enter();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg(program);
        command
    }

    /// Starts a daemon in there; what it says goes to `NAME.log`.
    pub fn daemon(&self, name: &str, command: &mut Command) -> Daemon {
        let log = self.path().join(format!("{name}.log"));
        let out = fs::File::create(&log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap_or_else(|why| panic!("{name} cannot be started: {why}"));
        Daemon { child, log }
    }
}

impl Drop for Den {
    #[expect(clippy::disallowed_methods, reason = "nothing can be awaited here")]
    fn drop(&mut self) {
        self.keeper.kill().ok();
        self.keeper.wait().ok();
        // The kernel needs a moment for all in there.
        let until = Instant::now() + Duration::from_secs(5);
        while Path::new(&format!("/proc/{}", self.init)).exists() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        let name = self.path().file_name().unwrap().to_owned();
        for controller in fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            remove_groups(&controller.path().join(&name));
        }
        remove_groups(&Path::new("/sys/fs/cgroup").join(&name));
    }
}

/// Control groups are folders that must be removed from the innermost on.
fn remove_groups(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove_groups(&entry.path());
        }
    }
    fs::remove_dir(path).ok();
}

/// A daemon in a den.
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// The daemon itself, as seen from here: nsenter forks when it enters.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(child_of(self.child.id()).expect("the daemon runs")).unwrap()
    }
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
        if signal == Signal::CONT {
            // nsenter stops itself when its child is stopped.
            kill_process(Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap(), signal).unwrap();
        }
    }
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.child.wait().unwrap();
    }
    /// Waits until it is up; if it ends or takes too long, shows its log.
    #[expect(clippy::disallowed_methods, reason = "before the test begins there is nothing to await")]
    pub fn until(&mut self, what: &str, mut up: impl FnMut() -> bool) {
        let until = Instant::now() + Duration::from_secs(60);
        while !up() {
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < until,
                "{what} does not come up ({ended:?}); it said:\n{}",
                fs::read_to_string(&self.log).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(30));
        }
    }
}

fn child_of(pid: u32) -> Option<i32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// What a command said; it must succeed.
pub fn said(command: &mut Command) -> String {
    let Output { status, stdout, stderr } =
        command.output().unwrap_or_else(|why| panic!("{command:?}: {why}"));
    assert!(status.success(), "{command:?}: {status}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap().trim().to_owned()
}

/// A root with busybox and an init that counts, and ends when it is asked to.
pub fn root(at: &Path) {
    for folder in
        ["bin", "sbin", "etc", "proc", "sys", "dev", "tmp", "root", "run", "var", "usr/bin", "usr/lib"]
    {
        fs::create_dir_all(at.join(folder)).unwrap();
    }
    fs::copy("/bin/busybox", at.join("bin/busybox")).expect("busybox-static is installed");
    for applet in
        ["sh", "sleep", "cat", "echo", "hostname", "kill", "ls", "mkdir", "mount", "touch", "rm", "true"]
    {
        symlink("busybox", at.join("bin").join(applet)).unwrap();
    }
    fs::write(at.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").unwrap();
    fs::write(at.join("etc/group"), "root:x:0:\n").unwrap();
    fs::write(at.join("etc/os-release"), "ID=busybox\n").unwrap();
    let init = "#!/bin/sh\nexport PATH=/bin:/sbin\n\
        down() { echo CT-DOWN; exit 0; }\n\
        trap down TERM INT PWR\ntrap down 37\n\
        echo CT-READY\n\
        n=0; while :; do n=$((n+1)); echo CT-TICK $n; sleep 1 & wait $!; done\n";
    fs::write(at.join("sbin/init"), init).unwrap();
    fs::set_permissions(at.join("sbin/init"), fs::Permissions::from_mode(0o755)).unwrap();
}

/// The same as an archive.
pub fn root_archive(folder: &Path) -> PathBuf {
    let (root_at, archive) = (folder.join("root"), folder.join("root.tar"));
    root(&root_at);
    said(Command::new("tar").arg("-C").arg(&root_at).arg("-cf").arg(&archive).arg("."));
    archive
}
