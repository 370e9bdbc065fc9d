//! `primrack object enrol` and `rotate`: keys are made here and shown once.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use primrack_model::{ObjectId, UnixMs};
use primrack_world::{Key, Keyring};
use serde_json::json;

use crate::command::ConfigFile;
use crate::compose::keys_path;
use crate::config::Loaded;
use crate::out::{complain, line};

/// Makes a key for an object and prints its notecard. Refused when the object has one.
#[derive(Debug, Args)]
pub(super) struct Enrol {
    /// The object's id, as in the configuration
    id: ObjectId,
    #[command(flatten)]
    file: KeyFile,
}

/// Makes a new key for an object; the old one is valid for a while beside it.
#[derive(Debug, Args)]
pub(super) struct Rotate {
    /// The object's id
    id: ObjectId,
    /// How long the old key is still taken, such as 24h or 30m; 0s ends it at once
    #[arg(long, value_name = "SPAN", default_value = "24h", value_parser = parse_span)]
    keep_old: jiff::SignedDuration,
    #[command(flatten)]
    file: KeyFile,
}

#[derive(Debug, Args)]
struct KeyFile {
    /// The file of keys, instead of the configured one
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The bridge's address as regions reach it, for the notecard
    #[arg(long, value_name = "URL")]
    bridge: Option<String>,
    /// For machines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFile,
}

fn parse_span(text: &str) -> Result<jiff::SignedDuration, String> {
    match text.parse::<jiff::SignedDuration>() {
        Ok(span) if !span.is_negative() => Ok(span),
        _ => Err(format!("{text:?} is no span such as 24h or 30m")),
    }
}

impl KeyFile {
    /// The configuration is needed unless key file and bridge are named.
    fn loaded(&self) -> anyhow::Result<Option<Loaded>> {
        if self.key_file.is_some() && self.bridge.is_some() { Ok(None) } else { self.config.read().map(Some) }
    }

    fn path(&self, loaded: Option<&Loaded>) -> PathBuf {
        match (&self.key_file, loaded) {
            (Some(path), _) => path.clone(),
            (None, Some(loaded)) => keys_path(loaded),
            (None, None) => PathBuf::from("world.keys"),
        }
    }

    fn bridge(&self, loaded: Option<&Loaded>) -> String {
        let base = match (&self.bridge, loaded) {
            (Some(bridge), _) => bridge.trim_end_matches('/').to_owned(),
            (None, Some(loaded)) => {
                let bridge = &loaded.config.bridge;
                let scheme = if bridge.tls_certificate.is_some() { "https" } else { "http" };
                format!("{scheme}://{}", bridge.listen)
            }
            (None, None) => String::new(),
        };
        if base.ends_with("/world/1") { base } else { format!("{base}/world/1") }
    }

    /// Prints the new key, once.
    fn print(&self, id: &ObjectId, key: &str, secret: &str, loaded: Option<&Loaded>) -> anyhow::Result<()> {
        let bridge = self.bridge(loaded);
        let path = self.path(loaded);
        if self.json {
            let key = format!("{key}.{secret}");
            let value = json!({ "object": id, "key": key, "bridge": bridge, "key_file": path });
            line(&value.to_string())?;
            return Ok(());
        }
        line(&format!("# Notecard rack.conf of {id}. The key is a password and is shown only now."))?;
        line(&format!("id = {id}\nkey = {key}.{secret}\nbridge = {bridge}"))?;
        let complaints = [
            format!(
                "The key is in {}. A running bridge reads that file at SIGHUP: `kill -HUP` it.",
                path.display()
            ),
            "Set the notecard to no copy, no modify, no transfer for the next owner.".to_owned(),
        ];
        complaints.iter().for_each(|words| complain(words));
        if self.bridge.is_none() && loaded.is_some_and(|it| it.config.bridge.listen.ip().is_loopback()) {
            complain("This bridge listens on this machine only: a region elsewhere needs another address.");
        }
        if loaded.is_some_and(|loaded| !loaded.config.objects.contains_key(id.as_str())) {
            complain(&format!(
                "{id} is not in the configuration yet: add\n\n  [objects.{id}]\n  units = {{ 1 = \"TARGET\" }}\n"
            ));
        }
        Ok(())
    }
}

impl Enrol {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self { id, file } = self;
        let loaded = file.loaded()?;
        let path = file.path(loaded.as_ref());
        let secret = enrol(&path, &id)?;
        file.print(&id, "a", &secret, loaded.as_ref())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Rotate {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self { id, keep_old, file } = self;
        let loaded = file.loaded()?;
        let path = file.path(loaded.as_ref());
        let until = UnixMs(UnixMs::now().0 + i64::try_from(keep_old.as_millis()).unwrap_or(i64::MAX / 2));
        let (key, secret) = rotate(&path, &id, until)?;
        file.print(&id, &key, &secret, loaded.as_ref())?;
        if !file.json {
            complain(&format!("The old key is taken until {until}."));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A secret: 32 random bytes as 64 hex digits.
fn secret() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("no randomness: {error}"))?;
    Ok(hex::encode(bytes))
}

/// What is in the file now; nothing where it is not there yet.
fn ring(path: &Path) -> anyhow::Result<(Keyring, String)> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok((Keyring::read(path)?, text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok((Keyring::default(), String::new())),
        Err(error) => Err(anyhow!("the key file {} cannot be read: {error}", path.display())),
    }
}

/// Adds the first key of an object and returns its secret.
pub(crate) fn enrol(path: &Path, id: &ObjectId) -> anyhow::Result<String> {
    let (ring, mut text) = ring(path)?;
    if ring.knows(id.as_str()) {
        bail!(
            "{id} has a key already, which is not shown again: `primrack object rotate {id}` makes another"
        );
    }
    let secret = secret()?;
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&format!("{id} a {secret}\n"));
    replace(path, &text)?;
    Ok(secret)
}

/// Ends the present keys of an object at `until` and adds another. Returns its id and secret.
fn rotate(path: &Path, id: &ObjectId, until: UnixMs) -> anyhow::Result<(String, String)> {
    let (ring, text) = ring(path)?;
    let keys = ring.of(id.as_str());
    if keys.is_empty() {
        bail!("{id} has no key yet: `primrack object enrol {id}` makes one");
    }
    let new = ('a'..='z')
        .map(String::from)
        .find(|new| keys.iter().all(|key| key.id.as_str() != new))
        .ok_or_else(|| anyhow!("{id} has 26 keys: remove the lines of old ones from {}", path.display()))?;
    let secret = secret()?;
    let mut lines: Vec<String> = text.lines().map(|text| ending(text, id, keys, until)).collect();
    lines.push(format!("{id} {new} {secret}"));
    replace(path, &format!("{}\n", lines.join("\n")))?;
    Ok((new, secret))
}

/// A line of the key file: one of the object's, whose time is not over earlier, gets its end.
fn ending(text: &str, id: &ObjectId, keys: &[Key], until: UnixMs) -> String {
    let bare = text.split('#').next().unwrap_or_default();
    let mut fields = bare.split_whitespace();
    let (Some(object), Some(key), Some(secret)) = (fields.next(), fields.next(), fields.next()) else {
        return text.to_owned();
    };
    let earlier = keys
        .iter()
        .find(|known| known.id.as_str() == key)
        .and_then(|known| known.until)
        .is_some_and(|end| end <= until);
    if object != id.as_str() || earlier {
        return text.to_owned();
    }
    let comment = text.split_once('#').map(|(_, rest)| format!(" #{rest}")).unwrap_or_default();
    format!("{object} {key} {secret} {until}{comment}")
}

/// Writes the file anew beside the old one and puts it in its place, readable by its owner only: a bridge
/// that starts meanwhile reads the old or the new one, never half of it.
fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    let words = || format!("the key file {} cannot be written", path.display());
    let beside = path.with_extension(format!("new.{}", std::process::id()));
    let mut file: File =
        File::options().write(true).create_new(true).mode(0o600).open(&beside).with_context(words)?;
    let written = file
        .set_permissions(std::fs::Permissions::from_mode(0o600))
        .and_then(|()| file.write_all(text.as_bytes()))
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() && std::fs::remove_file(&beside).is_err() {
        tracing::debug!("the half-written key file stays");
    }
    written.with_context(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enrolled_object_has_a_key_that_only_its_owner_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("world.keys");
        let (one, two) = (ObjectId::new("rack-1").unwrap(), ObjectId::new("rack-2").unwrap());
        let secret = enrol(&path, &one).unwrap();
        assert_eq!(secret.len(), 64);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        enrol(&path, &two).unwrap();
        let ring = Keyring::read(&path).unwrap();
        assert!(ring.knows("rack-1") && ring.knows("rack-2"));
        let error = enrol(&path, &one).unwrap_err().to_string();
        assert!(error.contains("object rotate rack-1") && !error.contains(&secret), "{error}");
    }

    #[test]
    fn a_rotated_key_and_the_old_one_are_valid_side_by_side() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("world.keys");
        let id = ObjectId::new("rack-1").unwrap();
        assert!(rotate(&path, &id, UnixMs(0)).unwrap_err().to_string().contains("object enrol rack-1"));
        enrol(&path, &id).unwrap();
        enrol(&path, &ObjectId::new("rack-2").unwrap()).unwrap();
        let until = UnixMs(4_102_444_800_000);
        assert_eq!(rotate(&path, &id, until).unwrap().0, "b");
        let ring = Keyring::read(&path).unwrap();
        let (before, after) = (UnixMs(until.0 - 1), until);
        assert!(ring.find("rack-1", "a", before).is_some() && ring.find("rack-1", "b", before).is_some());
        assert!(ring.find("rack-1", "a", after).is_none() && ring.find("rack-1", "b", after).is_some());
        assert!(ring.find("rack-2", "a", after).is_some(), "another object's key has no end");
        // The first one's end is not moved by the next change.
        assert_eq!(rotate(&path, &id, UnixMs(until.0 + 5)).unwrap().0, "c");
        assert!(Keyring::read(&path).unwrap().find("rack-1", "a", after).is_none());
    }
}
