//! Installs what the tests need from Debian, when it is missing and we may.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// A program (or a file, by its path) and the packages that bring it.
const NEEDED: &[(&str, &[&str])] = &[
    ("qemu-system-x86_64", &["qemu-system-x86", "qemu-system-common", "qemu-system-data", "qemu-utils"]),
    ("cpio", &["cpio"]),
    ("chromium", &["chromium"]),
    ("npm", &["nodejs", "npm"]),
    ("make", &["make"]),
    ("g++", &["g++"]),
    ("pkg-config", &["pkg-config"]),
    ("avr-g++", &["gcc-avr"]),
    ("/usr/lib/avr/include/avr/io.h", &["avr-libc"]),
    ("/usr/share/arduino/hardware/arduino/avr/boards.txt", &["arduino-core-avr"]),
    ("/usr/include/simavr/sim_avr.h", &["libsimavr-dev"]),
    ("/usr/include/libelf.h", &["libelf-dev"]),
    ("/usr/sbin/ser2net", &["ser2net"]),
    ("/usr/sbin/pcscd", &["pcscd"]),
    ("/usr/lib/pcsc/drivers/serial/libifdvpcd.so", &["vsmartcard-vpcd"]),
    ("/usr/include/PCSC/winscard.h", &["libpcsclite-dev"]),
    ("/usr/bin/python3", &["python3"]),
    ("/usr/lib/python3/dist-packages/libvirt.py", &["python3-libvirt"]),
    ("/usr/lib/python3.11/ensurepip/__init__.py", &["python3-venv"]),
    ("/usr/sbin/libvirtd", &["libvirt-daemon-system", "libvirt-clients", "libvirt-daemon-driver-qemu"]),
    ("/usr/lib/libvirt/libvirt_lxc", &["libvirt-daemon-driver-lxc"]),
    ("ipmi_sim", &["openipmi"]),
    ("unshare", &["util-linux"]),
    ("go", &["golang-go"]),
    ("/usr/share/gocode/src/github.com/vmware/govmomi/client.go", &["golang-github-vmware-govmomi-dev"]),
    // A systemd in a container, and its bus.
    ("systemd-nspawn", &["systemd-container", "systemd"]),
    ("dbus-daemon", &["dbus", "dbus-daemon"]),
    ("linux.uml", &["user-mode-linux"]),
    ("/usr/sbin/mke2fs", &["e2fsprogs"]),
    ("/usr/bin/busybox", &["busybox-static"]),
    ("/usr/sbin/sshd", &["openssh-server", "openssh-client"]),
    ("/usr/sbin/mosquitto", &["mosquitto"]),
    ("mosquitto_passwd", &["mosquitto"]),
    // Binds the C library of OSDP when that is built.
    ("/usr/lib/llvm-14/lib/libclang.so", &["libclang-dev"]),
    // Containers.
    ("dockerd", &["docker.io"]),
    ("lxc-start", &["lxc"]),
    ("lxd", &["lxd"]),
    ("/usr/bin/lxc", &["lxd-client"]),
    ("podman", &["podman"]),
    ("crun", &["crun"]),
    ("conmon", &["conmon"]),
    ("setpriv", &["util-linux"]),
    ("socat", &["socat"]),
    ("iptables", &["iptables"]),
    ("/bin/busybox", &["busybox-static"]),
    ("ip", &["iproute2"]),
    ("promtool", &["prometheus"]),
];

/// Makes sure that every needed program is there.
///
/// # Errors
/// When something is missing and cannot be installed, with the command that would.
pub(crate) fn ensure() -> Result<()> {
    let missing: Vec<&str> = NEEDED
        .iter()
        .filter(|(program, _)| !is_there(program))
        .flat_map(|(_, packages)| *packages)
        .copied()
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !Command::new("apt-get").arg("--version").output().is_ok_and(|out| out.status.success()) {
        bail!("missing: {}. Install them with your system's package manager", missing.join(" "));
    }
    let root = Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout == b"0\n");
    if !root {
        bail!(
            "missing: run `sudo apt-get install --no-install-recommends {}`, then this again",
            missing.join(" ")
        );
    }
    apt(&["update", "-qq"])?;
    // All parts of QEMU in one version: a newer qemu-utils from elsewhere keeps Debian's QEMU out.
    let qemu = candidate("qemu-system-x86");
    let named: Vec<String> = missing
        .iter()
        .map(|package| match &qemu {
            Some(version) if package.starts_with("qemu-") => format!("{package}={version}"),
            _ => (*package).to_owned(),
        })
        .collect();
    let mut args = vec!["install", "-y", "-qq", "--no-install-recommends", "--allow-downgrades"];
    args.extend(named.iter().map(String::as_str));
    let quiet = Quiet::begin()?;
    let installed = apt(&args);
    drop(quiet);
    installed
}

/// Where Debian's packages ask whether their daemons may be started (invoke-rc.d(8)).
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// While this lives no package starts its daemon: tests start their own, with their own settings. Whoever has a policy of
/// their own keeps it.
struct Quiet {
    ours: bool,
}

impl Quiet {
    fn begin() -> Result<Self> {
        if Path::new(POLICY).exists() {
            return Ok(Self { ours: false });
        }
        std::fs::write(POLICY, "#!/bin/sh\nexit 101\n")
            .with_context(|| format!("{POLICY} cannot be written"))?;
        let quiet = Self { ours: true };
        std::fs::set_permissions(POLICY, std::fs::Permissions::from_mode(0o755))
            .with_context(|| format!("{POLICY} cannot be made executable"))?;
        Ok(quiet)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if self.ours {
            drop(std::fs::remove_file(POLICY));
        }
    }
}

fn is_there(program: &str) -> bool {
    if program.starts_with('/') {
        return Path::new(program).exists();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn candidate(package: &str) -> Option<String> {
    let out = Command::new("apt-cache").args(["policy", package]).output().ok()?;
    let text = String::from_utf8(out.stdout).ok()?;
    let line = text.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    (line != "(none)").then(|| line.to_owned())
}

fn apt(args: &[&str]) -> Result<()> {
    let status = Command::new("apt-get")
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .status()
        .context("apt-get cannot be run")?;
    if !status.success() {
        bail!("`apt-get {}` failed: see above", args.join(" "));
    }
    Ok(())
}
