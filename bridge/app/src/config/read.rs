//! From a file and the environment to a [`Config`], with mistakes shown where they stand.

use std::path::{Path, PathBuf};

use miette::{Diagnostic, NamedSource, SourceSpan};
use serde::Deserialize as _;

use super::Config;

/// The prefix of environment overrides: `PRIMRACK__BRIDGE__LISTEN=127.0.0.1:9000` sets `bridge.listen`.
const PREFIX: &str = "PRIMRACK__";

/// A mistake in the configuration, with its place where there is one.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum Mistake {
    /// The file cannot be read.
    #[error("the configuration {path} cannot be read: {source}")]
    #[diagnostic(help("name another with --config, or try `primrack demo`, which needs none"))]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Something in the file.
    #[error("{what}")]
    Place {
        /// What is wrong.
        what: String,
        /// What to do.
        #[help]
        hint: Option<String>,
        /// The file.
        #[source_code]
        file: NamedSource<String>,
        /// Where in it.
        #[label("here")]
        at: SourceSpan,
    },
    /// Something that has no single place, or came from the environment.
    #[error("{what}")]
    Plain {
        /// What is wrong and where.
        what: String,
        /// What to do.
        #[help]
        hint: Option<String>,
    },
}

impl Mistake {
    /// A mistake without a place in the file.
    pub fn plain(what: impl Into<String>) -> Self {
        Self::Plain { what: what.into(), hint: None }
    }
    /// The same with what to do.
    #[must_use]
    pub fn with_hint(self, words: impl Into<String>) -> Self {
        match self {
            Self::Plain { what, .. } => Self::Plain { what, hint: Some(words.into()) },
            Self::Place { what, file, at, .. } => Self::Place { what, file, at, hint: Some(words.into()) },
            Self::Unreadable { path, source } => Self::Unreadable { path, source },
        }
    }
}

/// A configuration and where it came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What it says.
    pub config: Config,
    /// The file, for paths relative to it.
    pub path: PathBuf,
    /// Its text, to show places in it.
    pub text: String,
    /// What it says as plain values, overrides included: to tell what differs from another.
    pub table: toml::Table,
    /// What the environment set over it.
    pub overrides: Vec<(String, String)>,
}

impl Loaded {
    /// A path of the configuration: relative ones start at its file's folder.
    #[must_use]
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.folder().join(path)
    }

    /// The folder of the configuration file, where relative paths start.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or_else(|| Path::new("."))
    }

    /// Reads the same file again, with the same overrides.
    ///
    /// # Errors
    /// As [`read`].
    pub fn again(&self) -> Result<Self, Mistake> {
        read(&self.path, self.overrides.iter().cloned())
    }

    /// A mistake shown at the table or key that `path` names, such as `["targets", "web-1", "backend"]`.
    #[must_use]
    pub fn at(&self, path: &[&str], what: impl Into<String>) -> Mistake {
        let what = what.into();
        match find(&self.text, path) {
            Some(span) => Mistake::Place { what, hint: None, file: self.named(), at: span.into() },
            None => Mistake::Plain { what: format!("{}: {what}", path.join(".")), hint: None },
        }
    }

    /// The table of a backend's technology as it was written: to hand it to another process.
    #[must_use]
    pub fn backend_table(&self, name: &str, technology: &str) -> Option<toml::Table> {
        let whole = &self.table;
        let table = whole.get("backends")?.get(name)?.get(technology)?.as_table()?;
        Some(table.clone())
    }

    fn named(&self) -> NamedSource<String> {
        NamedSource::new(self.path.display().to_string(), self.text.clone()).with_language("TOML")
    }
}

/// Reads a configuration file and what the environment overrides.
///
/// # Errors
/// The first [`Mistake`] that keeps it from being read.
pub fn read(path: &Path, environment: impl Iterator<Item = (String, String)>) -> Result<Loaded, Mistake> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| Mistake::Unreadable { path: path.to_owned(), source })?;
    parse(path, text, environment)
}

fn parse(
    path: &Path,
    text: String,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Loaded, Mistake> {
    let file = NamedSource::new(path.display().to_string(), text.clone()).with_language("TOML");
    let config: Config = toml::from_str(&text).map_err(|error| {
        let (what, hint) = in_words(error.message());
        match error.span() {
            Some(span) => Mistake::Place { what, hint, file, at: span.into() },
            None => Mistake::Plain { what, hint },
        }
    })?;
    let overrides: Vec<(String, String)> = environment.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    let table: toml::Table = toml::from_str(&text).map_err(|error| Mistake::plain(error.to_string()))?;
    let mut loaded = Loaded { config, path: path.to_owned(), text, table, overrides };
    if !loaded.overrides.is_empty() {
        (loaded.table, loaded.config) = with_overrides(&loaded.table, &loaded.overrides)?;
    }
    Ok(loaded)
}

/// The file's table with the environment's values in it; an override is read as TOML where it is
/// TOML (`true`, `5`, `["a"]`), else as text.
fn with_overrides(
    table: &toml::Table,
    overrides: &[(String, String)],
) -> Result<(toml::Table, Config), Mistake> {
    let mut table = table.clone();
    let names: Vec<&str> = overrides.iter().map(|(name, _)| name.as_str()).collect();
    for (name, value) in overrides {
        let keys: Vec<String> = name[PREFIX.len()..].split("__").map(str::to_ascii_lowercase).collect();
        let read: Option<toml::Value> =
            toml::from_str::<toml::Table>(&format!("v = {value}")).ok().and_then(|mut t| t.remove("v"));
        let value = read.unwrap_or_else(|| toml::Value::String(value.clone()));
        let Some((last, way)) = keys.split_last() else { continue };
        let mut place = &mut table;
        for key in way {
            let next = place.entry(key.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            place = next.as_table_mut().ok_or_else(|| {
                Mistake::plain(format!(
                    "the environment's {name} goes through {key:?}, which is a value and not a table"
                ))
            })?;
        }
        place.insert(last.clone(), value);
    }
    let config = Config::deserialize(table.clone()).map_err(|error| {
        let (what, hint) = in_words(error.message());
        Mistake::Plain { what: format!("with the environment's {}: {what}", names.join(", ")), hint }
    })?;
    Ok((table, config))
}

/// Serde's "unknown field `x`, expected one of `a`, `b`" as a sentence with the likeliest key.
fn in_words(message: &str) -> (String, Option<String>) {
    let mut quoted = message.split('`').skip(1).step_by(2);
    match (message.starts_with("unknown field"), quoted.next()) {
        (true, Some(found)) => {
            let known: Vec<&str> = quoted.collect();
            let near = known
                .iter()
                .map(|key| (strsim::damerau_levenshtein(found, key), *key))
                .min()
                .filter(|(distance, key)| *distance <= 2.max(key.len() / 3));
            let hint = near.map_or_else(
                || format!("known here: {}", known.join(", ")),
                |(_, key)| format!("did you mean `{key}`? Known here: {}", known.join(", ")),
            );
            (format!("there is no setting `{found}` here"), Some(hint))
        }
        _ => (message.trim().to_owned(), None),
    }
}

/// Where a key or table stands. A search over lines: good for pointing, never for meaning.
fn find(text: &str, path: &[&str]) -> Option<std::ops::Range<usize>> {
    let plain = |line: &str| line.replace(['"', '\''], "").replace(' ', "");
    let mut table = String::new();
    let mut offset = 0;
    let mut best: Option<(usize, std::ops::Range<usize>)> = None;
    for line in text.split_inclusive('\n') {
        let shown = line.trim_end();
        let bare = plain(shown);
        let (name, is_table) = match bare.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            Some(name) if !bare.starts_with("[[") => {
                table = name.to_owned();
                (table.clone(), true)
            }
            _ => {
                let key = bare.split('=').next().unwrap_or_default();
                let dot = if table.is_empty() { "" } else { "." };
                (format!("{table}{dot}{key}"), false)
            }
        };
        let depth = (1..=path.len()).rev().find(|n| path[..*n].join(".") == name).unwrap_or(0);
        if depth > best.as_ref().map_or(0, |(depth, _)| *depth) && (is_table || bare.contains('=')) {
            best = Some((depth, offset..offset + shown.len()));
        }
        offset += line.len();
    }
    best.map(|(_, span)| span)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn try_it(text: &str, environment: &[(&str, &str)]) -> Result<Loaded, String> {
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        parse(Path::new("primrack.toml"), text.to_owned(), environment).map_err(|mistake| {
            let help = mistake.help().map(|help| help.to_string()).unwrap_or_default();
            format!("{mistake} | {help}")
        })
    }

    #[test]
    fn an_unknown_key_is_an_error_with_the_likely_one() {
        let error = try_it("[bridge]\nlistn = '127.0.0.1:1'\n", &[]).unwrap_err();
        assert!(error.contains("no setting `listn`") && error.contains("did you mean `listen`"), "{error}");
    }

    #[test]
    fn the_environment_overrides_and_its_mistakes_name_it() {
        let loaded =
            try_it("[bridge]\n", &[("PRIMRACK__BRIDGE__LISTEN", "127.0.0.1:9"), ("HOME", "/")]).unwrap();
        assert_eq!(loaded.config.bridge.listen.port(), 9);
        let loaded = try_it("", &[("PRIMRACK__WORLD__CALLBACKS", "['127.0.0.1:*']")]).unwrap();
        assert_eq!(loaded.config.world.callbacks, ["127.0.0.1:*"]);
        let error = try_it("", &[("PRIMRACK__BRIDGE__DRAIN_S", "soon")]).unwrap_err();
        assert!(error.contains("PRIMRACK__BRIDGE__DRAIN_S"), "{error}");
    }

    #[test]
    fn a_place_is_found_by_table_and_key() {
        let text = "[bridge]\n[targets.web-1]\nbackend = 'x'\n[targets.\"web-2\"]\nbackend = 'local'\n";
        assert_eq!(&text[find(text, &["targets", "web-1", "backend"]).unwrap()], "backend = 'x'");
        assert_eq!(&text[find(text, &["targets", "web-2", "label"]).unwrap()], "[targets.\"web-2\"]");
    }
}
