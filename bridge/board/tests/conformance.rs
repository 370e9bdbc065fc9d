//! The rules of every adapter, kept by a board that is played in software.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use primrack_adapter_api::Adapter;
use primrack_adapter_api::conformance::{Subject, check, compare};
use primrack_board::{Badges, BoardConfig, BoardParts, Boards};
use primrack_link::message::ResetCause;
use primrack_link::soft::{SoftBoard, SoftConfig};
use primrack_model::Address;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const CONFIG: &str = "
port = 'soft'
[outputs.fan]
index = 0
[doors.front-door]
lock = 2
";

/// A board, and bridges that come and go without saying farewell.
struct Bench {
    soft: SoftBoard,
    bridge: Mutex<Option<Runtime>>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(bridge) = self.bridge.lock().unwrap().take() {
            bridge.shutdown_background();
        }
    }
}

#[async_trait::async_trait]
impl Subject for Bench {
    fn make(&self) -> Arc<dyn Adapter> {
        let mut bridge = self.bridge.lock().unwrap();
        // As kill -9 would.
        if let Some(old) = bridge.take() {
            old.shutdown_background();
        }
        let mut boards = Boards::default();
        let config: BoardConfig = toml::from_str(CONFIG).unwrap();
        let dial = Some(self.soft.dial());
        let parts = BoardParts { name: "gate".into(), config, badges: Badges::none([0; 32]), dial };
        let adapter = boards.add(parts, &[]).unwrap();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let _inside = runtime.enter();
        boards.start_alone(&TaskTracker::new(), &CancellationToken::new());
        *bridge = Some(runtime);
        adapter
    }
    fn address(&self) -> Address {
        Address("fan".into())
    }
    fn patience(&self) -> Duration {
        Duration::from_secs(20)
    }
    async fn kill_from_outside(&self) {
        self.soft.reset(ResetCause::BrownOut);
    }
}

#[tokio::test]
async fn keeps_the_conformance_suite_as_its_quality_file_says() {
    let soft = SoftBoard::start(SoftConfig::default(), CancellationToken::new());
    let bench = Bench { soft, bridge: Mutex::default() };
    let checked = check(&bench).await.unwrap();
    let file: toml::Table = toml::from_str(include_str!("../quality.toml")).unwrap();
    let rules: BTreeMap<String, String> = file["rules"].clone().try_into().unwrap();
    compare(&rules, &checked).unwrap();
}
