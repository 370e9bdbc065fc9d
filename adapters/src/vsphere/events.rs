//! The property collector's updates: what changed since a version that both sides keep.
//!
//! Updates are states and come in order, but several changes of a machine come as one. So after each,
//! its machines are asked, all in one question, and what they say is handed on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use primrack_adapter_api::{AdapterError, Hint, Hints};
use primrack_model::{Address, Observation, Power};
use roxmltree::Node;

use super::adapter::VsphereAdapter;
use super::client::{Session, returned};
use super::inventory::{PAGE, all_in, one, paths};
use super::map;
use super::soap::{Problem, Ref, child, child_text, children, text};

/// Whose changes are waited for. Load changes every 20 seconds and is left to the driver's looks.
const WATCHED: [&str; 8] = [
    "name",
    "runtime.powerState",
    "runtime.connectionState",
    "runtime.host",
    "runtime.question",
    "summary.runtime.bootTime",
    "summary.overallStatus",
    "guest.toolsRunningStatus",
];

/// A property collector of the listener's own, so that its waiting holds nothing up. Dropping it says so.
struct Collector {
    session: Arc<Session>,
    own: Ref,
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.session.say("DestroyPropertyCollector", &self.own);
    }
}

/// What was last heard of a machine.
#[derive(Debug, Default, Clone)]
struct Heard {
    on: bool,
    boot: String,
}

/// One machine in an update.
struct Change {
    id: String,
    gone: bool,
    renamed: bool,
    /// What was heard of it before this update, where anything was.
    before: Option<Heard>,
    /// It was on, is on, and booted in between: it went through a new beginning.
    anew: bool,
}

/// Sends hints until something goes wrong.
pub(super) async fn listen(
    adapter: &VsphereAdapter,
    session: &Arc<Session>,
    hints: &Hints,
) -> Result<(), Problem> {
    let general = session.content().property_collector.clone();
    let own = session.call("CreatePropertyCollector", &general, "", returned).await?;
    let collector = Collector { session: Arc::clone(session), own };
    let filter = format!(
        "<spec>{}{}</spec><partialUpdates>false</partialUpdates>",
        paths("VirtualMachine", &WATCHED),
        all_in(&session.view)
    );
    session.call("CreateFilter", &collector.own, &filter, returned).await?;
    let wait = Duration::from_secs(adapter.answer_within().as_secs().clamp(1, 30));
    let mut heard: HashMap<String, Heard> = HashMap::new();
    let mut version = String::new();
    let mut first = true;
    loop {
        let arguments = format!(
            "{}<options>{}{}</options>",
            text("version", &version),
            text("maxWaitSeconds", &wait.as_secs().to_string()),
            text("maxObjectUpdates", &PAGE.to_string())
        );
        let patience = wait + adapter.answer_within();
        let update = session
            .call_within(patience, "WaitForUpdatesEx", &collector.own, &arguments, |node| {
                Ok(update(node, &mut heard))
            })
            .await?;
        let Some(update) = update else { continue };
        version = update.version;
        if first {
            // The driver's first looks may have come before the stream stood.
            for Change { id, .. } in update.changes {
                changed(adapter, hints, &id).await?;
            }
            first = update.truncated;
        } else {
            for some in update.changes.chunks(PAGE) {
                tell(adapter, session, hints, some).await?;
            }
        }
    }
}

struct Update {
    version: String,
    truncated: bool,
    changes: Vec<Change>,
}

/// Reads an update; `None` when nothing has changed for as long as was waited.
fn update(node: Node<'_, '_>, heard: &mut HashMap<String, Heard>) -> Option<Update> {
    let returned = child(node, "returnval")?;
    let mut changes: Vec<Change> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for object in children(returned, "filterSet").flat_map(|set| children(set, "objectSet")) {
        let Some(id) = child(object, "obj").and_then(Ref::read).map(|object| object.id) else { continue };
        let place = *places.entry(id.clone()).or_insert_with(|| {
            let before = heard.get(&id).cloned();
            changes.push(Change { id: id.clone(), gone: false, renamed: false, before, anew: false });
            changes.len() - 1
        });
        let change = &mut changes[place];
        change.gone = child_text(object, "kind") == Some("leave");
        if change.gone {
            heard.remove(&id);
            continue;
        }
        let now = heard.entry(id).or_default();
        for set in children(object, "changeSet") {
            let value = child(set, "val").and_then(|value| value.text()).unwrap_or_default();
            match child_text(set, "name") {
                Some("runtime.powerState") => now.on = value == "poweredOn",
                Some("summary.runtime.bootTime") => value.clone_into(&mut now.boot),
                Some("name") => change.renamed = true,
                _ => {}
            }
        }
        change.anew = change.before.as_ref().is_some_and(|before| {
            before.on && now.on && !before.boot.is_empty() && !now.boot.is_empty() && before.boot != now.boot
        });
    }
    Some(Update {
        version: child_text(returned, "version").unwrap_or_default().to_owned(),
        truncated: child_text(returned, "truncated") == Some("true"),
        changes,
    })
}

/// Asks the machines of an update what they are now, and hands it on.
async fn tell(
    adapter: &VsphereAdapter,
    session: &Arc<Session>,
    hints: &Hints,
    changes: &[Change],
) -> Result<(), Problem> {
    let there = || changes.iter().filter(|change| !change.gone);
    for gone in changes.iter().filter(|change| change.gone) {
        changed(adapter, hints, &gone.id).await?;
        adapter.names().lock().remove(&gone.id);
    }
    let anew = {
        let names = adapter.names().lock();
        // Templates and what lies outside have no address: they are no reason to read names again and again.
        there().any(|change| change.renamed || (names.are_old() && names.address(&change.id).is_none()))
    };
    if anew {
        adapter.read_names(session).await?;
    }
    let machines: String = there().map(|change| one(&Ref::vm(change.id.as_str()))).collect();
    if machines.is_empty() {
        return Ok(());
    }
    // One that is removed meanwhile is left out; its own update follows.
    let spec = paths("VirtualMachine", &map::PATHS)
        + &machines
        + "<reportMissingObjectsInResults>true</reportMissingObjectsInResults>";
    let mut seen: Vec<(String, Observation)> = Vec::with_capacity(changes.len());
    session
        .retrieve(&spec, &mut |machine, of| {
            if of.get("runtime.connectionState").is_some() {
                seen.push((machine.id, map::observation(of, &adapter.names().lock())));
            }
        })
        .await?;
    for mute in there().filter(|change| seen.iter().all(|(id, _)| *id != change.id)) {
        changed(adapter, hints, &mute.id).await?;
    }
    for (id, seen) in seen {
        let Some(address) = adapter.names().lock().address(&id).map(Address) else { continue };
        if seen.power == Power::On && there().any(|change| change.id == id && change.anew) {
            let began = Observation::of(Power::Starting).with_detail("began anew");
            send(hints, Hint::State(address.clone(), began)).await?;
        }
        send(hints, Hint::State(address, seen)).await?;
    }
    Ok(())
}

async fn changed(adapter: &VsphereAdapter, hints: &Hints, id: &str) -> Result<(), Problem> {
    let address = adapter.names().lock().address(id).map(Address);
    match address {
        Some(address) => send(hints, Hint::Changed(address)).await,
        None => Ok(()),
    }
}

async fn send(hints: &Hints, hint: Hint) -> Result<(), Problem> {
    let nobody = |_| Problem::Other(AdapterError::Unreachable("nobody listens any more".to_owned()));
    hints.send(hint).await.map_err(nobody)
}

#[cfg(test)]
mod tests {
    use super::super::soap::answer;
    use super::*;

    /// A machine's id, the kind of its change, and properties with their values.
    type Told<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

    fn read(heard: &mut HashMap<String, Heard>, changes: &[Told<'_>]) -> Update {
        let objects: String = changes
            .iter()
            .map(|(id, kind, set)| {
                let set: String = set
                    .iter()
                    .map(|(name, value)| {
                        format!("<changeSet><name>{name}</name><op>assign</op><val>{value}</val></changeSet>")
                    })
                    .collect();
                format!(
                    "<objectSet><kind>{kind}</kind><obj type=\"VirtualMachine\">{id}</obj>{set}</objectSet>"
                )
            })
            .collect();
        let text = format!(
            "<e><Body><r><returnval><version>7</version><filterSet>{objects}</filterSet></returnval></r></Body></e>"
        );
        answer(text.as_bytes(), |node| Ok(update(node, heard).unwrap())).unwrap()
    }

    #[test]
    fn a_reset_within_one_update_is_a_new_beginning_and_a_start_is_none() {
        let (on, off) = (("runtime.powerState", "poweredOn"), ("runtime.powerState", "poweredOff"));
        let boot = |time| ("summary.runtime.bootTime", time);
        let mut heard = HashMap::new();
        assert!(!read(&mut heard, &[("vm-1", "enter", &[on, boot("1")])]).changes[0].anew);
        let reset = read(&mut heard, &[("vm-1", "modify", &[off]), ("vm-1", "modify", &[on, boot("2")])]);
        assert_eq!((reset.version.as_str(), reset.changes.len(), reset.changes[0].anew), ("7", 1, true));
        assert!(!read(&mut heard, &[("vm-1", "modify", &[("name", "x")])]).changes[0].anew);
        assert!(!read(&mut heard, &[("vm-1", "modify", &[off])]).changes[0].anew);
        assert!(!read(&mut heard, &[("vm-1", "modify", &[on, boot("3")])]).changes[0].anew);
        let gone = read(&mut heard, &[("vm-1", "modify", &[off]), ("vm-1", "leave", &[])]);
        assert!(gone.changes[0].gone && heard.is_empty());
    }
}
