//! dockerd or Podman's service in a den, with an image to make containers from.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test program uses its part")]

use std::path::PathBuf;
use std::process::Command;

use primrack_adapters::Trust;
use primrack_adapters::docker::{DockerAdapter, DockerConfig};

use crate::containers::papers::{Lane, Papers};
use crate::containers::{Daemon, Den, root_archive, said};

/// Where dockerd listens with TLS, in its den.
const PORT: u16 = 2376;

/// A daemon with containers in it.
pub struct Engine {
    pub daemon: Daemon,
    den: Den,
    podman: bool,
    papers: Papers,
}

impl Engine {
    pub fn new(podman: bool) -> Self {
        let den = Den::new();
        let archive = root_archive(den.path());
        let papers = Papers::new(den.path());
        let daemon = Self::start(&den, &papers, podman);
        let mut engine = Self { daemon, den, podman, papers };
        engine.up();
        let options = ["--change", "CMD [\"/sbin/init\"]"];
        said(engine.cli().arg("import").args(options).arg(archive).arg("primrack-test"));
        engine
    }

    fn start(den: &Den, papers: &Papers, podman: bool) -> Daemon {
        let folder = den.path().display();
        if podman {
            let settings = format!(
                "[containers]\ndefault_ulimits = ['nofile=1024:1024', 'nproc=1024:1024']\nlog_driver = 'k8s-file'\n\
                 apparmor_profile = 'unconfined'\nnetns = 'none'\n\
                 [engine]\ncgroup_manager = 'cgroupfs'\nevents_logger = 'file'\nruntime = 'crun'\n\
                 tmp_dir = '{folder}/tmp'\n"
            );
            std::fs::write(den.path().join("containers.conf"), settings).unwrap();
            let mut command = den.command("podman");
            command.env("CONTAINERS_CONF", den.path().join("containers.conf"));
            command.args(["--root", &format!("{folder}/data"), "--runroot", &format!("{folder}/run")]);
            command.args(["system", "service", "-t", "0", &format!("unix://{folder}/daemon.sock")]);
            return den.daemon("podman", &mut command);
        }
        let mut command = den.command("dockerd");
        command.args(["--data-root", &format!("{folder}/data"), "--exec-root", &format!("{folder}/exec")]);
        command.args(["-p", &format!("{folder}/pid"), "-H", &format!("unix://{folder}/daemon.sock")]);
        command.args(["-H", &format!("tcp://127.0.0.1:{PORT}"), "--tlsverify", "--tlscacert"]);
        command.arg(papers.certificate("ca")).arg("--tlscert").arg(papers.certificate("server"));
        command.arg("--tlskey").arg(papers.key("server"));
        let group = den.path().file_name().unwrap().to_str().unwrap();
        command.args(["--cgroup-parent", &format!("/{group}")]);
        den.daemon("dockerd", &mut command)
    }

    /// Starts another daemon in the place of one that was killed.
    pub fn replace_daemon(&mut self) {
        self.daemon = Self::start(&self.den, &self.papers, self.podman);
        self.up();
    }

    pub fn socket(&self) -> PathBuf {
        self.den.path().join("daemon.sock")
    }

    fn up(&mut self) {
        let (mut asked, what) = (self.cli(), if self.podman { "Podman" } else { "Docker" });
        asked.arg("version");
        self.daemon.until(what, || asked.output().unwrap().status.success());
    }

    /// The engine's own command line, on its socket.
    pub fn cli(&self) -> Command {
        let socket = format!("unix://{}", self.socket().display());
        let mut command;
        if self.podman {
            command = self.den.command("podman");
            command.args(["--remote", "--url", &socket]);
        } else {
            command = Command::new("docker");
            command.args(["-H", &socket]);
        }
        command
    }

    pub fn version(&self) -> String {
        let name = if self.podman { "Podman" } else { "Docker" };
        let version = said(self.cli().args(["version", "--format", "{{.Server.Version}}"]));
        format!("{name} {version}")
    }

    /// Makes a container that is off.
    pub fn make(&self, name: &str, program: &[&str]) {
        let label = ["--label", "tier=front", "--stop-signal", "SIGTERM"];
        said(self.cli().args(["create", "--name", name]).args(label).arg("primrack-test").args(program));
    }

    pub fn adapter(&self) -> DockerAdapter {
        DockerConfig { socket: Some(self.socket()), ..DockerConfig::default() }.build().unwrap()
    }

    /// The way to the port with TLS; with Docker only.
    pub async fn lane(&self) -> Lane {
        Lane::new(&self.den, PORT).await
    }

    /// As somebody who believes this authority and shows this certificate.
    pub fn over_tls(&self, lane: &Lane, host: &str, authority: &str, client: Option<&str>) -> DockerConfig {
        DockerConfig {
            socket: None,
            url: Some(format!("https://{host}:{}", lane.port)),
            tls: Some(Trust { ca_file: Some(self.papers.certificate(authority)), sha256: None }),
            certificate: client.map(|name| self.papers.certificate(name)),
            key: client.map(|name| self.papers.key(name)),
        }
    }
}
