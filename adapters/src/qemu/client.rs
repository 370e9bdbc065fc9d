//! One QMP connection (QEMU's docs/interop/qmp-spec.rst), on the crate `qapi`.
//!
//! Three manners of that crate shape this file. A command whose future is dropped breaks the connection
//! when its answer comes, so every command runs in a task of its own. Answers arrive only while events
//! are taken, so events are taken by a task that does nothing else. And a command that could not be sent
//! makes the next one panic, with all that holds the connection, so after a failure nothing more is sent.

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
use tokio::sync::{Mutex, mpsc};
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
    /// Whose turn it is, and whether the connection has failed.
    failed: Arc<Mutex<bool>>,
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
        let qmp = Self {
            service: Arc::new(service),
            failed: Arc::default(),
            socket,
            _events: AbortOnDropHandle::new(pump),
        };
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
        let (service, failed) = (Arc::clone(&self.service), Arc::clone(&self.failed));
        let asked = tokio::spawn(async move {
            let mut failed = failed.lock().await;
            if *failed {
                return Err(ExecuteError::Io(io::Error::new(io::ErrorKind::BrokenPipe, "it failed before")));
            }
            let answer = service.execute(command).await;
            *failed = matches!(answer, Err(ExecuteError::Io(_)));
            answer
        });
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    use tokio::net::UnixListener;

    use super::*;

    /// Greets, agrees to two commands, and listens no more, as a QEMU in the moment of its end.
    async fn soon_gone(listener: UnixListener) -> StdStream {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (read, mut write) = stream.split();
        let greeting =
            r#"{"QMP":{"version":{"qemu":{"micro":0,"minor":2,"major":7},"package":""},"capabilities":[]}}"#;
        write.write_all(format!("{greeting}\n").as_bytes()).await.unwrap();
        let mut lines = BufReader::new(read).lines();
        for _ in 0..2 {
            lines.next_line().await.unwrap();
            write.write_all(b"{\"return\":{}}\n").await.unwrap();
        }
        let stream = stream.into_std().unwrap();
        stream.shutdown(std::net::Shutdown::Read).unwrap();
        stream
    }

    #[tokio::test]
    async fn a_qemu_that_is_gone_is_unreachable_for_everybody_who_asks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("qmp");
        let qemu = tokio::spawn(soon_gone(UnixListener::bind(&path).unwrap()));
        let (qmp, _events) = Qmp::connect(&path).await.unwrap();
        let _open = qemu.await.unwrap();
        let answers = tokio::join!(
            qmp.run(qmp::query_status {}),
            qmp.run(qmp::query_status {}),
            qmp.run(qmp::query_status {})
        );
        for answer in [answers.0, answers.1, answers.2] {
            let why = answer.unwrap_err();
            assert!(why.to_string().contains("connection to QEMU was lost"), "{why}");
        }
    }
}
