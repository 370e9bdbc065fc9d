//! What both sides of a benchmark know: names, keys, messages.

use primrack_wire::world::{Dir, Form, NonceField, Sealing, Secret, Seq, seal};
use serde::{Deserialize, Serialize};

/// The key id of every object.
pub(crate) const KEY_ID: &str = "a";
/// The holder of every object: the nil prim.
pub(crate) const HOLDER: &str = "00000000-0000-4000-8000-000000000001";
/// The owner of every object.
pub(crate) const OWNER: &str = "00000000-0000-4000-8000-000000000002";
/// How many avatars touch.
pub(crate) const PEOPLE: usize = 100;
/// How many addresses the sink answers on, each a host of its own.
pub(crate) const HOSTS: usize = 100;

/// The id of an object.
pub(crate) fn object_id(object: usize) -> String {
    format!("o{object}")
}
/// The key of an object. Known to everybody: it protects nothing but a benchmark.
pub(crate) fn secret(object: usize) -> Secret {
    Secret::new(&format!("{object:064x}")).unwrap_or_else(|_| unreachable!("64 hex digits are a secret"))
}
/// An avatar that may do everything.
pub(crate) fn avatar(person: usize) -> String {
    format!("00000000-0000-4000-9000-{:012x}", person % PEOPLE)
}
/// Where an object's pushes go. `manner` is the sink's behaviour, see [`crate::load::Manner`].
pub(crate) fn callback(object: usize, port: u16, manner: &str) -> String {
    let host = object % HOSTS;
    format!("http://127.0.1.{}:{port}/{manner}/{object}", host + 1)
}
/// Unix seconds.
pub(crate) fn now_s() -> i64 {
    primrack_model::UnixMs::now().seconds()
}

/// Signs a message of an object.
pub(crate) fn signed(dir: Dir, object: usize, nonce: NonceField, seq: u32, body: &str) -> Vec<u8> {
    let id = object_id(object);
    let sealing = Sealing {
        dir,
        object: &id,
        key_id: KEY_ID,
        secret: &secret(object),
        form: Form::Hex,
        nonce,
        seq: Seq(seq),
        time: now_s(),
    };
    seal(&sealing, body)
}

/// What a server process is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Spec {
    /// The bridge.
    Bridge(BridgeSpec),
    /// The same task done as plainly as possible.
    Limit(LimitSpec),
    /// Posts with hyper's own client, nothing else.
    Fan(FanSpec),
    /// The simulated region.
    Region(RegionSpec),
}

/// The bridge: World, Engine and Journal as the program composes them, with an adapter that completes at
/// once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BridgeSpec {
    /// How many objects.
    pub(crate) objects: usize,
    /// Units of each, each showing a target of its own.
    pub(crate) units: usize,
    /// The folder of the journal.
    pub(crate) folder: std::path::PathBuf,
    /// The sink's port.
    pub(crate) sink: u16,
    /// How it knows where objects are.
    pub(crate) registered: Registered,
    /// The behaviours of the sink: object n gets the one of n / 100 % 100, so that each host has all kinds, else the normal one.
    pub(crate) manners: Vec<(usize, String)>,
    /// Certificate and key, PEM files.
    pub(crate) tls: Option<(std::path::PathBuf, std::path::PathBuf)>,
    /// Where the adapter notes each command it executes.
    pub(crate) executed: Option<std::path::PathBuf>,
    /// A log filter such as `info`; nothing is logged without.
    pub(crate) log: Option<String>,
}

/// Where registrations come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Registered {
    /// Nobody is registered at the start.
    None,
    /// As if the last run had kept them.
    Given,
    /// Given, and written to the journal when told `keep`.
    Kept,
    /// Read from the journal.
    Journal,
}

/// The reference: axum, a signature, a nonce, a state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LimitSpec {
    /// How many objects.
    pub(crate) objects: usize,
    /// Answers after a group commit to SQLite, synchronous=FULL, in this folder.
    pub(crate) durable: Option<std::path::PathBuf>,
    /// Posts to the object's callback at this port before it answers.
    pub(crate) sink: Option<u16>,
    /// Certificate and key, PEM files.
    pub(crate) tls: Option<(std::path::PathBuf, std::path::PathBuf)>,
}

/// Bare hyper: one post to each of so many callbacks, 64 in flight.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FanSpec {
    /// How many objects.
    pub(crate) objects: usize,
    /// The sink's port.
    pub(crate) sink: u16,
}

/// A simulated region with racks of one owner each.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct RegionSpec {
    /// How many racks.
    pub(crate) racks: u32,
    /// Units of each.
    pub(crate) units: u8,
    /// Where scripts post to.
    pub(crate) sink: u16,
}
