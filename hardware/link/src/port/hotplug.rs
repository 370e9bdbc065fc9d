//! Waiting for a device to appear, with inotify on its folder and without libudev.
//!
//! `/dev/serial/by-id` itself goes with the last device, so the nearest folder that exists is watched. Anything that happens to the next
//! step on the way to the device is a hint; whether the device can be opened is for the next attempt to find out.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use futures::StreamExt as _;
use inotify::{Inotify, WatchMask};

use super::BoxFuture;

/// What can make a device usable: it is made, moved here, or its permissions change (which udev does after it made it). Bytes written to
/// it or to its neighbours are none. That the folder itself goes means that another is to be watched.
const HINTS: WatchMask =
    WatchMask::CREATE.union(WatchMask::MOVED_TO).union(WatchMask::ATTRIB).union(WatchMask::DELETE_SELF);

/// Ends when something happened where `path` is to appear. Watching begins before the future is first awaited.
pub(super) fn appeared(path: &Path) -> BoxFuture<()> {
    let watching = watch(path);
    Box::pin(async move {
        // Without a watch (no inotify instances left) the rests of the port have to do.
        let Ok((inotify, step)) = watching else { return std::future::pending().await };
        let Ok(mut events) = inotify.into_event_stream([0; 1024]) else {
            return std::future::pending().await;
        };
        loop {
            match events.next().await {
                // Without a name it is the folder itself.
                Some(Ok(event)) if event.name.as_ref().is_none_or(|name| *name == step) => return,
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return std::future::pending().await,
            }
        }
    })
}

/// A watch on the nearest folder that exists, and the name in it that leads to `path`.
fn watch(path: &Path) -> io::Result<(Inotify, OsString)> {
    let (step, folder) = path
        .ancestors()
        .zip(path.ancestors().skip(1))
        .find(|(_, folder)| folder.is_dir())
        .ok_or(io::ErrorKind::NotFound)?;
    let inotify = Inotify::init()?;
    inotify.watches().add(folder, HINTS)?;
    Ok((inotify, step.file_name().unwrap_or_default().to_owned()))
}
