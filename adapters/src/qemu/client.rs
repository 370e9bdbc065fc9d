//! One QMP connection (QEMU's docs/interop/qmp-spec.rst), on the crate `qapi`.
//!
//! Two manners of that crate shape this file. A command whose future is dropped breaks the connection
//! when its answer comes, so every command runs in a task of its own. Answers arrive only while events
//! are taken, so events are taken by a task that does nothing else.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use primrack_adapter_api::AdapterError;
use qapi::futures::{QapiService, QmpStreamTokio};
use qapi::qmp::{Event, QmpCommand};
use qapi::{ExecuteError, qmp};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// How long QEMU may take to greet. It does so only when no other client is connected.
const GREETING: Duration = Duration::from_secs(5);
/// How long QEMU may take to answer a command. None that is used here waits for a guest.
const ANSWER: Duration = Duration::from_secs(5);
/// How many events may wait to be taken.
const EVENTS: usize = 256;

/// A connection. It ends when this and the events are dropped.
pub(super) struct Qmp {
    service: Arc<QapiService<QmpStreamTokio<OwnedWriteHalf>>>,
    /// The same socket, to pass descriptors on.
    socket: StdStream,
    _events: AbortOnDropHandle<()>,
}

impl std::fmt::Debug for Qmp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Qmp")
    }
}

impl Qmp {
    /// Connects, shakes hands, and asks for the events of a migration too.
    pub(super) async fn connect(path: &Path) -> io::Result<(Self, mpsc::Receiver<Event>)> {
        let stream = UnixStream::connect(path).await?.into_std()?;
        let socket = stream.try_clone()?;
        let (read, write) = UnixStream::from_std(stream)?.into_split();
        let shaken = tokio::time::timeout(GREETING, async {
            QmpStreamTokio::open_split(read, write).await?.negotiate().await
        });
        let (service, mut stream) = shaken
            .await
            .map_err(|_| io::Error::other("QEMU does not greet: is another client at the bridge's socket?"))??
            .into_parts();
        let (sender, events) = mpsc::channel(EVENTS);
        let pump = tokio::spawn(async move {
            while let Some(event) = stream.next().await {
                match event {
                    Ok(event) => {
                        if sender.send(event).await.is_err() {
                            return;
                        }
                    }
                    Err(why) => {
                        tracing::debug!(%why, "the QMP stream broke");
                        return;
                    }
                }
            }
        });
        let qmp = Self { service: Arc::new(service), socket, _events: AbortOnDropHandle::new(pump) };
        let events_too =
            qmp::MigrationCapabilityStatus { capability: qmp::MigrationCapability::events, state: true };
        qmp.run(qmp::migrate_set_capabilities { capabilities: vec![events_too] })
            .await
            .map_err(|why| io::Error::other(why.to_string()))?;
        Ok((qmp, events))
    }

    /// Executes a command. May be dropped: the command is then carried out, its answer lost. The same
    /// goes for one that is not answered in time.
    pub(super) async fn run<C>(&self, command: C) -> Result<C::Ok, AdapterError>
    where
        C: QmpCommand + Send + Sync + 'static,
        C::Ok: Send + 'static,
    {
        let service = Arc::clone(&self.service);
        let asked = tokio::spawn(async move { service.execute(command).await });
        let Ok(answer) = tokio::time::timeout(ANSWER, asked).await else {
            return Err(AdapterError::TimedOut(ANSWER.as_millis() as u64));
        };
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(ExecuteError::Qapi(why))) => {
                Err(AdapterError::Refused(format!("QEMU refused: {}", why.desc)))
            }
            Ok(Err(ExecuteError::Io(why))) => {
                Err(AdapterError::Unreachable(format!("the connection to QEMU was lost: {why}")))
            }
            Err(why) => Err(AdapterError::Unreachable(format!("asking QEMU failed inside: {why}"))),
        }
    }

    /// Hands QEMU an open file under a name. It travels beside a blank, which QMP ignores, and waits
    /// in QEMU for the `getfd` that follows.
    pub(super) async fn hand_over(&self, file: impl AsFd, name: &str) -> Result<(), AdapterError> {
        let fds = [file.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ancillary.push(SendAncillaryMessage::ScmRights(&fds));
        sendmsg(&self.socket, &[IoSlice::new(b"\n")], &mut ancillary, SendFlags::NOSIGNAL)
            .map_err(|why| AdapterError::Unreachable(format!("a file cannot be handed to QEMU: {why}")))?;
        self.run(qmp::getfd { fdname: name.to_owned() }).await.map(drop)
    }
}
