//! A pty under a stable name, as a serial device has one.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The board's end of a pty. Dropping it is an unplug: the link goes, and the other end reads an end of file.
#[derive(Debug)]
pub(super) struct Pty {
    master: AsyncFd<OwnedFd>,
    /// Held open, or the master would read errors while no host has the device open.
    _device: OwnedFd,
    link: PathBuf,
}

impl Pty {
    /// A new pty that `link` points at. A link left by an earlier run is replaced; anything else there is not touched.
    pub(super) fn plug(link: &Path) -> io::Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        let device = rustix::fs::open(
            name.as_c_str(),
            OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let mut settings = tcgetattr(&device)?;
        settings.make_raw();
        tcsetattr(&device, OptionalActions::Now, &settings)?;
        let flags = rustix::fs::fcntl_getfl(&master)?;
        rustix::fs::fcntl_setfl(&master, flags | OFlags::NONBLOCK)?;
        match std::fs::symlink_metadata(link) {
            Ok(found) if found.file_type().is_symlink() => std::fs::remove_file(link)?,
            Ok(_) => {
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no link"));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        std::os::unix::fs::symlink(OsStr::from_bytes(name.as_bytes()), link)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe for types that may give up their descriptor; OwnedFd does not"
        )]
        let master = AsyncFd::new(master)?;
        Ok(Self { master, _device: device, link: link.to_path_buf() })
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.link) {
            tracing::debug!(%error, "the link of a simulated port was gone already");
        }
    }
}

impl AsyncRead for Pty {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.master.poll_read_ready(cx))?;
            let mut bytes = [0_u8; 512];
            let most = bytes.len().min(buf.remaining());
            match guard.try_io(|master| Ok(rustix::io::read(master, &mut bytes[..most])?)) {
                Ok(read) => {
                    buf.put_slice(&bytes[..read?]);
                    return Poll::Ready(Ok(()));
                }
                Err(_would_block) => {}
            }
        }
    }
}

impl AsyncWrite for Pty {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.master.poll_write_ready(cx))?;
            if let Ok(written) = guard.try_io(|master| Ok(rustix::io::write(master, bytes)?)) {
                return Poll::Ready(written);
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
