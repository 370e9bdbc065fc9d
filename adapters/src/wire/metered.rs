//! A stream that gives no more than it is allowed to.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Stream;

/// How many bytes may still come. Who takes what came out of an endless stream fills it up again, so
/// that one endless line is cut and a thousand short ones are not.
#[derive(Debug)]
pub(crate) struct Allowance {
    of: u64,
    left: AtomicU64,
}

impl Allowance {
    pub(crate) fn new(of: u64) -> Arc<Self> {
        Arc::new(Self { of, left: AtomicU64::new(of) })
    }
    /// How much it is when it is full.
    pub(crate) fn of(&self) -> u64 {
        self.of
    }
    pub(crate) fn fill_up(&self) {
        self.left.store(self.of, Ordering::Relaxed);
    }
    pub(crate) fn is_spent(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }
    /// Takes `bytes` away. Whether there was that much.
    fn spend(&self, bytes: u64) -> bool {
        let left = self.left.load(Ordering::Relaxed).saturating_sub(bytes);
        self.left.store(left, Ordering::Relaxed);
        left > 0
    }
}

/// A stream with an allowance.
pub(crate) struct Metered {
    stream: Box<dyn Stream>,
    allowance: Arc<Allowance>,
}

impl Metered {
    pub(crate) fn new(stream: Box<dyn Stream>, allowance: Arc<Allowance>) -> Self {
        Self { stream, allowance }
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let done = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Poll::Ready(Ok(())) = &done {
            let came = u64::try_from(buffer.filled().len() - before).unwrap_or(u64::MAX);
            if came > 0 && !self.allowance.spend(came) {
                return Poll::Ready(Err(io::Error::other(format!("more than {} bytes", self.allowance.of))));
            }
        }
        done
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
