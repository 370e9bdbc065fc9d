//! What can be set.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use primrack_adapter_api::Adapter;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{ConfigError, Configured, Need, programs};

use super::PluginAdapter;
use super::launch::{account, may_run_as, unfit};

/// A program that speaks the plug-in protocol, and how it is run.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginConfig {
    /// The program: a path, or a name that is looked for in PATH.
    pub command: String,
    /// Its arguments. No shell reads them. They can be seen by everyone on this machine: no secrets.
    #[serde(default)]
    pub args: Vec<String>,
    /// What is added to its environment: `NAME=value`, or `NAME` to pass on the bridge's own.
    #[serde(default)]
    pub env: Vec<String>,
    /// The folder it runs in; `/` if absent.
    #[serde(default)]
    pub cwd: Option<PathBuf>,
    /// Files with secrets, by name. The program gets the path of `name` as `PRIMRACK_CREDENTIAL_NAME`.
    #[serde(default)]
    pub credentials: BTreeMap<String, PathBuf>,
    /// The user it runs as; the bridge's own if absent. Another needs a bridge that runs as root.
    #[serde(default)]
    pub user: Option<String>,
    /// How long an answer may take before the program is taken for hung, in milliseconds; three times
    /// as long for lists, actions and consoles. Default 10 000.
    #[serde(default = "answer_ms")]
    pub answer_ms: u64,
    /// What the program is told at its start; what is in it is between the two of you.
    #[serde(default)]
    pub settings: Map<String, Value>,
}

fn answer_ms() -> u64 {
    10_000
}

impl PluginConfig {
    /// A program with arguments, everything else as it is by default.
    #[must_use]
    pub fn of(command: impl Into<String>, args: Vec<String>) -> Self {
        Self {
            command: command.into(),
            args,
            env: Vec::new(),
            cwd: None,
            credentials: BTreeMap::new(),
            user: None,
            answer_ms: answer_ms(),
            settings: Map::new(),
        }
    }

    /// Checks it; looks up the user, touches nothing else.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.command.is_empty() {
            return Err(ConfigError::new(
                "command",
                "name the program, such as /usr/local/lib/primrack/shed",
            ));
        }
        if self.command.contains(' ') && !self.command.contains('/') {
            let words =
                "this is one word to the system: write the arguments as the list `args`, no shell reads it";
            return Err(ConfigError::new("command", words));
        }
        if self.args.iter().chain(&self.env).chain([&self.command]).any(|text| text.contains('\0')) {
            return Err(ConfigError::new("args", "a zero byte cannot be passed to a program"));
        }
        if let Some(wrong) = self.env.iter().find(|entry| entry.is_empty() || entry.starts_with('=')) {
            let words = format!(
                "{wrong:?} is no variable: write \"NAME=value\", or \"NAME\" to pass on the bridge's own"
            );
            return Err(ConfigError::new("env", words));
        }
        let plain =
            |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if let Some(name) = self.credentials.keys().find(|name| !plain(name)) {
            let words = "a credential's name is made of letters, digits and _";
            return Err(ConfigError::new(format!("credentials.{name}"), words));
        }
        if self.answer_ms < 100 {
            return Err(ConfigError::new("answer_ms", "at least 100 ms are needed"));
        }
        if let Some(user) = &self.user {
            let account = account(user).map_err(|words| ConfigError::new("user", words))?;
            may_run_as(&account).map_err(|words| ConfigError::new("user", words))?;
        }
        Ok(())
    }

    /// Makes the adapter. The program is started when it is first needed.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn build(self) -> Result<PluginAdapter, ConfigError> {
        self.check()?;
        Ok(PluginAdapter::new(self, "plugin"))
    }
}

impl Configured for PluginConfig {
    fn resolve(&mut self, base: &Path) {
        if self.command.contains('/') {
            self.command = base.join(&self.command).to_string_lossy().into_owned();
        }
        if let Some(cwd) = &mut self.cwd {
            *cwd = base.join(&cwd);
        }
        for file in self.credentials.values_mut() {
            *file = base.join(&file);
        }
    }
    fn check(&self) -> Result<(), ConfigError> {
        self.check()
    }
    fn build(self) -> Result<Arc<dyn Adapter>, ConfigError> {
        Ok(Arc::new(self.build()?))
    }
    fn needs(&self) -> Vec<Need> {
        let mut needs = vec![match programs::find(&self.command) {
            Some(path) => Need::fine(format!("the plug-in {} is there", path.display())),
            None => Need::missing(
                format!("there is no program {:?}", self.command),
                "command = \"/full/path\", and `chmod +x` it",
            ),
        }];
        for (name, file) in &self.credentials {
            if let Some((words, remedy)) = unfit(file) {
                needs.push(Need::missing(format!("credential {name}: {words}"), remedy));
            }
        }
        needs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_readme_is_understood() {
        let readme = include_str!("README.md");
        let example = readme.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
        let mut config: PluginConfig = toml::from_str(example).unwrap();
        config.check().unwrap();
        config.resolve(Path::new("/etc/primrack"));
        assert_eq!(config.credentials["token"], Path::new("/etc/primrack/shed.token"));
        assert_eq!(config.settings["region"], "north");
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let wrong =
            |text: &str| toml::from_str::<PluginConfig>(text).unwrap().check().unwrap_err().to_string();
        assert!(wrong("command = 'shed -v'").contains("no shell"));
        assert!(wrong("command = 'shed'\nenv = ['=x']").starts_with("env: "));
        assert!(wrong("command = 'shed'\ncredentials = { 'a b' = 'x' }").starts_with("credentials.a b: "));
        assert!(wrong("command = 'shed'\nuser = 'no-such-user-here'").contains("no user"));
        assert!(toml::from_str::<PluginConfig>("command = 'x'\npasword = 'y'").is_err());
    }
}
