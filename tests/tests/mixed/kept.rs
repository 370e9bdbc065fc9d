//! Peers that come up side by side.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

/// Something on a thread of its own, which made it: what such a peer has started ends with that thread at the latest.
pub(crate) struct Kept<T> {
    comes: Option<oneshot::Receiver<Arc<T>>>,
    end: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + Sync + 'static> Kept<T> {
    /// Begins to make it.
    pub(crate) fn begin(make: impl FnOnce() -> T + Send + 'static) -> Self {
        let (give, comes) = oneshot::channel();
        let (end, over) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let it = Arc::new(make());
            if give.send(Arc::clone(&it)).is_ok() {
                // An error, too, says that it is over.
                over.recv().ok();
            }
        });
        Self { comes: Some(comes), end: Some(end), thread: Some(thread) }
    }

    /// Waits until it is there. Once.
    pub(crate) async fn it(&mut self) -> Arc<T> {
        let comes = self.comes.take().expect("it is asked for once");
        primrack_tests::soon("a peer comes up", comes).await.expect("its own thread says why there is none")
    }
}

impl<T> Kept<T> {
    /// Tells it to end, without waiting for that.
    pub(crate) fn end(&mut self) {
        drop(self.end.take());
    }
}

impl<T> Drop for Kept<T> {
    fn drop(&mut self) {
        self.end();
        if let Some(thread) = self.thread.take() {
            // Where it panicked, it has said so.
            thread.join().ok();
        }
    }
}
