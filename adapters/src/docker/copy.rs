//! Images of containers: to return to, and to make another from.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bollard::models::ContainerConfig;
use bollard::query_parameters::{
    CommitContainerOptionsBuilder, RemoveContainerOptionsBuilder, RenameContainerOptionsBuilder,
};
use primrack_adapter_api::AdapterError;
use primrack_model::Address;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::containers::stamp;

use super::adapter::{Inner, done};
use super::client::{Engine, error};
use super::map::Inspected;

/// The label of an image that is a snapshot; its value is the container's name.
const LABEL: &str = "primrack.snapshot";
/// The longest inspection and listing of images.
const LONGEST: u64 = 8 << 20;
/// How long writing an image may take; the command's own deadline is shorter.
const WRITING: Duration = Duration::from_secs(3600);
/// How many clones of one container may have names.
const CLONES: u32 = 99;
/// How long the old one may take to end, when it is replaced.
const ENDING: Duration = Duration::from_secs(30);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Image {
    id: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Made {
    id: String,
}

impl Inner {
    /// Writes what is on the container's disk into an image, and gives its id. The daemon holds the
    /// container meanwhile.
    pub(super) async fn snapshot(&self, engine: &Engine, seen: &Inspected) -> Result<String, AdapterError> {
        self.commit(engine, seen, &stamp()).await
    }

    async fn commit(&self, engine: &Engine, seen: &Inspected, tag: &str) -> Result<String, AdapterError> {
        let name = seen.plain_name();
        let change = format!("LABEL {LABEL}={name}");
        let options = CommitContainerOptionsBuilder::new()
            .container(&seen.id)
            .repo(&format!("primrack/{}", repository(name)))
            .tag(tag)
            .pause(true)
            .changes(&change)
            .build();
        let docker = engine.clone().with_timeout(WRITING);
        let image = docker.commit_container(options, ContainerConfig::default()).await;
        image.map(|image| image.id).map_err(|why| error(&why))
    }

    /// Puts one made from the newest snapshot in its place; it runs if the old one ran.
    pub(super) async fn revert(
        self: &Arc<Self>,
        engine: &Engine,
        seen: &Inspected,
    ) -> Result<(), AdapterError> {
        let name = seen.plain_name();
        let image = self.newest(name).await?;
        let raw = self.raw(seen).await?;
        can_be_made_again(name, &raw)?;
        let (new, old) = (format!("{name}-primrack-new"), format!("{name}-primrack-old"));
        // Until here, and if this fails, nothing has changed.
        let made = self.make(&new, like(&raw, &image)).await?;
        if let Err(why) = self.change_places(engine, seen, &made, &old).await {
            self.remove(engine, &made).await.ok();
            return Err(why);
        }
        self.remove(engine, &seen.id).await?;
        if seen.runs() { self.start(engine, &made).await } else { Ok(()) }
    }

    /// Ends the old one, if it runs, and gives its name to the new one.
    async fn change_places(
        &self,
        engine: &Engine,
        seen: &Inspected,
        made: &str,
        aside: &str,
    ) -> Result<(), AdapterError> {
        let name = seen.plain_name();
        if seen.runs() {
            self.kill(engine, seen).await?;
            self.ended(&Address(name.into()), Instant::now() + ENDING).await?;
        }
        let renamed = async {
            self.rename(engine, &seen.id, aside).await?;
            let taken = self.rename(engine, made, name).await;
            if taken.is_err() {
                self.rename(engine, &seen.id, name).await?;
            }
            taken
        };
        let renamed = renamed.await;
        if renamed.is_err() && seen.runs() {
            self.start(engine, &seen.id).await?;
        }
        renamed
    }

    /// Makes another from what is on its disk now; it stays off.
    pub(super) async fn clone_of(&self, engine: &Engine, seen: &Inspected) -> Result<(), AdapterError> {
        let name = seen.plain_name();
        let mut raw = self.raw(seen).await?;
        can_be_made_again(name, &raw)?;
        // A tag of another kind: what a clone is made from is no snapshot to return to.
        let image = self.commit(engine, seen, &stamp().replace("primrack-", "clone-")).await?;
        // Two cannot have one address.
        if let Some(config) = raw.get_mut("Config").and_then(Value::as_object_mut) {
            config.remove("MacAddress");
            config.remove("Hostname");
        }
        let body = like(&raw, &image);
        for n in 1..=CLONES {
            match self.make(&format!("{name}-clone-{n}"), body.clone()).await {
                Err(AdapterError::Refused(words)) if words.contains("in use") => {}
                other => return other.map(drop),
            }
        }
        Err(AdapterError::Refused(format!("{name} has {CLONES} clones already")))
    }

    async fn newest(&self, name: &str) -> Result<String, AdapterError> {
        // The name consists of letters that need no escape.
        let filter = format!("%7B%22label%22%3A%5B%22{LABEL}%3D{name}%22%5D%7D");
        let images: Vec<Image> =
            self.client.ask("GET", &format!("/images/json?filters={filter}"), None, LONGEST).await?;
        let dated = images.into_iter().filter_map(|image| {
            let tags = image.repo_tags.unwrap_or_default();
            let dates = tags.iter().filter_map(|tag| Some(tag.rsplit_once(":primrack-")?.1.to_owned()));
            Some((dates.max()?, image.id))
        });
        let newest = dated.max().map(|(_, id)| id);
        newest.ok_or_else(|| AdapterError::Refused(format!("{name} has no snapshot to return to")))
    }

    async fn raw(&self, seen: &Inspected) -> Result<Value, AdapterError> {
        self.client.ask("GET", &format!("/containers/{}/json", seen.id), None, LONGEST).await
    }

    async fn make(&self, name: &str, body: Value) -> Result<String, AdapterError> {
        let made: Made = match self
            .client
            .ask("POST", &format!("/containers/create?name={name}"), Some(&body), LONGEST)
            .await
        {
            // It is the image or a network that is not there.
            Err(AdapterError::NotFound(words)) => return Err(AdapterError::Refused(words)),
            other => other?,
        };
        Ok(made.id)
    }

    async fn rename(&self, engine: &Engine, id: &str, name: &str) -> Result<(), AdapterError> {
        let options = RenameContainerOptionsBuilder::new().name(name).build();
        done(engine.rename_container(id, options).await)
    }

    async fn remove(&self, engine: &Engine, id: &str) -> Result<(), AdapterError> {
        let options = RemoveContainerOptionsBuilder::new().v(false).build();
        done(engine.remove_container(id, Some(options)).await)
    }
}

/// What to create for another like the inspected one, from `image`.
fn like(raw: &Value, image: &str) -> Value {
    let mut body = raw.get("Config").cloned().unwrap_or_else(|| json!({}));
    if let Some(config) = body.as_object_mut() {
        // The name that the daemon made of its id is not its own.
        let id = raw.get("Id").and_then(Value::as_str).unwrap_or_default();
        let given = config.get("Hostname").and_then(Value::as_str).is_some_and(|name| !id.starts_with(name));
        if !given {
            config.remove("Hostname");
        }
        config.insert("Image".to_owned(), image.into());
        let mut host = raw.get("HostConfig").cloned().unwrap_or(Value::Null);
        // Podman tells limits by their names in C and takes them by those of a shell.
        for limit in host.get_mut("Ulimits").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(Value::String(name)) = limit.get_mut("Name") {
                *name = name.trim_start_matches("RLIMIT_").to_ascii_lowercase();
            }
        }
        config.insert("HostConfig".to_owned(), host);
    }
    body
}

/// Refuses what would come out different.
fn can_be_made_again(name: &str, raw: &Value) -> Result<(), AdapterError> {
    let networks = raw.pointer("/NetworkSettings/Networks").and_then(Value::as_object);
    if networks.is_some_and(|networks| networks.len() > 1) {
        return Err(AdapterError::Refused(format!("{name} is in several networks, which would be lost")));
    }
    let mounts = raw.pointer("/Mounts").and_then(Value::as_array);
    let nameless = |mount: &Value| {
        let name = mount.get("Name").and_then(Value::as_str).unwrap_or_default();
        mount.get("Type").and_then(Value::as_str) == Some("volume")
            && name.len() == 64
            && name.bytes().all(|b| b.is_ascii_hexdigit())
    };
    if mounts.is_some_and(|mounts| mounts.iter().any(nameless)) {
        return Err(AdapterError::Refused(format!(
            "{name} has a volume without a name, which would be lost"
        )));
    }
    if raw.pointer("/HostConfig/AutoRemove").and_then(Value::as_bool) == Some(true) {
        return Err(AdapterError::Refused(format!("{name} is removed when it ends (--rm)")));
    }
    Ok(())
}

/// A container's name as part of an image's: lower case, and single separators between letters.
fn repository(name: &str) -> String {
    let words: Vec<String> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    words.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_is_made_with_all_that_was_set() {
        let raw = json!({
            "Id": "0123456789abcdef", "Config": {"Hostname": "0123456789ab", "Env": ["A=1"], "Image": "old"},
            "HostConfig": {"Memory": 7, "NetworkMode": "lan"},
        });
        assert_eq!(
            like(&raw, "new"),
            json!({"Env": ["A=1"], "Image": "new", "HostConfig": {"Memory": 7, "NetworkMode": "lan"}})
        );
        let limits = json!({"Config": {}, "HostConfig": {"Ulimits": [{"Name": "RLIMIT_NOFILE", "Soft": 1}]}});
        assert_eq!(like(&limits, "i").pointer("/HostConfig/Ulimits/0/Name"), Some(&json!("nofile")));
        assert_eq!(repository("Web__1.-x"), "web-1-x");
    }

    #[test]
    fn what_would_be_lost_is_refused() {
        let refused = |raw: Value| can_be_made_again("web", &raw).is_err();
        assert!(!refused(json!({"Mounts": [{"Type": "volume", "Name": "data"}]})));
        assert!(refused(json!({"Mounts": [{"Type": "volume", "Name": "0".repeat(64)}]})));
        assert!(refused(json!({"NetworkSettings": {"Networks": {"a": {}, "b": {}}}})));
        assert!(refused(json!({"HostConfig": {"AutoRemove": true}})));
    }
}
