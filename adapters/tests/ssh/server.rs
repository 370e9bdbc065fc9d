//! A real sshd with keys of its own, and commands of its own in PATH.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test program uses its part")]

use std::fs;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Machines that are real processes: `machine list`, `machine start web`...
const MACHINE: &str = r#"#!/bin/sh
cd "$(dirname "$0")/../machines" || exit 2
pid() { p=$(cat "$1" 2>/dev/null) && [ "$(cat "/proc/$p/comm" 2>/dev/null)" = sleep ] && echo "$p"; }
up() { setsid sleep 1000 </dev/null >/dev/null 2>&1 & echo $! > "$1.new"; mv "$1.new" "$1"; }
need() { pid "$1" >/dev/null || { echo "$1 does not run" >&2; exit 1; }; }
case $1 in
  list) for m in *; do
      if p=$(pid "$m"); then
        case $(cut -d' ' -f3 "/proc/$p/stat") in T) s=held ;; *) s=running ;; esac
      else s=stopped; fi
      echo "$m $s"
    done ;;
  start) pid "$2" >/dev/null && { echo "$2 runs already" >&2; exit 1; }; up "$2" ;;
  stop) need "$2"; kill "$(pid "$2")" ;;
  kill) need "$2"; kill -9 "$(pid "$2")" ;;
  pause) need "$2"; kill -STOP "$(pid "$2")" ;;
  resume) need "$2"; kill -CONT "$(pid "$2")" ;;
  again) need "$2"; kill -9 "$(pid "$2")"; ( sleep 1; up "$2" ) </dev/null >/dev/null 2>&1 & ;;
  console) echo "the words of $2" ;;
esac
"#;

/// A stand-in for zoneadm: it keeps a state per zone in a file, and prints it in zoneadm's form.
const ZONEADM: &str = r#"#!/bin/sh
cd "$(dirname "$0")/../zones" || exit 2
if [ "$*" = "list -cp" ]; then
  echo "0:global:running:/::ipkg:shared"
  n=1; for z in *; do echo "$n:$z:$(cat "$z"):/zones/$z:0-0:ipkg:excl"; n=$((n+1)); done
  exit 0
fi
[ "$1" = -z ] && [ -f "$2" ] || { echo "zoneadm: $2: No such zone configured" >&2; exit 1; }
case "$3 $4" in
  "boot ") [ "$(cat "$2")" = running ] && { echo "zoneadm: zone '$2': already booted" >&2; exit 1; }; echo running > "$2" ;;
  "halt "|"shutdown ") echo installed > "$2" ;;
  "reboot "|"shutdown -r") echo running > "$2" ;;
  *) exit 2 ;;
esac
"#;

/// A server with all that was started through it; ends with it, however the test ends.
pub struct Server {
    pub folder: tempfile::TempDir,
    pub port: u16,
    process: Option<Child>,
}

impl Server {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["bin", "machines", "zones"] {
            fs::create_dir(path(name)).unwrap();
        }
        for (name, text) in [("machine", MACHINE), ("zoneadm", ZONEADM)] {
            fs::write(path("bin").join(name), text).unwrap();
            fs::set_permissions(path("bin").join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        for name in ["plain", "other"] {
            fs::write(path("machines").join(name), "").unwrap();
        }
        for name in ["web", "db"] {
            fs::write(path("zones").join(name), "installed\n").unwrap();
        }
        for name in ["host", "other_host", "user", "stranger"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
                .arg(path(name))
                .status()
                .expect("ssh-keygen is needed: openssh-client");
            assert!(made.success());
        }
        fs::copy(path("user.pub"), path("authorized_keys")).unwrap();
        // Where it keeps its part without rights; the package's service would make it.
        fs::create_dir_all("/run/sshd").unwrap();
        let mut server = Self { folder, port: 0, process: None };
        // A port that was free a moment ago may be somebody else's by now.
        for _ in 0..5 {
            server.port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            server.configure();
            if server.comes_up() {
                return server;
            }
        }
        panic!("no sshd (are we root?): {}", server.text("log"));
    }

    /// Debian's bash reads the machine's own `~/.bashrc` for who comes by SSH, which may do anything; not for one that
    /// was started by a shell.
    fn configure(&self) {
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {0}/host\nAuthorizedKeysFile {0}/authorized_keys\nPidFile none\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n\
             MaxStartups 100\nSetEnv SHLVL=9 PATH={0}/bin:/usr/sbin:/usr/bin:/sbin:/bin\n",
            self.path().display(),
            port = self.port
        );
        fs::write(self.path().join("sshd_config"), config).unwrap();
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn up(&mut self) {
        assert!(self.comes_up(), "no sshd (are we root?): {}", self.text("log"));
    }

    /// Whether it is the one that answers at the port.
    fn comes_up(&mut self) -> bool {
        let log = fs::File::create(self.path().join("log")).unwrap();
        let process = Command::new("setpriv")
            // In a namespace of its own for processes: when its first one is killed, all of them are.
            .args(["--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child", "--mount-proc"])
            .args(["/usr/sbin/sshd", "-D", "-e", "-f"])
            .arg(self.path().join("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("setpriv, unshare and sshd are needed: util-linux, openssh-server");
        self.process = Some(process);
        let patience = Instant::now() + Duration::from_secs(60);
        while !self.greets() {
            if self.process.as_mut().unwrap().try_wait().unwrap().is_some() || Instant::now() > patience {
                return false;
            }
            // Another program's port gives no event.
            #[allow(clippy::disallowed_methods, reason = "no runtime is kept from anything here")]
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }

    /// Whether somebody there says that it is an SSH server.
    fn greets(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut word = [0; 4];
        stream.read_exact(&mut word).is_ok() && &word == b"SSH-"
    }

    pub fn down(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().ok();
            process.wait().ok();
        }
    }

    /// Sends a signal to sshd and all that came of it, the machines too.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let mut waiting = vec![self.process.as_ref().unwrap().id()];
        while let Some(pid) = waiting.pop() {
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            for child in children.split_ascii_whitespace() {
                let pid = rustix::process::Pid::from_raw(child.parse().unwrap()).unwrap();
                rustix::process::kill_process(pid, signal).ok();
                waiting.push(child.parse().unwrap());
            }
        }
    }

    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap().trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.down();
    }
}
