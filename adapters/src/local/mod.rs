//! What technologies on the bridge's own machine share: processes that outlive the bridge, the folder
//! that remembers them, their bounded logs, and news for the driver.

mod folder;
mod handle;
mod intents;
mod logs;
mod news;
mod procfs;
mod ready;
mod remember;

pub(crate) use folder::{Folder, read_json, write_json};
pub(crate) use handle::{Ending, Handle, spawn};
pub(crate) use intents::Recent;
pub(crate) use logs::{Logs, tail};
pub(crate) use news::Bell;
pub(crate) use procfs::Stat;
pub use ready::Ready;
pub(crate) use remember::{Files, Left, Record, Run, Started, clean_command};
