//! Serial devices and ptys: opened exclusively, 8N1 without handshake, found again after a replug.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_serial::{ErrorKind, SerialPortBuilderExt as _, SerialStream};

use super::hotplug::appeared;
use super::{BoxFuture, Dial, PortError, Wire};

pub(super) struct SerialDial {
    path: PathBuf,
    baud: u32,
}

impl SerialDial {
    pub(super) fn new(path: PathBuf, baud: u32) -> Self {
        Self { path, baud }
    }
}

impl Dial for SerialDial {
    fn dial(&mut self) -> BoxFuture<Result<Box<dyn Wire>, PortError>> {
        let (path, baud) = (self.path.clone(), self.baud);
        // Opening a tty may wait for its driver: not on a thread of the runtime.
        Box::pin(async move {
            let port = path.display().to_string();
            match tokio::task::spawn_blocking(move || open(&path, baud)).await {
                Ok(opened) => opened.map(|stream| Box::new(Exclusive(stream)) as Box<dyn Wire>),
                Err(_) => Err(PortError::Unusable { port, why: "opening it was given up".to_owned() }),
            }
        })
    }

    fn hint(&mut self) -> BoxFuture<()> {
        appeared(&self.path)
    }

    fn describe(&self) -> String {
        self.path.display().to_string()
    }
}

fn open(path: &std::path::Path, baud: u32) -> Result<SerialStream, PortError> {
    let port = path.display().to_string();
    // The crate takes TIOCEXCL and a lock on the file: the first keeps others out, the second another bridge of root.
    tokio_serial::new(port.clone(), baud).open_native_async().map_err(|error| match error.kind() {
        ErrorKind::Io(io::ErrorKind::NotFound) => PortError::Missing { port },
        ErrorKind::Io(io::ErrorKind::PermissionDenied) => PortError::Denied { port },
        ErrorKind::NoDevice | ErrorKind::Io(io::ErrorKind::WouldBlock) => PortError::Busy { port },
        ErrorKind::InvalidInput | ErrorKind::Unknown | ErrorKind::Io(_) => {
            // A device that goes while it is opened shows as ENXIO or EIO, which the crate does not tell apart.
            if path.exists() {
                PortError::Unusable { port, why: error.description }
            } else {
                PortError::Missing { port }
            }
        }
    })
}

/// Gives the device free when it is closed. The kernel does so at the last close; an emulator may hold its end of a pty open, and then
/// a next run of the bridge would find it busy.
struct Exclusive(SerialStream);

impl Drop for Exclusive {
    fn drop(&mut self) {
        if let Err(error) = self.0.set_exclusive(false) {
            tracing::debug!(%error, "a port was gone before it was given free");
        }
    }
}

impl AsyncRead for Exclusive {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Exclusive {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    /// Does not wait for the line to be empty: that would block the thread.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
