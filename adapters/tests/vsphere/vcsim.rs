//! vcsim: VMware's own simulator of the protocol, built by `cargo xtask vcsim`.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test program uses its part")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command as Program, Stdio};

use primrack_adapters::vsphere::{VsphereAdapter, VsphereConfig};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// vcsim with a certificate of its own. It ends with its standard input, so with the test in any case.
pub struct Vcsim {
    child: Child,
    pub at: String,
    pub folder: TempDir,
}

impl Vcsim {
    pub fn start(machines: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made =
            rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
        fs::write(folder.path().join("certificate"), made.cert.pem()).unwrap();
        fs::write(folder.path().join("key"), made.signing_key.serialize_pem()).unwrap();
        let password = folder.path().join("password");
        fs::write(&password, "secret of the test\n").unwrap();
        fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
        let (child, at) = Self::run(folder.path(), "127.0.0.1:0", machines);
        Self { child, at, folder }
    }

    fn run(folder: &Path, listen: &str, machines: usize) -> (Child, String) {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target/peers/vcsim");
        assert!(program.is_file(), "no vcsim in target/peers: run `cargo xtask vcsim` first");
        let mut child = Program::new(program)
            .args(["-listen", listen, "-machines", &machines.to_string(), "-certificate"])
            .arg(folder.join("certificate"))
            .arg("-key")
            .arg(folder.join("key"))
            .env("TMPDIR", folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let at = line.trim().strip_prefix("READY ").expect("vcsim says where it is").to_owned();
        (child, at)
    }

    /// The plug is pulled, and put back at the same place: everything in it begins anew.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
    pub fn again(&mut self) {
        (self.child, self.at) = Self::run(self.folder.path(), &self.at, 2);
    }
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its table of a bridge's configuration, but for whom to believe.
    pub fn text(&self) -> String {
        format!(
            "url = 'https://{}'\nuser = 'primrack'\npassword_file = '{folder}/password'\n\
             answer_within_ms = 2000\nmigrate_to = 'DC0_C0_H1'\n",
            self.at,
            folder = self.folder.path().display()
        )
    }
    pub fn config(&self, more: &str) -> VsphereConfig {
        let text = self.text() + more;
        let mut config: VsphereConfig = toml::from_str(&text).unwrap();
        if config.tls.sha256.is_none() {
            config.tls.ca_file = Some(self.folder.path().join("certificate"));
        }
        config
    }
    pub fn adapter(&self) -> VsphereAdapter {
        self.config("").build().unwrap()
    }

    /// Somebody else with a client of their own: a session by other code than the adapter's.
    pub async fn operator(&self, method: &str, machine: &str) {
        let certificate = fs::read(self.folder.path().join("certificate")).unwrap();
        let certificate = reqwest::Certificate::from_pem(&certificate).unwrap();
        let provider = rustls::crypto::ring::default_provider();
        // Another test of this program may have been first.
        provider.install_default().ok();
        let client = reqwest::Client::builder().tls_certs_only([certificate]).no_proxy().build().unwrap();
        let call = async |cookie: Option<&str>, inner: String| {
            let body = format!(
                "<Envelope xmlns=\"http://schemas.xmlsoap.org/soap/envelope/\"><Body>{inner}</Body></Envelope>"
            );
            let mut request = client.post(format!("https://{}/sdk", self.at)).body(body);
            if let Some(cookie) = cookie {
                request = request.header("cookie", cookie);
            }
            let answer = request.send().await.unwrap();
            let cookie = answer.headers().get("set-cookie").map(|cookie| cookie.to_str().unwrap().to_owned());
            (cookie, answer.text().await.unwrap())
        };
        let login = "<Login xmlns=\"urn:vim25\"><_this type=\"SessionManager\">SessionManager</_this>\
                     <userName>primrack</userName><password>secret of the test</password></Login>";
        let (cookie, _) = call(None, login.to_owned()).await;
        let cookie = cookie.expect("the operator's login works");
        let cookie = cookie.split(';').next();
        // vcsim's inventory is the same at each start; the machine's id is asked for by its path.
        let path = format!("/DC0/vm/{machine}");
        let find = format!(
            "<FindByInventoryPath xmlns=\"urn:vim25\"><_this type=\"SearchIndex\">SearchIndex</_this>\
             <inventoryPath>{path}</inventoryPath></FindByInventoryPath>"
        );
        let (_, found) = call(cookie, find).await;
        let id =
            found.split("type=\"VirtualMachine\">").nth(1).expect("it is there").split('<').next().unwrap();
        let act =
            format!("<{method} xmlns=\"urn:vim25\"><_this type=\"VirtualMachine\">{id}</_this></{method}>");
        let (_, answer) = call(cookie, act).await;
        assert!(!answer.contains("Fault"), "{method}: {answer}");
    }

    /// A burst of changes of one machine within vcsim.
    pub async fn storm(&self, machine: &str, count: usize) {
        let certificate = fs::read(self.folder.path().join("certificate")).unwrap();
        rustls::crypto::ring::default_provider().install_default().ok();
        let client = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(&certificate).unwrap()])
            .no_proxy()
            .build()
            .unwrap();
        let url = format!("https://{}/test/storm?vm={machine}&n={count}", self.at);
        assert!(client.get(url).send().await.unwrap().status().is_success());
    }
}

impl Drop for Vcsim {
    fn drop(&mut self) {
        // It may be over already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
