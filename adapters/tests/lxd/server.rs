//! LXD in a den, with an image to make instances from.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test program uses its part")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use primrack_adapters::Trust;
use primrack_adapters::lxd::{LxdAdapter, LxdConfig};

use crate::containers::papers::{Lane, Papers};
use crate::containers::{Daemon, Den, root, said};

/// Where it listens with TLS, in its den.
pub const PORT: u16 = 8443;

/// A daemon with an image in it.
pub struct Server {
    pub daemon: Daemon,
    pub den: Den,
    papers: Papers,
}

impl Server {
    pub fn new() -> Self {
        let den = Den::new();
        let papers = Papers::new(den.path());
        let folder = den.path().join("lxd");
        fs::create_dir(&folder).unwrap();
        // The daemon takes what is there for its own.
        fs::copy(papers.certificate("server"), folder.join("server.crt")).unwrap();
        fs::copy(papers.key("server"), folder.join("server.key")).unwrap();
        let daemon = Self::start(&den);
        let mut server = Self { daemon, den, papers };
        server.up();
        server.lxc(&["storage", "create", "default", "dir"]);
        server.lxc(&["profile", "device", "add", "default", "root", "disk", "path=/", "pool=default"]);
        server.lxc(&["config", "set", "core.https_address", &format!("127.0.0.1:{PORT}")]);
        let client = server.papers.certificate("client");
        server.lxc(&["config", "trust", "add", client.to_str().unwrap()]);
        let image = server.den.path().join("image");
        root(&image.join("rootfs"));
        let about = "architecture: x86_64\ncreation_date: 1700000000\nproperties: {os: busybox}\n";
        fs::write(image.join("metadata.yaml"), about).unwrap();
        let archive = server.den.path().join("image.tar");
        said(
            Command::new("tar")
                .arg("-C")
                .arg(image)
                .arg("-cf")
                .arg(&archive)
                .args(["metadata.yaml", "rootfs"]),
        );
        server.lxc(&["image", "import", archive.to_str().unwrap(), "--alias", "primrack-test"]);
        server
    }

    pub fn start(den: &Den) -> Daemon {
        let mut command = den.command("lxd");
        command.env("LXD_DIR", den.path().join("lxd")).args(["--group", "root"]);
        den.daemon("lxd", &mut command)
    }

    pub fn up(&mut self) {
        let mut asked = self.cli();
        asked.args(["query", "/1.0"]);
        self.daemon.until("LXD", || asked.output().unwrap().status.success());
    }

    pub fn cli(&self) -> Command {
        let mut command = self.den.command("lxc");
        command.env("LXD_DIR", self.den.path().join("lxd")).env("HOME", self.den.path());
        command
    }

    /// Its own command line, on its socket.
    pub fn lxc(&self, words: &[&str]) -> String {
        said(self.cli().args(words))
    }

    /// Makes an instance that is off.
    pub fn make(&self, name: &str) {
        // Its control groups are below the den's, and go with it.
        let group = self.den.path().file_name().unwrap().to_str().unwrap();
        let raw = format!("raw.lxc=lxc.apparmor.profile=unconfined\nlxc.cgroup.dir={group}");
        let settings = ["-c", "security.privileged=true", "-c", &raw, "-c", "user.tier=front"];
        let words = [&["init", "primrack-test", name], &settings[..]].concat();
        self.lxc(&words);
    }

    pub fn adapter(&self) -> LxdAdapter {
        let socket: PathBuf = self.den.path().join("lxd/unix.socket");
        LxdConfig { socket: Some(socket), ..LxdConfig::default() }.build().unwrap()
    }

    /// As somebody who believes this authority and shows this certificate.
    pub fn over_tls(&self, lane: &Lane, host: &str, authority: &str, client: Option<&str>) -> LxdConfig {
        LxdConfig {
            url: Some(format!("https://{host}:{}", lane.port)),
            tls: Some(Trust { ca_file: Some(self.papers.certificate(authority)), sha256: None }),
            certificate: client.map(|name| self.papers.certificate(name)),
            key: client.map(|name| self.papers.key(name)),
            ..LxdConfig::default()
        }
    }
}
