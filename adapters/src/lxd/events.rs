//! What the daemon tells of its instances, and what is remembered of that: who ended what.

use std::collections::HashMap;

use parking_lot::Mutex;
use serde::Deserialize;

use super::map::{End, is_name};

/// How many instances are remembered; beyond it all is forgotten, and their ends are told without a cause.
const KEPT: usize = 20_000;

/// One message of the stream.
#[derive(Debug, Deserialize)]
pub(super) struct Event {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    metadata: Option<Lifecycle>,
}

#[derive(Debug, Deserialize)]
struct Lifecycle {
    #[serde(default)]
    action: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    requestor: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    context: Option<HashMap<String, serde_json::Value>>,
}

/// How instances ended, by their names.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<HashMap<String, End>>);

impl Memory {
    /// Takes an event in. The names of the instances whose state it may have changed.
    pub(super) fn hear(&self, event: Event) -> Vec<String> {
        let Some(told) = event.metadata.filter(|_| event.kind == "lifecycle") else { return Vec::new() };
        let Some(name) = instance(&told.source) else { return Vec::new() };
        let Some(what) =
            told.action.strip_prefix("instance-").or_else(|| told.action.strip_prefix("container-"))
        else {
            return Vec::new();
        };
        match what {
            "stopped" | "shutdown" => {
                let end = if told.requestor.is_some() { End::Asked } else { End::ByItself };
                self.change(name, Some(end));
            }
            "started" | "restarted" | "ready" | "created" | "deleted" => self.change(name, None),
            // What reads, or runs beside the instance's own processes.
            _ if ["console", "exec", "file", "log", "metadata", "backup", "snapshot"]
                .iter()
                .any(|harmless| what.starts_with(harmless)) =>
            {
                return Vec::new();
            }
            _ => {}
        }
        let old = told.context.as_ref().and_then(|context| context.get("old_name"));
        let old = old.and_then(serde_json::Value::as_str).filter(|old| is_name(old));
        [Some(name), old].into_iter().flatten().map(str::to_owned).collect()
    }

    /// Events were missed, or may have been.
    pub(super) fn forget(&self) {
        self.0.lock().clear();
    }

    pub(super) fn end(&self, name: &str) -> Option<End> {
        self.0.lock().get(name).copied()
    }

    fn change(&self, name: &str, end: Option<End>) {
        let mut ends = self.0.lock();
        match end {
            None => {
                ends.remove(name);
            }
            Some(end) => {
                if ends.len() >= KEPT && !ends.contains_key(name) {
                    ends.clear();
                }
                ends.insert(name.to_owned(), end);
            }
        }
    }
}

/// The instance of a path such as `/1.0/instances/NAME/snapshots/s?project=p`.
fn instance(source: &str) -> Option<&str> {
    let path = source.split('?').next()?;
    let mut parts = path.strip_prefix("/1.0/")?.split('/');
    parts.next().filter(|kind| matches!(*kind, "instances" | "containers" | "virtual-machines"))?;
    parts.next().filter(|name| is_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(action: &str, source: &str, more: &str) -> Event {
        let text = format!(
            r#"{{"type":"lifecycle","location":"none","metadata":{{"action":"{action}","source":"{source}"{more}}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }
    const SOMEBODY: &str = r#","requestor":{"username":"root","protocol":"unix","address":"@"}"#;

    #[test]
    fn who_ended_it_is_what_was_heard() {
        let memory = Memory::default();
        let web = "/1.0/instances/web?project=other";
        assert_eq!(memory.hear(event("instance-shutdown", web, SOMEBODY)), ["web"]);
        assert_eq!(memory.end("web"), Some(End::Asked));
        memory.hear(event("instance-started", web, SOMEBODY));
        assert_eq!(memory.end("web"), None);
        memory.hear(event("instance-shutdown", web, ""));
        assert_eq!(memory.end("web"), Some(End::ByItself));
        memory.forget();
        assert_eq!(memory.end("web"), None);
    }

    #[test]
    fn what_changes_no_state_leads_to_no_look() {
        let memory = Memory::default();
        for (action, source) in [
            ("instance-exec", "/1.0/instances/web"),
            ("instance-snapshot-created", "/1.0/instances/web/snapshots/s"),
            ("image-created", "/1.0/images/0f"),
            ("instance-started", "/1.0/instances/..%2f"),
            ("instance-started", "somewhere"),
        ] {
            assert!(memory.hear(event(action, source, "")).is_empty(), "{action}");
        }
        let renamed = event("instance-renamed", "/1.0/instances/new", r#","context":{"old_name":"old"}"#);
        assert_eq!(memory.hear(renamed), ["new", "old"]);
        let other: Event =
            serde_json::from_str(r#"{"type":"logging","metadata":{"message":"hello"}}"#).unwrap();
        assert!(memory.hear(other).is_empty());
    }
}
