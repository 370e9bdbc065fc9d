//! A whole bridge on a free port, in a folder of its own, for the tests of this crate.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use primrack_wire::world::{KeyId, Secret};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::compose::{Bridge, check, start};
use crate::config::read;
use crate::rack::{RackKey, RackSettings};

/// The secret of key `a` of `rack-1`.
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Three processes, a rack that shows them, and guests who may start what is public.
pub(crate) const CONFIG: &str = r#"
[bridge]
state_dir = "state"
[world]
callbacks = ["127.0.0.1:*"]
requests_per_s = 1000.0
request_burst = 1000.0
[policy]
files = ["people.cedar"]
[groups]
owners = ["avatar:11111111-2222-4333-8444-555555555555"]
[backends.local.process]
state_dir = "processes"
[backends.local.process.servers.web-1]
command = ["sh", "-c", "echo ready; exec sleep 600"]
ready = { line = "ready" }
[backends.local.process.servers.web-2]
command = ["sleep", "600"]
[backends.local.process.servers.db-1]
command = ["sleep", "600"]
[targets.web-1]
backend = "local"
groups = ["public"]
[targets.web-2]
backend = "local"
[targets.db-1]
backend = "local"
protected = true
[objects.rack-1]
units = { 1 = "web-1", 2 = "web-2", 3 = "db-1" }
"#;

/// An owner by the configuration above.
pub(crate) const OWNER: &str = "11111111-2222-4333-8444-555555555555";

/// A folder with the configuration above and its keys.
pub(crate) fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("primrack.toml"), CONFIG).unwrap();
    let policy = [include_str!("../../policy/starter.cedar"), include_str!("../../policy/guests.cedar")];
    std::fs::write(at("people.cedar"), policy.concat()).unwrap();
    std::fs::write(at("world.keys"), format!("rack-1 a {SECRET}\n")).unwrap();
    std::fs::set_permissions(at("world.keys"), std::fs::Permissions::from_mode(0o600)).unwrap();
    folder
}

/// The bridge of such a folder.
pub(crate) struct TestBridge {
    pub(crate) bridge: Bridge,
    pub(crate) config: PathBuf,
    folder: TempDir,
}

impl TestBridge {
    pub(crate) async fn start() -> Self {
        Self::start_in(folder(), None).await
    }
    /// `at` is where one listened before, for a restart.
    pub(crate) async fn start_in(folder: TempDir, at: Option<std::net::SocketAddr>) -> Self {
        let config = folder.path().join("primrack.toml");
        let loaded = read(&config, std::iter::empty()).unwrap();
        let checked = check(loaded).unwrap_or_else(|wrong| panic!("{wrong:?}"));
        let at = at.unwrap_or_else(|| std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
        let listener = TcpListener::bind(at).await.unwrap();
        let bridge = start(checked, Some(listener)).await.unwrap();
        Self { bridge, config, folder }
    }
    /// Stops it and gives its folder back.
    pub(crate) async fn stop(self) -> TempDir {
        self.bridge.stop().await;
        self.folder
    }
    /// Stops what it started, then the bridge.
    pub(crate) async fn end(self) {
        crate::demo::stop_everything(&self.bridge.engine).await;
        self.stop().await;
    }
    /// A rack for it.
    pub(crate) fn rack(&self) -> RackSettings {
        let key = RackKey { id: KeyId::new("a").unwrap(), secret: Secret::new(SECRET).unwrap() };
        RackSettings::new(format!("http://{}", self.bridge.address), "rack-1", key)
    }
}
