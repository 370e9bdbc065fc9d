//! Waiting for a device to appear, with inotify on its folder and without libudev.
//!
//! `/dev/serial/by-id` itself goes with the last device, so the nearest folder that exists is watched. Anything that happens on the way to the
//! device is a hint; whether the device can be opened is for the next attempt to find out.

use std::path::Path;
use std::sync::Arc;

use notify::{RecursiveMode, Watcher as _};
use tokio::sync::Notify;

use super::BoxFuture;

/// Ends when something happened where `path` is to appear. Watching begins before the future is first awaited.
pub(super) fn appeared(path: &Path) -> BoxFuture<()> {
    let hint = Arc::new(Notify::new());
    let teller = Arc::clone(&hint);
    let wanted = path.to_path_buf();
    let watching = nearest(path).and_then(|folder| {
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // What neighbours do is no hint: every byte written to another tty modifies its node in `/dev`.
            let hints = |event: notify::Event| {
                (event.kind.is_create() || event.kind.is_modify())
                    && event.paths.iter().any(|touched| wanted.starts_with(touched))
            };
            if event.is_ok_and(hints) {
                teller.notify_one();
            }
        })
        .ok()?;
        watcher.watch(folder, RecursiveMode::NonRecursive).ok()?;
        Some(watcher)
    });
    Box::pin(async move {
        // Without a watcher (no inotify instances left) the rests of the port have to do.
        let Some(_watcher) = watching else { return std::future::pending().await };
        hint.notified().await;
    })
}

fn nearest(path: &Path) -> Option<&Path> {
    path.ancestors().skip(1).find(|folder| folder.is_dir())
}
