//! The configuration: one TOML file, unknown keys are errors, environment overrides, secrets by file.
//!
//! Reading it touches nothing but the file itself; [`crate::compose`] makes the things it describes, and
//! starting them comes third. So `primrack check` can say everything that is wrong without doing anything.

mod backend;
mod build;
mod group;
mod read;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use primrack_engine::EngineSettings;
use primrack_model::{OnFailure, TargetKind, TouchMode};
use primrack_mqtt::MqttConfig;
use primrack_web::api::ApiConfig;
use primrack_world::WorldSettings;
use serde::Deserialize;
use smol_str::SmolStr;

pub use crate::discovery::DiscoverConfig;
pub use backend::{BackendConfig, BackendKind, OwnProcess};
pub use build::{inventory, inventory_after};
pub use group::MemberConfig;
pub use read::{Loaded, Mistake, read};

/// Everything that may be configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where it listens and keeps its files.
    #[serde(default)]
    pub bridge: BridgeConfig,
    /// Objects in regions.
    #[serde(default)]
    pub world: WorldConfig,
    /// Who may do what.
    #[serde(default)]
    pub policy: PolicyConfig,
    /// How long things may take.
    #[serde(default)]
    pub engine: EngineSettings,
    /// Groups of people: group name, then actors as `kind:id`.
    #[serde(default)]
    pub groups: BTreeMap<SmolStr, Vec<SmolStr>>,
    /// Connections to technologies, by name.
    #[serde(default)]
    pub backends: BTreeMap<SmolStr, BackendConfig>,
    /// Who may use the API.
    #[serde(default)]
    pub api: ApiConfig,
    /// One MQTT broker.
    #[serde(default)]
    pub mqtt: Option<MqttConfig>,
    /// What can be acted on, by id.
    #[serde(default)]
    pub targets: BTreeMap<SmolStr, TargetConfig>,
    /// Which machines appear as targets by themselves: rules by name.
    #[serde(default)]
    pub discover: BTreeMap<SmolStr, DiscoverConfig>,
    /// What shows it in the world, by id.
    #[serde(default)]
    pub objects: BTreeMap<SmolStr, ObjectConfig>,
}

/// `[bridge]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BridgeConfig {
    /// Address and port for regions, health and metrics.
    pub listen: SocketAddr,
    /// Where the journal and the control socket are; made if absent, for its owner only.
    pub state_dir: PathBuf,
    /// Certificate chain for TLS, PEM.
    pub tls_certificate: Option<PathBuf>,
    /// Private key for TLS, PEM.
    pub tls_key: Option<PathBuf>,
    /// Plain HTTP on an address others can reach is refused unless a proxy in front does TLS, and this says so.
    pub behind_proxy: bool,
    /// How long a stop waits for what is under way, in seconds.
    pub drain_s: u64,
}

impl Default for BridgeConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8480)),
            state_dir: PathBuf::from("/var/lib/primrack"),
            tls_certificate: None,
            tls_key: None,
            behind_proxy: false,
            drain_s: 10,
        }
    }
}

/// `[world]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorldConfig {
    /// The keys of enrolled objects; `world.keys` beside the configuration if absent.
    pub keys_file: Option<PathBuf>,
    /// Which callbacks may be posted to: `host[:port]`, `*.example.org:12046`, `10.0.0.0/8:9000`. None by default.
    pub callbacks: Vec<String>,
    /// Certificates to trust for https callbacks besides the public ones, PEM.
    pub callback_ca: Option<PathBuf>,
    /// Posts in flight at one host.
    pub posts_per_host: Option<u32>,
    /// Objects renew their registration after so many seconds.
    pub renew_s: Option<u32>,
    /// A menu is open for so many seconds.
    pub menu_s: Option<u32>,
    /// Requests a second of one object, on average.
    pub requests_per_s: Option<f32>,
    /// Requests of one object at once.
    pub request_burst: Option<f32>,
}

impl WorldConfig {
    /// The numbers, with the defaults filled in.
    #[must_use]
    pub fn settings(&self) -> WorldSettings {
        let WorldSettings { renew_s, menu_s, requests_per_s, request_burst } = WorldSettings::default();
        WorldSettings {
            renew_s: self.renew_s.unwrap_or(renew_s),
            menu_s: self.menu_s.unwrap_or(menu_s),
            requests_per_s: self.requests_per_s.unwrap_or(requests_per_s),
            request_burst: self.request_burst.unwrap_or(request_burst),
        }
    }
}

/// `[policy]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyConfig {
    /// Cedar files; the starter policy if none is named.
    pub files: Vec<PathBuf>,
}

/// `[targets.ID]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetConfig {
    /// What the world shows; the id if absent.
    pub label: Option<SmolStr>,
    /// What kind of thing it is; if absent, what its board says it is, else a machine.
    pub kind: Option<TargetKind>,
    /// Which backend has it; a group has members instead.
    #[serde(default)]
    pub backend: SmolStr,
    /// What the backend calls it; the id if absent.
    pub address: Option<SmolStr>,
    /// Whether disruptive actions need a rule that names it.
    #[serde(default)]
    pub protected: bool,
    /// The target groups it belongs to.
    #[serde(default)]
    pub groups: Vec<SmolStr>,
    /// Of a group: who is acted on together.
    #[serde(default)]
    pub members: Vec<MemberConfig>,
    /// Of a group: how many are acted on at once; 4 if absent.
    pub parallel: Option<usize>,
    /// Of a group: what happens to the rest when one fails.
    pub on_failure: Option<OnFailure>,
}

/// `[objects.ID]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectConfig {
    /// What people call it; the id if absent.
    pub label: Option<SmolStr>,
    /// What touching a unit does.
    #[serde(default)]
    pub touch: TouchMode,
    /// Unit number to target id; `"10-42" = "found:RULE"` gives units to what a rule of discovery finds.
    #[serde(default)]
    pub units: BTreeMap<SmolStr, SmolStr>,
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    /// What is shipped as an example is read and checked as a user would.
    #[test]
    fn the_shipped_examples_are_fine() {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests");
        let mut seen = 0;
        let files = |folder: &str| std::fs::read_dir(tests.join(folder)).unwrap();
        for example in files("configs").chain(files("recipes")) {
            let example = example.unwrap().path();
            let folder = tempfile::tempdir().unwrap();
            let config = folder.path().join("primrack.toml");
            std::fs::copy(&example, &config).unwrap();
            let keys = folder.path().join("world.keys");
            std::fs::write(&keys, "").unwrap();
            std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o600)).unwrap();
            let badges = folder.path().join("badges");
            std::fs::write(&badges, "04A1B2C3D4E5F6 ada\n").unwrap();
            std::fs::set_permissions(&badges, std::fs::Permissions::from_mode(0o600)).unwrap();
            let password = folder.path().join("mqtt.password");
            std::fs::write(&password, "hush-hush\n").unwrap();
            std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
            for (name, digit) in [("grafana", "a"), ("deploy", "b")] {
                let token = folder.path().join(format!("{name}.token"));
                std::fs::write(&token, digit.repeat(64)).unwrap();
                std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
            }
            let loaded = super::read(&config, std::iter::empty()).unwrap();
            crate::compose::check(loaded).unwrap_or_else(|wrong| panic!("{}: {wrong:?}", example.display()));
            seen += 1;
        }
        assert!(seen >= 7, "there are examples in {}", tests.display());
    }
}
