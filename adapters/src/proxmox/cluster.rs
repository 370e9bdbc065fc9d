//! What the cluster has, asked of all at once: many looks within a second share one question.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use primrack_adapter_api::AdapterError;
use serde::Deserialize;
use smol_str::SmolStr;

use super::client::Client;

/// How old an overview may be that answers a look.
const FRESH: Duration = Duration::from_millis(800);
/// How many guests are kept of an overview.
const MOST: usize = 10_000;
/// How long the token's rights are remembered.
const RIGHTS: Duration = Duration::from_secs(30);
/// The right to see a guest.
const AUDIT: &str = "VM.Audit";

/// One line of `/cluster/resources?type=vm`. Numbers come as numbers or, from some versions, as text.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Guest {
    /// `qemu/100`, `lxc/101`: the address.
    pub(super) id: SmolStr,
    /// `qemu` or `lxc`.
    #[serde(rename = "type")]
    pub(super) kind: SmolStr,
    pub(super) node: SmolStr,
    pub(super) name: SmolStr,
    pub(super) status: SmolStr,
    pub(super) lock: SmolStr,
    pub(super) hastate: SmolStr,
    pub(super) pool: SmolStr,
    /// Separated by `;`.
    pub(super) tags: SmolStr,
    pub(super) template: serde_json::Value,
    pub(super) cpu: f64,
    pub(super) maxcpu: f64,
    pub(super) mem: f64,
}

impl Guest {
    /// Whether it is a template, which nobody can start.
    fn is_template(&self) -> bool {
        matches!(&self.template, serde_json::Value::Bool(true))
            || self.template.as_i64() == Some(1)
            || self.template.as_str() == Some("1")
    }
    /// Its number.
    pub(super) fn number(&self) -> &str {
        self.id.split_once('/').map_or(self.id.as_str(), |(_, number)| number)
    }
    /// The path of its interface.
    pub(super) fn path<'a>(&'a self, rest: &[&'a str]) -> Vec<&'a str> {
        let mut path = vec!["nodes", self.node.as_str(), self.kind.as_str(), self.number()];
        path.extend(rest);
        path
    }
}

/// All guests by their address.
pub(super) type Overview = Arc<HashMap<SmolStr, Guest>>;

/// Path, then privilege, then whether it holds below that path, too.
type Rights = BTreeMap<String, BTreeMap<String, serde_json::Value>>;

#[derive(Debug, Default)]
struct Latest {
    seen: Option<(Instant, Overview)>,
    /// Counts what made it worthless: an answer to an older question is not kept.
    forgotten: u64,
}

/// The latest overview.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    latest: Mutex<Latest>,
    /// Held while it is asked for, so that many who look ask once.
    asking: tokio::sync::Mutex<()>,
    rights: Mutex<Option<(Instant, Arc<Rights>)>>,
}

impl Cluster {
    /// What was seen before says nothing any more.
    pub(super) fn forget(&self) {
        let mut latest = self.latest.lock();
        latest.seen = None;
        latest.forgotten += 1;
    }

    /// All guests, at most [`FRESH`] ago.
    pub(super) async fn overview(&self, client: &Client) -> Result<Overview, AdapterError> {
        if let Some(known) = self.known() {
            return Ok(known);
        }
        let _turn = self.asking.lock().await;
        match self.known() {
            Some(known) => Ok(known),
            None => self.ask(client).await,
        }
    }

    fn known(&self) -> Option<Overview> {
        let latest = self.latest.lock();
        latest.seen.as_ref().filter(|(asked, _)| asked.elapsed() < FRESH).map(|(_, known)| Arc::clone(known))
    }

    /// All guests, now.
    pub(super) async fn ask(&self, client: &Client) -> Result<Overview, AdapterError> {
        let (asked, forgotten) = (Instant::now(), self.latest.lock().forgotten);
        let mut guests: Vec<Guest> = client.get(&["cluster", "resources"], "type=vm").await?;
        if guests.is_empty() && !self.may_see(client, None).await? {
            // An empty list is what a token without rights gets, and what an empty cluster gives.
            return Err(AdapterError::Credentials(format!(
                "its token may see no guest: give it {AUDIT} (pveum acl modify /vms --tokens 'USER@REALM!NAME' \
                 --roles PVEVMUser), and remember that the rights of a token with privilege separation are its own"
            )));
        }
        if guests.len() > MOST {
            tracing::warn!(guests = guests.len(), kept = MOST, "the cluster has more guests than are kept");
            guests.truncate(MOST);
        }
        let guests = guests.into_iter().filter(|guest| !guest.is_template());
        let overview: Overview = Arc::new(guests.map(|guest| (guest.id.clone(), guest)).collect());
        let mut latest = self.latest.lock();
        if latest.forgotten == forgotten {
            latest.seen = Some((asked, Arc::clone(&overview)));
        }
        drop(latest);
        Ok(overview)
    }

    /// Whether the token may see a guest, or (`None`) any at all.
    pub(super) async fn may_see(&self, client: &Client, number: Option<&str>) -> Result<bool, AdapterError> {
        let known = {
            let rights = self.rights.lock();
            rights.as_ref().filter(|(asked, _)| asked.elapsed() < RIGHTS).map(|(_, known)| Arc::clone(known))
        };
        let rights = match known {
            Some(known) => known,
            None => {
                let asked: Rights = client.get(&["access", "permissions"], "").await?;
                let asked = Arc::new(asked);
                *self.rights.lock() = Some((Instant::now(), Arc::clone(&asked)));
                asked
            }
        };
        Ok(holds(&rights, number))
    }
}

fn holds(rights: &Rights, number: Option<&str>) -> bool {
    let mut seeing = rights.iter().filter(|(_, privileges)| privileges.contains_key(AUDIT));
    match number {
        None => seeing.any(|(path, _)| path == "/" || path.starts_with("/vms") || path.starts_with("/pool")),
        // Which guests are in a pool is not told to somebody who may not see them: then it may be there.
        Some(number) => seeing.any(|(path, _)| {
            path == "/" || path == "/vms" || path.starts_with("/pool") || *path == format!("/vms/{number}")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_tell_an_empty_cluster_from_a_blind_token() {
        let rights = |text: &str| serde_json::from_str::<Rights>(text).unwrap();
        assert!(!holds(&rights("{}"), None));
        assert!(!holds(&rights(r#"{"/storage":{"Datastore.Audit":1},"/vms":{"VM.PowerMgmt":1}}"#), None));
        assert!(holds(&rights(r#"{"/vms":{"VM.Audit":1}}"#), None));
        let one = rights(r#"{"/vms/100":{"VM.Audit":0}}"#);
        assert!(holds(&one, None) && holds(&one, Some("100")) && !holds(&one, Some("10")));
    }

    #[test]
    fn a_guest_is_read_whatever_is_missing_or_new() {
        let text = r#"[{"id":"qemu/100","type":"qemu","node":"pve1","status":"stopped","template":0,"new":[1]},
                       {"id":"lxc/101","type":"lxc","node":"pve1","status":"running","template":"1"}]"#;
        let guests: Vec<Guest> = serde_json::from_str(text).unwrap();
        assert_eq!(
            (guests[0].number(), guests[0].is_template(), guests[1].is_template()),
            ("100", false, true)
        );
        assert_eq!(guests[0].path(&["status", "start"]), ["nodes", "pve1", "qemu", "100", "status", "start"]);
    }
}
