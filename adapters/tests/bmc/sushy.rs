//! sushy-emulator: an emulated BMC that drives the real machine of the laboratory by Redfish.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test program uses its part")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use primrack_adapters::redfish::RedfishConfig;
use sha2::{Digest as _, Sha256};

use crate::bmc::{Lab, free_tcp, python};

/// `admin`, `an open secret`, in the form that sushy-emulator reads.
pub const ACCOUNTS: &str = "admin:$2b$04$dAO0vvwN9RCqArxQ7pqRruu3FwEPVXeAXRe3xjvJ/YUf.2/wviUoe\n";

pub fn secret(path: &Path, words: &str) {
    fs::write(path, words).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

/// sushy-emulator in the laboratory, behind TLS with a certificate of its own making, and passwords.
pub struct Sushy {
    pub lab: Arc<Lab>,
    pub port: u16,
    pub fingerprint: String,
}

impl Sushy {
    pub async fn start() -> Self {
        let lab = Lab::start();
        let port = free_tcp();
        let made = rcgen::generate_simple_self_signed(vec!["bmc.example".to_owned()]).unwrap();
        let digest = Sha256::digest(made.cert.der());
        let fingerprint = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(lab.path("bmc.pem"), made.cert.pem()).unwrap();
        secret(&lab.path("bmc.key"), &made.signing_key.serialize_pem());
        fs::write(lab.path("accounts"), ACCOUNTS).unwrap();
        secret(&lab.path("password"), "an open secret\n");
        let here = lab.path("");
        let config = format!(
            "SUSHY_EMULATOR_LISTEN_IP = '127.0.0.1'\nSUSHY_EMULATOR_LISTEN_PORT = {port}\n\
             SUSHY_EMULATOR_SSL_CERT = '{0}/bmc.pem'\nSUSHY_EMULATOR_SSL_KEY = '{0}/bmc.key'\n\
             SUSHY_EMULATOR_AUTH_FILE = '{0}/accounts'\nSUSHY_EMULATOR_STATE_DIR = '{0}'\n\
             SUSHY_EMULATOR_LIBVIRT_URI = 'qemu:///system'\n",
            here.display()
        );
        fs::write(lab.path("sushy.conf"), config).unwrap();
        let sushy = Self { lab, port, fingerprint };
        sushy.run().await;
        sushy
    }

    /// Starts it and waits until it listens.
    pub async fn run(&self) {
        let log = self.lab.path("sushy.log");
        let config = self.lab.path("sushy.conf");
        self.lab.must(&format!(
            "{} --config {} >>{} 2>&1 & SUSHY=$!",
            python("sushy-emulator"),
            config.display(),
            log.display()
        ));
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let said = fs::read_to_string(&log).unwrap_or_default();
            assert!(began.elapsed() < Duration::from_secs(60), "sushy-emulator does not start: {said}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Its table of a bridge's configuration.
    pub fn text(&self) -> String {
        format!(
            "url = 'https://127.0.0.1:{}'\nuser = 'admin'\npassword_file = '{}'\n\
             tls = {{ sha256 = '{}' }}\nthermal_every_s = 10\n",
            self.port,
            self.lab.path("password").display(),
            self.fingerprint
        )
    }
    pub fn config(&self, more: &str) -> RedfishConfig {
        toml::from_str(&(self.text() + more)).unwrap()
    }
}
