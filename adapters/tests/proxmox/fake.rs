//! fakepve: a fake with the schema of Proxmox VE, in the Python environment that `cargo xtask python` makes.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test program uses its part")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Program, Stdio};

use primrack_adapters::proxmox::{ProxmoxAdapter, ProxmoxConfig};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The secret part of all its tokens.
pub const SECRET: &str = "11111111-2222-4333-8444-555555555555";

/// fakepve with a certificate of its own. It ends with its standard input, so with the test in any case.
pub struct FakePve {
    child: Child,
    at: String,
    pub folder: TempDir,
}

impl FakePve {
    pub fn start(machines: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        fs::write(folder.path().join("certificate"), made.cert.pem()).unwrap();
        fs::write(folder.path().join("key"), made.signing_key.serialize_pem()).unwrap();
        for name in ["bridge", "one", "blind", "nobody"] {
            token(folder.path(), name, &format!("primrack@pve!{name}={SECRET}"));
        }
        let (child, at) = Self::run(folder.path(), "0", machines);
        Self { child, at, folder }
    }

    fn run(folder: &Path, port: &str, machines: usize) -> (Child, String) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let all =
            std::env::var_os("PRIMRACK_PYTHON_DIR").map_or_else(|| root.join("target/python"), PathBuf::from);
        let python = all.join("pve/bin/python");
        assert!(python.exists(), "no {}: run `cargo xtask python` first", python.display());
        let mut child = Program::new(python)
            .arg(root.join("tests/fakepve/serve.py"))
            .args([folder.join("certificate"), folder.join("key")])
            .args([port, &machines.to_string()])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let at = line.trim().strip_prefix("READY ").expect("fakepve says where it is").to_owned();
        (child, at)
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
    pub fn again(&mut self) {
        let port = self.at.rsplit(':').next().unwrap().to_owned();
        (self.child, self.at) = Self::run(self.folder.path(), &port, 1);
    }
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its table of a bridge's configuration.
    pub fn text(&self, token: &str) -> String {
        let folder = self.folder.path().display();
        format!(
            "url = 'https://{}'\ntoken_file = '{folder}/{token}'\nanswer_within_ms = 2000\nmigrate_to = 'pve1'\n\
             tls = {{ ca_file = '{folder}/certificate' }}",
            self.at,
        )
    }
    pub fn config(&self, token: &str) -> ProxmoxConfig {
        toml::from_str(&self.text(token)).unwrap()
    }
    pub fn adapter(&self) -> ProxmoxAdapter {
        self.config("bridge").build().unwrap()
    }

    /// Somebody else with a client of their own.
    pub async fn operator(&self, path: &str) {
        let certificate = fs::read(self.folder.path().join("certificate")).unwrap();
        // Another test of this program may have been first.
        rustls::crypto::ring::default_provider().install_default().ok();
        let client = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(&certificate).unwrap()])
            .no_proxy()
            .build()
            .unwrap();
        let answer = client
            .post(format!("https://{}/api2/json/nodes/{path}", self.at))
            .header("authorization", format!("PVEAPIToken=primrack@pve!bridge={SECRET}"))
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }
}

impl Drop for FakePve {
    fn drop(&mut self) {
        // It may be over already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub fn token(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).unwrap();
    fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o600)).unwrap();
}
