//! Mosquitto as a process of the test's own: a free port, accounts with passwords, an access list that proves
//! who is who, TLS by certificates made here, and a memory that outlives `kill -9`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair};
use rumqttc_v5 as v5;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use crate::soon;

/// The accounts at the broker; the password of each is `of-` and its name.
const ACCOUNTS: [&str; 4] = ["primrack", "node-red", "guest", "home-assistant"];

/// Each account below its own topics, the bridge everywhere in its own, as PROTOCOL.md of the MQTT side has it.
const ACCESS: &str = "
pattern write primrack/do/%u/+
pattern read primrack/receipt/%u/#
pattern read primrack/ended/%u
user primrack
topic readwrite primrack/#
topic readwrite homeassistant/#
user node-red
topic read primrack/status
topic read primrack/state/#
topic read primrack/tag/#
user home-assistant
topic read primrack/#
topic readwrite homeassistant/#
";

/// The broker. Dropping it kills it.
#[derive(Debug)]
pub struct Broker {
    folder: TempDir,
    /// The port without TLS.
    pub port: u16,
    /// The port with TLS, where a certificate of the client is asked for.
    pub tls_port: u16,
    child: Option<Child>,
}

impl Broker {
    /// Starts one on free ports.
    ///
    /// # Panics
    /// When there is no Mosquitto, or it does not come up.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut broker = Self { folder, port: 0, tls_port: 0, child: None };
        broker.accounts().await;
        broker.certificates();
        // Between looking for a free port and taking it somebody else may.
        for _ in 0..10 {
            (broker.port, broker.tls_port) = (free(), free());
            broker.configure();
            if broker.try_start().await {
                return broker;
            }
        }
        panic!("mosquitto did not come up: {}", broker.log());
    }

    async fn accounts(&self) {
        let passwords = self.at("passwords");
        fs::write(&passwords, "").unwrap();
        fs::set_permissions(&passwords, fs::Permissions::from_mode(0o600)).unwrap();
        for account in ACCOUNTS {
            let mut make = Command::new("mosquitto_passwd");
            make.arg("-b").arg(&passwords).args([account, &format!("of-{account}")]);
            let made = make.stdout(Stdio::null()).status().await;
            assert!(
                made.as_ref().is_ok_and(std::process::ExitStatus::success),
                "mosquitto_passwd (Debian's mosquitto) is needed: {made:?}"
            );
        }
        fs::write(self.at("access"), ACCESS).unwrap();
        fs::set_permissions(self.at("access"), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// An authority of the test's, and what it signed: the broker for `localhost`, a client, and beside it a
    /// stranger's authority that signed nothing here.
    fn certificates(&self) {
        let authority = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name = DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, name);
            fs::write(self.at(&format!("{name}.pem")), params.self_signed(&key).unwrap().pem()).unwrap();
            Issuer::new(params, key)
        };
        let ca = authority("ca");
        authority("stranger");
        for (file, name) in [("broker", "localhost"), ("client", "primrack")] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new([name.to_owned()]).unwrap();
            params.distinguished_name = DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, name);
            let signed = params.signed_by(&key, &ca).unwrap();
            fs::write(self.at(&format!("{file}.pem")), signed.pem()).unwrap();
            fs::write(self.at(&format!("{file}.key")), key.serialize_pem()).unwrap();
            fs::set_permissions(self.at(&format!("{file}.key")), fs::Permissions::from_mode(0o600)).unwrap();
        }
    }

    fn configure(&self) {
        let (at, Self { port, tls_port, .. }) = (self.at("").display().to_string(), self);
        let text = format!(
            "user root\npersistence true\npersistence_location {at}\nautosave_interval 1\n\
             autosave_on_changes true\nmax_queued_messages 0\nset_tcp_nodelay true\nallow_anonymous false\n\
             password_file {at}passwords\nacl_file {at}access\nlog_dest file {at}log\n\
             listener {port} 127.0.0.1\nlistener {tls_port} 127.0.0.1\ncafile {at}ca.pem\n\
             certfile {at}broker.pem\nkeyfile {at}broker.key\nrequire_certificate true\n"
        );
        fs::write(self.at("mosquitto.conf"), text).unwrap();
    }

    /// Whether it came up.
    async fn try_start(&mut self) -> bool {
        let mut start = Command::new("/usr/sbin/mosquitto");
        start.arg("-c").arg(self.at("mosquitto.conf")).stdin(Stdio::null()).stdout(Stdio::null());
        let mut child =
            start.stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap_or_else(|error| {
                panic!("mosquitto (Debian's package of that name) is needed: {error}")
            });
        let port = self.port;
        let up = soon("mosquitto listens or ends", async {
            loop {
                if child.try_wait().unwrap().is_some() {
                    return false;
                }
                if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                    return true;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        self.child = Some(child);
        up
    }

    /// kill -9.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn kill(&mut self) {
        self.child.take().expect("the broker runs").kill().await.unwrap();
    }
    /// Starts it again where it was, with what it remembers.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn again(&mut self) {
        for _ in 0..50 {
            if self.try_start().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("mosquitto did not come up again: {}", self.log());
    }

    /// A file in its folder: `ca.pem`, `stranger.pem`, `client.pem`, `client.key`, `log`.
    #[must_use]
    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    /// What it said.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.at("log")).unwrap_or_default()
    }

    /// Somebody at the broker, with a session that outlives connections.
    #[must_use]
    pub fn client(&self, account: &str) -> Client {
        self.client_as(account, account)
    }
    /// The same under a name of its own, where an account is there twice.
    #[must_use]
    pub fn client_as(&self, account: &str, name: &str) -> Client {
        Client::new(self.port, account, name)
    }
}

fn free() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A message that a client heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Where.
    pub topic: String,
    /// What.
    pub payload: Bytes,
    /// Whether it was retained.
    pub retain: bool,
    /// The sender's mark.
    pub correlation: Option<Bytes>,
}

impl Heard {
    /// The payload as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.payload).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Somebody at the broker, by MQTT 5.
#[derive(Debug)]
pub struct Client {
    client: v5::AsyncClient,
    heard: mpsc::UnboundedReceiver<Heard>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Client {
    fn new(port: u16, account: &str, name: &str) -> Self {
        let mut options = v5::MqttOptions::new(format!("test-{name}"), ("127.0.0.1".to_owned(), port));
        let mut network = v5::NetworkOptions::new();
        network.set_tcp_nodelay(true);
        options
            .set_credentials(account, format!("of-{account}"))
            .set_session_mode(v5::SessionMode::Persistent)
            .set_receive_maximum(Some(1000))
            .set_outgoing_inflight_upper_limit(64)
            .set_network_options(network);
        let (client, mut events) = v5::AsyncClient::builder(options).capacity(64).build();
        let (tell, heard) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            loop {
                match events.poll().await {
                    Ok(v5::Event::Incoming(v5::Packet::Publish(publish))) => {
                        let message = Heard {
                            topic: String::from_utf8_lossy(&publish.topic).into_owned(),
                            payload: publish.payload.clone(),
                            retain: publish.retain,
                            correlation: publish.properties.and_then(|it| it.correlation_data),
                        };
                        if tell.send(message).is_err() {
                            return;
                        }
                    }
                    Ok(_) => {}
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        });
        Self { client, heard, task }
    }

    /// Asks for what is published.
    ///
    /// # Panics
    /// When the broker does not answer.
    pub async fn subscribe(&self, filter: &str) {
        let input =
            v5::SubscribeFilterInput::new(filter.to_owned(), v5::QoS::AtLeastOnce).preserve_retain(true);
        let notice = self.client.subscribe_many_tracked([input]).await.unwrap();
        soon("the subscription is answered", notice.wait_async()).await.unwrap();
    }

    /// Publishes, at least once; waits for room only.
    ///
    /// # Panics
    /// When the client has ended.
    pub async fn publish(&self, topic: &str, payload: &str) {
        self.send(topic, payload, false, v5::PublishProperties::default()).await;
    }
    /// Publishes and leaves it at the broker.
    ///
    /// # Panics
    /// As [`Self::publish`].
    pub async fn retain(&self, topic: &str, payload: &str) {
        self.send(topic, payload, true, v5::PublishProperties::default()).await;
    }
    /// Publishes a request, whose answer is wanted elsewhere and with a mark.
    ///
    /// # Panics
    /// As [`Self::publish`].
    pub async fn request(&self, topic: &str, payload: &str, answer: &str, mark: &str) {
        let properties = v5::PublishProperties {
            response_topic: Some(answer.to_owned()),
            correlation_data: Some(Bytes::copy_from_slice(mark.as_bytes())),
            ..v5::PublishProperties::default()
        };
        self.send(topic, payload, false, properties).await;
    }
    async fn send(&self, topic: &str, payload: &str, retain: bool, properties: v5::PublishProperties) {
        let options = v5::PublishOptions::at_least_once().retain(retain).properties(properties);
        let sent = self.client.publish(topic.to_owned(), payload.as_bytes().to_vec(), options);
        soon("there is room for a message", sent).await.unwrap();
    }

    /// The next message, whatever it is; none when there was none for so long.
    pub async fn next_within(&mut self, pause: Duration) -> Option<Heard> {
        tokio::time::timeout(pause, self.heard.recv()).await.ok().flatten()
    }
    /// The next message that fits.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn until(&mut self, what: &str, mut fits: impl FnMut(&Heard) -> bool) -> Heard {
        let looking = async {
            loop {
                let heard = self.heard.recv().await.expect("the client goes on");
                if fits(&heard) {
                    return heard;
                }
            }
        };
        soon(what, looking).await
    }
}
