//! A connection's own front: while the gate is shut, plain messages are turned away here, before hyper has
//! seen a byte of them. That costs a read and a write, a tenth of a message that is answered: the bridge
//! can say "later" to a crowd and go on working for the others.
//!
//! Only between two exchanges, and only on a connection that has brought nothing but plain messages, one
//! after the other. Everything else passes, and the gate behind hyper turns it away.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::gate::{Gate, is_plain_message};

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Between two exchanges.
    Resting,
    /// A message has passed.
    Asked,
    /// Some of its answer is written.
    Answering,
    /// It has brought something else than plain messages: all of it passes.
    Open,
}

/// A stream, with the gate before it.
#[derive(Debug)]
pub(crate) struct Front<S> {
    stream: S,
    gate: Option<Gate>,
    stage: Stage,
    /// What is still to be written of an answer of our own.
    answer: Bytes,
    /// When hyper last saw a message: it closes a connection on which it sees none.
    passed: Instant,
    /// After so long a message passes in any case.
    patience: Duration,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Front<S> {
    /// `header` is how long hyper waits for a request.
    pub(crate) fn new(stream: S, gate: Option<Gate>, header: Duration) -> Self {
        let stage = if gate.is_some() { Stage::Resting } else { Stage::Open };
        Self { stream, gate, stage, answer: Bytes::new(), passed: Instant::now(), patience: header / 2 }
    }

    fn write_answer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.answer.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.answer))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            drop(self.answer.split_to(written));
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// What was read at rest: whether it is turned away.
    fn turns_away(&mut self, read: &[u8]) -> bool {
        let Some(gate) = &self.gate else { return false };
        if !is_plain_message(read) {
            self.stage = Stage::Open;
            return false;
        }
        if gate.is_shut() && self.passed.elapsed() < self.patience {
            gate.told();
            self.answer = gate.bytes();
            return true;
        }
        self.passed = Instant::now();
        self.stage = Stage::Asked;
        false
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Front<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.answer.is_empty() {
                ready!(this.write_answer(cx))?;
            }
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            if buf.filled().len() == before {
                return Poll::Ready(Ok(()));
            }
            match this.stage {
                Stage::Open => return Poll::Ready(Ok(())),
                // Sent before the answer to the last one has come.
                Stage::Asked | Stage::Answering => {
                    this.stage = Stage::Open;
                    return Poll::Ready(Ok(()));
                }
                Stage::Resting => {
                    if !this.turns_away(&buf.filled()[before..]) {
                        return Poll::Ready(Ok(()));
                    }
                    buf.set_filled(before);
                }
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Front<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if !this.answer.is_empty() {
            ready!(this.write_answer(cx))?;
        }
        if this.stage == Stage::Asked {
            this.stage = Stage::Answering;
        }
        Pin::new(&mut this.stream).poll_write(cx, buf)
    }
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if !this.answer.is_empty() {
            ready!(this.write_answer(cx))?;
        }
        if this.stage == Stage::Asked {
            this.stage = Stage::Answering;
        }
        Pin::new(&mut this.stream).poll_write_vectored(cx, bufs)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.answer.is_empty() {
            ready!(this.write_answer(cx))?;
        }
        ready!(Pin::new(&mut this.stream).poll_flush(cx))?;
        // hyper flushes when all of what it has is written, and a message's answer is written at once.
        if this.stage == Stage::Answering {
            this.stage = Stage::Resting;
        }
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
