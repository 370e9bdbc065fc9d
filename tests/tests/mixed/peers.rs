//! Machines of many technologies, off at first: what they are, how the bridge reaches them, and what
//! somebody does to them behind its back.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use primrack_tests::{Room, guest};
use rustix::process::{Pid, Signal, kill_process};

use crate::bmc::UUID;
use crate::container::Container;
use crate::containers::said;
use crate::daemon::Daemon;
use crate::engine::Engine;
use crate::fake::FakePve;
use crate::image::image;
use crate::kept::Kept;
use crate::lxd::Server as Lxd;
use crate::machines::{QEMU, define_qemu};
use crate::server::Server as Sshd;
use crate::sushy::Sushy;
use crate::vcsim::Vcsim;

/// One machine of one technology.
pub(crate) struct Machine {
    /// The backend's name and the target's.
    pub(crate) name: &'static str,
    /// What stands behind it, in words.
    pub(crate) is: &'static str,
    /// What its backend calls it.
    pub(crate) address: &'static str,
    /// Its table `[backends.NAME.TECHNOLOGY]`.
    pub(crate) table: String,
    /// The technology.
    pub(crate) technology: &'static str,
    /// Whether it tells of its changes; else it is asked.
    pub(crate) pushes: bool,
    /// What is done from outside, in words, and what the world shows then.
    pub(crate) outside: (&'static str, &'static str),
    /// Does it.
    pub(crate) act: Box<dyn FnOnce(&Room) + Send>,
}

/// All that has to live as long as the machines.
pub(crate) struct Peers {
    libvirt: Kept<Daemon>,
    docker: Kept<Engine>,
    podman: Kept<Engine>,
    lxd: Kept<Lxd>,
    systemd: Kept<Container>,
    ssh: Kept<Sshd>,
    redfish: Kept<Sushy>,
    vcsim: Kept<Vcsim>,
    pve: Kept<FakePve>,
}

impl Drop for Peers {
    fn drop(&mut self) {
        // All at once, as they came; then each is waited for.
        let Self { libvirt, docker, podman, lxd, systemd, ssh, redfish, vcsim, pve } = self;
        libvirt.end();
        docker.end();
        podman.end();
        lxd.end();
        systemd.end();
        ssh.end();
        redfish.end();
        vcsim.end();
        pve.end();
    }
}

fn kill(pid: &str) {
    kill_process(Pid::from_raw(pid.trim().parse().unwrap()).unwrap(), Signal::KILL).unwrap();
}

fn workspace(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

/// Does what a future does, where there is a runtime around.
fn wait<T>(what: impl Future<Output = T>) -> T {
    tokio::runtime::Handle::current().block_on(what)
}

fn containers(podman: bool) -> Engine {
    let engine = Engine::new(podman);
    engine.make("web", &[]);
    engine
}

fn unit() -> Container {
    Container::boot(&[("web.service", "[Service]\nExecStart=sleep 1000\n")])
}

/// An instance in a den.
fn lxd() -> Lxd {
    let server = Lxd::new();
    server.make("web");
    server
}

/// A virtual machine that libvirt runs.
fn libvirt() -> Daemon {
    let daemon = Daemon::start();
    define_qemu(&daemon, "web");
    daemon
}

/// Starts all of them side by side.
#[expect(clippy::too_many_lines, reason = "one paragraph per technology")]
pub(crate) async fn start(room: &Room) -> (Peers, Vec<Machine>) {
    let mut libvirt = Kept::begin(libvirt);
    let mut docker = Kept::begin(|| containers(false));
    let mut podman = Kept::begin(|| containers(true));
    let mut lxd = Kept::begin(lxd);
    let mut systemd = Kept::begin(unit);
    let mut ssh = Kept::begin(Sshd::start);
    let mut redfish = Kept::begin(|| {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(Sushy::start())
    });
    let mut vcsim = Kept::begin(|| Vcsim::start(1));
    let mut pve = Kept::begin(|| FakePve::start(1));
    let mut all = Vec::new();

    all.push(Machine {
        name: "process",
        is: "a process",
        address: "web",
        technology: "process",
        table: "state_dir = 'processes'\nservers.web = { command = ['/bin/sleep', '600'] }\n".to_owned(),
        pushes: true,
        outside: ("kill -9", "Crashed"),
        act: Box::new(|room| {
            let pids = room.processes("processes", "web");
            kill_process(*pids.first().unwrap(), Signal::KILL).unwrap();
        }),
    });
    all.push(Machine {
        name: "qemu",
        is: "QEMU (TCG) with a Linux guest",
        address: "web",
        technology: "qemu",
        table: format!(
            "state_dir = 'machines'\naccel = 'tcg'\nmachines.web = {{ memory_mib = 96, kernel = '{0}/vmlinuz', \
             initrd = '{0}/initrd', append = 'console=ttyS0 quiet panic=-1', ready = {{ line = 'GUEST-READY' }} }}\n",
            guest().display()
        ),
        pushes: true,
        outside: ("kill -9 of QEMU", "Crashed"),
        act: Box::new(|room| {
            let pids = room.processes("machines", "web");
            kill_process(*pids.first().unwrap(), Signal::KILL).unwrap();
        }),
    });
    image(&room.at("."));
    all.push(Machine {
        name: "uml",
        is: "User-mode Linux",
        address: "web",
        technology: "uml",
        table: format!(
            "state_dir = 'uml'\nmachines.web = {{ memory_mib = 48, disks = ['{}'], arguments = ['root=/dev/ubda', \
             'rw', 'quiet', 'init=/sbin/init'], ready = {{ line = 'GUEST-READY' }} }}\n",
            room.at("root.ext2").display()
        ),
        pushes: true,
        outside: ("kill -9 of its kernel", "Crashed"),
        act: Box::new(|room| {
            let record = std::fs::read_to_string(room.at("uml/web.json")).unwrap();
            let record: serde_json::Value = serde_json::from_str(&record).unwrap();
            kill(&record["run"]["pid"].to_string());
        }),
    });
    let at = room.at("plugin").display().to_string();
    all.push(Machine {
        name: "plugin",
        is: "the shell template of plug-ins, whose machines are processes",
        address: "web",
        technology: "plugin",
        // With the mark by which the room ends what is left in the end.
        table: format!(
            "command = '/bin/sh'\nargs = ['{}']\nenv = ['MACHINES=web', 'STATE={at}', 'PATH=/usr/bin:/bin', \
             'PRIMRACK_MACHINE={}/plugin']\n",
            workspace("adapters/src/plugin/templates/plugin.sh").display(),
            room.at(".").canonicalize().unwrap().display()
        ),
        pushes: false,
        outside: ("kill -9", "Crashed"),
        act: Box::new(|room| kill(&std::fs::read_to_string(room.at("plugin/web.pid")).unwrap())),
    });

    let it = ssh.it().await;
    all.push(Machine {
        name: "ssh",
        is: "sshd, whose commands run processes",
        address: "host/plain",
        technology: "ssh",
        table: format!(
            "hosts.host = {{ address = '127.0.0.1:{}', user = 'root', key_file = '{}', host_key = '{}', set = 'machines' }}\n\
             [backends.ssh.ssh.sets.machines]\nlist = 'machine list'\nstate = 1\n\
             states = {{ running = 'on', stopped = 'off', held = 'paused' }}\nstart = 'machine start {{name}}'\n",
            it.port,
            it.path().join("user").display(),
            it.text("host.pub")
        ),
        pushes: false,
        outside: ("ssh HOST machine kill", "Off"),
        act: Box::new(move |_| {
            let (key, port) = (it.path().join("user"), it.port.to_string());
            let known = ["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"];
            said(Command::new("ssh").args(known).arg("-i").arg(key).args([
                "-q",
                "-p",
                &port,
                "root@127.0.0.1",
                "machine kill plain",
            ]));
        }),
    });
    let it = systemd.it().await;
    all.push(Machine {
        name: "systemd",
        is: "a service of a systemd in a container",
        address: "web.service",
        technology: "systemd",
        table: format!(
            "address = '{}'\njournal_dir = '{}'\nunits = ['web.service']\n",
            it.address("bus"),
            it.journal().display()
        ),
        pushes: true,
        outside: ("systemctl stop", "Off"),
        act: Box::new(move |_| drop(it.systemctl(&["stop", "web.service"]))),
    });
    let it = libvirt.it().await;
    all.push(Machine {
        name: "libvirt",
        is: "libvirtd with QEMU (TCG) and a Linux guest",
        address: "web",
        technology: "libvirt",
        table: format!("uri = '{QEMU}'\nsocket = '{}'\n", it.socket().display()),
        pushes: true,
        outside: ("virsh suspend", "Paused"),
        act: Box::new(move |_| drop(it.virsh(QEMU, &["suspend", "web"]))),
    });
    let engine = |name, is, outside, words: [&'static str; 2], it: Arc<Engine>| Machine {
        name,
        is,
        address: "web",
        technology: "docker",
        table: format!("socket = '{}'\n", it.socket().display()),
        pushes: true,
        outside,
        act: Box::new(move |_| drop(said(it.cli().args(words)))),
    };
    let it = docker.it().await;
    all.push(engine("docker", "dockerd", ("docker pause", "Paused"), ["pause", "web"], it));
    let it = podman.it().await;
    all.push(engine("podman", "Podman's service", ("podman kill", "Off"), ["kill", "web"], it));
    let it = lxd.it().await;
    all.push(Machine {
        name: "lxd",
        is: "LXD",
        address: "web",
        technology: "lxd",
        table: format!("socket = '{}'\n", it.den.path().join("lxd/unix.socket").display()),
        pushes: true,
        outside: ("lxc stop --force", "Off"),
        act: Box::new(move |_| drop(it.lxc(&["stop", "--force", "web"]))),
    });
    let it = redfish.it().await;
    all.push(Machine {
        name: "redfish",
        is: "sushy-emulator, an emulated BMC, before a real QEMU machine",
        address: UUID,
        technology: "redfish",
        table: it.text(),
        pushes: false,
        outside: ("virsh destroy of the machine behind the BMC", "Off"),
        act: Box::new(move |_| it.lab.must("virsh destroy lab1 >/dev/null")),
    });
    let it = vcsim.it().await;
    all.push(Machine {
        name: "vsphere",
        is: "vcsim, a simulator of vSphere",
        address: "DC0_H0_VM0",
        technology: "vsphere",
        table: format!(
            "{}tls = {{ ca_file = '{}' }}\n",
            it.text(),
            it.folder.path().join("certificate").display()
        ),
        pushes: true,
        outside: ("PowerOffVM_Task by another client", "Off"),
        act: Box::new(move |_| wait(it.operator("PowerOffVM_Task", "DC0_H0_VM0"))),
    });
    let it = pve.it().await;
    all.push(Machine {
        name: "proxmox",
        is: "fakepve, a fake of Proxmox VE",
        address: "qemu/100",
        technology: "proxmox",
        table: it.text("bridge") + "\n",
        pushes: false,
        outside: ("status/stop by another client", "Off"),
        act: Box::new(move |_| wait(it.operator("pve1/qemu/100/status/stop"))),
    });
    let peers = Peers { libvirt, docker, podman, lxd, systemd, ssh, redfish, vcsim, pve };
    (peers, all)
}
