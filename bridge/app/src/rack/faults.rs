//! What can be made to go wrong, on purpose.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame};

/// Faults that a rack plays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// So many answers of the bridge are thrown away after they came, as a lossy way back would.
    pub lose_answers: u32,
    /// What happens to pushes.
    pub callback: CallbackFault,
}

/// How the callback misbehaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CallbackFault {
    /// It does not.
    #[default]
    None,
    /// It takes the push and answers this late.
    Slow(Duration),
    /// It takes nothing and never answers.
    Hang,
    /// An empty 200, which OpenSimulator answers for a URL whose script is gone.
    Empty,
    /// 404, which Second Life answers for a URL whose script is gone.
    NotFound,
    /// 302 to this address.
    Redirect(String),
    /// 200 with a body that never ends.
    Endless,
}

/// The body of an answer: some bytes, or no end of them.
#[derive(Debug)]
pub(super) enum Reply {
    Bytes(Option<Bytes>),
    Endless,
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(match self.get_mut() {
            Self::Bytes(bytes) => bytes.take().map(|bytes| Ok(Frame::data(bytes))),
            Self::Endless => Some(Ok(Frame::data(Bytes::from_static(&[b' '; 1024])))),
        })
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Self::Bytes(bytes) => {
                hyper::body::SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Endless => hyper::body::SizeHint::default(),
        }
    }
}
