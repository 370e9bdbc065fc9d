//! A thread for the sessions: the crate's futures stay on the thread that made them. One per adapter, with
//! as many requests in flight as there are BMCs; one whose asker is gone ends at once.

use std::future::Future;
use std::sync::OnceLock;

use futures::future::LocalBoxFuture;
use primrack_adapter_api::AdapterError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

/// How many requests may wait to be taken up.
const WAITING: usize = 64;

type Work = Box<dyn FnOnce() -> LocalBoxFuture<'static, ()> + Send>;

/// The thread; started at the first use, ends with this value.
#[derive(Debug, Default)]
pub(super) struct Local(OnceLock<Option<mpsc::Sender<Work>>>);

impl Local {
    /// Does something on the thread.
    pub(super) async fn run<T, F, W>(&self, work: W) -> Result<T, AdapterError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, AdapterError>>,
        W: FnOnce() -> F + Send + 'static,
    {
        let gone = || AdapterError::Unreachable("the thread for IPMI is not there".to_owned());
        let (mut answer, answered) = oneshot::channel();
        let work: Work = Box::new(move || {
            Box::pin(async move {
                let result = tokio::select! {
                    result = work() => result,
                    () = answer.closed() => return,
                };
                // Whoever asked may have gone in this very moment.
                answer.send(result).ok();
            })
        });
        let sender = self.0.get_or_init(start).as_ref().ok_or_else(gone)?;
        sender.send(work).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

fn start() -> Option<mpsc::Sender<Work>> {
    let (sender, mut works) = mpsc::channel::<Work>(WAITING);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.inspect_err(|why| tracing::error!(%why, "no runtime for IPMI")).ok()?;
    let body = move || {
        let tasks = LocalSet::new();
        tasks.block_on(&runtime, async {
            while let Some(work) = works.recv().await {
                drop(tokio::task::spawn_local(work()));
            }
        });
    };
    let thread = std::thread::Builder::new().name("ipmi".to_owned()).spawn(body);
    thread.inspect_err(|why| tracing::error!(%why, "no thread for IPMI")).ok()?;
    Some(sender)
}
