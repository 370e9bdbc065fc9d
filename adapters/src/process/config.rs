//! What can be set.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use primrack_adapter_api::Adapter;
use serde::{Deserialize, Serialize};

use crate::config::check_name;
use crate::local::Ready;
use crate::{ConfigError, Configured, Need, programs};

use super::ProcessAdapter;

/// Local processes as servers: a folder to remember them in, and the servers by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessConfig {
    /// Where the running processes are remembered and their logs are kept; made if absent, readable by
    /// its owner only, for one bridge at a time.
    pub state_dir: PathBuf,
    /// How many bytes of output are kept per server before it is cut. Default 1 MiB.
    #[serde(default = "log_limit")]
    pub log_limit: u64,
    /// The servers by name; the name is the address of the target.
    #[serde(default)]
    pub servers: BTreeMap<String, ServerConfig>,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// A name for people; the server's own if absent.
    #[serde(default)]
    pub label: String,
    /// The program and its arguments. No shell reads them.
    pub command: Vec<String>,
    /// What is added to its environment. Of the bridge's own only PATH, HOME, USER, LANG, TZ and
    /// TMPDIR are passed on.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The folder it runs in; `/` if absent.
    #[serde(default)]
    pub cwd: Option<PathBuf>,
    /// When it counts as On.
    #[serde(default)]
    pub ready: Ready,
}

fn log_limit() -> u64 {
    1 << 20
}

impl ProcessConfig {
    /// Checks it without touching anything.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.state_dir.as_os_str().is_empty() {
            return Err(ConfigError::new("state_dir", "name a folder, such as /var/lib/primrack/processes"));
        }
        if self.log_limit < 4096 {
            return Err(ConfigError::new("log_limit", "at least 4096 bytes are needed"));
        }
        for (name, server) in &self.servers {
            check_name("servers", name)?;
            let place = |field: &str| format!("servers.{name}.{field}");
            let program = server.command.first().map(String::as_str).unwrap_or_default();
            if program.is_empty() {
                return Err(ConfigError::new(
                    place("command"),
                    "write the program and its arguments as a list",
                ));
            }
            if server.command.len() == 1 && program.contains(' ') && !program.starts_with('/') {
                return Err(ConfigError::new(
                    place("command"),
                    format!(
                        "{program:?} is one word to the system: write each argument as its own string, no shell reads it"
                    ),
                ));
            }
            let texts = server.command.iter().chain(server.env.keys()).chain(server.env.values());
            if texts.clone().any(|text| text.contains('\0')) {
                return Err(ConfigError::new(place("command"), "a zero byte cannot be passed to a program"));
            }
            if let Some(key) = server.env.keys().find(|key| key.is_empty() || key.contains('=')) {
                return Err(ConfigError::new(place("env"), format!("{key:?} cannot be a variable's name")));
            }
            if server.ready.line().is_some_and(str::is_empty) {
                return Err(ConfigError::new(place("ready"), "the line to wait for is empty"));
            }
        }
        Ok(())
    }

    /// Makes the adapter. Nothing is started, opened or locked before the adapter is first used.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn build(self) -> Result<ProcessAdapter, ConfigError> {
        self.check()?;
        Ok(ProcessAdapter::new(self))
    }
}

impl Configured for ProcessConfig {
    fn resolve(&mut self, base: &Path) {
        self.state_dir = base.join(&self.state_dir);
    }
    fn check(&self) -> Result<(), ConfigError> {
        self.check()
    }
    fn build(self) -> Result<Arc<dyn Adapter>, ConfigError> {
        Ok(Arc::new(self.build()?))
    }
    fn needs(&self) -> Vec<Need> {
        let without = self.servers.iter().filter_map(|(name, server)| {
            let program = server.command.first().map(String::as_str).unwrap_or_default();
            programs::find(program).is_none().then(|| {
                Need::missing(
                    format!("server {name}: there is no program {program:?}"),
                    format!("servers.{name}.command = [\"/full/path\", …]"),
                )
            })
        });
        without.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_readme_is_understood() {
        let readme = include_str!("README.md");
        let example = readme.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
        let config: ProcessConfig = toml::from_str(example).unwrap();
        config.check().unwrap();
        assert_eq!(config.servers["web-1"].ready, Ready::Tcp("127.0.0.1:8081".parse().unwrap()));
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let wrong =
            |text: &str| toml::from_str::<ProcessConfig>(text).unwrap().check().unwrap_err().to_string();
        let shell = wrong("state_dir = '/x'\n[servers.a]\ncommand = ['sleep 5']");
        assert!(shell.starts_with("servers.a.command: ") && shell.contains("no shell"), "{shell}");
        assert!(wrong("state_dir = '/x'\n[servers.'../a']\ncommand = ['true']").contains("a name is"));
        assert!(toml::from_str::<ProcessConfig>("state_dir = '/x'\nservrs = 1").is_err());
    }
}
