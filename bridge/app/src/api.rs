//! The API from configuration to the running bridge: what it asks of rooms that it does not know.

use std::sync::{Arc, OnceLock};

use futures::future::BoxFuture;
use primrack_board::Boards;
use primrack_web::api::{ApiConfigError, ApiHost, ApiPlan};
use primrack_world::World;
use serde_json::Value;

use crate::catalogue::Catalogue;
use crate::compose::Mistakes;
use crate::config::{Loaded, Mistake};

/// What was configured, with its files read.
pub(crate) fn plan(loaded: &Loaded) -> Result<ApiPlan, Mistake> {
    let mut config = loaded.config.api.clone();
    config.resolve(loaded.folder());
    config.plan().map_err(|ApiConfigError { place, words, hint }| {
        let path: Vec<&str> = ["api"].into_iter().chain(place.iter().map(String::as_str)).collect();
        loaded.at(&path, format!("[api] {words}")).with_hint(hint)
    })
}

/// The other rooms, as the API sees them.
pub(crate) struct Host {
    pub(crate) world: Arc<World>,
    pub(crate) boards: Arc<Boards>,
    /// Named once it is there.
    pub(crate) catalogue: OnceLock<Arc<Catalogue>>,
}

fn all(told: impl Iterator<Item = Result<Value, serde_json::Error>>) -> Vec<Value> {
    told.filter_map(Result::ok).collect()
}

impl ApiHost for Host {
    fn objects(&self) -> Vec<Value> {
        all(self.world.objects().iter().map(serde_json::to_value))
    }
    fn boards(&self) -> Vec<Value> {
        all(self.boards.status().iter().map(serde_json::to_value))
    }
    fn reload(&self, check: bool) -> BoxFuture<'static, Result<(bool, Value), Vec<String>>> {
        let catalogue = self.catalogue.get().cloned();
        Box::pin(async move {
            let Some(catalogue) = catalogue else { return Err(vec!["the bridge is starting".to_owned()]) };
            match catalogue.reload(check).await {
                Ok(reloaded) => {
                    let changes = serde_json::to_value(reloaded.changes).unwrap_or_default();
                    Ok((reloaded.applied, changes))
                }
                Err(Mistakes(reports)) => Err(reports.iter().map(ToString::to_string).collect()),
            }
        })
    }
}
