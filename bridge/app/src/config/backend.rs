//! `[backends.NAME]`: how one backend is driven, and the one technology that it speaks.

use std::fmt;

use primrack_adapter_api::DriverSettings;
use primrack_adapters::{Named, Technology};
use primrack_board::BoardConfig;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};

/// `[backends.NAME]`
#[derive(Debug, Clone)]
pub struct BackendConfig {
    /// How patient its driver is.
    pub driver: DriverSettings,
    /// Whether commands end with what would have been done, without doing it.
    pub dry_run: bool,
    /// The process of its own that its adapter runs in, where it has one.
    pub own: Option<OwnProcess>,
    /// What it speaks.
    pub kind: BackendKind,
}

/// `own_process = true` or `run_as = "user"`: the adapter runs in a process of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnProcess {
    /// The user that it runs as; the bridge's own if absent.
    pub user: Option<String>,
}

/// What a backend is: the one table that it has besides `driver`.
#[derive(Debug, Clone)]
pub enum BackendKind {
    /// `[backends.NAME.board]`: a microcontroller with readers, buttons and outputs.
    Board(Box<BoardConfig>),
    /// `[backends.NAME.TECHNOLOGY]`: machines.
    Technology(Box<Technology>),
}

impl BackendConfig {
    /// The board, where it is one.
    #[must_use]
    pub fn board(&self) -> Option<&BoardConfig> {
        match &self.kind {
            BackendKind::Board(board) => Some(board),
            BackendKind::Technology(_) => None,
        }
    }
    /// The technology, where it is none of ours.
    #[must_use]
    pub fn technology(&self) -> Option<&Technology> {
        match &self.kind {
            BackendKind::Board(_) => None,
            BackendKind::Technology(technology) => Some(technology),
        }
    }
}

/// Read by hand: which table there is says what the backend is, and a derived reader would either lose
/// the places of mistakes or need one more field for each technology.
impl<'de> Deserialize<'de> for BackendConfig {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Backend)
    }
}

struct Backend;

impl<'de> Visitor<'de> for Backend {
    type Value = BackendConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table with one technology in it")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<BackendConfig, A::Error> {
        let mut driver = None;
        let mut dry_run = false;
        let (mut own_process, mut run_as) = (None, None);
        let mut kind: Option<(String, BackendKind)> = None;
        while let Some(key) = map.next_key::<String>()? {
            if key == "driver" {
                driver = Some(map.next_value()?);
                continue;
            }
            if key == "dry_run" {
                dry_run = map.next_value()?;
                continue;
            }
            if key == "own_process" {
                own_process = Some(map.next_value::<bool>()?);
                continue;
            }
            if key == "run_as" {
                run_as = Some(map.next_value::<String>()?);
                continue;
            }
            let next = if key == "board" {
                BackendKind::Board(map.next_value()?)
            } else {
                BackendKind::Technology(Box::new(map.next_value_seed(Named(&key))?))
            };
            if let Some((other, _)) = &kind {
                return Err(de::Error::custom(format!(
                    "it names two technologies, {other} and {key}: give each a backend of its own"
                )));
            }
            kind = Some((key, next));
        }
        let Some((_, kind)) = kind else {
            return Err(de::Error::custom(format!(
                "it names no technology: add a table below it, .board or one of .{}",
                Technology::NAMES.join(", .")
            )));
        };
        if dry_run && matches!(kind, BackendKind::Board(_)) {
            return Err(de::Error::custom(
                "a board has no dry run: what it drives by itself would go on. Remove dry_run",
            ));
        }
        if own_process == Some(false) && run_as.is_some() {
            return Err(de::Error::custom(
                "run_as needs a process of its own: remove own_process = false, or run_as",
            ));
        }
        let own = (own_process == Some(true) || run_as.is_some()).then_some(OwnProcess { user: run_as });
        if own.is_some() && matches!(kind, BackendKind::Board(_)) {
            return Err(de::Error::custom(
                "a board is an edge of the bridge and cannot have a process of its own: remove own_process and run_as",
            ));
        }
        Ok(BackendConfig { driver: driver.unwrap_or_default(), dry_run, own, kind })
    }
}
